//! The server's own frames, taken apart again.

use std::iter;

use super::header::{MASKED, Opcode, payload_bytes};

/// What the server's frames hold, in order. Ends before a frame that is not whole.
pub fn split_frames(bytes: &[u8]) -> impl Iterator<Item = (Opcode, &[u8])> {
    let mut rest = bytes;
    iter::from_fn(move || {
        let (opcode, payload, after) = split_first(rest)?;
        rest = after;
        Some((opcode, payload))
    })
}

/// How many bytes from the front of `bytes` are whole frames of the server's.
pub fn whole_frames(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((_, _, after)) = split_first(rest) {
        rest = after;
    }
    bytes.len() - rest.len()
}

/// The first frame and what is behind it; `None` where it isn't whole, or not the server's.
pub(crate) fn split_first(bytes: &[u8]) -> Option<(Opcode, &[u8], &[u8])> {
    let ([first, second], rest) = bytes.split_first_chunk()?;
    let opcode = Opcode::from_bits(first & 0x0f)?;
    if second & MASKED != 0 {
        return None;
    }
    let (payload_bytes, rest) = payload_bytes(*second, rest)?;
    let (payload, after) = rest.split_at_checked(usize::try_from(payload_bytes).ok()?)?;
    Some((opcode, payload, after))
}
