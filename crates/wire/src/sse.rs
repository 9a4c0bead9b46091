//! Server-sent events (WHATWG HTML, section 9.2): a room's log for a plain GET.
//!
//! Each event of the log has its `seq` as `id`, so that a browser that comes back says by itself what it has seen.
//! What has no `seq` has no `id`, and so changes nothing about that. What is encoded is JSON on one line ([`crate::json`]):
//! no text in it can end an event early.

use madang_room::RoomName;

use crate::json::{self, Object};
use crate::{Happening, Notice};

/// A comment, to be sent each 15 s: nobody between us takes the connection for dead.
pub const KEEP_ALIVE: &[u8] = b": \n\n";

/// Writes the first of a stream: which epoch the numbers are of.
pub fn encode_begin(out: &mut Vec<u8>, epoch: &str) {
    data(out, |out| {
        let mut begin = Object::begin(out);
        begin.text("epoch", epoch);
        begin.end();
    });
}

/// Writes an event of the log; nothing for presence, which this door does not tell.
pub fn encode_happening(out: &mut Vec<u8>, room: &RoomName, happening: Happening<'_>) {
    if let Happening::Logged(entry) = happening {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(itoa::Buffer::new().format(entry.seq.0).as_bytes());
        out.push(b'\n');
        data(out, |out| json::encode_happening(out, room, happening));
    }
}

/// Writes a gap, an error or a goodbye; nothing for what is told to members alone.
pub fn encode_notice(out: &mut Vec<u8>, notice: &Notice) {
    match notice {
        Notice::Greeting { .. } | Notice::Told { .. } => {}
        Notice::Gap { .. } | Notice::Error(_) | Notice::Bye(_) => {
            data(out, |out| json::encode_notice(out, notice));
        }
    }
}

fn data(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"data: ");
    write(out);
    out.extend_from_slice(b"\n\n");
}
