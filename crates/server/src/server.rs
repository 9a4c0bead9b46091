//! A whole server: data folder, listeners, a thread for each shard and one at the doors, and its orderly end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use madang_log::{Health, OpenError, Sink, Store};
use mio::Waker;
use prometheus_client::registry::Registry;

use crate::clock::Clock;
use crate::config::{Config, Service};
use crate::driver::{Driver, Inbox, Mailbox};
use crate::hall::Hall;
use crate::http::HttpDoor;
use crate::message::{DirectoryMessage, Message, Person};
use crate::metrics::{Metrics, Report};
use crate::placement::{Placement, ShardId};
use crate::porter::{self, GuestNumbers, Porter};
use crate::shard::{Common, Shard, read_keepsake, read_trail};
use crate::token::{HostSecret, TokenKey};

/// Why a server can't start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address can't be listened on.
    #[error("can't listen on {address}: {}", describe(cause))]
    Bind {
        /// Which.
        address: SocketAddr,
        /// What the system says; the text has it in words that help.
        cause: io::Error,
    },
    /// The data folder can't be used.
    #[error(transparent)]
    Data(#[from] OpenError),
    /// The key that sessions are resumed with can't be read or made.
    #[error("the session key in {folder} can't be used")]
    Key {
        /// The data folder.
        folder: String,
        /// What the system says.
        source: io::Error,
    },
    /// The secret that makes a host can't be read.
    #[error("host_token_file: no secret can be read from {file}: {cause}")]
    Host {
        /// Which file.
        file: String,
        /// What the system says, or what is wrong with what is in it.
        cause: io::Error,
    },
    /// The system gives no thread or no epoll.
    #[error("the system can't run the server's threads")]
    System(#[source] io::Error),
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the address is in use; is another server running?".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "this port is not allowed for this user; ports from 1024 are".to_owned()
        }
        _ => error.to_string(),
    }
}

/// A running server. Dropping it without [`Server::stop`] and [`Server::wait`] is like pulling its plug.
pub struct Server {
    addresses: Vec<SocketAddr>,
    stopper: Stopper,
    stops: Receiver<()>,
    drained: Receiver<()>,
    threads: Threads,
    clock: Clock,
    config: Arc<Config>,
    store: Store,
    hall: Arc<Hall>,
}

struct Threads {
    http: Option<HttpDoor>,
    porter: JoinHandle<()>,
    porter_waker: Waker,
    shards: Vec<(Mailbox, JoinHandle<()>)>,
}

/// Asks a server to end, from anywhere.
#[derive(Clone)]
pub struct Stopper(mpsc::Sender<()>);

impl Stopper {
    /// Begins the orderly end and returns at once.
    pub fn stop(&self) {
        // A server that has ended needs no telling.
        let _ = self.0.send(());
    }
}

