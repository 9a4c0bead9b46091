//! What a run has found, as figures; [`Report::table`] is for people, its JSON for programs.
//!
//! Where the generator was the bottleneck its speed is reported as the generator's and the server's is left out: the
//! two are different fields, so that no program can take one for the other.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use crate::arrive::Arrival;
use crate::ears::{Ears, Strangeness};
use crate::histogram::Histogram;
use crate::load::Loaded;
use crate::plan::{Pace, Plan};
use crate::verify::Tally;
use crate::watch::Watched;

/// A message sent so much after its time is late, by our own doing.
const LATE: Duration = Duration::from_millis(5);
/// More late ones than this, and we were behind.
const LATE_SHARE_MAX: f64 = 0.01;
/// This much of a core is all of it: something else runs now and then.
const CORE_IS_FULL: f64 = 0.95;
/// A server that uses less than this of a core could have done more.
const SERVER_IS_FULL: f64 = 0.9;

/// What a run has found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Connections of this run.
    pub connections: usize,
    /// From the first connection begun until all were greeted; nothing where the server greets nobody.
    pub greeted_ms: Option<f64>,
    /// From the first `/join` until all were answered; nothing where the server answers none.
    pub joined_ms: Option<f64>,
    /// Messages sent in the whole run.
    pub sent: u64,
    /// Deliveries that these had to make.
    pub expected: u64,
    /// What has become of them.
    #[serde(flatten)]
    pub tally: Tally,
    /// Lines that were no delivery.
    #[serde(flatten)]
    pub strangeness: Strangeness,
    /// The last refusal or goodbye of the server.
    pub complaint: Option<String>,
    /// How long was measured.
    pub measured_seconds: f64,
    /// Messages not sent, since the server did not read the earlier ones.
    pub held_back: u64,
    /// How fast the server was. Nothing where the generator was slower, or where nobody spoke.
    pub server_speed: Option<Speed>,
    /// How fast the generator was, where it was the bottleneck: the server may be faster.
    pub generator_speed: Option<Speed>,
    /// Why the generator was the bottleneck.
    pub bottleneck: Option<String>,
    /// The deliveries of the room that had the fewest while it was measured, and of the one that had the most, as shares
    /// of the average. Nothing for a room alone.
    pub room_shares: Option<(f64, f64)>,
    /// How the server's process looked meanwhile, where the plan asked for it.
    pub watched: Option<Watched>,
    /// What the server's process used, where it runs on this machine and may be looked at.
    pub server: Option<ServerFigures>,
    /// What we used ourselves.
    pub generator: GeneratorFigures,
}

/// How fast it went.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Speed {
    /// Messages sent in a second.
    pub messages_per_second: f64,
    /// Deliveries received in a second.
    pub deliveries_per_second: f64,
    /// From when a message was to be sent until a member had it.
    pub latency_us: LatencyUs,
}

/// Percentiles, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs, reason = "their names say it")]
pub struct LatencyUs {
    pub p50: f64,
    pub p99: f64,
    #[serde(rename = "p99.9")]
    pub p999: f64,
    pub max: f64,
}

/// What the server's process used.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ServerFigures {
    /// Its process.
    pub pid: u32,
    /// User and system time of all threads for each delivery, with what it did until it was at rest.
    pub cpu_us_per_delivery: Option<f64>,
    /// Cores that it used while it was measured.
    pub cores_used: Option<f64>,
    /// Resident memory when everybody had joined.
    pub resident_mib: Option<f64>,
    /// By how much it had grown for each connection since before the first.
    pub resident_kib_per_connection: Option<f64>,
}

/// What the generator itself used.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct GeneratorFigures {
    /// Cores that it used while it measured: at most one.
    pub cores_used: f64,
    /// Its CPU time for each delivery.
    pub cpu_us_per_delivery: Option<f64>,
    /// Messages sent more than 5 ms after their time, as a share of all.
    pub late_share: f64,
}

/// The server's resident memory, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) before: u64,
    pub(crate) after: u64,
}

