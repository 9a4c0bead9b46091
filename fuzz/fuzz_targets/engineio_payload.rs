//! Bodies of polling: packets that make the same body again, or an error.
//!
//! The input's first byte is how long the body of an answer may be.

#![no_main]

use libfuzzer_sys::fuzz_target;
use madang_wire::engineio::{PayloadPart, parse, payload_of_frames, split_payload};
use madang_wire::websocket::{binary_frame, text_frame};

/// Packets in one body.
const PACKETS_MAX: usize = 16;

fuzz_target!(|input: &[u8]| {
    let Some((bytes_max, body)) = input.split_first() else { return };
    let Ok(body) = str::from_utf8(body) else { return };
    let Ok(parts) = split_payload(body, PACKETS_MAX) else { return };
    assert!(parts.len() <= PACKETS_MAX);

    let mut frames = Vec::new();
    let mut written = 0;
    for part in &parts {
        match part {
            PayloadPart::Text("") => assert_eq!(parse(""), None),
            PayloadPart::Text(text) => {
                let _ = parse(text);
                text_frame(&mut frames, |out| out.extend_from_slice(text.as_bytes()));
                written += 1;
            }
            PayloadPart::Binary(bytes) => {
                binary_frame(&mut frames, bytes);
                written += 1;
            }
        }
    }

    let mut whole = Vec::new();
    assert_eq!(payload_of_frames(&frames, &mut whole, usize::MAX), frames.len());
    if written == parts.len() {
        assert_eq!(str::from_utf8(&whole), Ok(body), "the same body again");
    }

    let bytes_max = usize::from(*bytes_max);
    let (mut rest, mut polled) = (&frames[..], Vec::new());
    while !rest.is_empty() {
        let mut body = Vec::new();
        let taken = payload_of_frames(rest, &mut body, bytes_max);
        assert!(taken > 0, "each poll takes something");
        rest = &rest[taken..];
        let body = String::from_utf8(body).expect("text");
        let packets = body.split('\u{1e}').count();
        assert!(body.len() <= bytes_max || packets == 1);
        polled.push(body);
    }
    assert_eq!(polled.join("\u{1e}").as_bytes(), whole, "in however many polls");
});
