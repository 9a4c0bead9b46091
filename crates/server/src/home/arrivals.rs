//! Those who come in by HTTP: WebSockets, Socket.IO sessions, streams, and calls of the API.

use std::time::Duration;

use madang_room::{Nick, WhyLeft};
use madang_wire::websocket::Decoder;
use madang_wire::{JSON_BYTES_MAX, Notice, Request, RequestId, engineio, sse};

use super::conn::{Chat, Pending, Phase, Speaks};
use super::echoes::Echoes;
use super::engine::{Beat, Engine};
use super::socketio::{SocketIo, Stage};
use super::tongue::{Tongue, WebSocket};
use super::{Home, Surroundings};
use crate::arrival::{App, Arrival, Manner};
use crate::config::{HttpService, Service};
use crate::message::{Ask, CameIn, DirectoryMessage};
use crate::net::Net;

/// The number under which a call of the API is answered. It has no other.
const CALL: u32 = 0;

impl<N: Net> Home<N> {
    /// Takes somebody who came in by HTTP.
    pub(crate) fn arrive(&mut self, arrival: Arrival<N::Socket>, around: &mut Surroundings<'_, N>) {
        let Arrival { socket, peer, listener, ip_slot, manner, input } = arrival;
        let now = around.now;
        let mut open = Vec::new();
        let (tongue, then) = match manner {
            Manner::WebSocket => {
                let decoder = Decoder::new(JSON_BYTES_MAX);
                (Tongue::WebSocket(Box::new(WebSocket { decoder, is_over: false })), Then::Listen)
            }
            Manner::SocketIo { sid, upgrades, app } => {
                let service = self.http_service(listener);
                let engine = Engine::open(sid, upgrades, &service, now, &mut open);
                let beat = engine.beat.due();
                match app {
                    App::Rooms => {
                        let socketio = Box::new(SocketIo::new(engine, service.recovery));
                        (Tongue::SocketIo(socketio), Then::Beat(beat))
                    }
                    App::EchoMessages | App::EchoEvents => {
                        let speaks = Speaks::Echoes(Box::new(Echoes::new(engine, app)));
                        let slot = self.insert(socket, peer, listener, ip_slot, speaks, around);
                        self.begin(slot, &open, input);
                        self.timers.beat(beat, self.reference(slot));
                        return;
                    }
                }
            }
            Manner::Stream { room, resume, begun } => {
                (Tongue::Stream { begun: Some(begun) }, Then::Follow(room, resume))
            }
            Manner::Call { op, reply } => (Tongue::Call { reply: Some(reply) }, Then::Call(op)),
        };
        let is_somebody = matches!(then, Then::Listen | Then::Beat(_));
        let nick = Nick::guest(if is_somebody { self.guests.next() } else { 0 });
        let chat = self.newcomer(peer, tongue, nick, now);
        let person = chat.person.clone();
        let slot = self.insert(socket, peer, listener, ip_slot, Speaks::Chat(Box::new(chat)), around);
        if is_somebody && let Some(holder) = self.holder(slot) {
            let owner = self.placement.of_nick(&person.nick);
            self.ask_directory(owner, DirectoryMessage::Guest { person, conn: holder.conn }, around);
            let idle_timeout = self.config.listeners[usize::from(listener)].idle_timeout;
            if !idle_timeout.is_zero() {
                self.timers.idle(now.plus(idle_timeout), holder.conn);
            }
        }
        self.begin(slot, &open, input);
        match then {
            Then::Listen => {}
            Then::Beat(due) => self.timers.beat(due, self.reference(slot)),
            Then::Follow(room, resume) => {
                self.with_chat(slot, |chat| chat.pending = Some(Box::new(Pending::Follow)));
                self.send_to_room(slot, None, room, Ask::Follow { resume }, around);
            }
            Then::Call(op) => {
                let id = Some(RequestId::Number(CALL.into()));
                self.carry_out(slot, Request { id, op: *op }, around);
            }
        }
        if self.shutdown.is_some() {
            self.say_goodbye(slot, around);
        }
    }

    fn begin(&mut self, slot: u32, open: &[u8], input: Vec<u8>) {
        self.write_private(slot, open);
        let conn = &mut self.conns[slot as usize];
        conn.input = input.into();
        conn.readable = true;
        self.enqueue(slot);
    }

    fn http_service(&self, listener: u16) -> HttpService {
        match &self.config.listeners[usize::from(listener)].service {
            Service::Http(service) => service.clone(),
            _ => HttpService::default(),
        }
    }

