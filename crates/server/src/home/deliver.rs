//! The fan-out: one batch to every member that this shard has in its place, one write each.

use std::sync::Arc;

use madang_room::{RoomName, Seq, WhyLeft};
use madang_wire::Notice;
use smallvec::SmallVec;

use super::audience::{Listener, Membership, TO_THE_END};
use super::conn::{Conn, Phase, Speaks};
use super::outbox::{Missed, Sent};
use super::{Home, Surroundings};
use crate::batch::{Batch, Form, Place};
use crate::net::Net;
use crate::placement::ConnRef;

impl<N: Net> Home<N> {
    /// Writes a batch to everybody here whom it concerns.
    pub(crate) fn deliver(&mut self, batch: &Arc<Batch>, around: &mut Surroundings<'_, N>) {
        let Some(listeners) = self.audiences.get_mut(&batch.place) else { return };
        let shard = self.shard;
        let here = batch.items.iter().filter_map(|item| item.author).filter(|author| author.shard == shard);
        let mut authors: SmallVec<[u32; 16]> = here.map(|author| author.slot).collect();
        authors.sort_unstable();
        authors.dedup();
        let whole = [(0, batch.items.len() as u32)];
        let limit = self.config.limits.backlog_bytes;
        let (mut broken, mut left) = (Vec::new(), Vec::new());
        let (mut deliveries, mut bytes) = (0, 0);
        for listener in listeners.iter_mut() {
            let conn = &mut self.conns[listener.slot as usize];
            if matches!(conn.phase, Phase::Draining | Phase::Finished) {
                // Its goodbye is said, maybe its FIN sent.
                continue;
            }
            if conn.phase == Phase::Leaving && conn.chat().is_some_and(|chat| chat.tongue.is_over()) {
                // Nothing follows a close frame (RFC 6455, section 5.5.1).
                listener.from = 0;
                if listener.until != TO_THE_END {
                    left.push(listener.slot);
                }
                continue;
            }
            let is_plain =
                listener.is_plain() && (authors.is_empty() || authors.binary_search(&listener.slot).is_err());
            let mut seen = batch.newest();
            let sent = if is_plain {
                deliveries += whole[0].1 as usize;
                write(conn, batch, listener, &whole, limit, &mut bytes, around)
            } else {
                let me = ConnRef { shard, slot: listener.slot, generation: conn.generation };
                let runs = batch.visible_to(me, listener.echo, listener.from, listener.until);
                deliveries += runs.iter().map(|(first, end)| (end - first) as usize).sum::<usize>();
                seen = runs.iter().rev().find_map(|(first, end)| batch.seqs(*first, *end).last());
                listener.from = 0;
                if listener.until != TO_THE_END {
                    left.push(listener.slot);
                }
                write(conn, batch, listener, &runs, limit, &mut bytes, around)
            };
            if let (Form::SocketIo { has_offset: true, .. }, Place::Room(room)) =
                (listener.form, &batch.place)
            {
                leave_trail(conn, room, seen, &sent);
            }
            match sent {
                Ok(Sent::All | Sent::Corked) => {}
                Ok(sent) => {
                    around.net.want_write(&mut conn.socket, listener.slot, true);
                    self.timers.behind(listener.slot, around.now);
                    match sent {
                        Sent::Dropped => self.metrics.gaps.inc(),
                        Sent::Overflow => {
                            broken.push((listener.slot, WhyLeft::Stuck));
                            0
                        }
                        Sent::All | Sent::Behind | Sent::Corked => 0,
                    };
                }
                Err(_) => broken.push((listener.slot, WhyLeft::Lost)),
            }
        }
        self.metrics.deliveries.inc_by(deliveries as u64);
        self.metrics.bytes_out.inc_by(bytes as u64);
        for slot in left {
            if let Place::Room(room) = &batch.place {
                self.forget_membership(slot, room);
                self.settle(slot, around);
            }
        }
        for (slot, why) in broken {
            if self.conns.contains(slot as usize) {
                self.lose(slot, why, around);
            }
        }
    }

    /// Writes to all connections that are owed something, and closes those that are owed nothing more.
    pub(crate) fn flush(&mut self, around: &mut Surroundings<'_, N>) {
        for slot in std::mem::take(&mut self.dirty) {
            let Some(conn) = self.conns.get_mut(slot as usize) else { continue };
            conn.is_dirty = false;
            let was_behind = conn.outbox.is_behind();
            let speaks = &conn.speaks;
            let announce = |bytes: &mut Vec<u8>, missed: Missed| {
                // Raw bytes are never dropped.
                if let Speaks::Chat(chat) = speaks {
                    chat.tongue.encode_notice(bytes, &gap(missed));
                }
            };
            let (socket, metrics) = (&mut conn.socket, &self.metrics);
            let sent = conn.outbox.flush(around.now, announce, |slices| {
                let written = around.net.write(socket, slices)?;
                metrics.bytes_out.inc_by(written as u64);
                Ok(written)
            });
            match sent {
                Ok(Sent::All) => {
                    if was_behind {
                        around.net.want_write(&mut conn.socket, slot, false);
                        self.enqueue(slot);
                    }
                    self.close_if_done(slot, around);
                }
                Ok(Sent::Corked) => {}
                Ok(_) => {
                    around.net.want_write(&mut conn.socket, slot, true);
                    self.timers.behind(slot, around.now);
                }
                Err(_) => self.lose(slot, WhyLeft::Lost, around),
            }
        }
    }

