//! The task behind a client: owns the connection, the rooms' places, and what waits for an answer.
//!
//! It alternates between two loops: [`Driver::serve`] while there is a connection, and `come_back` (in `offline`)
//! while there is none. What can wake it is listed in their two `select!`s, and nowhere else.
//!
//! While the program does not take its events, nothing more is read from the server: the bound is the server's,
//! which tells of the gap, and commands still go out.

mod offline;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::limits::{COMMANDS_WAITING_MAX, HISTORY_EVENTS_MAX, PROBE_AFTER, SILENCE_MAX};
use crate::link::{HELLO_ID, Link, Writer};
use crate::op::{Incoming, Op, decode};
use crate::reply::Renamed;
use crate::rooms::{Outcome, Rooms};
use crate::{Bye, Closing, Error, Event, Joined, Lost, Options, Refusal, Session};

/// How long a connection must last so that losing it counts as a first failure. A server that takes clients in only
/// to drop them is tried every few seconds at most.
const LASTED: Duration = Duration::from_secs(3);

/// What the handles ask of the driver.
#[derive(Debug)]
pub(crate) enum Command {
    Ask(Ask),
    /// Write everything, then FIN.
    Finish,
}

/// One command and who waits for its answer.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) op: Op,
    pub(crate) answer: oneshot::Sender<Result<Value, Error>>,
}

/// A message that has no answer yet and is worth sending again, because its key makes it happen once.
#[derive(Debug)]
struct Kept {
    ask: Ask,
    /// Whether a connection may have carried it already.
    sent: bool,
}

/// Who waits for a reply.
#[derive(Debug)]
enum Waiting {
    Program(Ask),
    /// To joining a room again after a reconnect.
    Rejoin(String),
    /// To fetching what a gap left out.
    Fetch(String),
    /// To taking the nickname again.
    Renick,
    /// To something whose answer matters to nobody: a probe, leaving the landing room.
    Nobody,
}

#[derive(Debug)]
pub(crate) struct Driver {
    addr: String,
    backoff: Backoff,
    commands: mpsc::Receiver<Command>,
    commands_ended: bool,
    events: mpsc::Sender<Event>,
    /// Events that did not fit into `events` yet. While there are any, nothing is read.
    undelivered: VecDeque<Event>,
    session: Arc<Mutex<Session>>,
    rooms: Rooms,
    next_id: u64,
    /// On this connection, by id, so in the order of asking.
    waiting: BTreeMap<u64, Waiting>,
    /// While there is no connection: messages for the next one.
    kept: VecDeque<Kept>,
    /// FIN was asked for.
    finishing: bool,
    /// `bye` was said: the end of this connection is the last one.
    leaving: bool,
    /// The server's farewell on this connection.
    bye: Option<Bye>,
}

/// How one connection ended.
enum Ended {
    Closed(Closing),
    Lost(Lost),
}

impl Driver {
    pub(crate) fn new(
        addr: String,
        options: &Options,
        commands: mpsc::Receiver<Command>,
        events: mpsc::Sender<Event>,
        session: Arc<Mutex<Session>>,
    ) -> Driver {
        Driver {
            addr,
            backoff: Backoff::new(options.backoff_min, options.backoff_max),
            commands,
            commands_ended: false,
            events,
            undelivered: VecDeque::new(),
            session,
            rooms: Rooms::new(options.fetch_gaps),
            next_id: HELLO_ID + 1,
            waiting: BTreeMap::new(),
            kept: VecDeque::new(),
            finishing: false,
            leaving: false,
            bye: None,
        }
    }

    /// Runs until the client is closed. The first connection is made by the caller, who wants to know how it went.
    pub(crate) async fn run(mut self, mut link: Link, resumed: bool) {
        let nick = self.session().nick.clone();
        self.tell(Event::Connected { nick, resumed });
        let why = loop {
            let since = Instant::now();
            let ended = self.serve(&mut link).await;
            drop(link);
            let lost = match ended {
                Ended::Closed(why) => break why,
                Ended::Lost(lost) => lost,
            };
            if since.elapsed() >= LASTED {
                self.backoff.reset();
            }
            match self.come_back(lost).await {
                Ok(back) => link = back,
                Err(why) => break why,
            }
        };
        self.close(why).await;
    }

