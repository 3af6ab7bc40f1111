//! Verification: everything that must hold of a whole archive, checked entry by entry and value by
//! value.
//!
//! Called by `tachograph verify`; reads one snapshot of the index and every segment, changes nothing,
//! and holds one segment's keys in memory at a time. A problem is counted and described, and the
//! check goes on: one bad file does not hide the next.
//!
//! | invariant | what is checked |
//! |---|---|
//! | AR-1 | every segment of the index has both files, and no file is there that the index does not name |
//! | AR-2 | every row of a jobs file is the row its job's entry points to, and every sealed entry has its row; a segment's jobs end when its entry says; a staged profile belongs to one archived record, and an archived record has one |
//! | AR-3 | a job waits exactly if it stands in the queue, at the time its record says |
//! | AR-4, AR-5 | every file equals its digest, every page that is read its own |
//! | AR-6 | (deep) a stored summary equals the one computed from the stored samples |
//! | AR-7 | no segment that is to be removed is served or pointed to; a job has samples or the slices that they left behind, never both |
//! | AR-8 | the samples of a job lie in the rows its entry names, and the keys are strictly ascending by (project_key, job, part, ts) |
//! | AR-9 | the rows of a jobs file are strictly ascending by (project_key, name, started_at, job), as it declares |
//! | AR-11 | every job has its public name and its place in the lists |

use super::listed::Listed;
use super::segments::{OpenSegment, file_name, id_of};
use super::{Archive, closing, find};
use crate::error::Result;
use crate::index::Snapshot;
use crate::index::keys::by_time::{ByProjectTime, ByTime, TimeKey};
use crate::index::keys::ids::{Ids, Kind, PublicId};
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::index::keys::obsolete::ObsoleteSegments;
use crate::index::keys::pending::{Pending, PendingKey};
use crate::index::keys::quarantine::Quarantine;
use crate::index::keys::segments::{SegmentEntry, SegmentId, SegmentInfo, Segments};
use crate::index::keys::staged::Staged;
use crate::invariant::InvariantId;
use crate::limits;
use crate::model::archived::{RowKeys, SummarisedRow};
use crate::model::id::{JobKey, JobRef};
use crate::model::record::JobRecord;
use crate::num;
use crate::segment::dir::{ReadFile, Table};
use crate::segment::jobs as jobs_file;
use crate::segment::runs::Run;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::PoisonError;

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is broken.
    pub invariant: InvariantId,
    /// Where, and how.
    pub message: String,
}

/// What a verification looked at, and what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Verification {
    pub segments: u64,
    pub sealed_jobs: u64,
    pub staged_jobs: u64,
    pub pending_jobs: u64,
    pub sample_rows: u64,
    pub bytes: u64,
    /// The first ones; the field `broken` counts all.
    pub problems: Vec<Problem>,
    pub broken: u64,
}

impl Verification {
    fn broken(&mut self, invariant: InvariantId, message: String) {
        self.broken += 1;
        if self.problems.len() < limits::PROBLEMS_LISTED_MAX {
            self.problems.push(Problem { invariant, message });
        }
    }
}

impl Archive {
    /// Checks the whole archive. `deep` also computes every summary anew. `progress` is called behind
    /// each segment with the number done and of all.
    ///
    /// # Errors
    /// `Data` or `Unavailable` only if the index itself cannot be read; everything else is a problem
    /// of the answer.
    pub fn verify(&self, deep: bool, mut progress: impl FnMut(u64, u64)) -> Result<Verification> {
        self.verify_while(deep, |done, all| {
            progress(done, all);
            true
        })
    }

