//! Reading Thrift's compact protocol, as far as the structures that are read for every scan and every job
//! need it: page headers, page indexes and footers. Everything else is the Parquet library's.
//!
//! Whatever the bytes are, nothing panics and nothing is made that is larger than they are.

use crate::num;
use parquet::errors::{ParquetError, Result};

/// Types of fields and of elements.
pub(super) const TRUE: u8 = 1;
pub(super) const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
pub(super) const I32: u8 = 5;
pub(super) const I64: u8 = 6;
const DOUBLE: u8 = 7;
pub(super) const BINARY: u8 = 8;
pub(super) const LIST: u8 = 9;
const SET: u8 = 10;
pub(super) const STRUCT: u8 = 12;
/// The end of a struct.
const STOP: u8 = 0;
/// Structs in structs, and lists in lists, that are passed over: Parquet has four.
const DEPTH_MAX: u8 = 12;
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
        let (len, own) = self.elements()?;
        let is_bool = |kind: u8| kind == TRUE || kind == FALSE;
        if own != kind && !(is_bool(own) && is_bool(kind)) {
            return Err(odd("a structure has an odd list"));
        }
        Ok(len)
    }

    /// The number and the type of a list's elements.
    fn elements(&mut self) -> Result<(usize, u8)> {
        let byte = self.byte()?;
        let len = match byte >> 4 {
            len if len <= SHORT_LIST_MAX => u64::from(len),
            _ => self.varint()?,
        };
        // Every element takes a byte at least.
        let left = num::len_u64(self.bytes.len() - self.at);
        if len > left {
            return Err(odd("a structure has an odd list"));
        }
        Ok((num::to_usize(len), byte & 0x0f))
    }

    /// Passes over the value of a field that nobody asks for.
    pub(super) fn skip(&mut self, kind: u8) -> Result<()> {
        self.pass(kind, DEPTH_MAX)
    }

    fn pass(&mut self, kind: u8, depth: u8) -> Result<()> {
        let inner = depth.checked_sub(1);
        let deeper = || inner.ok_or_else(|| odd("a structure is too deep"));
        match kind {
            // A field's type is its value.
            TRUE | FALSE => Ok(()),
            BYTE => self.byte().map(drop),
            I16 | I32 | I64 => self.varint().map(drop),
            DOUBLE => (0..8).try_for_each(|_| self.byte().map(drop)),
            BINARY => self.binary().map(drop),
            LIST | SET => {
                let (len, kind) = self.elements()?;
                let depth = deeper()?;
                (0..len).try_for_each(|_| match kind {
                    TRUE | FALSE => self.byte().map(drop),
                    _ => self.pass(kind, depth),
                })
            }
            STRUCT => {
                let depth = deeper()?;
                self.nested(|reader, _, kind| reader.pass(kind, depth))
            }
            _ => Err(odd("a structure has a field of an unknown type")),
        }
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
