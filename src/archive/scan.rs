//! Scans: everything that is archived, as columns, in one consistent view.
//!
//! Called by `query`. A [`ScanView`] is one snapshot of the index: its segments, the jobs that are
//! staged, and what was said of sealed jobs since. A [`Unit`] is a piece of it that is decoded at
//! once: a row group of a segment file, or some staged or amended jobs. Rows that the scope does not
//! allow, and rows of sealed jobs that an amendment replaces, are hidden here and nowhere else.

mod changes;
mod facts;
mod overlay;
mod segments;
mod unit;

pub use crate::segment::scan::Table;
pub use crate::segment::scan::{
    Bound, ColumnBounds, Scratch, StoredColumn, StoredKind, job_columns, logical, sample_columns,
};
pub use facts::JobFacts;
pub use unit::{Unit, UnitReader};

use super::Archive;
use super::readers::FilePin;
use super::segments::{OpenSegment, file_name};
use super::visible::{Sight, Visibility};
use crate::error::{Error, Result};
use crate::index::keys::segments::SegmentId;
use crate::limits;
use crate::model::id::{JobKey, ProjectKey};
use crate::model::scope::Scope;
use crate::segment::dir::Table as DirTable;
use crate::time::{Date, TimestampMs};
use changes::Changes;
use overlay::Overlay;
pub(super) use overlay::RowCache;
pub(super) use segments::SegmentList;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A segment of a view, not necessarily open. Its digests are read when it is opened: those of years of
/// segments are tens of megabytes.
#[derive(Debug, Clone, Copy)]
pub struct SegmentRef {
    id: SegmentId,
    archiver: u16,
    jobs: u64,
    sample_rows: u64,
    /// See [`SegmentRef::ends`].
    ends: Option<(TimestampMs, TimestampMs)>,
}

impl SegmentRef {
    /// Its date.
    #[must_use]
    pub fn date(&self) -> Date {
        self.id.date
    }

    /// Earliest and latest end of its jobs, of those whose end is known; `None` if nothing is known of
    /// them, as when more was said of a job since.
    #[must_use]
    pub fn ends(&self) -> Option<(TimestampMs, TimestampMs)> {
        self.ends
    }

    /// Rows that its file of a table has.
    #[must_use]
    pub fn rows(&self, table: Table) -> u64 {
        match table {
            Table::Jobs => self.jobs,
            Table::Samples => self.sample_rows,
        }
    }
}

/// One consistent view of everything that is archived.
pub struct ScanView {
    archive: Arc<Archive>,
    _pin: FilePin,
    scope: Scope,
    segments: Arc<[SegmentRef]>,
    overlay: Overlay,
    visibility: Visibility,
    /// What differs from the files of the segments that were asked for last: by what was said since alone,
    /// or also by time and erasures; and the facts of their jobs.
    said_since: Recent<Changes>,
    looked_at: Recent<Changes>,
    facts: Recent<JobFacts>,
}

impl fmt::Debug for ScanView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanView")
            .field("segments", &self.segments.len())
            .finish_non_exhaustive()
    }
}

impl Archive {
    /// A view of what is archived now, for a reader with this scope.
    ///
    /// # Errors
    /// `Data` if the index is damaged, `Overloaded` if too much is staged, `Unavailable` if RocksDB
    /// fails.
    pub fn scan(self: &Arc<Self>, scope: &Scope) -> Result<ScanView> {
        // Before the snapshot: what it names stays.
        let pin = self.pin_files();
        let snapshot = self.index.snapshot();
        let visibility = self.visibility(&snapshot)?;
        let overlay = Overlay::read(&snapshot, scope, &visibility)?;
        let mut segments = self.segment_list.of(&snapshot)?;
        let is_changed = |segment: &SegmentRef| !overlay.amended(segment.id).is_empty();
        if segments.iter().any(is_changed) {
            let known = segments.iter().map(|segment| SegmentRef {
                ends: segment.ends.filter(|_| !is_changed(segment)),
                ..*segment
            });
            segments = known.collect();
        }
        Ok(ScanView {
            archive: Arc::clone(self),
            _pin: pin,
            scope: scope.clone(),
            segments,
            overlay,
            visibility,
            said_since: Recent::default(),
            looked_at: Recent::default(),
            facts: Recent::default(),
        })
    }

    /// Where a query may put what does not fit in memory.
    #[must_use]
    pub fn spill_path(&self) -> PathBuf {
        self.dir.root().join("tmp")
    }
}

impl ScanView {
    /// Its segments, by date.
    #[must_use]
    pub fn segments(&self) -> &[SegmentRef] {
        &self.segments
    }

    /// Jobs in the segments of each date: about how many a question over these dates looks at. Dates without
    /// segments are left out; jobs that are only staged are not counted, those that expired or were erased
    /// are until their files are rewritten.
    #[must_use]
    pub fn jobs_by_date(&self, dates: RangeInclusive<Date>) -> BTreeMap<Date, u64> {
        let mut jobs = BTreeMap::new();
        let asked = self.segments.iter();
        for segment in asked.filter(|one| dates.contains(&one.date())) {
            *jobs.entry(segment.date()).or_default() += segment.jobs;
        }
        jobs
    }

