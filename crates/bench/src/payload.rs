//! What a message says: who sent it, its number and when, in letters that every text protocol passes on as they are.
//!
//! Forty bytes, each field eight letters from `a` to `p` (four bits a letter, the most significant first), then padding:
//!
//! ```text
//! mb 6 letters: this run | publisher | counter | when it was to be sent, in ns since the run began (16) | xxxx...
//! ```
//!
//! Eight letters are one machine word, so that reading a field takes a handful of instructions and no loop: the
//! generator reads this for each delivery, and it has to stay far cheaper than the server that it measures.

use memchr::memmem;

/// Bytes of a payload without padding: the least that `--size` takes.
pub const PAYLOAD_BYTES_MIN: usize = 40;

/// What one payload says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    /// Which publisher sent it, counted over all rooms.
    pub(crate) publisher: u32,
    /// Which message of this publisher it is, from 0.
    pub(crate) counter: u32,
    /// When it was to be sent, in nanoseconds since the run began.
    pub(crate) due_ns: u64,
}

/// How the payloads of one run are written and found.
#[derive(Clone, Debug)]
pub(crate) struct Format {
    tag: [u8; 8],
    padding: Vec<u8>,
    /// How far before its end the payload began in the line found last. Servers put the same text after it each
    /// time, so the next one is looked for there first.
    hint: usize,
}

/// What a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A payload of this run, whole.
    Payload(Payload),
    /// The tag of this run, and then something that was never sent.
    Damaged,
    /// Something else: a greeting, who came, somebody's words.
    Other,
}

impl Format {
    /// The payloads of the run `run` (24 bits of it), `size` bytes each; fewer than [`PAYLOAD_BYTES_MIN`] are that many.
    pub(crate) fn new(run: u32, size: usize) -> Format {
        let mut tag = letters(run);
        tag[..2].copy_from_slice(b"mb");
        let padding = vec![b'x'; size.saturating_sub(PAYLOAD_BYTES_MIN)];
        let hint = PAYLOAD_BYTES_MIN + padding.len();
        Format { tag, padding, hint }
    }

    /// Appends a payload to `out`.
    pub(crate) fn write(&self, payload: Payload, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.tag);
        out.extend_from_slice(&letters(payload.publisher));
        out.extend_from_slice(&letters(payload.counter));
        out.extend_from_slice(&letters((payload.due_ns >> 32) as u32));
        out.extend_from_slice(&letters(payload.due_ns as u32));
        out.extend_from_slice(&self.padding);
    }

    /// Looks for a payload in a line.
    pub(crate) fn find(&mut self, line: &[u8]) -> Found {
        let guess = line.len().wrapping_sub(self.hint);
        if let Some(rest) = line.get(guess..)
            && rest.starts_with(&self.tag)
        {
            return self.read(rest);
        }
        match memmem::find(line, &self.tag) {
            Some(at) => {
                self.hint = line.len() - at;
                self.read(&line[at..])
            }
            None => Found::Other,
        }
    }

    fn read(&self, bytes: &[u8]) -> Found {
        let size = PAYLOAD_BYTES_MIN + self.padding.len();
        let fields = match bytes.get(8..size) {
            Some(rest) if rest[PAYLOAD_BYTES_MIN - 8..] == self.padding[..] => rest,
            _ => return Found::Damaged,
        };
        let field = |nr: usize| number(fields.get(nr * 8..)?.first_chunk()?);
        match (field(0), field(1), field(2), field(3)) {
            (Some(publisher), Some(counter), Some(high), Some(low)) => {
                Found::Payload(Payload { publisher, counter, due_ns: u64::from(high) << 32 | u64::from(low) })
            }
            _ => Found::Damaged,
        }
    }
}

/// The six letters that stand for this run in the names of rooms, too.
pub(crate) fn run_name(run: u32) -> String {
    letters(run)[2..].iter().map(|&letter| char::from(letter)).collect()
}

/// Eight letters for a number: its nibbles are spread over the bytes of a word, then moved up to `a`.
fn letters(number: u32) -> [u8; 8] {
    let mut word = u64::from(number);
    word = (word | word << 16) & 0x0000_ffff_0000_ffff;
    word = (word | word << 8) & 0x00ff_00ff_00ff_00ff;
    word = (word | word << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    (word + A_EIGHT_TIMES).to_be_bytes()
}

/// The number that eight letters stand for. A byte below `a` borrows and one above `p` overflows, and either leaves a
/// high nibble that isn't 0.
fn number(letters: &[u8; 8]) -> Option<u32> {
    let mut word = u64::from_be_bytes(*letters).wrapping_sub(A_EIGHT_TIMES);
    if word & 0xf0f0_f0f0_f0f0_f0f0 != 0 {
        return None;
    }
    word = (word | word >> 4) & 0x00ff_00ff_00ff_00ff;
    word = (word | word >> 8) & 0x0000_ffff_0000_ffff;
    Some((word | word >> 16) as u32)
}

const A_EIGHT_TIMES: u64 = u64::from_be_bytes([b'a'; 8]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_found_wherever_it_stands() {
        let mut format = Format::new(0xabcdef, 64);
        let payload = Payload { publisher: 17, counter: u32::MAX, due_ns: 0x0123_4567_89ab_cdef };
        let mut text = Vec::new();
        format.write(payload, &mut text);
        assert_eq!(
            text,
            b"mbklmnopaaaaaabbpppppppp abcdefghijklmnopxxxxxxxxxxxxxxxxxxxxxxxx"
                .iter()
                .copied()
                .filter(|&byte| byte != b' ')
                .collect::<Vec<_>>()
        );
        for (before, after) in
            [("", ""), ("<Guest12> ", ""), ("{\"text\":\"", "\"}"), ("", "\r"), ("<G> ", "")]
        {
            let line = [before.as_bytes(), &text, after.as_bytes()].concat();
            assert_eq!(format.find(&line), Found::Payload(payload), "{before}");
        }
    }

    #[test]
    fn what_was_never_sent_is_damaged_or_something_else() {
        let mut format = Format::new(1, 64);
        let mut text = Vec::new();
        format.write(Payload { publisher: 0, counter: 0, due_ns: 0 }, &mut text);
        for at in 8..text.len() {
            for wrong in [b'`', b'q', 0, 0xff] {
                let mut line = text.clone();
                line[at] = wrong;
                assert_eq!(format.find(&line), Found::Damaged, "{wrong} at {at}");
            }
            assert_eq!(format.find(&text[..at]), Found::Damaged, "cut at {at}");
        }
        assert_eq!(format.find(b""), Found::Other);
        assert_eq!(format.find(b"* mina joined"), Found::Other);
        assert_eq!(Format::new(2, 64).find(&text), Found::Other, "of another run");
    }

    #[test]
    fn letters_are_numbers() {
        for nr in [0, 1, 15, 16, 0x89ab_cdef, u32::MAX] {
            assert_eq!(number(&letters(nr)), Some(nr));
        }
    }
}
