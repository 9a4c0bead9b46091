//! What only a file can show: kills, rot, a full disk, and how many commits it takes.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use madang_room::{Seq, Timestamp};
use rusqlite::Connection;
use tempfile::TempDir;

use super::queue::Call;
use super::{Opened, Settings, SqliteFile};
use crate::board::Board;
use crate::contract::{self, ALL, Bench, PATIENCE, entries, entry_at, record, room};
use crate::{AppendError, Durability, Epoch, Health, LoadError, QUEUE_CALLS_MAX, Range, Record, Trim};

/// Commits only what somebody waits for.
const UNHURRIED: Settings =
    Settings { durable: false, pace: Duration::from_secs(3600), journal_from: Some(1) };

/// Commits at once, to the journal wherever that is possible.
const JOURNALED: Settings = Settings { durable: false, pace: Duration::ZERO, journal_from: Some(1) };

fn open(dir: &Path, settings: Settings) -> SqliteFile {
    let opened = Opened::open(&dir.join("rooms.db"), settings, &Arc::new(Board::default())).unwrap();
    opened.start(None).unwrap()
}

fn bench_of(file: &SqliteFile) -> Bench {
    let durability = if file.shared.settings.durable { Durability::Sync } else { Durability::Async };
    Bench::new(durability, |sink| file.handle(sink))
}

fn bench_of_new(settings: Settings) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), settings);
    bench_of(&file).keeping((file, dir))
}

/// What `kill -9` leaves: the files as they are while the server still has them open.
fn killed(dir: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for name in ["rooms.db", "rooms.db-wal"] {
        std::fs::copy(dir.join(name), copy.path().join(name)).unwrap();
    }
    copy
}

fn commits(file: &SqliteFile) -> u64 {
    file.shared().stats().commits
}

/// Keeps the writer from working until the sender is dropped.
fn stop_writer(file: &SqliteFile) -> mpsc::Sender<()> {
    let (go, wait) = mpsc::channel::<()>();
    let (stopped, is_stopped) = mpsc::channel();
    let stop = move |_: &mut Connection| {
        stopped.send(()).unwrap();
        let _ = wait.recv();
    };
    file.shared.queue.push(Call::Run(Box::new(stop))).unwrap();
    is_stopped.recv_timeout(PATIENCE).unwrap();
    go
}

/// Lets the file grow by no page more, as on a full disk.
fn fill_disk(file: &SqliteFile) {
    file.run(|db| {
        let pages: i64 = db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    });
}

fn empty_disk(file: &SqliteFile) {
    file.run(|db| {
        db.pragma_update_and_check(None, "max_page_count", i64::from(u32::MAX - 1), |_| Ok(())).unwrap()
    });
}

#[test]
fn both_kinds_of_file_keep_the_contract() {
    for settings in [Settings::ASYNC, JOURNALED, Settings::SYNC] {
        contract::of_every_room(|| bench_of_new(settings));
        contract::of_lasting_rooms(|| bench_of_new(settings));
    }
}

#[test]
fn an_orderly_end_keeps_everything_and_the_epoch() {
    for settings in [UNHURRIED, JOURNALED, Settings::SYNC] {
        let dir = tempfile::tempdir().unwrap();
        let file = open(dir.path(), settings);
        let mut bench = bench_of(&file);
        let epochs = bench.load("plaza").epochs;
        bench.append("plaza", Seq(0), record(1, 5));
        file.close().unwrap();
        let result = bench.try_append("plaza", Seq(5), record(6, 1));
        assert!(matches!(result, Err(AppendError::Unavailable { .. })), "the log is closed");

        let file = open(dir.path(), settings);
        let loaded = bench_of(&file).load("plaza");
        assert_eq!((loaded.last, loaded.epochs), (Seq(5), epochs));
        assert_eq!(entries(&loaded.tail), record(1, 5).entries());
    }
}

