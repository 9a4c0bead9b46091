//! The socket beneath one HTTP connection, with two things that TCP alone leaves open.
//!
//! A client that takes nothing of its answer for `write_timeout` is given up. And a connection is closed as RFC 9112,
//! section 9.6 has it: our side first, and then what the client is still sending is read and dropped for a moment; a
//! reset would take the answer from it that says why.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long a client may go on sending after our side is closed, and how much.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 16 << 20;

pub(super) struct Line {
    stream: TokioIo<TcpStream>,
    write_timeout: Duration,
    /// Runs while the client takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Our side is closed; what still comes is dropped until then.
    parting: Option<Pin<Box<Sleep>>>,
    dropped_bytes: usize,
}

impl Line {
    pub(super) fn new(stream: TcpStream, write_timeout: Duration) -> Line {
        let stream = TokioIo::new(stream);
        Line { stream, write_timeout, stalled: None, parting: None, dropped_bytes: 0 }
    }

    /// What is left of it when it has become something else than HTTP.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream.into_inner()
    }

    fn written(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let write_timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(write_timeout)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }

    /// Reads and drops until the client has closed its side, or has had its time.
    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let parting = self.parting.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if parting.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut bytes = [0; 4096];
        while self.dropped_bytes < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(self.stream.inner_mut()).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => self.dropped_bytes += buffer.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl Read for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.parting.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        }
        self.poll_part(cx).map(Ok)
    }
}
