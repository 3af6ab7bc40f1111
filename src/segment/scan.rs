//! Columns of segment files for scans: whole pages, checked against their digests, straight into
//! Arrow arrays.
//!
//! Called by `archive`'s scan. Decodes what both files hold in flat columns: V2 pages with zstd,
//! BYTE_STREAM_SPLIT, DELTA_BINARY_PACKED, PLAIN and dictionaries. Decimals are given as the integers
//! they are on disk. The lists of the jobs file are read by the Parquet library (`lists`).

mod catalogue;
mod decode;
mod lists;
mod rows;
mod statistics;
mod texts;

pub use catalogue::{StoredColumn, StoredKind, job_columns, logical, sample_columns};
pub use lists::read_list;
pub use rows::{job_cells, sample_cells};
pub use statistics::{Bound, ColumnBounds, group_bounds, page_bounds};

use super::leaf::Leaf;
use super::pages::{DictionaryHeader, Header};
use super::{VerifiedFile, parquet_error};
use crate::error::{Error, Result};
use crate::num;
use arrow_array::{ArrayRef, Int32Array, Int64Array, StringViewArray, new_null_array};
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder, NullBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType};
use bytes::Bytes;
use decode::Native;
use parquet::basic::{Encoding, Type as Physical};
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use zstd::bulk::Decompressor;

/// What is scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Table {
    Samples,
    Jobs,
}

/// A page of ours has at most 8,192 rows of 8 bytes; the library's dictionaries may have 1 MiB, and a
/// page of texts whatever 1,024 of them take.
const PAGE_BYTES_MAX: usize = 64 << 20;

fn odd(what: &str) -> Error {
    Error::data("segment_page", format!("a segment file is damaged: {what}"))
}

fn arrow_error(error: ArrowError) -> Error {
    odd("its values are not what their type allows").with_source(error)
}

/// What decoding needs again and again: one decompressor and its buffer for all pages of a scan.
pub struct Scratch {
    zstd: Decompressor<'static>,
    plain: Vec<u8>,
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scratch")
    }
}

impl Scratch {
    /// A decompressor.
    ///
    /// # Errors
    /// `Unavailable` if there is no memory for it.
    pub fn new() -> Result<Self> {
        let zstd = Decompressor::new().map_err(|error| {
            Error::new(
                crate::error::ErrorKind::Unavailable,
                "no_memory",
                "there is no memory for reading; try again later",
            )
            .with_source(error)
        })?;
        Ok(Self {
            zstd,
            plain: Vec::new(),
        })
    }

    /// The plain bytes of a page's content.
    fn decompress(&mut self, packed: &[u8], len: usize) -> Result<&[u8]> {
        if len > PAGE_BYTES_MAX {
            return Err(odd("a page names an impossible length"));
        }
        self.plain.clear();
        if len > 0 {
            self.plain.reserve(len);
            let written = self
                .zstd
                .decompress_to_buffer(packed, &mut self.plain)
                .map_err(|error| odd("a page cannot be decompressed").with_source(error))?;
            if written != len {
                return Err(odd("a page has another length than its header says"));
            }
        }
        Ok(&self.plain)
    }
}

/// The dictionary of a chunk.
#[derive(Debug, Clone)]
enum Dictionary {
    Narrow(Vec<i32>),
    Wide(Vec<i64>),
    Text(StringViewArray),
}

impl Dictionary {
    fn narrow(&self) -> Option<&[i32]> {
        match self {
            Self::Narrow(values) => Some(values),
            _ => None,
        }
    }

    fn wide(&self) -> Option<&[i64]> {
        match self {
            Self::Wide(values) => Some(values),
            _ => None,
        }
    }

    fn text(&self) -> Option<&StringViewArray> {
        match self {
            Self::Text(values) => Some(values),
            _ => None,
        }
    }
}

/// One row group of a segment file, its dictionaries read once.
#[derive(Debug)]
pub struct GroupScan {
    file: VerifiedFile,
    group: usize,
    rows: usize,
    dictionaries: HashMap<usize, Arc<Dictionary>>,
}

impl GroupScan {
    /// Row group `group` of `file`.
    ///
    /// # Errors
    /// `Data` if there is none.
    pub fn new(file: &VerifiedFile, group: usize) -> Result<Self> {
        let rows = file.group_rows(group);
        Ok(Self {
            rows: rows.ok_or_else(|| odd("it has fewer row groups than it should"))?,
            file: file.clone(),
            group,
            dictionaries: HashMap::new(),
        })
    }

    /// Rows in it.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &VerifiedFile {
        &self.file
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> usize {
        self.group
    }

