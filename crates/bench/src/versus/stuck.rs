//! Members that stop reading: what do they cost the others, and the server, and when are they gone?
//!
//! Each round has a run in which everybody reads, and one in which some have stopped: the same room, the same rate.

use std::fmt::{self, Display};
use std::net::SocketAddr;

use serde::Serialize;

use super::Comparison;
use super::grid::{Grid, cell, median, range};
use super::subject::{Subject, World};
use crate::failure::Failure;
use crate::machine::{self, Cores};
use crate::plan::{Pace, Plan, Protocol};
use crate::progress::Progress;
use crate::report::Report;
use crate::run::run_with;

const MEMBERS: u32 = 1_000;
const STALLED: u32 = 50;
/// Long messages fill what the kernel keeps for a member within seconds, at a rate that leaves the server time.
const RATE: f64 = 50.0;
const SIZE: usize = 4_000;

const P99_RATIO_MAX: f64 = 1.2;
const KIB_EACH_MAX: f64 = 64.0;

/// What the rounds have found.
#[derive(Clone, Debug, Serialize)]
pub struct Stuck {
    /// Rounds, of which the medians are shown.
    pub runs: u32,
    /// Server and generator had a core each.
    pub cores_apart: bool,
    /// How many members stopped reading, of how many.
    pub stalled: (u32, u32),
    /// The 99th percentile of those that read: where all do, and beside those that don't.
    pub p99_us: (f64, f64),
    /// The second as a multiple of the first, of each round, in the median.
    pub p99_ratio: f64,
    /// In the rounds.
    pub p99_ratio_range: (f64, f64),
    /// By how much more the server's resident memory grew at most, for each that doesn't read.
    pub kib_for_each: f64,
    /// From when they stopped reading until the server had closed their connections, in each round; nothing where it had
    /// not when the run was over.
    pub gone_after_s: Vec<Option<f64>>,
    /// Rounds in which the generator was behind.
    pub generator_bound: usize,
}

impl Stuck {
    /// How long the measured part must be for the stuck ones to be gone in it: the server waits for ten seconds, once
    /// what lies between it and them is full.
    pub const DURATION_S: u64 = 16;

    /// Measures it. The scenarios of the comparison mean nothing here.
    ///
    /// # Errors
    ///
    /// A machine that does not allow it, a server that can't be started or ends, a delivery that went wrong.
    pub fn measure(comparison: &Comparison) -> Result<Stuck, Failure> {
        machine::allow_connections(0)?;
        let cores = Cores::choose();
        let world = World { program: &comparison.program, peers: &[], cores };
        let mut progress = Progress::new();
        let mut rounds = Vec::new();
        for round in 1..=comparison.runs {
            let mut run = |stalled: u32| {
                progress.set_prefix(format!("round {round} of {}, {stalled} stuck ", comparison.runs));
                one_run(comparison, &world, stalled, &mut progress)
            };
            rounds.push((run(0)?, run(STALLED)?));
        }
        drop(progress);
        Stuck::of(&rounds, cores.is_some()).ok_or(Failure::NoFigure { scenario: "stuck" })
    }

    /// Nothing where a figure is missing.
    fn of(rounds: &[(Report, Report)], cores_apart: bool) -> Option<Stuck> {
        let p99 = |report: &Report| Some(report.server_speed.or(report.generator_speed)?.latency_us.p99);
        let growth = |report: &Report| {
            let watched = report.watched?;
            Some(watched.resident_mib_peak - watched.resident_mib_at_first)
        };
        let all = |figure: &dyn Fn(&Report, &Report) -> Option<f64>| -> Option<Vec<f64>> {
            rounds.iter().map(|(without, with)| figure(without, with)).collect()
        };
        let ratios = all(&|without, with| Some(p99(with)? / p99(without)?))?;
        let kib =
            all(&|without, with| Some((growth(with)? - growth(without)?) * 1_024.0 / f64::from(STALLED)))?;
        let both = rounds.iter().flat_map(|(without, with)| [without, with]);
        Some(Stuck {
            runs: rounds.len() as u32,
            cores_apart,
            stalled: (STALLED, MEMBERS),
            p99_us: (
                median(all(&|without, _| p99(without))?.into_iter())?,
                median(all(&|_, with| p99(with))?.into_iter())?,
            ),
            p99_ratio: median(ratios.iter().copied())?,
            p99_ratio_range: range(&ratios),
            kib_for_each: median(kib.into_iter())?,
            gone_after_s: rounds.iter().map(|(_, with)| with.watched?.stalled_gone_after_s).collect(),
            generator_bound: both.filter(|report| report.bottleneck.is_some()).count(),
        })
    }

    /// For people, and for a page in Markdown.
    pub fn markdown(&self) -> String {
        self.to_string()
    }
}

fn one_run(
    comparison: &Comparison,
    world: &World<'_>,
    stalled: u32,
    progress: &mut Progress,
) -> Result<Report, Failure> {
    let subject = Subject::Madang { in_memory: false };
    let server = subject.start(world)?;
    let report = run_with(&plan(comparison, server.address, server.pid(), stalled), progress)?;
    match report.is_flawless() {
        true => Ok(report),
        false => {
            let subject = subject.name(world.peers);
            Err(Failure::Flawed { scenario: "stuck", subject, table: report.table() })
        }
    }
}

