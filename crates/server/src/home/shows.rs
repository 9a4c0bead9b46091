//! Shows and seats, as a connection asks for them.
//!
//! Elsewhere: who may have which seat (`madang-room`), when its watchers hear of it (`rooms`).

use madang_room::{Refusal, RoomName, ShowCommand};
use madang_wire::{Answer, Joined, PerformanceRow, RequestId, ShowRow, Watching};

use super::conn::Pending;
use super::{Home, Surroundings};
use crate::message::{Ask, AskShow, Message, ResumeFrom, ShowAsk, Sight};
use crate::net::Net;
use crate::placement::ShardId;

impl<N: Net> Home<N> {
    pub(super) fn list_shows(&mut self, slot: u32, re: Option<RequestId>, around: &mut Surroundings<'_, N>) {
        let to = self.reference(slot);
        let shards: Vec<ShardId> = self.placement.shards().collect();
        let pending = Pending::Shows { re, shards_left: shards.len(), free: Vec::new() };
        self.with_chat(slot, |chat| {
            chat.pending = Some(Box::new(pending));
            chat.under_way += 1;
        });
        for shard in shards {
            around.out.send(shard, Message::ListShows { to });
        }
    }

    /// One shard has said how many seats of its performances are free.
    pub(super) fn shows_listed(&mut self, slot: u32, listed: Vec<(RoomName, usize)>) {
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let Some(Pending::Shows { shards_left, free, .. }) = chat.pending.as_deref_mut() else { return };
        free.extend(listed);
        *shards_left -= 1;
        if *shards_left > 0 {
            return;
        }
        let Some(Pending::Shows { re, free, .. }) = self.take_pending(slot) else { return };
        let config = self.config.clone();
        let free_in =
            |room: &RoomName| free.iter().find(|(name, _)| name == room).map_or(0, |(_, free)| *free);
        let shows = config.shows.iter().map(|show| ShowRow {
            show: show.id().into(),
            title: show.title.clone(),
            place: show.place.clone(),
            performances: show
                .performances
                .iter()
                .map(|performance| PerformanceRow {
                    performance: performance.room.clone(),
                    at: performance.at.clone(),
                    free: free_in(&performance.room),
                })
                .collect(),
        });
        self.reply(slot, re.as_ref(), &Ok(Answer::Shows { shows: shows.collect() }));
    }

    /// Into a performance's room: the answer has the seats as they are, and every change after it is heard.
    pub(super) fn watch(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        room: RoomName,
        resume: Option<ResumeFrom>,
        around: &mut Surroundings<'_, N>,
    ) {
        if self.config.show_of(&room).is_none() {
            return self.refuse(slot, re, Refusal::NoSuchShow { show: room.to_string() });
        }
        if self.has_too_many_rooms(slot, &re, &room) {
            return;
        }
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let person = chat.person.clone();
        chat.pending = Some(Box::new(Pending::Watch { room: room.clone() }));
        self.send_to_room(slot, re, room, Ask::Join { person, capacity: None, resume }, around);
    }

    pub(super) fn on_seats(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        performance: Option<RoomName>,
        command: ShowCommand,
        around: &mut Surroundings<'_, N>,
    ) {
        self.ask_show(slot, re, performance, ShowAsk::Command(command), around);
    }

    /// Asks a performance: the one that is named, or the one watched last.
    pub(super) fn ask_show(
        &mut self,
        slot: u32,
        re: Option<RequestId>,
        performance: Option<RoomName>,
        what: ShowAsk,
        around: &mut Surroundings<'_, N>,
    ) {
        let Some(chat) = self.conns[slot as usize].chat() else { return };
        let person = chat.person.clone();
        let Some(performance) = performance.or_else(|| chat.current_performance().cloned()) else {
            return self.refuse(slot, re, Refusal::NoPerformance);
        };
        let ask = Ask::Show(Box::new(AskShow { person, what }));
        self.send_to_room(slot, re, performance, ask, around);
    }
}

pub(super) fn watching(joined: Joined, sight: Sight) -> Answer {
    let Sight { map, status, mine } = sight;
    Answer::Watching(Box::new(Watching { joined, map, status, mine }))
}
