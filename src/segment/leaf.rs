//! One leaf of one row group: what the footer says of it, where its pages lie, and their digests.
//!
//! What an open file keeps of the leaves that it was asked for: half a kilobyte each.

use super::dir::ReadFile;
use super::footer::Chunk;
use super::page_index::PageBounds;
use super::whole::{Whole, read_pages};
use crate::error::{Error, Result};
use crate::num;
use bytes::Bytes;
use parquet::basic::Type;
use parquet::file::page_index::offset_index::PageLocation;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// What a leaf takes beside its pages, with its place in a map.
const OVERHEAD: usize = size_of::<Leaf>() + 64;

/// A leaf of a row group.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) chunk: Chunk,
    /// Its data pages, in order.
    pub(super) locations: Box<[PageLocation]>,
    /// Their digests.
    digests: Box<[u64]>,
    /// The page of its dictionary, if it has one.
    dictionary: Option<(Range<u64>, u64)>,
    bounds: OnceLock<Option<PageBounds>>,
}

fn place(page: &PageLocation) -> Option<Range<u64>> {
    let start = u64::try_from(page.offset).ok()?;
    let len = u64::try_from(page.compressed_page_size).ok()?;
    Some(start..start.checked_add(len)?)
}

fn first_row(page: &PageLocation) -> usize {
    num::to_usize(page.first_row_index.unsigned_abs())
}

impl Leaf {
    /// The leaf of a file.
    ///
    /// # Errors
    /// `Data` if the file lacks it, or has no sound index of its pages.
    pub(super) fn of(whole: &Whole, (group, leaf): (usize, usize)) -> Result<Self> {
        let chunk = whole
            .footer
            .chunk(group, leaf)
            .cloned()
            .ok_or_else(|| Error::data("segment_schema", "a segment file lacks a column"))?;
        let odd = || {
            Error::data(
                "segment_schema",
                "a segment file has an index of other pages than its own",
            )
        };
        let locations = whole.indexes().locations(&chunk)?;
        let digests = locations
            .iter()
            .map(|page| whole.digests.page(&place(page)?));
        let digests = digests.collect::<Option<Box<[u64]>>>().ok_or_else(odd)?;
        let dictionary = match chunk.dictionary {
            None => None,
            Some(start) => {
                let end = locations.first().and_then(place).ok_or_else(odd)?.start;
                let digest = whole.digests.page(&(start..end)).ok_or_else(odd)?;
                Some((start..end, digest))
            }
        };
        Ok(Self {
            bounds: OnceLock::new(),
            chunk,
            locations: locations.into(),
            digests,
            dictionary,
        })
    }

    /// Memory that it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        OVERHEAD + size_of_val(&*self.locations) + size_of_val(&*self.digests)
    }

    /// Bounds of its pages if it is one of integers; `None` if nothing is known. `whole` is asked for them
    /// once; `grew` is told the memory that they take.
    ///
    /// # Errors
    /// Whatever `whole` returns.
    pub(super) fn bounds(
        &self,
        whole: impl FnOnce() -> Result<Arc<Whole>>,
        grew: impl FnOnce(usize),
    ) -> Result<Option<&PageBounds>> {
        let is_known = matches!(self.chunk.kind, Type::INT32 | Type::INT64);
        if !is_known {
            return Ok(None);
        }
        if self.bounds.get().is_none() {
            let bounds = whole()?.indexes().bounds(&self.chunk);
            let bytes = bounds.as_ref().map_or(0, PageBounds::memory);
            if self.bounds.set(bounds).is_ok() {
                grew(bytes);
            }
        }
        Ok(self.bounds.get().and_then(Option::as_ref))
    }

    /// The first row of a page, counted from that of the row group; `None` if there is no such page.
    pub(super) fn first_row(&self, page: usize) -> Option<usize> {
        self.locations.get(page).map(first_row)
    }

    /// The first row of a page, as [`Leaf::first_row`], and its length in bytes.
    pub(super) fn page(&self, page: usize) -> Option<(usize, usize)> {
        let page = self.locations.get(page)?;
        Some((
            first_row(page),
            usize::try_from(page.compressed_page_size).ok()?,
        ))
    }

    /// The numbers of the pages that hold these rows of the row group.
    pub(super) fn pages_of(&self, rows: &Range<usize>) -> Range<usize> {
        let behind = |page: &PageLocation| first_row(page) <= rows.start;
        let from = self.locations.partition_point(behind).saturating_sub(1);
        from..self
            .locations
            .partition_point(|page| first_row(page) < rows.end)
    }

    /// Its data pages of these numbers, as they stand in the file, behind one another.
    ///
    /// # Errors
    /// `Data` if one is damaged or there are none, `Unavailable` for I/O errors.
    pub(super) fn read(&self, file: &ReadFile, pages: Range<usize>) -> Result<Bytes> {
        let places = self.locations.get(pages.clone()).unwrap_or_default();
        let digests = self.digests.get(pages).unwrap_or_default();
        // Each was found among the pages of the file when this was made.
        let places = places.iter().filter_map(place);
        read_pages(file, places.zip(digests.iter().copied()))
    }

    /// Has the disk read all its pages without waiting for them.
    pub(super) fn expect(&self, file: &ReadFile) {
        let pages = self.locations.first().zip(self.locations.last());
        let places = pages.and_then(|(first, last)| place(first).zip(place(last)));
        if let Some((first, last)) = places {
            let dictionary = self.dictionary.as_ref();
            let start = dictionary.map_or(first.start, |(page, _)| page.start);
            file.expect(start..last.end);
        }
    }

    /// Its dictionary page, if it has one.
    ///
    /// # Errors
    /// As [`Leaf::read`].
    pub(super) fn read_dictionary(&self, file: &ReadFile) -> Result<Option<Bytes>> {
        let page = self.dictionary.clone();
        page.map(|page| read_pages(file, std::iter::once(page)))
            .transpose()
    }
}
