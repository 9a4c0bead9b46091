//! What people type: `madang chat`, `madang ping`, and the first commands of the README.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::process::Command;

use tempfile::TempDir;

use crate::harness::{Client, NC, NC_OPENBSD, Program, Server, Site, TMUX, eventually, madang, skip};

fn chat(address: SocketAddr, nick: &str) -> Program {
    let mut command = madang();
    command.args(["chat", "--nick", nick, &address.to_string()]);
    Program::start(command)
}

/// Starts the site's server where it, or another one, was before.
fn start_again(site: &Site, address: SocketAddr) -> Server {
    let mut command = site.command();
    command.args(["--tcp", &address.to_string()]);
    Server::start(command)
}

#[test]
fn chat_in_a_pipe_joins_says_and_leaves_at_the_end_of_its_input() {
    let server = Site::new().start();
    let mut bob = Client::connect(server.address());
    let mut piped = chat(server.address(), "ann");
    piped.type_in("hello\n/join garden\nfrom the garden\n/msg Guest1 psst\nlast, without an ending");
    piped.finish_input();
    let finished = piped.finish();
    assert!(finished.status.success(), "{finished:?}");
    assert_eq!(finished.err, "", "{finished:?}");
    let (told, said): (Vec<&str>, Vec<&str>) = finished.out.lines().partition(|line| line.starts_with("->"));
    assert_eq!(told, ["-> Guest1: psst"]);
    let expected = [
        "* you are ann in plaza (2 here), /help lists the commands",
        "<ann> hello",
        "* in garden (1 here)",
        "<ann> from the garden",
        "<ann> last, without an ending",
    ];
    assert_eq!(said, expected);
    bob.wait_for("<ann> hello");
    bob.wait_for("-ann- psst");
    bob.wait_for("* ann left");
}

#[test]
fn chat_comes_back_after_kill_9_and_has_missed_nothing() {
    let site = Site::new();
    let server = site.start();
    let address = server.address();
    let mut piped = chat(address, "ann");
    piped.type_in("before the crash\n");
    piped.out.wait_for("<ann> before the crash");
    for marker in ["before the crash", "a later commit"] {
        site.wait_until_on_disk(marker);
        piped.type_in("a later commit\n");
    }
    server.kill9();
    piped.err.wait_for("connection lost");

    let server = start_again(&site, address);
    piped.err.wait_for("back");
    let mut bob = Client::connect(address);
    bob.send("welcome back\n/history");
    piped.out.wait_for("welcome back");
    bob.wait_for("<ann> before the crash");
    piped.type_in("I am still ann\n");
    bob.wait_for("<ann> I am still ann");
    server.stop();
    piped.out.wait_for("* bye: shutdown, come back in ");

    let _server = start_again(&site, address);
    piped.err.wait_for("back, nothing missed");
    piped.type_in("/quit\n");
    let finished = piped.finish();
    assert!(finished.status.success(), "{finished:?}");
    assert!(finished.out.ends_with("connection closed\n"), "{finished:?}");
}

#[test]
fn ping_says_what_happens_in_words() {
    let site =
        Site::with("[[listen]]\nbind = '127.0.0.1:0'\nservice = 'echo'\n[[listen]]\nbind = '127.0.0.1:0'");
    let server = site.start();
    let ping = |address: SocketAddr| {
        let mut command = madang();
        command.args(["ping", "--count", "3", "--interval", "20ms", &address.to_string()]);
        Program::run(command, "")
    };
    for door in [server.door(0), server.door(1)] {
        let finished = ping(door);
        assert!(finished.status.success(), "{finished:?}");
        let parts = [
            format!("connected to {door} from 127.0.0.1:"),
            "sent 3: \"/ping 3\\n\"".to_owned(),
            "answer to 3 after ".to_owned(),
            "done, sending FIN\nthe other side answered with FIN after ".to_owned(),
            format!("--- {door}: 3 sent, 3 answered, "),
        ];
        parts.iter().for_each(|part| assert!(finished.out.contains(part), "{part:?} in {finished:?}"));
    }

    let closed = server.door(0);
    server.kill9();
    let finished = ping(closed);
    assert_eq!(finished.status.code(), Some(1), "{finished:?}");
    assert_eq!(
        finished.out,
        format!("nobody listens at {closed} (connection refused); is the server running?\n")
    );
}

