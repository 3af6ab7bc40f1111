//! Byte spellings shared by the key families: order-preserving integers, length-prefixed text,
//! varints, JSON values.

use super::corrupt;
use crate::error::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Appends `value` so that byte order is number order (sign bit flipped, big-endian).
pub fn put_i64(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.cast_unsigned() ^ (1 << 63)).to_be_bytes());
}

/// Appends `value` so that later values come first.
pub fn put_i64_desc(value: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&(!(value.cast_unsigned() ^ (1 << 63))).to_be_bytes());
}

/// Appends `value` so that byte order is number order.
pub fn put_i32(value: i32, out: &mut Vec<u8>) {
    out.extend_from_slice(&(value.cast_unsigned() ^ (1 << 31)).to_be_bytes());
}

/// Appends `value` big-endian.
pub fn put_u64(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Appends text of at most 255 bytes with its length in front.
pub fn put_text(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes().get(..255).unwrap_or(text.as_bytes());
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(bytes);
}

/// Appends an unsigned LEB128 varint.
pub fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or(0) | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

/// Appends a signed varint (zigzag).
pub fn put_zigzag(value: i64, out: &mut Vec<u8>) {
    put_varint(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}

/// Reads what the `put_` functions wrote, never past the end.
#[derive(Debug)]
pub struct Reader<'a> {
    family: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader; `family` is named in errors.
    #[must_use]
    pub fn new(family: &'static str, bytes: &'a [u8]) -> Self {
        Self {
            family,
            rest: bytes,
        }
    }

    fn truncated(&self) -> Error {
        corrupt(self.family, "the bytes end too early")
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// `Data` if they are not there.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) = self
            .rest
            .split_first_chunk()
            .ok_or_else(|| self.truncated())?;
        self.rest = rest;
        Ok(*head)
    }

    /// The next `len` bytes.
    ///
    /// # Errors
    /// `Data` if they are not there.
    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8]> {
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| self.truncated())?;
        self.rest = rest;
        Ok(head)
    }

    /// All that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// See [`put_i64`].
    ///
    /// # Errors
    /// `Data` if the bytes end.
    pub fn i64(&mut self) -> Result<i64> {
        Ok((u64::from_be_bytes(self.array()?) ^ (1 << 63)).cast_signed())
    }

    /// See [`put_i64_desc`].
    ///
    /// # Errors
    /// `Data` if the bytes end.
    pub fn i64_desc(&mut self) -> Result<i64> {
        Ok((!u64::from_be_bytes(self.array()?) ^ (1 << 63)).cast_signed())
    }

    /// See [`put_i32`].
    ///
    /// # Errors
    /// `Data` if the bytes end.
    pub fn i32(&mut self) -> Result<i32> {
        Ok((u32::from_be_bytes(self.array()?) ^ (1 << 31)).cast_signed())
    }

    /// See [`put_u64`].
    ///
    /// # Errors
    /// `Data` if the bytes end.
    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// One byte.
    ///
    /// # Errors
    /// `Data` if the bytes end.
    pub fn u8(&mut self) -> Result<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// See [`put_text`].
    ///
    /// # Errors
    /// `Data` if the bytes end or are no UTF-8.
    pub fn text(&mut self) -> Result<&'a str> {
        let len = usize::from(self.u8()?);
        std::str::from_utf8(self.bytes(len)?).map_err(|_| corrupt(self.family, "text is no UTF-8"))
    }

    /// See [`put_varint`].
    ///
    /// # Errors
    /// `Data` if the bytes end or the number has more than 64 bits.
    pub fn varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = u64::from(self.u8()?);
            let bits = byte & 0x7f;
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(corrupt(self.family, "a number has more than 64 bits"))
    }

    /// See [`put_zigzag`].
    ///
    /// # Errors
    /// As [`Reader::varint`].
    pub fn zigzag(&mut self) -> Result<i64> {
        let raw = self.varint()?;
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    /// Ends reading.
    ///
    /// # Errors
    /// `Data` if bytes are left.
    pub fn end(self) -> Result<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(corrupt(self.family, "there are bytes behind the end"))
        }
    }
}

/// A key or value that is one order-preserving i64.
///
/// # Errors
/// `Data` if the bytes are anything else.
pub fn only_i64(family: &'static str, bytes: &[u8]) -> Result<i64> {
    let mut reader = Reader::new(family, bytes);
    let value = reader.i64()?;
    reader.end()?;
    Ok(value)
}

/// A JSON value. Fields may be added later; readers ignore what they do not know.
///
/// # Errors
/// `Internal` if the value cannot be written as JSON (a bug).
pub fn to_json<T: Serialize>(family: &str, value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| {
        Error::internal(format!("index family {family}: value cannot be written"))
            .with_source(error)
    })
}

/// A JSON value read back.
///
/// # Errors
/// `Data` if the bytes are not such a value.
pub fn from_json<T: DeserializeOwned>(family: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|error| corrupt(family, "the value is not readable").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_round_trip_and_sort(a: i64, b: i64, c: i32, d: i32) {
            let spell = |put: fn(i64, &mut Vec<u8>), value| { let mut out = Vec::new(); put(value, &mut out); out };
            prop_assert_eq!(spell(put_i64, a).cmp(&spell(put_i64, b)), a.cmp(&b));
            prop_assert_eq!(spell(put_i64_desc, a).cmp(&spell(put_i64_desc, b)), b.cmp(&a));
            prop_assert_eq!(Reader::new("t", &spell(put_i64, a)).i64().unwrap(), a);
            prop_assert_eq!(Reader::new("t", &spell(put_i64_desc, a)).i64_desc().unwrap(), a);
            prop_assert_eq!(Reader::new("t", &spell(put_zigzag, a)).zigzag().unwrap(), a);
            let spell32 = |value| { let mut out = Vec::new(); put_i32(value, &mut out); out };
            prop_assert_eq!(spell32(c).cmp(&spell32(d)), c.cmp(&d));
            prop_assert_eq!(Reader::new("t", &spell32(c)).i32().unwrap(), c);
        }

        #[test]
        fn varints_reject_every_truncation(value: u64) {
            let mut out = Vec::new();
            put_varint(value, &mut out);
            prop_assert_eq!(Reader::new("t", &out).varint().unwrap(), value);
            for len in 0..out.len() {
                prop_assert!(Reader::new("t", &out[..len]).varint().is_err());
            }
        }

        #[test]
        fn hostile_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut reader = Reader::new("t", &bytes);
            while reader.varint().is_ok() {}
            let mut reader = Reader::new("t", &bytes);
            while reader.text().is_ok_and(|_| true) {}
        }
    }
}
