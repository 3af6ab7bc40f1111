//! The configuration file (TOML): parsed key by key, so that every problem is named at once.
//!
//! The service needs no file. Flags win over the file, the file over the defaults.

mod files;

pub use files::{read_config, read_secret};

use crate::archive::{SealPolicy, Settings};
use crate::error::{Error, Result};
use crate::gitlab::settings::GitlabSettings;
use crate::model::id::Archiver;
use crate::segment::properties::ValueEncoding;
use serde::de::DeserializeOwned;
use std::net::SocketAddr;
use std::path::PathBuf;
use toml::Table;

/// Where the service listens unless told otherwise: loopback, since there are no identities yet.
const LISTEN: &str = "127.0.0.1:8750";
/// Where the archive is unless told otherwise.
const DATA_DIR: &str = "tachograph-data";

/// Everything that can be configured.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to listen on.
    pub listen: String,
    /// The data directory.
    pub data_dir: PathBuf,
    /// Log filter, as `RUST_LOG` spells it.
    pub log: String,
    /// The archive's settings.
    pub archive: Settings,
    /// GitLab instances.
    pub sources: Vec<GitlabSettings>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: LISTEN.to_owned(),
            data_dir: PathBuf::from(DATA_DIR),
            log: "info".to_owned(),
            archive: Settings::default(),
            sources: Vec::new(),
        }
    }
}

/// One key of the file, for its documentation and for "did you mean".
#[derive(Debug, Clone, Copy)]
struct Key {
    name: &'static str,
    default: &'static str,
    text: &'static str,
}

const KEYS: &[Key] = &[
    Key {
        name: "listen",
        default: "\"127.0.0.1:8750\"",
        text: "Address and port. There are no identities yet: whoever reaches it may read and write.",
    },
    Key {
        name: "data_dir",
        default: "\"tachograph-data\"",
        text: "Folder of the archive. One process at a time.",
    },
    Key {
        name: "log",
        default: "\"info\"",
        text: "Log filter: error, warn, info, debug, or per module.",
    },
    Key {
        name: "archiver",
        default: "0",
        text: "Number of this archiver, 0 to 32767, if several share an analytics table. Never change it later.",
    },
    Key {
        name: "archive.value_encoding",
        default: "\"native\"",
        text: "native: smallest files. compatible: 17 % larger, readable by engines such as DuckDB before 2.0.",
    },
    Key {
        name: "archive.seal_jobs",
        default: "1024",
        text: "Jobs that make a good segment.",
    },
    Key {
        name: "archive.seal_after_seconds",
        default: "900",
        text: "Age at which fewer jobs are sealed; a quarter as many wait four times as long.",
    },
];

/// Reads values out of a table and remembers what was wrong.
#[derive(Default)]
struct Reader {
    problems: Vec<String>,
}

impl Reader {
    /// The value of a key, which is removed from the table.
    fn take<T: DeserializeOwned>(&mut self, table: &mut Table, path: &str) -> Option<T> {
        let key = path.rsplit('.').next().unwrap_or(path);
        let value = table.remove(key)?;
        match T::deserialize(value) {
            Ok(value) => Some(value),
            Err(error) => {
                self.problems.push(format!("{path}: {}", error.message()));
                None
            }
        }
    }

    /// A value that must satisfy a rule.
    fn checked<T: DeserializeOwned>(
        &mut self,
        table: &mut Table,
        path: &str,
        rule: &str,
        holds: impl Fn(&T) -> bool,
    ) -> Option<T> {
        let value = self.take::<T>(table, path)?;
        if holds(&value) {
            return Some(value);
        }
        self.problems.push(format!("{path}: {rule}"));
        None
    }

    /// Whatever is left in the table is unknown.
    fn refuse_rest(&mut self, table: &Table, prefix: &str) {
        for key in table.keys() {
            let path = format!("{prefix}{key}");
            let near = nearest(&path);
            self.problems.push(match near {
                Some(near) => format!("{path}: unknown key; did you mean {near}?"),
                None => format!("{path}: unknown key"),
            });
        }
    }
}

/// The known key that shares the longest beginning or end with `path`.
fn nearest(path: &str) -> Option<&'static str> {
    let common = |a: &str, b: &str| {
        let front = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
        let back = a
            .bytes()
            .rev()
            .zip(b.bytes().rev())
            .take_while(|(a, b)| a == b)
            .count();
        front + back
    };
    let best = KEYS.iter().max_by_key(|key| common(key.name, path))?;
    (common(best.name, path) * 2 > best.name.len()).then_some(best.name)
}

