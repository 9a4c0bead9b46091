//! Engine.IO sessions that requests carry: who may speak for one, and what state it is in.
//!
//! The session itself is a connection of a shard. Here is the door's end of its pipe, and the table by which a request
//! finds it. An entry is there for as long as the shard's connection is, also after it has changed to WebSocket: a
//! second WebSocket with its id must be told apart from one with an id that never was.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use madang_room::Refusal;
use madang_wire::engineio;
use smol_str::SmolStr;
use tokio::sync::Notify;

use super::{Client, Place};
use crate::addresses::{Addresses, Listed};
use crate::arrival::{App, Manner};
use crate::pipe::{Fetched, PipeDoor};

/// Sessions at once, of all clients. An entry is small, but each has a connection on a shard.
const SESSIONS_MAX: usize = 100_000;
/// Random bytes of an id: whoever has it speaks for the session.
const SID_BYTES: usize = 16;
/// Bytes that the shard has not read yet, above which a further POST waits.
const UNREAD_BYTES_MAX: usize = 64 * 1024;

/// How long requests and WebSockets of one client may overtake each other on their way here: they come by different
/// connections, and what was sent first may be seen last.
const OVERTAKEN_WITHIN: Duration = Duration::from_millis(20);

/// Nothing, to end a GET that waits.
const NOOP: &[u8] = b"6";
/// The end of the session.
const CLOSE: &[u8] = b"1";

/// All of a server's sessions.
pub(super) struct Sessions {
    table: Mutex<HashMap<SmolStr, Entry>>,
    by_address: Addresses,
}

#[derive(Debug)]
enum Entry {
    Carried(Arc<Session>),
    /// It goes on over a WebSocket.
    Upgraded,
}

/// What an id stands for.
#[derive(Debug)]
pub(super) enum Found {
    Session(Arc<Session>),
    Upgraded,
    Nothing,
}

/// Why a session can't be opened.
#[derive(Debug)]
pub(super) enum OpenError {
    /// By this client.
    Refused(Refusal),
    /// By anybody.
    Full,
}

/// Ends the entry when the shard's connection ends.
#[derive(Debug)]
struct Listing {
    sid: SmolStr,
    sessions: Weak<Sessions>,
}

impl Listed for Listing {}

impl Drop for Listing {
    fn drop(&mut self) {
        if let Some(sessions) = self.sessions.upgrade() {
            sessions.forget(&self.sid);
        }
    }
}

/// An id that nobody can guess.
pub(super) fn new_sid() -> SmolStr {
    let mut id = [0; SID_BYTES];
    getrandom::fill(&mut id).expect("the operating system gives random numbers");
    BASE64URL_NOPAD.encode(&id).into()
}

impl Sessions {
    pub(super) fn new(by_address: Addresses) -> Sessions {
        Sessions { table: Mutex::default(), by_address }
    }

    /// Opens a session that requests will carry.
    pub(super) fn open(
        self: &Arc<Self>,
        place: &Place,
        client: &Client,
        app: App,
    ) -> Result<Arc<Session>, OpenError> {
        // Requests come and go by other connections: the session itself is counted, too.
        let ip_slot =
            self.by_address.count(client.peer.ip()).map_err(OpenError::Refused)?.unwrap_or_default();
        let mut table = self.lock();
        if table.len() >= SESSIONS_MAX {
            return Err(OpenError::Full);
        }
        let sid = new_sid();
        let listing = Listing { sid: sid.clone(), sessions: Arc::downgrade(self) };
        let visitor = place.visitor(client, Some(ip_slot.with(listing)));
        let manner = Manner::SocketIo { sid: sid.clone(), upgrades: true, app };
        let door = place.hall.open_pipe(visitor, manner);
        let silent_max = place.service.ping_interval + place.service.ping_timeout;
        let session = Arc::new(Session::new(sid.clone(), door, silent_max));
        table.insert(sid, Entry::Carried(session.clone()));
        Ok(session)
    }

    pub(super) fn find(&self, sid: &str) -> Found {
        match self.lock().get(sid) {
            Some(Entry::Carried(session)) => Found::Session(session.clone()),
            Some(Entry::Upgraded) => Found::Upgraded,
            None => Found::Nothing,
        }
    }

    /// No request speaks for it any more.
    pub(super) fn forget(&self, sid: &str) {
        // Dropped behind the lock: a session's end wakes its shard.
        let entry = self.lock().remove(sid);
        drop(entry);
    }

    /// From now on it is carried by a WebSocket.
    fn mark_upgraded(&self, sid: &str) {
        let entry = self.lock().get_mut(sid).map(|entry| std::mem::replace(entry, Entry::Upgraded));
        drop(entry);
    }

