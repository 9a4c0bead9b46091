//! The second part of a run: publishers speak, first to warm up, then measured, and then all that is still under way
//! arrives.

use std::time::{Duration, Instant};

use crate::crowd::Crowd;
use crate::ears::Ears;
use crate::failure::Failure;
use crate::histogram::Histogram;
use crate::machine;
use crate::plan::{Pace, Plan};
use crate::proc;
use crate::progress::Progress;
use crate::watch::{Watch, Watched};

/// How long to send by schedule before what has come is looked at: a generator that is behind must still listen.
const SENDING_MAX: Duration = Duration::from_millis(1);
/// A publisher whose socket is so far behind says nothing more: the server does not read.
const UNSENT_BYTES_MAX: usize = 1024 * 1024;
/// One look at the sockets, where nothing else has to be done.
const GLANCE: Duration = Duration::from_millis(50);
/// After the last message: nothing came for so long, so nothing will.
const DRAIN_SILENCE: Duration = Duration::from_secs(2);
const DRAIN_MAX: Duration = Duration::from_secs(120);
/// In a closed loop: what did not come for so long is lost, and the next may be said.
const PRESUMED_LOST: Duration = Duration::from_secs(1);
/// A server that still works on what it was sent (it writes a log, say) gets so long, and is asked so often.
const SETTLE_MAX: Duration = Duration::from_secs(5);
const SETTLE_STEP: Duration = Duration::from_millis(100);
/// Less CPU time than this in a step is none.
const SETTLED_SHARE: f64 = 0.02;

/// What was measured.
pub(crate) struct Loaded {
    /// How long the measured part took.
    pub(crate) wall: Duration,
    /// Messages sent in it.
    pub(crate) sent: u64,
    /// Times of the deliveries in it.
    pub(crate) latency: Histogram,
    /// How late messages were sent, by our own doing; nothing in a closed loop.
    pub(crate) lateness: Histogram,
    /// Messages not sent, since the server did not read the earlier ones.
    pub(crate) held_back: u64,
    /// CPU time of this process in it, but for what it spent waiting without sleeping.
    pub(crate) own_cpu: Duration,
    /// CPU time of the server in it.
    pub(crate) server_cpu: Option<Duration>,
    /// From its beginning until everything had arrived and the server was at rest: the server's CPU time, and the
    /// deliveries that it paid for.
    pub(crate) bill: Option<(Duration, u64)>,
    /// What the server looked like meanwhile.
    pub(crate) watched: Option<Watched>,
    /// The deliveries of the room that had the fewest in the measured part, and of the one that had the most, as shares
    /// of the average.
    pub(crate) room_shares: Option<(f64, f64)>,
}

/// Speaks as planned, and listens.
pub(crate) fn load(
    crowd: &mut Crowd,
    ears: &mut Ears<'_>,
    plan: &Plan,
    rooms: &[String],
    server: Option<u32>,
    progress: &mut Progress,
) -> Result<Loaded, Failure> {
    for seat in (0..plan.seats()).filter(|&seat| plan.is_stalled(seat)) {
        crowd.stall(seat);
    }
    let around = rooms.iter().map(|room| plan.protocol.around_words(room, plan.size)).collect();
    let mut talk = Talk {
        crowd,
        ears,
        plan,
        around,
        scratch: Vec::new(),
        schedule: Schedule::new(plan),
        lateness: Histogram::default(),
        held_back: 0,
        watch: server
            .filter(|_| plan.watch)
            .and_then(|pid| Watch::new(pid, plan.stalled as usize * plan.rooms as usize)),
        progress,
    };
    talk.speak_for(plan.warmup, "warm up")?;

    let server_cpu = || server.and_then(proc::cpu_time);
    let (cpu_before, own_before, watched_before) =
        (server_cpu(), machine::own_cpu_time(), talk.crowd.time_watched());
    let (sent_before, delivered_before) = (talk.ears.sent(), talk.ears.tally().delivered);
    let began = Instant::now();
    talk.lateness = Histogram::default();
    talk.held_back = 0;
    let reached_before = talk.ears.reached_in_rooms();
    if let Some(watch) = &mut talk.watch {
        watch.begin();
    }
    talk.ears.begin_measuring();
    talk.speak_for(plan.duration, "measure")?;
    let wall = began.elapsed();
    let latency = talk.ears.end_measuring();
    let room_shares = shares(&reached_before, &talk.ears.reached_in_rooms());
    let watched_server = talk.watch.take().map(Watch::end);
    let watched = talk.crowd.time_watched() - watched_before;
    let own_cpu = (machine::own_cpu_time() - own_before).saturating_sub(watched);
    let cpu_used = |now: Option<Duration>| Some(now?.saturating_sub(cpu_before?));
    let server_cpu_measured = cpu_used(server_cpu());
    let sent = talk.ears.sent() - sent_before;

    talk.drain()?;
    settle(server);
    let delivered = talk.ears.tally().delivered - delivered_before;
    Ok(Loaded {
        wall,
        sent,
        latency,
        lateness: talk.lateness,
        held_back: talk.held_back,
        own_cpu,
        server_cpu: server_cpu_measured,
        bill: cpu_used(server_cpu()).map(|cpu| (cpu, delivered)),
        watched: watched_server,
        room_shares,
    })
}