impl Server {
    /// Opens the data folder and all listeners, and serves. When it returns, everything is bound and open.
    ///
    /// # Errors
    /// Where an address or the data folder can't be used; nothing is left running then.
    pub fn start(config: Config) -> Result<Server, StartError> {
        let config = Arc::new(config);
        let host = HostSecret::open(config.host_token_file.as_deref()).map_err(|cause| {
            let file = config.host_token_file.as_deref().unwrap_or_else(|| "".as_ref());
            StartError::Host { file: file.display().to_string(), cause }
        })?;
        raise_file_limit();
        let (store, facts) = Store::open(&config.data)?;
        let folder = config.data.display().to_string();
        let tokens = TokenKey::open(&config.data).map_err(|source| StartError::Key { folder, source })?;
        let mut sockets = Vec::new();
        let mut addresses = Vec::new();
        for listener in &config.listeners {
            let bind = |cause| StartError::Bind { address: listener.bind, cause };
            let socket = porter::bind(listener).map_err(bind)?;
            addresses.push(socket.local_addr().map_err(bind)?);
            sockets.push(socket);
        }
        let count = match config.shards {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            shards => shards,
        };
        let drivers = (0..count).map(|_| Driver::new()).collect::<io::Result<Vec<Driver>>>();
        let drivers = drivers.map_err(StartError::System)?;
        let mailboxes: Vec<Mailbox> = drivers.iter().map(Driver::mailbox).collect();
        let common = Common {
            config: config.clone(),
            placement: Placement::new(count as u16),
            tokens: Arc::new(tokens),
            guests: GuestNumbers::default(),
            zone: jiff::tz::TimeZone::system(),
            host,
        };
        let clock = Clock::start();
        let (drained_sender, drained) = mpsc::channel();
        restore_sessions(&facts, &common.placement, &mailboxes, clock);
        let (mut shards, mut counters) = (Vec::new(), Vec::new());
        for (at, driver) in drivers.into_iter().enumerate() {
            let net = driver.net(mailboxes.clone()).map_err(StartError::System)?;
            let log = store.handle(sink(driver.mailbox()));
            let metrics = Arc::new(Metrics::default());
            counters.push(metrics.clone());
            let (common, drained_sender) = (common.clone(), drained_sender.clone());
            let run = move || {
                let shard = Shard::new(ShardId(at as u16), common, log, metrics, net);
                driver.run(shard, clock, &drained_sender);
            };
            let thread = std::thread::Builder::new().name(format!("shard-{at}")).spawn(run);
            shards.push((mailboxes[at].clone(), thread.map_err(StartError::System)?));
        }
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Report { shards: counters, log: store.watch() }));
        let log = store.watch();
        let log_is_well = Box::new(move || log.health() != Health::Failing);
        let hall = Arc::new(Hall::new(config.clone(), registry, mailboxes.clone(), log_is_well));
        let has_http = config.listeners.iter().any(|listener| matches!(listener.service, Service::Http(_)));
        let http = has_http.then(|| HttpDoor::open(&hall, clock, count)).transpose();
        let http = http.map_err(StartError::System)?;
        let acceptor = http.as_ref().map(HttpDoor::acceptor);
        let (porter, porter_waker) =
            Porter::new(config.clone(), common.placement, sockets, mailboxes, acceptor)
                .map_err(StartError::System)?;
        let porter = std::thread::Builder::new().name("porter".to_owned()).spawn(move || porter.run());
        let porter = porter.map_err(StartError::System)?;
        let (stopper, stops) = mpsc::channel();
        let threads = Threads { http, porter, porter_waker, shards };
        let stopper = Stopper(stopper);
        Ok(Server { addresses, stopper, stops, drained, threads, clock, config, store, hall })
    }

    /// Where the server listens, in the order of the configuration, with what is served there.
    pub fn listeners(&self) -> impl Iterator<Item = (SocketAddr, &Service)> {
        let services = self.config.listeners.iter().map(|listener| &listener.service);
        self.addresses.iter().copied().zip(services)
    }

    /// A way to end the server from another thread.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// The server's counters, in the Prometheus text format.
    pub fn metrics(&self) -> String {
        self.hall.metrics()
    }

    /// Serves until [`Stopper::stop`], then ends in order: stops accepting, tells every client, writes what is owed
    /// within `drain_timeout`, and brings the logs to the disk.
    pub fn wait(self) {
        let _ = self.stops.recv();
        let Threads { http, porter, porter_waker, shards } = self.threads;
        self.hall.drain();
        tracing::info!("ending: clients are told, what they are owed is written");
        if let Err(error) = porter_waker.wake() {
            tracing::error!(%error, "the porter can't be woken");
        }
        // After this no connection is on its way to a shard but those that are in its mailbox.
        join(porter);
        let deadline = self.clock.now().plus(self.config.drain_timeout);
        if let Some(http) = &http {
            http.begin_end();
        }
        shards.iter().for_each(|(mailbox, _)| mailbox.send(Inbox::Shutdown { deadline }));
        // A shard may be asked by the connections of another one until the last of them has ended.
        // Shards keep to the deadline themselves; one that has died must not keep the others.
        let patience = self.config.drain_timeout + Duration::from_secs(2);
        for _ in &shards {
            if self.drained.recv_timeout(patience).is_err() {
                tracing::error!("a shard has not drained its connections");
                break;
            }
        }
        if let Some(http) = http {
            http.end(deadline.since(self.clock.now()));
        }
        for (mailbox, thread) in shards {
            mailbox.send(Inbox::End);
            join(thread);
        }
        match self.store.close() {
            Ok(()) => tracing::info!("ended in order"),
            Err(error) => tracing::error!(%error, "the logs could not be closed in order"),
        }
    }
}

/// A connection is a descriptor. The soft limit is low for the sake of programs that use `select`, which this is not.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is; it bounds the connections");
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the server has panicked");
    }
}

fn sink(mailbox: Mailbox) -> Sink {
    Arc::new(move |completion| mailbox.send(Inbox::Completion(completion)))
}

/// Tells the owners of sessions and nicknames who may come back for what.
fn restore_sessions(facts: &[(String, String)], placement: &Placement, mailboxes: &[Mailbox], clock: Clock) {
    for (session, nick) in facts.iter().filter_map(|(key, value)| read_keepsake(key, value)) {
        let owners = [placement.of_session(session), placement.of_nick(&nick)];
        let person = Arc::new(Person { nick, session });
        let restore = [
            (owners[0], DirectoryMessage::RestoreSession { person: person.clone() }),
            (owners[1], DirectoryMessage::RestoreNick { person }),
        ];
        for (shard, message) in restore {
            let message = Message::Directory(message);
            mailboxes[usize::from(shard.0)].send(Inbox::Messages(vec![message]));
        }
    }
    let now = clock.now();
    for (key, (session, until, trail)) in
        facts.iter().filter_map(|(key, value)| Some((key, read_trail(key, value)?)))
    {
        let to = &mailboxes[usize::from(placement.of_session(session).0)];
        let restore = DirectoryMessage::RestoreTrail { session, trail, until };
        let mut messages = vec![Message::Forget { key: key.clone() }];
        messages.extend((now < until).then(|| Message::Directory(restore)));
        to.send(Inbox::Messages(messages));
    }
}
