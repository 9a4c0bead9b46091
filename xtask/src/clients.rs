//! The tests with clients that people have: Socket.IO from npm and PyPI, WebSockets, curl and a browser.
//!
//! They are in `tests/clients`, run by Node. What they need beside Debian's packages is installed here: modules of npm
//! into `tests/clients/node_modules`, those of Python into a folder of their own in the target folder. Both are done anew
//! only where what they are made from has changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::steps::{cargo, run, run_quietly, say};

/// The oldest Node that the tests run in.
const NODE_MIN: (u32, u32) = (20, 14);
/// Files that run at once.
const CONCURRENCY: &str = "--test-concurrency=2";

/// Installs the clients, if they are not there.
pub(crate) fn provide(root: &Path) -> Result<()> {
    check_node()?;
    let folder = folder(root);
    once(&folder.join("package-lock.json"), &folder.join("node_modules"), || {
        say("installing clients from npm");
        let mut npm = Command::new("npm");
        npm.current_dir(&folder).args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
        run_quietly(npm.stdin(Stdio::null()))
    })?;
    let venv = target(root).join("clients-python");
    once(&folder.join("requirements.txt"), &venv, || {
        say("installing the client of Python");
        run_quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let mut pip = Command::new(venv.join("bin/python"));
        pip.current_dir(&folder).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--requirement",
            "requirements.txt",
        ]);
        run_quietly(pip.stdin(Stdio::null()))
    })
}

/// Builds what is tested, and runs the files that are named; all of them where none is.
pub(crate) fn test(root: &Path, names: &[&str]) -> Result<()> {
    run(cargo(root).args(["build", "--workspace", "--bin", "madang", "--example", "conformance"]))?;
    let folder = folder(root);
    let mut files: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    if files.is_empty() {
        files = test_files(&folder)?;
    }
    let mut node = Command::new("node");
    node.current_dir(&folder).env("CARGO_TARGET_DIR", target(root)).stdin(Stdio::null());
    // A socket that a test has left open must not keep the run from ending.
    node.args(["--test", "--test-reporter=spec", "--test-force-exit", CONCURRENCY]).args(files);
    run(&mut node)
}

fn folder(root: &Path) -> PathBuf {
    root.join("tests/clients")
}

/// Where cargo puts what it builds.
fn target(root: &Path) -> PathBuf {
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Named one by one: what Node makes of a folder differs between its versions.
fn test_files(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut files: Vec<String> = names.filter(|name| name.ends_with(".test.js")).collect();
    files.sort();
    Ok(files)
}

/// Makes `made` from `source`, unless it was made from exactly that before.
fn once(source: &Path, made: &Path, make: impl FnOnce() -> Result<()>) -> Result<()> {
    let text = fs::read_to_string(source).with_context(|| format!("{} can't be read", source.display()))?;
    let mark = made.join(".made-from");
    if fs::read_to_string(&mark).is_ok_and(|before| before == text) {
        return Ok(());
    }
    make()?;
    fs::write(&mark, text).with_context(|| format!("{} can't be written", mark.display()))
}

fn check_node() -> Result<()> {
    let output = Command::new("node").arg("--version").output().context("node can't be started")?;
    let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut numbers = version.trim_start_matches('v').split('.').map_while(|number| number.parse().ok());
    let (Some(major), Some(minor)) = (numbers.next(), numbers.next()) else {
        bail!("node says that its version is {version:?}");
    };
    let (least_major, least_minor) = NODE_MIN;
    if (major, minor) < NODE_MIN {
        bail!("the tests need Node {least_major}.{least_minor} or newer, this one is {version}");
    }
    Ok(())
}
