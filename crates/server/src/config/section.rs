//! One section of the file, read key by key.
//!
//! Every reader returns the value where it is there and right, and nothing otherwise. What is there and wrong has then
//! been reported with what was found and what is allowed; reading goes on, so that one run finds all mistakes.
//! (A derived `Deserialize` would end at the first one, and name neither the allowed range nor the nearest key.)

use std::borrow::Cow;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Keys};
use super::report::Report;
use super::units;

/// Characters of a value that a mistake quotes.
const QUOTED_CHARS_MAX: usize = 60;

/// One section: a table whose keys are known.
pub(super) struct Section<'t> {
    /// How its keys are named to people: `limits.` before them, nothing at the top.
    prefix: String,
    /// Where it begins.
    pub(super) line: usize,
    keys: &'static Keys,
    entries: &'t DeTable<'t>,
    pub(super) report: &'t Report<'t>,
}

impl<'t> Section<'t> {
    /// The top of the file.
    pub(super) fn top(entries: &'t DeTable<'t>, report: &'t Report<'t>) -> Section<'t> {
        Section::open(String::new(), 1, &keys::TOP, entries, report)
    }

    /// Reports the keys that are not known here.
    fn open(
        prefix: String,
        line: usize,
        keys: &'static Keys,
        entries: &'t DeTable<'t>,
        report: &'t Report<'t>,
    ) -> Section<'t> {
        for key in entries.keys() {
            let name: &str = key.get_ref();
            if !keys.all().any(|known| known == name) {
                let line = report.line(key.span().start);
                let shown = name.escape_debug();
                report.mistake(line, format!("{prefix}{shown} is not a key: {}", advice(name, keys)));
            }
        }
        Section { prefix, line, keys, entries, report }
    }

    /// Is the key there?
    pub(super) fn has(&self, key: &'static str) -> bool {
        self.find(key).is_some()
    }

    /// The line of a key's value, or of the section where the key is left out.
    pub(super) fn line_of(&self, key: &'static str) -> usize {
        self.find(key).map_or(self.line, |value| self.report.line(value.span().start))
    }

    /// Reports a mistake that takes more than one key to see.
    pub(super) fn mistake(&self, key: &'static str, what: &str) {
        self.report.mistake(self.line_of(key), format!("{}{key} {what}", self.prefix));
    }

    /// Reports a mistake in the section as such.
    pub(super) fn mistaken(&self, what: &str) {
        self.report.mistake(self.line, format!("{} {what}", self.prefix.trim_end_matches('.')));
    }

    /// Warns that a key has no effect.
    pub(super) fn warning(&self, key: &'static str, why: &str) {
        self.report.warning(self.line_of(key), format!("{}{key} has no effect: {why}", self.prefix));
    }

    /// A string that `parse` understands.
    pub(super) fn text<T>(
        &self,
        key: &'static str,
        takes: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.find(key)?;
        let read = value.get_ref().as_str().and_then(parse);
        self.checked(key, value, read, takes)
    }

    /// A string of a few that mean something. The table says which.
    pub(super) fn choice<T: Clone>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        let takes = one_of(&names);
        self.text(key, &takes, |text| {
            choices.iter().find(|(name, _)| *name == text).map(|(_, is)| is.clone())
        })
    }

    /// A whole number.
    pub(super) fn integer(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.find(key)?;
        let takes = format!("a whole number from {} to {}", range.start(), range.end());
        let read = whole(value.get_ref()).filter(|number| range.contains(number));
        self.checked(key, value, read, &takes)
    }

    /// A number of bytes.
    pub(super) fn size(&self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.find(key)?;
        let (least, most) = (units::show_size(*range.start()), units::show_size(*range.end()));
        let takes = format!("a size from \"{least}\" to \"{most}\", or a number of bytes");
        let read = whole(value.get_ref()).or_else(|| value.get_ref().as_str().and_then(units::size));
        self.checked(key, value, read.filter(|bytes| range.contains(bytes)), &takes)
    }

    /// A duration.
    pub(super) fn duration(&self, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
        let show = |duration: &Duration| humantime::format_duration(*duration).to_string();
        let takes = format!("a duration from \"{}\" to \"{}\"", show(range.start()), show(range.end()));
        self.text(key, &takes, |text| units::duration(text).filter(|is| range.contains(is)))
    }

    /// Yes or no.
    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        let value = self.find(key)?;
        self.checked(key, value, value.get_ref().as_bool(), "true or false")
    }

    /// A list of strings.
    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<&'t str>> {
        let value = self.find(key)?;
        let read = value
            .get_ref()
            .as_array()
            .and_then(|list| list.iter().map(|item| item.get_ref().as_str()).collect());
        self.checked(key, value, read, "a list of strings")
    }

    /// A section within this one.
    pub(super) fn section(&self, key: &'static str, keys: &'static Keys) -> Option<Section<'t>> {
        let value = self.find(key)?;
        let table = value.get_ref().as_table();
        let table = self.checked(key, value, table, &format!("a section, {}", keys.header))?;
        Some(self.within(key, value, keys, table))
    }

    /// Sections of one kind, in their order.
    pub(super) fn sections(&self, key: &'static str, keys: &'static Keys) -> Option<Vec<Section<'t>>> {
        let value = self.find(key)?;
        let takes = format!("a list of sections, {}", keys.header);
        let list = self.checked(key, value, value.get_ref().as_array(), &takes)?;
        let sections = list.iter().map(|item| {
            let table = self.checked(key, item, item.get_ref().as_table(), &takes)?;
            Some(self.within(key, item, keys, table))
        });
        sections.collect()
    }

    /// Sections that are told apart by a name of their own: `[lobby.day19]`.
    pub(super) fn named_sections(
        &self,
        key: &'static str,
        keys: &'static Keys,
    ) -> Option<Vec<(&'t str, Section<'t>)>> {
        let value = self.find(key)?;
        let takes = format!("made of sections, {}", keys.header);
        let table = self.checked(key, value, value.get_ref().as_table(), &takes)?;
        let sections = table.iter().map(|(name, item)| {
            let name: &'t str = name.get_ref();
            let table = self.checked(key, item, item.get_ref().as_table(), &takes)?;
            Some((name, self.within(&format!("{key}.{}", name.escape_debug()), item, keys, table)))
        });
        sections.collect()
    }

    fn within(
        &self,
        name: &str,
        value: &'t Spanned<DeValue<'t>>,
        keys: &'static Keys,
        table: &'t DeTable<'t>,
    ) -> Section<'t> {
        let line = self.report.line(value.span().start);
        Section::open(format!("{}{name}.", self.prefix), line, keys, table, self.report)
    }

    fn find(&self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        debug_assert!(
            self.keys.all().any(|known| known == key),
            "{key} is not in the list of {}",
            self.keys.header
        );
        self.entries.get(key)
    }

    /// What was read; or a mistake that says what was found and what is allowed.
    fn checked<T>(&self, key: &str, value: &Spanned<DeValue<'_>>, read: Option<T>, takes: &str) -> Option<T> {
        if read.is_none() {
            let line = self.report.line(value.span().start);
            let found = quoted(value.get_ref());
            self.report.mistake(line, format!("{}{key} is {found}, it takes {takes}", self.prefix));
        }
        read
    }
}

