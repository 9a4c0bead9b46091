//! What shards tell each other. A shard's own parts speak to each other in the same messages, so there is one path
//! for a command, whether its room lives on the connection's shard or on another.

use std::sync::Arc;
use std::time::Duration;

use madang_room::{
    Key, Nick, Presence, Refusal, RoomName, SeatId, SeatMap, SeatStatus, Seq, SessionId, ShowCommand, Text,
    Timestamp, WhyLeft,
};
use madang_wire::{Answer, Joined, RequestId, RoomRow};
use smol_str::SmolStr;

use crate::batch::Batch;
use crate::home::Trail;
use crate::placement::{ConnRef, ShardId};

/// Anything that one shard sends to another, or to itself.
#[derive(Debug)]
pub(crate) enum Message {
    /// To the shard that owns a room.
    Room(RoomMessage),
    /// To a shard: list your rooms.
    ListRooms(Box<ListRooms>),
    /// To a shard: how many seats of your performances are free?
    ListShows { to: ConnRef },
    /// To the shard that owns a nickname or a session.
    Directory(DirectoryMessage),
    /// To a connection's home.
    Conn(ConnMessage),
    /// To every shard that has members in the batch's room.
    Batch(Arc<Batch>),
    /// To a shard: what the log keeps of this has been taken up.
    Forget { key: String },
}

/// Something asked of a room by a connection.
#[derive(Debug)]
pub(crate) struct RoomMessage {
    pub(crate) room: RoomName,
    pub(crate) from: ConnRef,
    pub(crate) re: Option<RequestId>,
    pub(crate) ask: Ask,
}

#[derive(Debug)]
pub(crate) enum Ask {
    Join {
        person: Arc<Person>,
        capacity: Option<u32>,
        resume: Option<ResumeFrom>,
    },
    /// Hears what happens without being a member. Answered like a join.
    Follow {
        resume: Option<ResumeFrom>,
    },
    /// `why` where it was not the member's own wish. The connection may be gone already.
    Leave {
        why: Option<WhyLeft>,
    },
    Say {
        text: Text,
        key: Option<Key>,
    },
    /// Says something without being a member; makes the room where there is none.
    Post(Box<Post>),
    Topic {
        text: Option<Text>,
    },
    Capacity {
        capacity: u32,
    },
    Who,
    History {
        after: Option<Seq>,
        before: Option<Seq>,
        limit: usize,
        said_only: bool,
    },
    /// The member has another name, or turned out to be another session. Not answered.
    Rename {
        person: Arc<Person>,
    },
    /// Something that only lobbies do.
    Lobby(Box<AskLobby>),
    /// Something that only performances do.
    Show(Box<AskShow>),
    /// A lobby's word to one of its groups: who has a place in it, or none any more. Not answered.
    Place(Box<Presence>),
}

impl Ask {
    /// Does whoever asks hear of what became of it?
    pub(crate) fn is_answered(&self) -> bool {
        match self {
            Ask::Rename { .. } | Ask::Place(_) => false,
            Ask::Lobby(ask) => !matches!(ask.what, LobbyAsk::Lapse),
            _ => true,
        }
    }
}

/// Something asked of a lobby; of whom it asks, the lobby need not be a room that they are in.
#[derive(Debug)]
pub(crate) struct AskLobby {
    pub(crate) person: Arc<Person>,
    pub(crate) is_host: bool,
    pub(crate) what: LobbyAsk,
}

#[derive(Debug)]
pub(crate) enum LobbyAsk {
    /// Answered with [`ConnAnswer::CheckedIn`].
    Checkin {
        participant: SmolStr,
    },
    /// Answered with [`ConnAnswer::CheckedOut`].
    Checkout,
    /// The session does not come back for its place. Not answered.
    Lapse,
    Groups,
    Clap,
    Announce {
        text: Text,
    },
    /// Say this to the participant with that id.
    Tell {
        to: Nick,
        text: Text,
    },
}

/// Something asked of a performance.
#[derive(Debug)]
pub(crate) struct AskShow {
    pub(crate) person: Arc<Person>,
    pub(crate) what: ShowAsk,
}

