//! A server in memory: shards, a log, clients by name, and one clock.
//!
//! A scene is short text: `world.run("mina: hello")` types a line as mina, `world.check(expect![...])` compares what
//! everybody has been sent since the last look, as `mina < <jun> hi`.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use expect_test::Expect;
use madang_log::{Completion, Control, FaultyLog, Log, MemoryLog, Sink};
use madang_room::Timestamp;
use madang_wire::websocket;

use crate::arrival::{App, Arrival, Manner};
use crate::config::{Config, Service};
use crate::message::Message;
use crate::metrics::Metrics;
use crate::net::Net;
use crate::placement::{Placement, ShardId};
use crate::porter::GuestNumbers;
use crate::shard::{Common, Shard};
use crate::token::{HostSecret, TokenKey};

/// 2026-11-20T10:00:00Z.
const START: Timestamp = Timestamp(1_795_168_800_000);

pub(super) struct World {
    config: Config,
    shards: Vec<Shard<MemoryNet>>,
    pub(super) metrics: Vec<Arc<Metrics>>,
    wires: Rc<RefCell<Wires>>,
    clients: BTreeMap<String, Client>,
    completions: Arc<Mutex<VecDeque<(usize, Completion)>>>,
    pub(super) log: Vec<Control>,
    pub(super) now: Timestamp,
    placement: Placement,
    next_shard: usize,
}

#[derive(Clone, Copy)]
struct Client {
    wire: usize,
    shard: usize,
    slot: u32,
}

/// All sockets' other ends, and the mail between shards.
#[derive(Default)]
struct Wires {
    wires: Vec<Wire>,
    mail: Vec<(ShardId, Vec<Message>)>,
}

/// One connection as its client sees it.
#[derive(Default)]
pub(super) struct Wire {
    to_server: VecDeque<u8>,
    has_ended: bool,
    is_reset: bool,
    from_server: Vec<u8>,
    /// Bytes that the client's side still takes; `None` is no bound.
    window: Option<usize>,
    wants_write: bool,
    pub(super) writes: usize,
    fin_received: bool,
    closed: Option<bool>,
}

impl World {
    pub(super) fn new() -> World {
        World::with(Config { shards: 1, ..Config::default() })
    }

    /// A server as the configuration says; its number of shards must be given.
    pub(super) fn with(config: Config) -> World {
        let mut world = World {
            config,
            shards: Vec::new(),
            metrics: Vec::new(),
            wires: Rc::default(),
            clients: BTreeMap::new(),
            completions: Arc::default(),
            log: Vec::new(),
            now: START,
            placement: Placement::new(1),
            next_shard: 0,
        };
        world.start();
        world
    }

    fn start(&mut self) {
        let config = Arc::new(self.config.clone());
        self.placement = Placement::new(config.shards as u16);
        let common = Common {
            config: config.clone(),
            placement: self.placement.clone(),
            tokens: Arc::new(TokenKey::new(&[7; 32])),
            guests: GuestNumbers::default(),
            zone: jiff::tz::TimeZone::UTC,
            host: HostSecret::new("open sesame"),
        };
        for at in 0..config.shards {
            let completions = self.completions.clone();
            let sink: Sink =
                Arc::new(move |completion| completions.lock().unwrap().push_back((at, completion)));
            let (log, control) = FaultyLog::new(sink, MemoryLog::new);
            self.log.push(control);
            let metrics = Arc::new(Metrics::default());
            self.metrics.push(metrics.clone());
            let net = MemoryNet { wires: self.wires.clone() };
            let log: Box<dyn Log> = Box::new(log);
            self.shards.push(Shard::new(ShardId(at as u16), common.clone(), log, metrics, net));
        }
        self.settle();
    }

    /// The log of the shard that owns a room.
    pub(super) fn log_of(&self, room: &str) -> &Control {
        let room = madang_room::RoomName::parse(room).unwrap();
        &self.log[usize::from(self.placement.of_room(&room).0)]
    }

    /// The time as it stands in JSON.
    pub(super) fn now_text(&self) -> String {
        self.now.to_jiff().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
    }

    /// People who come in by text lines, one after the other, and whose greetings are not looked at.
    pub(super) fn people<const N: usize>(&mut self, names: [&str; N]) {
        for name in names {
            self.connect(name);
            self.run(&format!("{name}: /nick {name}"));
        }
        self.forget();
    }

