//! However a stream is cut, the same lines come out.

use proptest::prelude::*;

use super::*;

/// What a decoder gives for a stream that comes in these reads and then ends.
fn feed(mut decoder: LineDecoder, reads: &[&[u8]]) -> Vec<Got> {
    let mut got = Vec::new();
    for mut read in reads.iter().copied() {
        while let Some(line) = decoder.next(&mut read) {
            got.push(Got::from(line));
        }
        assert!(read.is_empty(), "None means that everything is used");
    }
    got.extend(decoder.finish().map(Got::from));
    assert_eq!(decoder.finish(), None);
    got
}

#[derive(Clone, Debug, PartialEq)]
enum Got {
    Bytes(Vec<u8>),
    TooLong,
    Telnet([u8; 3]),
}

impl From<Line<'_>> for Got {
    fn from(line: Line<'_>) -> Got {
        match line {
            Line::Bytes(line) => Got::Bytes(line.to_vec()),
            Line::TooLong => Got::TooLong,
            Line::Telnet(answer) => Got::Telnet(answer),
        }
    }
}

fn lines(lines: &[&str]) -> Vec<Got> {
    lines.iter().map(|line| Got::Bytes(line.as_bytes().to_vec())).collect()
}

fn text(reads: &[&[u8]]) -> Vec<Got> {
    feed(LineDecoder::text(), reads)
}

fn json(reads: &[&[u8]]) -> Vec<Got> {
    feed(LineDecoder::json(), reads)
}

#[test]
fn every_way_to_end_a_line_ends_one() {
    for (stream, expected) in [
        ("a\nb\r\nc\r\0d\re\n", &["a", "b", "c", "d", "e"][..]),
        ("\n\r\n\r\0\r\n\n", &[]),
        ("last", &["last"]),
        ("a\n\rb", &["a", "b"]),
        ("a\r\r\nb", &["a", "b"]),
        ("a\r\n\0b", &["a", "\0b"]),
        ("  spaces stay \n", &["  spaces stay "]),
    ] {
        assert_eq!(text(&[stream.as_bytes()]), lines(expected), "{stream:?}");
    }
}

#[test]
fn in_json_only_lf_and_crlf_end_a_line() {
    for (stream, expected) in [
        ("{}\n[]\r\n", &["{}", "[]"][..]),
        ("\n\r\n", &[]),
        ("a\rb\n", &["a\rb"]),
        ("last\r", &["last"]),
        ("\r", &[]),
        ("a\r\r\n", &["a\r"]),
    ] {
        assert_eq!(json(&[stream.as_bytes()]), lines(expected), "{stream:?}");
    }
    assert_eq!(json(&[b"\xff\xfd\x01\n"]), [Got::Bytes(b"\xff\xfd\x01".to_vec())], "telnet is over");
}

#[test]
fn a_whole_line_is_not_copied() {
    let stream = b"first\nsecond\r\n".to_vec();
    for mut decoder in [LineDecoder::text(), LineDecoder::json()] {
        let mut input = &stream[..];
        for expected in [&stream[0..5], &stream[6..12]] {
            let Some(Line::Bytes(line)) = decoder.next(&mut input) else { panic!("a line") };
            assert!(std::ptr::eq(line, expected));
        }
        assert_eq!(decoder.next(&mut input), None);
    }
}

#[test]
fn an_idle_connection_keeps_nothing() {
    assert!(size_of::<LineDecoder>() <= 40, "{}", size_of::<LineDecoder>());
    let mut decoder = LineDecoder::text();
    let mut input = &b"begun"[..];
    assert_eq!(decoder.next(&mut input), None);
    assert!(decoder.kept.capacity() >= 5);
    let mut input = &b" and ended\n"[..];
    assert_eq!(decoder.next(&mut input), Some(Line::Bytes(b"begun and ended")));
    assert_eq!(decoder.next(&mut input), None);
    assert_eq!(decoder.kept.capacity(), 0);
}

#[test]
fn no_more_is_kept_than_a_line_may_have() {
    for (mut decoder, max) in [(LineDecoder::text(), LINE_BYTES_MAX), (LineDecoder::json(), JSON_BYTES_MAX)] {
        for sent in 0..2 * max {
            if decoder.next(&mut &b"x"[..]).is_some() {
                assert_eq!(sent, max, "told when it became too long");
            }
            assert!(decoder.kept.capacity() <= max + 1, "{sent}");
        }
        assert_eq!(decoder.kept.capacity(), 0, "nothing of a line that is skipped");
    }
}