    /// Rows of a table, if that is known without reading: nothing is hidden, nothing is staged.
    #[must_use]
    pub fn exact_rows(&self, table: Table) -> Option<u64> {
        let shown = |one: &SegmentRef| self.shows_all(table, one);
        let plain =
            self.overlay.is_empty() && self.scope.is_unlimited() && self.segments.iter().all(shown);
        plain.then(|| self.segments.iter().map(|one| one.rows(table)).sum())
    }

    /// The units of a segment: one per row group of the table's file, and one for rows that are no more
    /// as they stand there.
    ///
    /// # Errors
    /// `Data` if the segment is damaged, `Unavailable` if it cannot be read.
    pub fn units(&self, segment: &SegmentRef, table: Table) -> Result<Vec<Unit>> {
        let open = self.open(segment)?;
        let file = open
            .file(table)
            .inspect_err(|error| self.suspect(segment, error))?;
        let groups = 0..file.groups();
        let mut units: Vec<Unit> = groups
            .map(|group| Unit::sealed(file, segment, table, group))
            .collect();
        if table == Table::Jobs {
            let changes = self.changes(segment, table)?;
            if !changes.rows.is_empty() {
                units.push(Unit::changed(segment, changes));
            }
        }
        Ok(units)
    }

    /// Whether a segment is open already.
    #[must_use]
    pub fn is_open(&self, segment: &SegmentRef) -> bool {
        self.archive.segments.is_open(segment.id)
    }

    /// Says that a segment will be asked for soon: the disk reads what opening it takes, if it is not open,
    /// while others are scanned.
    pub fn expect(&self, segment: &SegmentRef, table: Table) {
        if !self.is_open(segment) {
            let name = file_name(segment.archiver, segment.id.seq);
            let tables: &[DirTable] = match table {
                Table::Jobs => &[DirTable::Jobs],
                Table::Samples => &[DirTable::Jobs, DirTable::Samples],
            };
            for table in tables {
                self.archive.dir.expect_end(*table, segment.id.date, &name);
            }
        }
    }

    /// The units of jobs that are in no segment yet.
    #[must_use]
    pub fn staged_units(&self, table: Table) -> Vec<Unit> {
        self.overlay.units(table)
    }

    /// Opens a segment; the scrubber is told if that shows damage.
    fn open(&self, segment: &SegmentRef) -> Result<Arc<OpenSegment>> {
        let open = self.archive.open_pinned(segment.id);
        open.inspect_err(|error| self.suspect(segment, error))
    }

    fn suspect(&self, segment: &SegmentRef, error: &Error) {
        self.archive.suspects.report(segment.id, error);
    }

    /// What is seen of a job of a segment; `None` if nothing is.
    fn sight(
        &self,
        segment: &SegmentRef,
        project: ProjectKey,
        job: JobKey,
        finished_at: Option<TimestampMs>,
    ) -> Option<Sight> {
        let date = segment.id.date;
        let allowed = self.scope.allows(project);
        let sight = self.visibility.sight(project, job, date, finished_at);
        sight.filter(|_| allowed)
    }

    /// Whether every row of a table is seen that a segment has, as far as time and erasures go.
    fn shows_all(&self, table: Table, segment: &SegmentRef) -> bool {
        match table {
            Table::Jobs => self.visibility.shows_all_rows_of(segment.id.date),
            Table::Samples => self.visibility.shows_all_of(segment.id.date),
        }
    }

    fn changes(&self, segment: &SegmentRef, table: Table) -> Result<Arc<Changes>> {
        let amended = self.overlay.amended(segment.id);
        let shows_all = self.shows_all(table, segment);
        if amended.is_empty() && shows_all {
            return Ok(Arc::default());
        }
        // The same for both tables as long as their rows are seen alike.
        let known = if shows_all {
            &self.said_since
        } else {
            &self.looked_at
        };
        known.get(segment.id, || {
            Changes::read(self, segment, &*self.open(segment)?, amended, shows_all)
        })
    }

    /// The facts of the jobs whose samples are in a unit.
    ///
    /// # Errors
    /// `Data` if the jobs file is damaged, `Unavailable` if it cannot be read.
    pub fn facts(&self, reader: &UnitReader) -> Result<Arc<JobFacts>> {
        match reader.segment() {
            None => Ok(Arc::new(JobFacts::of_rows(reader.job_rows()))),
            Some(segment) => self
                .facts
                .get(segment.id, || JobFacts::of_segment(self, segment)),
        }
    }
}

/// Things of the segments that a scan is at: made once, and let go of soon.
#[derive(Debug)]
struct Recent<T>(Mutex<VecDeque<(SegmentId, Arc<T>)>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Recent<T> {
    fn get(&self, id: SegmentId, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, own)) = known.iter().find(|(known, _)| *known == id) {
            return Ok(Arc::clone(own));
        }
        let own = Arc::new(make()?);
        if known.len() >= limits::SCAN_FACTS_MAX {
            known.pop_front();
        }
        known.push_back((id, Arc::clone(&own)));
        Ok(own)
    }
}
