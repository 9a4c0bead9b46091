//! Text to packets.

use crate::json::{Shape, shape};

/// Binary attachments of one packet. A packet that announces more is an error before any of them is waited for.
pub const ATTACHMENTS_MAX: usize = 10;
/// Bytes in the name of a namespace.
pub const NAMESPACE_BYTES_MAX: usize = 64;

/// A packet, without its attachments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What it is.
    pub kind: Kind,
    /// Begins with `/`, and is that alone where the packet names none.
    pub namespace: &'a str,
    /// The number under which an acknowledgement is wanted, or of which it is one.
    pub id: Option<u64>,
    /// How many binary messages follow it: at most [`ATTACHMENTS_MAX`], and none but for the binary kinds.
    pub attachments: usize,
    /// JSON of the right kind: a list for events and acknowledgements, an object or nothing for `Connect`.
    pub data: &'a str,
}

/// The kinds of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the protocol's own words")]
pub enum Kind {
    Connect,
    Disconnect,
    Event,
    Ack,
    ConnectError,
    BinaryEvent,
    BinaryAck,
}

impl Kind {
    const ALL: [Kind; 7] = [
        Kind::Connect,
        Kind::Disconnect,
        Kind::Event,
        Kind::Ack,
        Kind::ConnectError,
        Kind::BinaryEvent,
        Kind::BinaryAck,
    ];

    /// The digit that a packet of this kind begins with.
    pub(super) fn digit(self) -> u8 {
        b'0' + self as u8
    }

    fn of_digit(digit: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(digit.checked_sub(b'0')?)).copied()
    }

    fn is_binary(self) -> bool {
        matches!(self, Kind::BinaryEvent | Kind::BinaryAck)
    }
}

/// Why a packet is none. Its sender does not speak the protocol, or worse: the connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// It begins with something else than the digits 0 to 6.
    #[error("there is no such kind of packet")]
    Kind,
    /// A binary packet without a number of attachments and a `-` behind its kind.
    #[error("a binary packet says how many attachments it has")]
    NoAttachments,
    /// More than [`ATTACHMENTS_MAX`].
    #[error("a packet has at most {ATTACHMENTS_MAX} attachments")]
    TooManyAttachments,
    /// Longer than [`NAMESPACE_BYTES_MAX`].
    #[error("a namespace has at most {NAMESPACE_BYTES_MAX} bytes")]
    Namespace,
    /// A number that is none, or an acknowledgement without one.
    #[error("the number of an acknowledgement is a whole number")]
    Id,
    /// Not JSON of the kind that this packet has.
    #[error("{0}")]
    Payload(&'static str),
    /// Not a string, or one that only the library itself says.
    #[error("{0}")]
    Event(&'static str),
    /// Not one placeholder for each attachment.
    #[error("{0}")]
    Placeholder(&'static str),
}

/// Reads a packet. It is one all the way through: what is left of it after this is JSON without syntax errors, of at
/// most 128 levels.
pub fn parse(text: &str) -> Result<Packet<'_>, PacketError> {
    let kind = text.bytes().next().and_then(Kind::of_digit).ok_or(PacketError::Kind)?;
    let (attachments, rest) = attachments(kind, &text[1..])?;
    let (namespace, rest) = namespace(rest)?;
    let (id, data) = id(kind, rest)?;
    check_data(kind, data)?;
    Ok(Packet { kind, namespace, id, attachments, data })
}

fn attachments(kind: Kind, text: &str) -> Result<(usize, &str), PacketError> {
    if !kind.is_binary() {
        return Ok((0, text));
    }
    let (digits, rest) = digits(text);
    let rest = rest.strip_prefix('-').filter(|_| !digits.is_empty()).ok_or(PacketError::NoAttachments)?;
    let attachments = digits.parse().ok().filter(|attachments| *attachments <= ATTACHMENTS_MAX);
    Ok((attachments.ok_or(PacketError::TooManyAttachments)?, rest))
}

/// `/custom?query,` is the namespace `/custom`.
fn namespace(text: &str) -> Result<(&str, &str), PacketError> {
    if !text.starts_with('/') {
        return Ok(("/", text));
    }
    let (name, rest) = text.split_once(',').unwrap_or((text, ""));
    let (name, _query) = name.split_once('?').unwrap_or((name, ""));
    if name.len() > NAMESPACE_BYTES_MAX {
        return Err(PacketError::Namespace);
    }
    Ok((name, rest))
}

fn id(kind: Kind, text: &str) -> Result<(Option<u64>, &str), PacketError> {
    let (digits, rest) = digits(text);
    let id = match digits {
        "" => None,
        digits => Some(digits.parse().map_err(|_| PacketError::Id)?),
    };
    let takes_one = match kind {
        Kind::Event | Kind::BinaryEvent => true,
        Kind::Ack | Kind::BinaryAck if id.is_none() => return Err(PacketError::Id),
        Kind::Ack | Kind::BinaryAck => true,
        Kind::Connect | Kind::Disconnect | Kind::ConnectError => false,
    };
    if id.is_some() && !takes_one {
        return Err(PacketError::Id);
    }
    Ok((id, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

fn check_data(kind: Kind, data: &str) -> Result<(), PacketError> {
    let wanted = match kind {
        Kind::Connect => "what a connect packet has is an object",
        Kind::Disconnect => "a disconnect packet has nothing behind it",
        Kind::Event | Kind::BinaryEvent => "what an event packet has is a list",
        Kind::Ack | Kind::BinaryAck => "what an acknowledgement has is a list",
        Kind::ConnectError => "what a connect error has is an object or a string",
    };
    let shape = match data {
        "" => None,
        data => Some(shape(data).map_err(|_| PacketError::Payload(wanted))?),
    };
    let is_right = match kind {
        Kind::Connect => matches!(shape, None | Some(Shape::Object)),
        Kind::Disconnect => shape.is_none(),
        Kind::Event | Kind::BinaryEvent | Kind::Ack | Kind::BinaryAck => shape == Some(Shape::List),
        Kind::ConnectError => matches!(shape, Some(Shape::Object | Shape::Text)),
    };
    if is_right { Ok(()) } else { Err(PacketError::Payload(wanted)) }
}
