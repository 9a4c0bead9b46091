//! The text encoding: lines that people type into `nc` or `telnet`, and lines that they read there.
//!
//! What always holds: whatever is encoded is one physical line for each line it means, holds nothing that steers a
//! terminal, and what a person said can't look like what the server says: it starts with `<` or `[`, and the
//! server's own lines start with `*`, `!` or `-`, behind at most `[room] `.
//!
//! Elsewhere: where a line ends ([`crate::lines`]), and what a request leads to (the server).

mod commands;
mod encode;
mod help;
mod parse;
mod seats;

pub use commands::command_names;
pub use encode::{Form, encode_answer, encode_happening, encode_notice, encode_refusal};
pub use help::help;
#[cfg(test)]
pub(crate) use help::reference;
pub use parse::{looks_like_http, parse, parse_in_lobby};

#[cfg(test)]
mod tests;
