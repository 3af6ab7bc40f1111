//! The page index of a segment file, column by column as it is asked for.
//!
//! A jobs file has 150 leaves and a question looks at three of them: reading the places and bounds of all
//! pages of all leaves would cost more than the question (docs/adr/0028), and keeping them in memory, read or
//! not, is more than the rest of an open file (docs/adr/0030).

use super::footer::{Chunk, integer};
use super::parquet_error;
use super::thrift::{BINARY, Compact, I32, I64, LIST, STRUCT, odd};
use crate::error::{Error, Result};
use crate::num;
use parquet::errors::Result as ParquetResult;
use parquet::file::page_index::offset_index::PageLocation;
use std::ops::Range;

/// What the index says of an integer column, page by page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageBounds {
    /// Smallest and largest value; `None` for a page without one.
    pub extremes: Vec<Option<(i64, i64)>>,
    /// Nulls, if they were counted.
    pub nulls: Option<Vec<i64>>,
}

impl PageBounds {
    /// Memory that they take, in bytes.
    pub(super) fn memory(&self) -> usize {
        let nulls = self.nulls.as_deref().map_or(0, size_of_val);
        size_of_val(&*self.extremes) + nulls
    }
}

fn missing() -> Error {
    Error::data(
        "segment_schema",
        "a segment file lacks a column or its index",
    )
}

/// The end of a file, from where its indexes begin, and where that is.
pub(super) struct Indexes<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) offset: u64,
}

impl Indexes<'_> {
    fn part(&self, range: Option<&Range<u64>>) -> Option<&[u8]> {
        let range = range?;
        let start = num::to_usize(range.start.checked_sub(self.offset)?);
        let end = num::to_usize(range.end.checked_sub(self.offset)?);
        self.bytes.get(start..end)
    }

    /// Where the pages of a leaf lie, in order.
    ///
    /// # Errors
    /// `Data` if there is no sound index of the leaf.
    pub(super) fn locations(&self, chunk: &Chunk) -> Result<Vec<PageLocation>> {
        let encoded = self.part(chunk.offset_index.as_ref());
        offset_index(encoded.ok_or_else(missing)?).map_err(parquet_error("reading a page index"))
    }

    /// Bounds of the pages of an integer leaf; `None` if there are none, or they are damaged: they only
    /// save work.
    pub(super) fn bounds(&self, chunk: &Chunk) -> Option<PageBounds> {
        column_index(self.part(chunk.column_index.as_ref())?).ok()
    }
}

/// `OffsetIndex` of parquet.thrift: its first field is the list of page locations.
fn offset_index(bytes: &[u8]) -> ParquetResult<Vec<PageLocation>> {
    let mut reader = Compact::new(bytes);
    let mut pages = Vec::new();
    while let Some(field) = reader.field()? {
        match field {
            (1, LIST) => {
                let len = reader.list(STRUCT)?;
                pages = Vec::with_capacity(len);
                for _ in 0..len {
                    pages.push(location(&mut reader)?);
                }
            }
            // Sizes of texts that nobody asks for.
            (2, LIST) => drop(reader.integers()?),
            _ => return Err(odd("a page index has an odd field")),
        }
    }
    Ok(pages)
}

fn location(reader: &mut Compact<'_>) -> ParquetResult<PageLocation> {
    let mut page = PageLocation {
        offset: -1,
        compressed_page_size: -1,
        first_row_index: -1,
    };
    reader.nested(|reader, id, kind| {
        match (id, kind) {
            (1, I64) => page.offset = reader.integer()?,
            (2, I32) => {
                let size = i32::try_from(reader.integer()?);
                page.compressed_page_size = size.map_err(|_| odd("a page of impossible size"))?;
            }
            (3, I64) => page.first_row_index = reader.integer()?,
            _ => return Err(odd("a page index has an odd field")),
        }
        Ok(())
    })?;
    if page.offset < 0 || page.compressed_page_size < 0 || page.first_row_index < 0 {
        return Err(odd("a page index lacks a place"));
    }
    Ok(page)
}

/// `ColumnIndex` of parquet.thrift, of a column of INT32 or INT64.
fn column_index(bytes: &[u8]) -> ParquetResult<PageBounds> {
    let mut reader = Compact::new(bytes);
    let (mut empty, mut least, mut most, mut nulls) = (Vec::new(), Vec::new(), Vec::new(), None);
    while let Some(field) = reader.field()? {
        match field {
            (1, LIST) => empty = reader.booleans()?,
            (2, LIST) => least = values(&mut reader)?,
            (3, LIST) => most = values(&mut reader)?,
            // How they are ordered does not matter here.
            (4, I32) => drop(reader.integer()?),
            (5, LIST) => nulls = Some(reader.integers()?),
            (6 | 7, LIST) => drop(reader.integers()?),
            _ => return Err(odd("a page index has an odd field")),
        }
    }
    let lists = [least.len(), most.len()];
    if lists.into_iter().any(|len| len != empty.len())
        || nulls
            .as_ref()
            .is_some_and(|nulls| nulls.len() != empty.len())
    {
        return Err(odd("a page index has lists of different lengths"));
    }
    let extremes = empty.into_iter().zip(least.into_iter().zip(most));
    let extremes = extremes.map(|(is_empty, (least, most))| least.zip(most).filter(|_| !is_empty));
    Ok(PageBounds {
        extremes: extremes.collect(),
        nulls,
    })
}

