//! Tables for people, that are Markdown as well.

use std::fmt::{self, Display};

/// Rows under heads, each column as wide as its widest cell.
pub(super) struct Grid(Vec<Vec<String>>);

impl Grid {
    pub(super) fn new(heads: &[&str]) -> Grid {
        Grid(vec![heads.iter().map(|&head| head.to_owned()).collect()])
    }

    /// As many cells as there are heads.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.0.push(cells);
    }
}

impl Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.0.first().map_or(0, Vec::len);
        let widths: Vec<usize> = (0..columns)
            .map(|column| self.0.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
            .collect();
        for (nr, line) in self.0.iter().enumerate() {
            let padded = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
            writeln!(f, "| {} |", padded.collect::<Vec<_>>().join(" | "))?;
            if nr == 0 {
                let dashes = widths.iter().map(|&width| "-".repeat(width));
                writeln!(f, "| {} |", dashes.collect::<Vec<_>>().join(" | "))?;
            }
        }
        Ok(())
    }
}

/// The middle one, or what lies between the two in the middle.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

/// The smallest and the largest.
pub(super) fn range(values: &[f64]) -> (f64, f64) {
    (values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(0.0, f64::max))
}

/// A cell for what may be missing.
pub(super) fn cell(value: Option<f64>, write: impl FnOnce(f64) -> String) -> String {
    value.map_or_else(String::new, write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        let of = |values: &[f64]| median(values.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0]), Some(3.0));
        assert_eq!(of(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(of(&[4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }
}
