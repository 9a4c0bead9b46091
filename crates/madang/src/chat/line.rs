//! One line to show, in the text form of the protocol, with or without colours. Everything that came from elsewhere
//! loses its control characters here, whatever the server let through: a [`Line`] may be printed.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Something to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// The room, where it is not the current one.
    pub(crate) room: Option<String>,
    /// When it happened, if not now.
    pub(crate) at: Option<Timestamp>,
    pub(crate) kind: Kind,
}

/// What kind of line it is. Protocol, section 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `<mina> hello`
    Said { from: String, text: String },
    /// `-mina- hello`
    Told { from: String, text: String },
    /// `-> mina: hello`
    Receipt { to: String, text: String },
    /// `* 10:04 <mina> hello`
    Past { from: String, text: String },
    /// `* mina joined`
    Note(String),
    /// `! code: message`
    Refusal { code: String, message: String },
    /// About the connection. The server has no such lines; without a terminal they go to standard error.
    Connection(String),
}

impl Line {
    pub(crate) fn new(kind: Kind) -> Line {
        Line { room: None, at: None, kind }
    }

    pub(crate) fn note(text: String) -> Line {
        Line::new(Kind::Note(text))
    }

    pub(crate) fn refusal(code: &str, message: &str) -> Line {
        Line::new(Kind::Refusal { code: code.to_owned(), message: message.to_owned() })
    }

    pub(crate) fn connection(text: impl Into<String>) -> Line {
        Line::new(Kind::Connection(text.into()))
    }

    pub(crate) fn in_room(mut self, room: Option<String>) -> Line {
        self.room = room;
        self
    }

    /// As the text door would write it.
    pub(crate) fn plain(&self) -> String {
        self.write(&Paint::OFF, false)
    }

    /// For a terminal: with the time, and colours if wanted.
    pub(crate) fn fancy(&self, colours: bool) -> String {
        self.write(if colours { &Paint::ON } else { &Paint::OFF }, true)
    }

    fn write(&self, paint: &Paint, with_time: bool) -> String {
        let mut out = String::new();
        let time = clock(self.at, &TimeZone::system());
        if with_time && !matches!(self.kind, Kind::Past { .. }) {
            out += &paint.dim(&format!("{time} "));
        }
        if let Some(room) = &self.room {
            out += &paint.dim(&format!("[{}] ", clean(room)));
        }
        out += &match &self.kind {
            Kind::Said { from, text } => format!("<{}> {}", paint.name(from), clean(text)),
            Kind::Told { from, text } => format!("-{}- {}", paint.name(from), paint.strong(&clean(text))),
            Kind::Receipt { to, text } => format!("-> {}: {}", paint.name(to), clean(text)),
            Kind::Past { from, text } => {
                format!("{} <{}> {}", paint.dim(&format!("* {time}")), paint.name(from), clean(text))
            }
            Kind::Note(text) => paint.dim(&format!("* {}", clean(text))),
            Kind::Refusal { code, message } => paint.warn(&format!("! {}: {}", clean(code), clean(message))),
            Kind::Connection(text) => paint.warn(&clean(text)),
        };
        out
    }
}

/// `at`, or now, as people there read a clock.
fn clock(at: Option<Timestamp>, zone: &TimeZone) -> String {
    at.unwrap_or_else(Timestamp::now).to_zoned(zone.clone()).strftime("%H:%M").to_string()
}

/// Takes out what could steer a terminal or reorder a line; a TAB becomes a space.
pub(crate) fn clean(text: &str) -> String {
    let kept = text.chars().filter_map(|c| match c {
        '\t' => Some(' '),
        c if c.is_control() => None,
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => None,
        c => Some(c),
    });
    kept.collect()
}

/// ANSI colours, or none.
struct Paint {
    on: bool,
}

/// Readable on light and on dark backgrounds: no black, no white.
const NAME_COLOURS: [u8; 12] = [31, 32, 33, 34, 35, 36, 91, 92, 93, 94, 95, 96];

impl Paint {
    const ON: Paint = Paint { on: true };
    const OFF: Paint = Paint { on: false };

    fn name(&self, name: &str) -> String {
        self.code(name_colour(name), &clean(name))
    }

    fn dim(&self, text: &str) -> String {
        self.code(2, text)
    }

    fn strong(&self, text: &str) -> String {
        self.code(1, text)
    }

    fn warn(&self, text: &str) -> String {
        self.code(33, text)
    }

    fn code(&self, code: u8, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The same for the same name, here and on everybody else's screen (FNV-1a).
fn name_colour(name: &str) -> u8 {
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    NAME_COLOURS[hash as usize % NAME_COLOURS.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Line {
        Line::new(Kind::Said { from: "mina".into(), text: text.into() })
    }

    #[test]
    fn without_a_terminal_it_is_the_text_door() {
        let told = Kind::Told { from: "mina".into(), text: "hi".into() };
        let receipt = Kind::Receipt { to: "mina".into(), text: "hi".into() };
        assert_eq!(said("hello").plain(), "<mina> hello");
        assert_eq!(said("hello").in_room(Some("garden".into())).plain(), "[garden] <mina> hello");
        assert_eq!(Line::new(told).plain(), "-mina- hi");
        assert_eq!(Line::new(receipt).plain(), "-> mina: hi");
        assert_eq!(Line::note("mina joined".into()).plain(), "* mina joined");
        assert_eq!(Line::refusal("room_full", "no place").plain(), "! room_full: no place");
    }

    #[test]
    fn nothing_that_was_received_steers_the_terminal() {
        let evil = "a\x1b]0;title\x07b\u{9b}31mc\rd\ne\u{85}f\u{202e}g\u{2028}h\ti";
        let line = said(evil).plain();
        assert_eq!(line, "<mina> a]0;titleb31mcdefgh i");
        let named = Line::new(Kind::Said { from: "m\x1b[2Jina".into(), text: "x".into() });
        assert_eq!(named.plain(), "<m[2Jina> x");
        let fancy = said(evil).fancy(true).replace("\x1b[0m", "");
        let escapes = fancy.matches('\x1b').count();
        assert_eq!(escapes, 2, "one for the time, one for the name: {fancy:?}");
    }

    #[test]
    fn a_name_has_one_of_twelve_colours_and_keeps_it() {
        assert_eq!(name_colour("mina"), name_colour("mina"));
        let colours: std::collections::BTreeSet<u8> =
            (0..200).map(|n| name_colour(&format!("Guest{n}"))).collect();
        assert_eq!(colours.len(), 12);
    }

    #[test]
    fn times_are_local() {
        let at: Timestamp = "2026-11-20T10:04:59.123Z".parse().unwrap();
        let seoul = TimeZone::fixed(jiff::tz::offset(9));
        assert_eq!(clock(Some(at), &seoul), "19:04");
    }
}
