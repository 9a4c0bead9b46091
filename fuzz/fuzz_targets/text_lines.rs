//! The whole text path: however a stream is cut, the same lines, and each a request or a refusal on one safe line.
//!
//! The input's first bytes say where the rest is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use madang_fuzz::{cut, feed, is_safe_line};
use madang_room::{Entry, Event, Nick, RoomName, Seq, Timestamp};
use madang_wire::text::{self, Form};
use madang_wire::{Happening, LINE_BYTES_MAX, LineDecoder, Op};

fuzz_target!(|input: &[u8]| {
    let (reads, stream) = cut(input);
    let got = feed(LineDecoder::text(), &reads);
    assert_eq!(got, feed(LineDecoder::text(), &[stream]), "cuts change nothing");
    assert!(got.answers.len() <= 3 * 512, "every option is refused once");

    let room = RoomName::parse("plaza").expect("a name");
    for line in &got.lines {
        assert!((1..=LINE_BYTES_MAX).contains(&line.len()));
        text::looks_like_http(line);
        // At a lobby's door a line is a command more often, and otherwise the same.
        if let Err(refusal) = text::parse_in_lobby(line) {
            let mut out = Vec::new();
            text::encode_refusal(&mut out, &refusal, false);
            assert!(is_safe_line(&out, false));
        }
        match text::parse(line).map(|request| request.op) {
            Ok(Op::Say { text, .. }) => {
                let event = Event::Said { from: Nick::guest(1), text, once: None };
                let entry = Entry { seq: Seq(1), at: Timestamp(0), event };
                for form in Form::ALL {
                    let mut out = Vec::new();
                    text::encode_happening(&mut out, &room, Happening::Logged(&entry), form);
                    assert!(is_safe_line(&out, form.crlf));
                    let begin = if form.is_current { "<Guest1> " } else { "[plaza] <Guest1> " };
                    assert!(out.starts_with(begin.as_bytes()), "nobody speaks for the server");
                }
            }
            Ok(Op::Help { command }) => drop(text::help(command.as_deref())),
            Ok(_) => {}
            Err(refusal) => {
                let mut out = Vec::new();
                text::encode_refusal(&mut out, &refusal, false);
                assert!(is_safe_line(&out, false));
            }
        }
    }
});
