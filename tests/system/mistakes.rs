//! Mistakes at the start: exit code 2, words that help, and nothing announced.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::harness::{Client, Finished, LOOPBACK, Program, Site, is_root, madang};

/// It ends with 2, has printed nothing, and complains in one line that has all of this in it.
#[track_caller]
fn is_a_mistake(finished: &Finished, parts: &[&str]) {
    assert_eq!(finished.status.code(), Some(2), "{finished:?}");
    assert_eq!(finished.out, "", "nothing is announced");
    let complaints: Vec<&str> = finished.err.lines().filter(|line| line.starts_with("madang: ")).collect();
    assert_eq!(complaints.len(), 1, "{finished:?}");
    parts.iter().for_each(|part| assert!(complaints[0].contains(part), "{part:?} in {finished:?}"));
}

fn serve(args: &[&str]) -> Finished {
    let folder = tempfile::tempdir().unwrap();
    let mut command = madang();
    // Tests run side by side: none may have the port that HTTP has by default.
    command.env("MADANG_HTTP", LOOPBACK).args(args).current_dir(folder.path());
    Program::run(command, "")
}

fn served_with(config: &str) -> (Site, Finished) {
    let site = Site::with(config);
    let finished = Program::run(site.command(), "");
    (site, finished)
}

#[test]
fn a_port_in_use_is_named() {
    let other = Site::new().start();
    let address = other.address().to_string();
    is_a_mistake(&serve(&["--tcp", &address]), &["can't listen on", &address, "in use"]);
    is_a_mistake(&serve(&["--tcp", LOOPBACK, "--tcp", &address]), &[&address, "in use"]);
    Client::connect(other.address());
}

#[test]
fn an_address_of_another_machine_is_named() {
    is_a_mistake(&serve(&["--tcp", "192.0.2.1:2022"]), &["192.0.2.1:2022", "no such address"]);
}

#[test]
fn a_file_where_the_data_folder_should_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data");
    fs::write(&file, "a file").unwrap();
    for data in [file.clone(), file.join("deeper")] {
        let data = data.to_str().unwrap();
        is_a_mistake(&serve(&["--tcp", LOOPBACK, "--data", data]), &[data]);
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "a file", "it is left as it was");
}

#[test]
fn a_data_folder_that_is_not_writable_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o555)).unwrap();
    // Where we may do anything, somebody else must try; they may not even look into our build folder.
    let program = folder.path().join("madang");
    fs::copy(env!("CARGO_BIN_EXE_madang"), &program).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&program);
    if is_root() {
        command.uid(65_534).gid(65_534);
    }
    command.args(["--tcp", LOOPBACK, "--http", LOOPBACK, "--data"]).arg(&data).current_dir(folder.path());
    is_a_mistake(&Program::run(command, ""), &[data.to_str().unwrap(), "writ"]);
}

#[test]
fn a_data_folder_that_another_server_has_open_is_named() {
    let site = Site::new();
    let first = site.start();
    let data = site.data().to_str().unwrap();
    is_a_mistake(&serve(&["--tcp", LOOPBACK, "--data", data]), &[data, "another"]);
    Client::connect(first.address());
    first.kill9();
    Client::connect(site.start().address());
}

#[test]
fn damaged_data_is_named_and_not_begun_anew() {
    let site = Site::new();
    site.start().stop();
    let rooms = site.data().join("rooms.db");
    fs::write(&rooms, "this is no database, and it is longer than the header of one".repeat(100)).unwrap();
    is_a_mistake(&Program::run(site.command(), ""), &[rooms.to_str().unwrap()]);
}

#[test]
fn a_mistyped_key_is_named_with_the_nearest_right_one() {
    let mistakes: [(&str, &[&str]); 5] = [
        ("sharts = 2", &["sharts", "shards"]),
        ("[limits]\nconections_per_ip = 2", &["conections_per_ip", "connections_per_ip"]),
        ("[[listen]]\nbnid = '127.0.0.1:0'", &["bnid", "bind"]),
        ("[[room]]\nmatch = 'a'\ndurabilty = 'sync'", &["durabilty", "durability"]),
        ("write_timeout = 10", &["write_timeout", "10"]),
    ];
    for (config, parts) in mistakes {
        let (site, finished) = served_with(config);
        is_a_mistake(&finished, parts);
        is_a_mistake(&finished, &["madang.toml"]);
        // And `check` says the same.
        let mut check = madang();
        check.arg("check").arg(site.config());
        let checked = Program::run(check, "");
        is_a_mistake(&checked, parts);
        assert!(!site.data().exists(), "nothing was opened");
    }
}

#[test]
fn a_right_file_is_summed_up() {
    let site = Site::with("[[room]]\nmatch = 'vault'\ndurability = 'sync'");
    let mut check = madang();
    check.arg("check").arg(site.config());
    let checked = Program::run(check, "");
    assert!(checked.status.success(), "{checked:?}");
    assert!(checked.out.contains("is right: 1 listener (tcp 127.0.0.1:0 chat), 1 room rule"), "{checked:?}");
    assert!(!site.data().exists(), "checking opens nothing");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../madang.example.toml");
    let mut check = madang();
    check.args(["check", example]);
    let checked = Program::run(check, "");
    assert!(checked.status.success(), "{checked:?}");
    let mut check = madang();
    check.args(["check", "/nowhere/madang.toml"]);
    is_a_mistake(&Program::run(check, ""), &["/nowhere/madang.toml", "can't be read"]);
}

#[test]
fn what_the_command_line_and_the_environment_get_wrong_is_named() {
    for (args, part) in
        [(["--port", "2022"], "--port"), (["--tcp", "2022"], "127.0.0.1:2022"), (["bogus", "x"], "bogus")]
    {
        let finished = serve(&args);
        assert_eq!((finished.status.code(), finished.out.as_str()), (Some(2), ""), "{finished:?}");
        assert!(finished.err.contains(part), "{finished:?}");
    }
    let mut command = madang();
    command.env("MADANG_TCP", "nonsense");
    is_a_mistake(&Program::run(command, ""), &["MADANG_TCP", "nonsense", "127.0.0.1:2022"]);
}