#[test]
fn ping_says_that_the_server_ended() {
    let server = Site::new().start();
    let mut command = madang();
    command.args(["ping", "--interval", "20ms", &server.address().to_string()]);
    let mut ping = Program::start(command);
    ping.out.wait_for("answer to 1 after ");
    server.stop();
    let finished = ping.finish();
    assert!(finished.out.contains("bye: shutdown"), "{finished:?}");
    assert!(finished.out.contains("the other side closed the connection (FIN) after "), "{finished:?}");
}

#[test]
fn what_others_say_does_not_disturb_the_line_being_typed() {
    let server = Site::new().start();
    let address = server.address();
    let terminal = Terminal::running(&format!("{} chat --nick ann {address}", env!("CARGO_BIN_EXE_madang")));
    terminal.shows("you are ann in plaza");
    let mut nc = NC_OPENBSD.connect(address);
    nc.out.wait_for("you are Guest");
    terminal.types("half a 줄");
    terminal.shows("half a 줄");
    nc.type_in("안녕 from nc\n");
    terminal.shows("안녕 from nc");
    let screen = terminal.screen();
    let lines: Vec<&str> = screen.lines().filter(|line| !line.trim().is_empty()).collect();
    let heard = lines.iter().position(|line| line.contains("안녕 from nc")).unwrap();
    assert_eq!(lines.iter().filter(|line| line.contains("half a 줄")).count(), 1, "{screen}");
    assert!(
        lines[heard + 1..].iter().any(|line| line.contains("half a 줄")),
        "it is typed on below:\n{screen}"
    );
    terminal.types(" and the rest");
    terminal.presses("Enter");
    nc.out.wait_for("<ann> half a 줄 and the rest");
    terminal.presses("Up");
    terminal.presses("Enter");
    nc.out.wait_for("<ann> half a 줄 and the rest");
    terminal.presses("C-d");
    nc.out.wait_for("* ann left");
    terminal.shows("connection closed");
    terminal.shows("exit code 0");
}

/// A terminal with a program in it, gone when dropped.
struct Terminal(TempDir);

impl Terminal {
    fn running(command: &str) -> Terminal {
        let terminal = Terminal(tempfile::tempdir().unwrap());
        let held = format!("{command}; echo exit code $?; cat");
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", &held]);
        terminal
    }

    /// Our own tmux server, by its own socket.
    fn tmux(&self, args: &[&str]) -> String {
        let mut command = TMUX.command();
        command.arg("-u").arg("-S").arg(self.0.path().join("tmux")).args(args);
        command.env("LC_ALL", "C.UTF-8").env_remove("TMUX");
        let output = command.output().unwrap();
        assert!(output.status.success(), "tmux: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    fn presses(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn shows(&self, part: &str) {
        eventually(&format!("the terminal shows {part:?}"), || self.screen().contains(part));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the terminal shows:\n{}", self.screen());
        }
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn the_readmes_first_commands_do_what_it_says() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    for command in ["cargo run --release\n", "nc 127.0.0.1 2022", "cargo run --release -- chat"] {
        assert!(readme.contains(command), "the README no longer says {command:?}, which is tried here");
    }
    if let Err(error) = TcpListener::bind("127.0.0.1:2022") {
        return skip(&format!("port 2022 is not free: {error}"));
    }
    // What `cargo run --release` runs, in an empty folder.
    let folder = tempfile::tempdir().unwrap();
    let mut command = madang();
    command.current_dir(folder.path());
    let server = Server::start(command);
    assert_eq!(server.address().to_string(), "127.0.0.1:2022");

    let [mut one, mut two] = [(); 2].map(|()| {
        let mut nc: Command = NC.command();
        nc.args(["127.0.0.1", "2022"]);
        Program::start(nc)
    });
    one.out.wait_for("/help lists the commands\n");
    two.out.wait_for("/help lists the commands\n");
    one.type_in("whatever I type\n");
    two.out.wait_for("> whatever I type\n");
    two.type_in("/help\n");
    two.out.wait_for("/quit");
    let mut command = madang();
    command.arg("chat");
    let mut three = Program::start(command);
    three.out.wait_for("/help lists the commands\n");
    three.type_in("from chat\n");
    one.out.wait_for("> from chat\n");
    two.out.wait_for("> from chat\n");
    server.stop();
    assert!(folder.path().join("madang-data").is_dir());
}
