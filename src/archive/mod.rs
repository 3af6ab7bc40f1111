//! The storage engine: jobs, their profiles, and the one commit protocol.
//!
//! Synchronous; the only importer of `segment` and `index`. Facts are acknowledged after their sync
//! (`commit`); a job is readable the moment it is staged (`stage`); staged jobs of a date become
//! one segment (`seal`): files first, durable, then one batch flips the index (AR-1).
//!
//! Called by `ingest` (writes) and `query` (reads). Every read takes a [`Scope`].

mod accept;
mod amend;
mod backup;
mod bulk;
mod co_tenants;
mod commit;
mod compact;
mod erase;
mod erase_run;
mod find;
mod hide;
mod list;
mod listed;
mod live;
mod lookups;
mod obsolete;
mod pace;
mod pending;
mod publish;
mod quarantine;
mod readers;
mod registry;
mod reindex;
mod restore;
mod retain;
mod rewrite;
mod room;
pub mod scan;
mod scrub;
mod seal;
mod search;
mod segments;
mod stage;
mod staged_dates;
#[cfg(test)]
mod tests;
mod verify;
mod visible;

pub use accept::{Acceptance, Accepted, SealedFacts};
pub use backup::{BackedUp, Copying, Manifest, ManifestFile};
pub use bulk::{ImportedJob, ImportedSamples, Reservation};
pub use co_tenants::CoTenant;
pub use commit::Reply;
pub use compact::{CompactionPolicy, Haste};
pub use erase::{EraseTarget, NumberedErasure};
pub use erase_run::ErasureRound;
pub use find::JobView;
pub use list::{JobFilter, JobPage};
pub use live::LiveSegment;
pub use lookups::DueLookup;
pub use pace::Pace;
pub use pending::{Due, Registration};
pub use readers::FilePin;
pub use reindex::{Reindexed, reindex};
pub use restore::{Restored, manifest, restore, restore_segment};
pub use retain::{Expiry, SegmentUse};
pub use rewrite::Rewritten;
pub use room::{Reserve, Room};
pub use scrub::{ScrubPolicy, Scrubbed};
pub use seal::{SealPolicy, Sealed};
pub use search::{FoundText, Search, search};
pub use stage::{Staged, Staging};
pub use verify::{Problem, Verification};
pub use visible::{Sight, Visibility};

use crate::error::{Error, ErrorKind, Result};
use crate::fault;
use crate::index::{Index, keys};
use crate::model::id::{Archiver, JobKey};
use crate::model::registry::Declared;
use crate::segment::dir::DataDir;
use crate::segment::mark::Mark;
use crate::segment::properties::ValueEncoding;
use crate::time::{SharedClock, TimestampMs};
use commit::Committer;
use compact::Memory;
use obsolete::Retired;
use readers::Readers;
use segments::Segments;
use staged_dates::StagedDates;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

#[cfg(doc)]
use crate::model::scope::Scope;

/// Settings of the archive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// Number of this archiver.
    pub archiver: Option<Archiver>,
    /// How values are encoded in new segments.
    pub encoding: ValueEncoding,
    /// When staged jobs are sealed.
    pub seal: SealPolicy,
    /// What stays free on the disk.
    pub reserve: Reserve,
    /// How fast the archive is read through for damage.
    pub scrub: ScrubPolicy,
    /// When segments are compacted.
    pub compact: CompactionPolicy,
}

/// An open archive. Dropping it finishes what was submitted and closes the index.
#[derive(Debug)]
pub struct Archive {
    dir: DataDir,
    index: Arc<Index>,
    committer: Committer,
    segments: Segments,
    clock: SharedClock,
    archiver: Archiver,
    settings: Settings,
    /// What the configuration registers, as of its last reading.
    declared: RwLock<Arc<Declared>>,
    staged: Arc<Mutex<StagedDates>>,
    /// What hides anything from readers.
    rules: Arc<visible::Rules>,
    /// Pending jobs whose record could not be read, once logged.
    unreadable: Mutex<BTreeSet<JobKey>>,
    /// Rows of staged jobs, and the segments, between scans.
    scan_rows: scan::RowCache,
    segment_list: scan::SegmentList,
    /// Held while a segment is made: one at a time.
    sealing: Mutex<()>,
    last_look: room::LastLook,
    /// Segments in which a read met damage.
    suspects: scrub::Suspects,
    next_scrub: scrub::NextLook,
    /// Held while segments are rewritten: one rewrite at a time.
    rewriting: Mutex<()>,
    readers: Readers,
    retired: Arc<Retired>,
    /// Both clocks when it was opened.
    opened: (TimestampMs, Duration),
    /// The last write of the index that each erasure must see gone.
    forgetting: Mutex<BTreeMap<u64, u64>>,
    compaction: Memory,
}

