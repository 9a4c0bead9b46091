//! How a client behaves, with defaults that suit most.

use std::time::Duration;

/// What [`Client::connect`](crate::Client::connect) should know besides the address.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) nick: Option<String>,
    pub(crate) resume: Option<String>,
    pub(crate) backoff_min: Duration,
    pub(crate) backoff_max: Duration,
    pub(crate) fetch_gaps: bool,
}

impl Options {
    /// A guest with a new session; back-off from 200 ms to 10 s; gaps are fetched.
    pub fn new() -> Options {
        Options {
            nick: None,
            resume: None,
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(10),
            fetch_gaps: true,
        }
    }

    /// Asks for this nickname. If it is taken, connecting fails with the server's refusal.
    pub fn nick(mut self, nick: impl Into<String>) -> Options {
        self.nick = Some(nick.into());
        self
    }

    /// Goes on with an earlier session: the [`resume`](crate::Session::resume) secret of it.
    pub fn resume(mut self, secret: impl Into<String>) -> Options {
        self.resume = Some(secret.into());
        self
    }

    /// The wait before the first and, at most, before any attempt to come back. It doubles in between.
    pub fn backoff(mut self, min: Duration, max: Duration) -> Options {
        self.backoff_min = min;
        self.backoff_max = max.max(min);
        self
    }

    /// Whether what a `gap` left out is asked for with `history` (true) or only told ([`Event::Gap`](crate::Event)).
    pub fn fetch_gaps(mut self, fetch: bool) -> Options {
        self.fetch_gaps = fetch;
        self
    }
}

impl Default for Options {
    fn default() -> Options {
        Options::new()
    }
}
