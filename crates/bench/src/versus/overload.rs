//! More to do than a server can: does it still do as much as it can, for everybody, and in the same memory?
//!
//! Each round has a run in a closed loop, which finds what the server can carry, and one in which three times that is
//! offered, whatever becomes of it.

use std::fmt::{self, Display};

use serde::Serialize;

use super::Comparison;
use super::grid::{Grid, median, range};
use super::subject::{Subject, World};
use crate::failure::Failure;
use crate::machine::{self, Cores};
use crate::plan::{Pace, Plan, Protocol};
use crate::progress::Progress;
use crate::report::Report;
use crate::run::run_with;

const ROOMS: u32 = 100;
const MEMBERS: u32 = 10;
/// On the way in each room when the peak is looked for: enough that the server is never idle.
const WINDOW: u32 = 64;
const OVERLOAD: f64 = 3.0;

const GOODPUT_MIN: f64 = 0.8;
const SHARES: (f64, f64) = (0.5, 2.0);
const MIB_PER_MINUTE_MAX: f64 = 1.0;

/// What the rounds have found.
#[derive(Clone, Debug, Serialize)]
pub struct Overload {
    /// Rounds, of which the medians are shown.
    pub runs: u32,
    /// Server and generator had a core each.
    pub cores_apart: bool,
    /// Deliveries in a second: as much as it can, and when more is offered.
    pub deliveries_per_second: (f64, f64),
    /// The second as a multiple of the first, of each round, in the median.
    pub goodput: f64,
    /// In the rounds.
    pub goodput_range: (f64, f64),
    /// What was offered, as a multiple of what was carried at the peak.
    pub offered: f64,
    /// By how much the server's resident memory grew in a minute of overload.
    pub mib_per_minute: f64,
    /// The most that it had.
    pub resident_mib_peak: f64,
    /// The room with the fewest deliveries and the one with the most, as shares of the average, of all rounds.
    pub room_shares: (f64, f64),
    /// Rounds in which the generator was slower than the server at the peak: it could carry more.
    pub generator_bound: usize,
    /// Rounds in which it was behind its schedule in the overload: less was offered than should have been.
    pub generator_behind: usize,
}

impl Overload {
    /// Measures it. The scenarios of the comparison mean nothing here.
    ///
    /// # Errors
    ///
    /// A machine that does not allow it, a server that can't be started or ends, a delivery that went wrong.
    pub fn measure(comparison: &Comparison) -> Result<Overload, Failure> {
        machine::allow_connections(0)?;
        let cores = Cores::choose();
        let world = World { program: &comparison.program, peers: &[], cores };
        let mut progress = Progress::new();
        let mut rounds = Vec::new();
        for round in 1..=comparison.runs {
            let mut run = |what: &str, pace: Pace| {
                progress.set_prefix(format!("round {round} of {}, {what} ", comparison.runs));
                one_run(comparison, &world, pace, &mut progress)
            };
            let peak = run("peak", Pace::Window(WINDOW))?;
            let carried = messages_per_second(&peak).ok_or(Failure::NoFigure { scenario: "overload" })?;
            let over = run("overload", Pace::Rate(carried * OVERLOAD / f64::from(ROOMS)))?;
            rounds.push((peak, over));
        }
        drop(progress);
        Overload::of(&rounds, cores.is_some()).ok_or(Failure::NoFigure { scenario: "overload" })
    }

    /// Nothing where a figure is missing.
    fn of(rounds: &[(Report, Report)], cores_apart: bool) -> Option<Overload> {
        let goodput =
            |report: &Report| Some(report.server_speed.or(report.generator_speed)?.deliveries_per_second);
        let all = |figure: &dyn Fn(&Report, &Report) -> Option<f64>| -> Option<Vec<f64>> {
            rounds.iter().map(|(peak, over)| figure(peak, over)).collect()
        };
        let of_median = |figure: &dyn Fn(&Report, &Report) -> Option<f64>| median(all(figure)?.into_iter());
        let ratios = all(&|peak, over| Some(goodput(over)? / goodput(peak)?))?;
        let shares: Option<Vec<(f64, f64)>> = rounds.iter().map(|(_, over)| over.room_shares).collect();
        let shares = shares?;
        Some(Overload {
            runs: rounds.len() as u32,
            cores_apart,
            deliveries_per_second: (
                of_median(&|peak, _| goodput(peak))?,
                of_median(&|_, over| goodput(over))?,
            ),
            goodput: median(ratios.iter().copied())?,
            goodput_range: range(&ratios),
            offered: of_median(&|peak, over| {
                let held_back = over.held_back as f64 / over.measured_seconds;
                Some((messages_per_second(over)? + held_back) / messages_per_second(peak)?)
            })?,
            mib_per_minute: of_median(&|_, over| {
                let watched = over.watched?;
                let grown = watched.resident_mib_at_end - watched.resident_mib_at_begin;
                Some(grown * 60.0 / over.measured_seconds)
            })?,
            resident_mib_peak: of_median(&|_, over| Some(over.watched?.resident_mib_peak))?,
            room_shares: (
                shares.iter().map(|(least, _)| *least).fold(f64::INFINITY, f64::min),
                shares.iter().map(|(_, most)| *most).fold(0.0, f64::max),
            ),
            generator_bound: rounds.iter().filter(|(peak, _)| peak.bottleneck.is_some()).count(),
            generator_behind: rounds.iter().filter(|(_, over)| over.bottleneck.is_some()).count(),
        })
    }

    /// For people, and for a page in Markdown.
    pub fn markdown(&self) -> String {
        self.to_string()
    }
}

