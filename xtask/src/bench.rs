//! How many instructions the hot paths take, and whether that has changed.
//!
//! Times say little on a machine that does other things, too; instructions hardly differ from run to run. The paths are
//! in `crates/server/src/tests/hot_paths.rs`; what they took is in `xtask/bench.txt`, and compared with that. They
//! say nothing of the kernel, of memory that is waited for, or of a disk: `madang bench --floor` does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::steps::{cargo, say};

/// What they took before: a name and a number of instructions in each line.
const BASELINE: &str = "xtask/bench.txt";
/// A change by so many percent is one. Tables with random seeds make some of it.
const TOLERANCE: f64 = 2.0;
/// How often a path is carried out while it is counted, as `hot_paths.rs` has it.
const ROUNDS: u64 = 100;
/// Where they are, among the tests of `madang-server`.
const PATHS: &str = "tests::hot_paths::";

/// Counts, and compares with the baseline, or writes it anew.
pub(crate) fn run(root: &Path, save: bool) -> Result<()> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        bail!("valgrind is missing, which counts the instructions: apt-get install valgrind");
    }
    let program = build(root)?;
    let baseline = root.join(BASELINE);
    let before = read(&fs::read_to_string(&baseline).unwrap_or_default());
    let mut now = BTreeMap::new();
    let mut slower = Vec::new();
    say(&format!("{:<36}{:>12}{:>12}{:>10}", "instructions", "before", "now", "change"));
    for path in paths(&program)? {
        let count = count(&program, &path)?;
        let (was, change) = match before.get(&path) {
            Some(was) => (was.to_string(), 100.0 * (count as f64 / *was as f64 - 1.0)),
            None => ("-".to_owned(), 0.0),
        };
        say(&format!("{path:<36}{was:>12}{count:>12}{change:>+8.1} %"));
        if change > TOLERANCE {
            slower.push(format!("{path} takes {change:.1} % more"));
        }
        now.insert(path, count);
    }
    if save {
        let lines: String = now.iter().map(|(path, count)| format!("{path} {count}\n")).collect();
        fs::write(&baseline, lines).with_context(|| format!("{BASELINE} can't be written"))?;
        say(&format!("written to {BASELINE}"));
    } else if !slower.is_empty() {
        bail!("{}. If that is meant, `cargo xtask bench --save`", slower.join("; "));
    }
    Ok(())
}

/// Builds the tests of the server as it is released, and says where.
fn build(root: &Path) -> Result<PathBuf> {
    let mut build = cargo(root);
    build.args(["test", "--release", "--package", "madang-server", "--lib", "--no-run"]);
    let output = build.args(["--message-format", "json"]).stderr(std::process::Stdio::inherit()).output()?;
    let messages = String::from_utf8_lossy(&output.stdout);
    let (_, rest) = messages.rsplit_once(r#""executable":""#).context("the tests can't be built")?;
    Ok(PathBuf::from(rest.split('"').next().unwrap_or_default()))
}

fn paths(program: &Path) -> Result<Vec<String>> {
    let output = Command::new(program).args(["--list", "--ignored", PATHS]).output()?;
    let list = String::from_utf8_lossy(&output.stdout);
    let names = list.lines().filter_map(|line| line.strip_suffix(": test")?.strip_prefix(PATHS));
    Ok(names.map(str::to_owned).collect())
}

/// The instructions of one round.
fn count(program: &Path, path: &str) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    valgrind.arg("--toggle-collect=*hot_paths::measured*").arg(program);
    let output =
        valgrind.args(["--ignored", "--exact", "--test-threads=1"]).arg(format!("{PATHS}{path}")).output()?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected =
        report.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse::<u64>().ok());
    match collected {
        Some(collected) if output.status.success() && collected > 0 => Ok(collected / ROUNDS),
        _ => bail!("{path} can't be counted:\n{report}"),
    }
}

fn read(baseline: &str) -> BTreeMap<String, u64> {
    let lines = baseline.lines().filter_map(|line| line.split_once(' '));
    lines.filter_map(|(path, count)| Some((path.to_owned(), count.trim().parse().ok()?))).collect()
}
