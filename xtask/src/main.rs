//! What developers run: `cargo xtask test` and its parts.
//!
//! Continuous integration runs exactly this, so green at a desk is green there. Every step says what it is and how long
//! it took, and the first one that fails ends the run. Nothing here needs more than the standard library and `anyhow`.

mod bench;
mod fuzz;
mod steps;
mod tidy;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};

use crate::steps::{Steps, cargo, run};

const USAGE: &str = "\
cargo xtask test                    all of the below but `bench`: the one command before a commit
cargo xtask tidy                    the rules of the house that no compiler checks
cargo xtask fuzz TARGET [SECONDS]   fuzz one decoder (60 seconds)
cargo xtask bench [--save]          count the instructions of the hot paths, and compare with those before
cargo xtask tools                   install the programs that tests talk to the server with";

/// Seconds for each target within `test`: enough to try the seeds and what lies next to them.
const FUZZ_SECONDS_IN_TEST: u64 = 10;
const FUZZ_SECONDS: u64 = 60;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["test"] => test(),
        ["tidy"] => tidy::check(&root()),
        ["fuzz", target] => fuzz::run_one(&root(), target, FUZZ_SECONDS),
        ["fuzz", target, seconds] => seconds
            .parse()
            .with_context(|| format!("{seconds:?} is not a number of seconds"))
            .and_then(|seconds| fuzz::run_one(&root(), target, seconds)),
        ["bench"] => bench::run(&root(), false),
        ["bench", "--save"] => bench::run(&root(), true),
        ["tools"] => tools::provide(),
        _ => Err(anyhow!("usage:\n{USAGE}")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            steps::say(&format!("failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn test() -> Result<()> {
    let root = root();
    let mut steps = Steps::default();
    steps.take("tools", tools::provide)?;
    steps.take("tidy", || tidy::check(&root))?;
    steps.take("formatting", || {
        run(cargo(&root).args(["fmt", "--all", "--check"]))?;
        run(cargo(&root).args(["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]))
    })?;
    steps.take("lints", || {
        run(cargo(&root).args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
    })?;
    if has_nextest(&root) {
        steps.take("tests", || run(cargo(&root).args(["nextest", "run", "--workspace"])))?;
        steps.take("examples in documents", || run(cargo(&root).args(["test", "--workspace", "--doc"])))?;
    } else {
        steps.take("tests and examples in documents", || run(cargo(&root).args(["test", "--workspace"])))?;
    }
    steps.take("fuzzing", || fuzz::run_all(&root, FUZZ_SECONDS_IN_TEST))?;
    steps.finish();
    Ok(())
}

fn has_nextest(root: &Path) -> bool {
    let version = cargo(root).args(["nextest", "--version"]).output();
    version.is_ok_and(|output| output.status.success())
}

/// The folder of the workspace.
fn root() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}