/// Waits until the server is at rest: what it does after the last delivery belongs to the bill.
fn settle(server: Option<u32>) {
    let Some(pid) = server else { return };
    let began = Instant::now();
    let mut before = proc::cpu_time(pid);
    while began.elapsed() < SETTLE_MAX {
        std::thread::sleep(SETTLE_STEP);
        let now = proc::cpu_time(pid);
        match (before, now) {
            (Some(before), Some(now)) if now.saturating_sub(before) > SETTLE_STEP.mul_f64(SETTLED_SHARE) => {}
            _ => return,
        }
        before = now;
    }
}

/// The smallest and the largest growth, as shares of the average. Nothing where there is nothing to share.
fn shares(before: &[u64], after: &[u64]) -> Option<(f64, f64)> {
    let grown: Vec<f64> = before.iter().zip(after).map(|(before, after)| (after - before) as f64).collect();
    let average = grown.iter().sum::<f64>() / grown.len() as f64;
    let share = |pick: fn(f64, f64) -> f64| Some(grown.iter().copied().reduce(pick)? / average);
    (grown.len() > 1 && average > 0.0).then_some((share(f64::min)?, share(f64::max)?))
}

struct Talk<'t, 'e> {
    crowd: &'t mut Crowd,
    ears: &'t mut Ears<'e>,
    plan: &'t Plan,
    /// For each room: what stands before and after the words.
    around: Vec<(Vec<u8>, &'static str)>,
    /// Messages on their way to a socket.
    scratch: Vec<u8>,
    schedule: Schedule,
    lateness: Histogram,
    held_back: u64,
    watch: Option<Watch>,
    progress: &'t mut Progress,
}

impl Talk<'_, '_> {
    fn speak_for(&mut self, time: Duration, what: &str) -> Result<(), Failure> {
        let began = Instant::now();
        if let Pace::Rate(_) = self.plan.pace {
            // What was due between the parts of a run is not sent.
            self.schedule.begin_ns = self.ears.now_ns();
            self.schedule.sent = 0;
        }
        let already = self.ears.tally().delivered;
        let (mut delivered, mut moved_at) = (already, began);
        loop {
            let now = Instant::now();
            let past = now - began;
            if past >= time {
                return Ok(());
            }
            if self.ears.tally().delivered != delivered {
                (delivered, moved_at) = (self.ears.tally().delivered, now);
            } else if now - moved_at > PRESUMED_LOST {
                self.ears.presume_lost();
                moved_at = now;
            }
            if let Some(watch) = &mut self.watch {
                watch.look(now);
            }
            match self.plan.pace {
                Pace::Rate(_) => {
                    self.say_what_is_due()?;
                    self.crowd.send_what_was_put()?;
                }
                Pace::Window(_) => self.say_what_is_allowed()?,
            }
            self.crowd.turn((time - past).min(GLANCE), self.ears)?;
            let done = past.as_secs_f64() / time.as_secs_f64();
            let ears = &*self.ears;
            self.progress.show(now, what, done, || {
                let rate = (ears.tally().delivered - already) as f64 / past.as_secs_f64();
                format!("{rate:.0} deliveries/s")
            });
        }
    }

