//! What samples leave behind when they go: the samples_5m file of a new segment.

use super::Input;
use super::plan::{Plan, Slices};
use crate::error::{Error, Result};
use crate::model::coarse::Coarse;
use crate::segment::coarse::CoarseWriter;
use crate::segment::copy::Pause;
use crate::segment::properties::ValueEncoding;
use crate::segment::samples::{self, BuiltFile};

/// Builds the file, with the sum over its rows; `None` if no job has slices. One job's samples are in
/// memory at a time.
pub(super) fn write(
    inputs: &[Input],
    plan: &Plan,
    encoding: ValueEncoding,
    level: i32,
    pause: Pause<'_>,
) -> Result<Option<(BuiltFile, u128)>> {
    let mut writer = CoarseWriter::new(encoding, level)?;
    for job in plan.jobs.iter().filter(|job| job.slices != Slices::None) {
        pause()?;
        let input = inputs.get(job.input);
        let segment = &input
            .ok_or_else(|| Error::internal("a job is in none of the inputs"))?
            .segment;
        let slices = match &job.slices {
            Slices::None => continue,
            Slices::Of(rows) => Coarse::of(&samples::read(segment.samples()?, rows.clone())?),
            Slices::Carried(keys) => segment.slices(*keys)?,
        };
        if slices.rows() > 0 {
            writer.push(job.head.keys, &slices)?;
        }
    }
    if writer.is_empty() {
        return Ok(None);
    }
    writer.finish().map(Some)
}
