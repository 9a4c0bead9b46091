//! Where pages come from that may connect by HTTP.

use std::fmt;
use std::net::Ipv6Addr;

/// Pages that may connect, beside the server's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// Any page of anybody: where nothing is worth protecting.
    pub any: bool,
    /// These.
    pub listed: Vec<Origin>,
}

/// An origin as browsers send it: a scheme, a host and a port, and nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: Host,
}

/// A host and a port, as an origin and the `Host` of a request have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// In lower case; an IPv6 address in its brackets and its shortest form.
    pub(crate) name: String,
    /// Where it is given.
    pub(crate) port: Option<u16>,
}

impl Origin {
    /// Reads an origin. Whatever else could stand in an address (a path, a user, a `*`) makes it none.
    pub fn parse(text: &str) -> Option<Origin> {
        let (scheme, host) = text.split_once("://")?;
        let mut letters = scheme.bytes();
        let is_scheme = letters.next()?.is_ascii_alphabetic()
            && letters.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
        let scheme = scheme.to_ascii_lowercase();
        let host = Host::parse(host).filter(|_| is_scheme)?;
        let port = host.port.filter(|port| Some(*port) != default_port(&scheme));
        Some(Origin { scheme, host: Host { port, ..host } })
    }

    /// Is this the origin of pages of that host? With which scheme they came is not known here: what stands before us
    /// may speak TLS.
    pub(crate) fn is_of(&self, host: &Host) -> bool {
        let port = host.port.filter(|port| Some(*port) != default_port(&self.scheme));
        self.host.name == host.name && self.host.port == port
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host.name)?;
        self.host.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Host {
    pub(crate) fn parse(text: &str) -> Option<Host> {
        let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, rest)) => {
                let address: Ipv6Addr = address.parse().ok()?;
                let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
                (format!("[{address}]"), port)
            }
            None => {
                let (name, port) =
                    text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
                let is_name = !name.is_empty()
                    && name
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
                (is_name.then(|| name.to_ascii_lowercase())?, port)
            }
        };
        let port = match port {
            None => None,
            // `u16` alone would take `+80`, too.
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
            Some(_) => return None,
        };
        Some(Host { name, port })
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        for (text, is) in [
            ("https://example.org", "https://example.org"),
            ("HTTPS://Example.ORG", "https://example.org"),
            ("https://example.org:443", "https://example.org"),
            ("http://example.org:8080", "http://example.org:8080"),
            ("http://[0:0::1]:80", "http://[::1]"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(Origin::parse(text).map(|origin| origin.to_string()).as_deref(), Some(is), "{text}");
        }
        for text in [
            "",
            "null",
            "*",
            "example.org",
            "://example.org",
            "https://",
            "https://example.org/",
            "https://user@example.org",
            "https://*.example.org",
            "https://example.org:+80",
            "https://example.org:80:80",
            "https://example.org:65536",
            "https://[::1",
            "https://[::1]x",
            "https://exa mple.org",
            "https://마당.kr",
            "1https://example.org",
        ] {
            assert_eq!(Origin::parse(text), None, "{text:?}");
        }
    }
}
