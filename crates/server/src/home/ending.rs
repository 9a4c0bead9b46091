//! How connections end, and what time brings to them.
//!
//! An orderly end has stages: input ends (FIN, `/quit`, a goodbye of ours), what is under way is answered, rooms are
//! left, all that is owed is written, FIN goes out, the peer's FIN is waited for, the socket is closed. A connection
//! that breaks, or takes nothing for too long, leaves all of that out.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

use madang_room::{RoomName, Timestamp, WhyLeft};
use madang_wire::{Answer, Bye, Notice};
use rustc_hash::FxHashSet;
use thin_vec::ThinVec;

use super::conn::{Conn, Pending, Phase, Speaks};
use super::socketio::Stage;
use super::{Home, Surroundings};
use crate::batch::{Batch, Place};
use crate::message::{Ask, DirectoryMessage};
use crate::net::Net;
use crate::placement::ConnRef;

/// How long a peer may take to send FIN after ours; it is reset then.
const LINGER: Duration = Duration::from_secs(10);
/// The same when the server ends. Who has read up to our FIN has closed by then, and who is idle loses nothing.
const LINGER_AT_SHUTDOWN: Duration = Duration::from_secs(1);

/// An end that has begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shutdown {
    pub(super) deadline: Timestamp,
}

/// What connections wait for. Timers are not taken back: one that fires looks whether it is still meant.
#[derive(Debug)]
pub(super) struct Timers {
    write_timeout: Duration,
    due: BinaryHeap<Reverse<(Timestamp, Timer)>>,
    /// Slots that have a timer of their kind in the heap already.
    behind: FxHashSet<u32>,
    reading_later: FxHashSet<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Has whoever has this slot taken nothing for `write_timeout`?
    Behind(u32),
    /// Whoever has this slot may be read again.
    Read(u32),
    /// Has the connection said nothing for too long? Slot and generation.
    Idle(u32, u32),
    /// Has the peer not sent its FIN? Slot and generation.
    Linger(u32, u32),
    /// Is an Engine.IO client still there? Slot and generation.
    Beat(u32, u32),
}

impl Timers {
    pub(super) fn new(write_timeout: Duration) -> Timers {
        Timers {
            write_timeout,
            due: BinaryHeap::new(),
            behind: FxHashSet::default(),
            reading_later: FxHashSet::default(),
        }
    }

    pub(super) fn idle(&mut self, at: Timestamp, conn: ConnRef) {
        self.due.push(Reverse((at, Timer::Idle(conn.slot, conn.generation))));
    }

    pub(super) fn beat(&mut self, at: Timestamp, conn: ConnRef) {
        self.due.push(Reverse((at, Timer::Beat(conn.slot, conn.generation))));
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.due.len()
    }

    fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        let Reverse((due, timer)) = *self.due.peek()?;
        (due <= now).then(|| {
            self.due.pop();
            timer
        })
    }

    /// The connection is owed bytes that its socket does not take.
    pub(super) fn behind(&mut self, slot: u32, now: Timestamp) {
        if self.behind.insert(slot) {
            self.due.push(Reverse((now.plus(self.write_timeout), Timer::Behind(slot))));
        }
    }

    /// May the connection be read now? If it has sent too much, a timer is set for when it may.
    pub(super) fn may_read<S>(
        &mut self,
        conn: &mut Conn<S>,
        slot: u32,
        per_second: u32,
        now: Timestamp,
    ) -> bool {
        let Speaks::Chat(chat) = &mut conn.speaks else { return true };
        let Some(again) = chat.bucket.read_again_at(per_second, now) else { return true };
        if self.reading_later.insert(slot) {
            self.due.push(Reverse((again, Timer::Read(slot))));
        }
        false
    }
}

impl<N: Net> Home<N> {
    /// FIN was read, and all input before it is carried out or under way.
    pub(super) fn input_ended(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        let conn = &mut self.conns[slot as usize];
        let Speaks::Chat(chat) = &conn.speaks else {
            conn.phase = Phase::Draining;
            self.mark_dirty(slot);
            return;
        };
        if !chat.is_quiet() {
            // The answers bring us back here.
            return;
        }
        if self.take_last_line(slot, around) {
            self.enqueue(slot);
            return;
        }
        self.leave_all(slot, None, around);
    }

