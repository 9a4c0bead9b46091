//! While there is no connection: keep messages, refuse what can't wait, and try to come back.

use std::time::Duration;

use tokio::time::Instant;

use super::{Ask, Command, Driver, Kept, Waiting, deliver};
use crate::backoff::Backoff;
use crate::limits::COMMANDS_WAITING_MAX;
use crate::link::{self, Greeting, Link};
use crate::op::Op;
use crate::{Closing, ConnectError, Error, Event, Lost};

impl Driver {
    /// Tries until there is a connection again (rooms and messages are then under way), or nobody wants one.
    pub(super) async fn come_back(&mut self, mut lost: Lost) -> Result<Link, Closing> {
        self.rooms.away();
        self.keep_messages();
        loop {
            let retry_in = wait_after(&mut self.backoff, &lost);
            self.tell(Event::Disconnected { why: lost, retry_in });
            self.meanwhile(tokio::time::sleep_until(Instant::now() + retry_in)).await?;

            let hello = Op::Hello { nick: None, resume: Some(self.session().resume.clone()) };
            let addr = self.addr.clone();
            match self.meanwhile(link::open(&addr, &hello)).await? {
                Ok((mut link, greeting)) => {
                    self.resume(&mut link, greeting);
                    return Ok(link);
                }
                Err(error) => lost = Lost::NotBack(in_short(&error)),
            }
        }
    }

    /// Greets the server again: rooms, messages without an answer, nickname.
    fn resume(&mut self, link: &mut Link, greeting: Greeting) {
        let Greeting { welcome, landing } = greeting;
        let nick_before = {
            let mut session = self.session();
            session.id = welcome.session;
            session.resume = welcome.resume;
            session.landing.clone_from(&landing);
            std::mem::replace(&mut session.nick, welcome.nick.clone())
        };
        self.tell(Event::Connected { nick: welcome.nick.clone(), resumed: welcome.resumed });
        let writer = &mut link.writer;
        if welcome.nick != nick_before && !is_guest(&nick_before) {
            self.ask(writer, Op::Nick { nick: nick_before }, Waiting::Renick);
        }
        for (room, after, epoch) in self.rooms.wanted() {
            let op = Op::Join { room: room.clone(), after: Some(after), epoch: Some(epoch), capacity: None };
            self.ask(writer, op, Waiting::Rejoin(room));
        }
        if let Some(room) = landing.filter(|room| !self.rooms.has(room)) {
            self.ask(writer, Op::Leave { room }, Waiting::Nobody);
        }
        for Kept { ask, sent } in std::mem::take(&mut self.kept) {
            if sent && !welcome.resumed {
                // The key means something to the old session alone: sent again, it might be said twice.
                let _ = ask.answer.send(Err(Error::Lost));
            } else {
                self.ask(writer, ask.op.clone(), Waiting::Program(ask));
            }
        }
    }

    /// What the lost connection leaves behind: messages wait for the next one, everything else is told of the loss.
    fn keep_messages(&mut self) {
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Program(ask) if matches!(ask.op, Op::Say { .. }) => {
                    self.kept.push_back(Kept { ask, sent: true });
                }
                Waiting::Program(ask) => {
                    let _ = ask.answer.send(Err(Error::Lost));
                }
                _ => {}
            }
        }
    }

    /// Does `work` while answering the program; ends early when the program wants no connection any more.
    ///
    /// `work` is not done before the program has taken its events, so that a program that does not listen finds
    /// one [`Event::Disconnected`] waiting and not one for each attempt.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Closing> {
        tokio::pin!(work);
        loop {
            let told = self.undelivered.is_empty();
            tokio::select! {
                done = &mut work, if told => return Ok(done),
                listening = deliver(&self.events, &mut self.undelivered), if !told => {
                    if !listening && self.commands_ended {
                        return Err(Closing::Asked);
                    }
                }
                command = self.commands.recv(), if !self.commands_ended => match command {
                    Some(Command::Ask(ask)) => self.ask_later(ask)?,
                    Some(Command::Finish) => return Err(Closing::Asked),
                    None => self.commands_ended = true,
                },
                () = self.events.closed(), if self.commands_ended => return Err(Closing::Asked),
            }
        }
    }

    fn ask_later(&mut self, ask: Ask) -> Result<(), Closing> {
        let refusal = match ask.op {
            Op::Say { .. } if self.kept.len() < COMMANDS_WAITING_MAX => {
                self.kept.push_back(Kept { ask, sent: false });
                return Ok(());
            }
            Op::Say { .. } => Error::QueueFull,
            Op::Bye => return Err(Closing::Asked),
            _ => Error::NotConnected,
        };
        let _ = ask.answer.send(Err(refusal));
        Ok(())
    }
}

/// Why it did not work, for somebody who knows where to.
fn in_short(error: &ConnectError) -> String {
    match error {
        ConnectError::Io { source, .. } if source.raw_os_error().is_some() => source.kind().to_string(),
        ConnectError::Io { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

/// Nicknames that only the server gives.
fn is_guest(nick: &str) -> bool {
    nick.strip_prefix("Guest").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// How long until the next attempt, as `lost` and the series of failures say.
fn wait_after(backoff: &mut Backoff, lost: &Lost) -> Duration {
    let asked = match lost {
        Lost::Closed(Some(bye)) => bye.retry_ms.map(Duration::from_millis),
        _ => None,
    };
    backoff.next(asked)
}
