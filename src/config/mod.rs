//! The configuration file (TOML): read key by key, so that every problem is named at once.
//!
//! The service needs no file. Flags win over the file, the file over the defaults.
//! Called by `cli` and `server`. Nothing of a wrong file is ever used.

mod files;
mod registry;
mod retention;
mod section;
mod sources;
#[cfg(test)]
mod tests;

pub use files::{read_config, read_secret};

use crate::archive::{CompactionPolicy, SealPolicy, Settings};
use crate::error::Result;
use crate::gitlab::settings::GitlabSettings;
use crate::model::id::Archiver;
use crate::model::registry::Declared;
use crate::model::retention::Retention;
use files::Files;
use section::{Report, Section};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    /// Regions, and rules for runners.
    pub declared: Declared,
    /// How long what is kept.
    pub retention: Retention,
    /// The CI instances.
    pub sources: Vec<GitlabSettings>,
    /// Folder below which the service puts backups.
    pub backups: Option<PathBuf>,
    /// What is in order but unwise, a sentence each.
    pub warnings: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: LISTEN.to_owned(),
            data_dir: PathBuf::from(DATA_DIR),
            log: "info".to_owned(),
            archive: Settings::default(),
            declared: Declared::default(),
            retention: Retention::default(),
            sources: Vec::new(),
            backups: None,
            warnings: Vec::new(),
        }
    }
}

impl Config {
    /// Parses the text of the configuration file `file` and reads the files that it names.
    ///
    /// # Errors
    /// `Invalid` (`invalid_config`) names every unknown key and every wrong value at once.
    pub fn parse(text: &str, file: &Path) -> Result<Self> {
        let mut config = Self::default();
        let (report, files) = (Report::new(text), Files::of(file));
        if let Some(mut root) = Section::document(text, &report) {
            config.read(&mut root);
            config.declared = registry::read(&mut root, file, &files);
            config.sources = sources::read(&mut root, &files);
            config.retention = retention::read(&mut root);
            root.finish();
        }
        report.finish()?;
        config.warnings = files.into_warnings();
        Ok(config)
    }

    /// Keys whose new value needs another start.
    #[must_use]
    pub fn restart_needed(&self, next: &Self) -> Vec<&'static str> {
        [
            ("listen", self.listen != next.listen),
            ("data_dir", self.data_dir != next.data_dir),
            ("log", self.log != next.log),
            ("archiver", self.archive.archiver != next.archive.archiver),
            (
                "archive.value_encoding",
                self.archive.encoding != next.archive.encoding,
            ),
            ("backup.folder", self.backups != next.backups),
            ("scrub.pass_days", self.archive.scrub != next.archive.scrub),
            ("archive.seal_*", self.archive.seal != next.archive.seal),
            (
                "archive.compact_*",
                self.archive.compact != next.archive.compact,
            ),
            (
                "archive.reserve_bytes",
                self.archive.reserve != next.archive.reserve,
            ),
        ]
        .into_iter()
        .filter_map(|(key, changed)| changed.then_some(key))
        .collect()
    }

    fn read(&mut self, root: &mut Section<'_>) {
        let address = |text: String| match text.parse::<SocketAddr>() {
            Ok(_) => Ok(text),
            Err(_) => Err("must be an address and port, like 127.0.0.1:8750".to_owned()),
        };
        let folder = |dir: PathBuf| match dir.as_os_str().is_empty() {
            false => Ok(dir),
            true => Err("must not be empty".to_owned()),
        };
        let number = |number: u16| match Archiver::new(number) {
            Ok(archiver) => Ok(archiver),
            Err(_) => Err("must be 0 to 32767".to_owned()),
        };
        set(&mut self.listen, root.checked("listen", address));
        set(&mut self.data_dir, root.checked("data_dir", folder));
        set(&mut self.log, root.take("log"));
        self.archive.archiver = root.checked("archiver", number);
        if let Some(mut section) = root.table("backup") {
            self.backups = section.checked("folder", folder);
            section.finish();
        }
        if let Some(mut section) = root.table("scrub") {
            let days = section.checked("pass_days", |days: u64| match days {
                0..=366 => Ok(days),
                _ => Err("must be 0 to 366".to_owned()),
            });
            if let Some(days) = days {
                let pass = Duration::from_secs(days * 86_400);
                self.archive.scrub.pass = Some(pass).filter(|pass| !pass.is_zero());
            }
            section.finish();
        }
        if let Some(mut section) = root.table("archive") {
            read_archive(&mut section, &mut self.archive);
            section.finish();
        }
    }
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn read_archive(section: &mut Section<'_>, settings: &mut Settings) {
    set(&mut settings.encoding, section.take("value_encoding"));
    let jobs = section.checked("seal_jobs", |jobs: usize| match jobs {
        1..=16_384 => Ok(jobs),
        _ => Err("must be 1 to 16384".to_owned()),
    });
    let age = section.checked("seal_after_seconds", |seconds: i64| match seconds {
        1..=86_400 => Ok(seconds),
        _ => Err("must be 1 to 86400".to_owned()),
    });
    read_compact(section, &mut settings.compact);
    settings.reserve.bytes = section.take("reserve_bytes");
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

fn read_compact(section: &mut Section<'_>, compact: &mut CompactionPolicy) {
    let target = section.checked("compact_target_mib", |mib: u64| match mib {
        1..=256 => Ok(mib << 20),
        _ => Err("must be 1 to 256".to_owned()),
    });
    let seconds = |max: i64| {
        move |seconds: i64| match seconds {
            0.. if seconds <= max => Ok(seconds * 1_000),
            _ => Err(format!("must be 0 to {max}")),
        }
    };
    let share = section.checked("background_percent", |percent: u32| match percent {
        1..=100 => Ok(percent),
        _ => Err("must be 1 to 100".to_owned()),
    });
    let week = 7 * 86_400;
    set(&mut compact.target_bytes, target);
    set(
        &mut compact.quiet_ms,
        section.checked("compact_quiet_seconds", seconds(week)),
    );
    set(
        &mut compact.grace_ms,
        section.checked("replaced_grace_seconds", seconds(week)),
    );
    set(&mut compact.share_percent, share);
}

/// The documented example: every key, with its default if it has one. `schemas/config.toml` is this
/// text.
#[must_use]
pub fn example() -> &'static str {
    include_str!("example.toml")
}
