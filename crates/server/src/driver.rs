//! The thread around a shard: epoll (by mio), real sockets, and the mailbox by which others reach it.
//!
//! One pass: wait for the system or the mailbox, hand everything to the shard, turn it. A mailbox wakes its thread at
//! most once between two passes, however many messages come.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};

use madang_log::Completion;
use madang_room::Timestamp;
use mio::event::Source;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use smol_str::SmolStr;
use socket2::SockRef;

use crate::arrival::Arrival;
use crate::clock::Clock;
use crate::message::Message;
use crate::net::Net;
use crate::pipe::Pipe;
use crate::placement::ShardId;
use crate::porter::IpSlot;
use crate::shard::Shard;

const MAILBOX: Token = Token(usize::MAX);

/// Events taken from the system, and letters from the mailbox, in one turn. A busy room still gets that many reads
/// into one write; in a larger turn, what a burst of joins needs for a moment lies between what lasts, and leaves holes there.
const EVENTS_AT_ONCE: usize = 64;

/// What reaches a shard's thread from others.
pub(crate) enum Inbox {
    Accepted {
        stream: TcpStream,
        peer: SocketAddr,
        listener: u16,
        ip_slot: Option<IpSlot>,
    },
    /// Somebody who came in by HTTP.
    Arrived(Box<Arrival<Socket>>),
    /// The other end of a pipe has something to be read, or takes something again.
    Ready {
        slot: u32,
        readable: bool,
        writable: bool,
    },
    /// The Socket.IO session in that slot goes on over a socket of its own.
    Upgrade {
        slot: u32,
        sid: SmolStr,
        stream: TcpStream,
        input: Vec<u8>,
    },
    Messages(Vec<Message>),
    Completion(Completion),
    /// End all connections; those still there at the deadline are reset.
    Shutdown {
        deadline: Timestamp,
    },
    /// All connections of all shards have ended: close the rooms and end the thread.
    End,
}

/// Reaches a shard's thread from any other.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    sender: Sender<Inbox>,
    waker: Arc<Waker>,
    is_woken: Arc<AtomicBool>,
}

impl Mailbox {
    pub(crate) fn send(&self, what: Inbox) {
        // A thread that has ended needs no mail.
        if self.sender.send(what).is_ok()
            && !self.is_woken.swap(true, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "a shard can't be woken");
        }
    }
}

/// A shard's thread before it runs.
pub(crate) struct Driver {
    poll: Poll,
    mailbox: Mailbox,
    receiver: Receiver<Inbox>,
}

impl Driver {
    pub(crate) fn new() -> io::Result<Driver> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), MAILBOX)?);
        let (sender, receiver) = mpsc::channel();
        Ok(Driver { poll, mailbox: Mailbox { sender, waker, is_woken: Arc::default() }, receiver })
    }

    pub(crate) fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }

    #[cfg(test)]
    pub(crate) fn received(&self) -> Option<Inbox> {
        self.receiver.try_recv().ok()
    }

    /// The outside of the shard that will run here.
    pub(crate) fn net(&self, shards: Vec<Mailbox>) -> io::Result<SystemNet> {
        Ok(SystemNet { registry: self.poll.registry().try_clone()?, shards })
    }

    /// Runs the shard until [`Inbox::End`]. `drained` is told when its last connection has ended.
    pub(crate) fn run(mut self, mut shard: Shard<SystemNet>, clock: Clock, drained: &Sender<()>) {
        let mut events = Events::with_capacity(EVENTS_AT_ONCE);
        let mut is_ending = false;
        let mut is_told = false;
        let mut has_letters = false;
        loop {
            let wait = match has_letters || shard.has_work() {
                true => Some(std::time::Duration::ZERO),
                // A millisecond more: a deadline is over when the clock says more, not as much.
                false => shard
                    .next_deadline()
                    .map(|due| due.plus(std::time::Duration::from_millis(1)).since(clock.now())),
            };
            match self.poll.poll(&mut events, wait) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::error!(%error, "a shard can't wait for its sockets and ends");
                    return;
                }
                Ok(()) => {}
            }
            shard.set_now(clock.now());
            self.mailbox.is_woken.store(false, Ordering::SeqCst);
            let letters: Vec<Inbox> = self.receiver.try_iter().take(EVENTS_AT_ONCE).collect();
            has_letters = letters.len() == EVENTS_AT_ONCE;
            for what in letters {
                match what {
                    Inbox::Accepted { stream, peer, listener, ip_slot } => {
                        accept(&mut shard, stream, peer, listener, ip_slot);
                    }
                    Inbox::Arrived(arrival) => arrive(&mut shard, *arrival),
                    Inbox::Ready { slot, readable, writable } => {
                        shard.ready(slot, readable, writable, false);
                    }
                    Inbox::Upgrade { slot, sid, stream, input } => {
                        upgrade(&mut shard, slot, &sid, stream, input);
                    }
                    Inbox::Messages(messages) => {
                        messages.into_iter().for_each(|message| shard.handle(message))
                    }
                    Inbox::Completion(completion) => shard.handle_completion(completion),
                    Inbox::Shutdown { deadline } => {
                        is_ending = true;
                        shard.begin_shutdown(deadline);
                    }
                    Inbox::End => {
                        shard.turn();
                        shard.close();
                        return;
                    }
                }
            }
            for event in events.iter().filter(|event| event.token() != MAILBOX) {
                let hung_up = event.is_read_closed() || event.is_write_closed() || event.is_error();
                shard.ready(event.token().0 as u32, event.is_readable(), event.is_writable(), hung_up);
            }
            shard.turn();
            if is_ending && !is_told && shard.is_drained() {
                is_told = true;
                let _ = drained.send(());
            }
        }
    }
}

