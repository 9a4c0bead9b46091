//! What clients send and get, and what the malicious ones get.

use expect_test::expect;
use madang_room::{Refusal, Seq};
use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::json::Refused;
use crate::samples::{self, entry, nick, room, said, words};
use crate::websocket::{Opcode, split_frames, whole_frames};
use crate::{Answer, Happening, Op, Request, RequestId};

/// The packet in the one frame that is written; nothing where none is.
pub(super) fn framed(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    assert_eq!(whole_frames(&out), out.len());
    match split_frames(&out).collect::<Vec<_>>()[..] {
        [] => String::new(),
        [(Opcode::Text, payload)] => {
            let message = str::from_utf8(payload).unwrap();
            message.strip_prefix('4').expect("Engine.IO's message").to_owned()
        }
        ref frames => panic!("{frames:?}"),
    }
}

fn packet<'a>(
    kind: Kind,
    namespace: &'a str,
    id: Option<u64>,
    attachments: usize,
    data: &'a str,
) -> Packet<'a> {
    Packet { kind, namespace, id, attachments, data }
}

#[test]
fn each_kind_of_packet_is_read() {
    let long_name = format!("/{}", "x".repeat(NAMESPACE_BYTES_MAX - 1));
    let long_query = format!("0{long_name}?{}", "x".repeat(10_000));
    for (text, expected) in [
        ("0", packet(Kind::Connect, "/", None, 0, "")),
        (r#"0{"token":"123"}"#, packet(Kind::Connect, "/", None, 0, r#"{"token":"123"}"#)),
        ("0/custom,", packet(Kind::Connect, "/custom", None, 0, "")),
        ("0/custom", packet(Kind::Connect, "/custom", None, 0, "")),
        (r#"0/custom,{"a":1}"#, packet(Kind::Connect, "/custom", None, 0, r#"{"a":1}"#)),
        (r#"0/custom?token=abc,{"a":1}"#, packet(Kind::Connect, "/custom", None, 0, r#"{"a":1}"#)),
        ("0/custom?token=abc", packet(Kind::Connect, "/custom", None, 0, "")),
        (&long_query, packet(Kind::Connect, &long_name, None, 0, "")),
        ("1", packet(Kind::Disconnect, "/", None, 0, "")),
        ("1/custom,", packet(Kind::Disconnect, "/custom", None, 0, "")),
        (r#"2["hello",1]"#, packet(Kind::Event, "/", None, 0, r#"["hello",1]"#)),
        (r#"2/admin,456["x"]"#, packet(Kind::Event, "/admin", Some(456), 0, r#"["x"]"#)),
        (r#"20["x"]"#, packet(Kind::Event, "/", Some(0), 0, r#"["x"]"#)),
        ("3/admin,456[]", packet(Kind::Ack, "/admin", Some(456), 0, "[]")),
        (r#"4{"message":"no"}"#, packet(Kind::ConnectError, "/", None, 0, r#"{"message":"no"}"#)),
        (r#"4"no""#, packet(Kind::ConnectError, "/", None, 0, r#""no""#)),
        (
            r#"52-/a,7["x",{"_placeholder":true,"num":0}]"#,
            packet(Kind::BinaryEvent, "/a", Some(7), 2, r#"["x",{"_placeholder":true,"num":0}]"#),
        ),
        ("60-1[]", packet(Kind::BinaryAck, "/", Some(1), 0, "[]")),
        ("610-1[]", packet(Kind::BinaryAck, "/", Some(1), 10, "[]")),
    ] {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_packet_is_told_apart() {
    let deep = |bytes: usize| format!(r#"2["x",{}{}]"#, "[".repeat(bytes), "]".repeat(bytes));
    let (deep, open) = (deep(100_000), format!(r#"2["x",{}"#, "[".repeat(100_000)));
    let objects = format!(r#"2["x",{}"#, r#"{"a":"#.repeat(100_000));
    let long_name = format!("0/{},", "x".repeat(NAMESPACE_BYTES_MAX));
    let many_digits = format!(r#"2{}["x"]"#, "9".repeat(100_000));
    let (event, ack) = (
        PacketError::Payload("what an event packet has is a list"),
        PacketError::Payload("what an acknowledgement has is a list"),
    );
    let connect = PacketError::Payload("what a connect packet has is an object");
    let disconnect = PacketError::Payload("a disconnect packet has nothing behind it");
    for (text, error) in [
        ("", PacketError::Kind),
        ("7", PacketError::Kind),
        ("abc", PacketError::Kind),
        ("/", PacketError::Kind),
        ("한", PacketError::Kind),
        ("-1[]", PacketError::Kind),
        (&*long_name, PacketError::Namespace),
        ("0[]", connect),
        ("0{", connect),
        ("05", PacketError::Id),
        ("0 ", connect),
        ("0custom", connect),
        ("1{}", disconnect),
        ("1/custom,[]", disconnect),
        ("2", event),
        ("2/custom,", event),
        ("2{}", event),
        (r#"2"x""#, event),
        (r#"2["x""#, event),
        (r#"2["x"]["y"]"#, event),
        (r#"2["x",]"#, event),
        ("2[\"x\",NaN]", event),
        (r#"2["x",1e999]"#, event),
        (r#"2["x","\ud800"]"#, event),
        (r#"2["x","\udc00\ud800"]"#, event),
        (&deep, event),
        (&open, event),
        (&objects, event),
        (r#"2abc["message-with-ack"]"#, event),
        (r#"2-1["x"]"#, event),
        (r#"21.5["x"]"#, event),
        (r#"218446744073709551616["x"]"#, PacketError::Id),
        (&many_digits, PacketError::Id),
        ("3[]", PacketError::Id),
        ("31{}", ack),
        ("31", ack),
        ("4", PacketError::Payload("what a connect error has is an object or a string")),
        (r#"5["x"]"#, PacketError::NoAttachments),
        (r#"5-["x"]"#, PacketError::NoAttachments),
        (r#"5-1-["x"]"#, PacketError::NoAttachments),
        (r#"51["x"]"#, PacketError::NoAttachments),
        (r#"51.5-["x"]"#, PacketError::NoAttachments),
        (r#"51e9-["x"]"#, PacketError::NoAttachments),
        (r#"5splice-["x"]"#, PacketError::NoAttachments),
        (r#"511-["x"]"#, PacketError::TooManyAttachments),
        (r#"51000000000-["x"]"#, PacketError::TooManyAttachments),
        (r#"599999999999999999999999-["x"]"#, PacketError::TooManyAttachments),
        ("61-[]", PacketError::Id),
    ] {
        assert_eq!(parse(text), Err(error), "{}", &text[..text.len().min(60)]);
    }
}

#[test]
fn an_event_has_a_name_and_arguments_byte_for_byte() {
    let Event { name, args } = parse_event(r#"["a\nb", 1.0,{"b" : [ ],"b":2}  ,"é\u00e9" ]"#).unwrap();
    assert_eq!(name, "a\nb");
    let args: Vec<&str> = args.iter().map(|arg| arg.get()).collect();
    assert_eq!(args, ["1.0", r#"{"b" : [ ],"b":2}"#, r#""é\u00e9""#]);
    assert!(matches!(parse_event(r#"["plain"]"#).unwrap().name, std::borrow::Cow::Borrowed("plain")));

    let is_named = PacketError::Event("an event is a list that begins with its name, a string");
    for data in [
        "[]",
        "[1]",
        "[null]",
        "[true]",
        r#"[["x"]]"#,
        r#"[{"toString":1}]"#,
        r#"[{"toString":"x"},"x"]"#,
        r#"[{"_placeholder":true,"num":0}]"#,
        r#"["\ud800"]"#,
        r#"{"x":1}"#,
        "",
        r#"["x""#,
        r#"["x"],"#,
    ] {
        assert_eq!(parse_event(data).unwrap_err(), is_named, "{data}");
    }
    let reserved =
        ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];
    for name in reserved {
        let is_reserved = PacketError::Event("an event of this name is the library's own");
        assert_eq!(parse_event(&json!([name]).to_string()).unwrap_err(), is_reserved);
    }
    assert!(parse_event(r#"["__proto__",{"__proto__":1}]"#).is_ok());
}

#[test]
fn depth_alone_breaks_nothing() {
    let nested =
        |open: &str, close: &str| format!(r#"["x",{}1{}]"#, open.repeat(100_000), close.repeat(100_000));
    for (data, code) in [(nested("[", "]"), "bad_command"), (nested(r#"{"a":"#, "}"), "bad_json")] {
        // Arguments are kept as they are without going into them, so `parse` looks first.
        let event = parse_event(&data).unwrap();
        assert_eq!(request(&event, None).unwrap_err().refusal.code(), code);
        assert!(check_placeholders(&data, 0).is_err());
    }
    let levels = |levels: usize| format!(r#"2["x",{}{}]"#, "[".repeat(levels), "]".repeat(levels));
    assert!(parse(&levels(120)).is_ok());
    assert!(parse(&levels(130)).is_err());
}

#[test]
fn each_attachment_has_one_placeholder() {
    for (data, attachments, is_right) in [
        (r#"["x"]"#, 0, true),
        (r#"["x",{"_placeholder":true,"num":0}]"#, 1, true),
        (r#"["x",{"num":0,"_placeholder":true}]"#, 1, true),
        (r#"["x",{"_placeholder":true,"num":1},[{"a":{"_placeholder":true,"num":0}}]]"#, 2, true),
        (r#"["x",{"_placeholder":false,"num":"splice"}]"#, 0, true),
        (r#"["x",{"_placeholder":"true","num":7}]"#, 0, true),
        // None, or one too few.
        (r#"["x"]"#, 1, false),
        (r#"["x",{"_placeholder":true,"num":0}]"#, 2, false),
        (r#"["x",{"_placeholder":false,"num":0}]"#, 1, false),
        // Not there.
        (r#"["x",{"_placeholder":true,"num":0}]"#, 0, false),
        (r#"["x",{"_placeholder":true,"num":1}]"#, 1, false),
        (r#"["x",{"_placeholder":true,"num":10}]"#, 10, false),
        (r#"["x",{"_placeholder":true,"num":18446744073709551615}]"#, 1, false),
        // Twice.
        (r#"["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#, 2, false),
        (r#"["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]"#, 1, false),
        // No number of an attachment.
        (r#"["x",{"_placeholder":true,"num":"splice"}]"#, 1, false),
        (r#"["x",{"_placeholder":true,"num":"0"}]"#, 1, false),
        (r#"["x",{"_placeholder":true,"num":-1}]"#, 1, false),
        (r#"["x",{"_placeholder":true,"num":0.0}]"#, 1, false),
        (r#"["x",{"_placeholder":true,"num":0.5}]"#, 1, false),
        (r#"["x",{"_placeholder":true,"num":1e0}]"#, 2, false),
        (r#"["x",{"_placeholder":true,"num":null}]"#, 1, false),
        (r#"["x",{"_placeholder":true,"num":[0]}]"#, 1, false),
        (r#"["x",{"_placeholder":true}]"#, 1, false),
        // Not just the two fields.
        (r#"["x",{"_placeholder":true,"num":1,"num":0}]"#, 1, false),
        (r#"["x",{"_placeholder":false,"_placeholder":true,"num":0}]"#, 1, false),
        (r#"["x",{"_placeholder":true,"num":0,"more":{"_placeholder":true,"num":1}}]"#, 2, false),
        (r#"["x",{"_placeholder":true,"num":0}"#, 1, false),
        (r#"["x"]"#, ATTACHMENTS_MAX + 1, false),
        (r#"["x"]"#, 1_000_000_000, false),
    ] {
        assert_eq!(check_placeholders(data, attachments).is_ok(), is_right, "{data} with {attachments}");
    }
}

fn ask(data: &str, id: Option<u64>) -> Result<Request, Refused> {
    request(&parse_event(data).unwrap(), id)
}

#[test]
fn an_event_is_a_request() {
    let say = Op::Say { room: Some(room("plaza")), text: words("hi"), key: None };
    let id = |id: u64| Some(RequestId::Number(id.into()));
    for (data, ack, expected) in [
        (r#"["say",{"room":"plaza","text":"hi"}]"#, None, Request { id: None, op: say.clone() }),
        (r#"["say",{"room":"plaza","text":"hi"}]"#, Some(0), Request { id: id(0), op: say.clone() }),
        (
            r#"["say",{"op":"bye","id":[1],"text":"hi","room":"plaza"},"more"]"#,
            Some(u64::MAX),
            Request { id: id(u64::MAX), op: say },
        ),
        (r#"["ping"]"#, Some(1), Request { id: id(1), op: Op::Ping }),
        (r#"["ping",{}]"#, None, Request { id: None, op: Op::Ping }),
    ] {
        assert_eq!(ask(data, ack), Ok(expected), "{data}");
    }
}

#[test]
fn an_event_that_asks_for_nothing_is_refused_with_its_id() {
    let mut told = String::new();
    for data in [
        r#"["jion",{}]"#,
        r#"["op"]"#,
        r#"[""]"#,
        r#"["ping",5]"#,
        r#"["ping",null]"#,
        r#"["join","plaza"]"#,
        r#"["join",["plaza"]]"#,
        r#"["join"]"#,
        r#"["join",{"room":{"_placeholder":true,"num":0}}]"#,
        r#"["join",{"room":"a","room":"b"}]"#,
        r#"["say",{"room":"plaza","text":"\ud800"}]"#,
        r#"["say",{"room":"plaza","text":1e999}]"#,
    ] {
        let refused = ask(data, Some(7)).unwrap_err();
        assert_eq!(refused.id, Some(RequestId::Number(7.into())));
        told += &framed(|out| encode_ack(out, 7, &Err(refused.refusal)));
        told.push('\n');
    }
    expect![[r#"
        37[{"error":{"code":"bad_command","message":"there is no op \"jion\"; did you mean \"join\"?"}}]
        37[{"error":{"code":"bad_command","message":"there is no op \"op\"; did you mean \"topic\"?"}}]
        37[{"error":{"code":"bad_command","message":"there is no op \"\"; there are hello, nick, join, leave, say, topic, capacity, tell, rooms, who, history, ping, bye"}}]
        37[{"error":{"code":"bad_command","message":"what an event asks with stands in one object: emit(\"join\", {room: \"plaza\"})"}}]
        37[{"error":{"code":"bad_command","message":"what an event asks with stands in one object: emit(\"join\", {room: \"plaza\"})"}}]
        37[{"error":{"code":"bad_command","message":"what an event asks with stands in one object: emit(\"join\", {room: \"plaza\"})"}}]
        37[{"error":{"code":"bad_command","message":"what an event asks with stands in one object: emit(\"join\", {room: \"plaza\"})"}}]
        37[{"error":{"code":"bad_command","message":"join needs \"room\"; its fields are room, after?, epoch?, capacity?, echo?"}}]
        37[{"error":{"code":"bad_command","message":"join takes a string as \"room\", not an object"}}]
        37[{"error":{"code":"bad_json","message":"that is not a JSON object as this door reads it: the field \"room\" is there twice at line 1 column 23"}}]
        37[{"error":{"code":"bad_json","message":"that is not a JSON object as this door reads it: unexpected end of hex escape at line 1 column 31"}}]
        37[{"error":{"code":"bad_json","message":"that is not a JSON object as this door reads it: number out of range at line 1 column 28"}}]
    "#]].assert_eq(&told);
}

#[test]
fn the_handshake_says_hello() {
    let auth = |nick_, pid: Option<&str>, offset: Option<&str>| Auth {
        hello: Op::Hello { nick: nick_, resume: None },
        pid: pid.map(Into::into),
        offset: offset.map(Into::into),
    };
    assert_eq!(parse_auth(""), Ok(auth(None, None, None)));
    assert_eq!(parse_auth("{}"), Ok(auth(None, None, None)));
    assert_eq!(
        parse_auth(r#"{"nick":"mina","token":"123","pid":"p","offset":"plaza:813","later":[{}]}"#),
        Ok(auth(Some(nick("mina")), Some("p"), Some("plaza:813")))
    );
    assert_eq!(parse_auth(r#"{"pid":null,"nick":null}"#), Ok(auth(None, None, None)));
    let (longest_pid, longest_offset) = ("p".repeat(PID_BYTES_MAX), "o".repeat(OFFSET_BYTES_MAX));
    let longest = json!({"pid": longest_pid, "offset": longest_offset}).to_string();
    assert_eq!(parse_auth(&longest), Ok(auth(None, Some(&longest_pid), Some(&longest_offset))));

    let mut told = String::new();
    for data in [
        "[]",
        "{",
        r#"{"nick":"two words"}"#,
        r#"{"nick":5}"#,
        r#"{"pid":5}"#,
        r#"{"pid":"a","pid":"b"}"#,
        r#"{"offset":{"a":1}}"#,
        &json!({"pid": "p".repeat(PID_BYTES_MAX + 1)}).to_string(),
        &json!({"offset": "o".repeat(OFFSET_BYTES_MAX + 1)}).to_string(),
    ] {
        let refusal = parse_auth(data).unwrap_err();
        told += &framed(|out| encode_connect_error(out, "/", &refusal));
        told.push('\n');
    }
    expect![[r#"
        4{"message":"that is not a JSON object as this door reads it: invalid type: sequence, expected an object as {\"op\":\"ping\"} at line 1 column 0","data":{"code":"bad_json"}}
        4{"message":"that is not a JSON object as this door reads it: EOF while parsing an object at line 1 column 1","data":{"code":"bad_json"}}
        4{"message":"\"two words\" is no name: a name has letters, digits, '-', '_' and '.', not ' '","data":{"code":"bad_name"}}
        4{"message":"hello takes a string as \"nick\", not 5","data":{"code":"bad_command"}}
        4{"message":"\"pid\" and \"offset\" are strings: invalid type: integer `5`, expected a string at line 1 column 8","data":{"code":"bad_command"}}
        4{"message":"\"pid\" and \"offset\" are strings: duplicate field `pid` at line 1 column 16","data":{"code":"bad_command"}}
        4{"message":"\"pid\" and \"offset\" are strings: invalid type: map, expected a string at line 1 column 10","data":{"code":"bad_command"}}
        4{"message":"\"pid\" is a string of at most 256 bytes, not one of 257","data":{"code":"bad_command"}}
        4{"message":"\"offset\" is a string of at most 128 bytes, not one of 129","data":{"code":"bad_command"}}
    "#]].assert_eq(&told);
}

#[test]
fn connections_begin_and_end_in_the_words_that_clients_know() {
    let taken = Refusal::NickTaken { nick: nick("mina") };
    let told = [
        framed(|out| encode_connect(out, "/", "wZX3oN0bSVIhsaknAAAI", None)),
        framed(|out| encode_connect(out, "/custom", "wZX3", None)),
        framed(|out| encode_connect(out, "/", "wZX3", Some("p1"))),
        framed(|out| encode_connect_error(out, "/", &taken)),
        framed(|out| encode_invalid_namespace(out, "/random")),
        framed(|out| encode_disconnect(out, "/")),
        framed(|out| encode_disconnect(out, "/custom")),
    ];
    expect![[r#"
        0{"sid":"wZX3oN0bSVIhsaknAAAI"}
        0/custom,{"sid":"wZX3"}
        0{"sid":"wZX3","pid":"p1"}
        4{"message":"mina is taken, try another name","data":{"code":"nick_taken"}}
        4/random,{"message":"Invalid namespace"}
        1
        1/custom,
    "#]]
    .assert_eq(&(told.join("\n") + "\n"));
}

#[test]
fn answers_events_and_notices_are_those_of_json() {
    let mut told = Vec::new();
    let mut happen = |happening: Happening<'_>, offset| {
        told.push(framed(|out| encode_happening(out, &room("plaza"), happening, offset)));
    };
    for event in samples::events() {
        let entry = entry(813, event);
        happen(Happening::Logged(&entry), false);
        happen(Happening::Logged(&entry), true);
    }
    samples::presences().iter().for_each(|presence| happen(Happening::Presence(presence), true));
    told.extend(samples::notices().iter().map(|notice| framed(|out| encode_notice(out, notice))));
    for result in [Ok(Answer::Recorded { seq: Seq(813) }), Ok(Answer::Pong), Err(Refusal::InNoRoom)] {
        told.push(framed(|out| encode_ack(out, 12, &result)));
    }
    expect![[r#"
        2["created",{"ev":"created","room":"plaza","seq":813,"at":"2026-11-20T10:00:00.123Z","from":"mina"}]
        2["created",{"ev":"created","room":"plaza","seq":813,"at":"2026-11-20T10:00:00.123Z","from":"mina"},"plaza:813"]
        2["said",{"ev":"said","room":"plaza","seq":813,"at":"2026-11-20T10:00:00.123Z","from":"jun","text":"hi"}]
        2["said",{"ev":"said","room":"plaza","seq":813,"at":"2026-11-20T10:00:00.123Z","from":"jun","text":"hi"},"plaza:813"]
        2["topic",{"ev":"topic","room":"plaza","seq":813,"at":"2026-11-20T10:00:00.123Z","from":"mina","text":"today"}]
        2["topic",{"ev":"topic","room":"plaza","seq":813,"at":"2026-11-20T10:00:00.123Z","from":"mina","text":"today"},"plaza:813"]
        2["capacity",{"ev":"capacity","room":"plaza","seq":813,"at":"2026-11-20T10:00:00.123Z","from":"mina","capacity":5}]
        2["capacity",{"ev":"capacity","room":"plaza","seq":813,"at":"2026-11-20T10:00:00.123Z","from":"mina","capacity":5},"plaza:813"]
        2["joined",{"ev":"joined","room":"plaza","nick":"mina"}]
        2["left",{"ev":"left","room":"plaza","nick":"mina"}]
        2["left",{"ev":"left","room":"plaza","nick":"mina","why":"lost"}]
        2["renamed",{"ev":"renamed","room":"plaza","from":"mina","to":"jun"}]
        2["count",{"ev":"count","room":"plaza","count":1234}]


        2["told",{"ev":"told","from":"mina","text":"hello"}]
        2["gap",{"ev":"gap","room":"plaza","from_seq":811,"to_seq":930}]
        2["gap",{"ev":"gap","room":"plaza","from_seq":811,"to_seq":810}]
        2["error",{"ev":"error","code":"not_a_member","message":"you are in no room, join one first: /join plaza"}]
        2["bye",{"ev":"bye","why":"shutdown","resume":true,"retry_ms":2001}]
        2["bye",{"ev":"bye","why":"idle","resume":true}]
        312[{"seq":813}]
        312[{}]
        312[{"error":{"code":"not_a_member","message":"you are in no room, join one first: /join plaza"}}]
    "#]].assert_eq(&(told.join("\n") + "\n"));
}

#[test]
fn clients_of_tutorials_hear_messages_only() {
    let mut told = Vec::new();
    let mut happen = |happening: Happening<'_>, offset| {
        told.push(framed(|out| encode_simple_happening(out, &room("plaza"), happening, offset)));
    };
    let also = [said("jun", "\"한\"")];
    for event in samples::events().into_iter().chain(also) {
        let entry = entry(9, event);
        happen(Happening::Logged(&entry), false);
        happen(Happening::Logged(&entry), true);
    }
    samples::presences().iter().for_each(|presence| happen(Happening::Presence(presence), true));
    told.retain(|told| !told.is_empty());
    told.extend([None, Some("plaza:9")].map(|offset| framed(|out| encode_simple_result(out, offset))));
    expect![[r#"
        2["chat message","hi"]
        2["chat message","hi","plaza:9"]
        2["chat message","\"한\""]
        2["chat message","\"한\"","plaza:9"]
        2["result","failed"]
        2["result","failed","plaza:9"]
    "#]]
    .assert_eq(&(told.join("\n") + "\n"));
}

#[test]
fn an_echo_is_the_same_bytes() {
    let echo = |packet: &str| {
        let packet = parse(packet).unwrap();
        let Event { name, args } = parse_event(packet.data).unwrap();
        check_placeholders(packet.data, packet.attachments).unwrap();
        framed(|out| match packet.id {
            Some(id) => encode_raw_ack(out, packet.namespace, id, &args, packet.attachments),
            None => encode_raw_event(out, packet.namespace, None, &name, &args, packet.attachments),
        })
    };
    for (packet, expected) in [
        (r#"2["message",1,"2",{"3":[true]}]"#, r#"2["message",1,"2",{"3":[true]}]"#),
        (r#"2456["message-with-ack",1,"2",{"3":[false]}]"#, r#"3456[1,"2",{"3":[false]}]"#),
        (r#"2/custom,["message", 1.50 ]"#, r#"2/custom,["message",1.50]"#),
        (r#"20["x"]"#, "30[]"),
        (
            r#"52-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#,
            r#"52-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#,
        ),
        (
            r#"51-/custom,789["x",{"_placeholder":true,"num":0}]"#,
            r#"61-/custom,789[{"_placeholder":true,"num":0}]"#,
        ),
    ] {
        assert_eq!(echo(packet), expected);
    }
    let args: [&RawValue; 0] = [];
    assert_eq!(framed(|out| encode_raw_event(out, "/", Some(5), "a\"b", &args, 0)), r#"25["a\"b"]"#);
}

#[test]
fn an_offset_is_read_as_it_is_written() {
    let offset = Offset { room: room("hamlet/1"), seq: Seq(813) };
    assert_eq!(Offset::parse("hamlet/1:813"), Some(offset));
    for wrong in ["", ":", "plaza", "plaza:", "plaza:x", "plaza:-1", "plaza:+1", ":5", "two words:5", "a:b:5"]
    {
        assert_eq!(Offset::parse(wrong), None, "{wrong}");
    }
    assert_eq!(Offset::parse("plaza:18446744073709551616"), None);
}

/// A packet as it could be, with a mistake here and there.
fn any_packet() -> impl Strategy<Value = String> {
    let namespace = prop_oneof![4 => Just(String::new()), 2 => "/[a-z?=]{0,8},", 1 => ".{0,5}"];
    let id = prop_oneof![3 => Just(String::new()), 2 => any::<u64>().prop_map(|id| id.to_string())];
    let attachments = prop_oneof![4 => Just(String::new()), 4 => "[0-9]{1,2}-"];
    let data = prop_oneof![
        2 => any_json().prop_map(|args| json!(["x", args]).to_string()),
        2 => any_json().prop_map(|args| args.to_string()),
        1 => Just(String::new()),
        1 => "[\\[\\]{}\",:a-z0-9 ]{0,20}",
    ];
    ("[0-7]", attachments, namespace, id, data).prop_map(|(kind, attachments, namespace, id, data)| {
        format!("{kind}{attachments}{namespace}{id}{data}")
    })
}

pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        samples::raw().prop_map(Value::from),
        (0..4u8).prop_map(|num| json!({"_placeholder": true, "num": num})),
    ];
    leaf.prop_recursive(3, 20, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{0,3}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_a_packet_is_one_again(text in any_packet()) {
        let Ok(packet) = parse(&text) else { return Ok(()) };
        prop_assert!(packet.namespace.starts_with('/') && packet.attachments <= ATTACHMENTS_MAX);
        let Ok(Event { name, args }) = parse_event(packet.data) else { return Ok(()) };
        let again = framed(|out| {
            encode_raw_event(out, packet.namespace, packet.id, &name, &args, packet.attachments);
        });
        let again = parse(&again).unwrap();
        prop_assert_eq!((again.namespace, again.id), (packet.namespace, packet.id));
        prop_assert_eq!(again.attachments, packet.attachments);
        let (again, data): (Value, Value) =
            (serde_json::from_str(again.data).unwrap(), serde_json::from_str(packet.data).unwrap());
        prop_assert_eq!(again, data);
        let _ = check_placeholders(packet.data, packet.attachments);
    }

    #[test]
    fn placeholders_are_counted_wherever_they_are(args in any_json()) {
        fn nums(value: &Value, found: &mut Vec<u64>) {
            match value {
                Value::Array(values) => values.iter().for_each(|value| nums(value, found)),
                Value::Object(fields) if fields.get("_placeholder") == Some(&true.into()) => {
                    found.push(fields["num"].as_u64().unwrap());
                }
                Value::Object(fields) => fields.values().for_each(|value| nums(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        nums(&args, &mut found);
        found.sort_unstable();
        let is_each_once = found.iter().copied().eq(0..found.len() as u64);
        if found.len() <= ATTACHMENTS_MAX {
            prop_assert_eq!(check_placeholders(&args.to_string(), found.len()).is_ok(), is_each_once);
        }
        prop_assert!(check_placeholders(&args.to_string(), found.len() + 1).is_err());
    }

    #[test]
    fn an_offset_comes_back(room in samples::any_room(), seq in any::<u64>()) {
        let offset = Offset { room, seq: Seq(seq) };
        let text = offset.to_string();
        prop_assert!(text.len() <= OFFSET_BYTES_MAX);
        prop_assert_eq!(Offset::parse(&text), Some(offset));
    }

    #[test]
    fn what_is_told_is_an_event_with_the_object_of_json(
        room in samples::any_room(),
        event in samples::any_event(),
        seq in any::<u64>(),
    ) {
        let entry = entry(seq, event);
        let happening = Happening::Logged(&entry);
        let told = framed(|out| encode_happening(out, &room, happening, true));
        let packet = parse(&told).unwrap();
        let Event { name, args } = parse_event(packet.data).unwrap();
        let mut object = Vec::new();
        crate::json::encode_happening(&mut object, &room, happening);
        prop_assert_eq!(args[0].get().as_bytes(), &object[..]);
        let object: Value = serde_json::from_slice(&object).unwrap();
        prop_assert_eq!(&object["ev"], &*name);
        let offset: String = serde_json::from_str(args[1].get()).unwrap();
        prop_assert_eq!(Offset::parse(&offset), Some(Offset { room, seq: Seq(seq) }));
    }
}