    /// Says goodbye and ends the connection in order.
    pub(super) fn part(&mut self, slot: u32, bye: Bye, why: WhyLeft, around: &mut Surroundings<'_, N>) {
        if self.conns[slot as usize].phase == Phase::Open {
            self.notify(slot, &Notice::Bye(bye));
            self.leave_all(slot, Some(why), around);
        }
    }

    /// Leaves all rooms; when they have let it go, the connection is drained and closed.
    pub(super) fn leave_all(&mut self, slot: u32, why: Option<WhyLeft>, around: &mut Surroundings<'_, N>) {
        let conn = &mut self.conns[slot as usize];
        if conn.phase != Phase::Open {
            return;
        }
        conn.phase = Phase::Leaving;
        conn.input = ThinVec::new();
        conn.outbox.discard();
        if let Some(chat) = conn.chat() {
            chat.why_left = why;
            let rooms: Vec<RoomName> = chat.rooms.iter().map(|membership| membership.room.clone()).collect();
            for room in rooms {
                self.send_to_room(slot, None, room, Ask::Leave { why }, around);
            }
        }
        self.settle(slot, around);
    }

    /// Moves a connection that is leaving on to its last writes, when nothing is under way any more.
    pub(super) fn settle(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        let is_shutdown = self.shutdown.is_some();
        let conn = &mut self.conns[slot as usize];
        if conn.phase != Phase::Leaving {
            return;
        }
        if let Some(chat) = conn.chat() {
            if !chat.is_quiet() || !(chat.rooms.is_empty() || is_shutdown) {
                return;
            }
            if is_shutdown {
                // Different for each client, so that they don't all come back at once.
                let spread =
                    u32::from(u16::from_le_bytes([chat.person.session.0[0], chat.person.session.0[1]]));
                let retry_ms = Some(1_000 + spread % 4_000);
                self.notify(slot, &Notice::Bye(Bye { why: "shutdown", resume: true, retry_ms }));
            } else {
                let re = chat.goodbye.as_ref().map(|goodbye| goodbye.re.clone());
                self.release(slot, around);
                if let Some(re) = re {
                    self.reply(slot, re.as_ref(), &Ok(Answer::Bye));
                }
            }
        }
        if is_shutdown {
            self.hand_in_trail(slot, around);
        }
        self.say_last_words(slot);
        self.conns[slot as usize].phase = Phase::Draining;
        self.mark_dirty(slot);
    }

    /// Ends a conversation in its own way, where it has one. Codes are those of RFC 6455, section 7.4.1, and from 4000
    /// on our own.
    fn say_last_words(&mut self, slot: u32) {
        let is_shutdown = self.shutdown.is_some();
        let Conn { speaks: Speaks::Chat(chat), outbox, .. } = &mut self.conns[slot as usize] else { return };
        let (code, why) = match chat.why_left {
            _ if is_shutdown => (1012, "the server ends, come back in a moment"),
            Some(WhyLeft::Replaced) => (4001, "this session has come in by another connection"),
            Some(WhyLeft::Idle) => (4002, "nothing was said for too long"),
            Some(WhyLeft::Lost) => (4003, "no answer to a ping"),
            _ => (1000, ""),
        };
        outbox.append(|out| chat.tongue.encode_end(out, code, why));
    }

    /// The server ends: what a Socket.IO client was sent is kept for when it has started again.
    fn hand_in_trail(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        let Some(holder) = self.holder(slot) else { return };
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let trail = chat.tongue.socketio().and_then(|socketio| socketio.trail.take());
        if let Some(trail) = trail.filter(|_| chat.is_resumable) {
            let owner = self.placement.of_session(holder.session);
            let trail = Some(Box::new(trail));
            self.ask_directory(owner, DirectoryMessage::CloseSession { holder, keep: true, trail }, around);
        }
    }

    /// Gives back the connection's name and session: at once where it said goodbye, after the grace where it did not.
    fn release(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        let Some(holder) = self.holder(slot) else { return };
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let person = chat.person.clone();
        let is_resumable = chat.is_resumable;
        // Who says goodbye needs no name kept.
        let has_left = chat.tongue.socketio().is_some_and(|socketio| socketio.stage == Stage::Left);
        let keep = is_resumable && chat.goodbye.is_none() && !has_left;
        let trail = chat.tongue.socketio().and_then(|socketio| socketio.trail.clone());
        let owner = self.placement.of_nick(&person.nick);
        let release = DirectoryMessage::ReleaseNick { person, conn: holder.conn, keep };
        self.ask_directory(owner, release, around);
        if is_resumable {
            let trail = trail.filter(|_| keep).map(Box::new);
            let owner = self.placement.of_session(holder.session);
            self.ask_directory(owner, DirectoryMessage::CloseSession { holder, keep, trail }, around);
        }
    }

