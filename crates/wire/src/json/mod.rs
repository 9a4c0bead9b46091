//! The JSON encoding: one object a line (or a frame, or a datagram), for programs.
//!
//! What always holds: what is encoded is one bare object without a line's end in it ([`as_line`] adds that), with its
//! fields in the order of the reference; a request is read without building a tree of it, and its `id` is found
//! wherever it stands, also in a request that is refused.
//!
//! Elsewhere: where a line ends ([`crate::lines`]), and what a request leads to (the server).

mod encode;
mod fields;
mod object;
mod ops;
mod parse;

pub use encode::{as_line, encode_answer, encode_error_body, encode_happening, encode_notice, encode_reply};
pub(crate) use encode::{ev_of_happening, ev_of_notice};
pub(crate) use object::{Object, push_json};
pub use parse::{Refused, parse, parse_op};
pub(crate) use parse::{Shape, shape};

#[cfg(test)]
pub(crate) use ops::reference;

#[cfg(test)]
mod tests;
