//! The rooms of one shard: loaded when somebody first needs them, unloaded when nobody does.
//!
//! Invariant: messages for one room are carried out in the order in which they arrived, also while it is being
//! loaded.
//! Elsewhere: what a room decides and keeps (`room`), where its log lives (`madang-log`), connections (`home`).

mod attendance;
mod groups;
mod kinds;
mod lobby;
mod past;
mod recent;
mod recovery;
mod room;
mod roster;
mod sealing;
mod show;
mod state;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use foldhash::HashMap;
use madang_log::{Completion, LoadError, Loaded, Log, Ticket};
use madang_room::{Entry, Presence, Refusal, RoomName, Timestamp};
use madang_wire::{Answer, ROOMS_MAX, RoomRow};
use rustc_hash::FxHashMap;

use crate::config::Config;
use crate::message::{Ask, ConnAnswer, ListRooms, LobbyAsk, Outgoing, RoomMessage};
use crate::metrics::Metrics;
use crate::placement::{Placement, ShardId};
use attendance::Attendance;
use kinds::Kinds;
use recovery::Survivors;
use room::{Context, Handled, Room};

/// How often members of a large room are told how many they are.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// How soon a room with members that could not be loaded is tried again.
const LOAD_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long a room stays loaded when nobody is there. A `memory` room is forgotten then.
const EMPTY_ROOM_KEPT: Duration = Duration::from_secs(60);
/// Messages that may wait for one room to be loaded; more are refused with `unavailable`.
const WAITING_MAX: usize = 16_384;

/// The rooms of one shard.
pub(crate) struct Rooms {
    config: Arc<Config>,
    kinds: Kinds,
    log: Box<dyn Log>,
    metrics: Arc<Metrics>,
    attendance: Attendance,
    rooms: HashMap<RoomName, Slot>,
    /// Rooms to which this wake has brought something.
    touched: Vec<RoomName>,
    /// Messages that wait for a read from the log.
    reads: FxHashMap<u64, RoomMessage>,
    next_ticket: u64,
    /// When rooms are due, soonest first, for lack of members and for a count.
    empty: VecDeque<(Timestamp, RoomName)>,
    counts: VecDeque<(Timestamp, RoomName)>,
    /// Rooms with members that could not be loaded again.
    retries: VecDeque<(Timestamp, RoomName)>,
    /// When holds end, by performance.
    holds: BTreeSet<(Timestamp, RoomName)>,
}

enum Slot {
    /// On its way from the log.
    Loading(Box<Loading>),
    Open(Box<Room>),
}

#[derive(Default)]
struct Loading {
    waiting: Vec<RoomMessage>,
    /// Of its earlier life, where it had to be read again.
    survivors: Survivors,
}

impl Rooms {
    pub(crate) fn new(config: Arc<Config>, log: Box<dyn Log>, metrics: Arc<Metrics>) -> Rooms {
        Rooms {
            kinds: Kinds::new(config.clone()),
            config,
            log,
            metrics,
            attendance: Attendance::default(),
            rooms: HashMap::default(),
            touched: Vec::new(),
            reads: FxHashMap::default(),
            next_ticket: 0,
            empty: VecDeque::new(),
            counts: VecDeque::new(),
            retries: VecDeque::new(),
            holds: BTreeSet::new(),
        }
    }

    /// Loads the lobbies and performances that are this shard's.
    pub(crate) fn begin(&mut self, placement: &Placement, me: ShardId) {
        let lasting: Vec<RoomName> =
            self.kinds.lasting().filter(|room| placement.of_room(room) == me).cloned().collect();
        for room in lasting {
            self.log.load(&room, self.kinds.settings(&room).durability);
            self.rooms.insert(room, Slot::Loading(Box::default()));
        }
    }

    /// Takes one message for one of this shard's rooms.
    pub(crate) fn handle(&mut self, message: RoomMessage, now: Timestamp, out: &mut Outgoing) {
        let Some(message) = self.admit(message, now, out) else { return };
        if let Some(message) = self.carry_out(message, None, now, out) {
            self.keep_waiting(message, out);
        }
    }

