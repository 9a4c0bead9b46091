//! `madang chat`: talking, in a terminal or in a pipe.
//!
//! A [`Talk`] has two halves that run side by side: `listen` turns what happens into lines, `obey` turns typed lines
//! into commands. Both give their lines to one screen: [`terminal`], where a line is edited while others are printed
//! above it, or [`plain`], where input and output are pipes and what is printed is the text form of the protocol.
//!
//! Elsewhere: connecting, resuming, trying again (`madang-client`).

mod command;
mod complete;
mod editor;
mod line;
mod listen;
mod obey;
mod plain;
mod terminal;
mod view;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use madang_client::{Client, Closing, ConnectError, Options};
use tokio::sync::mpsc;

use line::Line;
use obey::Obey;
use view::View;

/// Lines that wait for the screen. When they are this many, nothing more is read from the server.
const LINES_WAITING_MAX: usize = 256;
/// Typed or piped lines that wait to be obeyed.
const INPUTS_WAITING_MAX: usize = 64;

/// Talk in a room, in a terminal.
///
/// Type to say something, /help for the commands, Ctrl-D to leave. A lost connection comes back by itself. Without
/// a terminal (in a pipe) lines are read from standard input and printed plainly to standard output.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the server's chat door is
    #[arg(default_value = "127.0.0.1:2022")]
    addr: String,
    /// The nickname to ask for; without it the server gives one
    #[arg(long, value_name = "NAME")]
    nick: Option<String>,
    /// The room to enter; without it the one where the server puts newcomers
    #[arg(long, value_name = "ROOM")]
    room: Option<String>,
}

/// What both halves of a talk share.
#[derive(Clone)]
struct Talk {
    client: Client,
    /// Locked for a few plain lines, never across an await.
    view: Arc<Mutex<View>>,
    screen: mpsc::Sender<Line>,
}

impl Talk {
    fn view(&self) -> MutexGuard<'_, View> {
        lock(&self.view)
    }

    async fn show(&self, line: Line) {
        // A screen that is gone (a closed pipe) ends the talk by itself.
        let _ = self.screen.send(line).await;
    }

    async fn show_all(&self, lines: Vec<Line>) {
        for line in lines {
            self.show(line).await;
        }
    }
}

/// How a screen ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// Everything was printed.
    Whole,
    /// Whoever read standard output has gone.
    PipeClosed,
    /// Whoever sat there did not wait for the server's last word.
    Impatient,
}

/// A view is only ever changed by plain assignments, so a panic elsewhere leaves it whole.
fn lock(view: &Mutex<View>) -> MutexGuard<'_, View> {
    view.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Talks until the end: 0 if that was wanted, 1 if there was no connection or something said may be lost.
///
/// # Errors
///
/// Where the machine has no means for it: no runtime, no terminal that can be set up.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(talk(args));
    // A thread may still be waiting for a key or a line that nobody wants any more.
    runtime.shutdown_background();
    outcome
}

async fn talk(args: Args) -> anyhow::Result<ExitCode> {
    let mut options = Options::new();
    if let Some(nick) = &args.nick {
        options = options.nick(nick);
    }
    let (client, events) = match Client::connect(&args.addr, options).await {
        Ok(connected) => connected,
        Err(error) => {
            complain(&no_connection(&error));
            return Ok(ExitCode::FAILURE);
        }
    };

    let view = Arc::new(Mutex::new(View::new(client.session().nick)));
    let (screen, lines) = mpsc::channel(LINES_WAITING_MAX);
    let (typed, inputs) = mpsc::channel(INPUTS_WAITING_MAX);
    let talk = Talk { client, view: view.clone(), screen };
    let listening = tokio::spawn(listen::listen(talk.clone(), events));
    let obeying = tokio::spawn(Obey::new(talk).run(args.room, inputs));

    // The screen ends when both halves have: they hold the only senders of lines.
    let fancy = std::io::stdin().is_terminal() && std::io::stdout().is_terminal() && !is_dumb();
    let ended = if fancy { terminal::run(typed, lines, view).await? } else { plain::run(typed, lines).await };
    match ended {
        Ended::Whole => {}
        Ended::PipeClosed => return Ok(ExitCode::SUCCESS),
        Ended::Impatient => return Ok(ExitCode::FAILURE),
    }
    let (closing, obeyed) = (listening.await?, obeying.await?);
    Ok(conclude(&closing, &obeyed, fancy))
}

/// The last words, and the exit code.
fn conclude(closing: &Closing, obeyed: &obey::Obeyed, fancy: bool) -> ExitCode {
    let mut good = true;
    match closing {
        Closing::Asked => {}
        Closing::ByServer(bye) => {
            complain(&format!("the server closed the connection for good: {}", line::clean(&bye.why)));
            good = false;
        }
        Closing::Broken(lost) => {
            complain(&format!("the connection broke while closing: {}", line::clean(&lost.to_string())));
            good = false;
        }
    }
    if obeyed.lost > 0 {
        complain(&format!("{} of the last messages may not have been said", obeyed.lost));
        good = false;
    }
    if obeyed.quit || fancy {
        // Standard output may be closed by now; whoever closed it does not want to know.
        let _ = writeln!(std::io::stdout().lock(), "connection closed");
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Why there is no connection, and what may help.
fn no_connection(error: &ConnectError) -> String {
    match error {
        ConnectError::Io { addr, source } if source.kind() == std::io::ErrorKind::ConnectionRefused => {
            format!("nobody listens at {addr}: is the server running? `madang` starts one")
        }
        ConnectError::Io { addr, source } => format!("can't connect to {addr}: {source}"),
        ConnectError::Refused(refusal) => line::clean(&refusal.to_string()),
        other => line::clean(&other.to_string()),
    }
}

fn complain(what: &str) {
    // Where standard error is closed nobody is there to be told; the exit code still tells.
    let _ = writeln!(std::io::stderr().lock(), "madang: {what}");
}

/// A terminal that can't move its cursor is written to like a pipe.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

#[cfg(test)]
mod tests;
