//! Bodies of requests, within bounds of size and time.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

/// For a whole body, however it trickles in.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is longer than it may be, or says that it is.
    TooLong,
    /// It took longer than [`BODY_TIMEOUT`].
    TooSlow,
    /// The connection or its encoding broke.
    Broken,
}

/// Reads a body of at most `max` bytes. What is announced as longer is not read at all.
pub(super) async fn read(mut body: Body, max: usize) -> Result<Vec<u8>, BodyError> {
    let deadline = Instant::now() + BODY_TIMEOUT;
    if body.size_hint().lower() > max as u64 {
        return Err(BodyError::TooLong);
    }
    let mut bytes = Vec::new();
    loop {
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| BodyError::TooSlow)?;
        match frame {
            None => return Ok(bytes),
            Some(Err(_)) => return Err(BodyError::Broken),
            // Trailers are of no use here.
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if data.len() > max - bytes.len() {
                    return Err(BodyError::TooLong);
                }
                bytes.extend_from_slice(&data);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_may_be_as_long_as_it_may() {
        assert_eq!(read(Body::from("12345"), 5).await, Ok(b"12345".to_vec()));
        assert_eq!(read(Body::from("123456"), 5).await, Err(BodyError::TooLong));
        assert_eq!(read(Body::empty(), 0).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn one_that_does_not_say_how_long_it_is_is_cut_there() {
        let pieces = || futures_util::stream::iter(["123", "45", "6"].map(Ok::<_, std::io::Error>));
        assert_eq!(read(Body::from_stream(pieces()), 6).await, Ok(b"123456".to_vec()));
        assert_eq!(read(Body::from_stream(pieces()), 5).await, Err(BodyError::TooLong));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_end_is_given_up() {
        let endless = futures_util::stream::pending::<Result<&str, std::io::Error>>();
        assert_eq!(read(Body::from_stream(endless), 5).await, Err(BodyError::TooSlow));
    }
}
