//! Text that people say to each other, with everything taken out that could harm a reader's terminal.
//!
//! A line of chat ends up on somebody else's terminal, so control characters (ANSI escapes among them), C1
//! controls, bidirectional overrides and invisible characters never get past [`Text::parse`]: whoever holds a
//! [`Text`] may print it.

use std::fmt;
use std::sync::Arc;

use unicode_normalization::char::is_combining_mark;

/// Bytes of UTF-8 in one text, after cleaning. A longer one is refused with `too_long`.
pub const TEXT_BYTES_MAX: usize = 4096;

/// Combining marks in a row that are kept; further ones are dropped, so that a "zalgo" message can't paint
/// over its neighbours' lines. Written languages stack up to four (Unicode Standard Annex #15 allows 30).
pub(crate) const MARKS_MAX: usize = 4;

/// One message or topic: 1 to [`TEXT_BYTES_MAX`] bytes, safe to print. Cloning counts a reference.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Text(Arc<str>);

/// Why some text can't be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing is left of it once invisible characters are removed.
    #[error("a text needs at least one visible character")]
    Empty,
    /// It is longer than [`TEXT_BYTES_MAX`].
    #[error("a text may have {TEXT_BYTES_MAX} bytes, this one has {0}")]
    TooLong(usize),
}

impl Text {
    /// Removes what readers must not get, and checks the length of what is left.
    ///
    /// Removed: C0 controls but TAB, DEL, C1 controls, bidirectional controls, line and paragraph separators, and
    /// invisible characters but ZWJ, ZWNJ and variation selectors (emoji and Persian need them); of more than
    /// four combining marks in a row, the further ones.
    pub fn parse(raw: &str) -> Result<Text, TextError> {
        // Without an early end, so that the compiler looks at many bytes at once.
        let is_plain = |byte: u8| matches!(byte, b' '..=b'~') | (byte == b'\t');
        let plain = raw.bytes().fold(true, |plain, byte| plain & is_plain(byte));
        let text: Arc<str> = if plain { raw.into() } else { clean(raw).into() };
        match text.len() {
            0 => Err(TextError::Empty),
            bytes if bytes > TEXT_BYTES_MAX => Err(TextError::TooLong(bytes)),
            _ => Ok(Text(text)),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn clean(raw: &str) -> String {
    let mut marks = 0;
    let kept = raw.chars().filter(|&c| {
        if (c.is_control() && c != '\t') || is_bidi_control(c) || matches!(c, '\u{2028}' | '\u{2029}') {
            return false;
        }
        if is_invisible(c) && !is_joiner(c) && !is_variation_selector(c) {
            return false;
        }
        let is_mark = is_combining_mark(c) && !is_variation_selector(c);
        marks = if is_mark { marks + 1 } else { 0 };
        marks <= MARKS_MAX
    });
    kept.collect()
}

/// Characters that change the direction of what follows (Unicode property `Bidi_Control`).
pub(crate) fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// ZWNJ and ZWJ.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200C}' | '\u{200D}')
}

/// Unicode property `Variation_Selector`.
fn is_variation_selector(c: char) -> bool {
    matches!(c, '\u{180B}'..='\u{180D}' | '\u{180F}' | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

/// Characters that show nothing by themselves (Unicode property `Default_Ignorable_Code_Point`), and the
/// interlinear annotation marks, which also have no form of their own.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}'
        | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{E0FFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn said(raw: &str) -> String {
        Text::parse(raw).unwrap().to_string()
    }

    #[test]
    fn what_steers_a_terminal_is_removed_and_the_rest_is_said() {
        assert_eq!(said("red \u{1b}[31malert\u{7}"), "red [31malert");
        assert_eq!(said("a\0b\r\nc\u{7f}d\u{9b}e\u{85}f"), "abcdef");
        assert_eq!(said("tab\tstays"), "tab\tstays");
        assert_eq!(said("\u{202e}evil\u{2066}x\u{2028}y"), "evilxy");
        assert_eq!(said("in\u{200b}vis\u{feff}i\u{3164}ble\u{e0041}"), "invisible");
    }

    #[test]
    fn every_control_below_a0_is_removed_but_tab() {
        for code in (0..0xa0u32).filter(|&code| !(0x20..0x7f).contains(&code)) {
            let c = char::from_u32(code).unwrap();
            let expected = if c == '\t' { "a\tb".to_owned() } else { "ab".to_owned() };
            assert_eq!(said(&format!("a{c}b")), expected, "U+{code:04X}");
        }
    }

    #[test]
    fn what_languages_and_emoji_need_survives() {
        for text in ["안녕하세요", "👩‍👩‍👧‍👦", "❤️", "می‌خواهم", "\u{1112}\u{1161}\u{11ab}글"]
        {
            assert_eq!(said(text), text);
        }
    }

    #[test]
    fn marks_do_not_pile_up() {
        assert_eq!(said(&format!("a{}b", "\u{301}".repeat(50))), format!("a{}b", "\u{301}".repeat(4)));
    }

    #[test]
    fn nothing_and_too_much_are_errors() {
        assert_eq!(Text::parse(""), Err(TextError::Empty));
        assert_eq!(Text::parse("\u{200b}\u{1b}"), Err(TextError::Empty));
        assert!(Text::parse(&"x".repeat(TEXT_BYTES_MAX)).is_ok());
        assert_eq!(Text::parse(&"x".repeat(TEXT_BYTES_MAX + 1)), Err(TextError::TooLong(TEXT_BYTES_MAX + 1)));
    }

    proptest! {
        #[test]
        fn cleaning_is_done_once_and_never_lets_a_control_through(raw in "\\PC*|.*") {
            if let Ok(text) = Text::parse(&raw) {
                prop_assert!(text.as_str().chars().all(|c| c == '\t' || !c.is_control()));
                prop_assert!(!text.as_str().chars().any(is_bidi_control));
                let again = Text::parse(text.as_str()).unwrap();
                prop_assert_eq!(again, text);
            }
        }
    }
}
