//! Lobbies and shows, as a file has them.

use std::sync::Arc;
use std::time::Duration;

use madang_room::{
    Duplicate, IdPattern, LOBBY_BYTES_MAX, Lobby, LobbySettings, RoomName, SeatArea, SeatMap, Text,
};
use smol_str::SmolStr;

use super::keys;
use super::section::Section;
use super::{LobbyRule, PerformanceRule, ShowRule};

/// Places in a group: it is a group in which people hear each other, not a crowd.
const GROUP_SIZE_MAX: u64 = 1_000;
/// A place or a seat that is kept longer is not given back.
const KEPT_MAX: Duration = Duration::from_secs(31_557_600);
/// Bytes of a date with its time and zone; what is longer is none.
const AT_BYTES_MAX: usize = 64;

/// The lobbies, in the order of their names.
pub(super) fn lobbies(top: &Section<'_>) -> Vec<LobbyRule> {
    let sections = top.named_sections("lobby", &keys::LOBBY).unwrap_or_default();
    let mut lobbies: Vec<LobbyRule> = Vec::new();
    for (name, section) in &sections {
        let Some(lobby) = lobby(name, section) else { continue };
        if lobbies.iter().any(|earlier| earlier.name == lobby.name) {
            section.mistaken("is a second lobby of that name: case and width of a name make no difference");
        }
        lobbies.push(lobby);
    }
    lobbies
}

fn lobby(name: &str, section: &Section<'_>) -> Option<LobbyRule> {
    let group_size = section.integer("group_size", 1..=GROUP_SIZE_MAX).unwrap_or(4) as u32;
    let takes = "the first and the last of the ids with a '-' between them, such as \"J001-J384\"";
    let pattern = section.text("id_pattern", takes, |text| IdPattern::parse(text).ok());
    let duplicate =
        section.choice("duplicate", &[("refuse", Duplicate::Refuse), ("replace", Duplicate::Replace)]);
    let grace = section.duration("grace", Duration::ZERO..=KEPT_MAX);
    let Some(name) = RoomName::parse(name).ok().filter(|name| Lobby::check_name(name).is_ok()) else {
        section.mistaken(&format!(
            "is no name of a lobby: 1 to {LOBBY_BYTES_MAX} bytes of letters, digits, '-', '_' and '.'"
        ));
        return None;
    };
    let pattern = pattern.or_else(|| IdPattern::parse("J001-J384").ok())?;
    let settings = LobbySettings { group_size, pattern, duplicate: duplicate.unwrap_or_default() };
    Some(LobbyRule { name, settings, grace: grace.unwrap_or(Duration::from_secs(10)) })
}

/// The shows, in their order.
pub(super) fn shows(top: &Section<'_>, lobbies: &[LobbyRule]) -> Vec<ShowRule> {
    let mut shows: Vec<ShowRule> = Vec::new();
    for section in top.sections("show", &keys::SHOW).unwrap_or_default() {
        let Some(show) = show(&section) else { continue };
        if shows.iter().any(|earlier| earlier.id == show.id) {
            section.mistake("id", &format!("is {:?} for a second time, each show needs its own", show.id()));
        }
        if lobbies.iter().any(|lobby| lobby.name == show.id) {
            section.mistake("id", &format!("is {:?}, which is a lobby; take another name", show.id()));
        }
        shows.push(show);
    }
    shows
}

/// Everything is read before anything is decided: each key has its chance to be reported.
fn show(section: &Section<'_>) -> Option<ShowRule> {
    let takes = "a name: letters, digits, '-', '_' and '.'";
    let id = section.text("id", takes, |id| RoomName::parse(id).ok().filter(|id| !id.is_inner()));
    let takes = "text of 1 to 4096 bytes";
    let title = section.text("title", takes, |title| Text::parse(title).ok());
    let place = section.text("place", takes, |place| Text::parse(place).ok());
    let hold_for = section.duration("hold_for", Duration::from_secs(1)..=KEPT_MAX);
    let map = seats(section);
    let performances = section.sections("performances", &keys::PERFORMANCE);
    let performances =
        performances.map(|all| all.iter().map(performance).collect::<Vec<Option<(SmolStr, SmolStr)>>>());
    for (key, what) in [
        ("id", "such as \"hamlet\""),
        ("performances", "such as [{ id = \"1\", at = \"2026-12-24T19:30:00+09:00\" }]"),
        ("seats", "such as [{ section = \"A\", rows = \"1-10\", seats = \"1-20\", price = 50000 }]"),
    ] {
        if !section.has(key) {
            section.mistake(key, &format!("is missing, {what}"));
        }
    }
    let (id, map) = (id?, map?);
    let performances = performances?.into_iter().collect::<Option<Vec<_>>>()?;
    if performances.is_empty() {
        section.mistake("performances", "is an empty list, a show has at least one");
    }
    let mut rules: Vec<PerformanceRule> = Vec::new();
    for (performance, at) in performances {
        let Ok(room) = RoomName::parse(&format!("{id}/{performance}")) else {
            let what = format!("has {performance:?}, which with {:?} is no name of 64 bytes", id.as_str());
            section.mistake("performances", &what);
            continue;
        };
        if rules.iter().any(|earlier| earlier.room == room) {
            section.mistake("performances", &format!("has {performance:?} twice, each needs its own id"));
        }
        rules.push(PerformanceRule { room, at });
    }
    let title = title.or_else(|| Text::parse(id.as_str()).ok())?;
    let hold_for = hold_for.unwrap_or(Duration::from_secs(300));
    Some(ShowRule { id, title, place, hold_for, map: Arc::new(map), performances: rules })
}

/// A performance's id and when it is.
fn performance(section: &Section<'_>) -> Option<(SmolStr, SmolStr)> {
    let takes = "a name: letters, digits, '-', '_' and '.'";
    let id = section.text("id", takes, |id| {
        RoomName::parse(id).ok().filter(|id| !id.is_inner()).map(|id| SmolStr::new(id.as_str()))
    });
    let takes = "a date with time and zone, such as \"2026-12-24T19:30:00+09:00\"";
    let at = section.text("at", takes, |at| {
        let is_moment = at.len() <= AT_BYTES_MAX && at.parse::<jiff::Timestamp>().is_ok();
        is_moment.then(|| SmolStr::new(at))
    });
    for key in ["id", "at"] {
        if !section.has(key) {
            section.mistake(key, "is missing, each performance has an id and a time");
        }
    }
    id.zip(at)
}

fn seats(section: &Section<'_>) -> Option<SeatMap> {
    let areas = section.sections("seats", &keys::SEATS)?;
    let areas: Vec<Option<SeatArea>> = areas.iter().map(area).collect();
    let map = SeatMap::new(areas.into_iter().collect::<Option<Vec<SeatArea>>>()?);
    // It names the field itself: `seats[0].rows`.
    map.map_err(|error| section.report.mistake(section.line_of("seats"), format!("show.{error}"))).ok()
}

fn area(section: &Section<'_>) -> Option<SeatArea> {
    let text = |key| section.text(key, "text", |text| Some(text.to_owned()));
    let (name, rows, seats) = (text("section"), text("rows"), text("seats"));
    let price = section.integer("price", 0..=i64::MAX.unsigned_abs());
    for key in ["section", "rows", "seats"] {
        if !section.has(key) {
            section.mistake(key, "is missing, such as section = \"A\", rows = \"1-10\", seats = \"1-20\"");
        }
    }
    Some(SeatArea { section: name?, rows: rows?, seats: seats?, price: price.unwrap_or(0) })
}