    pub(super) fn connect(&mut self, name: &str) {
        self.connect_from(name, "127.0.0.1:50000", 0);
    }

    pub(super) fn connect_from(&mut self, name: &str, peer: &str, listener: u16) {
        let peer: SocketAddr = peer.parse().unwrap();
        let wire = self.new_wire();
        let shard = self.next_shard;
        self.next_shard = (self.next_shard + 1) % self.shards.len();
        let slot = self.shards[shard].next_slot();
        self.shards[shard].set_now(self.now);
        self.shards[shard].accept(wire, peer, listener, None);
        self.clients.insert(name.to_owned(), Client { wire, shard, slot });
        self.settle();
    }

    /// Somebody who comes in by HTTP, on a listener of the configuration that is for it.
    pub(super) fn arrive(&mut self, name: &str, manner: Manner) {
        let listener = self.config.listeners.iter().position(|at| matches!(at.service, Service::Http(_)));
        let listener = listener.expect("the configuration has a door for HTTP") as u16;
        let peer = "127.0.0.1:50000".parse().unwrap();
        let socket = self.new_wire();
        let shard = self.next_shard;
        self.next_shard = (self.next_shard + 1) % self.shards.len();
        let slot = self.shards[shard].next_slot();
        self.shards[shard].set_now(self.now);
        let input = Vec::new();
        self.shards[shard].arrive(Arrival { socket, peer, listener, ip_slot: None, manner, input });
        self.clients.insert(name.to_owned(), Client { wire: socket, shard, slot });
        self.settle();
    }

    /// As [`World::arrive`], from elsewhere.
    pub(super) fn arrive_from(&mut self, name: &str, peer: &str, manner: Manner) {
        let listener = self.config.listeners.iter().position(|at| matches!(at.service, Service::Http(_)));
        self.arrive_by(name, peer, listener.unwrap() as u16, manner);
    }

    /// A Socket.IO client that comes in by that listener.
    pub(super) fn arrive_at(&mut self, name: &str, listener: u16) {
        let sid = format!("sid-{name}").into();
        let manner = Manner::SocketIo { sid, upgrades: true, app: App::Rooms };
        self.arrive_by(name, "127.0.0.1:50000", listener, manner);
    }

    fn arrive_by(&mut self, name: &str, peer: &str, listener: u16, manner: Manner) {
        let peer = peer.parse().unwrap();
        let socket = self.new_wire();
        let shard = self.next_shard;
        self.next_shard = (self.next_shard + 1) % self.shards.len();
        let slot = self.shards[shard].next_slot();
        self.shards[shard].set_now(self.now);
        let input = Vec::new();
        self.shards[shard].arrive(Arrival { socket, peer, listener, ip_slot: None, manner, input });
        self.clients.insert(name.to_owned(), Client { wire: socket, shard, slot });
        self.settle();
    }

    /// A Socket.IO client whose connection is open, and that has said nothing.
    pub(super) fn open_socketio(&mut self, name: &str) {
        let sid = format!("sid-{name}").into();
        self.arrive(name, Manner::SocketIo { sid, upgrades: true, app: App::Rooms });
    }

    /// Goes on over another wire, as when polling changes to WebSocket.
    pub(super) fn upgrade(&mut self, name: &str) {
        let wire = self.new_wire();
        let client = self.clients.get_mut(name).unwrap();
        client.wire = wire;
        let (shard, slot) = (client.shard, client.slot);
        self.shards[shard].upgrade(slot, &format!("sid-{name}"), wire, Vec::new());
        self.settle();
    }

    fn new_wire(&mut self) -> usize {
        self.wires.borrow_mut().wires.push(Wire::default());
        self.wires.borrow().wires.len() - 1
    }

    /// Sends a text frame.
    pub(super) fn frame(&mut self, name: &str, text: &str) {
        let mut bytes = Vec::new();
        websocket::masked_text_frame(&mut bytes, text);
        self.send(name, &bytes);
    }

