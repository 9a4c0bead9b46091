//! What shows promise.

use proptest::prelude::*;

use super::*;
use crate::{Nick, SeatArea, Text};

const HOLD_FOR: Duration = Duration::from_secs(300);
const LIMITS: ShowLimits = ShowLimits { seats_held: 4, seats_asked: 6 };

fn house(areas: &[(&str, &str, &str)]) -> Arc<SeatMap> {
    let area = |(section, rows, seats): &(&str, &str, &str)| SeatArea {
        section: (*section).into(),
        rows: (*rows).into(),
        seats: (*seats).into(),
        price: 1,
    };
    Arc::new(SeatMap::new(areas.iter().map(area).collect()).unwrap())
}

/// Two rows of four seats.
fn show() -> Show {
    Show::new(RoomName::parse("hamlet/1").unwrap(), house(&[("A", "1-2", "1-4")]), HOLD_FOR)
}

fn session(person: u8) -> SessionId {
    SessionId([person; 16])
}

fn actor(person: u8) -> Actor {
    let nick = Nick::guest(u64::from(person));
    Actor { nick, session: session(person), is_member: true, is_host: false }
}

fn ids(seats: &str) -> Vec<SeatId> {
    seats.split_whitespace().map(|seat| SeatId::parse(seat).unwrap()).collect()
}

fn hold(seats: &str) -> ShowCommand {
    ShowCommand::Hold { wanted: Wanted::Seats(ids(seats)) }
}

fn best(count: u32) -> ShowCommand {
    ShowCommand::Hold { wanted: Wanted::Best(count) }
}

fn release(seats: &str) -> ShowCommand {
    ShowCommand::Release { seats: Some(ids(seats)) }
}

/// `00000007`.
fn code(number: u8) -> Code {
    Code::from_random([0, 0, 0, 0, number])
}

fn reserve(seats: Option<&str>, key: Option<&str>, number: u8) -> ShowCommand {
    ShowCommand::Reserve { seats: seats.map(ids), key: key.and_then(Key::parse), code: code(number) }
}

/// Decides and applies at `now` (in seconds), as a server does. What came of it, in words; or the refusal's code.
fn run(show: &mut Show, person: u8, command: &ShowCommand, now: i64) -> String {
    let now = Timestamp(now * 1000);
    let before = show.clone();
    match show.decide(command, &actor(person), LIMITS, now) {
        Err(refusal) => {
            assert_eq!(*show, before);
            refusal.code().to_owned()
        }
        Ok(Decided { events, outcome }) => {
            for event in events {
                show.apply(&Entry { seq: Seq(show.reserved_once.iter().count() as u64 + 1), at: now, event });
            }
            let list = |seats: &[SeatId]| seats.iter().map(SeatId::as_str).collect::<Vec<_>>().join(" ");
            match outcome {
                ShowOutcome::Held { seats, until } => format!("{} until {}", list(&seats), until.0 / 1000),
                ShowOutcome::Released { seats } | ShowOutcome::Cancelled { seats } => list(&seats),
                ShowOutcome::Reserved { seats, code } => format!("{} as {code}", list(&seats)),
                ShowOutcome::Expired { seats } => format!("{seats} ended"),
            }
        }
    }
}

/// A scene: each line is who, when, what, and what comes of it.
fn play(show: &mut Show, scene: &[(u8, i64, ShowCommand, &str)]) {
    for (at, (person, now, command, expected)) in scene.iter().enumerate() {
        assert_eq!(run(show, *person, command, *now), *expected, "line {at}: {command:?}");
    }
}

#[test]
fn a_hold_becomes_a_reservation() {
    let mut show = show();
    play(
        &mut show,
        &[
            (1, 0, hold("A-1-2 a-1-1"), "A-1-1 A-1-2 until 300"),
            (2, 1, hold("A-1-2"), "seat_taken"),
            (2, 1, hold("A-1-3 A-1-2"), "seat_taken"),
            (2, 2, reserve(Some("A-1-1"), None, 1), "seat_taken"),
            (1, 3, reserve(None, None, 0), "A-1-1 A-1-2 as 00000000"),
            (1, 4, reserve(None, None, 1), "not_yours"),
            (2, 5, hold("A-1-1"), "seat_taken"),
            (2, 6, reserve(Some("A-2-1"), None, 1), "A-2-1 as 00000001"),
        ],
    );
    let picture: Vec<_> = show.seats().map(|(_, status)| status.as_str()).collect();
    assert_eq!(picture, ["reserved", "reserved", "free", "free", "reserved", "free", "free", "free"]);
    assert_eq!(show.free(), 5);
}

