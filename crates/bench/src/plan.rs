//! What to do: how many in how many rooms, who speaks and how fast. Checked as a whole before anything is opened.

use std::net::SocketAddr;
use std::time::Duration;

use crate::payload::PAYLOAD_BYTES_MIN;

/// Longest text of a message. Madang takes 4,096 bytes in a line.
pub const SIZE_MAX: usize = 4_000;

/// Most messages that one publisher may have on the way: what is on the way is kept by the server, not by us.
pub const WINDOW_MAX: u32 = 1_000_000;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the server listens.
    pub address: SocketAddr,
    /// What it speaks.
    pub protocol: Protocol,
    /// Rooms are named `NAME-RUN-0`, `NAME-RUN-1`, ...: new ones in each run.
    pub room: String,
    /// A room that each member leaves after having joined its own: where the server puts newcomers.
    pub leave: Option<String>,
    /// How many rooms.
    pub rooms: u32,
    /// Members of each room.
    pub members: u32,
    /// How many of these speak.
    pub publishers: u32,
    /// How many of these stop reading once they have joined.
    pub stalled: u32,
    /// Connections beside the members, that do nothing.
    pub idle: u32,
    /// How fast a publisher speaks.
    pub pace: Pace,
    /// Bytes of text in a message.
    pub size: usize,
    /// Speaking that isn't measured yet.
    pub warmup: Duration,
    /// How long is measured.
    pub duration: Duration,
    /// Connections opened in a second; all at once without.
    pub connect_rate: Option<f64>,
    /// Look at the server's memory and connections while it works, too. It costs a millisecond now and then.
    pub watch: bool,
    /// The server's process, for its CPU time and memory; looked for where nothing is said.
    pub server_pid: Option<u32>,
}

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// What one says as a line, others get as a line that contains it.
    Line,
    /// Madang's JSON, an object a line.
    Json,
    /// The same, each object a text frame of a WebSocket at `/ws`.
    WebSocket,
    /// Socket.IO 5 over Engine.IO 4 by WebSocket: events `join {room}` with an acknowledgment, and `say {room, text}`,
    /// which reaches the others of the room as an event that holds the text.
    SocketIo,
}

/// How fast a publisher speaks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many messages a second, whether the earlier ones have arrived or not.
    Rate(f64),
    /// So many on the way: the next is sent when an earlier one has reached one chosen member of the room.
    Window(u32),
}

/// Why a plan can't be carried out by anybody.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum PlanError {
    #[error("there is nobody to connect: --rooms × --members + --idle is 0")]
    Nobody,
    #[error(
        "--publishers {publishers} and --stalled {stalled} are more than the {members} --members of a room"
    )]
    MoreThanMembers { publishers: u32, stalled: u32, members: u32 },
    #[error("a publisher needs somebody who listens: {members} --members, {stalled} of them --stalled")]
    NobodyListens { members: u32, stalled: u32 },
    #[error("--size is {0}, it takes {PAYLOAD_BYTES_MIN} (sender, counter and time) to {SIZE_MAX}")]
    Size(usize),
    #[error("--rate is {0}, it takes more than 0 and at most 1000000 messages a second")]
    Rate(f64),
    #[error("--window is {0}, it takes 1 to {WINDOW_MAX}")]
    Window(u32),
    #[error("--connect-rate is {0}, it takes more than 0 connections a second")]
    ConnectRate(f64),
    #[error("--duration is 0")]
    Duration,
    #[error("--rooms × --members is {0}, more than the 16777216 connections that a run can count")]
    TooMany(u64),
    #[error("--leave is for --protocol line: others begin in no room, or in one that isn't left")]
    LeaveIsForLines,
}

impl Plan {
    /// Is it possible, whatever the server and the machine?
    ///
    /// # Errors
    ///
    /// The first contradiction.
    pub fn check(&self) -> Result<(), PlanError> {
        let &Plan { members, publishers, stalled, .. } = self;
        let everybody = u64::from(self.rooms) * u64::from(members) + u64::from(self.idle);
        let is_rate = |rate: f64| rate > 0.0 && rate <= 1_000_000.0;
        match self.pace {
            _ if everybody == 0 => Err(PlanError::Nobody),
            _ if everybody > 1 << 24 => Err(PlanError::TooMany(everybody)),
            _ if u64::from(publishers) + u64::from(stalled) > u64::from(members) => {
                Err(PlanError::MoreThanMembers { publishers, stalled, members })
            }
            _ if publishers > 0 && members - stalled < 2 => {
                Err(PlanError::NobodyListens { members, stalled })
            }
            _ if !(PAYLOAD_BYTES_MIN..=SIZE_MAX).contains(&self.size) => Err(PlanError::Size(self.size)),
            _ if self.duration.is_zero() => Err(PlanError::Duration),
            _ if self.leave.is_some() && self.protocol != Protocol::Line => Err(PlanError::LeaveIsForLines),
            Pace::Rate(rate) if !is_rate(rate) => Err(PlanError::Rate(rate)),
            Pace::Window(window) if !(1..=WINDOW_MAX).contains(&window) => Err(PlanError::Window(window)),
            _ => match self.connect_rate {
                Some(rate) if !is_rate(rate) => Err(PlanError::ConnectRate(rate)),
                _ => Ok(()),
            },
        }
    }

