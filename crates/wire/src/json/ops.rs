//! The ops of the JSON encoding: the one table from which parsing, what a refusal suggests and the reference are made.
//! To add an op, add a row here and run the tests with `UPDATE_EXPECT=1`.

use std::borrow::Cow;

use madang_room::{Code, Key, NameError, Nick, ROOM_BYTES_MAX, Refusal, RoomName, SeatId, Seq, Text, Wanted};
use smol_str::SmolStr;

use super::fields::{Field, Fields, Value};
use crate::wording::{excerpt, nearest};
use crate::{HISTORY_EVENTS_MAX, Op, ROOMS_MAX, Secret};

/// Events in an answer to `history`, and rooms in one to `rooms`, where it isn't said how many.
const LIMIT_DEFAULT: usize = 100;
/// Bytes in an `epoch` or a `resume`, which are this server's own words.
const TOKEN_BYTES_MAX: usize = 256;

/// One row of the table.
pub(super) struct OpRow {
    name: &'static str,
    /// As the reference writes them: `?` is behind one that may be left out.
    fields: &'static str,
    /// The reply's fields, for the reference alone.
    #[cfg_attr(not(test), expect(dead_code, reason = "the reference is compared with it in a test"))]
    reply: &'static str,
    read: fn(&Ask<'_, '_>) -> Result<Op, Refusal>,
}

