//! Reading Thrift's compact protocol, as far as the structures that are read for every scan and every job
//! need it: page headers and page indexes. Everything else is the Parquet library's.
//!
//! Whatever the bytes are, nothing panics and nothing is made that is larger than they are.

use crate::num;
use parquet::errors::{ParquetError, Result};

/// Types of fields and of elements.
pub(super) const TRUE: u8 = 1;
pub(super) const FALSE: u8 = 2;
pub(super) const I32: u8 = 5;
pub(super) const I64: u8 = 6;
pub(super) const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
pub(super) const STRUCT: u8 = 12;
/// The end of a struct.
const STOP: u8 = 0;
/// A list of more elements has its length behind its first byte.
const SHORT_LIST_MAX: u8 = 14;

/// An error of what is read.
pub(super) fn odd(what: &str) -> ParquetError {
    ParquetError::General(what.to_owned())
}

/// A reader.
pub(super) struct Compact<'a> {
    bytes: &'a [u8],
    at: usize,
    last: u32,
}

impl<'a> Compact<'a> {
    /// Begins with a struct.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            last: 0,
        }
    }

    /// Bytes that were read.
    pub(super) fn len(&self) -> usize {
        self.at
    }

    fn byte(&mut self) -> Result<u8> {
        let byte = self
            .bytes
            .get(self.at)
            .ok_or_else(|| odd("a structure ends too early"))?;
        self.at += 1;
        Ok(*byte)
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(odd("a structure holds an impossible number"))
    }

    /// An integer of any width.
    pub(super) fn integer(&mut self) -> Result<i64> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()))
    }

    /// The next field's id and type, `None` at the end of the struct.
    pub(super) fn field(&mut self) -> Result<Option<(u32, u8)>> {
        let byte = self.byte()?;
        if byte == STOP {
            return Ok(None);
        }
        let id = match u32::from(byte >> 4) {
            0 => u32::try_from(self.integer()?).map_err(|_| odd("a structure has an odd field"))?,
            delta => self.last.saturating_add(delta),
        };
        self.last = id;
        Ok(Some((id, byte & 0x0f)))
    }

    /// Reads the fields of a struct inside of this one.
    pub(super) fn nested(
        &mut self,
        mut read: impl FnMut(&mut Self, u32, u8) -> Result<()>,
    ) -> Result<()> {
        let outer = std::mem::take(&mut self.last);
        while let Some((id, kind)) = self.field()? {
            read(self, id, kind)?;
        }
        self.last = outer;
        Ok(())
    }

    /// The number of a list's elements, which are of type `kind`.
    pub(super) fn list(&mut self, kind: u8) -> Result<usize> {
        let byte = self.byte()?;
        let len = match byte >> 4 {
            len if len <= SHORT_LIST_MAX => u64::from(len),
            _ => self.varint()?,
        };
        // Every element takes a byte at least.
        let left = num::len_u64(self.bytes.len() - self.at);
        let own = byte & 0x0f;
        let is_bool = |kind: u8| kind == TRUE || kind == FALSE;
        if len > left || own != kind && !(is_bool(own) && is_bool(kind)) {
            return Err(odd("a structure has an odd list"));
        }
        Ok(num::to_usize(len))
    }

    /// A list of integers.
    pub(super) fn integers(&mut self) -> Result<Vec<i64>> {
        let len = self.list(I64)?;
        (0..len).map(|_| self.integer()).collect()
    }

    /// A list of truth values.
    pub(super) fn booleans(&mut self) -> Result<Vec<bool>> {
        let len = self.list(TRUE)?;
        (0..len).map(|_| Ok(self.byte()? == TRUE)).collect()
    }

    /// Bytes with their length in front.
    pub(super) fn binary(&mut self) -> Result<&'a [u8]> {
        let len = num::to_usize(self.varint()?);
        let end = self.at.checked_add(len);
        let found = end.and_then(|end| self.bytes.get(self.at..end));
        let found = found.ok_or_else(|| odd("a structure ends too early"))?;
        self.at += len;
        Ok(found)
    }
}