    /// As [`Archive::verify`], also while the archive is written, until `progress` says `false`.
    ///
    /// # Errors
    /// As [`Archive::verify`]; `Unavailable` if it was ended.
    pub fn verify_while(
        &self,
        deep: bool,
        mut progress: impl FnMut(u64, u64) -> bool,
    ) -> Result<Verification> {
        let snapshot = self.reading();
        let mut check = Check {
            archive: self,
            snapshot: &snapshot,
            found: Verification::default(),
            pointers: BTreeMap::new(),
        };
        check.jobs()?;
        check.queue()?;
        check.staged()?;
        let mut segments = Vec::new();
        snapshot.scan::<Segments>(&[], None, |id, entry| {
            segments.push((id, entry));
            Ok(true)
        })?;
        check.files(&segments)?;
        let all = num::len_u64(segments.len());
        for (done, (id, entry)) in (1u64..).zip(&segments) {
            check.segment(*id, entry, deep);
            if !progress(done, all) {
                return Err(closing());
            }
        }
        check.quarantine()?;
        check.replaced()?;
        for (id, jobs) in std::mem::take(&mut check.pointers) {
            let message = format!(
                "{jobs} jobs point into segment {} of {} and find no row",
                id.seq, id.date
            );
            check.found.broken(InvariantId::Ar2, message);
        }
        Ok(check.found)
    }
}

/// A verification under way.
struct Check<'a> {
    archive: &'a Archive,
    snapshot: &'a Snapshot<'a>,
    found: Verification,
    /// Entries that point into each segment; those whose row was found are taken out again.
    pointers: BTreeMap<SegmentId, u64>,
}

