//! One segment taken into a new index.

use super::super::commit::Txn;
use super::super::listed::Listed;
use super::super::segments::{OpenSegment, file_name};
use super::keep::{name, public};
use super::{Old, Work};
use crate::error::{Error, ErrorKind, Result};
use crate::index::keys::amendments::Amendments;
use crate::index::keys::ids::{Ids, Kind};
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::index::keys::quarantine::Quarantine;
use crate::index::keys::segments::{SegmentEntry, SegmentId, SegmentInfo, Segments};
use crate::model::archived::{RowKeys, SummarisedRow};
use crate::model::id::{ProjectKey, RunnerKey};
use crate::model::job::JobFacts;
use crate::model::record::JobRecord;
use crate::num;
use crate::segment::coarse::CoarseWriter;
use crate::segment::dir::{DataDir, Table};
use crate::segment::jobs::{self as jobs_file, Beside};
use crate::segment::properties::{LEVEL_HOT, ValueEncoding};
use crate::segment::runs::Run;
use crate::segment::samples::{BuiltFile, SamplesWriter};
use crate::segment::{Vouched, read_alone};
use crate::time::TimestampMs;
use std::collections::HashMap;

/// A row and where its samples are.
#[derive(Debug, Clone)]
struct Placed {
    row: SummarisedRow,
    pointer: SealedJob,
}

/// What the rows of a segment tell of it as a whole.
#[derive(Debug, Default)]
struct Taken {
    jobs: u64,
    from: Option<TimestampMs>,
    to: Option<TimestampMs>,
    /// Earliest and latest end.
    ends: Option<(TimestampMs, TimestampMs)>,
    /// Numbers of the rows that are not this segment's own.
    others: Vec<u64>,
}

