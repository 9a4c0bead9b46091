//! Servers beside each other: all in turns, in the same minutes, on the same two cores.
//!
//! Machines are noisy and differ, so a time alone says little. What counts is the ratio to another in the same round, and
//! of these the median over the rounds: Madang to the least that could do the work ([`compare`]), to others and to
//! itself with more shards ([`Contest`]), with members that stopped reading to without ([`Stuck`]), and with more to do
//! than it can to as much as it can ([`Overload`]).

mod contest;
mod grid;
mod overload;
mod scenario;
mod standings;
mod stuck;
mod subject;
mod table;

use std::path::PathBuf;

pub use contest::Contest;
pub use overload::Overload;
pub use scenario::{Scenario, Times};
pub use standings::{Ratio, Standing, Standings};
pub use stuck::Stuck;
pub use table::{Row, Table};

use crate::failure::Failure;
use crate::floor::Mode;
use crate::machine::{self, Cores};
use crate::progress::Progress;
use crate::report::Report;
use crate::run::run_with;
use subject::{Subject, World};

/// What to compare.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The program that has `serve` and `bench floor-server`.
    pub program: PathBuf,
    /// In this order.
    pub scenarios: Vec<Scenario>,
    /// How many rounds; each has every server once.
    pub runs: u32,
    /// How long publishers speak.
    pub times: Times,
}

/// What one run has found.
#[derive(Clone, Copy, Debug)]
struct Finding {
    value: f64,
    deliveries_per_second: Option<f64>,
    /// The generator was slower than the server.
    is_generators: bool,
}

/// All runs of one scenario.
struct Findings {
    scenario: Scenario,
    /// For each kind of server: one finding for each round.
    of: Vec<(Subject, Vec<Finding>)>,
}

/// Measures everything in turns.
///
/// # Errors
///
/// A machine that does not allow it, a server that can't be started or ends, a delivery that went wrong.
pub fn compare(comparison: &Comparison) -> Result<Table, Failure> {
    machine::allow_connections(0)?;
    let cores = Cores::choose();
    let mut progress = Progress::new();
    let mut all: Vec<Findings> =
        comparison.scenarios.iter().map(|&scenario| Findings::new(scenario)).collect();
    let world = World { program: &comparison.program, peers: &[], cores };
    let outcome = rounds(comparison, &world, &mut all, &mut progress);
    progress.clear();
    outcome?;
    Ok(Table::new(&all, comparison.runs, cores.is_some()))
}

fn rounds(
    comparison: &Comparison,
    world: &World<'_>,
    all: &mut [Findings],
    progress: &mut Progress,
) -> Result<(), Failure> {
    for round in 1..=comparison.runs {
        for Findings { scenario, of } in &mut *all {
            for (subject, findings) in of {
                let name = scenario.name();
                progress.set_prefix(format!(
                    "round {round} of {}, {name}, {} ",
                    comparison.runs,
                    subject.name(world.peers)
                ));
                let server = subject.start(world)?;
                let plan = scenario.plan(server.address, server.pid(), subject.room(), comparison.times);
                let report = run_with(&plan, progress)?;
                findings.push(Finding::of(*scenario, *subject, &report)?);
            }
        }
    }
    Ok(())
}

impl Findings {
    fn new(scenario: Scenario) -> Findings {
        let mut subjects = vec![Subject::Floor(Mode::Batched)];
        subjects.extend(scenario.per_message_too().then_some(Subject::Floor(Mode::PerMessage)));
        subjects.push(Subject::Madang { in_memory: false });
        subjects.extend(scenario.in_memory_too().then_some(Subject::Madang { in_memory: true }));
        Findings { scenario, of: subjects.into_iter().map(|subject| (subject, Vec::new())).collect() }
    }

    fn of(&self, subject: Subject) -> &[Finding] {
        self.of.iter().find(|(whose, _)| *whose == subject).map_or(&[], |(_, findings)| findings)
    }
}

impl Finding {
    fn of(scenario: Scenario, subject: Subject, report: &Report) -> Result<Finding, Failure> {
        if !report.is_flawless() {
            let (scenario, subject) = (scenario.name(), subject.name(&[]));
            return Err(Failure::Flawed { scenario, subject, table: report.table() });
        }
        let speed = report.server_speed.or(report.generator_speed);
        Ok(Finding {
            // Our own children can always be looked at; what they don't tell is no figure.
            value: scenario.measure().of(report).ok_or(Failure::NoFigure { scenario: scenario.name() })?,
            deliveries_per_second: speed.map(|speed| speed.deliveries_per_second),
            is_generators: report.bottleneck.is_some(),
        })
    }
}
