//! What the system tells about a process: its CPU time, its memory, and which one listens at an address.
//!
//! Everything is read from `/proc`, and everything may be missing: another user's process, another system. What can't
//! be had is not reported.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

/// Ticks that `stat` counts in a second; this has been so on Linux for ever, whatever the kernel's own clock is.
const TICKS_PER_SECOND: u64 = 100;

/// User and system time of a process so far, of all threads that it has now.
pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    // `schedstat` counts in nanoseconds, but each thread for itself; `stat` in ticks of 10 ms, for all.
    let mut total = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let schedstat = thread.ok()?.path().join("schedstat");
        // A thread that has ended since the folder was read takes its time with it.
        match fs::read_to_string(schedstat).ok().as_deref().and_then(parse_schedstat) {
            Some(time) => total += time,
            None => return parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?),
        }
    }
    Some(total)
}

/// Bytes of memory that a process has resident.
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    // `status` sums up counters that each CPU keeps for itself, and may be half a MiB off; `smaps_rollup` counts pages.
    let exact = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok();
    exact
        .as_deref()
        .and_then(|text| parse_kib(text, "Rss:"))
        .or_else(|| parse_kib(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, "VmRSS:"))
}

/// Sockets that a process has open.
pub(crate) fn open_sockets(pid: u32) -> Option<usize> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    let is_socket = |file: &fs::DirEntry| {
        let link = fs::read_link(file.path());
        link.is_ok_and(|link| link.as_os_str().as_encoded_bytes().starts_with(b"socket:"))
    };
    Some(files.filter(is_socket).count())
}

/// The process that listens at this address, where we may see its open files.
pub(crate) fn listener(address: SocketAddr) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inode =
        tables.into_iter().find_map(|table| parse_listener(&fs::read_to_string(table).ok()?, address))?;
    let socket = format!("socket:[{inode}]");
    let has_it = |process: &Path| {
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        files.into_iter().any(|file| fs::read_link(file.path()).is_ok_and(|link| link == Path::new(&socket)))
    };
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .find(|pid: &u32| has_it(Path::new(&format!("/proc/{pid}"))))
}

/// The first number: nanoseconds that a thread has run.
fn parse_schedstat(text: &str) -> Option<Duration> {
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// Fields 14 and 15, counted from after the name, which stands in brackets and may hold anything, brackets too.
fn parse_stat(text: &str) -> Option<Duration> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let all = ticks()?.checked_add(ticks()?)?;
    Some(Duration::from_millis(all.checked_mul(1_000 / TICKS_PER_SECOND)?))
}

/// A line such as `VmRSS:     1234 kB`, in bytes.
fn parse_kib(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1_024)
}

/// The inode of the socket that listens there, or at every address of the machine.
fn parse_listener(table: &str, address: SocketAddr) -> Option<u64> {
    const LISTENING: &str = "0A";
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, port) = fields.get(1)?.split_once(':')?;
        let fits = *fields.get(3)? == LISTENING
            && u16::from_str_radix(port, 16).ok()? == address.port()
            && (local == hex(address.ip()) || local.bytes().all(|digit| digit == b'0'));
        fits.then_some(fields.get(9)?.parse().ok()?)
    })
}

/// An address as these tables have it: words of four bytes, each as this machine keeps numbers.
fn hex(ip: IpAddr) -> String {
    let word = |bytes: &[u8]| {
        bytes.first_chunk().map_or_else(String::new, |word| format!("{:08X}", u32::from_ne_bytes(*word)))
    };
    match ip {
        IpAddr::V4(ip) => word(&ip.octets()),
        IpAddr::V6(ip) => ip.octets().chunks(4).map(word).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_has_run_for_nanoseconds() {
        assert_eq!(parse_schedstat("680142514 280773505 323\n"), Some(Duration::from_nanos(680_142_514)));
        assert_eq!(parse_schedstat(""), None);
        assert_eq!(parse_schedstat("-1 0 0"), None);
    }

    #[test]
    fn the_name_of_a_process_may_hold_anything() {
        let stat = "42 (a) b (c)) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 7 7 20 0 3 0 100 1000 200";
        assert_eq!(parse_stat(stat), Some(Duration::from_secs(2)));
        assert_eq!(parse_stat("42 (a) S 1 42"), None);
        assert_eq!(parse_stat("nonsense"), None);
    }

    #[test]
    fn memory_is_in_kib() {
        let status = "Name:\tmadang\nVmPeak:\t  9000 kB\nVmRSS:\t    4321 kB\nThreads:\t3\n";
        assert_eq!(parse_kib(status, "VmRSS:"), Some(4_321 * 1_024));
        assert_eq!(parse_kib(status, "Rss:"), None);
        assert_eq!(parse_kib("Rss: many kB", "Rss:"), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn who_listens_is_found_by_address_and_port() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:07E6 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 111 1 x 100 0 0 10 0
   1: 00000000:07E7 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 x 100 0 0 10 0
   2: 0100007F:07E8 0100007F:07E6 01 00000000:00000000 00:00000000 00000000     0        0 333 1 x 100 0 0 10 0
";
        let found = |address: &str| parse_listener(table, address.parse().unwrap());
        assert_eq!(found("127.0.0.1:2022"), Some(111));
        assert_eq!(found("127.0.0.1:2023"), Some(222), "it listens everywhere");
        assert_eq!(found("127.0.0.2:2022"), None);
        assert_eq!(found("127.0.0.1:2024"), None, "a connection doesn't listen");
        assert_eq!(hex("::1".parse().unwrap()), "00000000000000000000000001000000");
    }

    #[test]
    fn this_very_process_can_be_looked_at() {
        let listener_here = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(listener(listener_here.local_addr().unwrap()), Some(std::process::id()));
        assert!(cpu_time(std::process::id()).is_some());
        assert!(resident_bytes(std::process::id()).is_some_and(|bytes| bytes > 0));
    }
}
