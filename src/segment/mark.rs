//! The mark of the last acknowledged commit: how damage of the write-ahead log is noticed.
//!
//! RocksDB recovers its log up to the first record that is not whole. That is right for what a power
//! cut leaves, the last write, which nobody was told of; and it is silent about damage: everything
//! acknowledged behind one flipped bit would be gone without a word. So each commit, once synced, leaves
//! its sequence number here, unsynced. The mark is never ahead of what is durable, so an index that
//! comes back with a smaller number has lost acknowledged writes.
//!
//! Called by `archive` alone: read when it opens, set by its commit thread. The file lies beside the
//! index's own files, which RocksDB leaves alone, and is replaced with them. Layout: sequence number,
//! u64 little-endian (8); xxh3-64 of these bytes, u64 little-endian (8). A mark that is absent or not
//! whole says nothing.
#![expect(clippy::disallowed_types, reason = "file I/O belongs to `segment`")]

use crate::error::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_64;

/// Name of the file in the index's folder.
const NAME: &str = "COMMITTED";
const NUMBER_BYTES: usize = 8;
const BYTES: usize = 16;

/// The open mark of an index.
#[derive(Debug)]
pub struct Mark(File);

impl Mark {
    /// Opens the mark in the index's folder, and reads what it says.
    ///
    /// # Errors
    /// `Unavailable` if the file can be neither opened nor made.
    pub fn open(index: &Path) -> Result<(Self, Option<u64>)> {
        let path = index.join(NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(|error| {
            let message = format!("opening {} failed", path.display());
            Error::new(ErrorKind::Unavailable, "data_dir_io", message).with_source(error)
        })?;
        let mut bytes = [0; BYTES];
        let is_read = file.read_exact_at(&mut bytes, 0).is_ok();
        Ok((Self(file), decode(&bytes).filter(|_| is_read)))
    }

    /// Notes that everything up to `sequence` is durable. Without a sync, and a failure does no harm:
    /// an older mark is true as well.
    pub fn set(&self, sequence: u64) {
        let number = sequence.to_le_bytes();
        let sum = xxh3_64(&number).to_le_bytes();
        let _an_older_one_is_true = self.0.write_all_at(&[number, sum].concat(), 0);
    }
}

fn decode(bytes: &[u8; BYTES]) -> Option<u64> {
    let (number, sum) = bytes.split_at_checked(NUMBER_BYTES)?;
    let is_whole = xxh3_64(number).to_le_bytes() == sum;
    let number = number.try_into().ok().map(u64::from_le_bytes)?;
    is_whole.then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_and_a_damaged_one_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (mark, said) = Mark::open(dir.path()).unwrap();
        assert_eq!(said, None);
        for sequence in [7, u64::MAX, 0, 1 << 40] {
            mark.set(sequence);
            assert_eq!(Mark::open(dir.path()).unwrap().1, Some(sequence));
        }
        for bit in 0..BYTES * 8 {
            let mut bytes = [0; BYTES];
            mark.0.read_exact_at(&mut bytes, 0).unwrap();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&bytes), None, "bit {bit}");
        }
    }
}
