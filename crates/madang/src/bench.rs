//! `madang bench`: what was asked on the command line, as a plan for `madang_bench`.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use madang_bench::versus::{self, Comparison, Contest, Overload, Scenario, Stuck, Times};
use madang_bench::{Failure, Pace, Plan, Protocol, floor};
use madang_server::config;

/// Put load on a server, verify every delivery, and report what it took.
///
/// The exit code is 0 if every message reached everybody once and in order, 1 if not or if there was no result, 2 for
/// flags that contradict each other.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    load: LoadArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The bare loop that --floor compares with
    #[command(hide = true)]
    FloorServer {
        #[arg(long, value_enum)]
        mode: FloorMode,
    },
    /// Madang over Socket.IO beside other servers and the floor (`cargo xtask peers` builds them first)
    Peers {
        /// Has a folder for each server, with a program `run`
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
        /// Only in these, with commas between [default: A200,C256,C16x16,D]
        #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = scenario)]
        scenario: Vec<Scenario>,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Madang with one shard beside Madang with two
    Shards {
        /// Only in these, with commas between [default: A200,C16,C256]
        #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = scenario)]
        scenario: Vec<Scenario>,
        #[command(flatten)]
        rounds: Rounds,
    },
    /// A room in which members stop reading beside one in which all read
    Stuck {
        #[command(flatten)]
        rounds: Rounds,
    },
    /// Three times as much as the server can carry beside as much as it can
    Overload {
        #[command(flatten)]
        rounds: Rounds,
    },
}

/// What all comparisons take.
#[derive(Debug, clap::Args)]
struct Rounds {
    /// So many rounds, of which medians are shown
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How long to measure in each run [default: 2s, stuck 16s, overload 10s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// How long to speak before that [default: 500ms, overload 5s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    warmup: Option<Duration>,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct LoadArgs {
    /// Where the server listens [default: 127.0.0.1:2022; websocket and socketio: 127.0.0.1:3000]
    #[arg(value_parser = address)]
    addr: Option<SocketAddr>,
    /// What it speaks
    #[arg(long, value_enum, default_value = "line")]
    protocol: Wire,
    /// So many rooms
    #[arg(long, value_name = "N", default_value_t = 1)]
    rooms: u32,
    /// So many members in each room
    #[arg(long, value_name = "N", default_value_t = 100)]
    members: u32,
    /// So many of these speak
    #[arg(long, value_name = "N", default_value_t = 1)]
    publishers: u32,
    /// So many of these stop reading once they have joined
    #[arg(long, value_name = "N", default_value_t = 0)]
    stalled: u32,
    /// So many connections beside the members, that do nothing
    #[arg(long, value_name = "N", default_value_t = 0)]
    idle: u32,
    /// A publisher says so many messages a second, whatever happens to the earlier ones [default: 10]
    #[arg(long, value_name = "R", conflicts_with = "window")]
    rate: Option<f64>,
    /// A publisher has so many messages on the way, and says the next when one has arrived
    #[arg(long, value_name = "W")]
    window: Option<u32>,
    /// Bytes of text in a message
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    size: usize,
    /// How long to measure [default: 10s, with --floor 2s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// How long to speak before that [default: 1s, with --floor 500ms]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    warmup: Option<Duration>,
    /// Open so many connections a second; without it, all at once
    #[arg(long, value_name = "N")]
    connect_rate: Option<f64>,
    /// Name the rooms NAME-RUN-0, NAME-RUN-1, ...
    #[arg(long, value_name = "NAME", default_value = "bench")]
    room: String,
    /// Leave this room after having joined one's own: where the server puts newcomers
    #[arg(long, value_name = "ROOM")]
    leave: Option<String>,
    /// The server's process, for its CPU time and memory; without it, who listens at the address
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// Report as JSON
    #[arg(long)]
    json: bool,
    /// Start a Madang server and the least that could do its work, in turns, and compare them
    #[arg(long, conflicts_with_all = OF_ONE_RUN)]
    floor: bool,
    /// Compare only in these, with commas between: A50, A200, B, C16, C256, C16x16, D, connect
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = scenario, requires = "floor")]
    scenario: Vec<Scenario>,
    /// Compare in so many rounds, and show medians
    #[arg(long, value_name = "N", default_value_t = 3, requires = "floor", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
}

