//! All that proves and describes a segment file: digests of its pages, page index and footer.
//!
//! Of a jobs file of ten thousand rows that is 120 KiB, and 300 more in the Parquet library's form; a question over
//! years of segments looks at three leaves of each. So an open file keeps what it was asked for (`leaf`),
//! and wholes stay only as far as [`Footers`] has room. A [`PageStore`] holds one while the library reads.

use super::digest::Digests;
use super::dir::ReadFile;
use super::footer::Footer;
use super::page_index::Indexes;
use super::parquet_error;
use crate::error::{Error, Result};
use crate::fault;
use crate::invariant::{self, InvariantId};
use crate::limits;
use crate::num;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};
use std::collections::VecDeque;
use std::io::Cursor;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use xxhash_rust::xxh3::xxh3_64;

/// Says that a file is not what was written.
pub(super) fn damaged(file: &ReadFile, what: &str) -> Error {
    let message = format!("{} is damaged: {what}", file.path().display());
    invariant::check(InvariantId::Ar5, false, || message.clone());
    Error::data("segment_damaged", message)
}

/// Reads pages that lie behind one another, each with its digest, and checks them.
///
/// # Errors
/// `Data` if there are none, or one is damaged; `Unavailable` for I/O errors.
pub(super) fn read_pages(
    file: &ReadFile,
    pages: impl Iterator<Item = (Range<u64>, u64)> + Clone,
) -> Result<Bytes> {
    let first = pages.clone().next();
    let (first, last) = first
        .zip(pages.clone().last())
        .ok_or_else(|| damaged(file, "no page covers what was asked for"))?;
    let start = first.0.start;
    let bytes = file.read_at(start, num::to_usize(last.0.end - start))?;
    for (page, digest) in pages {
        let at = num::to_usize(page.start - start)..num::to_usize(page.end - start);
        if bytes.get(at).map(xxh3_64) != Some(digest) && !fault::omits("omit.page_digest") {
            return Err(damaged(file, "a page does not match its digest"));
        }
    }
    Ok(bytes)
}

/// Digests, page index and footer of one file, checked.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) digests: Digests,
    pub(super) footer: Footer,
    tail: Bytes,
    /// Memory of all three.
    memory: usize,
    library: OnceLock<ArrowReaderMetadata>,
}

impl Whole {
    /// Reads what stands at the end of `file` and checks it.
    ///
    /// # Errors
    /// `Data` if it is not what was written, `Unavailable` for I/O errors.
    pub(super) fn read(file: &ReadFile, digests: Digests) -> Result<Self> {
        if file.len() != digests.file_len {
            return Err(damaged(file, "its length is not what was written"));
        }
        let range = digests.tail_range();
        let tail = file.read_at(range.start, num::to_usize(range.end - range.start))?;
        if !digests.tail_matches(&tail) && !fault::omits("omit.tail_digest") {
            return Err(damaged(file, "the footer does not match its digest"));
        }
        let footer = Footer::parse(&tail).map_err(parquet_error("parsing a footer"))?;
        Ok(Self {
            memory: digests.memory() + footer.memory() + tail.len(),
            digests,
            footer,
            tail,
            library: OnceLock::new(),
        })
    }

    fn tail(&self) -> Tail {
        Tail {
            bytes: self.tail.clone(),
            offset: self.digests.tail_range().start,
            file_len: self.digests.file_len,
        }
    }

