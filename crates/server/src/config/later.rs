//! Keys of parts that this version doesn't have: lobbies, shows, datagrams.
//!
//! A file that was written for all of Madang starts today. What it says of those parts is checked as far as its types
//! go, so that a slip shows now, and is warned of, so that nobody believes a door to be open. Nothing of it is kept.

use std::net::SocketAddr;
use std::time::Duration;

use super::keys;
use super::section::Section;

const NOT_YET: &str = "it is not part of this version";
/// No duration of these parts is longer than this.
const DURATION_MAX: Duration = Duration::from_secs(31_557_600);

/// `host_token_file`, lobbies and shows.
pub(super) fn top(top: &Section<'_>) {
    any_text(top, &["host_token_file"]);
    unused(top, &["host_token_file"]);
    for (name, lobby) in top.named_sections("lobby", &keys::LOBBY).unwrap_or_default() {
        lobby.integer("group_size", 1..=1000);
        any_text(&lobby, &["id_pattern"]);
        lobby.choice("duplicate", &[("refuse", ()), ("replace", ())]);
        lobby.duration("grace", Duration::ZERO..=DURATION_MAX);
        top.report.warning(lobby.line, format!("lobbies are not part of this version; {name:?} is not made"));
    }
    for show in top.sections("show", &keys::SHOW).unwrap_or_default() {
        self::show(&show);
    }
}

fn show(show: &Section<'_>) {
    any_text(show, &["title", "place"]);
    show.duration("hold_for", Duration::ZERO..=DURATION_MAX);
    for performance in show.sections("performances", &keys::PERFORMANCE).unwrap_or_default() {
        any_text(&performance, &["id", "at"]);
    }
    for seats in show.sections("seats", &keys::SEATS).unwrap_or_default() {
        any_text(&seats, &["section", "rows", "seats"]);
        seats.integer("price", 0..=i64::MAX.unsigned_abs());
    }
    let id = show.text("id", "text", |id| Some(id.to_owned())).unwrap_or_default();
    show.report.warning(show.line, format!("shows are not part of this version; {id:?} is not made"));
}

/// `seats_held`.
pub(super) fn limits(limits: &Section<'_>) {
    limits.integer("seats_held", 0..=u64::from(u32::MAX));
    unused(limits, &["seats_held"]);
}

/// A listener for datagrams.
pub(super) fn udp_listener(listener: &Section<'_>, bind: Option<SocketAddr>) {
    let bind = bind.map_or_else(|| "its address".to_owned(), |bind| bind.to_string());
    let what = format!("udp listeners are not part of this version; {bind} is not opened");
    listener.report.warning(listener.line_of("protocol"), what);
}

/// What datagrams need of a room.
pub(super) fn room(room: &Section<'_>) {
    room.flag("strangers_say");
    any_text(room, &["multicast", "multicast_interface"]);
    room.integer("multicast_ttl", 0..=255);
    unused(room, &["strangers_say", "multicast", "multicast_interface", "multicast_ttl"]);
}

fn any_text(section: &Section<'_>, keys: &[&'static str]) {
    for key in keys {
        section.text(key, "text", |_| Some(()));
    }
}

fn unused(section: &Section<'_>, keys: &[&'static str]) {
    for key in keys.iter().filter(|key| section.has(key)) {
        section.warning(key, NOT_YET);
    }
}
