//! How durations, sizes and addresses are written, in the file and on the command line alike.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// What an address may be, for whoever wrote something else.
pub const ADDRESS_TAKES: &str = "an address and a port, such as 127.0.0.1:2022, [::1]:2022 or localhost:2022";

/// An address and a port: `127.0.0.1:2022`, `[::1]:2022`, or `localhost:2022` for the first of these.
///
/// No other host names: what a name stands for may change, and a server must not open a door where nobody meant one.
pub fn address(text: &str) -> Option<SocketAddr> {
    if let Some(port) = text.strip_prefix("localhost:") {
        // `u16` alone would take `+2022` too.
        let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = if digits { port.parse().ok()? } else { return None };
        return Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().ok()
}

/// A duration: `10s`, `500ms`, `1h 30m`, `30d`. A number always has its unit.
pub fn duration(text: &str) -> Option<Duration> {
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    if has_unit { humantime::parse_duration(text).ok() } else { None }
}

/// A number of bytes: `4096`, `4096 B`, `64 KiB`, `1 MiB`, `2 GiB`; the space may be left out. A KiB is 1,024 bytes.
pub fn size(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let bytes: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(bytes)
}

/// A size in the largest unit that it is a whole number of.
pub(super) fn show_size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_digits_or_is_this_machine() {
        for (text, is) in [
            ("127.0.0.1:2022", "127.0.0.1:2022"),
            ("localhost:2022", "127.0.0.1:2022"),
            ("localhost:0", "127.0.0.1:0"),
            ("[::1]:2022", "[::1]:2022"),
            ("0.0.0.0:65535", "0.0.0.0:65535"),
        ] {
            assert_eq!(address(text), Some(is.parse().unwrap()), "{text}");
        }
        for text in [
            "",
            "2022",
            ":2022",
            "127.0.0.1",
            "localhost",
            "localhost:",
            "localhost:+1",
            "example.org:1",
            "::1:2022x",
            "127.0.0.1:65536",
            "127.0.0.1:",
            " 127.0.0.1:1",
        ] {
            assert_eq!(address(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_duration_has_units() {
        for (text, millis) in
            [("10s", 10_000), ("0s", 0), ("500ms", 500), ("1h 30m", 5_400_000), ("30d", 2_592_000_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "10", "0", "s", "ten seconds", "-1s", "10 parsecs", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_size_is_a_number_of_bytes() {
        for (text, bytes) in [
            ("4096", 4096),
            ("0", 0),
            ("64 KiB", 65536),
            ("64kib", 65536),
            ("1 MiB", 1 << 20),
            ("2 GiB", 2 << 30),
        ] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in [
            "",
            "KiB",
            "1 KB",
            "-1",
            "1.5 MiB",
            "1 MiB of",
            "99999999999999999999",
            "18446744073709551615 KiB",
        ] {
            assert_eq!(size(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_size_is_shown_as_it_is_written() {
        for text in ["1 MiB", "64 KiB", "1000 B", "3 GiB", "0 B"] {
            assert_eq!(show_size(size(text).unwrap()), text);
        }
    }
}
