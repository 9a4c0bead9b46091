//! What members are told when the log is slow, full or broken.

use expect_test::expect;
use madang_log::{AppendError, Durability, Health};

use super::world::World;
use crate::config::{Config, RoomRule, RoomSettings};

fn world(durability: Durability) -> World {
    let settings = RoomSettings { durability, ..RoomSettings::DEFAULT };
    let rooms = vec![RoomRule::new("vault", settings).unwrap()];
    let mut world = World::with(Config { shards: 1, rooms, ..Config::default() });
    world.people(["ann", "bob"]);
    world.run("ann: /join vault");
    world.run("bob: /join vault");
    world.run("ann: /echo on");
    world.forget();
    world
}

#[test]
fn in_a_sync_room_nobody_is_told_before_the_disk() {
    let mut world = world(Durability::Sync);
    world.log[0].hold();
    world.run("ann: one");
    world.run("bob: /who");
    world.run("bob: two");
    world.check(expect![[r#""#]]);
    world.log[0].release();
    world.settle();
    world.check(expect![[r#"
        ann < <ann> one
        ann < <bob> two
        bob < <ann> one
        bob < * here: ann, bob
    "#]]);
}

#[test]
fn in_an_async_room_nobody_waits_for_the_disk() {
    let mut world = world(Durability::Async);
    world.log[0].hold();
    world.run("ann: one");
    world.check(expect![[r#"
        ann < <ann> one
        bob < <ann> one
    "#]]);
}

#[test]
fn what_the_log_did_not_take_did_not_happen() {
    let mut world = world(Durability::Sync);
    world.run("ann: one");
    world.log[0].hold();
    world.log[0].fail_next_append(AppendError::Unavailable { why: "disk full".into() });
    world.run("ann: two");
    world.run("bob: three");
    world.log[0].release();
    world.settle();
    world.check(expect![[r#"
        ann < <ann> one
        ann < ! unavailable: vault can't be kept right now, nothing happened; try again soon
        bob < <ann> one
        bob < ! unavailable: vault can't be kept right now, nothing happened; try again soon
    "#]]);
    world.run("ann: four");
    world.run("bob: /history");
    world.check(expect![[r#"
        ann < <ann> four
        bob < <ann> four
        bob < * 10:00 <ann> one
        bob < * 10:00 <ann> four
    "#]]);
}

#[test]
fn an_unknown_outcome_is_called_unknown() {
    let mut world = world(Durability::Sync);
    world.log[0].lose_next_answer();
    world.run("ann: perhaps");
    world.run("bob: /history");
    world.check(expect![[r#"
        ann < ! unknown: it is not known whether vault kept that; ask again with the same key
        ann < <ann> perhaps
        bob < <ann> perhaps
        bob < * 10:00 <ann> perhaps
    "#]]);
}

#[test]
fn while_the_disk_takes_nothing_chat_goes_on_where_nothing_is_kept() {
    let mut world = world(Durability::Memory);
    world.log[0].set_health(Health::Failing);
    world.run("ann: in the vault");
    world.run("bob: /leave");
    world.run("bob: in the plaza");
    world.run("ann: /msg bob are you there?");
    world.run("ann: /join newroom");
    world.log[0].set_health(Health::Well);
    world.settle();
    world.run("bob: again");
    world.check(expect![[r#"
        ann < <ann> in the vault
        ann < * bob left
        ann < -> bob: are you there?
        ann < ! unavailable: newroom can't be kept right now, nothing happened; try again soon
        ann < [plaza] <bob> again
        bob < <ann> in the vault
        bob < * left vault
        bob < ! unavailable: plaza can't be kept right now, nothing happened; try again soon
        bob < -ann- are you there?
    "#]]);
}

#[test]
fn publishers_wait_while_the_log_is_busy() {
    let mut world = world(Durability::Async);
    world.log[0].set_health(Health::Busy);
    world.run("ann: one");
    world.run("ann: two");
    world.check(expect![[r#"
        ann < <ann> one
        bob < <ann> one
    "#]]);
    world.log[0].set_health(Health::Well);
    world.settle();
    world.check(expect![[r#"
        ann < <ann> two
        bob < <ann> two
    "#]]);
}
