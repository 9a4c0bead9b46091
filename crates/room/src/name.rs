//! Names of rooms and people: one spelling for reading, one for comparing.
//!
//! `Mina`, `mina` and `ｍｉｎａ` are one name, and so, for people, are names that only look alike (`mіna` with a
//! Cyrillic і). What is shown is the NFC form of what was typed; what is compared is NFKC, case folded, and for
//! nicknames the confusable skeleton of UTS #39, with digits left as they are (so that `Guest1` and `Guestl`
//! differ from each other only where people can see it).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use smol_str::{SmolStr, SmolStrBuilder, StrExt};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::text::is_invisible;

/// Bytes of UTF-8 in a room's name, as shown.
pub const ROOM_BYTES_MAX: usize = 64;
/// Bytes of UTF-8 in a nickname, as shown.
pub const NICK_BYTES_MAX: usize = 32;
/// Combining marks in a row in a name; more are refused.
pub const NAME_MARKS_MAX: usize = crate::text::MARKS_MAX;

/// Nicknames that nobody can take, beside `Guest` and digits: they would speak for the server.
const RESERVED: [&str; 5] = ["admin", "server", "system", "root", "host"];

/// Why a name can't be one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It has no character.
    #[error("a name needs at least one letter or digit")]
    Empty,
    /// It is longer than its kind of name may be.
    #[error("a name may have {max} bytes, this one has {bytes}")]
    TooLong {
        /// What it has.
        bytes: usize,
        /// What it may have.
        max: usize,
    },
    /// It holds a character that names may not have.
    #[error("a name has letters, digits, '-', '_' and '.', not {0:?}")]
    Char(char),
    /// A `/` stands where it can't.
    #[error("a '/' stands once in a room's name, between two names")]
    Slash,
    /// It stacks more than [`NAME_MARKS_MAX`] combining marks, or starts with one.
    #[error("a name has at most {NAME_MARKS_MAX} accents on one letter")]
    Marks,
}

/// A name as it is shown and as it is compared, in one small string, because there is one for each person and room:
/// the length of the former as a character, the former, and, only where it differs, the latter.
#[derive(Clone)]
struct Spelling(SmolStr);

const _: () = assert!(ROOM_BYTES_MAX < 128 && NICK_BYTES_MAX < 128, "the length is one byte of UTF-8");

impl Spelling {
    fn new(shown: &str, key: &str) -> Spelling {
        let mut both = SmolStrBuilder::new();
        both.push(char::from(shown.len() as u8));
        both.push_str(shown);
        if key != shown {
            both.push_str(key);
        }
        Spelling(both.finish())
    }

    fn shown(&self) -> &str {
        self.parts().0
    }

    fn key(&self) -> &str {
        let (shown, key) = self.parts();
        if key.is_empty() { shown } else { key }
    }

    fn parts(&self) -> (&str, &str) {
        let (length, names) = self.0.split_at(1);
        names.split_at(usize::from(length.as_bytes()[0]))
    }
}

/// The name of a room: 1 to [`ROOM_BYTES_MAX`] bytes of letters, digits, `-`, `_`, `.`, and at most one `/`.
/// Cloning counts a reference: a room's name is kept by each of its members and by all who know the room.
#[derive(Clone)]
pub struct RoomName(Arc<Spelling>);

impl RoomName {
    /// Checks and normalises a name.
    pub fn parse(raw: &str) -> Result<RoomName, NameError> {
        let shown = normalised(raw, ROOM_BYTES_MAX, true)?;
        Ok(RoomName(Arc::new(Spelling::new(&shown, &folded(&shown)))))
    }

    /// The name as people read it.
    pub fn as_str(&self) -> &str {
        self.0.shown()
    }

    /// The name as it is compared and stored under.
    pub fn key(&self) -> &str {
        self.0.key()
    }

    /// What stands before the `/`, or all of it: rooms that share it live together.
    pub fn family(&self) -> &str {
        self.key().split('/').next().unwrap_or(self.key())
    }

    /// The room with this number inside this one: `day19/3`. The caller has seen to it that the name is no inner
    /// one and leaves room for `/` and ten digits.
    pub(crate) fn numbered(&self, number: u32) -> RoomName {
        let within = |name: &str| smol_str::format_smolstr!("{name}/{number}");
        RoomName(Arc::new(Spelling::new(&within(self.as_str()), &within(self.key()))))
    }

