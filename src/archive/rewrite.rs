//! Rewriting segments: the jobs of some segments of a date become one new segment, with their
//! amendments folded in, and the old ones are replaced by it in one batch.
//!
//! Called by `compact`, which changes nothing else; by whoever lets samples or jobs expire, or erases.
//! What becomes of each job says a [`Transform`], a pure function of the job:
//!
//! | answer | row in the jobs file | samples | the job's entry |
//! |---|---|---|---|
//! | [`Fate::Keep`] | as it is, or with its amendment | kept, unless `keeps_samples` says no: then five-minute slices of them, unless `keeps_slices` says no | points to the new place |
//! | [`Fate::Change`] | what `change` makes of it | the same | the same |
//! | [`Fate::Drop`] | gone | gone | gone, with its name, lists and amendment |
//!
//! To use it: implement [`Transform`], collect the ids of segments of one date (at most
//! [`limits::REWRITE_INPUTS_MAX`], together at most what one segment may hold), and call
//! [`Archive::rewrite`] with the zstd level of the result, the grace of the old files (0 to remove them
//! with the next [`Archive::remove_obsolete`], which waits only for readers of this process), and a
//! pause, which is called every few milliseconds: it may wait, or end the work with an error. One
//! rewrite runs at a time; others wait for it.
//!
//! Order: both files durable; then they are read back and compared with the old ones (AR-10: equal rows
//! and sums over all that was not to change); then the batch. It is refused, and the new files go, if a
//! job's entry does not point to the old segments any more. An amendment that came after the plan was
//! made stays, over the new row. A crash before the batch leaves the new files without an entry, and
//! opening removes them; after it the old ones stand among the replaced ones (`obsolete`).
//!
//! Memory: per job about 200 bytes; of each input a page of each column; the new files; rows whose
//! amendment changes their place in the order are read one by one.

mod batch;
mod check;
mod plan;
mod slices;

use super::Archive;
use super::amend;
use super::find::amended_keys;
use super::readers::Reading;
use super::segments::{OpenSegment, file_name};
use crate::error::{Error, Result};
use crate::fault;
use crate::index::keys::amendments::Amendments;
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::index::keys::segments::{SegmentEntry, SegmentId, SegmentInfo, Segments};
use crate::limits;
use crate::model::archived::SummarisedRow;
use crate::num;
use crate::segment::copy::{self, Pause};
use crate::segment::dir::Table;
use crate::segment::jobs::{Beside, JobHead};
use crate::segment::jobs_merge;
use crate::segment::sum::Sum;
use plan::Plan;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// A job before its fate is decided.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    /// Its entry.
    pub(super) sealed: &'a SealedJob,
    /// Its keys, name and times, as its amendment says them, if it has one.
    pub(super) head: &'a JobHead,
}

/// What becomes of a job's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays.
    Keep,
    /// It becomes what [`Transform::change`] makes of it.
    Change,
    /// The job goes, with everything of it.
    Drop,
}

/// What becomes of each job: pure, so that asking again gives the same answer.
pub(super) trait Transform {
    /// What becomes of the row.
    ///
    /// # Errors
    /// Whatever keeps the rewrite from being made at all.
    fn fate(&self, job: &Candidate<'_>) -> Result<Fate>;

    /// Whether the samples stay with the row.
    fn keeps_samples(&self, _job: &Candidate<'_>) -> bool {
        true
    }

    /// Whether five-minute slices stay of a job whose samples do not, or went before.
    fn keeps_slices(&self, _job: &Candidate<'_>) -> bool {
        true
    }

    /// Makes another row of one whose fate is [`Fate::Change`], its amendment already in it. Project,
    /// job, name and start must stay: they are the order of the file.
    ///
    /// # Errors
    /// Whatever keeps the rewrite from being made at all.
    fn change(&self, row: SummarisedRow) -> Result<SummarisedRow> {
        Ok(row)
    }
}

/// A rewrite to be made.
pub(super) struct Rewrite<'a> {
    /// Segments of one date.
    pub(super) inputs: &'a [SegmentId],
    /// zstd level of the new files.
    pub(super) level: i32,
    /// How long the old files stay.
    pub(super) grace_ms: i64,
    /// What becomes of each job.
    pub(super) transform: &'a dyn Transform,
    /// Called every few milliseconds.
    pub(super) pause: Pause<'a>,
}

