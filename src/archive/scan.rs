//! Scans: everything that is archived, as columns, in one consistent view.
//!
//! Called by `query`. A [`ScanView`] is one snapshot of the index: its segments, the jobs that are
//! staged, and what was said of sealed jobs since. A [`Unit`] is a piece of it that is decoded at
//! once: a row group of a segment file, or some staged or amended jobs. Rows that the scope does not
//! allow, and rows of sealed jobs that an amendment replaces, are hidden here and nowhere else.

mod facts;
mod overlay;
mod unit;

pub use crate::segment::dir::Table;
pub use crate::segment::scan::{
    Bound, ColumnBounds, Scratch, StoredColumn, StoredKind, job_columns, logical, sample_columns,
};
pub use facts::JobFacts;
pub use unit::{Unit, UnitReader};

use super::Archive;
use super::segments::OpenSegment;
use crate::error::Result;
use crate::index::keys::segments::{SegmentId, SegmentInfo, Segments};
use crate::limits;
use crate::model::scope::Scope;
use crate::time::{Date, TimeRange};
use overlay::Overlay;
pub(super) use overlay::RowCache;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A segment of a view, not necessarily open.
#[derive(Debug, Clone)]
pub struct SegmentRef {
    id: SegmentId,
    info: SegmentInfo,
}

impl SegmentRef {
    /// Its date.
    #[must_use]
    pub fn date(&self) -> Date {
        self.id.date
    }

    /// Earliest start and latest end of its jobs.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        TimeRange::new(self.info.from, self.info.to)
    }

    /// Rows that its file of a table has.
    #[must_use]
    pub fn rows(&self, table: Table) -> u64 {
        match table {
            Table::Jobs => self.info.jobs,
            Table::Samples => self.info.rows,
        }
    }
}

/// One consistent view of everything that is archived.
pub struct ScanView {
    archive: Arc<Archive>,
    scope: Scope,
    segments: Vec<SegmentRef>,
    overlay: Overlay,
    /// Segments opened for this view: they stay open as long as it lives.
    open: Mutex<HashMap<SegmentId, Arc<OpenSegment>>>,
    /// Facts of the jobs of the segments that were asked for last.
    facts: Mutex<VecDeque<(SegmentId, Arc<JobFacts>)>>,
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
        let snapshot = self.index.snapshot();
        let mut segments = Vec::new();
        snapshot.scan::<Segments>(&[], None, |id, entry| {
            let info = entry.info;
            segments.push(SegmentRef { id, info });
            Ok(true)
        })?;
        Ok(ScanView {
            archive: Arc::clone(self),
            scope: scope.clone(),
            segments,
            overlay: Overlay::read(&snapshot, scope)?,
            open: Mutex::default(),
            facts: Mutex::default(),
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

    /// Rows of a table, if that is known without reading: nothing is hidden, nothing is staged.
    #[must_use]
    pub fn exact_rows(&self, table: Table) -> Option<u64> {
        let plain = self.overlay.is_empty() && self.scope.is_unlimited();
        plain.then(|| self.segments.iter().map(|one| one.rows(table)).sum())
    }

    /// The units of a segment: one per row group of the table's file. The segment is opened and stays
    /// open as long as the view lives.
    ///
    /// # Errors
    /// `Data` if the segment is damaged, `Unavailable` if it cannot be read.
    pub fn units(&self, segment: &SegmentRef, table: Table) -> Result<Vec<Unit>> {
        let open = self.open(segment.id)?;
        let groups = open.file(table).metadata.num_row_groups();
        Ok((0..groups)
            .map(|group| Unit::sealed(Arc::clone(&open), segment.id, table, group))
            .collect())
    }

    /// The units of what is not read from a segment: staged jobs, and of the jobs table amended ones.
    #[must_use]
    pub fn overlay_units(&self, table: Table) -> Vec<Unit> {
        self.overlay.units(table)
    }

    fn open(&self, id: SegmentId) -> Result<Arc<OpenSegment>> {
        let mut held = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = held.get(&id) {
            return Ok(Arc::clone(open));
        }
        let snapshot = self.archive.index.snapshot();
        let open = self.archive.open_segment(&snapshot, id.date, id.seq)?;
        held.insert(id, Arc::clone(&open));
        Ok(open)
    }

    /// The facts of the jobs whose samples are in a unit.
    ///
    /// # Errors
    /// `Data` if the jobs file is damaged, `Unavailable` if it cannot be read.
    pub fn facts(&self, reader: &UnitReader) -> Result<Arc<JobFacts>> {
        let Some(id) = reader.segment() else {
            return Ok(Arc::new(JobFacts::of_rows(reader.job_rows())));
        };
        let mut known = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, facts)) = known.iter().find(|(known, _)| *known == id) {
            return Ok(Arc::clone(facts));
        }
        let facts = Arc::new(JobFacts::of_segment(self, id)?);
        if known.len() >= limits::SCAN_FACTS_MAX {
            known.pop_front();
        }
        known.push_back((id, Arc::clone(&facts)));
        Ok(facts)
    }
}