impl Work<'_> {
    /// Takes a segment's jobs, or puts it into quarantine.
    pub(super) fn segment(&mut self, id: SegmentId, archiver: u16) -> Result<()> {
        if !self.old.counts(id) {
            tracing::info!(segment.seq = id.seq, segment.date = %id.date, "left by a crash, not taken");
            return Ok(());
        }
        let file = file_name(archiver, id.seq);
        match self.take(id, archiver, &file) {
            Err(error) if error.kind() == ErrorKind::Data => self.quarantine(id, &file, &error),
            taken => taken,
        }
    }

    fn take(&mut self, id: SegmentId, archiver: u16, file: &str) -> Result<()> {
        let jobs_file = self.dir.open_file(Table::Jobs, id.date, file)?;
        let (digests, vouched) = read_alone(&jobs_file)?;
        let encoded = digests.encode();
        let known = self.old.entry(id).cloned();
        if known
            .as_ref()
            .is_some_and(|known| known.jobs_digests != encoded)
        {
            return Err(Error::data(
                "segment_damaged",
                format!("{file} of {} is not the file that was sealed", id.date),
            ));
        }
        let segment = OpenSegment::open(self.dir, id.date, file, digests)?;
        segment.verify_whole()?;
        let mut runs: HashMap<i64, Run> = HashMap::new();
        let mut rows = 0;
        for run in segment.runs()? {
            rows += run.rows;
            runs.insert(run.job, run);
        }
        let deep = vouched == Vouched::ByNobody && known.is_none();
        let taken = self.rows(id, &segment, &mut runs, deep)?;
        if !runs.is_empty() {
            return Err(Error::data(
                "segment_rows",
                format!("{} jobs have samples and no row", runs.len()),
            ));
        }
        if num::len_u64(taken.others.len()) == taken.jobs {
            // Nothing of it is its own: without an entry it is removed at the next opening.
            return Ok(());
        }
        if !taken.others.is_empty() {
            return self.cut(id, archiver, &segment, &taken);
        }
        let size = |table| Ok::<u64, Error>(self.dir.open_file(table, id.date, file)?.len());
        let slices = match segment.samples_5m()? {
            None => None,
            Some(own) => Some((own.row_count(), size(Table::Samples5m)?)),
        };
        let end = taken.to.unwrap_or_else(|| self.clock.now());
        let info = SegmentInfo {
            archiver,
            jobs: taken.jobs,
            rows,
            samples_bytes: size(Table::Samples)?,
            jobs_bytes: size(Table::Jobs)?,
            samples_5m_rows: slices.map_or(0, |(rows, _)| rows),
            samples_5m_bytes: slices.map_or(0, |(_, bytes)| bytes),
            from: taken.from.unwrap_or(end),
            to: end,
            sealed_at: end,
            ends: taken.ends,
            level: LEVEL_HOT,
        };
        self.enter(id, known, info, encoded)?;
        self.found.sealed_jobs += taken.jobs;
        self.found.sample_rows += rows;
        Ok(())
    }

    /// The segment's own entry: the old one if there is one, since not all of it follows from the rows.
    fn enter(
        &mut self,
        id: SegmentId,
        known: Option<SegmentEntry>,
        info: SegmentInfo,
        jobs_digests: Vec<u8>,
    ) -> Result<()> {
        self.found.segments += 1;
        let entry = known.unwrap_or(SegmentEntry { info, jobs_digests });
        self.committer.run(move |txn| {
            txn.delete::<Quarantine>(&id);
            txn.put::<Segments>(&id, &entry)
        })
    }

    /// Enters the jobs of a segment, page by page.
    fn rows(
        &mut self,
        id: SegmentId,
        segment: &OpenSegment,
        runs: &mut HashMap<i64, Run>,
        deep: bool,
    ) -> Result<Taken> {
        let mut taken = Taken::default();
        loop {
            let rows = segment.job_rows(taken.jobs, segment.job_count())?;
            if rows.is_empty() {
                break;
            }
            let mut batch = Vec::with_capacity(rows.len());
            for row in rows {
                let placed = self.placed(id, taken.jobs, row, runs)?;
                taken.look(&placed.row);
                self.count(placed.row.row.keys);
                if deep {
                    check_summary(&placed, segment)?;
                }
                batch.push(placed);
            }
            let record_wins = self.old.record_wins(id);
            let others = self.committer.run(move |txn| {
                let mut others = Vec::new();
                for placed in batch {
                    let number = placed.pointer.jobs_row;
                    if !enter_row(txn, placed, record_wins)? {
                        others.push(number);
                    }
                }
                Ok(others)
            })?;
            self.found.superseded_rows += num::len_u64(others.len());
            taken.others.extend(others);
        }
        Ok(taken)
    }

    /// A row and its pointer, as far as the row and the old pointer tell.
    fn placed(
        &self,
        id: SegmentId,
        jobs_row: u64,
        row: SummarisedRow,
        runs: &mut HashMap<i64, Run>,
    ) -> Result<Placed> {
        let keys = row.row.keys;
        let run = runs.remove(&keys.job.0);
        let (first_row, rows) = run.map_or((0, 0), |run| (run.first_row, run.rows));
        let own = run.is_none_or(|run| (run.project, run.part) == (keys.project.0, keys.part));
        if !own {
            return Err(Error::data(
                "segment_rows",
                format!("the samples of {} stand under other keys", row.row.job),
            ));
        }
        let before = old_pointer(&self.old, &row);
        let facts = &row.row.facts;
        let known = facts.started_at.or(row.row.first_seen);
        let guessed = facts.created_at.or(facts.finished_at);
        let listed_at = (before.as_ref().map(|before| before.listed_at))
            .or(known)
            .or(guessed)
            .unwrap_or(TimestampMs(i64::from(id.date.0) * 86_400_000));
        let pointer = SealedJob {
            job: row.row.job.clone(),
            project: before.map_or(keys.project, |before| before.project),
            listed_at,
            date: id.date,
            segment: id.seq,
            jobs_row,
            first_row,
            rows,
        };
        Ok(Placed { row, pointer })
    }

    /// Writes the rows of a segment that are its own into a new one: each job has one profile, for
    /// readers in place, too.
    fn cut(
        &mut self,
        id: SegmentId,
        archiver: u16,
        segment: &OpenSegment,
        taken: &Taken,
    ) -> Result<()> {
        let mut own = Vec::new();
        for number in (0..taken.jobs).filter(|number| !taken.others.contains(number)) {
            own.extend(segment.job_rows(number, number + 1)?);
        }
        own.sort_by_key(|row| (row.row.keys.project, row.row.keys.job, row.row.keys.part));
        self.last_segment += 1;
        let target = SegmentId {
            seq: self.last_segment,
            ..id
        };
        let mut samples = SamplesWriter::new(ValueEncoding::default(), LEVEL_HOT)?;
        let mut slices = CoarseWriter::new(ValueEncoding::default(), LEVEL_HOT)?;
        let mut placed = Vec::new();
        for row in own {
            let Some(JobEntry::Sealed(pointer)) = self.fresh.get::<Jobs>(&row.row.keys.job)? else {
                return Err(Error::internal("a job that was entered has no entry"));
            };
            let first_row = samples.push(row.row.keys, &segment.profile(&pointer)?)?;
            let left = segment.slices(row.row.keys)?;
            if left.rows() > 0 {
                slices.push(row.row.keys, &left)?;
            }
            let pointer = SealedJob {
                segment: target.seq,
                first_row,
                ..pointer
            };
            placed.push(Placed { row, pointer });
        }
        placed.sort_by(|a, b| jobs_file::order(&a.row, &b.row));
        let rows: Vec<SummarisedRow> = placed.iter().map(|placed| placed.row.clone()).collect();
        let slices = (!slices.is_empty()).then(|| slices.finish()).transpose()?;
        let built = Built::new(samples.finish()?, slices.map(|(file, _)| file), &rows)?;
        built.write(self.dir, target, &file_name(archiver, target.seq))?;
        let end = taken.to.unwrap_or_else(|| self.clock.now());
        let info = SegmentInfo {
            from: taken.from.unwrap_or(end),
            to: end,
            ends: taken.ends,
            ..built.info(archiver, end)
        };
        let Built { samples, jobs, .. } = built;
        self.found.sealed_jobs += jobs.rows;
        self.found.sample_rows += samples.rows;
        self.enter(target, None, info, jobs.digests.encode())?;
        self.committer.run(move |txn| {
            for (jobs_row, placed) in (0u64..).zip(placed) {
                let key = placed.row.row.keys.job;
                let pointer = SealedJob {
                    jobs_row,
                    ..placed.pointer
                };
                txn.put::<Jobs>(&key, &JobEntry::Sealed(pointer))?;
            }
            Ok(())
        })
    }
}