/// What a rewrite made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Rewritten {
    /// Segments replaced.
    pub inputs: u64,
    /// The new one's sequence number; none if no job was left.
    pub seq: Option<u64>,
    pub jobs: u64,
    pub rows: u64,
    /// Cells of value columns that have one.
    pub samples: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// Amendments that went into their rows.
    pub folded: u64,
    /// How long it took, pauses included.
    pub took: Duration,
}

/// An input, open.
struct Input {
    id: SegmentId,
    entry: SegmentEntry,
    segment: Arc<OpenSegment>,
}

/// A new segment whose files are durable.
struct Output {
    id: SegmentId,
    entry: SegmentEntry,
    samples: Sum,
    /// Sum over the rows of its samples_5m file.
    slices: u128,
}

impl Archive {
    /// Makes one segment of several, see the module. None if the inputs changed meanwhile: then nothing
    /// was done.
    ///
    /// # Errors
    /// `Data` if an input is damaged or the result is not what it should be (then the inputs stay),
    /// `Unavailable` for I/O errors, whatever transform and pause say.
    pub(super) fn rewrite(&self, work: &Rewrite<'_>) -> Result<Option<Rewritten>> {
        let _one_at_a_time = self
            .rewriting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let begun = self.clock.monotonic();
        let Some(made) = self.rewrite_now(work)? else {
            tracing::info!(segments = ?work.inputs, "jobs changed while they were rewritten");
            return Ok(None);
        };
        let took = self.clock.monotonic().saturating_sub(begun);
        let made = Rewritten { took, ..made };
        tracing::info!(
            segment.seq = made.seq,
            segment.jobs = made.jobs,
            segment.rows = made.rows,
            rewrite.inputs = made.inputs,
            rewrite.read_bytes = made.bytes_in,
            rewrite.written_bytes = made.bytes_out,
            rewrite.amendments = made.folded,
            rewrite.duration_s = took.as_secs_f64(),
            "segments rewritten"
        );
        Ok(Some(made))
    }

    fn rewrite_now(&self, work: &Rewrite<'_>) -> Result<Option<Rewritten>> {
        let reading = self.reading();
        let Some(inputs) = self.open_inputs(&reading, work.inputs)? else {
            return Ok(None);
        };
        let plan = Plan::make(&reading, &inputs, work.transform)?;
        let output = match plan.jobs.is_empty() {
            true => None,
            false => Some(self.write_output(&reading, &inputs, &plan, work)?),
        };
        let folded = plan.jobs.iter().filter(|job| job.folded.is_some());
        let made = Rewritten {
            inputs: num::len_u64(inputs.len()),
            seq: output.as_ref().map(|output| output.id.seq),
            jobs: num::len_u64(plan.jobs.len()),
            rows: output.as_ref().map_or(0, |output| output.samples.rows),
            samples: output.as_ref().map_or(0, |output| output.samples.cells),
            bytes_in: inputs.iter().map(|input| bytes_of(&input.entry)).sum(),
            bytes_out: output.as_ref().map_or(0, |output| bytes_of(&output.entry)),
            folded: num::len_u64(folded.count()),
            took: Duration::ZERO,
        };
        let flipped = fault::step("rewrite.checked")
            .and_then(|()| self.replace(&reading, &inputs, plan, output.as_ref(), work.grace_ms));
        let flipped = match &output {
            Some(output) => {
                let name = file_name(output.entry.info.archiver, output.id.seq);
                self.keep_if_flipped(output.id.date, &name, flipped)?
            }
            None => flipped?,
        };
        if flipped {
            self.segments.forget(work.inputs);
            fault::step("rewrite.replaced")?;
        }
        Ok(flipped.then_some(made))
    }

