//! RocksDB itself: opening, snapshots, scans, and the one way to write.

use super::keys::segments::Segments;
use super::{Family, forget, key_of, keys, logs};
use crate::error::{Error, ErrorKind, Result};
use crate::fault;
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB,
    DBCompressionType, DBRecoveryMode, Direction, IteratorMode, LogLevel, Options, ReadOptions,
    WriteBatch, WriteOptions,
};
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// Block cache for all families: the whole index of a million jobs is about 90 MiB.
const BLOCK_CACHE_BYTES: usize = 64 << 20;
/// Memtables of all families together.
const WRITE_BUFFER_BYTES: usize = 64 << 20;

/// An open index. One process at a time (the archive holds the lock).
pub struct Index {
    pub(super) db: DB,
    /// Changes of the segments so far, times two; odd while they are being changed.
    generation: AtomicU64,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("path", &self.db.path())
            .finish()
    }
}

/// What RocksDB says of ENOSPC, for which its kinds have no word.
const NO_SPACE: &str = "No space left on device";

pub(super) fn storage_error(what: &'static str) -> impl FnOnce(rocksdb::Error) -> Error {
    move |error| {
        let message = format!("the index failed while {what}");
        let own = match error.kind() {
            rocksdb::ErrorKind::Corruption => {
                let todo = "run tachograph reindex, or restore a backup";
                Error::data("index_damaged", format!("{message}: {todo}"))
            }
            _ if error.as_ref().contains(NO_SPACE) => {
                Error::new(ErrorKind::Unavailable, "disk_full", message)
            }
            _ => Error::new(ErrorKind::Unavailable, "index_io", message),
        };
        own.with_source(error)
    }
}

/// Files that are not there, and families that are unknown, are no failures of the disk: trying again
/// does not help.
fn opening_error(error: rocksdb::Error) -> Error {
    let text: &str = error.as_ref();
    if text.contains("Column families not opened") {
        return Error::data(
            "index_family",
            "the index has a family that this program does not know: use the program that wrote it",
        )
        .with_source(error);
    }
    if text.contains("No such file or directory") {
        return Error::data(
            "index_damaged",
            "a file of the index is missing: run tachograph reindex, or restore a backup",
        )
        .with_source(error);
    }
    storage_error("opening it")(error)
}

