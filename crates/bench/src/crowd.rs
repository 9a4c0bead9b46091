//! The connections: one epoll loop for all of them, no allocation for a line or a message.
//!
//! One buffer serves all: what a read leaves of an unfinished line is kept with its connection and put in front of the
//! next read. Whoever listens ([`Hear`]) gets whole lines or frames, as many at once as one read brought; handshakes and
//! pings are the connection's own affair ([`Wire`]).

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use socket2::{Domain, SockRef, Socket, Type};

use crate::failure::Failure;
use crate::machine;
use crate::plan::Protocol;
use crate::wire::{Wire, Wrong};

const TIMER: Token = Token(usize::MAX);
const EVENTS_AT_ONCE: usize = 1_024;
/// Bytes of one read, with what was kept.
const BUFFER_BYTES: usize = 256 * 1024;
/// How long to look for the next event without sleeping. Deliveries of one message follow each other faster.
const WATCH: Duration = Duration::from_micros(100);
/// What the kernel may keep for a connection that stops reading.
const NARROW_BYTES: usize = 16 * 1024;
const ETHERNET_MSS: u32 = 1_448;
/// An unfinished line of more than this is not a chat; an unfinished frame has a header, too.
const LINE_BYTES_MAX: usize = 64 * 1024 + 16;

/// Listens to what connections receive.
pub(crate) trait Hear {
    /// Whole lines, each with its `\n`, or whole frames: for [`Protocol::each`].
    fn hear(&mut self, connection: usize, records: &[u8]);

    /// The handshakes of a connection are over, where its protocol has any.
    fn opened(&mut self, _connection: usize) {}

    /// The last thing that the server said about itself, for the case that it goes.
    fn last_words(&self) -> Option<String> {
        None
    }
}

/// All connections of a run.
pub(crate) struct Crowd {
    address: SocketAddr,
    protocol: Protocol,
    /// What a connection says first.
    request: Vec<u8>,
    poll: Poll,
    events: Events,
    buffer: Vec<u8>,
    connections: Vec<Connection>,
    expected: usize,
    /// Connections that something was put for.
    put: Vec<usize>,
    timer: OwnedFd,
    began: Instant,
    watch: Duration,
    watched: Duration,
}

struct Connection {
    stream: TcpStream,
    is_connected: bool,
    wire: Wire,
    /// The beginning of a line whose end has not come yet.
    tail: Vec<u8>,
    /// What the socket did not take yet, behind what it did.
    outbox: Vec<u8>,
    taken_bytes: usize,
}

