//! A look at the logs of the index (its MANIFEST and its write-ahead logs) before RocksDB reads them.
//!
//! Called when an index is opened, since RocksDB (11.8) trusts two kinds of damage, each of one bit:
//!
//! - It never comes back from a record whose type says that its file is a recycled one when an earlier
//!   record did not: its reader takes no byte of it and tries again. The service would hang at the start
//!   without a word. Files are never recycled here, so that the type alone is damage.
//! - A record whose length reaches beyond the end of the MANIFEST is the end of it, as a power cut leaves
//!   it. Everything behind is forgotten, and the data files that it names are deleted. What a power cut
//!   leaves has nothing whole behind it.
#![expect(
    clippy::disallowed_types,
    reason = "files of RocksDB's own, which it cannot be trusted to read"
)]

use crate::error::{Error, ErrorKind, Result};
use crate::num;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Records do not cross the bounds of blocks.
const BLOCK_BYTES: usize = 32 << 10;
/// Checksum (4 bytes), length (2), type (1); little-endian.
const HEADER: usize = 7;
/// A record in one piece, and the last piece of one: `kFullType`, `kLastType`.
const ENDS: [u8; 2] = [1, 4];

/// Types of records in recycled files, as RocksDB's `db/log_format.h` numbers them.
fn is_of_recycled_file(kind: u8) -> bool {
    matches!(kind, 5..=8 | 11 | 131)
}

/// Refuses an index whose logs RocksDB would never finish reading, or of which it would forget the end.
/// What else is wrong with them, or that there are none, RocksDB says itself.
///
/// # Errors
/// `Data` if a log is damaged in one of these ways, `Unavailable` if one cannot be read.
#[expect(clippy::disallowed_methods, reason = "as above")]
pub(super) fn refuse_damaged(index: &Path) -> Result<()> {
    let unreadable = |error: io::Error| {
        let message = "the logs of the index cannot be read";
        Error::new(ErrorKind::Unavailable, "index_io", message).with_source(error)
    };
    let entries = match std::fs::read_dir(index) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(unreadable)?,
    };
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_manifest = name.starts_with("MANIFEST-");
        if !is_manifest && !name.ends_with(".log") {
            continue;
        }
        let log = || File::open(&path).map_err(unreadable);
        let mut is_damaged = is_endless(log()?).map_err(unreadable)?;
        if is_manifest {
            let mut bytes = Vec::new();
            log()?.read_to_end(&mut bytes).map_err(unreadable)?;
            is_damaged |= goes_on_behind_its_end(&bytes);
        }
        if is_damaged {
            return Err(Error::data(
                "index_damaged",
                format!(
                    "{name} of the index is damaged: run tachograph reindex, or restore a backup"
                ),
            ));
        }
    }
    Ok(())
}

/// A record that is whole, at the start of `bytes`, which end with its block: its type and length.
fn whole_record(bytes: &[u8]) -> Option<(u8, usize)> {
    let ([a, b, c, d, low, high, kind], _) = bytes.split_first_chunk::<HEADER>()?;
    let len = HEADER + usize::from(u16::from_le_bytes([*low, *high]));
    let checked = bytes.get(HEADER - 1..len)?;
    let is_whole = masked(crc32c::crc32c(checked)) == u32::from_le_bytes([*a, *b, *c, *d]);
    (*kind != 0 && is_whole).then_some((*kind, len))
}

/// Whether whole records follow one that says to reach beyond the end of the file. What was never
/// written there, or only in part, is another matter: a power cut leaves that in front of whole records too,
/// and RocksDB knows it.
fn goes_on_behind_its_end(log: &[u8]) -> bool {
    let Some(last_block) = log.chunks(BLOCK_BYTES).next_back() else {
        return false;
    };
    let mut rest = last_block;
    while let Some((_, len)) = whole_record(rest) {
        rest = rest.get(len..).unwrap_or_default();
    }
    let reaches_beyond = |[.., low, high, _]: &[u8; HEADER]| {
        HEADER + usize::from(u16::from_le_bytes([*low, *high])) > rest.len()
    };
    last_block.len() < BLOCK_BYTES
        && rest.first_chunk::<HEADER>().is_some_and(reaches_beyond)
        && (1..rest.len()).any(|at| rest.get(at..).and_then(whole_record).is_some())
}

/// Whether RocksDB's reader comes to a record of a recycled file behind a whole one of another. It
/// drops the rest of a block behind damage, and ends with the first whole record behind that.
fn is_endless(mut log: impl Read) -> io::Result<bool> {
    let mut block = Vec::new();
    let (mut began, mut is_damaged) = (false, false);
    loop {
        block.clear();
        let block_bytes = num::len_u64(BLOCK_BYTES);
        (&mut log).take(block_bytes).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(false);
        }
        let mut rest = block.as_slice();
        while let Some((header, _)) = rest.split_first_chunk::<HEADER>() {
            let [.., low, high, kind] = *header;
            if is_of_recycled_file(kind) {
                return Ok(began);
            }
            let Some((kind, len)) = whole_record(rest) else {
                // Nothing at all is what a file has that was given room in advance.
                is_damaged |= (low, high, kind) != (0, 0, 0);
                break;
            };
            if ENDS.contains(&kind) {
                if is_damaged {
                    return Ok(false);
                }
                began = true;
            }
            rest = rest.get(len..).unwrap_or_default();
        }
    }
}