    /// Ends a connection that broke or has to be broken.
    pub(super) fn lose(&mut self, slot: u32, why: WhyLeft, around: &mut Surroundings<'_, N>) {
        let conn = &mut self.conns[slot as usize];
        if why == WhyLeft::Stuck {
            self.metrics.stuck.inc();
            let (peer, session) = (conn.peer, conn.session());
            tracing::info!(%peer, session, "closed: it took nothing of what it was sent");
        }
        let is_released = matches!(conn.phase, Phase::Draining | Phase::Finished);
        if let Some(chat) = conn.chat() {
            let mut rooms: Vec<RoomName> =
                chat.rooms.iter().map(|membership| membership.room.clone()).collect();
            match chat.pending.as_deref() {
                Some(
                    Pending::Landing { room }
                    | Pending::Join { room, .. }
                    | Pending::SimpleJoin { room }
                    | Pending::Watch { room }
                    | Pending::Enter { room, .. },
                ) => rooms.push(room.clone()),
                Some(Pending::Recover(recovering)) => {
                    rooms.extend(recovering.todo.last().map(|back| back.room.clone()));
                }
                _ => {}
            }
            for room in rooms {
                self.send_to_room(slot, None, room, Ask::Leave { why: Some(why) }, around);
            }
            if !is_released {
                self.release(slot, around);
            }
        }
        self.remove(slot, true, around);
    }

    fn remove(&mut self, slot: u32, reset: bool, around: &mut Surroundings<'_, N>) {
        match &mut self.conns[slot as usize].speaks {
            Speaks::Chat(chat) => {
                for membership in std::mem::take(&mut chat.rooms) {
                    self.remove_listener(&Place::Room(membership.room), membership.position);
                }
            }
            Speaks::Relay { position } => {
                let position = *position;
                let place = Place::Relay(self.conns[slot as usize].listener);
                self.remove_listener(&place, position);
            }
            Speaks::Echo | Speaks::Echoes(_) => {}
        }
        let conn = self.conns.remove(slot as usize);
        self.metrics.closed(conn.speaks.door());
        let session = conn.session();
        tracing::debug!(peer = %conn.peer, session, shard = self.shard.0, slot, reset, "closed");
        around.net.close(conn.socket, reset);
    }

    /// Everything owed is written: FIN, and the end when the peer's FIN is here.
    pub(super) fn close_if_done(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        let is_shutdown = self.shutdown.is_some();
        let conn = &mut self.conns[slot as usize];
        if conn.phase == Phase::Draining {
            around.net.finish(&mut conn.socket);
            let until = around.now.plus(if is_shutdown { LINGER_AT_SHUTDOWN } else { LINGER });
            conn.phase = Phase::Finished;
            // There may be unread bytes; the peer's FIN stands behind them.
            conn.readable = true;
            self.timers.due.push(Reverse((until, Timer::Linger(slot, conn.generation))));
            if !conn.peer_done {
                self.enqueue(slot);
            }
        }
        let conn = &self.conns[slot as usize];
        if matches!(conn.phase, Phase::Finished) && conn.peer_done {
            self.remove(slot, false, around);
        }
    }

