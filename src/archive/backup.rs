//! Backups: a copy of the archive as it is at one moment, made while it is written.
//!
//! Called by `tachograph backup` and the service. The index is copied by RocksDB (a checkpoint); it
//! names the segments that belong to it, which never change, so they are linked or copied meanwhile.
//! The manifest with the length and digest of every file is written last: a folder without one is no
//! backup. Nothing that was there when the backup began is removed before it is done.

use super::segments::{OpenSegment, file_name};
use super::{Archive, closing};
use crate::error::{Error, Result};
use crate::index::keys::segments::{SegmentEntry, SegmentId, Segments};
use crate::index::{Family as _, Index};
use crate::num;
use crate::segment::digest::Digests;
use crate::segment::dir::Table;
use crate::segment::dir::copies::{self, FileDigest};
use crate::time::TimestampMs;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Its name in a backup.
pub(super) const MANIFEST: &str = "MANIFEST.json";
/// Version of the manifest.
pub(super) const VERSION: u32 = 1;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Manifest {
    pub version: u32,
    pub writer: String,
    pub made_at: TimestampMs,
    pub segments: u64,
    /// Segments that were damaged when the backup was made, and are not in it.
    pub left_out: Vec<String>,
    pub files: Vec<ManifestFile>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Relative to the backup, with `/`.
    pub path: String,
    /// Length.
    pub bytes: u64,
    /// BLAKE3-256 in hexadecimal.
    pub blake3: String,
}

/// How segment files get into a backup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Copying {
    /// As second names of the same files where the file system allows it, else as copies.
    #[default]
    Link,
    /// As copies, each compared with its digest.
    Copy,
}

/// What a backup made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct BackedUp {
    pub segments: u64,
    pub files: u64,
    pub bytes: u64,
    /// Segments that are damaged, a sentence each.
    pub left_out: Vec<String>,
}

/// A backup under way.
struct Copier<'a> {
    archive: &'a Archive,
    to: &'a Path,
    copying: Copying,
    files: Vec<ManifestFile>,
    left_out: Vec<String>,
}

impl Archive {
    /// Makes a backup in the folder `to`, which must be empty or not there. `progress` is called
    /// behind each segment with the number done and of all; the backup ends when it says `false`.
    ///
    /// # Errors
    /// `Conflict` if the folder is not empty, `Unavailable` for I/O errors, and if it was ended.
    pub fn backup(
        &self,
        to: &Path,
        copying: Copying,
        mut progress: impl FnMut(u64, u64) -> bool,
    ) -> Result<BackedUp> {
        copies::create_empty(to)?;
        let _no_file_is_removed = self.pin_files();
        let index = to.join("index");
        self.index.checkpoint(&index)?;
        let segments = named_segments(&index)?;
        let mut copier = Copier {
            archive: self,
            to,
            copying,
            files: Vec::new(),
            left_out: Vec::new(),
        };
        let all = num::len_u64(segments.len());
        for (done, (id, entry)) in (1u64..).zip(&segments) {
            copier.segment(*id, entry)?;
            if !progress(done, all) {
                return Err(closing());
            }
        }
        copier.copy(&self.dir.root().join("FORMAT"), "FORMAT".to_owned())?;
        copier.index(&index)?;
        copies::sync_folders(to)?;
        let manifest = Manifest {
            version: VERSION,
            writer: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: self.clock.now(),
            segments: all - num::len_u64(copier.left_out.len()),
            left_out: copier.left_out,
            files: copier.files,
        };
        let json = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| Error::internal("a manifest cannot be written").with_source(error))?;
        copies::write_whole(&to.join(MANIFEST), &json)?;
        Ok(BackedUp {
            segments: manifest.segments,
            files: num::len_u64(manifest.files.len()),
            bytes: manifest.files.iter().map(|file| file.bytes).sum(),
            left_out: manifest.left_out,
        })
    }
}

/// The segments that an index names.
fn named_segments(index: &Path) -> Result<Vec<(SegmentId, SegmentEntry)>> {
    let index = Index::open_read_only(index)?;
    let mut segments = Vec::new();
    let read = index.salvage(Segments::NAME, |key, value| {
        segments.push((Segments::decode_key(key)?, Segments::decode_value(value)?));
        Ok(())
    })?;
    read.error.map_or(Ok(segments), Err)
}

fn hex(digest: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*digest).to_hex().to_string()
}

impl Copier<'_> {
    /// The files of a segment. A damaged one is left out and named: it must not keep the others from
    /// their backup.
    fn segment(&mut self, id: SegmentId, entry: &SegmentEntry) -> Result<()> {
        let taken = self.files.len();
        match self.files_of(id, entry) {
            Err(error) if error.kind() == crate::error::ErrorKind::Data => {
                self.files.truncate(taken);
                let text = format!("segment {} of {}: {}", id.seq, id.date, error.chain());
                tracing::error!(error = text, "not in the backup");
                self.left_out.push(text);
                Ok(())
            }
            done => done,
        }
    }

    fn files_of(&mut self, id: SegmentId, entry: &SegmentEntry) -> Result<()> {
        let name = file_name(entry.info.archiver, id.seq);
        let dir = &self.archive.dir;
        let jobs = Digests::decode(&entry.jobs_digests)?;
        let segment = OpenSegment::open(dir, id.date, &name, jobs.clone())?;
        // A linked file is not read through; its footer is checked at least.
        segment.samples()?;
        segment.samples_5m()?;
        let slices = segment.jobs().samples_5m_digests()?;
        let files = [
            (Table::Samples, Some(segment.samples_digests()?)),
            (Table::Samples5m, slices),
            (Table::Jobs, Some(jobs)),
        ];
        for (table, digests) in files {
            let Some(digests) = digests else { continue };
            let known = FileDigest {
                bytes: digests.file_len,
                blake3: hex(&digests.file),
            };
            let path = format!("tables/{}/date={}/{name}", table.name(), id.date);
            self.unchanging(&dir.file_path(table, id.date, &name), path, known)?;
        }
        Ok(())
    }

    /// A file that never changes, whose digest is known.
    fn unchanging(&mut self, from: &Path, path: String, known: FileDigest) -> Result<()> {
        let target = self.to.join(&path);
        let linked = self.copying == Copying::Link && copies::link(from, &target)?;
        if !linked && copies::copy(from, &target)? != known {
            return Err(Error::data(
                "segment_damaged",
                format!("{} does not match its digest", from.display()),
            ));
        }
        self.name(path, known);
        Ok(())
    }

    fn copy(&mut self, from: &Path, path: String) -> Result<()> {
        let digest = copies::copy(from, &self.to.join(&path))?;
        self.name(path, digest);
        Ok(())
    }

    /// The files of the index, which are in place already.
    fn index(&mut self, index: &Path) -> Result<()> {
        for below in copies::files_below(index)? {
            let digest = copies::digest_of(&index.join(&below))?;
            let path = PathBuf::from("index").join(below);
            self.name(path.display().to_string(), digest);
        }
        Ok(())
    }

    fn name(&mut self, path: String, digest: FileDigest) {
        self.files.push(ManifestFile {
            path,
            bytes: digest.bytes,
            blake3: digest.blake3,
        });
    }
}