/// A checksum as it is stored: RocksDB's `crc32c::Mask`.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests damage RocksDB's files")]

    use super::super::keys::meta::Meta;
    use super::super::{Changes, Index};
    use super::*;
    use std::path::PathBuf;

    /// An index with records in its MANIFEST and in its log, closed.
    fn written(path: &Path) {
        let index = Index::open(path).unwrap();
        for number in 0..50u64 {
            let mut changes = Changes::default();
            changes
                .put::<Meta>(&format!("n.{number}"), &number)
                .unwrap();
            index.write(&changes).unwrap();
        }
    }

    fn logs(path: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| {
                let name = path.file_name().unwrap().to_string_lossy();
                let is_log = name.starts_with("MANIFEST-") || name.ends_with(".log");
                is_log && !std::fs::read(path).unwrap().is_empty()
            })
            .collect()
    }

    /// Places of the types of all records: both files are smaller than a block.
    fn types(bytes: &[u8]) -> Vec<usize> {
        let mut places = Vec::new();
        let mut at = 0;
        while at + HEADER <= bytes.len() {
            places.push(at + HEADER - 1);
            let len = u16::from_le_bytes([bytes[at + 4], bytes[at + 5]]);
            at += HEADER + usize::from(len);
        }
        places
    }

    #[test]
    fn a_flipped_type_is_refused_where_rocksdb_would_read_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        written(&path);
        let logs = logs(&path);
        assert_eq!(logs.len(), 2, "a MANIFEST and a log");
        for log in logs {
            let good = std::fs::read(&log).unwrap();
            assert!(good.len() < BLOCK_BYTES);
            let types = types(&good);
            assert!(types.len() > 20);
            for place in types.into_iter().skip(1) {
                let mut bad = good.clone();
                bad[place] ^= 4;
                std::fs::write(&log, &bad).unwrap();
                for opened in [Index::open(&path), Index::open_read_only(&path)] {
                    let error = opened.unwrap_err();
                    assert_eq!(error.code(), "index_damaged");
                    let name = log.file_name().unwrap().to_string_lossy();
                    assert!(error.to_string().contains(name.as_ref()), "{error}");
                }
            }
            std::fs::write(&log, &good).unwrap();
        }
        assert_eq!(
            Index::open(&path)
                .unwrap()
                .get::<Meta>(&"n.49".to_owned())
                .unwrap(),
            Some(49)
        );
    }

    #[test]
    fn a_manifest_of_which_rocksdb_would_forget_the_end_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        written(&path);
        let logs = logs(&path);
        let is_manifest = |path: &&PathBuf| path.to_string_lossy().contains("MANIFEST-");
        let manifest = logs.iter().find(is_manifest).unwrap();
        let good = std::fs::read(manifest).unwrap();
        let types = types(&good);
        let (last, others) = types.split_last().unwrap();
        for place in others {
            // Of its length, the bit of 16 KiB: it then ends behind the file.
            let mut bad = good.clone();
            bad[place - 1] ^= 1 << 6;
            std::fs::write(manifest, &bad).unwrap();
            assert_eq!(Index::open(&path).unwrap_err().code(), "index_damaged");
        }
        // A last record of which a power cut left a part: that is RocksDB's business.
        std::fs::write(manifest, &good[..last + 3]).unwrap();
        assert!(refuse_damaged(&path).is_ok());
    }

    #[test]
    fn a_manifest_that_lost_its_last_edits_never_opens_without_the_data() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let index = Index::open(&path).unwrap();
        let mut changes = Changes::default();
        changes.put::<Meta>(&"n".to_owned(), &7).unwrap();
        index.write(&changes).unwrap();
        // From here on it stands in a data file, and its log is given up.
        index.compacted_bytes::<Meta>().unwrap();
        drop(index);
        let logs = logs(&path);
        let is_manifest = |path: &&PathBuf| path.to_string_lossy().contains("MANIFEST-");
        let manifest = logs.iter().find(is_manifest).unwrap();
        let good = std::fs::read(manifest).unwrap();
        let mut refused = 0;
        // One flipped bit of a length hides the last record, and no more: others would be found behind it.
        for place in types(&good).into_iter().rev().take(3) {
            std::fs::write(manifest, &good[..place + 1 - HEADER]).unwrap();
            let copy = dir.path().join(format!("copy-{place}"));
            std::fs::create_dir(&copy).unwrap();
            for entry in std::fs::read_dir(&path).unwrap() {
                let entry = entry.unwrap();
                std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
            }
            match Index::open(&copy) {
                Ok(index) => assert_eq!(index.get::<Meta>(&"n".to_owned()).unwrap(), Some(7)),
                Err(error) => {
                    assert_eq!(error.code(), "index_damaged");
                    refused += 1;
                }
            }
        }
        assert!(refused > 0);
    }

    #[test]
    fn whole_logs_torn_ones_and_other_damage_are_left_to_rocksdb() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        assert!(refuse_damaged(&path).is_ok(), "no index yet");
        written(&path);
        for log in logs(&path) {
            let good = std::fs::read(&log).unwrap();
            assert!(!is_endless(good.as_slice()).unwrap());
            for end in (0..good.len()).step_by(3) {
                assert!(!is_endless(&good[..end]).unwrap(), "torn at {end}");
                assert!(!goes_on_behind_its_end(&good[..end]), "torn at {end}");
                let mut zeros = good[..end].to_vec();
                zeros.resize(good.len() + 100_000, 0);
                assert!(
                    !is_endless(zeros.as_slice()).unwrap(),
                    "zeros from {end} on"
                );
            }
            // A checksum that fails: the rest of the block is dropped, a type in it is never looked at.
            let mut bad = good.clone();
            bad[HEADER] ^= 1;
            bad[types(&good)[3]] ^= 4;
            assert!(!is_endless(bad.as_slice()).unwrap());
        }
    }
}
