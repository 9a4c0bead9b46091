//! The server that the public test suites of Engine.IO and Socket.IO are run against:
//!
//! ```text
//! cargo run --example conformance [-- --port 3000]
//! ```
//!
//! It is the product's own HTTP door, on 127.0.0.1 and [::1], with the settings that the suites want: short heartbeats,
//! and at the other end not rooms but an echo. Suites that are given `/engine.io/` get every message back; those that
//! are given `/socket.io/` get `message` and `message-with-ack` back, in the namespaces `/` and `/custom`.

use std::error::Error;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use madang_server::Server;
use madang_server::config::{App, Config, HttpService, Listener, Origins, Service};

#[expect(clippy::print_stdout, reason = "whoever runs it waits for `ready`")]
fn main() -> Result<(), Box<dyn Error>> {
    let port = match std::env::args().skip(1).collect::<Vec<String>>().as_slice() {
        [] => 3000,
        [flag, port] if flag == "--port" => port.parse()?,
        _ => return Err("usage: conformance [--port N]".into()),
    };
    let service = HttpService {
        ping_interval: Duration::from_millis(300),
        ping_timeout: Duration::from_millis(200),
        max_payload: 1_000_000,
        recovery: false,
        app: App::EchoEvents,
    };
    let data = tempfile::tempdir()?;
    let addresses =
        [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))];
    let listeners = addresses.map(|address| Listener::new(address, Service::Http(service.clone())));
    let server = Server::start(Config {
        data: data.path().to_owned(),
        // For suites that run in a browser.
        origins: Origins { any: true, listed: Vec::new() },
        listeners: listeners.into(),
        ..Config::default()
    })?;
    for (address, service) in server.listeners() {
        println!("listening {}", service.announced(address));
    }
    println!("ready");
    server.wait();
    Ok(())
}
