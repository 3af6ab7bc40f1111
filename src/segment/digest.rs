//! Digests of a Parquet file: one per page, one for everything behind the pages (indexes and
//! footer), one for the whole file.
//!
//! Spelling (version 1): byte `1`; file length, u64; BLAKE3-256 of the file, 32 bytes; number of
//! pages, u32; per page in file order its length, u32, and its xxh3-64, u64; xxh3-64 of the rest of
//! the file, u64. All little-endian. Pages follow each other without holes from offset 4 (behind the
//! magic `PAR1`), so their offsets need not be stored. In the footer of a jobs file the same bytes
//! stand in lower-case hexadecimal.
//!
//! Why pages and not column chunks: one job is one page of a chunk of eight, and checking the other
//! seven would cost more than decoding the one (docs/adr/0003).

use crate::error::{Error, Result};
use crate::num;
use parquet::file::metadata::ParquetMetaData;
use std::fmt::Write as _;
use std::ops::Range;
use xxhash_rust::xxh3::xxh3_64;

/// Bytes in front of the first page: the magic `PAR1`.
const FIRST_PAGE: u64 = 4;
/// What a page takes in the spelling.
const PAGE_BYTES: usize = 12;

/// Digests of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// Length of the file in bytes.
    pub file_len: u64,
    /// BLAKE3-256 of the file.
    pub file: [u8; 32],
    /// Where every page ends; the next one begins there.
    ends: Vec<u64>,
    /// xxh3-64 of every page.
    pages: Vec<u64>,
    /// xxh3-64 of what is behind the last page.
    tail: u64,
}

fn broken(what: &str) -> Error {
    Error::data(
        "segment_digests",
        format!("digests of a segment file: {what}"),
    )
}

impl Digests {
    /// Memory that they take, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        (self.ends.capacity() + self.pages.capacity()) * 8
    }

    /// Computes the digests of a file that was just written.
    ///
    /// # Errors
    /// `Internal` if the metadata names pages with holes between them (a writer we do not know).
    pub fn compute(file: &[u8], metadata: &ParquetMetaData) -> Result<Self> {
        let (mut ends, mut pages) = (Vec::new(), Vec::new());
        let mut offset = FIRST_PAGE;
        for len in page_lengths(metadata)? {
            let end = offset + u64::from(len);
            let bytes = slice(file, offset..end)
                .ok_or_else(|| Error::internal("a page lies outside of its file"))?;
            ends.push(end);
            pages.push(xxh3_64(bytes));
            offset = end;
        }
        let rest = slice(file, offset..num::len_u64(file.len()))
            .ok_or_else(|| Error::internal("pages reach behind the end of their file"))?;
        Ok(Self {
            file_len: num::len_u64(file.len()),
            file: *blake3::hash(file).as_bytes(),
            ends,
            pages,
            tail: xxh3_64(rest),
        })
    }

    /// Where the pages end and indexes and footer begin.
    #[must_use]
    pub fn tail_range(&self) -> Range<u64> {
        self.ends.last().copied().unwrap_or(FIRST_PAGE)..self.file_len
    }

    /// Whether `bytes` are the tail.
    #[must_use]
    pub fn tail_matches(&self, bytes: &[u8]) -> bool {
        xxh3_64(bytes) == self.tail
    }

    /// The pages that cover `range`, as ranges of the file with their digests; `None` if the range
    /// is not inside the pages.
    pub fn covering(&self, range: Range<u64>) -> Option<Vec<(Range<u64>, u64)>> {
        let first = self.ends.partition_point(|end| *end <= range.start);
        let before = first.checked_sub(1).map(|before| self.ends.get(before));
        let mut start = before.map_or(Some(FIRST_PAGE), |end| end.copied())?;
        let pages = self.ends.get(first..)?.iter().zip(self.pages.get(first..)?);
        let mut covering = Vec::new();
        for (end, digest) in pages {
            if start >= range.end {
                break;
            }
            covering.push((start..*end, *digest));
            start = *end;
        }
        let starts = covering.first()?.0.start <= range.start;
        let ends = covering.last()?.0.end >= range.end;
        (starts && ends).then_some(covering)
    }

    /// The digest of the page that takes exactly this place; `None` if there is no such page.
    #[must_use]
    pub fn page(&self, place: &Range<u64>) -> Option<u64> {
        let number = self.ends.binary_search(&place.end).ok()?;
        let start = match number.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => FIRST_PAGE,
        };
        let digest = self.pages.get(number).copied();
        digest.filter(|_| start == place.start)
    }

    /// The spelling, see the module.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![1u8];
        out.extend_from_slice(&self.file_len.to_le_bytes());
        out.extend_from_slice(&self.file);
        let count = u32::try_from(self.pages.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&count.to_le_bytes());
        let mut start = FIRST_PAGE;
        for (end, digest) in self.ends.iter().zip(&self.pages) {
            let len = u32::try_from(end - start).unwrap_or(u32::MAX);
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(&digest.to_le_bytes());
            start = *end;
        }
        out.extend_from_slice(&self.tail.to_le_bytes());
        out
    }

    /// Reads the spelling.
    ///
    /// # Errors
    /// `Data` if it is no such spelling.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        if take::<1>(&mut rest)? != [1] {
            return Err(broken("unknown version"));
        }
        let file_len = u64::from_le_bytes(take(&mut rest)?);
        let file = take(&mut rest)?;
        let count = u32::from_le_bytes(take(&mut rest)?);
        // No more memory than there are bytes for, whatever is claimed.
        let room = num::to_usize(u64::from(count)).min(rest.len() / PAGE_BYTES);
        let (mut ends, mut pages) = (Vec::with_capacity(room), Vec::with_capacity(room));
        let mut offset = FIRST_PAGE;
        for _ in 0..count {
            let len = u32::from_le_bytes(take(&mut rest)?);
            offset = offset.saturating_add(u64::from(len));
            ends.push(offset);
            pages.push(u64::from_le_bytes(take(&mut rest)?));
        }
        let tail = u64::from_le_bytes(take(&mut rest)?);
        if !rest.is_empty() || offset > file_len {
            return Err(broken("they do not fit together"));
        }
        Ok(Self {
            file_len,
            file,
            ends,
            pages,
            tail,
        })
    }

    /// The spelling in hexadecimal, for a Parquet footer.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.encode().iter().fold(String::new(), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
    }

    /// Reads [`Digests::to_hex`].
    ///
    /// # Errors
    /// `Data` if it is no such text.
    pub fn from_hex(text: &str) -> Result<Self> {
        let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
        let digits = digits.ok_or_else(|| broken("not hexadecimal"))?;
        let bytes: Option<Vec<u8>> = digits
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => u8::try_from(high * 16 + low).ok(),
                _ => None,
            })
            .collect();
        Self::decode(&bytes.ok_or_else(|| broken("an odd number of digits"))?)
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (head, tail) = rest
        .split_first_chunk()
        .ok_or_else(|| broken("they end too early"))?;
    *rest = tail;
    Ok(*head)
}

