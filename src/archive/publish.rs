//! Putting a segment's files into place, and taking away what no entry names: what every way to make a
//! segment shares.
//!
//! Called by `seal` and `rewrite`. Order (AR-1): both files written, synced, renamed, their directories
//! synced; then ONE synced batch. Whoever makes a segment writes it with [`Archive::write_pair`], tries
//! its batch, and hands the outcome to [`Archive::keep_if_flipped`].

use super::Archive;
use super::segments::{file_name, sequence_of};
use crate::error::{Error, Result};
use crate::fault;
use crate::index::keys::meta::Meta;
use crate::index::keys::obsolete::ObsoleteSegments;
use crate::index::keys::quarantine::Quarantine;
use crate::index::keys::segments::Segments;
use crate::segment::dir::Table;
use crate::time::Date;
use std::collections::BTreeSet;
use std::path::PathBuf;

impl Archive {
    /// Makes both files durable, or leaves neither: somebody may read the tables in place.
    pub(super) fn write_pair(
        &self,
        date: Date,
        name: &str,
        samples: &[u8],
        jobs: &[u8],
    ) -> Result<()> {
        let written = self
            .dir
            .write_durably(Table::Samples, date, name, samples)
            .and_then(|()| self.dir.write_durably(Table::Jobs, date, name, jobs));
        if written.is_err() {
            self.remove_pair(date, name);
        }
        written
    }

    /// Removes files that no entry names.
    pub(super) fn remove_pair(&self, date: Date, name: &str) {
        for table in Table::ALL {
            // What cannot be removed now is removed at the next opening.
            let _best_effort = self.dir.remove(table, date, name);
        }
    }

    /// Whether the batch of these files took place. If it was refused the files go: their jobs are
    /// written again under another name, and whoever reads in place would find them twice. After a
    /// failed write of the index it is unknown whose the jobs are: then the files stay until the next
    /// opening decides.
    pub(super) fn keep_if_flipped(
        &self,
        date: Date,
        name: &str,
        flipped: Result<bool>,
    ) -> Result<bool> {
        if !matches!(flipped, Ok(true)) && self.is_writable() {
            self.remove_pair(date, name);
        }
        if matches!(flipped, Ok(true)) {
            self.compaction.touch(date);
        }
        flipped
    }

    /// Removes segment files that no index entry names: a crash came between them and their batch.
    ///
    /// The sequence number of a segment is taken durably before its files are written. So a file with
    /// a higher number belongs to a newer index than this one (an old backup, a lost index): then
    /// nothing is removed and nothing is opened.
    pub(super) fn remove_orphans(&self) -> Result<()> {
        let mut named = BTreeSet::<PathBuf>::new();
        let snapshot = self.index.snapshot();
        snapshot.scan::<Segments>(&[], None, |id, entry| {
            let name = file_name(entry.info.archiver, id.seq);
            for table in Table::ALL {
                named.insert(self.dir.file_path(table, id.date, &name));
            }
            Ok(true)
        })?;
        snapshot.scan::<ObsoleteSegments>(&[], None, |id, obsolete| {
            let name = file_name(obsolete.archiver, id.seq);
            for table in Table::ALL {
                named.insert(self.dir.file_path(table, id.date, &name));
            }
            Ok(true)
        })?;
        // Somebody may have put the files of a segment in quarantine back.
        snapshot.scan::<Quarantine>(&[], None, |id, quarantined| {
            for table in Table::ALL {
                named.insert(self.dir.file_path(table, id.date, &quarantined.info.file));
            }
            Ok(true)
        })?;
        let taken = snapshot
            .get::<Meta>(&"seq.segment".to_owned())?
            .unwrap_or(0);
        let mut orphans = Vec::new();
        for table in Table::ALL {
            for path in self
                .dir
                .list(table)?
                .into_iter()
                .filter(|path| !named.contains(path))
            {
                if sequence_of(&path).is_none_or(|seq| seq > taken) {
                    return Err(Error::data(
                        "index_older_than_segments",
                        format!(
                            "{} is not in the index and was not left by a crash: the index is older than the segments, or empty; run tachograph reindex, or restore both from one backup (nothing was changed)",
                            path.display()
                        ),
                    ));
                }
                orphans.push(path);
            }
        }
        for path in orphans {
            fault::step("open.orphan")?;
            if fault::omits("omit.orphan_removal") {
                continue;
            }
            tracing::warn!(file = %path.display(), "removing a segment file that was never finished");
            self.dir.remove_orphan(&path)?;
        }
        Ok(())
    }
}
