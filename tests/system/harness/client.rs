//! A client of plain lines over a real socket.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use super::PATIENCE;

/// How the other side ended the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Fin,
    Reset,
}

/// A bare connection, with [`PATIENCE`].
pub(crate) fn connect_raw(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"));
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// A connection whose ends hold little on their way, so that who does not read is soon behind.
pub(crate) fn connect_narrow(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.set_send_buffer_size(4_096).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Somebody in the chat.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
    pub(crate) nick: String,
}

impl Client {
    /// Connects and reads the greeting.
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::greeted(connect_raw(address))
    }

    /// Connects and takes this nickname.
    pub(crate) fn named(address: SocketAddr, nick: &str) -> Client {
        let mut client = Client::connect(address);
        client.send(&format!("/nick {nick}"));
        client.wait_for(&format!("is now {nick}"));
        client.nick = nick.to_owned();
        client
    }

    /// Reads the greeting on a connection that was made elsewhere.
    pub(crate) fn greeted(stream: TcpStream) -> Client {
        Client::try_greeted(stream)
            .unwrap_or_else(|end| panic!("waiting to be greeted, and there is {end:?}"))
    }

    /// The same where the server may have no place for one more.
    pub(crate) fn try_greeted(stream: TcpStream) -> Result<Client, End> {
        let mut client = Client { reader: BufReader::new(stream), nick: String::new() };
        let greeting = client.try_line()?;
        let nick = greeting.strip_prefix("* you are ").and_then(|rest| rest.split(' ').next());
        client.nick = nick.unwrap_or_else(|| panic!("this is no greeting: {greeting:?}")).to_owned();
        Ok(client)
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    /// Sends a line.
    pub(crate) fn send(&mut self, line: &str) {
        self.send_bytes(format!("{line}\n").as_bytes());
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.try_send(bytes).unwrap_or_else(|error| panic!("{} can't send: {error}", self.nick));
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// The next line, without its ending.
    pub(crate) fn line(&mut self) -> String {
        self.try_line().unwrap_or_else(|end| panic!("{} waits for a line, and there is {end:?}", self.nick))
    }

    pub(crate) fn try_line(&mut self) -> Result<String, End> {
        let mut bytes = Vec::new();
        match self.reader.read_until(b'\n', &mut bytes) {
            Ok(0) => Err(End::Fin),
            Ok(_) => {
                let line = String::from_utf8(bytes).expect("the server sends UTF-8");
                let line = line.strip_suffix('\n').unwrap_or_else(|| panic!("half a line: {line:?}"));
                Ok(line.to_owned())
            }
            Err(error) => Err(self.end_of(&error)),
        }
    }

    /// The next line must be this one.
    #[track_caller]
    pub(crate) fn hears(&mut self, line: &str) {
        assert_eq!(self.line(), line, "what {} hears", self.nick);
    }

    /// Reads on to a line that has this in it.
    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Sends FIN.
    pub(crate) fn finish(&mut self) {
        // A connection that is gone has no other half to close.
        let _ = self.stream().shutdown(Shutdown::Write);
    }

    /// All that still comes, and how it ends.
    pub(crate) fn rest(&mut self) -> (Vec<String>, End) {
        let mut bytes = Vec::new();
        let end = match self.reader.read_to_end(&mut bytes) {
            Ok(_) => End::Fin,
            Err(error) => self.end_of(&error),
        };
        let text = String::from_utf8(bytes).expect("the server sends UTF-8");
        (text.lines().map(str::to_owned).collect(), end)
    }

    /// Nothing must come for a moment. The only waiting for something that does not happen.
    pub(crate) fn hears_nothing_for(&mut self, moment: Duration) {
        self.stream().set_read_timeout(Some(moment)).unwrap();
        let mut bytes = [0; 64];
        match self.reader.read(&mut bytes) {
            Ok(0) => panic!("{} waits for silence, and there is the end", self.nick),
            Ok(count) => panic!("{:?} breaks the silence", String::from_utf8_lossy(&bytes[..count])),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => panic!("{} waits for silence: {error}", self.nick),
        }
        self.stream().set_read_timeout(Some(PATIENCE)).unwrap();
    }

    /// Closes with RST.
    pub(crate) fn reset(self) {
        SockRef::from(self.stream()).set_linger(Some(Duration::ZERO)).unwrap();
    }

    fn end_of(&self, error: &std::io::Error) -> End {
        match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => End::Reset,
            _ => panic!("{} waits for the server: {error}", self.nick),
        }
    }
}
