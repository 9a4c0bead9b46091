//! What a person types: one table of commands, which gives the parser, `/help` and what Tab offers.

use super::line::Line;

/// One command.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    aliases: &'static [&'static str],
    takes: &'static str,
    does: &'static str,
    /// What its first word is, for Tab.
    pub(crate) first: Word,
    parse: fn(&str) -> Option<Input>,
}

/// What kind of word stands after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Room,
    Nick,
    Command,
    Free,
}

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Say(String),
    Nick(String),
    Join(String),
    /// Where none is given, the current room.
    Leave(Option<String>),
    Rooms,
    Who(Option<String>),
    Msg {
        to: String,
        text: String,
    },
    History(u32),
    Topic(Option<String>),
    Capacity(u32),
    Help(Option<String>),
    Quit,
}

/// Messages that `/history` shows when no number is given, and that a newcomer sees.
pub(crate) const HISTORY_DEFAULT: u32 = 20;

/// Every command, in the order of `/help`.
pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "nick",
        aliases: &["rename"],
        takes: "NAME",
        does: "change your nickname",
        first: Word::Free,
        parse: |rest| word(rest).map(Input::Nick),
    },
    Spec {
        name: "join",
        aliases: &[],
        takes: "ROOM",
        does: "enter a room, which then is the current one",
        first: Word::Room,
        parse: |rest| word(rest).map(Input::Join),
    },
    Spec {
        name: "leave",
        aliases: &[],
        takes: "[ROOM]",
        does: "leave this room, or that one",
        first: Word::Room,
        parse: |rest| optional_word(rest).map(Input::Leave),
    },
    Spec {
        name: "rooms",
        aliases: &[],
        takes: "",
        does: "list the rooms and how many are in each",
        first: Word::Free,
        parse: |rest| rest.is_empty().then_some(Input::Rooms),
    },
    Spec {
        name: "who",
        aliases: &[],
        takes: "[ROOM]",
        does: "list who is here, or there",
        first: Word::Room,
        parse: |rest| optional_word(rest).map(Input::Who),
    },
    Spec {
        name: "msg",
        aliases: &["w", "to"],
        takes: "NAME TEXT",
        does: "say something to one person",
        first: Word::Nick,
        parse: |rest| {
            let (to, text) = rest.split_once(char::is_whitespace)?;
            Some(Input::Msg { to: to.to_owned(), text: text.trim_start().to_owned() })
        },
    },
    Spec {
        name: "history",
        aliases: &[],
        takes: "[N]",
        does: "show the last N messages of this room (20)",
        first: Word::Free,
        parse: |rest| match rest {
            "" => Some(Input::History(HISTORY_DEFAULT)),
            number => number.parse().ok().filter(|&n| n > 0).map(Input::History),
        },
    },
    Spec {
        name: "topic",
        aliases: &[],
        takes: "[TEXT]",
        does: "read what this room is about, or set it if you made the room",
        first: Word::Free,
        parse: |rest| Some(Input::Topic((!rest.is_empty()).then(|| rest.to_owned()))),
    },
    Spec {
        name: "capacity",
        aliases: &[],
        takes: "N",
        does: "set how many this room holds (0: no limit) if you made it",
        first: Word::Free,
        parse: |rest| rest.parse().ok().map(Input::Capacity),
    },
    Spec {
        name: "help",
        aliases: &[],
        takes: "[COMMAND]",
        does: "this list, or one line of it",
        first: Word::Command,
        parse: |rest| optional_word(rest).map(Input::Help),
    },
    Spec {
        name: "quit",
        aliases: &["close"],
        takes: "",
        does: "leave; so do quit and Ctrl-D",
        first: Word::Free,
        parse: |rest| rest.is_empty().then_some(Input::Quit),
    },
];

impl Spec {
    fn usage(&self) -> String {
        format!("/{} {}", self.name, self.takes).trim_end().to_owned()
    }

    fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
            || self.aliases.iter().any(|alias| alias.eq_ignore_ascii_case(name))
    }
}

