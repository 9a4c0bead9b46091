//! The stored form of a record: JSON text that anybody can read with `sqlite3`, versioned and checksummed.
//!
//! Its types are its own, so that neither a change of the model nor one of the wire breaks old logs: a change here
//! means a new [`VERSION`], and the old ones stay readable for ever. What is read back is parsed like any other
//! input. A body says nothing about positions; the row around it does, and the checksum holds both together, so
//! that a body in the wrong row is found as well as a flipped bit.

use std::borrow::Cow;

use madang_room::{
    Asked, Code, Entry, Event, Key, NameError, Nick, Once, Participant, SeatId, Seats, SeatsNow, Seq,
    SessionId, Text, TextError, Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smallvec::SmallVec;

use crate::Record;

/// The form that is written.
const VERSION: u32 = 1;

/// A record as a row holds it.
pub(crate) struct StoredRow<'a> {
    /// The room's key.
    pub(crate) room: &'a str,
    /// The first entry's position.
    pub(crate) first: Seq,
    /// The last entry's position.
    pub(crate) last: Seq,
    /// When the last entry happened.
    pub(crate) at: Timestamp,
    /// What [`encode`] made.
    pub(crate) body: &'a [u8],
}

/// Why a row is not what was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("its checksum is wrong")]
    Checksum,
    #[error("it has version {0}, this program reads up to {VERSION}")]
    Version(u32),
    #[error("it can't be read: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it holds another number of events than its positions say")]
    Positions,
    #[error("a name in it is none: {0}")]
    Name(#[from] NameError),
    #[error("a text in it is none: {0}")]
    Text(#[from] TextError),
    #[error("a key in it is none")]
    Key,
    #[error("a participant's id in it is none")]
    Participant,
    #[error("a seat in it is none")]
    Seat,
    #[error("a reservation code in it is none")]
    Code,
}

/// Writes the body of a row with these entries over what `body` held; the buffer is the caller's, to be used again.
pub(crate) fn encode<'a>(entries: impl IntoIterator<Item = &'a Entry>, body: &mut Vec<u8>) {
    body.clear();
    body.extend_from_slice(HEAD.as_bytes());
    for (at, entry) in entries.into_iter().enumerate() {
        if at > 0 {
            body.push(b',');
        }
        push_entry(body, entry);
    }
    body.extend_from_slice(b"]}");
}

/// How a body of today's version begins.
const HEAD: &str = r#"{"v":1,"e":["#;
const _: () = assert!(VERSION == 1, "the head says which version this is");

