//! `docs/protocol.md` and the code say the same: each of its tables stands between two comments that name it.
//! With `UPDATE_EXPECT=1` the tables that are made from the code are written anew.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::{json, samples, text};

fn path() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md"))
}

fn reference() -> String {
    std::fs::read_to_string(path()).unwrap()
}

/// What stands before, in and after the table called `name`.
fn around<'r>(reference: &'r str, name: &str) -> (&'r str, &'r str, &'r str) {
    let begin = format!("<!-- {name}: made from the code -->\n");
    let begin = if reference.contains(&begin) { begin } else { format!("<!-- {name} -->\n") };
    let begin = reference.find(&begin).expect("the table has a comment before it") + begin.len();
    let end = begin + reference[begin..].find("<!-- end -->").expect("and one behind it");
    (&reference[..begin], &reference[begin..end], &reference[end..])
}

#[test]
fn the_tables_of_commands_and_ops_are_those_of_the_code() {
    let mut updated = reference();
    for (name, table) in [("commands", text::reference()), ("ops", json::reference())] {
        let (before, _, after) = around(&updated, name);
        updated = format!("{before}{table}{after}");
    }
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(path(), &updated).unwrap();
    }
    assert_eq!(reference(), updated, "run this with UPDATE_EXPECT=1 to write the tables anew");
}

#[test]
fn the_reference_has_every_refusal_code_once() {
    let reference = reference();
    let (_, table, _) = around(&reference, "codes");
    let rows = table.lines().filter_map(|row| row.strip_prefix("| `")?.split_once('`'));
    let told: Vec<&str> = rows.map(|(code, _)| code).collect();
    let known: BTreeSet<&str> = samples::refusals().iter().map(|refusal| refusal.code()).collect();
    assert_eq!(told.len(), known.len(), "{told:?}");
    assert_eq!(told.into_iter().collect::<BTreeSet<_>>(), known);
}

#[test]
fn the_examples_are_what_programs_may_send_and_will_get() {
    let mut examples = 0;
    for line in reference().lines() {
        if let Some(asked) = line.strip_prefix("→ ").filter(|asked| asked.starts_with('{')) {
            json::parse(asked.as_bytes()).unwrap_or_else(|refused| panic!("{asked}: {refused:?}"));
            examples += 1;
        }
        if let Some(told) = line.strip_prefix("← ").filter(|told| told.starts_with('{')) {
            let told: serde_json::Value = serde_json::from_str(told).unwrap();
            assert!(told.get("re").is_some() != told.get("ev").is_some(), "{told}");
            examples += 1;
        }
    }
    assert!(examples > 5);
}

#[test]
fn the_limits_are_those_of_the_code() {
    let reference = reference();
    let thousands = |n: usize| format!("{},{:03}", n / 1000, n % 1000);
    for limit in [
        format!("{} bytes", thousands(crate::LINE_BYTES_MAX)),
        format!("{} bytes", thousands(crate::JSON_BYTES_MAX)),
        format!("{} bytes", thousands(madang_room::TEXT_BYTES_MAX)),
        format!("1 to {} bytes", madang_room::ROOM_BYTES_MAX),
        format!("1 to {} bytes", madang_room::NICK_BYTES_MAX),
        format!("1 to {} bytes", madang_room::KEY_BYTES_MAX),
        format!("string of at most {} bytes", crate::ID_BYTES_MAX),
        format!("at most {}", thousands(crate::HISTORY_EVENTS_MAX)),
    ] {
        assert!(reference.contains(&limit), "{limit}");
    }
}
