//! Servers beside each other under the same load: Madang and others over Socket.IO ([`Contest::peers`]), or one Madang
//! with one shard and another with two ([`Contest::shards`]).
//!
//! As with the floor, every server has its turn in each round, and a ratio is of one round. What a server of somebody
//! else loses, repeats or swaps is part of what is found; with ours it is a failure.

use std::path::Path;

use super::Comparison;
use super::scenario::{Measure, Scenario};
use super::standings::Standings;
use super::subject::{Peer, Subject, World};
use crate::failure::Failure;
use crate::floor::Mode;
use crate::machine::{self, Cores};
use crate::progress::Progress;
use crate::report::Report;
use crate::run::run_with;
use crate::verify::Tally;

/// Who runs beside whom, and what should come out of it.
#[derive(Clone, Debug)]
pub struct Contest {
    peers: Vec<Peer>,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Peers,
    Shards,
}

/// What one run has found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// CPU time for each delivery in µs, or KiB for each connection.
    pub(super) cost: f64,
    pub(super) deliveries_per_second: Option<f64>,
    pub(super) p99_us: Option<f64>,
    pub(super) tally: Tally,
    /// The generator was slower than the server.
    pub(super) is_generators: bool,
}

/// All runs of one server in one scenario.
pub(super) struct Entry {
    pub(super) subject: Subject,
    pub(super) name: String,
    /// One for each round; nothing where there was none.
    pub(super) samples: Vec<Option<Sample>>,
    /// Why not.
    pub(super) failures: Vec<String>,
}

impl Contest {
    /// Madang over Socket.IO, the batched floor, and whatever is in this folder: each folder in it with a program `run`,
    /// which takes a port, says `listening ADDRESS`, and knows `join` and `say`.
    ///
    /// # Errors
    ///
    /// A folder that can't be read or in which there is none.
    pub fn peers(folder: &Path) -> Result<Contest, Failure> {
        let peers = Peer::all_in(folder)?;
        Ok(Contest { peers, kind: Kind::Peers })
    }

    /// Madang with one shard and with two, on the same cores as the generator.
    pub fn shards() -> Contest {
        Contest { peers: Vec::new(), kind: Kind::Shards }
    }

    /// What is measured where nothing else is said.
    pub fn scenarios(&self) -> &'static [Scenario] {
        match self.kind {
            Kind::Peers => &[Scenario::A200, Scenario::C256, Scenario::C16x16, Scenario::D],
            Kind::Shards => &[Scenario::A200, Scenario::C16, Scenario::C256],
        }
    }

    fn subjects(&self) -> Vec<Subject> {
        match self.kind {
            Kind::Peers => {
                let ours = [Subject::Floor(Mode::Batched), Subject::SocketIo];
                ours.into_iter().chain((0..self.peers.len()).map(Subject::Peer)).collect()
            }
            Kind::Shards => vec![Subject::Shards(1), Subject::Shards(2)],
        }
    }

    /// Measures everything in turns.
    ///
    /// # Errors
    ///
    /// A machine that does not allow it, a Madang that can't be started or ends, a delivery of Madang's that went wrong.
    pub fn run(&self, comparison: &Comparison) -> Result<Standings, Failure> {
        machine::allow_connections(0)?;
        let cores = match self.kind {
            Kind::Peers => Cores::choose(),
            // The kernel is to spread them as it likes.
            Kind::Shards => None,
        };
        let world = World { program: &comparison.program, peers: &self.peers, cores };
        let entry = |subject: Subject| Entry {
            name: subject.name(&self.peers),
            subject,
            samples: Vec::new(),
            failures: Vec::new(),
        };
        let entries = || self.subjects().into_iter().map(entry).collect();
        let mut all: Vec<(Scenario, Vec<Entry>)> =
            comparison.scenarios.iter().map(|&scenario| (scenario, entries())).collect();
        let mut progress = Progress::new();
        let outcome = rounds(comparison, &world, &mut all, &mut progress);
        progress.clear();
        outcome?;
        Ok(Standings::new(self.kind, &all, comparison.runs, cores.is_some()))
    }
}

fn rounds(
    comparison: &Comparison,
    world: &World<'_>,
    all: &mut [(Scenario, Vec<Entry>)],
    progress: &mut Progress,
) -> Result<(), Failure> {
    for round in 1..=comparison.runs {
        for (scenario, entries) in &mut *all {
            for entry in entries {
                let (name, whose) = (scenario.name(), &entry.name);
                progress.set_prefix(format!("round {round} of {}, {name}, {whose} ", comparison.runs));
                let sample = one_run(comparison, world, *scenario, entry.subject, progress);
                match sample {
                    Ok(sample) => entry.samples.push(Some(sample)),
                    Err(failure)
                        if entry.subject.is_somebody_elses()
                            && !matches!(failure, Failure::System { .. }) =>
                    {
                        entry.samples.push(None);
                        entry.failures.push(failure.to_string());
                    }
                    Err(failure) => return Err(failure),
                }
            }
        }
    }
    Ok(())
}

fn one_run(
    comparison: &Comparison,
    world: &World<'_>,
    scenario: Scenario,
    subject: Subject,
    progress: &mut Progress,
) -> Result<Sample, Failure> {
    let server = subject.start(world)?;
    let plan = crate::Plan {
        protocol: subject.protocol(),
        ..scenario.plan(server.address, server.pid(), subject.room(), comparison.times)
    };
    let report = run_with(&plan, progress)?;
    if !report.is_flawless() && !subject.is_somebody_elses() {
        let (scenario, subject) = (scenario.name(), subject.name(world.peers));
        return Err(Failure::Flawed { scenario, subject, table: report.table() });
    }
    Sample::of(scenario, &report)
}

impl Sample {
    fn of(scenario: Scenario, report: &Report) -> Result<Sample, Failure> {
        let speed = report.server_speed.or(report.generator_speed);
        Ok(Sample {
            cost: scenario.measure().of(report).ok_or(Failure::NoFigure { scenario: scenario.name() })?,
            deliveries_per_second: speed.map(|speed| speed.deliveries_per_second),
            p99_us: speed.map(|speed| speed.latency_us.p99),
            tally: report.tally,
            is_generators: report.bottleneck.is_some(),
        })
    }

    /// What a second of CPU time is enough for.
    pub(super) fn deliveries_per_cpu_second(&self, scenario: Scenario) -> Option<f64> {
        (scenario.measure() == Measure::Cpu).then(|| 1e6 / self.cost)
    }
}
