//! The batch of a rewrite: the new segment for the old ones, all at once.

use super::plan::{AmendmentId, Dropped, Plan};
use super::{Input, Output};
use crate::archive::Archive;
use crate::archive::commit::Txn;
use crate::archive::find::{amended_keys, public_id};
use crate::archive::listed::Listed;
use crate::archive::obsolete::{LastEpoch, retire};
use crate::archive::readers::Reading;
use crate::error::{Error, Result};
use crate::fault;
use crate::index::keys::amendments::Amendments;
use crate::index::keys::ids::Ids;
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::index::keys::segments::{SegmentEntry, SegmentId, Segments};
use crate::model::archived::RowKeys;
use crate::model::id::JobKey;
use crate::model::job::JobFacts;
use crate::num;
use crate::segment::properties::JOBS_READ_ROWS;
use crate::time::TimestampMs;

/// Where a job's entry points, and where it shall point.
struct Pointer {
    key: JobKey,
    old: (SegmentId, u64),
    jobs_row: u64,
    first_row: u64,
    rows: u64,
    folded: Option<AmendmentId>,
}

/// A job that goes, with what its list entries are made of.
struct Leaving {
    old: (SegmentId, u64),
    keys: RowKeys,
    sealed: SealedJob,
    facts: JobFacts,
    amendment: Option<AmendmentId>,
}

struct Batch {
    old: Vec<(SegmentId, SegmentEntry)>,
    new: Option<(SegmentId, SegmentEntry)>,
    pointers: Vec<Pointer>,
    leaving: Vec<Leaving>,
    now: TimestampMs,
    grace_ms: i64,
}

impl Archive {
    /// Replaces the inputs. `false`, and nothing changed, if a job's entry or one of the segments is not
    /// what the plan was made from.
    pub(super) fn replace(
        &self,
        reading: &Reading<'_>,
        inputs: &[Input],
        plan: Plan,
        output: Option<&Output>,
        grace_ms: i64,
    ) -> Result<bool> {
        let places: Vec<SegmentId> = inputs.iter().map(|input| input.id).collect();
        let place = |input: usize, row: usize| {
            let id = places.get(input).copied();
            id.map(|id| (id, num::len_u64(row)))
        };
        let pointers = plan.rows().enumerate().filter_map(|(number, job)| {
            Some(Pointer {
                key: job.head.keys.job,
                old: place(job.input, job.row)?,
                jobs_row: num::len_u64(number),
                first_row: job.first_row,
                rows: num::len_u64(job.samples.len()),
                folded: job.folded,
            })
        });
        let pointers = pointers.collect();
        let leaving = leaving(reading, inputs, plan.dropped)?;
        let old = inputs.iter().map(|input| (input.id, input.entry.clone()));
        let batch = Batch {
            old: old.collect(),
            new: output.map(|output| (output.id, output.entry.clone())),
            pointers,
            leaving,
            now: self.clock.now(),
            grace_ms,
        };
        // Held over the batch: nobody looks for what may be removed between it and the epoch's end.
        let mut retired = self.retired.lock();
        let flipped = self.committer.run(move |txn| batch.apply(txn))?;
        if flipped {
            let ended = self.readers.end_epoch();
            let is_read = !self.readers.are_done(ended);
            let last = |input: &Input| LastEpoch {
                epoch: ended,
                entry: is_read.then(|| input.entry.clone()),
            };
            retired.extend(inputs.iter().map(|input| (input.id, last(input))));
        }
        Ok(flipped)
    }
}

/// What the jobs that go have in the lists. Their rows are read for that, a page at a time.
fn leaving(
    reading: &Reading<'_>,
    inputs: &[Input],
    mut dropped: Vec<Dropped>,
) -> Result<Vec<Leaving>> {
    dropped.sort_by_key(|job| (job.input, job.sealed.jobs_row));
    let mut leaving = Vec::with_capacity(dropped.len());
    for own in dropped.chunk_by(|a, b| a.input == b.input) {
        let input = own.first().and_then(|job| inputs.get(job.input));
        let input = input.ok_or_else(|| Error::internal("a job is in none of the inputs"))?;
        for page in own.chunks(JOBS_READ_ROWS) {
            let jobs: Vec<&SealedJob> = page.iter().map(|job| &job.sealed).collect();
            for (row, job) in input.segment.rows(&jobs)?.into_iter().zip(page) {
                let amendment = reading.get::<Amendments>(&job.key)?;
                let facts = match &amendment {
                    Some(amendment) => amendment.merged.facts(),
                    None => &row.row.facts,
                };
                leaving.push(Leaving {
                    old: (input.id, job.sealed.jobs_row),
                    keys: amended_keys(reading, &job.sealed, row.row.keys, facts)?,
                    sealed: job.sealed.clone(),
                    // Of the facts no more than lists are made of: there may be many jobs.
                    facts: JobFacts {
                        machine: facts.machine.clone(),
                        name: facts.name.clone(),
                        git_ref: facts.git_ref.clone(),
                        finished_at: facts.finished_at,
                        ..JobFacts::default()
                    },
                    amendment: amendment.as_ref().map(AmendmentId::of).transpose()?,
                });
            }
        }
    }
    Ok(leaving)
}

