//! The HTTP door: the page, the API, WebSockets and Socket.IO, on threads of its own.
//!
//! Shards never wait for a request, and requests never take a shard's time: this door has a small runtime of its own.
//! It speaks HTTP and brings people to the shards through the `Hall`; how a connection is spoken to from then on is
//! the business of its home.
//!
//! Everything that a peer can make wait has an end here: a head, a body, a keep-alive (`serve`), an answer that nobody
//! takes (`line`), a session that requests carry (`polling`), a change to WebSocket (`upgrade`).

mod answer;
mod api;
mod body;
mod guard;
mod line;
mod openapi;
mod operations;
mod page;
mod polling;
mod query;
mod serve;
mod sessions;
mod stream;
mod upgrade;
mod websocket;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get, post};
use mio::net::TcpStream;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{mpsc, watch};

use crate::addresses::{Addresses, IpSlot};
use crate::bucket::{Bucket, Pace};
use crate::clock::Clock;
use crate::config::{App, HttpService, Service};
use crate::hall::{Hall, Visitor};
use crate::home::is_limited;
use guard::Guard;
use sessions::Sessions;

/// Threads of the door. Where there are fewer shards there are as few of these.
const THREADS_MAX: usize = 4;

/// The door's threads, as the server holds them.
pub(crate) struct HttpDoor {
    runtime: Runtime,
    acceptor: Acceptor,
    ending: watch::Sender<bool>,
    /// Ends when nobody holds the other end any more: no connection is left.
    present: mpsc::Receiver<Infallible>,
}

/// Takes connections from the thread that accepts them.
#[derive(Clone)]
pub(crate) struct Acceptor {
    runtime: Handle,
    /// By the configuration's number of the listener; none where it isn't one of HTTP.
    desks: Vec<Option<Desk>>,
    ending: watch::Receiver<bool>,
    present: mpsc::Sender<Infallible>,
}

/// One listener: what requests that come there lead to.
#[derive(Clone)]
struct Desk {
    routes: Router,
    place: Arc<Place>,
}

/// What all requests to one listener have in common.
struct Place {
    hall: Arc<Hall>,
    clock: Clock,
    listener: u16,
    service: HttpService,
    guard: Guard,
    sessions: Arc<Sessions>,
}

/// Who is at the other end of a connection.
#[derive(Debug)]
struct Client {
    peer: SocketAddr,
    /// Given on to whom the connection becomes, where it becomes a WebSocket.
    ip_slot: Mutex<Option<IpSlot>>,
    /// How fast it may ask something of rooms; peers on loopback as fast as they like.
    bucket: Option<Mutex<Bucket>>,
}

impl HttpDoor {
    /// Opens the door, for the listeners of the hall's configuration that are HTTP.
    pub(crate) fn open(hall: &Arc<Hall>, clock: Clock, shards: usize) -> io::Result<HttpDoor> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(shards.clamp(1, THREADS_MAX))
            .thread_name("http")
            .enable_io()
            .enable_time()
            .build()?;
        let sessions = Arc::new(Sessions::new(Addresses::new(hall.config.limits.connections_per_ip)));
        let listeners = hall.config.listeners.iter().enumerate();
        let desks = listeners.map(|(at, listener)| {
            let Service::Http(service) = &listener.service else { return None };
            let place = Arc::new(Place {
                hall: hall.clone(),
                clock,
                listener: at as u16,
                service: service.clone(),
                guard: Guard::new(&hall.config.origins, listener.bind),
                sessions: sessions.clone(),
            });
            Some(Desk { routes: routes(&place), place })
        });
        let (ending, is_ending) = watch::channel(false);
        let (sender, present) = mpsc::channel(1);
        let acceptor = Acceptor {
            runtime: runtime.handle().clone(),
            desks: desks.collect(),
            ending: is_ending,
            present: sender,
        };
        Ok(HttpDoor { runtime, acceptor, ending, present })
    }

    pub(crate) fn acceptor(&self) -> Acceptor {
        self.acceptor.clone()
    }

    /// Begins the end: who waits between two requests is let go, requests under way are the last of their connections.
    pub(crate) fn begin_end(&self) {
        self.ending.send_replace(true);
    }

    /// Waits until all connections have ended, but not longer than `patience`; then cuts off who is left.
    pub(crate) fn end(self, patience: Duration) {
        let HttpDoor { runtime, acceptor, mut present, .. } = self;
        drop(acceptor);
        let all_gone = runtime.block_on(async { tokio::time::timeout(patience, present.recv()).await });
        if all_gone.is_err() {
            tracing::debug!("HTTP connections that have not ended are cut off");
        }
        runtime.shutdown_background();
    }
}

