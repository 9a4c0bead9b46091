//! What to serve with: flags over the environment over the file over the defaults.
//!
//! Flags and environment are layers of the same kind, so one is laid over the other before the file is looked at. The
//! environment comes in as a function and nothing here asks the process, so that tests can say what it holds.

use std::ffi::OsString;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;
use madang_server::config::{self, Config, Listener, Service};

use crate::args::{LogFormat, ServeArgs};

/// The layer that the environment makes. A variable that is set to nothing is not set.
pub(crate) fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<ServeArgs> {
    let raw = |name: &str| variable(name).filter(|value| !value.is_empty());
    let text = |name: &str| -> anyhow::Result<Option<String>> {
        let value = raw(name).map(|value| value.into_string());
        value.transpose().map_err(|value| wrong(name, &value.to_string_lossy(), "text in UTF-8"))
    };
    let address = |name: &str| read(name, text(name)?, config::address, config::ADDRESS_TAKES);
    let port = |text: &str| text.parse().ok().map(|port: u16| ([0, 0, 0, 0], port).into());
    let addresses = |text: &str| text.split(',').map(|one| config::address(one.trim())).collect();
    let addresses_take = format!("addresses with commas between them, each {}", config::ADDRESS_TAKES);
    Ok(ServeArgs {
        config: raw("MADANG_CONFIG").map(Into::into),
        data: raw("MADANG_DATA").map(Into::into),
        tcp: read("MADANG_TCP", text("MADANG_TCP")?, addresses, &addresses_take)?.unwrap_or_default(),
        http: address("MADANG_HTTP")?.or(read("PORT", text("PORT")?, port, "a number from 0 to 65535")?),
        udp: address("MADANG_UDP")?,
        no_udp: false,
        shards: read("MADANG_SHARDS", text("MADANG_SHARDS")?, |text| text.parse().ok(), "a whole number")?,
        log: text("MADANG_LOG")?,
        log_format: read(
            "MADANG_LOG_FORMAT",
            text("MADANG_LOG_FORMAT")?,
            |text| LogFormat::from_str(text, false).ok(),
            "pretty or json",
        )?,
    })
}

fn read<T>(
    name: &str,
    value: Option<String>,
    parse: impl FnOnce(&str) -> Option<T>,
    takes: &str,
) -> anyhow::Result<Option<T>> {
    let read = value.map(|value| parse(&value).ok_or_else(|| wrong(name, &value, takes)));
    read.transpose()
}

fn wrong(name: &str, value: &str, takes: &str) -> anyhow::Error {
    anyhow!("{name} is {value:?}, it takes {takes}")
}

impl ServeArgs {
    /// This layer over a lower one: what isn't given here is taken from there.
    pub(crate) fn over(self, lower: ServeArgs) -> ServeArgs {
        ServeArgs {
            config: self.config.or(lower.config),
            data: self.data.or(lower.data),
            tcp: if self.tcp.is_empty() { lower.tcp } else { self.tcp },
            http: self.http.or(lower.http),
            udp: if self.no_udp { None } else { self.udp.or(lower.udp) },
            no_udp: self.no_udp || lower.no_udp,
            shards: self.shards.or(lower.shards),
            log: self.log.or(lower.log),
            log_format: self.log_format.or(lower.log_format),
        }
    }
}

/// The configuration to serve with, and what is worth saying about it. Reads the file, if one was named.
pub(crate) fn resolve(asked: &ServeArgs) -> anyhow::Result<(Config, Vec<String>)> {
    let (config, mut warnings) = match &asked.config {
        Some(path) => from_file(path)?,
        None => (Config::default(), Vec::new()),
    };
    if let Some(address) = asked.udp {
        warnings.push(format!("udp listeners are not part of this version; {address} is not opened"));
    }
    Ok((laid_over(asked, config)?, warnings))
}

/// The configuration in a file, and what is worth saying about it.
pub(crate) fn from_file(path: &Path) -> anyhow::Result<(Config, Vec<String>)> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("{name} can't be read"))?;
    let (config, warnings) = Config::from_toml(&text, &name)?;
    Ok((config, warnings.iter().map(ToString::to_string).collect()))
}

