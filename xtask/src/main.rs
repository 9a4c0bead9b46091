//! What developers run: `cargo xtask test` and its parts.
//!
//! Continuous integration runs exactly this, so green at a desk is green there. Every step says what it is and how long
//! it took, and the first one that fails ends the run. Nothing here needs more than the standard library and `anyhow`.

mod bench;
mod clients;
mod fuzz;
mod peers;
mod steps;
mod tidy;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};

use crate::steps::{Steps, cargo, run};

const USAGE: &str = "\
cargo xtask test                    all of the below but `bench` and `peers`: the one command before a commit
cargo xtask tidy                    the rules of the house that no compiler checks
cargo xtask clients [FILE...]       the tests with clients that people have, of tests/clients
cargo xtask fuzz TARGET [SECONDS]   fuzz one decoder (60 seconds)
cargo xtask bench [--save]          count the instructions of the hot paths, and compare with those before
cargo xtask peers [FLAGS]           build other Socket.IO servers, and measure ours beside them
cargo xtask tools                   install the programs and clients that tests talk to the server with";

/// Seconds for each target within `test`: enough to try the seeds and what lies next to them.
const FUZZ_SECONDS_IN_TEST: u64 = 10;
const FUZZ_SECONDS: u64 = 60;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["test"] => test(),
        ["tidy"] => tidy::check(&root()),
        ["clients", files @ ..] => tools().and_then(|()| clients::test(&root(), files)),
        ["fuzz", target] => fuzz::run_one(&root(), target, FUZZ_SECONDS),
        ["fuzz", target, seconds] => seconds
            .parse()
            .with_context(|| format!("{seconds:?} is not a number of seconds"))
            .and_then(|seconds| fuzz::run_one(&root(), target, seconds)),
        ["bench"] => bench::run(&root(), false),
        ["bench", "--save"] => bench::run(&root(), true),
        ["peers", flags @ ..] => peers::measure(&root(), flags),
        ["tools"] => tools(),
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
    steps.take("tools", tools)?;
    steps.take("tidy", || tidy::check(&root))?;
    steps.take("formatting", || {
        run(cargo(&root).args(["fmt", "--all", "--check"]))?;
        run(cargo(&root).args(["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]))?;
        run(cargo(&root).args(["fmt", "--check", "--manifest-path"]).arg(peers::manifest(&root)))
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
    steps.take("clients", || clients::test(&root, &[]))?;
    steps.take("fuzzing", || fuzz::run_all(&root, FUZZ_SECONDS_IN_TEST))?;
    steps.finish();
    Ok(())
}

fn tools() -> Result<()> {
    tools::provide()?;
    clients::provide(&root())
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
