//! Answers, events and notices to JSON.

use madang_room::{Entry, Event, Nick, Presence, Refusal, RoomName, Text};

use super::object::{Object, push_json};
use crate::wording::message;
use crate::{Answer, Bye, Happening, History, Joined, Notice, RequestId, RoomRow, Welcome};

/// Runs `encode` and ends what it has written, if anything, with LF.
pub fn as_line(out: &mut Vec<u8>, encode: impl FnOnce(&mut Vec<u8>)) {
    let before = out.len();
    encode(out);
    if out.len() > before {
        out.push(b'\n');
    }
}

/// Writes what happened in `room`, once for all of its members.
pub fn encode_happening(out: &mut Vec<u8>, room: &RoomName, happening: Happening<'_>) {
    match happening {
        Happening::Logged(entry) => encode_entry(out, room, entry),
        Happening::Presence(presence) => encode_presence(out, room, presence),
    }
}

/// Writes the one reply to a request with an `id`. Without one a yes is nothing, and a no is an `error` event.
pub fn encode_reply(out: &mut Vec<u8>, re: Option<&RequestId>, result: &Result<Answer, Refusal>) {
    let (re, answer) = match (re, result) {
        (None, Ok(_)) => return,
        (None, Err(refusal)) => return encode_error(out, refusal),
        (Some(re), result) => (re, result),
    };
    let mut reply = Object::begin(out);
    push_json(reply.name("re"), re);
    match answer {
        Ok(answer) => write_answer(&mut reply, answer),
        Err(refusal) => write_refusal(&mut reply, refusal),
    }
    reply.end();
}

/// Writes the reply for a door that knows by other means what it replies to: the same object, without `re`.
pub fn encode_answer(out: &mut Vec<u8>, result: &Result<Answer, Refusal>) {
    match result {
        Ok(answer) => {
            let mut reply = Object::begin(out);
            write_answer(&mut reply, answer);
            reply.end();
        }
        Err(refusal) => encode_error_body(out, refusal),
    }
}

/// Writes the body of an HTTP answer that is a no: `{"error":{"code","message"}}`.
pub fn encode_error_body(out: &mut Vec<u8>, refusal: &Refusal) {
    let mut body = Object::begin(out);
    write_refusal(&mut body, refusal);
    body.end();
}

/// Writes what one client alone is told; nothing for a greeting, which programs have no use for.
pub fn encode_notice(out: &mut Vec<u8>, notice: &Notice) {
    let Some(ev) = ev_of_notice(notice) else { return };
    match notice {
        Notice::Greeting { .. } => {}
        Notice::Told { from, text } => {
            event(out, ev, |told| {
                told.text("from", from.as_str()).text("text", text.as_str());
            });
        }
        Notice::Gap { room, from_seq, to_seq } => event(out, ev, |gap| {
            gap.text("room", room.as_str()).number("from_seq", from_seq.0).number("to_seq", to_seq.0);
        }),
        Notice::Error(refusal) => encode_error(out, refusal),
        Notice::Bye(Bye { why, resume, retry_ms }) => event(out, ev, |bye| {
            bye.text("why", why).bool("resume", *resume);
            if let Some(retry_ms) = retry_ms {
                bye.number("retry_ms", *retry_ms);
            }
        }),
    }
}

fn encode_error(out: &mut Vec<u8>, refusal: &Refusal) {
    event(out, "error", |error| {
        error.text("code", refusal.code()).text("message", &message(refusal));
    });
}

fn encode_entry(out: &mut Vec<u8>, room: &RoomName, Entry { seq, at, event: what }: &Entry) {
    let (Event::Created { from, .. }
    | Event::Said { from, .. }
    | Event::Topic { from, .. }
    | Event::Capacity { from, .. }) = what;
    event(out, ev_of_event(what), |logged| {
        logged.text("room", room.as_str()).number("seq", seq.0).at("at", *at).text("from", from.as_str());
        match what {
            Event::Created { .. } => {}
            Event::Said { text, .. } | Event::Topic { text, .. } => {
                logged.text("text", text.as_str());
            }
            Event::Capacity { capacity, .. } => {
                logged.number("capacity", *capacity);
            }
        }
    });
}

