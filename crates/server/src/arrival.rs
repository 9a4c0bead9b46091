//! Who comes in by the HTTP door, and how its connection is spoken to.

use std::net::SocketAddr;

use madang_room::{Refusal, RoomName};
use madang_wire::{Answer, Op};
use smol_str::SmolStr;
use tokio::sync::oneshot;

use crate::message::ResumeFrom;
use crate::porter::IpSlot;

/// A connection that was already begun elsewhere, on its way to a shard.
#[derive(Debug)]
pub(crate) struct Arrival<S> {
    pub(crate) socket: S,
    pub(crate) peer: SocketAddr,
    /// By which of the configuration's doors.
    pub(crate) listener: u16,
    pub(crate) ip_slot: Option<IpSlot>,
    pub(crate) manner: Manner,
    /// What was read from the client already and belongs to the connection.
    pub(crate) input: Vec<u8>,
}

/// What somebody who comes in by HTTP wants, and so how it is spoken to.
#[derive(Debug)]
pub(crate) enum Manner {
    /// JSON in WebSocket frames; the handshake is done.
    WebSocket,
    /// Socket.IO over Engine.IO, in WebSocket frames, also where requests carry them (`upgrades` says that they do).
    SocketIo { sid: SmolStr, upgrades: bool, app: App },
    /// A room's events as server-sent events. `begun` hears at once whether there is such a room.
    Stream { room: RoomName, resume: Option<ResumeFrom>, begun: oneshot::Sender<Result<(), Refusal>> },
    /// One request of the API, answered once. Nothing is read from its socket or written to it.
    Call { op: Box<Op>, reply: oneshot::Sender<Result<Answer, Refusal>> },
}

/// What is on the other end of an Engine.IO session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum App {
    /// Madang's rooms.
    Rooms,
    /// For those who test clients: every Engine.IO message comes back.
    EchoMessages,
    /// For those who test clients: what is sent to Socket.IO's `message` comes back, in the namespaces `/` and
    /// `/custom`.
    EchoEvents,
}
