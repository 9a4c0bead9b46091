//! A program that runs beside the test, what it prints, and its end.

use std::fmt;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::PATIENCE;

/// A running program with pipes for input and output. Dropping it kills it, and nothing else.
pub(crate) struct Program {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    pub(crate) out: Flow,
    pub(crate) err: Flow,
}

/// What a program came to.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Program {
    pub(crate) fn start(mut command: Command) -> Program {
        let name = format!("{command:?}");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} can't be started: {error}"));
        let input = child.stdin.take();
        let out = Flow::of(child.stdout.take().unwrap(), format!("what {name} prints"));
        let err = Flow::of(child.stderr.take().unwrap(), format!("what {name} complains of"));
        Program { name, child, input, out, err }
    }

    /// Runs it to its end with this input.
    pub(crate) fn run(command: Command, input: &str) -> Finished {
        let mut program = Program::start(command);
        program.type_in(input);
        program.finish_input();
        program.finish()
    }

    /// Writes to its standard input. One that reads no more is found out by its end.
    pub(crate) fn type_in(&mut self, text: &str) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(text.as_bytes()).and_then(|()| input.flush());
        }
    }

    /// Ends its standard input.
    pub(crate) fn finish_input(&mut self) {
        self.input = None;
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal)
            .expect("a child that was not waited for has its pid");
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.end_within(PATIENCE)
    }

    pub(crate) fn end_within(&mut self, limit: Duration) -> ExitStatus {
        let pidfd = pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).expect("pidfds");
        let limit_spec = limit.try_into().unwrap();
        let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit_spec)).expect("poll");
        assert!(
            ended > 0,
            "{} has not ended within {limit:?}; it printed:\n{}",
            self.name,
            self.out.so_far()
        );
        self.child.wait().unwrap()
    }

    /// Waits for its end, and for all that it printed.
    pub(crate) fn finish(mut self) -> Finished {
        let status = self.end();
        Finished { status, out: self.out.rest(), err: self.err.rest() }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- {} complained:\n{}", self.name, self.err.rest());
        }
    }
}

/// What comes out of a program, read as it comes.
pub(crate) struct Flow {
    what: String,
    text: String,
    /// Up to here it was waited for.
    seen: usize,
    chunks: Receiver<Vec<u8>>,
}

impl Flow {
    fn of(mut pipe: impl Read + Send + 'static, what: String) -> Flow {
        let (sender, chunks) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Flow { what, text: String::new(), seen: 0, chunks }
    }

    /// Waits until `part` was printed, after what was waited for before.
    pub(crate) fn wait_for(&mut self, part: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.text[self.seen..].find(part) {
                self.seen += at + part.len();
                return;
            }
            let Ok(chunk) = self.chunks.recv_timeout(deadline - Instant::now().min(deadline)) else {
                panic!("{part:?} is not in {}:\n{}", self.what, self.text);
            };
            self.add(&chunk);
        }
    }

    /// Waits for the next line; none at the end.
    pub(crate) fn line(&mut self) -> Option<String> {
        while !self.text[self.seen..].contains('\n') {
            match self.chunks.recv_timeout(PATIENCE) {
                Ok(chunk) => self.add(&chunk),
                Err(_) => return None,
            }
        }
        let line: String = self.text[self.seen..].split_inclusive('\n').next()?.to_owned();
        self.seen += line.len();
        Some(line.trim_end_matches('\n').to_owned())
    }

    /// All that was printed until now.
    pub(crate) fn so_far(&mut self) -> &str {
        while let Ok(chunk) = self.chunks.try_recv() {
            self.add(&chunk);
        }
        &self.text
    }

    /// All that was printed, to the end.
    pub(crate) fn rest(&mut self) -> String {
        while let Ok(chunk) = self.chunks.recv_timeout(PATIENCE) {
            self.add(&chunk);
        }
        self.text.clone()
    }

    fn add(&mut self, chunk: &[u8]) {
        // Programs here print UTF-8; a character cut in two would show as a failed comparison.
        self.text.push_str(&String::from_utf8_lossy(chunk));
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n--- printed:\n{}\n--- complained:\n{}", self.status, self.out, self.err)
    }
}
