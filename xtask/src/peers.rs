//! Servers of others, to measure ours beside them: built from `bench/peers`, outside of the workspace, so that none of
//! their dependencies becomes one of ours.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::steps::{Steps, cargo, run};

/// Builds them and ours, and has them measured with these flags of `madang bench peers`.
pub(crate) fn measure(root: &Path, flags: &[&str]) -> Result<()> {
    let folder = root.join("bench/peers");
    let mut steps = Steps::default();
    steps.take("Node's socket.io", || {
        let mut npm = Command::new("npm");
        npm.current_dir(folder.join("socketio-node"));
        // Only what is in its lock file, and nothing of it is run.
        run(npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]))
    })?;
    steps.take("socketioxide", || {
        let manifest = manifest(root);
        let target = manifest.with_file_name("target");
        let mut build = cargo(root);
        build.args(["build", "--release", "--locked", "--manifest-path"]).arg(&manifest);
        run(build.arg("--target-dir").arg(target))
    })?;
    steps.take("madang", || run(cargo(root).args(["build", "--release", "--package", "madang"])))?;
    steps.take("measuring", || {
        let mut bench = cargo(root);
        bench.args(["run", "--release", "--quiet", "--package", "madang", "--", "bench", "peers"]);
        run(bench.arg(&folder).args(flags))
    })?;
    steps.finish();
    Ok(())
}

/// Of the one that is written in Rust.
pub(crate) fn manifest(root: &Path) -> PathBuf {
    root.join("bench/peers/socketioxide/Cargo.toml")
}
