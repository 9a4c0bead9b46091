//! WebSocket frames (RFC 6455), the server's side, without extensions.
//!
//! A [`Decoder`] is fed what each read brought and gives one message at a time. What always holds:
//! - However the stream is cut into reads, the same messages come out.
//! - A message of one frame that one read brought whole is unmasked where it lies and borrowed: nothing is copied.
//!   Only what is unfinished is kept, never more than the longest message, and never by the size that a frame
//!   declares: memory grows with the bytes that have come.
//! - What is handed out as text is UTF-8, also where a character was cut between two fragments.
//!
//! The server's own frames are whole, unmasked and never fragmented: a finished one is written to every reader as it
//! is. [`split_frames`] takes them apart again for those who read by polling.
//!
//! Deliberately absent: permessage-deflate (a reserved bit is an error), and a complaint about a length written in
//! more bytes than it needs, which harms nobody.
//!
//! Elsewhere: the opening handshake and who closes when (the server), what a message says ([`crate::json`],
//! [`crate::engineio`]).

mod decode;
mod encode;
mod header;
mod split;

pub use decode::Decoder;
pub use encode::{
    binary_frame, close_frame, masked_binary_frame, masked_text_frame, ping_frame, pong_frame, text_frame,
};
pub use header::Opcode;
pub(crate) use split::split_first;
pub use split::{split_frames, whole_frames};

/// Bytes in a control frame's payload (RFC 6455, section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// What a client sent: a whole message, or a control frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// To be answered with [`pong_frame`] and the same payload, at most [`CONTROL_BYTES_MAX`] bytes.
    Ping(&'a [u8]),
    /// An answer to a ping, or a sign of life that nobody asked for.
    Pong,
    /// The client goes, with its code where it gave one. To be answered with [`close_frame`]; nothing comes after it.
    Close(Option<u16>),
}

/// What a client did that ends the connection. The text is for people, the code for [`close_frame`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The frames are not as RFC 6455 has them.
    #[error("{0}")]
    Broken(&'static str),
    /// A text message or the reason in a close frame is not UTF-8.
    #[error("a text must be UTF-8")]
    NotUtf8,
    /// A message is longer than this door takes, or declares to be.
    #[error("a message may have {max} bytes")]
    TooBig {
        /// In bytes.
        max: usize,
    },
}

impl ProtocolError {
    /// The status code of the close frame (RFC 6455, section 7.4.1).
    pub fn close_code(&self) -> u16 {
        match self {
            ProtocolError::Broken(_) => 1002,
            ProtocolError::NotUtf8 => 1007,
            ProtocolError::TooBig { .. } => 1009,
        }
    }
}

#[cfg(test)]
mod tests;
