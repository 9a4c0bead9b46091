//! A line on standard error that says how far a run is, where somebody watches.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const BAR_WIDTH: usize = 24;
/// A line more often than this is a waste of the generator's time.
const BETWEEN: Duration = Duration::from_millis(100);

/// The line.
pub(crate) struct Progress {
    is_watched: bool,
    drawn: Option<Instant>,
    prefix: String,
}

impl Progress {
    /// Shown only on a terminal.
    pub(crate) fn new() -> Progress {
        Progress { is_watched: std::io::stderr().is_terminal(), drawn: None, prefix: String::new() }
    }

    /// What stands in front from here on.
    pub(crate) fn set_prefix(&mut self, prefix: String) {
        self.prefix = prefix;
    }

    /// `done` of `all`, and some words made only when they are shown.
    pub(crate) fn show(&mut self, now: Instant, what: &str, done: f64, words: impl FnOnce() -> String) {
        if !self.is_watched || self.drawn.is_some_and(|drawn| now - drawn < BETWEEN) {
            return;
        }
        self.drawn = Some(now);
        let full = (done.clamp(0.0, 1.0) * BAR_WIDTH as f64) as usize;
        let bar = format!("{:=<full$}{:<empty$}", "", "", empty = BAR_WIDTH - full);
        // Where standard error has gone, nobody watches any more.
        let _ = write!(std::io::stderr(), "\r\x1b[K{}{what:<9} [{bar}] {}", self.prefix, words());
    }

    /// Takes the line away, before something else is said.
    pub(crate) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
