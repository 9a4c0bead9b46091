//! `madang ping`: connects to anything, sends a line again and again, and says in words what happens.
//!
//! It knows no protocol, so that it can be pointed at whatever is in doubt. An answer belongs to the line that it
//! repeats, else to the oldest one without an answer; each line that comes counts as one, and so does what one read
//! brings without a line ending. What comes while nothing waits for an answer is shown as unasked.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

/// How long the other side may take to speak first, as chat servers do.
const GREETING_WAIT: Duration = Duration::from_millis(300);
/// Lines without an answer that are remembered.
const UNANSWERED_MAX: usize = 1_000;
/// Bytes shown of one line.
const SHOWN_BYTES_MAX: usize = 300;
/// Bytes taken by one read.
const READ_BYTES: usize = 16 * 1024;

/// Connect, send a line again and again, and print what happens.
///
/// Works with any TCP server. The exit code is 0 if every line was answered, 1 if not or if there was no connection.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where to connect: host:port
    addr: String,
    /// From one line to the next
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = humantime::parse_duration)]
    interval: Duration,
    /// Stop after so many lines; without it, at Ctrl-C
    #[arg(long, value_name = "N")]
    count: Option<u32>,
    /// How long connecting, or an answer, may take
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// What to send; without it `/ping 1`, `/ping 2`, ... (a chat server answers a command and tells nobody)
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
}

/// Pings until `--count`, Ctrl-C or the end of the connection.
///
/// # Errors
///
/// Where the machine has no means for it. What the network does wrong is told in words, and exits with 1.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let outcome = runtime.block_on(ping(&args, &mut io::stdout()));
    // A name server that does not answer must not keep the program.
    runtime.shutdown_background();
    match outcome {
        Ok(true) => Ok(ExitCode::SUCCESS),
        Ok(false) => Ok(ExitCode::FAILURE),
        // Whoever read along has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error.into()),
    }
}

/// The whole story, told to `out`. True if all went well; an error is about `out`.
async fn ping(args: &Args, out: &mut impl Write) -> io::Result<bool> {
    let Some((stream, peer)) = connect(args, out).await? else { return Ok(false) };
    let mut talk = Talk { args, out, since: Instant::now(), tally: Tally::default() };
    let ended_well = talk.run(stream).await?;
    let Talk { tally, .. } = talk;
    writeln!(out, "--- {peer}: {tally}")?;
    Ok(ended_well && tally.answered > 0 && tally.answered == tally.sent)
}

/// Tries the addresses behind the name, one after the other.
async fn connect(args: &Args, out: &mut impl Write) -> io::Result<Option<(TcpStream, SocketAddr)>> {
    let addr = &args.addr;
    let found: Vec<SocketAddr> = match timeout(args.timeout, tokio::net::lookup_host(addr)).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) if !addr.contains(':') => {
            writeln!(out, "{addr:?} has no port, try {addr}:2022 ({error})")?;
            return Ok(None);
        }
        Ok(Err(error)) => {
            writeln!(out, "can't find {addr}: {error}")?;
            return Ok(None);
        }
        Err(_) => {
            writeln!(out, "can't find {addr}: no name server answered within {}", spell(args.timeout))?;
            return Ok(None);
        }
    };
    if addr.parse::<SocketAddr>().is_err() {
        let found: Vec<String> = found.iter().map(SocketAddr::to_string).collect();
        writeln!(out, "{addr} is {}", found.join(", "))?;
    }
    for peer in found {
        let began = Instant::now();
        match timeout(args.timeout, TcpStream::connect(peer)).await {
            Ok(Ok(stream)) => {
                let from = stream.local_addr().map(|addr| format!(" from {addr}")).unwrap_or_default();
                writeln!(out, "connected to {peer}{from} in {}", spell(began.elapsed()))?;
                // Each line for itself and at once; if that can't be had, the times are a little longer.
                let _ = stream.set_nodelay(true);
                return Ok(Some((stream, peer)));
            }
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                writeln!(out, "nobody listens at {peer} (connection refused); is the server running?")?;
            }
            Ok(Err(error)) => writeln!(out, "can't connect to {peer}: {error}")?,
            Err(_) => writeln!(
                out,
                "no answer from {peer} within {}; a firewall, or the wrong address?",
                spell(args.timeout)
            )?,
        }
    }
    Ok(None)
}

/// One connection.
struct Talk<'a, W> {
    args: &'a Args,
    out: &'a mut W,
    since: Instant,
    tally: Tally,
}

/// A line on its way.
struct Sent {
    number: u32,
    text: Vec<u8>,
    at: Instant,
    /// It has waited for longer than it should; said once.
    overdue: bool,
}