    /// Carries out a message for an open room, with what was read from the log for it. Where the room isn't open, the
    /// message is given back.
    fn carry_out(
        &mut self,
        message: RoomMessage,
        read: Option<Vec<Entry>>,
        now: Timestamp,
        out: &mut Outgoing,
    ) -> Option<RoomMessage> {
        let Some((room, mut context)) = self.open(&message.room, now, out) else { return Some(message) };
        let was_unsealed = room.is_unsealed();
        let handled = room.handle(message, read, &mut context);
        let is_touched = room.is_unsealed() || room.is_idle() || room.owes_count(context.presence_limit);
        let touched = (!was_unsealed && is_touched).then(|| room.name().clone());
        self.touched.extend(touched);
        if let Handled::Needs { message, range, limit } = handled {
            self.next_ticket += 1;
            self.log.read(Ticket(self.next_ticket), &message.room, range, limit);
            self.reads.insert(self.next_ticket, *message);
        }
        None
    }

    /// Loads a room that is not open where the message is worth it; until then it waits.
    fn keep_waiting(&mut self, message: RoomMessage, out: &mut Outgoing) {
        let room = message.room.clone();
        match self.rooms.get_mut(&room) {
            Some(Slot::Loading(loading))
                if loading.waiting.len() < WAITING_MAX || is_never_refused(&message.ask) =>
            {
                loading.waiting.push(message);
            }
            Some(_) => refuse(message, Refusal::Unavailable { room }, out),
            None if matches!(
                message.ask,
                Ask::Join { .. } | Ask::Follow { .. } | Ask::Post(_) | Ask::Who | Ask::History { .. }
            ) =>
            {
                self.log.load(&room, self.kinds.settings(&room).durability);
                let loading = Loading { waiting: vec![message], survivors: Survivors::default() };
                self.rooms.insert(room, Slot::Loading(Box::new(loading)));
            }
            None => {
                let refusal = match &message.ask {
                    Ask::Lobby(_) => Refusal::NoSuchLobby { lobby: room },
                    Ask::Show(_) => Refusal::NoSuchShow { show: room.to_string() },
                    _ => Refusal::NotAMember { room },
                };
                refuse(message, refusal, out);
            }
        }
    }

    /// Ends the wake in every room that it has brought something to.
    pub(crate) fn seal(&mut self, now: Timestamp, out: &mut Outgoing) {
        for name in std::mem::take(&mut self.touched) {
            let Some((room, mut context)) = self.open(&name, now, out) else { continue };
            room.seal(&mut context);
            let is_count_due = room.poll_count_due(context.presence_limit);
            let is_nothing = room.is_idle() && !room.exists();
            let is_expiring = room.poll_expiring();
            if let Some(due) = room.poll_deadline() {
                self.holds.insert((due, name.clone()));
            }
            if is_count_due {
                self.counts.push_back((now.plus(COUNT_EVERY), name.clone()));
            }
            if is_nothing {
                self.unload(&name);
            } else if is_expiring {
                self.empty.push_back((now.plus(EMPTY_ROOM_KEPT), name));
            }
        }
        self.metrics.rooms.set(i64::try_from(self.rooms.len()).unwrap_or(i64::MAX));
    }

    /// Takes what became of a call to the log.
    pub(crate) fn handle_completion(&mut self, completion: Completion, now: Timestamp, out: &mut Outgoing) {
        match completion {
            Completion::Loaded { room, result } => self.loaded(room, result, now, out),
            Completion::Read { ticket, result } => {
                let Some(message) = self.reads.remove(&ticket.0) else { return };
                match result {
                    Ok(entries) => {
                        if let Some(message) = self.carry_out(message, Some(entries), now, out) {
                            // The room is being loaded again.
                            self.keep_waiting(message, out);
                        }
                    }
                    Err(error) => {
                        tracing::error!(room = %message.room, %error, "history can't be read");
                        let room = message.room.clone();
                        refuse(message, Refusal::Unavailable { room }, out);
                    }
                }
            }
            Completion::Appended { room: name, last, result: Ok(()) } => {
                if let Some((room, mut context)) = self.open(&name, now, out) {
                    room.committed(last, context.out);
                    room.snapshot_if_due(&mut context);
                    self.touched.push(name);
                }
            }
            Completion::Appended { room, last, result: Err(error) } => {
                self.append_failed(room, last, &error, now, out)
            }
            Completion::Health(_) => {}
        }
    }