#[derive(Debug)]
pub(crate) enum ShowAsk {
    Seats,
    Command(ShowCommand),
}

/// Something said by somebody who is not there.
#[derive(Debug)]
pub(crate) struct Post {
    pub(crate) nick: Nick,
    pub(crate) text: Text,
    pub(crate) key: Option<Key>,
}

/// What a client has seen of a room.
#[derive(Clone, Debug)]
pub(crate) struct ResumeFrom {
    pub(crate) after: Seq,
    pub(crate) epoch: Option<SmolStr>,
}

#[derive(Clone, Debug)]
pub(crate) struct ListRooms {
    pub(crate) to: ConnRef,
    pub(crate) prefix: Option<SmolStr>,
    pub(crate) limit: usize,
}

/// Something asked of the owner of a nickname or a session.
#[derive(Debug)]
pub(crate) enum DirectoryMessage {
    /// A newcomer's name, which nobody else can have. Not answered.
    Guest {
        person: Arc<Person>,
        conn: ConnRef,
    },
    /// May I have this name? Answered with [`ConnAnswer::NickClaimed`]. Who only says something under it `holds` it
    /// not: another one may do the same at once, and the name is nobody's afterwards.
    ClaimNick {
        person: Arc<Person>,
        conn: ConnRef,
        holds: bool,
    },
    /// I don't need it any more. With `keep`, it stays my session's for the grace period. Not answered.
    ReleaseNick {
        person: Arc<Person>,
        conn: ConnRef,
        keep: bool,
    },
    /// Say this to whoever has that name. Answered.
    Tell {
        to: Nick,
        from: Nick,
        text: Text,
        reply_to: ConnRef,
        re: Option<RequestId>,
    },
    /// This session has a token now, or another name. Not answered.
    OpenSession {
        person: Arc<Person>,
        conn: ConnRef,
    },
    /// I present this session's token. Answered with [`ConnAnswer::SessionResumed`], by the owner or, where a live
    /// connection with the same session is replaced and its trail is wanted, by that one's home.
    ResumeSession {
        holder: Holder,
        wants_trail: bool,
    },
    /// The session's connection has ended. With `keep`, its name is remembered for the grace period, and what it was
    /// sent for two minutes. Not answered.
    CloseSession {
        holder: Holder,
        keep: bool,
        trail: Option<Box<Trail>>,
    },
    /// What the session had been sent when the server ended. Not answered.
    RestoreTrail {
        session: SessionId,
        trail: Box<Trail>,
        until: Timestamp,
    },
    /// The session had this name when the server ended: it may come back for it. Not answered.
    RestoreSession {
        person: Arc<Person>,
    },
    RestoreNick {
        person: Arc<Person>,
    },
}

/// A session and the name that it has. One for each, shared by its connection, its rooms and the directory; a session
/// that takes another name becomes another one.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) nick: Nick,
    pub(crate) session: SessionId,
}

/// A session and the connection that speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) session: SessionId,
    pub(crate) conn: ConnRef,
}

/// Something for one connection.
#[derive(Debug)]
pub(crate) struct ConnMessage {
    pub(crate) to: ConnRef,
    pub(crate) what: ConnAnswer,
}

#[derive(Debug)]
pub(crate) enum ConnAnswer {
    /// The end of a command that changes nothing at the connection's home.
    Done {
        re: Option<RequestId>,
        result: Result<Answer, Refusal>,
        log_is_busy: bool,
    },
    /// The answer to a join.
    Joined {
        re: Option<RequestId>,
        result: Result<Box<CameIn>, Refusal>,
    },
    /// The answer to a leave: the member still gets the items of the coming batch before `until`.
    Left {
        re: Option<RequestId>,
        room: RoomName,
        until: u32,
        result: Result<(), Refusal>,
    },
    NickClaimed {
        person: Arc<Person>,
        result: Result<(), Refusal>,
    },
    SessionResumed {
        session: SessionId,
        nick: Option<Nick>,
        trail: Option<Box<Trail>>,
    },
    Rooms {
        rooms: Vec<RoomRow>,
    },
    /// The performances of one shard, each with its free seats.
    Shows {
        free: Vec<(RoomName, usize)>,
    },
    /// The session has a place in a group of the lobby, whose room it may come into now.
    CheckedIn {
        re: Option<RequestId>,
        result: Result<Box<Placed>, Refusal>,
    },
    /// The place is free.
    CheckedOut {
        re: Option<RequestId>,
        result: Result<Box<Freed>, Refusal>,
    },
    /// Somebody else has the session's place in that group's room now.
    Displaced {
        room: RoomName,
        why: Box<Refusal>,
    },
    Told {
        from: Nick,
        text: Text,
    },
    /// The session came in by another connection, which may want to go on where this one has got to.
    Replaced {
        heir: Option<Heir>,
    },
}