#[test]
fn a_kill_loses_what_was_not_committed_and_says_so_by_a_new_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), UNHURRIED);
    let mut bench = bench_of(&file);
    let first = bench.load("plaza").epochs.current().clone();
    bench.append("plaza", Seq(0), record(1, 12));
    assert_eq!(bench.seqs("plaza", ALL, 100).len(), 12, "a read commits what was before it");
    bench.append("plaza", Seq(12), record(13, 3));

    let killed_dir = killed(dir.path());
    let second_file = open(killed_dir.path(), UNHURRIED);
    let loaded = bench_of(&second_file).load("plaza");
    assert_eq!(loaded.last, Seq(12));
    assert_ne!(loaded.epochs.current(), &first);
    assert!(loaded.epochs.vouches(&first, Seq(12)));
    assert!(!loaded.epochs.vouches(&first, Seq(13)), "a client that saw 13 to 15 is told of a reset");

    // And again: what was begun is kept with the load, so the chain goes on.
    let second = loaded.epochs.current().clone();
    let killed_again = killed(killed_dir.path());
    let loaded = bench_of(&open(killed_again.path(), UNHURRIED)).load("plaza");
    assert!(loaded.epochs.vouches(&second, Seq(12)) && loaded.epochs.vouches(&first, Seq(12)));
    assert_ne!(loaded.epochs.current(), &second);
}

/// Waits until the writer has committed `more` times since it had `before`, without asking it for anything.
fn await_commits(file: &SqliteFile, before: u64, more: u64) {
    let patience = std::time::Instant::now() + PATIENCE;
    while commits(file) < before + more {
        assert!(std::time::Instant::now() < patience, "a commit comes");
        std::thread::yield_now();
    }
}

#[test]
fn what_is_in_the_journal_alone_outlives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), JOURNALED);
    let mut bench = bench_of(&file);
    let rooms: Vec<String> = (0..20).map(|n| format!("room{n}")).collect();
    let mut epochs = Vec::new();
    for name in &rooms {
        epochs.push(bench.load(name).epochs.current().clone());
        bench.append(name, Seq(0), record(1, 1));
    }
    bench.reload(&rooms[0]);
    // Only now the file has all the rooms; from here on nobody asks to see anything.
    for first in [2, 5, 8] {
        let before = commits(&file);
        rooms.iter().for_each(|name| bench.append(name, Seq(first - 1), record(first, 3)));
        await_commits(&file, before, 1);
    }
    // The newest may be on their way still: what `kill -9` leaves is some whole number of commits.
    let killed_dir = killed(dir.path());
    let journal_rows: i64 = rusqlite::Connection::open(killed_dir.path().join("rooms.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM journal", [], |row| row.get(0))
        .unwrap();
    assert!(journal_rows > 0, "this test is about the journal");
    let again = open(killed_dir.path(), JOURNALED);
    let mut bench_again = bench_of(&again);
    for (name, epoch) in rooms.iter().zip(&epochs) {
        let loaded = bench_again.load(name);
        assert!(loaded.last >= Seq(7), "{name} ends at {}", loaded.last);
        let seqs: Vec<u64> = entries(&loaded.tail).iter().map(|entry| entry.seq.0).collect();
        assert_eq!(seqs, (1..=loaded.last.0).collect::<Vec<_>>());
        assert!(loaded.epochs.vouches(epoch, loaded.last) && loaded.epochs.current() != epoch);
        bench_again.append(name, loaded.last, record(loaded.last.0 + 1, 2));
    }
    again.close().unwrap();
    let reopened = open(killed_dir.path(), JOURNALED);
    assert!(bench_of(&reopened).load(&rooms[7]).last >= Seq(9));

    // The file that went on has all of it, sorted in.
    file.close().unwrap();
    let db = rusqlite::Connection::open(dir.path().join("rooms.db")).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((count("SELECT count(*) FROM journal"), count("SELECT sum(last) FROM rooms")), (0, 20 * 10));
}

#[test]
fn the_journal_is_sorted_in_before_long() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), JOURNALED);
    let mut bench = bench_of(&file);
    bench.load("plaza");
    bench.append("plaza", Seq(0), record(1, 1));
    bench.reload("plaza");
    let before = commits(&file);
    bench.append("plaza", Seq(1), record(2, 1));
    // One to the journal, and one, though nothing more comes, to where it belongs.
    await_commits(&file, before, 2);
    let copy = killed(dir.path());
    let db = rusqlite::Connection::open(copy.path().join("rooms.db")).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((count("SELECT count(*) FROM journal"), count("SELECT count(*) FROM records")), (0, 2));
}

