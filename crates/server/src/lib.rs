//! Madang's server: shards, sessions and doors.
//!
//! Start reading at `shard`: it is one thread's rooms (`rooms`), names
//! (`directory`) and connections (`home`), which speak to each other, and to other shards, in `message`s. `driver`
//! is the thread around it, `porter` the one that accepts, `server` the whole.
//!
//! This crate never parses bytes by hand (`madang-wire` does) and never decides what a room allows (`madang-room`).

mod addresses;
mod arrival;
mod batch;
mod bucket;
mod clock;
pub mod config;
mod directory;
mod driver;
mod hall;
mod home;
mod http;
mod message;
mod metrics;
mod net;
mod pipe;
mod placement;
mod porter;
mod rooms;
mod server;
mod shard;
#[cfg(test)]
mod tests;
mod token;

pub use arrival::App;
pub use server::{Server, StartError, Stopper};
