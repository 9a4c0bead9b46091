//! One loaded room: its state, its members, and what the current wake has brought so far.
//!
//! Invariant: what happens is decided, applied and given its `seq` at once; members and (in `sync` rooms) everybody
//! else hear of it when the wake is sealed and the log's promise for this room is kept, in the order in which it was
//! decided.
//! Elsewhere: how a wake ends (`sealing`), what only lobbies and performances do (`lobby`, `show`), loading, timers and
//! which room a message is for (`rooms`), sockets (`home`).

use std::collections::VecDeque;
use std::sync::Arc;

use madang_log::{Epochs, Loaded, Log, Range};
use madang_room::{
    Actor, Command, Decision, Entry, Event, Events, Presence, Refusal, RoomName, Seq, SessionId, Timestamp,
    WhyLeft,
};
use madang_wire::{Answer, HISTORY_EVENTS_MAX, Joined, RequestId, RoomRow};

use smallvec::SmallVec;

use super::attendance::Attendance;
use super::kinds::Kind;
use super::recent::Recent;
use super::roster::Roster;
use super::state::State;
use crate::batch::{Item, What};
use crate::config::RoomSettings;
use crate::message::{
    Ask, CameIn, ConnAnswer, Message, Outgoing, Person, Post, ResumeFrom, RoomMessage, is_summed_up,
};
use crate::metrics::Metrics;
use crate::placement::{ConnRef, ShardId};

/// The environment of a room's decisions: the same for all rooms of a shard.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) presence_limit: usize,
    /// Seats that one session may hold at once.
    pub(crate) seats_held: u32,
    pub(crate) log: &'a mut dyn Log,
    pub(crate) out: &'a mut Outgoing,
    pub(crate) metrics: &'a Arc<Metrics>,
    pub(super) attendance: &'a mut Attendance,
}

/// What the caller has to do for a message that the room could not answer from memory.
#[derive(Debug)]
pub(crate) enum Handled {
    /// Nothing.
    Done,
    /// Read this range from the log and hand the message in again with what was read.
    Needs { message: Box<RoomMessage>, range: Range, limit: usize },
}

/// The session of those who say something without being here.
const NOBODY: SessionId = SessionId([0; 16]);

pub(crate) struct Room {
    pub(super) state: State,
    /// Whose group's room it is.
    pub(super) lobby: Option<RoomName>,
    pub(super) settings: RoomSettings,
    pub(super) epochs: Epochs,
    pub(super) last: Seq,
    pub(super) last_at: Timestamp,
    /// The oldest position that is kept.
    pub(super) first: Seq,
    pub(super) snapshot_at: Seq,
    pub(super) recent: Recent,
    pub(super) roster: Roster,
    /// What this wake has brought. Most rooms are quiet at any time, and have none.
    pub(super) wake: Option<Box<Wake>>,
    /// What waits for the log (`sync` rooms only).
    pub(super) held: Option<Box<Held>>,
    /// The newest event that members were told of.
    pub(super) told: Seq,
    /// How many were here when members were last told a number.
    count_told: u32,
    /// Will `tell_count` be called within a second?
    is_count_due: bool,
    /// Does it stand in the queue of rooms to be unloaded?
    is_expiring: bool,
    /// Has anybody come in since it was queued for that?
    was_used: bool,
}

/// What waits for the log, oldest first, each with the position that it waits for. Never empty.
pub(super) type Held = VecDeque<(Seq, Vec<(ShardId, Message)>)>;

/// What happened in a room since it was sealed.
#[derive(Default)]
pub(super) struct Wake {
    /// What the log will be given, and what members will be told, in which those stand by their place.
    pub(super) entries: SmallVec<[Entry; 1]>,
    pub(super) items: SmallVec<[Item; 1]>,
    /// Answers that wait for the log with the items (`sync` rooms only).
    pub(super) answers: Vec<(ShardId, Message)>,
    /// Shards whose members left and still get what came before that.
    pub(super) departed: Vec<ShardId>,
}