impl Config {
    /// Parses the text of a configuration file.
    ///
    /// # Errors
    /// `Invalid` (`invalid_config`) names every unknown key and every wrong value at once.
    pub fn parse(text: &str) -> Result<Self> {
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| {
            Error::invalid(
                "invalid_config",
                format!("the configuration is not TOML: {}", error.message()),
            )
        })?;
        let mut config = Self::default();
        let mut reader = Reader::default();
        let address = |text: &String| text.parse::<SocketAddr>().is_ok();
        let listen = reader.checked(
            &mut table,
            "listen",
            "must be an address and port, like 127.0.0.1:8750",
            address,
        );
        config.listen = listen.unwrap_or(config.listen);
        let data_dir = reader.checked(
            &mut table,
            "data_dir",
            "must not be empty",
            |dir: &PathBuf| !dir.as_os_str().is_empty(),
        );
        config.data_dir = data_dir.unwrap_or(config.data_dir);
        config.log = reader.take(&mut table, "log").unwrap_or(config.log);
        let archiver = reader.checked(
            &mut table,
            "archiver",
            "must be 0 to 32767",
            |number: &u16| Archiver::new(*number).is_ok(),
        );
        config.archive.archiver = archiver.map(Archiver::new).transpose()?;
        if let Some(mut archive) = reader.take::<Table>(&mut table, "archive") {
            read_archive(&mut reader, &mut archive, &mut config.archive);
            reader.refuse_rest(&archive, "archive.");
        }
        reader.refuse_rest(&table, "");
        if reader.problems.is_empty() {
            return Ok(config);
        }
        Err(Error::invalid("invalid_config", reader.problems.join("\n")))
    }
}

fn read_archive(reader: &mut Reader, table: &mut Table, settings: &mut Settings) {
    let encoding = reader.take::<ValueEncoding>(table, "archive.value_encoding");
    settings.encoding = encoding.unwrap_or(settings.encoding);
    let jobs = reader.checked(
        table,
        "archive.seal_jobs",
        "must be 1 to 16384",
        |jobs: &usize| (1..=16_384).contains(jobs),
    );
    let age = reader.checked(
        table,
        "archive.seal_after_seconds",
        "must be 1 to 86400",
        |seconds: &i64| (1..=86_400).contains(seconds),
    );
    let seal: &mut SealPolicy = &mut settings.seal;
    if let Some(jobs) = jobs {
        seal.jobs = jobs;
        seal.jobs_small = jobs.div_ceil(4);
    }
    if let Some(seconds) = age {
        seal.age_ms = seconds * 1_000;
        seal.small_age_ms = seconds * 4_000;
        seal.settle_ms = seal.settle_ms.min(seal.age_ms);
    }
}

/// The documented example: every key with its default. `schemas/config.toml` is this text.
#[must_use]
pub fn example() -> String {
    let mut text = String::from(
        "# Configuration of `tachograph serve --config FILE`. Every key may be left out.\n",
    );
    let mut section = "";
    for key in KEYS {
        let (prefix, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        if prefix != section {
            text.push_str(&format!("\n[{prefix}]\n"));
            section = prefix;
        }
        text.push_str(&format!("\n# {}\n{name} = {}\n", key.text, key.default));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_parses_to_the_defaults() {
        let config = Config::parse(&example()).unwrap();
        let default = Config::default();
        assert_eq!(config.listen, default.listen);
        assert_eq!(config.data_dir, default.data_dir);
        assert_eq!(config.archive.seal, default.archive.seal);
        assert_eq!(config.archive.encoding, default.archive.encoding);
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let text = "lisen = 1\nlisten = \"nowhere\"\narchiver = 70000\n[archive]\nseal_job = 5\nvalue_encoding = \"zip\"\n[web]\nx = 1\n";
        let error = Config::parse(text).unwrap_err();
        for part in [
            "lisen: unknown key; did you mean listen?",
            "listen: must be",
            "archiver:",
            "archive.seal_job: unknown key; did you mean archive.seal_jobs?",
            "archive.value_encoding:",
            "web: unknown key",
        ] {
            assert!(
                error.message().contains(part),
                "{part} is missing in:\n{error}"
            );
        }
    }
}
