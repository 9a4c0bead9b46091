//! A server that does what the scene says, line by line.

use std::time::Duration;

use madang_client::{Client, Event, Events, Options};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// No step of a scene takes long; one that does has failed.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

pub(crate) struct Server {
    listener: TcpListener,
}

impl Server {
    pub(crate) async fn start() -> Server {
        Server { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    pub(crate) fn addr(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// Takes a connection and says the text door's first line.
    pub(crate) async fn accept(&self) -> Peer {
        let (stream, _) = soon("a connection", self.listener.accept()).await.unwrap();
        let mut peer = Peer::new(stream);
        peer.send_text("* you are Guest1 in plaza (1 here), /help lists the commands\n").await;
        peer
    }

    /// A client that is mina, with a quick back-off, and its connection.
    pub(crate) async fn mina(&self) -> (Client, Events, Peer) {
        let options =
            Options::new().nick("mina").backoff(Duration::from_millis(1), Duration::from_millis(20));
        self.client(options).await
    }

    pub(crate) async fn client(&self, options: Options) -> (Client, Events, Peer) {
        let server = async {
            let mut peer = self.accept().await;
            peer.welcome(false).await;
            peer
        };
        let (client, peer) = tokio::join!(Client::connect(self.addr(), options), server);
        let (client, mut events) = client.unwrap();
        assert_eq!(next(&mut events).await, Event::Connected { nick: "mina".into(), resumed: false });
        (client, events, peer)
    }
}

pub(crate) struct Peer {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Peer {
    fn new(stream: TcpStream) -> Peer {
        let (read, write) = stream.into_split();
        Peer { read: BufReader::new(read), write }
    }

    /// The next line, or none at FIN.
    pub(crate) async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let bytes = soon("a line from the client", self.read.read_line(&mut line)).await.unwrap();
        (bytes > 0).then(|| line.trim_end().to_owned())
    }

    /// The next command, which must have these fields (and may have more).
    pub(crate) async fn expect(&mut self, fields: Value) -> Value {
        let line = self.line().await.unwrap_or_else(|| panic!("FIN instead of {fields}"));
        let command: Value = serde_json::from_str(&line).unwrap();
        for (name, value) in fields.as_object().unwrap() {
            assert_eq!(&command[name], value, "{name} of {line}");
        }
        command
    }

    pub(crate) async fn expect_fin(&mut self) {
        assert_eq!(self.line().await, None);
    }

    pub(crate) async fn send(&mut self, value: Value) {
        self.send_text(&format!("{value}\n")).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.write.write_all(text.as_bytes()).await.unwrap();
    }

    pub(crate) async fn reply(&mut self, command: &Value, mut fields: Value) {
        fields["re"] = command["id"].clone();
        self.send(fields).await;
    }

    pub(crate) async fn said(&mut self, seq: u64) {
        self.send(
            json!({"ev":"said","room":"plaza","seq":seq,"at":"t","from":"jun","text":format!("{seq}")}),
        )
        .await;
    }

    /// Sends as much of `bytes` as the client takes before it hangs up.
    pub(crate) async fn flood(&mut self, bytes: &[u8]) {
        let _ = self.write.write_all(bytes).await;
    }

    /// The next line, however long it takes.
    pub(crate) async fn line_at_last(&mut self) -> String {
        let mut line = String::new();
        self.read.read_line(&mut line).await.unwrap();
        line
    }

    /// Answers `/json` and `hello`, whoever it is. Returns the `hello`.
    pub(crate) async fn welcome(&mut self, resumed: bool) -> Value {
        assert_eq!(self.line().await.as_deref(), Some("/json"));
        let hello = self.expect(json!({"op":"hello"})).await;
        // What happens in the landing room may come first.
        self.send(json!({"ev":"renamed","room":"plaza","from":"Guest1","to":"mina"})).await;
        self.reply(
            &hello,
            json!({"session":"s_1","resume":"s_1.secret","resumed":resumed,"nick":"mina","server":"madang/0"}),
        )
        .await;
        hello
    }

    /// Answers a join of plaza, whose newest event is `seq`. Returns the `join`.
    pub(crate) async fn joins_plaza(&mut self, seq: u64) -> Value {
        let join = self.expect(json!({"op":"join","room":"plaza"})).await;
        self.reply(&join, json!({"room":"plaza","kind":"chat","epoch":"e1","seq":seq,"count":1})).await;
        join
    }

    /// Sends FIN.
    pub(crate) async fn finish(&mut self) {
        self.write.shutdown().await.unwrap();
    }
}

pub(crate) async fn next(events: &mut Events) -> Event {
    soon("an event", events.next_event()).await.expect("the events have ended")
}

/// The next event's `seq`, which must be one of a log.
pub(crate) async fn next_seq(events: &mut Events) -> u64 {
    match next(events).await {
        Event::Logged(logged) => logged.seq,
        other => panic!("not an event of a log: {other:?}"),
    }
}

pub(crate) async fn join_plaza(client: &Client, peer: &mut Peer, seq: u64) {
    let (joined, _) = tokio::join!(client.join("plaza"), peer.joins_plaza(seq));
    assert_eq!(joined.unwrap().seq, seq);
}