fn messages_per_second(report: &Report) -> Option<f64> {
    Some(report.server_speed.or(report.generator_speed)?.messages_per_second)
}

fn one_run(
    comparison: &Comparison,
    world: &World<'_>,
    pace: Pace,
    progress: &mut Progress,
) -> Result<Report, Failure> {
    let subject = Subject::Madang { in_memory: false };
    let server = subject.start(world)?;
    let plan = Plan {
        address: server.address,
        protocol: Protocol::Line,
        room: subject.room().to_owned(),
        leave: None,
        rooms: ROOMS,
        members: MEMBERS,
        publishers: 1,
        stalled: 0,
        idle: 0,
        pace,
        size: 64,
        warmup: comparison.times.warmup,
        duration: comparison.times.duration,
        connect_rate: None,
        watch: true,
        server_pid: Some(server.pid()),
    };
    let report = run_with(&plan, progress)?;
    match report.is_flawless() {
        true => Ok(report),
        false => {
            let subject = subject.name(world.peers);
            Err(Failure::Flawed { scenario: "overload", subject, table: report.table() })
        }
    }
}

impl Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let yes = |is_reached: bool| if is_reached { "yes" } else { "no" }.to_owned();
        let mut grid = Grid::new(&["", "found", "from - to", "target", "reached"]);
        let (peak, over) = self.deliveries_per_second;
        let millions = |value: f64| format!("{:.2} M deliveries/s", value / 1e6);
        let empty = String::new;
        grid.row(vec!["at the peak".to_owned(), millions(peak), empty(), empty(), empty()]);
        grid.row(vec![
            "offered".to_owned(),
            format!("{:.2} × the peak", self.offered),
            empty(),
            format!("{OVERLOAD} ×"),
            yes(self.offered >= OVERLOAD * 0.95),
        ]);
        grid.row(vec!["goodput".to_owned(), millions(over), empty(), empty(), empty()]);
        grid.row(vec![
            "goodput × peak".to_owned(),
            format!("{:.2}", self.goodput),
            format!("{:.2} - {:.2}", self.goodput_range.0, self.goodput_range.1),
            format!("≥ {GOODPUT_MIN}"),
            yes(self.goodput >= GOODPUT_MIN),
        ]);
        grid.row(vec![
            "a room's share".to_owned(),
            empty(),
            format!("{:.2} - {:.2}", self.room_shares.0, self.room_shares.1),
            format!("{} to {}", SHARES.0, SHARES.1),
            yes(self.room_shares.0 >= SHARES.0 && self.room_shares.1 <= SHARES.1),
        ]);
        grid.row(vec![
            "memory grows by".to_owned(),
            format!("{:.2} MiB/min", self.mib_per_minute),
            format!("at most {:.1} MiB", self.resident_mib_peak),
            format!("≤ {MIB_PER_MINUTE_MAX} MiB/min"),
            yes(self.mib_per_minute <= MIB_PER_MINUTE_MAX),
        ]);
        writeln!(
            f,
            "{grid}\n{ROOMS} rooms of {MEMBERS}, one publisher each. Medians of {} rounds.",
            self.runs
        )?;
        if self.generator_bound > 0 {
            writeln!(
                f,
                "In {} rounds the generator was slower than the server at the peak, which may be higher.",
                self.generator_bound
            )?;
        }
        if self.generator_behind > 0 {
            writeln!(
                f,
                "In {} rounds the generator was behind its schedule in the overload.",
                self.generator_behind
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

    fn report(messages_per_second: f64, held_back: u64, room_shares: (f64, f64)) -> Report {
        let latency_us = LatencyUs { p50: 0.0, p99: 0.0, p999: 0.0, max: 0.0 };
        let deliveries_per_second = messages_per_second * 9.0;
        Report {
            server_speed: Some(Speed { messages_per_second, deliveries_per_second, latency_us }),
            measured_seconds: 10.0,
            held_back,
            room_shares: Some(room_shares),
            watched: Some(Watched {
                resident_mib_at_first: 10.0,
                resident_mib_at_begin: 20.0,
                resident_mib_at_end: 20.1,
                resident_mib_peak: 21.0,
                stalled_gone_after_s: None,
            }),
            ..Report::default()
        }
    }

    #[test]
    fn what_was_held_back_was_offered_too() {
        let rounds = [
            (report(100_000.0, 0, (1.0, 1.0)), report(90_000.0, 2_100_000, (0.9, 1.1))),
            (report(100_000.0, 0, (1.0, 1.0)), report(70_000.0, 2_300_000, (0.4, 1.2))),
            (report(100_000.0, 0, (1.0, 1.0)), report(95_000.0, 2_050_000, (0.9, 1.1))),
        ];
        expect_test::expect![[r#"
            |                 | found               | from - to        | target      | reached |
            | --------------- | ------------------- | ---------------- | ----------- | ------- |
            | at the peak     | 0.90 M deliveries/s |                  |             |         |
            | offered         | 3.00 × the peak     |                  | 3 ×         | yes     |
            | goodput         | 0.81 M deliveries/s |                  |             |         |
            | goodput × peak  | 0.90                | 0.70 - 0.95      | ≥ 0.8       | yes     |
            | a room's share  |                     | 0.40 - 1.20      | 0.5 to 2    | no      |
            | memory grows by | 0.60 MiB/min        | at most 21.0 MiB | ≤ 1 MiB/min | yes     |

            100 rooms of 10, one publisher each. Medians of 3 rounds.
        "#]]
        .assert_eq(&Overload::of(&rounds, true).unwrap().markdown());
    }
}