#[test]
fn a_line_that_is_too_long_is_told_once_and_the_next_one_is_read() {
    for max in [LINE_BYTES_MAX, JSON_BYTES_MAX] {
        let decoder = || if max == LINE_BYTES_MAX { LineDecoder::text() } else { LineDecoder::json() };
        for end in ["\n", "\r\n"] {
            let stream =
                |bytes: usize| [&b"x".repeat(bytes)[..], end.as_bytes(), b"next", end.as_bytes()].concat();
            for at in [0, 1, 100, max - 1, max, max + 1, max + 2, max + 3] {
                let fits = stream(max);
                let (one, two) = fits.split_at(at);
                let expected = [Got::Bytes(b"x".repeat(max)), Got::Bytes(b"next".to_vec())];
                assert_eq!(feed(decoder(), &[one, two]), expected, "{max} cut at {at}");
                for longer in [max + 1, max + 2, 3 * max] {
                    let stream = stream(longer);
                    let (one, two) = stream.split_at(at);
                    let expected = [Got::TooLong, Got::Bytes(b"next".to_vec())];
                    assert_eq!(feed(decoder(), &[one, two]), expected, "{longer} of {max} cut at {at}");
                }
            }
        }
        assert_eq!(feed(decoder(), &[&b"x".repeat(max + 1)]), [Got::TooLong], "and nothing at the end");
    }
}

#[test]
fn telnet_is_taken_out_and_every_option_refused_once() {
    const WILL: &[u8] = b"\xff\xfb\x1f";
    const DO: &[u8] = b"\xff\xfd\x01";
    let stream = [b"he", WILL, b"l", DO, WILL, DO, b"lo\n", b"\xff\xfc\x05\xff\xfe\x06"].concat();
    let expected = [
        Got::Telnet([0xff, 0xfe, 0x1f]),
        Got::Telnet([0xff, 0xfc, 0x01]),
        Got::Bytes(b"hello".to_vec()),
        // WONT and DONT need no answer.
    ];
    assert_eq!(text(&[&stream]), expected);
}

#[test]
fn a_telnet_client_is_known_by_its_first_command() {
    for (stream, is_telnet) in [
        (&b"hello\n"[..], false),
        (b"\xff\xf1", true),
        (b"\xff\xfb\x01", true),
        (b"\xff\xfa", true),
        (b"\xff\xff", false),
        (b"\xff\n", false),
        (b"\xff", false),
    ] {
        let mut decoder = LineDecoder::text();
        let mut input = stream;
        while decoder.next(&mut input).is_some() {}
        assert_eq!(decoder.is_telnet(), is_telnet, "{stream:?}");
    }
}

#[test]
fn strange_telnet_is_harmless() {
    let endless = [&b"a\xff\xfa"[..], &[7; 64], b"bcd\nnext\n"].concat();
    for (stream, expected) in [
        (&b"a\xff\xffb\n"[..], vec![Got::Bytes(b"a\xffb".to_vec())]),
        (b"a\xffb\n", vec![Got::Bytes(b"a\xffb".to_vec())]),
        (b"a\xff\nb\n", vec![Got::Bytes(b"a\xff".to_vec()), Got::Bytes(b"b".to_vec())]),
        (b"a\xff\xfa\x18\n\x00\xff\xff\xff\xf0b\n", lines(&["ab"])),
        (b"a\xff", lines(&["a"])),
        (b"a\xff\xfa\x01", lines(&["a"])),
        (b"a\r\xff\xf1\nb\xff\xf1\r\xff\xf1\0c\n", lines(&["a", "b", "c"])),
        (&endless, vec![Got::TooLong, Got::Bytes(b"next".to_vec())]),
    ] {
        assert_eq!(text(&[stream]), expected, "{stream:?}");
    }
    let longest = [&b"a\xff\xfa"[..], &[7; 64], b"\xff\xf0b\n"].concat();
    assert_eq!(text(&[&longest]), lines(&["ab"]));
}

#[test]
fn a_flood_of_negotiation_is_answered_a_bounded_number_of_times() {
    let questions = (0..=255u8).flat_map(|option| [0xff, 0xfb, option, 0xff, 0xfd, option]);
    let flood: Vec<u8> = questions.cycle().take(100 * 256 * 6).collect();
    assert_eq!(text(&[&flood]).len(), 512);
}

