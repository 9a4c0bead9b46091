//! Those who come in by HTTP.

use super::{Home, Surroundings};
use crate::arrival::Arrival;
use crate::net::Net;

impl<N: Net> Home<N> {
    /// Takes somebody who came in by HTTP.
    pub(crate) fn arrive(&mut self, arrival: Arrival<N::Socket>, around: &mut Surroundings<'_, N>) {
        let _ = (arrival, around);
    }

    /// The Socket.IO session in that slot goes on over another socket.
    pub(crate) fn upgrade(
        &mut self,
        slot: u32,
        sid: &str,
        socket: N::Socket,
        input: Vec<u8>,
        around: &mut Surroundings<'_, N>,
    ) {
        let _ = (slot, sid, socket, input, around);
    }
}
