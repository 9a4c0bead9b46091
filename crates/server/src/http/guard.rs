//! Whose pages may ask: what a browser says of where a request comes from, held against what is allowed.
//!
//! A page of any site can make its visitors' browsers send requests here, also to a server that only they can reach.
//! Browsers say in `Origin` whose page it is; it must be the server's own, or one of the configuration's. Requests
//! without one come from programs, or are plain reads whose answer no other page gets to see. Origins are parsed and
//! compared whole, never by how they begin or end.
//!
//! A site can also point its own name at 127.0.0.1, and then its pages have our origin. So a listener on loopback
//! answers only to names of loopback.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::body::Body;
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header,
};

use super::answer::No;
use crate::config::{Host, Origin, Origins};

/// What pages of other origins may send; all that the routes know.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, OPTIONS");
const HEADERS: HeaderValue =
    HeaderValue::from_static("Authorization, Content-Type, Idempotency-Key, Last-Event-ID");
/// How long a browser may remember that, in seconds.
const REMEMBERED: HeaderValue = HeaderValue::from_static("600");

pub(super) struct Guard {
    origins: Origins,
    is_on_loopback: bool,
}

/// What the browser of a page that may ask must be told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Nothing: no page asks, or one of our own.
    Own,
    /// That this page may read the answer.
    Listed(HeaderValue),
    /// That every page may.
    Any,
}

impl Guard {
    pub(super) fn new(origins: &Origins, bind: SocketAddr) -> Guard {
        Guard { origins: origins.clone(), is_on_loopback: bind.ip().to_canonical().is_loopback() }
    }

    /// Lets a request in, or says why not.
    pub(super) fn admit<B>(&self, request: &Request<B>) -> Result<Admission, No> {
        let host = self.host(request)?;
        let mut origins = request.headers().get_all(header::ORIGIN).iter();
        let Some(text) = origins.next() else { return Ok(Admission::Own) };
        if origins.next().is_some() {
            return Err(No::bad(StatusCode::BAD_REQUEST, "a request has one Origin"));
        }
        let origin = text.to_str().ok().and_then(Origin::parse);
        match (&origin, &host) {
            (Some(origin), Some(host)) if origin.is_of(host) => Ok(Admission::Own),
            _ if self.origins.any => Ok(Admission::Any),
            (Some(origin), _) if self.origins.listed.contains(origin) => Ok(Admission::Listed(text.clone())),
            _ => Err(No::forbidden(format!(
                "pages of {} may not connect; the server's configuration lists those that may in origins",
                shown(text)
            ))),
        }
    }

    /// The host that the request is for, where the listener answers to that name.
    fn host<B>(&self, request: &Request<B>) -> Result<Option<Host>, No> {
        let bad = |why: &str| No::bad(StatusCode::BAD_REQUEST, why);
        let mut hosts = request.headers().get_all(header::HOST).iter();
        let header = hosts.next();
        if hosts.next().is_some() || (header.is_none() && request.version() >= Version::HTTP_11) {
            return Err(bad("a request has one Host"));
        }
        // RFC 9112, section 3.2.2: where the target itself names the host, that counts.
        let text = match (request.uri().authority(), header) {
            (Some(authority), _) => Some(authority.as_str()),
            (None, Some(header)) => Some(header.to_str().map_err(|_| bad("Host is a name and a port"))?),
            (None, None) => None,
        };
        let Some(text) = text else { return Ok(None) };
        let host = Host::parse(text).ok_or_else(|| bad("Host is a name and a port"))?;
        if self.is_on_loopback && !is_loopback_name(&host.name) && !self.is_listed(&host) {
            return Err(No::forbidden(format!(
                "this listener is on loopback and does not answer to {}, but to localhost and 127.0.0.1; where a proxy \
                 stands before it, its configuration lists in origins what that is called",
                host.name
            )));
        }
        Ok(Some(host))
    }

    fn is_listed(&self, host: &Host) -> bool {
        self.origins.listed.iter().any(|origin| origin.is_of(host))
    }
}

impl Admission {
    pub(super) fn mark(&self, headers: &mut HeaderMap) {
        let allowed = match self {
            Admission::Own => return,
            Admission::Any => HeaderValue::from_static("*"),
            Admission::Listed(origin) => {
                headers.append(header::VARY, HeaderValue::from_static("Origin"));
                origin.clone()
            }
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    }
}

/// Does a browser ask what a page of another origin may do?
pub(super) fn is_preflight<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

pub(super) fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let says: [(HeaderName, HeaderValue); 3] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, REMEMBERED),
    ];
    response.headers_mut().extend(says.map(|(name, value)| (Some(name), value)));
    response
}

fn is_loopback_name(name: &str) -> bool {
    if name == "localhost" {
        return true;
    }
    match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        Some(address) => address.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback()),
        None => name.parse().is_ok_and(|ip: Ipv4Addr| ip.is_loopback()),
    }
}

