//! Looks at the server's process now and then while it works: its memory, and how many connections it has open.
//!
//! Looking costs the generator a millisecond and holds the server up for a moment, so it is done only where a plan asks
//! for it, and seldom.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::proc;

const BETWEEN: Duration = Duration::from_millis(500);

/// What was seen.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Watched {
    /// Resident memory when publishers began to speak, everybody being in their rooms.
    pub resident_mib_at_first: f64,
    /// When the measured part began.
    pub resident_mib_at_begin: f64,
    /// When it ended.
    pub resident_mib_at_end: f64,
    /// The most that was seen.
    pub resident_mib_peak: f64,
    /// From when members stopped reading until the server had closed as many connections; nothing where it did not.
    pub stalled_gone_after_s: Option<f64>,
}

/// Looks.
pub(crate) struct Watch {
    pid: u32,
    stalled: usize,
    sockets_at_first: usize,
    began: Instant,
    next: Instant,
    seen: Watched,
}

impl Watch {
    /// Begins when members stop reading, `stalled` of them. Nothing where the process can't be looked at.
    pub(crate) fn new(pid: u32, stalled: usize) -> Option<Watch> {
        let mib = mib(pid)?;
        let began = Instant::now();
        Some(Watch {
            pid,
            stalled,
            sockets_at_first: proc::open_sockets(pid)?,
            began,
            next: began,
            seen: Watched {
                resident_mib_at_first: mib,
                resident_mib_at_begin: mib,
                resident_mib_at_end: mib,
                resident_mib_peak: mib,
                stalled_gone_after_s: None,
            },
        })
    }

    /// Looks, if it is time to.
    pub(crate) fn look(&mut self, now: Instant) {
        if now >= self.next {
            self.next = now + BETWEEN;
            self.see(now);
        }
    }

    /// The measured part begins.
    pub(crate) fn begin(&mut self) {
        self.see(Instant::now());
        self.seen.resident_mib_at_begin = self.seen.resident_mib_at_end;
    }

    /// It has ended.
    pub(crate) fn end(mut self) -> Watched {
        self.see(Instant::now());
        self.seen
    }

    fn see(&mut self, now: Instant) {
        if let Some(mib) = mib(self.pid) {
            self.seen.resident_mib_at_end = mib;
            self.seen.resident_mib_peak = self.seen.resident_mib_peak.max(mib);
        }
        if self.stalled > 0
            && self.seen.stalled_gone_after_s.is_none()
            && proc::open_sockets(self.pid).is_some_and(|open| open + self.stalled <= self.sockets_at_first)
        {
            self.seen.stalled_gone_after_s = Some((now - self.began).as_secs_f64());
        }
    }
}

fn mib(pid: u32) -> Option<f64> {
    Some(proc::resident_bytes(pid)? as f64 / 1_048_576.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_that_were_closed_are_missed() {
        let mut open: Vec<_> = (0..8).map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        // Other tests of this process open and close sockets of their own, but none of them so many.
        let mut watch = Watch::new(std::process::id(), 3).unwrap();
        watch.sockets_at_first = proc::open_sockets(std::process::id()).unwrap();
        watch.see(Instant::now());
        assert_eq!(watch.seen.stalled_gone_after_s, None);
        open.truncate(3);
        watch.see(Instant::now());
        let seen = watch.end();
        assert!(seen.stalled_gone_after_s.is_some());
        assert!(seen.resident_mib_at_end > 0.0 && seen.resident_mib_peak >= seen.resident_mib_at_first);
    }
}
