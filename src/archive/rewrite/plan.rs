//! What a rewrite does with each job, before a byte is written.

use super::{Candidate, Fate, Input, Transform};
use crate::archive::find::amended_keys;
use crate::error::Result;
use crate::index::keys::amendments::{Amendment, Amendments};
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::index::{Family, Snapshot};
use crate::model::archived::RowKeys;
use crate::model::id::JobKey;
use crate::num;
use crate::segment::copy::Copied;
use crate::segment::jobs::JobHead;
use crate::segment::jobs_merge::{Merged, Move};
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_128;

/// Names the very content of an amendment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AmendmentId(u128);

impl AmendmentId {
    pub(super) fn of(amendment: &Amendment) -> Result<Self> {
        Ok(Self(xxh3_128(&Amendments::encode_value(amendment)?)))
    }
}

/// What a job has in the samples_5m file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Slices {
    /// Nothing: its samples are there, or its slices expired too.
    None,
    /// What these rows of the input's samples file leave behind.
    Of(Range<usize>),
    /// What the input's samples_5m file has under these keys, if anything.
    Carried(RowKeys),
}

/// A job that stays.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) input: usize,
    /// Its row in the input's jobs file.
    pub(super) row: usize,
    /// Keys, name and times in the new file.
    pub(super) head: JobHead,
    /// Its rows in the input's samples file, if they stay.
    pub(super) samples: Range<usize>,
    pub(super) slices: Slices,
    pub(super) how: Move,
    /// The amendment that goes into its row.
    pub(super) folded: Option<AmendmentId>,
    /// Whether the transform changes its row.
    pub(super) transformed: bool,
    /// Its first row in the new samples file.
    pub(super) first_row: u64,
}

/// A job that goes.
#[derive(Debug)]
pub(super) struct Dropped {
    pub(super) input: usize,
    pub(super) key: JobKey,
    pub(super) sealed: SealedJob,
}

/// All jobs of the inputs. A row that no job's entry points to is dead and goes without a word.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In the order of the samples file.
    pub(super) jobs: Vec<Planned>,
    /// The same in the order of the jobs file, as positions in `jobs`.
    rows: Vec<usize>,
    pub(super) dropped: Vec<Dropped>,
}

impl Plan {
    pub(super) fn make(
        snapshot: &Snapshot<'_>,
        inputs: &[Input],
        transform: &dyn Transform,
    ) -> Result<Self> {
        let mut plan = Self::default();
        for (number, input) in inputs.iter().enumerate() {
            for (row, head) in input.segment.jobs().heads()?.into_iter().enumerate() {
                plan.add(snapshot, (number, input), row, head, transform)?;
            }
        }
        plan.jobs.sort_unstable_by_key(|job| {
            (job.head.keys.project, job.head.keys.job, job.head.keys.part)
        });
        let mut first_row = 0;
        for job in &mut plan.jobs {
            job.first_row = first_row;
            first_row += num::len_u64(job.samples.len());
        }
        let mut rows: Vec<(usize, &Planned)> = plan.jobs.iter().enumerate().collect();
        rows.sort_unstable_by(|(_, a), (_, b)| a.head.order(&b.head));
        plan.rows = rows.into_iter().map(|(position, _)| position).collect();
        Ok(plan)
    }

    fn add(
        &mut self,
        snapshot: &Snapshot<'_>,
        (number, input): (usize, &Input),
        row: usize,
        head: JobHead,
        transform: &dyn Transform,
    ) -> Result<()> {
        let key = head.keys.job;
        let sealed = match snapshot.get::<Jobs>(&key)? {
            Some(JobEntry::Sealed(sealed)) if is_here(&sealed, input, row) => sealed,
            _ => return Ok(()),
        };
        let amendment = snapshot.get::<Amendments>(&key)?;
        let new = match &amendment {
            None => head.clone(),
            Some(amendment) => {
                let facts = amendment.merged.facts();
                JobHead {
                    keys: amended_keys(snapshot, &sealed, head.keys, facts)?,
                    name: facts.name.as_deref().map(Into::into),
                    started_at: facts.started_at,
                    finished_at: facts.finished_at,
                }
            }
        };
        let folded = amendment.as_ref().map(AmendmentId::of).transpose()?;
        let job = Candidate {
            sealed: &sealed,
            head: &new,
        };
        let fate = transform.fate(&job)?;
        if fate == Fate::Drop {
            self.dropped.push(Dropped {
                input: number,
                key,
                sealed,
            });
            return Ok(());
        }
        let samples = match transform.keeps_samples(&job) {
            true => sealed.sample_rows(),
            false => 0..0,
        };
        let slices = if !samples.is_empty() || !transform.keeps_slices(&job) {
            Slices::None
        } else if sealed.rows > 0 {
            Slices::Of(sealed.sample_rows())
        } else {
            Slices::Carried(head.keys)
        };
        let how = if folded.is_none() && fate == Fate::Keep {
            Move::Same
        } else if new.order(&head).is_eq() {
            Move::Changed
        } else {
            Move::Moved
        };
        self.jobs.push(Planned {
            input: number,
            row,
            head: new,
            samples,
            slices,
            how,
            folded,
            transformed: fate == Fate::Change,
            first_row: 0,
        });
        Ok(())
    }

    /// The job at a row of the new jobs file.
    pub(super) fn row(&self, number: usize) -> Option<&Planned> {
        self.jobs.get(*self.rows.get(number)?)
    }

    /// The jobs in the order of the new jobs file.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Planned> {
        self.rows
            .iter()
            .filter_map(|position| self.jobs.get(*position))
    }

    pub(super) fn merged(&self) -> Vec<Merged> {
        let merged = |job: &Planned| Merged {
            input: job.input,
            row: job.row,
            how: job.how,
        };
        self.rows().map(merged).collect()
    }

    pub(super) fn copied(&self) -> Vec<Copied> {
        let copied = |job: &Planned| Copied {
            input: job.input,
            rows: job.samples.clone(),
            keys: job.head.keys,
        };
        self.jobs.iter().map(copied).collect()
    }
}

/// Whether a job's entry points to that row.
fn is_here(sealed: &SealedJob, input: &Input, row: usize) -> bool {
    (sealed.date, sealed.segment, sealed.jobs_row)
        == (input.id.date, input.id.seq, num::len_u64(row))
}
