//! The state of a room, of whichever kind.
//!
//! Elsewhere: which kind a name stands for (`kinds`), what each kind decides (`madang-room`).

use madang_room::{
    Chat, Entry, Lobby, Refusal, RoomName, SavedChat, SavedLobby, SavedShow, Seq, Show, Text, Timestamp,
};

use super::kinds::Kind;

/// A fold over the room's log.
pub(super) enum State {
    Chat(Chat),
    Lobby(Box<Lobby>),
    Show(Box<Stage>),
}

/// A performance, and when its next hold ends.
pub(super) struct Stage {
    pub(super) show: Show,
    /// When its turn comes, as the shard knows it.
    pub(super) expires_at: Option<Timestamp>,
    /// The log could not take it before.
    pub(super) expires_not_before: Timestamp,
}

impl Stage {
    fn new(show: Show) -> Box<Stage> {
        Box::new(Stage { show, expires_at: None, expires_not_before: Timestamp::default() })
    }
}

impl State {
    /// The state of a room that nothing has happened in yet.
    pub(super) fn new(name: RoomName, kind: Kind<'_>) -> State {
        match kind {
            Kind::Chat | Kind::Group { .. } | Kind::Nothing => State::Chat(Chat::new(name)),
            Kind::Lobby(rule) => State::Lobby(Box::new(Lobby::new(name, rule.settings.clone()))),
            Kind::Performance(rule) => {
                State::Show(Stage::new(Show::new(name, rule.map.clone(), rule.hold_for)))
            }
        }
    }

    /// What [`State::save`] wrote. `None` where it can't be read.
    pub(super) fn load(name: RoomName, kind: Kind<'_>, state: &str) -> Option<State> {
        match kind {
            Kind::Chat | Kind::Group { .. } | Kind::Nothing => {
                let saved: SavedChat = serde_json::from_str(state).ok()?;
                Chat::load(name, &saved).map(State::Chat)
            }
            Kind::Lobby(rule) => {
                let saved: SavedLobby = serde_json::from_str(state).ok()?;
                let lobby = Lobby::load(name, rule.settings.clone(), &saved)?;
                Some(State::Lobby(Box::new(lobby)))
            }
            Kind::Performance(rule) => {
                let saved: SavedShow = serde_json::from_str(state).ok()?;
                let show = Show::load(name, rule.map.clone(), rule.hold_for, &saved)?;
                Some(State::Show(Stage::new(show)))
            }
        }
    }

    /// The state as it is stored beside the log.
    pub(super) fn save(&self) -> Option<String> {
        match self {
            State::Chat(chat) => serde_json::to_string(&chat.save()),
            State::Lobby(lobby) => serde_json::to_string(&lobby.save()),
            State::Show(stage) => serde_json::to_string(&stage.show.save()),
        }
        .ok()
    }

    pub(super) fn name(&self) -> &RoomName {
        match self {
            State::Chat(chat) => chat.name(),
            State::Lobby(lobby) => lobby.name(),
            State::Show(stage) => stage.show.name(),
        }
    }

    /// Its kind's name on the wire.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            State::Chat(_) => "chat",
            State::Lobby(_) => "lobby",
            State::Show(_) => "show",
        }
    }

    pub(super) fn apply(&mut self, entry: &Entry) {
        match self {
            State::Chat(chat) => chat.apply(entry.seq, &entry.event),
            State::Lobby(lobby) => lobby.apply(entry),
            State::Show(stage) => stage.show.apply(entry),
        }
    }

    /// Forgets the keys of events before `first`, which the log no longer keeps.
    pub(super) fn trim(&mut self, first: Seq) {
        match self {
            State::Chat(chat) => chat.trim(first),
            State::Lobby(_) => {}
            State::Show(stage) => stage.show.trim(first),
        }
    }

    /// How many members it holds; 0 is no limit.
    pub(super) fn capacity(&self, default: u32) -> u32 {
        match self {
            State::Chat(chat) => chat.capacity(default),
            State::Lobby(_) | State::Show(_) => 0,
        }
    }

    pub(super) fn topic(&self) -> Option<&Text> {
        match self {
            State::Chat(chat) => chat.topic(),
            State::Lobby(_) | State::Show(_) => None,
        }
    }

    /// Where people speak.
    pub(super) fn chat(&self) -> Result<&Chat, Refusal> {
        match self {
            State::Chat(chat) => Ok(chat),
            _ => Err(Refusal::NotAChat { room: self.name().clone(), kind: self.kind() }),
        }
    }

    pub(super) fn lobby(&self) -> Result<&Lobby, Refusal> {
        match self {
            State::Lobby(lobby) => Ok(lobby),
            _ => Err(Refusal::NoSuchLobby { lobby: self.name().clone() }),
        }
    }

    pub(super) fn show(&self) -> Result<&Show, Refusal> {
        match self {
            State::Show(stage) => Ok(&stage.show),
            _ => Err(Refusal::NoSuchShow { show: self.name().to_string() }),
        }
    }
}
