//! Values for tests: short ways to write them, and strategies for any of them.

use std::sync::Arc;
use std::time::Duration;

use madang_room::{
    Asked, Code, Entry, Event, IdPattern, Key, NameError, Nick, Once, Participant, Presence, Refusal,
    RoomName, SeatArea, SeatId, SeatMap, SeatStatus, Seats, SeatsNow, Seq, SessionId, Text, TextError,
    Timestamp, WhyLeft,
};
use proptest::prelude::*;

use crate::{
    Answer, Bye, GroupRow, History, Joined, Notice, PerformanceRow, RoomRow, Seating, ShowRow, Watching,
};

pub(crate) fn nick(name: &str) -> Nick {
    Nick::parse(name).unwrap()
}

pub(crate) fn room(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

pub(crate) fn words(text: &str) -> Text {
    Text::parse(text).unwrap()
}

/// Event `seq`, at 10:00:00.123 UTC.
pub(crate) fn entry(seq: u64, event: Event) -> Entry {
    Entry { seq: Seq(seq), at: Timestamp(1_795_168_800_123), event }
}

pub(crate) fn said(from: &str, text: &str) -> Event {
    Event::Said { from: nick(from), text: words(text), once: None }
}

pub(crate) fn id(text: &str) -> Participant {
    Participant::parse(text).unwrap()
}

pub(crate) fn seats(list: &str) -> Vec<SeatId> {
    list.split_whitespace().map(|seat| SeatId::parse(seat).unwrap()).collect()
}

pub(crate) fn code() -> Code {
    Code::parse("7KQ2MXP4").unwrap()
}

fn seats_event(list: &str, now: SeatsNow) -> Event {
    Event::Seats(Box::new(Seats { seats: seats(list), now }))
}

/// Half past seven in Korea, when a hold ends.
pub(crate) const UNTIL: Timestamp = Timestamp(1_795_170_910_000);

/// One of each kind of event, and of each that seats can become.
pub(crate) fn events() -> [Event; 11] {
    let asked = Asked { once: Once { session: SECRET, key: Key::parse("k").unwrap() }, fingerprint: 7 };
    [
        Event::Created { from: nick("mina"), by: madang_room::SessionId([7; 16]) },
        said("jun", "hi"),
        Event::Topic { from: nick("mina"), text: words("today") },
        Event::Capacity { from: nick("mina"), capacity: 5 },
        Event::Grouped { participant: id("J002"), group: 3, by: SECRET },
        Event::Ungrouped { participant: id("J002"), group: 3 },
        Event::Clapped { claps: 17 },
        Event::Announced { from: nick("mina"), text: words("five minutes") },
        seats_event("A-1-4 A-1-5", SeatsNow::Held { by: SECRET, until: UNTIL }),
        seats_event("A-1-4", SeatsNow::Reserved { code: code(), asked: Some(Box::new(asked)) }),
        seats_event("A-1-5", SeatsNow::Free),
    ]
}

/// A session that is told to nobody: 128 bits that no test expects anywhere.
pub(crate) const SECRET: SessionId = SessionId([0x5e; 16]);

/// One of each kind of presence.
pub(crate) fn presences() -> [Presence; 8] {
    let ungrouped = |why| Presence::Ungrouped { nick: nick("mina"), participant: id("J002"), group: 3, why };
    [
        Presence::Joined { nick: nick("mina") },
        Presence::Left { nick: nick("mina"), why: None },
        Presence::Left { nick: nick("mina"), why: Some(WhyLeft::Lost) },
        Presence::Grouped { nick: nick("mina"), participant: id("J002"), group: 3 },
        ungrouped(None),
        ungrouped(Some(WhyLeft::Lost)),
        Presence::Renamed { from: nick("mina"), to: nick("jun") },
        Presence::Count { count: 1234 },
    ]
}

/// One of each kind of notice, and more where a kind has more to say.
pub(crate) fn notices() -> Vec<Notice> {
    let bye = |why, resume, retry_ms| Notice::Bye(Bye { why, resume, retry_ms });
    let gap = |from, to| Notice::Gap { room: room("plaza"), from_seq: Seq(from), to_seq: Seq(to) };
    vec![
        Notice::Greeting { nick: nick("Guest1"), room: Some((room("plaza"), 3)) },
        Notice::Greeting { nick: nick("Guest1"), room: None },
        Notice::Told { from: nick("mina"), text: words("hello") },
        gap(811, 930),
        gap(811, 810),
        Notice::Error(Refusal::InNoRoom),
        bye("shutdown", true, Some(2001)),
        bye("idle", true, None),
    ]
}

pub(crate) fn joined() -> Joined {
    Joined {
        room: room("plaza"),
        kind: "chat",
        epoch: "e7".into(),
        seq: Seq(812),
        count: 2,
        members: Some(vec![nick("jun"), nick("mina")]),
        capacity: 0,
        topic: None,
        reset: false,
    }
}

/// Two sections with an aisle, in which one seat is held and one is reserved.
pub(crate) fn seating() -> Seating {
    let area = |section: &str, rows: &str, seats: &str, price| SeatArea {
        section: section.into(),
        rows: rows.into(),
        seats: seats.into(),
        price,
    };
    let map = Arc::new(SeatMap::new(vec![area("A", "1", "1-3,5", 50_000), area("A", "2", "2", 1)]).unwrap());
    let status =
        vec![SeatStatus::Free, SeatStatus::Held, SeatStatus::Reserved, SeatStatus::Free, SeatStatus::Held];
    let performance = room("hamlet/1");
    Seating { performance, epoch: "e7".into(), seq: Seq(812), map, status, mine: seats("A-1-2") }
}

pub(crate) fn watching() -> Watching {
    let Seating { map, status, .. } = seating();
    let joined = Joined { room: room("hamlet/1"), kind: "show", ..joined() };
    let mine = seats("A-1-2 A-2-2").into_iter().map(|seat| (seat, UNTIL)).collect();
    Watching { joined, map, status, mine }
}

/// One of each kind of answer, and more where a kind has more to say.
pub(crate) fn answers() -> Vec<Answer> {
    let row = |name, count| RoomRow { room: room(name), kind: "chat", count, capacity: 0 };
    let history = |events| {
        let room = room("plaza");
        Answer::History(Box::new(History { room, events, first: Seq(1), seq: Seq(4), epoch: "e7".into() }))
    };
    let (garden, plaza) = (room("garden"), room("plaza"));
    let events = (1..).zip(events()).map(|(seq, event)| entry(seq, event)).collect();
    vec![
        Answer::Welcome(Box::new(crate::Welcome {
            session: madang_room::SessionId([0x9f; 16]),
            resume: "s_9f.c1".into(),
            resumed: false,
            nick: nick("mina"),
            server: "madang/0.1.0",
        })),
        Answer::Nick { from: nick("Guest1"), nick: nick("mina") },
        Answer::Joined(Box::new(joined())),
        Answer::Joined(Box::new(Joined {
            reset: true,
            members: None,
            topic: Some(words("today")),
            ..joined()
        })),
        Answer::Left { room: garden.clone() },
        Answer::Recorded { seq: Seq(813) },
        Answer::Topic { room: plaza.clone(), topic: Some(words("today")) },
        Answer::Topic { room: plaza.clone(), topic: None },
        Answer::Told { to: nick("mina"), text: words("hello") },
        Answer::Rooms { rooms: vec![row("garden", 2), row("plaza", 17)] },
        Answer::Rooms { rooms: vec![] },
        Answer::Who { room: garden.clone(), count: 2, members: Some(vec![nick("jun"), nick("mina")]) },
        Answer::Who { room: garden, count: 1234, members: None },
        history(events),
        history(vec![]),
        Answer::Host,
        Answer::CheckedIn { group: 3, room: room("day19/3") },
        Answer::CheckedOut { group: 3, stayed: Duration::from_secs(72 * 60 + 5) },
        Answer::Groups {
            groups: vec![
                GroupRow { group: 1, participants: vec![id("J001"), id("J017")] },
                GroupRow { group: 3, participants: vec![id("J002")] },
            ],
        },
        Answer::Groups { groups: vec![] },
        Answer::Clapped { claps: 17 },
        Answer::Shows {
            shows: vec![ShowRow {
                show: "hamlet".into(),
                title: words("Hamlet"),
                place: Some(words("Small stage")),
                performances: vec![PerformanceRow {
                    performance: room("hamlet/1"),
                    at: "2026-12-24T19:30:00+09:00".into(),
                    free: 180,
                }],
            }],
        },
        Answer::Shows { shows: vec![] },
        Answer::Watching(Box::new(watching())),
        Answer::Seats(Box::new(seating())),
        Answer::Held { seats: seats("A-1-4 A-1-5"), until: UNTIL },
        Answer::Released { seats: seats("A-1-4") },
        Answer::Released { seats: vec![] },
        Answer::Reserved { seats: seats("A-1-4"), reservation: code() },
        Answer::Cancelled { seats: seats("A-1-4 A-1-5") },
        Answer::Echo { on: true },
        Answer::Help { lines: vec!["one".to_owned(), "two".to_owned()] },
        Answer::Pong,
        Answer::Bye,
    ]
}

/// What anybody might send where a name or a text is meant.
pub(crate) fn raw() -> impl Strategy<Value = String> {
    let nasty =
        "* ! <>[]-/\\\u{1b}\u{7}\r\n\0\t\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{200b}\u{7f}\"'{}한é\u{301}:";
    let nasty: Vec<char> = nasty.chars().collect();
    prop_oneof![
        ".{0,40}",
        proptest::collection::vec(proptest::sample::select(nasty), 0..30)
            .prop_map(|chars| chars.into_iter().collect()),
    ]
}

pub(crate) fn any_nick() -> impl Strategy<Value = Nick> {
    "[\\p{L}\\p{N}\\p{M}._-]{1,12}".prop_filter_map("no name", |raw| Nick::parse(&raw).ok())
}

pub(crate) fn any_room() -> impl Strategy<Value = RoomName> {
    "[\\p{L}\\p{N}._-]{1,10}(/[a-z0-9]{1,4})?".prop_filter_map("no name", |raw| RoomName::parse(&raw).ok())
}

pub(crate) fn any_text() -> impl Strategy<Value = Text> {
    raw().prop_filter_map("no text", |raw| Text::parse(&raw).ok())
}

pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    (any_nick(), any_text(), any::<u32>(), 0..8u8).prop_map(|(from, text, capacity, kind)| match kind {
        0 => Event::Created { from, by: madang_room::SessionId([7; 16]) },
        1 => Event::Said { from, text, once: None },
        2 => Event::Topic { from, text },
        3 => Event::Grouped { participant: id(from.as_str()), group: capacity, by: SECRET },
        4 => Event::Ungrouped { participant: id(from.as_str()), group: capacity },
        5 => Event::Clapped { claps: capacity.into() },
        6 => Event::Announced { from, text },
        _ => Event::Capacity { from, capacity },
    })
}

