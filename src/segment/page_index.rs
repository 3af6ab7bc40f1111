//! The page index of a segment file, column by column as it is asked for.
//!
//! A jobs file has 170 leaves and a question looks at three of them: reading the places and bounds of all
//! pages of all leaves would cost more than the question (docs/adr/0028). What the Parquet library wants
//! to read with is made whole when it is first asked for.

use super::parquet_error;
use super::thrift::{BINARY, Compact, I32, I64, LIST, STRUCT, odd};
use crate::error::{Error, Result};
use crate::num;
use bytes::Bytes;
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

/// What the places of one leaf take beside themselves.
const LOCATIONS_OVERHEAD: usize = 64;

/// Row group and leaf.
type Place = (usize, usize);

/// The index, still encoded, and what was read of it.
#[derive(Debug)]
pub(super) struct PageIndex {
    bytes: Bytes,
    /// Where in the file `bytes` begin.
    offset: u64,
    locations: RwLock<HashMap<Place, Arc<[PageLocation]>>>,
    /// Metadata with the index in the library's form.
    whole: OnceLock<Arc<ParquetMetaData>>,
    /// Memory that all of it takes.
    memory: AtomicUsize,
}

/// What the index says of an integer column, page by page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageBounds {
    /// Smallest and largest value; `None` for a page without one.
    pub extremes: Vec<Option<(i64, i64)>>,
    /// Nulls, if they were counted.
    pub nulls: Option<Vec<i64>>,
}

fn missing() -> Error {
    Error::data(
        "segment_schema",
        "a segment file lacks a column or its index",
    )
}

fn chunk(metadata: &ParquetMetaData, (group, leaf): Place) -> Option<&ColumnChunkMetaData> {
    metadata.row_groups().get(group)?.columns().get(leaf)
}

impl PageIndex {
    /// The index of a file with this metadata; `tail` begins at `offset` and holds all of it.
    pub(super) fn new(metadata: &ParquetMetaData, tail: &Bytes, offset: u64) -> Self {
        let chunks = metadata
            .row_groups()
            .iter()
            .flat_map(|group| group.columns());
        let ends = chunks.flat_map(|chunk| {
            let offsets = chunk.offset_index_offset().zip(chunk.offset_index_length());
            let bounds = chunk.column_index_offset().zip(chunk.column_index_length());
            [offsets, bounds].into_iter().flatten()
        });
        let end = ends
            .filter_map(|(start, len)| u64::try_from(start.checked_add(i64::from(len))?).ok())
            .max();
        let len = num::to_usize(end.unwrap_or(offset).saturating_sub(offset)).min(tail.len());
        Self {
            // A copy: a slice would keep the footer in memory, too.
            bytes: Bytes::copy_from_slice(tail.get(..len).unwrap_or_default()),
            offset,
            locations: RwLock::default(),
            whole: OnceLock::new(),
            memory: AtomicUsize::new(len),
        }
    }

    /// The metadata with the index in the library's form; `make` gets the encoded index and where in the
    /// file it begins, and is asked once.
    pub(super) fn whole(
        &self,
        make: impl FnOnce(Bytes, u64) -> Result<ParquetMetaData>,
    ) -> Result<Arc<ParquetMetaData>> {
        if let Some(whole) = self.whole.get() {
            return Ok(Arc::clone(whole));
        }
        let whole = make(self.bytes.clone(), self.offset)?;
        self.memory.fetch_add(whole.memory_size(), Relaxed);
        Ok(Arc::clone(self.whole.get_or_init(|| Arc::new(whole))))
    }

    /// Memory that it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        self.memory.load(Relaxed)
    }

    fn part(&self, offset: Option<i64>, len: Option<i32>) -> Option<&[u8]> {
        let start = u64::try_from(offset?).ok()?.checked_sub(self.offset)?;
        let start = num::to_usize(start);
        self.bytes
            .get(start..start.checked_add(usize::try_from(len?).ok()?)?)
    }

    /// Where the pages of a leaf lie in a row group, in order.
    ///
    /// # Errors
    /// `Data` if the file has no such leaf, or no sound index of it.
    pub(super) fn locations(
        &self,
        metadata: &ParquetMetaData,
        place: Place,
    ) -> Result<Arc<[PageLocation]>> {
        let known = self
            .locations
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(pages) = known.get(&place) {
            return Ok(Arc::clone(pages));
        }
        drop(known);
        let chunk = chunk(metadata, place).ok_or_else(missing)?;
        let encoded = self.part(chunk.offset_index_offset(), chunk.offset_index_length());
        let pages = offset_index(encoded.ok_or_else(missing)?)
            .map_err(parquet_error("reading a page index"))?;
        let pages: Arc<[PageLocation]> = pages.into();
        self.memory
            .fetch_add(size_of_val(&*pages) + LOCATIONS_OVERHEAD, Relaxed);
        let mut known = self
            .locations
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(known.entry(place).or_insert(pages)))
    }

    /// Bounds of the pages of an integer leaf; `None` if there are none, or they are damaged: they only
    /// save work.
    pub(super) fn bounds(&self, metadata: &ParquetMetaData, place: Place) -> Option<PageBounds> {
        let chunk = chunk(metadata, place)?;
        let encoded = self.part(chunk.column_index_offset(), chunk.column_index_length())?;
        column_index(encoded).ok()
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
    let value = |bytes: &[u8]| match bytes.len() {
        4 => Some(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        8 => Some(i64::from_le_bytes(bytes.try_into().ok()?)),
        _ => None,
    };
    (0..len).map(|_| Ok(value(reader.binary()?))).collect()
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn every_leaf_reads_as_the_library_reads_it() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open(root.path()).unwrap();
        let mut samples = SamplesWriter::new(ValueEncoding::Native, 3).unwrap();
        let mut rows = Vec::new();
        // More than one row group, more than one page of each.
        for number in 1..=70 {
            let job = archived_job(number, 7, 1_000);
            samples.push(job.row.keys, &job.profile).unwrap();
            rows.push(SummarisedRow::compute(job.row, &job.profile));
        }
        rows.sort_by(jobs::order);
        let samples = samples.finish().unwrap();
        let jobs = jobs::build(&rows, &samples.digests, ValueEncoding::Native, 3).unwrap();
        let mut looked_at = 0;
        for file in [
            opened(&dir, Table::Samples, &samples),
            opened(&dir, Table::Jobs, &jobs),
        ] {
            let library = file.indexed().unwrap();
            let (places, bounds) = (
                library.offset_index().unwrap(),
                library.column_index().unwrap(),
            );
            for (group, chunks) in file.metadata.row_groups().iter().enumerate() {
                for (leaf, chunk) in chunks.columns().iter().enumerate() {
                    let own = file.page_locations(group, leaf).unwrap();
                    assert_eq!(
                        own.to_vec(),
                        places[group][leaf].page_locations,
                        "{group} {leaf}"
                    );
                    if matches!(chunk.column_type(), Physical::INT32 | Physical::INT64) {
                        let own = file.page_bounds(group, leaf).unwrap();
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