#[test]
fn a_hold_that_has_ended_is_free_for_the_next_who_asks() {
    for is_expired in [false, true] {
        let mut show = show();
        let expire = |show: &mut Show| {
            if is_expired {
                assert_eq!(run(show, 0, &ShowCommand::Expire, 300), "3 ended");
            }
        };
        play(&mut show, &[(1, 0, hold("A-1-1 A-1-2 A-1-3"), "A-1-1 A-1-2 A-1-3 until 300")]);
        play(&mut show, &[(2, 299, hold("A-1-1"), "seat_taken")]);
        expire(&mut show);
        play(
            &mut show,
            &[
                (1, 300, reserve(Some("A-1-1"), None, 1), "hold_expired"),
                (1, 300, reserve(None, None, 1), "hold_expired"),
                (1, 300, release("A-1-1"), "hold_expired"),
                (2, 300, hold("A-1-1"), "A-1-1 until 600"),
                (3, 300, reserve(Some("A-1-2"), None, 0), "A-1-2 as 00000000"),
                (1, 301, reserve(Some("A-1-1"), None, 1), "seat_taken"),
                (1, 301, reserve(Some("A-1-2"), None, 1), "seat_taken"),
                // A clock that is set back brings no hold back.
                (1, 5, reserve(Some("A-1-3"), None, 1), "hold_expired"),
                (1, 302, hold("A-1-3"), "A-1-3 until 602"),
                (1, 303, reserve(Some("A-1-3"), None, 1), "A-1-3 as 00000001"),
            ],
        );
        assert_eq!(show.mine(session(1), Timestamp(0)), []);
    }
}

#[test]
fn who_comes_too_late_is_told_what_became_of_their_seats() {
    let mut show = show();
    play(
        &mut show,
        &[
            (1, 0, hold("A-1-1"), "A-1-1 until 300"),
            (2, 300, hold("A-1-1"), "A-1-1 until 600"),
            (1, 301, reserve(None, None, 1), "seat_taken"),
            (2, 302, ShowCommand::Release { seats: None }, "A-1-1"),
            (1, 303, reserve(None, None, 1), "hold_expired"),
            (3, 303, reserve(None, None, 1), "not_yours"),
            (3, 303, ShowCommand::Release { seats: None }, ""),
            (3, 303, release("A-1-1"), "not_yours"),
        ],
    );
}

#[test]
fn asking_again_does_not_keep_a_seat() {
    let mut show = show();
    play(
        &mut show,
        &[
            (1, 0, hold("A-1-1"), "A-1-1 until 300"),
            (1, 100, hold("A-1-1"), "A-1-1 until 300"),
            (1, 200, hold("A-1-1 A-1-2"), "A-1-1 A-1-2 until 300"),
            (1, 300, reserve(None, None, 0), "A-1-2 as 00000000"),
        ],
    );
}

#[test]
fn a_key_takes_effect_once() {
    let mut show = show();
    play(
        &mut show,
        &[
            (1, 0, hold("A-1-1 A-1-2"), "A-1-1 A-1-2 until 300"),
            (1, 1, reserve(None, Some("k"), 1), "A-1-1 A-1-2 as 00000001"),
            (1, 2, reserve(None, Some("k"), 2), "A-1-1 A-1-2 as 00000001"),
            (1, 3, reserve(Some("A-1-1 A-1-2"), Some("k"), 2), "key_reused"),
            (2, 3, reserve(Some("A-1-3 A-1-4"), Some("k"), 2), "A-1-3 A-1-4 as 00000002"),
            (2, 4, reserve(Some("a-1-4 A-1-3"), Some("k"), 3), "A-1-3 A-1-4 as 00000002"),
            (3, 4, ShowCommand::Cancel { code: code(2) }, "A-1-3 A-1-4"),
            (3, 4, ShowCommand::Cancel { code: code(2) }, "not_yours"),
            (2, 5, reserve(Some("A-1-3 A-1-4"), Some("k"), 3), "A-1-3 A-1-4 as 00000002"),
        ],
    );
    assert_eq!(show.free(), 6, "a key's answer is history: it takes nothing anew");
    show.trim(Seq(10));
    play(&mut show, &[(1, 9, reserve(Some("A-2-1"), Some("k"), 4), "A-2-1 as 00000004")]);
}