/// The command of that name or alias.
pub(crate) fn find(name: &str) -> Option<&'static Spec> {
    COMMANDS.iter().find(|spec| spec.is_called(name))
}

/// Reads one line; none if it is empty. The error is what to show.
pub(crate) fn parse(line: &str) -> Option<Result<Input, Line>> {
    let line = line.trim_end_matches(['\r', '\n']);
    if line.trim().is_empty() {
        return None;
    }
    if line == "quit" {
        return Some(Ok(Input::Quit));
    }
    if line.starts_with("//") {
        return Some(Ok(Input::Say(line[1..].to_owned())));
    }
    let Some(command) = line.strip_prefix(['/', '\\']) else {
        return Some(Ok(Input::Say(line.to_owned())));
    };
    let (name, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
    let Some(spec) = find(name) else {
        let message = format!("there is no /{name}, /help lists the commands");
        return Some(Err(Line::refusal("bad_command", &message)));
    };
    let input = (spec.parse)(rest.trim());
    Some(input.ok_or_else(|| Line::refusal("bad_command", &format!("it is {}", spec.usage()))))
}

/// The lines of `/help`.
pub(crate) fn help(about: Option<&str>) -> Vec<Line> {
    let about = about.map(|name| name.trim_start_matches(['/', '\\']));
    let chosen: Vec<&Spec> =
        COMMANDS.iter().filter(|spec| about.is_none_or(|name| spec.is_called(name))).collect();
    if chosen.is_empty() {
        return vec![Line::refusal("bad_command", "there is no such command, /help lists them all")];
    }
    let mut lines: Vec<Line> =
        chosen.iter().map(|spec| Line::note(format!("{:<16} {}", spec.usage(), spec.does))).collect();
    if about.is_none() {
        lines.push(Line::note("// says a line that begins with /".to_owned()));
    }
    lines
}

fn word(rest: &str) -> Option<String> {
    (!rest.is_empty() && !rest.contains(char::is_whitespace)).then(|| rest.to_owned())
}

fn optional_word(rest: &str) -> Option<Option<String>> {
    if rest.is_empty() { Some(None) } else { word(rest).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Input {
        parse(line).unwrap().unwrap()
    }

    fn refused(line: &str) -> String {
        parse(line).unwrap().unwrap_err().plain()
    }

    #[test]
    fn what_is_no_command_is_said() {
        assert_eq!(parsed("hello there"), Input::Say("hello there".into()));
        assert_eq!(parsed("//shrug"), Input::Say("/shrug".into()));
        assert_eq!(parsed("quit it"), Input::Say("quit it".into()));
        assert_eq!(parse("   "), None);
    }

    #[test]
    fn commands_go_by_all_their_names() {
        let msg = Input::Msg { to: "jun".into(), text: "hi  there".into() };
        for line in ["/msg jun hi  there", "/w jun hi  there", "\\to jun  hi  there", "/MSG jun hi  there"] {
            assert_eq!(parsed(line), msg, "{line}");
        }
        assert_eq!(parsed("/leave"), Input::Leave(None));
        assert_eq!(parsed("/history"), Input::History(20));
        assert_eq!(parsed("/topic  tea & cake "), Input::Topic(Some("tea & cake".into())));
        for line in ["quit", "/quit", "/close\r"] {
            assert_eq!(parsed(line), Input::Quit, "{line}");
        }
    }

    #[test]
    fn a_mistake_says_what_would_be_right() {
        assert_eq!(refused("/jion x"), "! bad_command: there is no /jion, /help lists the commands");
        assert_eq!(refused("/capacity many"), "! bad_command: it is /capacity N");
        assert_eq!(refused("/msg jun"), "! bad_command: it is /msg NAME TEXT");
        assert_eq!(refused("/history 0"), "! bad_command: it is /history [N]");
    }

    #[test]
    fn no_two_commands_share_a_name() {
        let names: Vec<&str> = COMMANDS
            .iter()
            .flat_map(|spec| [spec.name].into_iter().chain(spec.aliases.iter().copied()))
            .collect();
        for name in &names {
            assert_eq!(names.iter().filter(|other| other == &name).count(), 1, "{name}");
        }
    }
}
