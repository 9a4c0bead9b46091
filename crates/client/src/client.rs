//! The two handles that a program holds: [`Client`] asks, [`Events`] listens.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::driver::{Ask, Command, Driver};
use crate::limits::{ANSWER_TIMEOUT, COMMANDS_WAITING_MAX, EVENTS_WAITING_MAX, HISTORY_EVENTS_MAX};
use crate::link::{self, Greeting};
use crate::op::Op;
use crate::reply::{Recorded, Renamed, Rooms};
use crate::{ConnectError, Error, Event, History, Joined, Options, RoomRow, Session, Who};

/// Asks things of the server. Cloning is cheap; clones share one connection.
///
/// Commands are carried out in the order in which they were begun. Somebody has to take [`Events`] meanwhile (or
/// drop them): once [`EVENTS_WAITING_MAX`] wait, nothing is read, and no answer either.
///
/// # Cancel safety
///
/// Dropping the future of any method stops the waiting, not the command: once in line it is sent. Dropped before
/// that (it waits for a place only if [`COMMANDS_WAITING_MAX`] are ahead), nothing is sent.
///
/// # Errors
///
/// All commands share [`Error`]. While there is no connection, [`say`](Client::say) waits for one; the others fail
/// with [`Error::NotConnected`].
#[derive(Clone, Debug)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    session: Arc<Mutex<Session>>,
    keys: Arc<Keys>,
}

/// What happens, in order.
#[derive(Debug)]
pub struct Events {
    events: mpsc::Receiver<Event>,
}

impl Events {
    /// The next event; none after [`Event::Closed`].
    ///
    /// Cancel-safe: a dropped call takes no event with it.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

impl Client {
    /// Connects to a chat door (`host:port`) and says `hello`. Needs a tokio runtime, on which it starts a task that
    /// lives until the client is closed, or all its handles and the [`Events`] are dropped.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], without trying twice: whether the first connection is worth waiting for is for the caller
    /// to say. Coming back after a loss is automatic.
    pub async fn connect(
        addr: impl Into<String>,
        options: Options,
    ) -> Result<(Client, Events), ConnectError> {
        let addr = addr.into();
        let hello = Op::Hello { nick: options.nick.clone(), resume: options.resume.clone() };
        let keys = Arc::new(Keys::new());
        let (link, Greeting { welcome, landing }) = link::open(&addr, &hello).await?;
        let session = Session { id: welcome.session, resume: welcome.resume, nick: welcome.nick, landing };
        let session = Arc::new(Mutex::new(session));
        let (commands, commands_out) = mpsc::channel(COMMANDS_WAITING_MAX);
        let (events_in, events) = mpsc::channel(EVENTS_WAITING_MAX);
        let driver = Driver::new(addr, &options, commands_out, events_in, session.clone());
        tokio::spawn(driver.run(link, welcome.resumed));
        Ok((Client { commands, session, keys }, Events { events }))
    }

