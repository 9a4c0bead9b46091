//! What lobbies promise.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{Nick, Seq};

const SIZE: u32 = 4;

fn lobby(duplicate: Duplicate) -> Lobby {
    let pattern = IdPattern::parse("J001-J384").unwrap();
    let settings = LobbySettings { group_size: SIZE, pattern, duplicate };
    Lobby::new(RoomName::parse("day19").unwrap(), settings)
}

fn session(person: u8) -> SessionId {
    SessionId([person; 16])
}

fn actor(person: u8) -> Actor {
    let nick = Nick::guest(u64::from(person));
    Actor { nick, session: session(person), is_member: true, is_host: person == 0 }
}

fn checkin(id: &str) -> LobbyCommand {
    LobbyCommand::Checkin { participant: id.into() }
}

/// Decides and applies, as a server does.
fn run(lobby: &mut Lobby, person: u8, command: &LobbyCommand, now: i64) -> Result<LobbyOutcome, Refusal> {
    let Decided { events, outcome } = lobby.decide(command, &actor(person), Timestamp(now))?;
    for event in events {
        lobby.apply(&Entry { seq: Seq(1), at: Timestamp(now), event });
    }
    Ok(outcome)
}

/// Person 1 checks in as J001, and so on; the group that each gets.
fn fill(lobby: &mut Lobby, people: std::ops::RangeInclusive<u8>) -> Vec<u32> {
    let mut group = |person: u8| match run(lobby, person, &checkin(&format!("J{person:03}")), 0).unwrap() {
        LobbyOutcome::CheckedIn { group, .. } => group,
        other => panic!("{other:?}"),
    };
    people.map(&mut group).collect()
}

#[test]
fn people_are_sorted_into_fours_as_they_come() {
    let mut lobby = lobby(Duplicate::Refuse);
    assert_eq!(fill(&mut lobby, 1..=9), [1, 1, 1, 1, 2, 2, 2, 2, 3]);
    let members: Vec<_> = lobby.members(2).iter().map(Participant::as_str).collect();
    assert_eq!(members, ["J005", "J006", "J007", "J008"]);
    assert_eq!(lobby.group_room(3), RoomName::parse("day19/3").unwrap());
}

#[test]
fn a_free_place_goes_to_the_next_who_comes() {
    let mut lobby = lobby(Duplicate::Refuse);
    fill(&mut lobby, 1..=9);
    run(&mut lobby, 6, &LobbyCommand::Checkout, 5).unwrap();
    run(&mut lobby, 2, &LobbyCommand::Checkout, 5).unwrap();
    assert_eq!(fill(&mut lobby, 10..=13), [1, 2, 3, 3]);
    run(&mut lobby, 9, &LobbyCommand::Checkout, 5).unwrap();
    for person in [1, 3, 4, 10] {
        run(&mut lobby, person, &LobbyCommand::Checkout, 6).unwrap();
    }
    assert_eq!(lobby.groups().map(|(group, _)| group).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(fill(&mut lobby, 20..=20), [1], "an empty group's number is free again");
}

#[test]
fn a_session_has_one_place_and_asking_again_is_no_harm() {
    let mut lobby = lobby(Duplicate::Refuse);
    fill(&mut lobby, 1..=1);
    let before = lobby.clone();
    let again = run(&mut lobby, 1, &checkin("j001"), 9).unwrap();
    let participant = Participant::parse("J001").unwrap();
    assert_eq!(again, LobbyOutcome::CheckedIn { participant, group: 1, replaced: None });
    assert_eq!(lobby, before);
    let refused = run(&mut lobby, 1, &checkin("J002"), 9).unwrap_err();
    assert_eq!(refused.code(), "already_checked_in");
    assert_eq!(refused.to_string(), "you are checked in as J001, in group 1; check out first");
    let refused = run(&mut lobby, 1, &checkin("X1"), 9).unwrap_err();
    assert_eq!(refused.code(), "bad_participant");
}

#[test]
fn an_id_that_somebody_holds_is_refused_or_taken_over() {
    let mut refusing = lobby(Duplicate::Refuse);
    fill(&mut refusing, 1..=6);
    let refused = run(&mut refusing, 9, &checkin("J005"), 9).unwrap_err();
    assert_eq!(refused.to_string(), "J005 is checked in by somebody else, in group 2");
    assert_eq!(refused.code(), "already_checked_in");

    let mut replacing = lobby(Duplicate::Replace);
    fill(&mut replacing, 1..=6);
    let events = replacing.decide(&checkin("J005"), &actor(9), Timestamp(9)).unwrap().events;
    assert!(matches!(&events[..], [Event::Ungrouped { group: 2, .. }, Event::Grouped { group: 2, .. }]));
    let outcome = run(&mut replacing, 9, &checkin("J005"), 9).unwrap();
    assert!(
        matches!(outcome, LobbyOutcome::CheckedIn { group: 2, replaced: Some(old), .. } if old == session(5))
    );
    assert_eq!(replacing.find("j005").unwrap().1.session, session(9));
    let late = run(&mut replacing, 0, &LobbyCommand::Lapse { session: session(5) }, 10).unwrap();
    assert_eq!(late, LobbyOutcome::NothingLapsed, "the place is another's by now");
    let refused = run(&mut replacing, 5, &LobbyCommand::Checkout, 10).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "you are not checked in at day19; write checkin and your id, such as checkin J001"
    );
}

