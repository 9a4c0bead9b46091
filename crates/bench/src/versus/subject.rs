//! What is measured: servers started for one run each, as processes of their own on a core of their own.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::failure::Failure;
use crate::floor::Mode;
use crate::machine::{self, Cores};
use crate::plan::Protocol;

/// Rooms with this name keep nothing on disk in the servers that are started here.
const CONFIG: &str = "[[room]]\nmatch = \"mem-*\"\ndurability = \"memory\"\n";

/// What servers are started from, and where.
pub(super) struct World<'w> {
    /// The program that has `serve` and `bench floor-server`.
    pub(super) program: &'w Path,
    pub(super) peers: &'w [Peer],
    pub(super) cores: Option<Cores>,
}

/// A server of somebody else: it takes a port and says `listening ADDRESS`.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    /// Its folder's.
    name: String,
    run: PathBuf,
}

impl Peer {
    /// One for each folder in this one that has a program `run`.
    pub(super) fn all_in(folder: &Path) -> Result<Vec<Peer>, Failure> {
        let entries =
            std::fs::read_dir(folder).map_err(Failure::system("reading the folder of the peers"))?;
        let peers = entries.flatten().map(|entry| Peer {
            name: entry.file_name().to_string_lossy().into_owned(),
            run: entry.path().join("run"),
        });
        let mut peers: Vec<Peer> = peers.filter(|peer| peer.run.is_file()).collect();
        peers.sort_by(|one, other| one.name.cmp(&other.name));
        match peers.is_empty() {
            true => Err(Failure::NoPeers { folder: folder.display().to_string() }),
            false => Ok(peers),
        }
    }
}

/// A kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Floor(Mode),
    /// Lines, one shard.
    Madang {
        in_memory: bool,
    },
    /// Madang over Socket.IO, one shard.
    SocketIo,
    /// Madang with so many shards, in lines.
    Shards(u32),
    /// One of the world's, over Socket.IO.
    Peer(usize),
}

impl Subject {
    pub(super) fn name(self, peers: &[Peer]) -> String {
        match self {
            Subject::Floor(Mode::Batched) => "floor".to_owned(),
            Subject::Floor(Mode::PerMessage) => "floor, a write a message".to_owned(),
            Subject::Madang { in_memory: false } | Subject::SocketIo => "madang".to_owned(),
            Subject::Madang { in_memory: true } => "madang, in memory".to_owned(),
            Subject::Shards(1) => "1 shard".to_owned(),
            Subject::Shards(shards) => format!("{shards} shards"),
            Subject::Peer(nr) => peers[nr].name.clone(),
        }
    }

    /// What its rooms are called.
    pub(super) fn room(self) -> &'static str {
        match self {
            Subject::Madang { in_memory: true } => "mem",
            _ => "bench",
        }
    }

    pub(super) fn protocol(self) -> Protocol {
        match self {
            Subject::SocketIo | Subject::Peer(_) => Protocol::SocketIo,
            Subject::Floor(_) | Subject::Madang { .. } | Subject::Shards(_) => Protocol::Line,
        }
    }

    pub(super) fn is_somebody_elses(self) -> bool {
        matches!(self, Subject::Peer(_))
    }

    /// Starts one, and waits until it listens.
    pub(super) fn start(self, world: &World<'_>) -> Result<Server, Failure> {
        let folder = tempfile::tempdir().map_err(Failure::system("a temporary folder"))?;
        let mut command = Command::new(match self {
            Subject::Peer(nr) => &world.peers[nr].run,
            _ => world.program,
        });
        // A variable of ours must not change what is compared.
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped());
        match self {
            Subject::Floor(mode) => {
                let mode = match mode {
                    Mode::Batched => "batched",
                    Mode::PerMessage => "per-message",
                };
                command.args(["bench", "floor-server", "--mode", mode]);
            }
            Subject::Madang { .. } | Subject::SocketIo | Subject::Shards(_) => {
                let config = folder.path().join("madang.toml");
                std::fs::File::create(&config)
                    .and_then(|mut file| file.write_all(CONFIG.as_bytes()))
                    .map_err(Failure::system("writing a configuration"))?;
                let shards = if let Subject::Shards(shards) = self { shards } else { 1 };
                command.args(["serve", "--tcp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log", "error"]);
                command.arg("--shards").arg(shards.to_string());
                command.arg("--config").arg(config).arg("--data").arg(folder.path().join("data"));
            }
            Subject::Peer(_) => {
                // Where it finds what it runs on.
                command.arg("0").envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
            }
        }
        // A process starts on the core of whoever starts it, with all its threads.
        if let Some(cores) = world.cores {
            machine::pin(cores.server);
        }
        let spawned = command.spawn();
        if let Some(cores) = world.cores {
            machine::pin(cores.generator);
        }
        let child = spawned.map_err(|error| Failure::Start {
            what: format!("{}: {error}", command.get_program().display()),
        })?;
        let mut server = Server { child, address: SocketAddr::from(([127, 0, 0, 1], 0)), _folder: folder };
        server.address = server.announced(self)?;
        Ok(server)
    }

    /// Where it says that it listens, for what it is to be asked.
    fn address_in(self, line: &str) -> Option<SocketAddr> {
        let rest = line.strip_prefix("listening ")?;
        let address = match self {
            Subject::Peer(_) => rest,
            Subject::SocketIo => rest.strip_prefix("http ")?,
            Subject::Floor(_) | Subject::Madang { .. } | Subject::Shards(_) => rest.strip_prefix("tcp ")?,
        };
        address.split(' ').next()?.parse().ok()
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
    fn announced(&mut self, subject: Subject) -> Result<SocketAddr, Failure> {
        let stdout = self.child.stdout.take().into_iter();
        let mut address = None;
        for line in stdout.flat_map(|stdout| BufReader::new(stdout).lines()).map_while(Result::ok) {
            address = address.or_else(|| subject.address_in(&line));
            if line == "ready" || (subject.is_somebody_elses() && address.is_some()) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_server_listens() {
        let port = |subject: Subject, line: &str| subject.address_in(line).map(|address| address.port());
        let lines = Subject::Madang { in_memory: false };
        assert_eq!(port(lines, "listening tcp 127.0.0.1:2022 chat"), Some(2022));
        assert_eq!(port(lines, "listening http 127.0.0.1:3000"), None);
        assert_eq!(port(Subject::SocketIo, "listening http 127.0.0.1:3000"), Some(3000));
        assert_eq!(port(Subject::SocketIo, "listening tcp 127.0.0.1:2022 chat"), None);
        assert_eq!(port(Subject::Peer(0), "listening 127.0.0.1:4000"), Some(4000));
        assert_eq!(port(Subject::Peer(0), "hello"), None);
    }

    #[test]
    fn a_folder_with_a_program_is_a_peer() {
        let folder = tempfile::tempdir().unwrap();
        let failure = Peer::all_in(folder.path()).unwrap_err().to_string();
        assert!(failure.ends_with("a folder in it with a program `run` is one"), "{failure}");
        for name in ["b", "a", "no"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("a/run"), "").unwrap();
        std::fs::write(folder.path().join("b/run"), "").unwrap();
        let names: Vec<_> = Peer::all_in(folder.path()).unwrap().into_iter().map(|peer| peer.name).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
