//! A shard: the rooms, names and connections that one thread owns.
//!
//! It is fed (a new connection, a ready socket, a message, an answer of the log) and then turned: [`Shard::turn`]
//! carries out what came, lets it settle, writes, and returns. Nothing in it blocks, waits or reads a clock, so a test
//! turns it by hand. Rooms, names and connections speak to each other in messages even inside one shard; those for
//! other shards leave together at the end of the turn.

use std::net::SocketAddr;
use std::sync::Arc;

use madang_log::{Completion, Health, Log};
use madang_room::Timestamp;

use crate::arrival::Arrival;
use crate::config::Config;
use crate::directory::Directory;
use crate::home::{Home, Surroundings, Tokens, Trail};
use crate::message::{ConnAnswer, Message, Outgoing};
use crate::metrics::Metrics;
use crate::net::Net;
use crate::placement::{Placement, ShardId};
use crate::porter::{GuestNumbers, IpSlot};
use crate::rooms::Rooms;
use crate::token::HostSecret;

/// What all shards of a server have in common.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) config: Arc<Config>,
    pub(crate) placement: Placement,
    pub(crate) tokens: Tokens,
    pub(crate) guests: GuestNumbers,
    /// Where the clock on people's walls is read: for times in text.
    pub(crate) zone: jiff::tz::TimeZone,
    pub(crate) host: HostSecret,
}

pub(crate) struct Shard<N: Net> {
    rooms: Rooms,
    directory: Directory,
    home: Home<N>,
    out: Outgoing,
    pub(crate) net: N,
    now: Timestamp,
}

impl<N: Net> Shard<N> {
    pub(crate) fn new(
        id: ShardId,
        common: Common,
        log: Box<dyn Log>,
        metrics: Arc<Metrics>,
        net: N,
    ) -> Shard<N> {
        let Common { config, placement, tokens, guests, zone, host } = common;
        let mut rooms = Rooms::new(config.clone(), log, metrics.clone());
        rooms.begin(&placement, id);
        Shard {
            rooms,
            directory: Directory::new(config.session_grace),
            out: Outgoing::new(id, placement.shards().count()),
            home: Home::new(id, config, placement, tokens, guests, metrics, zone, host),
            net,
            now: Timestamp::default(),
        }
    }

    /// The slot that the next accepted connection will have.
    pub(crate) fn next_slot(&self) -> u32 {
        self.home.next_slot()
    }

    /// Says what time it is for all that comes until it is said again.
    pub(crate) fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    pub(crate) fn accept(
        &mut self,
        socket: N::Socket,
        peer: SocketAddr,
        listener: u16,
        ip_slot: Option<IpSlot>,
    ) {
        let mut around = Surroundings { now: self.now, out: &mut self.out, net: &mut self.net };
        self.home.accept(socket, peer, listener, ip_slot, &mut around);
    }

    /// Takes somebody who came in by HTTP.
    pub(crate) fn arrive(&mut self, arrival: Arrival<N::Socket>) {
        let mut around = Surroundings { now: self.now, out: &mut self.out, net: &mut self.net };
        self.home.arrive(arrival, &mut around);
    }

    /// The Socket.IO session in that slot goes on over another socket.
    pub(crate) fn upgrade(&mut self, slot: u32, sid: &str, socket: N::Socket, input: Vec<u8>) {
        let mut around = Surroundings { now: self.now, out: &mut self.out, net: &mut self.net };
        self.home.upgrade(slot, sid, socket, input, &mut around);
    }

    /// The system says that a connection can be read or written, or that the other side has hung up.
    pub(crate) fn ready(&mut self, slot: u32, readable: bool, writable: bool, hung_up: bool) {
        self.home.ready(slot, readable, writable, hung_up);
    }

