//! Reading with proof: no byte of a segment file reaches a decoder before its digest was checked.

use super::digest::Digests;
use super::dir::ReadFile;
use super::footer::{Chunk, Footer};
use super::page_index::{Indexes, PageBounds, PageIndex};
use super::{FORMAT, FORMAT_KEY, parquet_error};
use crate::error::{Error, Result};
use crate::fault;
use crate::invariant::{self, InvariantId};
use crate::num;
use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{ChunkReader, Length};
use std::io::Cursor;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use xxhash_rust::xxh3::xxh3_64;

/// Bytes that are read at once when a whole file is checked.
const PIECE: usize = 1 << 20;

/// Bytes of a segment file, checked when they are read. Gives the Parquet reader whole pages.
#[derive(Debug, Clone)]
pub struct PageStore {
    file: ReadFile,
    digests: Arc<Digests>,
}

impl PageStore {
    fn damaged(&self, what: &str) -> Error {
        let message = format!("{} is damaged: {what}", self.file.path().display());
        invariant::check(InvariantId::Ar5, false, || message.clone());
        Error::data("segment_damaged", message)
    }

    /// Pages that cover `range`, each checked, cut to it.
    fn pages(&self, range: Range<u64>) -> Result<Bytes> {
        let covering = self
            .digests
            .covering(range.clone())
            .ok_or_else(|| self.damaged("something outside of its pages was asked for"))?;
        let (Some((first, _)), Some((last, _))) = (covering.first(), covering.last()) else {
            return Err(self.damaged("no page covers what was asked for"));
        };
        let start = first.start;
        let bytes = self.file.read_at(start, num::to_usize(last.end - start))?;
        for (page, digest) in &covering {
            let at = num::to_usize(page.start - start)..num::to_usize(page.end - start);
            if bytes.get(at).map(xxh3_64) != Some(*digest) && !fault::omits("omit.page_digest") {
                return Err(self.damaged("a page does not match its digest"));
            }
        }
        let from = num::to_usize(range.start - start);
        Ok(bytes.slice(from..from + num::to_usize(range.end - range.start)))
    }

    /// Indexes and footer, checked.
    fn tail(&self) -> Result<Bytes> {
        let range = self.digests.tail_range();
        if self.file.len() != self.digests.file_len {
            return Err(self.damaged("its length is not what was written"));
        }
        let bytes = self
            .file
            .read_at(range.start, num::to_usize(range.end - range.start))?;
        if !self.digests.tail_matches(&bytes) && !fault::omits("omit.tail_digest") {
            return Err(self.damaged("the footer does not match its digest"));
        }
        Ok(bytes)
    }
}

impl Length for PageStore {
    fn len(&self) -> u64 {
        self.digests.file_len
    }
}

impl ChunkReader for PageStore {
    type T = Cursor<Bytes>;