fn slice(file: &[u8], range: Range<u64>) -> Option<&[u8]> {
    file.get(num::to_usize(range.start)..num::to_usize(range.end))
}

/// Lengths of all pages in file order, dictionary pages included.
fn page_lengths(metadata: &ParquetMetaData) -> Result<Vec<u32>> {
    let hole = || Error::internal("a segment file has holes between its pages");
    let mut lengths = Vec::new();
    if metadata.row_groups().is_empty() {
        // A file without rows (jobs without samples) has no pages and no index of them.
        return Ok(lengths);
    }
    let offsets = metadata.offset_index().ok_or_else(hole)?;
    let mut at = i64::try_from(FIRST_PAGE).unwrap_or(i64::MAX);
    for (group, columns) in metadata.row_groups().iter().zip(offsets) {
        for (chunk, index) in group.columns().iter().zip(columns) {
            let first = index.page_locations().first().ok_or_else(hole)?.offset;
            if let Some(dictionary) = chunk.dictionary_page_offset() {
                let len = u32::try_from(first - dictionary).map_err(|_| hole())?;
                if dictionary != at {
                    return Err(hole());
                }
                lengths.push(len);
                at = first;
            }
            for page in index.page_locations() {
                if page.offset != at {
                    return Err(hole());
                }
                lengths.push(u32::try_from(page.compressed_page_size).map_err(|_| hole())?);
                at += i64::from(page.compressed_page_size);
            }
        }
    }
    Ok(lengths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digests(lens: &[u32]) -> Digests {
        let mut end = FIRST_PAGE;
        let ends = lens.iter().map(|len| {
            end += u64::from(*len);
            end
        });
        let ends: Vec<u64> = ends.collect();
        Digests {
            file_len: ends.last().unwrap_or(&FIRST_PAGE) + 100,
            file: [7; 32],
            ends,
            pages: lens.iter().map(|len| u64::from(*len)).collect(),
            tail: 9,
        }
    }

    proptest! {
        #[test]
        fn the_spelling_round_trips(lens in prop::collection::vec(1u32..1_000_000, 0..50)) {
            let digests = digests(&lens);
            prop_assert_eq!(&Digests::decode(&digests.encode()).unwrap(), &digests);
            prop_assert_eq!(Digests::from_hex(&digests.to_hex()).unwrap(), digests);
        }

        #[test]
        fn hostile_spellings_are_errors(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(Digests::decode(&bytes).is_err());
        }
    }

    #[test]
    fn covering_finds_whole_pages_or_nothing() {
        let digests = digests(&[10, 20, 30]);
        assert_eq!(digests.covering(14..34).unwrap(), vec![(14..34, 20)]);
        assert_eq!(
            digests.covering(5..15).unwrap(),
            vec![(4..14, 10), (14..34, 20)]
        );
        assert!(digests.covering(60..70).is_none());
        assert_eq!(digests.tail_range(), 64..164);
    }
}