/// A whole number that isn't negative.
fn whole(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// A value as a mistake shows it.
fn quoted(value: &DeValue<'_>) -> Cow<'static, str> {
    match value {
        DeValue::String(text) if text.chars().count() > QUOTED_CHARS_MAX => {
            let start: String = text.chars().take(QUOTED_CHARS_MAX).collect();
            format!("{start:?} and more").into()
        }
        DeValue::String(text) => format!("{text:?}").into(),
        DeValue::Integer(number) => number.to_string().into(),
        DeValue::Float(number) => number.to_string().into(),
        DeValue::Boolean(is) => is.to_string().into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a section".into(),
    }
}

/// What could have been meant by a key that isn't known here.
fn advice(name: &str, here: &'static Keys) -> String {
    let elsewhere = keys::SECTIONS.iter().find(|section| section.now.contains(&name));
    let nearest = here.all().min_by_key(|key| strsim::damerau_levenshtein(key, name));
    // One slip of the fingers in three characters is a slip; more is another word.
    let nearest =
        nearest.filter(|key| strsim::damerau_levenshtein(key, name) <= 1 + name.chars().count() / 3);
    match (elsewhere, nearest) {
        (Some(section), _) => format!("it belongs to {}, not to {}", section.header, here.header),
        (None, Some(key)) => format!("did you mean {key}?"),
        (None, None) => {
            let known: Vec<&str> = here.all().collect();
            format!("{} has {}", here.header, known.join(", "))
        }
    }
}

/// `"a", "b" or "c"`.
fn one_of(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
