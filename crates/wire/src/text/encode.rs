//! Answers, events and notices to text lines.

use std::time::Duration;

use itoa::Buffer;
use jiff::tz::TimeZone;
use madang_room::{Entry, Event, Nick, Participant, Presence, Refusal, RoomName, Timestamp};

use super::seats;
use crate::wording::{message, printable};
use crate::{Answer, Bye, GroupRow, Happening, History, Joined, Notice, RoomRow, Welcome};

/// The forms that a happening's line can have. Members who read the same form get the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Form {
    /// Is it the reader's current room? In another one, the line starts with the room's name.
    pub is_current: bool,
    /// Do lines end with CR LF (telnet), not LF?
    pub crlf: bool,
}

impl Form {
    /// All of them, each at its [`Form::index`].
    pub const ALL: [Form; 4] = [
        Form { is_current: false, crlf: false },
        Form { is_current: true, crlf: false },
        Form { is_current: false, crlf: true },
        Form { is_current: true, crlf: true },
    ];

    /// Its place in [`Form::ALL`].
    pub fn index(self) -> usize {
        usize::from(self.is_current) + 2 * usize::from(self.crlf)
    }
}

/// Writes what happened in `room`. This is written once for each form and read by every member, and still it is most
/// of what the server encodes: `Said` is nothing but copying.
pub fn encode_happening(out: &mut Vec<u8>, room: &RoomName, happening: Happening<'_>, form: Form) {
    let mut number = Buffer::new();
    let mut line = |parts: &[&str]| {
        if !form.is_current {
            push_all(out, &["[", room.as_str(), "] "]);
        }
        push_line(out, parts, form.crlf);
    };
    match happening {
        Happening::Logged(Entry { event, .. }) => match event {
            Event::Said { from, text, .. } => line(&["<", from.as_str(), "> ", text.as_str()]),
            Event::Topic { from, text } => line(&["* ", from.as_str(), SET_TOPIC, text.as_str()]),
            Event::Capacity { from, capacity } => {
                line(&["* ", from.as_str(), SET_CAPACITY, number.format(*capacity), no_limit(*capacity)]);
            }
            Event::Clapped { claps } => line(&["* claps ", number.format(*claps)]),
            Event::Announced { from, text } => line(&["* ", from.as_str(), TO_ALL, text.as_str()]),
            Event::Seats(seats) => {
                let status = seats.now.status().as_str();
                seats.seats.iter().for_each(|seat| line(&["* seat ", seat.as_str(), " ", status]));
            }
            // Who is in a group, its members hear as presence, and nobody else.
            Event::Created { .. } | Event::Grouped { .. } | Event::Ungrouped { .. } => {}
        },
        Happening::Presence(presence) => match presence {
            Presence::Joined { nick } => line(&["* ", nick.as_str(), " joined"]),
            Presence::Left { nick, .. } => line(&["* ", nick.as_str(), " left"]),
            Presence::Grouped { participant, group, .. } => {
                line(&["* ", participant.as_str(), " joined group ", number.format(*group)]);
            }
            Presence::Ungrouped { participant, group, .. } => {
                line(&["* ", participant.as_str(), " left group ", number.format(*group)]);
            }
            Presence::Renamed { from, to } => line(&["* ", from.as_str(), " is now ", to.as_str()]),
            Presence::Count { count } => line(&["* ", number.format(*count), " here"]),
        },
    }
}