impl<W: Write> Talk<'_, W> {
    /// Sends and receives. True if it ended as it should.
    async fn run(&mut self, stream: TcpStream) -> io::Result<bool> {
        let (mut read, mut write) = stream.into_split();
        let mut waiting: VecDeque<Sent> = VecDeque::new();
        let mut buffer = vec![0; READ_BYTES];
        let mut next = Instant::now() + GREETING_WAIT.min(self.args.interval);
        let mut finishing: Option<Instant> = None;
        let interrupted = tokio::signal::ctrl_c();
        tokio::pin!(interrupted);
        loop {
            let all_sent = self.args.count.is_some_and(|count| self.tally.sent >= count);
            if all_sent && finishing.is_none() && waiting.iter().all(|sent| sent.overdue) {
                writeln!(self.out, "done, sending FIN")?;
                finishing = Some(Instant::now());
                if let Err(error) = write.shutdown().await {
                    return self.broken(&error);
                }
            }
            let overdue = waiting.iter_mut().find(|sent| !sent.overdue);
            let due = overdue.as_ref().map_or_else(Instant::now, |sent| sent.at + self.args.timeout);
            tokio::select! {
                received = read.read(&mut buffer) => match received {
                    Ok(0) => return self.ended(finishing, &waiting),
                    Ok(bytes) => {
                        for piece in buffer[..bytes].split_inclusive(|&byte| byte == b'\n') {
                            self.received(piece, &mut waiting)?;
                        }
                        if self.tally.sent == 0 {
                            next = Instant::now(); // the greeting is over
                        }
                    }
                    Err(error) => return self.broken(&error),
                },
                () = sleep_until(next), if !all_sent => {
                    next = Instant::now() + self.args.interval;
                    let number = self.tally.sent + 1;
                    let text = self.args.text.clone().unwrap_or_else(|| format!("/ping {number}"));
                    let line = format!("{text}\n").into_bytes();
                    // From before the write: the answer may be here before the line is printed.
                    let at = Instant::now();
                    match timeout(self.args.timeout, write.write_all(&line)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => return self.broken(&error),
                        Err(_) => {
                            writeln!(self.out, "could not send for {}: the other side reads nothing",
                                spell(self.args.timeout))?;
                            return Ok(false);
                        }
                    }
                    self.tally.sent = number;
                    writeln!(self.out, "sent {number}: {}", Shown(&line))?;
                    if waiting.len() == UNANSWERED_MAX {
                        waiting.pop_front();
                    }
                    waiting.push_back(Sent { number, text: line, at, overdue: false });
                }
                () = sleep_until(due), if overdue.is_some() => if let Some(sent) = overdue {
                    sent.overdue = true;
                    writeln!(self.out, "no answer to {} within {}", sent.number, spell(self.args.timeout))?;
                },
                () = sleep_until(finishing.unwrap_or(next) + self.args.timeout), if finishing.is_some() => {
                    let wait = spell(self.args.timeout);
                    writeln!(self.out, "the other side has not closed within {wait} of our FIN")?;
                    return Ok(false);
                }
                _ = &mut interrupted => {
                    writeln!(self.out, "interrupted")?;
                    return Ok(true);
                }
            }
        }
    }

    fn received(&mut self, piece: &[u8], waiting: &mut VecDeque<Sent>) -> io::Result<()> {
        self.tally.received_bytes += piece.len() as u64;
        let same = waiting.iter().position(|sent| sent.text == piece);
        match waiting.remove(same.unwrap_or(0)) {
            None => writeln!(self.out, "received, unasked: {}", Shown(piece)),
            Some(sent) => {
                let took = sent.at.elapsed();
                self.tally.answer(took);
                writeln!(self.out, "answer to {} after {}: {}", sent.number, spell(took), Shown(piece))
            }
        }
    }

    /// The other side's FIN.
    fn ended(&mut self, finishing: Option<Instant>, waiting: &VecDeque<Sent>) -> io::Result<bool> {
        if let Some(asked) = finishing {
            writeln!(self.out, "the other side answered with FIN after {}", spell(asked.elapsed()))?;
            return Ok(true);
        }
        let connected = spell(self.since.elapsed());
        writeln!(self.out, "the other side closed the connection (FIN) after {connected}")?;
        if let Some(sent) = waiting.front() {
            writeln!(self.out, "it left {} without an answer", sent.number)?;
        }
        // Closing is its right; it is a failure only if lines were still to be sent.
        Ok(self.args.count.is_none_or(|count| self.tally.sent >= count))
    }

    fn broken(&mut self, error: &io::Error) -> io::Result<bool> {
        let connected = spell(self.since.elapsed());
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => writeln!(
                self.out,
                "the other side reset the connection (RST) after {connected}: it crashed, or closed without \
                 reading everything"
            )?,
            _ => writeln!(self.out, "the connection broke after {connected}: {error}")?,
        }
        Ok(false)
    }
}

/// What is counted.
#[derive(Debug, Default)]
struct Tally {
    sent: u32,
    answered: u32,
    received_bytes: u64,
    took_min: Duration,
    took_max: Duration,
    took_all: Duration,
}

impl Tally {
    fn answer(&mut self, took: Duration) {
        self.took_min = if self.answered == 0 { took } else { self.took_min.min(took) };
        self.took_max = self.took_max.max(took);
        self.took_all += took;
        self.answered += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { sent, answered, received_bytes, .. } = self;
        write!(f, "{sent} sent, {answered} answered, {received_bytes} bytes received")?;
        if *answered > 0 {
            let (min, max, avg) = (self.took_min, self.took_max, self.took_all / *answered);
            write!(f, "; round trip min {}, avg {}, max {}", spell(min), spell(avg), spell(max))?;
        }
        Ok(())
    }
}

/// Bytes as text in quotes, with everything that does not print made visible.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(SHOWN_BYTES_MAX)];
        f.write_str("\"")?;
        for chunk in shown.utf8_chunks() {
            // `Debug` of a string escapes controls, quotes and what changes the direction of text.
            let quoted = format!("{:?}", chunk.valid());
            f.write_str(&quoted[1..quoted.len() - 1])?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        f.write_str("\"")?;
        match self.0.len() {
            all if all > shown.len() => write!(f, "... ({all} bytes)"),
            _ => Ok(()),
        }
    }
}

/// A time as people say it: `0.21 ms`, `38 ms`, `5 s`.
fn spell(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    match ms {
        ..10.0 => format!("{ms:.2} ms"),
        ..1000.0 => format!("{ms:.0} ms"),
        _ if time.subsec_millis() < 50 => format!("{} s", time.as_secs()),
        _ => format!("{:.1} s", ms / 1000.0),
    }
}

#[cfg(test)]
mod tests;
