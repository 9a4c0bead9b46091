//! One loaded room: its state, its members, and what the current wake has brought so far.
//!
//! Invariant: what happens is decided, applied and given its `seq` at once; members and (in `sync` rooms) everybody
//! else hear of it when the wake is sealed and the log's promise for this room is kept, in the order in which it was
//! decided.
//! Elsewhere: loading, timers and which room a message is for (`rooms`), sockets (`home`).

use std::collections::VecDeque;
use std::sync::Arc;

use madang_log::{Durability, Epochs, Health, Loaded, Log, Range, Record};
use madang_room::{
    Actor, Chat, Command, Decision, Entry, Event, Presence, Refusal, RoomName, SavedChat, Seq, SessionId,
    Timestamp, WhyLeft,
};
use madang_wire::{Answer, HISTORY_EVENTS_MAX, Joined, RequestId, RoomRow};

use smallvec::SmallVec;

use super::recent::Recent;
use super::roster::Roster;
use crate::batch::{Batch, Item, Place, What};
use crate::config::RoomSettings;
use crate::message::{
    Ask, CameIn, ConnAnswer, ConnMessage, Message, Outgoing, Person, Post, ResumeFrom, RoomMessage,
    is_summed_up,
};
use crate::metrics::Metrics;
use crate::placement::{ConnRef, ShardId};

/// The environment of a room's decisions: the same for all rooms of a shard.
pub(crate) struct Context<'a> {
    pub(crate) now: Timestamp,
    pub(crate) presence_limit: usize,
    pub(crate) log: &'a mut dyn Log,
    pub(crate) out: &'a mut Outgoing,
    pub(crate) metrics: &'a Arc<Metrics>,
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
    pub(super) chat: Chat,
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
    departed: Vec<ShardId>,
}

