//! The connections of one shard: reading, carrying out, writing, closing.
//!
//! A connection's commands are carried out in turn. One whose answer changes what the next one means (a nickname, a
//! room to be in) is waited for; the others go on their way while the next is read. What happens in rooms is written
//! to members straight from the batch's shared bytes.
//!
//! Elsewhere: what the commands do (`commands`, `answers`), what rooms decide (`rooms`), real sockets (`driver`).

mod answers;
mod arrivals;
mod audience;
mod commands;
mod conn;
mod deliver;
mod echoes;
mod ending;
mod engine;
mod events;
mod input;
mod lobbies;
mod outbox;
mod recovery;
mod shows;
mod socketio;
mod tongue;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use foldhash::HashMap;
use madang_room::{Nick, Refusal, Timestamp};
use madang_wire::{Answer, Notice, RequestId};
use rustc_hash::FxHashMap;
use slab::Slab;
use smallvec::SmallVec;
use thin_vec::ThinVec;

use crate::batch::{Form, Item, Place};
use crate::bucket::Bucket;
use crate::config::{Config, Framing, Service};
use crate::message::{DirectoryMessage, Holder, Message, Outgoing, Person};
use crate::metrics::Metrics;
use crate::net::Net;
use crate::placement::{ConnRef, Placement, ShardId};
use crate::porter::{GuestNumbers, IpSlot};
use crate::token::{HostSecret, new_session};
use audience::{Listener, TO_THE_END};

use conn::{Chat, Conn, Phase, Speaks};
pub(crate) use conn::{Tokens, is_limited};
use outbox::Outbox;
pub(crate) use recovery::Trail;
use tongue::Tongue;

/// Bytes read at once. A connection that has more is read again in the next turn, after the others.
const READ_BYTES: usize = 64 * 1024;

/// Bytes read at once from a peer whose rate is limited.
const READ_BYTES_LIMITED: usize = 4 * 1024;

/// What a connection needs of its surroundings, for the time of one call.
pub(crate) struct Surroundings<'a, N> {
    pub(crate) now: Timestamp,
    pub(crate) out: &'a mut Outgoing,
    pub(crate) net: &'a mut N,
}

pub(crate) struct Home<N: Net> {
    shard: ShardId,
    config: Arc<Config>,
    placement: Placement,
    tokens: Tokens,
    guests: GuestNumbers,
    metrics: Arc<Metrics>,
    zone: jiff::tz::TimeZone,
    host: HostSecret,
    conns: Slab<Conn<N::Socket>>,
    next_generation: u32,
    audiences: HashMap<Place, Vec<Listener>>,
    /// Connections with something to read or to carry out.
    queue: VecDeque<u32>,
    /// Connections with something to write, or about to close.
    dirty: Vec<u32>,
    /// What this wake brought to relays, by listener.
    relayed: FxHashMap<u16, Vec<Item>>,
    /// Connections that wait for the log to have less to do.
    log_waiters: Vec<u32>,
    timers: ending::Timers,
    buffer: Vec<u8>,
    shutdown: Option<ending::Shutdown>,
}

impl<N: Net> Home<N> {
    pub(crate) fn new(
        shard: ShardId,
        config: Arc<Config>,
        placement: Placement,
        tokens: Tokens,
        guests: GuestNumbers,
        metrics: Arc<Metrics>,
        zone: jiff::tz::TimeZone,
        host: HostSecret,
    ) -> Home<N> {
        Home {
            shard,
            placement,
            tokens,
            guests,
            metrics,
            timers: ending::Timers::new(config.write_timeout),
            config,
            zone,
            host,
            conns: Slab::new(),
            next_generation: 0,
            audiences: HashMap::default(),
            queue: VecDeque::new(),
            dirty: Vec::new(),
            relayed: FxHashMap::default(),
            log_waiters: Vec::new(),
            buffer: vec![0; READ_BYTES],
            shutdown: None,
        }
    }

    /// The slot that the next connection will have: what its socket is to be registered under.
    pub(crate) fn next_slot(&self) -> u32 {
        self.conns.vacant_key() as u32
    }

    /// Takes a new connection, which came in by the configuration's `listener`th door.
    pub(crate) fn accept(
        &mut self,
        socket: N::Socket,
        peer: SocketAddr,
        listener: u16,
        ip_slot: Option<IpSlot>,
        around: &mut Surroundings<'_, N>,
    ) {
        let config = self.config.clone();
        let service = &config.listeners[usize::from(listener)].service;
        let speaks = match service {
            Service::Chat { framing, .. } => {
                let tongue = Tongue::lines(*framing == Framing::Chunk, false);
                let nick = Nick::guest(self.guests.next());
                Speaks::Chat(Box::new(self.newcomer(peer, tongue, nick, around.now)))
            }
            Service::Lobby { .. } => {
                let nick = Nick::guest(self.guests.next());
                Speaks::Chat(Box::new(self.newcomer(peer, Tongue::lines(false, true), nick, around.now)))
            }
            Service::Echo { .. } => Speaks::Echo,
            Service::Relay { .. } => Speaks::Relay { position: 0 },
            // Those who come in by HTTP arrive otherwise.
            Service::Http(_) => return,
        };
        let slot = self.insert(socket, peer, listener, ip_slot, speaks, around);
        match service {
            Service::Chat { room, .. } | Service::Lobby { lobby: room } => self.land(slot, room, around),
            Service::Echo { .. } | Service::Http(_) => {}
            Service::Relay { to_sender } => {
                let echo = *to_sender;
                let listeners = self.audiences.entry(Place::Relay(listener)).or_default();
                let position = listeners.len() as u32;
                listeners.push(Listener { slot, form: Form::Raw, echo, from: 0, until: TO_THE_END });
                self.conns[slot as usize].speaks = Speaks::Relay { position };
            }
        }
        let idle_timeout = config.listeners[usize::from(listener)].idle_timeout;
        if !idle_timeout.is_zero() {
            self.timers.idle(around.now.plus(idle_timeout), self.reference(slot));
        }
        if self.shutdown.is_some() {
            self.say_goodbye(slot, around);
        }
    }

