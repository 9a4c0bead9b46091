//! Chat rooms: who may come in, what is said, and under which topic.
//!
//! Invariants: the room's maker, topic and capacity are what the log says and nothing else; a session's key takes
//! effect once for as long as the log keeps the event.
//! Elsewhere: who is present (callers pass their number), storing events (`madang-log`), wording (`madang-wire`).

use serde::{Deserialize, Serialize};
use smallvec::smallvec;

use crate::once::{Remembered, fingerprint};
use crate::{Actor, Command, Decision, Event, Events, Key, Once, Refusal, RoomName, Seq, SessionId, Text};

/// The state of one chat room: a fold over its log.
#[derive(Clone, Debug, PartialEq)]
pub struct Chat {
    name: RoomName,
    creator: Option<SessionId>,
    topic: Option<Text>,
    capacity: Option<u32>,
    /// Fingerprints of what was said with a key. Most rooms have none.
    said_once: Option<Box<Remembered<u64>>>,
}

impl Chat {
    /// A room in which nothing has happened yet.
    pub fn new(name: RoomName) -> Chat {
        Chat { name, creator: None, topic: None, capacity: None, said_once: None }
    }

    /// The room's name.
    pub fn name(&self) -> &RoomName {
        &self.name
    }

    /// The topic, where one was set.
    pub fn topic(&self) -> Option<&Text> {
        self.topic.as_ref()
    }

    /// How many members it holds, where `default` counts until its maker says otherwise; 0 is no limit.
    pub fn capacity(&self, default: u32) -> u32 {
        self.capacity.unwrap_or(default)
    }

    /// Works out what `command` would change. `present` is the number of members, `default_capacity` the
    /// configured one. Changes nothing.
    pub fn decide(
        &self,
        command: &Command,
        actor: &Actor,
        present: usize,
        default_capacity: u32,
    ) -> Result<Decision, Refusal> {
        match command {
            Command::Join { capacity } => self.decide_join(*capacity, actor, present, default_capacity),
            Command::Say { text, key } => self.decide_say(text, key.as_ref(), actor),
            Command::Topic { text } => {
                self.check_creator(actor)?;
                record(Event::Topic { from: actor.nick.clone(), text: text.clone() })
            }
            Command::Capacity { capacity } => {
                self.check_creator(actor)?;
                record(Event::Capacity { from: actor.nick.clone(), capacity: *capacity })
            }
        }
    }

    fn decide_join(
        &self,
        capacity_asked: Option<u32>,
        actor: &Actor,
        present: usize,
        default_capacity: u32,
    ) -> Result<Decision, Refusal> {
        if self.creator.is_some() {
            let capacity = self.capacity(default_capacity);
            let is_full = capacity != 0 && present >= capacity as usize;
            if is_full && !actor.is_member {
                return Err(Refusal::RoomFull { room: self.name.clone(), capacity });
            }
            return Ok(Decision::Record(Events::new()));
        }
        if self.name.is_inner() {
            return Err(Refusal::InnerRoom { room: self.name.clone() });
        }
        let from = &actor.nick;
        let mut events: Events = smallvec![Event::Created { from: from.clone(), by: actor.session }];
        events.extend(capacity_asked.map(|capacity| Event::Capacity { from: from.clone(), capacity }));
        Ok(Decision::Record(events))
    }

    fn decide_say(&self, text: &Text, key: Option<&Key>, actor: &Actor) -> Result<Decision, Refusal> {
        self.check_member(actor)?;
        let once = key.map(|key| Box::new(Once { session: actor.session, key: key.clone() }));
        match once.as_ref().and_then(|once| self.said_once.as_ref()?.find(once)) {
            Some((seq, said)) if *said == fingerprint(text.as_str().as_bytes()) => {
                Ok(Decision::Already(*seq))
            }
            Some(_) => Err(Refusal::KeyReused { key: key.map_or("", Key::as_str).to_owned() }),
            None => record(Event::Said { from: actor.nick.clone(), text: text.clone(), once }),
        }
    }

    fn check_member(&self, actor: &Actor) -> Result<(), Refusal> {
        if actor.is_member { Ok(()) } else { Err(Refusal::NotAMember { room: self.name.clone() }) }
    }

    fn check_creator(&self, actor: &Actor) -> Result<(), Refusal> {
        self.check_member(actor)?;
        match self.creator == Some(actor.session) {
            true => Ok(()),
            false => Err(Refusal::NotTheCreator { room: self.name.clone() }),
        }
    }

