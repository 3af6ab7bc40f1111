//! Quarantine: a segment whose bytes cannot be believed leaves service, and comes back when they can.
//!
//! Called by `scrub` and `restore`. One batch moves the segment's entry from `segments` to
//! `quarantine`; its jobs say `quarantined` from then on, and everything else is served. Then its files
//! are moved aside with a text beside them, and those of its jobs that are still inside the retention
//! of their Prometheus are due again. A crash in between leaves work that is done at the next look:
//! files in `tables/` that a quarantined segment names are either damaged, and moved, or somebody put
//! them back, and they are taken.

use super::commit::Txn;
use super::compact::FoldOnly;
use super::rewrite::Rewrite;
use super::segments::{OpenSegment, file_name};
use super::{Archive, accept};
use crate::error::{Error, ErrorKind, Result};
use crate::index::keys::amendments::{Amendment, Amendments};
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::index::keys::quarantine::{Quarantine, QuarantineInfo, Quarantined};
use crate::index::keys::segments::{SegmentEntry, SegmentId, Segments};
use crate::limits;
use crate::model::archived::SummarisedRow;
use crate::model::job::MergedFacts;
use crate::model::record::{JobRecord, Place, Waiting};
use crate::model::settle;
use crate::model::state::Reason;
use crate::num;
use crate::segment::VerifiedFile;
use crate::segment::digest::Digests;
use crate::segment::dir::{ReadFile, Table};
use crate::segment::jobs::JobsFile;
use crate::time::TimestampMs;

/// Words beside a job that is fetched again.
const FETCHED_AGAIN: &str = "the segment that held the job is damaged; it is fetched again";

/// A row and its pointer, of a segment that comes back.
type Row = (SummarisedRow, SealedJob);

impl Archive {
    /// Segments in quarantine.
    ///
    /// # Errors
    /// `Data` for damaged entries, `Unavailable` for I/O errors.
    pub fn quarantined_segments(&self) -> Result<u64> {
        let mut count = 0;
        let snapshot = self.index.snapshot();
        snapshot.scan_keys::<Quarantine>(&[], None, |_| {
            count += 1;
            Ok(true)
        })?;
        Ok(count)
    }

    /// Takes a segment out of service.
    pub(super) fn quarantine(&self, id: SegmentId, problem: &Error) -> Result<()> {
        let (problem, now) = (problem.chain(), self.clock.now());
        tracing::error!(segment.seq = id.seq, segment.date = %id.date, error = problem, "a segment goes into quarantine");
        let text = problem.clone();
        let moved = self.committer.run(move |txn| {
            // A compaction may have replaced it meanwhile.
            let Some(entry) = txn.get::<Segments>(&id)? else {
                return Ok(None);
            };
            let file = file_name(entry.info.archiver, id.seq);
            let info = QuarantineInfo {
                at: now,
                problem,
                file: file.clone(),
                looked_after: false,
            };
            txn.delete::<Segments>(&id);
            let entry = Some(entry);
            txn.put::<Quarantine>(&id, &Quarantined { info, entry })?;
            Ok(Some(file))
        })?;
        self.segments.forget(&[id]);
        match moved {
            None => Ok(()),
            Some(file) => self.put_aside(id, &file, &text),
        }
    }

    /// Moves the files of a segment aside, with a text that names its jobs.
    fn put_aside(&self, id: SegmentId, file: &str, problem: &str) -> Result<()> {
        let mut text = format!(
            "{problem}\nsince {}\n\njobs:\n",
            self.clock.now().to_rfc3339()
        );
        self.index.snapshot().scan::<Jobs>(&[], None, |_, entry| {
            if let JobEntry::Sealed(sealed) = entry
                && (sealed.date, sealed.segment) == (id.date, id.seq)
            {
                text.push_str(&format!("{}\n", sealed.job));
            }
            Ok(true)
        })?;
        self.dir.quarantine(id.date, file, &text)
    }

    /// What is left to do for segments in quarantine: takes those back whose files are in place and
    /// sound, and makes jobs due again, once. Says how many came back.
    ///
    /// # Errors
    /// `Data` for damaged entries, `Unavailable` for I/O errors.
    pub(super) fn look_after_quarantine(&self) -> Result<u64> {
        let mut all = Vec::new();
        let snapshot = self.index.snapshot();
        snapshot.scan::<Quarantine>(&[], None, |id, quarantined| {
            all.push((id, quarantined));
            Ok(true)
        })?;
        drop(snapshot);
        let mut back = 0;
        for (id, quarantined) in all {
            match self.take_back(id) {
                Ok(true) => {
                    back += 1;
                    continue;
                }
                Ok(false) => {}
                Err(error) if error.kind() == ErrorKind::Data => {
                    self.put_aside(id, &quarantined.info.file, &error.chain())?;
                }
                Err(error) => return Err(error),
            }
            if !quarantined.info.looked_after {
                self.fetch_again(id, quarantined)?;
            }
        }
        Ok(back)
    }