/// Writes the yes to a request; nothing where the text encoding has no words for it. `tz` is for the times in history.
pub fn encode_answer(out: &mut Vec<u8>, answer: &Answer, tz: &TimeZone, crlf: bool) {
    let mut line = |parts: &[&str]| push_line(out, parts, crlf);
    match answer {
        Answer::Recorded { .. } => {}
        Answer::Welcome(welcome) => {
            let Welcome { nick, .. } = &**welcome;
            line(&["* you are ", nick.as_str()]);
        }
        Answer::Nick { from, nick } => line(&["* ", from.as_str(), " is now ", nick.as_str()]),
        Answer::Joined(joined) => {
            let Joined { room, count, reset, .. } = &**joined;
            line(&["* in ", room.as_str(), " (", Buffer::new().format(*count), " here)"]);
            if *reset {
                line(&["* ", room.as_str(), " began anew: what you have seen of it is not its past"]);
            }
        }
        Answer::Left { room } => line(&["* left ", room.as_str()]),
        Answer::Topic { room, topic: Some(topic) } => {
            line(&["* topic of ", room.as_str(), ": ", topic.as_str()])
        }
        Answer::Topic { room, topic: None } => line(&["* ", room.as_str(), " has no topic"]),
        Answer::Told { to, text } => line(&["-> ", to.as_str(), ": ", text.as_str()]),
        Answer::Rooms { rooms } if rooms.is_empty() => line(&["* no rooms are in use"]),
        Answer::Rooms { rooms } => {
            let row = |row: &RoomRow| format!("{} {}", row.room, row.count);
            line(&["* rooms: ", &rooms.iter().map(row).collect::<Vec<_>>().join(", ")]);
        }
        Answer::Who { members: Some(members), .. } if !members.is_empty() => {
            line(&["* here: ", &members.iter().map(Nick::as_str).collect::<Vec<_>>().join(", ")]);
        }
        Answer::Who { count, .. } => line(&["* ", Buffer::new().format(*count), " here"]),
        Answer::History(history) => encode_history(out, history, tz, crlf),
        Answer::Host => line(&["* you are a host"]),
        Answer::CheckedIn { group, .. } => line(&["* group ", Buffer::new().format(*group)]),
        Answer::CheckedOut { group, stayed } => {
            let (mut number, stayed) = (Buffer::new(), in_words(*stayed));
            line(&["* checked out of group ", number.format(*group), " after ", &stayed]);
        }
        Answer::Groups { groups } if groups.is_empty() => line(&["* nobody has checked in"]),
        Answer::Groups { groups } => groups.iter().for_each(|GroupRow { group, participants }| {
            let participants: Vec<&str> = participants.iter().map(Participant::as_str).collect();
            line(&["* group ", Buffer::new().format(*group), ": ", &participants.join(", ")]);
        }),
        Answer::Clapped { claps } => line(&["* claps ", Buffer::new().format(*claps)]),
        Answer::Shows { shows } => seats::encode_shows(shows, line),
        Answer::Watching(watching) => seats::encode_watching(watching, tz, line),
        Answer::Seats(seating) => seats::draw(seating, line),
        Answer::Held { seats, until } => seats::encode_held(seats, *until, tz, line),
        Answer::Released { seats } if seats.is_empty() => line(&["* you hold no seats"]),
        Answer::Released { seats } => line(&["* you gave back ", &seats::listed(seats)]),
        Answer::Cancelled { seats } => line(&["* cancelled ", &seats::listed(seats)]),
        Answer::Reserved { seats, reservation } => {
            line(&["* reserved ", &seats::listed(seats), ": code ", &reservation.to_string()]);
        }
        Answer::Echo { on } => line(&["* echo is ", if *on { "on" } else { "off" }]),
        Answer::Help { lines } => lines.iter().for_each(|help| line(&["* ", &printable(help)])),
        Answer::Pong => line(&["* pong"]),
        Answer::Bye => line(&["* bye"]),
    }
}

/// Writes the no to a line: `! code: what is wrong and what would be right`.
pub fn encode_refusal(out: &mut Vec<u8>, refusal: &Refusal, crlf: bool) {
    push_line(out, &["! ", refusal.code(), ": ", &message(refusal)], crlf);
}