fn encode_presence(out: &mut Vec<u8>, room: &RoomName, presence: &Presence) {
    event(out, ev_of_presence(presence), |told| {
        told.text("room", room.as_str());
        match presence {
            Presence::Joined { nick } | Presence::Left { nick, why: None } => {
                told.text("nick", nick.as_str())
            }
            Presence::Left { nick, why: Some(why) } => {
                told.text("nick", nick.as_str()).text("why", why.as_str())
            }
            Presence::Renamed { from, to } => told.text("from", from.as_str()).text("to", to.as_str()),
            Presence::Count { count } => told.number("count", *count),
        };
    });
}

/// The `ev` of a happening.
pub(crate) fn ev_of_happening(happening: Happening<'_>) -> &'static str {
    match happening {
        Happening::Logged(entry) => ev_of_event(&entry.event),
        Happening::Presence(presence) => ev_of_presence(presence),
    }
}

/// The `ev` of a notice; `None` for a greeting, which is none.
pub(crate) fn ev_of_notice(notice: &Notice) -> Option<&'static str> {
    Some(match notice {
        Notice::Greeting { .. } => return None,
        Notice::Told { .. } => "told",
        Notice::Gap { .. } => "gap",
        Notice::Error(_) => "error",
        Notice::Bye(_) => "bye",
    })
}

fn ev_of_event(event: &Event) -> &'static str {
    match event {
        Event::Created { .. } => "created",
        Event::Said { .. } => "said",
        Event::Topic { .. } => "topic",
        Event::Capacity { .. } => "capacity",
    }
}

fn ev_of_presence(presence: &Presence) -> &'static str {
    match presence {
        Presence::Joined { .. } => "joined",
        Presence::Left { .. } => "left",
        Presence::Renamed { .. } => "renamed",
        Presence::Count { .. } => "count",
    }
}

fn event(out: &mut Vec<u8>, ev: &'static str, write: impl FnOnce(&mut Object<'_>)) {
    let mut event = Object::begin(out);
    event.text("ev", ev);
    write(&mut event);
    event.end();
}

fn write_refusal(reply: &mut Object<'_>, refusal: &Refusal) {
    reply.object("error", |error| {
        error.text("code", refusal.code()).text("message", &message(refusal));
    });
}

fn write_answer(reply: &mut Object<'_>, answer: &Answer) {
    match answer {
        Answer::Told { .. } | Answer::Pong | Answer::Bye => reply,
        Answer::Welcome(welcome) => {
            let Welcome { session, resume, resumed, nick, server } = &**welcome;
            reply.text("session", &session.to_string()).text("resume", resume).bool("resumed", *resumed);
            reply.text("nick", nick.as_str()).text("server", server)
        }
        Answer::Nick { nick, .. } => reply.text("nick", nick.as_str()),
        Answer::Joined(joined) => {
            let Joined { room, kind, epoch, seq, count, members, capacity, topic, reset } = &**joined;
            reply.text("room", room.as_str()).text("kind", kind).text("epoch", epoch);
            reply.number("seq", seq.0).number("count", *count);
            write_members(reply, members.as_deref());
            reply.number("capacity", *capacity).text("topic", topic.as_ref().map_or("", Text::as_str));
            if *reset { reply.bool("reset", true) } else { reply }
        }
        Answer::Left { room } => reply.text("room", room.as_str()),
        Answer::Recorded { seq } => reply.number("seq", seq.0),
        Answer::Topic { room, topic } => {
            reply.text("room", room.as_str()).text("topic", topic.as_ref().map_or("", Text::as_str))
        }
        Answer::Rooms { rooms } => {
            reply.list("rooms", rooms, |out, RoomRow { room, kind, count, capacity }| {
                let mut row = Object::begin(out);
                row.text("room", room.as_str())
                    .text("kind", kind)
                    .number("count", *count)
                    .number("capacity", *capacity);
                row.end();
            })
        }
        Answer::Who { count, members, .. } => {
            reply.number("count", *count);
            write_members(reply, members.as_deref())
        }
        Answer::History(history) => {
            let History { room, events, first, seq, epoch } = &**history;
            reply.list("events", events, |out, entry| encode_entry(out, room, entry));
            reply.number("first", first.0).number("seq", seq.0).text("epoch", epoch)
        }
        Answer::Echo { on } => reply.bool("echo", *on),
        Answer::Help { lines } => reply.list("lines", lines, push_json),
    };
}

fn write_members<'r, 'o>(reply: &'r mut Object<'o>, members: Option<&[Nick]>) -> &'r mut Object<'o> {
    match members {
        Some(members) => reply.list("members", members, |out, nick| push_json(out, nick.as_str())),
        None => reply,
    }
}
