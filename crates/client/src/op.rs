//! The lines themselves: commands to JSON, and JSON to replies and events.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Bye, Event, Logged, Presence, Refusal};

/// One command, without its `id`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Op {
    Hello {
        #[serde(skip_serializing_if = "Option::is_none")]
        nick: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        resume: Option<String>,
    },
    Nick {
        nick: String,
    },
    Join {
        room: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        epoch: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        capacity: Option<u32>,
    },
    Leave {
        room: String,
    },
    Say {
        room: String,
        text: String,
        key: String,
    },
    Topic {
        room: String,
        text: String,
    },
    Capacity {
        room: String,
        capacity: u32,
    },
    Tell {
        to: String,
        text: String,
    },
    Rooms {
        #[serde(skip_serializing_if = "Option::is_none")]
        prefix: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
    },
    Who {
        room: String,
    },
    History {
        room: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        after: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
        limit: u32,
    },
    Ping,
    Bye,
}

/// Writes `op` as one line, with its ending.
pub(crate) fn encode(op: &Op, id: u64, out: &mut Vec<u8>) {
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(flatten)]
        op: &'a Op,
        id: u64,
    }
    // Writing strings and numbers into memory has no way to fail.
    serde_json::to_writer(&mut *out, &Line { op, id }).expect("an op is always JSON");
    out.push(b'\n');
}

/// One line from the server.
#[derive(Debug)]
pub(crate) enum Incoming {
    /// The answer to the command with this id.
    Reply(u64, Result<Value, Refusal>),
    /// Something happened. Never one of the connection's own events.
    Event(Event),
    /// Of a kind that this client does not know, which newer servers may send.
    Unknown,
}

/// Reads one line. An error means that the peer does not speak the protocol.
pub(crate) fn decode(line: &[u8]) -> Result<Incoming, serde_json::Error> {
    let mut value: Value = serde_json::from_slice(line)?;
    if let Some(re) = value.get("re") {
        let Some(id) = re.as_u64() else { return Ok(Incoming::Unknown) };
        return Ok(match value.get_mut("error") {
            Some(error) => Incoming::Reply(id, Err(serde_json::from_value(error.take())?)),
            None => Incoming::Reply(id, Ok(value)),
        });
    }
    let event = match value.get("ev").and_then(Value::as_str) {
        None => return Ok(Incoming::Unknown),
        Some(_) if value.get("seq").is_some() => Event::Logged(serde_json::from_value::<Logged>(value)?),
        Some("joined" | "left" | "renamed" | "count") => {
            Event::Presence(serde_json::from_value::<Presence>(value)?)
        }
        Some("error") => Event::Refused(serde_json::from_value(value)?),
        Some("bye") => Event::Bye(serde_json::from_value::<Bye>(value)?),
        Some("told") => {
            let Told { from, text } = serde_json::from_value(value)?;
            Event::Told { from, text }
        }
        Some("gap") => {
            let Gap { room, from_seq, to_seq } = serde_json::from_value(value)?;
            Event::Gap { room, from_seq, to_seq }
        }
        Some(_) => return Ok(Incoming::Unknown),
    };
    Ok(Incoming::Event(event))
}

#[derive(Deserialize)]
struct Told {
    from: String,
    text: String,
}

#[derive(Deserialize)]
struct Gap {
    room: String,
    from_seq: u64,
    to_seq: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::What;

    fn event(line: &str) -> Event {
        match decode(line.as_bytes()) {
            Ok(Incoming::Event(event)) => event,
            other => panic!("{line} is {other:?}"),
        }
    }

    #[test]
    fn a_command_is_one_line_without_what_is_not_given() {
        let mut out = Vec::new();
        let op = Op::Join { room: "plaza".into(), after: Some(810), epoch: None, capacity: None };
        encode(&op, 2, &mut out);
        encode(&Op::Ping, 3, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "{\"op\":\"join\",\"room\":\"plaza\",\"after\":810,\"id\":2}\n{\"op\":\"ping\",\"id\":3}\n"
        );
    }

    #[test]
    fn events_are_told_apart_by_name_and_by_seq() {
        let said = event(r#"{"ev":"said","room":"plaza","seq":7,"at":"t","from":"jun","text":"hi","new":1}"#);
        let what = What::Said { from: "jun".into(), text: "hi".into() };
        assert_eq!(said, Event::Logged(Logged { room: "plaza".into(), seq: 7, at: "t".into(), what }));
        assert!(matches!(event(r#"{"ev":"left","room":"plaza","nick":"jun"}"#), Event::Presence(_)));
        assert!(matches!(event(r#"{"ev":"error","code":"bad_json","message":"m"}"#), Event::Refused(_)));
        assert!(matches!(event(r#"{"ev":"bye","why":"idle","resume":true,"retry_ms":5}"#), Event::Bye(_)));
    }

    #[test]
    fn what_a_newer_server_sends_is_ignored_but_still_counted() {
        assert!(matches!(decode(br#"{"ev":"fireworks","room":"plaza"}"#), Ok(Incoming::Unknown)));
        let Event::Logged(logged) =
            event(r#"{"ev":"painted","room":"plaza","seq":8,"at":"t","colour":"red"}"#)
        else {
            panic!("an event with a seq belongs to the log");
        };
        assert_eq!((logged.seq, logged.what), (8, What::Unknown));
    }

    #[test]
    fn replies_carry_their_refusal() {
        let line = br#"{"re":4,"error":{"code":"room_full","message":"duo-7 holds 2 and is full"}}"#;
        let Ok(Incoming::Reply(4, Err(refusal))) = decode(line) else { panic!("not a refusal") };
        assert_eq!(refusal.to_string(), "room_full: duo-7 holds 2 and is full");
        assert!(decode(b"hello").is_err());
    }
}
