//! The data directory: the only file I/O of the archive.
//!
//! Durability: [`DataDir::write_durably`] returns after the bytes are on disk under their final name
//! and that name is on disk too. After a failed sync the file is abandoned and never synced again
//! (the kernel may have dropped the dirty pages and would report success): the caller gets
//! `Unavailable` and writes under a new name later.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the owner of the archive's file I/O"
)]

pub mod copies;
mod format;
mod index_place;
mod quarantine;
mod space;

use crate::error::{Error, ErrorKind, Result};
use crate::fault;
use crate::time::Date;
use bytes::Bytes;
use format::Format;
use rustix::fs::Advice;
pub use space::Space;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind as IoKind, Read as _, Write as _};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which table a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Table {
    Samples,
    Samples5m,
    Jobs,
}

impl Table {
    /// All of them, in the order in which a segment's files are removed: whoever reads in place ignores
    /// samples without a jobs file.
    pub const ALL: [Self; 3] = [Self::Jobs, Self::Samples, Self::Samples5m];

    /// Folder name under `tables/`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Samples5m => "samples_5m",
            Self::Jobs => "jobs",
        }
    }
}

/// An open data directory, held by this process alone.
#[derive(Debug)]
pub struct DataDir {
    root: PathBuf,
    /// Dropping it releases the lock; the kernel does so too when the process dies.
    _lock: File,
}

/// A file open for reading.
#[derive(Debug, Clone)]
pub struct ReadFile {
    file: Arc<File>,
    path: Arc<Path>,
    len: u64,
}

fn io_error(what: &str, path: &Path, error: std::io::Error) -> Error {
    let kind = match error.kind() {
        IoKind::NotFound | IoKind::UnexpectedEof => ErrorKind::Data,
        _ => ErrorKind::Unavailable,
    };
    let message = format!("{what} {} failed", path.display());
    if error.kind() == IoKind::StorageFull {
        return Error::new(ErrorKind::Unavailable, "disk_full", message).with_source(error);
    }
    Error::new(kind, "data_dir_io", message).with_source(error)
}

impl DataDir {
    /// Opens or creates the directory and takes its lock before anything else is touched.
    ///
    /// # Errors
    /// `Conflict` (`data_dir_locked`) names the process that holds it; `Data` if the directory was
    /// written by a newer version (nothing is changed then); `Unavailable` for I/O errors.
    pub fn open(root: &Path) -> Result<Self> {
        create_durably(root)?;
        // Before the lock, so that not even its file changes under a newer program's data; and after
        // it, since the newer program may have come in between.
        format::read(root)?;
        let lock = take_lock(&root.join("LOCK"))?;
        allow_open_files();
        fault::step("open.locked")?;
        let dir = Self {
            root: root.to_owned(),
            _lock: lock,
        };
        let found = format::read(root)?;
        if let Some(format) = found.map_or(Some(Format::NEW), Format::raised) {
            dir.write_in(root, format::FILE, format.text().as_bytes())?;
        }
        for folder in [
            "tables/samples",
            "tables/samples_5m",
            "tables/jobs",
            "quarantine",
            "index",
        ] {
            create_durably(&dir.root.join(folder))?;
        }
        dir.empty_tmp()?;
        fault::step("open.folders")?;
        Ok(dir)
    }

    /// Folder of the index. It exists and its name is durable.
    #[must_use]
    pub fn index_path(&self) -> PathBuf {
        self.root.join("index")
    }

    /// The directory itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whatever a crash left half-written.
    fn empty_tmp(&self) -> Result<()> {
        let tmp = self.root.join("tmp");
        match std::fs::remove_dir_all(&tmp) {
            Ok(()) => {}
            Err(error) if error.kind() == IoKind::NotFound => {}
            Err(error) => return Err(io_error("emptying", &tmp, error)),
        }
        create_durably(&tmp)
    }

    fn date_dir(&self, table: Table, date: Date) -> PathBuf {
        self.root
            .join("tables")
            .join(table.name())
            .join(format!("date={date}"))
    }

    /// Path of a segment file.
    #[must_use]
    pub fn file_path(&self, table: Table, date: Date, name: &str) -> PathBuf {
        self.date_dir(table, date).join(name)
    }

