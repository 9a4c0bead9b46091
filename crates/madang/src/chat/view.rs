//! What the person at the terminal is looking at: which rooms, which of them is the current one, who is there.
//! Plain state; both the listening and the obeying half of a talk change it, for a few lines at a time.

use std::collections::{BTreeMap, BTreeSet};

use super::line::Line;

/// Names of each kind that Tab can offer; more are not remembered.
const NAMES_MAX: usize = 2_000;
/// Lines that wait while a room's past is being fetched; more are shown at once.
const HELD_LINES_MAX: usize = 1_000;

#[derive(Debug, Default)]
pub(crate) struct View {
    pub(crate) nick: String,
    pub(crate) connected: bool,
    /// Attempts to come back since the connection was lost.
    pub(crate) attempts: u32,
    /// In the order of joining: the last one is the current room.
    rooms: Vec<String>,
    people: BTreeMap<String, BTreeSet<String>>,
    /// Rooms that were listed once, for Tab.
    listed: BTreeSet<String>,
    /// What happens in the room being joined waits, so that its past is shown first.
    held: Option<(String, Vec<Line>)>,
}

impl View {
    /// Connected as `nick`, in no room yet.
    pub(crate) fn new(nick: String) -> View {
        View { nick, connected: true, ..View::default() }
    }

    /// The room that plain lines are said to.
    pub(crate) fn current(&self) -> Option<&str> {
        self.rooms.last().map(String::as_str)
    }

    /// The room's name where a reader needs it: not for the current one.
    pub(crate) fn tag(&self, room: &str) -> Option<String> {
        (self.current() != Some(room)).then(|| room.to_owned())
    }

    pub(crate) fn entered(&mut self, room: &str, members: Option<&[String]>) {
        self.rooms.retain(|other| other != room);
        self.rooms.push(room.to_owned());
        self.members(room, members);
    }

    /// Who is in `room`, as far as it is known.
    pub(crate) fn members(&mut self, room: &str, members: Option<&[String]>) {
        let members = members.unwrap_or_default().iter().take(NAMES_MAX).cloned();
        self.people.insert(room.to_owned(), members.collect());
    }

    pub(crate) fn left(&mut self, room: &str) {
        let room = room.to_lowercase();
        self.rooms.retain(|other| other.to_lowercase() != room);
        self.people.retain(|other, _| other.to_lowercase() != room);
    }

    pub(crate) fn came(&mut self, room: &str, nick: &str) {
        if let Some(people) = self.people.get_mut(room).filter(|people| people.len() < NAMES_MAX) {
            people.insert(nick.to_owned());
        }
    }

    pub(crate) fn went(&mut self, room: &str, nick: &str) {
        if let Some(people) = self.people.get_mut(room) {
            people.remove(nick);
        }
    }

    pub(crate) fn list(&mut self, rooms: impl Iterator<Item = String>) {
        self.listed = rooms.take(NAMES_MAX).collect();
    }

    /// From now on lines of `room` wait for [`View::release`].
    pub(crate) fn hold(&mut self, room: &str) {
        self.held = Some((room.to_lowercase(), Vec::new()));
    }

    /// The lines that waited. They were made before the room was the current one.
    pub(crate) fn release(&mut self) -> Vec<Line> {
        let lines = self.held.take().map(|(_, lines)| lines).unwrap_or_default();
        let untagged =
            |line: Line| Line { room: line.room.filter(|room| self.current() != Some(room)), ..line };
        lines.into_iter().map(untagged).collect()
    }

    /// Gives back what is to be shown now.
    pub(crate) fn pass(&mut self, room: &str, lines: Vec<Line>) -> Vec<Line> {
        match &mut self.held {
            Some((held, waiting)) if *held == room.to_lowercase() && waiting.len() < HELD_LINES_MAX => {
                waiting.extend(lines);
                Vec::new()
            }
            _ => lines,
        }
    }

    /// Everybody known, oneself excepted.
    pub(crate) fn nicks(&self) -> BTreeSet<&str> {
        self.people.values().flatten().map(String::as_str).filter(|nick| *nick != self.nick).collect()
    }

    /// Every room known.
    pub(crate) fn room_names(&self) -> BTreeSet<&str> {
        self.rooms.iter().chain(&self.listed).map(String::as_str).collect()
    }

    /// What stands before the line being typed.
    pub(crate) fn prompt(&self) -> String {
        let away = if self.connected { "" } else { " (no connection)" };
        match self.current() {
            Some(room) => format!("{}@{room}{away}> ", self.nick),
            None => format!("{}{away}> ", self.nick),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_leaving_the_room_before_is_current_again() {
        let mut view = View::new("mina".into());
        view.entered("plaza", None);
        view.entered("garden", None);
        assert_eq!((view.prompt().as_str(), view.tag("plaza")), ("mina@garden> ", Some("plaza".into())));
        view.left("Garden");
        assert_eq!((view.current(), view.tag("plaza")), (Some("plaza"), None));
        view.left("plaza");
        assert_eq!(view.prompt(), "mina> ");
    }

    #[test]
    fn lines_of_a_room_being_joined_wait() {
        let mut view = View::default();
        view.hold("Garden");
        let line = Line::note("jun joined".into());
        assert_eq!(view.pass("garden", vec![line.clone()]), []);
        assert_eq!(view.pass("plaza", vec![line.clone()]).len(), 1);
        assert_eq!(view.release().len(), 1);
        assert_eq!(view.pass("garden", vec![line]).len(), 1);
    }
}