/// Flags and environment over what the file says.
fn laid_over(asked: &ServeArgs, mut config: Config) -> anyhow::Result<Config> {
    if let Some(data) = &asked.data {
        config.data.clone_from(data);
    }
    if let Some(shards) = asked.shards {
        if shards > config::SHARDS_MAX {
            bail!("shards is {shards}, it takes a whole number from 0 to {}", config::SHARDS_MAX);
        }
        config.shards = shards;
    }
    let is_http = |listener: &Listener| matches!(listener.service, Service::Http(_));
    replace(&mut config.listeners, asked.tcp.iter().copied().map(Listener::chat), |is| !is_http(is));
    replace(&mut config.listeners, asked.http.into_iter().map(Listener::http), is_http);
    if config.data.as_os_str().is_empty() {
        bail!("data is \"\", it takes the path of a folder");
    }
    if let Some(bind) = config.contested_bind() {
        bail!("{bind} is given for two listeners, each needs its own address and port");
    }
    if config.listeners.is_empty() {
        bail!("there is nothing to listen on: give --tcp ADDR or --http ADDR, or a [[listen]]");
    }
    Ok(config)
}

/// Puts listeners in the place of all those of the same kind, where there are any to put.
fn replace(
    listeners: &mut Vec<Listener>,
    given: impl ExactSizeIterator<Item = Listener>,
    is_of_kind: impl Fn(&Listener) -> bool,
) {
    if given.len() > 0 {
        let at = listeners.iter().position(&is_of_kind).unwrap_or(listeners.len());
        listeners.retain(|listener| !is_of_kind(listener));
        listeners.splice(at..at, given);
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Variables as a shell would set them: `MADANG_DATA=e MADANG_SHARDS=3`.
    fn environment(variables: &str) -> anyhow::Result<ServeArgs> {
        from_environment(|name| {
            let value = variables.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.map(OsString::from)
        })
    }

    fn refused(variables: &str, expected: Expect) {
        expected.assert_eq(&environment(variables).unwrap_err().to_string());
    }

    fn addresses(config: &Config) -> Vec<String> {
        config.listeners.iter().map(|listener| listener.bind.to_string()).collect()
    }

    const FILE: &str =
        "data = 'file'\nshards = 1\npresence_limit = 7\n[[listen]]\nbind = '127.0.0.1:1'\nservice = 'echo'";

    #[test]
    fn flags_win_over_the_environment_which_wins_over_the_file() {
        let (file, _) = Config::from_toml(FILE, "file").unwrap();
        let environment =
            environment("MADANG_DATA=env MADANG_SHARDS=2 MADANG_TCP=127.0.0.1:2,localhost:22").unwrap();
        let flags = ServeArgs { shards: Some(3), ..ServeArgs::default() };

        let nothing = laid_over(&ServeArgs::default(), file.clone()).unwrap();
        assert_eq!(nothing, file);

        let all = laid_over(&flags.over(environment), file).unwrap();
        assert_eq!(all.shards, 3, "the flag");
        assert_eq!(all.data, Path::new("env"), "the environment");
        assert_eq!(addresses(&all), ["127.0.0.1:2", "127.0.0.1:22"], "the environment");
        assert_eq!(all.listeners[0], Listener::chat("127.0.0.1:2".parse().unwrap()));
        assert_eq!(all.presence_limit, 7, "the file");
        assert_eq!(all.drain_timeout, Config::default().drain_timeout, "the default");
    }

    #[test]
    fn a_flag_replaces_all_addresses_of_the_environment() {
        let flags = ServeArgs { tcp: vec!["127.0.0.1:5".parse().unwrap()], ..ServeArgs::default() };
        let asked = flags.over(environment("MADANG_TCP=127.0.0.1:2,127.0.0.1:3").unwrap());
        let config = laid_over(&asked, Config::default()).unwrap();
        assert_eq!(addresses(&config), ["127.0.0.1:5", "127.0.0.1:3000"]);
    }

    #[test]
    fn an_empty_variable_is_not_set() {
        assert_eq!(environment("MADANG_DATA= MADANG_TCP= PORT=").unwrap(), ServeArgs::default());
    }

    #[test]
    fn the_environment_is_checked() {
        refused(
            "MADANG_TCP=2022",
            expect![[
                r#"MADANG_TCP is "2022", it takes addresses with commas between them, each an address and a port, such as 127.0.0.1:2022, [::1]:2022 or localhost:2022"#
            ]],
        );
        refused("MADANG_SHARDS=many", expect![[r#"MADANG_SHARDS is "many", it takes a whole number"#]]);
        refused("MADANG_LOG_FORMAT=xml", expect![[r#"MADANG_LOG_FORMAT is "xml", it takes pretty or json"#]]);
        refused("PORT=http", expect![[r#"PORT is "http", it takes a number from 0 to 65535"#]]);
    }

    #[test]
    fn addresses_replace_those_of_their_own_kind() {
        let announced = |variables: &str, file: &str| {
            let (file, _) = Config::from_toml(file, "file").unwrap();
            let config = laid_over(&environment(variables).unwrap(), file).unwrap();
            let listeners = config.listeners.iter();
            let doors: Vec<String> = listeners.map(|door| door.service.announced(door.bind)).collect();
            doors.join("\n")
        };
        let file = "[[listen]]\nprotocol = 'http'\n[[listen]]\nbind = '127.0.0.1:1'\nservice = 'echo'";
        expect![[r#"
            tcp 127.0.0.1:5 chat
            http 127.0.0.1:3000"#]]
        .assert_eq(&announced("MADANG_TCP=127.0.0.1:5", ""));
        expect![[r#"
            tcp 127.0.0.1:2022 chat
            http 0.0.0.0:8080"#]]
        .assert_eq(&announced("PORT=8080", ""));
        expect![[r#"
            http 127.0.0.1:6
            tcp 127.0.0.1:1 echo"#]]
        .assert_eq(&announced("MADANG_HTTP=127.0.0.1:6 PORT=8080", file));
        expect![[r#"
            http 127.0.0.1:3000
            tcp 127.0.0.1:5 chat
            tcp 127.0.0.1:6 chat"#]]
        .assert_eq(&announced("MADANG_TCP=127.0.0.1:5,127.0.0.1:6", file));
        expect![[r#"
            tcp 127.0.0.1:1 chat
            http 127.0.0.1:6"#]]
        .assert_eq(&announced("MADANG_HTTP=127.0.0.1:6", "[[listen]]\nbind = '127.0.0.1:1'"));
    }

    #[test]
    fn doors_that_are_not_there_are_warned_of() {
        let asked = environment("MADANG_UDP=127.0.0.1:2022").unwrap();
        let (config, warnings) = resolve(&asked).unwrap();
        assert_eq!(config, Config::default());
        expect!["udp listeners are not part of this version; 127.0.0.1:2022 is not opened"]
            .assert_eq(&warnings.join("\n"));
        let no_udp = ServeArgs { no_udp: true, ..ServeArgs::default() };
        assert_eq!(
            resolve(&no_udp.over(environment("MADANG_UDP=127.0.0.1:2022").unwrap())).unwrap().1.len(),
            0
        );
    }

    #[test]
    fn what_cannot_be_served_is_refused() {
        let twice = ServeArgs { tcp: vec!["127.0.0.1:5".parse().unwrap(); 2], ..ServeArgs::default() };
        let both = ServeArgs {
            tcp: vec!["127.0.0.1:5".parse().unwrap()],
            http: Some("127.0.0.1:5".parse().unwrap()),
            ..ServeArgs::default()
        };
        let crowd = ServeArgs { shards: Some(1000), ..ServeArgs::default() };
        let lost = ServeArgs { config: Some("no/such/file.toml".into()), ..ServeArgs::default() };
        let refusals: Vec<String> = [twice, both, crowd, lost]
            .iter()
            .map(|asked| format!("{:#}", resolve(asked).unwrap_err()))
            .collect();
        expect![[r#"
            127.0.0.1:5 is given for two listeners, each needs its own address and port
            127.0.0.1:5 is given for two listeners, each needs its own address and port
            shards is 1000, it takes a whole number from 0 to 256
            no/such/file.toml can't be read: No such file or directory (os error 2)"#]]
        .assert_eq(&refusals.join("\n"));
        let deaf = Config { listeners: Vec::new(), ..Config::default() };
        expect!["there is nothing to listen on: give --tcp ADDR or --http ADDR, or a [[listen]]"]
            .assert_eq(&laid_over(&ServeArgs::default(), deaf).unwrap_err().to_string());
    }
}
