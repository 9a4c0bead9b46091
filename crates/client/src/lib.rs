//! The async client of a Madang server: say, listen, lose the connection, and go on without a hole.
//!
//! [`Client::connect`] opens a TCP connection to a chat door, switches it to JSON lines and gives two handles:
//! a [`Client`] to ask with (cheap to clone) and [`Events`] to listen to. A lost connection is made again with
//! back-off; the session is resumed, its rooms are joined again after the last event that was seen, and messages
//! that had no answer yet are sent again under the same key, so that each is said once.
//!
//! ```no_run
//! use madang_client::{Client, Event, Options, What};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let (client, mut events) = Client::connect("127.0.0.1:2022", Options::new().nick("mina")).await?;
//! let room = client.join("plaza").await?;
//! println!("{} are here", room.count);
//! client.say("plaza", "hello").await?;
//! while let Some(event) = events.next_event().await {
//!     match event {
//!         Event::Logged(logged) => {
//!             if let What::Said { from, text } = logged.what {
//!                 println!("{} <{from}> {text}", logged.seq);
//!             }
//!         }
//!         Event::Disconnected { why, retry_in } => println!("{why}, trying again in {retry_in:?}"),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # What holds
//!
//! - In each room, [`Event::Logged`] comes in order of `seq` and each `seq` once, over any number of reconnects. A
//!   missing range is told by [`Event::Gap`] before anything newer, never skipped silently.
//! - Nothing here grows without end: see [`limits`].
//! - What other people wrote comes as the server sent it. A Madang server takes control characters out; a program
//!   that prints to a terminal should still do so itself.
//!
//! Elsewhere: what people type and see (`madang chat`), the server.

mod backoff;
mod client;
mod driver;
mod error;
mod event;
pub mod limits;
mod link;
mod op;
mod options;
mod reply;
mod rooms;

pub use client::{Client, Events, SayReceipt};
pub use error::{Closing, ConnectError, Error, Lost, Refusal};
pub use event::{Bye, Change, Event, Logged, Presence, What};
pub use options::Options;
pub use reply::{History, Joined, RoomRow, Session, Who};
