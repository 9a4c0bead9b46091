//! The log of what the server does: to standard error, for people or for programs.
//!
//! Standard output is never written here: it is a contract of its own (`serve`).

use std::io::{IsTerminal, stderr};

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;

use crate::args::{LogFormat, ServeArgs};

const FILTER_DEFAULT: &str = "info";

/// Starts logging as asked for. Once, before anything has something to say.
pub(crate) fn init(asked: &ServeArgs) -> anyhow::Result<()> {
    let filter = asked.log.as_deref().unwrap_or(FILTER_DEFAULT);
    // The parser's own words repeat themselves and don't name the filter.
    let filter = EnvFilter::builder().parse(filter).map_err(|_| {
        anyhow!(
            "the log filter is {filter:?}, it takes error, warn, info, debug or trace, also by module, \
             such as info,madang_server=debug"
        )
    })?;
    // A log that can't be written is no reason to write to the same place that it can't be written.
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).log_internal_errors(false);
    match asked.log_format.unwrap_or(LogFormat::Pretty) {
        LogFormat::Pretty => log.compact().with_ansi(is_coloured()).init(),
        LogFormat::Json => log.json().with_ansi(false).flatten_event(true).init(),
    }
    Ok(())
}

/// Colours are for terminals, and for people who want them (no-color.org).
fn is_coloured() -> bool {
    stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
