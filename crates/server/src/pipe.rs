//! A connection without a socket of its own: what HTTP requests carry for it, piece by piece.
//!
//! A Socket.IO client that polls, a stream of server-sent events and a single call of the HTTP API are connections
//! like any other to their shard. Their socket is one end of a pipe; the other end is held by the HTTP door, on a
//! thread of its own. Both ends are bounded, and each wakes the other only when there is something to do.
//!
//! Elsewhere: what is written into it (`home`), and how it gets into requests and responses (`http`).

use std::io::{self, ErrorKind, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::driver::{Inbox, Mailbox};

/// Bytes that may wait in a pipe for the client to fetch them; its shard keeps the rest as for any slow client.
const WAITING_BYTES_MAX: usize = 64 * 1024;

/// The shard's end.
#[derive(Debug)]
pub(crate) struct Pipe(Arc<Shared>);

/// The door's end. When it is dropped, the client is gone; or it goes on by another way, if that was said before.
#[derive(Debug)]
pub(crate) struct PipeDoor {
    shared: Arc<Shared>,
    shard: Mailbox,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Told when the shard has written or ended something.
    changed: Notify,
    /// Told when the shard has read everything, or ended.
    was_read: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// From the client, not yet read.
    input: Vec<u8>,
    /// The client says nothing more.
    input_has_ended: bool,
    /// For the client, not yet fetched.
    output: Vec<u8>,
    /// The shard says nothing more.
    output_has_ended: bool,
    /// The shard had more to write.
    wants_write: bool,
    /// Where the connection lives on its shard, once it does.
    slot: Option<u32>,
    /// The client goes on by another way: what waits here is taken along.
    is_handed_over: bool,
}

/// A new pipe to a connection on the shard of that mailbox.
pub(crate) fn pipe(shard: Mailbox) -> (Pipe, PipeDoor) {
    let shared = Arc::new(Shared::default());
    (Pipe(shared.clone()), PipeDoor { shared, shard })
}

impl Shared {
    /// No code that holds the lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipe {
    /// The connection lives there from now on: what the door does wakes it.
    pub(crate) fn attach(&self, slot: u32) {
        self.0.lock().slot = Some(slot);
    }

    pub(crate) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.0.lock();
        if state.input.is_empty() {
            return if state.input_has_ended { Ok(0) } else { Err(ErrorKind::WouldBlock.into()) };
        }
        let bytes = buffer.len().min(state.input.len());
        buffer[..bytes].copy_from_slice(&state.input[..bytes]);
        state.input.drain(..bytes);
        if state.input.is_empty() {
            state.input = Vec::new();
            self.0.was_read.notify_one();
        }
        Ok(bytes)
    }

    pub(crate) fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.0.lock();
        let mut written = 0;
        for slice in slices {
            let space = WAITING_BYTES_MAX.saturating_sub(state.output.len());
            let bytes = space.min(slice.len());
            state.output.extend_from_slice(&slice[..bytes]);
            written += bytes;
        }
        // Under the same lock: a client that fetches right after this must know that there is more.
        state.wants_write = written < slices.iter().map(|slice| slice.len()).sum();
        drop(state);
        if written == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.0.changed.notify_one();
        Ok(written)
    }

    /// Nothing more will be written.
    pub(crate) fn finish(&self) {
        self.0.lock().output_has_ended = true;
        self.0.changed.notify_one();
        self.0.was_read.notify_one();
    }

    /// Takes what the client has not fetched: it goes on by another way.
    pub(crate) fn take_output(&self) -> Vec<u8> {
        let mut state = self.0.lock();
        state.output_has_ended = true;
        std::mem::take(&mut state.output)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.finish();
    }
}

/// What there is to fetch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fetched {
    Bytes(Vec<u8>),
    /// Nothing at this moment.
    Nothing,
    /// Nothing any more.
    Ended,
}

impl PipeDoor {
    /// Passes on what the client has sent. False where nobody listens any more.
    pub(crate) fn send(&self, bytes: &[u8]) -> bool {
        let mut state = self.shared.lock();
        state.input.extend_from_slice(bytes);
        let is_open = !state.output_has_ended;
        self.wake(state, true, false);
        is_open
    }

    /// How much the shard has not read yet: a client that sends more than it lets the shard take has to wait.
    pub(crate) fn unread(&self) -> usize {
        self.shared.lock().input.len()
    }

    /// Waits until the shard has read everything, or has ended. One at a time may wait.
    pub(crate) async fn was_read(&self) {
        while self.unread() > 0 && !self.has_ended() {
            self.shared.was_read.notified().await;
        }
    }

