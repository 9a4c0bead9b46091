//! Answers, events and notices to packets: each a finished text frame, behind what is in `out`.

use madang_room::{Entry, Event, Refusal, RoomName};
use serde_json::value::RawValue;

use super::offset::Offset;
use super::packet::Kind;
use crate::json::{self, Object, push_json};
use crate::websocket::text_frame;
use crate::wording::message;
use crate::{Answer, Happening, Notice};

/// What a message begins with in Engine.IO.
const MESSAGE: u8 = b'4';

/// Writes the yes to a connect packet. With a `pid` the client can come back and go on where it was; without one it
/// is told nothing but its `sid`.
pub fn encode_connect(out: &mut Vec<u8>, namespace: &str, sid: &str, pid: Option<&str>) {
    packet(out, Kind::Connect, namespace, None, |out| {
        let mut connect = Object::begin(out);
        connect.text("sid", sid);
        if let Some(pid) = pid {
            connect.text("pid", pid);
        }
        connect.end();
    });
}

/// Writes the no to a connect packet: `{"message":"...","data":{"code":"nick_taken"}}`.
pub fn encode_connect_error(out: &mut Vec<u8>, namespace: &str, refusal: &Refusal) {
    packet(out, Kind::ConnectError, namespace, None, |out| {
        let mut error = Object::begin(out);
        error.text("message", &message(refusal)).object("data", |data| {
            data.text("code", refusal.code());
        });
        error.end();
    });
}

/// Writes the no to a connect packet for a namespace that is not there, in the words that clients know.
pub fn encode_invalid_namespace(out: &mut Vec<u8>, namespace: &str) {
    packet(out, Kind::ConnectError, namespace, None, |out| {
        out.extend_from_slice(br#"{"message":"Invalid namespace"}"#);
    });
}

/// Writes that the server has left a namespace.
pub fn encode_disconnect(out: &mut Vec<u8>, namespace: &str) {
    packet(out, Kind::Disconnect, namespace, None, |_| {});
}

/// Writes the acknowledgement of event `id`: its one argument is the reply's object without `re`.
pub fn encode_ack(out: &mut Vec<u8>, id: u64, result: &Result<Answer, Refusal>) {
    packet(out, Kind::Ack, "/", Some(id), |out| {
        out.push(b'[');
        json::encode_answer(out, result);
        out.push(b']');
    });
}

/// Writes what one client alone is told, under the name of its `ev`; nothing for a greeting.
pub fn encode_notice(out: &mut Vec<u8>, notice: &Notice) {
    let Some(ev) = json::ev_of_notice(notice) else { return };
    event(out, ev, None, |out| json::encode_notice(out, notice));
}

/// Writes what happened in `room`, under the name of its `ev`. With `offset`, an event of the log has its place
/// ([`Offset`]) as the last argument; presence has none.
pub fn encode_happening(out: &mut Vec<u8>, room: &RoomName, happening: Happening<'_>, offset: bool) {
    let ev = json::ev_of_happening(happening);
    event(out, ev, offset_of(room, happening, offset).as_deref(), |out| {
        json::encode_happening(out, room, happening);
    });
}

/// Writes a message as the clients of tutorials expect it, `["chat message","TEXT"]`; nothing for anything else.
pub fn encode_simple_happening(out: &mut Vec<u8>, room: &RoomName, happening: Happening<'_>, offset: bool) {
    if let Happening::Logged(Entry { event: Event::Said { text, .. }, .. }) = happening {
        event(out, "chat message", offset_of(room, happening, offset).as_deref(), |out| {
            push_json(out, text.as_str());
        });
    }
}

/// Writes `["result","failed"]`: the room that a client of a tutorial would be in is full.
pub fn encode_simple_result(out: &mut Vec<u8>, offset: Option<&str>) {
    event(out, "result", offset, |out| push_json(out, "failed"));
}

/// Writes an event whose arguments are JSON already, byte for byte. Where it has `attachments`, they must follow at
/// once, each as a [`crate::websocket::binary_frame`].
pub fn encode_raw_event(
    out: &mut Vec<u8>,
    namespace: &str,
    id: Option<u64>,
    name: &str,
    args: &[&RawValue],
    attachments: usize,
) {
    raw_packet(out, Kind::Event, namespace, id, Some(name), args, attachments);
}

/// Writes the acknowledgement of event `id`, with arguments that are JSON already. For `attachments` see
/// [`encode_raw_event`].
pub fn encode_raw_ack(out: &mut Vec<u8>, namespace: &str, id: u64, args: &[&RawValue], attachments: usize) {
    raw_packet(out, Kind::Ack, namespace, Some(id), None, args, attachments);
}

fn raw_packet(
    out: &mut Vec<u8>,
    kind: Kind,
    namespace: &str,
    id: Option<u64>,
    name: Option<&str>,
    args: &[&RawValue],
    attachments: usize,
) {
    text_frame(out, |out| {
        push_head(out, kind, attachments, namespace, id);
        let begin = out.len();
        out.push(b'[');
        if let Some(name) = name {
            push_json(out, name);
        }
        for arg in args {
            if out.len() > begin + 1 {
                out.push(b',');
            }
            out.extend_from_slice(arg.get().as_bytes());
        }
        out.push(b']');
    });
}

fn event(out: &mut Vec<u8>, name: &str, offset: Option<&str>, write: impl FnOnce(&mut Vec<u8>)) {
    packet(out, Kind::Event, "/", None, |out| {
        out.push(b'[');
        push_json(out, name);
        out.push(b',');
        write(out);
        if let Some(offset) = offset {
            out.push(b',');
            push_json(out, offset);
        }
        out.push(b']');
    });
}

fn offset_of(room: &RoomName, happening: Happening<'_>, offset: bool) -> Option<String> {
    match happening {
        Happening::Logged(entry) if offset => Some(Offset { room: room.clone(), seq: entry.seq }.to_string()),
        _ => None,
    }
}

fn packet(out: &mut Vec<u8>, kind: Kind, namespace: &str, id: Option<u64>, write: impl FnOnce(&mut Vec<u8>)) {
    text_frame(out, |out| {
        push_head(out, kind, 0, namespace, id);
        write(out);
    });
}

/// Writes all that stands before a packet's payload.
fn push_head(out: &mut Vec<u8>, kind: Kind, attachments: usize, namespace: &str, id: Option<u64>) {
    let kind = match kind {
        Kind::Event if attachments > 0 => Kind::BinaryEvent,
        Kind::Ack if attachments > 0 => Kind::BinaryAck,
        kind => kind,
    };
    out.extend_from_slice(&[MESSAGE, kind.digit()]);
    if attachments > 0 {
        out.extend_from_slice(itoa::Buffer::new().format(attachments).as_bytes());
        out.push(b'-');
    }
    if namespace != "/" {
        out.extend_from_slice(namespace.as_bytes());
        out.push(b',');
    }
    if let Some(id) = id {
        out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
    }
}