pub(super) const OPS: &[OpRow] = &[
    OpRow {
        name: "hello",
        fields: "nick?, resume?",
        reply: "`session`, `resume`, `resumed`, `nick`, `server`",
        read: |ask| {
            Ok(Op::Hello { nick: ask.name(Field::Nick, Nick::parse)?, resume: ask.token(Field::Resume)? })
        },
    },
    OpRow {
        name: "nick",
        fields: "nick",
        reply: "`nick`",
        read: |ask| Ok(Op::Nick { nick: ask.required(Field::Nick, ask.name(Field::Nick, Nick::parse)?)? }),
    },
    OpRow {
        name: "join",
        fields: "room, after?, epoch?, capacity?, echo?",
        reply: "`room`, `kind`, `epoch`, `seq`, `count`, `members` (none above the presence limit), `capacity`, \
                `topic`, and `reset`: true where what was seen is not this room's past",
        read: |ask| {
            Ok(Op::Join {
                room: ask.room()?,
                after: ask.seq(Field::After)?,
                epoch: ask.token(Field::Epoch)?,
                capacity: ask.capacity()?,
                echo: ask.bool(Field::Echo)?,
            })
        },
    },
    OpRow {
        name: "leave",
        fields: "room",
        reply: "`room`",
        read: |ask| Ok(Op::Leave { room: Some(ask.room()?) }),
    },
    OpRow {
        name: "say",
        fields: "room, text, key?",
        reply: "`seq`",
        read: |ask| Ok(Op::Say { room: Some(ask.room()?), text: ask.text()?, key: ask.key()? }),
    },
    OpRow {
        name: "topic",
        fields: "room, text",
        reply: "`seq`",
        read: |ask| Ok(Op::Topic { room: Some(ask.room()?), text: Some(ask.text()?) }),
    },
    OpRow {
        name: "capacity",
        fields: "room, capacity",
        reply: "`seq`",
        read: |ask| {
            let room = Some(ask.room()?);
            Ok(Op::Capacity { room, capacity: ask.required(Field::Capacity, ask.capacity()?)? })
        },
    },
    OpRow {
        name: "tell",
        fields: "to, text",
        reply: "",
        read: |ask| {
            let to = ask.required(Field::To, ask.name(Field::To, Nick::parse)?)?;
            Ok(Op::Tell { to, text: ask.text()? })
        },
    },
    OpRow {
        name: "rooms",
        fields: "prefix?, limit?",
        reply: "`rooms`: a list of `{\"room\",\"kind\",\"count\",\"capacity\"}`",
        read: |ask| {
            Ok(Op::Rooms { prefix: ask.short(Field::Prefix, ROOM_BYTES_MAX)?, limit: ask.limit(ROOMS_MAX)? })
        },
    },
    OpRow {
        name: "who",
        fields: "room",
        reply: "`count`, `members` (none above the presence limit)",
        read: |ask| Ok(Op::Who { room: Some(ask.room()?) }),
    },
    OpRow {
        name: "history",
        fields: "room, after?, before?, limit?",
        reply: "`events`, `first` (the oldest `seq` still kept), `seq`, `epoch`",
        read: |ask| {
            let (room, limit) = (Some(ask.room()?), ask.limit(HISTORY_EVENTS_MAX)?);
            let (after, before) = (ask.seq(Field::After)?, ask.seq(Field::Before)?);
            if after.is_some() && before.is_some() {
                return Err(ask.bad("takes \"after\" or \"before\", not both"));
            }
            Ok(Op::History { room, after, before, limit, said_only: false })
        },
    },
    OpRow {
        name: "host",
        fields: "secret",
        reply: "",
        read: |ask| {
            let secret = ask.required(Field::Secret, ask.str(Field::Secret)?)?;
            Ok(Op::Host { secret: Secret::new(secret) })
        },
    },
    OpRow {
        name: "checkin",
        fields: "lobby, participant",
        reply: "`group`, `room` (the group's, joined by this)",
        read: |ask| {
            let participant = ask.required(Field::Participant, ask.str(Field::Participant)?)?.into();
            Ok(Op::Checkin { lobby: Some(ask.lobby()?), participant })
        },
    },
    OpRow {
        name: "checkout",
        fields: "lobby",
        reply: "`group`, `seconds` (how long they were in it)",
        read: |ask| Ok(Op::Checkout { lobby: Some(ask.lobby()?) }),
    },
    OpRow {
        name: "groups",
        fields: "lobby",
        reply: "`groups`: a list of `{\"group\",\"participants\"}`",
        read: |ask| Ok(Op::Groups { lobby: Some(ask.lobby()?) }),
    },
    OpRow {
        name: "clap",
        fields: "lobby",
        reply: "`claps`",
        read: |ask| Ok(Op::Clap { lobby: Some(ask.lobby()?) }),
    },
    OpRow {
        name: "broadcast",
        fields: "lobby, text",
        reply: "`seq`",
        read: |ask| Ok(Op::Broadcast { lobby: Some(ask.lobby()?), text: ask.text()? }),
    },
    OpRow {
        name: "shows",
        fields: "",
        reply: "`shows`: a list of `{\"show\",\"title\",\"place\",\"performances\"}`, and in that \
                `{\"performance\",\"at\",\"free\"}`",
        read: |_| Ok(Op::Shows),
    },
    OpRow {
        name: "watch",
        fields: "performance, after?, epoch?",
        reply: "as `join`, and `seats`: `free`, `held` or `reserved` by seat, and `mine`: until when by seat",
        read: |ask| {
            let (after, epoch) = (ask.seq(Field::After)?, ask.token(Field::Epoch)?);
            Ok(Op::Watch { performance: ask.performance()?, after, epoch })
        },
    },
    OpRow {
        name: "hold",
        fields: "performance, seats?, best?",
        reply: "`seats`, `until`",
        read: |ask| {
            let performance = Some(ask.performance()?);
            let wanted = match (ask.seats()?, ask.number(Field::Best, u32::MAX.into())?) {
                (Some(seats), None) => Wanted::Seats(seats),
                (None, Some(best)) => Wanted::Best(u32::try_from(best).unwrap_or(u32::MAX)),
                _ => return Err(ask.bad("takes either \"seats\" or \"best\", a number")),
            };
            Ok(Op::Hold { performance, wanted })
        },
    },
    OpRow {
        name: "release",
        fields: "performance, seats?",
        reply: "`seats`",
        read: |ask| Ok(Op::Release { performance: Some(ask.performance()?), seats: ask.seats()? }),
    },
    OpRow {
        name: "reserve",
        fields: "performance, seats?, key?",
        reply: "`seats`, `reservation` (the code)",
        read: |ask| {
            let performance = Some(ask.performance()?);
            Ok(Op::Reserve { performance, seats: ask.seats()?, key: ask.key()? })
        },
    },
    OpRow {
        name: "cancel",
        fields: "performance, reservation",
        reply: "`seats`",
        read: |ask| {
            let performance = Some(ask.performance()?);
            let code = ask.required(Field::Reservation, ask.str(Field::Reservation)?)?;
            let reservation = Code::parse(code).ok_or(Refusal::NoSuchReservation)?;
            Ok(Op::Cancel { performance, reservation })
        },
    },
    OpRow { name: "ping", fields: "", reply: "", read: |_| Ok(Op::Ping) },
    OpRow { name: "bye", fields: "", reply: "then the connection is closed", read: |_| Ok(Op::Bye) },
];

#[cfg(test)]
impl OpRow {
    pub(super) fn name(&self) -> &'static str {
        self.name
    }
}

