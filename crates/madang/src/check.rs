//! `madang check`: is a configuration file right, and what does it say?

use std::io::Write;
use std::process::ExitCode;

use madang_server::config::Config;

use crate::args::{CheckArgs, ServeArgs};
use crate::settings;

/// Prints what the file amounts to, and its warnings. An error holds its mistakes.
pub(crate) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let asked = ServeArgs { config: Some(args.file.clone()), ..ServeArgs::default() };
    let (config, warnings) = settings::resolve(&asked)?;
    let mut said = format!("{} is right: {}\n", args.file.display(), summary(&config));
    for warning in warnings {
        said += &format!("warning: {warning}\n");
    }
    // Whoever has closed the pipe has read enough; the exit code tells the rest.
    let _ = std::io::stdout().lock().write_all(said.as_bytes());
    Ok(ExitCode::SUCCESS)
}

fn summary(config: &Config) -> String {
    let listeners = config.listeners.iter();
    let doors: Vec<String> = listeners.map(|listener| listener.service.announced(listener.bind)).collect();
    format!(
        "{} ({}), {}, data in {}",
        counted(doors.len(), "listener"),
        doors.join(", "),
        counted(config.rooms.len(), "room rule"),
        config.data.display()
    )
}

fn counted(number: usize, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_right_file_is_summed_up() {
        let text = "[[listen]]\n[[listen]]\nbind = 'localhost:7'\nservice = 'echo'\n[[listen]]\nprotocol = 'http'\n[[room]]\nmatch = 'duo-*'";
        let (config, _) = Config::from_toml(text, "m.toml").unwrap();
        expect![
            "3 listeners (tcp 127.0.0.1:2022 chat, tcp 127.0.0.1:7 echo, http 127.0.0.1:3000), 1 room rule, data in madang-data"
        ]
        .assert_eq(&summary(&config));
    }
}
