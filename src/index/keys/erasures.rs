//! `erasures`: the audit record of every erasure, and how far it is.
//!
//! Key: number, u64 big-endian (8 bytes), from 1. Value: JSON [`Erasure`]. It names its target by
//! surrogate key and by a digest of the name that was given, and holds no erased text. Written with the
//! tombstone and after every step; never removed.

use crate::error::Result;
use crate::index::Family;
use crate::index::wire::{Reader, from_json, put_u64, to_json};
use crate::model::erasure::Fields;
use crate::model::id::{JobKey, ProjectKey};
use crate::time::TimestampMs;
use serde::{Deserialize, Serialize};

/// Whose data is erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A project.
    Project(ProjectKey),
    /// A job.
    Job(JobKey),
}

/// What is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Unreadable already; what stands in the index alone is removed.
    Records,
    /// Segments are written anew without it.
    Files,
    /// The index's own files are written anew without it.
    Index,
    /// No byte of it is left.
    Done,
}

impl Step {
    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Files => "files",
            Self::Index => "index",
            Self::Done => "done",
        }
    }
}

/// An erasure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Whose data.
    pub target: Target,
    /// BLAKE3-256 of the name that was given, in hexadecimal: who has the name can find its erasure.
    pub digest: String,
    /// Only these texts; everything if empty.
    #[serde(default)]
    pub fields: Fields,
    /// When it was asked for; unreadable from then on.
    pub requested_at: TimestampMs,
    /// What is done next.
    pub step: Step,
    /// Jobs removed or changed so far.
    #[serde(default)]
    pub jobs: u64,
    /// Segments written anew so far.
    #[serde(default)]
    pub segments: u64,
    /// Code of the last failure; it is tried again.
    #[serde(default)]
    pub problem: Option<String>,
    /// When it was done.
    #[serde(default)]
    pub finished_at: Option<TimestampMs>,
}

/// The family.
#[derive(Debug)]
pub struct Erasures;

impl Family for Erasures {
    const NAME: &'static str = "erasures";
    type Key = u64;
    type Value = Erasure;

    fn encode_key(key: &u64, out: &mut Vec<u8>) {
        put_u64(*key, out);
    }

    fn decode_key(bytes: &[u8]) -> Result<u64> {
        let mut reader = Reader::new(Self::NAME, bytes);
        let key = reader.u64()?;
        reader.end()?;
        Ok(key)
    }

    fn encode_value(value: &Erasure) -> Result<Vec<u8>> {
        to_json(Self::NAME, value)
    }

    fn decode_value(bytes: &[u8]) -> Result<Erasure> {
        from_json(Self::NAME, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::check;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip_and_order(a: u64, b: u64, key: i64, at: i64, jobs: u64) {
            let value = Erasure {
                target: Target::Project(ProjectKey(key)),
                digest: "00".to_owned(),
                fields: Fields::default(),
                requested_at: TimestampMs(at),
                step: Step::Files,
                jobs,
                segments: jobs,
                problem: None,
                finished_at: None,
            };
            check::round_trip::<Erasures>(&a, &value);
            let job = Erasure { target: Target::Job(JobKey(key)), step: Step::Done, finished_at: Some(TimestampMs(at)), ..value };
            check::round_trip::<Erasures>(&b, &job);
            check::order::<Erasures, _>((&a, a), (&b, b));
        }
    }
}