/// What the fields ask for.
pub(super) fn read(fields: &Fields<'_>) -> Result<Op, Refusal> {
    let name = match fields.get(Field::Op) {
        Value::Text(name) => &**name,
        Value::Absent => {
            return Err(bad_command(r#"what is asked stands in "op": {"op":"ping"}"#.to_owned()));
        }
        other => return Err(bad_command(format!("\"op\" is a string, not {}", other.describe()))),
    };
    let row = OPS.iter().find(|row| row.name == name).ok_or_else(|| unknown(name))?;
    (row.read)(&Ask { row, fields })
}

fn unknown(name: &str) -> Refusal {
    let names = || OPS.iter().map(|row| row.name);
    let instead = match nearest(name, names()) {
        Some(meant) => format!("did you mean {meant:?}?"),
        None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
    };
    bad_command(format!("there is no op {:?}; {instead}", excerpt(name)))
}

fn bad_command(why: String) -> Refusal {
    Refusal::BadCommand { why }
}

/// One request: which op, and with which fields.
struct Ask<'r, 'a> {
    row: &'r OpRow,
    fields: &'r Fields<'a>,
}

impl Ask<'_, '_> {
    fn bad(&self, what: &str) -> Refusal {
        bad_command(format!("{} {what}", self.row.name))
    }

    fn wrong(&self, field: Field, allowed: &str) -> Refusal {
        let found = self.fields.get(field).describe();
        self.bad(&format!("takes {allowed} as {:?}, not {found}", field.name()))
    }

    fn required<T>(&self, field: Field, value: Option<T>) -> Result<T, Refusal> {
        value
            .ok_or_else(|| self.bad(&format!("needs {:?}; its fields are {}", field.name(), self.row.fields)))
    }

    fn str(&self, field: Field) -> Result<Option<&str>, Refusal> {
        match self.fields.get(field) {
            Value::Absent => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            _ => Err(self.wrong(field, "a string")),
        }
    }

    fn short(&self, field: Field, max: usize) -> Result<Option<SmolStr>, Refusal> {
        match self.str(field)? {
            Some(text) if text.len() > max => {
                let (field, bytes) = (field.name(), text.len());
                Err(self
                    .bad(&format!("takes a string of at most {max} bytes as {field:?}, not one of {bytes}")))
            }
            text => Ok(text.map(SmolStr::new)),
        }
    }

    fn token(&self, field: Field) -> Result<Option<SmolStr>, Refusal> {
        self.short(field, TOKEN_BYTES_MAX)
    }

    fn name<T>(&self, field: Field, parse: fn(&str) -> Result<T, NameError>) -> Result<Option<T>, Refusal> {
        let name = |raw: &str| parse(raw).map_err(|why| Refusal::BadName { name: excerpt(raw), why });
        self.str(field)?.map(name).transpose()
    }

    fn room(&self) -> Result<RoomName, Refusal> {
        self.required(Field::Room, self.name(Field::Room, RoomName::parse)?)
    }

    fn lobby(&self) -> Result<RoomName, Refusal> {
        self.required(Field::Lobby, self.name(Field::Lobby, RoomName::parse)?)
    }

    fn performance(&self) -> Result<RoomName, Refusal> {
        self.required(Field::Performance, self.name(Field::Performance, RoomName::parse)?)
    }

    fn seats(&self) -> Result<Option<Vec<SeatId>>, Refusal> {
        let seat =
            |raw: &Cow<'_, str>| SeatId::parse(raw).ok_or_else(|| Refusal::BadSeat { seat: excerpt(raw) });
        match self.fields.get(Field::Seats) {
            Value::Absent => Ok(None),
            Value::Texts(seats) => seats.iter().map(seat).collect::<Result<_, _>>().map(Some),
            _ => Err(self.wrong(Field::Seats, "a list of seats, as [\"A-1-4\"],")),
        }
    }

    fn text(&self) -> Result<Text, Refusal> {
        let raw = self.required(Field::Text, self.str(Field::Text)?)?;
        Text::parse(raw).map_err(Refusal::BadText)
    }

    fn key(&self) -> Result<Option<Key>, Refusal> {
        let key = |raw: &str| Key::parse(raw).ok_or(Refusal::BadKey { bytes: raw.len() });
        self.str(Field::Key)?.map(key).transpose()
    }

    fn bool(&self, field: Field) -> Result<Option<bool>, Refusal> {
        match self.fields.get(field) {
            Value::Absent => Ok(None),
            Value::Bool(is) => Ok(Some(*is)),
            _ => Err(self.wrong(field, "true or false")),
        }
    }

    fn number(&self, field: Field, max: u64) -> Result<Option<u64>, Refusal> {
        let whole = match self.fields.get(field) {
            Value::Absent => return Ok(None),
            Value::Number(number) => number.as_u64().filter(|number| *number <= max),
            _ => None,
        };
        whole.map(Some).ok_or_else(|| self.wrong(field, &format!("a whole number from 0 to {max}")))
    }

    fn seq(&self, field: Field) -> Result<Option<Seq>, Refusal> {
        Ok(self.number(field, u64::MAX)?.map(Seq))
    }

    fn capacity(&self) -> Result<Option<u32>, Refusal> {
        let capacity = self.number(Field::Capacity, u32::MAX.into())?;
        Ok(capacity.and_then(|capacity| u32::try_from(capacity).ok()))
    }

    /// As it is asked for, at most `max`.
    fn limit(&self, max: usize) -> Result<usize, Refusal> {
        let limit = self.number(Field::Limit, u64::MAX)?;
        Ok(limit.map_or(LIMIT_DEFAULT, |limit| usize::try_from(limit).unwrap_or(max)).min(max))
    }
}

/// The table as the reference shows it; a test compares the two.
#[cfg(test)]
pub(crate) fn reference() -> String {
    let mut table = "| op | fields | reply, besides `re` |\n| --- | --- | --- |\n".to_owned();
    for OpRow { name, fields, reply, .. } in OPS {
        let fields = fields.split(", ").filter(|field| !field.is_empty());
        let fields: Vec<_> = fields.map(|field| format!("`{field}`")).collect();
        table += &format!("| `{name}` | {} | {reply} |\n", fields.join(", "));
    }
    table
}