impl Acceptor {
    /// Serves a connection from here on.
    pub(crate) fn take(&self, stream: TcpStream, peer: SocketAddr, listener: u16, ip_slot: Option<IpSlot>) {
        let Some(Some(desk)) = self.desks.get(usize::from(listener)) else { return };
        let client = Client::new(peer, ip_slot, desk.place.messages_per_second(), desk.place.clock);
        // It does not block already.
        let stream = std::net::TcpStream::from(OwnedFd::from(stream));
        let (desk, ending, present) = (desk.clone(), self.ending.clone(), self.present.clone());
        self.runtime.spawn(async move {
            serve::serve(desk, stream, client, ending).await;
            drop(present);
        });
    }
}

fn routes(place: &Arc<Place>) -> Router {
    let socket_io = match place.service.app {
        App::Rooms => App::Rooms,
        App::EchoMessages | App::EchoEvents => App::EchoEvents,
    };
    let engine = |app| any(move |place, client, request| polling::answer(app, place, client, request));
    let mut routes = Router::new()
        .route("/ws", get(websocket::rooms))
        .route("/socket.io", engine(socket_io))
        .route("/socket.io/", engine(socket_io))
        .route("/api/rooms", get(api::rooms))
        .route("/api/rooms/{room}/events", get(api::events))
        .route("/api/rooms/{room}/messages", post(api::post_message))
        .route("/api/shows", get(api::shows))
        .route("/api/shows/{show}/{performance}", get(api::seats))
        .route("/api/openapi.json", get(openapi::description))
        .route("/metrics", get(operations::metrics))
        .route("/healthz", get(operations::healthz))
        .route("/readyz", get(operations::readyz))
        .route("/version", get(operations::version));
    if place.service.app != App::Rooms {
        routes = routes.route("/engine.io/", engine(App::EchoMessages));
    }
    routes
        .fallback_service(page::files())
        .method_not_allowed_fallback(answer::wrong_method)
        .with_state(place.clone())
}

impl Place {
    fn visitor(&self, client: &Client, ip_slot: Option<IpSlot>) -> Visitor {
        Visitor { peer: client.peer, listener: self.listener, ip_slot }
    }

    fn messages_per_second(&self) -> u32 {
        self.hall.config.limits.messages_per_second
    }
}

impl Client {
    fn new(peer: SocketAddr, ip_slot: Option<IpSlot>, per_second: u32, clock: Clock) -> Client {
        let is_limited = is_limited(peer.ip()) && per_second > 0;
        let bucket = is_limited.then(|| Mutex::new(Bucket::new(per_second, clock.now())));
        Client { peer, ip_slot: Mutex::new(ip_slot), bucket }
    }

    fn take_ip_slot(&self) -> Option<IpSlot> {
        self.ip_slot.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// May it ask something of rooms now? Requests are not carried out more slowly, as lines are: their client is told.
    fn take_turn(&self, place: &Place) -> bool {
        let (Some(bucket), per_second) = (&self.bucket, place.messages_per_second()) else { return true };
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let now = place.clock.now();
        bucket.read_again_at(per_second, now).is_none() && bucket.take(per_second, now) == Pace::Good
    }
}
