//! The commands of the text encoding: the one table from which parsing, `/help`, completion and the reference are
//! made. To add a command, add a row here and run the tests with `UPDATE_EXPECT=1`.

use madang_room::{Code, Nick, Refusal, RoomName, SeatId, Text, Wanted};

use crate::wording::{excerpt, nearest};
use crate::{HISTORY_EVENTS_MAX, Op, Secret};

/// Messages that `/history` shows where it isn't said how many.
const HISTORY_DEFAULT: usize = 20;
/// Rooms that `/rooms` names: they stand in one line.
const ROOMS_SHOWN: usize = 100;

/// One row of the table.
pub(super) struct Command {
    pub(super) name: &'static str,
    pub(super) aliases: &'static [&'static str],
    /// As the reference writes them: `[N]` may be left out.
    pub(super) arguments: &'static str,
    /// What it does, in half a line.
    pub(super) summary: &'static str,
    /// What else one might want to know, in sentences.
    pub(super) details: &'static [&'static str],
    /// Reads what stands behind the name, without blanks around it.
    pub(super) read: fn(&Command, &str) -> Result<Op, Refusal>,
}

pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "nick",
        aliases: &["rename"],
        arguments: "NAME",
        summary: "change your nickname",
        details: &[
            "A name has up to 32 bytes of letters, digits, '-', '_' and '.', and nobody else here has it.",
        ],
        read: |command, rest| Ok(Op::Nick { nick: nick(command.required(rest)?)? }),
    },
    Command {
        name: "join",
        aliases: &[],
        arguments: "ROOM",
        summary: "enter a room",
        details: &[
            "A room is made when somebody first enters it, and who made it may set its topic and capacity.",
            "What you type is said in the room you joined last; you stay in the others and hear them.",
        ],
        read: |command, rest| {
            let room = room(command.required(rest)?)?;
            Ok(Op::Join { room, after: None, epoch: None, capacity: None, echo: None })
        },
    },
    Command {
        name: "leave",
        aliases: &[],
        arguments: "[ROOM]",
        summary: "leave a room",
        details: &["Without a name, the current one; the one before it is the current room then."],
        read: |_, rest| Ok(Op::Leave { room: optional(rest).map(room).transpose()? }),
    },
    Command {
        name: "rooms",
        aliases: &[],
        arguments: "",
        summary: "list the rooms and how many are in each",
        details: &[],
        read: |command, rest| {
            command.nothing(rest)?;
            Ok(Op::Rooms { prefix: None, limit: ROOMS_SHOWN })
        },
    },
    Command {
        name: "who",
        aliases: &[],
        arguments: "[ROOM]",
        summary: "list who is in a room",
        details: &["Without a name, in the current one. Of a large room only the number is told."],
        read: |_, rest| Ok(Op::Who { room: optional(rest).map(room).transpose()? }),
    },
    Command {
        name: "msg",
        aliases: &["w", "to"],
        arguments: "NAME TEXT",
        summary: "say something to one person alone",
        details: &["They need not be in a room with you. Nothing of it is kept."],
        read: |command, rest| {
            let (to, text) = rest.split_once(is_blank).ok_or_else(|| command.usage())?;
            Ok(Op::Tell {
                to: nick(to)?,
                text: Text::parse(text.trim_start_matches(is_blank)).map_err(Refusal::BadText)?,
            })
        },
    },
    Command {
        name: "history",
        aliases: &[],
        arguments: "[N]",
        summary: "show the room's last messages",
        details: &["The last 20 of the current room, or N, at most 1000."],
        read: |command, rest| {
            let limit = optional(rest).map(|n| command.number(n, 1)).transpose()?;
            let limit = limit.map_or(HISTORY_DEFAULT, |n| HISTORY_EVENTS_MAX.min(n as usize));
            Ok(Op::History { room: None, after: None, before: None, limit, said_only: true })
        },
    },
    Command {
        name: "topic",
        aliases: &[],
        arguments: "[TEXT]",
        summary: "show the room's topic, or set it",
        details: &["Only who made the room can set it."],
        read: |_, rest| {
            let text = optional(rest).map(Text::parse).transpose().map_err(Refusal::BadText)?;
            Ok(Op::Topic { room: None, text })
        },
    },
    Command {
        name: "capacity",
        aliases: &[],
        arguments: "N",
        summary: "let at most N people into the room",
        details: &["0 is no limit. Only who made the room can set it; nobody is put out."],
        read: |command, rest| {
            Ok(Op::Capacity { room: None, capacity: command.number(command.required(rest)?, 0)? })
        },
    },
    Command {
        name: "echo",
        aliases: &[],
        arguments: "on|off",
        summary: "get your own messages too, or not",
        details: &["At first you don't: you have seen what you typed."],
        read: |command, rest| match rest {
            "on" => Ok(Op::Echo { on: true }),
            "off" => Ok(Op::Echo { on: false }),
            _ => Err(command.usage()),
        },
    },
    Command {
        name: "checkin",
        aliases: &[],
        arguments: "ID",
        summary: "get a place in a group of the lobby",
        details: &[
            "Answered with the group's number; what you type is said in the group from then on.",
            "On a lobby's own listener the slash may be left out, as with checkout, groups and clap.",
        ],
        read: |command, rest| Ok(Op::Checkin { lobby: None, participant: command.required(rest)?.into() }),
    },
    Command {
        name: "checkout",
        aliases: &[],
        arguments: "",
        summary: "give your place in the group back",
        details: &["Answered with how long you had it."],
        read: |command, rest| command.nothing(rest).map(|()| Op::Checkout { lobby: None }),
    },
    Command {
        name: "groups",
        aliases: &[],
        arguments: "",
        summary: "list the groups and who is in each",
        details: &[],
        read: |command, rest| command.nothing(rest).map(|()| Op::Groups { lobby: None }),
    },
    Command {
        name: "clap",
        aliases: &[],
        arguments: "",
        summary: "clap, for the whole lobby to see",
        details: &[],
        read: |command, rest| command.nothing(rest).map(|()| Op::Clap { lobby: None }),
    },
    Command {
        name: "broadcast",
        aliases: &[],
        arguments: "TEXT",
        summary: "say something to every group of the lobby",
        details: &["Only a host can."],
        read: |command, rest| {
            let text = Text::parse(command.required(rest)?).map_err(Refusal::BadText)?;
            Ok(Op::Broadcast { lobby: None, text })
        },
    },
    Command {
        name: "host",
        aliases: &[],
        arguments: "SECRET",
        summary: "become a host",
        details: &["The secret is in the file that the server's configuration names."],
        read: |command, rest| Ok(Op::Host { secret: Secret::new(command.required(rest)?) }),
    },
    Command {
        name: "shows",
        aliases: &[],
        arguments: "",
        summary: "list the shows and their performances",
        details: &[],
        read: |command, rest| command.nothing(rest).map(|()| Op::Shows),
    },
    Command {
        name: "watch",
        aliases: &[],
        arguments: "SHOW/PERFORMANCE",
        summary: "follow a performance's seats live",
        details: &["It is your current performance from then on, which the next five commands are about."],
        read: |command, rest| {
            let performance = room(command.required(rest)?)?;
            Ok(Op::Watch { performance, after: None, epoch: None })
        },
    },
    Command {
        name: "seats",
        aliases: &[],
        arguments: "",
        summary: "draw the seats",
        details: &[],
        read: |command, rest| command.nothing(rest).map(|()| Op::Seats { performance: None }),
    },
    Command {
        name: "hold",
        aliases: &[],
        arguments: "SEAT...",
        summary: "keep seats for yourself for a while, all of them or none",
        details: &["/hold best 3 takes the best 3 that are free side by side."],
        read: |command, rest| {
            let (first, count) = rest.split_once(is_blank).unwrap_or((rest, ""));
            let wanted = match first {
                "best" | "--best" => Wanted::Best(command.number(count.trim_start_matches(is_blank), 1)?),
                _ => Wanted::Seats(seats(rest)?.ok_or_else(|| command.usage())?),
            };
            Ok(Op::Hold { performance: None, wanted })
        },
    },
    Command {
        name: "release",
        aliases: &[],
        arguments: "[SEAT...]",
        summary: "give back seats that you hold, or all of them",
        details: &[],
        read: |_, rest| Ok(Op::Release { performance: None, seats: seats(rest)? }),
    },
    Command {
        name: "reserve",
        aliases: &[],
        arguments: "[SEAT...]",
        summary: "take seats for good: those that you hold, or free ones",
        details: &["Answered with a code: whoever has it may cancel the reservation."],
        read: |_, rest| Ok(Op::Reserve { performance: None, seats: seats(rest)?, key: None }),
    },
    Command {
        name: "cancel",
        aliases: &[],
        arguments: "CODE",
        summary: "give a reservation back",
        details: &[],
        read: |command, rest| {
            let reservation = Code::parse(command.required(rest)?).ok_or(Refusal::NoSuchReservation)?;
            Ok(Op::Cancel { performance: None, reservation })
        },
    },
    Command {
        name: "json",
        aliases: &[],
        arguments: "",
        summary: "speak JSON for the rest of this connection",
        details: &["For programs. It answers nothing, keeps your nickname and rooms, and can't be undone."],
        read: |command, rest| command.nothing(rest).map(|()| Op::Json),
    },
    Command {
        name: "help",
        aliases: &[],
        arguments: "[COMMAND]",
        summary: "list the commands, or tell more about one",
        details: &[],
        read: |_, rest| Ok(Op::Help { command: optional(rest).map(|name| excerpt(name).into()) }),
    },
    Command {
        name: "quit",
        aliases: &["close"],
        arguments: "",
        summary: "leave, and close the connection",
        details: &[],
        read: |command, rest| command.nothing(rest).map(|()| Op::Bye),
    },
];