pub(crate) fn any_presence() -> impl Strategy<Value = Presence> {
    (any_nick(), any_nick(), any::<u16>(), 0..6u8).prop_map(|(nick, to, count, kind)| match kind {
        0 => Presence::Joined { nick },
        1 => Presence::Left { nick, why: Some(WhyLeft::Stuck) },
        2 => Presence::Renamed { from: nick, to },
        3 => Presence::Grouped { nick, participant: id(to.as_str()), group: count.into() },
        4 => Presence::Ungrouped { nick, participant: id(to.as_str()), group: count.into(), why: None },
        _ => Presence::Count { count: count.into() },
    })
}

/// One of each kind of refusal.
pub(crate) fn refusals() -> Vec<Refusal> {
    let seat = SeatId::parse("A-1-4").unwrap();
    let pattern = Box::new(IdPattern::parse("J001-J384").unwrap());
    let refusals = vec![
        Refusal::BadJson { why: "x".into() },
        Refusal::BadCommand { why: "x".into() },
        Refusal::NotUtf8 { at: 1 },
        Refusal::BadText(TextError::Empty),
        Refusal::BadText(TextError::TooLong(5000)),
        Refusal::BadName { name: "a b".into(), why: NameError::Char(' ') },
        Refusal::InnerRoom { room: room("a/1") },
        Refusal::NickTaken { nick: nick("mina") },
        Refusal::NickReserved { nick: nick("admin") },
        Refusal::NoSuchRoom { room: room("plaza") },
        Refusal::NoSuchNick { nick: nick("mina") },
        Refusal::NotAMember { room: room("plaza") },
        Refusal::InNoRoom,
        Refusal::RoomFull { room: room("duo-7"), capacity: 2 },
        Refusal::NotTheCreator { room: room("plaza") },
        Refusal::NotAChat { room: room("hamlet/1"), kind: "show" },
        Refusal::NoSuchLobby { lobby: room("day20") },
        Refusal::NoLobbyHere,
        Refusal::AlreadyCheckedIn { participant: id("J001"), group: 3 },
        Refusal::IdInUse { participant: id("J001"), group: 3 },
        Refusal::NotCheckedIn { lobby: room("day19"), pattern: pattern.clone() },
        Refusal::BadParticipant { participant: "X1".into(), pattern },
        Refusal::NotAHost,
        Refusal::WrongSecret,
        Refusal::NoSuchShow { show: "hamlet/9".into() },
        Refusal::NoPerformance,
        Refusal::BadSeat { seat: "A1".into() },
        Refusal::NoSuchSeat { seat: seat.clone(), performance: room("hamlet/1") },
        Refusal::SeatTaken { seat: seat.clone() },
        Refusal::NotSideBySide { count: 3, performance: room("hamlet/1") },
        Refusal::HoldExpired { seat: seat.clone() },
        Refusal::NotHeldByYou { seat },
        Refusal::NothingHeld { performance: room("hamlet/1") },
        Refusal::NoSuchReservation,
        Refusal::TooManySeatsHeld { held: 9, asked: 2, max: 10 },
        Refusal::TooManySeatsAsked { asked: 101, max: 100 },
        Refusal::Forbidden { why: "x".into() },
        Refusal::KeyReused { key: "k".into() },
        Refusal::BadKey { bytes: 65 },
        Refusal::TooLong { what: "a line", max: 4096 },
        Refusal::TooFast { per_second: 20 },
        Refusal::TooManyRooms { max: 50 },
        Refusal::TooManyConnections { max: 50 },
        Refusal::Unavailable { room: room("plaza") },
        Refusal::Closing,
        Refusal::Unknown { room: room("plaza") },
    ];
    // One that is added to the model must be added above, and here, where the compiler asks for it.
    use Refusal::*;
    let is_above = |refusal: &Refusal| match refusal {
        BadJson { .. }
        | BadCommand { .. }
        | NotUtf8 { .. }
        | BadText(_)
        | BadName { .. }
        | InnerRoom { .. } => {}
        NickTaken { .. }
        | NickReserved { .. }
        | NoSuchRoom { .. }
        | NoSuchNick { .. }
        | NotAMember { .. } => {}
        InNoRoom
        | RoomFull { .. }
        | Forbidden { .. }
        | NotTheCreator { .. }
        | KeyReused { .. }
        | BadKey { .. }
        | TooLong { .. } => {}
        TooFast { .. } | TooManyRooms { .. } | TooManyConnections { .. } | Unavailable { .. } | Closing => {}
        Unknown { .. } => {}
        NotAChat { .. }
        | NoSuchLobby { .. }
        | NoLobbyHere
        | AlreadyCheckedIn { .. }
        | IdInUse { .. }
        | NotCheckedIn { .. }
        | BadParticipant { .. } => {}
        NotAHost | WrongSecret | NoSuchShow { .. } | NoPerformance | BadSeat { .. } | NoSuchSeat { .. } => {}
        SeatTaken { .. }
        | NotSideBySide { .. }
        | HoldExpired { .. }
        | NotHeldByYou { .. }
        | NothingHeld { .. }
        | NoSuchReservation
        | TooManySeatsHeld { .. }
        | TooManySeatsAsked { .. } => {}
    };
    refusals.iter().for_each(is_above);
    let is_listed = |refusal: &Refusal| madang_room::REFUSAL_CODES.contains(&refusal.code());
    assert!(refusals.iter().all(is_listed), "whoever counts refusals by code counts all");
    refusals
}
