//! What one wake brought to a room, ready to be written to everybody who is there.
//!
//! A batch is made once by the room's shard and shared by all shards that have members in the room. Each wire form is
//! encoded once, by whoever needs it first; members are written straight from those bytes.

use std::sync::{Arc, OnceLock};

use madang_log::Record;
use madang_room::{Entry, Event, Presence, RoomName, Seq};
use madang_wire::websocket::text_frame;
use madang_wire::{Happening, json, socketio, sse, text};
use smallvec::SmallVec;

use crate::metrics::Metrics;
use crate::placement::ConnRef;

/// How a member is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text(text::Form),
    Json,
    Raw,
    /// JSON in a WebSocket frame.
    Frame,
    /// Socket.IO events in frames: as simple clients know them, or the protocol's; with an offset or without.
    SocketIo {
        is_simple: bool,
        has_offset: bool,
    },
    /// Server-sent events.
    Stream,
}

impl Form {
    /// Four forms of text, four of Socket.IO, one of each other.
    const COUNT: usize = 12;

    fn index(self) -> usize {
        match self {
            Form::Text(form) => form.index(),
            Form::Json => 4,
            Form::Raw => 5,
            Form::Frame => 6,
            Form::SocketIo { is_simple, has_offset } => {
                7 + 2 * usize::from(is_simple) + usize::from(has_offset)
            }
            Form::Stream => 11,
        }
    }
}

/// Whose members a batch is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Room(RoomName),
    /// The connections of one `relay` listener.
    Relay(u16),
}

/// One thing that members are told, and who did it.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) author: Option<ConnRef>,
    pub(crate) what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// An event: the entry at that place of the batch's record.
    Logged(u32),
    Presence(Box<Presence>),
    Raw(Box<[u8]>),
}

/// Items of one place, in order. Never empty.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) place: Place,
    pub(crate) items: SmallVec<[Item; 1]>,
    /// The events among the items, as the log has them, too.
    record: Option<Arc<Record>>,
    encoded: [OnceLock<Encoded>; Form::COUNT],
    metrics: Arc<Metrics>,
}

/// A batch in one form: the bytes of all items, and where each ends.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) bytes: Vec<u8>,
    ends: SmallVec<[u32; 4]>,
}

impl Batch {
    pub(crate) fn new(
        place: Place,
        items: impl Into<SmallVec<[Item; 1]>>,
        record: Option<Arc<Record>>,
        metrics: Arc<Metrics>,
    ) -> Batch {
        let items = items.into();
        debug_assert!(!items.is_empty());
        Batch { place, items, record, encoded: Default::default(), metrics }
    }

    /// The batch in `form`, encoded by the first who asks.
    pub(crate) fn encoded(&self, form: Form) -> &Encoded {
        self.encoded[form.index()].get_or_init(|| {
            self.metrics.encodings.inc();
            self.encode(form)
        })
    }

    fn encode(&self, form: Form) -> Encoded {
        // A line is its text and a few names: 96 bytes hold most.
        let mut bytes = Vec::with_capacity(96 * self.items.len());
        let mut ends = SmallVec::with_capacity(self.items.len());
        for item in &self.items {
            match (&item.what, &self.place) {
                (What::Raw(raw), _) => bytes.extend_from_slice(raw),
                (What::Logged(at), Place::Room(room)) => {
                    let entry = self.entry(*at);
                    entry
                        .into_iter()
                        .for_each(|entry| encode(&mut bytes, room, Happening::Logged(entry), form));
                }
                (What::Presence(presence), Place::Room(room)) => {
                    encode(&mut bytes, room, Happening::Presence(presence), form);
                }
                (_, Place::Relay(_)) => {}
            }
            ends.push(bytes.len() as u32);
        }
        Encoded { bytes, ends }
    }

    fn entry(&self, at: u32) -> Option<&Entry> {
        self.record.as_ref()?.entries().get(at as usize)
    }

    fn is_told_to_its_author(&self, what: &What, echo: bool) -> bool {
        // The answer says as much, or it is their own words.
        let is_said = |at| {
            let event = self.entry(at).map(|entry| &entry.event);
            matches!(event, Some(Event::Said { .. } | Event::Clapped { .. } | Event::Seats(_)))
        };
        match what {
            What::Presence(_) => false,
            What::Logged(at) => echo || !is_said(*at),
            What::Raw(_) => echo,
        }
    }

    /// The positions of the events among the items from `first` up to, not including, `end`.
    pub(crate) fn seqs(&self, first: u32, end: u32) -> impl Iterator<Item = Seq> + '_ {
        self.items[first as usize..end as usize].iter().filter_map(|item| match &item.what {
            What::Logged(at) => self.entry(*at).map(|entry| entry.seq),
            What::Presence(_) | What::Raw(_) => None,
        })
    }

    /// The position before its first event.
    pub(crate) fn before(&self) -> Seq {
        self.record.as_ref().map_or(Seq::ZERO, |record| record.first().minus(1))
    }

    /// The position of its last event.
    pub(crate) fn newest(&self) -> Option<Seq> {
        self.record.as_ref().map(|record| record.last())
    }

    /// The runs of items that a member gets who came in before item `from`, left before item `until` and is `me`.
    /// Nobody is told of their own coming, going and renaming, and of their own messages only who asked for it.
    pub(crate) fn visible_to(&self, me: ConnRef, echo: bool, from: u32, until: u32) -> Vec<(u32, u32)> {
        let end = until.min(self.items.len() as u32);
        let mut runs: Vec<(u32, u32)> = Vec::new();
        for at in from.min(end)..end {
            let item = &self.items[at as usize];
            if item.author == Some(me) && !self.is_told_to_its_author(&item.what, echo) {
                continue;
            }
            match runs.last_mut() {
                Some((_, run_end)) if *run_end == at => *run_end = at + 1,
                _ => runs.push((at, at + 1)),
            }
        }
        runs
    }
}

fn encode(out: &mut Vec<u8>, room: &RoomName, happening: Happening<'_>, form: Form) {
    match form {
        Form::Text(form) => text::encode_happening(out, room, happening, form),
        Form::Json => json::as_line(out, |out| json::encode_happening(out, room, happening)),
        Form::Raw => {}
        Form::Frame => text_frame(out, |out| json::encode_happening(out, room, happening)),
        Form::SocketIo { is_simple: false, has_offset } => {
            socketio::encode_happening(out, room, happening, has_offset);
        }
        Form::SocketIo { is_simple: true, has_offset } => {
            socketio::encode_simple_happening(out, room, happening, has_offset);
        }
        Form::Stream => sse::encode_happening(out, room, happening),
    }
}

impl Encoded {
    /// The bytes of the items from `first` up to, not including, `end`.
    pub(crate) fn items(&self, first: u32, end: u32) -> &[u8] {
        &self.bytes[self.start(first)..self.start(end)]
    }

    /// Where item `at` starts; the length of all for the one after the last.
    pub(crate) fn start(&self, at: u32) -> usize {
        if at == 0 { 0 } else { self.ends[at as usize - 1] as usize }
    }

    /// The item that byte `offset` belongs to.
    pub(crate) fn item_at(&self, offset: usize) -> u32 {
        self.ends.partition_point(|&end| end as usize <= offset) as u32
    }
}
