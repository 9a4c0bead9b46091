//! The first part of a run: everybody connects, is greeted, and joins a room.

use std::time::{Duration, Instant};

use crate::crowd::{Crowd, Hear};
use crate::dialect::Answer;
use crate::failure::Failure;
use crate::plan::{Plan, Protocol};
use crate::progress::Progress;

/// Connections begun before what has come is looked at.
const OPENED_AT_ONCE: usize = 64;
/// A server that does nothing for so long will not do it any more.
const PATIENCE: Duration = Duration::from_secs(10);
/// A server that greets nobody and answers no `/join` for so long does not do such things.
const SILENCE: Duration = Duration::from_secs(2);
/// Nothing has come for so long: what the joining caused is over. Some servers sum it up once a second.
const QUIET: Duration = Duration::from_millis(300);
const QUIET_WAIT_MAX: Duration = Duration::from_secs(10);
/// One look at the sockets.
const GLANCE: Duration = Duration::from_millis(20);

/// How long it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    /// From the first connection begun until all had a first line; nothing where the server greets nobody.
    pub(crate) greeted: Option<Duration>,
    /// From the first `/join` until all were answered; nothing where the server answers none.
    pub(crate) joined: Option<Duration>,
}

/// Opens all connections and leads the members into their rooms.
pub(crate) fn arrive(
    crowd: &mut Crowd,
    plan: &Plan,
    rooms: &[String],
    progress: &mut Progress,
) -> Result<Arrival, Failure> {
    let greeted = connect(crowd, plan, progress)?;
    let joined = join(crowd, plan, rooms, progress)?;
    settle(crowd)?;
    Ok(Arrival { greeted, joined })
}

fn connect(crowd: &mut Crowd, plan: &Plan, progress: &mut Progress) -> Result<Option<Duration>, Failure> {
    let all = plan.connections();
    let mut greeted = Greeted { is_greeted: vec![false; all], count: 0 };
    let began = Instant::now();
    let mut wait = Wait::new(began);
    while greeted.count < all {
        let now = Instant::now();
        let due = match plan.connect_rate {
            Some(rate) => (((now - began).as_secs_f64() * rate) as usize + 1).min(all),
            None => all,
        };
        let few = due.saturating_sub(crowd.len()).min(OPENED_AT_ONCE);
        for _ in 0..few {
            crowd.open(plan.is_stalled(crowd.len()))?;
        }
        let timeout = match (few, crowd.len() < all) {
            (0, true) => Duration::from_millis(1),
            (0, false) => GLANCE,
            _ => Duration::ZERO,
        };
        crowd.turn(timeout, &mut greeted)?;
        let now = Instant::now();
        progress.show(now, "connect", greeted.count as f64 / all as f64, || {
            format!("{} of {all}", greeted.count)
        });
        let waited = wait.since_change(now, greeted.count + crowd.len());
        let may_be_silent = !plan.protocol.always_answers();
        if may_be_silent && greeted.count == 0 && crowd.len() == all && waited > SILENCE {
            return Ok(None);
        }
        if waited > PATIENCE {
            return Err(Failure::NotGreeted { greeted: greeted.count, all, waited });
        }
    }
    Ok(Some(began.elapsed()))
}

fn join(
    crowd: &mut Crowd,
    plan: &Plan,
    rooms: &[String],
    progress: &mut Progress,
) -> Result<Option<Duration>, Failure> {
    let all = plan.seats();
    let mut joined = Joined { protocol: plan.protocol, is_in: vec![false; all], count: 0, refusal: None };
    let began = Instant::now();
    for seat in 0..all {
        let room = &rooms[seat / plan.members as usize];
        crowd.send(seat, &plan.protocol.join(room, plan.leave.as_deref()))?;
        if seat % OPENED_AT_ONCE == 0 {
            crowd.turn(Duration::ZERO, &mut joined)?;
        }
    }
    let mut wait = Wait::new(Instant::now());
    while joined.count < all {
        crowd.turn(GLANCE, &mut joined)?;
        if let Some(line) = joined.refusal {
            return Err(Failure::JoinRefused { line });
        }
        let now = Instant::now();
        progress.show(now, "join", joined.count as f64 / all as f64, || format!("{} of {all}", joined.count));
        let waited = wait.since_change(now, joined.count);
        if !plan.protocol.always_answers() && joined.count == 0 && waited > SILENCE {
            return Ok(None);
        }
        if waited > PATIENCE {
            return Err(Failure::NotJoined { joined: joined.count, all, waited });
        }
    }
    Ok((all > 0).then(|| began.elapsed()))
}

/// Waits until what the joining caused is over, so that it isn't measured.
fn settle(crowd: &mut Crowd) -> Result<(), Failure> {
    let began = Instant::now();
    let mut heard_at = began;
    loop {
        let heard = crowd.turn(GLANCE, &mut Deaf)?;
        let now = Instant::now();
        if heard {
            heard_at = now;
        }
        if now - heard_at > QUIET || now - began > QUIET_WAIT_MAX {
            return Ok(());
        }
    }
}

/// For how long a number has not changed.
struct Wait {
    number: usize,
    changed_at: Instant,
}

impl Wait {
    fn new(now: Instant) -> Wait {
        Wait { number: 0, changed_at: now }
    }

    fn since_change(&mut self, now: Instant, number: usize) -> Duration {
        if number != self.number {
            *self = Wait { number, changed_at: now };
        }
        now - self.changed_at
    }
}

/// Takes the first line of each connection for its greeting; where there are handshakes, their end.
struct Greeted {
    is_greeted: Vec<bool>,
    count: usize,
}

impl Hear for Greeted {
    fn hear(&mut self, connection: usize, _: &[u8]) {
        self.opened(connection);
    }

    fn opened(&mut self, connection: usize) {
        if !std::mem::replace(&mut self.is_greeted[connection], true) {
            self.count += 1;
        }
    }
}

struct Joined {
    protocol: Protocol,
    is_in: Vec<bool>,
    count: usize,
    refusal: Option<String>,
}

impl Hear for Joined {
    fn hear(&mut self, connection: usize, records: &[u8]) {
        let Some(is_in) = self.is_in.get_mut(connection) else { return };
        self.protocol.each(records, |line| match self.protocol.answer(line) {
            Answer::Joined if !*is_in => {
                *is_in = true;
                self.count += 1;
            }
            Answer::Refused => self.refusal = Some(String::from_utf8_lossy(line).trim_end().to_owned()),
            Answer::Joined | Answer::Other => {}
        });
    }
}

struct Deaf;

impl Hear for Deaf {
    fn hear(&mut self, _: usize, _: &[u8]) {}
}
