//! Takes in every line that comes: finds the message in it, has it verified, and measures how long it was under way.

use std::time::Instant;

use crate::crowd::Hear;
use crate::histogram::Histogram;
use crate::payload::{Format, Found, Payload};
use crate::plan::{Pace, Plan};
use crate::verify::{Tally, Verifier};

/// What was skipped so many windows ago is lost.
const SKIPPED_WINDOWS: u32 = 4;
/// Bytes kept of a complaint, to be shown.
const COMPLAINT_BYTES_MAX: usize = 200;

/// Everything that is heard.
pub(crate) struct Ears<'a> {
    plan: &'a Plan,
    format: Format,
    verifier: Verifier,
    began: Instant,
    /// How many messages each publisher has sent.
    sent: Vec<u32>,
    /// The connection whose deliveries let a publisher go on.
    witnesses: Vec<usize>,
    /// Messages that a publisher may send now; those who may send any are in `ready`. Only in a closed loop.
    credits: Vec<u32>,
    ready: Vec<usize>,
    window: u32,
    /// For each publisher: what it said before this is not waited for any more.
    given_up: Vec<u32>,
    latency: Option<Histogram>,
    strangeness: Strangeness,
    complaint: Option<String>,
}

/// Lines that are no delivery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Strangeness {
    /// Began like a message of this run, and was never sent like this.
    pub damaged: u64,
    /// Reached somebody in another room.
    pub stray: u64,
    /// Came back to who had said it: allowed, and not counted as a delivery.
    pub echoed: u64,
    /// Anything else: who came, how many there are, refusals.
    pub other_lines: u64,
}