/// As `serde_json` writes a [`StoredEntry`], at a tenth of the cost: each event is written twice, once for the journal.
fn push_entry(body: &mut Vec<u8>, entry: &Entry) {
    body.extend_from_slice(br#"{"t":"#);
    push_json(body, &entry.at.0);
    match &entry.event {
        Event::Said { from, text, once: None } => {
            body.extend_from_slice(br#","e":{"said":{"f":"#);
            push_text(body, from.as_str());
            body.extend_from_slice(br#","x":"#);
            push_text(body, text.as_str());
            body.extend_from_slice(b"}}}");
        }
        // Seldom enough.
        event => {
            body.extend_from_slice(br#","e":"#);
            push_json(body, &StoredEvent::of(event));
            body.push(b'}');
        }
    }
}

fn push_text(body: &mut Vec<u8>, text: &str) {
    // Without an early end, so that the compiler looks at many bytes at once.
    let is_escaped = |byte: u8| (byte < b' ') | (byte == b'"') | (byte == b'\\');
    if text.bytes().fold(false, |found, byte| found | is_escaped(byte)) {
        push_json(body, text);
    } else {
        body.push(b'"');
        body.extend_from_slice(text.as_bytes());
        body.push(b'"');
    }
}

fn push_json(body: &mut Vec<u8>, what: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(body, what).expect("numbers and text are always JSON, and memory takes all of it");
}

impl StoredRow<'_> {
    /// Covers everything in the row.
    pub(crate) fn checksum(&self) -> u32 {
        let mut sum = crc32fast::Hasher::new();
        sum.update(self.room.as_bytes());
        for number in [self.first.0, self.last.0, self.at.0.cast_unsigned()] {
            sum.update(&number.to_le_bytes());
        }
        sum.update(self.body);
        sum.finalize()
    }

    /// Reads the record back, if it is the one that `checksum` was made for.
    pub(crate) fn decode(&self, checksum: u32) -> Result<Record, DecodeError> {
        if self.checksum() != checksum {
            return Err(DecodeError::Checksum);
        }
        let stored: StoredRecord<'_> = match serde_json::from_slice(self.body) {
            Ok(stored) => stored,
            Err(why) => return Err(newer_version(self.body).unwrap_or(DecodeError::Json(why))),
        };
        if stored.v != VERSION {
            return Err(DecodeError::Version(stored.v));
        }
        let count = stored.e.len() as u64;
        if count == 0 || self.first.0.checked_add(count - 1) != Some(self.last.0) {
            return Err(DecodeError::Positions);
        }
        let entries = stored.e.into_iter().zip(self.first.0..).map(|(entry, seq)| entry.parse(Seq(seq)));
        Ok(Record::new(entries.collect::<Result<SmallVec<_>, _>>()?))
    }
}

/// A body of a later version need not have today's shape, but says its version.
fn newer_version(body: &[u8]) -> Option<DecodeError> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let version: Version = serde_json::from_slice(body).ok()?;
    (version.v != VERSION).then_some(DecodeError::Version(version.v))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredRecord<'a> {
    v: u32,
    #[serde(borrow)]
    e: Vec<StoredEntry<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredEntry<'a> {
    /// When, in milliseconds since 1970.
    t: i64,
    #[serde(borrow)]
    e: StoredEvent<'a>,
}

/// `f`: from, `b`: by, `x`: text, `n`: number, `o`: once (session, key), `p`: participant, `g`: group, `s`: seats,
/// `u`: until, `c`: code, `q`: what a command with a key asked for (its fingerprint).
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum StoredEvent<'a> {
    Created {
        #[serde(borrow)]
        f: Cow<'a, str>,
        b: StoredSession,
    },
    Said {
        #[serde(borrow)]
        f: Cow<'a, str>,
        #[serde(borrow)]
        x: Cow<'a, str>,
        #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
        o: Option<(StoredSession, Cow<'a, str>)>,
    },
    Topic {
        #[serde(borrow)]
        f: Cow<'a, str>,
        #[serde(borrow)]
        x: Cow<'a, str>,
    },
    Capacity {
        #[serde(borrow)]
        f: Cow<'a, str>,
        n: u32,
    },
    Grouped {
        #[serde(borrow)]
        p: Cow<'a, str>,
        g: u32,
        b: StoredSession,
    },
    Ungrouped {
        #[serde(borrow)]
        p: Cow<'a, str>,
        g: u32,
    },
    Clapped {
        n: u64,
    },
    Announced {
        #[serde(borrow)]
        f: Cow<'a, str>,
        #[serde(borrow)]
        x: Cow<'a, str>,
    },
    Free {
        #[serde(borrow)]
        s: StoredSeats<'a>,
    },
    Held {
        #[serde(borrow)]
        s: StoredSeats<'a>,
        b: StoredSession,
        /// In milliseconds since 1970.
        u: i64,
    },
    Reserved {
        #[serde(borrow)]
        s: StoredSeats<'a>,
        #[serde(borrow)]
        c: Cow<'a, str>,
        #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
        o: Option<(StoredSession, Cow<'a, str>)>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        q: Option<u64>,
    },
}

impl StoredEvent<'_> {
    fn of(event: &Event) -> StoredEvent<'_> {
        match event {
            Event::Created { from, by } => {
                StoredEvent::Created { f: from.as_str().into(), b: StoredSession(*by) }
            }
            Event::Said { from, text, once } => StoredEvent::Said {
                f: from.as_str().into(),
                x: text.as_str().into(),
                o: once.as_deref().map(stored_once),
            },
            Event::Topic { from, text } => {
                StoredEvent::Topic { f: from.as_str().into(), x: text.as_str().into() }
            }
            Event::Capacity { from, capacity } => {
                StoredEvent::Capacity { f: from.as_str().into(), n: *capacity }
            }
            Event::Grouped { participant, group, by } => {
                StoredEvent::Grouped { p: participant.as_str().into(), g: *group, b: StoredSession(*by) }
            }
            Event::Ungrouped { participant, group } => {
                StoredEvent::Ungrouped { p: participant.as_str().into(), g: *group }
            }
            Event::Clapped { claps } => StoredEvent::Clapped { n: *claps },
            Event::Announced { from, text } => {
                StoredEvent::Announced { f: from.as_str().into(), x: text.as_str().into() }
            }
            Event::Seats(seats) => stored_seats(seats),
        }
    }
}

