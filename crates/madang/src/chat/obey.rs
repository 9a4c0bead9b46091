//! The obeying half of a talk: what was typed becomes commands, one after the other, and their answers lines.

use std::time::Duration;

use madang_client::{Error, Logged, What};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Talk;
use super::command::{self, HISTORY_DEFAULT, Input};
use super::line::{Kind, Line};
use super::listen::moment;

/// Messages that `/history` shows at most.
const HISTORY_MAX: u32 = 1_000;
/// Messages on their way. Fewer than the client keeps during an outage, so that it refuses none.
const SAID_WAITING_MAX: usize = 128;
const _: () = assert!(SAID_WAITING_MAX < madang_client::limits::COMMANDS_WAITING_MAX);
/// How long messages may wait for their answer, over any number of connections, once the input has ended.
const LAST_WAIT: Duration = Duration::from_secs(30);

/// How obeying ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Obeyed {
    /// Somebody asked for the end; otherwise the input was over.
    pub(crate) quit: bool,
    /// Messages of which nobody knows that they were said.
    pub(crate) lost: usize,
}

/// One person's commands.
pub(crate) struct Obey {
    talk: Talk,
    /// Messages on their way; each is true if it reached the server.
    said: JoinSet<bool>,
    lost: usize,
}

impl Obey {
    pub(crate) fn new(talk: Talk) -> Obey {
        Obey { talk, said: JoinSet::new(), lost: 0 }
    }

    /// Enters the first room, then obeys until the input ends or says so, then closes the client from this side.
    pub(crate) async fn run(mut self, room: Option<String>, mut inputs: mpsc::Receiver<String>) -> Obeyed {
        let mut quit = false;
        self.begin(room).await;
        while let Some(line) = inputs.recv().await {
            self.reap();
            match command::parse(&line) {
                None => {}
                Some(Err(refusal)) => self.talk.show(refusal).await,
                Some(Ok(Input::Quit)) => {
                    quit = true;
                    break;
                }
                Some(Ok(input)) => {
                    if let Err(error) = self.obey(input).await {
                        self.talk.show(refusal(&error)).await;
                    }
                }
            }
        }
        drop(inputs);
        if !quit {
            // A pipe has ended: its last words are worth some patience, should the connection be lost just now.
            let all = async { while self.said.join_next().await.is_some_and(|said| self.note(said)) {} };
            let _ = tokio::time::timeout(LAST_WAIT, all).await;
        }
        self.talk.client.finish().await;
        while let Some(said) = self.said.join_next().await {
            self.note(said);
        }
        Obeyed { quit, lost: self.lost }
    }

    async fn begin(&mut self, room: Option<String>) {
        let session = self.talk.client.session();
        let landing = session.landing;
        let Some(first) = room.or_else(|| landing.clone()) else {
            let greeting = format!("you are {}, /help lists the commands", session.nick);
            return self.talk.show(Line::note(greeting)).await;
        };
        self.talk.view().hold(&first);
        match self.talk.client.join(&first).await {
            Ok(joined) => {
                self.talk.view().entered(&joined.room, joined.members.as_deref());
                let (nick, room, count) = (session.nick, &joined.room, joined.count);
                let greeting = format!("you are {nick} in {room} ({count} here), /help lists the commands");
                self.talk.show(Line::note(greeting)).await;
                self.past(&joined.room, joined.seq).await;
            }
            Err(error) => self.talk.show(refusal(&error)).await,
        }
        self.release().await;
        if let Some(landing) = landing.filter(|landing| landing.to_lowercase() != first.to_lowercase()) {
            // Where one lands without having asked for it. If it can't be left, it is not heard either.
            let _ = self.talk.client.leave(landing).await;
        }
    }

    async fn obey(&mut self, input: Input) -> Result<(), Error> {
        let client = self.talk.client.clone();
        match input {
            Input::Say(text) => self.say(text).await?,
            Input::Nick(nick) => {
                let nick = client.nick(nick).await?;
                self.talk.view().nick.clone_from(&nick);
                self.note_line(format!("you are now {nick}")).await;
            }
            Input::Join(room) => self.join(&room).await?,
            Input::Leave(room) => {
                let room = self.room_or_current(room)?;
                client.leave(&room).await?;
                self.talk.view().left(&room);
                self.note_line(format!("left {room}")).await;
            }
            Input::Rooms => {
                let rooms = client.rooms("").await?;
                self.talk.view().list(rooms.iter().map(|row| row.room.clone()));
                let rows: Vec<String> =
                    rooms.iter().map(|row| format!("{} {}", row.room, row.count)).collect();
                self.note_line(format!("rooms: {}", rows.join(", "))).await;
            }
            Input::Who(room) => {
                let who = client.who(self.room_or_current(room)?).await?;
                self.note_line(match who.members {
                    Some(members) => format!("here: {}", members.join(", ")),
                    None => format!("{} here", who.count),
                })
                .await;
            }
            Input::Msg { to, text } => {
                client.tell(&to, &text).await?;
                self.talk.show(Line::new(Kind::Receipt { to, text })).await;
            }
            Input::History(count) => {
                let room = self.room_or_current(None)?;
                let past = self.messages(&room, None, count).await?;
                if past.is_empty() {
                    self.note_line(format!("nothing was said in {room} yet")).await;
                }
                self.talk.show_all(past).await;
            }
            Input::Topic(None) => {
                let joined = client.join(self.room_or_current(None)?).await?;
                self.note_line(match joined.topic.as_str() {
                    "" => format!("{} has no topic", joined.room),
                    topic => format!("topic of {}: {topic}", joined.room),
                })
                .await;
            }
            // The change is shown when it is heard, as by everybody in the room.
            Input::Topic(Some(text)) => drop(client.topic(self.room_or_current(None)?, text).await?),
            Input::Capacity(n) => drop(client.capacity(self.room_or_current(None)?, n).await?),
            Input::Help(about) => self.talk.show_all(command::help(about.as_deref())).await,
            Input::Quit => {}
        }
        Ok(())
    }