    /// Records what happened as event `seq`. Cannot fail: an event is history, and history is not refused.
    pub fn apply(&mut self, seq: Seq, event: &Event) {
        match event {
            Event::Created { by, .. } => self.creator = Some(*by),
            Event::Said { text, once: Some(once), .. } => {
                let said_once = self.said_once.get_or_insert_default();
                said_once.insert(seq, (**once).clone(), fingerprint(text.as_str().as_bytes()));
            }
            Event::Topic { text, .. } => self.topic = Some(text.clone()),
            Event::Capacity { capacity, .. } => self.capacity = Some(*capacity),
            // What is said without a key leaves no trace here, nor does what happens in rooms of other kinds.
            _ => {}
        }
    }

    /// Forgets the keys of events before `first`, which the log no longer keeps.
    pub fn trim(&mut self, first: Seq) {
        self.said_once.take_if(|said_once| {
            said_once.trim(first);
            said_once.is_empty()
        });
    }

    /// The state in its stored form.
    pub fn save(&self) -> SavedChat {
        let key = |(seq, once, said): (Seq, &Once, &u64)| {
            (once.session.to_string(), once.key.as_str().to_owned(), seq, *said)
        };
        SavedChat {
            creator: self.creator.map(|id| id.to_string()),
            topic: self.topic.as_ref().map(Text::to_string),
            capacity: self.capacity,
            keys: self.said_once.iter().flat_map(|said_once| said_once.iter()).map(key).collect(),
        }
    }

    /// The state that [`Chat::save`] stored; `None` where it can't have been written by it.
    pub fn load(name: RoomName, saved: &SavedChat) -> Option<Chat> {
        let creator = saved.creator.as_ref().map(|id| SessionId::parse(id));
        let topic = saved.topic.as_ref().map(|text| Text::parse(text).ok());
        let mut said_once = Remembered::default();
        for (session, key, seq, said) in &saved.keys {
            let once = Once { session: SessionId::parse(session)?, key: Key::parse(key)? };
            said_once.insert(*seq, once, *said);
        }
        Some(Chat {
            name,
            creator: creator.map_or(Some(None), |id| id.map(Some))?,
            topic: topic.map_or(Some(None), |text| text.map(Some))?,
            capacity: saved.capacity,
            said_once: (!saved.keys.is_empty()).then(|| Box::new(said_once)),
        })
    }
}

/// A chat room's state as it is stored beside its log. Fields are only ever added, with a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SavedChat {
    creator: Option<String>,
    topic: Option<String>,
    capacity: Option<u32>,
    /// `(session, key, seq, fingerprint)`, oldest first.
    keys: Vec<(String, String, Seq, u64)>,
}