/// Who takes over from a connection, and under which name.
#[derive(Debug)]
pub(crate) struct Heir {
    pub(crate) conn: ConnRef,
    pub(crate) session: SessionId,
    pub(crate) nick: Nick,
}

/// A place in a lobby.
#[derive(Debug)]
pub(crate) struct Placed {
    pub(crate) lobby: RoomName,
    pub(crate) group: u32,
    /// The group's.
    pub(crate) room: RoomName,
}

/// A place that was given back.
#[derive(Debug)]
pub(crate) struct Freed {
    pub(crate) group: u32,
    /// The group's.
    pub(crate) room: RoomName,
    pub(crate) stayed: Duration,
}

/// What one who comes into a performance's room sees.
#[derive(Debug)]
pub(crate) struct Sight {
    pub(crate) map: Arc<SeatMap>,
    /// Of each seat, in the order of the map.
    pub(crate) status: Vec<SeatStatus>,
    /// What the session holds, and until when.
    pub(crate) mine: Vec<(SeatId, Timestamp)>,
}

/// A member's first moment in a room: the answer, what it missed, and from which item of the coming batch on it
/// gets what is live.
#[derive(Debug)]
pub(crate) struct CameIn {
    pub(crate) joined: Joined,
    /// Positions that are not kept or too many to send, first and last.
    pub(crate) gap: Option<(Seq, Seq)>,
    pub(crate) replay: Option<Arc<Batch>>,
    pub(crate) from: u32,
    /// It was not a member before.
    pub(crate) is_new: bool,
    /// Of a performance.
    pub(crate) sight: Option<Box<Sight>>,
}

/// Messages that a shard's queue keeps room for, however short it was.
const SPARE_MESSAGES: usize = 256;

/// Where messages go: the shard's own wait in a queue, those for others are sent together at the end of the turn.
#[derive(Debug)]
pub(crate) struct Outgoing {
    me: ShardId,
    pub(crate) local: std::collections::VecDeque<Message>,
    /// How long `local` was in this turn at most.
    longest: usize,
    pub(crate) remote: Vec<Vec<Message>>,
}

impl Outgoing {
    pub(crate) fn new(me: ShardId, shards: usize) -> Outgoing {
        let remote = (0..shards).map(|_| Vec::new()).collect();
        Outgoing { me, local: Default::default(), longest: 0, remote }
    }

    /// The shard whose messages these are.
    pub(crate) fn me(&self) -> ShardId {
        self.me
    }

    pub(crate) fn send(&mut self, to: ShardId, message: Message) {
        if to == self.me {
            self.local.push_back(message);
            self.longest = self.longest.max(self.local.len());
        } else if let Some(queue) = self.remote.get_mut(usize::from(to.0)) {
            queue.push(message);
        }
    }

    /// The turn is at its end: what a much longer one needed is given back.
    pub(crate) fn shrink(&mut self) {
        let enough = (2 * std::mem::take(&mut self.longest)).max(SPARE_MESSAGES);
        if self.local.capacity() > 2 * enough {
            self.local.shrink_to(enough);
        }
    }

    pub(crate) fn tell_conn(&mut self, to: ConnRef, what: ConnAnswer) {
        self.send(to.shard, Message::Conn(ConnMessage { to, what }));
    }
}

/// Presence that is told one by one, or left out because the room is large.
pub(crate) fn is_summed_up(presence: &Presence, members: usize, presence_limit: usize) -> bool {
    !matches!(presence, Presence::Count { .. }) && members > presence_limit
}
