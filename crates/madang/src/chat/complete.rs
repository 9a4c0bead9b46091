//! What Tab offers: commands after a slash, then rooms or nicknames as the command takes them, else nicknames.

use super::command::{COMMANDS, Word, find};
use super::view::View;

/// Where the word at the end of `line` begins, and what could stand there.
pub(crate) fn candidates(line: &str, view: &View) -> (usize, Vec<String>) {
    let start = line
        .rfind(char::is_whitespace)
        .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
    let word = &line[start..];
    let command = line.strip_prefix(['/', '\\']).filter(|rest| !rest.starts_with('/'));
    let found: Vec<String> = match command {
        Some(_) if start == 0 => starting_with(command_names().map(|name| format!("/{name}")), word, " "),
        Some(rest) => {
            let mut words = rest.split_whitespace();
            let kind = words.next().and_then(find).map_or(Word::Free, |spec| spec.first);
            // The word being typed may be empty and is then not among `words`.
            let is_first = words.next().is_none_or(|first| std::ptr::eq(first, word));
            match kind {
                Word::Room if is_first => starting_with(view.room_names(), word, " "),
                Word::Nick if is_first => starting_with(view.nicks(), word, " "),
                Word::Command if is_first => starting_with(command_names(), word, " "),
                _ => starting_with(view.nicks(), word, " "),
            }
        }
        // A name at the beginning of a line is an address.
        None if word.is_empty() => Vec::new(),
        None => starting_with(view.nicks(), word, if start == 0 { ": " } else { " " }),
    };
    (start, found)
}

fn command_names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().map(|spec| spec.name)
}

fn starting_with<S: AsRef<str>>(names: impl IntoIterator<Item = S>, word: &str, then: &str) -> Vec<String> {
    let word = word.to_lowercase();
    let matching = names.into_iter().filter(|name| name.as_ref().to_lowercase().starts_with(&word));
    matching.map(|name| format!("{}{then}", name.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(line: &str) -> (usize, Vec<String>) {
        let mut view = View::new("me".into());
        view.entered("plaza", Some(&["mina".into(), "minho".into(), "jun".into(), "me".into()]));
        view.list(["garden".to_owned()].into_iter());
        candidates(line, &view)
    }

    #[test]
    fn a_slash_offers_commands() {
        assert_eq!(offered("/h"), (0, vec!["/history ".into(), "/help ".into()]));
        assert_eq!(offered("/help his"), (6, vec!["history ".into()]));
    }

    #[test]
    fn a_command_offers_what_it_takes() {
        assert_eq!(offered("/join g"), (6, vec!["garden ".into()]));
        assert_eq!(offered("/join "), (6, vec!["garden ".into(), "plaza ".into()]));
        assert_eq!(offered("/w Mi"), (3, vec!["mina ".into(), "minho ".into()]));
        assert_eq!(offered("/w mina j"), (8, vec!["jun ".into()]));
    }

    #[test]
    fn elsewhere_nicknames_are_offered_and_never_ones_own() {
        assert_eq!(offered("mi"), (0, vec!["mina: ".into(), "minho: ".into()]));
        assert_eq!(offered("안녕 ju"), (7, vec!["jun ".into()]));
        assert_eq!(offered("m").1.len(), 2);
        assert_eq!(offered(""), (0, vec![]));
    }
}