    /// The client has gone, or says nothing more: what it has sent is still carried out.
    pub(crate) fn hang_up(&self) {
        let mut state = self.shared.lock();
        state.input_has_ended = true;
        self.wake(state, true, false);
    }

    /// Fetches as much of what waits as `take` says; it is shown all of it.
    pub(crate) fn fetch(&self, take: impl FnOnce(&[u8]) -> usize) -> Fetched {
        let mut state = self.shared.lock();
        let bytes = take(&state.output).min(state.output.len());
        if bytes == 0 {
            return if state.output_has_ended { Fetched::Ended } else { Fetched::Nothing };
        }
        let rest = state.output.split_off(bytes);
        let fetched = std::mem::replace(&mut state.output, rest);
        if std::mem::take(&mut state.wants_write) {
            self.wake(state, false, true);
        }
        Fetched::Bytes(fetched)
    }

    /// Where the connection lives on its shard, once it does.
    pub(crate) fn slot(&self) -> Option<u32> {
        self.shared.lock().slot
    }

    pub(crate) fn shard(&self) -> &Mailbox {
        &self.shard
    }

    /// The client goes on by another way, which its shard has been told of. Nothing is fetched any more.
    pub(crate) fn hand_over(&self) {
        self.shared.lock().is_handed_over = true;
    }

    /// Waits until there may be something to fetch. One at a time may wait.
    pub(crate) async fn changed(&self) {
        self.shared.changed.notified().await;
    }

    /// Has the shard ended the connection?
    pub(crate) fn has_ended(&self) -> bool {
        self.shared.lock().output_has_ended
    }

    fn wake(&self, state: MutexGuard<'_, State>, readable: bool, writable: bool) {
        if let Some(slot) = state.slot {
            drop(state);
            self.shard.send(Inbox::Ready { slot, readable, writable });
        }
    }
}

impl Drop for PipeDoor {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if state.is_handed_over {
            return;
        }
        state.input_has_ended = true;
        // What was not fetched stays: the connection may be about to go on over a socket of its own.
        self.wake(state, true, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::Driver;

    fn write(pipe: &Pipe, bytes: &[u8]) -> io::Result<usize> {
        pipe.write(&[IoSlice::new(bytes)])
    }

    #[test]
    fn what_goes_in_comes_out_and_ends_are_seen() {
        let driver = Driver::new().unwrap();
        let (pipe, door) = pipe(driver.mailbox());
        let mut buffer = [0; 4];
        assert_eq!(pipe.read(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(door.send(b"hello"));
        assert_eq!((pipe.read(&mut buffer).unwrap(), &buffer), (4, b"hell"));
        assert_eq!((pipe.read(&mut buffer).unwrap(), buffer[0]), (1, b'o'));
        assert_eq!(door.fetch(<[u8]>::len), Fetched::Nothing);
        write(&pipe, b"bye").unwrap();
        pipe.finish();
        assert_eq!(door.fetch(|waiting| waiting.len() - 1), Fetched::Bytes(b"by".to_vec()));
        assert_eq!(door.fetch(<[u8]>::len), Fetched::Bytes(b"e".to_vec()));
        assert_eq!(door.fetch(<[u8]>::len), Fetched::Ended);
        drop(door);
        assert_eq!(pipe.read(&mut buffer).unwrap(), 0, "the client has gone");
    }

    #[test]
    fn what_was_not_fetched_can_still_go_out_another_way() {
        let driver = Driver::new().unwrap();
        let (pipe, door) = pipe(driver.mailbox());
        write(&pipe, b"hello").unwrap();
        drop(door);
        assert_eq!(pipe.take_output(), b"hello");
    }

    #[test]
    fn a_full_pipe_takes_no_more_until_something_is_fetched_and_then_says_so() {
        let driver = Driver::new().unwrap();
        let (pipe, door) = pipe(driver.mailbox());
        pipe.attach(7);
        let much = vec![b'x'; WAITING_BYTES_MAX + 1];
        assert_eq!(write(&pipe, &much).unwrap(), WAITING_BYTES_MAX);
        assert_eq!(write(&pipe, b"x").unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(driver.received().is_none());
        door.fetch(|_| 1);
        let woken = driver.received();
        assert!(matches!(woken, Some(Inbox::Ready { slot: 7, writable: true, .. })));
        assert_eq!(write(&pipe, b"x").unwrap(), 1);
        door.fetch(|_| 1);
        assert!(driver.received().is_none(), "nothing was left over this time");
    }
}
