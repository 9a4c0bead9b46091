//! The store as a server uses it: handles, facts, folders that won't do, and rooms that change their durability.

use std::path::Path;
use std::time::Duration;

use madang_room::Seq;
use rusqlite::Connection;

use super::*;
use crate::contract::{self, ALL, Bench, entries, record, room};

const UNHURRIED: Settings =
    Settings { durable: false, pace: Duration::from_secs(3600), journal_from: Some(1) };

fn open(dir: &Path) -> Store {
    Store::open_with(dir, UNHURRIED).unwrap().0
}

fn bench(store: &Store, durability: Durability) -> Bench {
    Bench::boxed(durability, |sink| store.handle(sink))
}

fn bench_of_new(durability: Durability) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    bench(&store, durability).keeping((store, dir))
}

#[test]
fn a_store_keeps_the_contract_for_every_durability() {
    contract::of_every_room(|| bench_of_new(Durability::Memory));
    contract::of_memory_rooms(|| bench_of_new(Durability::Memory));
    for durability in [Durability::Async, Durability::Sync] {
        contract::of_every_room(|| bench_of_new(durability));
        contract::of_lasting_rooms(|| bench_of_new(durability));
    }
}

#[test]
fn what_one_shard_unloads_another_finds() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let (mut one, mut other) = (bench(&store, Durability::Async), bench(&store, Durability::Async));
    one.load("plaza");
    one.append("plaza", Seq(0), record(1, 3));
    one.log.unload(&room("plaza"));
    assert_eq!(other.load("plaza").last, Seq(3));
    assert_eq!(store.watch().stats().relaxed.events, 3);
    assert_eq!(store.watch().stats().durable.events, 0);
}

#[test]
fn facts_are_read_back_when_the_store_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (store, facts) = Store::open(dir.path()).unwrap();
    assert_eq!(facts, []);
    let mut log = store.handle(Arc::new(|_| {}));
    for (key, value) in [("secret", Some("1")), ("motd", Some("hi")), ("secret", Some("2")), ("gone", None)] {
        log.remember(key.into(), value.map(Into::into));
    }
    log.remember("motd".into(), None);
    store.close().unwrap();
    let (store, facts) = Store::open(dir.path()).unwrap();
    assert_eq!(facts, [("secret".to_owned(), "2".to_owned())]);
    store.close().unwrap();
    Connection::open(dir.path().join("rooms.db"))
        .unwrap()
        .execute("UPDATE facts SET value = '3'", [])
        .unwrap();
    let why = Store::open(dir.path()).err().unwrap().to_string();
    assert!(why.contains("secret"), "{why}");
}

#[test]
fn a_folder_has_one_server() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("made/as/needed"));
    let why = Store::open(&dir.path().join("made/as/needed")).err().unwrap();
    assert!(matches!(why, OpenError::InUse { .. }) && why.to_string().contains("needed"), "{why}");
    drop(store);
    open(&dir.path().join("made/as/needed"));
}

#[test]
fn a_folder_that_will_not_do_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = |path: &Path| Store::open(path).err().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "text").unwrap();
    for path in [file.clone(), file.join("within")] {
        assert!(matches!(error(&path), OpenError::NotAFolder { path: named } if named == path));
    }

    let with = |name: &str, make: &dyn Fn(&Path)| {
        let folder = dir.path().join(name);
        open(&folder).close().unwrap();
        make(&folder.join("rooms-sync.db"));
        error(&folder)
    };
    let newer =
        with("newer", &|db| Connection::open(db).unwrap().pragma_update(None, "user_version", 9).unwrap());
    assert!(matches!(newer, OpenError::Newer { found: 9, .. }), "{newer}");
    let text = with("text", &|db| {
        std::fs::write(db, "this is no database, it is a longer text ".repeat(99)).unwrap()
    });
    assert!(matches!(text, OpenError::Damaged { .. }), "{text}");
    let foreign = with("foreign", &|db| {
        std::fs::remove_file(db).unwrap();
        Connection::open(db).unwrap().execute_batch("CREATE TABLE people (name TEXT)").unwrap();
    });
    assert!(matches!(foreign, OpenError::Damaged { .. }), "{foreign}");
    let folder = with("folder", &|db| {
        std::fs::remove_file(db).unwrap();
        std::fs::create_dir(db).unwrap();
    });
    assert!(folder.to_string().contains("rooms-sync.db"), "{folder}");
}

