//! The page: files that are part of the program.
//!
//! They are compressed where the browser takes that, nothing else is: what rooms say leaves as soon as it is said, and
//! secrets are never compressed together with what others have chosen.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use data_encoding::HEXLOWER;
use rust_embed::{EmbeddedFile, RustEmbed};
use tower_http::compression::CompressionLayer;

use super::answer;

/// The page loads and asks nothing of anybody else, runs no script but its own files, and stands in no other page's
/// frame. `'self'` is also its WebSocket (CSP level 3).
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
);
/// A browser asks each time whether its copy is still good: after an update nobody runs half of the old page.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");

#[derive(RustEmbed)]
#[folder = "../../web/"]
struct Files;

/// Everything that has no other route.
pub(super) fn files<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().fallback(file).layer(CompressionLayer::new().gzip(true))
}

async fn file(method: Method, uri: Uri, headers: HeaderMap) -> Response<Body> {
    let name = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        name => name,
    };
    match Files::get(name) {
        Some(_) if method != Method::GET && method != Method::HEAD => {
            let mut response = answer::wrong_method(method, uri).await;
            response.headers_mut().insert(header::ALLOW, METHODS);
            response
        }
        Some(file) => serve(name, file, &headers),
        None => {
            let why = format!("there is nothing at {}", uri.path());
            answer::bad_request(StatusCode::NOT_FOUND, why)
        }
    }
}

fn serve(name: &str, file: EmbeddedFile, asked: &HeaderMap) -> Response<Body> {
    let hash = HEXLOWER.encode(&file.metadata.sha256_hash()[..16]);
    // Weak: compressed or not, it is the same file.
    let tag = format!("W/\"{hash}\"");
    let has_it = asked.get_all(header::IF_NONE_MATCH).iter().any(|tags| has_tag(tags, &hash));
    let mut response = match has_it {
        true => Response::new(Body::empty()),
        false => Response::new(Body::from(Bytes::from(file.data.into_owned()))),
    };
    if has_it {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(name)));
    headers.insert(header::CACHE_CONTROL, ASK_AGAIN);
    headers.insert(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// Is it one of these tags, or are they all (`*`)?
fn has_tag(tags: &HeaderValue, hash: &str) -> bool {
    let Ok(tags) = tags.to_str() else { return false };
    tags.split(',').map(str::trim).any(|tag| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || tag.trim_matches('"') == hash
    })
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" => "application/json",
        "webmanifest" => "application/manifest+json",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(path: &str, asked: &[(&'static str, &str)]) -> Response<Body> {
        let mut headers = HeaderMap::new();
        headers.extend(asked.iter().map(|(name, value)| {
            (Some(header::HeaderName::from_static(name)), HeaderValue::from_str(value).unwrap())
        }));
        file(Method::GET, path.parse().unwrap(), headers).await
    }

    #[tokio::test]
    async fn the_page_is_there_and_may_not_be_framed() {
        let page = get("/", &[]).await;
        assert_eq!(page.status(), StatusCode::OK);
        assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8");
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
    }

    #[tokio::test]
    async fn who_has_it_is_not_sent_it_again() {
        let page = get("/index.html", &[]).await;
        let tag = page.headers()[header::ETAG].to_str().unwrap().to_owned();
        for tags in [tag.clone(), format!("\"x\", {tag}"), tag.replace("W/", ""), "*".to_owned()] {
            let again = get("/", &[("if-none-match", &tags)]).await;
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{tags}");
        }
        assert_eq!(get("/", &[("if-none-match", "W/\"x\"")]).await.status(), StatusCode::OK);
    }

    #[tokio::test]
    async fn there_is_nothing_else() {
        for path in ["/nothing", "/../Cargo.toml", "/..%2fCargo.toml", "/js/", "//etc/passwd"] {
            assert_eq!(get(path, &[]).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
        let posted = file(Method::POST, "/".parse().unwrap(), HeaderMap::new()).await;
        assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(posted.headers()[header::ALLOW], "GET, HEAD");
    }
}