/// A header as a refusal repeats it.
fn shown(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: &str = "127.0.0.1:3000";
    const PUBLIC: &str = "0.0.0.0:3000";

    fn guard(bind: &str, origins: &[&str]) -> Guard {
        let listed = origins.iter().filter_map(|origin| Origin::parse(origin)).collect();
        Guard::new(&Origins { any: origins.contains(&"*"), listed }, bind.parse().unwrap())
    }

    fn request(host: &str, origin: Option<&str>) -> Request<()> {
        let request = Request::get("/api/rooms").header(header::HOST, host);
        let request = match origin {
            Some(origin) => request.header(header::ORIGIN, origin),
            None => request,
        };
        request.body(()).unwrap()
    }

    /// The status of the refusal, or 200.
    fn status(guard: &Guard, request: &Request<()>) -> u16 {
        guard.admit(request).map_or_else(|refused| refused.status.as_u16(), |_| 200)
    }

    #[test]
    fn a_page_must_be_our_own_or_listed() {
        let guard = guard(PUBLIC, &["https://friend.example", "http://friend.example:8080"]);
        for (origin, expected) in [
            (None, 200),
            (Some("http://host.example:3000"), 200),
            (Some("https://host.example:3000"), 200),
            (Some("HTTP://HOST.EXAMPLE:3000"), 200),
            (Some("http://host.example"), 403),
            (Some("http://host.example:3001"), 403),
            (Some("http://evil-host.example:3000"), 403),
            (Some("http://host.example.evil:3000"), 403),
            (Some("http://host.example:3000.evil"), 403),
            (Some("http://evil@host.example:3000"), 403),
            (Some("http://host.example:3000/"), 403),
            (Some("null"), 403),
            (Some(""), 403),
            (Some("https://friend.example"), 200),
            (Some("https://friend.example:443"), 200),
            (Some("http://friend.example"), 403),
            (Some("http://friend.example:8080"), 200),
            (Some("https://friend.example:8080"), 403),
            (Some("https://a.friend.example"), 403),
        ] {
            assert_eq!(status(&guard, &request("host.example:3000", origin)), expected, "{origin:?}");
        }
    }

    #[test]
    fn a_port_that_goes_without_saying_need_not_be_said() {
        let guard = guard(PUBLIC, &[]);
        for (host, origin, expected) in [
            ("host.example", "https://host.example", 200),
            ("host.example:443", "https://host.example", 200),
            ("host.example", "http://host.example", 200),
            ("host.example:80", "http://host.example", 200),
            ("host.example:443", "http://host.example", 403),
            ("[::1]:3000", "http://[::1]:3000", 200),
        ] {
            assert_eq!(status(&guard, &request(host, Some(origin))), expected, "{host} {origin}");
        }
    }

    #[test]
    fn loopback_answers_to_its_names_alone() {
        let on_loopback = guard(LOOPBACK, &["https://chat.example"]);
        for (host, expected) in [
            ("localhost", 200),
            ("LOCALHOST:3000", 200),
            ("127.0.0.1:3000", 200),
            ("127.8.8.8", 200),
            ("[::1]:3000", 200),
            ("[::ffff:127.0.0.1]", 200),
            ("chat.example", 200),
            ("chat.example:443", 200),
            ("chat.example:80", 403),
            ("rebound.example:3000", 403),
            ("localhost.example", 403),
            ("127.0.0.1.example", 403),
            ("192.0.2.1:3000", 403),
            ("0.0.0.0:3000", 403),
            ("two words", 400),
            ("", 400),
        ] {
            assert_eq!(status(&on_loopback, &request(host, None)), expected, "{host:?}");
            let elsewhere = guard(PUBLIC, &[]);
            assert_eq!(status(&elsewhere, &request(host, None)), if expected == 400 { 400 } else { 200 });
        }
        let rebound =
            Request::get("http://rebound.example/").header(header::HOST, "localhost").body(()).unwrap();
        assert_eq!(status(&on_loopback, &rebound), 403, "the target counts");
        assert_eq!(status(&on_loopback, &Request::get("/").body(()).unwrap()), 400);
    }

    #[test]
    fn a_listed_page_is_told_that_it_may_read() {
        let told = |guard: &Guard, origin| {
            let admission = guard.admit(&request("localhost", Some(origin))).unwrap();
            let mut headers = HeaderMap::new();
            admission.mark(&mut headers);
            let get = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            (get(header::ACCESS_CONTROL_ALLOW_ORIGIN), get(header::VARY))
        };
        let text = |text: &str| Some(text.to_owned());
        let listed = guard(LOOPBACK, &["https://friend.example"]);
        assert_eq!(told(&listed, "https://friend.example"), (text("https://friend.example"), text("Origin")));
        assert_eq!(told(&listed, "http://localhost"), (None, None));
        assert_eq!(told(&guard(LOOPBACK, &["*"]), "null"), (text("*"), None));
    }
}
