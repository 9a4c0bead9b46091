//! WebSocket frames (RFC 6455), a client's half: whole messages in, masked ones out.
//!
//! The mask is all zeros. It is a valid one, it is there to keep proxies from being fooled, and there is no proxy here:
//! what is said needs no pass over its bytes. A server has to take the mask off all the same.
//!
//! Servers of chats send each message as one frame, so a fragmented one is an error here and not put together.

/// Bytes of the longest frame that is taken for a chat's.
const FRAME_BYTES_MAX: usize = 64 * 1024;

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// A frame of a server, as far as its header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    opcode: u8,
    pub(crate) payload: &'a [u8],
    /// Of all of it.
    pub(crate) bytes: usize,
}

impl<'a> Frame<'a> {
    /// The frame that these bytes begin with; nothing where it has not come whole. What a server must not send is
    /// told in words.
    #[inline]
    pub(crate) fn first(bytes: &'a [u8]) -> Result<Option<Frame<'a>>, &'static str> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        // One comparison for all that is rare or wrong.
        if first != FINAL | TEXT {
            check(first)?;
        }
        let (payload_bytes, rest) = match second {
            ..126 => (usize::from(second), rest),
            126 => match rest.split_first_chunk() {
                Some((length, rest)) => (usize::from(u16::from_be_bytes(*length)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk() {
                // Too long on any machine is too long here.
                Some((length, rest)) => {
                    (usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX), rest)
                }
                None => return Ok(None),
            },
            MASKED.. => return Err("masked, as only clients do"),
        };
        if payload_bytes > FRAME_BYTES_MAX {
            return Err("longer than 64 KiB");
        }
        let Some(payload) = rest.get(..payload_bytes) else { return Ok(None) };
        let bytes = bytes.len() - rest.len() + payload_bytes;
        Ok(Some(Frame { opcode: first & !FINAL, payload, bytes }))
    }

    pub(crate) fn is_control(&self) -> bool {
        self.opcode >= CLOSE
    }

    pub(crate) fn is_close(&self) -> bool {
        self.opcode == CLOSE
    }

    pub(crate) fn is_ping(&self) -> bool {
        self.opcode == PING
    }
}

#[cold]
fn check(first: u8) -> Result<(), &'static str> {
    match (first & 0x70, first & FINAL, first & 0x0f) {
        (0, FINAL, 0x1 | 0x2 | CLOSE | PING | PONG) => Ok(()),
        (0, 0, _) | (0, _, 0) => Err("a fragment"),
        (0, _, _) => Err("of no known kind"),
        _ => Err("with a reserved bit set"),
    }
}

/// The messages in whole frames that [`Frame::first`] has found to be right: no control frames, and none of Engine.IO's
/// packets of one byte, which are control frames of another layer.
pub(crate) fn messages(mut frames: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        loop {
            let frame = Frame::first(frames).ok().flatten()?;
            frames = &frames[frame.bytes..];
            if !frame.is_control() && frame.payload.len() > 1 {
                return Some(frame.payload);
            }
        }
    })
}

/// What stands before a text message of so many bytes.
pub(crate) fn push_text_header(payload_bytes: usize, out: &mut Vec<u8>) {
    push_header(TEXT, payload_bytes, out);
}

pub(crate) fn push_text(payload: &[u8], out: &mut Vec<u8>) {
    push_header(TEXT, payload.len(), out);
    out.extend_from_slice(payload);
}

/// The answer to a ping with this payload.
pub(crate) fn push_pong(payload: &[u8], out: &mut Vec<u8>) {
    push_header(PONG, payload.len(), out);
    out.extend_from_slice(payload);
}

fn push_header(opcode: u8, payload_bytes: usize, out: &mut Vec<u8>) {
    out.push(FINAL | opcode);
    match (u8::try_from(payload_bytes), u16::try_from(payload_bytes)) {
        (Ok(length @ ..126), _) => out.push(MASKED | length),
        (_, Ok(length)) => {
            out.push(MASKED | 126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(payload_bytes as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a server sends it.
    fn served(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        push_header(first & 0x0f, payload.len(), &mut frame);
        frame.truncate(frame.len() - 4);
        frame[0] = first;
        frame[1] &= !MASKED;
        [&frame, payload].concat()
    }

    #[test]
    fn a_frame_is_taken_when_it_is_whole() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let frame = served(0x81, &payload);
            for cut in [0, 1, 2, 3, 9, frame.len() - 1] {
                if cut < frame.len() {
                    assert_eq!(Frame::first(&frame[..cut]), Ok(None), "{length} bytes, cut at {cut}");
                }
            }
            let more = [&frame[..], b"\x81"].concat();
            let found = Frame::first(&more).unwrap().unwrap();
            assert_eq!((found.payload, found.bytes), (&payload[..], frame.len()), "{length} bytes");
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_told() {
        for (bytes, why) in [
            (&[0x01, 0x00][..], "a fragment"),
            (&[0x80, 0x00], "a fragment"),
            (&[0x83, 0x00], "of no known kind"),
            (&[0xc1, 0x00], "with a reserved bit set"),
            (&[0x81, 0x80], "masked, as only clients do"),
            (&[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 1], "longer than 64 KiB"),
        ] {
            assert_eq!(Frame::first(bytes), Err(why), "{bytes:x?}");
        }
    }

    #[test]
    fn control_frames_are_no_messages() {
        let frames =
            [served(0x81, b"one"), served(0x89, b"ping"), served(0x81, b"2"), served(0x82, b"two")].concat();
        assert_eq!(messages(&frames).collect::<Vec<_>>(), [b"one", b"two"]);
    }

    #[test]
    fn what_is_said_is_masked_with_zeros() {
        let mut out = Vec::new();
        push_text(b"hi", &mut out);
        push_pong(b"", &mut out);
        assert_eq!(out, b"\x81\x82\0\0\0\0hi\x8a\x80\0\0\0\0");
        for length in [125, 126, 65_535, 65_536] {
            let mut header = Vec::new();
            push_text_header(length, &mut header);
            header[1] &= !MASKED;
            header.truncate(header.len() - 4);
            assert_eq!(header, served(0x81, &vec![0; length])[..header.len()]);
        }
    }
}
