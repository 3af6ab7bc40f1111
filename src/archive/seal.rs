//! Sealing: the staged jobs of one date become one segment.
//!
//! Order (design section 6): both files written, synced, renamed, their directories synced; then ONE
//! synced batch adds the segment, turns the jobs' entries into pointers and removes the staged
//! profiles. A crash before the batch leaves files that no entry names; opening removes them.

use super::commit::Txn;
use super::segments::file_name;
use super::staged_dates::Count;
use super::{Archive, find};
use crate::error::{ErrorKind, Result};
use crate::fault;
use crate::index::Snapshot;
use crate::index::keys::amendments::{Amendment, Amendments};
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::index::keys::segments::{SegmentEntry, SegmentId, SegmentInfo, Segments};
use crate::index::keys::staged::{Staged, StagedKey};
use crate::model::archived::{JobRow, SummarisedRow};
use crate::model::job::MergedFacts;
use crate::model::record::JobRecord;
use crate::num;
use crate::segment::jobs as jobs_file;
use crate::segment::properties::LEVEL_HOT;
use crate::segment::samples::SamplesWriter;
use crate::time::{Date, TimestampMs};
use std::collections::BTreeSet;
use std::sync::PoisonError;

/// Attempts at one segment whose jobs are corrected while it is made, which takes about a second.
const SEAL_ATTEMPTS: usize = 3;

/// When the staged jobs of a date are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealPolicy {
    /// Jobs that make a good segment; sealed when the oldest has also waited `settle_ms`.
    pub jobs: usize,
    /// Jobs that are sealed at once, and at most in one segment.
    pub jobs_max: usize,
    /// Fewer jobs than this wait up to `small_age_ms`.
    pub jobs_small: usize,
    /// See `jobs`.
    pub settle_ms: i64,
    /// Age at which fewer than `jobs` are sealed.
    pub age_ms: i64,
    /// Age at which fewer than `jobs_small` are sealed.
    pub small_age_ms: i64,
}

impl Default for SealPolicy {
    /// A segment of 1,024 jobs costs 1 % more than a huge one, one of 256 costs 5 % (measured).
    fn default() -> Self {
        Self {
            jobs: 1_024,
            jobs_max: 16_384,
            jobs_small: 256,
            settle_ms: 60_000,
            age_ms: 15 * 60_000,
            small_age_ms: 3_600_000,
        }
    }
}

impl SealPolicy {
    /// Whether a date with `jobs` staged jobs, the oldest staged `age_ms` ago, is sealed now.
    #[must_use]
    pub fn is_due(&self, jobs: usize, age_ms: i64) -> bool {
        let patience = if jobs >= self.jobs {
            self.settle_ms
        } else if jobs >= self.jobs_small {
            self.age_ms
        } else {
            self.small_age_ms
        };
        jobs > 0 && (jobs >= self.jobs_max || age_ms >= patience)
    }
}

/// What a seal made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Sealed {
    pub date: Date,
    pub seq: u64,
    pub jobs: u64,
    pub rows: u64,
    pub samples_bytes: u64,
    pub jobs_bytes: u64,
}

/// A staged job as it was read.
struct Job {
    key: StagedKey,
    record: JobRecord,
    row: SummarisedRow,
    first_row: u64,
    rows: u64,
}

/// What became of an attempt at a segment.
enum Attempt {
    Sealed(Sealed),
    Nothing,
    /// One of its jobs is to be fetched again, or was, or moved: nothing was sealed.
    Corrected,
}

/// The jobs of a date that can be sealed, and those that cannot (yet).
#[derive(Default)]
struct Collected {
    jobs: Vec<Job>,
    passed: BTreeSet<StagedKey>,
}