    /// Writes a segment file; returns after it is durable under its final name.
    ///
    /// # Errors
    /// `Unavailable` for I/O errors: nothing of it counts then. `Internal` if the name is taken.
    pub fn write_durably(&self, table: Table, date: Date, name: &str, bytes: &[u8]) -> Result<()> {
        let dir = self.date_dir(table, date);
        create_durably(&dir)?;
        if dir.join(name).exists() {
            return Err(Error::internal(format!(
                "segment file {name} of {date} exists already"
            )));
        }
        self.write_in(&dir, name, bytes)
    }

    /// tmp file -> fdatasync -> rename -> fsync of the directory.
    fn write_in(&self, dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
        let tmp_dir = self.root.join("tmp");
        create_durably(&tmp_dir)?;
        let tmp = tmp_dir.join(name);
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .open(&tmp)?;
            file.write_all(bytes)?;
            fault::step("file.written").map_err(std::io::Error::other)?;
            if !fault::omits("omit.data_sync") && !fault::omits("omit.sync_before_rename") {
                file.sync_data()?;
            }
            fault::step("file.synced").map_err(std::io::Error::other)
        })();
        if let Err(error) = written {
            let _best_effort = std::fs::remove_file(&tmp);
            return Err(io_error("writing", &tmp, error));
        }
        let target = dir.join(name);
        std::fs::rename(&tmp, &target).map_err(|error| io_error("renaming", &target, error))?;
        fault::step("file.renamed")?;
        if !fault::omits("omit.dir_sync") {
            sync_dir(dir)?;
        }
        if fault::omits("omit.sync_before_rename") {
            sync_dir(&target)?;
        }
        fault::step("file.durable")
    }

    /// Removes a segment file if it is there.
    ///
    /// # Errors
    /// `Unavailable` for I/O errors.
    pub fn remove(&self, table: Table, date: Date, name: &str) -> Result<()> {
        let path = self.file_path(table, date, name);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == IoKind::NotFound => Ok(()),
            Err(error) => Err(io_error("removing", &path, error)),
        }
    }

    /// Says that a segment file will be opened soon: the disk reads its end meanwhile. It need not be there.
    pub fn expect_end(&self, table: Table, date: Date, name: &str) {
        if let Ok(file) = self.open_file(table, date, name) {
            file.expect(file.len.saturating_sub(END_BYTES)..file.len);
        }
    }

    /// Opens a segment file for reading.
    ///
    /// # Errors
    /// `Data` if it is not there, `Unavailable` for other I/O errors.
    pub fn open_file(&self, table: Table, date: Date, name: &str) -> Result<ReadFile> {
        ReadFile::open(&self.file_path(table, date, name))
    }

    /// All segment files: table, date folder and file name, for finding what no index entry names.
    ///
    /// # Errors
    /// `Unavailable` for I/O errors.
    pub fn list(&self, table: Table) -> Result<Vec<PathBuf>> {
        let root = self.root.join("tables").join(table.name());
        let mut files = Vec::new();
        for date in read_dir(&root)? {
            files.append(&mut read_dir(&date)?);
        }
        files.sort();
        Ok(files)
    }

    /// Every file below the directory but its lock, in order, whoever wrote it.
    ///
    /// # Errors
    /// `Unavailable` for I/O errors.
    pub fn all_files(&self) -> Result<Vec<PathBuf>> {
        let (mut files, mut open) = (Vec::new(), vec![self.root.clone()]);
        while let Some(dir) = open.pop() {
            for path in read_dir(&dir)? {
                if path.is_dir() {
                    open.push(path);
                } else if !path.ends_with("LOCK") {
                    files.push(path);
                }
            }
        }
        files.sort();
        Ok(files)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// `Data` if it is not there, `Unavailable` for other I/O errors.
    pub fn read_whole(&self, path: &Path) -> Result<Bytes> {
        std::fs::read(path)
            .map(Bytes::from)
            .map_err(|error| io_error("reading", path, error))
    }

    /// Removes a file that no index entry names.
    ///
    /// # Errors
    /// `Unavailable` for I/O errors.
    pub fn remove_orphan(&self, path: &Path) -> Result<()> {
        std::fs::remove_file(path).map_err(|error| io_error("removing", path, error))
    }
}

fn read_dir(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(path).map_err(|error| io_error("listing", path, error))?;
    entries
        .map(|entry| {
            entry
                .map(|entry| entry.path())
                .map_err(|error| io_error("listing", path, error))
        })
        .collect()
}

