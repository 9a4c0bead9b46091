//! The rules of the house that no compiler checks.
//!
//! Every file opens with what it is for and is short enough to be read; the core touches no network, disk or clock;
//! crates know only those that are further in; nothing is left lying about. All that is wrong is told at once.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Lines of a source file. A longer one holds more than one thing.
const FILE_LINES_MAX: usize = 600;

/// What crates of ours each crate may know, from the inside out.
const HOUSE: [(&str, &[&str]); 7] = [
    ("madang-room", &[]),
    ("madang-wire", &["madang-room"]),
    ("madang-log", &["madang-room"]),
    ("madang-server", &["madang-room", "madang-wire", "madang-log"]),
    ("madang-client", &["madang-room", "madang-wire"]),
    ("madang-bench", &[]),
    (
        "madang",
        &["madang-room", "madang-wire", "madang-log", "madang-server", "madang-client", "madang-bench"],
    ),
];

/// What must not be named in the code of a folder, so that it can be tested without a network, a disk or a clock.
const KEPT_OUT: [(&str, &[&str]); 2] = [
    ("crates/room", &["net", "fs", "SystemTime", "Instant", "tokio"]),
    ("crates/wire", &["net", "fs", "tokio"]),
];

/// Marks of something unfinished. (Written in two halves, or this file would be untidy.)
const LEFTOVERS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("dbg", "!")];

/// Checks all of it.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut wrong = Vec::new();
    let mut sources = Vec::new();
    for folder in ["crates", "xtask", "tests", "fuzz"] {
        sources.extend(read_all(root, folder, "rs")?);
    }
    let tests: Vec<String> = sources.iter().flat_map(test_modules).collect();
    for source in &sources {
        check_form(source, &mut wrong);
        if !tests.iter().any(|module| is_of_module(&source.name, module)) {
            check_kept_out(source, &mut wrong);
        }
    }
    for manifest in read_all(root, "crates", "toml")? {
        check_manifest(&manifest.text, &mut wrong);
    }
    if !wrong.is_empty() {
        bail!("{} things are not tidy\n{}", wrong.len(), wrong.join("\n"));
    }
    Ok(())
}

/// A file and what is in it.
struct Source {
    /// Its path from the root.
    name: String,
    text: String,
}

/// Does it open with what it is for, can it be read in one go, is it finished?
fn check_form(Source { name, text }: &Source, wrong: &mut Vec<String>) {
    if !text.starts_with("//!") {
        wrong.push(format!("{name}:1: a file opens with what it is for (//!)"));
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        wrong.push(format!("{name}: {lines} lines, {FILE_LINES_MAX} at most: which two things is it?"));
    }
    for (at, line) in text.lines().enumerate() {
        for leftover in LEFTOVERS.iter().filter(|word| line.contains(**word)) {
            wrong.push(format!("{name}:{}: {leftover} is left over", at + 1));
        }
    }
}

/// Is what its crate must do without kept out of it? Tests, which stand last in a file, may use anything.
fn check_kept_out(Source { name, text }: &Source, wrong: &mut Vec<String>) {
    let Some((_, kept_out)) = KEPT_OUT.iter().find(|(folder, _)| name.starts_with(folder)) else { return };
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    for (at, line) in code.lines().enumerate() {
        let line = line.split("//").next().unwrap_or_default();
        for word in *kept_out {
            // `net` and `fs` are words like others, unless the standard library's are meant.
            let is_meant = line.contains("std::") || !matches!(*word, "net" | "fs");
            if is_meant && has_word(line, word) {
                wrong.push(format!("{name}:{}: {word} is kept out of this crate", at + 1));
            }
        }
    }
}

/// The modules that a file declares for tests alone, as paths without an ending.
fn test_modules(Source { name, text }: &Source) -> Vec<String> {
    let folder = name.strip_suffix("/lib.rs").or(name.strip_suffix("/mod.rs")).or(name.strip_suffix(".rs"));
    let after_marks = text.split("#[cfg(test)]\n").skip(1);
    let modules = after_marks.filter_map(|rest| {
        let declared = rest.lines().next()?.strip_suffix(';')?;
        let (_, module) = declared.rsplit_once("mod ")?;
        Some(format!("{}/{module}", folder?))
    });
    modules.collect()
}

/// Is it the module's file, or one of those in its folder?
fn is_of_module(name: &str, module: &str) -> bool {
    name.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

/// Which crates of ours a manifest names that its crate must not know. What only its tests use is free.
fn check_manifest(text: &str, wrong: &mut Vec<String>) {
    let (mut section, mut package) = ("", "");
    let mut known = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        }
        let key = line.split(['.', '=', ' ']).next().unwrap_or_default();
        match section {
            "[package]" if key == "name" => package = line.split('"').nth(1).unwrap_or_default(),
            "[dependencies]" | "[build-dependencies]" if key.starts_with("madang-") => known.push(key),
            _ => {}
        }
    }
    let Some((_, may_know)) = HOUSE.iter().find(|(name, _)| *name == package) else {
        wrong.push(format!("{package}: a new crate needs its place in the house (xtask/src/tidy.rs)"));
        return;
    };
    for outer in known.iter().filter(|key| !may_know.contains(key)) {
        wrong.push(format!("{package} must not know {outer}: crates know only those that are further in"));
    }
}