/// The record of a staged job and its row, if it can be sealed. One record that cannot be read does
/// not keep its date from being sealed.
pub(super) fn sealable(
    snapshot: &Snapshot<'_>,
    key: &StagedKey,
) -> Result<Option<(JobRecord, JobRow)>> {
    let record = match snapshot.get::<Jobs>(&key.job) {
        Ok(Some(JobEntry::Record(record))) => *record,
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::Data => {
            tracing::error!(
                job.key = key.job.0,
                error = error.chain(),
                "the record of a staged job cannot be read"
            );
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    // What was corrected meanwhile is fetched again first: sealed samples never change.
    if record.waiting.is_some() {
        return Ok(None);
    }
    let own = |archived| find::staged_key(record.keys, archived) == *key;
    let row = record
        .row()
        .filter(|_| record.archived.as_ref().is_some_and(own));
    if row.is_none() {
        tracing::error!(job = %record.job, "a staged profile belongs to no archived job");
    }
    Ok(row.map(|row| (record, row)))
}

/// Turns a record into a pointer.
fn seal_job(
    txn: &mut Txn<'_>,
    sealed: Sealed,
    jobs_row: u64,
    job: &Job,
    current: &JobRecord,
    now: TimestampMs,
) -> Result<()> {
    let key = job.key.job;
    if current.merged.facts() != job.record.merged.facts() {
        let amendment = Amendment {
            merged: MergedFacts::clone(&current.merged),
            amended_at: now,
        };
        txn.put::<Amendments>(&key, &amendment)?;
    }
    let pointer = SealedJob {
        job: current.job.clone(),
        project: current.keys.project,
        listed_at: current.listed_at(),
        date: sealed.date,
        segment: sealed.seq,
        jobs_row,
        first_row: job.first_row,
        rows: job.rows,
    };
    txn.put::<Jobs>(&key, &JobEntry::Sealed(pointer))?;
    if !fault::omits("omit.staged_removal") {
        txn.delete::<Staged>(&job.key);
    }
    Ok(())
}

impl Archive {
    /// Seals every date whose staged jobs are due, while there is room on the disk. A date that cannot
    /// be sealed does not keep the others from it.
    ///
    /// # Errors
    /// The first failure, after every date was tried: those jobs stay staged and readable.
    pub fn seal_due(&self) -> Result<Vec<Sealed>> {
        if !self.room()?.is_enough() {
            return Ok(Vec::new());
        }
        self.try_again_after_full();
        let now = self.clock.now();
        let due = self.staged_dates().due(&self.settings.seal, now);
        let mut sealed = Vec::new();
        let mut failure = None;
        for date in due {
            match self.seal(date) {
                Ok(segment) => sealed.extend(segment),
                Err(error) => {
                    tracing::error!(%date, error = error.chain(), "a date cannot be sealed");
                    failure.get_or_insert(error);
                }
            }
        }
        match failure {
            Some(error) if sealed.is_empty() => Err(error),
            _ => Ok(sealed),
        }
    }

    /// Seals everything that is staged now. A date that cannot be sealed does not keep the others from
    /// it.
    ///
    /// # Errors
    /// The first failure, after every date was tried: those jobs stay staged and readable.
    pub fn seal_all(&self) -> Result<Vec<Sealed>> {
        self.need_room()?;
        let dates = self.staged_dates().dates();
        let mut sealed = Vec::new();
        let mut failure = None;
        for date in dates {
            if let Err(error) = self.seal_date(date, &mut sealed) {
                tracing::error!(%date, error = error.chain(), "a date cannot be sealed");
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(sealed), Err)
    }

    /// Seals what is staged of a date. A segment that is not full took everything; what is staged
    /// meanwhile is not waited for.
    fn seal_date(&self, date: Date, sealed: &mut Vec<Sealed>) -> Result<()> {
        while let Some(segment) = self.seal(date)? {
            sealed.push(segment);
            if segment.jobs < num::len_u64(self.settings.seal.jobs_max) {
                break;
            }
        }
        Ok(())
    }

    /// Seals at most `jobs_max` staged jobs of a date; `None` if there are none, or if corrections come
    /// faster than segments are made: then the next look seals them.
    fn seal(&self, date: Date) -> Result<Option<Sealed>> {
        let _one_at_a_time = self.sealing.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..SEAL_ATTEMPTS {
            match self.attempt(date)? {
                Attempt::Sealed(sealed) => return Ok(Some(sealed)),
                Attempt::Nothing => return Ok(None),
                Attempt::Corrected => {
                    tracing::info!(%date, "a job was corrected while it was sealed")
                }
            }
        }
        Ok(None)
    }

    fn attempt(&self, date: Date) -> Result<Attempt> {
        let seq = self.committer.run(|txn| txn.next("segment"))?;
        fault::step("seal.numbered")?;
        let name = file_name(self.archiver.number(), seq);
        let mut samples = SamplesWriter::new(self.settings.encoding, LEVEL_HOT)?;
        self.staged_dates().begin(date);
        let Collected { mut jobs, passed } = self.collect(date, &mut samples)?;
        if jobs.is_empty() {
            self.recount(date, &passed)?;
            return Ok(Attempt::Nothing);
        }
        let samples = samples.finish()?;
        jobs.sort_by(|a, b| jobs_file::order(&a.row, &b.row));
        let rows: Vec<SummarisedRow> = jobs.iter().map(|job| job.row.clone()).collect();
        let encoding = self.settings.encoding;
        let built = jobs_file::build(&rows, &samples.digests, encoding, LEVEL_HOT)?;
        let sealed = Sealed {
            date,
            seq,
            jobs: built.rows,
            rows: samples.rows,
            samples_bytes: num::len_u64(samples.bytes.len()),
            jobs_bytes: num::len_u64(built.bytes.len()),
        };
        let entry = self.segment_entry(&sealed, &rows, built.digests.encode());
        fault::step("seal.built")?;
        let files_first = !fault::omits("omit.files_before_batch");
        if files_first {
            self.write_pair(date, &name, &samples.bytes, &built.bytes)?;
        }
        fault::step("seal.paired")?;
        let flipped = self.flip(sealed, entry, jobs);
        if !self.keep_if_flipped(date, &name, flipped)? {
            return Ok(Attempt::Corrected);
        }
        fault::step("seal.flipped")?;
        if !files_first {
            self.write_pair(date, &name, &samples.bytes, &built.bytes)?;
        }
        self.recount(date, &passed)?;
        tracing::info!(
            segment.seq = seq,
            segment.date = %date,
            segment.jobs = sealed.jobs,
            segment.rows = sealed.rows,
            segment.bytes = sealed.samples_bytes + sealed.jobs_bytes,
            "segment sealed"
        );
        Ok(Attempt::Sealed(sealed))
    }

    /// Reads the staged jobs of a date in sort order and writes their samples.
    fn collect(&self, date: Date, samples: &mut SamplesWriter) -> Result<Collected> {
        let snapshot = self.index.snapshot();
        let mut found = Collected::default();
        snapshot.scan::<Staged>(&Staged::date_prefix(date), None, |key, staged| {
            let Some((record, row)) = sealable(&snapshot, &key)? else {
                found.passed.insert(key);
                return Ok(true);
            };
            match staged.profile() {
                Ok(profile) => {
                    let first_row = samples.push(row.keys, &profile)?;
                    let rows = num::len_u64(profile.rows());
                    let row = SummarisedRow::compute(row, &profile);
                    found.jobs.push(Job { key, record, row, first_row, rows });
                }
                // It keeps its place and is reported on every read; the others go on.
                Err(error) => {
                    tracing::error!(job = %record.job, error = error.chain(), "a staged profile is damaged");
                    found.passed.insert(key);
                }
            }
            Ok(found.jobs.len() < self.settings.seal.jobs_max)
        })?;
        Ok(found)
    }

    pub(super) fn segment_entry(
        &self,
        sealed: &Sealed,
        rows: &[SummarisedRow],
        jobs_digests: Vec<u8>,
    ) -> SegmentEntry {
        let windows = || rows.iter().filter_map(|row| row.row.facts.window());
        let now = self.clock.now();
        SegmentEntry {
            info: SegmentInfo {
                archiver: self.archiver.number(),
                jobs: sealed.jobs,
                rows: sealed.rows,
                samples_bytes: sealed.samples_bytes,
                jobs_bytes: sealed.jobs_bytes,
                from: windows().map(|window| window.from).min().unwrap_or(now),
                to: windows().map(|window| window.to).max().unwrap_or(now),
                sealed_at: now,
                ends: SegmentInfo::span(rows.iter().filter_map(|row| row.row.facts.finished_at)),
                samples_5m_rows: 0,
                samples_5m_bytes: 0,
                level: LEVEL_HOT,
            },
            jobs_digests,
        }
    }

    /// The batch that makes the segment visible (AR-1). `false`, and nothing changed, if the samples of
    /// a job in it are not what is to be sealed any more, or stand under another project.
    fn flip(&self, sealed: Sealed, entry: SegmentEntry, jobs: Vec<Job>) -> Result<bool> {
        let now = self.clock.now();
        self.committer.run(move |txn| {
            let mut pointers = Vec::with_capacity(jobs.len());
            for (jobs_row, job) in (0u64..).zip(jobs) {
                match txn.get::<Jobs>(&job.key.job)? {
                    Some(JobEntry::Record(current))
                        if fault::omits("omit.recheck_at_flip")
                            || current.waiting.is_none()
                                && current.keys == job.record.keys
                                && current.archived == job.record.archived =>
                    {
                        pointers.push((jobs_row, job, current));
                    }
                    _ => return Ok(false),
                }
            }
            let id = SegmentId {
                date: sealed.date,
                seq: sealed.seq,
            };
            txn.put::<Segments>(&id, &entry)?;
            for (jobs_row, job, current) in pointers {
                seal_job(txn, sealed, jobs_row, &job, &current, now)?;
            }
            Ok(true)
        })
    }

    /// Counts the staged jobs of a date anew, without those that its seal passed over: what is fetched
    /// again is counted when it is staged again, and what is damaged would ask for a seal for ever.
    fn recount(&self, date: Date, passed: &BTreeSet<StagedKey>) -> Result<()> {
        let mut counted = Count::default();
        let snapshot = self.index.snapshot();
        snapshot.scan::<Staged>(&Staged::date_prefix(date), None, |key, staged| {
            if !passed.contains(&key) {
                counted.add(staged.staged_at);
            }
            Ok(true)
        })?;
        self.staged_dates().finish(date, counted);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Bench;
    use super::*;

    #[test]
    fn the_policy_is_that_of_the_design() {
        let policy = SealPolicy::default();
        assert!(!policy.is_due(0, i64::MAX));
        assert!(!policy.is_due(1_024, 59_999) && policy.is_due(1_024, 60_000));
        assert!(policy.is_due(16_384, 0));
        assert!(!policy.is_due(256, 899_999) && policy.is_due(256, 900_000));
        assert!(!policy.is_due(255, 3_599_999) && policy.is_due(255, 3_600_000));
    }

    /// A segment of what is staged, its files written and its batch not.
    fn half_sealed(archive: &Archive) -> (Sealed, String, SegmentEntry, Vec<Job>) {
        let date = archive.staged_dates().dates()[0];
        let mut samples = SamplesWriter::new(archive.settings.encoding, LEVEL_HOT).unwrap();
        let jobs = archive.collect(date, &mut samples).unwrap().jobs;
        let rows: Vec<_> = jobs.iter().map(|job| job.row.clone()).collect();
        let sealed = Sealed {
            date,
            seq: 1,
            jobs: 1,
            rows: 3,
            samples_bytes: 0,
            jobs_bytes: 0,
        };
        let entry = archive.segment_entry(&sealed, &rows, Vec::new());
        let name = file_name(0, 1);
        archive
            .write_pair(date, &name, b"samples", b"jobs")
            .unwrap();
        (sealed, name, entry, jobs)
    }

    fn flip_or_remove(
        archive: &Archive,
        sealed: Sealed,
        name: &str,
        entry: SegmentEntry,
        jobs: Vec<Job>,
    ) -> Result<bool> {
        let flipped = archive.flip(sealed, entry, jobs);
        archive.keep_if_flipped(sealed.date, name, flipped)
    }

    #[test]
    fn a_segment_whose_batch_is_refused_leaves_no_files() {
        let bench = Bench::new();
        bench.archived(1, 3);
        let archive = bench.archive();
        let (sealed, name, entry, jobs) = half_sealed(archive);
        assert_eq!(bench.files().len(), 2);
        // What the batch must read cannot be read: nothing is written.
        bench.damage(bench.read(1).0.keys.job);
        let refused = flip_or_remove(archive, sealed, &name, entry, jobs).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Data);
        assert!(archive.is_writable() && bench.files().is_empty());
    }

    #[test]
    fn a_correction_during_the_seal_is_fetched_before_it() {
        let bench = Bench::new();
        bench.archived(1, 3);
        let archive = bench.archive();
        let (sealed, name, entry, jobs) = half_sealed(archive);
        bench.corrected(1);
        assert!(!flip_or_remove(archive, sealed, &name, entry, jobs).unwrap());
        assert!(bench.files().is_empty());
        assert_eq!(archive.pending_count().unwrap(), 1, "it is fetched again");
        assert!(archive.seal_all().unwrap().is_empty(), "and sealed then");
    }

    #[test]
    fn samples_that_were_fetched_again_during_the_seal_are_not_lost() {
        let bench = Bench::new();
        bench.archived(1, 3);
        let archive = bench.archive();
        let (sealed, name, entry, jobs) = half_sealed(archive);
        bench.corrected(1);
        bench.staged(1, 5);
        assert!(!flip_or_remove(archive, sealed, &name, entry, jobs).unwrap());
        let (_, fetched) = bench.read(1);
        assert_eq!(fetched.rows(), 5);
        assert_eq!(archive.seal_all().unwrap().len(), 1);
        assert_eq!(bench.read(1).1, fetched);
    }
}
