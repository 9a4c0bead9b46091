//! However a stream is cut, the same messages come out, and they are those that another implementation finds.

use expect_test::expect;
use proptest::prelude::*;

use super::header::unmask;
use super::*;

const MAX: usize = 70_000;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

#[derive(Clone, Debug, PartialEq)]
enum Got {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong,
    Close(Option<u16>),
    Error(ProtocolError),
}

impl From<Result<Message<'_>, ProtocolError>> for Got {
    fn from(result: Result<Message<'_>, ProtocolError>) -> Got {
        match result {
            Ok(Message::Text(text)) => Got::Text(text.to_owned()),
            Ok(Message::Binary(bytes)) => Got::Binary(bytes.to_vec()),
            Ok(Message::Ping(bytes)) => Got::Ping(bytes.to_vec()),
            Ok(Message::Pong) => Got::Pong,
            Ok(Message::Close(code)) => Got::Close(code),
            Err(error) => Got::Error(error),
        }
    }
}

fn text(text: &str) -> Got {
    Got::Text(text.to_owned())
}

/// A client's frame: its first byte says what it is.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        bytes @ 0..126 => frame.push(0x80 | bytes as u8),
        bytes @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend((bytes as u16).to_be_bytes());
        }
        bytes => {
            frame.push(0x80 | 127);
            frame.extend((bytes as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ MASK[at % 4]));
    frame
}

const TEXT: u8 = 0x81;
const TEXT_BEGINS: u8 = 0x01;
const BINARY_BEGINS: u8 = 0x02;
const GOES_ON: u8 = 0x00;
const ENDS: u8 = 0x80;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// What a decoder gives for a stream that comes in these reads.
fn feed(reads: &[&[u8]]) -> Vec<Got> {
    let mut decoder = Decoder::new(MAX);
    let mut got = Vec::new();
    for read in reads {
        let mut read = read.to_vec();
        let mut rest = &mut read[..];
        while let Some(result) = decoder.next(&mut rest) {
            got.push(Got::from(result));
        }
        assert!(rest.is_empty(), "None means that everything is used");
    }
    got
}

/// Of each kind of message one or more, with a control frame in the middle of another message.
fn session() -> (Vec<u8>, Vec<Got>) {
    let long = "한".repeat(50);
    let frames = [
        frame(TEXT, b"hi"),
        frame(TEXT, b""),
        frame(TEXT, long.as_bytes()),
        frame(TEXT_BEGINS, b"a\xed"),
        frame(PING, b"are you there?"),
        frame(GOES_ON, b""),
        frame(GOES_ON, b"\x95\x9c"),
        frame(PONG, b""),
        frame(ENDS, b"b"),
        frame(BINARY_BEGINS, b""),
        frame(ENDS, b""),
        frame(0x82, b"\xff\x00"),
        frame(CLOSE, b"\x03\xe8bye"),
        frame(TEXT, b"nobody hears this"),
    ];
    let got = vec![
        text("hi"),
        text(""),
        text(&long),
        Got::Ping(b"are you there?".to_vec()),
        Got::Pong,
        text("a한b"),
        Got::Binary(vec![]),
        Got::Binary(vec![0xff, 0]),
        Got::Close(Some(1000)),
    ];
    (frames.concat(), got)
}

#[test]
fn cuts_change_nothing() {
    let (stream, expected) = session();
    assert_eq!(feed(&[&stream]), expected);
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(feed(&bytes), expected, "byte by byte");
    for first in 0..stream.len() {
        let (before, after) = stream.split_at(first);
        assert_eq!(feed(&[before, after]), expected, "cut at {first}");
        for second in (0..after.len()).step_by(7) {
            let (middle, after) = after.split_at(second);
            assert_eq!(feed(&[before, middle, after]), expected, "cut at {first} and {second} behind it");
        }
    }
}