#[test]
fn a_damaged_journal_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), JOURNALED);
    let mut bench = bench_of(&file);
    bench.load("plaza");
    bench.append("plaza", Seq(0), record(1, 1));
    bench.reload("plaza");
    let before = commits(&file);
    bench.append("plaza", Seq(1), record(2, 1));
    await_commits(&file, before, 1);
    let copy = killed(dir.path());
    let path = copy.path().join("rooms.db");
    let db = rusqlite::Connection::open(&path).unwrap();
    assert_eq!(db.execute("UPDATE journal SET body = replace(body, 'plaza', 'quays')", []).unwrap(), 1);
    drop(db);
    let opened = Opened::open(&path, JOURNALED, &Arc::new(Board::default()));
    assert!(matches!(opened.err(), Some(crate::OpenError::Damaged { .. })));
}

#[test]
fn dropping_a_file_is_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), UNHURRIED);
    let mut bench = bench_of(&file);
    let epoch = bench.load("plaza").epochs.current().clone();
    bench.append("plaza", Seq(0), record(1, 1));
    bench.reload("plaza");
    bench.append("plaza", Seq(1), record(2, 1));
    drop(file);
    let loaded = bench_of(&open(dir.path(), UNHURRIED)).load("plaza");
    assert_eq!(loaded.last, Seq(1));
    assert!(loaded.epochs.vouches(&epoch, Seq(1)) && !loaded.epochs.vouches(&epoch, Seq(2)));
}

#[test]
fn a_sync_room_survives_a_kill_with_all_that_was_acknowledged_and_its_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), Settings::SYNC);
    let mut bench = bench_of(&file);
    let epochs = bench.load("hamlet").epochs;
    for seq in 1..=20 {
        bench.append("hamlet", Seq(seq - 1), record(seq, 1));
        let loaded = bench_of(&open(killed(dir.path()).path(), Settings::SYNC)).load("hamlet");
        assert_eq!((loaded.last, &loaded.epochs), (Seq(seq), &epochs));
    }
}

#[test]
fn a_room_nothing_was_told_of_begins_a_new_epoch_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), UNHURRIED);
    let mut bench = bench_of(&file);
    let epoch: Epoch = bench.load("plaza").epochs.current().clone();
    bench.append("plaza", Seq(0), record(1, 1));
    let loaded = bench_of(&open(killed(dir.path()).path(), UNHURRIED)).load("plaza");
    assert_eq!(loaded.last, Seq(0));
    assert!(!loaded.epochs.vouches(&epoch, Seq(1)));
}

#[test]
fn appends_share_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), UNHURRIED);
    let mut bench = bench_of(&file);
    bench.load("plaza");
    let before = commits(&file);
    for seq in 1..=1000 {
        bench.append("plaza", Seq(seq - 1), record(seq, 1));
    }
    assert_eq!(bench.seqs("plaza", Range::Before(Seq(1001)), 1), [1000]);
    assert_eq!(commits(&file) - before, 1, "the read commits all thousand at once");
    assert_eq!(file.shared().stats().events, 1000);
    // The answer is sent before its place in the queue is given back.
    let deadline = Instant::now() + PATIENCE;
    while (file.shared().stats().waiting_calls, file.shared().stats().waiting_bytes) != (0, 0) {
        assert!(Instant::now() < deadline, "nothing waits any more");
        std::thread::yield_now();
    }

    // A full batch needs nobody who waits for it. Its commit is not told, so it is watched for.
    bench.log.append(&room("plaza"), Seq(1000), record(1001, super::COMMIT_EVENTS as u64));
    while commits(&file) - before < 2 {
        assert!(Instant::now() < deadline, "the full batch is committed");
        std::thread::yield_now();
    }
}

