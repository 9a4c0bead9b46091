//! Telnet's commands (RFC 854): recognised wherever they stand, every option refused, nothing else done.
//!
//! The client asks whether it or we should do something (`WILL`, `DO`); each such question gets one no. The same
//! question again gets no answer, so two programs that both insist can't keep each other busy, and a flood of
//! questions brings at most 512 answers. A subnegotiation is skipped without being kept.

/// Interpret as command: the first byte of every command.
pub(super) const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
const SB: u8 = 250;
const SE: u8 = 240;
/// The lowest command (EOF of RFC 1184). Below it IAC was no command but a stray byte.
const COMMAND_MIN: u8 = 236;

/// Bytes in a subnegotiation. None is ever asked for, so a longer one is not meant to end: the line it stands in
/// counts as too long.
const SUBNEGOTIATION_BYTES_MAX: u8 = 64;

/// How much of a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    None,
    /// IAC.
    Begun,
    /// IAC and one of `WILL`, `WONT`, `DO`, `DONT`.
    Verb(u8),
    /// IAC SB and so many bytes.
    Inside(u8),
    /// The same, and an IAC: with SE next, this is its end.
    InsideBegun(u8),
}

/// What the next byte made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// More has to come.
    More,
    /// IAC IAC: one byte of data that looks like IAC.
    Data,
    /// No telnet at all: IAC was data, and the byte after it is, too.
    NoCommand,
    /// A command that asks for no answer.
    Command,
    /// A question, or an answer, about an option.
    Option { verb: u8, option: u8 },
    /// A subnegotiation without end.
    Endless,
}

impl Progress {
    pub(super) fn step(self, byte: u8) -> (Progress, Outcome) {
        match (self, byte) {
            (Progress::None, _) => (Progress::None, Outcome::NoCommand),
            (Progress::Begun, IAC) => (Progress::None, Outcome::Data),
            (Progress::Begun, WILL | WONT | DO | DONT) => (Progress::Verb(byte), Outcome::More),
            (Progress::Begun, SB) => (Progress::Inside(0), Outcome::Command),
            (Progress::Begun, COMMAND_MIN..) => (Progress::None, Outcome::Command),
            (Progress::Begun, _) => (Progress::None, Outcome::NoCommand),
            (Progress::Verb(verb), option) => (Progress::None, Outcome::Option { verb, option }),
            (Progress::InsideBegun(_), SE) => (Progress::None, Outcome::Command),
            (Progress::Inside(bytes), IAC) => (Progress::InsideBegun(bytes), Outcome::More),
            (Progress::Inside(bytes) | Progress::InsideBegun(bytes), _) => match bytes {
                SUBNEGOTIATION_BYTES_MAX.. => (Progress::None, Outcome::Endless),
                _ => (Progress::Inside(bytes + 1), Outcome::More),
            },
        }
    }
}

/// The options that were refused, one bit each.
#[derive(Debug, Default)]
pub(super) struct Refused {
    theirs: [u64; 4],
    ours: [u64; 4],
}

impl Refused {
    /// The no to `verb option`; none to an answer, or to what was asked before.
    pub(super) fn answer(&mut self, verb: u8, option: u8) -> Option<[u8; 3]> {
        let (asked, no) = match verb {
            WILL => (&mut self.theirs, DONT),
            DO => (&mut self.ours, WONT),
            _ => return None,
        };
        let word = &mut asked[usize::from(option) / 64];
        let bit = 1 << (option % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new.then_some([IAC, no, option])
    }
}
