//! What a lobby is asked, and whom it tells what became of it.
//!
//! A lobby's places are kept on the disk before anybody hears of them. The groups' rooms live on the same shard: what a
//! lobby tells them waits for the disk like any answer.
//!
//! Elsewhere: who gets which place (`madang-room`), who is there (`attendance`), the way into a group's room (`groups`).

use std::time::Duration;

use madang_room::{
    Actor, Decided, LobbyCommand, LobbyOutcome, Nick, Participant, Presence, Refusal, SessionId, WhyLeft,
};
use madang_wire::{Answer, GroupRow, RequestId};

use super::room::{Context, Room};
use crate::message::{Ask, AskLobby, ConnAnswer, Freed, LobbyAsk, Message, Person, Placed, RoomMessage};
use crate::placement::ConnRef;

/// How long one who got a place may take into the group's room. It is on the way there already.
const ENTER_WITHIN: Duration = Duration::from_secs(10);
/// When a place that should have lapsed, and could not, is looked at again.
const LAPSE_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Room {
    pub(super) fn ask_lobby(
        &mut self,
        from: ConnRef,
        re: Option<RequestId>,
        ask: AskLobby,
        context: &mut Context<'_>,
    ) {
        let AskLobby { person, is_host, what } = ask;
        let command = match what {
            LobbyAsk::Checkin { participant } => LobbyCommand::Checkin { participant },
            LobbyAsk::Checkout => LobbyCommand::Checkout,
            LobbyAsk::Lapse => LobbyCommand::Lapse { session: person.session },
            LobbyAsk::Clap => LobbyCommand::Clap,
            LobbyAsk::Announce { text } => LobbyCommand::Announce { text },
            LobbyAsk::Groups => {
                let result = self.groups();
                return self.answer(from, re, result, context);
            }
            LobbyAsk::Tell { to, text } => {
                let result = self.participant(&to, context).map(|conn| {
                    let from = person.nick.clone();
                    context.out.tell_conn(conn, ConnAnswer::Told { from, text: text.clone() });
                    Answer::Told { to, text }
                });
                return self.answer(from, re, result, context);
            }
        };
        let is_asked = !matches!(command, LobbyCommand::Lapse { .. });
        match self.decide_on_places(&command, from, &person, is_host, context) {
            Ok((outcome, is_new)) => {
                self.tell_outcome(outcome, is_new, is_asked, from, re, &person, context);
            }
            Err(refusal) => match command {
                LobbyCommand::Checkin { .. } => {
                    self.send(from, ConnAnswer::CheckedIn { re, result: Err(refusal) }, context);
                }
                LobbyCommand::Checkout => {
                    self.send(from, ConnAnswer::CheckedOut { re, result: Err(refusal) }, context);
                }
                LobbyCommand::Lapse { session } => {
                    let until = context.now.plus(LAPSE_AGAIN_AFTER);
                    context.attendance.postpone(self.name(), session, until);
                }
                LobbyCommand::Clap | LobbyCommand::Announce { .. } => {
                    self.answer(from, re, Err(refusal), context);
                }
            },
        }
    }

    /// What became of a command, and whether it changed anything.
    fn decide_on_places(
        &mut self,
        command: &LobbyCommand,
        from: ConnRef,
        person: &Person,
        is_host: bool,
        context: &mut Context<'_>,
    ) -> Result<(LobbyOutcome, bool), Refusal> {
        let actor = Actor { nick: person.nick.clone(), session: person.session, is_member: true, is_host };
        let now = context.now.max(self.last_at);
        let Decided { events, outcome } = self.state.lobby()?.decide(command, &actor, now)?;
        let is_new = !events.is_empty();
        if is_new {
            self.check_log(context)?;
            let making = self.making();
            self.record(making.into_iter().chain(events), from, context.now);
        }
        Ok((outcome, is_new))
    }

    fn tell_outcome(
        &mut self,
        outcome: LobbyOutcome,
        is_new: bool,
        is_asked: bool,
        from: ConnRef,
        re: Option<RequestId>,
        person: &Person,
        context: &mut Context<'_>,
    ) {
        match outcome {
            LobbyOutcome::CheckedIn { participant, group, replaced } => {
                let until = context.now.plus(ENTER_WITHIN);
                context.attendance.expect(self.name(), person.session, &person.nick, until);
                if let Some(older) = replaced {
                    self.displace(older, &participant, group, from, context);
                }
                let room = self.group_room(group);
                let placed = Placed { lobby: self.name().clone(), group, room };
                self.send(from, ConnAnswer::CheckedIn { re, result: Ok(Box::new(placed)) }, context);
                if is_new {
                    let nick = person.nick.clone();
                    self.tell_group(group, Presence::Grouped { nick, participant, group }, from, context);
                }
            }
            LobbyOutcome::CheckedOut { participant, group, stayed } => {
                let why = (from == ConnRef::NOBODY).then_some(WhyLeft::Lost);
                self.tell_ungrouped(person.session, participant, group, why, from, context);
                context.attendance.forget(self.name(), person.session);
                if is_asked {
                    let freed = Box::new(Freed { group, room: self.group_room(group), stayed });
                    self.send(from, ConnAnswer::CheckedOut { re, result: Ok(freed) }, context);
                }
            }
            LobbyOutcome::NothingLapsed => context.attendance.forget(self.name(), person.session),
            LobbyOutcome::Clapped { claps } => {
                self.answer(from, re, Ok(Answer::Clapped { claps }), context);
            }
            LobbyOutcome::Announced => {
                let seq = self.last;
                self.answer(from, re, Ok(Answer::Recorded { seq }), context);
            }
        }
    }

    /// Tells a session that somebody else has its place, and the group.
    fn displace(
        &mut self,
        older: SessionId,
        participant: &Participant,
        group: u32,
        from: ConnRef,
        context: &mut Context<'_>,
    ) {
        if let Some(conn) = context.attendance.conn(self.name(), older) {
            let room = self.group_room(group);
            let why = Box::new(Refusal::IdInUse { participant: participant.clone(), group });
            self.send(conn, ConnAnswer::Displaced { room, why }, context);
        }
        let why = Some(WhyLeft::Replaced);
        self.tell_ungrouped(older, participant.clone(), group, why, from, context);
    }

    fn tell_ungrouped(
        &mut self,
        session: SessionId,
        participant: Participant,
        group: u32,
        why: Option<WhyLeft>,
        from: ConnRef,
        context: &mut Context<'_>,
    ) {
        // Of one who has not been seen since the server started, the id is all that is known.
        let nick = context.attendance.nick(self.name(), session).cloned();
        let Some(nick) = nick.or_else(|| Nick::parse(participant.as_str()).ok()) else { return };
        self.tell_group(group, Presence::Ungrouped { nick, participant, group, why }, from, context);
    }

    fn tell_group(&mut self, group: u32, presence: Presence, from: ConnRef, context: &mut Context<'_>) {
        let ask = Ask::Place(Box::new(presence));
        let message = RoomMessage { room: self.group_room(group), from, re: None, ask };
        let me = context.out.me();
        self.pass_on(me, Message::Room(message), context);
    }

    fn group_room(&self, group: u32) -> madang_room::RoomName {
        self.state.lobby().map_or_else(|_| self.name().clone(), |lobby| lobby.group_room(group))
    }

    fn groups(&self) -> Result<Answer, Refusal> {
        let row = |(group, participants): (u32, &[Participant])| GroupRow {
            group,
            participants: participants.into(),
        };
        Ok(Answer::Groups { groups: self.state.lobby()?.groups().map(row).collect() })
    }

    /// The connection of the participant with that id.
    fn participant(&self, to: &Nick, context: &Context<'_>) -> Result<ConnRef, Refusal> {
        let place = self.state.lobby()?.find(to.as_str());
        let conn = place.and_then(|(_, place)| context.attendance.conn(self.name(), place.session));
        conn.ok_or_else(|| Refusal::NoSuchNick { nick: to.clone() })
    }

    /// May this session be in that group's room?
    pub(super) fn check_place(&self, session: SessionId, group: u32) -> Result<(), Refusal> {
        let lobby = self.state.lobby()?;
        match lobby.place_of(session) {
            Some((_, place)) if place.group == group => Ok(()),
            Some((own, place)) => {
                Err(Refusal::AlreadyCheckedIn { participant: own.clone(), group: place.group })
            }
            None => Err(lobby.not_checked_in()),
        }
    }
}