impl Batch {
    fn apply(self, txn: &mut Txn<'_>) -> Result<bool> {
        for (id, entry) in &self.old {
            if txn.get::<Segments>(id)?.as_ref() != Some(entry) {
                return Ok(false);
            }
        }
        for job in &self.leaving {
            let same = amendment_of(txn, job.keys.job)? == job.amendment;
            if !same || sealed_at(txn, job.keys.job, job.old)?.is_none() {
                return Ok(false);
            }
        }
        let mut moving = Vec::with_capacity(self.pointers.len());
        for pointer in &self.pointers {
            let Some(sealed) = sealed_at(txn, pointer.key, pointer.old)? else {
                return Ok(false);
            };
            // Whether its samples go was decided by what was said of it then (AR-7).
            let loses_samples = pointer.rows < sealed.rows;
            if loses_samples && amendment_of(txn, pointer.key)? != pointer.folded {
                return Ok(false);
            }
            moving.push((pointer, sealed));
        }
        // Whatever is refused was refused above: what is changed from here on is committed.
        for (pointer, sealed) in moving {
            self.point(txn, pointer, sealed)?;
        }
        for job in &self.leaving {
            leave(txn, job);
        }
        for (id, entry) in &self.old {
            retire(txn, *id, entry, (self.now, self.grace_ms))?;
        }
        if let Some((id, entry)) = &self.new {
            txn.put::<Segments>(id, entry)?;
        }
        Ok(true)
    }

    fn point(&self, txn: &mut Txn<'_>, pointer: &Pointer, sealed: SealedJob) -> Result<()> {
        let Some((id, _)) = &self.new else {
            return Err(Error::internal(
                "jobs stay and there is no segment for them",
            ));
        };
        let new = SealedJob {
            date: id.date,
            segment: id.seq,
            jobs_row: pointer.jobs_row,
            first_row: pointer.first_row,
            rows: pointer.rows,
            ..sealed
        };
        txn.put::<Jobs>(&pointer.key, &JobEntry::Sealed(new))?;
        // What was said since the plan was made is not in the row: it stays, over it.
        if let Some(folded) = pointer.folded
            && let Some(amendment) = txn.get::<Amendments>(&pointer.key)?
            && (AmendmentId::of(&amendment)? == folded || fault::omits("omit.late_amendment"))
        {
            txn.delete::<Amendments>(&pointer.key);
        }
        Ok(())
    }
}

/// What names a job's amendment, if it has one.
fn amendment_of(txn: &Txn<'_>, job: JobKey) -> Result<Option<AmendmentId>> {
    let amendment = txn.get::<Amendments>(&job)?;
    amendment.as_ref().map(AmendmentId::of).transpose()
}

/// A job's entry, if it points to that row.
fn sealed_at(txn: &Txn<'_>, key: JobKey, (id, row): (SegmentId, u64)) -> Result<Option<SealedJob>> {
    let here = |sealed: &SealedJob| {
        (sealed.date, sealed.segment, sealed.jobs_row) == (id.date, id.seq, row)
    };
    Ok(match txn.get::<Jobs>(&key)? {
        Some(JobEntry::Sealed(sealed)) if here(&sealed) => Some(sealed),
        _ => None,
    })
}

/// Removes everything that the index knows of a job.
fn leave(txn: &mut Txn<'_>, job: &Leaving) {
    let listed = Listed {
        keys: job.keys,
        listed_at: job.sealed.listed_at,
        facts: &job.facts,
    };
    listed.leave(txn);
    txn.delete::<Ids>(&public_id(&job.sealed.job));
    txn.delete::<Amendments>(&job.keys.job);
    txn.delete::<Jobs>(&job.keys.job);
}
