//! Data pages of one column chunk, for reading one job.
//!
//! The library's page reader makes a zstd compressor and a decompressor per column; for the two dozen
//! columns of one job that is a third of the whole read (measured with `perf`). This one reads only
//! what our samples files hold (V2 data pages, zstd, no dictionary), checked when they are read,
//! starts at the page that holds the first wanted row, and shares one decompressor.

use super::VerifiedFile;
use super::leaf::Leaf;
use super::thrift::{Compact, FALSE, I32, STRUCT, TRUE, odd};
use crate::num;
use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use zstd::bulk::Decompressor;

/// Pages larger than this are none of ours: 8,192 rows of 8 bytes and their levels are 66 KiB.
const PAGE_BYTES_MAX: usize = 1 << 20;

/// One decompressor for all columns of a read.
#[derive(Clone)]
pub(super) struct SharedDecompressor(Arc<Mutex<Decompressor<'static>>>);

impl SharedDecompressor {
    pub(super) fn new() -> Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Decompressor::new()?))))
    }

    fn append(&self, packed: &[u8], len: usize, out: &mut Vec<u8>) -> Result<()> {
        let mut decompressor = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let plain = decompressor.decompress(packed, len)?;
        if plain.len() != len {
            return Err(odd("a page has another length than its header says"));
        }
        out.extend_from_slice(&plain);
        Ok(())
    }
}

/// The pages of a chunk that hold a range of its rows.
pub(super) struct Pages {
    file: VerifiedFile,
    leaf: Arc<Leaf>,
    /// The numbers of those that are left.
    left: Range<usize>,
    decompressor: SharedDecompressor,
}

impl Pages {
    /// The pages that hold `rows`, and the number of rows in front of it in the first of them.
    pub(super) fn new(
        file: &VerifiedFile,
        leaf: &Arc<Leaf>,
        rows: &Range<usize>,
        decompressor: &SharedDecompressor,
    ) -> (Self, usize) {
        let left = leaf.pages_of(rows);
        let first = leaf.first_row(left.start);
        let skip = first.map_or(0, |first| rows.start.saturating_sub(first));
        let pages = Self {
            file: file.clone(),
            leaf: Arc::clone(leaf),
            left,
            decompressor: decompressor.clone(),
        };
        (pages, skip)
    }

    fn read(&self, number: usize) -> Result<Page> {
        let bytes = self.file.read(&self.leaf, number..number + 1);
        let bytes = bytes.map_err(|error| ParquetError::External(Box::new(error)))?;
        let (header, header_len) = Header::parse(&bytes)?;
        let levels_len = num::to_usize(u64::from(header.def_levels) + u64::from(header.rep_levels));
        let body = bytes.get(header_len..).unwrap_or_default();
        let (levels, packed) = body
            .split_at_checked(levels_len)
            .ok_or_else(|| odd("a page ends inside of its levels"))?;
        let whole = num::to_usize(u64::from(header.uncompressed));
        let values_len = whole
            .checked_sub(levels_len)
            .filter(|_| whole <= PAGE_BYTES_MAX)
            .ok_or_else(|| odd("a page header names an impossible length"))?;
        let mut plain = Vec::with_capacity(whole);
        plain.extend_from_slice(levels);
        if header.is_compressed && values_len > 0 {
            self.decompressor.append(packed, values_len, &mut plain)?;
        } else {
            plain.extend_from_slice(packed);
        }
        Ok(Page::DataPageV2 {
            buf: Bytes::from(plain),
            num_values: header.values,
            encoding: header.encoding,
            num_nulls: header.nulls,
            num_rows: header.rows,
            def_levels_byte_len: header.def_levels,
            rep_levels_byte_len: header.rep_levels,
            is_compressed: false,
            statistics: None,
        })
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let next = self.left.next();
        next.map(|number| self.read(number)).transpose()
    }

    /// The number of rows is only needed to skip whole pages, and none in front is handed out.
    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        let more = !self.left.is_empty();
        Ok(more.then_some(PageMetadata {
            num_rows: None,
            num_levels: None,
            is_dict: false,
        }))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.left.next();
        Ok(())
    }
}

/// The header of a V2 data page (Thrift, compact protocol).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) uncompressed: u32,
    pub(super) values: u32,
    pub(super) nulls: u32,
    pub(super) rows: u32,
    pub(super) encoding: Encoding,
    pub(super) def_levels: u32,
    pub(super) rep_levels: u32,
    pub(super) is_compressed: bool,
}

/// The header of a dictionary page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DictionaryHeader {
    pub(super) uncompressed: u32,
    pub(super) values: u32,
}

