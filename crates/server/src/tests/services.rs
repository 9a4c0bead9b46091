//! `echo` and `relay`: raw bytes.

use super::world::{Wire, World};
use crate::config::{Config, Service};

fn world(service: Service) -> World {
    let mut config = Config { shards: 1, ..Config::default() };
    config.listeners[0].service = service;
    World::with(config)
}

#[test]
fn echo_sends_back_what_it_reads_and_ends_when_that_ends() {
    let mut world = world(Service::Echo { reply: None, once: false });
    world.connect("nc");
    world.send("nc", b"\xff\x00any bytes\x1b");
    assert_eq!(world.received_bytes("nc"), b"\xff\x00any bytes\x1b");
    world.type_ahead("nc", b"last");
    world.finish("nc");
    assert_eq!(world.received_bytes("nc"), b"last");
    assert!(world.wire("nc", Wire::is_closed));
}

#[test]
fn echo_reads_no_further_than_it_can_write() {
    let mut world = world(Service::Echo { reply: None, once: false });
    world.connect("nc");
    world.set_window("nc", Some(1_000));
    let sent: Vec<u8> = (0..1_000_000u32).map(|n| n as u8).collect();
    world.send("nc", &sent);
    world.finish("nc");
    let mut echoed = world.received_bytes("nc");
    assert_eq!(echoed.len(), 1_000);
    world.set_window("nc", None);
    echoed.extend(world.received_bytes("nc"));
    assert!(echoed == sent);
}

#[test]
fn echo_can_answer_the_same_each_time_or_once() {
    let mut world = world(Service::Echo { reply: Some(b"test".to_vec()), once: true });
    world.connect("nc");
    world.send("nc", b"anything");
    assert_eq!(world.received_bytes("nc"), b"test");
    world.finish("nc");
    assert!(world.wire("nc", Wire::is_closed));
}

#[test]
fn relay_sends_to_everybody_else_as_it_is() {
    let mut world = world(Service::Relay { to_sender: false });
    ["a", "b", "c"].into_iter().for_each(|name| world.connect(name));
    world.send("a", b"\xff\x00raw");
    assert_eq!(world.received_bytes("a"), b"");
    assert_eq!(world.received_bytes("b"), b"\xff\x00raw");
    world.finish("a");
    world.send("c", b"two");
    assert_eq!(world.received_bytes("b"), b"two");
    assert_eq!(world.received_bytes("c"), b"\xff\x00raw");
}

#[test]
fn relay_can_send_to_the_sender_too() {
    let mut world = world(Service::Relay { to_sender: true });
    ["a", "b"].into_iter().for_each(|name| world.connect(name));
    world.send("a", b"hi");
    assert_eq!(world.received_bytes("a"), b"hi");
    assert_eq!(world.received_bytes("b"), b"hi");
}

#[test]
fn a_relay_reader_that_stops_is_cut_off_rather_than_fed_with_holes() {
    let mut world = world(Service::Relay { to_sender: false });
    ["a", "slow"].into_iter().for_each(|name| world.connect(name));
    world.set_window("slow", Some(0));
    (0..40).for_each(|_| world.send("a", &[0; 50_000]));
    assert!(world.wire("slow", Wire::is_closed));
    assert_eq!(world.metrics[0].stuck.get(), 1);
}
