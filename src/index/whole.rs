//! The index as a whole: reading one that may be damaged, and copying one that is in use.
//!
//! Called by the archive's `reindex` and `backup`. An index that is only read is not changed by a byte.

use super::db::{Changes, Index, storage_error};
use super::{keys, logs};
use crate::error::{Error, Result};
use rocksdb::checkpoint::Checkpoint;
use rocksdb::{DB, IteratorMode, Options};
use std::path::Path;

/// What of a family could be read.
#[derive(Debug)]
pub struct Salvaged {
    /// Entries that were read.
    pub entries: u64,
    /// What kept the others from it, if anything did.
    pub error: Option<Error>,
}

impl Index {
    /// Opens the index at `path` for reading, with whatever families it has.
    ///
    /// # Errors
    /// `Data` if RocksDB finds corruption, `Unavailable` for other failures.
    pub fn open_read_only(path: &Path) -> Result<Self> {
        logs::refuse_damaged(path)?;
        let mut options = Options::default();
        // Without it RocksDB falls over the logs that a MANIFEST names.
        options.set_track_and_verify_wals_in_manifest(true);
        let names = DB::list_cf(&options, path).map_err(storage_error("listing its families"))?;
        let db = DB::open_cf_for_read_only(&options, path, names, false)
            .map_err(storage_error("opening it"))?;
        Ok(Self::over(db))
    }

    /// Visits every entry of a family that can be read, as bytes, in no order: from the front up to
    /// the first damage, then from the back. A family that is not there has no entries.
    ///
    /// # Errors
    /// Whatever `visit` returns.
    pub fn salvage(
        &self,
        family: &str,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<()>,
    ) -> Result<Salvaged> {
        let mut found = Salvaged {
            entries: 0,
            error: None,
        };
        let Some(handle) = self.db.cf_handle(family) else {
            return Ok(found);
        };
        let mut last: Option<Box<[u8]>> = None;
        for mode in [IteratorMode::Start, IteratorMode::End] {
            let from_front = matches!(mode, IteratorMode::Start);
            for entry in self.db.iterator_cf(handle, mode) {
                let (key, value) = match entry.map_err(storage_error("scanning")) {
                    Ok(entry) => entry,
                    Err(error) => {
                        found.error.get_or_insert(error);
                        break;
                    }
                };
                if !from_front && last.as_ref().is_some_and(|last| key <= *last) {
                    break;
                }
                visit(&key, &value)?;
                found.entries += 1;
                if from_front {
                    last = Some(key);
                }
            }
            if found.error.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// Makes a copy of the index as it is now in the folder `path`, which must not exist: links where
    /// the file system allows, else copies. Writes go on meanwhile.
    ///
    /// # Errors
    /// `Unavailable` if RocksDB fails.
    pub fn checkpoint(&self, path: &Path) -> Result<()> {
        Checkpoint::new(&self.db)
            .and_then(|checkpoint| checkpoint.create_checkpoint(path))
            .map_err(storage_error("making a copy of itself"))
    }
}

impl Changes {
    /// Sets a key of a family to bytes that were read from another index.
    ///
    /// # Errors
    /// `Data` if this program has no family of that name.
    pub fn put_bytes(&mut self, family: &str, key: &[u8], value: &[u8]) -> Result<()> {
        let known = keys::ALL.iter().find(|name| **name == family);
        let name = known.ok_or_else(|| {
            Error::data(
                "index_family",
                format!("the index has a family {family}, which this program does not know: use the program that wrote it"),
            )
        })?;
        self.add(name, key.to_vec(), Some(value.to_vec()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::meta::Meta;
    use crate::index::{Family as _, key_of};

    fn filled(path: &Path) -> Index {
        let index = Index::open(path).unwrap();
        let mut changes = Changes::default();
        for number in 0..100u64 {
            changes
                .put::<Meta>(&format!("n.{number:03}"), &number)
                .unwrap();
        }
        index.write(&changes).unwrap();
        index
    }

    fn entries(index: &Index) -> u64 {
        let found = index.salvage(Meta::NAME, |_, _| Ok(())).unwrap();
        assert!(found.error.is_none());
        found.entries
    }

    #[test]
    fn a_copy_has_what_was_written_before_it_and_not_what_came_after() {
        let dir = tempfile::tempdir().unwrap();
        let index = filled(&dir.path().join("index"));
        index.checkpoint(&dir.path().join("copy")).unwrap();
        let mut changes = Changes::default();
        let key = key_of::<Meta>(&"later".to_owned());
        changes
            .put_bytes(Meta::NAME, &key, &Meta::encode_value(&1).unwrap())
            .unwrap();
        index.write(&changes).unwrap();
        assert!(changes.put_bytes("nowhere", b"a", b"b").is_err());
        assert_eq!(entries(&index), 101);
        let copy = Index::open_read_only(&dir.path().join("copy")).unwrap();
        assert_eq!(entries(&copy), 100);
    }

    #[test]
    fn what_is_not_an_index_is_an_error_and_a_family_that_is_not_there_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Index::open_read_only(dir.path()).is_err());
        let index = filled(&dir.path().join("index"));
        assert_eq!(index.salvage("nowhere", |_, _| Ok(())).unwrap().entries, 0);
    }
}
