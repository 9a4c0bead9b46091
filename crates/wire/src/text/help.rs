//! `/help`: the table of commands, for people.

use madang_room::Refusal;

use super::commands::{COMMANDS, Command, find};

/// Columns for what is typed, in the list.
const SYNOPSIS_WIDTH: usize = 23;

/// The lines of `/help`, or of `/help COMMAND`, where the slash may be left out.
pub fn help(command: Option<&str>) -> Result<Vec<String>, Refusal> {
    let Some(name) = command else { return Ok(list()) };
    let command = find(name.strip_prefix(['/', '\\']).unwrap_or(name))?;
    let mut lines = vec![row(command)];
    lines.extend(command.details.iter().map(|&sentence| sentence.to_owned()));
    Ok(lines)
}

fn list() -> Vec<String> {
    let mut lines: Vec<String> = COMMANDS.iter().map(row).collect();
    lines.push("Any other line is said in the current room; // says a line that starts with /.".to_owned());
    lines
}

fn row(command: &Command) -> String {
    let mut row = format!("{:SYNOPSIS_WIDTH$} {}", command.synopsis(), command.summary);
    if !command.aliases.is_empty() {
        row += &format!(" (also /{})", command.aliases.join(", /"));
    }
    row
}

/// The table as the reference shows it; a test compares the two.
#[cfg(test)]
pub(crate) fn reference() -> String {
    let mut table = "| line | does |\n| --- | --- |\n".to_owned();
    for command in COMMANDS {
        let aliases = command.aliases.iter().map(|alias| format!(", `/{alias}`")).collect::<String>();
        let details = command.details.iter().map(|sentence| format!(" {sentence}")).collect::<String>();
        let synopsis = command.synopsis().replace('|', "\\|");
        table += &format!("| `{synopsis}`{aliases} | {}.{details} |\n", command.summary);
    }
    table
}
