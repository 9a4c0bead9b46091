//! A whole server: data folder, listeners, a thread for each shard and one at the doors, and its orderly end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use madang_log::{OpenError, Sink, Store};
use mio::Waker;
use prometheus_client::registry::Registry;

use crate::clock::Clock;
use crate::config::{Config, Service};
use crate::driver::{Driver, Inbox, Mailbox};
use crate::message::{DirectoryMessage, Message, Person};
use crate::metrics::Metrics;
use crate::placement::{Placement, ShardId};
use crate::porter::{self, GuestNumbers, Porter};
use crate::shard::{Common, Shard, read_keepsake};
use crate::token::TokenKey;

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
    listeners: Vec<(SocketAddr, &'static str)>,
    stopper: Stopper,
    stops: Receiver<()>,
    drained: Receiver<()>,
    threads: Threads,
    clock: Clock,
    config: Arc<Config>,
    store: Store,
    registry: Registry,
}

struct Threads {
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
        raise_file_limit();
        let (store, facts) = Store::open(&config.data)?;
        let folder = config.data.display().to_string();
        let tokens = TokenKey::open(&config.data).map_err(|source| StartError::Key { folder, source })?;
        let mut sockets = Vec::new();
        let mut listeners = Vec::new();
        for listener in &config.listeners {
            let bind = |cause| StartError::Bind { address: listener.bind, cause };
            let socket = porter::bind(listener).map_err(bind)?;
            listeners.push((socket.local_addr().map_err(bind)?, name(&listener.service)));
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
        };
        let clock = Clock::start();
        let (drained_sender, drained) = mpsc::channel();
        let mut registry = Registry::default();
        restore_sessions(&facts, &common.placement, &mailboxes);
        let (porter, porter_waker) =
            Porter::new(config.clone(), common.placement.clone(), sockets, mailboxes.clone())
                .map_err(StartError::System)?;
        let mut shards = Vec::new();
        for (at, driver) in drivers.into_iter().enumerate() {
            let net = driver.net(mailboxes.clone()).map_err(StartError::System)?;
            let log = store.handle(sink(driver.mailbox()));
            let metrics = Arc::new(Metrics::default());
            metrics.register(registry.sub_registry_with_label(("shard".into(), at.to_string().into())));
            let (common, drained_sender) = (common.clone(), drained_sender.clone());
            let run = move || {
                let shard = Shard::new(ShardId(at as u16), common, log, metrics, net);
                driver.run(shard, clock, &drained_sender);
            };
            let thread = std::thread::Builder::new().name(format!("shard-{at}")).spawn(run);
            shards.push((mailboxes[at].clone(), thread.map_err(StartError::System)?));
        }
        let porter = std::thread::Builder::new().name("porter".to_owned()).spawn(move || porter.run());
        let porter = porter.map_err(StartError::System)?;
        let (stopper, stops) = mpsc::channel();
        let threads = Threads { porter, porter_waker, shards };
        let stopper = Stopper(stopper);
        Ok(Server { listeners, stopper, stops, drained, threads, clock, config, store, registry })
    }

    /// Where the server listens, in the order of the configuration, with what is served there.
    pub fn listeners(&self) -> &[(SocketAddr, &'static str)] {
        &self.listeners
    }

    /// A way to end the server from another thread.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// The server's counters, in the Prometheus text format.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        // Writing to a string fails only where a metric can't be written, and then says as much as there is.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }

    /// Serves until [`Stopper::stop`], then ends in order: stops accepting, tells every client, writes what is owed
    /// within `drain_timeout`, and brings the logs to the disk.
    pub fn wait(self) {
        let _ = self.stops.recv();
        let Threads { porter, porter_waker, shards } = self.threads;
        tracing::info!("ending: clients are told, what they are owed is written");
        if let Err(error) = porter_waker.wake() {
            tracing::error!(%error, "the porter can't be woken");
        }
        // After this no connection is on its way to a shard but those that are in its mailbox.
        join(porter);
        let deadline = self.clock.now().plus(self.config.drain_timeout);
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

fn name(service: &Service) -> &'static str {
    match service {
        Service::Chat { .. } => "chat",
        Service::Echo { .. } => "echo",
        Service::Relay { .. } => "relay",
    }
}

fn sink(mailbox: Mailbox) -> Sink {
    Arc::new(move |completion| mailbox.send(Inbox::Completion(completion)))
}

/// Tells the owners of sessions and nicknames who may come back for what.
fn restore_sessions(facts: &[(String, String)], placement: &Placement, mailboxes: &[Mailbox]) {
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
}
