//! What a contest has found, and what of it should have been.

use std::fmt::{self, Display};

use serde::Serialize;

use super::contest::{Entry, Kind, Sample};
use super::grid::{Grid, cell, median, range};
use super::scenario::{Measure, Scenario};
use super::subject::Subject;

/// What a contest has found.
#[derive(Clone, Debug, Serialize)]
pub struct Standings {
    /// Rounds, of which the medians are shown.
    pub runs: u32,
    /// Server and generator had a core each.
    pub cores_apart: bool,
    /// A row for each scenario and server.
    pub rows: Vec<Standing>,
    /// How the first of them stands to each other.
    pub ratios: Vec<Ratio>,
}

/// A server in a scenario: medians, and sums of what went wrong.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// Which scenario.
    pub scenario: Scenario,
    /// Which server.
    pub server: String,
    /// `µs` of CPU for each delivery, or `KiB` for each connection.
    pub unit: &'static str,
    /// So much of it. Nothing where no round came to its end.
    pub cost: Option<f64>,
    /// What a second of CPU time was enough for.
    pub deliveries_per_cpu_second: Option<f64>,
    /// What a second was enough for.
    pub deliveries_per_second: Option<f64>,
    /// The 99th percentile of the time under way.
    pub p99_us: Option<f64>,
    /// Of all rounds.
    pub delivered: u64,
    /// Of all rounds.
    pub lost: u64,
    /// Of all rounds.
    pub repeated: u64,
    /// Of all rounds.
    pub out_of_order: u64,
    /// Rounds in which the generator was the bottleneck.
    pub generator_bound: usize,
    /// What rounds that have no result ended with.
    pub failures: Vec<String>,
}

/// One server's figure as a multiple of another's, of each round, in the median.
#[derive(Clone, Debug, Serialize)]
pub struct Ratio {
    /// Which scenario.
    pub scenario: Scenario,
    /// What is compared.
    pub what: &'static str,
    /// Whose figure.
    pub server: String,
    /// Is so many times whose; nothing where it is looked at alone.
    pub to: Option<String>,
    /// That many times; without another server, the figure itself.
    pub value: f64,
    /// In the rounds.
    pub range: (f64, f64),
    /// The target, in words, where there is one.
    pub target: Option<String>,
    /// Is it reached?
    pub is_reached: Option<bool>,
}

/// What should be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    AtMost(f64),
    AtLeast(f64),
}

