//! Who checks in at a lobby: ids such as `J001`, and the pattern that says which there are.

use std::fmt;
use std::ops::RangeInclusive;

use smol_str::{SmolStr, format_smolstr};

use crate::name::folded;
use crate::{NICK_BYTES_MAX, Nick, Refusal};

/// Digits in an id's number.
const DIGITS_MAX: usize = 9;
/// Characters of what somebody typed for an id that a refusal repeats.
const EXCERPT_CHARS_MAX: usize = 32;

/// The id under which somebody checks in, in its one spelling: an id that fits some lobby's pattern, and a name
/// that a message can be sent to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Participant(SmolStr);

impl Participant {
    /// Reads what [`Participant::as_str`] gave; the pattern may be another one by now. What a client typed is read
    /// by [`IdPattern::participant`].
    pub fn parse(text: &str) -> Option<Participant> {
        let nick = Nick::parse(text).ok()?;
        (nick.as_str() == text).then(|| Participant(text.into()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Participant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which ids a lobby knows: a prefix and a range of numbers, all of one width (`J001-J384`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdPattern {
    prefix: SmolStr,
    /// What a prefix is compared by.
    prefix_key: SmolStr,
    width: usize,
    numbers: RangeInclusive<u32>,
}

/// Why some text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is not two ids of one length with a `-` between them.
    #[error("write the first id, '-' and the last, with the same number of digits, as in \"J001-J384\"")]
    Shape,
    /// The two ids do not begin alike.
    #[error("both ids begin with the same letters, as in \"J001-J384\", but {0:?} is not {1:?}")]
    Prefix(String, String),
    /// There are no digits, or too many, at the end of the ids.
    #[error("an id ends with 1 to {DIGITS_MAX} digits, as J001 does")]
    Digits,
    /// The last comes before the first.
    #[error("the last id, {1}, comes before the first, {0}")]
    Backwards(String, String),
    /// The ids can't be names.
    #[error("an id has up to {NICK_BYTES_MAX} bytes of letters, digits, '-', '_' and '.'")]
    Name,
}

impl IdPattern {
    /// Reads `J001-J384`. The letters before the digits may hold a `-`, or be missing.
    pub fn parse(text: &str) -> Result<IdPattern, PatternError> {
        // Both ids have one length, so what separates them stands in the middle.
        let middle = text.len() / 2;
        let (first, last) = text
            .split_at_checked(middle)
            .and_then(|(first, rest)| Some((first, rest.strip_prefix('-')?)))
            .filter(|(first, last)| first.len() == last.len())
            .ok_or(PatternError::Shape)?;
        let (prefix, from) = split_number(first)?;
        let (last_prefix, to) = split_number(last)?;
        if prefix != last_prefix {
            return Err(PatternError::Prefix(last_prefix.to_owned(), prefix.to_owned()));
        }
        let number = |digits: &str| digits.parse::<u32>().map_err(|_| PatternError::Digits);
        let numbers = number(from)?..=number(to)?;
        if numbers.is_empty() {
            return Err(PatternError::Backwards(first.to_owned(), last.to_owned()));
        }
        Participant::parse(first).ok_or(PatternError::Name)?;
        let prefix = SmolStr::new(prefix);
        Ok(IdPattern { prefix_key: folded(&prefix), prefix, width: from.len(), numbers })
    }

    /// The id that somebody typed: blanks around it, case and width make no difference (`j001` and `Ｊ００１` are
    /// `J001`), the number of digits does (`J1` is none).
    ///
    /// # Errors
    /// `bad_participant`, with the ids that there are.
    pub fn participant(&self, raw: &str) -> Result<Participant, Refusal> {
        self.number(raw).map(|number| self.id(number)).ok_or_else(|| Refusal::BadParticipant {
            participant: raw.chars().take(EXCERPT_CHARS_MAX).collect(),
            pattern: Box::new(self.clone()),
        })
    }

    fn number(&self, raw: &str) -> Option<u32> {
        // What is longer can't be an id in any spelling, and isn't worth folding.
        let raw = Some(raw.trim()).filter(|raw| raw.len() <= 4 * NICK_BYTES_MAX)?;
        let key = folded(&raw.into());
        let digits = key.strip_prefix(&*self.prefix_key).filter(|digits| digits.len() == self.width)?;
        let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())??;
        self.numbers.contains(&number).then_some(number)
    }

    /// The first of the ids: an example.
    pub fn first(&self) -> Participant {
        self.id(*self.numbers.start())
    }

    /// The last of the ids.
    pub fn last(&self) -> Participant {
        self.id(*self.numbers.end())
    }

    fn id(&self, number: u32) -> Participant {
        Participant(format_smolstr!("{}{number:0width$}", self.prefix, width = self.width))
    }
}

/// As [`IdPattern::parse`] reads it.
impl fmt::Display for IdPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first(), self.last())
    }
}

