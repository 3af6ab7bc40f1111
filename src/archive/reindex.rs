//! Reindexing: a new index from the segments, and from what is still readable of the old one.
//!
//! Called by `tachograph reindex`, offline. Everything that follows from the segments is made anew:
//! pointers, names, lists, the segments' own entries. What exists nowhere else (jobs that are not
//! sealed, amendments, registrations, ...) is taken over from the old index as far as it can be read;
//! what cannot is said. The new index is built beside the old one and takes its place in one step, so
//! a crash leaves one of them and the command is given again.
//!
//! **One profile per job (AR-2).** A crash, or a lost index, may leave two segments with the same job.
//! Segments are taken from the highest sequence number down, and the first to name a job has it: a
//! later file was made from what was known later. A file none of whose jobs are its own is left
//! without an entry, and the next opening removes it; of a file that still has some, these are written
//! into a new segment. A record that is not sealed wins over a file that its index had already given a
//! number to and does not name: that file was left by a crash (docs/adr/0021).

mod keep;
mod segment;

use super::commit::Committer;
use super::segments::{id_of, sequence_of};
use crate::error::{Error, Result};
use crate::index::keys::meta::Meta;
use crate::index::keys::obsolete::ObsoleteSegments;
use crate::index::keys::quarantine::Quarantine;
use crate::index::keys::segments::{SegmentEntry, SegmentId, Segments};
use crate::index::{Family, Index};
use crate::num;
use crate::segment::dir::{DataDir, Table};
use crate::segment::mark::Mark;
use crate::time::SharedClock;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Numbers that are passed over when the last one given out is not known: no file names those that
/// were given to jobs which are lost. Of 2^48.
const UNKNOWN_NUMBERS: u64 = 1 << 20;

/// What a reindexing made of a data directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Reindexed {
    pub segments: u64,
    pub sealed_jobs: u64,
    pub sample_rows: u64,
    /// Rows of jobs that a later segment, or a record, holds.
    pub superseded_rows: u64,
    /// Segments that are damaged or not there: their files are in `quarantine/`.
    pub quarantined: u64,
    /// Jobs that are not sealed, taken over from the old index.
    pub kept_records: u64,
    /// Entries taken over from the old index as they were, by family.
    pub kept: BTreeMap<String, u64>,
    /// What could not be taken over, a sentence each.
    pub lost: Vec<String>,
    /// Where the old index is kept, if something of it is lost.
    pub old_index: Option<PathBuf>,
}

/// The index that is replaced.
#[derive(Debug, Default)]
struct Old {
    index: Option<Index>,
    /// The segments that it serves.
    segments: BTreeMap<SegmentId, SegmentEntry>,
    /// Those that it has in quarantine; their files may be back.
    quarantined: BTreeMap<SegmentId, Option<SegmentEntry>>,
    /// Those that were replaced by others: not even without these are they taken again.
    replaced: BTreeSet<SegmentId>,
    /// Whether these are all that it named.
    names_all: bool,
    /// The last sequence number that it gave to a segment.
    taken: Option<u64>,
}

impl Old {
    fn open(dir: &DataDir, found: &mut Reindexed) -> Result<Self> {
        if !dir.has_index()? {
            found
                .lost
                .push("there is no old index: what was only in it comes from a backup".to_owned());
            return Ok(Self::default());
        }
        let index = match Index::open_read_only(&dir.index_path()) {
            Ok(index) => index,
            Err(error) => {
                found
                    .lost
                    .push(format!("the old index cannot be read: {}", error.chain()));
                return Ok(Self::default());
            }
        };
        let (_, acknowledged) = Mark::open(&dir.index_path())?;
        if acknowledged.is_some_and(|acknowledged| acknowledged > index.sequence()) {
            let text = "the last changes that the old index acknowledged: its log is damaged";
            found.lost.push(text.to_owned());
        }
        let mut segments = BTreeMap::new();
        let read = index.salvage(Segments::NAME, |key, value| {
            if let (Ok(id), Ok(entry)) = (Segments::decode_key(key), Segments::decode_value(value))
            {
                segments.insert(id, entry);
            }
            Ok(())
        })?;
        let mut quarantined = BTreeMap::new();
        let aside = index.salvage(Quarantine::NAME, |key, value| {
            if let Ok(id) = Quarantine::decode_key(key) {
                let value = Quarantine::decode_value(value).ok();
                quarantined.insert(id, value.and_then(|value| value.entry));
            }
            Ok(())
        })?;
        let mut replaced = BTreeSet::new();
        let gone = index.salvage(ObsoleteSegments::NAME, |key, _| {
            replaced.extend(ObsoleteSegments::decode_key(key).ok());
            Ok(())
        })?;
        if let Some(error) = gone.error {
            let text = format!("which segments were replaced: {}", error.chain());
            found.lost.push(text);
        }
        let whole = read.error.is_none() && aside.error.is_none();
        let names_all = whole && read.entries == num::len_u64(segments.len());
        let taken = index.get::<Meta>(&"seq.segment".to_owned());
        Ok(Self {
            index: Some(index),
            segments,
            quarantined,
            replaced,
            names_all,
            taken: taken.ok().flatten(),
        })
    }

