//! What can go wrong, by whose doing it is: the server said no, the connection failed, or the outcome is unknown.

use std::io;

use serde::Deserialize;

use crate::Bye;
use crate::limits::{ANSWER_TIMEOUT, COMMANDS_WAITING_MAX, CONNECT_TIMEOUT, LINE_BYTES_MAX, SILENCE_MAX};

/// The server said no. Nothing changed, unless `code` is `unknown`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// For programs: `room_full`, `nick_taken`, ... as the protocol lists them.
    pub code: String,
    /// For people: what is wrong and what would be right.
    #[serde(default)]
    pub message: String,
}

/// Why there is no connection to begin with.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name could not be resolved, nobody listens, the network is away.
    #[error("can't connect to {addr}")]
    Io {
        /// Where to.
        addr: String,
        /// What the system said.
        source: io::Error,
    },
    /// No answer within [`CONNECT_TIMEOUT`].
    #[error("{addr} did not answer within {CONNECT_TIMEOUT:?}")]
    TimedOut {
        /// Where to.
        addr: String,
    },
    /// The server does not want this client, or not under that nickname.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Something answers there, but it is no Madang chat door.
    #[error("{addr} does not speak like a Madang chat door: {found:?}")]
    NotMadang {
        /// Where to.
        addr: String,
        /// The beginning of what came instead.
        found: String,
    },
}

/// Why a command has no good answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The server said no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no connection now, and only messages wait for one. Nothing was sent.
    #[error("not connected: the client is trying to come back, ask again then")]
    NotConnected,
    /// The connection was lost before the answer came. It may have happened.
    #[error("the connection was lost before the answer came; it may have happened")]
    Lost,
    /// [`COMMANDS_WAITING_MAX`] messages already wait for the connection. Nothing was sent.
    #[error("{COMMANDS_WAITING_MAX} messages already wait for the connection")]
    QueueFull,
    /// No answer within [`ANSWER_TIMEOUT`]. It may still happen.
    #[error("no answer within {ANSWER_TIMEOUT:?}; it may still happen")]
    TimedOut,
    /// The client has been closed. Nothing was sent.
    #[error("the connection is closed")]
    Closed,
    /// The answer was not what the protocol promises.
    #[error("the server's answer made no sense: {0}")]
    BadReply(String),
}

/// How a connection was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The server closed it, with this farewell or none.
    #[error("the server closed the connection{}", .0.as_ref().map(|bye| format!(" ({})", bye.why)).unwrap_or_default())]
    Closed(Option<Bye>),
    /// The system reports an error.
    #[error("{0}")]
    Io(String),
    /// Not even a `ping` was answered.
    #[error("the server has been silent for {SILENCE_MAX:?}")]
    Silent,
    /// It sent what is no JSON line, or one of more than [`LINE_BYTES_MAX`] bytes.
    #[error("the server sent nonsense: {0}")]
    Nonsense(String),
    /// Coming back failed.
    #[error("{0}")]
    NotBack(String),
}

impl Lost {
    pub(crate) fn too_long() -> Lost {
        Lost::Nonsense(format!("a line of more than {LINE_BYTES_MAX} bytes"))
    }
}

/// Why a client is closed and does not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It was asked to: [`finish`](crate::Client::finish), [`bye`](crate::Client::bye), or every handle is gone.
    Asked,
    /// It was asked to finish, but the connection broke before the server's end came.
    Broken(Lost),
    /// The server said that coming back makes no sense.
    ByServer(Bye),
}