#[test]
fn a_message_that_came_whole_is_borrowed() {
    let mut decoder = Decoder::new(MAX);
    let mut read = [frame(TEXT, b"hello"), frame(0x82, &[7; 300])].concat();
    let range = read.as_ptr_range();
    let mut rest = &mut read[..];
    for _ in 0..2 {
        let payload = match decoder.next(&mut rest) {
            Some(Ok(Message::Text(text))) => text.as_bytes(),
            Some(Ok(Message::Binary(bytes))) => bytes,
            other => panic!("{other:?}"),
        };
        assert!(range.contains(&payload.as_ptr()));
        assert_eq!(decoder.kept_bytes(), None);
    }
    assert!(decoder.next(&mut rest).is_none());
}

#[test]
fn an_idle_decoder_is_small() {
    assert!(size_of::<Decoder>() <= 48, "{}", size_of::<Decoder>());
    let (stream, _) = session();
    let mut decoder = Decoder::new(MAX);
    let mut was_busy = false;
    for byte in &stream {
        let mut read = [*byte];
        let mut rest = &mut read[..];
        while decoder.next(&mut rest).is_some() {}
        was_busy |= decoder.kept_bytes().is_some();
    }
    assert!(was_busy);
    assert_eq!(decoder.kept_bytes(), None, "all memory was given back");
}

#[test]
fn the_end_gives_back_what_will_never_be_finished() {
    for end in [frame(CLOSE, b""), frame(TEXT, b"in the middle of another")] {
        let mut decoder = Decoder::new(MAX);
        let mut read = [frame(TEXT_BEGINS, b"begun"), end, frame(ENDS, b"")].concat();
        let mut rest = &mut read[..];
        assert!(decoder.next(&mut rest).is_some());
        assert!(decoder.next(&mut rest).is_none() && rest.is_empty());
        assert_eq!(decoder.kept_bytes(), None);
    }
}

#[test]
fn memory_grows_with_what_has_come_not_with_what_is_declared() {
    let mut decoder = Decoder::new(1 << 40);
    let mut read = [&[TEXT, 0xff][..], &(1u64 << 40).to_be_bytes(), &MASK, b"only this"].concat();
    assert!(decoder.next(&mut &mut read[..]).is_none());
    assert!(decoder.kept_bytes().is_some_and(|bytes| bytes < 100), "{decoder:?}");

    let mut decoder = Decoder::new(1000);
    for _ in 0..999 {
        let mut read = frame(if decoder.kept_bytes().is_none() { TEXT_BEGINS } else { GOES_ON }, b"x");
        assert!(decoder.next(&mut &mut read[..]).is_none());
        assert!(decoder.kept_bytes().is_some_and(|bytes| bytes <= 1000));
    }
}

#[test]
fn what_is_wrong_ends_the_connection_with_a_code() {
    let length_in_8 = |bytes: u64| [&[TEXT, 0xff][..], &bytes.to_be_bytes(), &MASK].concat();
    let too_big = Got::Error(ProtocolError::TooBig { max: MAX });
    let half = vec![b'x'; MAX / 2 + 1];
    for (stream, expected) in [
        (length_in_8(1 << 63), vec![too_big.clone()]),
        (length_in_8(u64::MAX), vec![too_big.clone()]),
        (length_in_8(MAX as u64 + 1), vec![too_big.clone()]),
        (length_in_8(MAX as u64), vec![]),
        ([frame(TEXT_BEGINS, &half), frame(GOES_ON, &half)].concat(), vec![too_big.clone()]),
        ([frame(TEXT_BEGINS, &half), frame(PING, b""), frame(ENDS, &half)].concat(), {
            vec![Got::Ping(vec![]), too_big]
        }),
        (frame(TEXT, b"\xff"), vec![Got::Error(ProtocolError::NotUtf8)]),
        (
            [frame(TEXT_BEGINS, b"\xed\x95"), frame(ENDS, b"")].concat(),
            vec![Got::Error(ProtocolError::NotUtf8)],
        ),
        (frame(TEXT, b"\xed\xa0\x80"), vec![Got::Error(ProtocolError::NotUtf8)]),
        (
            [frame(TEXT, b"a"), frame(CLOSE, b"\x03\xe8\xff"), frame(TEXT, b"b")].concat(),
            vec![text("a"), Got::Error(ProtocolError::NotUtf8)],
        ),
    ] {
        assert_eq!(feed(&[&stream]), expected, "{:x?}", &stream[..20.min(stream.len())]);
    }
    let codes = [ProtocolError::Broken(""), ProtocolError::NotUtf8, ProtocolError::TooBig { max: 1 }];
    assert_eq!(codes.map(|error| error.close_code()), [1002, 1007, 1009]);
}