    fn loaded(
        &mut self,
        name: RoomName,
        result: Result<Box<Loaded>, LoadError>,
        now: Timestamp,
        out: &mut Outgoing,
    ) {
        let Some(slot) = self.rooms.remove(&name) else { return };
        let Loading { waiting, mut survivors } = match slot {
            Slot::Loading(loading) => *loading,
            Slot::Open(room) => {
                self.rooms.insert(name, Slot::Open(room));
                return;
            }
        };
        let settings = self.kinds.settings(&name);
        let room = match result {
            Ok(loaded) => Room::load(name.clone(), self.kinds.of(&name), settings, *loaded),
            Err(error) => {
                tracing::error!(room = %name, %error, "a room can't be loaded");
                None
            }
        };
        let Some(room) = room else {
            self.log.unload(&name);
            let refusal = Refusal::Unavailable { room: name.clone() };
            for message in waiting {
                // Who is here may go whatever the log says.
                let is_leave = matches!(message.ask, Ask::Leave { .. });
                let member = if is_leave { survivors.roster.remove(message.from) } else { None };
                if is_leave && (survivors.roster.remove_follower(message.from) || member.is_some()) {
                    if member.is_some() {
                        self.metrics.members.dec();
                    }
                    survivors.presence.extend(member.map(|member| {
                        (Some(message.from), Presence::Left { nick: member.nick.clone(), why: None })
                    }));
                    let RoomMessage { room, from, re, .. } = message;
                    out.tell_conn(from, ConnAnswer::Left { re, room, until: 0, result: Ok(()) });
                } else {
                    refuse(message, refusal.clone(), out);
                }
            }
            if !survivors.roster.is_empty() || self.is_lasting(&name) {
                self.retries.push_back((now.plus(LOAD_AGAIN_AFTER), name.clone()));
                let loading = Loading { waiting: Vec::new(), survivors };
                self.rooms.insert(name, Slot::Loading(Box::new(loading)));
            }
            return;
        };
        self.rooms.insert(name.clone(), Slot::Open(Box::new(room)));
        if let Some((room, mut context)) = self.open(&name, now, out) {
            room.adopt(survivors, &mut context);
        }
        self.look_around(&name, now);
        self.touched.push(name);
        waiting.into_iter().for_each(|message| self.handle(message, now, out));
    }

    /// What was decided is not in the log: the room is read again, and whoever waited is told.
    fn append_failed(
        &mut self,
        name: RoomName,
        last: madang_room::Seq,
        error: &madang_log::AppendError,
        now: Timestamp,
        out: &mut Outgoing,
    ) {
        tracing::error!(room = %name, seq = %last, %error, "an event is not in the log, the room is loaded again");
        let Some(Slot::Open(room)) = self.rooms.get_mut(&name) else { return };
        let refusal = match error {
            madang_log::AppendError::Unknown { .. } => Refusal::Unknown { room: name.clone() },
            _ => Refusal::Unavailable { room: name.clone() },
        };
        let members = room.members();
        let survivors = room.give_up(&refusal, out);
        let lobby = room.lobby.clone();
        // Who came in with what is void never came.
        self.metrics.members.dec_by((members - survivors.roster.len()) as i64);
        if let Some(lobby) = lobby {
            let until = now.plus(self.grace(&lobby));
            survivors.never_came.iter().for_each(|conn| self.attendance.went(&lobby, &name, *conn, until));
        }
        let loading = Loading { waiting: Vec::new(), survivors };
        self.rooms.insert(name.clone(), Slot::Loading(Box::new(loading)));
        self.log.unload(&name);
        self.log.load(&name, self.kinds.settings(&name).durability);
    }

    /// Does what is due: counts of large rooms, unloading of empty ones.
    pub(crate) fn tick(&mut self, now: Timestamp, out: &mut Outgoing) {
        while let Some((_, name)) = self.counts.pop_front_if(|(due, _)| *due <= now) {
            if let Some(Slot::Open(room)) = self.rooms.get_mut(&name) {
                room.tell_count();
                self.touched.push(name);
            }
        }
        while let Some((_, name)) = self.retries.pop_front_if(|(due, _)| *due <= now) {
            if let Some(Slot::Loading(_)) = self.rooms.get(&name) {
                self.log.load(&name, self.kinds.settings(&name).durability);
            }
        }
        while self.holds.first().is_some_and(|(due, _)| *due <= now) {
            let Some((_, name)) = self.holds.pop_first() else { break };
            if let Some((room, mut context)) = self.open(&name, now, out) {
                room.expire(&mut context);
                self.touched.push(name);
            }
        }
        self.lapse(now, out);
        while let Some((_, name)) = self.empty.pop_front_if(|(due, _)| *due <= now) {
            self.unload_if_idle(&name, now, out);
        }
    }

