//! Socket.IO, protocol 5: its packets, and the requests, answers and events of [`crate::json`] in them.
//!
//! A packet is read in steps, and each proves something: [`parse`] that it is a packet and its payload JSON of the
//! right kind, [`parse_event`] that an event has a name, [`check_placeholders`] that its binary attachments are those
//! it names, [`request`] that it asks for something. A client whose packet fails one of the first three is cut off; a
//! request that can't be carried out is refused in words.
//!
//! What is encoded is a finished WebSocket text frame each time, header, Engine.IO's `4` and packet, written once and
//! shared by everybody who reads it.
//!
//! Elsewhere: Engine.IO beneath this ([`crate::engineio`]), waiting for attachments, and who is connected to which
//! namespace (the server).

mod encode;
mod event;
mod offset;
mod packet;
mod placeholders;

pub use encode::{
    encode_ack, encode_connect, encode_connect_error, encode_disconnect, encode_happening,
    encode_invalid_namespace, encode_notice, encode_raw_ack, encode_raw_event, encode_simple_happening,
    encode_simple_result,
};
pub use event::{Auth, Event, OFFSET_BYTES_MAX, PID_BYTES_MAX, parse_auth, parse_event, request};
pub use offset::Offset;
pub use packet::{ATTACHMENTS_MAX, Kind, NAMESPACE_BYTES_MAX, Packet, PacketError, parse};
pub use placeholders::check_placeholders;

#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
