//! The description of the API, made from the code: paths from the handlers, bodies from the types here.
//!
//! What is answered is written by `madang-wire`, straight into bytes; these types only describe it. A test holds them
//! against what is written.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use utoipa::{OpenApi, ToSchema};

use super::{answer, api, operations};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Madang",
        description = "Rooms over HTTP. The same rooms are reached by lines of text, WebSocket (/ws) and Socket.IO (/socket.io/)."
    ),
    paths(
        api::rooms,
        api::events,
        api::post_message,
        api::shows,
        api::seats,
        operations::metrics,
        operations::healthz,
        operations::readyz,
        operations::version
    ),
    components(schemas(Event))
)]
struct Description;

/// The description as it is sent.
static DESCRIPTION: LazyLock<String> = LazyLock::new(|| {
    Description::openapi().to_json().expect("a description that is made from types has a JSON form")
});

pub(super) async fn description() -> Response<Body> {
    answer::in_json(StatusCode::OK, DESCRIPTION.clone().into_bytes())
}

macro_rules! described {
    ($($(#[$about:meta])* struct $name:ident { $($(#[$field_about:meta])* $field:ident: $kind:ty,)* })*) => {
        $(
            $(#[$about])*
            #[derive(ToSchema)]
            #[cfg_attr(test, derive(serde::Deserialize))]
            #[cfg_attr(test, serde(deny_unknown_fields))]
            #[expect(dead_code, reason = "it describes what madang-wire writes")]
            pub(super) struct $name { $($(#[$field_about])* $field: $kind,)* }
        )*
    };
}

described! {
    /// Rooms.
    struct Rooms {
        rooms: Vec<Room>,
    }

    /// A room that somebody is in.
    struct Room {
        room: String,
        /// `chat`, `lobby` or `show`.
        kind: String,
        /// Members now.
        count: usize,
        /// Members it holds; 0 is no limit.
        capacity: u32,
    }

    /// A part of a room's past.
    struct History {
        events: Vec<Event>,
        /// The oldest seq that is still kept.
        first: u64,
        /// The newest seq.
        seq: u64,
        /// Who vouches for the numbers: in another epoch they mean something else.
        epoch: String,
    }

    /// Something that happened in a room.
    struct Event {
        /// `created`, `said`, `topic` or `capacity`; in a lobby also `grouped`, `ungrouped`, `clapped` and `announced`;
        /// in a performance's room `seats`.
        ev: String,
        room: String,
        /// Its position in the room: 1, 2, 3 and so on.
        seq: u64,
        /// When, in RFC 3339.
        at: String,
        /// Of those that somebody did under a name.
        from: Option<String>,
        /// Of `said`, `topic` and `announced`.
        text: Option<String>,
        /// Of `capacity`.
        capacity: Option<u32>,
        /// Of `grouped` and `ungrouped`.
        participant: Option<String>,
        /// Of `grouped` and `ungrouped`.
        group: Option<u32>,
        /// Of `clapped`.
        claps: Option<u64>,
        /// Of `seats`: what seats are now, `free`, `held` or `reserved`, by their ids.
        changes: Option<BTreeMap<String, String>>,
    }

    /// Shows.
    struct Shows {
        shows: Vec<Show>,
    }

    /// A show.
    struct Show {
        /// Its id.
        show: String,
        title: String,
        /// Empty where none is given.
        place: String,
        performances: Vec<Performance>,
    }

    /// A performance of a show.
    struct Performance {
        /// Its room: the show's id, `/`, and its own.
        performance: String,
        /// RFC 3339, with the offset of the place.
        at: String,
        /// Seats that are free.
        free: usize,
    }

    /// The seats of a performance.
    struct Seating {
        performance: String,
        /// Who vouches for `seq`.
        epoch: String,
        /// The newest event: what comes after it has changed them since.
        seq: u64,
        /// What the seats were drawn up from, the best section first.
        sections: Vec<Area>,
        /// `free`, `held` or `reserved`, by the seat's id.
        seats: BTreeMap<String, String>,
    }

    /// A rectangle of seats: each of these rows has each of these seats.
    struct Area {
        section: String,
        /// `1-10`, or a list as `1-10,12-20`.
        rows: String,
        /// As `rows`.
        seats: String,
        /// What one seat costs, in the smallest unit of the currency.
        price: u64,
    }

    /// Something to be said.
    struct NewMessage {
        /// The name under which it is said; nobody who is here may have it.
        from: String,
        /// 1 to 4096 bytes.
        text: String,
    }

    /// It was said.
    struct Said {
        /// Its position in the room.
        seq: u64,
    }

    /// A no, and why.
    struct Error {
        error: Reason,
    }

    /// Why.
    struct Reason {
        /// For programs; it never changes its meaning.
        code: String,
        /// For people.
        message: String,
    }

    /// Which server this is.
    struct Version {
        name: String,
        version: String,
    }
}

#[cfg(test)]
mod tests {
    use madang_room::{
        Entry, Event as RoomEvent, Nick, Participant, Refusal, RoomName, SeatArea, SeatId, SeatMap,
        SeatStatus, Seats, SeatsNow, Seq, Text, Timestamp,
    };
    use madang_wire::{Answer, History as RoomHistory, PerformanceRow, RoomRow, Seating, ShowRow, json};
    use serde::de::DeserializeOwned;

    use super::*;

    fn is_described<T: DeserializeOwned>(result: &Result<Answer, Refusal>) {
        let mut body = Vec::new();
        json::encode_answer(&mut body, result);
        if let Err(error) = serde_json::from_slice::<T>(&body) {
            panic!("{}: {error}", String::from_utf8_lossy(&body));
        }
    }

    #[test]
    fn what_is_answered_is_what_is_described() {
        let room = RoomName::parse("plaza").unwrap();
        let from = Nick::parse("mina").unwrap();
        let text = Text::parse("hello").unwrap();
        let map = SeatMap::new(vec![SeatArea {
            section: "A".into(),
            rows: "1".into(),
            seats: "1-2".into(),
            price: 5,
        }]);
        let seating = Seating {
            performance: room.clone(),
            epoch: "e".into(),
            seq: Seq(3),
            map: map.unwrap().into(),
            status: vec![SeatStatus::Free, SeatStatus::Held],
            mine: Vec::new(),
        };
        is_described::<super::Seating>(&Ok(Answer::Seats(Box::new(seating))));
        let performances = vec![PerformanceRow { performance: room.clone(), at: "x".into(), free: 1 }];
        let show = ShowRow { show: "hamlet".into(), title: text.clone(), place: None, performances };
        is_described::<Shows>(&Ok(Answer::Shows { shows: vec![show] }));
        let row = RoomRow { room: room.clone(), kind: "chat", count: 1, capacity: 0 };
        is_described::<Rooms>(&Ok(Answer::Rooms { rooms: vec![row] }));
        let events = [
            RoomEvent::Said { from: from.clone(), text, once: None },
            RoomEvent::Capacity { from, capacity: 2 },
            RoomEvent::Clapped { claps: 1 },
            RoomEvent::Ungrouped { participant: Participant::parse("J001").unwrap(), group: 1 },
            RoomEvent::Seats(Box::new(Seats {
                seats: vec![SeatId::parse("A-1-1").unwrap()],
                now: SeatsNow::Free,
            })),
        ];
        let events = events.map(|event| Entry { seq: Seq(1), at: Timestamp(0), event });
        let history =
            RoomHistory { room, events: events.into(), first: Seq(1), seq: Seq(1), epoch: "e".into() };
        is_described::<History>(&Ok(Answer::History(Box::new(history))));
        is_described::<Said>(&Ok(Answer::Recorded { seq: Seq(7) }));
        is_described::<Error>(&Err(Refusal::Closing));
    }

    #[test]
    fn every_path_is_described() {
        let description: serde_json::Value = serde_json::from_str(&DESCRIPTION).unwrap();
        let paths: Vec<&String> = description["paths"].as_object().unwrap().keys().collect();
        assert_eq!(
            paths,
            [
                "/api/rooms",
                "/api/rooms/{room}/events",
                "/api/rooms/{room}/messages",
                "/api/shows",
                "/api/shows/{show}/{performance}",
                "/healthz",
                "/metrics",
                "/readyz",
                "/version"
            ]
        );
        assert!(description["openapi"].as_str().unwrap().starts_with("3."));
    }
}
