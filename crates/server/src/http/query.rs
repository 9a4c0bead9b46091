//! The values of a request's query, by name.

use axum::http::Uri;
use madang_room::Refusal;

/// Decoded, in their order. Names that nobody asks for are nobody's concern.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(uri: &Uri) -> Query {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Query(pairs.into_owned().collect())
    }

    /// The first value of that name.
    pub(super) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The value of that name; one that is given twice is a mistake.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Refusal> {
        match self.0.iter().filter(|(found, _)| found == name).count() {
            0 | 1 => Ok(self.first(name)),
            times => Err(Refusal::BadCommand { why: format!("{name:?} is given {times} times") }),
        }
    }

    pub(super) fn number(&self, name: &str, max: u64) -> Result<Option<u64>, Refusal> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse().ok().filter(|number| *number <= max)).flatten().ok_or_else(|| {
                let found: String = text.chars().take(64).collect();
                let why = format!("{name:?} is {found:?}, it takes a whole number from 0 to {max}");
                Refusal::BadCommand { why }
            })
        };
        self.text(name)?.map(number).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&format!("/?{text}").parse().unwrap())
    }

    #[test]
    fn a_number_is_digits() {
        assert_eq!(query("a=1&after=812").number("after", u64::MAX), Ok(Some(812)));
        assert_eq!(query("").number("after", u64::MAX), Ok(None));
        for wrong in
            ["after=", "after=+1", "after=-1", "after=1e3", "after=all", "after=1&after=1", "after=11"]
        {
            let refusal = query(wrong).number("after", 10).unwrap_err();
            assert!(refusal.to_string().starts_with("\"after\" is "), "{wrong}: {refusal}");
        }
        assert_eq!(
            query("after=all").number("after", 10).unwrap_err().to_string(),
            "\"after\" is \"all\", it takes a whole number from 0 to 10"
        );
    }

    #[test]
    fn values_are_decoded() {
        assert_eq!(query("prefix=%EB%A7%88+%2F&x").text("prefix"), Ok(Some("마 /")));
        assert_eq!(query("prefix=a&prefix=b").first("prefix"), Some("a"));
    }
}
