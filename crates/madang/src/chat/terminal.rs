//! The screen of a terminal: one row at the bottom for the line being typed, everything else printed above it and
//! left to the terminal's own scrollback.
//!
//! One loop owns the terminal, so keys and lines can't draw over each other. A line that was entered is taken off
//! the row; what was said appears above when the server says so, like everybody else's, in the server's order.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::thread;

use crossterm::cursor::MoveToColumn;
use crossterm::event::{
    self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
};
use crossterm::terminal::{self, Clear, ClearType};
use crossterm::{execute, queue};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use unicode_width::UnicodeWidthStr;

use super::editor::{Editor, Effect, Key};
use super::line::Line;
use super::view::View;
use super::{Ended, complete, lock};

/// Lines that are printed before the row is drawn again.
const BATCH_LINES_MAX: usize = 100;
/// Keys that wait for the loop; the rest waits in the terminal.
const KEYS_WAITING_MAX: usize = 64;
/// Columns that the prompt leaves for typing, at least.
const TYPING_COLUMNS_MIN: usize = 20;

/// Edits and prints until there is nothing more to print, or nobody wants to wait for it.
pub(crate) async fn run(
    typed: mpsc::Sender<String>,
    mut lines: mpsc::Receiver<Line>,
    view: Arc<Mutex<View>>,
) -> io::Result<Ended> {
    let raw = RawMode::enter()?;
    let mut keys = keys();
    let mut terminate = signal(SignalKind::terminate())?;
    // Gone once the end is asked for: that is how the obeying half learns of it.
    let mut typed = Some(typed);
    let mut hung_up = false;
    let mut screen = Screen { editor: Editor::default(), view, colours: colours_wanted() };
    let mut batch = Vec::new();
    screen.draw(&[])?;
    let ended = loop {
        tokio::select! {
            printed = lines.recv_many(&mut batch, BATCH_LINES_MAX) => {
                if printed == 0 {
                    break Ended::Whole;
                }
                screen.draw(&batch)?;
                batch.clear();
            }
            event = keys.recv(), if !hung_up => match (event, &typed) {
                (None, _) => (hung_up, typed) = (true, None),
                (Some(event), None) if is_cancel(&event) => break Ended::Impatient,
                (Some(_), None) => {}
                (Some(event), Some(sender)) => {
                    let goes_on = screen.handle(event, sender)?;
                    typed = typed.filter(|_| goes_on);
                }
            },
            _ = terminate.recv() => typed = None,
        }
    };
    screen.erase()?;
    drop(raw);
    Ok(ended)
}

struct Screen {
    editor: Editor,
    view: Arc<Mutex<View>>,
    colours: bool,
}