    /// Is it a room inside another one (`day19/3`)? Only lobbies and shows make those.
    pub fn is_inner(&self) -> bool {
        self.key().contains('/')
    }
}

/// A person's name: 1 to [`NICK_BYTES_MAX`] bytes of letters, digits, `-`, `_`, `.`.
#[derive(Clone)]
pub struct Nick(Spelling);

impl Nick {
    /// Checks and normalises a nickname. It may be a reserved one: ask [`Nick::is_reserved`] before giving it out.
    pub fn parse(raw: &str) -> Result<Nick, NameError> {
        let shown = normalised(raw, NICK_BYTES_MAX, false)?;
        Ok(Nick(Spelling::new(&shown, &skeleton(&folded(&shown)))))
    }

    /// The name of the `number`th newcomer.
    pub fn guest(number: u64) -> Nick {
        let shown: SmolStr = smol_str::format_smolstr!("Guest{number}");
        Nick(Spelling::new(&shown, &shown.to_lowercase_smolstr()))
    }

    /// The name under which the server itself makes rooms.
    pub fn server() -> Nick {
        let shown = SmolStr::new_static("server");
        Nick(Spelling::new(&shown, &skeleton(&shown)))
    }

    /// May nobody take it? (`Guest` and digits, and names that would speak for the server.)
    pub fn is_reserved(&self) -> bool {
        let guest = self.key().strip_prefix("guest");
        guest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
            || RESERVED.iter().any(|name| self.key() == skeleton(name))
    }

    /// The name as people read it.
    pub fn as_str(&self) -> &str {
        self.0.shown()
    }

    /// The name as it is compared: two people can't have the same.
    pub fn key(&self) -> &str {
        self.0.key()
    }
}

macro_rules! compared_by_key {
    ($name:ident) => {
        impl Eq for $name {}
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                self.key().hash(state);
            }
        }
        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.key().cmp(other.key())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.as_str())
            }
        }
    };
}
compared_by_key!(RoomName);
compared_by_key!(Nick);

impl PartialEq for RoomName {
    fn eq(&self, other: &Self) -> bool {
        // Most of the time it is the same one.
        Arc::ptr_eq(&self.0, &other.0) || self.key() == other.key()
    }
}

impl PartialEq for Nick {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

/// The NFC form of `raw`, if it has only what names may have.
fn normalised(raw: &str, bytes_max: usize, slash_allowed: bool) -> Result<SmolStr, NameError> {
    // Names come from outside: look at no more of them than could still be valid once composed.
    if raw.len() > 4 * bytes_max {
        return Err(NameError::TooLong { bytes: raw.len(), max: bytes_max });
    }
    let shown: SmolStr = if raw.is_ascii() { raw.into() } else { raw.nfc().collect() };
    if shown.is_empty() {
        return Err(NameError::Empty);
    }
    let mut marks = 0;
    for (at, c) in shown.char_indices() {
        let is_mark = is_combining_mark(c);
        marks = if is_mark { marks + 1 } else { 0 };
        match c {
            _ if is_invisible(c) => return Err(NameError::Char(c)),
            '-' | '_' | '.' => {}
            '/' if slash_allowed => {
                let (before, after) = (&shown[..at], &shown[at + 1..]);
                if before.is_empty() || after.is_empty() || after.contains('/') {
                    return Err(NameError::Slash);
                }
            }
            _ if is_mark && (at == 0 || marks > NAME_MARKS_MAX) => return Err(NameError::Marks),
            _ if c.is_alphanumeric() || is_mark => {}
            _ => return Err(NameError::Char(c)),
        }
    }
    if shown.len() > bytes_max {
        return Err(NameError::TooLong { bytes: shown.len(), max: bytes_max });
    }
    Ok(shown)
}

/// NFKC and case folded, so that width, case and composition make no difference.
pub(crate) fn folded(shown: &SmolStr) -> SmolStr {
    if shown.is_ascii() {
        return if shown.bytes().any(|b| b.is_ascii_uppercase()) {
            shown.to_lowercase_smolstr()
        } else {
            shown.clone()
        };
    }
    let compatible: String = shown.nfkc().collect();
    caseless::default_case_fold_str(&compatible).nfkc().collect()
}

/// The confusable skeleton (UTS #39), with digits left as they are.
fn skeleton(folded: &str) -> SmolStr {
    let mut key = SmolStrBuilder::new();
    let mut rest = folded;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        key.push_str(&rest[..digits]);
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let look: String = unicode_security::skeleton(&rest[..letters]).collect();
        key.push_str(&caseless::default_case_fold_str(&look));
        rest = &rest[letters..];
    }
    key.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn same(a: &str, b: &str) -> bool {
        Nick::parse(a).unwrap() == Nick::parse(b).unwrap()
    }

