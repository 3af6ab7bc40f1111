//! Restoring: a data directory from a backup, whole, or the files of one segment.
//!
//! Called by `tachograph restore`. Every byte is compared with the manifest on its way. The directory
//! is made beside its place and moved there in the end, so there is no half restored one.

use super::Archive;
use super::backup::{MANIFEST, Manifest, ManifestFile, VERSION};
use super::segments::numbers_of;
use crate::error::{Error, Result};
use crate::index::keys::meta::Meta;
use crate::index::keys::segments::SegmentId;
use crate::index::{Changes, Index};
use crate::num;
use crate::segment::dir::DataDir;
use crate::segment::dir::copies::{self, FileDigest};
use crate::time::Date;
use std::path::{Component, Path, PathBuf};

/// Families that outlive every backup: what was erased since it was made stays erased.
const OUTLIVING: [&str; 2] = ["tombstones", "erasures"];

/// Sequences of numbers that name what may have been erased, and erasures themselves.
const SEQUENCES: [&str; 4] = ["job", "project", "runner", "erasure"];

/// What was restored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Restored {
    pub files: u64,
    pub bytes: u64,
    pub segments: u64,
    /// Entries about erasures that are newer than the backup.
    pub tombstones: u64,
    /// Segments that were damaged when the backup was made.
    pub left_out: Vec<String>,
}

/// Reads and checks the manifest of a backup.
///
/// # Errors
/// `Data` (`backup_incomplete`) if there is none, or if it is not for this program.
pub fn manifest(backup: &Path) -> Result<Manifest> {
    let path = backup.join(MANIFEST);
    let incomplete = |what: &str| {
        let text = format!("{} {what}: it is no whole backup", path.display());
        Error::data("backup_incomplete", text)
    };
    let bytes = copies::read_whole(&path)?.ok_or_else(|| incomplete("is not there"))?;
    let manifest: Manifest = serde_json::from_slice(&bytes)
        .map_err(|error| incomplete("is not readable").with_source(error))?;
    if manifest.version == VERSION {
        return Ok(manifest);
    }
    Err(incomplete("is of another version"))
}

/// Where a file of a backup lies below a folder. A manifest is input: it must not name what is
/// elsewhere.
fn below(folder: &Path, file: &ManifestFile) -> Result<PathBuf> {
    let path = Path::new(&file.path);
    let plain = |part| matches!(part, Component::Normal(_));
    if !file.path.is_empty() && path.components().all(plain) {
        return Ok(folder.join(path));
    }
    Err(damaged(&file.path, "is no path inside of a backup"))
}

fn damaged(path: &str, what: &str) -> Error {
    Error::data("backup_damaged", format!("{path} of the backup {what}"))
}

/// Copies a file of a backup and compares it with the manifest.
fn bring(backup: &Path, to: &Path, file: &ManifestFile) -> Result<()> {
    let from = below(backup, file)?;
    let digest = copies::copy(&from, to)?;
    if is_as_backed_up(&digest, file) {
        return Ok(());
    }
    Err(damaged(&file.path, "is not what was backed up"))
}

fn is_as_backed_up(digest: &FileDigest, file: &ManifestFile) -> bool {
    (digest.bytes, &digest.blake3) == (file.bytes, &file.blake3)
}

/// Makes the data directory `root`, which must not be there or be empty, from a backup. Erasures that
/// the index of `newer` (a data directory, or a later backup) knows are taken over before anything can
/// be read. `progress` is called behind each file with the number done and of all.
///
/// # Errors
/// `Data` if the backup is incomplete or damaged, `Conflict` if `root` is not empty or a process holds
/// `newer`, `Unavailable` for I/O errors: `root` is as it was then.
pub fn restore(
    backup: &Path,
    root: &Path,
    newer: Option<&Path>,
    mut progress: impl FnMut(u64, u64),
) -> Result<Restored> {
    let manifest = manifest(backup)?;
    copies::create_empty(root)?;
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    let beside = root.with_file_name(format!("{name}.restoring"));
    copies::remove_folder(&beside)?;
    let all = num::len_u64(manifest.files.len());
    for (done, file) in (1u64..).zip(&manifest.files) {
        bring(backup, &below(&beside, file)?, file)?;
        progress(done, all);
    }
    let tombstones = match newer {
        None => 0,
        Some(newer) => take_over_erasures(newer, &beside.join("index"))?,
    };
    copies::sync_folders(&beside)?;
    copies::move_folder(&beside, root)?;
    Ok(Restored {
        files: all,
        bytes: manifest.files.iter().map(|file| file.bytes).sum(),
        segments: manifest.segments,
        tombstones,
        left_out: manifest.left_out,
    })
}