/// The files of a segment in the making.
struct Built {
    samples: BuiltFile,
    samples_5m: Option<BuiltFile>,
    jobs: BuiltFile,
}

impl Built {
    fn new(
        samples: BuiltFile,
        samples_5m: Option<BuiltFile>,
        rows: &[SummarisedRow],
    ) -> Result<Self> {
        let beside = Beside {
            samples: &samples.digests,
            samples_5m: samples_5m.as_ref().map(|slices| &slices.digests),
        };
        let jobs = jobs_file::build_beside(rows, beside, ValueEncoding::default(), LEVEL_HOT)?;
        Ok(Self {
            samples,
            samples_5m,
            jobs,
        })
    }

    fn write(&self, dir: &DataDir, id: SegmentId, file: &str) -> Result<()> {
        dir.write_durably(Table::Samples, id.date, file, &self.samples.bytes)?;
        if let Some(slices) = &self.samples_5m {
            dir.write_durably(Table::Samples5m, id.date, file, &slices.bytes)?;
        }
        dir.write_durably(Table::Jobs, id.date, file, &self.jobs.bytes)
    }

    /// Its facts, as if all of its jobs were of the instant `at`.
    fn info(&self, archiver: u16, at: TimestampMs) -> SegmentInfo {
        let slices = self.samples_5m.as_ref();
        SegmentInfo {
            archiver,
            jobs: self.jobs.rows,
            rows: self.samples.rows,
            samples_bytes: num::len_u64(self.samples.bytes.len()),
            jobs_bytes: num::len_u64(self.jobs.bytes.len()),
            samples_5m_rows: slices.map_or(0, |slices| slices.rows),
            samples_5m_bytes: slices.map_or(0, |slices| num::len_u64(slices.bytes.len())),
            from: at,
            to: at,
            sealed_at: at,
            ends: None,
            level: LEVEL_HOT,
        }
    }
}

impl Taken {
    fn look(&mut self, row: &SummarisedRow) {
        self.jobs += 1;
        let known = self
            .ends
            .into_iter()
            .flat_map(|(first, last)| [first, last]);
        self.ends = SegmentInfo::span(known.chain(row.row.facts.finished_at));
        if let Some(window) = row.row.facts.window() {
            self.from = Some(self.from.map_or(window.from, |from| from.min(window.from)));
            self.to = Some(self.to.map_or(window.to, |to| to.max(window.to)));
        }
    }
}

