//! What the server says when it has started, and that what it says is true.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::harness::{Client, Server, Site, connect_raw};

/// Every kind of door.
const ALL_DOORS: &str = "\
[[listen]]
bind = '127.0.0.1:0'
room = 'yard'
[[listen]]
bind = '[::1]:0'
[[listen]]
bind = '127.0.0.1:0'
service = 'echo'
[[listen]]
bind = '127.0.0.1:0'
service = 'echo'
reply = 'test'
once = true
[[listen]]
bind = '127.0.0.1:0'
service = 'relay'
[[listen]]
bind = '127.0.0.1:0'
service = 'relay'
to_sender = true
[[listen]]
bind = '127.0.0.1:0'
framing = 'chunk'
[[listen]]
protocol = 'http'
bind = '127.0.0.1:0'
";

#[test]
fn listeners_are_announced_in_the_files_order() {
    let mut server = Site::with(ALL_DOORS).start();
    let services: Vec<&str> = server.doors.iter().map(|(_, service)| service.as_str()).collect();
    assert_eq!(services, ["chat", "chat", "echo", "echo", "relay", "relay", "chat", "http"]);
    let is_ipv6: Vec<bool> = server.doors.iter().map(|(address, _)| address.is_ipv6()).collect();
    assert_eq!(is_ipv6, [false, true, false, false, false, false, false, false]);
    assert!(server.doors.iter().all(|(address, _)| address.ip().is_loopback() && address.port() != 0));
    let mut announced: String = server
        .doors
        .iter()
        .map(|(address, service)| match service.as_str() {
            "http" => format!("listening http {address}\n"),
            service => format!("listening tcp {address} {service}\n"),
        })
        .collect();
    announced += "ready\n";
    assert_eq!(server.printed(), announced, "and nothing else");
}

#[test]
fn flags_replace_the_files_listeners() {
    let site = Site::with(ALL_DOORS);
    let mut command = site.command();
    command.args(["--tcp", "[::1]:0", "--tcp", "127.0.0.1:0"]);
    let server = Server::start(command);
    let services: Vec<&str> = server.doors.iter().map(|(_, service)| service.as_str()).collect();
    assert_eq!(services, ["chat", "chat", "http"], "those of HTTP stay");
    let mut ann = Client::connect(server.door(0));
    let mut bob = Client::connect(server.door(1));
    ann.hears(&format!("* {} joined", bob.nick));
    bob.send("over there?");
    ann.hears(&format!("<{}> over there?", bob.nick));
}

#[test]
fn every_door_does_what_it_was_announced_for() {
    let server = Site::with(ALL_DOORS).start();
    let [yard, plaza, echo, once, relay, to_sender, chunk] = [0, 1, 2, 3, 4, 5, 6].map(|at| server.door(at));

    let mut ann = Client::connect(yard);
    ann.send("/who");
    ann.hears("* here: Guest1");
    let mut bob = Client::connect(plaza);

    let mut eve = connect_raw(chunk);
    wait_for(&mut eve, b"/help lists the commands\n");
    bob.hears("* Guest3 joined");
    eve.write_all(b"no newline").unwrap();
    bob.hears("<Guest3> no newline");

    assert_eq!(said_and_heard(echo, b"raw\0\xff\xfb\x01\rbytes"), b"raw\0\xff\xfb\x01\rbytes");
    let mut answered = connect_raw(once);
    answered.write_all(b"anything").unwrap();
    assert_eq!(read_to_end(&mut answered), b"test", "and then it closes");

    let [mut one, mut two] = [relay, relay].map(connect_raw);
    two.write_all(b"from two").unwrap();
    wait_for(&mut one, b"from two");
    one.write_all(b"\xff\0from one").unwrap();
    wait_for(&mut two, b"\xff\0from one");
    one.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_to_end(&mut one), b"", "nobody gets back what he relays");

    let mut alone = connect_raw(to_sender);
    alone.write_all(b"to myself").unwrap();
    wait_for(&mut alone, b"to myself");
}

fn said_and_heard(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = connect_raw(address);
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    read_to_end(&mut stream)
}

fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Reads until what came ends with this.
fn wait_for(stream: &mut TcpStream, end: &[u8]) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 256];
    while !bytes.ends_with(end) {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the end, after {:?}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&buffer[..count]);
    }
}