    fn unload_if_idle(&mut self, name: &RoomName, now: Timestamp, out: &mut Outgoing) {
        let is_read = self.reads.values().any(|message| message.room == *name);
        let Some((room, mut context)) = self.open(name, now, out) else { return };
        room.stop_expiring();
        if room.is_idle() && room.take_was_used() {
            self.touched.push(name.clone());
        } else if room.is_idle() && !is_read {
            room.close(&mut context);
            self.unload(name);
        }
    }

    fn unload(&mut self, name: &RoomName) {
        self.log.unload(name);
        self.rooms.remove(name);
    }

    fn open<'a>(
        &'a mut self,
        name: &RoomName,
        now: Timestamp,
        out: &'a mut Outgoing,
    ) -> Option<(&'a mut Room, Context<'a>)> {
        let Some(Slot::Open(room)) = self.rooms.get_mut(name) else { return None };
        let context = Context {
            now,
            presence_limit: self.config.presence_limit,
            seats_held: self.config.limits.seats_held,
            log: &mut *self.log,
            out,
            metrics: &self.metrics,
            attendance: &mut self.attendance,
        };
        Some((room, context))
    }

    /// When [`Rooms::tick`] is due next.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let due = |queue: &VecDeque<(Timestamp, RoomName)>| queue.front().map(|(due, _)| *due);
        let holds = self.holds.first().map(|(due, _)| *due);
        let deadlines =
            [due(&self.counts), due(&self.empty), due(&self.retries), holds, self.attendance.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// The rooms with members, in the order of their names.
    pub(crate) fn list(&self, ask: &ListRooms, out: &mut Outgoing) {
        let is_wanted = |row: &RoomRow| {
            row.count > 0
                && ask.prefix.as_ref().is_none_or(|prefix| row.room.as_str().starts_with(prefix.as_str()))
        };
        let open = self.rooms.values().filter_map(|slot| match slot {
            Slot::Open(room) => Some(room.row()),
            Slot::Loading(_) => None,
        });
        let mut rooms: Vec<RoomRow> = open.filter(is_wanted).collect();
        rooms.sort_by(|a, b| a.room.as_str().cmp(b.room.as_str()));
        rooms.truncate(ask.limit.min(ROOMS_MAX));
        out.tell_conn(ask.to, ConnAnswer::Rooms { rooms });
    }

    /// Stores the state of all rooms, for a start that has little to read. The log is flushed by who owns it.
    pub(crate) fn close(&mut self, now: Timestamp, out: &mut Outgoing) {
        let names: Vec<RoomName> = self.rooms.keys().cloned().collect();
        for name in names {
            if let Some((room, mut context)) = self.open(&name, now, out) {
                room.close(&mut context);
            }
            self.unload(&name);
        }
    }

    pub(crate) fn log_is_busy(&self) -> bool {
        self.log.health() == madang_log::Health::Busy
    }

    pub(crate) fn remember(&mut self, key: String, value: Option<String>) {
        self.log.remember(key, value);
    }
}

/// Who goes would stay for ever.
fn is_never_refused(ask: &Ask) -> bool {
    match ask {
        Ask::Leave { .. } | Ask::Rename { .. } => true,
        Ask::Lobby(ask) => matches!(ask.what, LobbyAsk::Lapse),
        _ => false,
    }
}

/// Refuses a message that no room could take.
fn refuse(message: RoomMessage, refusal: Refusal, out: &mut Outgoing) {
    let RoomMessage { room, from, re, ask } = message;
    let what = match ask {
        Ask::Join { .. } | Ask::Follow { .. } => ConnAnswer::Joined { re, result: Err(refusal) },
        Ask::Leave { .. } => ConnAnswer::Left { re, room, until: 0, result: Err(refusal) },
        Ask::Rename { .. } | Ask::Place(_) => return,
        Ask::Lobby(ask) if matches!(ask.what, LobbyAsk::Checkin { .. }) => {
            ConnAnswer::CheckedIn { re, result: Err(refusal) }
        }
        Ask::Lobby(ask) if matches!(ask.what, LobbyAsk::Checkout) => {
            ConnAnswer::CheckedOut { re, result: Err(refusal) }
        }
        Ask::Lobby(ask) if matches!(ask.what, LobbyAsk::Lapse) => return,
        _ => ConnAnswer::Done { re, result: Err::<Answer, _>(refusal), log_is_busy: false },
    };
    out.tell_conn(from, what);
}