fn take_lock(path: &Path) -> Result<File> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| io_error("opening", path, error))?;
    let locked = match file.try_lock() {
        Err(TryLockError::WouldBlock) if fault::omits("omit.lock") => Ok(()),
        locked => locked,
    };
    match locked {
        Ok(()) => {
            let pid = format!("{}\n", std::process::id());
            file.set_len(0)
                .and_then(|()| file.write_all(pid.as_bytes()))
                .map_err(|error| io_error("writing", path, error))?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _best_effort = file.read_to_string(&mut holder);
            Err(Error::new(
                ErrorKind::Conflict,
                "data_dir_locked",
                format!(
                    "the data directory is in use by process {}: stop it, or use another directory ({})",
                    holder.trim(),
                    path.display()
                ),
            ))
        }
        Err(TryLockError::Error(error)) => Err(io_error("locking", path, error)),
    }
}

/// Creates a directory and makes its name, and that of every new parent, durable.
fn create_durably(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new("."));
    create_durably(parent)?;
    match std::fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == IoKind::AlreadyExists => {}
        Err(error) => return Err(io_error("creating", path, error)),
    }
    fault::step("dir.created")?;
    if fault::omits("omit.parent_sync") {
        return Ok(());
    }
    sync_dir(if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    })
}

fn sync_dir(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(|error| io_error("syncing directory", path, error))
}

/// Allows as many open files as the system lets us: a segment takes up to three, and RocksDB its own. If it
/// is refused, what was allowed before must do.
fn allow_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// Bytes of a file's end that opening it reads: page indexes and footer of ten thousand jobs.
const END_BYTES: u64 = 128 << 10;

impl ReadFile {
    /// Has the disk read a part of it without waiting for it.
    pub(super) fn expect(&self, part: Range<u64>) {
        if let Some(len) = NonZeroU64::new(part.end.saturating_sub(part.start)) {
            // If it cannot be done, whoever reads waits, as without it.
            let _only_slower =
                rustix::fs::fadvise(&*self.file, part.start, Some(len), Advice::WillNeed);
        }
    }

    /// Opens a segment file.
    ///
    /// # Errors
    /// `Data` if it is not there, `Unavailable` for other I/O errors.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let open = || {
            let file = File::open(path)?;
            let len = file.metadata()?.len();
            Ok((file, len))
        };
        let (file, len) = open().map_err(|error| io_error("opening", path, error))?;
        Ok(Self {
            file: Arc::new(file),
            path: path.into(),
            len,
        })
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its path, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `len` bytes from `offset`.
    ///
    /// # Errors
    /// `Data` if the file ends before, `Unavailable` for other I/O errors.
    pub fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        let mut buffer = vec![0; len];
        self.file
            .read_exact_at(&mut buffer, offset)
            .map_err(|error| io_error("reading", &self.path, error))?;
        Ok(Bytes::from(buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_opening_names_the_first_process() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("new/parent/data");
        let first = DataDir::open(&path).unwrap();
        let error = DataDir::open(&path).unwrap_err();
        assert_eq!(error.code(), "data_dir_locked");
        assert!(
            error.message().contains(&std::process::id().to_string()),
            "{error}"
        );
        drop(first);
        DataDir::open(&path).unwrap();
    }

    #[test]
    fn a_newer_format_is_refused_and_nothing_changes() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join(format::FILE), "tachograph 2.0\nwriter 9\n").unwrap();
        assert_eq!(
            DataDir::open(root.path()).unwrap_err().code(),
            "format_version"
        );
        let text = std::fs::read_to_string(root.path().join(format::FILE)).unwrap();
        assert_eq!(text, "tachograph 2.0\nwriter 9\n");
        let names: Vec<_> = std::fs::read_dir(root.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "{names:?}");
    }

    #[test]
    fn files_are_written_once_and_read_back() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open(root.path()).unwrap();
        dir.write_durably(Table::Jobs, Date(20_000), "a.parquet", b"hello")
            .unwrap();
        assert!(
            dir.write_durably(Table::Jobs, Date(20_000), "a.parquet", b"again")
                .is_err()
        );
        let file = dir
            .open_file(Table::Jobs, Date(20_000), "a.parquet")
            .unwrap();
        assert_eq!(&file.read_at(1, 3).unwrap()[..], b"ell");
        assert_eq!(file.read_at(3, 9).unwrap_err().kind(), ErrorKind::Data);
        assert_eq!(dir.list(Table::Jobs).unwrap().len(), 1);
        assert!(dir.list(Table::Samples).unwrap().is_empty());
    }
}
