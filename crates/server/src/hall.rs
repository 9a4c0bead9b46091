//! What the HTTP door sees of the server: shards to bring people to, and what it may tell about the whole.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use madang_room::Refusal;
use madang_wire::{Answer, Op};
use mio::net::TcpStream;
use prometheus_client::registry::Registry;
use smol_str::SmolStr;
use tokio::sync::oneshot;

use crate::arrival::{Arrival, Manner};
use crate::config::Config;
use crate::driver::{Inbox, Mailbox, Socket};
use crate::pipe::{PipeDoor, pipe};
use crate::porter::IpSlot;

/// Where somebody comes from.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub(crate) peer: SocketAddr,
    /// By which of the configuration's doors.
    pub(crate) listener: u16,
    pub(crate) ip_slot: Option<IpSlot>,
}

pub(crate) struct Hall {
    pub(crate) config: Arc<Config>,
    registry: Registry,
    shards: Vec<Mailbox>,
    next_shard: AtomicUsize,
    is_draining: AtomicBool,
    /// Can logs be written?
    log_is_well: Box<dyn Fn() -> bool + Send + Sync>,
}

impl Hall {
    pub(crate) fn new(
        config: Arc<Config>,
        registry: Registry,
        shards: Vec<Mailbox>,
        log_is_well: Box<dyn Fn() -> bool + Send + Sync>,
    ) -> Hall {
        Hall {
            config,
            registry,
            shards,
            next_shard: AtomicUsize::new(0),
            is_draining: AtomicBool::new(false),
            log_is_well,
        }
    }

    /// Asks one thing, as a client of its own that comes for this and goes again.
    pub(crate) async fn call(&self, visitor: Visitor, op: Op) -> Result<Answer, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.arrive(visitor, Socket::Absent, Manner::Call { op: Box::new(op), reply }, Vec::new());
        // A shard that ends before it has answered has closed all its connections.
        answer.await.unwrap_or(Err(Refusal::Closing))
    }

    /// Begins a connection that requests will carry.
    pub(crate) fn open_pipe(&self, visitor: Visitor, manner: Manner) -> PipeDoor {
        let shard = self.next_shard();
        let (end, door) = pipe(shard.clone());
        let Visitor { peer, listener, ip_slot } = visitor;
        let socket = Socket::Pipe(end);
        let arrival = Arrival { socket, peer, listener, ip_slot, manner, input: Vec::new() };
        shard.send(Inbox::Arrived(Box::new(arrival)));
        door
    }

    /// Hands over a connection whose handshake is done, with what was read behind the handshake.
    pub(crate) fn open_socket(&self, visitor: Visitor, stream: TcpStream, manner: Manner, input: Vec<u8>) {
        self.arrive(visitor, Socket::Tcp(stream), manner, input);
    }

    /// A session that requests have carried goes on over a socket of its own; what it is still owed goes there first.
    pub(crate) fn upgrade(&self, door: &PipeDoor, sid: SmolStr, stream: TcpStream, input: Vec<u8>) {
        if let Some(slot) = door.slot() {
            door.hand_over();
            door.shard().send(Inbox::Upgrade { slot, sid, stream, input });
        }
    }

    fn arrive(&self, visitor: Visitor, socket: Socket, manner: Manner, input: Vec<u8>) {
        let Visitor { peer, listener, ip_slot } = visitor;
        let arrival = Arrival { socket, peer, listener, ip_slot, manner, input };
        self.next_shard().send(Inbox::Arrived(Box::new(arrival)));
    }

    fn next_shard(&self) -> &Mailbox {
        &self.shards[self.next_shard.fetch_add(1, Ordering::Relaxed) % self.shards.len()]
    }

    /// What the server has counted, in the text format of Prometheus.
    pub(crate) fn metrics(&self) -> String {
        let mut text = String::new();
        // Writing to a string fails only where a metric can't be written, and then says as much as there is.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    /// From now on the server says that it takes no more traffic.
    pub(crate) fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// Is the server ready to take traffic?
    pub(crate) fn is_ready(&self) -> bool {
        !self.is_draining.load(Ordering::Relaxed) && (self.log_is_well)()
    }
}
