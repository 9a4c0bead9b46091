//! The programs that people have already: the netcats, socat, telnet, tmux, as Debian packages them.

use std::net::SocketAddr;
use std::process::Command;

use super::Program;

/// A program, the Debian package that has it, and how it is told where to connect.
#[derive(Clone, Copy)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    package: &'static str,
    flags: &'static [&'static str],
}

/// `-N`: FIN when the input ends.
pub(crate) const NC_OPENBSD: Tool = Tool { program: "nc.openbsd", package: "netcat-openbsd", flags: &["-N"] };
/// As most people call it, whichever it is; Debian's has `-N`.
pub(crate) const NC: Tool = Tool { program: "nc", package: "netcat-openbsd", flags: &[] };
/// `-q`: FIN when the input ends, and then so many seconds at most.
pub(crate) const NC_TRADITIONAL: Tool =
    Tool { program: "nc.traditional", package: "netcat-traditional", flags: &["-q", "20"] };
pub(crate) const NCAT: Tool = Tool { program: "ncat", package: "ncat", flags: &[] };
/// `-t`: how long it waits for one side once the other has ended; half a second if not said.
pub(crate) const SOCAT: Tool = Tool { program: "socat", package: "socat", flags: &["-t", "2", "-"] };
/// It sends no FIN when its input ends, it leaves: one says `/quit`.
pub(crate) const TELNET: Tool = Tool { program: "telnet", package: "telnet", flags: &[] };
pub(crate) const TMUX: Tool = Tool { program: "tmux", package: "tmux", flags: &[] };

impl Tool {
    /// The program, which must be there: a test that nobody runs says nothing.
    pub(crate) fn command(self) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let is_there = std::env::split_paths(&path).any(|folder| folder.join(self.program).is_file());
        assert!(
            is_there,
            "{} is missing; it is in Debian's package {}, and `cargo xtask tools` installs it",
            self.program, self.package
        );
        Command::new(self.program)
    }

    /// Connects it.
    pub(crate) fn connect(self, address: SocketAddr) -> Program {
        let mut command = self.command();
        command.args(self.flags);
        match self.program {
            "socat" => command.arg(format!("TCP:{address}")),
            _ => command.arg(address.ip().to_string()).arg(address.port().to_string()),
        };
        Program::start(command)
    }
}