/// All files with this ending in a folder of the root, with what is in them.
fn read_all(root: &Path, folder: &str, ending: &str) -> Result<Vec<Source>> {
    let sources = files(&root.join(folder), ending)?.into_iter().map(|path| {
        let text = fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        Ok(Source { name, text })
    });
    sources.collect()
}

/// Those of a folder and of the folders within, but for what was built there.
fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if !folder.exists() {
        return Ok(found);
    }
    let entries = fs::read_dir(folder).with_context(|| format!("{} can't be read", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                found.extend(files(&path, ending)?);
            }
        } else if path.extension().is_some_and(|is| is == ending) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_source(name: &str, text: &str) -> Vec<String> {
        let (name, text) = (name.to_owned(), text.to_owned());
        let mut wrong = Vec::new();
        let source = Source { name, text };
        check_form(&source, &mut wrong);
        check_kept_out(&source, &mut wrong);
        wrong
    }

    fn of_manifest(text: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        check_manifest(text, &mut wrong);
        wrong
    }

    #[test]
    fn a_file_opens_with_what_it_is_for() {
        assert_eq!(of_source("crates/log/src/a.rs", "//! Fine.\n"), [""; 0]);
        assert_eq!(of_source("crates/log/src/a.rs", "use std::fs;\n").len(), 1);
    }

    #[test]
    fn a_file_can_be_read_in_one_go() {
        let text = "//! Long.\n".to_owned() + &"\n".repeat(FILE_LINES_MAX);
        assert_eq!(of_source("crates/log/src/a.rs", &text).len(), 1);
    }

    #[test]
    fn the_core_knows_no_network_disk_or_clock() {
        let text = "//! Room.\nuse std::{fmt, fs};\nuse std::net::IpAddr;\nlet now = Instant::now();\n";
        assert_eq!(of_source("crates/room/src/a.rs", text).len(), 3);
        assert_eq!(of_source("crates/wire/src/a.rs", text).len(), 2);
        assert_eq!(of_source("crates/log/src/a.rs", text).len(), 0);
        let harmless = "//! Room: no Instant, no std::fs.\nlet net = 1; // std::net would be wrong\nlet x = Instantly;\n";
        assert_eq!(of_source("crates/room/src/a.rs", harmless).len(), 0);
    }

    #[test]
    fn tests_may_use_anything() {
        let text = "//! Room.\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert_eq!(of_source("crates/room/src/a.rs", text), [""; 0]);
        let modules = |name: &str| {
            let text = "//! Room.\nmod a;\n#[cfg(test)]\nmod docs;\n#[cfg(test)]\npub(crate) mod samples;\n";
            test_modules(&Source { name: name.to_owned(), text: text.to_owned() })
        };
        assert_eq!(modules("crates/room/src/lib.rs"), ["crates/room/src/docs", "crates/room/src/samples"]);
        assert_eq!(modules("crates/room/src/a.rs"), ["crates/room/src/a/docs", "crates/room/src/a/samples"]);
        assert!(is_of_module("crates/room/src/docs.rs", "crates/room/src/docs"));
        assert!(is_of_module("crates/room/src/docs/more.rs", "crates/room/src/docs"));
        assert!(!is_of_module("crates/room/src/docsy.rs", "crates/room/src/docs"));
    }

    #[test]
    fn nothing_is_left_over() {
        for leftover in LEFTOVERS {
            assert_eq!(of_source("crates/log/src/a.rs", &format!("//! Log.\n// {leftover}\n")).len(), 1);
        }
    }

    #[test]
    fn crates_know_only_those_further_in() {
        let manifest = |name: &str, knows: &str| {
            format!("[package]\nname = \"{name}\"\n[dependencies]\nbytes = \"1\"\n{knows}.workspace = true\n")
        };
        assert_eq!(of_manifest(&manifest("madang-wire", "madang-room")), [""; 0]);
        assert_eq!(of_manifest(&manifest("madang-room", "madang-wire")).len(), 1);
        assert_eq!(of_manifest(&manifest("madang-client", "madang-server")).len(), 1);
        assert_eq!(of_manifest(&manifest("madang-news", "bytes")).len(), 1);
        let for_tests =
            "[package]\nname = \"madang-client\"\n[dev-dependencies]\nmadang-server.workspace = true\n";
        assert_eq!(of_manifest(for_tests), [""; 0]);
    }
}