impl Room {
    /// Builds the room from what is stored. `None` where the stored state can't be read.
    pub(super) fn load(
        name: RoomName,
        kind: Kind<'_>,
        settings: RoomSettings,
        loaded: Loaded,
    ) -> Option<Room> {
        let (snapshot_at, mut state) = match &loaded.snapshot {
            Some((seq, state)) => (*seq, State::load(name, kind, state)?),
            None => (Seq::ZERO, State::new(name, kind)),
        };
        let lobby = match kind {
            Kind::Group { lobby, .. } => Some(lobby.name.clone()),
            _ => None,
        };
        let mut recent = Recent::default();
        for record in loaded.tail {
            for entry in record.entries().iter().filter(|entry| entry.seq > snapshot_at) {
                state.apply(entry);
            }
            recent.push(record);
        }
        let mut room = Room {
            state,
            lobby,
            settings,
            epochs: loaded.epochs,
            last: loaded.last,
            last_at: loaded.last_at,
            first: loaded.first,
            snapshot_at,
            recent,
            roster: Roster::default(),
            wake: None,
            held: None,
            told: loaded.last,
            count_told: 0,
            is_count_due: false,
            is_expiring: false,
            was_used: false,
        };
        room.trim();
        Some(room)
    }

    pub(crate) fn members(&self) -> usize {
        self.roster.len()
    }

    pub(crate) fn name(&self) -> &RoomName {
        self.state.name()
    }

    /// Has anything ever happened here?
    pub(crate) fn exists(&self) -> bool {
        self.last > Seq::ZERO
    }