impl Archive {
    /// Opens or creates the archive in `root` and removes what a crash left behind.
    ///
    /// # Errors
    /// `Conflict` if another process holds it (the message names it), `Data` if it was written by a
    /// newer version or is damaged, `Unavailable` for I/O errors.
    pub fn open(root: &Path, settings: Settings, clock: SharedClock) -> Result<Self> {
        let dir = DataDir::open(root)?;
        let index = Arc::new(Index::open(&dir.index_path())?);
        fault::step("open.index")?;
        let (mark, acknowledged) = Mark::open(&dir.index_path())?;
        refuse_lost_writes(index.sequence(), acknowledged)?;
        let archiver = match settings.archiver {
            Some(archiver) => archiver,
            None => Archiver::new(0)?,
        };
        let committer = Committer::start(Arc::clone(&index), mark)?;
        let staged = StagedDates::load(&index.snapshot())?;
        let rules = Arc::new(visible::Rules::load(&index.snapshot())?);
        let archive = Self {
            opened: (clock.now(), clock.monotonic()),
            forgetting: Mutex::default(),
            rules,
            staged: Arc::new(Mutex::new(staged)),
            segments: Segments::default(),
            dir,
            index,
            committer,
            clock,
            archiver,
            settings,
            declared: RwLock::default(),
            unreadable: Mutex::default(),
            scan_rows: scan::RowCache::default(),
            segment_list: scan::SegmentList::default(),
            sealing: Mutex::new(()),
            last_look: room::LastLook::default(),
            suspects: scrub::Suspects::default(),
            next_scrub: scrub::NextLook::default(),
            rewriting: Mutex::new(()),
            readers: Readers::default(),
            retired: Arc::default(),
            compaction: Memory::default(),
        };
        archive.remove_orphans()?;
        Ok(archive)
    }

    /// Whether the last write was made. After a failed write the archive is poisoned: reads go on,
    /// writes answer `Unavailable` until it is opened again. After one that found no space they are
    /// tried again; whether that one is in the index is known at the next opening.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        !self.committer.is_poisoned() && !self.committer.is_full()
    }

    /// Live bytes of the index on disk, compacted, for size figures.
    ///
    /// # Errors
    /// `Unavailable` if RocksDB fails.
    pub fn index_bytes(&self) -> Result<u64> {
        use keys::{by_time, ids, jobs};
        let parts = [
            self.index.compacted_bytes::<jobs::Jobs>()?,
            self.index.compacted_bytes::<ids::Ids>()?,
            self.index.compacted_bytes::<by_time::ByTime>()?,
            self.index.compacted_bytes::<by_time::ByProjectTime>()?,
            self.index.compacted_bytes::<by_time::ByRunnerTime>()?,
            self.index.compacted_bytes::<by_time::ByMachineTime>()?,
            self.index.compacted_bytes::<by_time::ByNameRef>()?,
        ];
        Ok(parts.into_iter().sum())
    }

    fn staged_dates(&self) -> MutexGuard<'_, StagedDates> {
        locked(&self.staged)
    }
}

/// A panic while holding it leaves only counters behind: they are still usable.
fn locked(staged: &Mutex<StagedDates>) -> MutexGuard<'_, StagedDates> {
    staged.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the index holds everything that it acknowledged: damage of its log is silent otherwise.
fn refuse_lost_writes(holds: u64, acknowledged: Option<u64>) -> Result<()> {
    match acknowledged.filter(|acknowledged| holds < *acknowledged) {
        Some(acknowledged) if !fault::omits("omit.mark") => Err(Error::data(
            "index_log_damaged",
            format!(
                "the index ends at change {holds}, and {acknowledged} were acknowledged: its log is damaged; restore a backup, run tachograph reindex, or remove index/COMMITTED to go on without what is lost"
            ),
        )),
        _ => Ok(()),
    }
}

/// The error of a caller whose work was dropped because the archive closes.
fn closing() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "closing",
        "the archive is closing; try again later",
    )
}
