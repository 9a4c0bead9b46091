//! What a shard needs of the outside: sockets that never block, and a way to other shards. The real one is `driver`;
//! in tests both are memory.

use std::io::{self, IoSlice};

use crate::message::Message;
use crate::placement::ShardId;

/// The outside of a shard.
pub(crate) trait Net {
    /// A connection.
    type Socket;

    /// Reads what is there. `WouldBlock` when nothing is.
    fn read(&mut self, socket: &mut Self::Socket, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes as much as the system takes at once. `WouldBlock` when that is nothing.
    fn write(&mut self, socket: &mut Self::Socket, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Asks to be told when the socket can be written, or no longer.
    fn want_write(&mut self, socket: &mut Self::Socket, slot: u32, wanted: bool);

    /// Sends FIN: nothing more will be written.
    fn finish(&mut self, socket: &mut Self::Socket);

    /// Bytes that were written and have not left yet, where that can be known: the socket is to be replaced.
    fn unsent(&mut self, socket: &Self::Socket) -> Vec<u8>;

    /// Closes; with `reset`, at once and with RST, whatever is still unsent.
    fn close(&mut self, socket: Self::Socket, reset: bool);

    /// Hands messages to another shard.
    fn send(&mut self, shard: ShardId, messages: Vec<Message>);
}
