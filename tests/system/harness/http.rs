//! HTTP and WebSocket by hand, over a real socket: so that a test says every byte of what it sends.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use serde_json::Value;

use super::connect_raw;

/// A connection that requests are sent over.
pub(crate) struct Http {
    reader: BufReader<TcpStream>,
    host: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Http {
    pub(crate) fn connect(address: SocketAddr) -> Http {
        Http { reader: BufReader::new(connect_raw(address)), host: address.to_string() }
    }

    /// Sends these bytes as they are.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.try_send(bytes).expect("the server reads");
    }

    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Sends a request: its first line without the version, further header lines, and a body.
    pub(crate) fn send(&mut self, first: &str, headers: &[&str], body: &str) {
        let mut request = format!("{first} HTTP/1.1\r\nHost: {}\r\n", self.host);
        headers.iter().for_each(|header| request += &format!("{header}\r\n"));
        if !body.is_empty() || first.starts_with("POST") {
            request += &format!("Content-Length: {}\r\n", body.len());
        }
        self.send_bytes(format!("{request}\r\n{body}").as_bytes());
    }

    pub(crate) fn ask(&mut self, first: &str, headers: &[&str], body: &str) -> Response {
        self.send(first, headers, body);
        self.response()
    }

    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.ask(&format!("GET {path}"), &[], "")
    }

    /// Asks for another host than the one that it is connected to.
    pub(crate) fn ask_as(mut self, host: &str, first: &str) -> Response {
        host.clone_into(&mut self.host);
        self.ask(first, &[], "")
    }

    pub(crate) fn post_json(&mut self, path: &str, body: &Value) -> Response {
        self.ask(&format!("POST {path}"), &["Content-Type: application/json"], &body.to_string())
    }

    /// Reads a whole response.
    pub(crate) fn response(&mut self) -> Response {
        let mut response = self.head();
        let mut body = Vec::new();
        if let Some(bytes) = response.header("content-length") {
            body.resize(bytes.parse().unwrap(), 0);
            self.reader.read_exact(&mut body).expect("a whole body");
        } else if response.header("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                body.extend(chunk);
            }
        }
        response.body = String::from_utf8(body).expect("bodies are text here");
        response
    }

    /// Reads a response up to its body.
    pub(crate) fn head(&mut self) -> Response {
        let first = self.line().expect("a response");
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        while let Some((name, value)) = self.line().expect("a whole head").split_once(": ") {
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        Response { status, headers, body: String::new() }
    }

    /// The next piece of a body that comes in pieces; none at its end.
    pub(crate) fn chunk(&mut self) -> Option<Vec<u8>> {
        let bytes = usize::from_str_radix(&self.line().expect("a chunk"), 16).expect("the length of a chunk");
        let mut chunk = vec![0; bytes + 2];
        self.reader.read_exact(&mut chunk).expect("a whole chunk");
        chunk.truncate(bytes);
        (bytes > 0).then_some(chunk)
    }

    /// Reads pieces of a body up to the one with this in it.
    pub(crate) fn chunks_to(&mut self, part: &str) -> String {
        let mut text = String::new();
        while !text.contains(part) {
            let chunk = self.chunk().unwrap_or_else(|| panic!("the end, and no {part:?} in {text:?}"));
            text += str::from_utf8(&chunk).unwrap();
        }
        text
    }

    /// Has the server closed the connection, and sent nothing more before?
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.reader.fill_buf(), Ok([]))
            || matches!(self.reader.fill_buf(), Err(error) if error.kind() == ErrorKind::ConnectionReset)
    }

    /// Reads and drops what is left up to the end.
    pub(crate) fn ends(&mut self) -> bool {
        let mut dropped = Vec::new();
        match self.reader.read_to_end(&mut dropped) {
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    pub(crate) fn finish(&self) {
        self.reader.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        Some(line.trim_end_matches("\r\n").to_owned())
    }
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Its status and the code of its error.
    #[track_caller]
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["error"]["code"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned())
    }
}

/// A WebSocket.
pub(crate) struct WebSocket(Http);

impl WebSocket {
    pub(crate) const HEADERS: [&str; 4] = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];

    pub(crate) fn connect(address: SocketAddr, path: &str) -> WebSocket {
        WebSocket::with_first(address, path, &[])
    }

    /// Sends these messages together with the handshake.
    pub(crate) fn with_first(address: SocketAddr, path: &str, messages: &[&str]) -> WebSocket {
        let mut http = Http::connect(address);
        let mut bytes =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{}\r\n\r\n", WebSocket::HEADERS.join("\r\n"))
                .into_bytes();
        messages.iter().for_each(|message| bytes.extend(text_frame(message)));
        http.send_bytes(&bytes);
        let response = http.head();
        assert_eq!(response.status, 101, "{:?}", response);
        assert_eq!(response.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        WebSocket(http)
    }

    pub(crate) fn send(&mut self, message: &str) {
        self.0.send_bytes(&text_frame(message));
    }

    /// The next message; a close frame as `close` and its code.
    pub(crate) fn message(&mut self) -> String {
        let mut head = [0; 2];
        self.0.reader.read_exact(&mut head).expect("a frame");
        let bytes = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.0.reader.read_exact(&mut length).unwrap();
                usize::from(u16::from_be_bytes(length))
            }
            127 => {
                let mut length = [0; 8];
                self.0.reader.read_exact(&mut length).unwrap();
                u64::from_be_bytes(length) as usize
            }
            length => usize::from(length),
        };
        let mut payload = vec![0; bytes];
        self.0.reader.read_exact(&mut payload).expect("a whole frame");
        match head[0] {
            0x81 => String::from_utf8(payload).unwrap(),
            0x88 => format!("close {}", u16::from_be_bytes([payload[0], payload[1]])),
            other => panic!("a frame that begins with {other:#x}"),
        }
    }

    pub(crate) fn json(&mut self) -> Value {
        serde_json::from_str(&self.message()).unwrap()
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        self.0.is_closed()
    }

    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        self.0.send_bytes(bytes);
    }
}

/// As a client sends it, with a mask of its own.
fn text_frame(message: &str) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut frame = vec![0x81];
    match message.len() {
        bytes @ ..126 => frame.push(0x80 | bytes as u8),
        bytes => {
            frame.push(0x80 | 126);
            frame.extend((bytes as u16).to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(message.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