    /// The cells of a flat column in `rows`, counted from the group's first: Int32 or Int64 as on
    /// disk, texts as Utf8View. Only the pages that hold them are read.
    ///
    /// # Errors
    /// `Data` if the file is damaged, `Unavailable` if it cannot be read.
    pub fn column(
        &mut self,
        scratch: &mut Scratch,
        leaf: usize,
        rows: Range<usize>,
    ) -> Result<ArrayRef> {
        let known = self.file.known_leaf(self.group, leaf)?;
        let kind = known.chunk.kind;
        if known.chunk.is_all_null() {
            let kind = match kind {
                Physical::INT32 => DataType::Int32,
                Physical::INT64 => DataType::Int64,
                _ => DataType::Utf8View,
            };
            return Ok(new_null_array(&kind, rows.len()));
        }
        let pages = ChunkPages::read(&self.file, &known, &rows, self.rows)?;
        let dictionary = self.dictionary(scratch, leaf, &known)?;
        let dictionary = dictionary.as_deref();
        match kind {
            Physical::INT32 => {
                let (values, nulls) =
                    integers::<i32>(scratch, &pages, dictionary.and_then(Dictionary::narrow))?;
                Ok(Arc::new(Int32Array::new(values, nulls)))
            }
            Physical::INT64 => {
                let (values, nulls) =
                    integers::<i64>(scratch, &pages, dictionary.and_then(Dictionary::wide))?;
                Ok(Arc::new(Int64Array::new(values, nulls)))
            }
            Physical::BYTE_ARRAY => {
                texts::column(scratch, &pages, dictionary.and_then(Dictionary::text))
            }
            _ => Err(odd("a column has an unexpected type")),
        }
    }

    /// The chunk's dictionary, if it has one.
    fn dictionary(
        &mut self,
        scratch: &mut Scratch,
        leaf: usize,
        known: &Leaf,
    ) -> Result<Option<Arc<Dictionary>>> {
        if let Some(read) = self.dictionaries.get(&leaf) {
            return Ok(Some(Arc::clone(read)));
        }
        let Some(bytes) = self.file.read_dictionary(known)? else {
            return Ok(None);
        };
        let (header, header_len) =
            DictionaryHeader::parse(&bytes).map_err(parquet_error("reading a dictionary"))?;
        let packed = bytes.get(header_len..).unwrap_or_default();
        let plain = scratch.decompress(packed, num::to_usize(u64::from(header.uncompressed)))?;
        let count = num::to_usize(u64::from(header.values));
        let dictionary = match known.chunk.kind {
            Physical::INT32 => plain_integers(plain, count).map(Dictionary::Narrow),
            Physical::INT64 => plain_integers(plain, count).map(Dictionary::Wide),
            _ => texts::plain(plain, count)?.map(Dictionary::Text),
        };
        let dictionary = Arc::new(dictionary.ok_or_else(|| odd("a dictionary is damaged"))?);
        self.dictionaries.insert(leaf, Arc::clone(&dictionary));
        Ok(Some(dictionary))
    }
}

fn plain_integers<T: Native>(plain: &[u8], count: usize) -> Option<Vec<T>> {
    let mut values = Vec::new();
    T::plain(plain, count, &mut values)?;
    Some(values)
}

/// The pages of a chunk that hold a range of rows, read in one go.
struct ChunkPages {
    bytes: Bytes,
    /// Place in `bytes`, and the rows of the page that are wanted.
    pages: Vec<(Range<usize>, Range<usize>)>,
    rows: usize,
}

impl ChunkPages {
    fn read(
        file: &VerifiedFile,
        leaf: &Leaf,
        rows: &Range<usize>,
        group_rows: usize,
    ) -> Result<Self> {
        let outside = || odd("its pages do not hold the rows that they should");
        let wanted = leaf.pages_of(rows);
        let bytes = file.read(leaf, wanted.clone())?;
        let mut pages = Vec::with_capacity(wanted.len());
        let mut at = 0;
        for number in wanted {
            let (first, len) = leaf.page(number).ok_or_else(outside)?;
            let next = leaf.page(number + 1).map_or(group_rows, |(first, _)| first);
            let own = rows.start.max(first)..rows.end.min(next);
            let own = own.start.checked_sub(first).zip(own.end.checked_sub(first));
            let (from_row, to_row) = own.ok_or_else(outside)?;
            pages.push((at..at + len, from_row..to_row));
            at += len;
        }
        Ok(Self {
            bytes,
            pages,
            rows: rows.len(),
        })
    }