    /// Only indexes and footer are read without a length.
    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let tail = self.digests.tail_range();
        if start < tail.start {
            return Err(ParquetError::General("unbounded read of pages".to_owned()));
        }
        let bytes = self
            .tail()
            .map_err(|error| ParquetError::External(Box::new(error)))?;
        let from = num::to_usize(start - tail.start).min(bytes.len());
        Ok(Cursor::new(bytes.slice(from..)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let range = start..start.saturating_add(num::len_u64(length));
        let tail = self.digests.tail_range();
        let bytes = if range.start >= tail.start {
            self.tail().map(|bytes| {
                let from = num::to_usize(range.start - tail.start).min(bytes.len());
                bytes.slice(from..bytes.len().min(from.saturating_add(length)))
            })
        } else {
            self.pages(range)
        };
        bytes.map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// An open segment file with its checked footer.
#[derive(Debug, Clone)]
pub struct VerifiedFile {
    /// Its bytes.
    pub store: Arc<PageStore>,
    pub(super) footer: Arc<Footer>,
    index: Arc<PageIndex>,
    library: Arc<OnceLock<Arc<ParquetMetaData>>>,
    /// What the footer takes: looking at all of it for every question would cost more than the question.
    footer_memory: usize,
}

impl VerifiedFile {
    /// Opens a file whose digests are known.
    ///
    /// # Errors
    /// `Data` if its length, footer or indexes are not what was written.
    pub fn open(file: ReadFile, digests: Digests) -> Result<Self> {
        let store = Arc::new(PageStore {
            file,
            digests: Arc::new(digests),
        });
        let tail = store.tail()?;
        let footer = Footer::parse(&tail).map_err(parquet_error("parsing a footer"))?;
        let index = PageIndex::default();
        if footer.is_of_samples() {
            index.keep(&tail);
        }
        let file = Self {
            footer_memory: footer.memory() + store.digests.memory(),
            footer: Arc::new(footer),
            index: Arc::new(index),
            library: Arc::default(),
            store,
        };
        file.check_format()?;
        Ok(file)
    }

    /// Newer files of the same major number only have more in them.
    fn check_format(&self) -> Result<()> {
        let major = |version: &'_ str| version.split('.').next().map(str::to_owned);
        let said = self.footer_value(FORMAT_KEY);
        if said.is_some_and(|said| major(said) == major(FORMAT)) {
            return Ok(());
        }
        Err(Error::data(
            "segment_format",
            format!(
                "{} has format {}, this program reads {FORMAT}: use the program that wrote it",
                self.store.file.path().display(),
                said.unwrap_or("unknown"),
            ),
        ))
    }

    /// Rows in it.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.footer.rows
    }

    /// The number of its row groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.footer.groups.len()
    }

    /// Rows of a row group; `None` if there is no such group.
    #[must_use]
    pub fn group_rows(&self, group: usize) -> Option<usize> {
        Some(self.footer.groups.get(group)?.rows)
    }

    /// The leaf of a flat column; `None` if the file has none of that name: older files lack younger
    /// columns.
    #[must_use]
    pub fn leaf(&self, name: &str) -> Option<usize> {
        self.footer.leaf(name)
    }

    /// A leaf of a row group.
    pub(super) fn chunk(&self, group: usize, leaf: usize) -> Result<&Chunk> {
        self.footer
            .chunk(group, leaf)
            .ok_or_else(|| Error::data("segment_schema", "a segment file lacks a column"))
    }

    /// Where the pages of a leaf lie in a row group, in order.
    ///
    /// # Errors
    /// `Data` if the file has no such leaf, or no sound index of it.
    pub fn page_locations(&self, group: usize, leaf: usize) -> Result<Arc<[PageLocation]>> {
        let place = (group, leaf);
        if let Some(known) = self.index.known(place) {
            return Ok(known);
        }
        let chunk = self.chunk(group, leaf)?;
        self.with_indexes(|indexes| self.index.locations(indexes, place, chunk))?
    }

    /// Bounds of the pages of an integer leaf in a row group; `None` if nothing is known.
    #[must_use]
    pub fn page_bounds(&self, group: usize, leaf: usize) -> Option<PageBounds> {
        let chunk = self.chunk(group, leaf).ok()?;
        let bounds = self.with_indexes(|indexes| indexes.bounds(chunk));
        bounds.ok().flatten()
    }

    fn with_indexes<T>(&self, look: impl FnOnce(&Indexes<'_>) -> T) -> Result<T> {
        let tail = match self.index.tail() {
            Some(kept) => kept,
            None => {
                let tail = self.store.tail()?;
                self.index.was_read(&tail);
                tail
            }
        };
        Ok(look(&Indexes {
            bytes: &tail,
            offset: self.store.digests.tail_range().start,
        }))
    }

    /// Footer and page index of every leaf in the Parquet library's form, for what it reads itself. Made
    /// once.
    ///
    /// # Errors
    /// `Data` if the library does not take them.
    pub fn parquet(&self) -> Result<Arc<ParquetMetaData>> {
        if let Some(known) = self.library.get() {
            return Ok(Arc::clone(known));
        }
        // Read once: the library would ask for it in four pieces.
        let tail = Tail {
            bytes: self.store.tail()?,
            offset: self.store.digests.tail_range().start,
            file_len: self.store.len(),
        };
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(&tail)
            .map_err(parquet_error("parsing a footer"))?;
        Ok(Arc::clone(self.library.get_or_init(|| Arc::new(metadata))))
    }

    /// Memory that footer and index take, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let library = self.library.get().map_or(0, |own| own.memory_size());
        self.footer_memory + self.index.memory() + library
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.store.len()
    }

    /// Whether there is nothing in it, which no segment file is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A value of the footer's key-value list.
    #[must_use]
    pub fn footer_value(&self, key: &str) -> Option<&str> {
        self.footer.value(key)
    }

    /// Reads and checks the whole file against its BLAKE3 digest.
    ///
    /// # Errors
    /// `Data` if it differs.
    pub fn verify_whole(&self) -> Result<()> {
        let file_len = self.store.digests.file_len;
        if self.store.file.len() != file_len {
            return Err(self.store.damaged("its length is not what was written"));
        }
        let mut hasher = blake3::Hasher::new();
        let mut offset = 0;
        while offset < file_len {
            let len = num::to_usize(file_len - offset).min(PIECE);
            hasher.update(&self.store.file.read_at(offset, len)?);
            offset += num::len_u64(len);
        }
        if hasher.finalize().as_bytes() == &self.store.digests.file {
            Ok(())
        } else {
            Err(self.store.damaged("the file does not match its digest"))
        }
    }
}

/// A piece of the checked tail, as a file in which nothing else is there.
struct Tail {
    bytes: Bytes,
    offset: u64,
    /// Of the whole file.
    file_len: u64,
}

impl Length for Tail {
    fn len(&self) -> u64 {
        self.file_len
    }
}

impl ChunkReader for Tail {
    type T = Cursor<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let from = num::to_usize(start.saturating_sub(self.offset)).min(self.bytes.len());
        Ok(Cursor::new(self.bytes.slice(from..)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let from = start.checked_sub(self.offset).map(num::to_usize);
        let range = from.and_then(|from| Some(from..from.checked_add(length)?));
        match range {
            Some(range) if range.end <= self.bytes.len() => Ok(self.bytes.slice(range)),
            _ => Err(ParquetError::EOF(
                "the footer names bytes outside of itself".to_owned(),
            )),
        }
    }
}
