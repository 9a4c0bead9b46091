//! The whole system: the real program, real sockets, files and processes, and the tools that people have already.
//!
//! What rooms, sessions and shards do is tested in memory (`crates/server/src/tests`), in microseconds. Here is what only
//! a real system shows: that a half-closed connection is answered through a real TCP, that what was acknowledged is
//! there after `kill -9`, that a full disk, a lack of descriptors or ten thousand silent peers take nothing down.
//! Everything happens on loopback; a server is ended by whoever started it, by its own process id.

mod announcement;
mod bad_input;
mod crowds;
mod disk;
mod ends;
mod half_close;
mod harness;
mod http;
mod http_attacks;
mod kinds;
mod mistakes;
mod people;
mod polling;
mod restarts;
mod resuming;
mod vault;
