//! AR-10: what a rewrite wrote, read back and compared with what it read.

use super::plan::{Plan, Planned};
use super::{Input, Output};
use crate::archive::Archive;
use crate::archive::segments::OpenSegment;
use crate::error::{Error, Result};
use crate::invariant::{self, InvariantId};
use crate::segment::copy::Pause;
use crate::segment::jobs_merge::Move;
use crate::segment::runs::Run;
use crate::segment::sum::{self, Sum};
use std::collections::HashSet;

impl Archive {
    /// Reads both new files and compares them with the inputs: equal samples of all jobs whose samples
    /// stay, equal rows of all jobs whose row does, and exactly the planned jobs in the planned order.
    /// Gives the sum over the new samples.
    ///
    /// # Errors
    /// `Data` (`rewrite_check`) if anything differs; it is counted as a violation.
    pub(super) fn check_output(
        &self,
        inputs: &[Input],
        plan: &Plan,
        output: &Output,
        pause: Pause<'_>,
    ) -> Result<Sum> {
        let segment = self.open_files(output.id, &output.entry)?;
        let has_samples = |job: &Planned| !job.samples.is_empty();
        let samples_in = sum_of(inputs, plan, has_samples, |input, counts| {
            sum::samples(input.segment.samples()?, counts, pause)
        })?;
        let samples_out = sum::samples(segment.samples()?, &|_| true, pause)?;
        let is_same = |job: &Planned| job.how == Move::Same;
        let rows_in = sum_of(inputs, plan, is_same, |input, counts| {
            sum::jobs(input.segment.jobs(), counts, pause)
        })?;
        let same = keys_of(plan, is_same);
        let rows_out = sum::jobs(segment.jobs(), &|job| same.contains(&job), pause)?;
        let as_planned = is_as_planned(plan, &segment)?;
        let slices = match segment.samples_5m()? {
            Some(file) => file.sum()?,
            None => 0,
        };
        let holds = samples_in == samples_out
            && rows_in == rows_out
            && slices == output.slices
            && as_planned;
        let what = || {
            format!(
                "segment {} of {}: samples {samples_in:?} became {samples_out:?}, rows {rows_in:?} became {rows_out:?}, keys as planned: {as_planned}",
                output.id.seq, output.id.date
            )
        };
        if invariant::check(InvariantId::Ar10, holds, what) {
            return Ok(samples_out);
        }
        Err(Error::data(
            "rewrite_check",
            "a rewritten segment is not what it was made of; the old ones stay as they are",
        ))
    }
}

fn keys_of(plan: &Plan, wanted: impl Fn(&Planned) -> bool) -> HashSet<i64> {
    let jobs = plan.jobs.iter().filter(|job| wanted(job));
    jobs.map(|job| job.head.keys.job.0).collect()
}

/// A sum over the wanted jobs in all inputs, each where it lives.
fn sum_of(
    inputs: &[Input],
    plan: &Plan,
    wanted: impl Fn(&Planned) -> bool,
    sum: impl Fn(&Input, &dyn Fn(i64) -> bool) -> Result<Sum>,
) -> Result<Sum> {
    let mut all = Sum::default();
    for (number, input) in inputs.iter().enumerate() {
        let own = keys_of(plan, |job| job.input == number && wanted(job));
        all += sum(input, &|job| own.contains(&job))?;
    }
    Ok(all)
}

/// Whether the keys in both files are those of the plan, in its order.
fn is_as_planned(plan: &Plan, segment: &OpenSegment) -> Result<bool> {
    let heads = segment.jobs().heads()?;
    let runs = segment.runs()?;
    let planned = plan.jobs.iter().filter(|job| !job.samples.is_empty());
    let run = |job: &Planned| Run {
        project: job.head.keys.project.0,
        job: job.head.keys.job.0,
        part: job.head.keys.part,
        first_row: job.first_row,
        rows: crate::num::len_u64(job.samples.len()),
    };
    Ok(heads.iter().eq(plan.rows().map(|job| &job.head)) && runs.into_iter().eq(planned.map(run)))
}
