//! What is compared: the scenarios, and what each of them should cost.

use std::net::SocketAddr;
use std::time::Duration;

use crate::plan::{Pace, Plan, Protocol};
use crate::report::Report;

/// A way to use a chat server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[allow(missing_docs, reason = "`description` says it")]
pub enum Scenario {
    A50,
    A200,
    B,
    C16,
    C256,
    C16x16,
    D,
    #[serde(rename = "connect")]
    Connect,
}

/// What is looked at. Of each, less is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    /// Server CPU time for each delivery, in microseconds.
    Cpu,
    /// Growth of resident memory for each connection, in KiB.
    Memory,
    /// Until all are greeted, in seconds.
    Greeting,
}

/// What should be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Target {
    /// At most so many times what the batched floor takes in the same round.
    Ratio(f64),
    /// At most so much.
    Value(f64),
}

impl Scenario {
    /// All, in the order of the table.
    pub const ALL: [Scenario; 8] = [
        Scenario::A50,
        Scenario::A200,
        Scenario::B,
        Scenario::C16,
        Scenario::C256,
        Scenario::C16x16,
        Scenario::D,
        Scenario::Connect,
    ];

    /// By its name, in capitals or not.
    pub fn parse(name: &str) -> Option<Scenario> {
        Scenario::ALL.into_iter().find(|scenario| scenario.name().eq_ignore_ascii_case(name))
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Scenario::A50 => "A50",
            Scenario::A200 => "A200",
            Scenario::B => "B",
            Scenario::C16 => "C16",
            Scenario::C256 => "C256",
            Scenario::C16x16 => "C16x16",
            Scenario::D => "D",
            Scenario::Connect => "connect",
        }
    }

    /// In words.
    pub fn description(self) -> &'static str {
        match self {
            Scenario::A50 => "one room of 1,000, one publisher, 50 messages/s",
            Scenario::A200 => "one room of 1,000, one publisher, 200 messages/s",
            Scenario::B => "250 rooms of 4, every member says 5 messages/s",
            Scenario::C16 => "one room of 100, one publisher, 16 messages on the way",
            Scenario::C256 => "one room of 100, one publisher, 256 messages on the way",
            Scenario::C16x16 => "one room of 100, 16 publishers, 16 messages of each on the way",
            Scenario::D => "10,000 idle members in rooms of 4",
            Scenario::Connect => "10,000 connections at once",
        }
    }

    pub(super) fn measure(self) -> Measure {
        match self {
            Scenario::D => Measure::Memory,
            Scenario::Connect => Measure::Greeting,
            _ => Measure::Cpu,
        }
    }

    /// Does it go as fast as it can?
    pub(super) fn is_closed_loop(self) -> bool {
        matches!(self, Scenario::C16 | Scenario::C256 | Scenario::C16x16)
    }

    /// Is it measured in rooms that keep no history, too? There the log is a large part of what is done.
    pub(super) fn in_memory_too(self) -> bool {
        matches!(self, Scenario::C256 | Scenario::C16x16)
    }

    /// Is the floor with a write for each message and member of interest? Where each wake brings one message it does the
    /// same as the batched one.
    pub(super) fn per_message_too(self) -> bool {
        matches!(self, Scenario::A50 | Scenario::A200 | Scenario::B)
    }

    pub(super) fn target(self, in_memory: bool) -> Target {
        match (self, in_memory) {
            (Scenario::A50 | Scenario::A200, _) => Target::Ratio(1.08),
            (Scenario::B | Scenario::C16, _) => Target::Ratio(1.15),
            (Scenario::C256, true) => Target::Ratio(1.6),
            (Scenario::C256, false) => Target::Ratio(3.0),
            (Scenario::C16x16, true) => Target::Ratio(1.4),
            (Scenario::C16x16, false) => Target::Ratio(2.5),
            (Scenario::D, _) => Target::Value(0.75),
            (Scenario::Connect, _) => Target::Value(2.0),
        }
    }

    pub(super) fn plan(self, address: SocketAddr, server_pid: u32, room: &str, times: Times) -> Plan {
        let (rooms, members, publishers, pace) = match self {
            Scenario::A50 => (1, 1_000, 1, Pace::Rate(50.0)),
            Scenario::A200 => (1, 1_000, 1, Pace::Rate(200.0)),
            Scenario::B => (250, 4, 4, Pace::Rate(5.0)),
            Scenario::C16 => (1, 100, 1, Pace::Window(16)),
            Scenario::C256 => (1, 100, 1, Pace::Window(256)),
            Scenario::C16x16 => (1, 100, 16, Pace::Window(16)),
            Scenario::D => (2_500, 4, 0, Pace::Window(1)),
            Scenario::Connect => (0, 0, 0, Pace::Window(1)),
        };
        // Where nobody speaks there is nothing to wait for.
        let is_silent = publishers == 0;
        Plan {
            address,
            protocol: Protocol::Line,
            room: room.to_owned(),
            leave: None,
            rooms,
            members,
            publishers,
            stalled: 0,
            idle: if self == Scenario::Connect { 10_000 } else { 0 },
            pace,
            size: 64,
            warmup: if is_silent { Duration::ZERO } else { times.warmup },
            duration: if is_silent { Duration::from_millis(1) } else { times.duration },
            connect_rate: None,
            watch: false,
            server_pid: Some(server_pid),
        }
    }
}

/// How long publishers speak.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Before it is measured.
    pub warmup: Duration,
    /// While it is.
    pub duration: Duration,
}

impl Measure {
    /// What a run has found.
    pub(super) fn of(self, report: &Report) -> Option<f64> {
        match self {
            Measure::Cpu => report.server?.cpu_us_per_delivery,
            Measure::Memory => report.server?.resident_kib_per_connection,
            Measure::Greeting => report.greeted_ms.map(|ms| ms / 1e3),
        }
    }

    pub(super) fn unit(self) -> &'static str {
        match self {
            Measure::Cpu => "µs",
            Measure::Memory => "KiB",
            Measure::Greeting => "s",
        }
    }
}