    /// The frames that a client was sent since the last look, texts as they are.
    pub(super) fn frames(&mut self, name: &str) -> Vec<String> {
        let bytes = self.received_bytes(name);
        assert_eq!(websocket::whole_frames(&bytes), bytes.len(), "frames are written whole");
        let show = |(opcode, payload): (websocket::Opcode, &[u8])| match opcode {
            websocket::Opcode::Text => String::from_utf8(payload.to_vec()).unwrap(),
            websocket::Opcode::Close => {
                let code = payload.get(..2).map_or(0, |code| u16::from_be_bytes([code[0], code[1]]));
                format!("(close {code})")
            }
            other => format!("({other:?} of {} bytes)", payload.len()),
        };
        websocket::split_frames(&bytes).map(show).collect()
    }

    /// Somebody who speaks JSON from the first line, and is in no hurry to say hello.
    pub(super) fn connect_json(&mut self, name: &str) {
        self.connect(name);
        self.run(&format!("{name}: /json"));
        self.received(name);
    }

    /// Types a line: `mina: hello`.
    pub(super) fn run(&mut self, line: &str) {
        let (name, line) = line.split_once(": ").expect("a line is `name: text`");
        self.send(name, format!("{line}\n").as_bytes());
    }

    pub(super) fn send(&mut self, name: &str, bytes: &[u8]) {
        self.type_ahead(name, bytes);
        self.settle();
    }

    /// Sends, but lets the server not look yet: what several people send so comes in one wake.
    pub(super) fn type_ahead(&mut self, name: &str, bytes: &[u8]) {
        let client = self.clients[name];
        self.wires.borrow_mut().wires[client.wire].to_server.extend(bytes);
        self.shards[client.shard].ready(client.slot, true, false, false);
    }

    /// Half-closes: the client sends nothing more, and reads on.
    pub(super) fn finish(&mut self, name: &str) {
        let client = self.clients[name];
        self.wires.borrow_mut().wires[client.wire].has_ended = true;
        self.shards[client.shard].ready(client.slot, true, false, true);
        self.settle();
    }

    /// The connection breaks.
    pub(super) fn reset(&mut self, name: &str) {
        self.reset_unseen(name);
        self.settle();
    }

    /// The connection breaks, and the server has not looked yet.
    pub(super) fn reset_unseen(&mut self, name: &str) {
        let client = self.clients[name];
        self.wires.borrow_mut().wires[client.wire].is_reset = true;
        self.shards[client.shard].ready(client.slot, true, false, true);
    }

    /// One turn of each shard, with nothing carried between them yet.
    pub(super) fn turn_once(&mut self) {
        self.shards.iter_mut().for_each(Shard::turn);
    }

    /// Brings to each shard what others have sent it.
    pub(super) fn deliver_mail(&mut self) {
        let mail = std::mem::take(&mut self.wires.borrow_mut().mail);
        for (to, messages) in mail {
            messages.into_iter().for_each(|message| self.shards[usize::from(to.0)].handle(message));
        }
    }

    /// From now on the client takes only so many bytes; `None`: reads on.
    pub(super) fn set_window(&mut self, name: &str, window: Option<usize>) {
        let client = self.clients[name];
        self.wires.borrow_mut().wires[client.wire].window = window;
        if self.wires.borrow().wires[client.wire].wants_write {
            self.shards[client.shard].ready(client.slot, false, true, false);
        }
        self.settle();
    }

