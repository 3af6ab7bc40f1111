//! Copying jobs from samples files into a new one, column by column, page by page.
//!
//! Called by the archive when it rewrites segments. Nothing is turned into a profile on the way: of
//! every column at most one page per input is decoded at a time, and one column of one row group is
//! held for the encoder. That bounds memory at 26 columns x 8,192 rows x 5 to 9 bytes per input, about
//! 1.5 MiB, beside the new file itself.

use super::VerifiedFile;
use super::cells::{Buffer, Mark};
use super::columns::ColumnChunk;
use super::pages::SharedDecompressor;
use super::parquet_error;
use super::properties::{ROW_GROUP_ROWS, ValueEncoding};
use super::samples::BuiltFile;
use super::samples_schema::{COLUMNS, TS};
use super::samples_write::{FileBuilder, GroupColumns, GroupKeys, empty_column};
use crate::error::{Error, Result};
use crate::model::archived::RowKeys;
use crate::num;
use std::ops::Range;

/// A job to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Which of the inputs has it.
    pub input: usize,
    /// Its rows there; may be none.
    pub rows: Range<usize>,
    /// Its keys in the new file.
    pub keys: RowKeys,
}

/// Called between pieces of work of some milliseconds: waits, or ends the work with an error.
pub type Pause<'a> = &'a dyn Fn() -> Result<()>;

/// Makes a samples file out of jobs of other ones. `jobs` are in sort order of their new keys; their
/// rows stand behind each other in the new file.
///
/// # Errors
/// `Data` if an input is damaged, `Internal` if the jobs are not in order, whatever `pause` says.
pub fn copy(
    inputs: &[&VerifiedFile],
    jobs: &[Copied],
    encoding: ValueEncoding,
    level: i32,
    pause: Pause<'_>,
) -> Result<BuiltFile> {
    let bytes: u64 = inputs.iter().map(|file| file.len()).sum();
    let mut file = FileBuilder::new(encoding, level, num::to_usize(bytes))?;
    let decompressor = SharedDecompressor::new().map_err(parquet_error("starting to read"))?;
    let mut group = Group {
        sources: inputs.iter().map(|file| Source::new(file)).collect(),
        pieces: Vec::new(),
        narrow: Buffer::new(true),
        wide: Buffer::new(false),
        decompressor,
        pause,
    };
    let mut keys = GroupKeys::default();
    for job in jobs {
        file.begin_job(job.keys)?;
        let mut start = job.rows.start;
        while start < job.rows.end {
            let end = job.rows.end.min(start + ROW_GROUP_ROWS - keys.rows());
            keys.push(job.keys, end - start);
            group.pieces.push((job.input, start..end));
            start = end;
            if keys.rows() == ROW_GROUP_ROWS {
                file.write_group(&keys, &mut group)?;
                group.pieces.clear();
                keys.clear();
            }
        }
    }
    if keys.rows() > 0 {
        file.write_group(&keys, &mut group)?;
    }
    file.finish()
}

/// The rows of the row group that is written next.
struct Group<'a> {
    sources: Vec<Source<'a>>,
    /// Input and rows there, in the order of the new file.
    pieces: Vec<(usize, Range<usize>)>,
    narrow: Buffer,
    wide: Buffer,
    decompressor: SharedDecompressor,
    pause: Pause<'a>,
}

impl GroupColumns for Group<'_> {
    fn column(&mut self, position: usize) -> Result<&Buffer> {
        (self.pause)()?;
        let buffer = match empty_column(position) {
            Buffer::Narrow(_) => &mut self.narrow,
            Buffer::Wide(_) => &mut self.wide,
        };
        buffer.clear();
        for (input, rows) in &self.pieces {
            let source = self
                .sources
                .get_mut(*input)
                .ok_or_else(|| Error::internal("a job is in none of the inputs"))?;
            source.append(position, rows, buffer, &self.decompressor)?;
        }
        Ok(buffer)
    }
}

/// A decoded page of a column.
struct PageCells {
    /// Its rows in the file.
    rows: Range<usize>,
    /// None if the whole row group has no value there: then `rows` are the group's.
    cells: Option<Buffer>,
    mark: Mark,
}

/// An input, with the page of each column that was used last.
struct Source<'a> {
    file: &'a VerifiedFile,
    /// First row of each row group.
    starts: Vec<usize>,
    pages: Vec<Option<PageCells>>,
}

impl<'a> Source<'a> {
    fn new(file: &'a VerifiedFile) -> Self {
        Self {
            file,
            starts: file.group_ranges().map(|rows| rows.start).collect(),
            pages: (TS..COLUMNS).map(|_| None).collect(),
        }
    }

    /// Appends rows of a column.
    fn append(
        &mut self,
        position: usize,
        rows: &Range<usize>,
        out: &mut Buffer,
        decompressor: &SharedDecompressor,
    ) -> Result<()> {
        let slot = position.checked_sub(TS);
        let slot = slot.and_then(|slot| self.pages.get_mut(slot));
        let slot = slot.ok_or_else(|| Error::internal("a samples file has no such column"))?;
        let mut at = rows.start;
        while at < rows.end {
            let page = match slot {
                Some(page) if page.rows.contains(&at) => page,
                _ => slot.insert(read_page(
                    self.file,
                    &self.starts,
                    position,
                    at,
                    decompressor,
                )?),
            };
            let end = rows.end.min(page.rows.end);
            match &page.cells {
                None => out.push_nulls(end - at),
                Some(cells) => {
                    let first = page.rows.start;
                    out.append(cells, at - first..end - first, &mut page.mark)?;
                }
            }
            at = end;
        }
        Ok(())
    }
}

/// The page of a column that holds a row.
fn read_page(
    file: &VerifiedFile,
    starts: &[usize],
    position: usize,
    row: usize,
    decompressor: &SharedDecompressor,
) -> Result<PageCells> {
    let group = starts
        .partition_point(|start| *start <= row)
        .saturating_sub(1);
    let start = starts.get(group).copied().unwrap_or_default();
    let chunk = ColumnChunk::new(file, group, position)?;
    let is_empty = chunk.is_empty();
    let own = if is_empty {
        0..chunk.rows()
    } else {
        chunk.page_of(row - start)
    };
    let rows = start + own.start..start + own.end;
    if !rows.contains(&row) {
        return Err(Error::data(
            "segment_rows",
            "a samples file has fewer rows than the index says",
        ));
    }
    let cells = (!is_empty).then(|| chunk.read(&own, decompressor));
    Ok(PageCells {
        rows,
        cells: cells.transpose()?,
        mark: Mark::default(),
    })
}