/// The names of all commands and their other names, without the slash.
pub fn command_names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().flat_map(|command| [command.name].into_iter().chain(command.aliases.iter().copied()))
}

/// The command called `name`, in capitals or not.
pub(super) fn find(name: &str) -> Result<&'static Command, Refusal> {
    let is_it = |command: &&Command| {
        name.eq_ignore_ascii_case(command.name)
            || command.aliases.iter().any(|alias| name.eq_ignore_ascii_case(alias))
    };
    COMMANDS.iter().find(is_it).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Refusal {
    let meant = nearest(name, command_names());
    let instead = meant.map_or(String::new(), |meant| format!(" did you mean /{meant}?"));
    let name = excerpt(name);
    Refusal::BadCommand { why: format!("there is no command /{name};{instead} /help lists the commands") }
}

pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

impl Command {
    /// `/nick NAME`.
    pub(super) fn synopsis(&self) -> String {
        format!("/{} {}", self.name, self.arguments).trim_end().to_owned()
    }

    fn usage(&self) -> Refusal {
        Refusal::BadCommand { why: format!("write {} to {}", self.synopsis(), self.summary) }
    }

    fn required<'r>(&self, rest: &'r str) -> Result<&'r str, Refusal> {
        optional(rest).ok_or_else(|| self.usage())
    }

    fn nothing(&self, rest: &str) -> Result<(), Refusal> {
        if rest.is_empty() { Ok(()) } else { Err(self.usage()) }
    }

    fn number(&self, raw: &str, min: u32) -> Result<u32, Refusal> {
        raw.parse().ok().filter(|number| *number >= min).ok_or_else(|| {
            let (raw, max) = (excerpt(raw), u32::MAX);
            let why = format!("{raw:?} is no number from {min} to {max}; write {}", self.synopsis());
            Refusal::BadCommand { why }
        })
    }
}

fn optional(rest: &str) -> Option<&str> {
    (!rest.is_empty()).then_some(rest)
}

fn nick(raw: &str) -> Result<Nick, Refusal> {
    Nick::parse(raw).map_err(|why| Refusal::BadName { name: excerpt(raw), why })
}

/// Seats with blanks or commas between them; `None` where there are none.
fn seats(rest: &str) -> Result<Option<Vec<SeatId>>, Refusal> {
    let named = rest.split(|c| is_blank(c) || c == ',').filter(|raw| !raw.is_empty());
    let seat = |raw| SeatId::parse(raw).ok_or_else(|| Refusal::BadSeat { seat: excerpt(raw) });
    let seats = named.map(seat).collect::<Result<Vec<_>, _>>()?;
    match optional(rest) {
        // Only commas: surely not all that one holds.
        Some(rest) if seats.is_empty() => Err(Refusal::BadSeat { seat: excerpt(rest) }),
        rest => Ok(rest.map(|_| seats)),
    }
}

fn room(raw: &str) -> Result<RoomName, Refusal> {
    RoomName::parse(raw).map_err(|why| Refusal::BadName { name: excerpt(raw), why })
}