impl Index {
    /// Opens or creates the index at `path`; its parent must be durable.
    ///
    /// # Errors
    /// `Data` if RocksDB finds corruption, `Unavailable` for other failures.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, BLOCK_CACHE_BYTES)
    }

    fn open_with(path: &Path, cache_bytes: usize) -> Result<Self> {
        logs::refuse_damaged(path)?;
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
        options.set_db_write_buffer_size(WRITE_BUFFER_BYTES);
        // A log that the MANIFEST names and that is gone: its end was lost, and with it the data that took
        // the log's place.
        options.set_track_and_verify_wals_in_manifest(true);
        options.set_paranoid_checks(true);
        options.set_keep_log_file_num(5);
        options.set_max_open_files(512);
        options.set_max_manifest_file_size(forget::MANIFEST_BYTES);
        // Its log of every flush and compaction may name keys, and nobody reads it.
        options.set_log_level(LogLevel::Warn);
        let cache = Cache::new_lru_cache(cache_bytes);
        let families = keys::ALL
            .iter()
            .map(|name| ColumnFamilyDescriptor::new(*name, family_options(&cache)));
        let db = DB::open_cf_descriptors(&options, path, families).map_err(opening_error)?;
        Ok(Self::over(db))
    }

    pub(super) fn over(db: DB) -> Self {
        let generation = AtomicU64::new(0);
        Self { db, generation }
    }

    fn family<F: Family>(&self) -> Result<&ColumnFamily> {
        self.family_named(F::NAME)
    }

    pub(super) fn family_named(&self, name: &str) -> Result<&ColumnFamily> {
        self.db
            .cf_handle(name)
            .ok_or_else(|| Error::internal(format!("index family {name} is not open")))
    }

    pub(super) fn db(&self) -> &DB {
        &self.db
    }

    /// The value of a key.
    ///
    /// # Errors
    /// `Data` for a damaged value, `Unavailable` if RocksDB fails.
    pub fn get<F: Family>(&self, key: &F::Key) -> Result<Option<F::Value>> {
        let bytes = self
            .db
            .get_pinned_cf_opt(self.family::<F>()?, key_of::<F>(key), &read_options::<F>())
            .map_err(storage_error("reading"))?;
        bytes.map(|bytes| F::decode_value(&bytes)).transpose()
    }

    /// A consistent view for scans.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot<'_> {
        let before = self.generation.load(SeqCst);
        let snapshot = self.db.snapshot();
        let after = self.generation.load(SeqCst);
        let is_one = before == after && before.is_multiple_of(2);
        Snapshot {
            index: self,
            snapshot,
            generation: is_one.then_some(before),
        }
    }

    /// Writes all changes at once and returns after the write-ahead log is synced. One thread writes (docs/adr/0005).
    ///
    /// # Errors
    /// `Unavailable` if RocksDB cannot write: the state of the batch is unknown until reopened.
    pub fn write(&self, changes: &Changes) -> Result<()> {
        let mut batch = WriteBatch::default();
        for change in &changes.list {
            let family = self.family_named(change.family)?;
            match &change.value {
                Some(value) => batch.put_cf(family, &change.key, value),
                None => batch.delete_cf(family, &change.key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(!fault::omits("omit.wal_sync"));
        let moves = changes.list.iter().any(|own| own.family == Segments::NAME);
        let step = u64::from(moves);
        self.generation.fetch_add(step, SeqCst);
        let written = self.db.write_opt(batch, &options);
        self.generation.fetch_add(step, SeqCst);
        written.map_err(storage_error("writing"))
    }

    /// Bytes of the live data files of a family, after flushing it: for size figures.
    ///
    /// # Errors
    /// `Unavailable` if RocksDB fails.
    pub fn compacted_bytes<F: Family>(&self) -> Result<u64> {
        let family = self.family::<F>()?;
        self.db
            .flush_cf(family)
            .map_err(storage_error("flushing"))?;
        self.db
            .compact_range_cf(family, None::<&[u8]>, None::<&[u8]>);
        let bytes = self
            .db
            .property_int_value_cf(family, rocksdb::properties::LIVE_SST_FILES_SIZE)
            .map_err(storage_error("reading its size"))?;
        Ok(bytes.unwrap_or(0))
    }
}

fn family_options(cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(16 << 10);
    table.set_bloom_filter(10.0, false);
    // In parts, of which the cache keeps those that are asked for. Whole, the filters of ten million jobs are
    // larger than the cache, and every look for a new job reads megabytes (docs/adr/0029).
    table.set_cache_index_and_filter_blocks(true);
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_pin_top_level_index_and_filter(true);
    table.set_format_version(5);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_bottommost_compression_type(DBCompressionType::Zstd);
    options
}

/// A consistent view of the index.
pub struct Snapshot<'a> {
    index: &'a Index,
    snapshot: rocksdb::Snapshot<'a>,
    generation: Option<u64>,
}

impl fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snapshot")
    }
}

