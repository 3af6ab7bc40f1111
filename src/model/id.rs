//! Identities: the public ones (text, as the CI system says them) and the surrogate keys of the files.

use crate::error::{Error, Result};
use crate::limits;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Checks a piece of public identity: 1..=`max` bytes, no control characters.
fn check_text(what: &str, text: &str, max: usize) -> Result<()> {
    if text.is_empty() || text.len() > max {
        return Err(Error::invalid(
            "invalid_id",
            format!("{what} must have 1 to {max} bytes, it has {}", text.len()),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Error::invalid(
            "invalid_id",
            format!("{what} contains a control character"),
        ));
    }
    Ok(())
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks and takes the text.
            ///
            /// # Errors
            /// `Invalid` if empty, too long, or with control characters.
            pub fn parse(text: &str) -> Result<Self> {
                check_text($what, text, limits::ID_BYTES_MAX)?;
                Ok(Self(text.to_owned()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A configured CI instance, e.g. `gitlab`. Exists as soon as something is put under it.
    Source, "source"
);
text_id!(
    /// A job's id inside its source.
    JobId, "job_id"
);
text_id!(
    /// A runner's id inside its source.
    RunnerId, "runner_id"
);
text_id!(
    /// A region: where one Prometheus and its machines live.
    RegionName, "region"
);

/// The public name of a job.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobRef {
    /// CI instance.
    pub source: Source,
    /// Id inside it.
    pub job_id: JobId,
}

impl fmt::Display for JobRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.source, self.job_id)
    }
}

macro_rules! surrogate {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);
    };
}

surrogate!(
    /// A job in the files: archiver number (15 bit) << 48 + sequence, never reused.
    JobKey
);
surrogate!(
    /// A project in the files, built like [`JobKey`].
    ProjectKey
);
surrogate!(
    /// A runner in the files, built like [`JobKey`].
    RunnerKey
);

/// The number of this archiver, 0..=32767: the upper bits of every surrogate key it hands out, so
/// that the files of several archivers can be read as one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Archiver(u16);

impl Archiver {
    /// Checks the number.
    ///
    /// # Errors
    /// `Invalid` above 32767.
    pub fn new(number: u16) -> Result<Self> {
        if number > 0x7fff {
            return Err(Error::invalid(
                "invalid_archiver",
                format!("archiver number {number} is above 32767"),
            ));
        }
        Ok(Self(number))
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// The surrogate key of sequence number `seq` (1..2^48).
    ///
    /// # Errors
    /// `Internal` when 2^48 keys have been handed out.
    pub fn key(self, seq: u64) -> Result<i64> {
        let seq = i64::try_from(seq).ok().filter(|seq| *seq < 1 << 48);
        let seq = seq.ok_or_else(|| Error::internal("the 48-bit key sequence is exhausted"))?;
        Ok((i64::from(self.0) << 48) + seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_two_archivers_never_meet() {
        let one = Archiver::new(0).unwrap().key((1 << 48) - 1).unwrap();
        let two = Archiver::new(1).unwrap().key(1).unwrap();
        assert!(one < two);
        assert!(Archiver::new(0).unwrap().key(1 << 48).is_err());
        assert!(Archiver::new(0x8000).is_err());
        assert!(Archiver::new(0x7fff).unwrap().key(1).unwrap() > 0);
    }

    #[test]
    fn text_ids_refuse_emptiness_and_control_characters() {
        assert!(JobId::parse("").is_err());
        assert!(JobId::parse("a\nb").is_err());
        assert!(JobId::parse(&"x".repeat(300)).is_err());
        assert_eq!(JobId::parse("9000000123").unwrap().as_str(), "9000000123");
    }
}