#[test]
fn sync_appends_that_wait_for_the_disk_share_the_next_commit() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), Settings::SYNC);
    let mut bench = bench_of(&file);
    bench.load("hamlet");
    let before = commits(&file);
    let go = stop_writer(&file);
    for seq in 1..=100 {
        bench.log.append(&room("hamlet"), Seq(seq - 1), record(seq, 1));
    }
    assert!(bench.is_quiet(), "nobody is told before the disk has it");
    drop(go);
    for seq in 1..=100 {
        assert_eq!(bench.next_appended(), (room("hamlet"), Seq(seq), Ok(())));
    }
    assert_eq!(commits(&file) - before, 1);
}

#[test]
fn the_queue_is_bounded_and_says_so_before_it_turns_anything_away() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), Settings::SYNC);
    let mut bench = bench_of(&file);
    bench.load("hamlet");
    let go = stop_writer(&file);
    let mut last = 0;
    while bench.log.health() == Health::Well {
        bench.log.append(&room("hamlet"), Seq(last), record(last + 1, 1));
        last += 1;
    }
    assert_eq!((bench.log.health(), bench.next_health()), (Health::Busy, Health::Busy));
    while bench.log.health() == Health::Busy {
        bench.log.append(&room("hamlet"), Seq(last), record(last + 1, 1));
        last += 1;
    }
    assert_eq!((bench.log.health(), bench.next_health()), (Health::Failing, Health::Failing));
    assert!(file.shared.queue.waiting().calls <= QUEUE_CALLS_MAX + 1);
    while file.shared.queue.waiting().calls < 2 * QUEUE_CALLS_MAX {
        bench.log.append(&room("hamlet"), Seq(last), record(last + 1, 1));
        last += 1;
    }
    bench.log.append(&room("hamlet"), Seq(last), record(last + 1, 1));
    assert!(bench.is_quiet(), "who is turned away is told after those who were before");
    drop(go);
    for seq in 1..=last {
        assert_eq!(bench.next_appended().1, Seq(seq));
    }
    let (_, turned_away, result) = bench.next_appended();
    assert_eq!(turned_away, Seq(last + 1));
    assert!(matches!(result, Err(AppendError::Unavailable { .. })));
    while bench.next_health() != Health::Well {}
    assert_eq!(bench.log.health(), Health::Well);
}

fn large_record(first: u64) -> Arc<Record> {
    record(first, 1000)
}

#[test]
fn a_full_disk_loses_nothing_that_an_async_room_has_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), Settings::ASYNC);
    let mut bench = bench_of(&file);
    bench.load("plaza");
    bench.load("quay");
    bench.append("quay", Seq(0), record(1, 3));
    bench.reload("quay");
    fill_disk(&file);
    let mut last = 0;
    while bench.log.health() != Health::Failing {
        bench.log.append(&room("plaza"), Seq(last), large_record(last + 1));
        last += 1000;
        file.run(|_| {});
    }
    assert_eq!(bench.next_health(), Health::Failing);
    // More is taken, and rooms of which nothing waits can still be read and loaded.
    bench.log.append(&room("plaza"), Seq(last), record(last + 1, 1));
    assert!(matches!(bench.try_load("plaza"), Err(LoadError::Unavailable { .. })));
    assert_eq!(bench.seqs("quay", ALL, 10), [1, 2, 3]);
    assert_eq!(bench.reload("quay").last, Seq(3));

    empty_disk(&file);
    assert_eq!(bench.next_health(), Health::Well);
    let loaded = bench.reload("plaza");
    assert_eq!(loaded.last, Seq(last + 1));
    let all: Vec<_> = (1..=last + 1).map(|seq| entry_at(seq, 10 * seq as i64)).collect();
    assert_eq!(bench.read("plaza", ALL, usize::MAX), all);
    file.close().unwrap();
}

#[test]
fn closing_a_file_on_a_full_disk_says_what_is_lost_and_counts_as_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), UNHURRIED);
    let mut bench = bench_of(&file);
    let epoch = bench.load("plaza").epochs.current().clone();
    bench.append("plaza", Seq(0), record(1, 1));
    bench.reload("plaza");
    fill_disk(&file);
    bench.log.append(&room("plaza"), Seq(1), large_record(2));
    let why = file.close().unwrap_err().to_string();
    assert!(why.contains("rooms.db") && why.contains("full"), "{why}");
    let loaded = bench_of(&open(dir.path(), UNHURRIED)).load("plaza");
    assert!(loaded.epochs.vouches(&epoch, Seq(1)) && !loaded.epochs.vouches(&epoch, Seq(2)));
}

