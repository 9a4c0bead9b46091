//! The table of ratios.

use std::fmt::{self, Display};

use serde::Serialize;

use super::grid::{Grid, median, range};
use super::scenario::{Measure, Scenario, Target};
use super::subject::Subject;
use super::{Finding, Findings};
use crate::floor::Mode;

/// What the comparison has found.
#[derive(Clone, Debug, Serialize)]
pub struct Table {
    /// Rounds, of which the medians are shown.
    pub runs: u32,
    /// Server and generator had a core each.
    pub cores_apart: bool,
    /// A row for each scenario and kind of room.
    pub rows: Vec<Row>,
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which scenario.
    pub scenario: Scenario,
    /// In rooms that keep no history on disk.
    pub in_memory: bool,
    /// `µs` of CPU for each delivery, `KiB` for each connection, or `s`.
    pub unit: &'static str,
    /// What the batched floor takes.
    pub floor: f64,
    /// What the floor with a write for each message and member takes.
    pub floor_per_message: Option<f64>,
    /// What Madang takes.
    pub madang: f64,
    /// How many times the batched floor that is, of each round, in the median.
    pub ratio: f64,
    /// The largest and the smallest ratio of a round.
    pub ratio_range: (f64, f64),
    /// The target, in words.
    pub target: String,
    /// Is it reached?
    pub is_reached: bool,
    /// Deliveries in a second: the floor and Madang. Only in a closed loop; in an open one it is what was asked for.
    pub deliveries_per_second: Option<(f64, f64)>,
    /// Rounds in which the generator was the bottleneck beside Madang.
    pub generator_bound: usize,
}

impl Table {
    pub(super) fn new(all: &[Findings], runs: u32, cores_apart: bool) -> Table {
        let rows = all.iter().flat_map(|findings| {
            [false, true].into_iter().filter_map(|in_memory| Row::new(findings, in_memory))
        });
        Table { runs, cores_apart, rows: rows.collect() }
    }

    /// For people, and for a page in Markdown.
    pub fn markdown(&self) -> String {
        self.to_string()
    }
}

impl Row {
    /// Nothing where that was not measured.
    fn new(findings: &Findings, in_memory: bool) -> Option<Row> {
        let scenario = findings.scenario;
        let floor = findings.of(Subject::Floor(Mode::Batched));
        let madang = findings.of(Subject::Madang { in_memory });
        let ratios: Vec<f64> =
            floor.iter().zip(madang).map(|(floor, madang)| madang.value / floor.value).collect();
        let (value, ratio) =
            (median(madang.iter().map(|finding| finding.value))?, median(ratios.iter().copied())?);
        let (target, is_reached) = match scenario.target(in_memory) {
            Target::Ratio(most) => (format!("≤ {most} × floor"), ratio <= most),
            Target::Value(most) => (format!("≤ {most} {}", scenario.measure().unit()), value <= most),
        };
        let speed = |of: &[Finding]| median(of.iter().filter_map(|finding| finding.deliveries_per_second));
        Some(Row {
            scenario,
            in_memory,
            unit: scenario.measure().unit(),
            floor: median(floor.iter().map(|finding| finding.value))?,
            floor_per_message: median(
                findings.of(Subject::Floor(Mode::PerMessage)).iter().map(|finding| finding.value),
            ),
            madang: value,
            ratio,
            ratio_range: range(&ratios),
            target,
            is_reached,
            deliveries_per_second: speed(floor).zip(speed(madang)).filter(|_| scenario.is_closed_loop()),
            generator_bound: madang.iter().filter(|finding| finding.is_generators).count(),
        })
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = [
            "scenario",
            "floor",
            "madang",
            "ratio",
            "from - to",
            "target",
            "reached",
            "M deliveries/s, floor, madang",
        ];
        let mut grid = Grid::new(&heads);
        self.rows.iter().for_each(|row| grid.row(row.cells()));
        write!(f, "{grid}")?;
        writeln!(f, "\nMedians of {} rounds. The floor writes once a wake and member.", self.runs)?;
        for row in self.rows.iter().filter(|row| row.floor_per_message.is_some()) {
            let Some(value) = row.floor_per_message else { continue };
            writeln!(
                f,
                "{}: a floor that writes once a message and member takes {value:.2} {}.",
                row.scenario.name(),
                row.unit
            )?;
        }
        let bound = |closed| {
            self.rows.iter().any(|row| row.generator_bound > 0 && row.scenario.is_closed_loop() == closed)
        };
        if bound(true) {
            let why = "the generator was the bottleneck in some rounds";
            writeln!(f, "≥: {why}; the speed may be higher, the CPU time holds.")?;
        }
        if bound(false) {
            writeln!(
                f,
                "In some rounds of A and B messages went out late: something else used the generator's core."
            )?;
        }
        if !self.cores_apart {
            writeln!(f, "There is one core: server and generator shared it.")?;
        }
        Ok(())
    }
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let digits = match self.scenario.measure() {
            Measure::Cpu if self.floor < 1.0 => 4,
            Measure::Cpu | Measure::Memory | Measure::Greeting => 2,
        };
        let value = |value: f64| format!("{value:.digits$} {}", self.unit);
        let bound = if self.generator_bound > 0 { "≥ " } else { "" };
        vec![
            format!("{}{}", self.scenario.name(), if self.in_memory { ", in memory" } else { "" }),
            value(self.floor),
            value(self.madang),
            format!("{:.2}", self.ratio),
            format!("{:.2} - {:.2}", self.ratio_range.0, self.ratio_range.1),
            self.target.clone(),
            if self.is_reached { "yes" } else { "no" }.to_owned(),
            self.deliveries_per_second.map_or_else(String::new, |(floor, madang)| {
                format!("{:.2}, {bound}{:.2}", floor / 1e6, madang / 1e6)
            }),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_one_round() {
        let finding =
            |value| Finding { value, deliveries_per_second: Some(value * 1e6), is_generators: false };
        // The machine was slow in the second round and fast in the third, for both.
        let mut findings = Findings::new(Scenario::C16);
        findings.of[0].1 = [1.0, 10.0, 0.1].map(finding).to_vec();
        findings.of[1].1 = [1.1, 11.0, 0.12].map(finding).to_vec();
        let table = Table::new(&[findings], 3, true);
        expect_test::expect![[r#"
            | scenario | floor   | madang  | ratio | from - to   | target         | reached | M deliveries/s, floor, madang |
            | -------- | ------- | ------- | ----- | ----------- | -------------- | ------- | ----------------------------- |
            | C16      | 1.00 µs | 1.10 µs | 1.10  | 1.10 - 1.20 | ≤ 1.15 × floor | yes     | 1.00, 1.10                    |

            Medians of 3 rounds. The floor writes once a wake and member.
        "#]]
        .assert_eq(&table.markdown());
    }
}
