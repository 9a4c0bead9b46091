//! What refusals of bad input have in common: how much of it they repeat, what they suggest, how they are written.

use madang_room::{Refusal, Text};

/// Characters of a client's own input that a refusal repeats.
const EXCERPT_CHARS_MAX: usize = 64;
/// Bytes of a refusal's message. Only one about bad input could be longer.
const MESSAGE_BYTES_MAX: usize = 1000;
/// How alike two words must be, from 0 to 1, for one to be suggested for the other.
const LIKENESS_MIN: f64 = 0.85;

/// The beginning of `raw`, as long as a refusal should repeat it. Not cleaned: [`message`] is.
pub(crate) fn excerpt(raw: &str) -> String {
    match raw.char_indices().nth(EXCERPT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &raw[..end]),
        None => raw.to_owned(),
    }
}

/// The word of `words` that was most likely meant by `typed`.
pub(crate) fn nearest<'w>(typed: &str, words: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let typed = excerpt(typed).to_lowercase();
    let likeness = |word: &&str| strsim::jaro_winkler(&typed, word);
    let best = words.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&best) >= LIKENESS_MIN).then_some(best)
}

/// The refusal in words, on one line and safe to print, whatever input it repeats.
pub(crate) fn message(refusal: &Refusal) -> String {
    let words = refusal.to_string();
    let end = words.floor_char_boundary(MESSAGE_BYTES_MAX);
    printable(&words[..end])
}

/// `raw` without what [`Text`] takes out.
pub(crate) fn printable(raw: &str) -> String {
    Text::parse(raw).map_or(String::new(), |text| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_near() {
        let words = ["nick", "join", "leave", "history", "capacity"];
        for (typed, meant) in [
            ("nik", "nick"),
            ("jion", "join"),
            ("HIST", "history"),
            ("leav", "leave"),
            ("capcity", "capacity"),
        ] {
            assert_eq!(nearest(typed, words), Some(meant), "{typed}");
        }
        assert_eq!(nearest("xyz", words), None);
        assert_eq!(nearest("dance", ["cancel"]), None, "letters in common are not enough");
        assert_eq!(nearest("", words), None);
    }

    #[test]
    fn a_message_repeats_little_and_nothing_that_steers_a_terminal() {
        let refusal = Refusal::BadCommand { why: format!("no \u{1b}[31m\u{9b}\n{}", "x".repeat(5000)) };
        let message = message(&refusal);
        assert!(message.starts_with("no [31mxxx") && message.len() <= MESSAGE_BYTES_MAX);
        assert_eq!(excerpt(&"é".repeat(65)), format!("{}…", "é".repeat(64)));
    }
}
