//! What the machine gives to this process: open files, cores, CPU time.

use std::time::Duration;

use rustix::process::{Resource, Rlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::ClockId;

use crate::failure::Failure;

/// Files that are open beside the connections: the standard ones, epoll, timers, what is read in `/proc`.
const OTHER_FILES: u64 = 32;

/// Raises the limit of open files as far as we may, and tells if so many connections fit.
pub(crate) fn allow_connections(connections: usize) -> Result<(), Failure> {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    // Where there is no hard limit there is nothing to raise to; the system has its own.
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_some_and(|current| current < allowed) {
        let raised = Rlimit { current: Some(allowed), maximum: limit.maximum };
        let _ = rustix::process::setrlimit(Resource::Nofile, raised);
    }
    let limit = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let needed = connections as u64 + OTHER_FILES;
    match needed <= limit {
        true => Ok(()),
        false => Err(Failure::FileLimit { needed, limit, possible: limit.saturating_sub(OTHER_FILES) }),
    }
}

/// CPU time of this process so far.
pub(crate) fn own_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ProcessCPUTime);
    // Neither is ever negative.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Has the machine more than one core? Where nobody tells, it has.
pub(crate) fn has_cores() -> bool {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online");
    online.map_or(true, |cores| cores.contains(['-', ',']))
}

/// Two cores: one for the server under test, one for us.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cores {
    pub(crate) server: usize,
    pub(crate) generator: usize,
}

impl Cores {
    /// The first two that we may use, if there are two.
    pub(crate) fn choose() -> Option<Cores> {
        let allowed = sched_getaffinity(None).ok()?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|&core| allowed.is_set(core));
        Some(Cores { server: cores.next()?, generator: cores.next()? })
    }
}

/// From here on this thread, and what it starts, runs on one core. Best effort: where it can't be had, the figures
/// scatter more.
pub(crate) fn pin(core: usize) {
    let mut cores = CpuSet::new();
    cores.set(core);
    let _ = sched_setaffinity(None, &cores);
}
