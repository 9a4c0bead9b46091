//! Text lines to requests.

use madang_room::{Refusal, Text};

use super::commands::{find, is_blank};
use crate::{Op, Request};

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Reads one line, without its ending. Text lines have no `id`.
pub fn parse(line: &[u8]) -> Result<Request, Refusal> {
    let text = decode(line)?;
    let op = match (text.strip_prefix(['/', '\\']), text.starts_with("//") || text.starts_with("\\\\")) {
        (Some(command), false) => parse_command(command)?,
        (Some(escaped), true) => say(escaped)?,
        (None, _) => say(text)?,
    };
    Ok(Request { id: None, op })
}

/// As [`parse`], for a lobby's own listener: there `checkin`, `checkout`, `groups` and `clap` need no slash.
///
/// People also say such words. A line is a command only where it is nothing else: the word alone, or for `checkin` with
/// one more, its id.
pub fn parse_in_lobby(line: &[u8]) -> Result<Request, Refusal> {
    let text = decode(line)?.trim_matches(is_blank);
    let mut words = text.split(is_blank).filter(|word| !word.is_empty());
    let name = words.next().unwrap_or_default().to_ascii_lowercase();
    match (name.as_str(), words.count()) {
        ("checkin", 0 | 1) | ("checkout" | "groups" | "clap", 0) => {
            Ok(Request { id: None, op: parse_command(text)? })
        }
        _ => parse(line),
    }
}

fn decode(line: &[u8]) -> Result<&str, Refusal> {
    let text = line.strip_prefix(BOM).unwrap_or(line);
    str::from_utf8(text).map_err(|error| {
        // People count from one, and the byte order mark was a part of the line.
        Refusal::NotUtf8 { at: line.len() - text.len() + error.valid_up_to() + 1 }
    })
}

fn say(text: &str) -> Result<Op, Refusal> {
    Ok(Op::Say { room: None, text: Text::parse(text).map_err(Refusal::BadText)?, key: None })
}

fn parse_command(line: &str) -> Result<Op, Refusal> {
    let (name, rest) = line.split_once(is_blank).unwrap_or((line, ""));
    if name.is_empty() {
        let why =
            "a command's name follows the slash at once; /help lists the commands, // says a /".to_owned();
        return Err(Refusal::BadCommand { why });
    }
    let command = find(name)?;
    (command.read)(command, rest.trim_matches(is_blank))
}

/// Is `line` how an HTTP request begins (`GET / HTTP/1.1`)? As the first line on a connection it means that a browser
/// or `curl` came to the wrong door, maybe sent by a page that wants its body taken for commands: refuse and close.
pub fn looks_like_http(line: &[u8]) -> bool {
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    let is_method =
        !method.is_empty() && method.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'-');
    // A path, everything, an address, or a host with its port.
    let is_target = target.starts_with(b"/") || target == b"*" || target.contains(&b':');
    is_method
        && is_target
        && version.strip_prefix(b"HTTP/").is_some_and(|v| v.first().is_some_and(u8::is_ascii_digit))
}
