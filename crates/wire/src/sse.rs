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

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::samples::{self, entry, room};

    #[test]
    fn a_stream_is_numbered_by_the_log() {
        let mut out = Vec::new();
        encode_begin(&mut out, "e7");
        for event in samples::events() {
            encode_happening(&mut out, &room("plaza"), Happening::Logged(&entry(813, event)));
        }
        for presence in samples::presences() {
            encode_happening(&mut out, &room("plaza"), Happening::Presence(&presence));
        }
        samples::notices().iter().for_each(|notice| encode_notice(&mut out, notice));
        expect![[r#"
            data: {"epoch":"e7"}

            id: 813
            data: {"ev":"created","room":"plaza","seq":813,"at":"2026-11-20T10:00:00.123Z","from":"mina"}

            id: 813
            data: {"ev":"said","room":"plaza","seq":813,"at":"2026-11-20T10:00:00.123Z","from":"jun","text":"hi"}

            id: 813
            data: {"ev":"topic","room":"plaza","seq":813,"at":"2026-11-20T10:00:00.123Z","from":"mina","text":"today"}

            id: 813
            data: {"ev":"capacity","room":"plaza","seq":813,"at":"2026-11-20T10:00:00.123Z","from":"mina","capacity":5}

            data: {"ev":"gap","room":"plaza","from_seq":811,"to_seq":930}

            data: {"ev":"gap","room":"plaza","from_seq":811,"to_seq":810}

            data: {"ev":"error","code":"not_a_member","message":"you are in no room, join one first: /join plaza"}

            data: {"ev":"bye","why":"shutdown","resume":true,"retry_ms":2001}

            data: {"ev":"bye","why":"idle","resume":true}

        "#]].assert_eq(str::from_utf8(&out).unwrap());
    }

    #[test]
    fn a_sign_of_life_is_a_comment() {
        assert!(KEEP_ALIVE.starts_with(b":") && KEEP_ALIVE.ends_with(b"\n\n"));
    }

    #[test]
    fn no_text_ends_an_event() {
        let mut out = Vec::new();
        let text = "a\n\ndata: {}\r\n\rid: 9\u{2028}b";
        encode_happening(&mut out, &room("plaza"), Happening::Logged(&entry(1, samples::said("jun", text))));
        let lines: Vec<&[u8]> = out.split(|byte| matches!(byte, b'\n' | b'\r')).collect();
        assert_eq!(lines.len(), 4, "id, data, and the empty line that ends it");
        assert!(lines[2].is_empty() && lines[3].is_empty());
    }
}
