//! What is measured: servers started for one run each, as processes of their own on a core of their own.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::failure::Failure;
use crate::floor::Mode;
use crate::machine::{self, Cores};

/// Rooms with this name keep nothing on disk in the servers that are started here.
const CONFIG: &str = "[[room]]\nmatch = \"mem-*\"\ndurability = \"memory\"\n";

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Floor(Mode),
    Madang { in_memory: bool },
}

impl Subject {
    /// What its rooms are called.
    pub(super) fn room(self) -> &'static str {
        match self {
            Subject::Madang { in_memory: true } => "mem",
            _ => "bench",
        }
    }

    /// Starts one, and waits until it listens.
    pub(super) fn start(self, program: &Path, cores: Option<Cores>) -> Result<Server, Failure> {
        let folder = tempfile::tempdir().map_err(Failure::system("a temporary folder"))?;
        let mut command = Command::new(program);
        match self {
            Subject::Floor(mode) => {
                let mode = match mode {
                    Mode::Batched => "batched",
                    Mode::PerMessage => "per-message",
                };
                command.args(["bench", "floor-server", "--mode", mode]);
            }
            Subject::Madang { .. } => {
                let config = folder.path().join("madang.toml");
                std::fs::File::create(&config)
                    .and_then(|mut file| file.write_all(CONFIG.as_bytes()))
                    .map_err(Failure::system("writing a configuration"))?;
                command.args([
                    "serve",
                    "--tcp",
                    "127.0.0.1:0",
                    "--http",
                    "127.0.0.1:0",
                    "--shards",
                    "1",
                    "--log",
                    "error",
                ]);
                command.arg("--config").arg(config).arg("--data").arg(folder.path().join("data"));
            }
        }
        // A variable of ours must not change what is compared.
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped());
        // A process starts on the core of whoever starts it, with all its threads.
        if let Some(cores) = cores {
            machine::pin(cores.server);
        }
        let spawned = command.spawn();
        if let Some(cores) = cores {
            machine::pin(cores.generator);
        }
        let child = spawned.map_err(|error| Failure::Start { what: error.to_string() })?;
        let mut server = Server { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), _folder: folder };
        server.address = server.announced()?;
        Ok(server)
    }
}

/// A server that runs, until this is dropped.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
    _folder: TempDir,
}

impl Server {
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Reads what it says on standard output until it is ready: where it listens.
    fn announced(&mut self) -> Result<SocketAddr, Failure> {
        let stdout = self.child.stdout.take().into_iter();
        let mut address = None;
        for line in stdout.flat_map(|stdout| BufReader::new(stdout).lines()).map_while(Result::ok) {
            if let Some(rest) = line.strip_prefix("listening tcp ") {
                address = rest.split(' ').next().and_then(|address| address.parse().ok());
            }
            if line == "ready" {
                break;
            }
        }
        address.ok_or_else(|| Failure::Start { what: "it ended without saying where it listens".to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // That it has ended already is what we want.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
