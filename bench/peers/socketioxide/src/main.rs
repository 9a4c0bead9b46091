//! Rooms on socketioxide, as its documentation builds them: `join {room}` with an acknowledgment, and `say {room, text}`,
//! which reaches the others of the room as `said {room, from, text}`.
//!
//! ```text
//! peer-socketioxide PORT
//! ```
//!
//! Port 0 lets the system choose; the line `listening ADDRESS` on standard output tells which.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use axum::serve::ListenerExt;
use serde::{Deserialize, Serialize};
use socketioxide::extract::{AckSender, Data, SocketRef};
use socketioxide::{SocketIo, TransportType};
use tokio::net::TcpSocket;

/// Packets that may wait for one socket. What goes beyond is dropped, and its default of 128 is less than what a room
/// has on the way here: with it, most of what is said would be lost.
const PACKETS_WAITING_MAX: usize = 1_024;
/// New connections that wait to be taken, as many as with Madang.
const BACKLOG: u32 = 4_096;

#[derive(Debug, Deserialize)]
struct Join {
    room: String,
}

#[derive(Debug, Deserialize)]
struct Say {
    room: String,
    text: String,
}

#[derive(Debug, Serialize)]
struct Joined {
    room: String,
}

#[derive(Debug, Serialize)]
struct Said {
    room: String,
    from: String,
    text: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).map_or(Ok(0), |port| port.parse())?;

    let (layer, io) = SocketIo::builder()
        .transports([TransportType::Websocket])
        .max_buffer_size(PACKETS_WAITING_MAX)
        .build_layer();
    io.ns("/", async |socket: SocketRef| {
        socket.on("join", async |socket: SocketRef, Data(Join { room }): Data<Join>, answer: AckSender| {
            socket.join(room.clone());
            // Whoever has gone meanwhile needs no answer.
            let _ = answer.send(&Joined { room });
        });
        socket.on("say", async |socket: SocketRef, Data(Say { room, text }): Data<Say>| {
            let said = Said { room: room.clone(), from: socket.id.to_string(), text };
            // Its error names those that have too much waiting. There is nothing to be done for them.
            let _ = socket.to(room).emit("said", &said).await;
        });
    });

    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    let listener = socket.listen(BACKLOG)?;
    println!("listening {}", listener.local_addr()?);
    // Without it, messages wait for the acknowledgment of earlier ones.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, axum::Router::new().layer(layer)).await?;
    Ok(())
}
