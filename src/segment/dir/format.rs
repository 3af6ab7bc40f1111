//! The file `FORMAT`: which program may open a data directory.
//!
//! `tachograph 1.0`, `writer 0.1.0`, `min-reader 1.0`. A program opens a directory if the major number
//! is its own and the oldest reader that is allowed is not newer than itself. Everything else is
//! refused before a byte is changed. A directory with a newer minor number that allows older readers
//! is opened and keeps its file; one with an older number gets the number of whoever writes it now.

use super::{IoKind, Path, io_error};
use crate::error::{Error, Result};
use std::fmt;

/// Its name.
pub(super) const FILE: &str = "FORMAT";

/// Version of the layout of a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    major: u32,
    minor: u32,
}

/// The version that this program writes.
const OURS: Version = Version { major: 1, minor: 0 };
/// The oldest program that reads what this one writes.
const MIN_READER: Version = Version { major: 1, minor: 0 };

impl Version {
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What a directory's file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    version: Version,
    min_reader: Version,
}

impl Format {
    /// What this program writes into a new directory.
    pub(super) const NEW: Self = Self {
        version: OURS,
        min_reader: MIN_READER,
    };

    /// What the file becomes when this program writes; `None` if it stays.
    pub(super) fn raised(self) -> Option<Self> {
        (self.version < OURS).then_some(Self {
            version: OURS,
            min_reader: self.min_reader.max(MIN_READER),
        })
    }

    /// The file's text.
    pub(super) fn text(self) -> String {
        format!(
            "tachograph {}\nwriter {}\nmin-reader {}\n",
            self.version,
            env!("CARGO_PKG_VERSION"),
            self.min_reader
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        };
        let version = Version::parse(value("tachograph")?)?;
        // A file that names no oldest reader is for its own major number.
        let min_reader = match value("min-reader") {
            Some(text) => Version::parse(text)?,
            None => Version {
                minor: 0,
                ..version
            },
        };
        Some(Self {
            version,
            min_reader,
        })
    }

    fn check(self, path: &Path) -> Result<Self> {
        if self.version.major == OURS.major && self.min_reader <= OURS {
            return Ok(self);
        }
        Err(Error::data(
            "format_version",
            format!(
                "the data directory has format {} and needs a program that reads {}, this one reads {OURS}: use the program that wrote it; nothing was changed (see {})",
                self.version,
                self.min_reader,
                path.display()
            ),
        ))
    }
}

/// What the file says, if there is one.
///
/// # Errors
/// `Data` (`format_version`) if it is not for this program, or not readable as such.
pub(super) fn read(root: &Path) -> Result<Option<Format>> {
    let path = root.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == IoKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("reading", &path, error)),
    };
    let unreadable = || {
        let message = format!(
            "{} is not readable; restore it from a backup",
            path.display()
        );
        Error::data("format_version", message)
    };
    Format::parse(&text)
        .ok_or_else(unreadable)?
        .check(&path)
        .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may_open(text: &str) -> bool {
        Format::parse(text).is_some_and(|format| format.check(Path::new("FORMAT")).is_ok())
    }

    #[test]
    fn only_the_own_major_number_and_allowed_readers_open() {
        assert!(may_open(&Format::NEW.text()));
        assert!(may_open("tachograph 1.0\nwriter 0.1.0\n"));
        assert!(may_open("tachograph 1.7\nwriter 9\nmin-reader 1.0\n"));
        for text in [
            "tachograph 1.7\nwriter 9\nmin-reader 1.1\n",
            "tachograph 2.0\nwriter 9\nmin-reader 1.0\n",
            "tachograph 0.9\nwriter 0\n",
            "tachograph 1\n",
            "tachograph 1.0\nmin-reader x\n",
            "",
        ] {
            assert!(!may_open(text), "{text}");
        }
    }

    #[test]
    fn a_newer_minor_number_stays_and_an_older_one_is_raised() {
        let newer = Format::parse("tachograph 1.7\nmin-reader 1.0\n").unwrap();
        assert_eq!(newer.raised(), None);
        assert_eq!(Format::NEW.raised(), None);
        let older = Format {
            version: Version { major: 0, minor: 9 },
            min_reader: Version { major: 0, minor: 9 },
        };
        assert_eq!(older.raised(), Some(Format::NEW));
    }
}
