//! How much each address has of something: connections, sessions that requests carry.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use madang_room::Refusal;

/// Addresses that are counted at once before those that have nothing are forgotten.
const SWEPT_AT: usize = 1_024;

/// Counts by address. Peers on loopback are not counted.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// What one address may have; 0 is no limit.
    max: u32,
    counts: Mutex<HashMap<IpAddr, Arc<AtomicU32>>>,
}

/// What ends with a connection: its place in the count of its address is given back when this is dropped, and so is
/// whatever else was tied to it.
///
/// Boxed, because every connection has room for one and those on loopback have none.
#[derive(Debug, Default)]
pub(crate) struct IpSlot(Box<Tied>);

#[derive(Debug, Default)]
struct Tied {
    _counted: Option<Counted>,
    /// Where a table of the HTTP door knows the connection.
    listed: Option<Box<dyn Listed>>,
}

/// An entry in a table that goes, by being dropped, when its connection does.
pub(crate) trait Listed: std::fmt::Debug + Send + Sync {}

#[derive(Debug)]
struct Counted(Arc<AtomicU32>);

impl Addresses {
    pub(crate) fn new(max: u32) -> Addresses {
        Addresses { max, counts: Mutex::default() }
    }

    /// Counts one more for this address, if it may have one; `None` where it isn't counted.
    pub(crate) fn count(&self, ip: IpAddr) -> Result<Option<IpSlot>, Refusal> {
        let ip = ip.to_canonical();
        if self.max == 0 || ip.is_loopback() {
            return Ok(None);
        }
        // No code that holds the lock can panic halfway through a change.
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= SWEPT_AT.max(counts.capacity() / 2) {
            counts.retain(|_, count| count.load(Ordering::Relaxed) > 0);
        }
        let count = counts.entry(network(ip)).or_default();
        if count.load(Ordering::Relaxed) >= self.max {
            return Err(Refusal::TooManyConnections { max: self.max });
        }
        count.fetch_add(1, Ordering::Relaxed);
        Ok(Some(IpSlot(Box::new(Tied { _counted: Some(Counted(count.clone())), listed: None }))))
    }
}

impl IpSlot {
    /// The same, and `listed` ends with it.
    pub(crate) fn with(mut self, listed: impl Listed + 'static) -> IpSlot {
        self.0.listed = Some(Box::new(listed));
        self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What counts as one address: in IPv6, the network of 64 bits that one customer usually has whole.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_customers_ipv6_network_counts_as_one_address() {
        let at = |text: &str| network(at(text));
        assert_eq!(at("2001:db8:1:2::3"), at("2001:db8:1:2:ffff::9"));
        assert_ne!(at("2001:db8:1:2::3"), at("2001:db8:1:3::3"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    }

    #[test]
    fn what_an_address_has_is_given_back_when_it_ends() {
        let addresses = Addresses::new(2);
        let first = addresses.count(at("192.0.2.1")).unwrap();
        let _second = addresses.count(at("::ffff:192.0.2.1")).unwrap();
        assert!(first.is_some());
        assert_eq!(
            addresses.count(at("192.0.2.1")).unwrap_err(),
            Refusal::TooManyConnections { max: 2 },
            "however it is written"
        );
        assert!(addresses.count(at("192.0.2.2")).is_ok());
        drop(first);
        assert!(addresses.count(at("192.0.2.1")).is_ok());
        assert!((0..9).all(|_| matches!(addresses.count(at("127.0.0.1")), Ok(None))));
    }
}