    /// Who this client is to the server, as of now.
    pub fn session(&self) -> Session {
        self.session.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the nickname. Returns it as the server spells it.
    pub async fn nick(&self, nick: impl Into<String>) -> Result<String, Error> {
        let Renamed { nick } = self.ask(Op::Nick { nick: nick.into() }).await?;
        Ok(nick)
    }

    /// Joins a room and hears it from now on. Joining again is allowed and answers the same.
    pub async fn join(&self, room: impl Into<String>) -> Result<Joined, Error> {
        self.ask(Op::Join { room: room.into(), after: None, epoch: None, capacity: None }).await
    }

    /// Joins a room and hears everything since the event `after`, which was seen in `epoch`, for example by an
    /// earlier process. [`Joined::reset`] says where that is no longer this room's past.
    pub async fn join_after(
        &self,
        room: impl Into<String>,
        after: u64,
        epoch: impl Into<String>,
    ) -> Result<Joined, Error> {
        let (room, epoch) = (room.into(), Some(epoch.into()));
        self.ask(Op::Join { room, after: Some(after), epoch, capacity: None }).await
    }

    /// Leaves a room.
    pub async fn leave(&self, room: impl Into<String>) -> Result<(), Error> {
        self.ask::<Value>(Op::Leave { room: room.into() }).await.map(drop)
    }

    /// Says something in a room, once, whatever happens to the connection meanwhile. Returns its `seq`.
    ///
    /// Waits as long as it takes. [`Error::Lost`] means that nobody can know whether it was said: the server had
    /// forgotten the session, or the client was closed.
    pub async fn say(&self, room: impl Into<String>, text: impl Into<String>) -> Result<u64, Error> {
        self.begin_say(room, text).await?.seq().await
    }

    /// As [`say`](Client::say), with a key of the program's own making (1 to 64 bytes): the same key again, also
    /// from another process that resumed this session, is answered with the first `seq` and said once.
    pub async fn say_with_key(
        &self,
        room: impl Into<String>,
        text: impl Into<String>,
        key: impl Into<String>,
    ) -> Result<u64, Error> {
        let op = Op::Say { room: room.into(), text: text.into(), key: key.into() };
        SayReceipt(self.begin(op).await?).seq().await
    }

    /// Puts a message in line and returns at once: for saying several things without waiting for each answer.
    pub async fn begin_say(
        &self,
        room: impl Into<String>,
        text: impl Into<String>,
    ) -> Result<SayReceipt, Error> {
        let op = Op::Say { room: room.into(), text: text.into(), key: self.keys.next() };
        Ok(SayReceipt(self.begin(op).await?))
    }

    /// Tells something to one person.
    pub async fn tell(&self, to: impl Into<String>, text: impl Into<String>) -> Result<(), Error> {
        self.ask::<Value>(Op::Tell { to: to.into(), text: text.into() }).await.map(drop)
    }

    /// Sets a room's topic; for its creator. Returns the `seq` of the change.
    pub async fn topic(&self, room: impl Into<String>, text: impl Into<String>) -> Result<u64, Error> {
        let Recorded { seq } = self.ask(Op::Topic { room: room.into(), text: text.into() }).await?;
        Ok(seq)
    }

    /// Sets how many a room holds, 0 for no limit; for its creator. Returns the `seq` of the change.
    pub async fn capacity(&self, room: impl Into<String>, capacity: u32) -> Result<u64, Error> {
        let Recorded { seq } = self.ask(Op::Capacity { room: room.into(), capacity }).await?;
        Ok(seq)
    }

    /// The rooms in use, of those whose names begin with `prefix` (which may be empty).
    pub async fn rooms(&self, prefix: &str) -> Result<Vec<RoomRow>, Error> {
        let prefix = (!prefix.is_empty()).then(|| prefix.to_owned());
        let Rooms { rooms } = self.ask(Op::Rooms { prefix, limit: None }).await?;
        Ok(rooms)
    }

    /// Who is in a room.
    pub async fn who(&self, room: impl Into<String>) -> Result<Who, Error> {
        self.ask(Op::Who { room: room.into() }).await
    }

    /// A room's newest events, at most [`HISTORY_EVENTS_MAX`].
    pub async fn history(&self, room: impl Into<String>, limit: u32) -> Result<History, Error> {
        self.past(room.into(), None, None, limit).await
    }

    /// A room's first events after `after`, at most [`HISTORY_EVENTS_MAX`].
    pub async fn history_after(
        &self,
        room: impl Into<String>,
        after: u64,
        limit: u32,
    ) -> Result<History, Error> {
        self.past(room.into(), Some(after), None, limit).await
    }

    /// A room's last events before `before`, at most [`HISTORY_EVENTS_MAX`].
    pub async fn history_before(
        &self,
        room: impl Into<String>,
        before: u64,
        limit: u32,
    ) -> Result<History, Error> {
        self.past(room.into(), None, Some(before), limit).await
    }

    async fn past(
        &self,
        room: String,
        after: Option<u64>,
        before: Option<u64>,
        limit: u32,
    ) -> Result<History, Error> {
        let op = Op::History { room: room.clone(), after, before, limit: limit.min(HISTORY_EVENTS_MAX) };
        let mut history: History = self.ask(op).await?;
        for event in &mut history.events {
            event.room.clone_from(&room);
        }
        Ok(history)
    }

    /// Asks for a sign of life.
    pub async fn ping(&self) -> Result<(), Error> {
        self.ask::<Value>(Op::Ping).await.map(drop)
    }

    /// Closes at once, politely: what is in line before it is carried out, what comes after its answer is not read.
    pub async fn bye(&self) -> Result<(), Error> {
        match self.ask::<Value>(Op::Bye).await {
            // The end of the connection is as good an answer.
            Ok(_) | Err(Error::Lost | Error::Closed) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Closes from this side: everything in line is written, then FIN. What the server still owes is told as events,
    /// the last one being [`Event::Closed`]. Without a connection the client is closed at once, and messages that
    /// wait for one fail.
    ///
    /// Returns when that is asked for, not when it is done. Commands that are begun later fail with
    /// [`Error::Closed`].
    pub async fn finish(&self) {
        // A driver that is gone has finished already.
        let _ = self.commands.send(Command::Finish).await;
    }

    async fn ask<T: DeserializeOwned>(&self, op: Op) -> Result<T, Error> {
        let answer = async { self.begin(op).await?.await.unwrap_or(Err(Error::Closed)) };
        let value = timeout(ANSWER_TIMEOUT, answer).await.unwrap_or(Err(Error::TimedOut))?;
        serde_json::from_value(value).map_err(|error| Error::BadReply(error.to_string()))
    }

    async fn begin(&self, op: Op) -> Result<oneshot::Receiver<Result<Value, Error>>, Error> {
        let (answer, reply) = oneshot::channel();
        let asked = self.commands.send(Command::Ask(Ask { op, answer })).await;
        asked.map_err(|_| Error::Closed)?;
        Ok(reply)
    }
}

/// A message in line: see [`Client::begin_say`].
#[derive(Debug)]
pub struct SayReceipt(oneshot::Receiver<Result<Value, Error>>);

impl SayReceipt {
    /// Waits until it has been said. Returns its `seq`.
    ///
    /// # Errors
    ///
    /// As [`Client::say`]. Dropping the future does not take the message back.
    pub async fn seq(self) -> Result<u64, Error> {
        let value = self.0.await.unwrap_or(Err(Error::Closed))?;
        let recorded = serde_json::from_value(value);
        recorded.map(|Recorded { seq }| seq).map_err(|error| Error::BadReply(error.to_string()))
    }
}

/// Makes keys that no other client of the same session has made: random once, then counted.
#[derive(Debug)]
struct Keys {
    random: u64,
    count: AtomicU64,
}

impl Keys {
    fn new() -> Keys {
        // A machine without randomness still has keys that differ from those of its other processes.
        let random = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
        Keys { random, count: AtomicU64::new(0) }
    }

    fn next(&self) -> String {
        format!("{:016x}-{}", self.random, self.count.fetch_add(1, Ordering::Relaxed))
    }
}