impl Snapshot<'_> {
    /// A number that snapshots with the same segments share, and that grows when they change; `None` if it was
    /// taken while they did.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        self.generation
    }

    /// The value of a key.
    ///
    /// # Errors
    /// `Data` for a damaged value, `Unavailable` if RocksDB fails.
    pub fn get<F: Family>(&self, key: &F::Key) -> Result<Option<F::Value>> {
        let bytes = self
            .snapshot
            .get_pinned_cf_opt(
                self.index.family::<F>()?,
                key_of::<F>(key),
                read_options::<F>(),
            )
            .map_err(storage_error("reading"))?;
        bytes.map(|bytes| F::decode_value(&bytes)).transpose()
    }

    /// The value of a key as it is stored.
    ///
    /// # Errors
    /// `Unavailable` if RocksDB fails.
    pub fn get_bytes<F: Family>(&self, key: &F::Key) -> Result<Option<Vec<u8>>> {
        self.snapshot
            .get_cf_opt(
                self.index.family::<F>()?,
                key_of::<F>(key),
                read_options::<F>(),
            )
            .map_err(storage_error("reading"))
    }

    /// Visits entries whose key starts with `prefix`, from `start` on, in key order, until `visit`
    /// says `false`.
    ///
    /// # Errors
    /// Whatever `visit` returns, `Data` for a damaged entry, `Unavailable` if RocksDB fails.
    pub fn scan<F: Family>(
        &self,
        prefix: &[u8],
        start: Option<&[u8]>,
        mut visit: impl FnMut(F::Key, F::Value) -> Result<bool>,
    ) -> Result<()> {
        self.scan_bytes::<F>(prefix, start, |key, value| {
            visit(F::decode_key(key)?, F::decode_value(value)?)
        })
    }

    /// Like [`Snapshot::scan`], keys only: values are not decoded.
    ///
    /// # Errors
    /// As [`Snapshot::scan`].
    pub fn scan_keys<F: Family>(
        &self,
        prefix: &[u8],
        start: Option<&[u8]>,
        mut visit: impl FnMut(F::Key) -> Result<bool>,
    ) -> Result<()> {
        self.scan_bytes::<F>(prefix, start, |key, _| visit(F::decode_key(key)?))
    }

    fn scan_bytes<F: Family>(
        &self,
        prefix: &[u8],
        start: Option<&[u8]>,
        mut visit: impl FnMut(&[u8], &[u8]) -> Result<bool>,
    ) -> Result<()> {
        let mut options = read_options::<F>();
        if let Some(end) = after_prefix(prefix) {
            options.set_iterate_upper_bound(end);
        }
        let from = start.filter(|start| *start > prefix).unwrap_or(prefix);
        let mode = IteratorMode::From(from, Direction::Forward);
        for entry in self
            .snapshot
            .iterator_cf_opt(self.index.family::<F>()?, options, mode)
        {
            let (key, value) = entry.map_err(storage_error("scanning"))?;
            if !visit(&key, &value)? {
                break;
            }
        }
        Ok(())
    }
}

fn read_options<F: Family>() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.fill_cache(F::CACHED);
    options
}

/// The first key behind all keys with this prefix; `None` if there is none.
fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    family: &'static str,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
}

/// Changes that are written together, later ones over earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    list: Vec<Change>,
    /// Position of the last change of every key, for reads inside a transaction.
    latest: HashMap<(&'static str, Vec<u8>), usize>,
    bytes: usize,
}

impl Changes {
    /// Sets a key.
    ///
    /// # Errors
    /// `Internal` if the value cannot be represented.
    pub fn put<F: Family>(&mut self, key: &F::Key, value: &F::Value) -> Result<()> {
        self.add(F::NAME, key_of::<F>(key), Some(F::encode_value(value)?));
        Ok(())
    }

    /// Removes a key.
    pub fn delete<F: Family>(&mut self, key: &F::Key) {
        self.add(F::NAME, key_of::<F>(key), None);
    }

    /// Sets a key to bytes that need be no value of the family: how tests damage an index.
    #[cfg(test)]
    pub fn damage<F: Family>(&mut self, key: &F::Key, value: &[u8]) {
        self.add(F::NAME, key_of::<F>(key), Some(value.to_vec()));
    }

    pub(super) fn add(&mut self, family: &'static str, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        self.latest.insert((family, key.clone()), self.list.len());
        self.list.push(Change { family, key, value });
    }

    /// Adds all changes of `other` behind these.
    pub fn append(&mut self, mut other: Self) {
        let offset = self.list.len();
        self.latest
            .extend(other.latest.into_iter().map(|(key, at)| (key, at + offset)));
        self.bytes += other.bytes;
        self.list.append(&mut other.list);
    }

    /// What these changes say of a key: `None` nothing, `Some(None)` removed, `Some(Some(_))` set.
    ///
    /// # Errors
    /// `Data` if the value is damaged.
    pub fn get<F: Family>(&self, key: &F::Key) -> Result<Option<Option<F::Value>>> {
        let position = self.latest.get(&(F::NAME, key_of::<F>(key)));
        let last = position.and_then(|position| self.list.get(*position));
        match last {
            None => Ok(None),
            Some(Change { value: None, .. }) => Ok(Some(None)),
            Some(Change {
                value: Some(value), ..
            }) => F::decode_value(value).map(|value| Some(Some(value))),
        }
    }