    /// Makes the jobs of a quarantined segment due that are still inside the retention of their
    /// Prometheus, as far as their rows can be read.
    fn fetch_again(&self, id: SegmentId, mut quarantined: Quarantined) -> Result<()> {
        let now = self.clock.now();
        let mut due = 0;
        for row in self.readable_rows(id, &quarantined) {
            if self.is_remembered(&row, now)? {
                due += usize::from(
                    self.committer
                        .run(move |txn| make_pending(txn, id, row, now))?,
                );
            }
        }
        tracing::info!(segment.seq = id.seq, segment.date = %id.date, jobs = due, "jobs of a segment in quarantine are fetched again");
        quarantined.info.looked_after = true;
        self.committer.run(move |txn| {
            if txn.get::<Quarantine>(&id)?.is_some() {
                txn.put::<Quarantine>(&id, &quarantined)?;
            }
            Ok(())
        })
    }

    /// The rows of a segment that can be read, page by page; none if its jobs file is of no use.
    fn readable_rows(&self, id: SegmentId, quarantined: &Quarantined) -> Vec<SummarisedRow> {
        let path = self
            .dir
            .quarantined_path(Table::Jobs, id.date, &quarantined.info.file);
        let open = || -> Result<JobsFile> {
            let entry = quarantined.entry.as_ref();
            let known = entry.ok_or_else(|| Error::data("segment_digests", "none are known"))?;
            let digests = Digests::decode(&known.jobs_digests)?;
            let file = VerifiedFile::open(ReadFile::open(&path)?, digests)?;
            Ok(JobsFile::new(file))
        };
        let Ok(file) = open() else {
            return Vec::new();
        };
        let mut rows = Vec::new();
        let mut start = 0;
        while start < file.rows() {
            let page = file.read_range(num::to_usize(start), limits::LIST_BATCH);
            rows.extend(page.unwrap_or_default());
            start += num::len_u64(limits::LIST_BATCH);
        }
        rows
    }

    /// Whether the job's Prometheus still has its samples, as registered, else as is usual.
    fn is_remembered(&self, row: &SummarisedRow, now: TimestampMs) -> Result<bool> {
        let facts = &row.row.facts;
        let Some(window) = facts.window() else {
            return Ok(false);
        };
        let region = self.registered(&row.row.job.source, facts)?.region;
        let retention = region.and_then(|region| region.retention_ms());
        Ok(row.row.findings.sample_count > 0 && settle::deadline(window.from, retention) > now)
    }

    /// Takes a segment back whose files are in place again; `false` if it is not in quarantine, or if
    /// they are not there.
    ///
    /// # Errors
    /// `Data` if the files are damaged, or not those of the segment; `Unavailable` for I/O errors.
    pub fn take_back(&self, id: SegmentId) -> Result<bool> {
        let Some(quarantined) = self.index.get::<Quarantine>(&id)? else {
            return Ok(false);
        };
        let file = quarantined.info.file.as_str();
        let in_place = self.dir.open_file(Table::Jobs, id.date, file).is_ok();
        // Of what the index knows nothing of, `reindex` takes the files.
        let Some(entry) = quarantined.entry.filter(|_| in_place) else {
            return Ok(false);
        };
        let digests = Digests::decode(&entry.jobs_digests)?;
        let segment = OpenSegment::open(&self.dir, id.date, file, digests)?;
        segment.verify_whole()?;
        let rows = self.rows_of(id, &segment, &entry)?;
        let level = entry.info.level;
        let others = self.put_back(id, entry, rows)?;
        tracing::info!(segment.seq = id.seq, segment.date = %id.date, others, "a segment is back from quarantine");
        self.dir.release_text(id.date, file)?;
        if others > 0 {
            // Readers in place must not find a job twice: rows to which no entry points stay behind.
            let own_rows = Rewrite {
                inputs: &[id],
                level,
                grace_ms: self.settings.compact.grace_ms,
                transform: &FoldOnly,
                pause: &|| Ok(()),
            };
            self.rewrite(&own_rows)?;
        }
        Ok(true)
    }

