//! Lines out of a stream of bytes, for people's terminals and for JSON, and telnet's commands taken out.
//!
//! A [`LineDecoder`] is fed what each read brought and gives one line at a time. What always holds:
//! - However the stream is cut into reads, the same lines come out.
//! - A line that one read brought whole is a slice of that read: nothing is copied. Only an unfinished line is
//!   kept, at most [`LINE_BYTES_MAX`] or [`JSON_BYTES_MAX`] of it, and between lines there is no memory at all.
//! - No bytes are an error here. A line that is too long is told once and skipped to its end.
//!
//! Elsewhere: whether a line is UTF-8 and what it asks ([`crate::text`], [`crate::json`]).

mod telnet;

use std::mem;

use madang_room::Refusal;
use memchr::{memchr, memchr3};
use thin_vec::ThinVec;

use telnet::{IAC, Outcome, Progress, Refused};

/// Bytes in one text line, without its ending. A longer one is skipped whole and refused with `too_long`. It is all
/// that an idle connection keeps: 100,000 unfinished lines are at most 410 MB.
pub const LINE_BYTES_MAX: usize = 4096;
/// Bytes in one JSON line, without its ending: enough for the longest text with every byte of it written as
/// `\u00XX`, which is 24 KiB, and everything else that one command can hold.
pub const JSON_BYTES_MAX: usize = 32 * 1024;
const _: () = assert!(6 * madang_room::TEXT_BYTES_MAX + 4096 < JSON_BYTES_MAX);

/// What a [`LineDecoder`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line, without its ending. Never empty.
    Bytes(&'a [u8]),
    /// A line has become too long. What is still to come of it will be skipped: refuse it, and go on.
    TooLong,
    /// An answer to a telnet client, to be sent as it is.
    Telnet([u8; 3]),
}

/// Finds lines in what reads bring. Small, because every connection has one.
#[derive(Debug)]
pub struct LineDecoder {
    /// The line that has begun and not ended; after one was handed out from here, that one until the next call.
    kept: ThinVec<u8>,
    /// Which options were refused. None until the client's first telnet command: most never send one.
    telnet: Option<Box<Refused>>,
    kind: Kind,
    /// How far the telnet command goes that was cut by the end of a read.
    command: Progress,
    kept_was_handed_out: bool,
    /// A CR has ended a line: an LF or NUL that comes next belongs to it.
    is_after_cr: bool,
    /// The line was too long and its end hasn't come.
    is_skipping: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Json,
}

/// A [`Line`] before it is lent: `Kept` stands for the bytes in the decoder.
enum Found<'i> {
    Whole(&'i [u8]),
    Kept,
    TooLong,
    Telnet([u8; 3]),
}

impl LineDecoder {
    /// For people: a line ends with LF, CR LF, CR NUL or CR, and telnet's commands are taken out.
    pub fn text() -> LineDecoder {
        LineDecoder::of(Kind::Text)
    }

    /// For programs: a line ends with LF, or CR LF.
    pub fn json() -> LineDecoder {
        LineDecoder::of(Kind::Json)
    }

    fn of(kind: Kind) -> LineDecoder {
        LineDecoder {
            kept: ThinVec::new(),
            telnet: None,
            kind,
            command: Progress::None,
            kept_was_handed_out: false,
            is_after_cr: false,
            is_skipping: false,
        }
    }

    /// The decoder for the rest of a connection on which `/json` was the last line of text.
    pub fn into_json(self) -> LineDecoder {
        // The line's own CR LF may be cut between the two.
        LineDecoder { is_after_cr: self.is_after_cr, ..LineDecoder::json() }
    }