#[test]
fn after_json_the_rest_of_the_same_read_is_json() {
    for end in ["\n", "\r\n", "\r\0", "\r"] {
        let stream = format!("/json{end}{{\"op\":\"ping\"}}\n");
        for at in 0..=stream.len() {
            let (mut decoder, mut got) = (LineDecoder::text(), Vec::new());
            let (one, two) = stream.as_bytes().split_at(at);
            for mut read in [one, two] {
                while let Some(line) = decoder.next(&mut read) {
                    let is_switch = line == Line::Bytes(b"/json");
                    got.push(Got::from(line));
                    if is_switch {
                        decoder = decoder.into_json();
                    }
                }
            }
            assert_eq!(got, lines(&["/json", "{\"op\":\"ping\"}"]), "{end:?} cut at {at}");
        }
    }
}

#[test]
fn two_cuts_anywhere_change_nothing() {
    let stream = b"\xef\xbb\xbfh\xc3\xa9\r\n\xed\x95\x9c\xff\xfb\x1f\xea\xb8\x80\r\0\xff\xfd\x01\xff\xfd\x01x\r\ry\xff\xfa\x18\
          a\xff\xff\n\xff\xf0z\xff\xff\r\xff\xf1\n\0\xff\xc3\xa9\n\n/json\r\nend\xff\xfb";
    let whole = (text(&[stream]), json(&[stream]));
    assert_eq!(whole.0.len(), 9, "{whole:?}");
    for one in 0..=stream.len() {
        for two in one..=stream.len() {
            let reads = [&stream[..one], &stream[one..two], &stream[two..]];
            assert_eq!(text(&reads), whole.0, "cut at {one} and {two}");
            assert_eq!(json(&reads), whole.1, "cut at {one} and {two}");
        }
    }
}

#[test]
fn a_chunk_is_one_line_whatever_it_ends_with() {
    for (read, line) in [
        (&b"hello"[..], Some(&b"hello"[..])),
        (b"hello\r\n", Some(b"hello")),
        (b"hello\0\0", Some(b"hello")),
        (b"one\ntwo\n", Some(b"one\ntwo")),
        (b"\r\n", None),
        (b"", None),
    ] {
        assert_eq!(chunk(read), Ok(line), "{read:?}");
    }
    assert_eq!(chunk(&[b'x'; LINE_BYTES_MAX]).unwrap().unwrap().len(), LINE_BYTES_MAX);
    assert_eq!(chunk(&[b'x'; LINE_BYTES_MAX + 1]).unwrap_err().code(), "too_long");
}

/// Streams in which what is special comes often.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => proptest::sample::select(&b"\n\r\0\xff\xfb\xfd\xfa\xf0\xf1\x01ab"[..]).prop_map(|byte| vec![byte]),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => (1usize..70).prop_map(|bytes| vec![b'x'; bytes]),
        1 => (4000usize..4200).prop_map(|bytes| vec![b'x'; bytes]),
    ];
    proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// The rules once more, in the plainest words: for streams without telnet.
fn plain_text_lines(stream: &[u8]) -> Vec<Got> {
    let text: Vec<u8> = stream.to_vec();
    let mut got = Vec::new();
    let mut rest = &text[..];
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        let (line, ending) = rest.split_at(end);
        match line.len() {
            0 => {}
            1..=LINE_BYTES_MAX => got.push(Got::Bytes(line.to_vec())),
            _ => got.push(Got::TooLong),
        }
        rest = match ending {
            [b'\r', b'\n' | 0, rest @ ..] | [_, rest @ ..] => rest,
            [] => &[],
        };
    }
    got
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn cuts_change_nothing(stream in streams(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        at.extend([0, stream.len()]);
        at.sort_unstable();
        let reads: Vec<&[u8]> = at.windows(2).map(|ends| &stream[ends[0]..ends[1]]).collect();
        prop_assert_eq!(text(&reads), text(&[&stream]));
        prop_assert_eq!(json(&reads), json(&[&stream]));
    }

    #[test]
    fn lines_are_what_the_plain_rules_say(mut stream in streams()) {
        stream.retain(|byte| *byte != IAC);
        prop_assert_eq!(text(&[&stream]), plain_text_lines(&stream));
    }

    #[test]
    fn no_line_is_empty_long_or_ended(stream in streams()) {
        for got in text(&[&stream]) {
            if let Got::Bytes(line) = got {
                prop_assert!((1..=LINE_BYTES_MAX).contains(&line.len()));
                prop_assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
            }
        }
        for got in json(&[&stream]) {
            if let Got::Bytes(line) = got {
                prop_assert!((1..=JSON_BYTES_MAX).contains(&line.len()) && !line.contains(&b'\n'));
            }
        }
    }
}
