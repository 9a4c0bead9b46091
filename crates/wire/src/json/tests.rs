//! What programs send and get.

use expect_test::expect;
use madang_room::{Key, Refusal, Seq};
use proptest::prelude::*;

use super::*;
use crate::samples::{self, entry, nick, room, words};
use crate::websocket::text_frame;
use crate::{Answer, Happening, Op, Request, RequestId};

fn op(line: &str) -> Op {
    parse(line.as_bytes()).unwrap().op
}

/// What a refused line is answered with.
fn refused(line: &[u8]) -> String {
    let Refused { id, refusal } = parse(line).unwrap_err();
    written(|out| as_line(out, |out| encode_reply(out, id.as_ref(), &Err(refusal))))
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn each_op_asks_for_what_it_says() {
    let plaza = || Some(room("plaza"));
    let history =
        |after, before, limit| Op::History { room: plaza(), after, before, limit, said_only: false };
    for (line, expected) in [
        (r#"{"op":"hello"}"#, Op::Hello { nick: None, resume: None }),
        (
            r#"{"op":"hello","nick":"mina","resume":"s_1.c"}"#,
            Op::Hello { nick: Some(nick("mina")), resume: Some("s_1.c".into()) },
        ),
        (r#"{"op":"nick","nick":"mina"}"#, Op::Nick { nick: nick("mina") }),
        (
            r#"{"op":"join","room":"plaza"}"#,
            Op::Join { room: room("plaza"), after: None, epoch: None, capacity: None, echo: None },
        ),
        (
            r#"{"op":"join","room":"plaza","after":810,"epoch":"e7","capacity":2,"echo":false}"#,
            Op::Join {
                room: room("plaza"),
                after: Some(Seq(810)),
                epoch: Some("e7".into()),
                capacity: Some(2),
                echo: Some(false),
            },
        ),
        (r#"{"op":"leave","room":"plaza"}"#, Op::Leave { room: plaza() }),
        (
            r#"{"op":"say","room":"plaza","text":"hi"}"#,
            Op::Say { room: plaza(), text: words("hi"), key: None },
        ),
        (
            r#"{"text":"\ud55c\n\"\u001b[31m\"","key":"k","room":"plaza","op":"say"}"#,
            Op::Say { room: plaza(), text: words("한\"[31m\""), key: Key::parse("k") },
        ),
        (r#"{"op":"topic","room":"plaza","text":"x"}"#, Op::Topic { room: plaza(), text: Some(words("x")) }),
        (r#"{"op":"capacity","room":"plaza","capacity":0}"#, Op::Capacity { room: plaza(), capacity: 0 }),
        (r#"{"op":"tell","to":"mina","text":"hi"}"#, Op::Tell { to: nick("mina"), text: words("hi") }),
        (r#"{"op":"rooms"}"#, Op::Rooms { prefix: None, limit: 100 }),
        (r#"{"op":"rooms","prefix":"du","limit":3}"#, Op::Rooms { prefix: Some("du".into()), limit: 3 }),
        (r#"{"op":"who","room":"plaza"}"#, Op::Who { room: plaza() }),
        (r#"{"op":"history","room":"plaza"}"#, history(None, None, 100)),
        (r#"{"op":"history","room":"plaza","after":5,"limit":9999}"#, history(Some(Seq(5)), None, 1000)),
        (r#"{"op":"history","room":"plaza","before":5}"#, history(None, Some(Seq(5)), 100)),
        (r#" { "op" : "ping" } "#, Op::Ping),
        (r#"{"op":"bye"}"#, Op::Bye),
        (r#"{"op":"ping","nick":5,"later":{"a":[1,{}]},"later":null}"#, Op::Ping),
        (r#"{"op":"hello","nick":null}"#, Op::Hello { nick: None, resume: None }),
    ] {
        assert_eq!(op(line), expected, "{line}");
    }
}

#[test]
fn an_id_comes_back_as_it_was() {
    for id in ["1", "-1", "0.5", "18446744073709551615", "1e300", "\"a\"", "\"\\u00e9 \\\" \\n\"", "\"\""] {
        let Request { id, .. } = parse(format!("{{\"op\":\"ping\",\"id\":{id}}}").as_bytes()).unwrap();
        let reply = written(|out| encode_reply(out, id.as_ref(), &Ok(Answer::Pong)));
        let again: serde_json::Value = serde_json::from_str(&reply).unwrap();
        assert_eq!(serde_json::to_value(id.unwrap()).unwrap(), again["re"]);
    }
    assert_eq!(parse(br#"{"op":"ping","id":null}"#).unwrap().id, None);
    assert_eq!(parse(br#"{"op":"ping","id":"x"}"#).unwrap().id, Some(RequestId::Text("x".into())));
}

#[test]
fn a_refusal_says_what_is_wrong_and_what_would_be_right() {
    let long_id = format!(r#"{{"op":"ping","id":"{}"}}"#, "x".repeat(65));
    let long_epoch = format!(r#"{{"op":"join","id":1,"room":"plaza","epoch":"{}"}}"#, "x".repeat(257));
    let long_text = format!(r#"{{"op":"say","id":1,"room":"plaza","text":"{}"}}"#, "x".repeat(4097));
    let long_key = format!(r#"{{"op":"say","id":1,"room":"plaza","text":"hi","key":"{}"}}"#, "x".repeat(65));
    let lines: Vec<&[u8]> = vec![
        b"",
        b"hello",
        b"{",
        b"[1,2]",
        b"5",
        br#"{"op":"ping"} {"op":"ping"}"#,
        br#"{"id":1,"op":"ping""#,
        br#"{"op":"ping","op":"bye","id":1}"#,
        br#"{"id":1,"op":"ping","id":2}"#,
        br#"{"id":1,"op":"say","room":"plaza","text":"\ud800"}"#,
        br#"{"id":1,"op":"say","room":"plaza","text":NaN}"#,
        b"{\"id\":1,\"op\":\"p\xe9ng\"}",
        br#"{"id":1,"limit":1e999}"#,
        br#"{}"#,
        br#"{"id":1,"op":5}"#,
        br#"{"id":1,"op":"jion"}"#,
        br#"{"id":1,"op":"xyzzy"}"#,
        br#"{"id":[1],"op":"ping"}"#,
        long_id.as_bytes(),
        long_epoch.as_bytes(),
        br#"{"id":"a","op":"say","room":"plaza"}"#,
        br#"{"op":"say","text":5,"room":"plaza","id":3}"#,
        br#"{"op":"say","text":{"a":1},"room":"plaza","id":3}"#,
        br#"{"op":"say","text":"hi","id":3}"#,
        br#"{"op":"say","text":"","room":"plaza","id":3}"#,
        long_text.as_bytes(),
        long_key.as_bytes(),
        br#"{"op":"nick","nick":"two words","id":3}"#,
        br#"{"op":"join","room":"plaza","after":-1,"id":3}"#,
        br#"{"op":"join","room":"plaza","after":1.5,"id":3}"#,
        br#"{"op":"join","room":"plaza","capacity":4294967296,"id":3}"#,
        br#"{"op":"join","room":"plaza","echo":"yes","id":3}"#,
        br#"{"op":"history","room":"plaza","after":1,"before":2,"id":3}"#,
    ];
    let refusals: String = lines.into_iter().map(refused).collect();
    expect![[r#"
        {"ev":"error","code":"bad_json","message":"that is not a JSON object as this door reads it: EOF while parsing a value at line 1 column 0"}
        {"ev":"error","code":"bad_json","message":"that is not a JSON object as this door reads it: expected value at line 1 column 1"}
        {"ev":"error","code":"bad_json","message":"that is not a JSON object as this door reads it: EOF while parsing an object at line 1 column 1"}
        {"ev":"error","code":"bad_json","message":"that is not a JSON object as this door reads it: invalid type: sequence, expected an object as {\"op\":\"ping\"} at line 1 column 0"}
        {"ev":"error","code":"bad_json","message":"that is not a JSON object as this door reads it: invalid type: integer `5`, expected an object as {\"op\":\"ping\"} at line 1 column 1"}
        {"ev":"error","code":"bad_json","message":"that is not a JSON object as this door reads it: trailing characters at line 1 column 15"}
        {"re":1,"error":{"code":"bad_json","message":"that is not a JSON object as this door reads it: EOF while parsing an object at line 1 column 19"}}
        {"ev":"error","code":"bad_json","message":"that is not a JSON object as this door reads it: the field \"op\" is there twice at line 1 column 23"}
        {"re":1,"error":{"code":"bad_json","message":"that is not a JSON object as this door reads it: the field \"id\" is there twice at line 1 column 27"}}
        {"re":1,"error":{"code":"bad_json","message":"that is not a JSON object as this door reads it: unexpected end of hex escape at line 1 column 49"}}
        {"re":1,"error":{"code":"bad_json","message":"that is not a JSON object as this door reads it: expected value at line 1 column 42"}}
        {"ev":"error","code":"bad_text","message":"a line must be UTF-8: byte 16 is not"}
        {"re":1,"error":{"code":"bad_json","message":"that is not a JSON object as this door reads it: number out of range at line 1 column 21"}}
        {"ev":"error","code":"bad_command","message":"what is asked stands in \"op\": {\"op\":\"ping\"}"}
        {"re":1,"error":{"code":"bad_command","message":"\"op\" is a string, not 5"}}
        {"re":1,"error":{"code":"bad_command","message":"there is no op \"jion\"; did you mean \"join\"?"}}
        {"re":1,"error":{"code":"bad_command","message":"there is no op \"xyzzy\"; there are hello, nick, join, leave, say, topic, capacity, tell, rooms, who, history, ping, bye"}}
        {"ev":"error","code":"bad_command","message":"\"id\" is a number or a string of at most 64 bytes, not a list"}
        {"ev":"error","code":"bad_command","message":"\"id\" is a number or a string of at most 64 bytes, not one of 65"}
        {"re":1,"error":{"code":"bad_command","message":"join takes a string of at most 256 bytes as \"epoch\", not one of 257"}}
        {"re":"a","error":{"code":"bad_command","message":"say needs \"text\"; its fields are room, text, key?"}}
        {"re":3,"error":{"code":"bad_command","message":"say takes a string as \"text\", not 5"}}
        {"re":3,"error":{"code":"bad_command","message":"say takes a string as \"text\", not an object"}}
        {"re":3,"error":{"code":"bad_command","message":"say needs \"room\"; its fields are room, text, key?"}}
        {"re":3,"error":{"code":"bad_text","message":"a text needs at least one visible character"}}
        {"re":1,"error":{"code":"too_long","message":"a text may have 4096 bytes, this one has 4097"}}
        {"re":1,"error":{"code":"too_long","message":"a key has 1 to 64 bytes, this one has 65"}}
        {"re":3,"error":{"code":"bad_name","message":"\"two words\" is no name: a name has letters, digits, '-', '_' and '.', not ' '"}}
        {"re":3,"error":{"code":"bad_command","message":"join takes a whole number from 0 to 18446744073709551615 as \"after\", not -1"}}
        {"re":3,"error":{"code":"bad_command","message":"join takes a whole number from 0 to 18446744073709551615 as \"after\", not 1.5"}}
        {"re":3,"error":{"code":"bad_command","message":"join takes a whole number from 0 to 4294967295 as \"capacity\", not 4294967296"}}
        {"re":3,"error":{"code":"bad_command","message":"join takes true or false as \"echo\", not a string"}}
        {"re":3,"error":{"code":"bad_command","message":"history takes \"after\" or \"before\", not both"}}
    "#]].assert_eq(&refusals);
}

#[test]
fn brackets_without_end_are_refused_at_once() {
    for field in ["op", "later"] {
        for bomb in ["[", "{\"a\":"] {
            let line = format!("{{\"id\":1,\"{field}\":{}", bomb.repeat(30_000 / bomb.len()));
            assert!(line.len() < crate::JSON_BYTES_MAX);
            assert_eq!(parse(line.as_bytes()).unwrap_err().refusal.code(), "bad_json");
        }
        let closed = format!("{{\"{field}\":{}{}}}", "[".repeat(15_000), "]".repeat(15_000));
        let refused = parse(closed.as_bytes()).unwrap_err().refusal.to_string();
        assert!(refused.contains("recursion limit"), "{refused}");
    }
}

#[test]
fn the_longest_text_fits_a_line_however_it_is_escaped() {
    let text = r"\u0041".repeat(madang_room::TEXT_BYTES_MAX);
    let id = r"\u0041".repeat(crate::ID_BYTES_MAX);
    let line = format!(
        r#"{{"op":"say","room":"{0}","text":"{text}","key":"{0}","id":"{id}"}}"#,
        r"\u0041".repeat(64)
    );
    assert!(line.len() <= crate::JSON_BYTES_MAX);
    assert!(parse(line.as_bytes()).is_ok());
}

#[test]
fn a_happening_is_an_event() {
    let told = written(|out| {
        for event in samples::events() {
            as_line(out, |out| encode_happening(out, &room("plaza"), Happening::Logged(&entry(811, event))));
        }
        for presence in samples::presences() {
            as_line(out, |out| encode_happening(out, &room("plaza"), Happening::Presence(&presence)));
        }
    });
    expect![[r#"
        {"ev":"created","room":"plaza","seq":811,"at":"2026-11-20T10:00:00.123Z","from":"mina"}
        {"ev":"said","room":"plaza","seq":811,"at":"2026-11-20T10:00:00.123Z","from":"jun","text":"hi"}
        {"ev":"topic","room":"plaza","seq":811,"at":"2026-11-20T10:00:00.123Z","from":"mina","text":"today"}
        {"ev":"capacity","room":"plaza","seq":811,"at":"2026-11-20T10:00:00.123Z","from":"mina","capacity":5}
        {"ev":"joined","room":"plaza","nick":"mina"}
        {"ev":"left","room":"plaza","nick":"mina"}
        {"ev":"left","room":"plaza","nick":"mina","why":"lost"}
        {"ev":"renamed","room":"plaza","from":"mina","to":"jun"}
        {"ev":"count","room":"plaza","count":1234}
    "#]]
    .assert_eq(&told);
}

#[test]
fn each_answer_is_a_reply() {
    let id = RequestId::Number(1.into());
    let told = written(|out| {
        for answer in samples::answers() {
            as_line(out, |out| encode_reply(out, Some(&id), &Ok(answer)));
        }
    });
    expect![[r#"
        {"re":1,"session":"s_9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f9f","resume":"s_9f.c1","resumed":false,"nick":"mina","server":"madang/0.1.0"}
        {"re":1,"nick":"mina"}
        {"re":1,"room":"plaza","kind":"chat","epoch":"e7","seq":812,"count":2,"members":["jun","mina"],"capacity":0,"topic":""}
        {"re":1,"room":"plaza","kind":"chat","epoch":"e7","seq":812,"count":2,"capacity":0,"topic":"today","reset":true}
        {"re":1,"room":"garden"}
        {"re":1,"seq":813}
        {"re":1,"room":"plaza","topic":"today"}
        {"re":1,"room":"plaza","topic":""}
        {"re":1}
        {"re":1,"rooms":[{"room":"garden","kind":"chat","count":2,"capacity":0},{"room":"plaza","kind":"chat","count":17,"capacity":0}]}
        {"re":1,"rooms":[]}
        {"re":1,"count":2,"members":["jun","mina"]}
        {"re":1,"count":1234}
        {"re":1,"events":[{"ev":"created","room":"plaza","seq":1,"at":"2026-11-20T10:00:00.123Z","from":"mina"},{"ev":"said","room":"plaza","seq":2,"at":"2026-11-20T10:00:00.123Z","from":"jun","text":"hi"},{"ev":"topic","room":"plaza","seq":3,"at":"2026-11-20T10:00:00.123Z","from":"mina","text":"today"},{"ev":"capacity","room":"plaza","seq":4,"at":"2026-11-20T10:00:00.123Z","from":"mina","capacity":5}],"first":1,"seq":4,"epoch":"e7"}
        {"re":1,"events":[],"first":1,"seq":4,"epoch":"e7"}
        {"re":1,"echo":true}
        {"re":1,"lines":["one","two"]}
        {"re":1}
        {"re":1}
    "#]].assert_eq(&told);
}

#[test]
fn without_an_id_only_a_refusal_is_answered() {
    assert_eq!(written(|out| as_line(out, |out| encode_reply(out, None, &Ok(Answer::Pong)))), "");
    let refused = Err(Refusal::RoomFull { room: room("duo-7"), capacity: 2 });
    let told = written(|out| encode_reply(out, None, &refused));
    expect![[r#"{"ev":"error","code":"room_full","message":"duo-7 holds 2 and is full"}"#]].assert_eq(&told);
    let told = written(|out| encode_reply(out, Some(&RequestId::Text("a\"".into())), &refused));
    expect![[r#"{"re":"a\"","error":{"code":"room_full","message":"duo-7 holds 2 and is full"}}"#]]
        .assert_eq(&told);
}

#[test]
fn each_notice_is_an_event() {
    let told = written(|out| {
        samples::notices().iter().for_each(|notice| as_line(out, |out| encode_notice(out, notice)));
    });
    expect![[r#"
        {"ev":"told","from":"mina","text":"hello"}
        {"ev":"gap","room":"plaza","from_seq":811,"to_seq":930}
        {"ev":"gap","room":"plaza","from_seq":811,"to_seq":810}
        {"ev":"error","code":"not_a_member","message":"you are in no room, join one first: /join plaza"}
        {"ev":"bye","why":"shutdown","resume":true,"retry_ms":2001}
        {"ev":"bye","why":"idle","resume":true}
    "#]]
    .assert_eq(&told);
}

#[test]
fn an_answer_is_the_reply_without_its_id() {
    let results = samples::answers().into_iter().map(Ok).chain(samples::refusals().into_iter().map(Err));
    for result in results {
        let answer = written(|out| encode_answer(out, &result));
        let reply = written(|out| encode_reply(out, Some(&RequestId::Number(1.into())), &result));
        let reply = reply.strip_prefix("{\"re\":1").unwrap();
        assert_eq!(answer.strip_prefix('{').unwrap(), reply.strip_prefix(',').unwrap_or(reply));
    }
    let body = written(|out| encode_error_body(out, &Refusal::InNoRoom));
    expect![[
        r#"{"error":{"code":"not_a_member","message":"you are in no room, join one first: /join plaza"}}"#
    ]]
    .assert_eq(&body);
}

#[test]
fn a_frame_is_written_where_json_is() {
    let frame = |result| {
        let mut out = Vec::new();
        text_frame(&mut out, |out| encode_reply(out, None, &result));
        out
    };
    assert_eq!(frame(Ok(Answer::Pong)), b"", "a yes that nobody waits for");
    let refused = frame(Err(Refusal::InNoRoom));
    assert_eq!(refused[..5], [0x81, refused.len() as u8 - 2, b'{', b'"', b'e']);
}

#[test]
fn an_op_may_be_told_beside_its_object() {
    let id = Some(RequestId::Text("x".into()));
    let ping = Ok(Request { id: id.clone(), op: Op::Ping });
    assert_eq!(parse_op("ping", None, id.clone()), ping);
    assert_eq!(parse_op("ping", Some(r#"{"id":[],"op":5}"#), id.clone()), ping);
    for object in ["", "5", "{", "{}{}"] {
        let refused = parse_op("ping", Some(object), id.clone()).unwrap_err();
        assert_eq!((refused.id, refused.refusal.code()), (id.clone(), "bad_json"), "{object}");
    }
    assert_eq!(parse_op("", None, None).unwrap_err().refusal.code(), "bad_command");
}

/// Whatever is written is one object on one line that any JSON reader reads.
fn check_object(out: &str) -> Result<serde_json::Value, TestCaseError> {
    prop_assert!(!out.contains(['\n', '\r', '\u{1b}', '\0']), "{:?}", out);
    let value: serde_json::Value =
        serde_json::from_str(out).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert!(value.is_object());
    Ok(value)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_bytes_are_a_request_or_a_refusal(bytes in prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "[\\[\\]{}:,\"\\\\ \\x00-\\x20a-z0-9.eE+-]{0,100}".prop_map(String::into_bytes),
    ]) {
        if let Err(Refused { id, refusal }) = parse(&bytes) {
            check_object(&written(|out| encode_reply(out, id.as_ref(), &Err(refusal))))?;
        }
    }

    #[test]
    fn fields_of_any_type_in_any_order_are_a_request_or_a_refusal_with_its_id(
        op in proptest::sample::select(ops::OPS.iter().map(|row| row.name()).collect::<Vec<_>>()),
        mut fields in proptest::collection::btree_map(
            proptest::sample::select(vec![
                "nick", "resume", "room", "after", "before", "epoch", "capacity", "echo", "text", "key", "to",
                "prefix", "limit", "later",
            ]),
            prop_oneof![
                Just("null".to_owned()), Just("true".to_owned()), Just("[[1],{}]".to_owned()), Just("{\"a\":[]}".to_owned()),
                any::<i64>().prop_map(|n| n.to_string()), (-1e9..1e9f64).prop_map(|n| n.to_string()),
                samples::raw().prop_map(|raw| serde_json::to_string(&raw).unwrap()),
            ],
            0..8,
        ).prop_map(|fields| fields.into_iter().collect::<Vec<_>>()).prop_shuffle(),
        at in any::<prop::sample::Index>(),
    ) {
        let op = format!("\"{op}\"");
        fields.push(("op", op));
        fields.insert(at.index(fields.len()), ("id", "7".to_owned()));
        let fields: Vec<_> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        let line = format!("{{{}}}", fields.join(","));
        let id = match parse(line.as_bytes()) {
            Ok(request) => request.id,
            Err(refused) => {
                prop_assert_ne!(refused.refusal.code(), "bad_json", "{}", line);
                refused.id
            }
        };
        prop_assert_eq!(id, Some(RequestId::Number(7.into())));
    }

    #[test]
    fn a_number_as_id_comes_back_to_the_last_digit(id in any::<f64>().prop_filter("JSON has it", |id| id.is_finite())) {
        let Request { id: read, .. } = parse(serde_json::json!({"op": "ping", "id": id}).to_string().as_bytes()).unwrap();
        let reply = written(|out| encode_reply(out, read.as_ref(), &Ok(Answer::Pong)));
        let re = reply.strip_prefix("{\"re\":").and_then(|rest| rest.strip_suffix("}")).unwrap();
        prop_assert_eq!(re.parse::<f64>().unwrap().to_bits(), id.to_bits());
    }

    #[test]
    fn what_is_said_comes_back(
        room in samples::any_room(),
        event in samples::any_event(),
        presence in samples::any_presence(),
        raw in samples::raw(),
        at in any::<i64>(),
    ) {
        let entry = madang_room::Entry { at: madang_room::Timestamp(at), ..entry(9, event) };
        let told = check_object(&written(|out| encode_happening(out, &room, Happening::Logged(&entry))))?;
        prop_assert_eq!(&told["room"], room.as_str());
        prop_assert_eq!(&told["at"], &entry.at.to_string());
        if let madang_room::Event::Said { from, text, .. } = &entry.event {
            prop_assert_eq!((&told["from"], &told["text"]), (&from.as_str().into(), &text.as_str().into()));
        }
        check_object(&written(|out| encode_happening(out, &room, Happening::Presence(&presence))))?;

        let asked = serde_json::json!({"op": "say", "id": raw, "room": room.as_str(), "text": raw, "key": raw});
        let (id, refusal) = match parse(asked.to_string().as_bytes()) {
            Ok(Request { id, op }) => {
                let text = madang_room::Text::parse(&raw).unwrap();
                prop_assert_eq!(op, Op::Say { room: Some(room), text, key: Key::parse(&raw) });
                (id, None)
            }
            Err(Refused { id, refusal }) => (id, Some(refusal)),
        };
        if let Some(id) = id {
            let result = refusal.map_or(Ok(Answer::Pong), Err);
            let reply = check_object(&written(|out| encode_reply(out, Some(&id), &result)))?;
            prop_assert_eq!(&reply["re"], &raw);
        }
    }
}