    fn say_what_is_due(&mut self) -> Result<(), Failure> {
        let until_ns = self.ears.now_ns() + SENDING_MAX.as_nanos() as u64;
        loop {
            let now_ns = self.ears.now_ns();
            let Some((due_ns, publisher)) = self.schedule.next() else { return Ok(()) };
            if due_ns > now_ns {
                return self.crowd.wake_after(Duration::from_nanos(due_ns - now_ns));
            }
            if now_ns > until_ns {
                // Still behind: go on at once after a look at what has come.
                return self.crowd.wake_after(Duration::ZERO);
            }
            self.schedule.sent += 1;
            if self.crowd.unsent_bytes(self.plan.seat_of_publisher(publisher)) > UNSENT_BYTES_MAX {
                self.held_back += 1;
                continue;
            }
            self.lateness.record(now_ns - due_ns);
            // Who is behind says several at once, in one write.
            self.compose(publisher, 1, due_ns);
            self.crowd.put(self.plan.seat_of_publisher(publisher), &self.scratch);
        }
    }

    fn say_what_is_allowed(&mut self) -> Result<(), Failure> {
        while let Some((publisher, messages)) = self.ears.next_ready() {
            let now_ns = self.ears.now_ns();
            self.compose(publisher, messages, now_ns);
            self.crowd.send(self.plan.seat_of_publisher(publisher), &self.scratch)?;
        }
        Ok(())
    }

    fn compose(&mut self, publisher: usize, messages: u32, due_ns: u64) {
        let (before, after) = &self.around[publisher / self.plan.publishers as usize];
        self.scratch.clear();
        for _ in 0..messages {
            self.scratch.extend_from_slice(before);
            self.ears.compose(publisher, due_ns, &mut self.scratch);
            self.scratch.extend_from_slice(after.as_bytes());
        }
    }

    /// Listens until everything that was said has arrived, or nothing comes any more.
    fn drain(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        let (mut delivered, mut moved_at) = (self.ears.tally().delivered, began);
        loop {
            let now = Instant::now();
            let is_over = self.ears.tally().delivered >= self.ears.expected();
            if is_over || now - moved_at > DRAIN_SILENCE || now - began > DRAIN_MAX {
                return Ok(());
            }
            self.crowd.turn(GLANCE, self.ears)?;
            if self.ears.tally().delivered != delivered {
                (delivered, moved_at) = (self.ears.tally().delivered, now);
            }
            self.progress.show(now, "drain", 1.0, String::new);
        }
    }
}

/// Who speaks when: all publishers at the same rate, evenly spread over its interval, room after room.
struct Schedule {
    rooms: u64,
    publishers: u64,
    between_ns: f64,
    begin_ns: u64,
    sent: u64,
}

impl Schedule {
    fn new(plan: &Plan) -> Schedule {
        let all = plan.all_publishers();
        let rate = match plan.pace {
            Pace::Rate(rate) => rate,
            Pace::Window(_) => 1.0,
        };
        Schedule {
            rooms: u64::from(plan.rooms),
            publishers: u64::from(plan.publishers),
            between_ns: 1e9 / (rate * all.max(1) as f64),
            begin_ns: 0,
            sent: 0,
        }
    }

    /// When the next message is due, and whose it is. Nothing without publishers.
    fn next(&self) -> Option<(u64, usize)> {
        let due_ns = self.begin_ns + (self.sent as f64 * self.between_ns) as u64;
        let room = self.sent.checked_rem(self.rooms)?;
        let local = (self.sent / self.rooms).checked_rem(self.publishers)?;
        Some((due_ns, (room * self.publishers + local) as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_average() {
        assert_eq!(shares(&[10, 10, 10], &[20, 30, 40]), Some((0.5, 1.5)));
        assert_eq!(shares(&[10], &[20]), None, "a room alone shares with nobody");
        assert_eq!(shares(&[1, 2], &[1, 2]), None);
    }
}
