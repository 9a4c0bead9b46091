//! The programs that tests talk to the server with, and that fuzzing is linked by: are they all there?

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::steps::{run, say};

/// A program, and the Debian package that has it.
const TOOLS: [(&str, &str); 14] = [
    ("nc.openbsd", "netcat-openbsd"),
    ("nc.traditional", "netcat-traditional"),
    ("ncat", "ncat"),
    ("socat", "socat"),
    ("telnet", "telnet"),
    ("expect", "expect"),
    ("tmux", "tmux"),
    ("sqlite3", "sqlite3"),
    ("c++", "g++"), // links the fuzzing engine
    ("curl", "curl"),
    ("chromium", "chromium"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("python3", "python3"),
];

/// A file that is no program, and the Debian package that has it: without it Korean is a row of boxes in screenshots.
const FONT: (&str, &str) = ("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc", "fonts-noto-cjk");

/// Installs what is missing where that is possible, and says what to install where it isn't.
pub(crate) fn provide() -> Result<()> {
    let packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    let by_hand = format!("sudo apt-get install {}", packages.join(" "));
    if !(is_root() && has("apt-get")) {
        bail!("the tests need programs that are not here; to install them:\n  {by_hand}");
    }
    say(&format!("installing {}", packages.join(" ")));
    let apt = |args: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null()).stdout(Stdio::null()).args(args);
        run(&mut apt)
    };
    let install = [&["install", "-y", "--no-install-recommends"], packages.as_slice()].concat();
    apt(&["update"]).and_then(|()| apt(&install)).with_context(|| {
        format!("the tests need programs that can't be installed; by hand:\n  {by_hand}\n")
    })?;
    let packages = missing();
    if !packages.is_empty() {
        bail!("installed, but still not found in PATH: {}", packages.join(" "));
    }
    Ok(())
}

/// The packages of what is missing.
fn missing() -> Vec<&'static str> {
    let programs = TOOLS.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package);
    let font = (!Path::new(FONT.0).is_file()).then_some(FONT.1);
    // Debian's Python comes without what makes a folder for modules.
    let venv = (!has_venv()).then_some("python3-venv");
    programs.chain(font).chain(venv).collect()
}

fn has_venv() -> bool {
    let modules =
        Command::new("python3").args(["-c", "import venv, ensurepip"]).stderr(Stdio::null()).status();
    modules.is_ok_and(|status| status.success())
}

fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Follows the links of Debian's alternatives: one that leads nowhere is no program.
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
