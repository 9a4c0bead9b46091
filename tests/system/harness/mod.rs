//! What the tests share: servers and other programs as processes, and clients over real sockets.
//!
//! Nothing here sleeps where it can wait for a line, a byte or the end of a process. [`PATIENCE`] is only the net under
//! that: it is what a test costs that fails, not one that passes.

mod client;
mod http;
mod json;
mod program;
mod server;
mod tool;

use std::time::{Duration, Instant};

pub(crate) use client::{Client, End, connect_narrow, connect_raw};
pub(crate) use http::{Http, Response, WebSocket};
pub(crate) use json::Json;
pub(crate) use program::{Finished, Program};
pub(crate) use server::{LINES_AND_HTTP, LOOPBACK, Server, Site, madang};
pub(crate) use tool::{NC, NC_OPENBSD, NC_TRADITIONAL, NCAT, SOCAT, TELNET, TMUX, Tool};

/// After this long without what must come, a test gives up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for something that nobody announces: a count in `/proc`, bytes in a file.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "still not after {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Says that a test could not test. It stands in the test's output, which cargo shows with `--nocapture` only; what
/// skips does so for want of rights that no package gives.
pub(crate) fn skip(why: &str) {
    eprintln!("SKIPPED: {why}");
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