fn plan(comparison: &Comparison, address: SocketAddr, server_pid: u32, stalled: u32) -> Plan {
    Plan {
        address,
        protocol: Protocol::Line,
        room: "bench".to_owned(),
        leave: None,
        rooms: 1,
        members: MEMBERS,
        publishers: 1,
        stalled,
        idle: 0,
        pace: Pace::Rate(RATE),
        size: SIZE,
        warmup: comparison.times.warmup,
        duration: comparison.times.duration,
        connect_rate: None,
        watch: true,
        server_pid: Some(server_pid),
    }
}

impl Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes = |is_reached: bool| if is_reached { "yes" } else { "no" }.to_owned();
        let (stalled, members) = self.stalled;
        let mut grid =
            Grid::new(&["", "all read", "with stuck ones", "ratio", "from - to", "target", "reached"]);
        let ms = |us: f64| format!("{:.2} ms", us / 1e3);
        grid.row(vec![
            "p99 of the others".to_owned(),
            ms(self.p99_us.0),
            ms(self.p99_us.1),
            format!("{:.2}", self.p99_ratio),
            format!("{:.2} - {:.2}", self.p99_ratio_range.0, self.p99_ratio_range.1),
            format!("≤ {P99_RATIO_MAX}"),
            yes(self.p99_ratio <= P99_RATIO_MAX),
        ]);
        let empty = String::new;
        grid.row(vec![
            "memory for each stuck one".to_owned(),
            empty(),
            format!("{:.1} KiB", self.kib_for_each),
            empty(),
            empty(),
            format!("≤ {KIB_EACH_MAX} KiB"),
            yes(self.kib_for_each <= KIB_EACH_MAX),
        ]);
        let gone: Vec<f64> = self.gone_after_s.iter().copied().flatten().collect();
        let all_gone = gone.len() == self.gone_after_s.len();
        grid.row(vec![
            "gone after".to_owned(),
            empty(),
            if all_gone {
                cell(median(gone.iter().copied()), |s| format!("{s:.1} s"))
            } else {
                "not".to_owned()
            },
            empty(),
            cell(gone.first().copied(), |_| format!("{:.1} - {:.1}", range(&gone).0, range(&gone).1)),
            "write_timeout, 10 s, once full".to_owned(),
            yes(all_gone),
        ]);
        writeln!(
            f,
            "{grid}\n{stalled} of {members} members stop reading; {RATE} messages/s of {SIZE} bytes. Medians of {} rounds.",
            self.runs
        )?;
        if self.generator_bound > 0 {
            writeln!(
                f,
                "In {} runs messages went out late: something else used the generator's core.",
                self.generator_bound
            )?;
        }
        if !self.cores_apart {
            writeln!(f, "Server and generator shared the cores.")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{LatencyUs, Speed};
    use crate::watch::Watched;

    fn report(p99: f64, peak: f64, gone: Option<f64>) -> Report {
        let latency_us = LatencyUs { p50: 0.0, p99, p999: 0.0, max: 0.0 };
        let watched = Watched {
            resident_mib_at_first: 10.0,
            resident_mib_at_begin: 10.0,
            resident_mib_at_end: 11.0,
            resident_mib_peak: peak,
            stalled_gone_after_s: gone,
        };
        Report {
            server_speed: Some(Speed { messages_per_second: 50.0, deliveries_per_second: 1.0, latency_us }),
            watched: Some(watched),
            ..Report::default()
        }
    }

    #[test]
    fn what_grows_without_stuck_ones_is_not_theirs() {
        let rounds = [
            (report(1_000.0, 12.0, None), report(1_100.0, 14.0, Some(12.0))),
            (report(2_000.0, 12.0, None), report(2_600.0, 14.0, Some(13.0))),
            (report(1_000.0, 12.0, None), report(1_150.0, 14.0, Some(12.5))),
        ];
        let stuck = Stuck::of(&rounds, true).unwrap();
        assert_eq!((stuck.kib_for_each, stuck.p99_ratio), (2.0 * 1_024.0 / 50.0, 1.15));
        expect_test::expect![[r#"
            |                           | all read | with stuck ones | ratio | from - to   | target                         | reached |
            | ------------------------- | -------- | --------------- | ----- | ----------- | ------------------------------ | ------- |
            | p99 of the others         | 1.00 ms  | 1.15 ms         | 1.15  | 1.10 - 1.30 | ≤ 1.2                          | yes     |
            | memory for each stuck one |          | 41.0 KiB        |       |             | ≤ 64 KiB                       | yes     |
            | gone after                |          | 12.5 s          |       | 12.0 - 13.0 | write_timeout, 10 s, once full | yes     |

            50 of 1000 members stop reading; 50 messages/s of 4000 bytes. Medians of 3 rounds.
        "#]].assert_eq(&stuck.markdown());
    }

    #[test]
    fn who_is_still_there_at_the_end_is_not_gone() {
        let stuck = Stuck::of(&[(report(1.0, 12.0, None), report(1.0, 12.0, None))], true).unwrap();
        let table = stuck.markdown();
        let row = table.lines().find(|line| line.contains("gone after")).unwrap();
        assert!(row.contains("| not ") && row.ends_with("| no      |"), "{row}");
    }
}
