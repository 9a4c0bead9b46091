//! FIN in both directions, with the programs that people have.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};

use crate::harness::{
    Client, End, NC_OPENBSD, NC_TRADITIONAL, NCAT, Program, SOCAT, Site, TELNET, Tool, connect_raw,
};

/// Those that end their half of the connection when their input ends.
const HALF_CLOSERS: [Tool; 4] = [NC_OPENBSD, NC_TRADITIONAL, NCAT, SOCAT];

/// These go on sending when the other side has ended its half, as TCP allows, until Ctrl-D or a reset.
const HALF_OPEN: [&str; 2] = ["nc.openbsd", "ncat"];

/// A tool that waits for a time-out takes longer than this, one that is told takes milliseconds.
const AT_ONCE: Duration = Duration::from_secs(8);

/// The server's `linger`.
const LINGER: Duration = Duration::from_secs(10);

const ECHOES: &str = "\
[[listen]]
bind = '127.0.0.1:0'
[[listen]]
bind = '127.0.0.1:0'
service = 'echo'
reply = 'test'
once = true
";

/// What telnet prints of its own before and after.
fn without_banner(output: &str) -> String {
    let own = ["Trying ", "Connected to ", "Escape character is ", "Connection closed "];
    let lines = output.lines().filter(|line| !own.iter().any(|start| line.starts_with(start)));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn what_a_pipe_says_is_heard_and_all_that_is_owed_comes_back() {
    let server = Site::new().start();
    let mut bob = Client::connect(server.address());
    for tool in HALF_CLOSERS {
        let mut piped = tool.connect(server.address());
        piped.type_in("/echo on\n/who\nhello"); // the last line has no ending
        piped.finish_input();
        let status = piped.end_within(AT_ONCE);
        let output = piped.out.rest();
        let nick = bob.wait_for(" joined").split(' ').nth(1).unwrap().to_owned();
        assert!(status.success(), "{}: {status}", tool.program);
        assert!(
            output.starts_with(&format!("* you are {nick} in plaza (2 here)")),
            "{}: {output}",
            tool.program
        );
        assert!(output.contains("* here: Guest1, Guest"), "{}: {output}", tool.program);
        assert!(output.ends_with(&format!("<{nick}> hello\n")), "{}: {output}", tool.program);
        bob.hears(&format!("<{nick}> hello"));
        bob.hears(&format!("* {nick} left"));
    }
}

#[test]
fn quit_ends_every_tool_while_its_input_is_open() {
    let server = Site::new().start();
    for tool in HALF_CLOSERS.into_iter().chain([TELNET]) {
        let mut typed = tool.connect(server.address());
        typed.out.wait_for("/help lists the commands");
        typed.type_in("/echo on\n");
        typed.out.wait_for("* echo is on");
        typed.type_in("hello\n");
        typed.out.wait_for("> hello");
        typed.type_in("/quit\n");
        typed.out.wait_for("* bye");
        ends_by_itself(tool, &mut typed);
    }
}

#[test]
fn an_echo_that_answers_once_ends_every_tool() {
    let server = Site::with(ECHOES).start();
    for tool in HALF_CLOSERS.into_iter().chain([TELNET]) {
        let mut typed = tool.connect(server.door(1));
        typed.type_in("anything\n");
        typed.out.wait_for("test");
        ends_by_itself(tool, &mut typed);
        assert_eq!(without_banner(&typed.out.rest()).trim_end(), "test", "{}", tool.program);
    }
}

/// Ends after the server's FIN, although nobody has ended its input.
fn ends_by_itself(tool: Tool, typed: &mut Program) {
    if HALF_OPEN.contains(&tool.program) {
        typed.finish_input();
    }
    let status = typed.end_within(AT_ONCE);
    assert!(status.success(), "{}: {status}", tool.program);
}

#[test]
fn a_thousand_lines_and_fin_are_all_answered() {
    let server = Site::new().start();
    for tool in HALF_CLOSERS {
        let mut piped = tool.connect(server.address());
        piped.type_in("/echo on\n");
        (0..1_000).for_each(|n| piped.type_in(&format!("line {n}\n")));
        piped.finish_input();
        let finished = piped.finish();
        let answers: Vec<&str> = finished.out.lines().skip(2).collect();
        assert_eq!(answers.len(), 1_000, "{}: {finished:?}", tool.program);
        for (n, answer) in answers.iter().enumerate() {
            assert!(answer.ends_with(&format!("> line {n}")), "{}: {answer} for line {n}", tool.program);
        }
    }
}

#[test]
fn a_byte_at_a_time_makes_lines_all_the_same() {
    let server = Site::new().start();
    let mut ann = Client::connect(server.address());
    "/echo on\n한 글자씩\r\nlast, without an ending".bytes().for_each(|byte| ann.send_bytes(&[byte]));
    ann.finish();
    let (lines, end) = ann.rest();
    assert_eq!(lines, ["* echo is on", "<Guest1> 한 글자씩", "<Guest1> last, without an ending"]);
    assert_eq!(end, End::Fin);
}

#[test]
fn whoever_quits_is_let_go_also_in_a_crowd_that_comes_and_goes() {
    let server = Site::new().start();
    thread::scope(|scope| {
        for n in 0..4 {
            let address = server.address();
            scope.spawn(move || {
                for round in 0..100 {
                    let mut guest = Client::connect(address);
                    match (n + round) % 3 {
                        0 => guest.send("/quit"),
                        1 => guest.send("/join garden\nhello\n/leave\n/quit"),
                        _ => guest.finish(),
                    }
                    assert_eq!(guest.rest().1, End::Fin, "{}", guest.nick);
                }
            });
        }
    });
}

#[test]
fn a_peer_that_never_finishes_is_reset_after_the_linger() {
    let server = Site::with(ECHOES).start();
    let mut ann = Client::connect(server.address());
    let mut other = connect_raw(server.door(1));
    let mut typed = NC_OPENBSD.connect(server.address());
    typed.type_in("/quit\n");
    ann.send("/quit");
    let asked = Instant::now();
    other.write_all(b"x").unwrap();
    ann.wait_for("* bye");
    assert_eq!(ann.rest().1, End::Fin);
    // We have read FIN, so the next event of the socket is the reset.
    wait_for_reset(ann.stream());
    let waited = asked.elapsed();
    assert!(
        waited > LINGER - Duration::from_secs(1) && waited < LINGER + Duration::from_secs(5),
        "{waited:?}"
    );
    wait_for_reset(&other);
    // Nobody has ended its input, so without the reset it would wait for ever.
    assert!(typed.end_within(AT_ONCE).success());
}

fn wait_for_reset(stream: &TcpStream) {
    let limit = (LINGER * 2).try_into().unwrap();
    // Errors are reported whether asked for or not, and nothing else is asked for.
    let happened = poll(&mut [PollFd::new(stream, PollFlags::empty())], Some(&limit)).unwrap();
    assert_eq!(happened, 1, "the peer was not reset");
    let error = socket2::SockRef::from(stream).take_error().unwrap().expect("an error, not only an end");
    // So Linux tells of a reset after FIN.
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
}
