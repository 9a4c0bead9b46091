//! A disk that is full while the server serves: talk goes on, nothing acknowledged is lost, and it heals by itself.
//!
//! Two kinds of full. A small file system, which takes root to mount, fails as disks do (`ENOSPC`). A limit on the size
//! of files fails for everybody (`EFBIG`), and also where SQLite expects it least.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Json, PATIENCE, Server, Site, is_root, skip};

const ROOMS: &str = "\
[[room]]
match = 'memory'
durability = 'memory'
[[room]]
match = 'sync'
durability = 'sync'
";

/// A room of each durability.
const MEMORY: &str = "memory";
const ASYNC: &str = "async";
const SYNC: &str = "sync";

/// So long after the disk is full everybody knows: a commit waits 50 ms for company.
const NOTICED: Duration = Duration::from_secs(1);

/// So long after there is room again everything is kept again.
const HEALED: Duration = Duration::from_secs(5);

#[test]
fn a_full_disk_stops_only_what_must_be_kept() {
    if !is_root() {
        return skip("mounting a small file system takes root");
    }
    let folder = tempfile::tempdir().unwrap();
    let mount = match Mount::tmpfs(folder.path().join("disk"), "4m") {
        Ok(mount) => mount,
        Err(why) => return skip(&format!("no small file system can be mounted here: {why}")),
    };
    let data = mount.0.join("data");
    let site = Site::at(folder, data, ROOMS);
    let ballast = mount.0.join("ballast");
    let mut fill = |_: &Server| {
        let mut file = fs::File::create(&ballast).unwrap();
        // Until not even a byte is left.
        let mut size = 1 << 20;
        while size > 0 {
            if file.write_all(&vec![0; size]).is_err() {
                size /= 2;
            }
        }
    };
    let free = |_: &Server| fs::remove_file(&ballast).unwrap();
    lives_through(&site, site.start(), &mut fill, free);
}

#[test]
fn files_that_may_not_grow_stop_only_what_must_be_kept() {
    let site = Site::with(ROOMS);
    // Ignored, as it is by services that have a manager: then writing fails instead of ending the program.
    let server = site.start_under(&["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    let limit = |server: &Server, limit: &str| {
        let pid = server.pid().to_string();
        let status = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={limit}:")]).status();
        assert!(status.expect("prlimit is in Debian's package util-linux").success());
    };
    let mut fill = |server: &Server| limit(server, "4096");
    lives_through(&site, server, &mut fill, |server| limit(server, "unlimited"));
}

/// From before the disk is full until after, and over a crash.
fn lives_through(site: &Site, server: Server, fill: &mut dyn FnMut(&Server), free: impl Fn(&Server)) {
    let address = server.address();
    let mut ann = Json::connect(address);
    let mut bob = Json::connect(address);
    for room in [MEMORY, ASYNC, SYNC] {
        ann.join(room);
        bob.join(room);
    }
    let mut kept = Vec::new();
    let mut kept_async = Vec::new();
    for n in 0..20 {
        kept_async.push(ann.say(ASYNC, &format!("before {n}")));
        kept.push(ann.say(SYNC, &format!("before {n}")));
    }

    fill(&server);
    let full = Instant::now();
    // Nothing can be kept, and whoever says something in the room is told so.
    while let Ok(seq) = try_say(&mut ann, SYNC, "there may have been room for this") {
        kept.push(seq);
        assert!(full.elapsed() < NOTICED, "the disk is full, and it says it keeps everything");
    }
    while let Ok(seq) = try_say(&mut ann, ASYNC, "acknowledged, and written as soon as that can be") {
        kept_async.push(seq);
        assert!(full.elapsed() < NOTICED * 2, "the disk is full, and it says it keeps everything");
    }
    assert_eq!(try_say(&mut ann, ASYNC, "again"), Err("unavailable".to_owned()));
    assert_eq!(try_say(&mut ann, SYNC, "again"), Err("unavailable".to_owned()));
    // What nobody keeps goes on.
    bob.forget();
    let seq = ann.say(MEMORY, "still talking");
    loop {
        let event = bob.event();
        if event["room"] == MEMORY && event["seq"] == json!(seq) {
            break;
        }
    }
    // Also for newcomers.
    let mut eve = Json::connect(address);
    eve.join(MEMORY);
    eve.say(MEMORY, "hello");
    assert_eq!(eve.join("brand-new")["error"]["code"], "unavailable", "a room begins with an event");

    free(&server);
    let freed = Instant::now();
    for room in [SYNC, ASYNC] {
        while try_say(&mut ann, room, "room again").is_err() {
            assert!(freed.elapsed() < HEALED, "there is room again, and it does not write in {room}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    for n in 0..20 {
        kept.push(ann.say(SYNC, &format!("after {n}")));
        kept_async.push(ann.say(ASYNC, &format!("after {n} at leisure")));
    }
    for marker in ["after 19 at leisure", "a later commit"] {
        site.wait_until_on_disk(marker);
        ann.say(ASYNC, "a later commit");
    }
    server.kill9();

    let server = site.start();
    let mut later = Json::connect(server.address());
    for (room, kept) in [(SYNC, kept), (ASYNC, kept_async)] {
        later.join(room);
        let there: Vec<u64> = later.said(room).into_iter().map(|(seq, _)| seq).collect();
        let lost: Vec<&u64> = kept.iter().filter(|seq| !there.contains(seq)).collect();
        assert!(lost.is_empty(), "acknowledged in {room} and lost: {lost:?} of {there:?}");
    }
    server.stop();
}

/// The position it got, or the code of the refusal.
fn try_say(who: &mut Json, room: &str, text: &str) -> Result<u64, String> {
    let asked = Instant::now();
    let reply = who.ask(json!({"op": "say", "room": room, "text": text}));
    assert!(asked.elapsed() < PATIENCE / 3, "an answer comes soon, even if it is no");
    reply["seq"].as_u64().ok_or_else(|| reply["error"]["code"].as_str().unwrap().to_owned())
}

/// A file system of our own, gone when dropped.
struct Mount(PathBuf);

impl Mount {
    fn tmpfs(at: PathBuf, size: &str) -> Result<Mount, String> {
        fs::create_dir(&at).unwrap();
        let option = format!("size={size}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &option, "tmpfs"]).arg(&at).output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Mount(at)),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a test that fails may still have files open there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
