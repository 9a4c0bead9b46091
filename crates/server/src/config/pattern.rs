//! Which rooms a rule is for: names in which `*` stands for any characters, and `?` for one.
//!
//! Pattern and name are compared in the form that names are compared in: `Duo-*` is for `duo-1` and `ＤＵＯ-1` too.
//! (Own code and no crate: it is one loop, and only names know how they are folded.)

use madang_room::{NameError, RoomName};

/// What stands for other characters, and `/`, which a part of a name can't end with.
const BETWEEN: [char; 3] = ['*', '?', '/'];

/// The pattern as names are compared. What stands between its `*`, `?` and `/` must be what names are made of.
pub(super) fn folded(pattern: &str) -> Result<String, NameError> {
    if pattern.is_empty() {
        return Err(NameError::Empty);
    }
    let mut folded = String::new();
    for piece in pattern.split_inclusive(BETWEEN) {
        let literal = piece.trim_end_matches(BETWEEN);
        if !literal.is_empty() {
            folded.push_str(RoomName::parse(literal)?.key());
        }
        folded.push_str(&piece[literal.len()..]);
    }
    Ok(folded)
}

/// Does the whole of `name` match? Takes at most the product of both lengths, and both are short.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    // After a `*`: what follows it, and the part of the name that it has not swallowed yet.
    let mut star: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let name_before = name.clone();
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                star = Some((pattern.clone(), name_before.clone()));
                name = name_before;
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                // A mismatch: the last `*` swallows one character more. Earlier ones need never be tried again.
                let Some((after_star, unswallowed)) = &mut star else { return false };
                if unswallowed.next().is_none() {
                    return false;
                }
                (pattern, name) = (after_star.clone(), unswallowed.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_for(pattern: &str, name: &str) -> bool {
        matches(&folded(pattern).unwrap(), RoomName::parse(name).unwrap().key())
    }

    #[test]
    fn a_star_is_any_characters_and_a_question_mark_is_one() {
        for (pattern, name) in [
            ("plaza", "plaza"),
            ("duo-*", "duo-1"),
            ("duo-*", "duo-"),
            ("*", "anything"),
            ("*-staff", "red-staff"),
            ("a*b*c", "a-b-b-c"),
            ("room-?", "room-7"),
            ("방-?", "방-하"),
            ("day*/?", "day19/3"),
            ("Duo-*", "ＤＵＯ-1"),
            ("**", "x"),
        ] {
            assert!(is_for(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("plaza", "plaza2"),
            ("plaza2", "plaza"),
            ("duo-*", "duo"),
            ("room-?", "room-"),
            ("room-?", "room-12"),
            ("*-staff", "staff"),
            ("a*b", "a-b-c"),
        ] {
            assert!(!is_for(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn a_pattern_is_made_of_what_names_are_made_of() {
        assert_eq!(folded(""), Err(NameError::Empty));
        assert_eq!(folded("two words*"), Err(NameError::Char(' ')));
        assert_eq!(folded("[a-z]*"), Err(NameError::Char('[')));
    }

    /// What `matches` means, written without any care for time.
    fn obviously(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=name.len()).any(|taken| obviously(rest, &name[taken..])),
            (['?', rest @ ..], [_, name @ ..]) => obviously(rest, name),
            ([wanted, rest @ ..], [found, name @ ..]) => wanted == found && obviously(rest, name),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn it_matches_what_it_obviously_should(pattern in "[ab*?]{0,8}", name in "[ab]{0,10}") {
            let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
            prop_assert_eq!(matches(&pattern, &name), obviously(&p, &n));
        }
    }

    #[test]
    fn a_hostile_pattern_ends_soon() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!matches(&pattern, &"a".repeat(64)));
    }
}