/// A figure of a sample, and what it is called.
type Figure = (&'static str, fn(Scenario, &Sample) -> Option<f64>);

const COST: Figure =
    ("CPU time", |scenario, sample| (scenario.measure() == Measure::Cpu).then_some(sample.cost));
const MEMORY: Figure =
    ("KiB each", |scenario, sample| (scenario.measure() == Measure::Memory).then_some(sample.cost));
const THRIFT: Figure =
    ("deliveries per CPU second", |scenario, sample| sample.deliveries_per_cpu_second(scenario));
const SPEED: Figure =
    ("deliveries/s", |scenario, sample| sample.deliveries_per_second.filter(|_| scenario.is_closed_loop()));
const P99: Figure = ("p99", |scenario, sample| sample.p99_us.filter(|_| !scenario.is_closed_loop()));

impl Standings {
    pub(super) fn new(kind: Kind, all: &[(Scenario, Vec<Entry>)], runs: u32, cores_apart: bool) -> Standings {
        let rows = all
            .iter()
            .flat_map(|(scenario, entries)| entries.iter().map(|entry| Standing::new(*scenario, entry)));
        let ratios = all.iter().flat_map(|(scenario, entries)| match kind {
            Kind::Peers => ratios_to_peers(*scenario, entries),
            Kind::Shards => ratios_of_shards(*scenario, entries),
        });
        Standings { runs, cores_apart, rows: rows.collect(), ratios: ratios.collect() }
    }

    /// For people, and for a page in Markdown.
    pub fn markdown(&self) -> String {
        self.to_string()
    }
}

/// Madang to everybody else: in CPU time, in closed loops also in what a second of it is enough for.
fn ratios_to_peers(scenario: Scenario, entries: &[Entry]) -> Vec<Ratio> {
    let Some(madang) = entries.iter().find(|entry| entry.subject == Subject::SocketIo) else {
        return Vec::new();
    };
    let others = entries.iter().filter(|entry| entry.subject != Subject::SocketIo);
    let ratios = others.flat_map(|other| {
        let figure =
            if scenario.is_closed_loop() && other.subject.is_somebody_elses() { THRIFT } else { COST };
        let target = match (scenario, other.name.as_str()) {
            (Scenario::A50 | Scenario::A200, "floor") => Some(Target::AtMost(1.12)),
            (Scenario::A50 | Scenario::A200, "socketioxide") => Some(Target::AtMost(0.65)),
            (Scenario::A50 | Scenario::A200, "socketio-node") => Some(Target::AtMost(0.55)),
            (Scenario::C256 | Scenario::C16x16, "socketioxide") => Some(Target::AtLeast(8.0)),
            (Scenario::C256 | Scenario::C16x16, "socketio-node") => Some(Target::AtLeast(40.0)),
            _ => None,
        };
        [
            Ratio::new(scenario, figure, madang, Some(other), target),
            Ratio::new(scenario, MEMORY, madang, Some(other), None),
        ]
    });
    let alone = Ratio::new(scenario, MEMORY, madang, None, Some(Target::AtMost(1.5)));
    ratios.chain([alone]).flatten().collect()
}

/// Two shards to one. Nothing should get worse; what scatters by a tenth is not worse.
fn ratios_of_shards(scenario: Scenario, entries: &[Entry]) -> Vec<Ratio> {
    let [one, two] = entries else { return Vec::new() };
    let figures = [(COST, Target::AtMost(1.1)), (SPEED, Target::AtLeast(0.9)), (P99, Target::AtMost(1.1))];
    let ratios = figures
        .into_iter()
        .map(|(figure, target)| Ratio::new(scenario, figure, two, Some(one), Some(target)));
    ratios.flatten().collect()
}

impl Standing {
    fn new(scenario: Scenario, entry: &Entry) -> Standing {
        let samples: Vec<&Sample> = entry.samples.iter().flatten().collect();
        let median_of = |figure: &dyn Fn(&Sample) -> Option<f64>| {
            median(samples.iter().filter_map(|sample| figure(sample)))
        };
        let sum = |count: fn(&Sample) -> u64| samples.iter().map(|sample| count(sample)).sum();
        Standing {
            scenario,
            server: entry.name.clone(),
            unit: scenario.measure().unit(),
            cost: median_of(&|sample| Some(sample.cost)),
            deliveries_per_cpu_second: median_of(&|sample| sample.deliveries_per_cpu_second(scenario)),
            deliveries_per_second: median_of(&|sample| sample.deliveries_per_second),
            p99_us: median_of(&|sample| sample.p99_us),
            delivered: sum(|sample| sample.tally.delivered),
            lost: sum(|sample| sample.tally.lost),
            repeated: sum(|sample| sample.tally.repeated),
            out_of_order: sum(|sample| sample.tally.out_of_order),
            generator_bound: samples.iter().filter(|sample| sample.is_generators).count(),
            failures: entry.failures.clone(),
        }
    }

    fn cells(&self) -> Vec<String> {
        let millions = |value: f64| format!("{:.2} M", value / 1e6);
        let bound = if self.generator_bound > 0 { "≥ " } else { "" };
        vec![
            self.scenario.name().to_owned(),
            self.server.clone(),
            cell(self.cost, |cost| format!("{cost:.*} {}", if cost < 1.0 { 4 } else { 2 }, self.unit)),
            cell(self.deliveries_per_cpu_second, millions),
            cell(self.deliveries_per_second, |value| format!("{bound}{}", millions(value))),
            cell(self.p99_us, |us| format!("{:.2} ms", us / 1e3)),
            format!("{}, {}, {}", self.lost, self.repeated, self.out_of_order),
        ]
    }
}

impl Ratio {
    /// Nothing where a figure is missing.
    fn new(
        scenario: Scenario,
        (what, figure): Figure,
        of: &Entry,
        to: Option<&Entry>,
        target: Option<Target>,
    ) -> Option<Ratio> {
        let value = |sample: &Option<Sample>| figure(scenario, sample.as_ref()?);
        let values: Vec<f64> = match to {
            None => of.samples.iter().filter_map(value).collect(),
            Some(to) => {
                let rounds = of.samples.iter().zip(&to.samples);
                rounds.filter_map(|(of, to)| Some(value(of)? / value(to)?)).collect()
            }
        };
        let middle = median(values.iter().copied())?;
        let is_reached = target.map(|target| match target {
            Target::AtMost(most) => middle <= most,
            Target::AtLeast(least) => middle >= least,
        });
        Some(Ratio {
            scenario,
            what,
            server: of.name.clone(),
            to: to.map(|to| to.name.clone()),
            value: middle,
            range: range(&values),
            target: target.map(|target| match target {
                Target::AtMost(most) => format!("≤ {most}"),
                Target::AtLeast(least) => format!("≥ {least}"),
            }),
            is_reached,
        })
    }

    fn cells(&self) -> Vec<String> {
        let to = self.to.as_ref().map_or_else(String::new, |to| format!(" ÷ {to}"));
        vec![
            self.scenario.name().to_owned(),
            format!("{}: {}{to}", self.what, self.server),
            format!("{:.2}", self.value),
            format!("{:.2} - {:.2}", self.range.0, self.range.1),
            self.target.clone().unwrap_or_default(),
            self.is_reached.map_or("", |is_reached| if is_reached { "yes" } else { "no" }).to_owned(),
        ]
    }
}

impl Display for Standings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = Grid::new(&[
            "scenario",
            "server",
            "CPU a delivery, or memory each",
            "deliveries per CPU second",
            "deliveries/s",
            "p99",
            "lost, repeated, out of order",
        ]);
        self.rows.iter().for_each(|row| rows.row(row.cells()));
        let mut ratios = Grid::new(&["scenario", "what", "ratio", "from - to", "target", "reached"]);
        self.ratios.iter().for_each(|ratio| ratios.row(ratio.cells()));
        writeln!(f, "{rows}\n{ratios}\nMedians of {} rounds; what went wrong is of all of them.", self.runs)?;
        for row in &self.rows {
            for failure in &row.failures {
                writeln!(f, "{}, {}: a round without a result: {failure}", row.scenario.name(), row.server)?;
            }
        }
        if self.rows.iter().any(|row| row.generator_bound > 0) {
            writeln!(
                f,
                "≥: the generator was the bottleneck in some rounds: in C the speed may be higher, in A messages went \
                 out late. The CPU time holds."
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
    use crate::floor::Mode;
    use crate::verify::Tally;

    fn entry(subject: Subject, name: &str, costs: &[Option<f64>]) -> Entry {
        let sample = |cost| Sample {
            cost,
            deliveries_per_second: Some(1e6 / cost),
            p99_us: Some(1_000.0 * cost),
            tally: Tally {
                delivered: 100,
                out_of_order: u64::from(name == "socketioxide") * 90,
                ..Tally::default()
            },
            is_generators: false,
        };
        let failures = costs.iter().filter(|cost| cost.is_none()).map(|_| "it went away".to_owned());
        Entry {
            subject,
            name: name.to_owned(),
            samples: costs.iter().map(|cost| cost.map(sample)).collect(),
            failures: failures.collect(),
        }
    }

    #[test]
    fn a_peer_that_errs_is_part_of_the_table() {
        let entries = vec![
            entry(Subject::Floor(Mode::Batched), "floor", &[Some(1.0), Some(10.0), Some(1.0)]),
            entry(Subject::SocketIo, "madang", &[Some(1.5), Some(15.0), Some(1.6)]),
            entry(Subject::Peer(0), "socketioxide", &[Some(12.0), None, Some(16.0)]),
        ];
        let standings = Standings::new(Kind::Peers, &[(Scenario::C256, entries)], 3, true);
        expect_test::expect![[r#"
            | scenario | server       | CPU a delivery, or memory each | deliveries per CPU second | deliveries/s | p99      | lost, repeated, out of order |
            | -------- | ------------ | ------------------------------ | ------------------------- | ------------ | -------- | ---------------------------- |
            | C256     | floor        | 1.00 µs                        | 1.00 M                    | 1.00 M       | 1.00 ms  | 0, 0, 0                      |
            | C256     | madang       | 1.60 µs                        | 0.62 M                    | 0.62 M       | 1.60 ms  | 0, 0, 0                      |
            | C256     | socketioxide | 14.00 µs                       | 0.07 M                    | 0.07 M       | 14.00 ms | 0, 0, 180                    |

            | scenario | what                                             | ratio | from - to    | target | reached |
            | -------- | ------------------------------------------------ | ----- | ------------ | ------ | ------- |
            | C256     | CPU time: madang ÷ floor                         | 1.50  | 1.50 - 1.60  |        |         |
            | C256     | deliveries per CPU second: madang ÷ socketioxide | 9.00  | 8.00 - 10.00 | ≥ 8    | yes     |

            Medians of 3 rounds; what went wrong is of all of them.
            C256, socketioxide: a round without a result: it went away
        "#]].assert_eq(&standings.markdown());
    }

    #[test]
    fn memory_is_looked_at_alone_too() {
        let entries = vec![
            entry(Subject::Floor(Mode::Batched), "floor", &[Some(0.1)]),
            entry(Subject::SocketIo, "madang", &[Some(1.6)]),
            entry(Subject::Peer(0), "socketio-node", &[Some(16.0)]),
        ];
        let ratios = Standings::new(Kind::Peers, &[(Scenario::D, entries)], 1, true).ratios;
        let told: Vec<_> =
            ratios.iter().map(|ratio| (ratio.what, ratio.to.as_deref(), ratio.is_reached)).collect();
        assert_eq!(
            told,
            [
                ("KiB each", Some("floor"), None),
                ("KiB each", Some("socketio-node"), None),
                ("KiB each", None, Some(false))
            ]
        );
    }

    #[test]
    fn two_shards_are_compared_with_one() {
        let entries = |two| {
            vec![
                entry(Subject::Shards(1), "1 shard", &[Some(2.0)]),
                entry(Subject::Shards(2), "2 shards", &[Some(two)]),
            ]
        };
        let reached = |scenario, two| -> Vec<_> {
            let ratios = Standings::new(Kind::Shards, &[(scenario, entries(two))], 1, false).ratios;
            ratios.iter().map(|ratio| (ratio.what, ratio.is_reached == Some(true))).collect()
        };
        assert_eq!(reached(Scenario::C16, 2.1), [("CPU time", true), ("deliveries/s", true)]);
        assert_eq!(reached(Scenario::C16, 3.0), [("CPU time", false), ("deliveries/s", false)]);
        assert_eq!(reached(Scenario::A200, 3.0), [("CPU time", false), ("p99", false)]);
    }
}
