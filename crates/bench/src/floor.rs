//! The least that could do the work of a chat server: a bare epoll loop that writes what it reads to every other
//! connection of the same room.
//!
//! It has no names, no limits and no memory of what was said; the first line of a connection, `/join ROOM`, names its
//! room, and everything after it is passed on unread. What a real server costs is told as a ratio to this, measured in
//! the same minutes on the same machine.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use rustix::process::Signal;
use socket2::{Domain, Socket, Type};

use crate::failure::Failure;

const LISTENER: Token = Token(usize::MAX);
const EVENTS_AT_ONCE: usize = 1_024;
/// New connections that wait to be taken, as many as with Madang. What goes beyond waits for a second and more.
const BACKLOG: i32 = 4_096;
const BUFFER_BYTES: usize = 256 * 1024;
/// A connection that is this far behind is closed: a floor is for measuring, and keeps nobody company.
const OUTBOX_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How often the floor writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Once for each message and member.
    PerMessage,
    /// Once for each wake and member, everything that this wake brought.
    Batched,
}

/// Serves until it is killed, at a port of the system's choice that it says on standard output as Madang does. It ends
/// with whoever started it.
///
/// # Errors
///
/// Where the system has no sockets for us.
pub fn serve(mode: Mode) -> Result<Infallible, Failure> {
    // Else a benchmark that is killed would leave it behind. Where it can't be had, it stays until it is found.
    let _ = rustix::process::set_parent_process_death_signal(Some(Signal::KILL));
    crate::machine::allow_connections(0)?;
    let mut floor = Floor::bind(mode).map_err(Failure::system("listening"))?;
    let address = floor.listener.local_addr().map_err(Failure::system("knowing one's own address"))?;
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "listening tcp {address} floor\nready")
        .and_then(|()| stdout.flush())
        .map_err(Failure::system("saying where it listens"))?;
    loop {
        floor.turn().map_err(Failure::system("waiting for connections"))?;
    }
}

struct Floor {
    mode: Mode,
    poll: Poll,
    events: Events,
    listener: TcpListener,
    buffer: Vec<u8>,
    peers: Vec<Option<Peer>>,
    free: Vec<usize>,
    names: HashMap<Vec<u8>, usize>,
    rooms: Vec<Room>,
    /// Rooms in which something was said in this wake.
    loud: Vec<usize>,
    /// Somebody was closed while the members of a room were written to, and is still among them.
    has_cut_off: bool,
}

struct Peer {
    stream: TcpStream,
    room: Option<usize>,
    /// A line whose end has not come yet.
    tail: Vec<u8>,
    /// What the socket did not take.
    outbox: Vec<u8>,
}

#[derive(Default)]
struct Room {
    members: Vec<usize>,
    /// What was said in this wake, and who said which part.
    batch: Vec<u8>,
    parts: Vec<(usize, Range<usize>)>,
}