    pub(super) fn advance(&mut self, duration: Duration) {
        let end = self.now.plus(duration);
        while let Some(due) =
            self.shards.iter().filter_map(Shard::next_deadline).min().filter(|due| *due <= end)
        {
            self.now = self.now.max(due);
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    pub(super) fn shut_down(&mut self) {
        let deadline = self.now.plus(self.config.drain_timeout);
        for shard in &mut self.shards {
            shard.set_now(self.now);
            shard.begin_shutdown(deadline);
        }
        self.settle();
    }

    pub(super) fn timers(&self) -> usize {
        self.shards.iter().map(Shard::timers).sum()
    }

    pub(super) fn is_drained(&self) -> bool {
        self.shards.iter().all(Shard::is_drained)
    }

    /// Turns the shards until nothing happens any more.
    pub(super) fn settle(&mut self) {
        loop {
            for shard in &mut self.shards {
                shard.set_now(self.now);
            }
            let completions: Vec<_> = self.completions.lock().unwrap().drain(..).collect();
            let mail = std::mem::take(&mut self.wires.borrow_mut().mail);
            let is_quiet = completions.is_empty() && mail.is_empty();
            completions
                .into_iter()
                .for_each(|(at, completion)| self.shards[at].handle_completion(completion));
            for (to, messages) in mail {
                messages.into_iter().for_each(|message| self.shards[usize::from(to.0)].handle(message));
            }
            self.shards.iter_mut().for_each(Shard::turn);
            let has_more = !self.completions.lock().unwrap().is_empty()
                || !self.wires.borrow().mail.is_empty()
                || self.shards.iter().any(Shard::has_work);
            if is_quiet && !has_more {
                return;
            }
        }
    }

    /// What one client was sent since the last look.
    pub(super) fn received(&mut self, name: &str) -> String {
        let wire = self.clients[name].wire;
        let bytes = std::mem::take(&mut self.wires.borrow_mut().wires[wire].from_server);
        String::from_utf8(bytes).expect("text doors speak UTF-8")
    }

    pub(super) fn received_bytes(&mut self, name: &str) -> Vec<u8> {
        let wire = self.clients[name].wire;
        std::mem::take(&mut self.wires.borrow_mut().wires[wire].from_server)
    }

    /// Looks at a connection from its client's side.
    pub(super) fn wire<T>(&self, name: &str, look: impl FnOnce(&Wire) -> T) -> T {
        look(&self.wires.borrow().wires[self.clients[name].wire])
    }

    pub(super) fn forget(&mut self) {
        let names: Vec<String> = self.clients.keys().cloned().collect();
        names.iter().for_each(|name| drop(self.received_bytes(name)));
    }

    /// Compares what everybody was sent since the last look, and how their connections ended.
    pub(super) fn check(&mut self, expected: Expect) {
        let mut seen = String::new();
        for name in self.clients.keys().cloned().collect::<Vec<_>>() {
            for line in self.received(&name).split_inclusive('\n') {
                let ending = match () {
                    () if line.ends_with("\r\n") => " (CR LF)",
                    () if !line.ends_with('\n') => " (unfinished)",
                    () => "",
                };
                writeln!(seen, "{name} < {}{ending}", line.trim_end_matches(['\r', '\n'])).unwrap();
            }
            match self.wire(&name, |wire| (wire.fin_received, wire.closed)) {
                (_, Some(true)) => writeln!(seen, "{name} < (reset)").unwrap(),
                (true, _) => writeln!(seen, "{name} < (end)").unwrap(),
                _ => continue,
            }
            self.clients.remove(&name);
        }
        expected.assert_eq(&seen);
    }
}

impl Wire {
    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }
}

/// The outside of a shard, in memory. A socket is the number of its wire.
pub(super) struct MemoryNet {
    wires: Rc<RefCell<Wires>>,
}

impl Net for MemoryNet {
    type Socket = usize;

    fn read(&mut self, socket: &mut usize, buffer: &mut [u8]) -> io::Result<usize> {
        let wire = &mut self.wires.borrow_mut().wires[*socket];
        if wire.is_reset {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if wire.to_server.is_empty() {
            return if wire.has_ended { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        let bytes = buffer.len().min(wire.to_server.len());
        buffer[..bytes].iter_mut().zip(wire.to_server.drain(..bytes)).for_each(|(to, from)| *to = from);
        Ok(bytes)
    }

    fn write(&mut self, socket: &mut usize, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let wire = &mut self.wires.borrow_mut().wires[*socket];
        assert!(!wire.fin_received, "nothing is written after FIN");
        wire.writes += 1;
        if wire.is_reset {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let taken = wire.window.unwrap_or(usize::MAX).min(bytes.len());
        if taken == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        wire.from_server.extend_from_slice(&bytes[..taken]);
        wire.window = wire.window.map(|window| window - taken);
        Ok(taken)
    }

    fn want_write(&mut self, socket: &mut usize, _slot: u32, wanted: bool) {
        self.wires.borrow_mut().wires[*socket].wants_write = wanted;
    }

    fn finish(&mut self, socket: &mut usize) {
        self.wires.borrow_mut().wires[*socket].fin_received = true;
    }

    fn unsent(&mut self, socket: &usize) -> Vec<u8> {
        std::mem::take(&mut self.wires.borrow_mut().wires[*socket].from_server)
    }

    fn close(&mut self, socket: usize, reset: bool) {
        self.wires.borrow_mut().wires[socket].closed = Some(reset);
    }

    fn send(&mut self, shard: ShardId, messages: Vec<Message>) {
        self.wires.borrow_mut().mail.push((shard, messages));
    }
}