impl Crowd {
    /// Nobody so far; `expected` connections will be opened.
    pub(crate) fn new(address: SocketAddr, protocol: Protocol, expected: usize) -> Result<Crowd, Failure> {
        let poll = Poll::new().map_err(Failure::system("epoll"))?;
        // The system's wait counts in milliseconds, which is too coarse for a schedule of thousands a second.
        let timer = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK)
            .map_err(|error| Failure::System { what: "a timer", source: error.into() })?;
        poll.registry()
            .register(&mut SourceFd(&timer.as_raw_fd()), TIMER, Interest::READABLE)
            .map_err(Failure::system("waiting for a timer"))?;
        Ok(Crowd {
            address,
            protocol,
            request: Wire::request(protocol, address),
            poll,
            events: Events::with_capacity(EVENTS_AT_ONCE),
            buffer: vec![0; BUFFER_BYTES],
            connections: Vec::with_capacity(expected),
            expected,
            put: Vec::new(),
            timer,
            began: Instant::now(),
            // On a single core it would keep the server from working.
            watch: if machine::has_cores() { WATCH } else { Duration::ZERO },
            watched: Duration::ZERO,
        })
    }

    /// Connections opened so far.
    pub(crate) fn len(&self) -> usize {
        self.connections.len()
    }

    /// Begins one more connection, a `narrow` one where it is to stop reading later. That it was refused may come to
    /// light in a later turn.
    pub(crate) fn open(&mut self, narrow: bool) -> Result<(), Failure> {
        let nr = self.connections.len();
        let connect = if narrow { connect_narrow } else { TcpStream::connect };
        let mut stream = connect(self.address).map_err(|error| self.not_connected(nr, error))?;
        // Without it lines wait for each other; where it can't be had the figures are worse, not wrong.
        let _ = stream.set_nodelay(true);
        self.poll
            .registry()
            .register(&mut stream, Token(nr), Interest::READABLE | Interest::WRITABLE)
            .map_err(Failure::system("waiting for a connection"))?;
        self.connections.push(Connection {
            stream,
            is_connected: false,
            wire: Wire::new(self.protocol),
            tail: Vec::new(),
            // Sent with the first event, which says that the socket is there.
            outbox: self.request.clone(),
            taken_bytes: 0,
        });
        Ok(())
    }

    /// This connection reads no more.
    pub(crate) fn stall(&mut self, nr: usize) {
        // A connection that can't be taken out goes on reading; the run still counts what it must.
        let _ = self.poll.registry().deregister(&mut self.connections[nr].stream);
    }

    /// Sends, now as far as the socket takes it and the rest when it can.
    pub(crate) fn send(&mut self, nr: usize, bytes: &[u8]) -> Result<(), Failure> {
        let connection = &mut self.connections[nr];
        connection.outbox.extend_from_slice(bytes);
        if connection.unsent_bytes() > bytes.len() {
            return Ok(()); // the socket was full, and we will be told when it isn't
        }
        connection.flush().map_err(|error| self.broke(nr, error, None))
    }

    /// Puts bytes where [`send_what_was_put`](Crowd::send_what_was_put) finds them.
    pub(crate) fn put(&mut self, nr: usize, bytes: &[u8]) {
        let connection = &mut self.connections[nr];
        if connection.unsent_bytes() == 0 {
            self.put.push(nr);
        }
        connection.outbox.extend_from_slice(bytes);
    }

    /// Sends that, once for each connection.
    pub(crate) fn send_what_was_put(&mut self) -> Result<(), Failure> {
        while let Some(nr) = self.put.pop() {
            self.connections[nr].flush().map_err(|error| self.broke(nr, error, None))?;
        }
        Ok(())
    }

    /// Bytes that a connection's socket has not taken yet.
    pub(crate) fn unsent_bytes(&self, nr: usize) -> usize {
        self.connections[nr].unsent_bytes()
    }

    /// Wakes a later [`turn`](Crowd::turn) after this time.
    pub(crate) fn wake_after(&mut self, time: Duration) -> Result<(), Failure> {
        // Zero would switch the timer off.
        let time = time.max(Duration::from_nanos(1));
        let after = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: after };
        rustix::time::timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)
            .map(drop)
            .map_err(|error| Failure::System { what: "setting a timer", source: error.into() })
    }

    /// Waits until something happens or `timeout` is over, then hands on whatever there is to hear. Answers if
    /// anything was heard.
    pub(crate) fn turn(&mut self, timeout: Duration, ear: &mut impl Hear) -> Result<bool, Failure> {
        let waited = self.wait(timeout);
        match waited {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(false),
            Err(error) => return Err(Failure::System { what: "waiting for connections", source: error }),
            Ok(()) => {}
        }
        let Crowd { events, connections, buffer, .. } = self;
        let mut heard = false;
        let mut gone = None;
        for event in events.iter().filter(|event| event.token() != TIMER) {
            let nr = event.token().0;
            let Some(connection) = connections.get_mut(nr) else { continue };
            let handled = match connection.is_connected {
                true => Ok(()),
                false => connection.connected(),
            };
            if let Err(error) = handled {
                return Err(self.not_connected(nr, error));
            }
            if event.is_writable()
                && !connection.outbox.is_empty()
                && let Err(error) = connection.flush()
            {
                gone = Some((nr, Gone::Broke(error)));
            }
            if event.is_readable() {
                heard = true;
                if let Err(why) = connection.read(buffer, nr, ear) {
                    gone = Some((nr, why));
                }
            }
            if gone.is_some() {
                break;
            }
        }
        match gone {
            None => Ok(heard),
            Some((nr, why)) => Err(self.gone(nr, why, ear.last_words())),
        }
    }

    /// Time spent looking for something that wasn't there yet: CPU time that no delivery needed.
    pub(crate) fn time_watched(&self) -> Duration {
        self.watched
    }

    /// Looks without sleeping for a while, then sleeps.
    ///
    /// Whoever sends to a sleeper has to wake it. A generator that is faster than the server would fall asleep between
    /// two deliveries of one message, and a server on the same machine would pay for waking it, or not, as the
    /// scheduler likes; one whose clients are on other machines never does.
    fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        let watch = self.watch.min(timeout);
        if !self.events.is_empty() || timeout.is_zero() {
            return Ok(());
        }
        let began = Instant::now();
        loop {
            let past = began.elapsed();
            if past >= watch {
                self.watched += past;
                return self.poll.poll(&mut self.events, Some(timeout - watch));
            }
            self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
            if !self.events.is_empty() {
                self.watched += began.elapsed();
                return Ok(());
            }
        }
    }

    fn gone(&self, nr: usize, why: Gone, last_words: Option<String>) -> Failure {
        match why {
            Gone::Broke(error) => self.broke(nr, error, last_words),
            Gone::Wrong(wrong) => self.wrong(nr, wrong),
            Gone::Closed => {
                Failure::Closed { nr: nr + 1, all: self.expected, after: self.began.elapsed(), last_words }
            }
        }
    }

    fn wrong(&self, nr: usize, wrong: Wrong) -> Failure {
        let path = self.protocol.path().unwrap_or_default();
        match wrong {
            Wrong::NotHttp { begins } => Failure::NotHttp { begins },
            Wrong::Status { status, says } => Failure::NotUpgraded { path, status, says },
            Wrong::Refused { packet } => Failure::NamespaceRefused { packet },
            Wrong::Unexpected { packet } => Failure::Unexpected { packet },
            Wrong::Frame(what) => Failure::WrongFrame { what },
            Wrong::Endless { bytes } => Failure::EndlessLine { bytes },
            Wrong::Closed { words } => self.gone(nr, Gone::Closed, Some(words)),
        }
    }

    fn broke(&self, nr: usize, source: io::Error, last_words: Option<String>) -> Failure {
        Failure::Broke { nr: nr + 1, all: self.expected, after: self.began.elapsed(), last_words, source }
    }

    fn not_connected(&self, nr: usize, source: io::Error) -> Failure {
        match source.kind() {
            ErrorKind::ConnectionRefused => Failure::NobodyListens { address: self.address },
            _ => Failure::Connect { nr: nr + 1, all: self.expected, address: self.address, source },
        }
    }
}

