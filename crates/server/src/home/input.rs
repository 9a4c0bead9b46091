//! From a readable socket to commands: reads, splits into lines, keeps the pace, and stops where an answer must come
//! first.

use std::io::ErrorKind;

use madang_room::{Refusal, RoomName, Text};
use madang_wire::socketio::Auth;
use madang_wire::{Line, Notice, Request, RequestId, chunk, json, text, websocket};

use super::conn::{Phase, Speaks};
use super::echoes::Echoed;
use super::socketio::Stage;
use super::tongue::{Lines, Tongue};
use super::{Home, READ_BYTES_LIMITED, Surroundings};
use crate::batch::{Batch, Item, Place, What};
use crate::bucket::Pace;
use crate::config::Service;
use crate::message::{Message, Outgoing};
use crate::net::Net;

/// What one line, or what could not be one, asks for.
pub(super) enum Taken {
    Request(Request),
    Refused {
        re: Option<RequestId>,
        refusal: Refusal,
    },
    Telnet([u8; 3]),
    Http,
    /// Something that is answered with these bytes.
    Answered(Vec<u8>),
    /// The client has ended the conversation, or has to be let go; with the last bytes for it.
    End(Vec<u8>),
    /// Something that needs nothing done.
    Nothing,
    /// Engine.IO: it is still there.
    Pong,
    /// Socket.IO: into the namespace, and out of it.
    Connect(Box<Auth>),
    Disconnect,
    /// Socket.IO's simple clients.
    SimpleJoin {
        re: Option<RequestId>,
        room: RoomName,
    },
    SimpleSay {
        re: Option<RequestId>,
        text: Text,
    },
}

impl<N: Net> Home<N> {
    /// The system says that a connection can be read or written, or that the other side has hung up.
    pub(crate) fn ready(&mut self, slot: u32, readable: bool, writable: bool, hung_up: bool) {
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        conn.readable |= readable || hung_up;
        conn.hung_up |= hung_up;
        if writable && conn.outbox.is_behind() {
            self.mark_dirty(slot);
        }
        if readable || hung_up {
            self.enqueue(slot);
        }
    }

    /// Gives every connection that waits one read's worth of attention.
    pub(crate) fn work(&mut self, around: &mut Surroundings<'_, N>) {
        for _ in 0..self.queue.len() {
            let Some(slot) = self.queue.pop_front() else { break };
            let Some(conn) = self.conns.get_mut(slot as usize) else { continue };
            conn.is_queued = false;
            self.work_on(slot, around);
        }
    }

    fn work_on(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        if self.conns[slot as usize].phase == Phase::Open {
            self.carry_out_parked(slot, around);
        }
        let conn = &mut self.conns[slot as usize];
        match conn.phase {
            Phase::Open if !conn.input.is_empty() => {
                if conn.takes_commands() {
                    let mut input = std::mem::take(&mut conn.input);
                    self.take_input(slot, &mut input, around);
                    if self.conns.contains(slot as usize) && self.conns[slot as usize].takes_commands() {
                        self.enqueue(slot);
                    }
                }
            }
            Phase::Open if conn.peer_done => self.input_ended(slot, around),
            Phase::Open if !conn.takes_commands() => {}
            Phase::Open | Phase::Finished if conn.readable => self.read(slot, around),
            // Who is about to be closed is read again when FIN is out.
            Phase::Open | Phase::Leaving | Phase::Draining | Phase::Finished => {}
        }
    }