#[test]
fn a_full_disk_refuses_sync_appends_until_there_is_room_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), Settings::SYNC);
    let mut bench = bench_of(&file);
    bench.load("hamlet");
    bench.append("hamlet", Seq(0), record(1, 1));
    fill_disk(&file);
    let go = stop_writer(&file);
    bench.log.append(&room("hamlet"), Seq(1), large_record(2));
    bench.log.append(&room("hamlet"), Seq(1001), record(1002, 1));
    drop(go);
    for last in [1001, 1002] {
        let (_, answered, result) = bench.next_appended();
        assert_eq!(answered, Seq(last));
        assert!(matches!(result, Err(AppendError::Unavailable { .. })), "{result:?}");
    }
    assert_eq!((bench.log.health(), bench.next_health()), (Health::Failing, Health::Failing));
    // What would have followed is refused, too: it was decided on what is not there.
    let result = bench.try_append("hamlet", Seq(1002), record(1003, 1));
    assert!(matches!(result, Err(AppendError::Unavailable { .. })));
    bench.log.snapshot(&room("hamlet"), Seq(1002), "never was".into(), Trim::default());

    empty_disk(&file);
    assert_eq!(bench.next_health(), Health::Well, "without anybody having to ask");
    let loaded = bench.load("hamlet");
    assert_eq!((loaded.last, loaded.snapshot), (Seq(1), None));
    bench.append("hamlet", Seq(1), record(2, 1));
    assert_eq!(bench.seqs("hamlet", ALL, 10), [1, 2]);
}

#[test]
fn a_commit_that_may_have_happened_is_called_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), Settings::SYNC);
    let mut bench = bench_of(&file);
    bench.load("hamlet");
    file.run(|db| db.commit_hook(Some(|| true)).unwrap());
    let result = bench.try_append("hamlet", Seq(0), record(1, 1));
    assert!(matches!(result, Err(AppendError::Unknown { .. })), "{result:?}");
    assert_eq!(bench.next_health(), Health::Failing);
    file.run(|db| db.commit_hook(None::<fn() -> bool>).unwrap());
    assert_eq!(bench.next_health(), Health::Well);
    assert_eq!(bench.load("hamlet").last, Seq(0), "this time it had not");
    bench.append("hamlet", Seq(0), record(1, 1));
}

/// A closed file with 30 events in `plaza`, of which 10 are in a snapshot, and 3 in `quay`.
fn stored() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), Settings::ASYNC);
    let mut bench = bench_of(&file);
    bench.load("plaza");
    bench.load("quay");
    for first in [1, 11, 21] {
        bench.append("plaza", Seq(first - 1), record(first, 10));
    }
    bench.append("quay", Seq(0), record(1, 3));
    bench.log.snapshot(&room("plaza"), Seq(10), "state".into(), Trim::default());
    file.close().unwrap();
    let path = dir.path().join("rooms.db");
    (dir, path)
}

#[test]
fn no_changed_byte_of_a_body_is_served() {
    let (dir, path) = stored();
    let body = |db: &Connection| -> String {
        db.query_row("SELECT body FROM records WHERE last_seq = 20", [], |row| row.get(0)).unwrap()
    };
    let bytes = body(&Connection::open(&path).unwrap()).into_bytes();
    for at in (0..bytes.len()).step_by(37).chain([0, bytes.len() - 1]) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let db = Connection::open(&path).unwrap();
        let write = |bytes: &[u8]| {
            db.execute("UPDATE records SET body = CAST(?1 AS TEXT) WHERE last_seq = 20", [bytes]).unwrap();
        };
        write(&changed);
        let file = open(dir.path(), Settings::ASYNC);
        let mut bench = bench_of(&file);
        match bench.try_load("plaza") {
            Err(LoadError::Damaged { room: damaged, seq, .. }) => {
                assert_eq!(damaged, room("plaza"));
                assert!((11..=20).contains(&seq.0), "{seq}");
            }
            other => panic!("byte {at} was changed, and that makes {other:?}"),
        }
        assert_eq!(bench.load("quay").last, Seq(3), "other rooms are not affected");
        file.close().unwrap();
        write(&bytes);
    }
}