#[test]
fn a_code_in_use_is_not_given_out_twice() {
    let mut show = show();
    play(
        &mut show,
        &[
            (1, 0, reserve(Some("A-1-1"), None, 0), "A-1-1 as 00000000"),
            (2, 0, reserve(Some("A-1-2"), None, 0), "A-1-2 as 00000001"),
            (2, 0, ShowCommand::Cancel { code: code(0) }, "A-1-1"),
        ],
    );
}

#[test]
fn the_best_seats_are_held_whole_or_not_at_all() {
    let mut show = show();
    play(
        &mut show,
        &[
            (1, 0, best(2), "A-1-2 A-1-3 until 300"),
            (2, 0, best(2), "A-2-2 A-2-3 until 300"),
            (3, 0, best(2), "seat_taken"),
            (3, 0, best(1), "A-1-1 until 300"),
            (4, 300, best(4), "A-1-1 A-1-2 A-1-3 A-1-4 until 600"),
            (3, 300, best(0), "bad_command"),
            (3, 300, best(7), "too_many"),
            (3, 300, best(u32::MAX), "too_many"),
        ],
    );
}

#[test]
fn what_cannot_be_is_refused_with_the_values_involved() {
    let mut show = show();
    run(&mut show, 1, &hold("A-1-1 A-1-2 A-1-3"), 0);
    for (command, said) in [
        (hold("A-9-1"), "hamlet/1 has no seat A-9-1; /seats shows those it has"),
        (hold(""), "no seat is named; name one, such as A-1-4"),
        (hold("A-2-1 a-2-1"), "a-2-1 is named twice; name each seat once"),
        (hold("A-2-1 A-2-2"), "you may hold 4 seats at once; you hold 3, and 2 more are too many"),
        (
            hold("A-1-1 A-1-2 A-1-3 A-1-4 A-2-1 A-2-2 A-2-3"),
            "one command may be about 6 seats, not 7; ask in parts",
        ),
        (release("A-2-1"), "A-2-1 is not held by you"),
    ] {
        let refused = show.decide(&command, &actor(1), LIMITS, Timestamp(1)).unwrap_err();
        assert_eq!(refused.to_string(), said);
    }
    let none = ShowLimits { seats_held: 0, seats_asked: 0 };
    assert!(show.decide(&hold("A-1-4 A-2-1 A-2-2 A-2-3 A-2-4"), &actor(1), none, Timestamp(1)).is_ok());
}

#[test]
fn the_next_deadline_is_the_soonest_end() {
    let mut show = show();
    assert_eq!(show.next_deadline(), None);
    run(&mut show, 1, &hold("A-1-1"), 0);
    run(&mut show, 2, &hold("A-1-2"), 10);
    assert_eq!(show.next_deadline(), Some(Timestamp(300_000)));
    assert_eq!(run(&mut show, 0, &ShowCommand::Expire, 299), "0 ended");
    assert_eq!(run(&mut show, 0, &ShowCommand::Expire, 305), "1 ended");
    assert_eq!(show.next_deadline(), Some(Timestamp(310_000)));
    assert_eq!(show.mine(session(2), Timestamp(305_000)), [(ids("A-1-2")[0].clone(), Timestamp(310_000))]);
}

#[test]
fn many_holds_that_end_at_once_are_several_events() {
    let mut show = Show::new(RoomName::parse("big/1").unwrap(), house(&[("A", "1-25", "1-100")]), HOLD_FOR);
    let no_limits = ShowLimits { seats_held: 0, seats_asked: 0 };
    let seats = show.map.ids().to_vec();
    let all = ShowCommand::Hold { wanted: Wanted::Seats(seats) };
    let held = show.decide(&all, &actor(1), no_limits, Timestamp(0)).unwrap().events;
    held.into_iter().for_each(|event| show.apply(&Entry { seq: Seq(1), at: Timestamp(0), event }));
    let at = Timestamp(300_000);
    let freed = show.decide(&ShowCommand::Expire, &actor(0), no_limits, at).unwrap();
    assert_eq!((freed.events.len(), freed.outcome), (3, ShowOutcome::Expired { seats: 2_500 }));
    freed.events.into_iter().for_each(|event| show.apply(&Entry { seq: Seq(2), at, event }));
    assert_eq!((show.free(), show.next_deadline()), (2_500, None));
}

