//! How a protocol says what a run needs: join a room, leave one, say something; and how it answers.

use crate::frame;
use crate::plan::Protocol;

/// How one answers to a `/join`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Joined,
    Refused,
    /// Who came, what was said, whatever.
    Other,
}

impl Protocol {
    /// As people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Protocol::Line => "lines",
            Protocol::Json => "JSON lines",
            Protocol::WebSocket => "JSON over WebSocket",
            Protocol::SocketIo => "Socket.IO over WebSocket",
        }
    }

    /// Where its WebSocket is, for those that go by HTTP.
    pub(crate) fn path(self) -> Option<&'static str> {
        match self {
            Protocol::Line | Protocol::Json => None,
            Protocol::WebSocket => Some("/ws"),
            Protocol::SocketIo => Some("/socket.io/?EIO=4&transport=websocket"),
        }
    }

    /// What a new connection sends to be in a room.
    pub(crate) fn join(self, room: &str, leave: Option<&str>) -> Vec<u8> {
        let op = format!("{{\"op\":\"join\",\"room\":\"{room}\",\"echo\":false,\"id\":1}}");
        match (self, leave) {
            (Protocol::Line, None) => format!("/join {room}\n").into_bytes(),
            (Protocol::Line, Some(landing)) => format!("/join {room}\n/leave {landing}\n").into_bytes(),
            (Protocol::Json, _) => format!("/json\n{op}\n").into_bytes(),
            (Protocol::WebSocket, _) => text(&op),
            (Protocol::SocketIo, _) => text(&format!("420[\"join\",{{\"room\":\"{room}\",\"echo\":false}}]")),
        }
    }

    /// Is this the answer to that?
    pub(crate) fn answer(self, line: &[u8]) -> Answer {
        let refusals: &[&[u8]] = match self {
            Protocol::Line => &[b"! "],
            Protocol::Json | Protocol::WebSocket => &[b"{\"re\":1,\"error\"", b"{\"ev\":\"error\""],
            Protocol::SocketIo => &[b"430[{\"error\"", b"42[\"error\"", b"44", b"41"],
        };
        let joined: &[u8] = match self {
            Protocol::Line => b"* in ",
            Protocol::Json | Protocol::WebSocket => b"{\"re\":1,",
            Protocol::SocketIo => b"430[",
        };
        match line {
            _ if refusals.iter().any(|refusal| line.starts_with(refusal)) => Answer::Refused,
            _ if line.starts_with(joined) => Answer::Joined,
            _ => Answer::Other,
        }
    }

    /// Must a server answer to a join? Some servers of lines don't.
    pub(crate) fn always_answers(self) -> bool {
        self.path().is_some()
    }

    /// What stands before and after the text of a message, of so many bytes.
    pub(crate) fn around_words(self, room: &str, size: usize) -> (Vec<u8>, &'static str) {
        let op = format!("{{\"op\":\"say\",\"room\":\"{room}\",\"text\":\"");
        let event = format!("42[\"say\",{{\"room\":\"{room}\",\"text\":\"");
        let framed = |before: String, after: &'static str| {
            let mut frame = Vec::new();
            frame::push_text_header(before.len() + size + after.len(), &mut frame);
            frame.extend_from_slice(before.as_bytes());
            (frame, after)
        };
        match self {
            Protocol::Line => (Vec::new(), "\n"),
            Protocol::Json => (op.into_bytes(), "\"}\n"),
            Protocol::WebSocket => framed(op, "\"}"),
            Protocol::SocketIo => framed(event, "\"}]"),
        }
    }

    /// Does the server say with this line that something went wrong, or that it is leaving?
    pub(crate) fn is_complaint(self, line: &[u8]) -> bool {
        let goodbye: &[u8] = match self {
            Protocol::Line => b"* bye",
            Protocol::Json | Protocol::WebSocket => b"{\"ev\":\"bye\"",
            Protocol::SocketIo => b"42[\"bye\"",
        };
        self.answer(line) == Answer::Refused || line.starts_with(goodbye)
    }

    /// Hands on each line or message in what a connection has read.
    #[inline]
    pub(crate) fn each(self, records: &[u8], mut hear: impl FnMut(&[u8])) {
        if self.path().is_some() {
            frame::messages(records).for_each(hear);
            return;
        }
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', records) {
            hear(&records[start..end]);
            start = end + 1;
        }
    }
}

fn text(payload: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    frame::push_text(payload.as_bytes(), &mut frame);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        use Answer::{Joined, Other, Refused};
        for (protocol, line, answer) in [
            (Protocol::Line, "* in garden (2 here)", Joined),
            (Protocol::Line, "! room_full: duo-7 holds 2 and is full", Refused),
            (Protocol::Json, r#"{"re":1,"room":"garden"}"#, Joined),
            (Protocol::WebSocket, r#"{"re":1,"error":{"code":"room_full"}}"#, Refused),
            (Protocol::WebSocket, r#"{"ev":"joined"}"#, Other),
            (Protocol::SocketIo, r#"430[{"room":"garden"}]"#, Joined),
            (Protocol::SocketIo, "430[]", Joined),
            (Protocol::SocketIo, r#"430[{"error":{"code":"room_full"}}]"#, Refused),
            (Protocol::SocketIo, r#"42["joined",{}]"#, Other),
            (Protocol::SocketIo, "41", Refused),
        ] {
            assert_eq!(protocol.answer(line.as_bytes()), answer, "{protocol:?} {line}");
        }
    }

    #[test]
    fn what_stands_around_the_words_makes_a_whole_frame_with_them() {
        for (protocol, whole) in [
            (Protocol::WebSocket, r#"{"op":"say","room":"r","text":"hello"}"#),
            (Protocol::SocketIo, r#"42["say",{"room":"r","text":"hello"}]"#),
        ] {
            let (before, after) = protocol.around_words("r", 5);
            assert_eq!([&before, &b"hello"[..], after.as_bytes()].concat(), text(whole));
        }
    }
}
