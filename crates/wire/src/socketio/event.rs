//! Events to requests.

use std::borrow::Cow;
use std::fmt;

use madang_room::Refusal;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::packet::PacketError;
use crate::json::{Refused, parse_op};
use crate::{Op, Request, RequestId};

/// Bytes in a `pid`, which is this server's own word.
pub const PID_BYTES_MAX: usize = 256;
/// Bytes in an offset.
pub const OFFSET_BYTES_MAX: usize = 128;

/// Events that the libraries on both sides make themselves. From the wire they would be a lie.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// What a client emitted.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// What it is called.
    pub name: Cow<'a, str>,
    /// The arguments, byte for byte.
    pub args: Vec<&'a RawValue>,
}

/// Reads an event's name and arguments out of the list that [`super::parse`] has found.
pub fn parse_event(data: &str) -> Result<Event<'_>, PacketError> {
    const WANTED: PacketError = PacketError::Event("an event is a list that begins with its name, a string");
    let event: Event<'_> = serde_json::from_str(data).map_err(|_| WANTED)?;
    if RESERVED.contains(&&*event.name) {
        return Err(PacketError::Event("an event of this name is the library's own"));
    }
    Ok(event)
}

impl<'de> Deserialize<'de> for Event<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Event<'de>, D::Error> {
        struct EventVisitor;
        impl<'de> Visitor<'de> for EventVisitor {
            type Value = Event<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event's name and its arguments")
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Event<'de>, S::Error> {
                let Name(name) = list.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let mut args = Vec::new();
                while let Some(arg) = list.next_element()? {
                    args.push(arg);
                }
                Ok(Event { name, args })
            }
        }
        deserializer.deserialize_seq(EventVisitor)
    }
}

/// A string, borrowed where nothing in it is escaped: a `Cow` alone would always be copied.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// What an event asks for: its name is the op, its first argument the object with the fields (none is an object
/// without any), `id` the number of the acknowledgement that is wanted. Fields called `op` or `id` are read over.
pub fn request(event: &Event<'_>, id: Option<u64>) -> Result<Request, Refused> {
    let id = id.map(|id| RequestId::Number(id.into()));
    let object = event.args.first().map(|arg| arg.get());
    if object.is_some_and(|object| !object.starts_with('{')) {
        let why =
            "what an event asks with stands in one object: emit(\"join\", {room: \"plaza\"})".to_owned();
        return Err(Refused { id, refusal: Refusal::BadCommand { why } });
    }
    parse_op(&event.name, object, id)
}

/// What a client says when it connects.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth {
    /// [`Op::Hello`].
    pub hello: Op,
    /// Which connection it would like to go on with: at most [`PID_BYTES_MAX`] bytes, not looked at.
    pub pid: Option<SmolStr>,
    /// The last [`super::Offset`] that it has seen: at most [`OFFSET_BYTES_MAX`] bytes, not looked at.
    pub offset: Option<SmolStr>,
}

/// Reads the handshake's `auth` object; nothing is one without fields.
pub fn parse_auth(data: &str) -> Result<Auth, Refusal> {
    #[derive(Default, Deserialize)]
    struct Recovery {
        pid: Option<SmolStr>,
        offset: Option<SmolStr>,
    }
    let object = Some(data).filter(|data| !data.is_empty());
    let hello = parse_op("hello", object, None).map_err(|refused| refused.refusal)?.op;
    // It is JSON, as the line above has found: what can be wrong is the type of a field, or that it is there twice.
    let wrong = |error| Refusal::BadCommand { why: format!("\"pid\" and \"offset\" are strings: {error}") };
    let Recovery { pid, offset } =
        object.map_or(Ok(Recovery::default()), |object| serde_json::from_str(object).map_err(wrong))?;
    check_length("pid", pid.as_ref(), PID_BYTES_MAX)?;
    check_length("offset", offset.as_ref(), OFFSET_BYTES_MAX)?;
    Ok(Auth { hello, pid, offset })
}

fn check_length(field: &str, value: Option<&SmolStr>, max: usize) -> Result<(), Refusal> {
    match value {
        Some(value) if value.len() > max => {
            let why = format!("{field:?} is a string of at most {max} bytes, not one of {}", value.len());
            Err(Refusal::BadCommand { why })
        }
        _ => Ok(()),
    }
}
