//! The `samples` file: one row per (job, sample time), sorted by (project_key, job, part, ts).
//!
//! Reading one job of it. [`SamplesWriter`] writes it, `copy` makes one out of several.

use super::columns::ColumnChunk;
use super::digest::Digests;
use super::pages::SharedDecompressor;
use super::samples_schema::{FIRST_VALUE, INTERVAL, TS};
use super::{VerifiedFile, parquet_error};
use crate::error::{Error, Result};
use crate::model::metric::Column;
use crate::model::profile::Profile;
use std::ops::Range;

pub use super::samples_schema::schema;
pub use super::samples_write::SamplesWriter;

/// A file ready to be made durable.
#[derive(Debug)]
pub struct BuiltFile {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their digests.
    pub digests: Digests,
    /// Rows in it.
    pub rows: u64,
}

/// Reads the rows `range` of a samples file as a profile. Columns without a value in the touched row
/// groups are not decoded; columns that end up without any value are left out.
///
/// # Errors
/// `Data` if the file is damaged or shorter than the range.
pub fn read(file: &VerifiedFile, range: Range<usize>) -> Result<Profile> {
    let mut profile = Profile::default();
    let decompressor = SharedDecompressor::new().map_err(parquet_error("starting to read"))?;
    for (number, group) in file.group_ranges().enumerate() {
        let wanted = range.start.max(group.start)..range.end.min(group.end);
        if !wanted.is_empty() {
            let reader = GroupReader {
                file,
                number,
                rows: wanted.start - group.start..wanted.end - group.start,
                decompressor: &decompressor,
            };
            reader.append_to(&mut profile)?;
        }
    }
    if profile.rows() != range.len() {
        return Err(Error::data(
            "segment_rows",
            "a samples file has fewer rows than the index says",
        ));
    }
    profile
        .columns
        .retain(|_, cells| cells.iter().any(Option::is_some));
    Ok(profile)
}

/// Reads some rows of one row group.
struct GroupReader<'a> {
    file: &'a VerifiedFile,
    number: usize,
    rows: Range<usize>,
    decompressor: &'a SharedDecompressor,
}

impl GroupReader<'_> {
    fn append_to(&self, profile: &mut Profile) -> Result<()> {
        let before = profile.rows();
        let total = before + self.rows.len();
        for ts in self.cells(&self.column(TS)?)? {
            let micros = ts.ok_or_else(|| Error::data("segment_rows", "a sample has no time"))?;
            profile.ts_ms.push(micros.div_euclid(1_000));
        }
        for interval in self.cells(&self.column(INTERVAL)?)? {
            profile
                .interval_ms
                .push(interval.and_then(|ms| i32::try_from(ms).ok()));
        }
        for (column, position) in Column::ALL.into_iter().zip(FIRST_VALUE..) {
            let chunk = self.column(position)?;
            if chunk.is_empty() {
                if let Some(cells) = profile.columns.get_mut(&column) {
                    cells.resize(total, None);
                }
                continue;
            }
            let mut values = self.cells(&chunk)?;
            let cells = profile
                .columns
                .entry(column)
                .or_insert_with(|| vec![None; before]);
            cells.append(&mut values);
        }
        Ok(())
    }

    fn column(&self, position: usize) -> Result<ColumnChunk<'_>> {
        ColumnChunk::new(self.file, self.number, position)
    }

    fn cells(&self, chunk: &ColumnChunk<'_>) -> Result<Vec<Option<i64>>> {
        Ok(chunk.read(&self.rows, self.decompressor)?.widened())
    }
}