    /// Takes bytes off the front of `input`, up to and with the end of the next line, and returns that line. `None`
    /// when all of `input` is used: ask again with what the next read brings.
    pub fn next<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Option<Line<'s>> {
        self.forget_handed_out();
        let found = match self.kind {
            Kind::Text => self.find_text(input),
            Kind::Json => self.find_json(input),
        }?;
        Some(match found {
            Found::Whole(line) => Line::Bytes(line),
            Found::Kept => Line::Bytes(&self.kept),
            Found::TooLong => Line::TooLong,
            Found::Telnet(answer) => Line::Telnet(answer),
        })
    }

    /// The last line, where the stream ended without ending it.
    pub fn finish(&mut self) -> Option<Line<'_>> {
        self.forget_handed_out();
        if self.is_skipping || !self.end_kept() {
            return None;
        }
        Some(Line::Bytes(&self.kept))
    }

    /// Has the client sent a telnet command? Then it expects lines to end with CR LF.
    pub fn is_telnet(&self) -> bool {
        self.telnet.is_some()
    }

    /// What to answer to [`Line::TooLong`].
    pub fn too_long(&self) -> Refusal {
        Refusal::TooLong { what: "a line", max: self.bytes_max() }
    }

    fn bytes_max(&self) -> usize {
        match self.kind {
            Kind::Text => LINE_BYTES_MAX,
            Kind::Json => JSON_BYTES_MAX,
        }
    }

    fn find_text<'i>(&mut self, input: &mut &'i [u8]) -> Option<Found<'i>> {
        while let Some(&first) = input.first() {
            if self.command != Progress::None {
                if let Some(found) = self.go_on_with_command(first, input) {
                    return Some(found);
                }
                continue;
            }
            // A telnet command may stand between CR and its LF.
            if self.is_after_cr && first != IAC {
                self.is_after_cr = false;
                if matches!(first, b'\n' | 0) {
                    *input = &input[1..];
                    continue;
                }
            }
            let end = memchr3(b'\n', b'\r', IAC, input);
            let (piece, rest) = input.split_at(end.unwrap_or(input.len()));
            *input = rest.get(1..).unwrap_or_default();
            let found = match rest.first() {
                Some(&IAC) => {
                    self.command = Progress::Begun;
                    self.keep(piece)
                }
                Some(&end) => {
                    self.is_after_cr = end == b'\r';
                    self.end_line(piece)
                }
                None => self.keep(piece),
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn find_json<'i>(&mut self, input: &mut &'i [u8]) -> Option<Found<'i>> {
        if self.is_after_cr && !input.is_empty() {
            self.is_after_cr = false;
            *input = input.strip_prefix(b"\n").or(input.strip_prefix(b"\0")).unwrap_or(input);
        }
        while let Some(end) = memchr(b'\n', input) {
            let piece = &input[..end];
            *input = &input[end + 1..];
            if let Some(found) = self.end_line(piece) {
                return Some(found);
            }
        }
        self.keep(mem::take(input))
    }

    fn go_on_with_command<'i>(&mut self, byte: u8, input: &mut &'i [u8]) -> Option<Found<'i>> {
        let (progress, outcome) = self.command.step(byte);
        self.command = progress;
        match outcome {
            // Whatever it is, it is no telnet: the byte before was data, and this one is looked at again.
            Outcome::NoCommand => return self.keep(&[IAC]),
            _ => *input = &input[1..],
        }
        match outcome {
            Outcome::Data => self.keep(&[IAC]),
            Outcome::Endless => self.skip_line(),
            Outcome::Option { verb, option } => {
                self.telnet.get_or_insert_default().answer(verb, option).map(Found::Telnet)
            }
            Outcome::Command => {
                self.telnet.get_or_insert_default();
                None
            }
            Outcome::More | Outcome::NoCommand => None,
        }
    }

    /// Keeps a piece of a line whose end hasn't come.
    fn keep<'i>(&mut self, piece: &[u8]) -> Option<Found<'i>> {
        if piece.is_empty() {
            return None;
        }
        self.is_after_cr = false;
        if self.is_skipping {
            return None;
        }
        if self.is_too_long(piece) {
            return self.skip_line();
        }
        let bytes = self.kept.len() + piece.len();
        if bytes > self.kept.capacity() {
            // Doubling, but never past what a line can have (and its CR, in JSON).
            self.kept.reserve_exact((2 * bytes).min(self.bytes_max() + 1) - self.kept.len());
        }
        self.kept.extend_from_slice(piece);
        None
    }

    /// Ends the line with its last piece.
    fn end_line<'i>(&mut self, piece: &'i [u8]) -> Option<Found<'i>> {
        if mem::take(&mut self.is_skipping) {
            return None;
        }
        if self.is_too_long(piece) {
            self.kept = ThinVec::new();
            return Some(Found::TooLong);
        }
        if self.kept.is_empty() {
            let line = without_cr(piece);
            return (!line.is_empty()).then_some(Found::Whole(line));
        }
        self.kept.extend_from_slice(piece);
        self.end_kept().then_some(Found::Kept)
    }

    /// Makes what is kept a line to hand out; false where there is none.
    fn end_kept(&mut self) -> bool {
        self.kept.truncate(without_cr(&self.kept).len());
        self.kept_was_handed_out = !self.kept.is_empty();
        self.kept_was_handed_out
    }

    fn skip_line<'i>(&mut self) -> Option<Found<'i>> {
        self.is_after_cr = false;
        self.kept = ThinVec::new();
        let is_new = !mem::replace(&mut self.is_skipping, true);
        is_new.then_some(Found::TooLong)
    }

    fn is_too_long(&self, piece: &[u8]) -> bool {
        let ends_with_cr = piece.last().or(self.kept.last()) == Some(&b'\r');
        self.kept.len() + piece.len() - usize::from(ends_with_cr) > self.bytes_max()
    }

    fn forget_handed_out(&mut self) {
        if mem::take(&mut self.kept_was_handed_out) {
            self.kept = ThinVec::new();
        }
    }
}

/// A CR before the LF belongs to the ending. (In text the CR has ended the line already, so none is found.)
fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// For listeners with `framing = "chunk"`: what one read brought is one line, without the CR, LF and NUL that it may
/// end with; `None` where nothing is left.
pub fn chunk(input: &[u8]) -> Result<Option<&[u8]>, Refusal> {
    let end = input.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n' | 0));
    let line = end.map_or(&[][..], |last| &input[..=last]);
    match line.len() {
        0 => Ok(None),
        1..=LINE_BYTES_MAX => Ok(Some(line)),
        _ => Err(Refusal::TooLong { what: "a line", max: LINE_BYTES_MAX }),
    }
}

#[cfg(test)]
mod tests;