/// The statistics of a row that nobody vouches for are those of its samples.
fn check_summary(placed: &Placed, segment: &OpenSegment) -> Result<()> {
    let profile = segment.profile(&placed.pointer)?;
    if SummarisedRow::compute(placed.row.row.clone(), &profile) == placed.row {
        return Ok(());
    }
    Err(Error::data(
        "segment_damaged",
        format!(
            "the summary of {} is not that of its samples",
            placed.row.row.job
        ),
    ))
}

/// What the old index pointed to for a job. It knows what an amendment moved.
fn old_pointer(old: &Old, row: &SummarisedRow) -> Option<SealedJob> {
    let entry = old.index.as_ref()?.get::<Jobs>(&row.row.keys.job).ok()??;
    match entry {
        JobEntry::Sealed(sealed) if sealed.job == row.row.job => Some(sealed),
        _ => None,
    }
}

/// Enters a job that has a row; `false` if the job has an entry already, which stays.
fn enter_row(txn: &mut Txn<'_>, placed: Placed, record_wins: bool) -> Result<bool> {
    let Placed { row, pointer } = placed;
    let keys = row.row.keys;
    let names = public(pointer.job.source.as_str());
    let id = names(Kind::Job, pointer.job.job_id.as_str());
    let other = txn.get::<Ids>(&id)?.filter(|key| *key != keys.job.0);
    if let Some(other) = other
        && txn.get::<Jobs>(&crate::model::id::JobKey(other))?.is_some()
    {
        return Ok(false);
    }
    let entry = txn.get::<Jobs>(&keys.job)?;
    let holder = entry.as_ref().map(JobEntry::job);
    if let Some(holder) = holder.filter(|holder| **holder != pointer.job) {
        return Err(Error::data(
            "key_taken",
            format!(
                "the key of {} belongs to {holder}: its file is of another archive",
                pointer.job
            ),
        ));
    }
    match entry {
        None => {}
        Some(JobEntry::Record(record)) if !record_wins => leave(txn, &record)?,
        Some(_) => return Ok(false),
    }
    txn.put::<Ids>(&id, &keys.job.0)?;
    name(txn, &pointer.job, &row.row.facts, keys)?;
    let amendment = txn.get::<Amendments>(&keys.job)?;
    let (facts, keys, listed_at) = match &amendment {
        None => (&row.row.facts, keys, pointer.listed_at),
        Some(amendment) => {
            let facts = amendment.merged.facts();
            let keys = amended_keys(txn, &pointer, facts, keys)?;
            (facts, keys, facts.started_at.unwrap_or(pointer.listed_at))
        }
    };
    Listed {
        keys,
        listed_at,
        facts,
    }
    .enter(txn)?;
    let pointer = SealedJob {
        project: keys.project,
        listed_at,
        ..pointer
    };
    txn.put::<Jobs>(&keys.job, &JobEntry::Sealed(pointer))?;
    Ok(true)
}

/// Project and runner of an amended job: the old pointer knows the project, names know the rest.
fn amended_keys(
    txn: &Txn<'_>,
    pointer: &SealedJob,
    facts: &JobFacts,
    keys: RowKeys,
) -> Result<RowKeys> {
    let names = public(pointer.job.source.as_str());
    let by_id = (facts.project_id.as_deref()).map(|id| names(Kind::ProjectId, id));
    let by_path = (facts.project.as_deref()).map(|path| names(Kind::ProjectPath, path));
    let mut project = pointer.project;
    if project == keys.project
        && let Some(named) = by_id.or(by_path)
    {
        project = txn.get::<Ids>(&named)?.map_or(project, ProjectKey);
    }
    let runner = match &facts.runner_id {
        None => None,
        Some(id) => txn.get::<Ids>(&names(Kind::Runner, id))?.map(RunnerKey),
    };
    Ok(RowKeys {
        project,
        runner,
        ..keys
    })
}

/// Takes a record out of everything, since its job is sealed.
fn leave(txn: &mut Txn<'_>, record: &JobRecord) -> Result<()> {
    super::super::accept::listed(record).leave(txn);
    super::super::accept::forget_waiting(txn, record);
    super::super::accept::forget_staged(txn, record);
    Ok(())
}
