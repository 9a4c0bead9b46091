//! The listening half of a talk: what happens becomes lines.

use std::time::Duration;

use jiff::Timestamp;
use madang_client::{Change, Closing, Event, Events, Joined, Logged, Presence, What};

use super::Talk;
use super::line::{Kind, Line};
use super::view::View;

/// Attempts to come back that are told one by one: about half a minute of them.
const ATTEMPTS_TOLD_MAX: u32 = 7;

/// Shows what happens until there is nothing more; says how it ended.
pub(crate) async fn listen(talk: Talk, mut events: Events) -> Closing {
    let mut closing = Closing::Asked;
    while let Some(event) = events.next_event().await {
        let lines = {
            let mut view = talk.view();
            view.nick = talk.client.session().nick;
            let lines = lines(&event, &mut view);
            match room_of(&event) {
                Some(room) => view.pass(room, lines),
                None => lines,
            }
        };
        talk.show_all(lines).await;
        if let Event::Closed { why } = event {
            closing = why;
        }
    }
    closing
}

/// What an event looks like, and what it changes on the screen's idea of the world.
fn lines(event: &Event, view: &mut View) -> Vec<Line> {
    let line = match event {
        Event::Connected { nick, resumed } => {
            let was_away = !std::mem::replace(&mut view.connected, true);
            match (was_away, *resumed) {
                (false, _) => None,
                (true, true) if view.current().is_some() => None, // `Rejoined` says more
                (true, true) => Some(Line::connection("back")),
                (true, false) => Some(Line::connection(format!("back, as a newcomer: you are {nick}"))),
            }
        }
        Event::Disconnected { why, retry_in } => {
            let first = std::mem::replace(&mut view.connected, false);
            view.attempts = if first { 0 } else { view.attempts + 1 };
            let what = if first { "connection lost" } else { "still no connection" };
            let when = match view.attempts {
                ..ATTEMPTS_TOLD_MAX => format!("trying again in {}", seconds(*retry_in)),
                _ => "trying again until it works".to_owned(),
            };
            // An outage of a night must not fill the screen.
            let line = Line::connection(format!("{what} ({why}), {when}"));
            (view.attempts <= ATTEMPTS_TOLD_MAX).then_some(line)
        }
        Event::Rejoined { joined, missed } => Some(rejoined(joined, *missed, view)),
        Event::RejoinRefused { room, refusal } => {
            view.left(room);
            Some(Line::refusal(&refusal.code, &format!("no longer in {room}: {}", refusal.message)))
        }
        Event::NickAgain { nick } => Some(Line::note(format!("you are {nick} again"))),
        Event::Logged(logged) => return said(logged, view),
        Event::Presence(presence) => came_or_went(presence, view),
        Event::Told { from, text } => Some(Line::new(Kind::Told { from: from.clone(), text: text.clone() })),
        Event::Gap { room, from_seq, to_seq } if from_seq <= to_seq => Some(Line::note(format!(
            "you missed {from_seq} to {to_seq} of {room}; what is kept of it follows"
        ))),
        Event::Refused(refusal) => Some(Line::refusal(&refusal.code, &refusal.message)),
        Event::Bye(bye) => {
            let retry = bye.retry_ms.filter(|_| bye.resume).map(Duration::from_millis);
            let retry = retry.map(|wait| format!(", come back in {}", seconds(wait))).unwrap_or_default();
            Some(Line::note(format!("bye: {}{retry}", bye.why)))
        }
        _ => None,
    };
    line.into_iter().collect()
}

fn rejoined(joined: &Joined, missed: u64, view: &mut View) -> Line {
    view.members(&joined.room, joined.members.as_deref());
    let tag = view.tag(&joined.room);
    let text = match (joined.reset, missed) {
        (true, _) => "back, but the room has begun anew: what was missed can't be shown".to_owned(),
        (false, 0) => "back, nothing missed".to_owned(),
        (false, missed) => format!("back, missed {missed}:"),
    };
    Line::connection(text).in_room(tag)
}

fn said(logged: &Logged, view: &mut View) -> Vec<Line> {
    let kinds: Vec<Kind> = match &logged.what {
        What::Said { from, text } | What::Announced { from, text } => {
            view.came(&logged.room, from);
            vec![Kind::Said { from: from.clone(), text: text.clone() }]
        }
        What::Topic { from, text } => vec![Kind::Note(format!("{from} set the topic: {text}"))],
        What::Capacity { from, capacity: 0 } => vec![Kind::Note(format!("{from} took the limit away"))],
        What::Capacity { from, capacity } => vec![Kind::Note(format!("{from} set the limit to {capacity}"))],
        What::Grouped { participant, group } => {
            vec![Kind::Note(format!("{participant} joined group {group}"))]
        }
        What::Ungrouped { participant, group } => {
            vec![Kind::Note(format!("{participant} left group {group}"))]
        }
        What::Clapped { claps } => vec![Kind::Note(format!("claps {claps}"))],
        What::Seats { changes } => {
            changes.iter().map(|(seat, state)| Kind::Note(format!("seat {seat} {state}"))).collect()
        }
        _ => Vec::new(),
    };
    let (room, at) = (view.tag(&logged.room), moment(&logged.at));
    kinds.into_iter().map(|kind| Line { room: room.clone(), at, kind }).collect()
}