    #[test]
    fn names_that_only_look_different_are_one() {
        assert!(same("Mina", "mina"));
        assert!(same("mina", "ｍｉｎａ"));
        assert!(same("mina", "mіna"), "Cyrillic і");
        assert!(same("admin", "аdmin"), "Cyrillic а");
        assert!(same("Straße", "STRASSE"));
        assert!(same("민아", "민아"), "composed and decomposed Hangul");
        assert!(!same("mina", "jun"));
        assert!(!same("Guest1", "Guestl"), "digits are left as they are");
        assert!(!same("a0", "aO"));
        assert_eq!(RoomName::parse("Plaza").unwrap(), RoomName::parse("ＰＬＡＺＡ").unwrap());
    }

    #[test]
    fn a_name_is_shown_as_it_was_typed_in_nfc() {
        assert_eq!(Nick::parse("Mina").unwrap().as_str(), "Mina");
        assert_eq!(Nick::parse("민아").unwrap().as_str(), "민아");
    }

    #[test]
    fn some_names_speak_for_the_server() {
        for name in [
            "admin",
            "Admin",
            "аdmin",
            "SYSTEM",
            "root",
            "host",
            "server",
            "Guest1",
            "guest007",
            "ＧＵＥＳＴ2",
        ] {
            assert!(Nick::parse(name).unwrap().is_reserved(), "{name}");
        }
        for name in ["guest", "guesty", "hosts", "mina", "Guest1a"] {
            assert!(!Nick::parse(name).unwrap().is_reserved(), "{name}");
        }
        assert_eq!(Nick::guest(7), Nick::parse("guest7").unwrap());
    }

    #[test]
    fn what_is_no_name_is_told_why() {
        assert_eq!(Nick::parse(""), Err(NameError::Empty));
        for (name, c) in [
            ("two words", ' '),
            ("mi\u{200b}na", '\u{200b}'),
            ("mi\u{202e}na", '\u{202e}'),
            ("\u{3164}", '\u{3164}'),
            ("a\u{1b}[0m", '\u{1b}'),
            ("a\u{9b}b", '\u{9b}'),
            ("a/b", '/'),
            ("😀", '😀'),
            ("a\u{fe0f}", '\u{fe0f}'),
        ] {
            assert_eq!(Nick::parse(name), Err(NameError::Char(c)), "{name:?}");
        }
        assert_eq!(Nick::parse(&"x".repeat(33)), Err(NameError::TooLong { bytes: 33, max: 32 }));
        assert_eq!(Nick::parse("\u{301}a"), Err(NameError::Marks));
        assert_eq!(Nick::parse("x\u{323}\u{332}\u{333}\u{345}\u{317}"), Err(NameError::Marks));
        for room in ["/a", "a/", "a/b/c", "/"] {
            assert_eq!(RoomName::parse(room), Err(NameError::Slash), "{room}");
        }
        assert!(RoomName::parse(&"x".repeat(65)).is_err());
    }

    #[test]
    fn a_rooms_family_is_what_stands_before_the_slash() {
        let group = RoomName::parse("Day19/3").unwrap();
        assert_eq!((group.family(), group.is_inner()), ("day19", true));
        assert_eq!(RoomName::parse("plaza").unwrap().family(), "plaza");
    }

    proptest! {
        #[test]
        fn what_is_shown_parses_again_to_the_same_name(raw in "[\\p{L}\\p{N}\\p{M}._/-]{1,40}") {
            if let Ok(name) = RoomName::parse(&raw) {
                let again = RoomName::parse(name.as_str()).unwrap();
                prop_assert_eq!(again.as_str(), name.as_str());
                prop_assert_eq!(again.key(), name.key());
            }
            if let Ok(nick) = Nick::parse(&raw) {
                let again = Nick::parse(nick.as_str()).unwrap();
                prop_assert_eq!(again.key(), nick.key());
                prop_assert!(nick.as_str().chars().all(|c| !c.is_control() && !is_invisible(c)));
            }
        }

        #[test]
        fn any_bytes_are_a_name_or_an_error(raw in "\\PC{0,100}|.{0,100}") {
            let _ = RoomName::parse(&raw);
            let _ = Nick::parse(&raw);
        }
    }
}