    /// Is nobody here, and nothing under way? Lobbies and performances are never left alone: time goes on in them.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self.state, State::Chat(_))
            && self.roster.is_empty()
            && !self.is_unsealed()
            && self.held.is_none()
    }

    /// Is it to be queued for unloading? True once until [`Room::stop_expiring`].
    pub(crate) fn poll_expiring(&mut self) -> bool {
        let is_new = self.is_idle() && !std::mem::replace(&mut self.is_expiring, true);
        self.was_used &= !is_new;
        is_new
    }

    pub(crate) fn take_was_used(&mut self) -> bool {
        std::mem::take(&mut self.was_used)
    }

    pub(crate) fn stop_expiring(&mut self) {
        self.is_expiring = false;
    }

    /// Has this wake brought something that must be sealed?
    pub(crate) fn is_unsealed(&self) -> bool {
        self.wake.as_ref().is_some_and(|wake| !wake.items.is_empty() || !wake.answers.is_empty())
    }

    pub(super) fn wake(&mut self) -> &mut Wake {
        self.wake.get_or_insert_default()
    }

    /// What was decided in this wake.
    pub(super) fn unsealed(&self) -> &[Entry] {
        self.wake.as_ref().map_or(&[], |wake| &wake.entries)
    }

    fn item_count(&self) -> u32 {
        self.wake.as_ref().map_or(0, |wake| wake.items.len() as u32)
    }

    /// Do members have to be told how many they are now?
    pub(crate) fn owes_count(&self, presence_limit: usize) -> bool {
        self.roster.len() > presence_limit
            && matches!(self.state, State::Chat(_))
            && self.roster.len() != self.count_told as usize
            && !self.is_count_due
    }

    /// As [`Room::owes_count`]; true once for each call of [`Room::tell_count`].
    pub(crate) fn poll_count_due(&mut self, presence_limit: usize) -> bool {
        if self.roster.len() <= presence_limit {
            self.count_told = 0;
        }
        let is_owed = self.owes_count(presence_limit);
        self.is_count_due |= is_owed;
        is_owed
    }

    pub(crate) fn row(&self) -> RoomRow {
        RoomRow {
            room: self.name().clone(),
            kind: self.state.kind(),
            count: self.roster.len(),
            capacity: self.state.capacity(self.settings.capacity),
        }
    }

    /// Carries out one message. `read` is what the log gave where an earlier try needed it.
    pub(crate) fn handle(
        &mut self,
        message: RoomMessage,
        read: Option<Vec<Entry>>,
        context: &mut Context<'_>,
    ) -> Handled {
        let RoomMessage { room, from, re, ask } = message;
        let resume = match &ask {
            Ask::Join { resume, .. } | Ask::Follow { resume } => resume.as_ref(),
            _ => None,
        };
        if read.is_none()
            && let Some(range) = self.range_to_replay(resume, context.now)
        {
            let limit = usize::try_from(self.settings.retention.keep).unwrap_or(usize::MAX);
            let message = Box::new(RoomMessage { room, from, re, ask });
            return Handled::Needs { message, range, limit };
        }
        match ask {
            Ask::Join { person, capacity, resume } => {
                self.join(from, re, person, capacity, resume, read, context);
            }
            Ask::Leave { why } => self.leave(from, re, why, context),
            Ask::Say { text, key } => self.command(from, re, &Command::Say { text, key }, context),
            Ask::Follow { resume } => self.follow(from, resume, read, context),
            Ask::Post(post) => self.post(from, re, *post, context),
            Ask::Topic { text: Some(text) } => self.command(from, re, &Command::Topic { text }, context),
            Ask::Topic { text: None } => {
                let topic = self.state.topic().cloned();
                let result = self.member(from).and(self.state.chat());
                let result = result.map(|_| Answer::Topic { room, topic });
                self.answer(from, re, result, context);
            }
            Ask::Capacity { capacity } => self.command(from, re, &Command::Capacity { capacity }, context),
            Ask::Who => {
                let result = match self.exists() {
                    true => Ok(self.who(context.presence_limit)),
                    false => Err(Refusal::NoSuchRoom { room }),
                };
                self.answer(from, re, result, context);
            }
            Ask::History { after, before, limit, said_only } => {
                let range = after.map_or(Range::Before(before.unwrap_or(self.last.next())), Range::After);
                let limit = limit.clamp(1, HISTORY_EVENTS_MAX);
                let Some(found) = read.or_else(|| self.recent_range(range, limit, said_only, context.now))
                else {
                    let ask = Ask::History { after, before, limit, said_only };
                    let message = Box::new(RoomMessage { room, from, re, ask });
                    let limit = if said_only { HISTORY_EVENTS_MAX } else { limit };
                    return Handled::Needs { message, range, limit };
                };
                let result = self.history(found, range, limit, said_only, context.now);
                self.answer(from, re, result, context);
            }
            Ask::Rename { person } => self.rename(from, person, context),
            Ask::Lobby(ask) => self.ask_lobby(from, re, *ask, context),
            Ask::Show(ask) => self.ask_show(from, re, *ask, context),
            Ask::Place(presence) => {
                if !self.roster.is_empty() {
                    self.present(*presence, from, context);
                }
            }
        }
        Handled::Done
    }

    fn command(
        &mut self,
        from: ConnRef,
        re: Option<RequestId>,
        command: &Command,
        context: &mut Context<'_>,
    ) {
        let result = self.decide(from, command, context);
        self.answer(from, re, result.map(|seq| Answer::Recorded { seq }), context);
    }

    /// Decides, applies and numbers a member's command, and returns the last position that it became.
    fn decide(
        &mut self,
        from: ConnRef,
        command: &Command,
        context: &mut Context<'_>,
    ) -> Result<Seq, Refusal> {
        let member = self.member(from)?;
        let actor =
            Actor { nick: member.nick.clone(), session: member.session, is_member: true, is_host: false };
        let chat = match &self.state {
            // Who only talks there is told how to get somebody to talk to.
            State::Lobby(lobby) if lobby.place_of(actor.session).is_none() => {
                return Err(lobby.not_checked_in());
            }
            state => state.chat()?,
        };
        let decision = chat.decide(command, &actor, self.roster.len(), self.settings.capacity)?;
        match decision {
            Decision::Already(seq) => Ok(seq),
            Decision::Record(events) => {
                self.check_log(context)?;
                self.record(events, from, context.now);
                Ok(self.last)
            }
        }
    }

    /// What is said by somebody who is not here. All who do so share one session: a key is good for the room.
    fn post(&mut self, from: ConnRef, re: Option<RequestId>, post: Post, context: &mut Context<'_>) {
        let Post { nick, text, key } = post;
        let mut actor = Actor { nick, session: NOBODY, is_member: false, is_host: false };
        let result = (|| {
            let mut recorded = Vec::new();
            let chat = self.state.chat()?;
            if !self.exists() {
                let made = chat.decide(&Command::Join { capacity: None }, &actor, 0, 0)?;
                if let Decision::Record(events) = made {
                    recorded.extend(events);
                }
            }
            actor.is_member = true;
            match chat.decide(&Command::Say { text, key }, &actor, 0, 0)? {
                Decision::Already(seq) => Ok(seq),
                Decision::Record(events) => {
                    recorded.extend(events);
                    self.check_log(context)?;
                    self.record(recorded, from, context.now);
                    self.was_used = true;
                    Ok(self.last)
                }
            }
        })();
        self.answer(from, re, result.map(|seq| Answer::Recorded { seq }), context);
    }

    pub(super) fn record(
        &mut self,
        events: impl IntoIterator<Item = Event>,
        author: ConnRef,
        now: Timestamp,
    ) {
        for event in events {
            self.last = self.last.next();
            self.last_at = self.last_at.max(now);
            let entry = Entry { seq: self.last, at: self.last_at, event };
            self.state.apply(&entry);
            let wake = self.wake();
            wake.items.push(Item { author: Some(author), what: What::Logged(wake.entries.len() as u32) });
            wake.entries.push(entry);
        }
    }

    fn member(&self, from: ConnRef) -> Result<&Arc<Person>, Refusal> {
        self.roster.member(from).ok_or_else(|| Refusal::NotAMember { room: self.name().clone() })
    }

    fn join(
        &mut self,
        from: ConnRef,
        re: Option<RequestId>,
        person: Arc<Person>,
        capacity: Option<u32>,
        resume: Option<ResumeFrom>,
        read: Option<Vec<Entry>>,
        context: &mut Context<'_>,
    ) {
        // A session that came in by a new connection before its old one was seen to leave holds one place, not two.
        let replaced = self.roster.other_connection(person.session, from);
        let present = self.roster.len() - usize::from(replaced.is_some());
        let is_member = self.roster.member(from).is_some();
        let actor = Actor { nick: person.nick.clone(), session: person.session, is_member, is_host: false };
        let decided = match &self.state {
            State::Chat(chat) if self.exists() || self.lobby.is_none() => {
                chat.decide(&Command::Join { capacity }, &actor, present, self.settings.capacity)
            }
            _ => Ok(Decision::Record(self.making())),
        };
        let decided = decided.and_then(|decision| match &decision {
            Decision::Record(events) if !events.is_empty() => self.check_log(context).map(|()| decision),
            _ => Ok(decision),
        });
        let events = match decided {
            Ok(Decision::Record(events)) => events,
            Ok(Decision::Already(_)) => Default::default(),
            Err(refusal) => {
                return self.send(from, ConnAnswer::Joined { re, result: Err(refusal) }, context);
            }
        };
        self.record(events, from, context.now);
        if let Some(old) = replaced {
            self.remove(old, Some(WhyLeft::Replaced), context);
        }
        self.was_used = true;
        if self.roster.insert(from, person.clone()) {
            context.metrics.members.inc();
            self.present(Presence::Joined { nick: person.nick.clone() }, from, context);
        }
        if let Some(lobby) = &self.lobby {
            context.attendance.came(lobby, self.name(), person.session, &person.nick, from);
        }
        let mut came_in = self.come_in(resume, read, is_member, context);
        came_in.sight = self.sight(person.session, context.now);
        self.send(from, ConnAnswer::Joined { re, result: Ok(Box::new(came_in)) }, context);
    }

    /// The first event of a room that the server makes, where it has none yet.
    pub(super) fn making(&self) -> Events {
        let is_new = !self.exists();
        is_new.then(Event::created_by_server).into_iter().collect()
    }

    /// Somebody wants to hear what happens here without being a member.
    fn follow(
        &mut self,
        from: ConnRef,
        resume: Option<ResumeFrom>,
        read: Option<Vec<Entry>>,
        context: &mut Context<'_>,
    ) {
        let result = match self.exists() {
            true => {
                self.roster.insert_follower(from);
                Ok(Box::new(self.come_in(resume, read, false, context)))
            }
            false => Err(Refusal::NoSuchRoom { room: self.name().clone() }),
        };
        self.send(from, ConnAnswer::Joined { re: None, result }, context);
    }

    /// What one who comes in is told, what it missed, and from where on it hears what is live.
    fn come_in(
        &self,
        resume: Option<ResumeFrom>,
        read: Option<Vec<Entry>>,
        is_member: bool,
        context: &Context<'_>,
    ) -> CameIn {
        let reset = resume.as_ref().is_some_and(|resume| !self.vouches(resume));
        let (gap, replay) = match &resume {
            Some(resume) if !reset => self.replay(resume.after, read, context),
            _ => (None, None),
        };
        // One who was here already goes on hearing what is live, but not what was just replayed.
        // Of a performance one sees the seats as they are now, so what led to it is not to be heard.
        let is_seen = matches!(self.state, State::Show(_));
        let hears_all = is_member && (resume.is_none() || reset) && !is_seen;
        // Its `seq` must not count what is heard only after this answer.
        let unheard = self.unsealed().first().filter(|_| hears_all);
        let seq = unheard.map_or(self.last, |entry| entry.seq.minus(1));
        let count = self.roster.len();
        // Who comes and goes is told in chat rooms alone.
        let is_told = matches!(self.state, State::Chat(_)) && count <= context.presence_limit;
        let members = is_told.then(|| self.roster.nicks());
        let joined = Joined {
            room: self.name().clone(),
            kind: self.state.kind(),
            epoch: self.epochs.current().as_str().into(),
            seq,
            count,
            members,
            capacity: self.state.capacity(self.settings.capacity),
            topic: self.state.topic().cloned(),
            reset,
        };
        let from_item = if hears_all { 0 } else { self.item_count() };
        CameIn { joined, gap, replay, from: from_item, is_new: !is_member, sight: None }
    }

    fn leave(
        &mut self,
        from: ConnRef,
        re: Option<RequestId>,
        why: Option<WhyLeft>,
        context: &mut Context<'_>,
    ) {
        let until = self.item_count();
        let result = match self.remove(from, why, context) {
            true => Ok(()),
            false => Err(Refusal::NotAMember { room: self.name().clone() }),
        };
        let room = self.name().clone();
        self.send(from, ConnAnswer::Left { re, room, until, result }, context);
    }

    fn remove(&mut self, conn: ConnRef, why: Option<WhyLeft>, context: &mut Context<'_>) -> bool {
        if self.roster.remove_follower(conn) {
            self.note_departure(conn);
            return true;
        }
        let Some(member) = self.roster.remove(conn) else { return false };
        context.metrics.members.dec();
        self.note_departure(conn);
        self.present(Presence::Left { nick: member.nick.clone(), why }, conn, context);
        true
    }

    /// Its shard may have nobody here any more, and still gets what came before.
    fn note_departure(&mut self, conn: ConnRef) {
        if let Some(wake) = &mut self.wake
            && !wake.items.is_empty()
            && !wake.departed.contains(&conn.shard)
        {
            wake.departed.push(conn.shard);
        }
    }

    fn rename(&mut self, conn: ConnRef, person: Arc<Person>, context: &mut Context<'_>) {
        let Some(member) = self.roster.member(conn) else { return };
        let from = member.nick.clone();
        self.roster.insert(conn, person.clone());
        if from.as_str() != person.nick.as_str() {
            self.present(Presence::Renamed { from, to: person.nick.clone() }, conn, context);
        }
    }

    fn present(&mut self, presence: Presence, author: ConnRef, context: &Context<'_>) {
        let is_told = match &self.state {
            // A group's members hear who has a place in it, not who is connected.
            State::Chat(_) if self.lobby.is_some() => {
                !matches!(presence, Presence::Joined { .. } | Presence::Left { .. })
            }
            State::Chat(_) => true,
            State::Lobby(_) | State::Show(_) => false,
        };
        if is_told && !is_summed_up(&presence, self.roster.len(), context.presence_limit) {
            let item = Item { author: Some(author), what: What::Presence(Box::new(presence)) };
            self.wake().items.push(item);
        }
    }

    /// Tells the members of a large room how many they are.
    pub(crate) fn tell_count(&mut self) {
        self.is_count_due = false;
        let count = self.roster.len();
        self.count_told = count as u32;
        let presence = Presence::Count { count };
        self.wake().items.push(Item { author: None, what: What::Presence(Box::new(presence)) });
    }

    fn who(&self, presence_limit: usize) -> Answer {
        let count = self.roster.len();
        let is_told = matches!(self.state, State::Chat(_)) && count <= presence_limit;
        let members = is_told.then(|| self.roster.nicks());
        Answer::Who { room: self.name().clone(), count, members }
    }
}