fn came_or_went(presence: &Presence, view: &mut View) -> Option<Line> {
    let room = &presence.room;
    let text = match &presence.change {
        Change::Joined { nick } => {
            view.came(room, nick);
            (*nick != view.nick).then(|| format!("{nick} joined"))?
        }
        Change::Left { nick, .. } => {
            view.went(room, nick);
            (*nick != view.nick).then(|| format!("{nick} left"))?
        }
        Change::Renamed { from, to } => {
            view.went(room, from);
            view.came(room, to);
            // One's own new name was shown as the answer to `/nick`.
            (*to != view.nick).then(|| format!("{from} is now {to}"))?
        }
        Change::Count { count } => format!("{count} here"),
        _ => return None,
    };
    Some(Line::note(text).in_room(view.tag(room)))
}

fn room_of(event: &Event) -> Option<&str> {
    match event {
        Event::Logged(logged) => Some(&logged.room),
        Event::Presence(presence) => Some(&presence.room),
        Event::Gap { room, .. } => Some(room),
        _ => None,
    }
}

/// The time that the server wrote, if it makes sense.
pub(crate) fn moment(at: &str) -> Option<Timestamp> {
    at.parse().ok()
}

/// `2s`, `0.4s`: exact enough for waiting.
fn seconds(wait: Duration) -> String {
    let text = format!("{:.1}", wait.as_secs_f64());
    format!("{}s", text.strip_suffix(".0").unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use madang_client::Lost;

    use super::*;

    fn view() -> View {
        let mut view = View::new("mina".into());
        view.entered("garden", None);
        view.entered("plaza", None);
        view
    }

    fn story(view: &mut View, events: &[Event]) -> String {
        let lines = events.iter().flat_map(|event| lines(event, view));
        lines.map(|line| line.plain()).collect::<Vec<_>>().join("\n")
    }

    fn joined(room: &str, reset: bool) -> Joined {
        Joined {
            room: room.into(),
            kind: "chat".into(),
            epoch: "e1".into(),
            seq: 10,
            count: 1,
            members: None,
            capacity: 0,
            topic: String::new(),
            reset,
        }
    }

    #[test]
    fn a_lost_connection_reads_as_one_story() {
        let lost = |ms| Event::Disconnected { why: Lost::Closed(None), retry_in: Duration::from_millis(ms) };
        let events = [
            lost(2000),
            lost(3960),
            Event::Connected { nick: "mina".into(), resumed: true },
            Event::Rejoined { joined: joined("plaza", false), missed: 0 },
            Event::Rejoined { joined: joined("garden", false), missed: 3 },
        ];
        let expected = "\
connection lost (the server closed the connection), trying again in 2s
still no connection (the server closed the connection), trying again in 4s
back, nothing missed
[garden] back, missed 3:";
        assert_eq!(story(&mut view(), &events), expected);
    }

    #[test]
    fn a_long_outage_falls_silent() {
        let events: Vec<Event> = (0..100)
            .map(|_| Event::Disconnected {
                why: Lost::NotBack("connection refused".into()),
                retry_in: Duration::from_secs(10),
            })
            .collect();
        let story = story(&mut view(), &events);
        assert_eq!(story.lines().count() as u32, 1 + ATTEMPTS_TOLD_MAX);
        assert!(story.ends_with("still no connection (connection refused), trying again until it works"));
    }

    #[test]
    fn ones_own_coming_and_going_is_not_news() {
        let presence = |change| Event::Presence(Presence { room: "plaza".into(), change });
        let events = [
            presence(Change::Joined { nick: "mina".into() }),
            presence(Change::Joined { nick: "jun".into() }),
            presence(Change::Renamed { from: "jun".into(), to: "June".into() }),
            presence(Change::Left { nick: "June".into(), why: None }),
        ];
        assert_eq!(story(&mut view(), &events), "* jun joined\n* jun is now June\n* June left");
    }

    #[test]
    fn another_room_is_named() {
        let said = |room: &str| {
            let what = What::Said { from: "jun".into(), text: "hi".into() };
            Event::Logged(Logged { room: room.into(), seq: 1, at: String::new(), what })
        };
        assert_eq!(story(&mut view(), &[said("plaza"), said("garden")]), "<jun> hi\n[garden] <jun> hi");
    }
}