    /// Opens the inputs; none if one of them is gone.
    fn open_inputs(&self, reading: &Reading<'_>, ids: &[SegmentId]) -> Result<Option<Vec<Input>>> {
        let one_date = ids.windows(2).all(|pair| match pair {
            [a, b] => a.date == b.date && a.seq < b.seq,
            _ => true,
        });
        if !one_date || ids.is_empty() || ids.len() > limits::REWRITE_INPUTS_MAX {
            return Err(Error::internal(
                "segments to be rewritten are none, too many, of several dates or out of order",
            ));
        }
        let mut inputs = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(entry) = reading.get::<Segments>(id)? else {
                return Ok(None);
            };
            inputs.push(Input {
                id: *id,
                segment: self.open_segment(reading, id.date, id.seq)?,
                entry,
            });
        }
        Ok(Some(inputs))
    }

    /// Writes both files, makes them durable, reads them back and compares.
    fn write_output(
        &self,
        reading: &Reading<'_>,
        inputs: &[Input],
        plan: &Plan,
        work: &Rewrite<'_>,
    ) -> Result<Output> {
        let date = inputs
            .first()
            .map(|input| input.id.date)
            .ok_or_else(|| Error::internal("a rewrite has no inputs"))?;
        let (encoding, level) = (self.settings.encoding, work.level);
        let files = inputs.iter().map(|input| input.segment.samples());
        let files: Vec<_> = files.collect::<Result<_>>()?;
        let samples = copy::copy(&files, &plan.copied(), encoding, level, work.pause)?;
        let slices = slices::write(inputs, plan, encoding, level, work.pause)?;
        let files: Vec<_> = inputs.iter().map(|input| input.segment.jobs()).collect();
        let change = |number, row| self.new_row(reading, inputs, plan, work, number, row);
        let jobs = jobs_merge::merge(
            &files,
            &plan.merged(),
            &change,
            Beside {
                samples: &samples.digests,
                samples_5m: slices.as_ref().map(|(file, _)| &file.digests),
            },
            (encoding, level),
            work.pause,
        )?;
        let seq = self.committer.run(|txn| txn.next("segment"))?;
        let now = self.clock.now();
        let starts = plan.jobs.iter().filter_map(|job| job.head.started_at);
        let ends = SegmentInfo::span(plan.jobs.iter().filter_map(|job| job.head.finished_at));
        let sealed = inputs.iter().map(|input| input.entry.info.sealed_at);
        let output = Output {
            id: SegmentId { date, seq },
            entry: SegmentEntry {
                info: SegmentInfo {
                    archiver: self.archiver.number(),
                    jobs: jobs.rows,
                    rows: samples.rows,
                    samples_bytes: num::len_u64(samples.bytes.len()),
                    jobs_bytes: num::len_u64(jobs.bytes.len()),
                    from: starts.min().unwrap_or(now),
                    to: ends.map_or(now, |(_, last)| last),
                    sealed_at: sealed.max().unwrap_or(now),
                    ends,
                    samples_5m_rows: slices.as_ref().map_or(0, |(file, _)| file.rows),
                    samples_5m_bytes: slices
                        .as_ref()
                        .map_or(0, |(file, _)| num::len_u64(file.bytes.len())),
                    level,
                },
                jobs_digests: jobs.digests.encode(),
            },
            samples: Sum::default(),
            slices: slices.as_ref().map_or(0, |(_, sum)| *sum),
        };
        let name = file_name(self.archiver.number(), seq);
        if let Some((file, _)) = &slices {
            self.dir
                .write_durably(Table::Samples5m, date, &name, &file.bytes)?;
        }
        self.write_pair(date, &name, &samples.bytes, &jobs.bytes)?;
        drop((samples, slices, jobs));
        let checked = fault::step("rewrite.written")
            .and_then(|()| self.check_output(inputs, plan, &output, work.pause));
        match checked {
            Ok(samples) => Ok(Output { samples, ..output }),
            Err(error) => {
                self.remove_pair(date, &name);
                Err(error)
            }
        }
    }

    /// What stands in the new file instead of a row that changes.
    fn new_row(
        &self,
        reading: &Reading<'_>,
        inputs: &[Input],
        plan: &Plan,
        work: &Rewrite<'_>,
        number: usize,
        row: SummarisedRow,
    ) -> Result<SummarisedRow> {
        let lost = || Error::internal("a row of a rewrite belongs to no planned job");
        let job = plan.row(number).ok_or_else(lost)?;
        let input = inputs.get(job.input).ok_or_else(lost)?;
        let mut row = row;
        if job.folded.is_some() {
            let key = row.row.keys.job;
            let (Some(amendment), Some(JobEntry::Sealed(sealed))) =
                (reading.get::<Amendments>(&key)?, reading.get::<Jobs>(&key)?)
            else {
                return Err(lost());
            };
            let keys = amended_keys(reading, &sealed, row.row.keys, amendment.merged.facts())?;
            row = amend::apply(row, amendment, keys, || input.segment.profile(&sealed))?;
        }
        if job.transformed {
            row = work.transform.change(row)?;
        }
        let facts = &row.row.facts;
        let same_place = (row.row.keys, facts.name.as_deref(), facts.started_at)
            == (job.head.keys, job.head.name.as_deref(), job.head.started_at);
        same_place
            .then_some(row)
            .ok_or_else(|| Error::internal("a rewrite changed the order of its rows"))
    }
}

fn bytes_of(entry: &SegmentEntry) -> u64 {
    entry.info.samples_bytes + entry.info.samples_5m_bytes + entry.info.jobs_bytes
}
