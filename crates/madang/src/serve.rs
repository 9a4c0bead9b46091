//! `madang serve`: from the command line to an orderly end.
//!
//! Standard output is a contract with whoever started the server: a `listening` line for each listener in the order of
//! the configuration, then `ready`, and nothing else. A script that has read `ready` can connect.

use std::io::Write;
use std::process::ExitCode;
use std::{env, io, thread};

use anyhow::Context;
use madang_server::{Server, Stopper};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::{info, warn};

use crate::args::ServeArgs;
use crate::{logging, settings};

/// Serves until a signal ends it. An error is a mistake in what was given, and then nothing was announced.
pub(crate) fn run(flags: ServeArgs) -> anyhow::Result<ExitCode> {
    let asked = flags.over(settings::from_environment(|name| env::var_os(name))?);
    logging::init(&asked)?;
    let (config, warnings) = settings::resolve(&asked)?;
    for warning in warnings {
        warn!("{warning}");
    }

    // Caught from here on, so that a signal between `ready` and the thread below isn't the end without goodbye.
    let signals = Signals::new([SIGTERM, SIGINT]).context("signals can't be caught")?;
    let server = Server::start(config)?;
    end_on_signal(signals, server.stopper()).context("the thread that waits for signals can't be started")?;
    announce(&server);

    server.wait();
    info!("ended");
    Ok(ExitCode::SUCCESS)
}

/// The first signal asks for an orderly end, which takes at most the drain timeout; the second one insists.
fn end_on_signal(mut signals: Signals, stopper: Stopper) -> io::Result<()> {
    let wait = move || {
        let mut arrived = signals.forever();
        if arrived.next().is_some() {
            info!("ending; another signal ends it at once");
            stopper.stop();
        }
        if arrived.next().is_some() {
            warn!("ended at once");
            std::process::exit(1);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    Ok(())
}

/// Tells whoever started us where we listen. That they closed their end is no reason not to serve.
fn announce(server: &Server) {
    let mut lines = String::new();
    for (address, service) in server.listeners() {
        lines += &format!("listening {}\n", service.announced(address));
    }
    lines += "ready\n";
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush()) {
        warn!("the addresses can't be announced on standard output: {error}");
    }
}