    /// The rows of a segment with the pointers that lead to them.
    fn rows_of(
        &self,
        id: SegmentId,
        segment: &OpenSegment,
        entry: &SegmentEntry,
    ) -> Result<Vec<Row>> {
        let runs = segment.runs()?;
        let runs: std::collections::HashMap<i64, _> =
            runs.into_iter().map(|run| (run.job, run)).collect();
        let mut rows = Vec::new();
        while num::len_u64(rows.len()) < entry.info.jobs {
            let start = num::len_u64(rows.len());
            let page = segment.job_rows(start, entry.info.jobs)?;
            if page.is_empty() {
                break;
            }
            for row in page {
                let run = runs.get(&row.row.keys.job.0);
                let (first_row, count) = run.map_or((0, 0), |run| (run.first_row, run.rows));
                let facts = &row.row.facts;
                let pointer = SealedJob {
                    job: row.row.job.clone(),
                    project: row.row.keys.project,
                    listed_at: facts
                        .started_at
                        .or(row.row.first_seen)
                        .unwrap_or(entry.info.to),
                    date: id.date,
                    segment: id.seq,
                    jobs_row: num::len_u64(rows.len()),
                    first_row,
                    rows: count,
                };
                rows.push((row, pointer));
            }
        }
        Ok(rows)
    }

    /// The batch that puts a segment back into service. Jobs that are pending or staged meanwhile get
    /// their pointers back; those that are sealed elsewhere keep what they have.
    /// Says how many these are.
    fn put_back(&self, id: SegmentId, entry: SegmentEntry, rows: Vec<Row>) -> Result<u64> {
        let now = self.clock.now();
        self.committer.run(move |txn| {
            let mut others = 0;
            for (row, pointer) in rows {
                others += u64::from(!put_job_back(txn, &row, pointer, now)?);
            }
            txn.delete::<Quarantine>(&id);
            txn.put::<Segments>(&id, &entry)?;
            Ok(others)
        })
    }
}

/// Turns a pointer into a quarantined segment into a record that is due now. `false` if the job is not
/// there any more.
fn make_pending(
    txn: &mut Txn<'_>,
    id: SegmentId,
    row: SummarisedRow,
    now: TimestampMs,
) -> Result<bool> {
    let keys = row.row.keys;
    let Some(JobEntry::Sealed(sealed)) = txn.get::<Jobs>(&keys.job)? else {
        return Ok(false);
    };
    if (sealed.date, sealed.segment) != (id.date, id.seq) {
        return Ok(false);
    }
    let amendment = txn.get::<Amendments>(&keys.job)?;
    let merged = match amendment {
        None => MergedFacts::from_facts(row.row.facts),
        Some(amendment) => {
            txn.delete::<Amendments>(&keys.job);
            amendment.merged
        }
    };
    let record = JobRecord {
        job: sealed.job.clone(),
        keys: crate::model::archived::RowKeys {
            project: sealed.project,
            ..keys
        },
        merged,
        first_seen: sealed.listed_at,
        waiting: Some(Waiting {
            due: now,
            attempts: 0,
            reason: Reason::Settling,
            detail: Some(FETCHED_AGAIN.to_owned()),
        }),
        archived: None,
        place: Some(Place {
            date: sealed.date,
            segment: sealed.segment,
            jobs_row: sealed.jobs_row,
            first_row: sealed.first_row,
            rows: sealed.rows,
        }),
    };
    accept::store(txn, None, &record)?;
    Ok(true)
}

/// The pointer of a job that was due again and of which nothing was found any more.
pub(super) fn back_to_its_place(
    txn: &mut Txn<'_>,
    record: &JobRecord,
    place: &Place,
    now: TimestampMs,
) -> Result<()> {
    accept::forget_waiting(txn, record);
    let pointer = SealedJob {
        job: record.job.clone(),
        project: record.keys.project,
        listed_at: record.listed_at(),
        date: place.date,
        segment: place.segment,
        jobs_row: place.jobs_row,
        first_row: place.first_row,
        rows: place.rows,
    };
    // What was said meanwhile is kept beside the row that cannot be read now.
    let amendment = Amendment {
        merged: record.merged.clone(),
        amended_at: now,
    };
    txn.put::<Amendments>(&record.keys.job, &amendment)?;
    txn.put::<Jobs>(&record.keys.job, &JobEntry::Sealed(pointer))
}

/// `false` if the job is sealed elsewhere.
fn put_job_back(
    txn: &mut Txn<'_>,
    row: &SummarisedRow,
    pointer: SealedJob,
    now: TimestampMs,
) -> Result<bool> {
    let key = row.row.keys.job;
    match txn.get::<Jobs>(&key)? {
        Some(JobEntry::Sealed(sealed)) => {
            Ok((sealed.date, sealed.segment) == (pointer.date, pointer.segment))
        }
        Some(JobEntry::Record(record)) => {
            accept::forget_staged(txn, &record);
            let differs = *record.merged.facts() != row.row.facts;
            let place = Place {
                date: pointer.date,
                segment: pointer.segment,
                jobs_row: pointer.jobs_row,
                first_row: pointer.first_row,
                rows: pointer.rows,
            };
            back_to_its_place(txn, &record, &place, now)?;
            if !differs {
                txn.delete::<Amendments>(&key);
            }
            Ok(true)
        }
        // Erased, or expired: it has no row here.
        None => Ok(false),
    }
}