#[test]
fn a_seat_that_the_map_has_lost_stays_sold() {
    let mut before = show();
    run(&mut before, 1, &reserve(Some("A-2-4 A-1-1"), None, 0), 0);
    run(&mut before, 2, &hold("A-2-3"), 0);
    let name = before.name.clone();
    let smaller = house(&[("A", "1", "1-4")]);
    let mut smaller = Show::load(name.clone(), smaller, HOLD_FOR, &before.save()).unwrap();
    assert_eq!((smaller.free(), smaller.seats().count()), (3, 4));
    assert_eq!(run(&mut smaller, 3, &hold("A-2-4"), 1), "no_such_seat");
    let again = Show::load(name, before.map.clone(), HOLD_FOR, &smaller.save()).unwrap();
    assert_eq!(again, before);
    assert_eq!(run(&mut smaller, 0, &ShowCommand::Expire, 300), "1 ended");
    let cancelled = run(&mut smaller, 3, &ShowCommand::Cancel { code: code(0) }, 301);
    assert_eq!(cancelled, "A-1-1 A-2-4");
}

#[derive(Clone, Debug)]
enum Act {
    Ask(u8, ShowCommand),
    Clock(i64),
    Trim(u64),
}

fn acts() -> impl Strategy<Value = Act> {
    // The last of the ten is no seat of this house.
    let seat = (0..10usize).prop_map(|at| match at {
        0..8 => show().map.ids()[at].clone(),
        _ => SeatId::parse("Z-1-1").unwrap(),
    });
    let seats = proptest::collection::vec(seat, 0..4);
    let some = proptest::option::of(seats.clone());
    let key =
        proptest::option::of(prop_oneof![Just("k"), Just("l")].prop_map(|key| Key::parse(key).unwrap()));
    // Few codes, so that they meet.
    let code = (0..4u8).prop_map(code);
    let command = prop_oneof![
        6 => seats.prop_map(|seats| ShowCommand::Hold { wanted: Wanted::Seats(seats) }),
        2 => (0..4u32).prop_map(best),
        2 => some.clone().prop_map(|seats| ShowCommand::Release { seats }),
        6 => (some, key, code.clone()).prop_map(|(seats, key, code)| ShowCommand::Reserve { seats, key, code }),
        3 => code.prop_map(|code| ShowCommand::Cancel { code }),
        2 => Just(ShowCommand::Expire),
    ];
    prop_oneof![
        16 => (0..4u8, command).prop_map(|(person, command)| Act::Ask(person, command)),
        // Mostly forwards, about as far as holds last; also back.
        3 => prop_oneof![3 => 0..400_000i64, 1 => -4_000_000..0i64].prop_map(Act::Clock),
        1 => (0..20u64).prop_map(Act::Trim),
    ]
}

/// A seat as somebody would keep it who knows every event and no index: the definition of what `decide` may do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    Free,
    Held(SessionId, Timestamp),
    Reserved(Code),
}

type Picture = BTreeMap<SeatId, Known>;

fn is_held(picture: &Picture, seat: &SeatId, by: SessionId, now: Timestamp) -> bool {
    matches!(picture[seat], Known::Held(session, until) if session == by && until > now)
}

fn is_free(picture: &Picture, seat: &SeatId, now: Timestamp) -> bool {
    matches!(picture[seat], Known::Free) || matches!(picture[seat], Known::Held(_, until) if until <= now)
}

