//! One connection: its socket, what it is owed, and, where it speaks the chat's language, its session.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use madang_room::{Nick, RoomName, SessionId, Timestamp, WhyLeft};
use madang_wire::{Request, RequestId, RoomRow, Welcome};
use smallvec::SmallVec;
use thin_vec::ThinVec;

use super::audience::Membership;
use super::echoes::Echoes;
use super::engine::Engine;
use super::outbox::Outbox;
use super::recovery::{Recovering, Seen};
use super::tongue::Tongue;
use crate::batch::Form;
use crate::bucket::Bucket;
use crate::message::{Freed, Person, Placed, Post};
use crate::metrics::Door;
use crate::porter::IpSlot;

/// Commands of one connection that may be under way; it is read no further above that.
pub(crate) const UNDER_WAY_MAX: u32 = 1_024;

pub(crate) struct Conn<S> {
    pub(crate) socket: S,
    pub(crate) generation: u32,
    pub(crate) peer: Peer,
    pub(crate) listener: u16,
    pub(crate) phase: Phase,
    /// The socket may have something to read.
    pub(crate) readable: bool,
    /// The other side has sent FIN or RST: read until that is seen.
    pub(crate) hung_up: bool,
    /// FIN was read.
    pub(crate) peer_done: bool,
    /// It stands in the list of those to work on.
    pub(crate) is_queued: bool,
    /// It stands in the list of those to be written to, or closed.
    pub(crate) is_dirty: bool,
    pub(crate) speaks: Speaks,
    pub(crate) outbox: Outbox,
    /// What was read and must wait for an answer to what stood before it. At most one read's worth.
    pub(crate) input: ThinVec<u8>,
    pub(crate) heard_at: Timestamp,
    /// Its place in the count of connections from its address; given back when dropped.
    pub(crate) _ip_slot: Option<IpSlot>,
}

/// Where a connection comes from: 18 bytes of its own instead of the 32 of a [`SocketAddr`], which is what tens of
/// thousands of idle ones are made of. Flow and scope of IPv6 are left out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    ip: [u8; 16],
    port: [u8; 2],
}

impl From<SocketAddr> for Peer {
    fn from(peer: SocketAddr) -> Peer {
        let ip = match peer.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        Peer { ip: ip.octets(), port: peer.port().to_ne_bytes() }
    }
}

impl Peer {
    pub(crate) fn ip(self) -> IpAddr {
        IpAddr::from(self.ip).to_canonical()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.ip(), u16::from_ne_bytes(self.port)).fmt(f)
    }
}

/// How far a connection's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// No further input is taken; commands under way are being answered and rooms left.
    Leaving,
    /// Nothing more will be said; when all is written, FIN goes out.
    Draining,
    /// FIN is sent; what the peer still sends is read and dropped until its FIN, but not for ever.
    Finished,
}

pub(crate) enum Speaks {
    Chat(Box<Chat>),
    Echo,
    /// Its place among the relay's listeners.
    Relay {
        position: u32,
    },
    /// Engine.IO, for those who test clients.
    Echoes(Box<Echoes>),
}

impl Speaks {
    /// By which way it has come, for those who count.
    pub(crate) fn door(&self) -> Door {
        match self {
            Speaks::Chat(chat) => match chat.tongue {
                Tongue::Lines(_) => Door::Lines,
                Tongue::WebSocket(_) => Door::WebSocket,
                Tongue::SocketIo(_) => Door::SocketIo,
                Tongue::Stream { .. } => Door::Stream,
                Tongue::Call { .. } => Door::Call,
            },
            Speaks::Echo => Door::Echo,
            Speaks::Relay { .. } => Door::Relay,
            Speaks::Echoes(_) => Door::SocketIo,
        }
    }
}

/// A session of the chat, while it has this connection.
pub(crate) struct Chat {
    pub(crate) tongue: Tongue,
    pub(crate) person: Arc<Person>,
    /// In the order in which they were joined: the last is the current one. Most are in one room or two.
    pub(crate) rooms: SmallVec<[Membership; 2]>,
    /// The command that must be answered before the next is carried out.
    pub(crate) pending: Option<Box<Pending>>,
    pub(crate) under_way: u32,
    /// The log has too much to do: publishers wait.
    pub(crate) waits_for_log: bool,
    pub(crate) bucket: Bucket,
    /// It has said `hello`, so it has a token to come back with.
    pub(crate) is_resumable: bool,
    /// It has presented the secret that makes a host.
    pub(crate) is_host: bool,
    /// It has said goodbye: to be answered with the last line of all, under this `id`.
    pub(crate) goodbye: Option<Box<Goodbye>>,
    pub(crate) why_left: Option<WhyLeft>,
}

/// A `bye` that was asked for.
pub(crate) struct Goodbye {
    pub(crate) re: Option<RequestId>,
}