#[test]
fn a_row_that_is_gone_is_missed() {
    for (statement, seq) in [
        ("DELETE FROM records WHERE last_seq = 20", 20),
        ("DELETE FROM records WHERE last_seq = 30", 30),
        ("DELETE FROM records WHERE last_seq = 10", 10),
        ("UPDATE records SET room = 9 WHERE last_seq = 30", 30),
        ("UPDATE records SET first_seq = 20 WHERE last_seq = 30", 30),
        ("UPDATE rooms SET last = 20 WHERE key = 'plaza'", 0),
        ("UPDATE rooms SET epochs = '[]'", 0),
        ("UPDATE rooms SET first = -1", 0),
        ("UPDATE snapshots SET state = 'State'", 10),
    ] {
        let (dir, path) = stored();
        Connection::open(&path).unwrap().execute(statement, []).unwrap();
        let file = open(dir.path(), Settings::ASYNC);
        match bench_of(&file).try_load("plaza") {
            Err(LoadError::Damaged { seq: at, .. }) => assert_eq!(at, Seq(seq), "{statement}"),
            other => panic!("{statement} makes {other:?}"),
        }
    }
}

#[test]
fn no_flipped_bit_of_the_file_makes_a_wrong_event() {
    let (dir, path) = stored();
    let bytes = std::fs::read(&path).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let all: Vec<_> = (1..=30).map(|seq| entry_at(seq, 10 * seq as i64)).collect();
    let mut random = 42u64;
    let (mut refused, mut unaffected) = (0, 0);
    for _ in 0..300 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let bit = (random >> 33) as usize % (bytes.len() * 8);
        let mut rotten = bytes.clone();
        rotten[bit / 8] ^= 1 << (bit % 8);
        for old in ["rooms.db-wal", "rooms.db-shm"] {
            let _ = std::fs::remove_file(copy.path().join(old));
        }
        std::fs::write(copy.path().join("rooms.db"), &rotten).unwrap();
        let opened =
            Opened::open(&copy.path().join("rooms.db"), Settings::ASYNC, &Arc::new(Board::default()));
        let Ok(file) = opened.and_then(|opened| opened.start(None)) else {
            refused += 1;
            continue;
        };
        match bench_of(&file).try_load("plaza") {
            Err(_) => refused += 1,
            // A name that rotted in the index finds nothing: events are missed, not made up.
            Ok(loaded) if loaded.last == Seq::ZERO => refused += 1,
            Ok(loaded) => {
                assert_eq!(entries(&loaded.tail), all, "bit {bit}");
                assert_eq!((loaded.last, loaded.last_at), (Seq(30), Timestamp(300)), "bit {bit}");
                unaffected += 1;
            }
        }
    }
    assert!(refused > 0 && unaffected > 0, "{refused} refused, {unaffected} unaffected");
    drop(dir);
}

#[test]
fn the_write_ahead_log_is_checkpointed_as_it_grows() {
    let dir = tempfile::tempdir().unwrap();
    let file = open(dir.path(), Settings::ASYNC);
    let mut bench = bench_of(&file);
    bench.load("plaza");
    for nth in 0..200 {
        bench.append("plaza", Seq(1000 * nth), large_record(1000 * nth + 1));
        bench.reload("plaza");
        bench.log.snapshot(
            &room("plaza"),
            Seq(1000 * nth + 1000),
            String::new(),
            Trim { first: Seq(1000 * nth + 1), before: None },
        );
    }
    file.run(|_| {});
    let wal = std::fs::metadata(dir.path().join("rooms.db-wal")).unwrap().len();
    assert!(wal < 16 << 20, "{wal} bytes are waiting");
    assert!(file.shared.events.load(Ordering::Relaxed) == 200_000);
}
