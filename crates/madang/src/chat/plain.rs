//! The screen of a pipe: lines from standard input, lines to standard output, nothing else. What is about the
//! connection goes to standard error, so that standard output holds what the text door would have sent.
//!
//! Both ends are threads of their own: a pipe that is stuck must stop neither the connection nor the other end.

use std::io::{BufRead, Read, Write};
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::Ended;
use super::line::{Kind, Line};

/// Bytes in one line of input. A longer one is skipped whole: no server would take it.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// Reads and prints until there is nothing more to print.
pub(crate) async fn run(typed: mpsc::Sender<String>, lines: mpsc::Receiver<Line>) -> Ended {
    thread::spawn(move || read_all(std::io::stdin().lock(), &typed));
    let (ended, end) = oneshot::channel();
    thread::spawn(move || {
        // Nobody waits for the end where the whole program is ending.
        let _ = ended.send(print_all(lines));
    });
    end.await.unwrap_or(Ended::Whole)
}

/// Passes lines on until the input ends or nobody wants more.
fn read_all(mut input: impl BufRead, typed: &mpsc::Sender<String>) {
    let mut bytes = Vec::new();
    while let Ok(1..) = input.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes) {
        let whole = bytes.last() == Some(&b'\n') || (bytes.len() as u64) < LINE_BYTES_MAX;
        match std::str::from_utf8(&bytes) {
            _ if !whole => {
                warn("a line of more than 64 KiB was left out");
                skip_line(&mut input);
            }
            Ok(line) => {
                if typed.blocking_send(line.to_owned()).is_err() {
                    return;
                }
            }
            Err(_) => warn("a line that is not UTF-8 was left out"),
        }
        bytes.clear();
    }
}

fn skip_line(input: &mut impl BufRead) {
    while let Ok(buffer) = input.fill_buf() {
        let Some(end) = buffer.iter().position(|&byte| byte == b'\n') else {
            let bytes = buffer.len();
            if bytes == 0 {
                return;
            }
            input.consume(bytes);
            continue;
        };
        input.consume(end + 1);
        return;
    }
}

fn print_all(mut lines: mpsc::Receiver<Line>) -> Ended {
    while let Some(line) = lines.blocking_recv() {
        let text = line.plain();
        if let Kind::Connection(_) = line.kind {
            warn(&text);
            continue;
        }
        // Written at once: somebody may be reading along.
        let mut stdout = std::io::stdout().lock();
        if writeln!(stdout, "{text}").and_then(|()| stdout.flush()).is_err() {
            return Ended::PipeClosed;
        }
    }
    Ended::Whole
}

fn warn(what: &str) {
    // Where standard error is closed nobody is there to be told.
    let _ = writeln!(std::io::stderr().lock(), "madang: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Vec<String> {
        let (typed, mut lines) = mpsc::channel(100);
        read_all(input, &typed);
        drop(typed);
        std::iter::from_fn(|| lines.blocking_recv()).collect()
    }

    #[test]
    fn a_last_line_needs_no_ending() {
        assert_eq!(read(b"one\r\ntwo"), ["one\r\n", "two"]);
        assert_eq!(read(b""), Vec::<String>::new());
    }

    #[test]
    fn what_no_server_takes_is_left_out_whole() {
        let long = vec![b'x'; LINE_BYTES_MAX as usize * 2 + 10];
        let input = [b"one\n", long.as_slice(), b"\n\xff\xfe\ntwo\n"].concat();
        assert_eq!(read(&input), ["one\n", "two\n"]);
    }
}
