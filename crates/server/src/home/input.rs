//! From a readable socket to commands: reads, splits into lines, keeps the pace, and stops where an answer must come
//! first.

use std::io::ErrorKind;

use madang_room::Refusal;
use madang_wire::{Line, Notice, Request, chunk, json, text};

use super::bucket::Pace;
use super::conn::{Phase, Speaks};
use super::{Home, READ_BYTES_LIMITED, Surroundings};
use crate::batch::{Batch, Item, Place, What};
use crate::config::Service;
use crate::message::{Message, Outgoing};
use crate::net::Net;

/// What one line, or what could not be one, asks for.
enum Taken {
    Request(Request),
    Refused { re: Option<madang_wire::RequestId>, refusal: Refusal },
    Telnet([u8; 3]),
    Http,
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
                    let input = std::mem::take(&mut conn.input);
                    self.take_input(slot, &input, around);
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
                    self.take_input(slot, &buffer[..bytes], around);
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

    fn take_input(&mut self, slot: u32, input: &[u8], around: &mut Surroundings<'_, N>) {
        match &self.conns[slot as usize].speaks {
            Speaks::Chat(_) => self.take_lines(slot, input, around),
            Speaks::Echo => self.take_echo(slot, input),
            Speaks::Relay { .. } => self.take_relay(slot, input),
        }
    }

    fn take_lines(&mut self, slot: u32, input: &[u8], around: &mut Surroundings<'_, N>) {
        let mut rest = input;
        let mut is_told_too_fast = false;
        while let Some(taken) = self.next_line(slot, &mut rest) {
            let per_second = self.config.limits.messages_per_second;
            let Some(chat) = self.conns[slot as usize].chat() else { return };
            let pace = chat.bucket.take(per_second, around.now);
            match taken {
                Taken::Telnet(reply) => {
                    self.conns[slot as usize].outbox.append(|bytes| bytes.extend_from_slice(&reply));
                    self.reform(slot);
                    self.mark_dirty(slot);
                }
                Taken::Request(Request { id: Some(re), .. }) | Taken::Refused { re: Some(re), .. }
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

    fn next_line(&mut self, slot: u32, rest: &mut &[u8]) -> Option<Taken> {
        let chat = self.conns[slot as usize].chat()?;
        let is_first = !std::mem::replace(&mut chat.has_spoken, true);
        if chat.is_chunked && !chat.is_json {
            let line = chunk(std::mem::take(rest));
            return match line {
                Ok(line) => line.map(|line| read_text(line, is_first)),
                Err(refusal) => Some(Taken::Refused { re: None, refusal }),
            };
        }
        let is_json = chat.is_json;
        match chat.decoder.next(rest) {
            Some(Line::Bytes(line)) if is_json => Some(read_json(line)),
            Some(Line::Bytes(line)) => Some(read_text(line, is_first)),
            Some(Line::Telnet(reply)) => {
                chat.has_spoken = !is_first;
                Some(Taken::Telnet(reply))
            }
            Some(Line::TooLong) => Some(Taken::Refused { re: None, refusal: chat.decoder.too_long() }),
            None => {
                chat.has_spoken = !is_first;
                None
            }
        }
    }

    /// Takes the last line before FIN, which needs no ending.
    pub(super) fn take_last_line(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        chat.is_finished = true;
        let is_json = chat.is_json;
        let is_first = !chat.has_spoken;
        let taken = match chat.decoder.finish() {
            Some(Line::Bytes(line)) if is_json => read_json(line),
            Some(Line::Bytes(line)) => read_text(line, is_first),
            _ => return,
        };
        match taken {
            Taken::Request(request) => self.carry_out(slot, request, around),
            Taken::Refused { re, refusal } => self.refuse(slot, re, refusal),
            Taken::Http | Taken::Telnet(_) => {}
        }
    }

    pub(super) fn refuse(&mut self, slot: u32, re: Option<madang_wire::RequestId>, refusal: Refusal) {
        match re {
            Some(re) => self.reply(slot, Some(&re), &Err(refusal)),
            None => {
                self.metrics.refusals.inc();
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

fn read_text(line: &[u8], is_first: bool) -> Taken {
    if is_first && text::looks_like_http(line) {
        return Taken::Http;
    }
    match text::parse(line) {
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