/// `PageType::DATA_PAGE_V2`, and the field of its own header.
const DATA_PAGE_V2: u32 = 3;
const DATA_HEADER: u32 = 8;
/// `PageType::DICTIONARY_PAGE`, and the field of its own header.
const DICTIONARY_PAGE: u32 = 2;
const DICTIONARY_HEADER: u32 = 7;

/// The numbers of a page header and of the header inside it, by field.
struct Fields {
    outer: [u32; 9],
    inner: [u32; 9],
    is_compressed: bool,
    len: usize,
}

impl Fields {
    /// The fields of a header whose own header stands in field `nested`.
    fn parse(bytes: &[u8], nested: u32) -> Result<Self> {
        let mut reader = Compact::new(bytes);
        let (mut outer, mut inner) = ([0u32; 9], [0u32; 9]);
        let mut is_compressed = true;
        while let Some((id, kind)) = reader.field()? {
            if (id, kind) != (nested, STRUCT) {
                number(&mut reader, id, kind, &mut outer)?;
                continue;
            }
            reader.nested(|reader, id, kind| {
                match kind {
                    // Of a data page whether it is compressed, of a dictionary whether it is sorted.
                    TRUE | FALSE => is_compressed = kind == TRUE,
                    _ => number(reader, id, kind, &mut inner)?,
                }
                Ok(())
            })?;
        }
        Ok(Self {
            outer,
            inner,
            is_compressed,
            len: reader.len(),
        })
    }
}

/// Reads a number into its field's place.
fn number(reader: &mut Compact<'_>, id: u32, kind: u8, fields: &mut [u32; 9]) -> Result<()> {
    let slot = fields.get_mut(num::to_usize(u64::from(id)));
    match (kind, slot) {
        (I32, Some(slot)) => {
            let value = u32::try_from(reader.integer()?);
            *slot = value.map_err(|_| odd("a page header holds an impossible number"))?;
            Ok(())
        }
        _ => Err(odd(
            "a page header holds a field that segment files do not use",
        )),
    }
}

impl DictionaryHeader {
    /// The header and its length.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, usize)> {
        let fields = Fields::parse(bytes, DICTIONARY_HEADER)?;
        let ([_, page_type, uncompressed, ..], [_, values, encoding, ..]) =
            (fields.outer, fields.inner);
        // PLAIN, or PLAIN_DICTIONARY as older writers called it.
        if page_type != DICTIONARY_PAGE || !matches!(encoding, 0 | 2) {
            return Err(odd("a page is no dictionary page"));
        }
        let header = Self {
            uncompressed,
            values,
        };
        Ok((header, fields.len))
    }
}

impl Header {
    /// The header and its length.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, usize)> {
        let fields = Fields::parse(bytes, DATA_HEADER)?;
        let is_compressed = fields.is_compressed;
        let [_, page_type, uncompressed, ..] = fields.outer;
        let [_, values, nulls, rows, encoding, def_levels, rep_levels, ..] = fields.inner;
        let encoding = match encoding {
            0 => Encoding::PLAIN,
            5 => Encoding::DELTA_BINARY_PACKED,
            7 => Encoding::DELTA_BYTE_ARRAY,
            8 => Encoding::RLE_DICTIONARY,
            9 => Encoding::BYTE_STREAM_SPLIT,
            _ => return Err(odd("a page has an encoding that segment files do not use")),
        };
        if page_type != DATA_PAGE_V2 {
            return Err(odd("a page is no V2 data page"));
        }
        let header = Self {
            uncompressed,
            values,
            nulls,
            rows,
            encoding,
            def_levels,
            rep_levels,
            is_compressed,
        };
        Ok((header, fields.len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_header_is_read_field_by_field() {
        // type 3, sizes 300 and 200, V2 header {100, 1, 100, BYTE_STREAM_SPLIT, 5, 0, compressed}.
        let bytes = [
            0x15, 6, 0x15, 0xd8, 4, 0x15, 0x90, 3, 0x5c, 0x15, 0xc8, 1, 0x15, 2, 0x15, 0xc8, 1,
            0x15, 18, 0x15, 10, 0x15, 0, 0x11, 0, 0,
        ];
        let (header, len) = Header::parse(&bytes).unwrap();
        assert_eq!(
            (
                header.uncompressed,
                header.values,
                header.nulls,
                header.rows
            ),
            (300, 100, 1, 100)
        );
        assert_eq!(
            (header.def_levels, header.encoding),
            (5, Encoding::BYTE_STREAM_SPLIT)
        );
        assert!(header.is_compressed);
        assert_eq!(len, bytes.len());
        for cut in 0..bytes.len() {
            assert!(Header::parse(&bytes[..cut]).is_err());
        }
    }

    proptest! {
        #[test]
        fn hostile_headers_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _outcome = Header::parse(&bytes);
            let _outcome = DictionaryHeader::parse(&bytes);
        }
    }
}