impl StoredEntry<'_> {
    fn parse(self, seq: Seq) -> Result<Entry, DecodeError> {
        let event = match self.e {
            StoredEvent::Created { f, b } => Event::Created { from: Nick::parse(&f)?, by: b.0 },
            StoredEvent::Said { f, x, o } => {
                let once = o.map(parse_once).transpose()?.map(Box::new);
                Event::Said { from: Nick::parse(&f)?, text: Text::parse(&x)?, once }
            }
            StoredEvent::Topic { f, x } => Event::Topic { from: Nick::parse(&f)?, text: Text::parse(&x)? },
            StoredEvent::Capacity { f, n } => Event::Capacity { from: Nick::parse(&f)?, capacity: n },
            StoredEvent::Grouped { p, g, b } => {
                Event::Grouped { participant: parse_participant(&p)?, group: g, by: b.0 }
            }
            StoredEvent::Ungrouped { p, g } => {
                Event::Ungrouped { participant: parse_participant(&p)?, group: g }
            }
            StoredEvent::Clapped { n } => Event::Clapped { claps: n },
            StoredEvent::Announced { f, x } => {
                Event::Announced { from: Nick::parse(&f)?, text: Text::parse(&x)? }
            }
            StoredEvent::Free { s } => parse_seats(&s, SeatsNow::Free)?,
            StoredEvent::Held { s, b, u } => {
                parse_seats(&s, SeatsNow::Held { by: b.0, until: Timestamp(u) })?
            }
            StoredEvent::Reserved { s, c, o, q } => {
                let asked = |once| Box::new(Asked { once, fingerprint: q.unwrap_or_default() });
                let asked = o.map(parse_once).transpose()?.map(asked);
                let code = Code::parse(&c).ok_or(DecodeError::Code)?;
                parse_seats(&s, SeatsNow::Reserved { code, asked })?
            }
        };
        Ok(Entry { seq, at: Timestamp(self.t), event })
    }
}

fn stored_once(once: &Once) -> (StoredSession, Cow<'_, str>) {
    (StoredSession(once.session), once.key.as_str().into())
}

fn parse_once((session, key): (StoredSession, Cow<'_, str>)) -> Result<Once, DecodeError> {
    Ok(Once { session: session.0, key: Key::parse(&key).ok_or(DecodeError::Key)? })
}

fn parse_participant(id: &str) -> Result<Participant, DecodeError> {
    Participant::parse(id).ok_or(DecodeError::Participant)
}

fn stored_seats(Seats { seats, now }: &Seats) -> StoredEvent<'_> {
    let s = StoredSeats(seats.iter().map(|seat| seat.as_str().into()).collect());
    match now {
        SeatsNow::Free => StoredEvent::Free { s },
        SeatsNow::Held { by, until } => StoredEvent::Held { s, b: StoredSession(*by), u: until.0 },
        SeatsNow::Reserved { code, asked } => StoredEvent::Reserved {
            s,
            c: code.to_string().into(),
            o: asked.as_ref().map(|asked| stored_once(&asked.once)),
            q: asked.as_ref().map(|asked| asked.fingerprint),
        },
    }
}

fn parse_seats(StoredSeats(ids): &StoredSeats<'_>, now: SeatsNow) -> Result<Event, DecodeError> {
    let seats = ids.iter().map(|id| SeatId::parse(id).ok_or(DecodeError::Seat));
    Ok(Event::Seats(Box::new(Seats { seats: seats.collect::<Result<_, _>>()?, now })))
}

/// Seats as their ids.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct StoredSeats<'a>(#[serde(borrow)] Vec<Cow<'a, str>>);

/// A session as the text that people see elsewhere, too.
struct StoredSession(SessionId);

