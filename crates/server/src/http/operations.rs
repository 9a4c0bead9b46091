//! For whoever runs the server: is it alive, is it ready, what has it counted, which one is it?

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, Response, StatusCode};
use madang_room::Refusal;

use super::{Client, Place, answer};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
/// The text format of Prometheus as its own libraries write it today.
const METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// The counters. They hold no name of a person or a room; they still tell strangers more than they need to know, so
/// only peers on this machine get them.
#[utoipa::path(get, path = "/metrics", tag = "operations",
    responses(
        (status = 200, description = "Counters in the Prometheus text format", content_type = "application/openmetrics-text"),
        (status = 403, description = "Only for peers on loopback", body = super::openapi::Error),
    ))]
pub(super) async fn metrics(
    State(place): State<Arc<Place>>,
    Extension(client): Extension<Arc<Client>>,
) -> Response<Body> {
    if !client.peer.ip().to_canonical().is_loopback() {
        let why = "metrics are only for peers on this machine".to_owned();
        return answer::refused(&Refusal::Forbidden { why });
    }
    answer::with_type(StatusCode::OK, METRICS, place.hall.metrics())
}

/// Is the process alive?
#[utoipa::path(get, path = "/healthz", tag = "operations",
    responses((status = 200, description = "It answers, so it is", body = String)))]
pub(super) async fn healthz() -> Response<Body> {
    answer::with_type(StatusCode::OK, TEXT, "ok\n")
}

/// Should it get traffic?
#[utoipa::path(get, path = "/readyz", tag = "operations",
    responses(
        (status = 200, description = "Logs can be written, and it is not about to end", body = String),
        (status = 503, description = "Not now", body = String),
    ))]
pub(super) async fn readyz(State(place): State<Arc<Place>>) -> Response<Body> {
    match place.hall.is_ready() {
        true => answer::with_type(StatusCode::OK, TEXT, "ready\n"),
        false => answer::with_type(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready\n"),
    }
}

/// Which server is this?
#[utoipa::path(get, path = "/version", tag = "operations",
    responses((status = 200, description = "Its name and version", body = super::openapi::Version)))]
pub(super) async fn version() -> Response<Body> {
    let version = concat!("{\"name\":\"madang\",\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}");
    answer::in_json(StatusCode::OK, version.into())
}
