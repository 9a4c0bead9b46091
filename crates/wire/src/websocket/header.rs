//! The first bytes of a frame (RFC 6455, section 5.2), and the mask.

use super::{CONTROL_BYTES_MAX, ProtocolError};

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// The next part of a message.
    Continuation,
    /// A text message, or its first part.
    Text,
    /// A binary message, or its first part.
    Binary,
    /// The end.
    Close,
    /// A question whether the other side is there.
    Ping,
    /// The answer to it.
    Pong,
}

impl Opcode {
    pub(super) fn from_bits(bits: u8) -> Option<Opcode> {
        Some(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xa => Opcode::Pong,
            _ => return None,
        })
    }

    pub(super) fn bits(self) -> u8 {
        match self {
            Opcode::Continuation => 0x0,
            Opcode::Text => 0x1,
            Opcode::Binary => 0x2,
            Opcode::Close => 0x8,
            Opcode::Ping => 0x9,
            Opcode::Pong => 0xa,
        }
    }

    pub(super) fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

/// Bytes in the longest header: two, eight of length, four of mask.
pub(super) const HEADER_BYTES_MAX: usize = 14;
/// Set on the last frame of a message.
pub(super) const FINAL: u8 = 0x80;
/// Set in the second byte of a frame that is masked.
pub(super) const MASKED: u8 = 0x80;
/// These values of the seven-bit length say that it follows in 2 and 8 bytes.
pub(super) const LENGTH_IN_2: u8 = 126;
pub(super) const LENGTH_IN_8: u8 = 127;

const RESERVED: u8 = 0x70;

/// A client's frame, before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    pub(super) is_final: bool,
    /// As the frame declares it: believe it only when the bytes are there.
    pub(super) payload_bytes: u64,
    pub(super) mask: [u8; 4],
}

impl Header {
    /// Reads the header of a client's frame and how many bytes it has; `None` where there are not enough yet. What
    /// is wrong with it is told as soon as the byte is there that is wrong.
    pub(super) fn of_client(bytes: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        if first & RESERVED != 0 {
            return Err(ProtocolError::Broken("a reserved bit is set, and no extension was agreed on"));
        }
        let opcode =
            Opcode::from_bits(first & 0x0f).ok_or(ProtocolError::Broken("there is no such opcode"))?;
        let is_final = first & FINAL != 0;
        if opcode.is_control() && !is_final {
            return Err(ProtocolError::Broken("a control frame can't be fragmented"));
        }
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        if second & MASKED == 0 {
            return Err(ProtocolError::Broken("a client's frame must be masked"));
        }
        let length = second & !MASKED;
        if opcode.is_control() && usize::from(length) > CONTROL_BYTES_MAX {
            return Err(ProtocolError::Broken("a control frame has at most 125 bytes"));
        }
        let Some((payload_bytes, rest)) = payload_bytes(length, &bytes[2..]) else { return Ok(None) };
        let Some(mask) = rest.first_chunk() else { return Ok(None) };
        let header_bytes = bytes.len() - rest.len() + mask.len();
        Ok(Some((Header { opcode, is_final, payload_bytes, mask: *mask }, header_bytes)))
    }
}

/// The length of the payload, where it was begun by `length`, and what follows it.
pub(super) fn payload_bytes(length: u8, rest: &[u8]) -> Option<(u64, &[u8])> {
    Some(match length {
        LENGTH_IN_2 => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (u16::from_be_bytes(*bytes).into(), rest)
        }
        LENGTH_IN_8 => {
            let (bytes, rest) = rest.split_first_chunk()?;
            (u64::from_be_bytes(*bytes), rest)
        }
        length => (length.into(), rest),
    })
}

/// Takes the mask off a piece of a payload that begins at byte `at` of it. Putting it on is the same.
pub(super) fn unmask(piece: &mut [u8], mask: [u8; 4], at: usize) {
    let turned: [u8; 4] = std::array::from_fn(|byte| mask[(at + byte) % 4]);
    if turned == [0; 4] {
        return;
    }
    let word = u64::from(u32::from_ne_bytes(turned));
    let word = word << 32 | word;
    let (words, tail) = piece.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    tail.iter_mut().zip(turned.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
}
