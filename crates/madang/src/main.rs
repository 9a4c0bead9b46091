//! Madang, a server of rooms, and what speaks with it from a shell.
//!
//! Exit codes: 0 is done; 1 is a failure underway; 2 is a mistake in what was given to us (a flag, a variable, a file, an
//! address, a folder), said in one line each on standard error, and then nothing was opened. Standard output holds only
//! what a command is for; logs go to standard error.

mod args;
mod bench;
mod chat;
mod check;
mod logging;
mod ping;
mod serve;
mod settings;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

/// Whoever started us has something to mend.
const EXIT_MISTAKE: u8 = 2;

fn main() -> ExitCode {
    let outcome = match Args::parse().into_command() {
        Command::Serve(args) => serve::run(args),
        Command::Chat(args) => chat::run(args),
        Command::Ping(args) => ping::run(args),
        Command::Check(args) => check::run(&args),
        Command::Bench(args) => bench::run(args),
    };
    outcome.unwrap_or_else(|error| {
        complain(&format!("{error:#}"));
        ExitCode::from(EXIT_MISTAKE)
    })
}

/// Says what is wrong, a line for each mistake.
fn complain(what: &str) {
    let mut stderr = std::io::stderr().lock();
    for line in what.lines() {
        // Where standard error is closed nobody is there to be told; the exit code still tells.
        let _ = writeln!(stderr, "madang: {line}");
    }
}
