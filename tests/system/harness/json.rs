//! A client of JSON lines over a real socket.

use std::collections::VecDeque;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::{Client, End};

/// Somebody in the chat, by `/json`.
pub(crate) struct Json {
    pub(crate) client: Client,
    events: VecDeque<Value>,
    ids: u64,
}

impl Json {
    pub(crate) fn connect(address: SocketAddr) -> Json {
        let mut client = Client::connect(address);
        client.send("/json\n{\"op\":\"ping\",\"id\":0}");
        // What happened before is in text.
        while client.line() != r#"{"re":0}"# {}
        Json { client, events: VecDeque::new(), ids: 0 }
    }

    /// Connects and says `hello` with these fields. Returns the reply, too.
    pub(crate) fn hello(address: SocketAddr, fields: Value) -> (Json, Value) {
        let mut json = Json::connect(address);
        let mut op = fields;
        op["op"] = "hello".into();
        let welcome = json.ask(op);
        (json, welcome)
    }

    /// Comes back with a token.
    pub(crate) fn resume(address: SocketAddr, token: &Value) -> (Json, Value) {
        Json::hello(address, json!({"resume": token}))
    }

    /// Asks, and returns the reply, refusals too. Events that come before it wait for [`Json::event`].
    pub(crate) fn ask(&mut self, op: Value) -> Value {
        let asked = op.to_string();
        self.try_ask(op).unwrap_or_else(|end| panic!("{asked} is answered by {end:?}"))
    }

    pub(crate) fn try_ask(&mut self, op: Value) -> Result<Value, End> {
        let id = self.send(op)?;
        loop {
            let value = self.read()?;
            match value.get("re") {
                Some(re) if *re == id => return Ok(value),
                Some(_) => panic!("a reply to something else: {value}"),
                None => self.events.push_back(value),
            }
        }
    }

    /// Asks without waiting for the reply, which then comes by [`Json::read`].
    pub(crate) fn send(&mut self, mut op: Value) -> Result<u64, End> {
        self.ids += 1;
        op["id"] = self.ids.into();
        self.client.try_send(format!("{op}\n").as_bytes()).map_err(|_| End::Reset)?;
        Ok(self.ids)
    }

    /// Says something in a room; the position it got.
    pub(crate) fn say(&mut self, room: &str, text: &str) -> u64 {
        let reply = self.ask(json!({"op": "say", "room": room, "text": text}));
        reply["seq"].as_u64().unwrap_or_else(|| panic!("{text:?} is not said: {reply}"))
    }

    pub(crate) fn join(&mut self, room: &str) -> Value {
        self.ask(json!({"op": "join", "room": room}))
    }

    /// The next event, in the order of arrival.
    pub(crate) fn event(&mut self) -> Value {
        if let Some(event) = self.events.pop_front() {
            return event;
        }
        self.read().unwrap_or_else(|end| panic!("waiting for an event, and there is {end:?}"))
    }

    /// Forgets the events that have come.
    pub(crate) fn forget(&mut self) {
        self.events.clear();
    }

    pub(crate) fn read(&mut self) -> Result<Value, End> {
        let line = self.client.try_line()?;
        Ok(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}")))
    }

    /// Everything said in a room, as position and text.
    pub(crate) fn said(&mut self, room: &str) -> Vec<(u64, String)> {
        let mut said = Vec::new();
        let mut after = 0;
        loop {
            let page = self.ask(json!({"op": "history", "room": room, "after": after, "limit": 1_000}));
            let events = page["events"].as_array().unwrap_or_else(|| panic!("this is no history: {page}"));
            for event in events {
                after = event["seq"].as_u64().unwrap();
                if event["ev"] == "said" {
                    said.push((after, event["text"].as_str().unwrap().to_owned()));
                }
            }
            if events.is_empty() || page["seq"].as_u64() == Some(after) {
                return said;
            }
        }
    }
}
