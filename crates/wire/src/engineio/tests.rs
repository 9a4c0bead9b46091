//! Packets, and the bodies that carry them.

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::websocket::{binary_frame, close_frame, ping_frame, split_frames, whole_frames};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// What is in the one frame that is written.
fn framed(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let out = written(write);
    assert_eq!(whole_frames(&out), out.len());
    let frames: Vec<_> = split_frames(&out).collect();
    let [(Opcode::Text, payload)] = frames[..] else { panic!("{frames:?}") };
    str::from_utf8(payload).unwrap().to_owned()
}

#[test]
fn each_type_is_a_packet() {
    for (text, packet) in [
        ("0{}", Some(Packet::Open)),
        ("1", Some(Packet::Close)),
        ("2", Some(Packet::Ping(""))),
        ("2probe", Some(Packet::Ping("probe"))),
        ("3", Some(Packet::Pong(""))),
        ("4", Some(Packet::Message(""))),
        ("4한", Some(Packet::Message("한"))),
        ("5", Some(Packet::Upgrade)),
        ("6", Some(Packet::Noop)),
        ("", None),
        ("7", None),
        ("abc", None),
        ("bAQ==", None),
        ("한", None),
        ("\u{0}", None),
    ] {
        assert_eq!(parse(text), packet, "{text:?}");
    }
}

#[test]
fn packets_are_frames() {
    let handshake = Handshake {
        sid: "lv_VI97HAXpY6yYWAAAC",
        upgrades: true,
        ping_interval: Duration::from_millis(25_000),
        ping_timeout: Duration::from_millis(200),
        max_payload: 1_000_000,
    };
    let told = [
        framed(|out| encode_open(out, &handshake)),
        framed(|out| encode_open(out, &Handshake { upgrades: false, ..handshake })),
        framed(|out| encode_pong(out, "probe")),
        framed(|out| encode_message(out, "hello")),
        framed(|out| out.extend(PING)),
        framed(|out| out.extend(NOOP)),
        framed(|out| out.extend(CLOSE)),
    ];
    expect![[r#"
        0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":200,"maxPayload":1000000}
        0{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":[],"pingInterval":25000,"pingTimeout":200,"maxPayload":1000000}
        3probe
        4hello
        2
        6
        1
    "#]]
    .assert_eq(&(told.join("\n") + "\n"));
}

#[test]
fn a_body_is_split_into_its_packets() {
    let (text, binary) = (PayloadPart::Text, |bytes: &[u8]| PayloadPart::Binary(bytes.to_vec()));
    for (body, parts) in [
        ("4hello", Ok(vec![text("4hello")])),
        ("4hello\u{1e}2\u{1e}4한", Ok(vec![text("4hello"), text("2"), text("4한")])),
        ("4a\u{1e}bAQIDBA==", Ok(vec![text("4a"), binary(&[1, 2, 3, 4])])),
        ("b", Ok(vec![binary(b"")])),
        ("", Ok(vec![text("")])),
        ("4\u{1e}", Ok(vec![text("4"), text("")])),
        ("b?", Err(PayloadError::NotBase64)),
        ("bAQIDBA", Err(PayloadError::NotBase64)),
        ("bAQIDBB==", Err(PayloadError::NotBase64)),
        ("bAQ==AQ==", Err(PayloadError::NotBase64)),
        ("bAQI=AQ==", Err(PayloadError::NotBase64)),
        ("b=", Err(PayloadError::NotBase64)),
        ("b한", Err(PayloadError::NotBase64)),
        ("4\u{1e}4\u{1e}4\u{1e}4", Err(PayloadError::TooMany { max: 3 })),
        ("4\u{1e}4\u{1e}4\u{1e}b?", Err(PayloadError::TooMany { max: 3 })),
    ] {
        assert_eq!(split_payload(body, 3), parts, "{body:?}");
    }
}

#[test]
fn a_body_of_many_tiny_packets_is_given_up_at_the_limit() {
    let body = "\u{1e}".repeat(1_000_000);
    assert_eq!(split_payload(&body, 64), Err(PayloadError::TooMany { max: 64 }));
}

#[test]
fn frames_become_a_body() {
    let frames = written(|out| {
        encode_message(out, "a");
        ping_frame(out, b"");
        binary_frame(out, &[1, 2, 3, 4]);
        encode_message(out, "한");
        close_frame(out, 1001, "");
        binary_frame(out, b"");
    });
    let mut body = Vec::new();
    assert_eq!(payload_of_frames(&frames, &mut body, 1000), frames.len());
    assert_eq!(str::from_utf8(&body), Ok("4a\u{1e}bAQIDBA==\u{1e}4한\u{1e}b"));
    assert_eq!(payload_of_frames(&[], &mut body, 1000), 0);
}

#[test]
fn a_body_ends_at_its_limit_and_holds_one_packet_at_least() {
    let frames = written(|out| (0..3).for_each(|_| encode_message(out, "12345")));
    let frame = frames.len() / 3;
    for (bytes_max, taken) in [(0, 1), (6, 1), (12, 1), (13, 2), (19, 2), (20, 3), (usize::MAX, 3)] {
        let mut body = Vec::new();
        assert_eq!(payload_of_frames(&frames, &mut body, bytes_max), taken * frame, "{bytes_max}");
        assert_eq!(body.len(), 7 * taken - 1);
    }
    let mut body = b"4a".to_vec();
    assert_eq!(payload_of_frames(&frames, &mut body, 8), 0, "what is there already is the one packet");
    assert_eq!(payload_of_frames(&frames[..frame], &mut body, 9), frame);
    assert_eq!(body, b"4a\x1e412345");
    let mut body = Vec::new();
    assert_eq!(payload_of_frames(&frames[..frame + 3], &mut body, 1000), frame, "only whole frames");
}

proptest! {
    #[test]
    fn what_polling_carries_is_what_was_sent(
        packets in proptest::collection::vec(
            prop_oneof![
                "[ -~한]{0,200}".prop_map(Ok),
                proptest::collection::vec(any::<u8>(), 0..200).prop_map(Err),
            ],
            1..10,
        ),
        bytes_max in 0..1000usize,
    ) {
        let frames = written(|out| packets.iter().for_each(|packet| match packet {
            Ok(text) => encode_message(out, text),
            Err(bytes) => binary_frame(out, bytes),
        }));
        let (mut rest, mut got) = (&frames[..], Vec::new());
        while !rest.is_empty() {
            let mut body = Vec::new();
            let taken = payload_of_frames(rest, &mut body, bytes_max);
            prop_assert!(taken > 0);
            rest = &rest[taken..];
            let parts = split_payload(str::from_utf8(&body).unwrap(), 10).unwrap();
            prop_assert!(body.len() <= bytes_max || parts.len() == 1);
            got.extend(parts.into_iter().map(|part| match part {
                PayloadPart::Text(text) => Ok(text.strip_prefix('4').unwrap().to_owned()),
                PayloadPart::Binary(bytes) => Err(bytes),
            }));
        }
        prop_assert_eq!(got, packets);
    }

    #[test]
    fn any_body_is_packets_or_an_error(body in "[b0-9A-Za-z+/=\u{1e}한]{0,100}") {
        if let Ok(parts) = split_payload(&body, 10) {
            let again: Vec<String> = parts.iter().map(|part| match part {
                PayloadPart::Text(text) => (*text).to_owned(),
                PayloadPart::Binary(bytes) => format!("b{}", BASE64.encode(bytes)),
            }).collect();
            prop_assert_eq!(again.join("\u{1e}"), body);
        }
    }
}
