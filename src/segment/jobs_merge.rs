//! Merging jobs files into one: rows that stay as they are go over in Arrow's columns, a page at a
//! time; only what changes becomes a row of the model on the way.
//!
//! Called by the archive when it rewrites segments. At most one page of each input is held, beside the
//! row group that the library collects and the new file itself.

use super::copy::Pause;
use super::jobs::{Beside, JobsFile, JobsWriter, batch_of, schema};
use super::jobs_read::read_row;
use super::properties::{JOBS_BATCH_ROWS, ValueEncoding};
use super::samples::BuiltFile;
use crate::error::{Error, Result};
use crate::model::archived::SummarisedRow;
use crate::num;
use arrow_array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow_schema::{ArrowError, Field};
use arrow_select::interleave::interleave;
use std::fmt;

/// How a row comes into the new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// As it is.
    Same,
    /// Changed, at its place among the rows of its file.
    Changed,
    /// Changed, and perhaps at another place: it is read by itself.
    Moved,
}

/// A row of the new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Merged {
    /// Which of the inputs has it.
    pub input: usize,
    /// Its position there. Those of one input ascend, but for `Moved` ones.
    pub row: usize,
    /// See there.
    pub how: Move,
}

/// Makes of a row, given its number in the new file, what shall stand there instead.
pub type Change<'a> = &'a dyn Fn(usize, SummarisedRow) -> Result<SummarisedRow>;

/// Makes a jobs file out of rows of other ones, which are given in the order of the new file.
/// `beside` are the digests of the files of its name.
///
/// # Errors
/// `Data` if an input is damaged, `Internal` if rows that should ascend do not (a bug), whatever
/// `change` and `pause` say.
pub fn merge(
    inputs: &[&JobsFile],
    rows: &[Merged],
    change: Change<'_>,
    beside: Beside<'_>,
    (encoding, level): (ValueEncoding, i32),
    pause: Pause<'_>,
) -> Result<BuiltFile> {
    let bytes: u64 = inputs.iter().map(|file| file.file_bytes()).sum();
    let mut writer = JobsWriter::new(encoding, level, num::to_usize(bytes))?;
    let mut sources = Vec::with_capacity(inputs.len());
    for file in inputs {
        sources.push(Source::new(file)?);
    }
    let mut numbers = 0..;
    for page in rows.chunks(JOBS_BATCH_ROWS) {
        pause()?;
        let mut batch = Batch::default();
        for (row, number) in page.iter().zip(&mut numbers) {
            let source = sources.get_mut(row.input);
            let source =
                source.ok_or_else(|| Error::internal("a row is in none of the merged files"))?;
            batch.add(source, row, |row| change(number, row))?;
        }
        writer.write(&batch.build()?)?;
        sources.iter_mut().for_each(|source| source.slot = None);
    }
    writer.finish(beside)
}

/// An input, at one of its pages.
struct Source<'a> {
    file: &'a JobsFile,
    batches: Box<dyn Iterator<Item = Result<RecordBatch>>>,
    page: Option<RecordBatch>,
    /// Position of the page's first row.
    first: usize,
    /// Which number the page has among those of the batch in the making.
    slot: Option<usize>,
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("file", &self.file)
            .field("first", &self.first)
            .finish_non_exhaustive()
    }
}

impl<'a> Source<'a> {
    fn new(file: &'a JobsFile) -> Result<Self> {
        Ok(Self {
            file,
            batches: Box::new(file.batches()?),
            page: None,
            first: 0,
            slot: None,
        })
    }

    /// Goes on to the page that holds a row; gives it and the row's position in it.
    fn seek(&mut self, row: usize) -> Result<(&RecordBatch, usize)> {
        let unordered = || Error::internal("job rows were not merged in sort order");
        let at = row.checked_sub(self.first).ok_or_else(unordered)?;
        let (mut at, mut rows) = (at, self.page.as_ref().map_or(0, RecordBatch::num_rows));
        while at >= rows {
            let page = self.batches.next().ok_or_else(|| {
                Error::data(
                    "segment_rows",
                    "a jobs file has fewer rows than the index says",
                )
            })??;
            (at, self.first) = (at - rows, self.first + rows);
            rows = page.num_rows();
            self.page = Some(page);
            self.slot = None;
        }
        let page = self.page.as_ref().ok_or_else(unordered)?;
        Ok((page, at))
    }
}

/// A page of the new file in the making.
#[derive(Debug, Default)]
struct Batch {
    pages: Vec<RecordBatch>,
    changed: Vec<SummarisedRow>,
    /// For each row its page, or none if it is among the changed ones, and its position there.
    rows: Vec<(Option<usize>, usize)>,
}

impl Batch {
    fn add(
        &mut self,
        source: &mut Source<'_>,
        row: &Merged,
        change: impl FnOnce(SummarisedRow) -> Result<SummarisedRow>,
    ) -> Result<()> {
        let old = match row.how {
            Move::Same => {
                let (page, at) = source.seek(row.row)?;
                let page = page.clone();
                let slot = *source.slot.get_or_insert_with(|| {
                    self.pages.push(page);
                    self.pages.len() - 1
                });
                self.rows.push((Some(slot), at));
                return Ok(());
            }
            Move::Changed => {
                let (page, at) = source.seek(row.row)?;
                read_row(page, at)?
            }
            Move::Moved => source.file.read(row.row)?,
        };
        self.rows.push((None, self.changed.len()));
        self.changed.push(change(old)?);
        Ok(())
    }

    fn build(mut self) -> Result<RecordBatch> {
        let behind = self.pages.len();
        if !self.changed.is_empty() {
            self.pages.push(batch_of(&self.changed)?);
        }
        let places: Vec<(usize, usize)> = self
            .rows
            .iter()
            .map(|(page, at)| (page.unwrap_or(behind), *at))
            .collect();
        let schema = schema();
        let columns = schema
            .fields()
            .iter()
            .map(|field| self.column(field, &places));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>();
        columns
            .and_then(|columns| RecordBatch::try_new(schema, columns))
            .map_err(|error| {
                Error::data("segment_schema", "rows of jobs files do not fit together")
                    .with_source(error)
            })
    }

    /// A column of all rows. A page lacks it if its file has no value there.
    fn column(
        &self,
        field: &Field,
        places: &[(usize, usize)],
    ) -> std::result::Result<ArrayRef, ArrowError> {
        let nulls = |rows| new_null_array(field.data_type(), rows);
        let own = |page: &RecordBatch| page.column_by_name(field.name()).cloned();
        let found: Vec<Option<ArrayRef>> = self.pages.iter().map(own).collect();
        if found.iter().all(Option::is_none) {
            return Ok(nulls(places.len()));
        }
        let pages = found.into_iter().zip(&self.pages);
        let arrays: Vec<ArrayRef> = pages
            .map(|(array, page)| array.unwrap_or_else(|| nulls(page.num_rows())))
            .collect();
        let arrays: Vec<&dyn Array> = arrays.iter().map(AsRef::as_ref).collect();
        interleave(&arrays, places)
    }
}