impl Serialize for StoredSession {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for StoredSession {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StoredSession, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        SessionId::parse(&text)
            .map(StoredSession)
            .ok_or_else(|| serde::de::Error::custom("that is no session"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(body: &[u8], first: u64, last: u64) -> StoredRow<'_> {
        StoredRow { room: "plaza", first: Seq(first), last: Seq(last), at: Timestamp(7), body }
    }

    fn decoded(body: &[u8], first: u64, last: u64) -> Result<Record, DecodeError> {
        let row = row(body, first, last);
        row.decode(row.checksum())
    }

    #[test]
    fn the_first_version_stays_readable() {
        let body = r#"{"v":1,"e":[
            {"t":5,"e":{"created":{"f":"mina","b":"s_00000000000000000000000000000001"}}},
            {"t":6,"e":{"said":{"f":"mina","x":"hi \"you\"","o":["s_00000000000000000000000000000001","k1"]}}},
            {"t":7,"e":{"said":{"f":"jun","x":"안녕"}}},
            {"t":7,"e":{"topic":{"f":"mina","x":"tea"}}},
            {"t":7,"e":{"capacity":{"f":"mina","n":4}}},
            {"t":7,"e":{"grouped":{"p":"J001","g":3,"b":"s_00000000000000000000000000000001"}}},
            {"t":7,"e":{"ungrouped":{"p":"J001","g":3}}},
            {"t":7,"e":{"clapped":{"n":17}}},
            {"t":7,"e":{"announced":{"f":"mina","x":"five minutes"}}},
            {"t":7,"e":{"held":{"s":["A-1-1","A-1-2"],"b":"s_00000000000000000000000000000001","u":300007}}},
            {"t":7,"e":{"reserved":{"s":["A-1-1"],"c":"7KQ2MXP4"}}},
            {"t":7,"e":{"reserved":{"s":["A-1-2"],"c":"7KQ2MXP5",
                "o":["s_00000000000000000000000000000001","k1"],"q":18446744073709551615}}},
            {"t":7,"e":{"free":{"s":["A-1-1","A-1-2"]}}}]}"#;
        let record = decoded(body.as_bytes(), 1, 13).unwrap();
        let mina = Nick::parse("mina").unwrap();
        let by = SessionId(1u128.to_be_bytes());
        assert_eq!(record.entries()[0].event, Event::Created { from: mina.clone(), by });
        let once = Once { session: by, key: Key::parse("k1").unwrap() };
        let text = Text::parse("hi \"you\"").unwrap();
        assert_eq!(
            record.entries()[1].event,
            Event::Said { from: mina, text, once: Some(Box::new(once.clone())) }
        );
        assert_eq!((record.last(), record.at()), (Seq(13), Timestamp(7)));
        let participant = Participant::parse("J001").unwrap();
        assert_eq!(record.entries()[5].event, Event::Grouped { participant, group: 3, by });
        let seats = |ids: &[&str], now| {
            let seats = ids.iter().map(|id| SeatId::parse(id).unwrap()).collect();
            Event::Seats(Box::new(Seats { seats, now }))
        };
        let held = SeatsNow::Held { by, until: Timestamp(300_007) };
        assert_eq!(record.entries()[9].event, seats(&["A-1-1", "A-1-2"], held));
        let asked = Some(Box::new(Asked { once, fingerprint: u64::MAX }));
        let reserved = SeatsNow::Reserved { code: Code::parse("7KQ2MXP5").unwrap(), asked };
        assert_eq!(record.entries()[11].event, seats(&["A-1-2"], reserved));
    }