/// A command whose answer changes what the next one means.
pub(crate) enum Pending {
    /// The room that a newcomer lands in.
    Landing {
        room: RoomName,
    },
    Join {
        room: RoomName,
        echo: Option<bool>,
    },
    /// Socket.IO's `room`: the one room of a simple client.
    SimpleJoin {
        room: RoomName,
    },
    /// A room's events for a stream.
    Follow,
    /// Rooms are joined again, one after the other, for a Socket.IO client that was away.
    Recover(Box<Recovering>),
    Leave,
    /// `history`, whose answer is large, or `tell`, which is heard before what comes after it.
    Answer,
    /// A command that is not answered by a room, and so not before those that rooms are still answering.
    Parked(Request),
    Nick {
        re: Option<RequestId>,
    },
    /// The name under which something is to be said in a room without being there.
    Post {
        re: Option<RequestId>,
        room: RoomName,
        post: Box<Post>,
    },
    /// `hello` that asks for a session: the owner of the session answers first, then that of its nickname.
    Resume {
        re: Option<RequestId>,
        nick: Option<Nick>,
        session: SessionId,
        /// What a Socket.IO client has seen last.
        seen: Option<Box<Seen>>,
    },
    /// `hello` that asks for a nickname. `is_wanted`: it was asked for, not only remembered.
    HelloNick {
        re: Option<RequestId>,
        resumed: bool,
        is_wanted: bool,
    },
    Rooms {
        re: Option<RequestId>,
        shards_left: usize,
        limit: usize,
        rooms: Vec<RoomRow>,
    },
    Shows {
        re: Option<RequestId>,
        shards_left: usize,
        /// The performances, each with its free seats.
        free: Vec<(RoomName, usize)>,
    },
    /// A performance's room, and its seats.
    Watch {
        room: RoomName,
    },
    Checkin,
    /// One who has a place goes into the lobby's room and then into the group's: `room` is the one of these that was
    /// knocked at.
    Enter {
        re: Option<RequestId>,
        placed: Box<Placed>,
        room: RoomName,
    },
    Checkout,
    /// The room of the group in which one has no place any more.
    LeaveGroup {
        re: Option<RequestId>,
        freed: Box<Freed>,
    },
}

impl<S> Conn<S> {
    pub(crate) fn chat(&mut self) -> Option<&mut Chat> {
        match &mut self.speaks {
            Speaks::Chat(chat) => Some(chat),
            Speaks::Echo | Speaks::Relay { .. } | Speaks::Echoes(_) => None,
        }
    }

    /// Its Engine.IO session, if it is one.
    pub(crate) fn engine(&mut self) -> Option<&mut Engine> {
        match &mut self.speaks {
            Speaks::Chat(chat) => chat.tongue.socketio().map(|socketio| &mut socketio.engine),
            Speaks::Echoes(echoes) => Some(&mut echoes.engine),
            Speaks::Echo | Speaks::Relay { .. } => None,
        }
    }

    /// Whose connection it is, for the server's own log.
    pub(crate) fn session(&self) -> Option<tracing::field::DisplayValue<SessionId>> {
        match &self.speaks {
            Speaks::Chat(chat) => Some(tracing::field::display(chat.person.session)),
            Speaks::Echo | Speaks::Relay { .. } | Speaks::Echoes(_) => None,
        }
    }

    /// May the next command be taken?
    pub(crate) fn takes_commands(&self) -> bool {
        if self.phase != Phase::Open || self.outbox.is_full() {
            return false;
        }
        match &self.speaks {
            Speaks::Chat(chat) => {
                chat.pending.is_none() && chat.under_way < UNDER_WAY_MAX && !chat.waits_for_log
            }
            // What is echoed must find its way back before more is read.
            Speaks::Echo => !self.outbox.is_behind(),
            Speaks::Relay { .. } => true,
            Speaks::Echoes(_) => !self.outbox.is_behind(),
        }
    }
}

impl Chat {
    /// In which form what happens in its `position`th room is written to it.
    pub(crate) fn form(&self, position: usize) -> Form {
        let Membership { room, is_show, .. } = &self.rooms[position];
        let is_current = !self.rooms[position + 1..].iter().any(|later| later.is_show == *is_show);
        self.tongue.form(room, is_current)
    }

    /// Where one speaks.
    pub(crate) fn current_room(&self) -> Option<&RoomName> {
        self.rooms.iter().rev().find(|membership| !membership.is_show).map(|membership| &membership.room)
    }

    /// The performance whose seats one means.
    pub(crate) fn current_performance(&self) -> Option<&RoomName> {
        self.rooms.iter().rev().find(|membership| membership.is_show).map(|membership| &membership.room)
    }

    /// Is every command answered?
    pub(crate) fn is_quiet(&self) -> bool {
        self.pending.is_none() && self.under_way == 0
    }

    pub(crate) fn welcome(&self, resume: String, resumed: bool) -> Welcome {
        Welcome {
            session: self.person.session,
            resume: resume.into(),
            resumed,
            nick: self.person.nick.clone(),
            server: concat!("madang/", env!("CARGO_PKG_VERSION")),
        }
    }
}

/// Limits on what one peer may use don't count on one's own machine.
pub(crate) fn is_limited(peer: IpAddr) -> bool {
    !peer.to_canonical().is_loopback()
}

/// The tokens that sessions are resumed with; the same for all shards.
pub(crate) type Tokens = Arc<crate::token::TokenKey>;