#[test]
fn broken_frames_are_told_what_is_wrong_with_them() {
    let mut told = String::new();
    for stream in [
        frame(TEXT | 0x40, b""),
        frame(TEXT | 0x20, b""),
        frame(PING | 0x10, b""),
        frame(0x83, b""),
        frame(0x8f, b""),
        frame(0x09, b"fragmented"),
        frame(PING, &[0; 126]),
        b"\x81\x02hi".to_vec(),
        frame(ENDS, b"of what?"),
        [frame(TEXT_BEGINS, b""), frame(TEXT, b"")].concat(),
        [frame(BINARY_BEGINS, b""), frame(BINARY_BEGINS, b"")].concat(),
        frame(CLOSE, b"\x03"),
    ] {
        let Some(Got::Error(error)) = feed(&[&stream]).pop() else { panic!("{stream:x?}") };
        assert_eq!(error.close_code(), 1002);
        told += &format!("{error}\n");
    }
    expect![[r#"
        a reserved bit is set, and no extension was agreed on
        a reserved bit is set, and no extension was agreed on
        a reserved bit is set, and no extension was agreed on
        there is no such opcode
        there is no such opcode
        a control frame can't be fragmented
        a control frame has at most 125 bytes
        a client's frame must be masked
        there is no message to be continued
        a message begins in the middle of another
        a message begins in the middle of another
        a close code has two bytes
    "#]]
    .assert_eq(&told);
    assert_eq!(feed(&[&[0xc1]]).len(), 1, "what is wrong with the first byte is told at once");
}

#[test]
fn only_codes_that_may_be_sent_close() {
    let good: Vec<u16> = (0..=u16::MAX)
        .filter(|code| feed(&[&frame(CLOSE, &code.to_be_bytes())]) == [Got::Close(Some(*code))])
        .collect();
    let expected = (1000..=1003).chain(1007..=1014).chain(3000..=4999);
    assert_eq!(good, expected.collect::<Vec<_>>());
    assert_eq!(feed(&[&frame(CLOSE, b"")]), [Got::Close(None)]);
}

#[test]
fn a_length_may_be_written_in_more_bytes_than_it_needs() {
    let in_2 = [&[TEXT, 0x80 | 126, 0, 2][..], &[0; 4], b"hi"].concat();
    let in_8 = [&[TEXT, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0, 2][..], &[0; 4], b"hi"].concat();
    assert_eq!(feed(&[&in_2, &in_8]), [text("hi"), text("hi")]);
}

#[test]
fn the_server_writes_whole_frames() {
    let mut out = Vec::new();
    text_frame(&mut out, |out| out.extend(b"hi"));
    text_frame(&mut out, |_| {});
    binary_frame(&mut out, b"");
    pong_frame(&mut out, b"x");
    ping_frame(&mut out, b"");
    close_frame(&mut out, 1001, "");
    assert_eq!(out, b"\x81\x02hi\x82\x00\x8a\x01x\x89\x00\x88\x02\x03\xe9");

    let mut out = Vec::new();
    close_frame(&mut out, 1001, &"é".repeat(100));
    assert_eq!((out[1], out.len()), (124, 126), "a reason is cut between two characters");
    for (payload_bytes, header) in [
        (125, &[0x81, 125][..]),
        (126, &[0x81, 126, 0, 126]),
        (65_535, &[0x81, 126, 0xff, 0xff]),
        (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let mut out = b"before".to_vec();
        text_frame(&mut out, |out| out.resize(out.len() + payload_bytes, b'x'));
        let written = out.strip_prefix(b"before").and_then(|out| out.strip_prefix(header)).unwrap();
        assert_eq!(written, vec![b'x'; payload_bytes]);
    }
}

#[test]
fn frames_come_apart_again_as_far_as_they_are_whole() {
    let parts =
        [(Opcode::Text, vec![b'x'; 200]), (Opcode::Binary, vec![]), (Opcode::Binary, vec![1; 70_000])];
    let mut stream = Vec::new();
    let mut ends = vec![0];
    for (opcode, payload) in &parts {
        match opcode {
            Opcode::Text => text_frame(&mut stream, |out| out.extend(payload)),
            _ => binary_frame(&mut stream, payload),
        }
        ends.push(stream.len());
    }
    for cut in (0..=300).chain([stream.len() - 1, stream.len()]) {
        let whole = ends.iter().rposition(|end| *end <= cut).unwrap();
        assert_eq!(whole_frames(&stream[..cut]), ends[whole]);
        let split: Vec<_> =
            split_frames(&stream[..cut]).map(|(opcode, part)| (opcode, part.to_vec())).collect();
        assert_eq!(split, parts[..whole]);
    }
    assert_eq!(whole_frames(&frame(TEXT, b"a client's")), 0);
}

#[test]
fn what_came_in_a_body_enters_like_a_clients_frame() {
    let long = "x".repeat(66_000);
    let mut stream = Vec::new();
    masked_text_frame(&mut stream, "2probe");
    masked_binary_frame(&mut stream, &[0xff; 200]);
    masked_text_frame(&mut stream, &long);
    assert_eq!(feed(&[&stream]), [text("2probe"), Got::Binary(vec![0xff; 200]), text(&long)]);
}

/// Frames of any kind, most of them in an order that makes sense.
fn any_frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        4 => "[a한é\u{10ffff}]{0,30}".prop_map(String::into_bytes),
        2 => proptest::collection::vec(any::<u8>(), 0..200),
        1 => (60_000..71_000usize).prop_map(|bytes| vec![b'x'; bytes]),
    ];
    let first = prop_oneof![
        20 => proptest::sample::select(vec![TEXT, 0x82, PING, PONG]),
        20 => proptest::sample::select(vec![TEXT_BEGINS, BINARY_BEGINS, GOES_ON, ENDS]),
        1 => Just(CLOSE),
        1 => any::<u8>(),
    ];
    let frames = (first, payload).prop_map(|(first, payload)| frame(first, &payload));
    proptest::collection::vec(frames, 0..12).prop_map(|frames| frames.concat())
}

/// What tungstenite finds in the same stream. It tells text that isn't UTF-8 at the fragment, not at its end.
fn judged(stream: &[u8]) -> Vec<Got> {
    use tungstenite::protocol::{Role, WebSocketConfig};
    use tungstenite::{Error, Message, WebSocket, error::CapacityError};

    struct Duplex<'a>(&'a [u8]);
    impl std::io::Read for Duplex<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(buffer)
        }
    }
    impl std::io::Write for Duplex<'_> {
        fn write(&mut self, written: &[u8]) -> std::io::Result<usize> {
            Ok(written.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let config = WebSocketConfig::default().max_message_size(Some(MAX)).max_frame_size(Some(MAX));
    let mut socket = WebSocket::from_raw_socket(Duplex(stream), Role::Server, Some(config));
    let mut got = Vec::new();
    loop {
        got.push(match socket.read() {
            Ok(Message::Text(text)) => Got::Text(text.to_string()),
            Ok(Message::Binary(bytes)) => Got::Binary(bytes.to_vec()),
            Ok(Message::Ping(bytes)) => Got::Ping(bytes.to_vec()),
            Ok(Message::Pong(_)) => Got::Pong,
            Ok(Message::Close(close)) => {
                got.push(Got::Close(close.map(|close| close.code.into())));
                return got;
            }
            Err(Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
                return got;
            }
            Err(Error::Utf8(_)) => Got::Error(ProtocolError::NotUtf8),
            Err(Error::Capacity(CapacityError::MessageTooLong { .. })) => {
                Got::Error(ProtocolError::TooBig { max: MAX })
            }
            Err(_) => Got::Error(ProtocolError::Broken("in its opinion")),
            Ok(Message::Frame(_)) => unreachable!("frames are only written"),
        });
        if matches!(got.last(), Some(Got::Error(_))) {
            return got;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_bytes_give_the_same_however_they_are_cut(
        stream in prop_oneof![any_frames(), proptest::collection::vec(any::<u8>(), 0..300)],
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let (mut reads, mut begin) = (Vec::new(), 0);
        for cut in cuts.into_iter().chain([stream.len()]) {
            reads.push(&stream[begin..cut]);
            begin = cut;
        }
        prop_assert_eq!(feed(&reads), feed(&[&stream]));
    }

    #[test]
    fn another_implementation_finds_the_same_messages(stream in any_frames()) {
        let (ours, theirs) = (feed(&[&stream]), judged(&stream));
        let error = |got: &Got| matches!(got, Got::Error(_));
        let messages = |got: &[Got]| got.iter().take_while(|got| !error(got)).cloned().collect::<Vec<_>>();
        let (our_messages, their_messages) = (messages(&ours), messages(&theirs));
        match theirs.last() {
            // It looks at a fragment, we at the message.
            Some(Got::Error(ProtocolError::NotUtf8)) => prop_assert!(our_messages.starts_with(&their_messages)),
            // It answers a code that can't be with 1002, where we have an error with that code.
            Some(Got::Close(Some(1002))) => prop_assert!(their_messages.starts_with(&our_messages)),
            Some(Got::Error(_)) => {
                prop_assert!(ours.last().is_some_and(error), "{:?} and {:?}", ours.last(), theirs.last());
                prop_assert_eq!(our_messages, their_messages);
            }
            _ => prop_assert_eq!(ours, theirs),
        }
    }

    #[test]
    fn another_implementation_reads_what_we_write(
        texts in proptest::collection::vec("[a한]{1,200}", 1..5),
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        use tungstenite::{Message, WebSocket, protocol::Role};

        let mut stream = Vec::new();
        texts.iter().for_each(|text| text_frame(&mut stream, |out| out.extend(text.as_bytes())));
        binary_frame(&mut stream, &bytes);
        close_frame(&mut stream, 1012, "again");
        let mut socket = WebSocket::from_raw_socket(std::io::Cursor::new(stream), Role::Client, None);
        for text in &texts {
            prop_assert_eq!(socket.read().unwrap(), Message::text(text.as_str()));
        }
        prop_assert_eq!(socket.read().unwrap(), Message::binary(bytes));
        let Ok(Message::Close(Some(close))) = socket.read() else { panic!("a close frame") };
        prop_assert_eq!((u16::from(close.code), close.reason.as_str()), (1012, "again"));
    }

    #[test]
    fn another_implementations_masked_frames_are_the_same_messages(
        texts in proptest::collection::vec(".{0,150}", 0..4),
        mask in any::<[u8; 4]>(),
    ) {
        use tungstenite::protocol::frame::{Frame, coding::{Data, OpCode}};

        let mut stream = Vec::new();
        for text in &texts {
            let mut frame = Frame::message(text.clone(), OpCode::Data(Data::Text), true);
            frame.header_mut().mask = Some(mask);
            frame.format(&mut stream).unwrap();
        }
        prop_assert_eq!(feed(&[&stream]), texts.iter().map(|said| text(said)).collect::<Vec<_>>());
    }

    #[test]
    fn unmasking_in_pieces_is_unmasking(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        mask in any::<[u8; 4]>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let plain: Vec<u8> = bytes.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
        let mut unmasked = bytes;
        let cut = cut.index(unmasked.len() + 1);
        let (before, after) = unmasked.split_at_mut(cut);
        unmask(before, mask, 0);
        unmask(after, mask, cut);
        prop_assert_eq!(unmasked, plain);
    }
}
