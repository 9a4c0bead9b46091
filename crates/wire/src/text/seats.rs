//! Shows and seats as people read them: lists, and a drawing of the house.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use madang_room::{SeatId, SeatStatus, Timestamp};

use crate::wording::printable;
use crate::{PerformanceRow, Seating, ShowRow, Watching};

/// What a seat is drawn as.
const FREE: char = '.';
const HELD: char = 'o';
const RESERVED: char = 'x';
const MINE: char = '@';

/// `A-1-4, A-1-5`.
pub(super) fn listed(seats: &[SeatId]) -> String {
    seats.iter().map(SeatId::as_str).collect::<Vec<_>>().join(", ")
}

/// A line for each performance: `hamlet/1: Hamlet, Small stage, 2026-12-24 19:30, 180 free`.
pub(super) fn encode_shows(shows: &[ShowRow], mut line: impl FnMut(&[&str])) {
    for ShowRow { title, place, performances, .. } in shows {
        let place = place.as_ref().map_or(String::new(), |place| format!(", {place}"));
        for PerformanceRow { performance, at, free } in performances {
            let (at, free) = (date_and_time(at), free.to_string());
            line(&[
                "* ",
                performance.as_str(),
                ": ",
                title.as_str(),
                &place,
                ", ",
                &at,
                ", ",
                &free,
                " free",
            ]);
        }
    }
    if shows.iter().all(|show| show.performances.is_empty()) {
        line(&["* there are no shows"]);
    }
}

/// An RFC 3339 time as people of that place read it.
fn date_and_time(at: &str) -> String {
    match (at.get(..10), at.get(11..16)) {
        (Some(date), Some(time)) => printable(&format!("{date} {time}")),
        _ => printable(at),
    }
}

/// How many seats are free, and what is the reader's own.
pub(super) fn encode_watching(watching: &Watching, tz: &TimeZone, mut line: impl FnMut(&[&str])) {
    let Watching { joined, status, mine, .. } = watching;
    line(&["* watching ", joined.room.as_str(), ": ", &free_of(status), ", /seats shows them"]);
    let mut until: BTreeMap<Timestamp, Vec<SeatId>> = BTreeMap::new();
    mine.iter().for_each(|(seat, end)| until.entry(*end).or_default().push(seat.clone()));
    until.iter().for_each(|(end, seats)| encode_held(seats, *end, tz, &mut line));
}

/// `you hold A-1-4, A-1-5 until 19:35:10`.
pub(super) fn encode_held(seats: &[SeatId], until: Timestamp, tz: &TimeZone, mut line: impl FnMut(&[&str])) {
    let end = tz.to_datetime(until.to_jiff());
    let end = format!("{:02}:{:02}:{:02}", end.hour(), end.minute(), end.second());
    line(&["* you hold ", &listed(seats), " until ", &end]);
}

fn free_of(status: &[SeatStatus]) -> String {
    let free = status.iter().filter(|status| **status == SeatStatus::Free).count();
    format!("{free} of {} free", status.len())
}

/// Draws the house: each section with its rows from the front, and in them a sign for each seat, one above the other
/// where their numbers are the same. A blank is an aisle.
pub(super) fn draw(seating: &Seating, mut line: impl FnMut(&[&str])) {
    let Seating { performance, map, status, mine, .. } = seating;
    let signs = format!("{FREE} free, {HELD} held, {RESERVED} reserved, {MINE} yours");
    line(&["* ", performance.as_str(), ": ", &free_of(status), " (", &signs, ")"]);
    let mine: BTreeSet<usize> = mine.iter().filter_map(|seat| map.find(seat)).collect();
    let sign = |at: usize| match status.get(at) {
        _ if mine.contains(&at) => MINE,
        Some(SeatStatus::Free) => FREE,
        Some(SeatStatus::Held) => HELD,
        Some(SeatStatus::Reserved) | None => RESERVED,
    };
    let rows: Vec<_> = map.rows().collect();
    for section in rows.chunk_by(|a, b| a.section == b.section) {
        let seats = section.iter().flat_map(|row| row.seats.clone());
        let columns: BTreeSet<u16> = seats.filter_map(|at| map.number(at)).collect();
        let (first, last) = (columns.first().unwrap_or(&0), columns.last().unwrap_or(&0));
        line(&["* section ", section[0].section, ", seats ", &format!("{first} to {last}")]);
        for row in section {
            let mut seats = row.seats.clone().peekable();
            let mut drawn = String::new();
            let mut before = None;
            for column in &columns {
                if before.is_some_and(|before: u16| before + 1 < *column) {
                    drawn.push(' ');
                }
                before = Some(*column);
                let here = seats.next_if(|at| map.number(*at) == Some(*column));
                drawn.push(here.map_or(' ', sign));
            }
            line(&["* ", &format!("{:>4} ", row.row), drawn.trim_end()]);
        }
    }
}