/// Folds an event into the picture, and finds what it may not do.
fn fold(picture: &mut Picture, entry: &Entry, person: SessionId) -> Result<(), TestCaseError> {
    let Event::Seats(seats) = &entry.event else { return Err(TestCaseError::fail("another event")) };
    prop_assert!(!seats.seats.is_empty());
    for seat in &seats.seats {
        let (free, own) = (is_free(picture, seat, entry.at), is_held(picture, seat, person, entry.at));
        let now = match &seats.now {
            SeatsNow::Held { by, until } => {
                prop_assert!(free, "{} has a holder", seat);
                prop_assert!(*by == person && *until == entry.at.plus(HOLD_FOR));
                Known::Held(*by, *until)
            }
            SeatsNow::Reserved { code, .. } => {
                prop_assert!(free || own, "{} is somebody else's", seat);
                Known::Reserved(*code)
            }
            SeatsNow::Free => {
                prop_assert!(picture[seat] != Known::Free);
                let is_mine_or_ended = own || free;
                prop_assert!(is_mine_or_ended || matches!(picture[seat], Known::Reserved(_)));
                Known::Free
            }
        };
        picture.insert(seat.clone(), now);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_asked_the_promises_hold(acts in proptest::collection::vec(acts(), 1..100)) {
        let mut show = show();
        let mut picture: Picture = show.map.ids().iter().map(|id| (id.clone(), Known::Free)).collect();
        let (mut log, mut first) = (Vec::<Entry>::new(), Seq(1));
        let mut saved = (0, show.save());
        let mut clock = 0;
        let mut kept: HashMap<Once, (Seq, Option<Vec<SeatId>>, ShowOutcome)> = HashMap::new();
        for act in acts {
            let (person, command) = match act {
                Act::Ask(person, command) => (person, command),
                Act::Clock(by) => { clock += by; continue }
                Act::Trim(keep) => {
                    first = first.max(Seq(log.len() as u64 + 1).minus(keep));
                    show.trim(first);
                    kept.retain(|_, (seq, ..)| *seq >= first);
                    saved = (log.len(), show.save());
                    continue
                }
            };
            let by = session(person);
            let now = Timestamp(clock).max(show.last_at);
            let before = show.clone();
            let decided = show.decide(&command, &actor(person), LIMITS, Timestamp(clock));
            prop_assert_eq!(&show, &before, "decide changes nothing");
            // With the ended holds freed by an event, nothing is decided otherwise.
            let mut expired = show.clone();
            for event in expired.decide(&ShowCommand::Expire, &actor(9), LIMITS, now).unwrap().events {
                expired.apply(&Entry { seq: Seq(0), at: now, event });
            }
            if command != ShowCommand::Expire {
                prop_assert_eq!(&expired.decide(&command, &actor(person), LIMITS, now), &decided, "no timer decides");
            }
            let named: Vec<SeatId> = match &command {
                ShowCommand::Hold { wanted: Wanted::Seats(seats) } => seats.clone(),
                ShowCommand::Reserve { seats: Some(seats), .. } => seats.clone(),
                _ => Vec::new(),
            };
            let once = match &command {
                ShowCommand::Reserve { key: Some(key), .. } => Some(Once { session: by, key: key.clone() }),
                _ => None,
            };
            let Decided { events, outcome } = match decided {
                Ok(decided) => decided,
                Err(refusal) => {
                    prop_assert!(!refusal.to_string().is_empty());
                    let known = |seat: &&SeatId| picture.contains_key(*seat);
                    match refusal.code() {
                        "seat_taken" if !named.is_empty() => prop_assert!(
                            named.iter().filter(known).any(|seat| !is_free(&picture, seat, now) && !is_held(&picture, seat, by, now)),
                            "an ended hold never blocks"
                        ),
                        "hold_expired" if !named.is_empty() => {
                            prop_assert!(named.iter().filter(known).any(|seat| is_free(&picture, seat, now)));
                        }
                        "key_reused" => prop_assert!(kept.contains_key(once.as_ref().unwrap())),
                        _ => {}
                    }
                    continue
                }
            };
            prop_assert!(events.len() <= 1, "one command, one event");
            let is_new = !events.is_empty();
            for event in events {
                let entry = Entry { seq: Seq(log.len() as u64 + 1), at: now, event };
                fold(&mut picture, &entry, by)?;
                show.apply(&entry);
                log.push(entry);
            }
            match &outcome {
                ShowOutcome::Held { seats, until } => {
                    prop_assert!(*until > now && !seats.is_empty());
                    prop_assert!(seats.iter().all(|seat| is_held(&picture, seat, by, now)), "whole");
                    let held = picture.keys().filter(|seat| is_held(&picture, seat, by, now)).count();
                    prop_assert!(held <= LIMITS.seats_held as usize);
                    prop_assert_eq!(show.mine(by, now).len(), held);
                }
                ShowOutcome::Reserved { seats, code } if is_new => {
                    prop_assert!(seats.iter().all(|seat| picture[seat] == Known::Reserved(*code)), "whole");
                    let all = picture.values().filter(|known| **known == Known::Reserved(*code)).count();
                    prop_assert_eq!(all, seats.len(), "the code is of this reservation alone");
                }
                ShowOutcome::Reserved { .. } => prop_assert!(once.is_some(), "only a key answers without an event"),
                ShowOutcome::Released { seats } | ShowOutcome::Cancelled { seats } => {
                    prop_assert!(seats.iter().all(|seat| picture[seat] == Known::Free), "whole");
                }
                ShowOutcome::Expired { .. } => {
                    prop_assert!(show.next_deadline().is_none_or(|until| until > now));
                }
            }
            if let (Some(once), ShowCommand::Reserve { seats, .. }) = (once, &command) {
                match kept.get(&once) {
                    Some((_, asked, answer)) => {
                        let sorted = |seats: &Option<Vec<SeatId>>| {
                            let mut seats = seats.clone();
                            seats.iter_mut().for_each(|seats| seats.sort());
                            seats
                        };
                        prop_assert!(!is_new, "it takes effect once");
                        prop_assert_eq!((sorted(asked), answer), (sorted(seats), &outcome), "the first answer");
                    }
                    None => {
                        prop_assert!(is_new);
                        kept.insert(once, (Seq(log.len() as u64), seats.clone(), outcome));
                    }
                }
            }
            for (id, status) in show.seats() {
                let known = match picture[id] {
                    Known::Free => SeatStatus::Free,
                    Known::Held(..) => SeatStatus::Held,
                    Known::Reserved(_) => SeatStatus::Reserved,
                };
                prop_assert_eq!(known, status, "every watcher's picture is the log's");
            }
        }
        let fresh = || Show::new(show.name.clone(), show.map.clone(), HOLD_FOR);
        let mut replayed = fresh();
        log.iter().for_each(|entry| replayed.apply(entry));
        replayed.trim(first);
        prop_assert_eq!(&replayed, &show, "replaying the log gives the same state");
        let stored = serde_json::to_string(&saved.1).unwrap();
        let stored = serde_json::from_str(&stored).unwrap();
        let mut resumed = Show::load(show.name.clone(), show.map.clone(), HOLD_FOR, &stored).unwrap();
        log.iter().skip(saved.0).for_each(|entry| resumed.apply(entry));
        resumed.trim(first);
        prop_assert_eq!(&resumed, &show, "and so does a snapshot with the rest of the log");
    }

    #[test]
    fn any_log_has_a_state(events in proptest::collection::vec((any_event(), any::<i64>()), 0..60)) {
        let mut show = show();
        for ((event, at), seq) in events.into_iter().zip(1..) {
            show.apply(&Entry { seq: Seq(seq), at: Timestamp(at), event });
            let again = Show::load(show.name.clone(), show.map.clone(), HOLD_FOR, &show.save()).unwrap();
            prop_assert_eq!(&again, &show);
            let held = show.seats.iter().filter(|seat| matches!(seat, Seat::Held { .. })).count();
            prop_assert_eq!(held, show.ends.len());
            prop_assert_eq!(held, show.held_by.values().map(BTreeSet::len).sum::<usize>());
            let reserved = show.seats.iter().filter(|seat| matches!(seat, Seat::Reserved { .. })).count();
            prop_assert_eq!(reserved, show.reserved_as.values().map(BTreeSet::len).sum::<usize>());
            for command in [best(2), ShowCommand::Expire, reserve(None, Some("k"), 1), ShowCommand::Release { seats: None }] {
                let _ = show.decide(&command, &actor(1), LIMITS, Timestamp(at));
            }
        }
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let seat = prop_oneof![Just("A-1-1"), Just("A-2-4"), Just("a-1-1"), Just("Z-9-9"), Just("Z-9-8")];
    let seats = proptest::collection::vec(seat.prop_map(|seat| SeatId::parse(seat).unwrap()), 0..4);
    let code = (0..3u8).prop_map(code);
    let asked = proptest::option::of((0..3u8, any::<u64>()).prop_map(|(by, fingerprint)| {
        Box::new(Asked { once: Once { session: session(by), key: Key::parse("k").unwrap() }, fingerprint })
    }));
    let now = prop_oneof![
        Just(SeatsNow::Free),
        (0..3u8, any::<i64>())
            .prop_map(|(by, until)| SeatsNow::Held { by: session(by), until: Timestamp(until) }),
        (code, asked).prop_map(|(code, asked)| SeatsNow::Reserved { code, asked }),
    ];
    prop_oneof![
        8 => (seats, now).prop_map(|(seats, now)| Event::Seats(Box::new(Seats { seats, now }))),
        1 => Just(Event::created_by_server()),
        1 => Just(Event::Announced { from: Nick::server(), text: Text::parse("x").unwrap() }),
    ]
}