    /// No code that holds the lock can panic halfway through a change.
    fn lock(&self) -> MutexGuard<'_, HashMap<SmolStr, Entry>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) sid: SmolStr,
    pub(super) door: PipeDoor,
    state: Mutex<State>,
    /// Tells the GET that waits that the stage is another one.
    interrupt: Notify,
    /// Told when a GET comes.
    asked: Notify,
    /// After so long without an answer to a heartbeat the client has gone. The shard ends the session then; a request
    /// that comes in the same moment must not find it.
    silent_max: Duration,
}

#[derive(Debug)]
struct State {
    stage: Stage,
    /// When the session was opened, or a heartbeat answered.
    heard_at: Instant,
    /// A GET waits.
    is_polled: bool,
    /// A POST is being taken.
    is_posted: bool,
    /// Fetched from the shard and not carried to the client yet. May end within a frame: one can be longer than what
    /// a pipe holds.
    frames: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Carried,
    /// A WebSocket wants to take over and has proved nothing yet.
    Probing,
    /// It has answered the probe: nothing is carried until it takes over or gives up.
    Probed,
    Upgraded,
    Closed(WhyClosed),
}

/// Who has closed a session before its shard did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WhyClosed {
    ByClient,
    /// Two requests at once that must come one after the other, or a body that makes no sense.
    Broken,
}

/// There is no such session any more.
#[derive(Debug)]
pub(super) struct Gone;

/// Why a request is not taken.
#[derive(Debug)]
pub(super) enum NotTaken {
    Gone,
    /// Another one that should come before it is being taken: the session is closed.
    Overlap,
}