    /// One connection's life.
    async fn serve(&mut self, link: &mut Link) -> Ended {
        let Link { reader, writer } = link;
        let mut fin_sent = false;
        let mut heard = Instant::now();
        let mut probed = false;
        loop {
            if self.finishing && !fin_sent && !writer.has_more() {
                if let Err(error) = writer.finish().await {
                    return Ended::Closed(Closing::Broken(Lost::Io(error.to_string())));
                }
                fin_sent = true;
                heard = Instant::now();
            }
            let listening = self.undelivered.is_empty();
            let patience = if probed || fin_sent { SILENCE_MAX } else { PROBE_AFTER };
            let asking = !self.finishing
                && !self.commands_ended
                && self.waiting.len() < COMMANDS_WAITING_MAX
                && !writer.is_full();
            tokio::select! {
                line = reader.line(), if listening => {
                    (heard, probed) = (Instant::now(), false);
                    match line {
                        Ok(Some(line)) => match decode(&line) {
                            Ok(incoming) => {
                                if let Some((op, waiting)) = self.hear(incoming) {
                                    self.ask(writer, op, waiting);
                                }
                            }
                            Err(error) => return self.ended(Lost::Nonsense(error.to_string())),
                        },
                        Ok(None) => return self.ended_by_fin(fin_sent),
                        Err(lost) => return self.ended(lost),
                    }
                }
                delivered = deliver(&self.events, &mut self.undelivered), if !listening => {
                    heard = Instant::now(); // silence is measured while listening
                    if !delivered && self.commands_ended {
                        return Ended::Closed(Closing::Asked);
                    }
                }
                written = writer.write_some(), if writer.has_more() => {
                    if let Err(error) = written {
                        return self.ended(Lost::Io(error.to_string()));
                    }
                }
                command = self.commands.recv(), if asking => match command {
                    Some(Command::Ask(ask)) => self.ask(writer, ask.op.clone(), Waiting::Program(ask)),
                    Some(Command::Finish) => self.finishing = true,
                    None => self.commands_ended = true,
                },
                () = self.events.closed(), if self.commands_ended => return Ended::Closed(Closing::Asked),
                () = tokio::time::sleep_until(heard + patience), if listening => {
                    if probed || fin_sent {
                        return self.ended(Lost::Silent);
                    }
                    self.ask(writer, Op::Ping, Waiting::Nobody);
                    (heard, probed) = (Instant::now(), true);
                }
            }
        }
    }

    /// Puts a command in line, and notes who waits for its answer.
    fn ask(&mut self, writer: &mut Writer, op: Op, waiting: Waiting) {
        let id = self.next_id;
        self.next_id += 1;
        self.leaving |= op == Op::Bye;
        writer.put(&op, id);
        self.waiting.insert(id, waiting);
    }

    /// One line from the server; what to ask because of it.
    fn hear(&mut self, incoming: Incoming) -> Option<(Op, Waiting)> {
        let outcome = match incoming {
            Incoming::Unknown => return None,
            Incoming::Reply(id, reply) => self.answered(id, reply),
            Incoming::Event(Event::Logged(event)) => self.rooms.logged(event),
            Incoming::Event(Event::Gap { room, from_seq, to_seq }) => self.rooms.gap(&room, from_seq, to_seq),
            Incoming::Event(Event::Presence(presence)) => {
                if let crate::Change::Renamed { from, to } = &presence.change {
                    let mut session = self.session();
                    if session.nick == *from {
                        session.nick.clone_from(to);
                    }
                }
                Outcome { tell: Vec::from_iter(self.rooms.presence(presence)), fetch: None }
            }
            Incoming::Event(event) => {
                if let Event::Bye(bye) = &event {
                    self.bye = Some(bye.clone());
                }
                Outcome { tell: vec![event], fetch: None }
            }
        };
        for event in outcome.tell {
            self.tell(event);
        }
        let (room, after) = outcome.fetch?;
        let op =
            Op::History { room: room.clone(), after: Some(after), before: None, limit: HISTORY_EVENTS_MAX };
        Some((op, Waiting::Fetch(room)))
    }

