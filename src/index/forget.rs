//! Writing the index's own files anew, so that no byte of what was removed from it is left.
//!
//! Called by `archive` when something was erased. Removing a key only adds a word to the log and to
//! the memory table; the old value stays in the write-ahead log, in table files and, if the key was a
//! table file's first or last, in the MANIFEST. Afterwards:
//!
//! 1. all memory tables are flushed: the write-ahead log up to then is not needed, and is deleted;
//! 2. every family is compacted down to its bottom level, whose files are rewritten too, so that
//!    removed keys, their values and the words that removed them are dropped;
//! 3. one small family is compacted again until RocksDB has begun another MANIFEST, which names no
//!    file that is gone. It does so when the old one has grown to some multiple of its first size; each
//!    compaction adds about 200 bytes.

use super::db::{Index, storage_error};
use super::{blob, keys};
use crate::error::{Error, ErrorKind, Result};
use rocksdb::{BottommostLevelCompaction, CompactOptions, IteratorMode};

/// A new MANIFEST is begun at this size, or at six times its first size if that is more.
pub(super) const MANIFEST_BYTES: usize = 16 << 10;
/// Compactions after which the MANIFEST must have been begun anew: at 200 bytes each, one of 2 MiB.
const ROTATIONS_MAX: usize = 10_000;

impl Index {
    /// Number of the last change that was written; it never falls, but for what was lost.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.db().latest_sequence_number()
    }

    /// Writes all files anew. `false`, and nothing was done, while somebody still reads a view that is
    /// older than the write `since`: what was removed by it would be kept for him.
    ///
    /// # Errors
    /// `Unavailable` if RocksDB fails.
    pub fn forget(&self, since: u64) -> Result<bool> {
        let oldest = self
            .db()
            .property_int_value("rocksdb.oldest-snapshot-sequence")
            .map_err(storage_error("looking for readers"))?;
        if oldest.is_some_and(|oldest| oldest != 0 && oldest < since) {
            return Ok(false);
        }
        for name in keys::ALL {
            let family = self.family_named(name)?;
            self.db()
                .flush_cf(family)
                .map_err(storage_error("flushing"))?;
        }
        for name in keys::ALL {
            self.compact_to_the_bottom(name)?;
        }
        let before = self.manifest()?;
        for _ in 0..ROTATIONS_MAX {
            self.compact_to_the_bottom(keys::META)?;
            if self.manifest()? != before {
                return Ok(true);
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "index_io",
            "the index did not begin another MANIFEST; it does so at the next start",
        ))
    }

    /// Visits every key and every value of every family, as bytes; of a staged profile what its blob
    /// unpacks to.
    ///
    /// # Errors
    /// `Data` for damage, `Unavailable` if RocksDB fails.
    pub fn each_entry(&self, mut visit: impl FnMut(&str, &[u8], &[u8])) -> Result<()> {
        for name in keys::ALL {
            let entries = self
                .db()
                .iterator_cf(self.family_named(name)?, IteratorMode::Start);
            for entry in entries {
                let (key, value) = entry.map_err(storage_error("scanning"))?;
                visit(name, &key, &value);
                if *name == keys::STAGED
                    && let Ok(plain) = blob::unpack(value.get(8..).unwrap_or_default())
                {
                    visit(name, &key, &plain);
                }
            }
        }
        Ok(())
    }

    fn compact_to_the_bottom(&self, family: &str) -> Result<()> {
        let mut options = CompactOptions::default();
        options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
        options.set_exclusive_manual_compaction(false);
        let family = self.family_named(family)?;
        self.db()
            .compact_range_cf_opt(family, None::<&[u8]>, None::<&[u8]>, &options);
        Ok(())
    }

    /// The name of the present MANIFEST.
    #[expect(
        clippy::disallowed_methods,
        reason = "a file of RocksDB's own, whose content it tells in no other way"
    )]
    fn manifest(&self) -> Result<String> {
        let path = self.db().path().join("CURRENT");
        std::fs::read_to_string(path).map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                "index_io",
                "the index's file CURRENT cannot be read",
            )
            .with_source(error)
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::disallowed_methods, reason = "tests look into RocksDB's files")]

    use super::super::Changes;
    use super::super::keys::ids::{Ids, Kind, PublicId};
    use super::*;

    fn name(id: &str) -> PublicId {
        PublicId {
            kind: Kind::ProjectPath,
            source: "ci".to_owned(),
            id: id.to_owned(),
        }
    }

    /// Files of the index that hold that text.
    fn holding(dir: &std::path::Path, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            if bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
            {
                found.push(path.file_name().unwrap().to_str().unwrap().to_owned());
            }
        }
        found
    }

    #[test]
    fn no_file_holds_what_was_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let index = Index::open(&path).unwrap();
        let mut changes = Changes::default();
        // The first key and the last: table files and the MANIFEST name them.
        for id in ["aaa-secret", "middle", "zzz-secret"] {
            changes.put::<Ids>(&name(id), &7).unwrap();
        }
        changes
            .put::<keys::meta::Meta>(&"seq.job".to_owned(), &1)
            .unwrap();
        index.write(&changes).unwrap();
        assert!(index.forget(index.sequence()).unwrap());
        let kinds = |files: Vec<String>| {
            let kind = |file: &String| file.starts_with("MANIFEST");
            (files.iter().any(kind), files.len())
        };
        assert!(
            kinds(holding(&path, "aaa-secret")).0,
            "else this test shows nothing"
        );
        let mut removal = Changes::default();
        removal.delete::<Ids>(&name("aaa-secret"));
        removal.delete::<Ids>(&name("zzz-secret"));
        let old = index.snapshot();
        index.write(&removal).unwrap();
        let since = index.sequence();
        assert!(!index.forget(since).unwrap(), "an old view is still read");
        assert!(!holding(&path, "zzz-secret").is_empty());
        drop(old);
        assert!(index.forget(since).unwrap());
        for secret in ["aaa-secret", "zzz-secret"] {
            assert_eq!(holding(&path, secret), Vec::<String>::new());
        }
        assert_eq!(index.get::<Ids>(&name("middle")).unwrap(), Some(7));
        drop(index);
        let index = Index::open(&path).unwrap();
        assert_eq!(index.get::<Ids>(&name("middle")).unwrap(), Some(7));
        assert_eq!(index.get::<Ids>(&name("aaa-secret")).unwrap(), None);
    }
}
