//! Which kind of room a name stands for: what the configuration makes of its family.

use std::sync::Arc;

use foldhash::HashMap;
use madang_log::Durability;
use madang_room::RoomName;
use smol_str::SmolStr;

use crate::config::{Config, LobbyRule, RoomSettings, ShowRule};

/// The configured families of rooms, by what stands before `/`.
pub(super) struct Kinds {
    config: Arc<Config>,
    families: HashMap<SmolStr, Family>,
}

/// The configuration's lobby or show with that number.
enum Family {
    Lobby(usize),
    Show(usize),
}

/// What a room is.
#[derive(Clone, Copy)]
pub(super) enum Kind<'c> {
    /// Anybody's.
    Chat,
    Lobby(&'c LobbyRule),
    /// The chat room of one of a lobby's groups.
    Group {
        lobby: &'c LobbyRule,
        number: u32,
    },
    Performance(&'c ShowRule),
    /// A show's, and there is no such performance.
    Nothing,
}

impl Kinds {
    pub(super) fn new(config: Arc<Config>) -> Kinds {
        let lobbies =
            config.lobbies.iter().map(|lobby| lobby.name.key().into()).zip((0..).map(Family::Lobby));
        let shows = config.shows.iter().map(|show| show.id.key().into()).zip((0..).map(Family::Show));
        let families = lobbies.chain(shows).collect();
        Kinds { config, families }
    }

    pub(super) fn of(&self, room: &RoomName) -> Kind<'_> {
        match self.families.get(room.family()) {
            Some(Family::Lobby(at)) => {
                let lobby = &self.config.lobbies[*at];
                match number_of(room) {
                    _ if !room.is_inner() => Kind::Lobby(lobby),
                    Some(number) => Kind::Group { lobby, number },
                    None => Kind::Chat,
                }
            }
            // A show's own name is anybody's room.
            Some(Family::Show(_)) if !room.is_inner() => Kind::Chat,
            Some(Family::Show(at)) => {
                let show = &self.config.shows[*at];
                let is_there = show.performances.iter().any(|performance| performance.room == *room);
                if is_there { Kind::Performance(show) } else { Kind::Nothing }
            }
            None => Kind::Chat,
        }
    }

    /// Those of its name. What people hold in lobbies and shows is on the disk before anybody is told of it, and how
    /// many there may be is not for a rule of rooms to say.
    pub(super) fn settings(&self, room: &RoomName) -> RoomSettings {
        let settings = self.config.room_settings(room).clone();
        match self.of(room) {
            Kind::Chat | Kind::Nothing => settings,
            Kind::Group { .. } => RoomSettings { capacity: 0, ..settings },
            Kind::Lobby(_) | Kind::Performance(_) => {
                RoomSettings { capacity: 0, durability: Durability::Sync, ..settings }
            }
        }
    }

    /// The rooms that are there from the start, and stay.
    pub(super) fn lasting(&self) -> impl Iterator<Item = &RoomName> {
        let performances = self.config.shows.iter().flat_map(|show| &show.performances);
        let lobbies = self.config.lobbies.iter().map(|lobby| &lobby.name);
        lobbies.chain(performances.map(|performance| &performance.room))
    }
}

/// The number of a group's room, in its one spelling: `day19/3`.
fn number_of(room: &RoomName) -> Option<u32> {
    let (_, number) = room.key().split_once('/')?;
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    is_plain.then(|| number.parse().ok()).flatten()
}