impl Room {
    /// Builds the room from what is stored. `None` where the stored state can't be read.
    pub(crate) fn load(name: RoomName, settings: RoomSettings, loaded: Loaded) -> Option<Room> {
        let (snapshot_at, mut chat) = match &loaded.snapshot {
            Some((seq, state)) => {
                let saved: SavedChat = serde_json::from_str(state).ok()?;
                (*seq, Chat::load(name, &saved)?)
            }
            None => (Seq::ZERO, Chat::new(name)),
        };
        let mut recent = Recent::default();
        for record in loaded.tail {
            for entry in record.entries().iter().filter(|entry| entry.seq > snapshot_at) {
                chat.apply(entry.seq, &entry.event);
            }
            recent.push(record);
        }
        let mut room = Room {
            chat,
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
        self.chat.name()
    }

    /// Has anything ever happened here?
    pub(crate) fn exists(&self) -> bool {
        self.last > Seq::ZERO
    }

    /// Is nobody here, and nothing under way?
    pub(crate) fn is_idle(&self) -> bool {
        self.roster.is_empty() && !self.is_unsealed() && self.held.is_none()
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
            kind: "chat",
            count: self.roster.len(),
            capacity: self.chat.capacity(self.settings.capacity),
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
                let topic = self.chat.topic().cloned();
                let result = self.member(from).map(|_| Answer::Topic { room, topic });
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
        let decision = self.chat.decide(command, &actor, self.roster.len(), self.settings.capacity)?;
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
            if !self.exists() {
                let made = self.chat.decide(&Command::Join { capacity: None }, &actor, 0, 0)?;
                if let Decision::Record(events) = made {
                    recorded.extend(events);
                }
            }
            actor.is_member = true;
            match self.chat.decide(&Command::Say { text, key }, &actor, 0, 0)? {
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

    fn record(&mut self, events: impl IntoIterator<Item = Event>, author: ConnRef, now: Timestamp) {
        for event in events {
            self.last = self.last.next();
            self.last_at = self.last_at.max(now);
            self.chat.apply(self.last, &event);
            let entry = Entry { seq: self.last, at: self.last_at, event };
            let wake = self.wake();
            wake.items.push(Item { author: Some(author), what: What::Logged(wake.entries.len() as u32) });
            wake.entries.push(entry);
        }
    }

    /// Refuses what the log could not keep now.
    fn check_log(&self, context: &Context<'_>) -> Result<(), Refusal> {
        let is_durable = self.settings.durability != Durability::Memory;
        match is_durable && context.log.health() == Health::Failing {
            true => Err(Refusal::Unavailable { room: self.name().clone() }),
            false => Ok(()),
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
        let actor =
            Actor { nick: person.nick.clone(), session: person.session, is_member, is_host: false };
        let decided = self.chat.decide(&Command::Join { capacity }, &actor, present, self.settings.capacity);
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
        let came_in = self.come_in(resume, read, is_member, context);
        self.send(from, ConnAnswer::Joined { re, result: Ok(Box::new(came_in)) }, context);
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
        let hears_all = is_member && (resume.is_none() || reset);
        // Its `seq` must not count what is heard only after this answer.
        let unheard = self.unsealed().first().filter(|_| hears_all);
        let seq = unheard.map_or(self.last, |entry| entry.seq.minus(1));
        let count = self.roster.len();
        let members = (count <= context.presence_limit).then(|| self.roster.nicks());
        let joined = Joined {
            room: self.name().clone(),
            kind: "chat",
            epoch: self.epochs.current().as_str().into(),
            seq,
            count,
            members,
            capacity: self.chat.capacity(self.settings.capacity),
            topic: self.chat.topic().cloned(),
            reset,
        };
        let from_item = if hears_all { 0 } else { self.item_count() };
        CameIn { joined, gap, replay, from: from_item, is_new: !is_member }
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
        if !is_summed_up(&presence, self.roster.len(), context.presence_limit) {
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
        let members = (count <= presence_limit).then(|| self.roster.nicks());
        Answer::Who { room: self.name().clone(), count, members }
    }

    fn answer(
        &mut self,
        to: ConnRef,
        re: Option<RequestId>,
        result: Result<Answer, Refusal>,
        context: &mut Context<'_>,
    ) {
        let is_durable = self.settings.durability != Durability::Memory;
        let log_is_busy = is_durable && context.log.health() == Health::Busy;
        self.send(to, ConnAnswer::Done { re, result, log_is_busy }, context);
    }

    /// Answers at once, or, in a `sync` room, after the state that the answer was decided on.
    fn send(&mut self, to: ConnRef, what: ConnAnswer, context: &mut Context<'_>) {
        // Also with presence alone: what is decided later in this wake may hold the batch that it belongs to.
        let is_held = self.is_unsealed() || self.held.is_some();
        if self.settings.durability == Durability::Sync && is_held {
            self.wake().answers.push((to.shard, Message::Conn(ConnMessage { to, what })));
        } else {
            context.out.tell_conn(to, what);
        }
    }

    /// Has something been decided that is not in the log yet?
    fn is_tentative(&self) -> bool {
        !self.unsealed().is_empty() || self.held.is_some()
    }

    /// Ends the wake: gives its events to the log and its items to the members, at once or when the log has them.
    pub(crate) fn seal(&mut self, context: &mut Context<'_>) {
        let is_held = self.settings.durability == Durability::Sync && self.is_tentative();
        let Wake { entries, items, answers, departed } = *self.wake.take().unwrap_or_default();
        let record = (!entries.is_empty()).then(|| Arc::new(Record::new(entries)));
        if let Some(record) = &record {
            self.recent.push(record.clone());
            context.log.append(self.chat.name(), record.first().minus(1), record.clone());
        }
        let batch = (!items.is_empty()).then(|| {
            let place = Place::Room(self.name().clone());
            Arc::new(Batch::new(place, items, record, context.metrics.clone()))
        });
        let here = self.roster.homes().filter(|shard| !departed.contains(shard));
        let hearers = here.chain(departed.iter().copied());
        let batches = hearers.filter_map(|shard| Some((shard, Message::Batch(batch.clone()?))));
        let sealed = answers.into_iter().chain(batches);
        if is_held {
            self.held.get_or_insert_default().push_back((self.last, sealed.collect()));
        } else {
            sealed.for_each(|(shard, message)| context.out.send(shard, message));
            self.told = self.last;
        }
        self.trim();
        self.snapshot_if_due(context);
    }

    /// The log has everything up to `last`: whoever waited for that is told.
    pub(crate) fn committed(&mut self, last: Seq, out: &mut Outgoing) {
        self.told = self.told.max(last);
        let Some(held) = &mut self.held else { return };
        while let Some((_, messages)) = held.pop_front_if(|(seq, _)| *seq <= last) {
            messages.into_iter().for_each(|(shard, message)| out.send(shard, message));
        }
        self.held.take_if(|held| held.is_empty());
    }
}