    pub(crate) fn handle(&mut self, message: Message) {
        let now = self.now;
        match message {
            Message::Room(message) => self.rooms.handle(message, now, &mut self.out),
            Message::ListRooms(ask) => self.rooms.list(&ask, &mut self.out),
            Message::ListShows { to } => self.rooms.list_shows(to, &mut self.out),
            Message::Directory(message) => self.directory.handle(message, now, &mut self.out),
            Message::Conn(mut message) => {
                // Where the log is well again by now, nobody would say so once more.
                if let ConnAnswer::Done { log_is_busy, .. } = &mut message.what {
                    *log_is_busy = *log_is_busy && self.rooms.log_is_busy();
                }
                let mut around = Surroundings { now, out: &mut self.out, net: &mut self.net };
                self.home.handle(message, &mut around);
            }
            Message::Forget { key } => self.rooms.remember(key, None),
            Message::Batch(batch) => {
                let mut around = Surroundings { now, out: &mut self.out, net: &mut self.net };
                self.home.deliver(&batch, &mut around);
            }
        }
    }

    pub(crate) fn handle_completion(&mut self, completion: Completion) {
        if matches!(completion, Completion::Health(Health::Well | Health::Failing)) {
            self.home.log_is_well();
        }
        self.rooms.handle_completion(completion, self.now, &mut self.out);
    }

    /// Carries out everything that has come since the last turn, and writes what it led to.
    pub(crate) fn turn(&mut self) {
        let now = self.now;
        self.rooms.tick(now, &mut self.out);
        self.directory.tick(now);
        let mut around = Surroundings { now, out: &mut self.out, net: &mut self.net };
        self.home.tick(&mut around);
        self.home.work(&mut around);
        loop {
            while let Some(message) = self.out.local.pop_front() {
                self.handle(message);
            }
            self.rooms.seal(now, &mut self.out);
            self.home.seal_relays(&mut self.out);
            if self.out.local.is_empty() {
                self.home.flush(&mut Surroundings { now, out: &mut self.out, net: &mut self.net });
                if self.out.local.is_empty() {
                    break;
                }
            }
        }
        for keepsake in self.directory.poll_keepsakes() {
            let key = format!("nick of {}", keepsake.session);
            self.rooms.remember(key, keepsake.nick.map(|nick| nick.to_string()));
        }
        self.out.shrink();
        for (shard, messages) in self.out.remote.iter_mut().enumerate() {
            if !messages.is_empty() {
                self.net.send(ShardId(shard as u16), std::mem::take(messages));
            }
        }
    }

    /// Must [`Shard::turn`] be called again without waiting?
    pub(crate) fn has_work(&self) -> bool {
        self.home.has_work()
    }

    /// When [`Shard::turn`] must be called even if nothing comes.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let deadlines =
            [self.rooms.next_deadline(), self.directory.next_deadline(), self.home.next_deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Begins the orderly end of all connections; those still there at `deadline` are reset.
    pub(crate) fn begin_shutdown(&mut self, deadline: Timestamp) {
        let mut around = Surroundings { now: self.now, out: &mut self.out, net: &mut self.net };
        self.home.begin_shutdown(deadline, &mut around);
    }

    #[cfg(test)]
    pub(crate) fn timers(&self) -> usize {
        self.home.timers()
    }

    /// Have all connections ended?
    pub(crate) fn is_drained(&self) -> bool {
        self.home.is_empty()
    }

    /// Hands everything that rooms still hold to the log. The last thing a shard does.
    pub(crate) fn close(&mut self) {
        for (session, until, trail) in self.directory.take_trails() {
            // What can't be written down is not recovered, and its client is told so.
            if let Ok(value) = serde_json::to_string(&(until.0, trail)) {
                self.rooms.remember(format!("trail of {session}"), Some(value));
            }
        }
        self.rooms.close(self.now, &mut self.out);
    }
}

/// Where a Socket.IO client had got to when the server ended: the fact's key and value, as [`Shard::close`] wrote them.
pub(crate) fn read_trail(key: &str, value: &str) -> Option<(madang_room::SessionId, Timestamp, Box<Trail>)> {
    let session = madang_room::SessionId::parse(key.strip_prefix("trail of ")?)?;
    let (until, trail) = serde_json::from_str(value).ok()?;
    Some((session, Timestamp(until), trail))
}

/// What a server that starts again remembers of a session: the fact's key and value, as [`Shard::turn`] wrote them.
pub(crate) fn read_keepsake(key: &str, value: &str) -> Option<(madang_room::SessionId, madang_room::Nick)> {
    let session = madang_room::SessionId::parse(key.strip_prefix("nick of ")?)?;
    Some((session, madang_room::Nick::parse(value).ok()?))
}
