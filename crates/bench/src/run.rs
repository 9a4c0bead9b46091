//! One run, from the first connection to the report.

use std::hash::{BuildHasher, Hasher};

use crate::arrive::arrive;
use crate::crowd::Crowd;
use crate::ears::Ears;
use crate::failure::Failure;
use crate::load::load;
use crate::payload::{self, Format};
use crate::plan::Plan;
use crate::progress::Progress;
use crate::report::{Memory, Report};
use crate::{machine, proc};

/// Carries out a plan. Shows how far it is on standard error, where that is a terminal.
///
/// # Errors
///
/// A plan that contradicts itself, a machine that does not allow it, a server that isn't there or does not stay.
pub fn run(plan: &Plan) -> Result<Report, Failure> {
    let mut progress = Progress::new();
    let outcome = run_with(plan, &mut progress);
    progress.clear();
    outcome
}

pub(crate) fn run_with(plan: &Plan, progress: &mut Progress) -> Result<Report, Failure> {
    plan.check()?;
    machine::allow_connections(plan.connections())?;
    let server = plan.server_pid.or_else(|| proc::listener(plan.address));
    let resident = || server.and_then(proc::resident_bytes);

    let run = random();
    let name = payload::run_name(run);
    let rooms: Vec<String> = (0..plan.rooms).map(|nr| format!("{}-{name}-{nr}", plan.room)).collect();
    let resident_before = resident();
    let mut crowd = Crowd::new(plan.address, plan.protocol, plan.connections())?;
    let arrival = arrive(&mut crowd, plan, &rooms, progress)?;
    let memory = match (resident_before, resident()) {
        (Some(before), Some(after)) => Some(Memory { before, after }),
        _ => None,
    };

    let mut ears = Ears::new(plan, Format::new(run, plan.size));
    let loaded = load(&mut crowd, &mut ears, plan, &rooms, server, progress)?;
    let tally = ears.close();
    if ears.sent() > 0 && tally.delivered == 0 {
        if let Some(complaint) = ears.complaint() {
            return Err(Failure::Refused { line: complaint.to_owned() });
        }
        return Err(Failure::NothingDelivered { protocol: plan.protocol.name() });
    }
    Ok(Report::new(plan, &arrival, &loaded, &ears, tally, server, memory))
}

/// Different in each run, so that its rooms are new and its messages can't be mistaken for those of another.
fn random() -> u32 {
    // The standard library seeds its hashes from the system.
    std::hash::RandomState::new().build_hasher().finish() as u32
}
