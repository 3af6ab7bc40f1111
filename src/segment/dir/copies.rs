//! Copies of a data directory's files elsewhere: whole, durable, and with their digests.
//!
//! Called by the archive's backup and restore. What is written here is believed only when a manifest
//! names it, so single files need no temporary names.

use super::{File, IoKind, OpenOptions, Path, PathBuf, Result, create_durably, io_error, sync_dir};
use crate::error::{Error, ErrorKind};
use crate::num;
use std::io::{Read as _, Write as _};

/// Bytes read at once.
const PIECE: usize = 1 << 20;

/// Length and BLAKE3-256 of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct FileDigest {
    pub bytes: u64,
    pub blake3: String,
}

/// Reads a file piece by piece.
///
/// # Errors
/// `Data` if it is not there, `Unavailable` for other I/O errors, and whatever `take` returns.
pub fn read_pieces(path: &Path, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<FileDigest> {
    let mut file = File::open(path).map_err(|error| io_error("opening", path, error))?;
    let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0);
    let mut piece = vec![0; PIECE];
    loop {
        let len = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == IoKind::Interrupted => continue,
            Err(error) => return Err(io_error("reading", path, error)),
        };
        let read = piece.get(..len).unwrap_or_default();
        hasher.update(read);
        bytes += num::len_u64(len);
        take(read)?;
    }
    Ok(FileDigest {
        bytes,
        blake3: hasher.finalize().to_hex().to_string(),
    })
}

/// Length and digest of a file.
///
/// # Errors
/// As [`read_pieces`].
pub fn digest_of(path: &Path) -> Result<FileDigest> {
    read_pieces(path, |_| Ok(()))
}

/// Copies a file to a name that is free, and makes its bytes durable. Its name is durable after
/// [`sync_folders`].
///
/// # Errors
/// As [`read_pieces`]; `Unavailable` if the target cannot be written.
pub fn copy(from: &Path, to: &Path) -> Result<FileDigest> {
    create_parent(to)?;
    let writing = |error| io_error("writing", to, error);
    let mut target = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(to)
        .map_err(writing)?;
    let digest = read_pieces(from, |piece| target.write_all(piece).map_err(writing))?;
    target.sync_data().map_err(writing)?;
    Ok(digest)
}

/// Gives a file that never changes a second name; `false` if the file system cannot.
///
/// # Errors
/// `Data` if the file is not there, `Unavailable` for other I/O errors.
pub fn link(from: &Path, to: &Path) -> Result<bool> {
    create_parent(to)?;
    match std::fs::hard_link(from, to) {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                IoKind::CrossesDevices
                    | IoKind::Unsupported
                    | IoKind::PermissionDenied
                    | IoKind::TooManyLinks
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(io_error("linking", from, error)),
    }
}

fn create_parent(path: &Path) -> Result<()> {
    create_durably(path.parent().unwrap_or(Path::new(".")))
}

/// Makes sure of an empty folder.
///
/// # Errors
/// `Conflict` (`folder_not_empty`) if there is something in it, `Unavailable` for I/O errors.
pub fn create_empty(folder: &Path) -> Result<()> {
    create_durably(folder)?;
    if super::read_dir(folder)?.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        "folder_not_empty",
        format!("{} is not empty; name another folder", folder.display()),
    ))
}

/// All files below a folder, relative to it, in order.
///
/// # Errors
/// `Unavailable` for I/O errors.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for path in super::read_dir(&next)? {
            if path.is_dir() {
                open.push(path);
            } else if let Ok(below) = path.strip_prefix(folder) {
                found.push(below.to_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Makes the names of all files and folders below a folder durable, and its own.
///
/// # Errors
/// `Unavailable` for I/O errors.
pub fn sync_folders(folder: &Path) -> Result<()> {
    for path in super::read_dir(folder)? {
        if path.is_dir() {
            sync_folders(&path)?;
        }
    }
    sync_dir(folder)?;
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => sync_dir(Path::new(".")),
    }
}

/// Writes a small file: whole and durable under its name, or not at all.
///
/// # Errors
/// `Unavailable` for I/O errors.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = path.with_extension("part");
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&part)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        std::fs::rename(&part, path)
    })();
    written.map_err(|error| io_error("writing", path, error))?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// A small file, `None` if it is not there.
///
/// # Errors
/// `Unavailable` for I/O errors.
pub fn read_whole(path: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == IoKind::NotFound => Ok(None),
        Err(error) => Err(io_error("reading", path, error)),
    }
}

/// Removes a folder and everything in it, if it is there.
///
/// # Errors
/// `Unavailable` for I/O errors.
pub fn remove_folder(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != IoKind::NotFound => Err(io_error("removing", folder, error)),
        _ => Ok(()),
    }
}

/// Moves a folder to a name that nobody has, or that is an empty folder, in one step.
///
/// # Errors
/// `Unavailable` for I/O errors.
pub fn move_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|error| io_error("moving", from, error))?;
    sync_dir(match to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    })
}

/// Gives a whole file its place in one step.
///
/// # Errors
/// `Unavailable` for I/O errors.
pub fn put(from: &Path, to: &Path) -> Result<()> {
    create_parent(to)?;
    move_folder(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_and_links_have_the_same_bytes_and_no_file_is_written_over() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        let bytes: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[0]).collect();
        std::fs::write(path("a"), &bytes).unwrap();
        let digest = copy(&path("a"), &path("below/b")).unwrap();
        assert_eq!(digest.bytes, 3_000_000);
        assert_eq!(digest.blake3, blake3::hash(&bytes).to_hex().to_string());
        assert!(link(&path("a"), &path("below/c")).unwrap());
        assert_eq!(digest_of(&path("below/c")).unwrap(), digest);
        assert!(copy(&path("a"), &path("below/b")).is_err());
        sync_folders(root.path()).unwrap();
        let names: Vec<_> = files_below(root.path()).unwrap();
        assert_eq!(names, ["a", "below/b", "below/c"].map(PathBuf::from));
        assert_eq!(
            create_empty(&path("below")).unwrap_err().code(),
            "folder_not_empty"
        );
        remove_folder(&path("below")).unwrap();
        create_empty(&path("below")).unwrap();
    }
}