    /// Visits every page: its content and which of its rows are wanted.
    fn each(
        &self,
        scratch: &mut Scratch,
        mut visit: impl FnMut(Content<'_>, &Range<usize>) -> Result<()>,
    ) -> Result<()> {
        for (place, wanted) in &self.pages {
            let bytes = self.bytes.get(place.clone()).unwrap_or_default();
            let (header, len) = Header::parse(bytes).map_err(parquet_error("reading a page"))?;
            let levels_len = num::to_usize(u64::from(header.def_levels));
            let body = bytes.get(len..).unwrap_or_default();
            let split = body.split_at_checked(levels_len);
            let (levels, packed) = split.ok_or_else(|| odd("a page ends inside of its levels"))?;
            let whole = num::to_usize(u64::from(header.uncompressed));
            let plain_len = whole.checked_sub(levels_len);
            let plain_len = plain_len.ok_or_else(|| odd("a page is shorter than its levels"))?;
            let plain = if header.is_compressed {
                scratch.decompress(packed, plain_len)?
            } else {
                packed
            };
            let rows = num::to_usize(u64::from(header.values));
            let nulls = num::to_usize(u64::from(header.nulls));
            let present = (nulls > 0).then(|| levels_of(levels, rows)).transpose()?;
            if wanted.end > rows || nulls > rows {
                return Err(odd("a page has fewer rows than its index says"));
            }
            let content = Content {
                encoding: header.encoding,
                plain,
                values: rows - nulls,
                rows,
                present,
            };
            visit(content, wanted)?;
        }
        Ok(())
    }
}

fn levels_of(levels: &[u8], rows: usize) -> Result<BooleanBuffer> {
    let mut present = BooleanBufferBuilder::new(rows);
    decode::hybrid(levels, 1, rows, |value, len| {
        present.append_n(len, value == 1);
    })
    .ok_or_else(|| odd("the levels of a page are damaged"))?;
    Ok(present.finish())
}

/// A page, decompressed.
struct Content<'a> {
    encoding: Encoding,
    plain: &'a [u8],
    /// Values that are there.
    values: usize,
    rows: usize,
    /// Which rows have one, if not all.
    present: Option<BooleanBuffer>,
}

/// The nulls of a column in the making: none are kept until the first one is seen.
struct Nulls {
    rows: usize,
    seen: Option<BooleanBufferBuilder>,
}

impl Nulls {
    fn new() -> Self {
        Self {
            rows: 0,
            seen: None,
        }
    }

    fn add(&mut self, present: Option<&BooleanBuffer>, wanted: &Range<usize>, capacity: usize) {
        if let (None, Some(_)) = (&self.seen, present) {
            let mut all = BooleanBufferBuilder::new(capacity);
            all.append_n(self.rows, true);
            self.seen = Some(all);
        }
        if let Some(seen) = &mut self.seen {
            match present {
                None => seen.append_n(wanted.len(), true),
                Some(present) => {
                    seen.append_buffer(&present.slice(wanted.start, wanted.len()));
                }
            }
        }
        self.rows += wanted.len();
    }

    fn finish(self) -> Option<NullBuffer> {
        let nulls = NullBuffer::new(self.seen?.finish());
        (nulls.null_count() > 0).then_some(nulls)
    }
}

/// The integers of a column, a default where there is none.
fn integers<T: Native + arrow_buffer::ArrowNativeType>(
    scratch: &mut Scratch,
    pages: &ChunkPages,
    dictionary: Option<&[T]>,
) -> Result<(ScalarBuffer<T>, Option<NullBuffer>)> {
    let mut out: Vec<T> = Vec::with_capacity(pages.rows);
    let mut nulls = Nulls::new();
    let mut values: Vec<T> = Vec::new();
    pages.each(scratch, |content, wanted| {
        let start = out.len();
        match &content.present {
            // The usual page: no null, and all of its rows.
            None if wanted.len() == content.rows => append(&content, dictionary, &mut out)?,
            None => {
                values.clear();
                append(&content, dictionary, &mut values)?;
                out.extend_from_slice(values.get(wanted.clone()).unwrap_or_default());
            }
            Some(present) => {
                values.clear();
                append(&content, dictionary, &mut values)?;
                let mut there = values.iter().copied();
                let spread = present
                    .iter()
                    .map(|is_there| {
                        if is_there {
                            there.next().unwrap_or_default()
                        } else {
                            T::default()
                        }
                    })
                    .take(wanted.end)
                    .skip(wanted.start);
                out.extend(spread);
            }
        }
        if out.len() - start != wanted.len() {
            return Err(odd("a page has fewer values than its header says"));
        }
        nulls.add(content.present.as_ref(), wanted, pages.rows);
        Ok(())
    })?;
    Ok((ScalarBuffer::from(out), nulls.finish()))
}

/// Appends the values of a page.
fn append<T: Native>(
    content: &Content<'_>,
    dictionary: Option<&[T]>,
    out: &mut Vec<T>,
) -> Result<()> {
    let before = out.len();
    let (plain, count) = (content.plain, content.values);
    let read = match content.encoding {
        Encoding::BYTE_STREAM_SPLIT => T::byte_stream_split(plain, count, out),
        Encoding::PLAIN => T::plain(plain, count, out),
        Encoding::DELTA_BINARY_PACKED => return decode::delta(plain, count, out),
        _ => {
            let dictionary = dictionary.ok_or_else(|| odd("a page lacks its dictionary"))?;
            let mut known = true;
            let (width, rest) = plain.split_first().unwrap_or((&0, &[]));
            let runs = decode::hybrid(rest, *width, count, |index, len| {
                match dictionary.get(num::to_usize(u64::from(index))) {
                    Some(value) => out.resize(out.len() + len, *value),
                    None => known = false,
                }
            });
            runs.filter(|()| known)
        }
    };
    match read {
        Some(()) if out.len() - before == count => Ok(()),
        _ => Err(odd("the values of a page are damaged")),
    }
}

#[cfg(test)]
mod tests;