    /// Adds a connection to those who hear a room.
    pub(super) fn add_membership(&mut self, slot: u32, room: RoomName, echo: bool, from: u32) {
        let is_show = self.config.show_of(&room).is_some();
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        if let Some(at) = chat.rooms.iter().position(|membership| membership.room == room) {
            // Joined again: the place becomes the current one.
            let membership = chat.rooms.remove(at);
            let position = membership.position as usize;
            chat.rooms.push(membership);
            if let Some(listeners) = self.audiences.get_mut(&Place::Room(room)) {
                listeners[position].echo = echo;
                listeners[position].from = listeners[position].from.max(from);
                listeners[position].until = TO_THE_END;
            }
        } else {
            let listeners = self.audiences.entry(Place::Room(room.clone())).or_default();
            let position = listeners.len() as u32;
            chat.rooms.push(Membership { room, position, is_show });
            let form = chat.form(chat.rooms.len() - 1);
            listeners.push(Listener { slot, form, echo, from, until: TO_THE_END });
        }
        self.reform(slot);
    }

    /// A member has left: it hears what came before that in the coming batch, and then nothing.
    pub(super) fn end_membership(&mut self, slot: u32, room: &RoomName, until: u32) {
        if until == 0 {
            self.forget_membership(slot, room);
            return;
        }
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let Some(membership) = chat.rooms.iter().find(|membership| membership.room == *room) else { return };
        let position = membership.position as usize;
        if let Some(listeners) = self.audiences.get_mut(&Place::Room(room.clone())) {
            listeners[position].until = until;
        }
    }

    pub(super) fn forget_membership(&mut self, slot: u32, room: &RoomName) {
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let Some(at) = chat.rooms.iter().position(|membership| membership.room == *room) else { return };
        let membership = chat.rooms.remove(at);
        self.remove_listener(&Place::Room(membership.room), membership.position);
        let is_open = self.conns[slot as usize].phase == Phase::Open;
        if let Some(socketio) = self.socketio(slot).filter(|_| is_open) {
            // Who is going keeps its trail: it may come back for the rest.
            if let Some(trail) = &mut socketio.trail {
                trail.leave(room);
            }
            socketio.simple_room.take_if(|simple| simple == room);
            socketio.simple_room_before.take_if(|simple| simple == room);
        }
        self.reform(slot);
    }

    /// Takes a listener out; the last one moves into its place.
    pub(super) fn remove_listener(&mut self, place: &Place, position: u32) {
        let Some(listeners) = self.audiences.get_mut(place) else { return };
        listeners.swap_remove(position as usize);
        if let Some(moved) = listeners.get(position as usize) {
            match &mut self.conns[moved.slot as usize].speaks {
                Speaks::Chat(chat) => {
                    let is_here = |membership: &&mut Membership| matches!(place, Place::Room(room) if membership.room == *room);
                    if let Some(membership) = chat.rooms.iter_mut().find(is_here) {
                        membership.position = position;
                    }
                }
                Speaks::Relay { position: relayed } => *relayed = position,
                Speaks::Echo | Speaks::Echoes(_) => {}
            }
        }
        if listeners.is_empty() {
            self.audiences.remove(place);
        } else if listeners.capacity() > 64 && listeners.len() < listeners.capacity() / 4 {
            listeners.shrink_to(listeners.len() * 2);
        }
    }

    /// Writes down anew in which form each of a connection's rooms is written to it: what is the current room, how
    /// lines end, or what language is spoken has changed.
    pub(super) fn reform(&mut self, slot: u32) {
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let forms = (0..chat.rooms.len())
            .map(|at| (chat.rooms[at].room.clone(), chat.rooms[at].position, chat.form(at)));
        for (room, position, form) in forms.collect::<SmallVec<[_; 4]>>() {
            if let Some(listeners) = self.audiences.get_mut(&Place::Room(room)) {
                listeners[position as usize].form = form;
            }
        }
    }

    /// Sets whether a connection gets its own messages too, in all of its rooms.
    pub(super) fn set_echo(&mut self, slot: u32, echo: bool) {
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        for membership in &chat.rooms {
            if let Some(listeners) = self.audiences.get_mut(&Place::Room(membership.room.clone())) {
                listeners[membership.position as usize].echo = echo;
            }
        }
    }
}

fn write<N: Net>(
    conn: &mut Conn<N::Socket>,
    batch: &Arc<Batch>,
    listener: &Listener,
    runs: super::outbox::Runs<'_>,
    limit: usize,
    bytes: &mut usize,
    around: &mut Surroundings<'_, N>,
) -> std::io::Result<Sent> {
    let socket = &mut conn.socket;
    conn.outbox.send(batch, listener.form, runs, limit, around.now, |slices| {
        let written = around.net.write(socket, slices)?;
        *bytes += written;
        Ok(written)
    })
}

/// Remembers how far a client has got that may come back for the rest.
fn leave_trail<S>(conn: &mut Conn<S>, room: &RoomName, seen: Option<Seq>, sent: &std::io::Result<Sent>) {
    let trail = conn.chat().and_then(|chat| chat.tongue.socketio()?.trail.as_mut());
    let Some(trail) = trail else { return };
    if let Some(seq) = seen {
        trail.step(room, seq);
    }
    if matches!(sent, Ok(Sent::Dropped)) {
        trail.miss();
    }
}

fn gap(missed: Missed) -> Notice {
    let (from_seq, to_seq) = missed.seqs.unwrap_or((madang_room::Seq(1), madang_room::Seq::ZERO));
    Notice::Gap { room: missed.room, from_seq, to_seq }
}