fn accept(
    shard: &mut Shard<SystemNet>,
    stream: TcpStream,
    peer: SocketAddr,
    listener: u16,
    ip_slot: Option<IpSlot>,
) {
    let mut socket = Socket::Tcp(stream);
    match socket.watch(&shard.net.registry, shard.next_slot()) {
        Ok(()) => shard.accept(socket, peer, listener, ip_slot),
        Err(error) => tracing::warn!(%peer, %error, "a connection can't be watched and is closed"),
    }
}

fn arrive(shard: &mut Shard<SystemNet>, mut arrival: Arrival<Socket>) {
    match arrival.socket.watch(&shard.net.registry, shard.next_slot()) {
        Ok(()) => shard.arrive(arrival),
        Err(error) => {
            tracing::warn!(peer = %arrival.peer, %error, "a connection can't be watched and is closed");
        }
    }
}

fn upgrade(shard: &mut Shard<SystemNet>, slot: u32, sid: &str, stream: TcpStream, input: Vec<u8>) {
    let mut socket = Socket::Tcp(stream);
    match socket.watch(&shard.net.registry, slot) {
        Ok(()) => shard.upgrade(slot, sid, socket, input),
        Err(error) => tracing::warn!(%error, "a connection can't be watched and is closed"),
    }
}

/// How a connection's bytes come and go.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    /// By HTTP requests.
    Pipe(Pipe),
    /// Not at all: it asks one thing and is answered without bytes.
    Absent,
}

impl Socket {
    /// From now on the shard is told what happens to it, under that slot.
    fn watch(&mut self, registry: &Registry, slot: u32) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.register(registry, Token(slot as usize), Interest::READABLE),
            Socket::Pipe(pipe) => {
                pipe.attach(slot);
                Ok(())
            }
            Socket::Absent => Ok(()),
        }
    }
}

/// The real outside of a shard.
pub(crate) struct SystemNet {
    registry: Registry,
    shards: Vec<Mailbox>,
}

impl Net for SystemNet {
    type Socket = Socket;

    fn read(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> io::Result<usize> {
        match socket {
            Socket::Tcp(stream) => stream.read(buffer),
            Socket::Pipe(pipe) => pipe.read(buffer),
            Socket::Absent => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn write(&mut self, socket: &mut Socket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (socket, slices) {
            (Socket::Tcp(stream), [slice]) => stream.write(slice),
            (Socket::Tcp(stream), slices) => stream.write_vectored(slices),
            (Socket::Pipe(pipe), slices) => pipe.write(slices),
            // Nobody is there to read it.
            (Socket::Absent, slices) => Ok(slices.iter().map(|slice| slice.len()).sum()),
        }
    }

    fn want_write(&mut self, socket: &mut Socket, slot: u32, wanted: bool) {
        match socket {
            Socket::Tcp(stream) => {
                let interest =
                    if wanted { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
                if let Err(error) = self.registry.reregister(stream, Token(slot as usize), interest) {
                    tracing::warn!(%error, "a connection can't be watched for writing");
                }
            }
            // A pipe knows by itself when it was full.
            Socket::Pipe(_) | Socket::Absent => {}
        }
    }

    fn finish(&mut self, socket: &mut Socket) {
        match socket {
            // Where the peer has gone there is nobody to tell.
            Socket::Tcp(stream) => drop(stream.shutdown(Shutdown::Write)),
            Socket::Pipe(pipe) => pipe.finish(),
            Socket::Absent => {}
        }
    }

    fn unsent(&mut self, socket: &Socket) -> Vec<u8> {
        match socket {
            Socket::Pipe(pipe) => pipe.take_output(),
            Socket::Tcp(_) | Socket::Absent => Vec::new(),
        }
    }

    fn close(&mut self, socket: Socket, reset: bool) {
        let Socket::Tcp(mut stream) = socket else { return };
        if reset {
            let _ = SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO));
        }
        let _ = stream.deregister(&self.registry);
    }

    fn send(&mut self, shard: ShardId, messages: Vec<Message>) {
        if let Some(mailbox) = self.shards.get(usize::from(shard.0)) {
            mailbox.send(Inbox::Messages(messages));
        }
    }
}
