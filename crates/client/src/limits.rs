//! Every bound of this client: its unit, its reason, and what happens when it is reached.

use std::time::Duration;

/// Bytes in one line from the server. A longer one ends the connection ([`Lost::Nonsense`](crate::Lost)), and the
/// client comes back. It holds [`HISTORY_EVENTS_MAX`] messages of 4,096 bytes, escaped, with room to spare.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;

/// Events asked for at once by `history`, so that the answer fits into one line. A larger limit counts as this.
pub const HISTORY_EVENTS_MAX: u32 = 100;

/// Events that wait for [`Events::next_event`](crate::Events::next_event). When they are this many, the client
/// reads no further: the server then skips for it and says so (`gap`), as for any slow member.
pub const EVENTS_WAITING_MAX: usize = 1024;

/// Commands without an answer, and messages kept while there is no connection. More wait (connected) or are
/// refused with [`Error::QueueFull`](crate::Error) (not connected).
pub const COMMANDS_WAITING_MAX: usize = 256;

/// Live events of one room that wait while a gap before them is being fetched. More are let go and fetched too.
pub const HELD_EVENTS_MAX: usize = 1024;

/// Bytes written but not yet taken by the socket. Above it no further command is taken.
pub const UNWRITTEN_BYTES_MAX: usize = 256 * 1024;

/// How long connecting and greeting may take together.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer may take; then the call ends with [`Error::TimedOut`](crate::Error). Not for messages, which
/// wait for as long as there is hope.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// After this much silence the client asks (`ping`); after [`SILENCE_MAX`] more, the connection counts as lost.
/// A dead peer or network is noticed after half a minute, long before TCP would.
pub const PROBE_AFTER: Duration = Duration::from_secs(20);

/// How long the server may leave a probe, or a finished connection, without a sign of life.
pub const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The longest wait that a server may ask for in `bye`.
pub const RETRY_ASKED_MAX: Duration = Duration::from_secs(60);

const _: () = assert!(LINE_BYTES_MAX > HISTORY_EVENTS_MAX as usize * (2 * 4096 + 512));
