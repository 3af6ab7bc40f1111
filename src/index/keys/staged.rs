//! `staged`: profiles of archived jobs that are not sealed yet.
//!
//! Key: date (i32), project key (i64), job key (i64), part (i32), all order-preserving (24 bytes): a
//! scan of one date yields the sort order of its segment. Value: when it was staged (i64, 8 bytes),
//! then the profile as [`crate::index::blob`]. The job's row stands in `jobs`.

use super::super::{blob, wire};
use crate::error::Result;
use crate::index::Family;
use crate::model::id::{JobKey, ProjectKey};
use crate::model::profile::Profile;
use crate::time::{Date, TimestampMs};
use wire::{Reader, put_i32, put_i64};

/// A staged profile's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub struct StagedKey {
    pub date: Date,
    pub project: ProjectKey,
    pub job: JobKey,
    pub part: i32,
}

/// A staged profile, still encoded: compression happens outside of the commit thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedProfile {
    /// When it was staged.
    pub staged_at: TimestampMs,
    /// See [`crate::index::blob`].
    pub blob: Vec<u8>,
}

impl StagedProfile {
    /// Encodes a profile.
    ///
    /// # Errors
    /// `Internal` if that fails (a bug).
    pub fn new(staged_at: TimestampMs, profile: &Profile) -> Result<Self> {
        Ok(Self {
            staged_at,
            blob: blob::encode(profile)?,
        })
    }

    /// The profile.
    ///
    /// # Errors
    /// `Data` if the blob is damaged.
    pub fn profile(&self) -> Result<Profile> {
        blob::decode(&self.blob)
    }
}

/// The family.
#[derive(Debug)]
pub struct Staged;

impl Staged {
    /// Prefix of all keys of a date.
    #[must_use]
    pub fn date_prefix(date: Date) -> Vec<u8> {
        let mut out = Vec::new();
        put_i32(date.0, &mut out);
        out
    }
}

impl Family for Staged {
    const NAME: &'static str = super::STAGED;
    type Key = StagedKey;
    type Value = StagedProfile;

    fn encode_key(key: &StagedKey, out: &mut Vec<u8>) {
        put_i32(key.date.0, out);
        put_i64(key.project.0, out);
        put_i64(key.job.0, out);
        put_i32(key.part, out);
    }

    fn decode_key(bytes: &[u8]) -> Result<StagedKey> {
        let mut reader = Reader::new(Self::NAME, bytes);
        let key = StagedKey {
            date: Date(reader.i32()?),
            project: ProjectKey(reader.i64()?),
            job: JobKey(reader.i64()?),
            part: reader.i32()?,
        };
        reader.end()?;
        Ok(key)
    }

    fn encode_value(value: &StagedProfile) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(8 + value.blob.len());
        put_i64(value.staged_at.0, &mut out);
        out.extend_from_slice(&value.blob);
        Ok(out)
    }

    fn decode_value(bytes: &[u8]) -> Result<StagedProfile> {
        let mut reader = Reader::new(Self::NAME, bytes);
        Ok(StagedProfile {
            staged_at: TimestampMs(reader.i64()?),
            blob: reader.rest().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::check;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip_and_order(d: i32, e: i32, p: i64, q: i64, j: i64, k: i64, n: i64) {
            let a = StagedKey { date: Date(d), project: ProjectKey(p), job: JobKey(j), part: 0 };
            let b = StagedKey { date: Date(e), project: ProjectKey(q), job: JobKey(k), part: 1 };
            let value = StagedProfile::new(TimestampMs(n), &Profile::default()).unwrap();
            check::round_trip::<Staged>(&a, &value);
            check::order::<Staged, _>((&a, a), (&b, b));
        }
    }
}