    /// Says something without waiting for the answer: one's own message is shown when it is heard.
    async fn say(&mut self, text: String) -> Result<(), Error> {
        let room = self.room_or_current(None)?;
        while self.said.len() >= SAID_WAITING_MAX {
            // A long pipe and an outage: the pipe waits.
            if let Some(said) = self.said.join_next().await {
                self.note(said);
            }
        }
        let receipt = self.talk.client.begin_say(room, text).await?;
        if !self.talk.view().connected {
            self.talk.show(Line::connection("this will be said when the connection is back")).await;
        }
        let talk = self.talk.clone();
        self.said.spawn(async move {
            match receipt.seq().await {
                Ok(_) => true,
                Err(error) => {
                    talk.show(refusal(&error)).await;
                    matches!(error, Error::Refused(_))
                }
            }
        });
        Ok(())
    }

    async fn join(&mut self, room: &str) -> Result<(), Error> {
        self.talk.view().hold(room);
        let joined = self.talk.client.join(room).await;
        if let Ok(joined) = &joined {
            self.talk.view().entered(&joined.room, joined.members.as_deref());
            self.note_line(format!("in {} ({} here)", joined.room, joined.count)).await;
            if !joined.topic.is_empty() {
                self.note_line(format!("topic of {}: {}", joined.room, joined.topic)).await;
            }
            self.past(&joined.room, joined.seq).await;
        }
        self.release().await;
        joined.map(drop)
    }

    /// What a newcomer would like to have heard. Failing to show it is no reason to complain.
    async fn past(&mut self, room: &str, until: u64) {
        if let Ok(lines) = self.messages(room, Some(until + 1), HISTORY_DEFAULT).await {
            self.talk.show_all(lines).await;
        }
    }

    /// The last `count` messages, of those before `before`.
    async fn messages(&self, room: &str, mut before: Option<u64>, count: u32) -> Result<Vec<Line>, Error> {
        let count = count.min(HISTORY_MAX) as usize;
        let page = madang_client::limits::HISTORY_EVENTS_MAX;
        let mut newest_first = Vec::new();
        while newest_first.len() < count {
            let history = match before {
                Some(before) => self.talk.client.history_before(room, before, page).await?,
                None => self.talk.client.history(room, page).await?,
            };
            newest_first.extend(history.events.iter().rev().filter_map(past_line));
            match history.events.first() {
                // A page that leads no further back is the last one, whatever the server says.
                Some(oldest)
                    if oldest.seq > history.first.max(1)
                        && before.is_none_or(|before| oldest.seq < before) =>
                {
                    before = Some(oldest.seq);
                }
                _ => break,
            }
        }
        newest_first.truncate(count);
        newest_first.reverse();
        Ok(newest_first)
    }

    async fn release(&mut self) {
        let lines = self.talk.view().release();
        self.talk.show_all(lines).await;
    }

    fn room_or_current(&self, room: Option<String>) -> Result<String, Error> {
        room.or_else(|| self.talk.view().current().map(str::to_owned)).ok_or_else(|| {
            Error::Refused(madang_client::Refusal {
                code: "not_a_member".to_owned(),
                message: "you are in no room, join one first: /join plaza".to_owned(),
            })
        })
    }

    async fn note_line(&self, text: String) {
        self.talk.show(Line::note(text)).await;
    }

    fn reap(&mut self) {
        while let Some(said) = self.said.try_join_next() {
            self.note(said);
        }
    }

    /// Counts what was lost. Always true, for loops.
    fn note(&mut self, said: Result<bool, tokio::task::JoinError>) -> bool {
        self.lost += usize::from(!said.unwrap_or(false));
        true
    }
}

fn past_line(event: &Logged) -> Option<Line> {
    let What::Said { from, text } = &event.what else { return None };
    let kind = Kind::Past { from: from.clone(), text: text.clone() };
    Some(Line { room: None, at: moment(&event.at), kind })
}

/// An error as the server would have put it.
fn refusal(error: &Error) -> Line {
    let code = match error {
        Error::Refused(refusal) => return Line::refusal(&refusal.code, &refusal.message),
        Error::NotConnected | Error::Closed => "unavailable",
        Error::QueueFull => "too_many",
        _ => "unknown",
    };
    Line::refusal(code, &error.to_string())
}
