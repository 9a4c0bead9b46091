//! Fuzzing on the stable compiler: the flags that `cargo fuzz` would give, without its nightly.
//!
//! A target is a `[[bin]]` of `fuzz/Cargo.toml`. Its seeds are in `fuzz/seeds/TARGET`; what a run finds interesting goes
//! to `fuzz/corpus/TARGET`, and what breaks it to `fuzz/artifacts/TARGET`, neither of them under version control.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::steps::{cargo, run, run_quietly, say};

/// Coverage as libFuzzer wants it. No address sanitizer: that needs nightly, and this workspace forbids `unsafe`.
const RUSTFLAGS: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    --cfg fuzzing";

/// An input that takes longer than this is a finding.
const INPUT_SECONDS_MAX: u64 = 10;

/// Every target for `seconds`; only findings are shown.
pub(crate) fn run_all(root: &Path, seconds: u64) -> Result<()> {
    for target in targets(root)? {
        say(&format!("{target}, {seconds} s"));
        let mut fuzz = fuzz(root, &target, seconds)?;
        run_quietly(fuzz.arg("-verbosity=0")).with_context(|| advice(&target))?;
    }
    Ok(())
}

/// One target for `seconds`, with the engine's reports.
pub(crate) fn run_one(root: &Path, target: &str, seconds: u64) -> Result<()> {
    let targets = targets(root)?;
    if !targets.iter().any(|known| known == target) {
        bail!("{target} is no fuzz target, these are: {}", targets.join(", "));
    }
    run(&mut fuzz(root, target, seconds)?).with_context(|| advice(target))
}

/// What may be behind a run that ended badly.
fn advice(target: &str) -> String {
    format!(
        "{target} (an input that breaks it is in fuzz/artifacts/{target}; where it could not be linked, a C++ compiler \
         may be missing: apt-get install g++)"
    )
}

/// The command that fuzzes one target.
fn fuzz(root: &Path, target: &str, seconds: u64) -> Result<Command> {
    let [corpus, seeds, artifacts] =
        ["corpus", "seeds", "artifacts"].map(|kind| format!("fuzz/{kind}/{target}"));
    for folder in [&corpus, &seeds, &artifacts] {
        fs::create_dir_all(root.join(folder)).with_context(|| format!("{folder} can't be made"))?;
    }
    let host = host()?;
    let mut fuzz = cargo(root);
    fuzz.env("RUSTFLAGS", RUSTFLAGS)
        .args(["run", "--quiet", "--release", "--manifest-path", "fuzz/Cargo.toml"])
        // Naming the target keeps the flags away from build scripts and macros, which run without the engine.
        .args(["--target", &host, "--bin", target, "--"])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-artifact_prefix={artifacts}/"))
        // What is new goes to the first folder.
        .args([corpus, seeds]);
    Ok(fuzz)
}

/// The targets that the manifest names.
fn targets(root: &Path) -> Result<Vec<String>> {
    let manifest =
        fs::read_to_string(root.join("fuzz/Cargo.toml")).context("fuzz/Cargo.toml can't be read")?;
    let targets = targets_of(&manifest);
    if targets.is_empty() {
        bail!("fuzz/Cargo.toml names no [[bin]]");
    }
    Ok(targets)
}

/// The `name` of each `[[bin]]`.
fn targets_of(manifest: &str) -> Vec<String> {
    let mut section = "";
    let mut targets = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        }
        let name = line.strip_prefix("name").and_then(|rest| rest.trim_start().strip_prefix('='));
        if let ("[[bin]]", Some(name)) = (section, name) {
            targets.push(name.trim().trim_matches('"').to_owned());
        }
    }
    targets
}

/// The platform that we build on, and for.
fn host() -> Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output().context("rustc can't be started")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_the_binaries_of_the_manifest() {
        let manifest =
            "[package]\nname = \"fuzz\"\n[[bin]]\nname = \"lines\"\npath = \"a\"\n[[bin]]\nname=\"json\"\n";
        assert_eq!(targets_of(manifest), ["lines", "json"]);
    }
}
