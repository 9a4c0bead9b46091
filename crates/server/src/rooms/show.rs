//! What a performance is asked, and what time does to it.
//!
//! Elsewhere: who may have which seat (`madang-room`), when time is looked at (`rooms`).

use std::time::Duration;

use madang_room::{
    Actor, Decided, Nick, Refusal, SessionId, ShowCommand, ShowLimits, ShowOutcome, Timestamp,
};
use madang_wire::{Answer, RequestId, Seating};

use super::room::{Context, Room};
use super::state::State;
use crate::message::{AskShow, Person, ShowAsk, Sight};
use crate::placement::ConnRef;

/// Seats that one command may name.
const SEATS_ASKED_MAX: u32 = 100;
/// When holds that have ended, and could not be written down, are looked at again.
const EXPIRE_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Room {
    pub(super) fn ask_show(
        &mut self,
        from: ConnRef,
        re: Option<RequestId>,
        ask: AskShow,
        context: &mut Context<'_>,
    ) {
        let AskShow { person, what } = ask;
        let result = match what {
            ShowAsk::Seats => self.seating(person.session, context.now),
            ShowAsk::Command(command) => {
                self.decide_on_seats(&command, from, &person, context).map(answer_to)
            }
        };
        self.answer(from, re, result, context);
    }

    fn decide_on_seats(
        &mut self,
        command: &ShowCommand,
        from: ConnRef,
        person: &Person,
        context: &mut Context<'_>,
    ) -> Result<ShowOutcome, Refusal> {
        let Person { nick, session } = person;
        let actor = Actor { nick: nick.clone(), session: *session, is_member: true, is_host: false };
        let limits = ShowLimits { seats_held: context.seats_held, seats_asked: SEATS_ASKED_MAX };
        let now = context.now.max(self.last_at);
        let Decided { events, outcome } = self.state.show()?.decide(command, &actor, limits, now)?;
        if !events.is_empty() {
            self.check_log(context)?;
            let making = self.making();
            self.record(making.into_iter().chain(events), from, context.now);
        }
        Ok(outcome)
    }

    fn seating(&self, session: SessionId, now: Timestamp) -> Result<Answer, Refusal> {
        let show = self.state.show()?;
        Ok(Answer::Seats(Box::new(Seating {
            performance: self.name().clone(),
            epoch: self.epochs.current().as_str().into(),
            seq: self.last,
            map: show.map().clone(),
            status: show.seats().map(|(_, status)| status).collect(),
            mine: show.mine(session, now).into_iter().map(|(seat, _)| seat).collect(),
        })))
    }

    /// What one who comes in sees.
    pub(super) fn sight(&self, session: SessionId, now: Timestamp) -> Option<Box<Sight>> {
        let show = self.state.show().ok()?;
        let status = show.seats().map(|(_, status)| status).collect();
        Some(Box::new(Sight { map: show.map().clone(), status, mine: show.mine(session, now) }))
    }

    /// How many seats are free, where it has any.
    pub(super) fn free_seats(&self) -> Option<usize> {
        self.state.show().ok().map(madang_room::Show::free)
    }

    /// When [`Room::expire`] is due, where that is not known to the caller yet.
    pub(super) fn poll_deadline(&mut self) -> Option<Timestamp> {
        let State::Show(stage) = &mut self.state else { return None };
        let due = stage.show.next_deadline()?.max(stage.expires_not_before);
        let is_sooner = stage.expires_at.is_none_or(|known| due < known);
        is_sooner.then(|| *stage.expires_at.insert(due))
    }

    /// Frees the seats whose holds have ended.
    pub(super) fn expire(&mut self, context: &mut Context<'_>) {
        let server = Person { nick: Nick::server(), session: SessionId::SERVER };
        let expired = self.decide_on_seats(&ShowCommand::Expire, ConnRef::NOBODY, &server, context);
        let State::Show(stage) = &mut self.state else { return };
        stage.expires_at = None;
        if expired.is_err() {
            // They count as free all the same.
            stage.expires_not_before = context.now.plus(EXPIRE_AGAIN_AFTER);
        }
    }
}

fn answer_to(outcome: ShowOutcome) -> Answer {
    match outcome {
        ShowOutcome::Held { seats, until } => Answer::Held { seats, until },
        ShowOutcome::Released { seats } => Answer::Released { seats },
        ShowOutcome::Reserved { seats, code } => Answer::Reserved { seats, reservation: code },
        ShowOutcome::Cancelled { seats } => Answer::Cancelled { seats },
        // Nobody asks for it.
        ShowOutcome::Expired { .. } => Answer::Released { seats: Vec::new() },
    }
}
