//! Running the steps of a chore one after the other, with their times.

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The steps that have been taken.
#[derive(Default)]
pub(crate) struct Steps {
    taken: Vec<(String, Duration)>,
}

impl Steps {
    /// Takes a step. What it fails with says which step it was.
    pub(crate) fn take(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        say(&format!("== {name}"));
        let start = Instant::now();
        step().with_context(|| name.to_owned())?;
        let took = start.elapsed();
        say(&format!("== {name}: passed in {:.1} s", took.as_secs_f64()));
        self.taken.push((name.to_owned(), took));
        Ok(())
    }

    /// Sums up: the last line says that all passed.
    pub(crate) fn finish(self) {
        let mut total = Duration::ZERO;
        say("");
        for (name, took) in &self.taken {
            say(&format!("{:>8.1} s  {name}", took.as_secs_f64()));
            total += *took;
        }
        say(&format!("all {} steps passed in {:.1} s", self.taken.len(), total.as_secs_f64()));
    }
}

/// A line for whoever watches.
pub(crate) fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    // Flushed, so that it stands before the output of the program that is started next. Where nobody reads any more,
    // the exit code still tells.
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// The cargo that runs us, in the folder of the workspace.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root);
    cargo
}

/// Runs a program and waits for it; its output is ours.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?} can't be started"))?;
    succeeded(command, status)
}

/// Runs a program and waits for it; its output is shown only where it fails.
pub(crate) fn run_quietly(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?} can't be started"))?;
    if !output.status.success() {
        say(&String::from_utf8_lossy(&output.stdout));
        say(&String::from_utf8_lossy(&output.stderr));
    }
    succeeded(command, output.status)
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}
