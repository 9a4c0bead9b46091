//! What the fuzz targets have in common.

use madang_wire::{Line, LineDecoder};

/// Reads that one input is cut into, at most.
const CUTS: usize = 4;

/// The input's first bytes are distances between cuts of the rest: the reads, and the rest uncut.
pub fn cut(input: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let (distances, stream) = input.split_at(CUTS.min(input.len()));
    let (mut reads, mut rest) = (Vec::new(), stream);
    for distance in distances {
        let (read, after) = rest.split_at(usize::from(*distance).min(rest.len()));
        reads.push(read);
        rest = after;
    }
    reads.push(rest);
    (reads, stream)
}

/// What a decoder found in a stream.
#[derive(Debug, Default, PartialEq)]
pub struct Got {
    /// The lines.
    pub lines: Vec<Vec<u8>>,
    /// How many lines had been found when each one was told to be too long.
    pub too_long_at: Vec<usize>,
    /// The answers to telnet.
    pub answers: Vec<u8>,
}

/// Gives `reads` to a decoder, and then the end of the stream.
pub fn feed(mut decoder: LineDecoder, reads: &[&[u8]]) -> Got {
    let mut got = Got::default();
    for read in reads {
        let mut read = *read;
        while let Some(line) = decoder.next(&mut read) {
            match line {
                Line::Bytes(line) => got.lines.push(line.to_vec()),
                Line::TooLong => got.too_long_at.push(got.lines.len()),
                Line::Telnet(answer) => got.answers.extend(answer),
            }
        }
        assert!(read.is_empty(), "None means that everything is used");
    }
    if let Some(Line::Bytes(line)) = decoder.finish() {
        got.lines.push(line.to_vec());
    }
    got
}

/// Is it one line that a terminal can show?
pub fn is_safe_line(out: &[u8], crlf: bool) -> bool {
    let line = out.strip_suffix(if crlf { &b"\r\n"[..] } else { b"\n" });
    let line = line.and_then(|line| str::from_utf8(line).ok());
    line.is_some_and(|line| {
        line.chars().all(|c| (c == '\t' || !c.is_control()) && !matches!(c, '\u{2028}' | '\u{2029}'))
    })
}