    /// Whether a segment file is one that counts: named, or newer than the index, or nobody knows.
    fn counts(&self, id: SegmentId) -> bool {
        let named = self.segments.contains_key(&id) || self.quarantined.contains_key(&id);
        let may = !self.names_all || self.taken.is_none_or(|taken| id.seq > taken);
        named || (may && !self.replaced.contains(&id))
    }

    /// What it knows of a segment.
    fn entry(&self, id: SegmentId) -> Option<&SegmentEntry> {
        let aside = || self.quarantined.get(&id)?.as_ref();
        self.segments.get(&id).or_else(aside)
    }

    /// Whether a record that is not sealed goes before a row in that segment.
    fn record_wins(&self, id: SegmentId) -> bool {
        !self.segments.contains_key(&id) && self.taken.is_some_and(|taken| id.seq <= taken)
    }
}

/// A reindexing under way.
struct Work<'a> {
    dir: &'a DataDir,
    clock: SharedClock,
    old: Old,
    committer: Committer,
    fresh: Arc<Index>,
    found: Reindexed,
    /// Highest sequence number of a segment that was seen.
    last_segment: u64,
    /// Highest sequence number in a key of a job, a project, a runner.
    last_keys: [u64; 3],
}

/// Makes the index of the data directory `root` anew. `progress` is called behind each segment with
/// the number done and of all.
///
/// # Errors
/// `Conflict` if a process holds the directory, `Data` if it is of another format or holds files that
/// are none of this program's, `Unavailable` for I/O errors: the old index is in place then.
pub fn reindex(
    root: &Path,
    clock: SharedClock,
    mut progress: impl FnMut(u64, u64),
) -> Result<Reindexed> {
    let dir = DataDir::open(root)?;
    let files = segment_files(&dir)?;
    let mut found = Reindexed::default();
    let old = Old::open(&dir, &mut found)?;
    let place = dir.fresh_index_path()?;
    let fresh = Arc::new(Index::open(&place)?);
    let (mark, _) = Mark::open(&place)?;
    let mut work = Work {
        dir: &dir,
        clock,
        old,
        committer: Committer::start(Arc::clone(&fresh), mark)?,
        fresh,
        found,
        last_segment: last_number(&dir, &files)?,
        last_keys: [0; 3],
    };
    work.keep()?;
    // From the highest sequence number down, see the module.
    let mut ids: Vec<(SegmentId, u16)> = files.into_iter().collect();
    ids.sort_by_key(|(id, _)| std::cmp::Reverse(id.seq));
    let all = num::len_u64(ids.len());
    for (done, (id, archiver)) in (1u64..).zip(ids) {
        work.segment(id, archiver)?;
        progress(done, all);
    }
    work.missing_segments()?;
    work.pointers_into_quarantine()?;
    work.forget_names_of_nothing()?;
    work.number_on()?;
    let Work {
        committer,
        fresh,
        mut found,
        ..
    } = work;
    drop((committer, fresh));
    let replaced = dir.replace_index()?;
    if found.lost.is_empty() {
        dir.remove_old_index(&replaced)?;
    } else {
        found.old_index = Some(replaced);
    }
    Ok(found)
}

/// The segments of which there is a jobs file. A samples file alone was never finished.
fn segment_files(dir: &DataDir) -> Result<BTreeMap<SegmentId, u16>> {
    let mut files = BTreeMap::new();
    for table in Table::ALL {
        for path in dir.list(table)? {
            let (id, archiver) = id_of(&path).ok_or_else(|| {
                Error::data(
                    "stray_file",
                    format!(
                        "{} is no segment file: keep other files out of tables/ (nothing was changed)",
                        path.display()
                    ),
                )
            })?;
            if table == Table::Jobs {
                files.insert(id, archiver);
            }
        }
    }
    Ok(files)
}

/// The highest sequence number of a segment file, wherever it lies.
fn last_number(dir: &DataDir, files: &BTreeMap<SegmentId, u16>) -> Result<u64> {
    let mut last = files.keys().map(|id| id.seq).max().unwrap_or(0);
    for path in dir.list(Table::Samples)?.iter().chain(&dir.quarantined()?) {
        // In quarantine the table and the date stand in front of the name.
        let name = path.file_name().and_then(|name| name.to_str());
        let own = name.and_then(|name| name.rsplit('.').nth(1));
        let own = own.map(|stem| PathBuf::from(format!("{stem}.parquet")));
        last = last.max(own.and_then(|own| sequence_of(&own)).unwrap_or(0));
    }
    Ok(last)
}