    /// What a member missed is written to it alone.
    pub(super) fn replay(
        &mut self,
        slot: u32,
        replay: &Arc<Batch>,
        room: &RoomName,
        around: &mut Surroundings<'_, N>,
    ) {
        let conn = &mut self.conns[slot as usize];
        let Speaks::Chat(chat) = &conn.speaks else { return };
        let Some(position) = chat.rooms.iter().position(|membership| membership.room == *room) else {
            return;
        };
        let form = chat.form(position);
        if let Some(trail) = conn.chat().and_then(|chat| chat.tongue.socketio()?.trail.as_mut())
            && let Some(seq) = replay.seqs(0, replay.items.len() as u32).last()
        {
            trail.step(room, seq);
        }
        let runs = [(0, replay.items.len() as u32)];
        // A replay is bounded where it is made, and has a right to be sent whole.
        let limit = usize::MAX;
        let socket = &mut conn.socket;
        let write = |slices: &[std::io::IoSlice<'_>]| around.net.write(socket, slices);
        match conn.outbox.send(replay, form, &runs, limit, around.now, write) {
            Ok(super::outbox::Sent::All | super::outbox::Sent::Corked) => {}
            Ok(_) => {
                around.net.want_write(&mut conn.socket, slot, true);
                self.timers.behind(slot, around.now);
            }
            Err(_) => self.lose(slot, WhyLeft::Lost, around),
        }
    }

    /// Begins the orderly end of all connections.
    pub(crate) fn begin_shutdown(&mut self, deadline: Timestamp, around: &mut Surroundings<'_, N>) {
        self.shutdown = Some(Shutdown { deadline });
        let slots: Vec<u32> = self.conns.iter().map(|(slot, _)| slot as u32).collect();
        slots.into_iter().for_each(|slot| self.say_goodbye(slot, around));
    }

    pub(super) fn say_goodbye(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        let until = around.now.plus(LINGER_AT_SHUTDOWN);
        let conn = &mut self.conns[slot as usize];
        match conn.phase {
            Phase::Open => {
                conn.phase = Phase::Leaving;
                conn.input = ThinVec::new();
                self.settle(slot, around);
            }
            Phase::Leaving => self.settle(slot, around),
            Phase::Draining => {}
            Phase::Finished => {
                self.timers.due.push(Reverse((until, Timer::Linger(slot, conn.generation))));
            }
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, around: &mut Surroundings<'_, N>) {
        let now = around.now;
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Behind(slot) => self.check_behind(slot, around),
                Timer::Read(slot) => {
                    self.timers.reading_later.remove(&slot);
                    if self.conns.contains(slot as usize) {
                        self.enqueue(slot);
                    }
                }
                Timer::Beat(slot, generation) => self.beat(slot, generation, around),
                Timer::Idle(slot, generation) => self.check_idle(slot, generation, around),
                Timer::Linger(slot, generation) => {
                    let conn = self.conns.get(slot as usize).filter(|conn| conn.generation == generation);
                    if conn.is_some_and(|conn| conn.phase == Phase::Finished) {
                        // At the server's end a peer that is idle gets FIN alone; what it has not read is its own.
                        let reset = self.shutdown.is_none();
                        self.remove(slot, reset, around);
                    }
                }
            }
        }
        if self.shutdown.is_some_and(|shutdown| shutdown.deadline <= now) {
            let slots: Vec<u32> = self.conns.iter().map(|(slot, _)| slot as u32).collect();
            slots.into_iter().for_each(|slot| self.remove(slot, true, around));
        }
    }

    fn check_behind(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        self.timers.behind.remove(&slot);
        let Some(since) = self.conns.get(slot as usize).and_then(|conn| conn.outbox.waiting_since()) else {
            return;
        };
        let due = since.plus(self.config.write_timeout);
        if due <= around.now {
            self.lose(slot, WhyLeft::Stuck, around);
        } else {
            self.timers.behind.insert(slot);
            self.timers.due.push(Reverse((due, Timer::Behind(slot))));
        }
    }

    fn check_idle(&mut self, slot: u32, generation: u32, around: &mut Surroundings<'_, N>) {
        let Some(conn) = self.conns.get(slot as usize).filter(|conn| conn.generation == generation) else {
            return;
        };
        let idle_timeout = self.config.listeners[usize::from(conn.listener)].idle_timeout;
        let due = conn.heard_at.plus(idle_timeout);
        if due > around.now {
            self.timers.idle(due, self.reference(slot));
            return;
        }
        match conn.speaks {
            Speaks::Chat(_) => {
                let bye = Bye { why: "idle", resume: true, retry_ms: None };
                self.part(slot, bye, WhyLeft::Idle, around);
            }
            Speaks::Echo | Speaks::Relay { .. } | Speaks::Echoes(_) => {
                self.conns[slot as usize].phase = Phase::Draining;
                self.mark_dirty(slot);
            }
        }
    }

    /// When [`Home::tick`] is due next.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let due = self.timers.due.peek().map(|Reverse((due, _))| *due);
        let end = self.shutdown.filter(|_| !self.conns.is_empty()).map(|shutdown| shutdown.deadline);
        due.into_iter().chain(end).min()
    }
}