impl<'a> Ears<'a> {
    pub(crate) fn new(plan: &'a Plan, format: Format) -> Ears<'a> {
        let publishers = plan.all_publishers();
        let (window, credits, ready) = match plan.pace {
            Pace::Window(window) => (window, vec![window; publishers], (0..publishers).collect()),
            Pace::Rate(_) => (0, Vec::new(), Vec::new()),
        };
        Ears {
            plan,
            format,
            verifier: Verifier::new(plan.seats(), plan.publishers as usize),
            began: Instant::now(),
            sent: vec![0; publishers],
            witnesses: (0..publishers).map(|publisher| plan.witness(publisher)).collect(),
            credits,
            ready,
            window,
            given_up: vec![0; publishers],
            latency: None,
            strangeness: Strangeness::default(),
            complaint: None,
        }
    }

    /// The time of this run.
    pub(crate) fn now_ns(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    /// Writes the next message of a publisher.
    pub(crate) fn compose(&mut self, publisher: usize, due_ns: u64, out: &mut Vec<u8>) {
        let counter = self.sent[publisher];
        self.sent[publisher] += 1;
        self.format.write(Payload { publisher: publisher as u32, counter, due_ns }, out);
    }

    /// A publisher that may go on, and by how many messages.
    pub(crate) fn next_ready(&mut self) -> Option<(usize, u32)> {
        let publisher = self.ready.pop()?;
        Some((publisher, std::mem::take(&mut self.credits[publisher])))
    }

    /// Nothing has come for so long that all that is on the way is lost. A server that loses messages must not end a
    /// closed loop.
    pub(crate) fn presume_lost(&mut self) {
        for (publisher, credits) in self.credits.iter_mut().enumerate() {
            if *credits == 0 {
                self.ready.push(publisher);
            }
            *credits = self.window;
        }
        self.given_up.copy_from_slice(&self.sent);
    }

    /// For each room, how far its members are in what was said there, summed up.
    pub(crate) fn reached_in_rooms(&self) -> Vec<u64> {
        let (members, publishers) = (self.plan.members as usize, self.plan.publishers as usize);
        let seats = |room: usize| room * members..(room + 1) * members;
        let of_seat = |seat| (0..publishers).map(move |local| u64::from(self.verifier.reached(seat, local)));
        (0..self.plan.rooms as usize).map(|room| seats(room).flat_map(of_seat).sum()).collect()
    }

    /// From here on times are recorded.
    pub(crate) fn begin_measuring(&mut self) {
        self.latency = Some(Histogram::default());
    }

    /// The times since then.
    pub(crate) fn end_measuring(&mut self) -> Histogram {
        self.latency.take().unwrap_or_default()
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.iter().map(|&sent| u64::from(sent)).sum()
    }

    /// Deliveries that all that was sent must make.
    pub(crate) fn expected(&self) -> u64 {
        self.sent() * u64::from((self.plan.members - self.plan.stalled).saturating_sub(1))
    }

    pub(crate) fn tally(&self) -> Tally {
        self.verifier.tally()
    }

    pub(crate) fn strangeness(&self) -> Strangeness {
        self.strangeness
    }

    pub(crate) fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// Nothing more is coming: whatever is missing is lost.
    pub(crate) fn close(&mut self) -> Tally {
        let Plan { members, publishers, .. } = *self.plan;
        let (members, publishers) = (members as usize, publishers as usize);
        for seat in (0..self.plan.seats()).filter(|&seat| !self.plan.is_stalled(seat)) {
            for local in (0..publishers).filter(|&local| local != seat % members) {
                let sent = self.sent[seat / members * publishers + local];
                self.verifier.ended(seat, local, sent);
            }
        }
        self.verifier.tally()
    }

    fn delivered(&mut self, seat: usize, publisher: usize, local: usize, payload: Payload, now_ns: u64) {
        if payload.counter >= self.sent[publisher] {
            self.strangeness.damaged += 1;
            return;
        }
        let before = self.verifier.tally().repeated;
        let moved = self.verifier.heard(seat, local, payload.counter);
        if let Some(latency) = &mut self.latency
            && (moved > 0 || self.verifier.tally().repeated == before)
        {
            latency.record(now_ns.saturating_sub(payload.due_ns));
        }
        if self.window > 0 && self.witnesses[publisher] == seat {
            self.allow(publisher);
        }
    }

    /// A witness has heard something: what has arrived makes room for more.
    fn allow(&mut self, publisher: usize) {
        let witness = self.witnesses[publisher];
        let local = publisher % self.plan.publishers as usize;
        // What was skipped long ago counts as arrived, too: a server that loses messages must not end a closed loop. What
        // was skipped just now may be late, and a server that swaps messages must not get more of them than others.
        let since =
            self.verifier.reached(witness, local).saturating_sub(self.window.saturating_mul(SKIPPED_WINDOWS));
        let since = since.max(self.given_up[publisher]);
        let on_the_way = self.verifier.missing(witness, local, since, self.sent[publisher]);
        let allowed = self.window.saturating_sub(on_the_way);
        if allowed > 0 && self.credits[publisher] == 0 {
            self.ready.push(publisher);
        }
        self.credits[publisher] = allowed;
    }

    #[cold]
    fn other(&mut self, line: &[u8]) {
        self.strangeness.other_lines += 1;
        if self.plan.protocol.is_complaint(line) {
            let shown = &line[..line.len().min(COMPLAINT_BYTES_MAX)];
            self.complaint = Some(String::from_utf8_lossy(shown).trim_end().to_owned());
        }
    }
}

impl Hear for Ears<'_> {
    fn hear(&mut self, connection: usize, records: &[u8]) {
        let now_ns = self.now_ns();
        let publishers = self.plan.publishers as usize;
        // An idle connection is in no room, so no publisher is.
        let is_member = connection < self.plan.seats();
        let members = self.plan.members as usize;
        let (room, seat) =
            if is_member { (connection / members, connection % members) } else { (usize::MAX, 0) };
        self.plan.protocol.each(records, |line| {
            let payload = match self.format.find(line) {
                Found::Payload(payload) => payload,
                Found::Damaged => {
                    self.strangeness.damaged += 1;
                    return;
                }
                Found::Other => return self.other(line),
            };
            let publisher = payload.publisher as usize;
            match publisher.checked_sub(room.wrapping_mul(publishers)) {
                _ if publisher >= self.sent.len() => self.strangeness.damaged += 1,
                _ if !is_member => self.strangeness.stray += 1,
                Some(local) if local < publishers && local == seat => self.strangeness.echoed += 1,
                Some(local) if local < publishers => {
                    self.delivered(connection, publisher, local, payload, now_ns);
                }
                _ => self.strangeness.stray += 1,
            }
        });
    }

    fn last_words(&self) -> Option<String> {
        self.complaint.clone()
    }
}