/// What a comparison settles by itself.
const OF_ONE_RUN: [&str; 14] = [
    "addr",
    "protocol",
    "rooms",
    "members",
    "publishers",
    "stalled",
    "idle",
    "rate",
    "window",
    "size",
    "connect_rate",
    "room",
    "leave",
    "server_pid",
];

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Wire {
    /// What one says as a line, others get in a line of theirs
    Line,
    /// Madang's JSON, an object a line
    Json,
    /// Madang's JSON over WebSocket, at /ws
    Websocket,
    /// Socket.IO over WebSocket: events join (with an acknowledgment) and say
    Socketio,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum FloorMode {
    PerMessage,
    Batched,
}

/// Does it, and reports on standard output.
///
/// # Errors
///
/// Flags that contradict each other, or a standard output that takes nothing.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let outcome = match args.command {
        Some(Command::FloorServer { mode }) => floor::serve(mode.into()).map(|never| match never {}),
        Some(Command::Peers { folder, scenario, rounds }) => {
            Contest::peers(&folder).and_then(|contest| compete(&contest, scenario, &rounds))
        }
        Some(Command::Shards { scenario, rounds }) => compete(&Contest::shards(), scenario, &rounds),
        Some(Command::Stuck { rounds }) => stuck(&rounds),
        Some(Command::Overload { rounds }) => overload(&rounds),
        None if args.load.floor => compare(&args.load),
        None => load(&args.load),
    };
    match outcome {
        Ok((report, code)) => {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(report.as_bytes())?;
            stdout.flush()?;
            Ok(code)
        }
        Err(Failure::Plan(mistake)) => Err(mistake.into()),
        Err(failure) => {
            crate::complain(&format!("{:#}", anyhow::Error::from(failure)));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn load(args: &LoadArgs) -> Result<(String, ExitCode), Failure> {
    let report = madang_bench::run(&args.plan())?;
    let text = match args.json {
        true => format!("{}\n", serde_json::json!(report)),
        false => report.table(),
    };
    Ok((text, if report.is_flawless() { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

fn compare(args: &LoadArgs) -> Result<(String, ExitCode), Failure> {
    let rounds = Rounds { runs: args.runs, duration: args.duration, warmup: args.warmup, json: args.json };
    let scenarios = if args.scenario.is_empty() { Scenario::ALL.to_vec() } else { args.scenario.clone() };
    let table = versus::compare(&rounds.comparison(scenarios, SHORT)?)?;
    Ok(rounds.report(|| serde_json::json!(table), || table.markdown()))
}

fn compete(
    contest: &Contest,
    scenarios: Vec<Scenario>,
    rounds: &Rounds,
) -> Result<(String, ExitCode), Failure> {
    let scenarios = if scenarios.is_empty() { contest.scenarios().to_vec() } else { scenarios };
    let standings = contest.run(&rounds.comparison(scenarios, SHORT)?)?;
    Ok(rounds.report(|| serde_json::json!(standings), || standings.markdown()))
}

fn stuck(rounds: &Rounds) -> Result<(String, ExitCode), Failure> {
    let times = Times { duration: Duration::from_secs(Stuck::DURATION_S), ..SHORT };
    let found = Stuck::measure(&rounds.comparison(Vec::new(), times)?)?;
    Ok(rounds.report(|| serde_json::json!(found), || found.markdown()))
}

fn overload(rounds: &Rounds) -> Result<(String, ExitCode), Failure> {
    // The first seconds fill what rooms keep of their past.
    let times = Times { warmup: Duration::from_secs(5), duration: Duration::from_secs(10) };
    let found = Overload::measure(&rounds.comparison(Vec::new(), times)?)?;
    Ok(rounds.report(|| serde_json::json!(found), || found.markdown()))
}

/// Where nothing else is said.
const SHORT: Times = Times { warmup: Duration::from_millis(500), duration: Duration::from_secs(2) };

impl Rounds {
    fn comparison(&self, scenarios: Vec<Scenario>, times: Times) -> Result<Comparison, Failure> {
        let program = std::env::current_exe().map_err(|error| Failure::Start { what: error.to_string() })?;
        let warmup = self.warmup.unwrap_or(times.warmup);
        let duration = self.duration.unwrap_or(times.duration);
        Ok(Comparison { program, scenarios, runs: self.runs, times: Times { warmup, duration } })
    }

    fn report(
        &self,
        json: impl FnOnce() -> serde_json::Value,
        markdown: impl FnOnce() -> String,
    ) -> (String, ExitCode) {
        let text = if self.json { format!("{}\n", json()) } else { markdown() };
        (text, ExitCode::SUCCESS)
    }
}

fn scenario(name: &str) -> Result<Scenario, String> {
    Scenario::parse(name).ok_or_else(|| format!("it takes {}", Scenario::ALL.map(Scenario::name).join(", ")))
}

impl LoadArgs {
    fn plan(&self) -> Plan {
        let (protocol, default_port) = match self.protocol {
            Wire::Line => (Protocol::Line, 2022),
            Wire::Json => (Protocol::Json, 2022),
            Wire::Websocket => (Protocol::WebSocket, 3000),
            Wire::Socketio => (Protocol::SocketIo, 3000),
        };
        Plan {
            address: self.addr.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, default_port))),
            protocol,
            room: self.room.clone(),
            leave: self.leave.clone(),
            rooms: self.rooms,
            members: self.members,
            publishers: self.publishers,
            stalled: self.stalled,
            idle: self.idle,
            pace: match self.window {
                Some(window) => Pace::Window(window),
                None => Pace::Rate(self.rate.unwrap_or(10.0)),
            },
            size: self.size,
            warmup: self.warmup.unwrap_or(Duration::from_secs(1)),
            duration: self.duration.unwrap_or(Duration::from_secs(10)),
            connect_rate: self.connect_rate,
            watch: self.stalled > 0,
            server_pid: self.server_pid,
        }
    }
}

impl From<FloorMode> for floor::Mode {
    fn from(mode: FloorMode) -> floor::Mode {
        match mode {
            FloorMode::PerMessage => floor::Mode::PerMessage,
            FloorMode::Batched => floor::Mode::Batched,
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    config::address(text).ok_or_else(|| format!("it takes {}", config::ADDRESS_TAKES))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Alone {
        #[command(flatten)]
        args: Args,
    }

    fn parsed(flags: &str) -> Result<Plan, String> {
        let words = std::iter::once("bench").chain(flags.split_whitespace());
        Alone::try_parse_from(words).map(|alone| alone.args.load.plan()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_flags_are_consistent() {
        Alone::command().debug_assert();
    }

    #[test]
    fn without_flags_there_is_a_plan_that_works() {
        let plan = parsed("").unwrap();
        assert_eq!(plan.check(), Ok(()));
        assert_eq!(plan.pace, Pace::Rate(10.0));
    }

    #[test]
    fn the_port_goes_with_the_protocol() {
        let port = |flags: &str| parsed(flags).unwrap().address.port();
        assert_eq!(port(""), 2022);
        assert_eq!(port("--protocol json"), 2022);
        assert_eq!(port("--protocol websocket"), 3000);
        assert_eq!(port("--protocol socketio"), 3000);
        assert_eq!(port("--protocol socketio 127.0.0.1:8080"), 8080);
    }

    #[test]
    fn flags_that_contradict_each_other_are_refused() {
        for flags in [
            "--rate 5 --window 5",
            "--floor --members 5",
            "--floor 127.0.0.1:2022",
            "--runs 3",
            "--scenario A50",
            "peers",
            "peers bench/peers --members 5",
            "--floor shards",
            "shards --runs 0",
        ] {
            assert!(parsed(flags).is_err(), "{flags}");
        }
        let wrong = parsed("--floor --scenario E").unwrap_err();
        assert!(wrong.contains("it takes A50, A200, B, C16, C256, C16x16, D, connect"), "{wrong}");
        for flags in [
            "--floor --scenario c256,D --runs 9",
            "peers bench/peers --scenario d",
            "shards --runs 9 --json",
            "stuck --duration 20s",
            "overload",
        ] {
            assert!(parsed(flags).is_ok(), "{flags}");
        }
    }
}
