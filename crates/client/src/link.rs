//! One TCP connection: opened, greeted, then lines in and lines out. Knows no rooms and never tries twice.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::limits::{CONNECT_TIMEOUT, LINE_BYTES_MAX, UNWRITTEN_BYTES_MAX};
use crate::op::{Incoming, Op, decode, encode};
use crate::reply::Welcome;
use crate::{ConnectError, Lost, Refusal};

/// The id of `hello`, which is always the first command.
pub(crate) const HELLO_ID: u64 = 0;
/// Lines of text before the first JSON; a Madang server sends one.
const GREETING_LINES_MAX: usize = 100;

/// An open connection after `hello`.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
}

/// What the server said to a newcomer.
#[derive(Debug)]
pub(crate) struct Greeting {
    pub(crate) welcome: Welcome,
    /// The room that the connection landed in.
    pub(crate) landing: Option<String>,
}

/// Connects, switches to JSON, says `hello`.
pub(crate) async fn open(addr: &str, hello: &Op) -> Result<(Link, Greeting), ConnectError> {
    match timeout(CONNECT_TIMEOUT, open_unhurried(addr, hello)).await {
        Ok(opened) => opened,
        Err(_) => Err(ConnectError::TimedOut { addr: addr.to_owned() }),
    }
}

async fn open_unhurried(addr: &str, hello: &Op) -> Result<(Link, Greeting), ConnectError> {
    let failed = |source| ConnectError::Io { addr: addr.to_owned(), source };
    let stream = TcpStream::connect(addr).await.map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let (read, write) = stream.into_split();
    let mut link = Link { reader: Reader::new(read), writer: Writer::new(write) };

    link.writer.unwritten.extend_from_slice(b"/json\n");
    link.writer.put(hello, HELLO_ID);
    while link.writer.has_more() {
        link.writer.write_some().await.map_err(failed)?;
    }

    let mut landing = None;
    let mut found = String::new();
    for _ in 0..GREETING_LINES_MAX {
        let line = match link.reader.line().await {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(Lost::Io(why)) => return Err(failed(io::Error::other(why))),
            Err(_) => break,
        };
        if line.first() != Some(&b'{') {
            // The text door's own lines, from before the switch.
            let text = String::from_utf8_lossy(&line);
            if let Some((code, message)) = text.strip_prefix("! ").and_then(|text| text.split_once(": ")) {
                return Err(Refusal { code: code.to_owned(), message: message.to_owned() }.into());
            }
            landing = landing.or_else(|| landing_of(&text));
            found.extend(text.chars().take(80usize.saturating_sub(found.len())));
            continue;
        }
        match decode(&line) {
            Ok(Incoming::Reply(HELLO_ID, outcome)) => {
                let welcome = serde_json::from_value(outcome?);
                let welcome: Welcome = welcome.map_err(|error| not_madang(addr, &error.to_string()))?;
                return Ok((link, Greeting { welcome, landing }));
            }
            // Who came and went in the landing room: of no interest before it is joined.
            Ok(_) => {}
            Err(_) => return Err(not_madang(addr, &String::from_utf8_lossy(&line))),
        }
    }
    if found.is_empty() {
        let why = "the connection was closed before anything was said";
        return Err(failed(io::Error::new(io::ErrorKind::UnexpectedEof, why)));
    }
    Err(not_madang(addr, &found))
}

fn not_madang(addr: &str, found: &str) -> ConnectError {
    ConnectError::NotMadang { addr: addr.to_owned(), found: found.chars().take(80).collect() }
}

/// `* you are Guest1 in plaza (3 here), /help lists the commands` is about plaza.
fn landing_of(greeting: &str) -> Option<String> {
    let (_, rest) = greeting.strip_prefix("* you are ")?.split_once(" in ")?;
    Some(rest.split_once(" (")?.0.to_owned())
}

/// Lines from the server.
#[derive(Debug)]
pub(crate) struct Reader {
    read: OwnedReadHalf,
    /// What was read: lines already taken up to `start`, then at most one unfinished line and one read.
    buffer: Vec<u8>,
    start: usize,
    /// From `start` to here there is no line ending, so that a long line is not searched again for each read.
    searched: usize,
    ended: bool,
}

impl Reader {
    fn new(read: OwnedReadHalf) -> Reader {
        Reader { read, buffer: Vec::new(), start: 0, searched: 0, ended: false }
    }

    /// The next line without its ending; none after the server's FIN. A last line needs no ending.
    ///
    /// Cancel-safe: what was read stays in the buffer.
    pub(crate) async fn line(&mut self) -> Result<Option<Vec<u8>>, Lost> {
        loop {
            if let Some(at) = self.buffer[self.searched..].iter().position(|&byte| byte == b'\n') {
                let line = self.buffer[self.start..self.searched + at].trim_ascii_end().to_vec();
                self.searched += at + 1;
                self.start = self.searched;
                if line.is_empty() {
                    continue;
                }
                return Ok(Some(line));
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            self.searched = self.buffer.len();
            if self.ended {
                self.searched = 0;
                let rest = std::mem::take(&mut self.buffer);
                return Ok((!rest.is_empty()).then_some(rest));
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(Lost::too_long());
            }
            let read = self.read.read_buf(&mut self.buffer).await;
            self.ended = read.map_err(|error| Lost::Io(error.to_string()))? == 0;
        }
    }
}

/// Lines to the server.
#[derive(Debug)]
pub(crate) struct Writer {
    write: OwnedWriteHalf,
    unwritten: Vec<u8>,
}

impl Writer {
    fn new(write: OwnedWriteHalf) -> Writer {
        Writer { write, unwritten: Vec::new() }
    }

    /// Puts a command in line.
    pub(crate) fn put(&mut self, op: &Op, id: u64) {
        encode(op, id, &mut self.unwritten);
    }

    pub(crate) fn has_more(&self) -> bool {
        !self.unwritten.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.unwritten.len() >= UNWRITTEN_BYTES_MAX
    }

    /// Writes as much as the socket takes. Cancel-safe: what it took is what is gone from the line.
    pub(crate) async fn write_some(&mut self) -> io::Result<()> {
        let written = self.write.write(&self.unwritten).await?;
        self.unwritten.drain(..written);
        Ok(())
    }

    /// Sends FIN: this side has said everything, and goes on reading.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        self.write.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use super::landing_of;

    #[test]
    fn the_greeting_names_the_landing_room() {
        let greeting = "* you are Guest1 in plaza (3 here), /help lists the commands";
        assert_eq!(landing_of(greeting).as_deref(), Some("plaza"));
        assert_eq!(landing_of("* you are Guest1, /help lists the commands"), None);
        assert_eq!(landing_of("SSH-2.0-OpenSSH_9.2p1"), None);
    }
}