fn record(event: Event) -> Result<Decision, Refusal> {
    Ok(Decision::Record(smallvec![event]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::{Entry, Nick, Timestamp};

    fn room() -> Chat {
        Chat::new(RoomName::parse("plaza").unwrap())
    }

    fn actor(person: u8, is_member: bool) -> Actor {
        Actor {
            nick: Nick::guest(u64::from(person)),
            session: SessionId([person; 16]),
            is_member,
            is_host: false,
        }
    }

    fn say(text: &str, key: Option<&str>) -> Command {
        Command::Say { text: Text::parse(text).unwrap(), key: key.and_then(Key::parse) }
    }

    /// Decides and applies, as a server does, and returns the answer.
    fn run(chat: &mut Chat, last: &mut Seq, command: &Command, actor: &Actor) -> Result<Decision, Refusal> {
        let decision = chat.decide(command, actor, usize::from(actor.is_member), 0)?;
        if let Decision::Record(events) = &decision {
            for event in events {
                *last = last.next();
                chat.apply(*last, event);
            }
        }
        Ok(decision)
    }

    #[test]
    fn the_first_to_come_makes_the_room_and_rules_it() {
        let (mut chat, mut last) = (room(), Seq::ZERO);
        run(&mut chat, &mut last, &Command::Join { capacity: Some(2) }, &actor(1, false)).unwrap();
        assert_eq!((last, chat.capacity(0)), (Seq(2), 2));
        let topic = Command::Topic { text: Text::parse("today").unwrap() };
        let refused = run(&mut chat, &mut last, &topic, &actor(2, true)).unwrap_err();
        assert_eq!(refused.code(), "forbidden");
        run(&mut chat, &mut last, &topic, &actor(1, true)).unwrap();
        assert_eq!(chat.topic().unwrap().as_str(), "today");
    }

    #[test]
    fn only_members_speak() {
        let refused = room().decide(&say("hi", None), &actor(1, false), 0, 0).unwrap_err();
        assert_eq!(refused.code(), "not_a_member");
    }

    #[test]
    fn a_key_takes_effect_once_for_its_session() {
        let (mut chat, mut last) = (room(), Seq::ZERO);
        run(&mut chat, &mut last, &Command::Join { capacity: None }, &actor(1, false)).unwrap();
        run(&mut chat, &mut last, &say("hi", Some("k")), &actor(1, true)).unwrap();
        let again = run(&mut chat, &mut last, &say("hi", Some("k")), &actor(1, true)).unwrap();
        assert_eq!(again, Decision::Already(Seq(2)));
        let other = run(&mut chat, &mut last, &say("ho", Some("k")), &actor(1, true)).unwrap_err();
        assert_eq!(other.code(), "key_reused");
        let others = run(&mut chat, &mut last, &say("hi", Some("k")), &actor(2, true)).unwrap();
        assert!(matches!(others, Decision::Record(_)), "another session's key is another key");
        chat.trim(Seq(3));
        let forgotten = run(&mut chat, &mut last, &say("ho", Some("k")), &actor(1, true)).unwrap();
        assert!(matches!(forgotten, Decision::Record(_)), "the log keeps that event no longer");
    }

    #[test]
    fn nobody_makes_a_room_inside_another() {
        let chat = Chat::new(RoomName::parse("day19/3").unwrap());
        let refused = chat.decide(&Command::Join { capacity: None }, &actor(1, false), 0, 0).unwrap_err();
        assert_eq!(refused.code(), "bad_name");
    }

    #[derive(Clone, Debug)]
    enum Act {
        Ask(u8, Command),
        Leave(u8),
        Trim(u64),
    }

    fn acts() -> impl Strategy<Value = Act> {
        let text = prop_oneof![Just("a"), Just("b")].prop_map(|text| Text::parse(text).unwrap());
        let key =
            proptest::option::of(prop_oneof![Just("k"), Just("l")].prop_map(|key| Key::parse(key).unwrap()));
        let command = prop_oneof![
            3 => proptest::option::of(0..5u32).prop_map(|capacity| Command::Join { capacity }),
            3 => (text.clone(), key).prop_map(|(text, key)| Command::Say { text, key }),
            1 => text.prop_map(|text| Command::Topic { text }),
            1 => (0..5u32).prop_map(|capacity| Command::Capacity { capacity }),
        ];
        prop_oneof![
            8 => (0..6u8, command).prop_map(|(who, command)| Act::Ask(who, command)),
            2 => (0..6u8).prop_map(Act::Leave),
            1 => (0..20u64).prop_map(Act::Trim),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn whatever_is_asked_the_promises_hold(acts in proptest::collection::vec(acts(), 1..120)) {
            let mut chat = room();
            let (mut log, mut members) = (Vec::<Entry>::new(), BTreeSet::new());
            let mut first = Seq(1);
            let mut saved = (Seq::ZERO, chat.save());
            for act in acts {
                match act {
                    Act::Leave(who) => { members.remove(&who); }
                    Act::Trim(keep) => {
                        first = first.max(Seq(log.len() as u64 + 1).minus(keep));
                        chat.trim(first);
                        saved = (Seq(log.len() as u64), chat.save());
                    }
                    Act::Ask(who, command) => {
                        let present = members.len();
                        let before = chat.clone();
                        let decision = chat.decide(&command, &actor(who, members.contains(&who)), present, 3);
                        prop_assert_eq!(&chat, &before, "decide changes nothing");
                        match decision {
                            Ok(Decision::Record(events)) => {
                                if matches!(command, Command::Join { .. }) {
                                    let is_new = members.insert(who);
                                    let capacity = before.capacity(3) as usize;
                                    if is_new && before.creator.is_some() && capacity != 0 {
                                        prop_assert!(members.len() <= capacity.max(present), "nobody is let in above it");
                                        prop_assert!(present < capacity);
                                    }
                                }
                                for event in events {
                                    let seq = Seq(log.len() as u64 + 1);
                                    chat.apply(seq, &event);
                                    log.push(Entry { seq, at: Timestamp(0), event });
                                }
                            }
                            Ok(Decision::Already(seq)) => prop_assert!(seq >= first && seq <= Seq(log.len() as u64)),
                            Err(refusal) => prop_assert!(!refusal.to_string().is_empty()),
                        }
                    }
                }
            }
            // `created` is first and only first; no key stands twice among the kept events.
            let created = |entry: &Entry| matches!(entry.event, Event::Created { .. });
            prop_assert!(log.iter().all(|entry| created(entry) == (entry.seq == Seq(1))));
            let mut replayed = room();
            log.iter().for_each(|entry| replayed.apply(entry.seq, &entry.event));
            replayed.trim(first);
            prop_assert_eq!(&replayed, &chat, "replaying the log gives the same state");
            let mut resumed = Chat::load(chat.name().clone(), &saved.1).unwrap();
            log.iter().skip(saved.0.0 as usize).for_each(|entry| resumed.apply(entry.seq, &entry.event));
            resumed.trim(first);
            prop_assert_eq!(&resumed, &chat, "and so does a snapshot with the rest of the log");
        }
    }
}