impl Report {
    pub(crate) fn new(
        plan: &Plan,
        arrival: &Arrival,
        loaded: &Loaded,
        ears: &Ears<'_>,
        tally: Tally,
        server: Option<u32>,
        memory: Option<Memory>,
    ) -> Report {
        let seconds = loaded.wall.as_secs_f64();
        let delivered = loaded.latency.count();
        let generator = GeneratorFigures {
            cores_used: loaded.own_cpu.as_secs_f64() / seconds,
            cpu_us_per_delivery: per_delivery(loaded.own_cpu, delivered),
            late_share: share(loaded.lateness.count_above(LATE), loaded.lateness.count()),
        };
        let server_cores = loaded.server_cpu.map(|cpu| cpu.as_secs_f64() / seconds);
        let speed = (delivered > 0).then(|| Speed {
            messages_per_second: loaded.sent as f64 / seconds,
            deliveries_per_second: delivered as f64 / seconds,
            latency_us: LatencyUs::of(&loaded.latency),
        });
        let bottleneck = speed.and_then(|_| bottleneck(plan.pace, &generator, server_cores));
        let (server_speed, generator_speed) = match bottleneck {
            None => (speed, None),
            Some(_) => (None, speed),
        };
        Report {
            connections: plan.connections(),
            greeted_ms: arrival.greeted.map(ms),
            joined_ms: arrival.joined.map(ms),
            sent: ears.sent(),
            expected: ears.expected(),
            tally,
            strangeness: ears.strangeness(),
            complaint: ears.complaint().map(str::to_owned),
            measured_seconds: seconds,
            held_back: loaded.held_back,
            server_speed,
            generator_speed,
            bottleneck,
            room_shares: loaded.room_shares,
            watched: loaded.watched,
            server: server.map(|pid| ServerFigures {
                pid,
                cpu_us_per_delivery: loaded.bill.and_then(|(cpu, deliveries)| per_delivery(cpu, deliveries)),
                cores_used: server_cores,
                resident_mib: memory.map(|memory| memory.after as f64 / 1_048_576.0),
                resident_kib_per_connection: memory.map(|Memory { before, after }| {
                    (after as f64 - before as f64) / 1_024.0 / plan.connections() as f64
                }),
            }),
            generator,
        }
    }

    /// Has every message reached everybody once, whole and in order?
    pub fn is_flawless(&self) -> bool {
        let Tally { delivered: _, lost, repeated, out_of_order, gave_up } = self.tally;
        let Strangeness { damaged, stray, echoed: _, other_lines: _ } = self.strangeness;
        [lost, repeated, out_of_order, gave_up, damaged, stray] == [0; 6]
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let mut row = |name: &str, value: String| {
            // Writing to a string can't fail.
            let _ = writeln!(out, "{name:<22} {value}");
        };
        let or_none = |value: Option<f64>, unit: &str| match value {
            Some(value) => format!("{value:.0} {unit}"),
            None => "never".to_owned(),
        };
        row("connections", format!("{}", self.connections));
        row("all greeted after", or_none(self.greeted_ms, "ms"));
        row("all in rooms after", or_none(self.joined_ms, "ms more"));
        row("messages sent", grouped(self.sent));
        row("deliveries", format!("{} of {}", grouped(self.tally.delivered), grouped(self.expected)));
        row(
            "lost",
            format!(
                "{}, repeated {}, out of order {}, damaged {}, in a wrong room {}",
                self.tally.lost,
                self.tally.repeated,
                self.tally.out_of_order,
                self.strangeness.damaged,
                self.strangeness.stray
            ),
        );
        if self.held_back > 0 {
            row("not sent", format!("{}: the server did not read the earlier ones", grouped(self.held_back)));
        }
        let mut speed = |whose: &str, at_least: &str, speed: &Speed| {
            let LatencyUs { p50, p99, p999, max } = speed.latency_us;
            row(
                &format!("{whose}messages/s"),
                format!("{at_least}{}", grouped(speed.messages_per_second as u64)),
            );
            row(
                &format!("{whose}deliveries/s"),
                format!("{at_least}{}", grouped(speed.deliveries_per_second as u64)),
            );
            row(
                &format!("{whose}latency"),
                format!("p50 {}, p99 {}, p99.9 {}, max {}", spell(p50), spell(p99), spell(p999), spell(max)),
            );
        };
        if let Some(found) = &self.server_speed {
            speed("", "", found);
        }
        if let Some(found) = &self.generator_speed {
            speed("generator's ", "", found);
        }
        if let Some(server) = &self.server {
            let us = |value: Option<f64>| value.map_or("?".to_owned(), |us| format!("{us:.3} µs"));
            row(
                "server CPU",
                format!(
                    "{} a delivery; {:.0} % of a core",
                    us(server.cpu_us_per_delivery),
                    server.cores_used.unwrap_or(f64::NAN) * 100.0
                ),
            );
            if let (Some(mib), Some(kib)) = (server.resident_mib, server.resident_kib_per_connection) {
                row("server memory", format!("{mib:.1} MiB resident, grown by {kib:.2} KiB a connection"));
            }
        }
        if let Some(watched) = &self.watched {
            row(
                "server memory later",
                format!(
                    "{:.1} MiB at most, {:.1} at the end",
                    watched.resident_mib_peak, watched.resident_mib_at_end
                ),
            );
            row("stalled ones closed", or_none(watched.stalled_gone_after_s, "s after they stopped reading"));
        }
        let own = self.generator.cpu_us_per_delivery.map_or("?".to_owned(), |us| format!("{us:.3} µs"));
        row(
            "generator CPU",
            format!("{own} a delivery; {:.0} % of a core", self.generator.cores_used * 100.0),
        );
        if let Some(why) = &self.bottleneck {
            row("BOTTLENECK", format!("the generator, so its speed is not the server's: {why}"));
        }
        if let Some(complaint) = &self.complaint {
            row("the server said", complaint.clone());
        }
        out
    }
}

