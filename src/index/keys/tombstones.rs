//! `tombstones`: what was erased, for ever.
//!
//! Key: kind (1 byte), then: 1 project key, i64 order-preserving (8 bytes); 2 job key, the same;
//! 3 BLAKE3-256 of source, a zero byte and job id (32 bytes), of a job that was erased altogether and
//! whose key is forgotten. Value: JSON [`Tombstone`]. No text that was erased stands in here. Written
//! in the batch that makes the erased unreadable; never removed.

use crate::error::Result;
use crate::index::wire::{Reader, from_json, put_i64, to_json};
use crate::index::{Family, corrupt};
use crate::model::erasure::Fields;
use crate::model::id::{JobKey, JobRef, ProjectKey};
use serde::{Deserialize, Serialize};

/// Whose data was erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grave {
    /// A project.
    Project(ProjectKey),
    /// A job that is known by its key.
    Job(JobKey),
    /// A job by the digest of its public name, see [`name_digest`].
    Name([u8; 32]),
}

/// Digest of a job's public name. Neither part can hold a zero byte.
#[must_use]
pub fn name_digest(job: &JobRef) -> [u8; 32] {
    let mut digest = blake3::Hasher::new();
    digest.update(job.source.as_str().as_bytes());
    digest.update(b"\0").update(job.job_id.as_str().as_bytes());
    digest.finalize().into()
}

/// What was erased of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tombstone {
    /// The last erasure that had to do with it.
    pub erasure: u64,
    /// Everything: it is as if it had never been.
    pub whole: bool,
    /// The refs of its jobs up to this one, the last that was known then; so the next two.
    pub ref_until: Option<JobKey>,
    /// The names of their machines.
    pub machine_until: Option<JobKey>,
    /// The names of their sections.
    pub sections_until: Option<JobKey>,
}

impl Tombstone {
    /// Which texts of a job are erased.
    #[must_use]
    pub fn fields_of(&self, job: JobKey) -> Fields {
        let reaches = |until: Option<JobKey>| until.is_some_and(|until| job <= until);
        Fields {
            git_ref: reaches(self.ref_until),
            machine: reaches(self.machine_until),
            sections: reaches(self.sections_until),
        }
    }

    /// Adds texts of the jobs up to `until`, or everything if no text is named.
    #[must_use]
    pub fn with(self, erasure: u64, fields: Fields, until: JobKey) -> Self {
        let reach = |old: Option<JobKey>, erased: bool| {
            if erased { old.max(Some(until)) } else { old }
        };
        Self {
            erasure,
            whole: self.whole || fields.is_empty(),
            ref_until: reach(self.ref_until, fields.git_ref),
            machine_until: reach(self.machine_until, fields.machine),
            sections_until: reach(self.sections_until, fields.sections),
        }
    }
}

/// The family.
#[derive(Debug)]
pub struct Tombstones;

const PROJECT: u8 = 1;
const JOB: u8 = 2;
const NAME: u8 = 3;

impl Family for Tombstones {
    const NAME: &'static str = "tombstones";
    type Key = Grave;
    type Value = Tombstone;

    fn encode_key(key: &Grave, out: &mut Vec<u8>) {
        match key {
            Grave::Project(project) => {
                out.push(PROJECT);
                put_i64(project.0, out);
            }
            Grave::Job(job) => {
                out.push(JOB);
                put_i64(job.0, out);
            }
            Grave::Name(digest) => {
                out.push(NAME);
                out.extend_from_slice(digest);
            }
        }
    }

    fn decode_key(bytes: &[u8]) -> Result<Grave> {
        let mut reader = Reader::new(Self::NAME, bytes);
        let key = match reader.u8()? {
            PROJECT => Grave::Project(ProjectKey(reader.i64()?)),
            JOB => Grave::Job(JobKey(reader.i64()?)),
            NAME => Grave::Name(reader.array()?),
            _ => return Err(corrupt(Self::NAME, "unknown kind")),
        };
        reader.end()?;
        Ok(key)
    }

    fn encode_value(value: &Tombstone) -> Result<Vec<u8>> {
        to_json(Self::NAME, value)
    }

    fn decode_value(bytes: &[u8]) -> Result<Tombstone> {
        from_json(Self::NAME, bytes)
    }
}

impl Tombstones {
    /// Prefix of everything but names, which are many and are only ever asked for one by one.
    pub const KEYED: [&'static [u8]; 2] = [&[PROJECT], &[JOB]];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::check;
    use crate::model::id::{JobId, Source};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(number: i64, digest: [u8; 32], machine: bool, erasure: u64, until: i64) {
            let fields = Fields { machine, ..Fields::default() };
            let value = Tombstone::default().with(erasure, fields, JobKey(until));
            for key in [Grave::Project(ProjectKey(number)), Grave::Job(JobKey(number)), Grave::Name(digest)] {
                check::round_trip::<Tombstones>(&key, &value);
            }
        }

        #[test]
        fn hostile_keys_are_errors_or_keys(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(key) = Tombstones::decode_key(&bytes) {
                check::round_trip::<Tombstones>(&key, &Tombstone::default());
            }
        }
    }

    #[test]
    fn texts_are_erased_up_to_the_jobs_that_were_known() {
        let field = |word| Fields::of_word(word).unwrap();
        let stone = Tombstone::default()
            .with(1, field("machine"), JobKey(10))
            .with(2, field("ref"), JobKey(20));
        assert_eq!(stone.fields_of(JobKey(5)).words(), ["ref", "machine"]);
        assert_eq!(stone.fields_of(JobKey(10)).words(), ["ref", "machine"]);
        assert_eq!(stone.fields_of(JobKey(20)).words(), ["ref"]);
        assert!(stone.fields_of(JobKey(21)).is_empty() && !stone.whole);
        let whole = stone.with(3, Fields::default(), JobKey(0));
        assert!(whole.whole && whole.erasure == 3);
    }

    #[test]
    fn names_do_not_run_into_each_other() {
        let name = |source: &str, id: &str| {
            name_digest(&JobRef {
                source: Source::parse(source).unwrap(),
                job_id: JobId::parse(id).unwrap(),
            })
        };
        assert_ne!(name("ab", "c"), name("a", "bc"));
        assert_eq!(name("a", "b"), name("a", "b"));
    }
}