    #[test]
    fn what_is_not_a_record_says_why() {
        let why = |body: &str, last| decoded(body.as_bytes(), 1, last).unwrap_err().to_string();
        assert!(why(r#"{"v":9,"shape":"new"}"#, 1).contains("version 9"));
        assert!(why(r#"{"v":1,"e":[]}"#, 1).contains("number of events"));
        assert!(
            why(r#"{"v":1,"e":[{"t":1,"e":{"topic":{"f":"mina","x":"tea"}}}]}"#, 2)
                .contains("number of events")
        );
        assert!(
            why(r#"{"v":1,"e":[{"t":1,"e":{"topic":{"f":"two words","x":"tea"}}}]}"#, 1).contains("name")
        );
        assert!(why(r#"{"v":1,"e":[{"t":1,"e":{"topic":{"f":"mina","x":""}}}]}"#, 1).contains("text"));
        assert!(
            why(r#"{"v":1,"e":[{"t":1,"e":{"created":{"f":"mina","b":"s_1"}}}]}"#, 1).contains("session")
        );
        assert!(
            why(r#"{"v":1,"e":[{"t":1,"e":{"ungrouped":{"p":"a b","g":1}}}]}"#, 1).contains("participant")
        );
        assert!(why(r#"{"v":1,"e":[{"t":1,"e":{"free":{"s":["A-1"]}}}]}"#, 1).contains("seat"));
        assert!(why(r#"{"v":1,"e":[{"t":1,"e":{"reserved":{"s":[],"c":"7KQ"}}}]}"#, 1).contains("code"));
    }

    #[test]
    fn every_part_of_the_row_is_under_the_checksum() {
        let sum = row(b"body", 1, 2).checksum();
        assert_ne!(sum, row(b"bodY", 1, 2).checksum());
        assert_ne!(sum, row(b"body", 2, 2).checksum());
        assert_ne!(sum, row(b"body", 1, 3).checksum());
        assert_ne!(sum, StoredRow { room: "plazb", ..row(b"body", 1, 2) }.checksum());
        assert_ne!(sum, StoredRow { at: Timestamp(8), ..row(b"body", 1, 2) }.checksum());
        assert!(matches!(row(b"body", 1, 2).decode(sum ^ 1), Err(DecodeError::Checksum)));
    }

    fn session() -> impl Strategy<Value = SessionId> + Clone {
        any::<[u8; 16]>().prop_map(SessionId)
    }

    fn event() -> impl Strategy<Value = Event> {
        let nick = "[a-zA-Z0-9가-힣._-]{1,8}".prop_map(|raw| Nick::parse(&raw).unwrap());
        let text = "[\\PC\t]{1,80}".prop_filter_map("has nothing visible", |raw| Text::parse(&raw).ok());
        let once = ("[\\PC\"\\\\\n]{1,16}", session())
            .prop_map(|(key, session)| Key::parse(&key).map(|key| Box::new(Once { session, key })));
        let participant =
            "[A-Za-z가-힣-]{0,5}[0-9]{1,5}".prop_filter_map("no id", |raw| Participant::parse(&raw));
        let code = any::<[u8; 5]>().prop_map(Code::from_random);
        let asked = (once.clone(), any::<u64>())
            .prop_map(|(once, fingerprint)| once.map(|once| Box::new(Asked { once: *once, fingerprint })));
        let now = prop_oneof![
            Just(SeatsNow::Free),
            (session(), any::<i64>()).prop_map(|(by, at)| SeatsNow::Held { by, until: Timestamp(at) }),
            (code, prop_oneof![Just(None), asked])
                .prop_map(|(code, asked)| SeatsNow::Reserved { code, asked }),
        ];
        let seat = ("[A-Z가-힣.-]{1,4}", 1..=9999u16, 1..=9999u16);
        let seat = seat.prop_filter_map("no seat", |(s, row, n)| SeatId::parse(&format!("{s}-{row}-{n}")));
        let seats = (prop::collection::vec(seat, 1..5), now)
            .prop_map(|(seats, now)| Event::Seats(Box::new(Seats { seats, now })));
        prop_oneof![
            (participant.clone(), any::<u32>(), session())
                .prop_map(|(participant, group, by)| Event::Grouped { participant, group, by }),
            (participant, any::<u32>())
                .prop_map(|(participant, group)| Event::Ungrouped { participant, group }),
            any::<u64>().prop_map(|claps| Event::Clapped { claps }),
            (nick.clone(), text.clone()).prop_map(|(from, text)| Event::Announced { from, text }),
            seats,
            (nick.clone(), session()).prop_map(|(from, by)| Event::Created { from, by }),
            (nick.clone(), text.clone(), prop_oneof![Just(None), once])
                .prop_map(|(from, text, once)| Event::Said { from, text, once }),
            (nick.clone(), text).prop_map(|(from, text)| Event::Topic { from, text }),
            (nick, any::<u32>()).prop_map(|(from, capacity)| Event::Capacity { from, capacity }),
        ]
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(
            events in prop::collection::vec((any::<i64>(), event()), 1..20), first in 1u64..1 << 62,
        ) {
            let entries = events.into_iter().zip(first..);
            let record = Record::new(
                entries.map(|((at, event), seq)| Entry { seq: Seq(seq), at: Timestamp(at), event }).collect::<Vec<_>>(),
            );
            let mut body = b"left over".to_vec();
            encode(record.entries(), &mut body);
            let again = decoded(&body, first, record.last().0).unwrap();
            prop_assert_eq!(&again, &record);
            // `==` of names compares their keys: what is shown must survive, too.
            prop_assert_eq!(format!("{again:?}"), format!("{record:?}"));
        }

        #[test]
        fn any_bytes_are_a_record_or_an_error(
            body in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                "\\{\"v\":1,\"e\":\\[\\{\"t\":[0-9-]{1,20},\"e\":\\{\"(said|topic|x)\":\\{\"f\":\".{0,9}\",\"x\":\".{0,9}\"\\}\\}\\}\\]\\}"
                    .prop_map(String::into_bytes),
            ],
            first in any::<u64>(), last in any::<u64>(),
        ) {
            let _ = decoded(&body, first, last);
            let _ = decoded(&body, first, first);
        }
    }
}
