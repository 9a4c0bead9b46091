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
use socket2::SockRef;

use crate::clock::Clock;
use crate::message::Message;
use crate::net::Net;
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
#[derive(Clone)]
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
    mut stream: TcpStream,
    peer: SocketAddr,
    listener: u16,
    ip_slot: Option<IpSlot>,
) {
    let token = Token(shard.next_slot() as usize);
    match stream.register(&shard.net.registry, token, Interest::READABLE) {
        Ok(()) => shard.accept(stream, peer, listener, ip_slot),
        Err(error) => tracing::warn!(%peer, %error, "a connection can't be watched and is closed"),
    }
}

/// The real outside of a shard.
pub(crate) struct SystemNet {
    registry: Registry,
    shards: Vec<Mailbox>,
}

impl Net for SystemNet {
    type Socket = TcpStream;

    fn read(&mut self, socket: &mut TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
        socket.read(buffer)
    }

    fn write(&mut self, socket: &mut TcpStream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [slice] => socket.write(slice),
            slices => socket.write_vectored(slices),
        }
    }

    fn want_write(&mut self, socket: &mut TcpStream, slot: u32, wanted: bool) {
        let interest = if wanted { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        if let Err(error) = self.registry.reregister(socket, Token(slot as usize), interest) {
            tracing::warn!(%error, "a connection can't be watched for writing");
        }
    }

    fn finish(&mut self, socket: &mut TcpStream) {
        // Where the peer has gone there is nobody to tell.
        let _ = socket.shutdown(Shutdown::Write);
    }

    fn close(&mut self, mut socket: TcpStream, reset: bool) {
        if reset {
            let _ = SockRef::from(&socket).set_linger(Some(std::time::Duration::ZERO));
        }
        let _ = socket.deregister(&self.registry);
    }

    fn send(&mut self, shard: ShardId, messages: Vec<Message>) {
        if let Some(mailbox) = self.shards.get(usize::from(shard.0)) {
            mailbox.send(Inbox::Messages(messages));
        }
    }
}