/// Was the generator slower than the server, and how does one know?
fn bottleneck(pace: Pace, generator: &GeneratorFigures, server_cores: Option<f64>) -> Option<String> {
    if let Pace::Rate(rate) = pace
        && generator.late_share > LATE_SHARE_MAX
    {
        let late = generator.late_share * 100.0;
        return Some(format!(
            "{late:.1} % of the messages ({rate}/s) went out more than 5 ms after their time"
        ));
    }
    let own = generator.cores_used;
    match server_cores {
        _ if own < CORE_IS_FULL => None,
        Some(server) if server >= SERVER_IS_FULL => None,
        Some(server) => {
            Some(format!("it used {:.0} % of a core, the server {:.0} %", own * 100.0, server * 100.0))
        }
        None => Some(format!("it used {:.0} % of a core, and what the server used isn't known", own * 100.0)),
    }
}

impl LatencyUs {
    fn of(times: &Histogram) -> LatencyUs {
        let us = |time: Duration| time.as_nanos() as f64 / 1e3;
        LatencyUs {
            p50: us(times.percentile(0.5)),
            p99: us(times.percentile(0.99)),
            p999: us(times.percentile(0.999)),
            max: us(times.max()),
        }
    }
}

fn per_delivery(cpu: Duration, deliveries: u64) -> Option<f64> {
    (deliveries > 0).then(|| cpu.as_secs_f64() * 1e6 / deliveries as f64)
}

fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn spell(us: f64) -> String {
    match us {
        ..1e3 => format!("{us:.0} µs"),
        ..1e6 => format!("{:.2} ms", us / 1e3),
        _ => format!("{:.2} s", us / 1e6),
    }
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = (digits.len() - 1) % 3 + 1;
    let (head, mut tail) = digits.split_at(first);
    let mut out = head.to_owned();
    while !tail.is_empty() {
        let (three, rest) = tail.split_at(3);
        out.push(',');
        out.push_str(three);
        tail = rest;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generator(cores_used: f64, late_share: f64) -> GeneratorFigures {
        GeneratorFigures { cores_used, cpu_us_per_delivery: None, late_share }
    }

    #[test]
    fn a_busy_generator_beside_an_idle_server_is_the_bottleneck() {
        let closed = |own, server| bottleneck(Pace::Window(1), &generator(own, 0.0), server);
        assert_eq!(closed(0.5, Some(0.5)), None);
        assert_eq!(closed(0.99, Some(0.97)), None, "both are");
        assert_eq!(closed(0.5, None), None);
        assert_eq!(closed(0.99, Some(0.4)).unwrap(), "it used 99 % of a core, the server 40 %");
        assert!(closed(0.99, None).is_some());
    }

    #[test]
    fn a_generator_behind_its_schedule_is_the_bottleneck() {
        let open = |late| bottleneck(Pace::Rate(50.0), &generator(0.1, late), Some(1.0));
        assert_eq!(open(0.01), None);
        assert_eq!(
            open(0.125).unwrap(),
            "12.5 % of the messages (50/s) went out more than 5 ms after their time"
        );
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([12.3, 1_234.5, 2_500_000.0].map(spell), ["12 µs", "1.23 ms", "2.50 s"]);
    }
}
