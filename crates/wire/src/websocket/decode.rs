//! A client's bytes to messages.

use std::mem;

use super::header::{HEADER_BYTES_MAX, Header, Opcode, unmask};
use super::{Message, ProtocolError};

/// Finds messages in what reads bring. Small, because every connection has one: while nothing is unfinished it has no
/// memory but its own few bytes.
#[derive(Debug)]
pub struct Decoder {
    unfinished: Option<Box<Unfinished>>,
    message_bytes_max: usize,
    /// A close frame or an error has come: what comes after it is no concern of ours.
    is_over: bool,
}

/// What has begun and not ended; after a message was handed out from here, that one until the next call.
#[derive(Debug, Default)]
struct Unfinished {
    /// The bytes of a header that the end of a read has cut.
    header: [u8; HEADER_BYTES_MAX],
    header_bytes: usize,
    frame: Option<Frame>,
    /// The payload of a control frame, which may come between two parts of a message.
    control: Vec<u8>,
    message: Vec<u8>,
    /// Text or binary, from the first frame of a message to its last.
    message_opcode: Option<Opcode>,
    handed_out: Option<Opcode>,
}

/// A frame whose payload is not all here.
#[derive(Debug)]
struct Frame {
    header: Header,
    /// How many bytes of the payload have come.
    taken_bytes: u64,
}

/// A message before it is lent: `Kept` stands for the bytes in the decoder.
enum Found<'i> {
    Whole(Opcode, &'i [u8]),
    Kept(Opcode),
}

impl Decoder {
    /// For messages of at most `message_bytes_max` bytes, all of their fragments together.
    pub fn new(message_bytes_max: usize) -> Decoder {
        Decoder { unfinished: None, message_bytes_max, is_over: false }
    }

    /// Takes the next message from the front of `input`, unmasking it in place; `None` when all of `input` is used:
    /// ask again with what the next read brings. After [`Message::Close`] and after an error nothing more comes, and
    /// whatever else is in `input` is dropped (RFC 6455, sections 5.5.1 and 7.1.7).
    pub fn next<'s, 'i: 's>(
        &'s mut self,
        input: &mut &'i mut [u8],
    ) -> Option<Result<Message<'s>, ProtocolError>> {
        self.forget_handed_out();
        if self.is_over {
            *input = &mut [];
            return None;
        }
        let Some(found) = self.find(input) else {
            self.forget_handed_out();
            return None;
        };
        let message = found.and_then(|found| match (found, &self.unfinished) {
            (Found::Whole(opcode, payload), _) => message(opcode, payload),
            (Found::Kept(opcode), Some(unfinished)) => message(opcode, unfinished.of(opcode)),
            (Found::Kept(opcode), None) => message(opcode, &[]),
        });
        self.is_over = matches!(message, Err(_) | Ok(Message::Close(_)));
        Some(message)
    }

    /// The memory that it has for the message that has begun, in bytes; `None` where nothing is unfinished.
    #[cfg(test)]
    pub(super) fn kept_bytes(&self) -> Option<usize> {
        self.unfinished.as_ref().map(|unfinished| unfinished.message.capacity())
    }

    fn find<'i>(&mut self, input: &mut &'i mut [u8]) -> Option<Result<Found<'i>, ProtocolError>> {
        while !input.is_empty() {
            let found = match self.is_in_frame() {
                true => Ok(self.go_on_with_frame(input)),
                false => self.begin_frame(input),
            };
            if let Some(found) = found.transpose() {
                return Some(found);
            }
        }
        None
    }

    fn is_in_frame(&self) -> bool {
        self.unfinished.as_ref().is_some_and(|unfinished| unfinished.frame.is_some())
    }

    fn begin_frame<'i>(&mut self, input: &mut &'i mut [u8]) -> Result<Option<Found<'i>>, ProtocolError> {
        let Some(header) = self.read_header(input)? else { return Ok(None) };
        self.check(&header)?;
        let is_single = header.is_final && header.opcode != Opcode::Continuation;
        if is_single && header.payload_bytes <= input.len() as u64 {
            let payload = take(input, header.payload_bytes as usize);
            unmask(payload, header.mask, 0);
            return Ok(Some(Found::Whole(header.opcode, payload)));
        }
        let unfinished = self.unfinished.get_or_insert_default();
        if matches!(header.opcode, Opcode::Text | Opcode::Binary) {
            unfinished.message_opcode = Some(header.opcode);
        }
        unfinished.frame = Some(Frame { header, taken_bytes: 0 });
        // Its payload may be empty, and then no further byte would bring us there.
        Ok(self.go_on_with_frame(input))
    }

    fn read_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, ProtocolError> {
        if self.unfinished.as_ref().is_none_or(|unfinished| unfinished.header_bytes == 0)
            && let Some((header, header_bytes)) = Header::of_client(input)?
        {
            take(input, header_bytes);
            return Ok(Some(header));
        }
        let unfinished = self.unfinished.get_or_insert_default();
        while !input.is_empty() {
            unfinished.header[unfinished.header_bytes] = take(input, 1)[0];
            unfinished.header_bytes += 1;
            if let Some((header, _)) = Header::of_client(&unfinished.header[..unfinished.header_bytes])? {
                unfinished.header_bytes = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// May this frame come now, and may it be this long?
    fn check(&self, header: &Header) -> Result<(), ProtocolError> {
        if header.opcode.is_control() {
            return Ok(());
        }
        let unfinished = self.unfinished.as_ref().filter(|unfinished| unfinished.message_opcode.is_some());
        let kept_bytes = match (header.opcode, unfinished) {
            (Opcode::Continuation, Some(unfinished)) => unfinished.message.len(),
            (Opcode::Continuation, None) => {
                return Err(ProtocolError::Broken("there is no message to be continued"));
            }
            (_, Some(_)) => return Err(ProtocolError::Broken("a message begins in the middle of another")),
            (_, None) => 0,
        };
        if header.payload_bytes > (self.message_bytes_max - kept_bytes) as u64 {
            return Err(ProtocolError::TooBig { max: self.message_bytes_max });
        }
        Ok(())
    }

    fn go_on_with_frame<'i>(&mut self, input: &mut &'i mut [u8]) -> Option<Found<'i>> {
        let Unfinished { frame, control, message, message_opcode, handed_out, .. } =
            &mut **self.unfinished.as_mut()?;
        let Frame { header, taken_bytes } = frame.as_mut()?;
        let missing_bytes = header.payload_bytes - *taken_bytes;
        let available_bytes = missing_bytes.min(input.len() as u64) as usize;
        let piece = take(input, available_bytes);
        unmask(piece, header.mask, (*taken_bytes % 4) as usize);
        match header.opcode.is_control() {
            true => control.extend_from_slice(piece),
            false => keep(message, piece, self.message_bytes_max),
        }
        *taken_bytes += available_bytes as u64;
        if *taken_bytes < header.payload_bytes {
            return None;
        }
        let Header { opcode, is_final, .. } = *header;
        *frame = None;
        if !is_final {
            return None;
        }
        *handed_out = if opcode.is_control() { Some(opcode) } else { *message_opcode };
        handed_out.map(Found::Kept)
    }

    /// Gives back the memory of what was handed out, and all of it where nothing else is unfinished.
    fn forget_handed_out(&mut self) {
        let Some(unfinished) = &mut self.unfinished else { return };
        match unfinished.handed_out.take() {
            Some(opcode) if opcode.is_control() => unfinished.control = Vec::new(),
            Some(_) => (unfinished.message, unfinished.message_opcode) = (Vec::new(), None),
            None => {}
        }
        let Unfinished { header_bytes, frame, message_opcode, .. } = &**unfinished;
        if self.is_over || (*header_bytes == 0 && frame.is_none() && message_opcode.is_none()) {
            self.unfinished = None;
        }
    }
}