/// Plain little-endian integers of 4 or 8 bytes; `None` for anything else, as of an empty page.
fn values(reader: &mut Compact<'_>) -> ParquetResult<Vec<Option<i64>>> {
    let len = reader.list(BINARY)?;
    (0..len).map(|_| Ok(integer(reader.binary()?))).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::archived::SummarisedRow;
    use crate::segment::dir::{DataDir, Table};
    use crate::segment::jobs;
    use crate::segment::properties::ValueEncoding;
    use crate::segment::samples::{BuiltFile, SamplesWriter};
    use crate::segment::verified::VerifiedFile;
    use crate::testkit::jobs::archived_job;
    use crate::time::Date;
    use parquet::basic::Type as Physical;
    use parquet::file::page_index::column_index::ColumnIndexMetaData;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hostile_indexes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _outcome = offset_index(&bytes);
            let _outcome = column_index(&bytes);
        }
    }

    /// What the library reads of a leaf's bounds, in our form.
    fn of_library(index: &ColumnIndexMetaData) -> PageBounds {
        fn pairs<'a, T: Copy + Into<i64> + 'a>(
            least: impl Iterator<Item = Option<&'a T>>,
            most: impl Iterator<Item = Option<&'a T>>,
        ) -> Vec<Option<(i64, i64)>> {
            let pairs = least.zip(most);
            let wide = |(least, most): (&T, &T)| ((*least).into(), (*most).into());
            pairs
                .map(|(least, most)| least.zip(most).map(wide))
                .collect()
        }
        let extremes = match index {
            ColumnIndexMetaData::INT32(own) => pairs(own.min_values_iter(), own.max_values_iter()),
            ColumnIndexMetaData::INT64(own) => pairs(own.min_values_iter(), own.max_values_iter()),
            other => panic!("no integers: {other:?}"),
        };
        PageBounds {
            extremes,
            nulls: index.null_counts().cloned(),
        }
    }

    /// Opens what was built as the file of a table.
    fn opened(dir: &DataDir, table: Table, built: &BuiltFile) -> VerifiedFile {
        dir.write_durably(table, Date(1), "a.parquet", &built.bytes)
            .unwrap();
        let file = dir.open_file(table, Date(1), "a.parquet").unwrap();
        VerifiedFile::open(file, built.digests.clone()).unwrap()
    }

    /// Both files of a segment with more than one row group, and more than one page of each.
    pub(in super::super) fn both_files(root: &std::path::Path) -> [VerifiedFile; 2] {
        let dir = DataDir::open(root).unwrap();
        let mut samples = SamplesWriter::new(ValueEncoding::Native, 3).unwrap();
        let mut rows = Vec::new();
        for number in 1..=70 {
            let job = archived_job(number, 7, 1_000);
            samples.push(job.row.keys, &job.profile).unwrap();
            rows.push(SummarisedRow::compute(job.row, &job.profile));
        }
        rows.sort_by(jobs::order);
        let samples = samples.finish().unwrap();
        let jobs = jobs::build(&rows, &samples.digests, ValueEncoding::Native, 3).unwrap();
        [
            opened(&dir, Table::Samples, &samples),
            opened(&dir, Table::Jobs, &jobs),
        ]
    }

    #[test]
    fn every_leaf_reads_as_the_library_reads_it() {
        let root = tempfile::tempdir().unwrap();
        let mut looked_at = 0;
        for file in both_files(root.path()) {
            let (library, _) = file.library().unwrap();
            let library = library.metadata();
            let (places, bounds) = (
                library.offset_index().unwrap(),
                library.column_index().unwrap(),
            );
            for (group, chunks) in library.row_groups().iter().enumerate() {
                for (leaf, chunk) in chunks.columns().iter().enumerate() {
                    let own = file.known_leaf(group, leaf).unwrap();
                    assert_eq!(
                        own.locations.to_vec(),
                        places[group][leaf].page_locations,
                        "{group} {leaf}"
                    );
                    if matches!(chunk.column_type(), Physical::INT32 | Physical::INT64) {
                        let own = file.page_bounds(&own).unwrap();
                        assert_eq!(own, of_library(&bounds[group][leaf]), "{group} {leaf}");
                        looked_at += own.extremes.len();
                    }
                }
            }
        }
        assert!(looked_at > 400, "{looked_at} pages");
    }

    #[test]
    fn a_list_that_claims_more_than_there_is_is_refused_before_memory_is_taken() {
        // Field 1, a list of structs, of 2^40 elements.
        let bytes = [0x19, 0xfc, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0x00];
        assert!(offset_index(&bytes).is_err());
    }
}
