//! How a protocol says what a run needs: join a room, leave one, say something; and how it answers.

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
    /// What a new connection sends to be in a room.
    pub(crate) fn join(self, room: &str, leave: Option<&str>) -> String {
        match (self, leave) {
            (Protocol::Line, None) => format!("/join {room}\n"),
            (Protocol::Line, Some(landing)) => format!("/join {room}\n/leave {landing}\n"),
            (Protocol::Json, _) => {
                format!("/json\n{{\"op\":\"join\",\"room\":\"{room}\",\"echo\":false,\"id\":1}}\n")
            }
        }
    }

    /// Is this line the answer to that?
    pub(crate) fn answer(self, line: &[u8]) -> Answer {
        match self {
            Protocol::Line if line.starts_with(b"* in ") => Answer::Joined,
            Protocol::Line if line.starts_with(b"! ") => Answer::Refused,
            Protocol::Json if line.starts_with(b"{\"re\":1,\"error\"") => Answer::Refused,
            Protocol::Json if line.starts_with(b"{\"re\":1,") => Answer::Joined,
            Protocol::Json if line.starts_with(b"{\"ev\":\"error\"") => Answer::Refused,
            Protocol::Line | Protocol::Json => Answer::Other,
        }
    }

    /// What stands before and after the text of a message.
    pub(crate) fn around_words(self, room: &str) -> (String, &'static str) {
        match self {
            Protocol::Line => (String::new(), "\n"),
            Protocol::Json => (format!("{{\"op\":\"say\",\"room\":\"{room}\",\"text\":\""), "\"}\n"),
        }
    }

    /// Does the server say with this line that something went wrong, or that it is leaving?
    pub(crate) fn is_complaint(self, line: &[u8]) -> bool {
        match self {
            Protocol::Line => line.starts_with(b"! ") || line.starts_with(b"* bye"),
            Protocol::Json => self.answer(line) == Answer::Refused || line.starts_with(b"{\"ev\":\"bye\""),
        }
    }
}