impl Screen {
    /// Does what a key asks for. False when it asked for the end.
    fn handle(&mut self, event: Event, typed: &mpsc::Sender<String>) -> io::Result<bool> {
        let key = match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => key_of(key),
            Event::Paste(text) => Some(Key::Text(text)),
            _ => None,
        };
        let Some(key) = key else {
            self.draw(&[])?; // perhaps the size changed
            return Ok(true);
        };
        let view = self.view.clone();
        let effect = self.editor.press(key, &|line| complete::candidates(line, &lock(&view)));
        match effect {
            Effect::Nothing => self.draw(&[])?,
            Effect::Candidates(names) => {
                let names: Vec<&str> = names.iter().map(|name| name.trim_end()).collect();
                self.draw(&[Line::note(names.join("  "))])?;
            }
            Effect::Submitted(line) => {
                // Refused rather than waited for: a stuck server must not stop the keys.
                let refused = typed.try_send(line).is_err();
                let busy = Line::refusal("too_fast", "the lines before this one are still being sent");
                self.draw(if refused { std::slice::from_ref(&busy) } else { &[] })?;
            }
            Effect::Quit => {
                // In words, because a person who leaves is not a pipe that ends: nothing is waited for. If it finds
                // no place, dropping the sender ends it as well.
                let _ = typed.try_send("/quit".to_owned());
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Prints lines where the row was, and the row below them.
    fn draw(&self, lines: &[Line]) -> io::Result<()> {
        let columns = terminal::size().map_or(80, |(columns, _)| usize::from(columns.max(1)));
        let prompt = fitting_end(&super::line::clean(&lock(&self.view).prompt()), columns);
        let prompt_columns = prompt.width();
        let (row, cursor) = self.editor.row(columns.saturating_sub(prompt_columns));
        let column = u16::try_from(prompt_columns + cursor).unwrap_or(u16::MAX);

        let mut out = io::stdout().lock();
        queue!(out, MoveToColumn(0), Clear(ClearType::FromCursorDown))?;
        for line in lines {
            write!(out, "{}\r\n", line.fancy(self.colours))?;
        }
        write!(out, "{prompt}{row}")?;
        queue!(out, MoveToColumn(column))?;
        out.flush()
    }

    fn erase(&self) -> io::Result<()> {
        execute!(io::stdout().lock(), MoveToColumn(0), Clear(ClearType::FromCursorDown))
    }
}

/// The end of a prompt that leaves some columns for typing.
fn fitting_end(prompt: &str, columns: usize) -> String {
    let room = columns.saturating_sub(TYPING_COLUMNS_MIN);
    let mut rest = prompt;
    while rest.width() > room {
        let mut chars = rest.chars();
        chars.next();
        rest = chars.as_str();
    }
    rest.to_owned()
}

/// Keys, as they are pressed. Read on a thread of its own, which ends with the program.
fn keys() -> mpsc::Receiver<Event> {
    let (pressed, keys) = mpsc::channel(KEYS_WAITING_MAX);
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if pressed.blocking_send(event).is_err() {
                return;
            }
        }
    });
    keys
}

/// Ctrl-C, which after the end was asked for means: at once.
fn is_cancel(event: &Event) -> bool {
    matches!(event, Event::Key(key) if key_of(*key) == Some(Key::Cancel))
}

fn key_of(key: KeyEvent) -> Option<Key> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    Some(match key.code {
        KeyCode::Char('a') if control => Key::Home,
        KeyCode::Char('b') if control => Key::Left,
        KeyCode::Char('c') if control => Key::Cancel,
        KeyCode::Char('d') if control => Key::EndOfInput,
        KeyCode::Char('e') if control => Key::End,
        KeyCode::Char('f') if control => Key::Right,
        KeyCode::Char('h') if control => Key::Backspace,
        KeyCode::Char('j' | 'm') if control => Key::Enter,
        KeyCode::Char('k') if control => Key::KillRight,
        KeyCode::Char('n') if control => Key::Down,
        KeyCode::Char('p') if control => Key::Up,
        KeyCode::Char('u') if control => Key::KillLeft,
        KeyCode::Char('w') if control => Key::KillWord,
        KeyCode::Char('b') if alt => Key::WordLeft,
        KeyCode::Char('f') if alt => Key::WordRight,
        KeyCode::Char(c) if !control && !alt => Key::Text(c.to_string()),
        KeyCode::Enter => Key::Enter,
        KeyCode::Tab => Key::Tab,
        KeyCode::Backspace if control || alt => Key::KillWord,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        KeyCode::Left if control || alt => Key::WordLeft,
        KeyCode::Right if control || alt => Key::WordRight,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}

/// <https://no-color.org>
fn colours_wanted() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Raw mode for as long as it lives: however the talk ends, the shell gets its terminal back.
struct RawMode;

impl RawMode {
    fn enter() -> io::Result<RawMode> {
        terminal::enable_raw_mode()?;
        let raw = RawMode;
        execute!(io::stdout().lock(), EnableBracketedPaste)?;
        Ok(raw)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _ = execute!(io::stdout().lock(), DisableBracketedPaste);
        let _ = terminal::disable_raw_mode();
    }
}

#[cfg(test)]
mod tests {
    use super::fitting_end;

    #[test]
    fn a_long_prompt_leaves_room_for_typing() {
        assert_eq!(fitting_end("mina@plaza> ", 80), "mina@plaza> ");
        assert_eq!(fitting_end("김철수@광장> ", 30), "수@광장> ");
        assert_eq!(fitting_end("mina@plaza> ", 5), "");
    }
}