impl Floor {
    fn bind(mode: Mode) -> io::Result<Floor> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        let mut listener = TcpListener::from_std(socket.into());
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Floor {
            mode,
            poll,
            events: Events::with_capacity(EVENTS_AT_ONCE),
            listener,
            buffer: vec![0; BUFFER_BYTES],
            peers: Vec::new(),
            free: Vec::new(),
            names: HashMap::new(),
            rooms: Vec::new(),
            loud: Vec::new(),
            has_cut_off: false,
        })
    }

    /// One wake.
    fn turn(&mut self) -> io::Result<()> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let waited = self.poll.poll(&mut events, None);
        for event in &events {
            match event.token() {
                LISTENER => self.accept(),
                Token(key) => {
                    if event.is_writable() {
                        self.flush(key);
                    }
                    if event.is_readable() {
                        self.read(key);
                    }
                }
            }
        }
        self.events = events;
        for room in std::mem::take(&mut self.loud) {
            self.fan_out(room);
        }
        match waited {
            Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }

    fn accept(&mut self) {
        // Whatever goes wrong concerns one connection that isn't there yet, or ends until the next one comes.
        while let Ok((mut stream, _)) = self.listener.accept() {
            let key = self.free.pop().unwrap_or(self.peers.len());
            let _ = stream.set_nodelay(true);
            let interest = Interest::READABLE | Interest::WRITABLE;
            if self.poll.registry().register(&mut stream, Token(key), interest).is_err() {
                self.free.extend((key < self.peers.len()).then_some(key));
                continue;
            }
            if key == self.peers.len() {
                self.peers.push(None);
            }
            self.peers[key] = Some(Peer { stream, room: None, tail: Vec::new(), outbox: Vec::new() });
            self.write(key, &[IoSlice::new(b"* floor\n")]);
        }
    }

    fn read(&mut self, key: usize) {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(peer) = self.peers.get_mut(key).and_then(Option::as_mut) {
            let kept = peer.tail.len();
            buffer[..kept].copy_from_slice(&peer.tail);
            match peer.stream.read(&mut buffer[kept..]) {
                Ok(0) => self.close(key),
                Ok(bytes) => {
                    let filled = &buffer[..kept + bytes];
                    let whole = memchr::memrchr(b'\n', filled).map_or(0, |at| at + 1);
                    peer.tail.clear();
                    peer.tail.extend_from_slice(&filled[whole..]);
                    let endless = peer.tail.len() == buffer.len();
                    self.said(key, &filled[..whole]);
                    if endless {
                        self.close(key);
                    }
                    if kept + bytes < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.close(key),
            }
        }
        self.buffer = buffer;
    }

    /// Whole lines of one peer.
    fn said(&mut self, key: usize, lines: &[u8]) {
        let Some(peer) = self.peers.get(key).and_then(Option::as_ref) else { return };
        let (room, lines) = match peer.room {
            Some(room) => (room, lines),
            None => {
                let Some(end) = memchr::memchr(b'\n', lines) else { return };
                (self.join(key, lines[..end].trim_ascii_end()), &lines[end + 1..])
            }
        };
        if lines.is_empty() {
            return;
        }
        match self.mode {
            Mode::Batched => {
                let room_of_it = &mut self.rooms[room];
                if room_of_it.batch.is_empty() {
                    self.loud.push(room);
                }
                let from = room_of_it.batch.len();
                room_of_it.batch.extend_from_slice(lines);
                room_of_it.parts.push((key, from..room_of_it.batch.len()));
            }
            Mode::PerMessage => {
                for line in lines.split_inclusive(|&byte| byte == b'\n') {
                    let members = std::mem::take(&mut self.rooms[room].members);
                    for &member in members.iter().filter(|&&member| member != key) {
                        self.write(member, &[IoSlice::new(line)]);
                    }
                    self.rooms[room].members = members;
                    if std::mem::take(&mut self.has_cut_off) {
                        self.rooms[room].members.retain(|&member| self.peers[member].is_some());
                    }
                }
            }
        }
    }

    fn join(&mut self, key: usize, line: &[u8]) -> usize {
        let name = line.strip_prefix(b"/join ").unwrap_or(line);
        let room = match self.names.get(name) {
            Some(&room) => room,
            None => {
                self.names.insert(name.to_vec(), self.rooms.len());
                self.rooms.push(Room::default());
                self.rooms.len() - 1
            }
        };
        self.rooms[room].members.push(key);
        if let Some(peer) = &mut self.peers[key] {
            peer.room = Some(room);
        }
        self.write(key, &[IoSlice::new(b"* in "), IoSlice::new(name), IoSlice::new(b"\n")]);
        room
    }

    /// What this wake brought to a room, once to each member, without the member's own words.
    fn fan_out(&mut self, room: usize) {
        let Room { members, batch, parts } = std::mem::take(&mut self.rooms[room]);
        for &member in &members {
            if parts.iter().all(|(speaker, _)| *speaker != member) {
                self.write(member, &[IoSlice::new(&batch)]);
                continue;
            }
            let others = parts.iter().filter(|(speaker, _)| *speaker != member);
            let slices: Vec<_> = others.map(|(_, part)| IoSlice::new(&batch[part.clone()])).collect();
            if !slices.is_empty() {
                self.write(member, &slices);
            }
        }
        let kept = &mut self.rooms[room];
        (kept.members, kept.batch, kept.parts) = (members, batch, parts);
        kept.batch.clear();
        kept.parts.clear();
        if std::mem::take(&mut self.has_cut_off) {
            kept.members.retain(|&member| self.peers[member].is_some());
        }
    }

    fn write(&mut self, key: usize, slices: &[IoSlice<'_>]) {
        let Some(peer) = self.peers.get_mut(key).and_then(Option::as_mut) else { return };
        let mut taken = 0;
        if peer.outbox.is_empty() {
            let written = match slices {
                [slice] => peer.stream.write(slice),
                slices => peer.stream.write_vectored(slices),
            };
            taken = match written {
                Ok(bytes) => bytes,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
                Err(_) => return, // its reading will find out
            };
        }
        for slice in slices {
            let skipped = taken.min(slice.len());
            taken -= skipped;
            peer.outbox.extend_from_slice(&slice[skipped..]);
        }
        if peer.outbox.len() > OUTBOX_BYTES_MAX {
            self.has_cut_off = true;
            self.close(key);
        }
    }

    fn flush(&mut self, key: usize) {
        let Some(peer) = self.peers.get_mut(key).and_then(Option::as_mut) else { return };
        while !peer.outbox.is_empty() {
            match peer.stream.write(&peer.outbox) {
                Ok(bytes) => drop(peer.outbox.drain(..bytes)),
                Err(_) => return,
            }
        }
    }

    fn close(&mut self, key: usize) {
        let Some(mut peer) = self.peers[key].take() else { return };
        let _ = self.poll.registry().deregister(&mut peer.stream);
        self.free.push(key);
        if let Some(room) = peer.room {
            self.rooms[room].members.retain(|&member| member != key);
        }
    }
}
