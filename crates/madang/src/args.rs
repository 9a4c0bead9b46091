//! The command line, as it was typed. What it means together with the environment and the file is `settings`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use madang_server::config;

const EXAMPLES: &str = "\
Examples:
  madang                                  serve; try: nc 127.0.0.1 2022, http://127.0.0.1:3000
  madang --tcp 0.0.0.0:2022 --http 0.0.0.0:3000 --data /var/lib/madang
  madang --config madang.toml             serve as the file says
  madang check madang.toml                is the file right?
  madang chat                             talk, in a terminal
  madang ping 127.0.0.1:2022              does it answer, and how fast?

Flags win over the environment (MADANG_CONFIG, MADANG_DATA, MADANG_TCP with commas between addresses,
MADANG_HTTP or PORT, MADANG_SHARDS, MADANG_LOG, MADANG_LOG_FORMAT), which wins over the file, which wins
over the defaults.";

/// A real-time room server. Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "madang", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

impl Args {
    /// What to do: what was said, or to serve.
    pub(crate) fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve rooms (what happens without a command, too)
    #[command(after_help = EXAMPLES)]
    Serve(ServeArgs),
    /// Talk, in a terminal
    Chat(crate::chat::Args),
    /// Send a line again and again, and print what happens
    Ping(crate::ping::Args),
    /// Put load on a server, and report what it took
    Bench(crate::bench::Args),
    /// Is this configuration right?
    Check(CheckArgs),
}

/// How to serve. Each is one layer over the file: what isn't given here is taken from below.
#[derive(Clone, Debug, Default, PartialEq, clap::Args)]
pub(crate) struct ServeArgs {
    /// Read this configuration file; without it no file is read
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Keep the logs of rooms in this folder [default: madang-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Serve lines of text at this address, instead of the file's tcp listeners; can be given again [default:
    /// 127.0.0.1:2022]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) tcp: Vec<SocketAddr>,
    /// Serve the page, WebSocket, Socket.IO and the API at this address, instead of the file's http listeners [default:
    /// 127.0.0.1:3000]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) http: Option<SocketAddr>,
    /// Not part of this version: accepted, with a warning
    #[arg(long, value_name = "ADDR", value_parser = address, conflicts_with = "no_udp")]
    pub(crate) udp: Option<SocketAddr>,
    /// Open no UDP, as this version never does
    #[arg(long)]
    pub(crate) no_udp: bool,
    /// Use this many threads; 0 is one for each core [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) shards: Option<usize>,
    /// Log this to standard error, such as "debug" or "info,madang_server=trace" [default: info]
    #[arg(long, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    /// Log in this form [default: pretty]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for people, coloured on a terminal
    Pretty,
    /// An object a line, for programs
    Json,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The configuration file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

fn address(text: &str) -> Result<SocketAddr, String> {
    config::address(text).ok_or_else(|| format!("it takes {}", config::ADDRESS_TAKES))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use expect_test::{Expect, expect};

    use super::*;

    fn serve(line: &str) -> ServeArgs {
        match Args::try_parse_from(line.split(' ')).unwrap().into_command() {
            Command::Serve(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn refused(line: &str, expected: Expect) {
        expected.assert_eq(&Args::try_parse_from(line.split(' ')).unwrap_err().to_string());
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn serving_is_what_happens_without_a_command() {
        let flags = "--data d --tcp 127.0.0.1:0 --tcp [::1]:2022 --tcp localhost:3 --shards 2 --no-udp --log-format json";
        let args = serve(&format!("madang {flags}"));
        assert_eq!(args, serve(&format!("madang serve {flags}")));
        assert_eq!(args.tcp.len(), 3);
        assert_eq!(serve("madang"), ServeArgs::default());
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_allowed() {
        refused(
            "madang --tcp 2022",
            expect![[r#"
            error: invalid value '2022' for '--tcp <ADDR>': it takes an address and a port, such as 127.0.0.1:2022, [::1]:2022 or localhost:2022

            For more information, try '--help'.
        "#]],
        );
        refused(
            "madang --port 2022",
            expect![[r#"
            error: unexpected argument '--port' found

            Usage: madang [OPTIONS]
                   madang <COMMAND>

            For more information, try '--help'.
        "#]],
        );
        refused(
            "madang --data d check f",
            expect![[r#"
            error: the subcommand 'check' cannot be used with '--data <DIR>'

            Usage: madang [OPTIONS]
                   madang <COMMAND>

            For more information, try '--help'.
        "#]],
        );
        refused(
            "madang --log-format xml",
            expect![[r#"
            error: invalid value 'xml' for '--log-format <FORMAT>'
              [possible values: pretty, json]

            For more information, try '--help'.
        "#]],
        );
    }

    #[test]
    fn help_shows_how() {
        let help = Args::command().term_width(100).render_help().to_string();
        expect![[r#"
            A real-time room server. Without a command it serves

            Usage: madang [OPTIONS]
                   madang <COMMAND>

            Commands:
              serve  Serve rooms (what happens without a command, too)
              chat   Talk, in a terminal
              ping   Send a line again and again, and print what happens
              bench  Put load on a server, and report what it took
              check  Is this configuration right?
              help   Print this message or the help of the given subcommand(s)

            Options:
                  --config <FILE>        Read this configuration file; without it no file is read
                  --data <DIR>           Keep the logs of rooms in this folder [default: madang-data]
                  --tcp <ADDR>           Serve lines of text at this address, instead of the file's tcp
                                         listeners; can be given again [default: 127.0.0.1:2022]
                  --http <ADDR>          Serve the page, WebSocket, Socket.IO and the API at this address,
                                         instead of the file's http listeners [default: 127.0.0.1:3000]
                  --udp <ADDR>           Not part of this version: accepted, with a warning
                  --no-udp               Open no UDP, as this version never does
                  --shards <N>           Use this many threads; 0 is one for each core [default: 0]
                  --log <FILTER>         Log this to standard error, such as "debug" or
                                         "info,madang_server=trace" [default: info]
                  --log-format <FORMAT>  Log in this form [default: pretty] [possible values: pretty, json]
              -h, --help                 Print help (see more with '--help')
              -V, --version              Print version

            Examples:
              madang                                  serve; try: nc 127.0.0.1 2022, http://127.0.0.1:3000
              madang --tcp 0.0.0.0:2022 --http 0.0.0.0:3000 --data /var/lib/madang
              madang --config madang.toml             serve as the file says
              madang check madang.toml                is the file right?
              madang chat                             talk, in a terminal
              madang ping 127.0.0.1:2022              does it answer, and how fast?

            Flags win over the environment (MADANG_CONFIG, MADANG_DATA, MADANG_TCP with commas between
            addresses,
            MADANG_HTTP or PORT, MADANG_SHARDS, MADANG_LOG, MADANG_LOG_FORMAT), which wins over the file, which
            wins
            over the defaults.
        "#]]
        .assert_eq(&help);
    }
}