impl Unfinished {
    fn of(&self, opcode: Opcode) -> &[u8] {
        if opcode.is_control() { &self.control } else { &self.message }
    }
}

fn take<'i>(input: &mut &'i mut [u8], bytes: usize) -> &'i mut [u8] {
    let (taken, rest) = mem::take(input).split_at_mut(bytes);
    *input = rest;
    taken
}

/// Keeps a piece of a message, of which `check` has seen that it fits.
fn keep(message: &mut Vec<u8>, piece: &[u8], message_bytes_max: usize) {
    let bytes = message.len() + piece.len();
    if bytes > message.capacity() {
        // Doubling, but never past what a message can have.
        message.reserve_exact((2 * bytes).min(message_bytes_max) - message.len());
    }
    message.extend_from_slice(piece);
}

fn message(opcode: Opcode, payload: &[u8]) -> Result<Message<'_>, ProtocolError> {
    Ok(match opcode {
        Opcode::Text => Message::Text(str::from_utf8(payload).map_err(|_| ProtocolError::NotUtf8)?),
        // A continuation is never handed out: its message is text or binary.
        Opcode::Binary | Opcode::Continuation => Message::Binary(payload),
        Opcode::Ping => Message::Ping(payload),
        Opcode::Pong => Message::Pong,
        Opcode::Close => Message::Close(close_code(payload)?),
    })
}

/// The code in a close frame, whose payload is nothing, or a code and a reason in UTF-8 (RFC 6455, section 5.5.1).
fn close_code(payload: &[u8]) -> Result<Option<u16>, ProtocolError> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return match payload {
            [] => Ok(None),
            _ => Err(ProtocolError::Broken("a close code has two bytes")),
        };
    };
    let code = u16::from_be_bytes(*code);
    // Those that may be sent: section 7.4.1, what IANA has registered since, and those for libraries and programs.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(ProtocolError::Broken("there is no such close code"));
    }
    str::from_utf8(reason).map_err(|_| ProtocolError::NotUtf8)?;
    Ok(Some(code))
}
