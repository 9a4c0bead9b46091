//! Why a run has no result.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::plan::PlanError;

/// Why a run has no result: a mistake in what was asked ([`Failure::Plan`]), the machine, or the server.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Failure {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(
        "this takes {needed} open files, and the limit is {limit} (RLIMIT_NOFILE, `ulimit -Hn`): at most {possible} \
         connections are possible"
    )]
    FileLimit { needed: u64, limit: u64, possible: u64 },
    #[error("nobody listens at {address} (connection refused); is the server running?")]
    NobodyListens { address: SocketAddr },
    #[error("connection {nr} of {all} to {address} failed")]
    Connect { nr: usize, all: usize, address: SocketAddr, source: io::Error },
    #[error("the server has greeted {greeted} of {all} connections, and nobody else for {:.0} s", .waited.as_secs_f64())]
    NotGreeted { greeted: usize, all: usize, waited: Duration },
    #[error("the server refused a join: {line}")]
    JoinRefused { line: String },
    #[error("{joined} of {all} members were told that they are in their room, and nobody else for {:.0} s", .waited.as_secs_f64())]
    NotJoined { joined: usize, all: usize, waited: Duration },
    #[error("the server closed connection {nr} of {all} {}{}", spell(*.after), quote(.last_words.as_deref()))]
    Closed { nr: usize, all: usize, after: Duration, last_words: Option<String> },
    #[error("connection {nr} of {all} broke {}{}", spell(*.after), quote(.last_words.as_deref()))]
    Broke { nr: usize, all: usize, after: Duration, last_words: Option<String>, source: io::Error },
    #[error(
        "the server does not speak HTTP: it began with {begins:?}; is this the address of its HTTP listener?"
    )]
    NotHttp { begins: String },
    #[error("the server won't speak WebSocket at {path}: {status}{}", colon(.says))]
    NotUpgraded { path: &'static str, status: String, says: String },
    #[error("the server refuses Socket.IO's namespace /: {packet}")]
    NamespaceRefused { packet: String },
    #[error("the server does not greet as Socket.IO does: {packet}")]
    Unexpected { packet: String },
    #[error("the server sent a frame that is {what}")]
    WrongFrame { what: &'static str },
    #[error("the server sent {bytes} bytes without a line ending")]
    EndlessLine { bytes: usize },
    #[error("nothing that was said has reached anybody; is this a chat server that speaks {protocol}?")]
    NothingDelivered { protocol: &'static str },
    #[error("nothing that was said has reached anybody, and the server says: {line}")]
    Refused { line: String },
    #[error("{scenario}, {subject}: deliveries went wrong\n{table}")]
    Flawed { scenario: &'static str, subject: String, table: String },
    #[error("there is no server in {folder}: a folder in it with a program `run` is one")]
    NoPeers { folder: String },
    #[error("{scenario}: the system does not tell what the server used")]
    NoFigure { scenario: &'static str },
    #[error("the server under test can't be started: {what}")]
    Start { what: String },
    #[error("{what} is impossible here")]
    System { what: &'static str, source: io::Error },
}

impl Failure {
    /// For errors of the system.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Failure {
        move |source| Failure::System { what, source }
    }
}

fn quote(words: Option<&str>) -> String {
    words.map_or_else(String::new, |words| format!(", after saying: {words}"))
}

fn colon(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

fn spell(time: Duration) -> String {
    format!("after {:.1} s", time.as_secs_f64())
}
