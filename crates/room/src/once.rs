//! Who asked, and how to ask again without its happening twice.

use std::collections::{HashMap, VecDeque};
use std::fmt;

use smol_str::SmolStr;

use crate::Seq;

/// Bytes in an idempotency key.
pub const KEY_BYTES_MAX: usize = 64;

/// The identity of a session: 128 random bits, made by the server. It is no secret; its `resume` token is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub [u8; 16]);

impl SessionId {
    /// The server itself: what it does of its own accord is nobody's session.
    pub const SERVER: SessionId = SessionId([0; 16]);

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<SessionId> {
        let hex = text.strip_prefix("s_").filter(|hex| hex.len() == 32 && hex.is_ascii())?;
        let mut id = [0; 16];
        for (byte, digits) in id.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let digit = |c: u8| (c as char).to_digit(16).filter(|_| !c.is_ascii_uppercase());
            *byte = (digit(digits[0])? * 16 + digit(digits[1])?) as u8;
        }
        Some(SessionId(id))
    }
}

/// `s_` and 32 hexadecimal digits.
impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("s_")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a client calls one command, so that asking again finds the first answer: 1 to [`KEY_BYTES_MAX`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(SmolStr);

impl Key {
    /// `None` where `raw` is empty or longer than [`KEY_BYTES_MAX`].
    pub fn parse(raw: &str) -> Option<Key> {
        (1..=KEY_BYTES_MAX).contains(&raw.len()).then(|| Key(raw.into()))
    }

    /// The key as the client gave it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A command's name across the whole server: the session's own key. Stored with the event that the command became.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Once {
    /// Whose key it is: another session's equal key is another command.
    pub session: SessionId,
    /// The key.
    pub key: Key,
}

/// What the kept events say of commands that had a key. As many as the log keeps events, at most.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Remembered<T> {
    by_key: HashMap<Once, (Seq, T)>,
    /// The same, oldest first: what `trim` takes from.
    in_order: VecDeque<(Seq, Once)>,
}

impl<T> Default for Remembered<T> {
    fn default() -> Remembered<T> {
        Remembered { by_key: HashMap::new(), in_order: VecDeque::new() }
    }
}

impl<T> Remembered<T> {
    pub(crate) fn find(&self, once: &Once) -> Option<&(Seq, T)> {
        self.by_key.get(once)
    }

    pub(crate) fn insert(&mut self, seq: Seq, once: Once, what: T) {
        self.in_order.push_back((seq, once.clone()));
        self.by_key.insert(once, (seq, what));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.in_order.is_empty()
    }

    /// Forgets what happened before `first`.
    pub(crate) fn trim(&mut self, first: Seq) {
        while let Some((seq, once)) = self.in_order.pop_front_if(|(seq, _)| *seq < first) {
            // A log that holds a key twice (no `decide` makes one) keeps the later.
            if self.by_key.get(&once).is_some_and(|(last, _)| *last == seq) {
                self.by_key.remove(&once);
            }
        }
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Seq, &Once, &T)> {
        self.in_order.iter().filter_map(|(seq, once)| {
            let (_, what) = self.by_key.get(once).filter(|(last, _)| last == seq)?;
            Some((*seq, once, what))
        })
    }
}

/// FNV-1a, 64 bits: tells a repeated command from another one with the same key. It is stored, so it never changes;
/// a collision that somebody makes on purpose only confuses their own keys.
pub(crate) fn fingerprint(content: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    content.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_id_reads_what_it_writes() {
        let id = SessionId(*b"\x00\x9f\xff0123456789abc");
        assert_eq!(SessionId::parse(&id.to_string()), Some(id));
        for wrong in
            ["", "s_", "009fff", "s_zz9fff30313233343536373839616263", "s_+f9fff30313233343536373839616263"]
        {
            assert_eq!(SessionId::parse(wrong), None, "{wrong}");
        }
        assert_eq!(SessionId::parse(&id.to_string().to_uppercase().replace("S_", "s_")), None);
    }

    #[test]
    fn a_key_has_a_length() {
        assert!(Key::parse("").is_none());
        assert!(Key::parse(&"k".repeat(KEY_BYTES_MAX)).is_some());
        assert!(Key::parse(&"k".repeat(KEY_BYTES_MAX + 1)).is_none());
    }
}