/// Writes what one client alone is told.
pub fn encode_notice(out: &mut Vec<u8>, notice: &Notice, crlf: bool) {
    let mut line = |parts: &[&str]| push_line(out, parts, crlf);
    match notice {
        Notice::Greeting { nick, room: Some((room, count)) } => {
            let (nick, room, mut number) = (nick.as_str(), room.as_str(), Buffer::new());
            line(&["* you are ", nick, " in ", room, " (", number.format(*count), " here)", LISTS_COMMANDS]);
        }
        Notice::Greeting { nick, room: None } => line(&["* you are ", nick.as_str(), LISTS_COMMANDS]),
        Notice::Told { from, text } => line(&["-", from.as_str(), "- ", text.as_str()]),
        // Presence that was missed is nothing that a person could ask for.
        Notice::Gap { from_seq, to_seq, .. } if to_seq < from_seq => {}
        Notice::Gap { room, from_seq, to_seq } => {
            let (mut from, mut to) = (Buffer::new(), Buffer::new());
            let (from, to) = (from.format(from_seq.0), to.format(to_seq.0));
            line(&["* you missed ", from, " to ", to, " of ", room.as_str(), ", /history shows them"]);
        }
        Notice::Error(refusal) => encode_refusal(out, refusal, crlf),
        Notice::Bye(Bye { why, retry_ms: Some(retry_ms), .. }) => {
            line(&["* bye: ", why, ", come back in ", Buffer::new().format(retry_ms.div_ceil(1000)), "s"]);
        }
        Notice::Bye(Bye { why, retry_ms: None, .. }) => line(&["* bye: ", why]),
    }
}

const SET_TOPIC: &str = " set the topic: ";
const TO_ALL: &str = " to all groups: ";
const SET_CAPACITY: &str = " set the capacity to ";
const LISTS_COMMANDS: &str = ", /help lists the commands";

fn no_limit(capacity: u32) -> &'static str {
    if capacity == 0 { " (no limit)" } else { "" }
}

/// Each message of the past with its time of day. What else happened is told, too, where it was asked for.
fn encode_history(out: &mut Vec<u8>, history: &History, tz: &TimeZone, crlf: bool) {
    let mut number = Buffer::new();
    let mut shown = 0;
    for Entry { at, event, .. } in &history.events {
        let time = time_of_day(*at, tz);
        let time = str::from_utf8(&time).unwrap_or("??:??");
        let seats_changed;
        let parts: &[&str] = match event {
            Event::Created { .. } => continue,
            Event::Said { from, text, .. } => &["<", from.as_str(), "> ", text.as_str()],
            Event::Topic { from, text } => &[from.as_str(), SET_TOPIC, text.as_str()],
            Event::Announced { from, text } => &[from.as_str(), TO_ALL, text.as_str()],
            Event::Clapped { claps } => &["claps ", number.format(*claps)],
            Event::Grouped { participant, group, .. } => {
                &[participant.as_str(), " joined group ", number.format(*group)]
            }
            Event::Ungrouped { participant, group } => {
                &[participant.as_str(), " left group ", number.format(*group)]
            }
            Event::Seats(changes) => {
                seats_changed = seats::listed(&changes.seats);
                &["seats ", &seats_changed, " ", changes.now.status().as_str()]
            }
            Event::Capacity { from, capacity } => {
                &[from.as_str(), SET_CAPACITY, number.format(*capacity), no_limit(*capacity)]
            }
        };
        push_all(out, &["* ", time, " "]);
        push_line(out, parts, crlf);
        shown += 1;
    }
    if shown == 0 {
        push_line(out, &["* no messages in ", history.room.as_str()], crlf);
    }
}

/// `10:04`.
fn time_of_day(at: Timestamp, tz: &TimeZone) -> [u8; 5] {
    let time = tz.to_datetime(at.to_jiff());
    let digits = |n: i8| [b'0' + n.unsigned_abs() / 10, b'0' + n.unsigned_abs() % 10];
    let ([h, h2], [m, m2]) = (digits(time.hour()), digits(time.minute()));
    [h, h2, b':', m, m2]
}

/// How long something took, in its two largest units: `1h 12m`.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

fn push_line(out: &mut Vec<u8>, parts: &[&str], crlf: bool) {
    push_all(out, parts);
    out.extend_from_slice(if crlf { b"\r\n" } else { b"\n" });
}

fn push_all(out: &mut Vec<u8>, parts: &[&str]) {
    parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
}