    fn read(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        let mut buffer = std::mem::take(&mut self.buffer);
        let conn = &mut self.conns[slot as usize];
        let per_second = self.config.limits.messages_per_second;
        if conn.phase == Phase::Open && !self.timers.may_read(conn, slot, per_second, around.now) {
            self.buffer = buffer;
            return;
        }
        let is_limited = conn.chat().is_some_and(|chat| !chat.bucket.is_endless());
        let space = if is_limited { READ_BYTES_LIMITED } else { buffer.len() };
        match around.net.read(&mut conn.socket, &mut buffer[..space]) {
            Ok(0) => {
                conn.peer_done = true;
                conn.readable = false;
                match conn.phase {
                    Phase::Open => self.input_ended(slot, around),
                    _ => self.mark_dirty(slot),
                }
            }
            Ok(bytes) => {
                self.metrics.bytes_in.inc_by(bytes as u64);
                conn.heard_at = around.now;
                // A short read has emptied the socket; after FIN there is still that to be read.
                conn.readable = bytes == space || conn.hung_up;
                let is_discarded = conn.phase != Phase::Open;
                if conn.readable {
                    self.enqueue(slot);
                }
                if !is_discarded {
                    self.take_input(slot, &mut buffer[..bytes], around);
                }
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => self.enqueue(slot),
            Err(error) if error.kind() == ErrorKind::WouldBlock => conn.readable = false,
            Err(error) => {
                tracing::debug!(peer = %conn.peer, session = conn.session(), %error, "the connection broke");
                self.lose(slot, madang_room::WhyLeft::Lost, around);
            }
        }
        self.buffer = buffer;
    }

    fn take_input(&mut self, slot: u32, input: &mut [u8], around: &mut Surroundings<'_, N>) {
        match &self.conns[slot as usize].speaks {
            Speaks::Chat(_) => self.take_words(slot, input, around),
            Speaks::Echo => self.take_echo(slot, input),
            Speaks::Relay { .. } => self.take_relay(slot, input),
            Speaks::Echoes(_) => self.take_echoes(slot, input, around),
        }
    }

    fn take_words(&mut self, slot: u32, input: &mut [u8], around: &mut Surroundings<'_, N>) {
        let mut rest = input;
        let mut is_told_too_fast = false;
        while let Some(taken) = self.next_word(slot, &mut rest) {
            let per_second = self.config.limits.messages_per_second;
            let Some(chat) = self.conns[slot as usize].chat() else { return };
            let pace = chat.bucket.take(per_second, around.now);
            match taken {
                Taken::Telnet(reply) => {
                    self.write_private(slot, &reply);
                    self.reform(slot);
                }
                Taken::Nothing => {}
                Taken::Pong => self.hear_pong(slot, around),
                Taken::Answered(bytes) => self.write_private(slot, &bytes),
                Taken::End(bytes) => {
                    self.write_private(slot, &bytes);
                    self.leave_all(slot, None, around);
                    return;
                }
                Taken::Connect(auth) => self.connect(slot, *auth, around),
                Taken::Disconnect => self.leave_rooms(slot, around),
                Taken::Request(Request { id: Some(re), .. })
                | Taken::Refused { re: Some(re), .. }
                | Taken::SimpleJoin { re: Some(re), .. }
                | Taken::SimpleSay { re: Some(re), .. }
                    if pace == Pace::TooFast =>
                {
                    self.refuse(slot, Some(re), Refusal::TooFast { per_second });
                }
                _ if pace == Pace::TooFast => {
                    if !std::mem::replace(&mut is_told_too_fast, true) {
                        self.refuse(slot, None, Refusal::TooFast { per_second });
                    }
                }
                Taken::Request(request) => self.carry_out(slot, request, around),
                Taken::Refused { re, refusal } => self.refuse(slot, re, refusal),
                Taken::SimpleJoin { re, room } => self.simple_join(slot, re, room, around),
                Taken::SimpleSay { re, text } => self.simple_say(slot, re, text, around),
                Taken::Http => {
                    let why = "this door speaks lines of text, not HTTP".to_owned();
                    self.refuse(slot, None, Refusal::BadCommand { why });
                    self.leave_all(slot, None, around);
                    return;
                }
            }
            match self.conns.get_mut(slot as usize) {
                Some(conn) if conn.takes_commands() => {}
                Some(conn) if conn.phase == Phase::Open => {
                    conn.input = rest.into();
                    return;
                }
                _ => return,
            }
        }
    }

    fn next_word(&mut self, slot: u32, rest: &mut &mut [u8]) -> Option<Taken> {
        match &mut self.conns[slot as usize].chat()?.tongue {
            Tongue::Lines(lines) => {
                // Lines are read where they lie.
                let bytes = std::mem::take(rest);
                let mut unread = &*bytes;
                let taken = lines.next(&mut unread);
                let read = bytes.len() - unread.len();
                *rest = &mut bytes[read..];
                taken
            }
            Tongue::WebSocket(socket) => {
                let taken = next_message(&mut socket.decoder, rest)?;
                socket.is_over = matches!(taken, Taken::End(_));
                Some(taken)
            }
            Tongue::SocketIo(socketio) => socketio.next(rest),
            Tongue::Stream { .. } | Tongue::Call { .. } => None,
        }
    }

    /// Takes the last line before FIN, which needs no ending. True where there may have been one.
    pub(super) fn take_last_line(&mut self, slot: u32, around: &mut Surroundings<'_, N>) -> bool {
        let Some(chat) = self.conns[slot as usize].chat() else { return false };
        let Tongue::Lines(lines) = &mut chat.tongue else { return false };
        if std::mem::replace(&mut lines.is_finished, true) {
            return false;
        }
        let is_json = lines.is_json;
        let (is_first, is_lobby) = (!lines.has_spoken, lines.is_lobby);
        let taken = match lines.decoder.finish() {
            Some(Line::Bytes(line)) if is_json => read_json(line),
            Some(Line::Bytes(line)) => read_text(line, is_first, is_lobby),
            _ => return true,
        };
        match taken {
            Taken::Request(request) => self.carry_out(slot, request, around),
            Taken::Refused { re, refusal } => self.refuse(slot, re, refusal),
            _ => {}
        }
        true
    }

    pub(super) fn refuse(&mut self, slot: u32, re: Option<RequestId>, refusal: Refusal) {
        // The answer to Socket.IO's `CONNECT` has no number, and is one all the same.
        let is_connecting = self.socketio(slot).is_some_and(|socketio| socketio.stage == Stage::Connecting);
        match re {
            Some(re) => self.reply(slot, Some(&re), &Err(refusal)),
            None if is_connecting => self.reply(slot, None, &Err(refusal)),
            None => {
                self.metrics.refused(&refusal);
                self.notify(slot, &Notice::Error(refusal));
            }
        }
    }

    fn take_echo(&mut self, slot: u32, input: &[u8]) {
        let conn = &mut self.conns[slot as usize];
        let Service::Echo { reply, once } = &self.config.listeners[usize::from(conn.listener)].service else {
            return;
        };
        conn.outbox.append(|bytes| bytes.extend_from_slice(reply.as_deref().unwrap_or(input)));
        if *once {
            conn.phase = Phase::Draining;
        }
        self.mark_dirty(slot);
    }

    fn take_echoes(&mut self, slot: u32, input: &mut [u8], around: &mut Surroundings<'_, N>) {
        let mut rest = input;
        loop {
            let conn = &mut self.conns[slot as usize];
            let Speaks::Echoes(echoes) = &mut conn.speaks else { return };
            let mut echoed = None;
            let is_something = conn.outbox.append(|out| echoed = echoes.next(&mut rest, around.now, out));
            if is_something {
                self.mark_dirty(slot);
            }
            match echoed {
                None => return,
                Some(Echoed::Nothing) => {}
                Some(Echoed::Pong) => self.hear_pong(slot, around),
                Some(Echoed::Later(due)) => self.timers.beat(due, self.reference(slot)),
                Some(Echoed::End) => {
                    self.conns[slot as usize].phase = Phase::Draining;
                    self.mark_dirty(slot);
                    return;
                }
            }
        }
    }

    fn take_relay(&mut self, slot: u32, input: &[u8]) {
        let author = Some(self.reference(slot));
        let listener = self.conns[slot as usize].listener;
        let item = Item { author, what: What::Raw(input.into()) };
        self.relayed.entry(listener).or_default().push(item);
    }

    /// Ends the wake for relays: what their members sent goes to the others together.
    pub(crate) fn seal_relays(&mut self, out: &mut Outgoing) {
        for (listener, items) in self.relayed.drain() {
            let batch = Batch::new(Place::Relay(listener), items, None, self.metrics.clone());
            out.send(self.shard, Message::Batch(batch.into()));
        }
    }
}

impl Lines {
    fn next(&mut self, rest: &mut &[u8]) -> Option<Taken> {
        let is_first = !std::mem::replace(&mut self.has_spoken, true);
        if self.is_chunked && !self.is_json {
            let line = chunk(std::mem::take(rest));
            return match line {
                Ok(line) => line.map(|line| read_text(line, is_first, false)),
                Err(refusal) => Some(Taken::Refused { re: None, refusal }),
            };
        }
        let is_json = self.is_json;
        match self.decoder.next(rest) {
            Some(Line::Bytes(line)) if is_json => Some(read_json(line)),
            Some(Line::Bytes(line)) => Some(read_text(line, is_first, self.is_lobby)),
            Some(Line::Telnet(reply)) => {
                self.has_spoken = !is_first;
                Some(Taken::Telnet(reply))
            }
            Some(Line::TooLong) => Some(Taken::Refused { re: None, refusal: self.decoder.too_long() }),
            None => {
                self.has_spoken = !is_first;
                None
            }
        }
    }
}

/// Takes the next message of a WebSocket out of `rest`.
fn next_message(decoder: &mut websocket::Decoder, rest: &mut &mut [u8]) -> Option<Taken> {
    let closed = |code, why: &str| {
        let mut bytes = Vec::new();
        websocket::close_frame(&mut bytes, code, why);
        Taken::End(bytes)
    };
    Some(match decoder.next(rest)? {
        Ok(websocket::Message::Text(text)) => read_json(text.as_bytes()),
        Ok(websocket::Message::Binary(_)) => closed(1003, "this door speaks text"),
        Ok(websocket::Message::Ping(data)) => {
            let mut bytes = Vec::new();
            websocket::pong_frame(&mut bytes, data);
            Taken::Answered(bytes)
        }
        Ok(websocket::Message::Pong) => Taken::Nothing,
        Ok(websocket::Message::Close(code)) => closed(code.unwrap_or(1000), ""),
        Err(error) => closed(error.close_code(), &error.to_string()),
    })
}

fn read_text(line: &[u8], is_first: bool, is_lobby: bool) -> Taken {
    if is_first && text::looks_like_http(line) {
        return Taken::Http;
    }
    match if is_lobby { text::parse_in_lobby(line) } else { text::parse(line) } {
        Ok(request) => Taken::Request(request),
        Err(refusal) => Taken::Refused { re: None, refusal },
    }
}

fn read_json(line: &[u8]) -> Taken {
    match json::parse(line) {
        Ok(request) => Taken::Request(request),
        Err(error) => Taken::Refused { re: error.id, refusal: error.refusal },
    }
}