impl Check<'_> {
    /// Every job's entry: its name, its lists, its place in the queue, its staged profile.
    fn jobs(&mut self) -> Result<()> {
        let snapshot = self.snapshot;
        snapshot.scan::<Jobs>(&[], None, |key, entry| {
            match entry {
                JobEntry::Record(record) => self.record(key, &record)?,
                JobEntry::Sealed(sealed) => {
                    self.found.sealed_jobs += 1;
                    let id = SegmentId {
                        date: sealed.date,
                        seq: sealed.segment,
                    };
                    *self.pointers.entry(id).or_default() += 1;
                    self.name(key, &sealed.job)?;
                    self.timed(key, &sealed)?;
                }
            }
            Ok(true)
        })
    }

    fn name(&mut self, key: JobKey, job: &JobRef) -> Result<()> {
        let id = PublicId {
            kind: Kind::Job,
            source: job.source.as_str().to_owned(),
            id: job.job_id.as_str().to_owned(),
        };
        if self.snapshot.get::<Ids>(&id)? != Some(key.0) {
            let message = format!("job {job} is not found by its name");
            self.found.broken(InvariantId::Ar11, message);
        }
        Ok(())
    }

    /// A sealed job's place in the lists by time. The others are sorted by facts of its row, which
    /// amendments change.
    fn timed(&mut self, key: JobKey, sealed: &SealedJob) -> Result<()> {
        let time = sealed.listed_at;
        let all = TimeKey {
            prefix: [],
            time,
            job: key,
        };
        let own = TimeKey {
            prefix: [sealed.project.0],
            time,
            job: key,
        };
        if self.snapshot.get::<ByTime>(&all)?.is_none()
            || self.snapshot.get::<ByProjectTime>(&own)?.is_none()
        {
            let message = format!("job {} is missing in a list", sealed.job);
            self.found.broken(InvariantId::Ar11, message);
        }
        Ok(())
    }

    fn record(&mut self, key: JobKey, record: &JobRecord) -> Result<()> {
        let job = &record.job;
        self.name(key, job)?;
        self.listed(
            &Listed {
                keys: record.keys,
                listed_at: record.listed_at(),
                facts: record.merged.facts(),
            },
            job,
        )?;
        if let Some(waiting) = &record.waiting {
            self.found.pending_jobs += 1;
            let due = PendingKey {
                due: waiting.due,
                job: key,
            };
            if self.snapshot.get::<Pending>(&due)?.is_none() {
                let message = format!("job {job} waits and is not in the queue");
                self.found.broken(InvariantId::Ar3, message);
            }
        }
        let Some(archived) = &record.archived else {
            return Ok(());
        };
        self.found.staged_jobs += 1;
        let staged = self
            .snapshot
            .get::<Staged>(&find::staged_key(record.keys, archived))?;
        match staged.map(|staged| staged.profile()) {
            None => {
                let message = format!("the staged profile of job {job} is missing");
                self.found.broken(InvariantId::Ar2, message);
            }
            Some(Err(error)) => {
                let message = format!("the staged profile of job {job}: {}", error.chain());
                self.found.broken(InvariantId::Ar5, message);
            }
            Some(Ok(profile)) if num::len_u64(profile.rows()) != u64::from(archived.rows) => {
                let message = format!(
                    "the staged profile of job {job} has {} rows, its record says {}",
                    profile.rows(),
                    archived.rows
                );
                self.found.broken(InvariantId::Ar2, message);
            }
            Some(Ok(_)) => {}
        }
        Ok(())
    }

    fn listed(&mut self, listed: &Listed<'_>, job: &JobRef) -> Result<()> {
        if !listed.is_entered(self.snapshot)? {
            let message = format!("job {job} is missing in a list");
            self.found.broken(InvariantId::Ar11, message);
        }
        Ok(())
    }

    /// Every entry of the queue belongs to a job that waits until then.
    fn queue(&mut self) -> Result<()> {
        let snapshot = self.snapshot;
        snapshot.scan_keys::<Pending>(&[], None, |key| {
            let waits = match snapshot.get::<Jobs>(&key.job)? {
                Some(JobEntry::Record(record)) => {
                    record.waiting.is_some_and(|waiting| waiting.due == key.due)
                }
                _ => false,
            };
            if !waits {
                let message = format!(
                    "the queue names job key {} at a time it does not wait for",
                    key.job.0
                );
                self.found.broken(InvariantId::Ar3, message);
            }
            Ok(true)
        })
    }

    /// Every staged profile belongs to a record that names it.
    fn staged(&mut self) -> Result<()> {
        let snapshot = self.snapshot;
        snapshot.scan_keys::<Staged>(&[], None, |key| {
            let named = match snapshot.get::<Jobs>(&key.job)? {
                Some(JobEntry::Record(record)) => record
                    .archived
                    .as_ref()
                    .is_some_and(|archived| find::staged_key(record.keys, archived) == key),
                _ => false,
            };
            if !named {
                let message = format!(
                    "a staged profile of job key {} belongs to nothing",
                    key.job.0
                );
                self.found.broken(InvariantId::Ar2, message);
            }
            Ok(true)
        })
    }

    /// The files that are there are those that the index names.
    fn files(&mut self, segments: &[(SegmentId, SegmentEntry)]) -> Result<()> {
        let dir = &self.archive.dir;
        for table in Table::ALL {
            let mut there: BTreeSet<_> = dir.list(table)?.into_iter().collect();
            let has =
                |entry: &SegmentEntry| table != Table::Samples5m || entry.info.samples_5m_rows > 0;
            for (id, entry) in segments.iter().filter(|(_, entry)| has(entry)) {
                let path = dir.file_path(table, id.date, &file_name(entry.info.archiver, id.seq));
                if !there.remove(&path) {
                    let message = format!("{} is missing", path.display());
                    self.found.broken(InvariantId::Ar1, message);
                }
            }
            // Those of replaced segments go one after the other: each of them may be there, or not.
            self.snapshot
                .scan::<ObsoleteSegments>(&[], None, |id, old| {
                    there.remove(&dir.file_path(table, id.date, &file_name(old.archiver, id.seq)));
                    Ok(true)
                })?;
            there.retain(|path| !self.is_newer(path));
            for path in there {
                let message = format!("{} is not in the index", path.display());
                self.found.broken(InvariantId::Ar1, message);
            }
        }
        Ok(())
    }

    /// Whether a file that the snapshot does not name belongs to a segment that was made since, or is
    /// gone again: another look knows it, while none is being made.
    fn is_newer(&self, path: &Path) -> bool {
        let archive = self.archive;
        let _none_is_made = archive
            .sealing
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let _nor_rewritten = archive
            .rewriting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let named = id_of(path).and_then(|(id, _)| archive.index.get::<Segments>(&id).ok());
        named.flatten().is_some() || ReadFile::open(path).is_err()
    }

    /// What is to be removed is named by nothing that is served.
    fn replaced(&mut self) -> Result<()> {
        let snapshot = self.snapshot;
        snapshot.scan_keys::<ObsoleteSegments>(&[], None, |id| {
            if snapshot.get::<Segments>(&id)?.is_some() || self.pointers.contains_key(&id) {
                let message = format!(
                    "segment {} of {} is to be removed and is still needed",
                    id.seq, id.date
                );
                self.found.broken(InvariantId::Ar7, message);
            }
            Ok(true)
        })
    }

    /// What is in quarantine is not served, and its jobs are named once.
    fn quarantine(&mut self) -> Result<()> {
        let snapshot = self.snapshot;
        snapshot.scan::<Quarantine>(&[], None, |id, quarantined| {
            let jobs = self.pointers.remove(&id).unwrap_or(0);
            let message = format!(
                "segment {} of {} is in quarantine with {jobs} jobs: {}",
                id.seq, id.date, quarantined.info.problem
            );
            self.found.broken(InvariantId::Ar5, message);
            Ok(true)
        })
    }

    /// One segment: both files whole, then row by row.
    fn segment(&mut self, id: SegmentId, entry: &SegmentEntry, deep: bool) {
        self.found.segments += 1;
        self.found.bytes +=
            entry.info.samples_bytes + entry.info.samples_5m_bytes + entry.info.jobs_bytes;
        // A fresh one: what the cache holds open was checked when it was opened.
        let outcome = self
            .archive
            .open_files(id, entry)
            .and_then(|segment| self.rows(id, entry, &segment, deep));
        if let Err(error) = outcome {
            let message = format!("segment {} of {}: {}", id.seq, id.date, error.chain());
            self.found.broken(InvariantId::Ar5, message);
            // Its jobs cannot be counted; they are not reported once more.
            self.pointers.remove(&id);
        }
    }

    fn rows(
        &mut self,
        id: SegmentId,
        entry: &SegmentEntry,
        segment: &OpenSegment,
        deep: bool,
    ) -> Result<()> {
        segment.verify_whole()?;
        let mut runs = HashMap::new();
        let mut rows = 0;
        for run in segment.runs()? {
            rows += run.rows;
            if runs.insert(run.job, run).is_some() {
                let message = format!(
                    "segment {} of {} holds job key {} twice",
                    id.seq, id.date, run.job
                );
                self.found.broken(InvariantId::Ar2, message);
            }
        }
        self.found.sample_rows += rows;
        self.slices(id, entry, segment, &runs)?;
        let (mut jobs, mut ends) = (0u64, None);
        let mut last: Option<SummarisedRow> = None;
        while jobs < entry.info.jobs {
            let batch = segment.job_rows(jobs, entry.info.jobs)?;
            if batch.is_empty() {
                break;
            }
            for row in batch {
                let ascends = |last: &SummarisedRow| jobs_file::order(last, &row) == Ordering::Less;
                if !last.as_ref().is_none_or(ascends) {
                    let message = format!(
                        "row {jobs} of the jobs file of segment {} of {} is not behind the one before it",
                        id.seq, id.date
                    );
                    self.found.broken(InvariantId::Ar9, message);
                }
                self.row(id, jobs, &row, &mut runs, segment, deep)?;
                jobs += 1;
                let known = ends.into_iter().flat_map(|(first, last)| [first, last]);
                ends = SegmentInfo::span(known.chain(row.row.facts.finished_at));
                last = Some(row);
            }
        }
        if (jobs, rows) != (entry.info.jobs, entry.info.rows) {
            let message = format!(
                "segment {} of {} has {jobs} jobs and {rows} samples, the index says {} and {}",
                id.seq, id.date, entry.info.jobs, entry.info.rows
            );
            self.found.broken(InvariantId::Ar2, message);
        }
        if entry.info.ends.is_some() && entry.info.ends != ends {
            let message = format!(
                "the jobs of segment {} of {} do not end when the index says, by which questions leave it out",
                id.seq, id.date
            );
            self.found.broken(InvariantId::Ar2, message);
        }
        for run in runs.into_values() {
            let message = format!(
                "segment {} of {} has samples of job key {} and no row",
                id.seq, id.date, run.job
            );
            self.found.broken(InvariantId::Ar2, message);
        }
        Ok(())
    }

    /// The slices of jobs whose samples went: in order, and of no job that has samples.
    fn slices(
        &mut self,
        id: SegmentId,
        entry: &SegmentEntry,
        segment: &OpenSegment,
        samples: &HashMap<i64, Run>,
    ) -> Result<()> {
        let Some(file) = segment.samples_5m()? else {
            return Ok(());
        };
        let slices = file.runs()?;
        let rows: u64 = slices.iter().map(|run| run.rows).sum();
        let both = slices.iter().find(|run| samples.contains_key(&run.job));
        if rows != entry.info.samples_5m_rows || both.is_some() {
            let message = format!(
                "segment {} of {} has {rows} slices, the index says {}; job key with slices and samples: {:?}",
                id.seq,
                id.date,
                entry.info.samples_5m_rows,
                both.map(|run| run.job)
            );
            self.found.broken(InvariantId::Ar2, message);
        }
        Ok(())
    }

    /// One row of a jobs file against the job's entry and its samples.
    fn row(
        &mut self,
        id: SegmentId,
        number: u64,
        row: &SummarisedRow,
        runs: &mut HashMap<i64, Run>,
        segment: &OpenSegment,
        deep: bool,
    ) -> Result<()> {
        let (keys, job) = (row.row.keys, &row.row.job);
        let run = runs.remove(&keys.job.0);
        let Some(JobEntry::Sealed(sealed)) = self.snapshot.get::<Jobs>(&keys.job)? else {
            let message = format!(
                "job {job} has a row in segment {} of {} and is not sealed",
                id.seq, id.date
            );
            self.found.broken(InvariantId::Ar2, message);
            return Ok(());
        };
        if (sealed.date, sealed.segment, sealed.jobs_row) != (id.date, id.seq, number)
            || sealed.job != *job
        {
            let message = format!(
                "the entry of job {job} points to another row than {number} of segment {} of {}",
                id.seq, id.date
            );
            self.found.broken(InvariantId::Ar2, message);
            return Ok(());
        }
        if let Some(left) = self.pointers.get_mut(&id) {
            *left -= 1;
            if *left == 0 {
                self.pointers.remove(&id);
            }
        }
        if !samples_are(run, keys, &sealed) {
            let message =
                format!("the samples of job {job} are not in the rows that its entry names");
            self.found.broken(InvariantId::Ar8, message);
        } else if deep
            // Of a job whose samples expired there is nothing to compute it from.
            && (sealed.rows > 0 || row.row.findings.reason.is_some())
            && SummarisedRow::compute(row.row.clone(), &segment.profile(&sealed)?) != *row
        {
            let message = format!("the summary of job {job} is not that of its samples");
            self.found.broken(InvariantId::Ar6, message);
        }
        Ok(())
    }
}

/// Whether a job's samples are where its entry says; a job without samples has none anywhere.
fn samples_are(run: Option<Run>, keys: RowKeys, sealed: &SealedJob) -> bool {
    match run {
        None => sealed.rows == 0,
        Some(run) => {
            run.project == keys.project.0
                && run.part == keys.part
                && (run.first_row, run.rows) == (sealed.first_row, sealed.rows)
        }
    }
}