    /// Its page index.
    pub(super) fn indexes(&self) -> Indexes<'_> {
        Indexes {
            bytes: &self.tail,
            offset: self.digests.tail_range().start,
        }
    }

    /// Footer and page index in the Parquet library's form, for what it reads itself. Made once.
    ///
    /// # Errors
    /// `Data` if the library does not take them.
    pub(super) fn library(&self) -> Result<&ArrowReaderMetadata> {
        if let Some(known) = self.library.get() {
            return Ok(known);
        }
        // From memory: the library would ask the file for it in four pieces.
        let tail = self.tail();
        let metadata = ParquetMetaDataReader::new()
            .with_page_index_policy(PageIndexPolicy::Optional)
            .parse_and_finish(&tail)
            .map_err(parquet_error("parsing a footer"))?;
        let library = ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new());
        let library = library.map_err(parquet_error("reading the schema of a segment file"))?;
        Ok(self.library.get_or_init(|| library))
    }

    /// Memory that it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        let library = self.library.get();
        self.memory + library.map_or(0, |own| own.metadata().memory_size())
    }
}

/// The wholes that were used last, of all files that share it; at most [`limits::FOOTERS_BYTES_MAX`] and
/// one.
#[derive(Debug, Default)]
pub struct Footers {
    /// By the numbers of files, the last used one last.
    kept: Mutex<VecDeque<(u64, Arc<Whole>)>>,
    numbers: AtomicU64,
}

impl Footers {
    /// The number of one more file.
    pub(super) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Relaxed)
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<(u64, Arc<Whole>)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The whole of a file, if it is kept.
    pub(super) fn get(&self, number: u64) -> Option<Arc<Whole>> {
        let mut kept = self.kept();
        let at = kept.iter().rposition(|(known, _)| *known == number)?;
        let own = kept.remove(at)?;
        let whole = Arc::clone(&own.1);
        kept.push_back(own);
        Some(whole)
    }

    /// Keeps the whole of a file, and lets go of others.
    pub(super) fn put(&self, number: u64, whole: &Arc<Whole>) {
        let mut kept = self.kept();
        kept.retain(|(known, _)| *known != number);
        kept.push_back((number, Arc::clone(whole)));
        // They grow by the library's form, so that they are counted anew each time.
        let mut bytes: usize = kept.iter().map(|(_, whole)| whole.memory()).sum();
        while bytes > limits::FOOTERS_BYTES_MAX && kept.len() > 1 {
            let Some((_, oldest)) = kept.pop_front() else {
                break;
            };
            bytes = bytes.saturating_sub(oldest.memory());
        }
    }

    /// Memory that all take, in bytes.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.kept().iter().map(|(_, whole)| whole.memory()).sum()
    }

    /// Lets go of the whole of a file that is closed.
    pub(super) fn forget(&self, number: u64) {
        self.kept().retain(|(known, _)| *known != number);
    }
}

/// Bytes of a segment file for the Parquet library: whole pages, checked when they are read.
#[derive(Debug, Clone)]
pub struct PageStore {
    file: ReadFile,
    whole: Arc<Whole>,
}

impl PageStore {
    pub(super) fn new(file: ReadFile, whole: Arc<Whole>) -> Self {
        Self { file, whole }
    }

    /// Pages that cover `range`, each checked, cut to it.
    fn pages(&self, range: Range<u64>) -> Result<Bytes> {
        let covering = self.whole.digests.covering(range.clone());
        let covering = covering
            .ok_or_else(|| damaged(&self.file, "something outside of its pages was asked for"))?;
        let start = covering.first().map_or(0, |(page, _)| page.start);
        let bytes = read_pages(&self.file, covering.into_iter())?;
        let from = num::to_usize(range.start - start);
        Ok(bytes.slice(from..from + num::to_usize(range.end - range.start)))
    }
}

impl Length for PageStore {
    fn len(&self) -> u64 {
        self.whole.digests.file_len
    }
}

impl ChunkReader for PageStore {
    type T = Cursor<Bytes>;

    /// Only indexes and footer are read without a length.
    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        if start < self.whole.digests.tail_range().start {
            return Err(ParquetError::General("unbounded read of pages".to_owned()));
        }
        self.whole.tail().get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        if start >= self.whole.digests.tail_range().start {
            return self.whole.tail().get_bytes(start, length);
        }
        self.pages(start..start.saturating_add(num::len_u64(length)))
            .map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// The end of a file, as a file in which nothing else is there.
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