    /// The Socket.IO session in that slot goes on over another socket.
    pub(crate) fn upgrade(
        &mut self,
        slot: u32,
        sid: &str,
        socket: N::Socket,
        input: Vec<u8>,
        around: &mut Surroundings<'_, N>,
    ) {
        let conn = self.conns.get_mut(slot as usize).filter(|conn| conn.phase == Phase::Open);
        let Some(conn) = conn else { return around.net.close(socket, true) };
        if conn.engine().is_none_or(|engine| engine.sid != sid) {
            // The session has ended meanwhile, and another connection has its slot.
            return around.net.close(socket, true);
        }
        let mut unread = vec![0; super::READ_BYTES];
        while let Ok(bytes @ 1..) = around.net.read(&mut conn.socket, &mut unread) {
            conn.input.extend_from_slice(&unread[..bytes]);
        }
        conn.input.extend_from_slice(&input);
        let unsent = around.net.unsent(&conn.socket);
        conn.outbox.prepend(unsent, around.now);
        let old = std::mem::replace(&mut conn.socket, socket);
        around.net.close(old, false);
        conn.readable = true;
        conn.hung_up = false;
        if conn.outbox.is_behind() {
            around.net.want_write(&mut conn.socket, slot, true);
            self.timers.behind(slot, around.now);
        }
        self.mark_dirty(slot);
        self.enqueue(slot);
    }

    /// An Engine.IO client has shown that it is there.
    pub(super) fn hear_pong(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        let ping_interval = self.http_service(self.conns[slot as usize].listener).ping_interval;
        let Some(engine) = self.conns[slot as usize].engine() else { return };
        if matches!(engine.beat, Beat::PingAt(_)) {
            // Nobody asked: a client that says so all the time must not get a timer each time.
            return;
        }
        let due = engine.hear_pong(around.now, ping_interval);
        self.timers.beat(due, self.reference(slot));
    }

    /// A heartbeat may be due, or one may have been missed.
    pub(super) fn beat(&mut self, slot: u32, generation: u32, around: &mut Surroundings<'_, N>) {
        let now = around.now;
        let Some(conn) = self.conns.get_mut(slot as usize) else { return };
        if conn.generation != generation || conn.phase != Phase::Open {
            return;
        }
        let has_connected = match &mut conn.speaks {
            Speaks::Echoes(echoes) => {
                conn.outbox.append(|out| echoes.write_due(now, out));
                echoes.was_connected
            }
            Speaks::Chat(chat) => {
                chat.tongue.socketio().is_some_and(|socketio| socketio.stage != Stage::Opened)
            }
            Speaks::Echo | Speaks::Relay { .. } => return,
        };
        self.mark_dirty(slot);
        let ping_timeout: Duration = self.http_service(self.conns[slot as usize].listener).ping_timeout;
        let Some(engine) = self.conns[slot as usize].engine() else { return };
        match engine.beat {
            Beat::PingAt(due) | Beat::PongBy(due) if due > now => {}
            Beat::PingAt(_) if has_connected => {
                let due = now.plus(ping_timeout);
                engine.beat = Beat::PongBy(due);
                self.write_private(slot, engineio::PING);
                self.timers.beat(due, self.reference(slot));
            }
            Beat::PingAt(_) | Beat::PongBy(_) => self.give_up(slot, around),
        }
    }

    /// Ends an Engine.IO session whose client has gone, or has never said what it wants.
    fn give_up(&mut self, slot: u32, around: &mut Surroundings<'_, N>) {
        if self.conns[slot as usize].chat().is_some() {
            self.leave_all(slot, Some(WhyLeft::Lost), around);
            return;
        }
        let conn = &mut self.conns[slot as usize];
        if let Speaks::Echoes(echoes) = &mut conn.speaks {
            conn.outbox.append(|out| echoes.engine.encode_end(out, 1000, "no answer to a ping"));
        }
        conn.phase = Phase::Draining;
        self.mark_dirty(slot);
    }

    /// The room that a stream follows has answered.
    pub(super) fn following(
        &mut self,
        slot: u32,
        result: Result<Box<CameIn>, madang_room::Refusal>,
        around: &mut Surroundings<'_, N>,
    ) {
        let Some(Chat { tongue: Tongue::Stream { begun }, .. }) = self.conns[slot as usize].chat() else {
            return;
        };
        let Some(begun) = begun.take() else { return };
        let CameIn { joined, gap, replay, from, .. } = match result {
            Ok(came_in) => *came_in,
            Err(refusal) => {
                let _ = begun.send(Err(refusal));
                return self.leave_all(slot, None, around);
            }
        };
        let room = joined.room.clone();
        self.add_membership(slot, room.clone(), true, from);
        if begun.send(Ok(())).is_err() {
            // Who asked has gone, and the pipe with it.
            return self.leave_all(slot, None, around);
        }
        self.conns[slot as usize].outbox.append(|out| sse::encode_begin(out, &joined.epoch));
        self.mark_dirty(slot);
        if let Some((from_seq, to_seq)) = gap {
            self.notify(slot, &Notice::Gap { room: room.clone(), from_seq, to_seq });
        }
        if let Some(replay) = replay {
            self.replay(slot, &replay, &room, around);
        }
        self.leave_again_if_ending(slot, room, around);
    }
}

/// What follows when somebody has come in.
enum Then {
    Listen,
    Beat(madang_room::Timestamp),
    Follow(madang_room::RoomName, Option<crate::message::ResumeFrom>),
    Call(Box<madang_wire::Op>),
}
