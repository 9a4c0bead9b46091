//! The whole JSON path: however a stream is cut, the same lines, and each a request or a refusal that is JSON itself.
//!
//! The input's first bytes say where the rest is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use madang_fuzz::{cut, feed};
use madang_room::{Entry, Event, Nick, RoomName, Seq, Timestamp};
use madang_wire::{Answer, Happening, JSON_BYTES_MAX, LineDecoder, Op, json};
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let (reads, stream) = cut(input);
    let got = feed(LineDecoder::json(), &reads);
    assert_eq!(got, feed(LineDecoder::json(), &[stream]), "cuts change nothing");

    for line in &got.lines {
        assert!((1..=JSON_BYTES_MAX).contains(&line.len()));
        let (id, op, result) = match json::parse(line) {
            Ok(request) => (request.id, Some(request.op), Ok(Answer::Pong)),
            Err(refused) => (refused.id, None, Err(refused.refusal)),
        };
        let is_told = id.is_some() || result.is_err();
        let mut out = Vec::new();
        json::encode_reply(&mut out, id.as_ref(), &result);
        assert_eq!(!out.is_empty(), is_told);
        if is_told {
            let reply = object(&out);
            if op.is_some() {
                let asked = object(line);
                assert_eq!(reply["re"], asked["id"], "an id comes back as it was");
            }
        }
        if let Some(Op::Say { text, .. }) = op {
            let event = Event::Said { from: Nick::guest(1), text: text.clone(), once: None };
            let entry = Entry { seq: Seq(1), at: Timestamp(0), event };
            let mut out = Vec::new();
            let room = RoomName::parse("plaza").expect("a name");
            json::encode_happening(&mut out, &room, Happening::Logged(&entry));
            assert_eq!(object(&out)["text"], text.as_str());
        }
    }
});

/// What was written, as another reader reads it.
fn object(bytes: &[u8]) -> Value {
    assert!(!bytes.contains(&b'\n'), "one line");
    serde_json::from_slice(bytes).expect("JSON")
}
