//! Madang's load generator.
//!
//! [`run`] carries out a [`Plan`] against any server of lines, of JSON over WebSocket or of Socket.IO: everybody connects and joins ([`arrive`]), publishers
//! speak ([`load`]), every single delivery is verified ([`verify`]), and a [`Report`] says what it took. [`versus`] does
//! so for a Madang server and for the [`floor`], the least that could do its work, in turns.
//!
//! It is one thread with one epoll loop and no allocation for each message, so that it costs far less than what it
//! measures; and it watches itself, so that it never reports its own limit as the server's.
//!
//! [`arrive`]: mod@arrive
//! [`load`]: mod@load

mod arrive;
mod crowd;
mod dialect;
mod ears;
mod failure;
pub mod floor;
mod frame;
mod histogram;
mod load;
mod machine;
mod payload;
mod plan;
mod proc;
mod progress;
mod report;
mod run;
pub mod verify;
pub mod versus;
mod watch;
mod wire;

pub use ears::Strangeness;
pub use failure::Failure;
pub use payload::PAYLOAD_BYTES_MIN;
pub use plan::{Pace, Plan, PlanError, Protocol, SIZE_MAX, WINDOW_MAX};
pub use report::{GeneratorFigures, LatencyUs, Report, ServerFigures, Speed};
pub use run::run;
pub use watch::Watched;