#[test]
fn a_path_is_never_a_uri() {
    let dir = tempfile::tempdir().unwrap();
    let odd = dir.path().join("file:rooms?mode=memory");
    open(&odd).close().unwrap();
    assert!(odd.join("rooms.db").exists());
}

/// Where the room is stored, and up to which position.
fn stored_in(dir: &Path) -> Vec<(&'static str, u64)> {
    let last = |name: &'static str| {
        let db = Connection::open(dir.join(name)).unwrap();
        let mut find = db.prepare("SELECT last FROM rooms WHERE key = 'plaza'").unwrap();
        let found: Vec<i64> = find.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        found.first().map(|last| (name, last.cast_unsigned()))
    };
    ["rooms.db", "rooms-sync.db"].into_iter().filter_map(last).collect()
}

#[test]
fn a_room_takes_its_past_along_when_its_durability_changes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut plaza = bench(&store, Durability::Async);
    let epochs = plaza.load("plaza").epochs;
    plaza.append("plaza", Seq(0), record(1, 5));
    plaza.log.snapshot(&room("plaza"), Seq(4), "four".into(), Trim { first: Seq(3), before: None });
    store.close().unwrap();

    let mut last = 5;
    for (durability, name) in [(Durability::Sync, "rooms-sync.db"), (Durability::Async, "rooms.db")] {
        let store = open(dir.path());
        let mut plaza = bench(&store, durability);
        let loaded = plaza.load("plaza");
        assert_eq!((loaded.last, loaded.first, &loaded.epochs), (Seq(last), Seq(3), &epochs));
        assert_eq!(loaded.snapshot, Some((Seq(4), "four".into())));
        assert_eq!(entries(&loaded.tail), record(3, last - 2).entries());
        plaza.append("plaza", Seq(last), record(last + 1, 1));
        last += 1;
        store.close().unwrap();
        assert_eq!(stored_in(dir.path()), [(name, last)]);
    }
}

#[test]
fn a_crash_while_a_room_is_moved_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (old, kept) = (dir.path().join("rooms.db"), dir.path().join("kept"));
    let store = open(dir.path());
    let mut plaza = bench(&store, Durability::Async);
    let epochs = plaza.load("plaza").epochs;
    plaza.append("plaza", Seq(0), record(1, 5));
    store.close().unwrap();
    std::fs::copy(&old, &kept).unwrap();
    let store = open(dir.path());
    let mut plaza = bench(&store, Durability::Sync);
    plaza.load("plaza");
    plaza.append("plaza", Seq(5), record(6, 1));
    store.close().unwrap();
    // As if the original had never been removed.
    std::fs::copy(&kept, &old).unwrap();
    assert_eq!(stored_in(dir.path()), [("rooms.db", 5), ("rooms-sync.db", 6)]);

    for (durability, name) in [(Durability::Async, "rooms.db"), (Durability::Sync, "rooms-sync.db")] {
        let store = open(dir.path());
        let loaded = bench(&store, durability).load("plaza");
        assert_eq!((loaded.last, &loaded.epochs), (Seq(6), &epochs), "the higher last position wins");
        assert_eq!(entries(&loaded.tail), record(1, 6).entries());
        store.close().unwrap();
        assert_eq!(stored_in(dir.path()), [(name, 6)]);
    }
}

#[test]
fn a_room_that_moves_after_a_crash_begins_a_new_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut plaza = bench(&store, Durability::Async);
    let epoch = plaza.load("plaza").epochs.current().clone();
    plaza.append("plaza", Seq(0), record(1, 5));
    plaza.reload("plaza");
    plaza.append("plaza", Seq(5), record(6, 1));
    drop(store);
    let store = open(dir.path());
    let loaded = bench(&store, Durability::Sync).load("plaza");
    assert_eq!(loaded.last, Seq(5));
    assert!(loaded.epochs.vouches(&epoch, Seq(5)) && !loaded.epochs.vouches(&epoch, Seq(6)));
}

#[test]
fn a_damaged_room_stays_closed_and_others_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let mut log = bench(&store, Durability::Sync);
    for name in ["plaza", "quay"] {
        log.load(name);
        log.append(name, Seq(0), record(1, 2));
    }
    store.file(Durability::Sync).run(|db| {
        db.execute(
            "UPDATE records SET crc = crc + 1 WHERE room = (SELECT id FROM rooms WHERE key = 'plaza')",
            [],
        )
        .unwrap();
    });
    assert!(matches!(log.try_read("plaza", ALL, 1), Err(crate::LoadError::Damaged { .. })));
    assert_eq!(log.seqs("quay", ALL, 10), [1, 2]);
}
