//! Messages to frames. Each function writes one whole frame behind what is in `out`.

use super::CONTROL_BYTES_MAX;
use super::header::{FINAL, LENGTH_IN_2, LENGTH_IN_8, MASKED, Opcode};

/// Bytes of a close frame's reason: its code takes two.
const REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// Writes a text frame around what `write` appends, which is UTF-8. Nothing appended is no frame.
pub fn text_frame(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend_from_slice(&[FINAL | Opcode::Text.bits(), 0]);
    let payload = out.len();
    write(out);
    match out.len() - payload {
        0 => out.truncate(begin),
        bytes => {
            let Length { first, more, more_bytes } = Length::of(bytes);
            out[begin + 1] = first;
            // The payload moves up by the few bytes that only now are known to be needed.
            out.splice(payload..payload, more.into_iter().take(more_bytes));
        }
    }
}

/// Writes a binary frame, also an empty one.
pub fn binary_frame(out: &mut Vec<u8>, payload: &[u8]) {
    frame(out, Opcode::Binary, payload);
}

/// Writes the answer to a ping with this payload, of which a ping has at most [`CONTROL_BYTES_MAX`] bytes.
pub fn pong_frame(out: &mut Vec<u8>, payload: &[u8]) {
    frame(out, Opcode::Pong, &payload[..payload.len().min(CONTROL_BYTES_MAX)]);
}

/// Writes a ping. Of the payload at most [`CONTROL_BYTES_MAX`] bytes are sent.
pub fn ping_frame(out: &mut Vec<u8>, payload: &[u8]) {
    frame(out, Opcode::Ping, &payload[..payload.len().min(CONTROL_BYTES_MAX)]);
}

/// Writes the last frame of a connection. A reason of more than 123 bytes is cut.
pub fn close_frame(out: &mut Vec<u8>, code: u16, reason: &str) {
    let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
    out.extend_from_slice(&[FINAL | Opcode::Close.bits(), 2 + reason.len() as u8]);
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

/// Writes a text frame as a client would, with a mask of zeros: how what came in the body of a request enters the
/// decoder of everything else.
pub fn masked_text_frame(out: &mut Vec<u8>, payload: &str) {
    masked_frame(out, Opcode::Text, payload.as_bytes());
}

/// Writes a binary frame as a client would, with a mask of zeros.
pub fn masked_binary_frame(out: &mut Vec<u8>, payload: &[u8]) {
    masked_frame(out, Opcode::Binary, payload);
}

fn frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    push_header(out, opcode, 0, payload.len());
    out.extend_from_slice(payload);
}

fn masked_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    push_header(out, opcode, MASKED, payload.len());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

fn push_header(out: &mut Vec<u8>, opcode: Opcode, masked: u8, payload_bytes: usize) {
    let Length { first, more, more_bytes } = Length::of(payload_bytes);
    out.extend_from_slice(&[FINAL | opcode.bits(), masked | first]);
    out.extend_from_slice(&more[..more_bytes]);
}

/// A length as a header has it.
struct Length {
    /// Seven bits.
    first: u8,
    /// What follows them: nothing, 2 bytes or 8.
    more: [u8; 8],
    more_bytes: usize,
}

impl Length {
    fn of(bytes: usize) -> Length {
        let mut more = [0; 8];
        let (first, more_bytes) = match (u8::try_from(bytes), u16::try_from(bytes)) {
            (Ok(bytes), _) if bytes < LENGTH_IN_2 => (bytes, 0),
            (_, Ok(bytes)) => {
                more[..2].copy_from_slice(&bytes.to_be_bytes());
                (LENGTH_IN_2, 2)
            }
            _ => {
                more = (bytes as u64).to_be_bytes();
                (LENGTH_IN_8, 8)
            }
        };
        Length { first, more, more_bytes }
    }
}
