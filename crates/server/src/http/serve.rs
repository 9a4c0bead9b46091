//! One TCP connection: HTTP/1.1 requests in turn, until somebody has enough.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tower_service::Service;

use super::line::Line;
use super::{Client, Desk, answer, guard};

/// For the whole head of a request, and so also for the pause between two requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a head; a longer one is answered with 431.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header fields of a request; more are answered with 431.
const HEADERS_MAX: usize = 64;

/// Serves a connection until it ends or becomes a WebSocket. It holds the connection's place in the count of its
/// address.
pub(super) async fn serve(
    desk: Desk,
    stream: std::net::TcpStream,
    client: Client,
    mut ending: watch::Receiver<bool>,
) {
    let peer = client.peer;
    let stream = match TcpStream::from_std(stream) {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%peer, %error, "a connection can't be watched and is closed"),
    };
    let line = Line::new(stream, desk.place.hall.config.write_timeout);
    let client = Arc::new(client);
    let service = service_fn(move |request| {
        let (mut desk, client) = (desk.clone(), client.clone());
        async move { Ok::<_, Infallible>(desk.answer(request, client).await) }
    });
    let connection = Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_header_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        // Twice the longest head: what is read ahead of a body or behind a handshake.
        .max_buf_size(2 * HEAD_BYTES_MAX)
        .half_close(true)
        .serve_connection(line, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let is_ending = async { drop(ending.wait_for(|is_ending| *is_ending).await) };
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = is_ending => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%peer, %error, "an HTTP connection broke");
    }
}

impl Desk {
    async fn answer(&mut self, request: Request<Incoming>, client: Arc<Client>) -> Response<Body> {
        let admission = match self.place.guard.admit(&request) {
            Ok(admission) => admission,
            Err(refused) => return answer::and_close(refused.answer()),
        };
        let mut request = request.map(Body::new);
        let mut response = match guard::is_preflight(&request) {
            true => guard::preflight(),
            false => {
                request.extensions_mut().insert(client);
                match self.routes.call(request).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        admission.mark(headers);
        response
    }
}