    fn insert(
        &mut self,
        socket: N::Socket,
        peer: SocketAddr,
        listener: u16,
        ip_slot: Option<IpSlot>,
        speaks: Speaks,
        around: &Surroundings<'_, N>,
    ) -> u32 {
        self.metrics.opened(speaks.door());
        self.next_generation = self.next_generation.wrapping_add(1);
        let slot = self.conns.insert(Conn {
            socket,
            generation: self.next_generation,
            peer: peer.into(),
            listener,
            phase: Phase::Open,
            readable: false,
            hung_up: false,
            peer_done: false,
            is_queued: false,
            is_dirty: false,
            speaks,
            outbox: Outbox::default(),
            input: ThinVec::new(),
            heard_at: around.now,
            _ip_slot: ip_slot,
        }) as u32;
        let session = self.conns[slot as usize].session();
        tracing::debug!(%peer, session, shard = self.shard.0, slot, "connected");
        slot
    }

    fn newcomer(&self, peer: SocketAddr, tongue: Tongue, nick: Nick, now: Timestamp) -> Chat {
        let per_second = self.config.limits.messages_per_second;
        let is_limited = is_limited(peer.ip()) && per_second > 0;
        Chat {
            tongue,
            person: Arc::new(Person { nick, session: new_session() }),
            rooms: SmallVec::new(),
            pending: None,
            under_way: 0,
            waits_for_log: false,
            bucket: if is_limited { Bucket::new(per_second, now) } else { Bucket::endless() },
            is_resumable: false,
            is_host: false,
            goodbye: None,
            why_left: None,
        }
    }

    fn reference(&self, slot: u32) -> ConnRef {
        ConnRef { shard: self.shard, slot, generation: self.conns[slot as usize].generation }
    }

    /// The slot of a connection that is still there.
    fn find(&self, conn: ConnRef) -> Option<u32> {
        let found = self.conns.get(conn.slot as usize)?;
        (found.generation == conn.generation).then_some(conn.slot)
    }

    fn holder(&mut self, slot: u32) -> Option<Holder> {
        let conn = self.reference(slot);
        let session = self.conns[slot as usize].chat()?.person.session;
        Some(Holder { session, conn })
    }

    fn enqueue(&mut self, slot: u32) {
        let conn = &mut self.conns[slot as usize];
        if !std::mem::replace(&mut conn.is_queued, true) {
            self.queue.push_back(slot);
        }
    }

    fn mark_dirty(&mut self, slot: u32) {
        let conn = &mut self.conns[slot as usize];
        if !std::mem::replace(&mut conn.is_dirty, true) {
            self.dirty.push(slot);
        }
    }

    /// Are there connections to be worked on without waiting for the system to say so?
    pub(crate) fn has_work(&self) -> bool {
        !self.queue.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn timers(&self) -> usize {
        self.timers.count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.conns.is_empty()
    }

    /// Answers a command in the connection's own words.
    fn reply(&mut self, slot: u32, re: Option<&RequestId>, result: &Result<Answer, Refusal>) {
        let Conn { speaks: Speaks::Chat(chat), outbox, .. } = &mut self.conns[slot as usize] else { return };
        if let Err(refusal) = result {
            self.metrics.refused(refusal);
        }
        let zone = &self.zone;
        let is_something = outbox.append(|bytes| chat.tongue.encode_reply(bytes, re, result, zone));
        let is_call = matches!(chat.tongue, Tongue::Call { .. });
        if is_something {
            self.mark_dirty(slot);
        }
        if is_call {
            // It has what it came for.
            self.conns[slot as usize].peer_done = true;
            self.enqueue(slot);
        }
    }

    /// Tells a connection something that it did not ask for.
    fn notify(&mut self, slot: u32, notice: &Notice) {
        let Conn { speaks: Speaks::Chat(chat), outbox, .. } = &mut self.conns[slot as usize] else { return };
        if outbox.append(|bytes| chat.tongue.encode_notice(bytes, notice)) {
            self.mark_dirty(slot);
        }
    }

    /// Writes bytes to a connection alone.
    fn write_private(&mut self, slot: u32, bytes: &[u8]) {
        if self.conns[slot as usize].outbox.append(|out| out.extend_from_slice(bytes)) {
            self.mark_dirty(slot);
        }
    }

    fn ask_directory(&mut self, shard: ShardId, message: DirectoryMessage, around: &mut Surroundings<'_, N>) {
        around.out.send(shard, Message::Directory(message));
    }
}