    fn answered(&mut self, id: u64, reply: Result<Value, Refusal>) -> Outcome {
        let mut outcome = Outcome::default();
        match self.waiting.remove(&id) {
            None | Some(Waiting::Nobody) => {}
            Some(Waiting::Program(ask)) => {
                let reply = reply.map_err(Error::Refused).and_then(|value| self.took_effect(&ask.op, value));
                // Whoever asked may have stopped waiting; the effect stays.
                let _ = ask.answer.send(reply);
            }
            Some(Waiting::Fetch(room)) => {
                let history = reply.ok().and_then(|value| serde_json::from_value(value).ok());
                outcome = self.rooms.fetched(&room, history);
            }
            Some(Waiting::Rejoin(room)) => match reply.map(serde_json::from_value::<Joined>) {
                Ok(Ok(mut joined)) => {
                    let missed = self.rooms.rejoined(&joined);
                    joined.reset |= missed.is_none();
                    let missed = missed.unwrap_or_default();
                    outcome.tell.push(Event::Rejoined { joined, missed });
                }
                refused => {
                    self.rooms.left(&room);
                    let refusal = refused.err().unwrap_or_else(|| Refusal {
                        code: "unknown".to_owned(),
                        message: format!("the server's answer to joining {room} again made no sense"),
                    });
                    outcome.tell.push(Event::RejoinRefused { room, refusal });
                }
            },
            Some(Waiting::Renick) => match reply {
                Ok(value) => {
                    if self.renamed(value).is_ok() {
                        outcome.tell.push(Event::NickAgain { nick: self.session().nick.clone() });
                    }
                }
                Err(refusal) => outcome.tell.push(Event::Refused(refusal)),
            },
        }
        outcome
    }

    /// Remembers what a granted command changed about this client.
    fn took_effect(&mut self, op: &Op, value: Value) -> Result<Value, Error> {
        let bad = |error: serde_json::Error| Error::BadReply(error.to_string());
        match op {
            Op::Join { after, .. } => {
                let joined: Joined = serde_json::from_value(value.clone()).map_err(bad)?;
                self.rooms.joined(&joined, *after);
            }
            Op::Leave { room } => {
                self.rooms.left(value.get("room").and_then(Value::as_str).unwrap_or(room));
            }
            Op::Nick { .. } => self.renamed(value.clone()).map_err(bad)?,
            _ => {}
        }
        Ok(value)
    }

    fn renamed(&mut self, value: Value) -> Result<(), serde_json::Error> {
        let Renamed { nick } = serde_json::from_value(value)?;
        self.session().nick = nick;
        Ok(())
    }

    fn ended_by_fin(&mut self, fin_sent: bool) -> Ended {
        match self.bye.take() {
            _ if fin_sent || self.leaving => Ended::Closed(Closing::Asked),
            Some(bye) if !bye.resume => Ended::Closed(Closing::ByServer(bye)),
            bye => self.ended(Lost::Closed(bye)),
        }
    }

    /// A connection that broke: the end where the end was wanted, else a loss.
    fn ended(&mut self, lost: Lost) -> Ended {
        match self.bye.take() {
            _ if self.finishing => Ended::Closed(Closing::Broken(lost)),
            _ if self.leaving => Ended::Closed(Closing::Asked),
            // The farewell says more than the error after it.
            Some(bye) if !bye.resume => Ended::Closed(Closing::ByServer(bye)),
            Some(bye) => Ended::Lost(Lost::Closed(Some(bye))),
            None => Ended::Lost(lost),
        }
    }

    fn tell(&mut self, event: Event) {
        self.undelivered.push_back(event);
    }

    fn session(&self) -> std::sync::MutexGuard<'_, Session> {
        // Held for plain assignments only, which can't panic.
        self.session.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The last stage: nobody waits in vain, and the program hears the end.
    async fn close(mut self, why: Closing) {
        for Kept { ask, sent } in std::mem::take(&mut self.kept) {
            let _ = ask.answer.send(Err(if sent { Error::Lost } else { Error::Closed }));
        }
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            if let Waiting::Program(ask) = waiting {
                let _ = ask.answer.send(Err(Error::Lost));
            }
        }
        self.commands.close();
        while let Some(command) = self.commands.recv().await {
            if let Command::Ask(ask) = command {
                let _ = ask.answer.send(Err(Error::Closed));
            }
        }
        self.tell(Event::Closed { why });
        while !self.undelivered.is_empty() {
            deliver(&self.events, &mut self.undelivered).await;
        }
    }
}

/// Gives the program as many events as it takes, at least one; false if it no longer listens, and they are gone.
/// Cancel-safe: an event leaves `undelivered` only when there is a place for it.
async fn deliver(events: &mpsc::Sender<Event>, undelivered: &mut VecDeque<Event>) -> bool {
    let Ok(place) = events.reserve().await else {
        undelivered.clear();
        return false;
    };
    if let Some(event) = undelivered.pop_front() {
        place.send(event);
    }
    while !undelivered.is_empty() {
        let Ok(place) = events.try_reserve() else { break };
        if let Some(event) = undelivered.pop_front() {
            place.send(event);
        }
    }
    true
}
