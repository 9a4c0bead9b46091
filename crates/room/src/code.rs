//! Reservation codes: short enough to be read out, too many to be guessed.

use std::fmt;

/// Crockford's base 32: digits and letters without I, L, O and U, of which the first three are read as 1, 1 and 0.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters in a code, of 5 bits each.
const CHARS: usize = 8;

/// What a reservation is known and cancelled by: 40 random bits, written as `7KQ2MXP4`. Whoever has it may cancel, so
/// `Debug` hides it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u64);

impl Code {
    /// A code of five random bytes; they must be as good as those of any secret.
    pub fn from_random(bytes: [u8; 5]) -> Code {
        Code(bytes.iter().fold(0, |bits, byte| (bits << 8) | u64::from(*byte)))
    }

    /// Reads a code however a person writes it down: in small letters, with O for 0, I and L for 1.
    pub fn parse(raw: &str) -> Option<Code> {
        let raw = raw.as_bytes();
        let bits = raw.iter().try_fold(0, |bits, byte| Some((bits << 5) | digit(*byte)?))?;
        (raw.len() == CHARS).then_some(Code(bits))
    }

    /// Another code, where this one is in use.
    pub(crate) fn next(self) -> Code {
        Code((self.0 + 1) % (1 << (5 * CHARS)))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        (0..CHARS).rev().try_for_each(|at| f.write_char(ALPHABET[(self.0 >> (5 * at)) as usize & 31] as char))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(…)")
    }
}

fn digit(byte: u8) -> Option<u64> {
    let byte = match byte.to_ascii_uppercase() {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        byte => byte,
    };
    ALPHABET.iter().position(|known| *known == byte).map(|at| at as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_read_as_people_write_it() {
        let code = Code::parse("7KQ2MXP4").unwrap();
        assert_eq!(code.to_string(), "7KQ2MXP4");
        assert_eq!(Code::parse("7kq2mxp4"), Some(code));
        assert_eq!(Code::parse("OIL00000"), Code::parse("01100000"));
        for wrong in ["", "7KQ2MXP", "7KQ2MXP44", "7KQ2-XP4", "7KQ2MXPU", "7KQ2MXé", &"7".repeat(100_000)] {
            assert_eq!(Code::parse(wrong), None);
        }
        assert!(!format!("{code:?}").contains("7KQ"));
    }

    #[test]
    fn after_the_last_code_comes_the_first() {
        assert_eq!(Code::from_random([255; 5]).to_string(), "ZZZZZZZZ");
        assert_eq!(Code::from_random([255; 5]).next(), Code::from_random([0; 5]));
    }

    proptest! {
        #[test]
        fn each_five_bytes_are_a_code_of_their_own(bytes: [u8; 5]) {
            let code = Code::from_random(bytes);
            prop_assert_eq!(Code::parse(&code.to_string()), Some(code));
            prop_assert_eq!(code.0.to_be_bytes()[3..].to_vec(), bytes.to_vec());
        }
    }
}
