//! The thread at the doors: accepts connections, counts them by address, and hands them to the shards.

use std::io::{self, ErrorKind, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use madang_room::Refusal;
use mio::event::Source;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::addresses::Addresses;
pub(crate) use crate::addresses::IpSlot;
use crate::config::{Config, Listener, Service};
use crate::driver::{Inbox, Mailbox};
use crate::http::Acceptor;
use crate::placement::Placement;

const STOP: Token = Token(usize::MAX);

/// Connections accepted in a row from one listener before the others are looked at.
const ACCEPTS_AT_ONCE: usize = 1_024;

/// How long accepting pauses when the system has no descriptors left.
const PAUSE_WITHOUT_DESCRIPTORS: Duration = Duration::from_millis(100);

/// Numbers the newcomers of a whole server.
#[derive(Clone, Debug, Default)]
pub(crate) struct GuestNumbers(Arc<AtomicU64>);

impl GuestNumbers {
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Opens a listening socket as the configuration says.
pub(crate) fn bind(listener: &Listener) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(listener.bind), Type::STREAM, Some(Protocol::TCP))?;
    // So that a server that was just stopped can be started again at once.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&listener.bind.into())?;
    socket.listen(listener.backlog)?;
    Ok(socket.into())
}

/// The porter's state: one thread has it.
pub(crate) struct Porter {
    poll: Poll,
    listeners: Vec<TcpListener>,
    config: Arc<Config>,
    placement: Placement,
    shards: Vec<Mailbox>,
    /// Where connections of HTTP go, where there are any.
    http: Option<Acceptor>,
    next_shard: usize,
    connections: Addresses,
    /// Given up to accept and refuse one connection where the system has no descriptor left for it.
    spare: Option<std::fs::File>,
    is_paused: bool,
}

impl Porter {
    pub(crate) fn new(
        config: Arc<Config>,
        placement: Placement,
        listeners: Vec<std::net::TcpListener>,
        shards: Vec<Mailbox>,
        http: Option<Acceptor>,
    ) -> io::Result<(Porter, Waker)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), STOP)?;
        let mut listeners: Vec<TcpListener> = listeners.into_iter().map(TcpListener::from_std).collect();
        for (at, listener) in listeners.iter_mut().enumerate() {
            listener.register(poll.registry(), Token(at), Interest::READABLE)?;
        }
        let spare = std::fs::File::open("/dev/null").ok();
        let connections = Addresses::new(config.limits.connections_per_ip);
        let porter = Porter {
            poll,
            listeners,
            config,
            placement,
            shards,
            http,
            next_shard: 0,
            connections,
            spare,
            is_paused: false,
        };
        Ok((porter, waker))
    }

    /// Accepts until the waker says stop. Dropping the listeners refuses further connections.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(64);
        loop {
            let pause = self.is_paused.then_some(PAUSE_WITHOUT_DESCRIPTORS);
            match self.poll.poll(&mut events, pause) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "no connection can be accepted any more");
                    return;
                }
                Ok(()) => {}
            }
            if events.iter().any(|event| event.token() == STOP) {
                return;
            }
            if std::mem::take(&mut self.is_paused) {
                (0..self.listeners.len()).for_each(|at| self.accept_all(at));
            }
            let ready: Vec<usize> = events.iter().map(|event| event.token().0).collect();
            ready.into_iter().for_each(|at| self.accept_all(at));
        }
    }

    fn accept_all(&mut self, at: usize) {
        for _ in 0..ACCEPTS_AT_ONCE {
            match self.listeners[at].accept() {
                Ok((stream, peer)) => self.take(stream, peer, at as u16),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // The peer has gone again, or a signal came: the next may be well.
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection can't be accepted; is the limit of open files too low?");
                    self.refuse_one_without_descriptors(at);
                    self.is_paused = true;
                    return;
                }
            }
        }
        self.is_paused = true;
    }

    /// Where descriptors are used up, a waiting connection would make the listener ready for ever: it is accepted with
    /// the spare one and closed.
    fn refuse_one_without_descriptors(&mut self, at: usize) {
        if self.spare.take().is_some() {
            drop(self.listeners[at].accept());
        }
        self.spare = std::fs::File::open("/dev/null").ok();
    }

    fn take(&mut self, stream: TcpStream, peer: SocketAddr, listener: u16) {
        let settings = &self.config.listeners[usize::from(listener)];
        let ip_slot = match self.connections.count(peer.ip()) {
            Ok(ip_slot) => ip_slot,
            Err(refusal) => return say_no(stream, &refusal, &settings.service),
        };
        if let Err(error) = prepare(&stream, settings.keepalive) {
            // It has gone again.
            tracing::debug!(%peer, %error, "a connection broke before it began");
            return;
        }
        let shard = match settings.service {
            Service::Relay { .. } => usize::from(self.placement.of_relay(listener).0),
            Service::Http(_) => {
                if let Some(http) = &self.http {
                    http.take(stream, peer, listener, ip_slot);
                }
                return;
            }
            Service::Chat { .. } | Service::Lobby { .. } | Service::Echo { .. } => {
                self.next_shard = (self.next_shard + 1) % self.shards.len();
                self.next_shard
            }
        };
        self.shards[shard].send(Inbox::Accepted { stream, peer, listener, ip_slot });
    }
}

fn prepare(stream: &TcpStream, keepalive: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if !keepalive.is_zero() {
        let probes =
            TcpKeepalive::new().with_time(keepalive).with_interval(Duration::from_secs(10)).with_retries(3);
        SockRef::from(stream).set_tcp_keepalive(&probes)?;
    }
    Ok(())
}

/// Tells a connection that is not taken why, as far as its socket's empty buffer goes.
fn say_no(mut stream: TcpStream, refusal: &Refusal, service: &Service) {
    let mut answer = Vec::new();
    match service {
        Service::Http(_) => {
            let mut body = Vec::new();
            madang_wire::json::encode_error_body(&mut body, refusal);
            let head = format!(
                "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
                 Retry-After: 1\r\nConnection: close\r\n\r\n",
                body.len()
            );
            answer.extend_from_slice(head.as_bytes());
            answer.extend_from_slice(&body);
        }
        Service::Chat { .. } | Service::Lobby { .. } | Service::Echo { .. } | Service::Relay { .. } => {
            madang_wire::text::encode_refusal(&mut answer, refusal, false);
        }
    }
    let _ = stream.write(&answer);
}