/// Copies what is known of erasures from the index of one directory to another's.
fn take_over_erasures(newer: &Path, index: &Path) -> Result<u64> {
    // Whoever writes it removes files of its index meanwhile; a backup is written by nobody.
    let _held = match copies::read_whole(&newer.join(MANIFEST))? {
        None => Some(DataDir::open(newer)?),
        Some(_) => None,
    };
    let from = Index::open_read_only(&newer.join("index"))?;
    let mut changes = Changes::default();
    let mut taken = 0;
    for family in OUTLIVING {
        let read = from.salvage(family, |key, value| changes.put_bytes(family, key, value))?;
        taken += read.entries;
        if let Some(error) = read.error {
            // Half of them would let the others be read again.
            return Err(error);
        }
    }
    if taken > 0 {
        let index = Index::open(index)?;
        // What was erased is known by its number: numbers given out since then are not given again.
        for name in SEQUENCES {
            let name = format!("seq.{name}");
            let last = from.get::<Meta>(&name)?.max(index.get::<Meta>(&name)?);
            if let Some(last) = last {
                changes.put::<Meta>(&name, &last)?;
            }
        }
        index.write(&changes)?;
    }
    Ok(taken)
}

/// Brings the files of one segment back from a backup into the data directory `root`, whose archive is
/// closed; files that are there and are not what was backed up are replaced. Says which segment it is.
///
/// # Errors
/// `NotFound` if the backup does not hold it, `Conflict` if a process holds `root`, `Data` if its files
/// are damaged in the backup, `Unavailable` for I/O errors.
pub fn restore_segment(backup: &Path, root: &Path, seq: u64) -> Result<SegmentId> {
    let manifest = manifest(backup)?;
    let _held_by_nobody_else = DataDir::open(root)?;
    let mut found = None;
    for file in &manifest.files {
        let path = Path::new(&file.path);
        let is_it =
            path.starts_with("tables") && numbers_of(path).is_some_and(|(_, number)| number == seq);
        let folder = path.parent().and_then(Path::file_name);
        let date = folder.and_then(|name| Date::parse(name.to_str()?.strip_prefix("date=")?));
        let Some(date) = date.filter(|_| is_it) else {
            continue;
        };
        found = Some(SegmentId { date, seq });
        let target = below(root, file)?;
        if copies::digest_of(&target).is_ok_and(|there| is_as_backed_up(&there, file)) {
            continue;
        }
        let part = root.join("tmp").join(format!("restored-{}", date.0));
        copies::remove_folder(&part)?;
        let whole = part.join("file");
        bring(backup, &whole, file)?;
        copies::put(&whole, &target)?;
    }
    found.ok_or_else(|| {
        let text = format!("the backup holds no segment {seq}");
        Error::not_found("segment_not_in_backup", text)
    })
}

impl Archive {
    /// Where backups may be put under a name that a caller chose: one plain name below a folder.
    ///
    /// # Errors
    /// `Invalid` if the name is none.
    pub fn backup_place(folder: &Path, name: &str) -> Result<PathBuf> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_name = (1..=100).contains(&name.len()) && name.chars().all(plain);
        if is_name && !name.starts_with('.') {
            return Ok(folder.join(name));
        }
        Err(Error::invalid(
            "invalid_backup_name",
            "the name of a backup has at most 100 letters, digits, `-`, `_`, `.` and does not begin with a dot",
        ))
    }
}