#[test]
fn who_leaves_is_told_how_long_they_were_in() {
    let mut lobby = lobby(Duplicate::Refuse);
    fill(&mut lobby, 1..=2);
    for (command, person, now, seconds) in [
        (LobbyCommand::Checkout, 1, 72 * 60_000, 72 * 60),
        (LobbyCommand::Lapse { session: session(2) }, 0, -5, 0),
    ] {
        match run(&mut lobby, person, &command, now).unwrap() {
            LobbyOutcome::CheckedOut { group: 1, stayed, .. } => assert_eq!(stayed.as_secs(), seconds),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(lobby.groups().count(), 0);
}

#[test]
fn claps_are_counted_and_hosts_are_heard() {
    let mut lobby = lobby(Duplicate::Refuse);
    assert_eq!(run(&mut lobby, 1, &LobbyCommand::Clap, 0).unwrap_err().code(), "not_checked_in");
    fill(&mut lobby, 1..=1);
    for claps in 1..=3 {
        assert_eq!(run(&mut lobby, 1, &LobbyCommand::Clap, 0).unwrap(), LobbyOutcome::Clapped { claps });
    }
    let announce = LobbyCommand::Announce { text: Text::parse("five minutes").unwrap() };
    assert_eq!(run(&mut lobby, 1, &announce, 0).unwrap_err().code(), "forbidden");
    let said = lobby.decide(&announce, &actor(0), Timestamp(0)).unwrap().events;
    assert!(matches!(&said[..], [Event::Announced { .. }]));
}

#[test]
fn a_lobbys_name_leaves_room_for_its_groups() {
    let name = |text: &str| RoomName::parse(text).unwrap();
    assert!(Lobby::check_name(&name(&"x".repeat(LOBBY_BYTES_MAX))).is_ok());
    assert!(Lobby::check_name(&name(&"x".repeat(LOBBY_BYTES_MAX + 1))).is_err());
    assert_eq!(Lobby::check_name(&name("a/1")), Err(NameError::Slash));
    let longest = Lobby::new(name(&"x".repeat(LOBBY_BYTES_MAX)), lobby(Duplicate::Refuse).settings);
    let group = longest.group_room(u32::MAX);
    assert_eq!(RoomName::parse(group.as_str()).unwrap(), group);
}

#[derive(Clone, Debug)]
enum Act {
    Ask(u8, LobbyCommand),
    /// The clock is set, forwards or back.
    Clock(i64),
    Snapshot,
}

fn acts() -> impl Strategy<Value = Act> {
    let command = prop_oneof![
        8 => (1..12u8).prop_map(|id| checkin(&format!("J{id:03}"))),
        1 => prop_oneof![Just("x"), Just("J385"), Just("")].prop_map(checkin),
        4 => Just(LobbyCommand::Checkout),
        2 => (0..14u8).prop_map(|person| LobbyCommand::Lapse { session: session(person) }),
        1 => Just(LobbyCommand::Clap),
        1 => Just(LobbyCommand::Announce { text: Text::parse("x").unwrap() }),
    ];
    prop_oneof![
        12 => (0..14u8, command).prop_map(|(person, command)| Act::Ask(person, command)),
        1 => any::<i32>().prop_map(|now| Act::Clock(now.into())),
        1 => Just(Act::Snapshot),
    ]
}

/// What must be true of any state that `decide` has led to.
fn check(lobby: &Lobby) -> Result<(), TestCaseError> {
    let mut seen = BTreeSet::new();
    for (group, members) in lobby.groups() {
        prop_assert!(group >= 1 && !members.is_empty() && members.len() <= SIZE as usize);
        for member in members {
            prop_assert!(seen.insert(member.clone()), "{} is in two groups", member);
            prop_assert_eq!(lobby.places[member].group, group);
        }
    }
    prop_assert_eq!(seen.len(), lobby.places.len());
    prop_assert_eq!(lobby.by_session.len(), lobby.places.len());
    let lowest = (1..).find(|group| lobby.members(*group).len() < SIZE as usize).unwrap();
    prop_assert_eq!(lobby.next_group, lowest);
    Ok(())
}

fn any_event() -> impl Strategy<Value = Event> {
    let participant = (0..6u8).prop_map(|id| Participant::parse(&format!("J{id:03}")).unwrap());
    let group = prop_oneof![0..4u32, Just(u32::MAX)];
    prop_oneof![
        (participant.clone(), group.clone(), 0..6u8).prop_map(|(participant, group, by)| Event::Grouped {
            participant,
            group,
            by: session(by)
        }),
        (participant, group).prop_map(|(participant, group)| Event::Ungrouped { participant, group }),
        any::<u64>().prop_map(|claps| Event::Clapped { claps }),
        Just(Event::created_by_server()),
        Just(Event::Capacity { from: Nick::server(), capacity: 0 }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_asked_the_promises_hold(
        acts in proptest::collection::vec(acts(), 1..120), replaces in any::<bool>(),
    ) {
        let duplicate = if replaces { Duplicate::Replace } else { Duplicate::Refuse };
        let mut lobby = lobby(duplicate);
        let mut log: Vec<Entry> = Vec::new();
        let mut saved = (0, lobby.save());
        let mut now = 0;
        // Who has which number, as somebody would keep it who hears only the events.
        let mut heard: BTreeMap<Participant, u32> = BTreeMap::new();
        for act in acts {
            let (person, command) = match act {
                Act::Ask(person, command) => (person, command),
                Act::Clock(at) => { now = at; continue }
                Act::Snapshot => { saved = (log.len(), lobby.save()); continue }
            };
            let before = lobby.clone();
            let decided = lobby.decide(&command, &actor(person), Timestamp(now));
            prop_assert_eq!(&lobby, &before, "decide changes nothing");
            let Decided { events, outcome } = match decided {
                Ok(decided) => decided,
                Err(refusal) => { prop_assert!(!refusal.to_string().is_empty()); continue }
            };
            for event in events {
                match &event {
                    Event::Grouped { participant, group, .. } => {
                        prop_assert!(heard.insert(participant.clone(), *group).is_none(), "one id, one group");
                        let members = heard.values().filter(|other| *other == group).count();
                        prop_assert!(members <= SIZE as usize, "at no moment are there five");
                    }
                    Event::Ungrouped { participant, group } => {
                        prop_assert_eq!(heard.remove(participant), Some(*group));
                    }
                    _ => {}
                }
                let entry = Entry { seq: Seq(log.len() as u64 + 1), at: Timestamp(now), event };
                lobby.apply(&entry);
                log.push(entry);
            }
            check(&lobby)?;
            match outcome {
                LobbyOutcome::CheckedIn { participant, group, replaced } => {
                    let (own, place) = lobby.place_of(session(person)).unwrap();
                    prop_assert_eq!((own, place.group), (&participant, group));
                    prop_assert!(replaced.is_none() || replaces);
                    prop_assert!(replaced.is_none_or(|old| lobby.place_of(old).is_none()));
                    let is_new = before.place_of(session(person)).is_none() && replaced.is_none();
                    prop_assert!(!is_new || group == before.next_group, "the lowest with a free place");
                }
                LobbyOutcome::CheckedOut { participant, .. } => prop_assert!(!lobby.places.contains_key(&participant)),
                LobbyOutcome::Clapped { claps } => prop_assert_eq!(claps, before.claps() + 1),
                LobbyOutcome::NothingLapsed | LobbyOutcome::Announced => prop_assert_eq!(&lobby.places, &before.places),
            }
        }
        let listed: BTreeMap<_, _> =
            lobby.places().map(|(participant, place)| (participant.clone(), place.group)).collect();
        prop_assert_eq!(listed, heard, "who listens knows as much");
        let fresh = || Lobby::new(lobby.name.clone(), lobby.settings.clone());
        let mut replayed = fresh();
        log.iter().for_each(|entry| replayed.apply(entry));
        prop_assert_eq!(&replayed, &lobby, "replaying the log gives the same state");
        let stored = serde_json::to_string(&saved.1).unwrap();
        let stored = serde_json::from_str(&stored).unwrap();
        let mut resumed = Lobby::load(lobby.name.clone(), lobby.settings.clone(), &stored).unwrap();
        log.iter().skip(saved.0).for_each(|entry| resumed.apply(entry));
        prop_assert_eq!(&resumed, &lobby, "and so does a snapshot with the rest of the log");
    }

    #[test]
    fn any_log_has_a_state(events in proptest::collection::vec((any_event(), any::<i64>()), 0..60)) {
        let mut lobby = lobby(Duplicate::Refuse);
        for (event, at) in events {
            lobby.apply(&Entry { seq: Seq(1), at: Timestamp(at), event });
            prop_assert_eq!(lobby.by_session.len(), lobby.places.len());
            prop_assert_eq!(lobby.groups().map(|(_, members)| members.len()).sum::<usize>(), lobby.places.len());
            let again = Lobby::load(lobby.name.clone(), lobby.settings.clone(), &lobby.save()).unwrap();
            prop_assert_eq!(&again, &lobby);
            let _ = lobby.decide(&checkin("J300"), &actor(200), Timestamp(at));
        }
    }
}
