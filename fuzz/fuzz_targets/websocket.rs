//! Frames: however a stream is cut, the same messages and the same end, and none longer than allowed.
//!
//! The input's first bytes say where the rest is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use madang_fuzz::cut;
use madang_wire::websocket::{
    CONTROL_BYTES_MAX, Decoder, Message, binary_frame, close_frame, pong_frame, split_frames, text_frame,
    whole_frames,
};

/// Small, so that inputs reach it.
const MESSAGE_BYTES_MAX: usize = 300;

fuzz_target!(|input: &[u8]| {
    let (reads, stream) = cut(input);
    let got = feed(&reads);
    assert_eq!(got, feed(&[stream]), "cuts change nothing");
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(got, feed(&bytes), "however many there are");

    assert!(whole_frames(stream) <= stream.len());
    let frames: Vec<_> = split_frames(&got.answers).collect();
    assert_eq!(whole_frames(&got.answers), got.answers.len());
    assert_eq!(frames.len(), got.written, "each answer is one whole frame");
});

/// What a decoder found in a stream.
#[derive(Debug, Default, PartialEq)]
struct Got {
    messages: Vec<String>,
    /// What a server that sends everything back would have sent.
    answers: Vec<u8>,
    written: usize,
}

fn feed(reads: &[&[u8]]) -> Got {
    let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
    let mut got = Got::default();
    let mut is_over = false;
    for read in reads {
        let mut read = read.to_vec();
        let mut rest = &mut read[..];
        while let Some(result) = decoder.next(&mut rest) {
            assert!(!is_over, "nothing comes after the end");
            let before = got.answers.len();
            match result {
                Ok(Message::Text(text)) => {
                    assert!(text.len() <= MESSAGE_BYTES_MAX);
                    text_frame(&mut got.answers, |out| out.extend_from_slice(text.as_bytes()));
                }
                Ok(Message::Binary(bytes)) => {
                    assert!(bytes.len() <= MESSAGE_BYTES_MAX);
                    binary_frame(&mut got.answers, bytes);
                }
                Ok(Message::Ping(payload)) => {
                    assert!(payload.len() <= CONTROL_BYTES_MAX);
                    pong_frame(&mut got.answers, payload);
                }
                Ok(Message::Pong) => {}
                Ok(Message::Close(code)) => {
                    is_over = true;
                    close_frame(&mut got.answers, code.unwrap_or(1000), "");
                }
                Err(error) => {
                    is_over = true;
                    close_frame(&mut got.answers, error.close_code(), &error.to_string());
                }
            }
            got.written += usize::from(got.answers.len() > before);
            got.messages.push(format!("{result:?}"));
        }
        assert!(rest.is_empty(), "None means that everything is used");
    }
    got
}