impl Session {
    fn new(sid: SmolStr, door: PipeDoor, silent_max: Duration) -> Session {
        let state = State {
            stage: Stage::Carried,
            heard_at: Instant::now(),
            is_polled: false,
            is_posted: false,
            frames: Vec::new(),
        };
        Session {
            sid,
            door,
            state: Mutex::new(state),
            interrupt: Notify::new(),
            asked: Notify::new(),
            silent_max,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for what the shard has for the client, and gives all of it that `bytes_max` allows as a body.
    ///
    /// Dropped while it waits, it leaves everything as it was.
    pub(super) async fn poll(&self, sessions: &Sessions, bytes_max: usize) -> Result<Vec<u8>, Gone> {
        let (_turn, is_upgrading) = match self.begin_poll() {
            Ok(begun) => begun,
            Err(NotTaken::Overlap) => {
                self.close(sessions, WhyClosed::Broken);
                return Err(Gone);
            }
            Err(NotTaken::Gone) => return Err(Gone),
        };
        loop {
            if self.lock().stage == Stage::Probed && is_upgrading {
                // A client that does not wait for answers has sent the end of its upgrade before this.
                tokio::time::sleep(OVERTAKEN_WITHIN).await;
            }
            if self.lock().stage == Stage::Upgraded && is_upgrading {
                return Err(Gone);
            }
            if let Some(body) = self.carry(bytes_max)? {
                return Ok(body);
            }
            tokio::select! {
                () = self.door.changed() => {}
                () = self.interrupt.notified() => {}
            }
        }
    }

    /// Begins to wait, where there is something to wait for, and tells whether a WebSocket is about to take over.
    fn begin_poll(&self) -> Result<(Option<Turn<'_>>, bool), NotTaken> {
        let mut state = self.lock();
        match state.stage {
            _ if self.is_over(&state) => Err(NotTaken::Gone),
            Stage::Upgraded | Stage::Closed(_) => Err(NotTaken::Gone),
            Stage::Probed => Ok((None, true)),
            Stage::Carried | Stage::Probing if state.is_polled => Err(NotTaken::Overlap),
            Stage::Carried | Stage::Probing => {
                state.is_polled = true;
                self.asked.notify_one();
                let turn = Turn { session: self, of: |state| &mut state.is_polled };
                Ok((Some(turn), state.stage == Stage::Probing))
            }
        }
    }

    /// Waits a moment for the GET that a client has sent beside its last POST, so that there is one to be answered.
    pub(super) async fn polled(&self) {
        let until = tokio::time::Instant::now() + OVERTAKEN_WITHIN;
        while !self.lock().is_polled {
            if tokio::time::timeout_at(until, self.asked.notified()).await.is_err() {
                return;
            }
        }
    }

    /// Has the shard ended it, or is it about to?
    fn is_over(&self, state: &State) -> bool {
        self.door.has_ended() || state.heard_at.elapsed() >= self.silent_max
    }

    /// The client has answered a heartbeat.
    pub(super) fn hear(&self) {
        self.lock().heard_at = Instant::now();
    }

    /// What can be answered now.
    fn carry(&self, bytes_max: usize) -> Result<Option<Vec<u8>>, Gone> {
        let mut state = self.lock();
        match state.stage {
            Stage::Carried | Stage::Probing => {}
            Stage::Probed | Stage::Upgraded | Stage::Closed(WhyClosed::ByClient) => {
                return Ok(Some(NOOP.to_vec()));
            }
            Stage::Closed(WhyClosed::Broken) => return Ok(Some(CLOSE.to_vec())),
        }
        let has_ended = match self.door.fetch(|waiting| waiting.len()) {
            Fetched::Bytes(bytes) => {
                state.frames.extend_from_slice(&bytes);
                false
            }
            Fetched::Nothing => false,
            Fetched::Ended => true,
        };
        let mut body = Vec::new();
        let taken = engineio::payload_of_frames(&state.frames, &mut body, bytes_max);
        state.frames.drain(..taken);
        match body.is_empty() {
            false => Ok(Some(body)),
            true if has_ended => Err(Gone),
            true => Ok(None),
        }
    }

    /// Begins to take a POST. The turn ends when what is returned is dropped.
    pub(super) fn begin_post(&self, sessions: &Sessions) -> Result<Turn<'_>, NotTaken> {
        let mut state = self.lock();
        if matches!(state.stage, Stage::Upgraded | Stage::Closed(_)) || self.is_over(&state) {
            return Err(NotTaken::Gone);
        }
        if state.is_posted {
            drop(state);
            self.close(sessions, WhyClosed::Broken);
            return Err(NotTaken::Overlap);
        }
        state.is_posted = true;
        Ok(Turn { session: self, of: |state| &mut state.is_posted })
    }

    /// Passes on what a POST has brought, in frames, when the shard has read most of what came before.
    pub(super) async fn take(&self, frames: &[u8]) -> Result<(), Gone> {
        if self.door.unread() > UNREAD_BYTES_MAX {
            self.door.was_read().await;
        }
        if matches!(self.lock().stage, Stage::Upgraded | Stage::Closed(_)) || !self.door.send(frames) {
            return Err(Gone);
        }
        Ok(())
    }

    /// Ends the session from this side: no request finds it any more, the one that waits is answered, and the shard
    /// sees that the client has gone.
    pub(super) fn close(&self, sessions: &Sessions, why: WhyClosed) {
        let mut state = self.lock();
        if !matches!(state.stage, Stage::Upgraded | Stage::Closed(_)) {
            state.stage = Stage::Closed(why);
            self.door.hang_up();
        }
        drop(state);
        self.interrupt.notify_one();
        sessions.forget(&self.sid);
    }

    /// A WebSocket wants to take over; false where there is another one already.
    pub(super) fn begin_upgrade(self: &Arc<Self>) -> Option<Upgrading> {
        let mut state = self.lock();
        if state.stage != Stage::Carried || self.door.has_ended() {
            return None;
        }
        state.stage = Stage::Probing;
        Some(Upgrading { session: self.clone() })
    }
}

/// A request that others must wait for; they can again when it is dropped.
pub(super) struct Turn<'s> {
    session: &'s Session,
    of: fn(&mut State) -> &mut bool,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *(self.of)(&mut self.session.lock()) = false;
    }
}

/// A session while a WebSocket tries to take it over. Dropped before that has happened, requests carry it on.
pub(super) struct Upgrading {
    pub(super) session: Arc<Session>,
}

impl Upgrading {
    /// The probe has come: from now on nothing is carried by requests, so that the client can stop asking.
    pub(super) fn probed(&self) {
        let mut state = self.session.lock();
        if state.stage == Stage::Probing {
            state.stage = Stage::Probed;
        }
        drop(state);
        self.session.interrupt.notify_one();
    }

    /// The WebSocket takes over: gives what was fetched and not carried. None where the session has ended meanwhile.
    pub(super) fn complete(&self, sessions: &Sessions) -> Option<Vec<u8>> {
        let mut state = self.session.lock();
        if !matches!(state.stage, Stage::Probing | Stage::Probed) || self.session.door.has_ended() {
            return None;
        }
        state.stage = Stage::Upgraded;
        let frames = std::mem::take(&mut state.frames);
        drop(state);
        sessions.mark_upgraded(&self.session.sid);
        self.session.interrupt.notify_one();
        Some(frames)
    }
}

impl Drop for Upgrading {
    fn drop(&mut self) {
        let mut state = self.session.lock();
        if matches!(state.stage, Stage::Probing | Stage::Probed) {
            state.stage = Stage::Carried;
        }
    }
}
