//! What is wrong with a file, and what is worth saying about one that is right.
//!
//! All mistakes of a file are collected and told at once, each with the line it is in: whoever mends the first one
//! should not have to start again to hear of the second.

use std::cell::RefCell;
use std::fmt;

/// Something in a file that the server can't run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file, as it was named to us.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// What was found, and what is allowed.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Something in a file that is right and will have no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The file, as it was named to us.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// What has no effect, and why.
    pub what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// Why a file is no configuration: at least one mistake, in the order of the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// All of them.
    pub mistakes: Vec<Mistake>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.mistakes.iter().enumerate() {
            let line_end = if at == 0 { "" } else { "\n" };
            write!(f, "{line_end}{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Collects what is found while a file is read.
pub(super) struct Report<'t> {
    file: &'t str,
    text: &'t str,
    // A reader of each section holds the report at the same time.
    mistakes: RefCell<Vec<Mistake>>,
    warnings: RefCell<Vec<Warning>>,
}

impl<'t> Report<'t> {
    /// A report on `text`, which is in the file of that name.
    pub(super) fn new(file: &'t str, text: &'t str) -> Report<'t> {
        Report { file, text, mistakes: RefCell::default(), warnings: RefCell::default() }
    }

    /// The line that holds the byte at `offset`, counted from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// The file can't be used.
    pub(super) fn mistake(&self, line: usize, what: String) {
        self.mistakes.borrow_mut().push(Mistake { file: self.file.to_owned(), line, what });
    }

    /// The file can be used, but not for this.
    pub(super) fn warning(&self, line: usize, what: String) {
        self.warnings.borrow_mut().push(Warning { file: self.file.to_owned(), line, what });
    }

    /// What was read, if nothing was wrong.
    pub(super) fn finish<T>(self, read: T) -> Result<(T, Vec<Warning>), ConfigError> {
        let (mut mistakes, mut warnings) = (self.mistakes.into_inner(), self.warnings.into_inner());
        mistakes.sort_by_key(|mistake| mistake.line);
        warnings.sort_by_key(|warning| warning.line);
        if mistakes.is_empty() { Ok((read, warnings)) } else { Err(ConfigError { mistakes }) }
    }
}
