//! What people type and read.

use expect_test::expect;
use jiff::tz::TimeZone;
use madang_room::{Refusal, Wanted};
use proptest::prelude::*;

use super::*;
use crate::samples::{self, entry, nick, room, words};
use crate::{Answer, Happening, Notice, Op, Request, Secret};

fn op(line: &str) -> Op {
    parse(line.as_bytes()).unwrap().op
}

/// The line that a refused line is answered with.
fn refused(line: &[u8]) -> String {
    let refusal = parse(line).unwrap_err();
    written(|out| encode_refusal(out, &refusal, false))
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn say(text: &str) -> Op {
    Op::Say { room: None, text: words(text), key: None }
}

#[test]
fn what_is_no_command_is_said() {
    for (line, text) in [
        ("hello", "hello"),
        (" /join x", " /join x"),
        ("//join", "/join"),
        ("\\\\o/", "\\o/"),
        ("//", "/"),
        ("\u{feff}hello", "hello"),
        ("a\u{1b}[31mb", "a[31mb"),
        ("안녕", "안녕"),
    ] {
        assert_eq!(op(line), say(text), "{line:?}");
    }
}

#[test]
fn each_command_asks_for_what_it_says() {
    let join = |name| Op::Join { room: room(name), after: None, epoch: None, capacity: None, echo: None };
    let history = |limit| Op::History { room: None, after: None, before: None, limit, said_only: true };
    let hold = |wanted| Op::Hold { performance: None, wanted };
    for (line, expected) in [
        ("/nick mina", Op::Nick { nick: nick("mina") }),
        ("/rename  mina ", Op::Nick { nick: nick("mina") }),
        ("\\nick mina", Op::Nick { nick: nick("mina") }),
        ("\u{feff}/NICK\tmina", Op::Nick { nick: nick("mina") }),
        ("/join garden", join("garden")),
        ("/leave", Op::Leave { room: None }),
        ("/leave garden", Op::Leave { room: Some(room("garden")) }),
        ("/rooms", Op::Rooms { prefix: None, limit: 100 }),
        ("/who", Op::Who { room: None }),
        ("/who garden", Op::Who { room: Some(room("garden")) }),
        ("/msg mina hello you", Op::Tell { to: nick("mina"), text: words("hello you") }),
        ("/w mina  hello", Op::Tell { to: nick("mina"), text: words("hello") }),
        ("/to mina /join", Op::Tell { to: nick("mina"), text: words("/join") }),
        ("/history", history(20)),
        ("/history 5", history(5)),
        ("/history 4000000000", history(1000)),
        ("/topic", Op::Topic { room: None, text: None }),
        ("/topic of today", Op::Topic { room: None, text: Some(words("of today")) }),
        ("/capacity 2", Op::Capacity { room: None, capacity: 2 }),
        ("/echo on", Op::Echo { on: true }),
        ("/echo off", Op::Echo { on: false }),
        ("/checkin J001", Op::Checkin { lobby: None, participant: "J001".into() }),
        ("/checkout", Op::Checkout { lobby: None }),
        ("/groups", Op::Groups { lobby: None }),
        ("/clap", Op::Clap { lobby: None }),
        ("/broadcast five minutes", Op::Broadcast { lobby: None, text: words("five minutes") }),
        ("/host x y", Op::Host { secret: Secret::new("x y") }),
        ("/shows", Op::Shows),
        ("/watch hamlet/1", Op::Watch { performance: room("hamlet/1"), after: None, epoch: None }),
        ("/seats", Op::Seats { performance: None }),
        ("/hold A-1-4", hold(Wanted::Seats(samples::seats("A-1-4")))),
        ("/hold A-1-4, A-1-5 B-2-1", hold(Wanted::Seats(samples::seats("A-1-4 A-1-5 B-2-1")))),
        ("/hold best 3", hold(Wanted::Best(3))),
        ("/hold --best 3", hold(Wanted::Best(3))),
        ("/release", Op::Release { performance: None, seats: None }),
        ("/release A-1-4", Op::Release { performance: None, seats: Some(samples::seats("A-1-4")) }),
        ("/reserve", Op::Reserve { performance: None, seats: None, key: None }),
        (
            "/reserve A-1-4",
            Op::Reserve { performance: None, seats: Some(samples::seats("A-1-4")), key: None },
        ),
        ("/cancel 7kq2mxp4", Op::Cancel { performance: None, reservation: samples::code() }),
        ("/json", Op::Json),
        ("/help", Op::Help { command: None }),
        ("/help /nick", Op::Help { command: Some("/nick".into()) }),
        ("/quit", Op::Bye),
        ("/close", Op::Bye),
    ] {
        assert_eq!(parse(line.as_bytes()), Ok(Request { id: None, op: expected }), "{line:?}");
    }
}

#[test]
fn a_refusal_says_what_is_wrong_and_what_would_be_right() {
    let lines: [&[u8]; 29] = [
        b"/",
        b"/ join",
        b"/jion garden",
        b"/xyzzy",
        b"/\x1b[31mred\x07",
        b"/nick",
        b"/nick two words",
        "/nick mi\u{200b}na".as_bytes(),
        b"/join",
        b"/join a/b/c",
        b"/msg mina",
        b"/msg mina ",
        b"/rooms garden",
        b"/history many",
        b"/history 0",
        b"/capacity",
        b"/capacity -1",
        b"/echo",
        b"/checkin",
        b"/clap hands",
        b"/watch",
        b"/hold",
        b"/hold best",
        b"/hold best many",
        b"/hold A4",
        b"/reserve ,",
        b"/cancel 7KQ",
        b"caf\xe9",
        "\u{200b}".as_bytes(),
    ];
    let refusals: String = lines.into_iter().map(refused).collect();
    expect![[r#"
        ! bad_command: a command's name follows the slash at once; /help lists the commands, // says a /
        ! bad_command: a command's name follows the slash at once; /help lists the commands, // says a /
        ! bad_command: there is no command /jion; did you mean /join? /help lists the commands
        ! bad_command: there is no command /xyzzy; /help lists the commands
        ! bad_command: there is no command /[31mred; /help lists the commands
        ! bad_command: write /nick NAME to change your nickname
        ! bad_name: "two words" is no name: a name has letters, digits, '-', '_' and '.', not ' '
        ! bad_name: "mi\u{200b}na" is no name: a name has letters, digits, '-', '_' and '.', not '\u{200b}'
        ! bad_command: write /join ROOM to enter a room
        ! bad_name: "a/b/c" is no name: a '/' stands once in a room's name, between two names
        ! bad_command: write /msg NAME TEXT to say something to one person alone
        ! bad_command: write /msg NAME TEXT to say something to one person alone
        ! bad_command: write /rooms to list the rooms and how many are in each
        ! bad_command: "many" is no number from 1 to 4294967295; write /history [N]
        ! bad_command: "0" is no number from 1 to 4294967295; write /history [N]
        ! bad_command: write /capacity N to let at most N people into the room
        ! bad_command: "-1" is no number from 0 to 4294967295; write /capacity N
        ! bad_command: write /echo on|off to get your own messages too, or not
        ! bad_command: write /checkin ID to get a place in a group of the lobby
        ! bad_command: write /clap to clap, for the whole lobby to see
        ! bad_command: write /watch SHOW/PERFORMANCE to follow a performance's seats live
        ! bad_command: write /hold SEAT... to keep seats for yourself for a while, all of them or none
        ! bad_command: "" is no number from 1 to 4294967295; write /hold SEAT...
        ! bad_command: "many" is no number from 1 to 4294967295; write /hold SEAT...
        ! no_such_seat: "A4" is no seat: section, row and number name one, as A-1-4 does
        ! no_such_seat: "," is no seat: section, row and number name one, as A-1-4 does
        ! not_yours: there is no reservation with that code
        ! bad_text: a line must be UTF-8: byte 4 is not
        ! bad_text: a text needs at least one visible character
    "#]]
    .assert_eq(&refusals);
}

#[test]
fn in_a_lobby_some_commands_need_no_slash() {
    let in_lobby = |line: &str| parse_in_lobby(line.as_bytes()).unwrap().op;
    for (line, with_slash) in [
        ("checkin J001", "/checkin J001"),
        ("\u{feff}CheckIn\tJ001", "/checkin J001"),
        (" checkout ", "/checkout"),
        ("groups", "/groups"),
        ("clap", "/clap"),
        ("/clap", "/clap"),
        ("/join garden", "/join garden"),
    ] {
        assert_eq!(in_lobby(line), op(with_slash), "{line:?}");
    }
    for line in ["clap your hands", "checkin is at nine", "groups?", "//clap", "hello", "check in"] {
        assert_eq!(in_lobby(line), op(line), "{line:?}");
        assert!(matches!(in_lobby(line), Op::Say { .. }));
    }
    assert_eq!(parse_in_lobby(b"checkin").unwrap_err().code(), "bad_command");
    assert_eq!(parse_in_lobby(b"checkin \xff").unwrap_err(), Refusal::NotUtf8 { at: 9 });
}

#[test]
fn the_names_in_the_table_are_in_it_once_and_can_be_typed() {
    let mut names: Vec<_> = command_names().collect();
    assert!(names.contains(&"nick") && names.contains(&"rename"));
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase())));
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn help_lists_the_commands_and_tells_more_about_one() {
    let told = |command| {
        written(|out| {
            encode_answer(out, &Answer::Help { lines: help(command).unwrap() }, &TimeZone::UTC, false);
        })
    };
    expect![[r#"
        * /nick NAME              change your nickname (also /rename)
        * /join ROOM              enter a room
        * /leave [ROOM]           leave a room
        * /rooms                  list the rooms and how many are in each
        * /who [ROOM]             list who is in a room
        * /msg NAME TEXT          say something to one person alone (also /w, /to)
        * /history [N]            show the room's last messages
        * /topic [TEXT]           show the room's topic, or set it
        * /capacity N             let at most N people into the room
        * /echo on|off            get your own messages too, or not
        * /checkin ID             get a place in a group of the lobby
        * /checkout               give your place in the group back
        * /groups                 list the groups and who is in each
        * /clap                   clap, for the whole lobby to see
        * /broadcast TEXT         say something to every group of the lobby
        * /host SECRET            become a host
        * /shows                  list the shows and their performances
        * /watch SHOW/PERFORMANCE follow a performance's seats live
        * /seats                  draw the seats
        * /hold SEAT...           keep seats for yourself for a while, all of them or none
        * /release [SEAT...]      give back seats that you hold, or all of them
        * /reserve [SEAT...]      take seats for good: those that you hold, or free ones
        * /cancel CODE            give a reservation back
        * /json                   speak JSON for the rest of this connection
        * /help [COMMAND]         list the commands, or tell more about one
        * /quit                   leave, and close the connection (also /close)
        * Any other line is said in the current room; // says a line that starts with /.
    "#]]
    .assert_eq(&told(None));
    expect![[r#"
        * /nick NAME              change your nickname (also /rename)
        * A name has up to 32 bytes of letters, digits, '-', '_' and '.', and nobody else here has it.
    "#]]
    .assert_eq(&told(Some("/rename")));
    for name in command_names() {
        assert!(!help(Some(name)).unwrap().is_empty());
    }
    let history = help(Some("history")).unwrap().concat();
    assert!(history.contains(&crate::HISTORY_EVENTS_MAX.to_string()), "{history}");
    assert_eq!(help(Some("jion")).unwrap_err().code(), "bad_command");
}

#[test]
fn a_browser_at_the_wrong_door_is_known() {
    for line in [
        "GET / HTTP/1.1",
        "POST /api HTTP/1.0",
        "CONNECT a:1 HTTP/1.1",
        "PRI * HTTP/2.0",
        "M-SEARCH * HTTP/1.1",
    ] {
        assert!(looks_like_http(line.as_bytes()), "{line}");
    }
    for line in
        ["", "GET /", "get / HTTP/1.1", "I like HTTP/1.1", "GET / HTTP/", " / HTTP/1.1", "GET / HTTP/1.1 !"]
    {
        assert!(!looks_like_http(line.as_bytes()), "{line}");
    }
}

#[test]
fn a_happening_reads_the_same_in_every_form() {
    let told = |form| {
        written(|out| {
            for event in samples::events() {
                encode_happening(out, &room("garden"), Happening::Logged(&entry(1, event)), form);
            }
            for presence in samples::presences() {
                encode_happening(out, &room("garden"), Happening::Presence(&presence), form);
            }
        })
    };
    let current = told(Form { is_current: true, crlf: false });
    expect![[r#"
        <jun> hi
        * mina set the topic: today
        * mina set the capacity to 5
        * claps 17
        * mina to all groups: five minutes
        * seat A-1-4 held
        * seat A-1-5 held
        * seat A-1-4 reserved
        * seat A-1-5 free
        * mina joined
        * mina left
        * mina left
        * J002 joined group 3
        * J002 left group 3
        * J002 left group 3
        * mina is now jun
        * 1234 here
    "#]]
    .assert_eq(&current);
    let other: String = current.lines().map(|line| format!("[garden] {line}\n")).collect();
    for (at, form) in Form::ALL.into_iter().enumerate() {
        assert_eq!(form.index(), at);
        let expected = if form.is_current { &current } else { &other };
        assert_eq!(told(form), if form.crlf { expected.replace('\n', "\r\n") } else { expected.clone() });
    }
}

#[test]
fn each_answer_is_a_line_that_people_understand() {
    let korea = TimeZone::fixed(jiff::tz::offset(9));
    let told =
        written(|out| samples::answers().iter().for_each(|answer| encode_answer(out, answer, &korea, false)));
    expect![[r#"
        * you are mina
        * Guest1 is now mina
        * in plaza (2 here)
        * in plaza (2 here)
        * plaza began anew: what you have seen of it is not its past
        * left garden
        * topic of plaza: today
        * plaza has no topic
        -> mina: hello
        * rooms: garden 2, plaza 17
        * no rooms are in use
        * here: jun, mina
        * 1234 here
        * 19:00 <jun> hi
        * 19:00 mina set the topic: today
        * 19:00 mina set the capacity to 5
        * 19:00 J002 joined group 3
        * 19:00 J002 left group 3
        * 19:00 claps 17
        * 19:00 mina to all groups: five minutes
        * 19:00 seats A-1-4, A-1-5 held
        * 19:00 seats A-1-4 reserved
        * 19:00 seats A-1-5 free
        * no messages in plaza
        * you are a host
        * group 3
        * checked out of group 3 after 1h 12m
        * group 1: J001, J017
        * group 3: J002
        * nobody has checked in
        * claps 17
        * hamlet/1: Hamlet, Small stage, 2026-12-24 19:30, 180 free
        * there are no shows
        * watching hamlet/1: 2 of 5 free, /seats shows them
        * you hold A-1-2, A-2-2 until 19:35:10
        * hamlet/1: 2 of 5 free (. free, o held, x reserved, @ yours)
        * section A, seats 1 to 5
        *    1 .@x .
        *    2  o
        * you hold A-1-4, A-1-5 until 19:35:10
        * you gave back A-1-4
        * you hold no seats
        * reserved A-1-4: code 7KQ2MXP4
        * cancelled A-1-4, A-1-5
        * echo is on
        * one
        * two
        * pong
        * bye
    "#]]
    .assert_eq(&told);
}

#[test]
fn each_notice_is_a_line_that_people_understand() {
    let told = written(|out| samples::notices().iter().for_each(|notice| encode_notice(out, notice, false)));
    expect![[r#"
        * you are Guest1 in plaza (3 here), /help lists the commands
        * you are Guest1, /help lists the commands
        -mina- hello
        * you missed 811 to 930 of plaza, /history shows them
        ! not_a_member: you are in no room, join one first: /join plaza
        * bye: shutdown, come back in 3s
        * bye: idle
    "#]]
    .assert_eq(&told);
}

/// Is `out` whole lines, `lines` of them, with nothing in them that steers a terminal?
fn check_lines(out: &str, lines: usize, crlf: bool) -> Result<(), TestCaseError> {
    let end = if crlf { "\r\n" } else { "\n" };
    prop_assert!(out.is_empty() || out.ends_with(end));
    prop_assert_eq!(out.matches('\n').count(), lines, "{:?}", out);
    let steers = |c: char| {
        (c.is_control() && c != '\t') || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}')
    };
    prop_assert!(!out.replace(end, "").contains(steers), "{:?}", out);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn any_line_is_a_request_or_a_refusal_on_one_line(
        line in prop_oneof![
            proptest::collection::vec(any::<u8>(), 1..200),
            samples::raw().prop_map(|raw| format!("/{raw}").into_bytes()),
            (0..command_names().count(), samples::raw()).prop_map(|(name, raw)| {
                format!("/{} {raw}", command_names().nth(name).unwrap()).into_bytes()
            }),
        ],
    ) {
        looks_like_http(&line);
        if let Err(refusal) = parse(&line) {
            let told = written(|out| encode_refusal(out, &refusal, false));
            check_lines(&told, 1, false)?;
            let codes = ["! bad_", "! too_long: ", "! no_such_seat: ", "! not_yours: "];
            prop_assert!(codes.iter().any(|code| told.starts_with(code)), "{}", told);
        }
    }

    #[test]
    fn an_event_is_one_line_and_nobody_speaks_for_the_server(
        room in samples::any_room(),
        event in samples::any_event(),
        presence in samples::any_presence(),
    ) {
        use madang_room::Event::{Created, Grouped, Ungrouped};
        let lines = usize::from(!matches!(event, Created { .. } | Grouped { .. } | Ungrouped { .. }));
        let is_said = matches!(event, madang_room::Event::Said { .. });
        let entry = entry(1, event);
        for form in Form::ALL {
            let told = written(|out| encode_happening(out, &room, Happening::Logged(&entry), form));
            check_lines(&told, lines, form.crlf)?;
            let own = if form.is_current { &told[..] } else { told.split_once("] ").map_or("", |(_, own)| own) };
            prop_assert_eq!(own.starts_with('<'), is_said);
            prop_assert!(lines == 0 || is_said || own.starts_with("* "));
            let told = written(|out| encode_happening(out, &room, Happening::Presence(&presence), form));
            check_lines(&told, 1, form.crlf)?;
        }
    }

    #[test]
    fn whatever_is_answered_is_whole_lines(
        room in samples::any_room(),
        nick in samples::any_nick(),
        text in samples::any_text(),
        raw in samples::raw(),
        at in any::<i64>(),
        crlf in any::<bool>(),
    ) {
        let answered = |answer: Answer| written(|out| encode_answer(out, &answer, &TimeZone::UTC, crlf));
        let said = madang_room::Event::Said { from: nick.clone(), text: text.clone(), once: None };
        let past = madang_room::Entry { seq: madang_room::Seq(1), at: madang_room::Timestamp(at), event: said };
        let history = crate::History {
            room: room.clone(),
            events: vec![past],
            first: madang_room::Seq(1),
            seq: madang_room::Seq(1),
            epoch: raw.as_str().into(),
        };
        for answer in [
            Answer::Told { to: nick.clone(), text: text.clone() },
            Answer::Topic { room: room.clone(), topic: Some(text.clone()) },
            Answer::Help { lines: vec![raw.clone()] },
            Answer::Who { room: room.clone(), count: 1, members: Some(vec![nick.clone()]) },
            Answer::History(Box::new(history)),
        ] {
            check_lines(&answered(answer), 1, crlf)?;
        }
        let refusals = [
            Refusal::BadCommand { why: raw.clone() },
            Refusal::BadJson { why: raw.clone() },
            Refusal::BadName { name: raw.clone(), why: madang_room::NameError::Slash },
            Refusal::KeyReused { key: raw },
        ];
        for refusal in refusals {
            check_lines(&written(|out| encode_refusal(out, &refusal, crlf)), 1, crlf)?;
        }
        check_lines(&written(|out| encode_notice(out, &Notice::Told { from: nick, text }, crlf)), 1, crlf)?;
    }
}
