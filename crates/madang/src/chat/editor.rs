//! The line being typed: keys in, one row of a terminal out. Touches no terminal itself.
//!
//! The row never wraps; a long line scrolls sideways. So what is printed above it can't be off by a row, however wide
//! the characters: `reedline`'s external printer counts bytes for columns there, and paints over the message above
//! once thirty Korean characters are typed (0.52).

use std::collections::VecDeque;

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Lines that the arrow keys bring back.
const HISTORY_LINES_MAX: usize = 500;
/// Bytes that can be typed: a server takes no more.
const TEXT_BYTES_MAX: usize = 4096;

/// A key, as far as an editor cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// Characters, typed or pasted.
    Text(String),
    Enter,
    Tab,
    Backspace,
    Delete,
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    Up,
    Down,
    /// To the beginning of the line.
    KillLeft,
    /// To the end of the line.
    KillRight,
    KillWord,
    /// Ctrl-C.
    Cancel,
    /// Ctrl-D.
    EndOfInput,
}

/// What a key led to, beside the change on the row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    Submitted(String),
    /// Tab has several answers.
    Candidates(Vec<String>),
    Quit,
}

/// What Tab offers for a line up to the cursor: where the word begins, and what could stand there instead.
pub(crate) type Completer<'a> = &'a dyn Fn(&str) -> (usize, Vec<String>);

/// The line, the cursor, and the lines of before.
#[derive(Debug, Default)]
pub(crate) struct Editor {
    text: String,
    /// In bytes, always between two grapheme clusters.
    cursor: usize,
    history: VecDeque<String>,
    /// Which line of `history` is shown, and what was being typed.
    browsing: Option<(usize, String)>,
}

impl Editor {
    /// Does what a key does.
    pub(crate) fn press(&mut self, key: Key, complete: Completer<'_>) -> Effect {
        match key {
            Key::Text(text) => self.insert(&text),
            Key::Enter => return self.submit(),
            Key::Tab => return self.complete(complete),
            Key::Backspace => self.remove(self.before(), self.cursor),
            Key::Delete => self.remove(self.cursor, self.after()),
            Key::Left => self.cursor = self.before(),
            Key::Right => self.cursor = self.after(),
            Key::WordLeft => self.cursor = self.word_before(),
            Key::WordRight => self.cursor = self.word_after(),
            Key::Home => self.cursor = 0,
            Key::End => self.cursor = self.text.len(),
            Key::Up => self.browse(true),
            Key::Down => self.browse(false),
            Key::KillLeft => self.remove(0, self.cursor),
            Key::KillRight => self.remove(self.cursor, self.text.len()),
            Key::KillWord => self.remove(self.word_before(), self.cursor),
            Key::Cancel if self.text.is_empty() => return Effect::Quit,
            Key::Cancel => self.replace(String::new()),
            Key::EndOfInput if self.text.is_empty() => return Effect::Quit,
            Key::EndOfInput => self.remove(self.cursor, self.after()),
        }
        Effect::Nothing
    }

    /// What of the line fits into `columns`, and in which of them the cursor stands.
    pub(crate) fn row(&self, columns: usize) -> (String, usize) {
        // The cursor itself needs a column.
        let room = columns.saturating_sub(1);
        let clusters: Vec<(usize, &str)> = self.text.grapheme_indices(true).collect();
        let mut start = 0;
        let mut column = self.text[..self.cursor].width();
        for (at, cluster) in &clusters {
            if column <= room {
                break;
            }
            column = column.saturating_sub(cluster.width());
            start = at + cluster.len();
        }
        let mut shown = String::new();
        let mut width = 0;
        for cluster in self.text[start..].graphemes(true) {
            width += cluster.width();
            if width > room {
                break;
            }
            shown.push_str(cluster);
        }
        (shown, column)
    }

    fn insert(&mut self, text: &str) {
        // Pasted lines become one, so that nothing is said by accident.
        let text: String = text
            .replace("\r\n", " ")
            .chars()
            .map(|c| if matches!(c, '\r' | '\n' | '\t') { ' ' } else { c })
            .filter(|c| !c.is_control())
            .collect();
        if self.text.len() + text.len() > TEXT_BYTES_MAX {
            return;
        }
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
        // A combining character may have joined the cluster behind the cursor: stand after the whole of it.
        if !self.boundaries().any(|at| at == self.cursor) {
            self.cursor = self.after();
        }
    }

    fn submit(&mut self) -> Effect {
        self.browsing = None;
        self.cursor = 0;
        let line = std::mem::take(&mut self.text);
        if line.trim().is_empty() {
            return Effect::Nothing;
        }
        if self.history.back() != Some(&line) {
            if self.history.len() == HISTORY_LINES_MAX {
                self.history.pop_front();
            }
            self.history.push_back(line.clone());
        }
        Effect::Submitted(line)
    }

    fn complete(&mut self, complete: Completer<'_>) -> Effect {
        let (start, candidates) = complete(&self.text[..self.cursor]);
        let Some(first) = candidates.first() else { return Effect::Nothing };
        let mut common = first.as_str();
        for candidate in &candidates[1..] {
            let same = common.char_indices().zip(candidate.chars()).take_while(|((_, a), b)| a == b);
            let end = same.map(|((at, c), _)| at + c.len_utf8()).last().unwrap_or(0);
            common = &common[..end];
        }
        let typed = &self.text[start..self.cursor];
        if candidates.len() > 1 && common.len() <= typed.len() {
            return Effect::Candidates(candidates);
        }
        let common = common.to_owned();
        self.remove(start, self.cursor);
        self.insert(&common);
        Effect::Nothing
    }

    fn browse(&mut self, back: bool) {
        let (at, draft) = match self.browsing.take() {
            None => (self.history.len(), self.text.clone()),
            Some(browsing) => browsing,
        };
        let at = if back { at.saturating_sub(1) } else { (at + 1).min(self.history.len()) };
        match self.history.get(at).cloned() {
            Some(line) => {
                self.replace(line);
                self.browsing = Some((at, draft));
            }
            None => self.replace(draft),
        }
    }

    fn replace(&mut self, text: String) {
        self.cursor = text.len();
        self.text = text;
        self.browsing = None;
    }

    fn remove(&mut self, from: usize, to: usize) {
        self.text.replace_range(from..to, "");
        self.cursor = from;
    }

    fn boundaries(&self) -> impl DoubleEndedIterator<Item = usize> {
        self.text.grapheme_indices(true).map(|(at, _)| at).chain([self.text.len()])
    }

    fn before(&self) -> usize {
        self.boundaries().rev().find(|&at| at < self.cursor).unwrap_or(0)
    }

    fn after(&self) -> usize {
        self.boundaries().find(|&at| at > self.cursor).unwrap_or(self.text.len())
    }

    fn word_before(&self) -> usize {
        let words = self.text.unicode_word_indices().map(|(at, _)| at);
        words.take_while(|&at| at < self.cursor).last().unwrap_or(0)
    }

    fn word_after(&self) -> usize {
        let mut ends = self.text.unicode_word_indices().map(|(at, word)| at + word.len());
        ends.find(|&at| at > self.cursor).unwrap_or(self.text.len())
    }
}

#[cfg(test)]
mod tests;
