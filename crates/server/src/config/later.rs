//! Keys of a part that this version doesn't have: datagrams.
//!
//! A file that was written for all of Madang starts today. What it says of that part is checked as far as its types go,
//! so that a slip shows now, and is warned of, so that nobody believes a door to be open. Nothing of it is kept.

use std::net::SocketAddr;

use super::section::Section;

const NOT_YET: &str = "it is not part of this version";

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
