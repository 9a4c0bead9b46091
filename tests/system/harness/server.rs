//! The server as people start it: a process, its data folder and configuration, its announcement.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::{PATIENCE, Program, eventually};

/// Any port on this machine.
pub(crate) const LOOPBACK: &str = "127.0.0.1:0";

/// A listener for lines and one for HTTP, in this order.
pub(crate) const LINES_AND_HTTP: &str = "\
[[listen]]
bind = '127.0.0.1:0'
[[listen]]
protocol = 'http'
bind = '127.0.0.1:0'
";

/// The program under test, with nothing of our own environment that would configure it.
pub(crate) fn madang() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_madang"));
    for (name, _) in std::env::vars_os() {
        if name == "PORT" || name.to_string_lossy().starts_with("MADANG_") {
            command.env_remove(name);
        }
    }
    command
}

/// A folder with a configuration and data, at which servers are started one after the other.
pub(crate) struct Site {
    folder: TempDir,
    data: PathBuf,
}

impl Site {
    /// One chat listener, and nothing set.
    pub(crate) fn new() -> Site {
        Site::with("")
    }

    /// With this configuration. It says nothing of `data`; without any `[[listen]]` there is one for chat.
    pub(crate) fn with(config: &str) -> Site {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Site::at(folder, data, config)
    }

    /// With its data elsewhere.
    pub(crate) fn at(folder: TempDir, data: PathBuf, config: &str) -> Site {
        let mut text = format!("data = '{}'\n{config}\n", data.display());
        if !config.contains("[[listen]]") {
            text += &format!("[[listen]]\nbind = '{LOOPBACK}'\n");
        }
        fs::write(folder.path().join("madang.toml"), text).unwrap();
        Site { folder, data }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("madang.toml")
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// What starts the server.
    pub(crate) fn command(&self) -> Command {
        let mut command = madang();
        command.arg("--config").arg(self.config()).current_dir(self.folder.path());
        command
    }

    pub(crate) fn start(&self) -> Server {
        Server::start(self.command())
    }

    /// Starts the server by a program that becomes it, such as `prlimit`.
    pub(crate) fn start_under(&self, wrapper: &[&str]) -> Server {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(env!("CARGO_BIN_EXE_madang")).arg("--config").arg(self.config());
        Server::start(command)
    }

    /// Waits until this text is in a file of the data folder, so that not even `kill -9` loses it.
    ///
    /// A commit is several writes, so what was said right before it is certain only when something said later is here.
    pub(crate) fn wait_until_on_disk(&self, text: &str) {
        eventually(&format!("{text:?} is on disk"), || {
            let files = fs::read_dir(&self.data).unwrap().map(|entry| entry.unwrap().path());
            files.into_iter().any(|path| {
                fs::read(path)
                    .is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
            })
        });
    }
}

/// A running server.
pub(crate) struct Server {
    program: Program,
    /// Where it listens and what is served there, as announced.
    pub(crate) doors: Vec<(SocketAddr, String)>,
}

impl Server {
    /// Starts it and reads its announcement, which is a contract: nothing but `listening` lines, then `ready`.
    pub(crate) fn start(command: Command) -> Server {
        let mut program = Program::start(command);
        let mut doors = Vec::new();
        loop {
            let Some(line) = program.out.line() else {
                panic!("the server ended with {} and said: {}", program.end(), program.err.rest());
            };
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["listening", "tcp", address, service] => {
                    doors.push((address.parse().unwrap(), service.to_owned()));
                }
                ["listening", "http", address] => doors.push((address.parse().unwrap(), "http".to_owned())),
                ["ready"] => return Server { program, doors },
                _ => panic!("this is not part of the announcement: {line:?}"),
            }
        }
    }

    /// Its first door.
    pub(crate) fn address(&self) -> SocketAddr {
        self.door(0)
    }

    pub(crate) fn door(&self, at: usize) -> SocketAddr {
        self.doors[at].0
    }

    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.program.signal(signal);
    }

    /// Ends it as a power cut does.
    pub(crate) fn kill9(mut self) {
        self.signal(Signal::KILL);
        self.program.end();
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.ended_within(PATIENCE);
        assert!(status.success(), "an orderly end is {status}");
    }

    pub(crate) fn ended_within(&mut self, limit: Duration) -> ExitStatus {
        self.program.end_within(limit)
    }

    /// What it has printed until now.
    pub(crate) fn printed(&mut self) -> &str {
        self.program.out.so_far()
    }

    /// Its open descriptors.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// Its resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}