    /// Members of all rooms; the idle ones come after them.
    pub(crate) fn seats(&self) -> usize {
        self.rooms as usize * self.members as usize
    }

    /// All connections.
    pub(crate) fn connections(&self) -> usize {
        self.seats() + self.idle as usize
    }

    /// Publishers of all rooms.
    pub(crate) fn all_publishers(&self) -> usize {
        self.rooms as usize * self.publishers as usize
    }

    /// The connection of a publisher: the first members of a room are its publishers.
    pub(crate) fn seat_of_publisher(&self, publisher: usize) -> usize {
        let each = self.publishers as usize;
        publisher / each * self.members as usize + publisher % each
    }

    /// Has this connection stopped reading? The last members of a room have.
    pub(crate) fn is_stalled(&self, seat: usize) -> bool {
        seat < self.seats() && seat % self.members as usize >= (self.members - self.stalled) as usize
    }

    /// The member that tells for a publisher when a message has arrived: the last one that reads, since most servers
    /// serve it last, or the one before if that is the publisher itself.
    pub(crate) fn witness(&self, publisher: usize) -> usize {
        let seat = self.seat_of_publisher(publisher);
        let members = self.members as usize;
        let last = seat / members * members + (self.members - self.stalled) as usize - 1;
        if last == seat { last - 1 } else { last }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        Plan {
            address: SocketAddr::from(([127, 0, 0, 1], 2022)),
            protocol: Protocol::Line,
            room: "bench".to_owned(),
            leave: None,
            rooms: 2,
            members: 10,
            publishers: 3,
            stalled: 2,
            idle: 5,
            pace: Pace::Rate(10.0),
            size: 64,
            warmup: Duration::ZERO,
            duration: Duration::from_secs(1),
            connect_rate: None,
            watch: false,
            server_pid: None,
        }
    }

    #[test]
    fn contradictions_are_named() {
        assert_eq!(plan().check(), Ok(()));
        let wrong = [
            (Plan { rooms: 0, idle: 0, ..plan() }, PlanError::Nobody),
            (
                Plan { publishers: 9, ..plan() },
                PlanError::MoreThanMembers { publishers: 9, stalled: 2, members: 10 },
            ),
            (
                Plan { publishers: 1, stalled: 9, ..plan() },
                PlanError::NobodyListens { members: 10, stalled: 9 },
            ),
            (Plan { size: 39, ..plan() }, PlanError::Size(39)),
            (Plan { size: SIZE_MAX + 1, ..plan() }, PlanError::Size(SIZE_MAX + 1)),
            (Plan { pace: Pace::Rate(0.0), ..plan() }, PlanError::Rate(0.0)),
            (Plan { pace: Pace::Rate(f64::INFINITY), ..plan() }, PlanError::Rate(f64::INFINITY)),
            (Plan { pace: Pace::Window(0), ..plan() }, PlanError::Window(0)),
            (Plan { connect_rate: Some(-1.0), ..plan() }, PlanError::ConnectRate(-1.0)),
            (Plan { duration: Duration::ZERO, ..plan() }, PlanError::Duration),
            (Plan { rooms: u32::MAX, ..plan() }, PlanError::TooMany(42_949_672_955)),
            (
                Plan { protocol: Protocol::Json, leave: Some("plaza".to_owned()), ..plan() },
                PlanError::LeaveIsForLines,
            ),
        ];
        for (plan, error) in wrong {
            assert_eq!(plan.check(), Err(error));
        }
        assert!(Plan { pace: Pace::Rate(f64::NAN), ..plan() }.check().is_err());
        assert_eq!(Plan { rooms: 0, publishers: 0, ..plan() }.check(), Ok(()), "idle ones alone");
    }

    #[test]
    fn everybody_has_a_place() {
        let plan = plan();
        assert_eq!((plan.seats(), plan.connections(), plan.all_publishers()), (20, 25, 6));
        let seats: Vec<_> = (0..6).map(|publisher| plan.seat_of_publisher(publisher)).collect();
        assert_eq!(seats, [0, 1, 2, 10, 11, 12]);
        let stalled: Vec<_> = (0..25).filter(|&seat| plan.is_stalled(seat)).collect();
        assert_eq!(stalled, [8, 9, 18, 19]);
        assert_eq!([plan.witness(0), plan.witness(5)], [7, 17]);
        let all_speak = Plan { rooms: 1, members: 2, publishers: 2, stalled: 0, ..plan };
        assert_eq!([all_speak.witness(0), all_speak.witness(1)], [1, 0], "nobody tells for themselves");
    }
}