impl Drop for Crowd {
    /// Closes with RST. A FIN of ours would keep each port for a minute, and a few runs would use up all there are.
    fn drop(&mut self) {
        for connection in &self.connections {
            let _ = SockRef::from(&connection.stream).set_linger(Some(Duration::ZERO));
        }
    }
}

/// A connection between whose ends little fits. On loopback a segment has 64 KiB, and by that the kernel measures the
/// buffer of whoever sends: 2.5 MiB, which take a chat minutes to fill. With segments as on an Ethernet it is what a
/// member elsewhere would have.
fn connect_narrow(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(NARROW_BYTES)?;
    socket.set_tcp_mss(ETHERNET_MSS)?;
    match socket.connect(&address.into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
            Err(error)
        }
        _ => Ok(TcpStream::from_std(socket.into())),
    }
}

/// Why a connection is no more.
enum Gone {
    Closed,
    Broke(io::Error),
    Wrong(Wrong),
}

impl Connection {
    /// The first event of a connection: is it one?
    fn connected(&mut self) -> io::Result<()> {
        match self.stream.take_error()? {
            Some(error) => Err(error),
            None => {
                self.is_connected = true;
                Ok(())
            }
        }
    }

    fn unsent_bytes(&self) -> usize {
        self.outbox.len() - self.taken_bytes
    }

    fn flush(&mut self) -> io::Result<()> {
        let outcome = loop {
            match self.stream.write(&self.outbox[self.taken_bytes..]) {
                Ok(bytes) => self.taken_bytes += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(error) if error.kind() == ErrorKind::NotConnected => break Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
            if self.unsent_bytes() == 0 {
                break Ok(());
            }
        };
        // Moving the rest each time would cost more than sending it, where a server takes little of much.
        if self.taken_bytes >= self.unsent_bytes() {
            self.outbox.drain(..self.taken_bytes);
            self.taken_bytes = 0;
        }
        outcome
    }

    /// Reads until nothing is left. A read that does not fill the buffer has emptied the socket, and what comes after
    /// it is an event of its own: one system call for a wake instead of two.
    fn read(&mut self, buffer: &mut [u8], nr: usize, ear: &mut impl Hear) -> Result<(), Gone> {
        loop {
            let kept = self.tail.len();
            buffer[..kept].copy_from_slice(&self.tail);
            let bytes = match self.stream.read(&mut buffer[kept..]) {
                Ok(0) => return Err(Gone::Closed),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Gone::Broke(error)),
            };
            let filled = &buffer[..kept + bytes];
            let taken = self.wire.take(filled, &mut self.outbox).map_err(Gone::Wrong)?;
            if taken.has_opened {
                ear.opened(nr);
            }
            if taken.has_answered {
                self.flush().map_err(Gone::Broke)?;
            }
            let end = taken.records.end;
            if !taken.records.is_empty() {
                ear.hear(nr, &filled[taken.records]);
            }
            self.tail.clear();
            self.tail.extend_from_slice(&filled[end..]);
            match self.tail.len() {
                bytes if bytes > LINE_BYTES_MAX => return Err(Gone::Wrong(Wrong::Endless { bytes })),
                _ if kept + bytes < buffer.len() => return Ok(()),
                _ => {}
            }
        }
    }
}