/// The letters and the digits of an id.
fn split_number(id: &str) -> Result<(&str, &str), PatternError> {
    let prefix = id.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &id[prefix.len()..];
    match (1..=DIGITS_MAX).contains(&digits.len()) {
        true => Ok((prefix, digits)),
        false => Err(PatternError::Digits),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pattern(text: &str) -> IdPattern {
        IdPattern::parse(text).unwrap()
    }

    #[test]
    fn a_pattern_is_two_ids_of_one_width() {
        for (text, first, last) in [
            ("J001-J384", "J001", "J384"),
            ("001-384", "001", "384"),
            ("team-a-1-team-a-9", "team-a-1", "team-a-9"),
            ("학01-학30", "학01", "학30"),
            ("J7-J7", "J7", "J7"),
        ] {
            let pattern = pattern(text);
            assert_eq!((pattern.first().as_str(), pattern.last().as_str()), (first, last), "{text}");
            assert_eq!(pattern.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_pattern_is_told_why() {
        for (text, why) in [
            ("", "write the first id"),
            ("J001", "write the first id"),
            ("J1-J384", "write the first id"),
            ("J001:J384", "write the first id"),
            ("J001-K384", "\"K\" is not \"J\""),
            ("Jooo-Jxxx", "ends with 1 to 9 digits"),
            ("J0000000001-J9999999999", "ends with 1 to 9 digits"),
            ("J384-J001", "J001, comes before the first, J384"),
            ("a b1-a b2", "letters, digits"),
            ("a/1-a/2", "letters, digits"),
        ] {
            let said = IdPattern::parse(text).unwrap_err().to_string();
            assert!(said.contains(why), "{text}: {said}");
        }
        let long = format!("{0}1-{0}2", "x".repeat(NICK_BYTES_MAX));
        assert_eq!(IdPattern::parse(&long), Err(PatternError::Name));
    }

    #[test]
    fn an_id_is_one_id_however_it_is_typed() {
        let pattern = pattern("J001-J384");
        for typed in ["J017", "j017", " J017\t", "Ｊ０１７"] {
            assert_eq!(pattern.participant(typed).unwrap().as_str(), "J017", "{typed}");
        }
        for typed in ["", "J", "J17", "J0017", "J000", "J385", "K017", "J+17", "J 17", "J017 x", "J01７７"]
        {
            let refused = pattern.participant(typed).unwrap_err();
            assert_eq!(refused.code(), "bad_participant", "{typed}");
            assert!(refused.to_string().contains("J001 to J384"), "{refused}");
        }
        let refused = pattern.participant(&"J".repeat(100_000)).unwrap_err();
        assert!(refused.to_string().len() < 200, "{refused}");
    }

    proptest! {
        #[test]
        fn any_text_is_a_pattern_or_an_error(text in "(J0*[0-9]{1,3}-J0*[0-9]{1,3})|\\PC{0,40}", typed in "\\PC{0,10}") {
            if let Ok(pattern) = IdPattern::parse(&text) {
                prop_assert_eq!(&pattern.participant(pattern.last().as_str()).unwrap(), &pattern.last());
                prop_assert_eq!(IdPattern::parse(&pattern.to_string()).unwrap(), pattern.clone());
                let _ = pattern.participant(&typed);
            }
        }
    }
}