    /// What these changes set in a family, in no order.
    ///
    /// # Errors
    /// `Data` if an entry is damaged.
    pub fn entries<F: Family>(&self) -> Result<Vec<(F::Key, F::Value)>> {
        let of_family = self
            .latest
            .iter()
            .filter(|((family, _), _)| *family == F::NAME);
        let set = of_family.filter_map(|((_, key), at)| {
            let value = self.list.get(*at)?.value.as_ref()?;
            Some((key, value))
        });
        set.map(|(key, value)| Ok((F::decode_key(key)?, F::decode_value(value)?)))
            .collect()
    }

    /// Number of changes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Bytes of keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Date;
    use keys::meta::Meta;
    use keys::segments::SegmentId;
    use rocksdb::perf::{PerfContext, PerfMetric, PerfStatsLevel, set_perf_stats};

    #[test]
    fn what_is_written_is_there_after_reopening_and_scans_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        {
            let index = Index::open(&path).unwrap();
            let mut changes = Changes::default();
            for (name, value) in [("a.1", 1), ("a.2", 2), ("b.1", 3)] {
                changes.put::<Meta>(&name.to_owned(), &value).unwrap();
            }
            changes.delete::<Meta>(&"a.1".to_owned());
            assert_eq!(changes.get::<Meta>(&"a.1".to_owned()).unwrap(), Some(None));
            assert_eq!(
                changes.get::<Meta>(&"a.2".to_owned()).unwrap(),
                Some(Some(2))
            );
            assert_eq!(changes.get::<Meta>(&"c".to_owned()).unwrap(), None);
            index.write(&changes).unwrap();
        }
        let index = Index::open(&path).unwrap();
        assert_eq!(index.get::<Meta>(&"a.1".to_owned()).unwrap(), None);
        let mut seen = Vec::new();
        index
            .snapshot()
            .scan::<Meta>(b"a.", None, |key, value| {
                seen.push((key, value));
                Ok(true)
            })
            .unwrap();
        assert_eq!(seen, vec![("a.2".to_owned(), 2)]);
    }

    /// A cache that the filters do not fit in is what ten million jobs make of the usual one.
    #[test]
    fn a_look_for_what_is_not_there_reads_no_whole_filter() {
        const KEYS: u64 = 400_000;
        const LOOKS: u64 = 200;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("index");
        let name = |number: u64| format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let index = Index::open_with(&path, 64 << 10).unwrap();
        for start in (0..KEYS).step_by(100_000) {
            let mut changes = Changes::default();
            for number in start..start + 100_000 {
                changes.put::<Meta>(&name(number), &number).unwrap();
            }
            index.write(&changes).unwrap();
        }
        // All of them in one file.
        let filter_bytes = KEYS * 10 / 8;
        assert!(index.compacted_bytes::<Meta>().unwrap() > filter_bytes);
        set_perf_stats(PerfStatsLevel::EnableCount);
        let mut context = PerfContext::default();
        context.reset();
        for number in KEYS..KEYS + LOOKS {
            assert_eq!(index.get::<Meta>(&name(number)).unwrap(), None);
        }
        let read = context.metric(PerfMetric::BlockReadByte) / LOOKS;
        set_perf_stats(PerfStatsLevel::Disable);
        assert!(0 < read && read < filter_bytes / 4, "{read} bytes per look");
    }

    #[test]
    fn snapshots_of_one_generation_have_the_same_segments() {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(&dir.path().join("index")).unwrap();
        let first = index.snapshot().generation();
        assert!(first.is_some());
        let mut changes = Changes::default();
        changes.put::<Meta>(&"a".to_owned(), &1).unwrap();
        index.write(&changes).unwrap();
        assert_eq!(index.snapshot().generation(), first);
        let id = SegmentId {
            date: Date(1),
            seq: 1,
        };
        let mut last = first;
        for present in [true, false] {
            let mut changes = Changes::default();
            match present {
                true => changes.damage::<Segments>(&id, b"any"),
                false => changes.delete::<Segments>(&id),
            }
            index.write(&changes).unwrap();
            let next = index.snapshot().generation();
            assert!(next > last, "{next:?} {last:?}");
            last = next;
        }
        index.generation.fetch_add(1, SeqCst);
        assert_eq!(index.snapshot().generation(), None);
    }

    #[test]
    fn the_end_of_a_prefix_is_its_successor() {
        assert_eq!(after_prefix(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(after_prefix(&[1, 255]), Some(vec![2]));
        assert_eq!(after_prefix(&[255, 255]), None);
        assert_eq!(after_prefix(&[]), None);
    }
}
