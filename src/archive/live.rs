//! Which files are live: for programs that read the tables in place and want neither a job twice nor a
//! file that goes away under them.

use super::Archive;
use super::segments::file_name;
use crate::error::Result;
use crate::index::keys::segments::{SegmentEntry, SegmentId, Segments};
use crate::limits;
use crate::segment::dir::Table;
use crate::time::{Date, TimeRange};

/// A segment that is live. Paths are below the data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct LiveSegment {
    pub date: Date,
    pub jobs: u64,
    pub rows: u64,
    pub samples_path: String,
    pub samples_bytes: u64,
    pub jobs_path: String,
    pub jobs_bytes: u64,
    /// Of jobs whose samples have expired, if there are such.
    pub samples_5m_path: Option<String>,
    /// Earliest start to latest end of its jobs.
    pub span: TimeRange,
    pub zstd_level: i32,
}

fn live(id: SegmentId, entry: &SegmentEntry) -> LiveSegment {
    let info = &entry.info;
    let name = file_name(info.archiver, id.seq);
    let path = |table: Table| format!("tables/{}/date={}/{name}", table.name(), id.date);
    LiveSegment {
        date: id.date,
        jobs: info.jobs,
        rows: info.rows,
        samples_path: path(Table::Samples),
        samples_bytes: info.samples_bytes,
        jobs_path: path(Table::Jobs),
        jobs_bytes: info.jobs_bytes,
        samples_5m_path: (info.samples_5m_rows > 0).then(|| path(Table::Samples5m)),
        span: TimeRange::new(info.from, info.to),
        zstd_level: info.level,
    }
}

impl Archive {
    /// The live segments from a date on, by date and sequence number, at most
    /// [`limits::LIVE_SEGMENTS_MAX`]; and whether there are more.
    ///
    /// # Errors
    /// `Data` for damaged entries, `Unavailable` for I/O errors.
    pub fn live_segments(&self, from: Option<Date>) -> Result<(Vec<LiveSegment>, bool)> {
        let start = from.map(Segments::date_prefix);
        let (mut found, mut more) = (Vec::new(), false);
        let snapshot = self.index.snapshot();
        snapshot.scan::<Segments>(&[], start.as_deref(), |id, entry| {
            more = found.len() >= limits::LIVE_SEGMENTS_MAX;
            if !more {
                found.push(live(id, &entry));
            }
            Ok(!more)
        })?;
        Ok((found, more))
    }
}
