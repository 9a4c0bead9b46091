//! From requests to a WebSocket, without a message lost or repeated.
//!
//! The client opens a WebSocket beside its requests and sends `2probe` over it. From the answer on its GETs bring
//! nothing any more, so it can stop sending them; what the shard writes waits in the pipe. Its `5` then moves the
//! session: what was fetched goes out first, then the shard sends what waits in the pipe, over the same socket.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use madang_wire::engineio::{self, Packet};
use madang_wire::websocket::{self, Decoder, Message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Place;
use super::sessions::Upgrading;
use super::websocket::{Opening, dismiss, for_shard};

/// For the whole change; after that requests carry the session on.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a message during the change: `2probe` is the longest.
const MESSAGE_BYTES_MAX: usize = 128;

/// Lets the WebSocket take over, if it does as it should.
pub(super) async fn run(place: Arc<Place>, upgrading: Upgrading, opening: Opening) {
    let Some((mut stream, read)) = opening.stream().await else { return };
    let result = timeout(UPGRADE_TIMEOUT, take_over(&upgrading, &mut stream, read)).await;
    if let Ok(Ok(Some(input))) = result {
        return hand_over(&place, &upgrading, stream, input).await;
    }
    // Before this WebSocket has gone requests carry the session again, or another one may try.
    drop(upgrading);
    match result {
        Ok(Ok(_)) => dismiss(stream, 1002, "an upgrade is 2probe and 5").await,
        // It has gone.
        Ok(Err(_)) => {}
        Err(_) => dismiss(stream, 1000, "the upgrade has taken too long").await,
    }
}

/// Goes through the steps of the change. Gives what was read behind the last; nothing where the client went astray.
async fn take_over(
    upgrading: &Upgrading,
    stream: &mut TcpStream,
    mut read: Vec<u8>,
) -> io::Result<Option<Vec<u8>>> {
    let mut decoder = Decoder::new(MESSAGE_BYTES_MAX);
    let mut is_probed = false;
    let mut buffer = [0; 1024];
    loop {
        let mut answers = Vec::new();
        let mut rest = read.as_mut_slice();
        while let Some(message) = decoder.next(&mut rest) {
            match message {
                Ok(Message::Text(text)) => match engineio::parse(text) {
                    Some(Packet::Ping("probe")) if !is_probed => {
                        is_probed = true;
                        engineio::encode_pong(&mut answers, "probe");
                        upgrading.probed();
                    }
                    Some(Packet::Upgrade) if is_probed => {
                        let input = rest.to_vec();
                        stream.write_all(&answers).await?;
                        return Ok(Some(input));
                    }
                    _ => return Ok(None),
                },
                Ok(Message::Ping(data)) => websocket::pong_frame(&mut answers, data),
                Ok(Message::Pong) => {}
                Ok(Message::Binary(_) | Message::Close(_)) | Err(_) => return Ok(None),
            }
        }
        stream.write_all(&answers).await?;
        match stream.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            bytes => read = buffer[..bytes].to_vec(),
        }
    }
}

/// Gives the session its socket.
async fn hand_over(place: &Place, upgrading: &Upgrading, mut stream: TcpStream, input: Vec<u8>) {
    let session = &upgrading.session;
    let Some(frames) = upgrading.complete(&place.sessions) else {
        return dismiss(stream, 1000, "the session has ended").await;
    };
    let write_timeout = place.hall.config.write_timeout;
    let is_written = matches!(timeout(write_timeout, stream.write_all(&frames)).await, Ok(Ok(())));
    match for_shard(stream) {
        Ok(stream) if is_written => {
            place.hall.upgrade(&session.door, session.sid.clone(), stream, input);
        }
        _ => session.door.hang_up(),
    }
}
