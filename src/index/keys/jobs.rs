//! `jobs`: the one entry of every job.
//!
//! Key: job key, i64 order-preserving (8 bytes). Value: a tag byte, then
//! - tag 1, until the job is sealed: JSON [`JobRecord`];
//! - tag 2, sealed: a [`SealedJob`] in varints and texts (about 40 bytes), since everything else
//!   stands in the segment: source, job id (texts), project key, listed time, date (zigzags), segment
//!   sequence, row in the jobs file, first row in the samples file, rows (varints).

use crate::error::Result;
use crate::index::wire::{
    Reader, from_json, only_i64, put_i64, put_text, put_varint, put_zigzag, to_json,
};
use crate::index::{Family, corrupt, stored};
use crate::model::id::{JobId, JobKey, JobRef, ProjectKey, Source};
use crate::model::record::JobRecord;
use crate::num;
use crate::time::{Date, TimestampMs};

/// Where a sealed job lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedJob {
    /// Public name.
    pub job: JobRef,
    /// Its project, for the scope check before anything is read.
    pub project: ProjectKey,
    /// The time under which lists sort it.
    pub listed_at: TimestampMs,
    /// Date of the segment.
    pub date: Date,
    /// Sequence number of the segment.
    pub segment: u64,
    /// Row in the jobs file.
    pub jobs_row: u64,
    /// First row in the samples file.
    pub first_row: u64,
    /// Rows in the samples file.
    pub rows: u64,
}

/// The entry of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobEntry {
    /// Not sealed: all of it.
    Record(Box<JobRecord>),
    /// Sealed: a pointer.
    Sealed(SealedJob),
}

impl JobEntry {
    /// Public name of the job.
    #[must_use]
    pub fn job(&self) -> &JobRef {
        match self {
            Self::Record(record) => &record.job,
            Self::Sealed(sealed) => &sealed.job,
        }
    }

    /// The project that the job belongs to now.
    #[must_use]
    pub fn project(&self) -> ProjectKey {
        match self {
            Self::Record(record) => record.keys.project,
            Self::Sealed(sealed) => sealed.project,
        }
    }
}

const RECORD: u8 = 1;
const SEALED: u8 = 2;

/// The family.
#[derive(Debug)]
pub struct Jobs;

impl Family for Jobs {
    const NAME: &'static str = "jobs";
    type Key = JobKey;
    type Value = JobEntry;

    fn encode_key(key: &JobKey, out: &mut Vec<u8>) {
        put_i64(key.0, out);
    }

    fn decode_key(bytes: &[u8]) -> Result<JobKey> {
        only_i64(Self::NAME, bytes).map(JobKey)
    }

    fn encode_value(value: &JobEntry) -> Result<Vec<u8>> {
        match value {
            JobEntry::Record(record) => {
                let mut out = vec![RECORD];
                out.append(&mut to_json(Self::NAME, record)?);
                Ok(out)
            }
            JobEntry::Sealed(sealed) => {
                let mut out = vec![SEALED];
                put_text(sealed.job.source.as_str(), &mut out);
                put_text(sealed.job.job_id.as_str(), &mut out);
                put_zigzag(sealed.project.0, &mut out);
                put_zigzag(sealed.listed_at.0, &mut out);
                put_zigzag(i64::from(sealed.date.0), &mut out);
                put_varint(sealed.segment, &mut out);
                put_varint(sealed.jobs_row, &mut out);
                put_varint(sealed.first_row, &mut out);
                put_varint(sealed.rows, &mut out);
                Ok(out)
            }
        }
    }

    fn decode_value(bytes: &[u8]) -> Result<JobEntry> {
        let mut reader = Reader::new(Self::NAME, bytes);
        match reader.u8()? {
            RECORD => from_json(Self::NAME, reader.rest())
                .map(|record| JobEntry::Record(Box::new(record))),
            SEALED => {
                let sealed = SealedJob {
                    job: JobRef {
                        source: stored(Self::NAME, Source::parse(reader.text()?))?,
                        job_id: stored(Self::NAME, JobId::parse(reader.text()?))?,
                    },
                    project: ProjectKey(reader.zigzag()?),
                    listed_at: TimestampMs(reader.zigzag()?),
                    date: i32::try_from(reader.zigzag()?)
                        .map(Date)
                        .map_err(|_| corrupt(Self::NAME, "impossible date"))?,
                    segment: reader.varint()?,
                    jobs_row: reader.varint()?,
                    first_row: reader.varint()?,
                    rows: reader.varint()?,
                };
                reader.end()?;
                Ok(JobEntry::Sealed(sealed))
            }
            _ => Err(corrupt(Self::NAME, "unknown tag")),
        }
    }
}

impl SealedJob {
    /// Its rows in the samples file as indexes.
    #[must_use]
    pub fn sample_rows(&self) -> std::ops::Range<usize> {
        let first = num::to_usize(self.first_row);
        first..first.saturating_add(num::to_usize(self.rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::index::keys::check;
    use crate::model::archived::RowKeys;
    use crate::model::job::MergedFacts;
    use proptest::prelude::*;

    fn job_ref() -> JobRef {
        JobRef {
            source: Source::parse("gitlab").unwrap(),
            job_id: JobId::parse("9000000123").unwrap(),
        }
    }

    proptest! {
        #[test]
        fn sealed_entries_round_trip(key: i64, project: i64, date: i32, segment: u64, jobs_row: u64, first_row: u64, rows: u64) {
            let sealed = SealedJob { job: job_ref(), project: ProjectKey(project), listed_at: TimestampMs(key), date: Date(date), segment, jobs_row, first_row, rows };
            check::round_trip::<Jobs>(&JobKey(key), &JobEntry::Sealed(sealed));
        }

        #[test]
        fn hostile_values_are_errors(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            match Jobs::decode_value(&bytes) {
                // Whatever is taken for an entry is one.
                Ok(entry) => check::round_trip::<Jobs>(&JobKey(1), &entry),
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Data),
            }
        }

        #[test]
        fn cut_and_changed_entries_are_errors_or_other_entries(at in 0usize..40, bit in 0u32..8) {
            let sealed = JobEntry::Sealed(SealedJob {
                job: job_ref(),
                project: ProjectKey(1 << 40),
                listed_at: TimestampMs(1_764_000_000_000),
                date: Date(20_000),
                segment: 300,
                jobs_row: 70_000,
                first_row: 1 << 33,
                rows: 5,
            });
            let good = Jobs::encode_value(&sealed).unwrap();
            let cut = &good[..at.min(good.len() - 1)];
            prop_assert_eq!(Jobs::decode_value(cut).unwrap_err().kind(), ErrorKind::Data);
            let mut bad = good.clone();
            let at = at % good.len();
            bad[at] ^= 1 << bit;
            match Jobs::decode_value(&bad) {
                Ok(entry) => prop_assert_ne!(entry, sealed),
                Err(error) => prop_assert_eq!(error.kind(), ErrorKind::Data),
            }
        }
    }

    #[test]
    fn records_round_trip() {
        let keys = RowKeys {
            project: ProjectKey(1),
            job: JobKey(2),
            part: 0,
            runner: None,
        };
        let record = JobRecord {
            job: job_ref(),
            keys,
            merged: MergedFacts::default(),
            first_seen: TimestampMs(5),
            waiting: None,
            archived: None,
            place: None,
        };
        check::round_trip::<Jobs>(&JobKey(2), &JobEntry::Record(Box::new(record)));
    }
}
