//! Open segments, kept with their checked footers.

use super::Archive;
use super::obsolete::Retired;
use crate::error::{Error, Result};
use crate::index::keys::jobs::SealedJob;
use crate::index::keys::quarantine::Quarantine;
use crate::index::keys::segments::{SegmentEntry, SegmentId, Segments as SegmentFamily};
use crate::index::{Index, Snapshot};
use crate::limits;
use crate::model::archived::{RowKeys, SummarisedRow};
use crate::model::coarse::Coarse;
use crate::model::id::Archiver;
use crate::model::profile::Profile;
use crate::num;
use crate::segment::coarse::CoarseFile;
use crate::segment::digest::Digests;
use crate::segment::dir::{DataDir, ReadFile, Table};
use crate::segment::jobs::JobsFile;
use crate::segment::properties::JOBS_READ_ROWS;
use crate::segment::runs::{self, Run};
use crate::segment::{DigestsAgain, Footers, VerifiedFile, kept};
use crate::segment::{samples, scan};
use crate::time::Date;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Code of the error of a job whose segment is in quarantine.
pub(super) const SEGMENT_QUARANTINED: &str = "segment_quarantined";

/// Uses of open segments between two looks at the memory that all of them take: a look goes through all.
const USES_BETWEEN_LOOKS: u64 = 64;

/// File name of a segment, the same in both tables.
pub(super) fn file_name(archiver: u16, seq: u64) -> String {
    format!("{archiver:05}-{seq:010}.parquet")
}

/// The archiver's and the sequence number in a segment file's name; `None` if it is no name of ours.
pub(super) fn numbers_of(path: &Path) -> Option<(u16, u64)> {
    let (archiver, seq) = path
        .file_name()?
        .to_str()?
        .strip_suffix(".parquet")?
        .split_once('-')?;
    Some((archiver.parse().ok()?, seq.parse().ok()?))
}

/// What a segment file's path says: segment and archiver.
pub(super) fn id_of(path: &Path) -> Option<(SegmentId, u16)> {
    let (archiver, seq) = numbers_of(path)?;
    let folder = path.parent()?.file_name()?.to_str()?;
    let date = Date::parse(folder.strip_prefix("date=")?)?;
    Some((SegmentId { date, seq }, archiver))
}

/// The sequence number in a segment file's name; `None` if it is no name of ours.
pub(super) fn sequence_of(path: &Path) -> Option<u64> {
    numbers_of(path).map(|(_, seq)| seq)
}

/// A segment open for reading. Its samples are opened when they are asked for first: most questions over
/// many jobs read job rows alone. Whoever holds a pin ([`Archive::reading`], [`Archive::scan`]) finds the
/// files there.
#[derive(Debug)]
pub(super) struct OpenSegment {
    jobs: JobsFile,
    samples: Unopened<VerifiedFile>,
    /// Of no use in a segment that has none.
    samples_5m: Unopened<CoarseFile>,
    footers: Arc<Footers>,
}

/// A file that is opened when it is asked for.
#[derive(Debug)]
struct Unopened<F> {
    path: PathBuf,
    open: OnceLock<F>,
}

impl<F> Unopened<F> {
    fn new(path: PathBuf) -> Self {
        let open = OnceLock::new();
        Self { path, open }
    }

    /// The file, its footer checked; `None` if there are no digests of it.
    fn get(
        &self,
        footers: &Arc<Footers>,
        digests: impl Fn() -> Result<Option<Digests>> + Send + Sync + 'static,
        make: impl FnOnce(VerifiedFile) -> Result<F>,
    ) -> Result<Option<&F>> {
        if let Some(open) = self.open.get() {
            return Ok(Some(open));
        }
        let Some(known) = digests()? else {
            return Ok(None);
        };
        let gone = || Error::internal("a jobs file names digests no more");
        let again = Box::new(move || digests()?.ok_or_else(gone));
        let file = ReadFile::open(&self.path)?;
        let file = make(VerifiedFile::open_among(file, known, again, footers)?)?;
        Ok(Some(self.open.get_or_init(|| file)))
    }
}

impl OpenSegment {
    /// Opens the jobs file of that name and checks its footer, which vouches for the others; for one who has
    /// few segments open, and not for long.
    pub(super) fn open(dir: &DataDir, date: Date, name: &str, jobs: Digests) -> Result<Self> {
        let again = kept(&jobs);
        Self::open_among(dir, (date, name), jobs, again, &Arc::default())
    }

    /// As [`OpenSegment::open`], one of many that share `footers`; `again` gives the jobs file's digests.
    fn open_among(
        dir: &DataDir,
        (date, name): (Date, &str),
        jobs: Digests,
        again: DigestsAgain,
        footers: &Arc<Footers>,
    ) -> Result<Self> {
        let file = dir.open_file(Table::Jobs, date, name)?;
        let jobs = JobsFile::new(VerifiedFile::open_among(file, jobs, again, footers)?);
        let path = |table| dir.file_path(table, date, name);
        Ok(Self {
            samples: Unopened::new(path(Table::Samples)),
            samples_5m: Unopened::new(path(Table::Samples5m)),
            jobs,
            footers: Arc::clone(footers),
        })
    }

    /// Memory that it keeps of its files, in bytes.
    fn memory(&self) -> usize {
        let samples = self.samples.open.get().map_or(0, VerifiedFile::memory);
        let slices = self.samples_5m.open.get();
        let slices = slices.map_or(0, |file| file.file().memory());
        self.jobs.file().memory() + samples + slices
    }

    /// Its jobs file.
    pub(super) fn jobs(&self) -> &JobsFile {
        &self.jobs
    }

    /// Its samples file.
    pub(super) fn samples(&self) -> Result<&VerifiedFile> {
        let jobs = self.jobs.clone();
        let digests = move || jobs.samples_digests().map(Some);
        let missing = || Error::internal("a segment without samples");
        let samples = self.samples.get(&self.footers, digests, Ok)?;
        samples.ok_or_else(missing)
    }

    /// Its samples_5m file, if there is one.
    pub(super) fn samples_5m(&self) -> Result<Option<&CoarseFile>> {
        let jobs = self.jobs.clone();
        let digests = move || jobs.samples_5m_digests();
        self.samples_5m.get(&self.footers, digests, CoarseFile::new)
    }

    /// The slices of a job whose samples went; none if there are none.
    pub(super) fn slices(&self, keys: RowKeys) -> Result<Coarse> {
        match self.samples_5m()? {
            Some(file) => file.read(keys),
            None => Ok(Coarse::default()),
        }
    }

    /// A job's row as it was sealed.
    pub(super) fn row(&self, job: &SealedJob) -> Result<SummarisedRow> {
        let row = self.jobs.read(num::to_usize(job.jobs_row))?;
        check_row(&row, job)?;
        Ok(row)
    }

    /// Checks all files against their digests, byte by byte.
    pub(super) fn verify_whole(&self) -> Result<()> {
        self.jobs.verify_whole()?;
        self.samples()?.verify_whole()?;
        match self.samples_5m()? {
            Some(coarse) => coarse.file().verify_whole(),
            None => Ok(()),
        }
    }

    /// The jobs of the samples file in order; fails if a key is out of order.
    pub(super) fn runs(&self) -> Result<Vec<Run>> {
        runs::runs(self.samples()?)
    }

    /// Digests of the samples file.
    pub(super) fn samples_digests(&self) -> Result<Digests> {
        self.jobs.samples_digests()
    }

    /// Rows of the jobs file.
    pub(super) fn job_count(&self) -> u64 {
        self.jobs.rows()
    }

    /// Rows of the jobs file from `start`, at most a page and none beyond `end`.
    pub(super) fn job_rows(&self, start: u64, end: u64) -> Result<Vec<SummarisedRow>> {
        let left = num::to_usize(end.saturating_sub(start));
        self.jobs
            .read_range(num::to_usize(start), left.min(JOBS_READ_ROWS))
    }

    /// The rows of jobs in ascending order of their positions.
    pub(super) fn rows(&self, jobs: &[&SealedJob]) -> Result<Vec<SummarisedRow>> {
        let positions: Vec<usize> = jobs.iter().map(|job| num::to_usize(job.jobs_row)).collect();
        let rows = self.jobs.read_rows(&positions)?;
        for (row, job) in rows.iter().zip(jobs) {
            check_row(row, job)?;
        }
        Ok(rows)
    }

    /// Its file of a table.
    pub(super) fn file(&self, table: scan::Table) -> Result<&VerifiedFile> {
        match table {
            scan::Table::Jobs => Ok(self.jobs.file()),
            scan::Table::Samples => self.samples(),
        }
    }

    /// A job's samples.
    pub(super) fn profile(&self, job: &SealedJob) -> Result<Profile> {
        samples::read(self.samples()?, job.sample_rows())
    }
}

/// Why a segment that a job's entry names is not open to readers.
fn not_served(snapshot: &Snapshot<'_>, id: SegmentId) -> Result<Error> {
    let SegmentId { date, seq } = id;
    Ok(match snapshot.get::<Quarantine>(&id)? {
        None => Error::data(
            "segment_missing",
            format!("segment {seq} of {date} is not in the index"),
        ),
        Some(quarantined) => Error::data(
            SEGMENT_QUARANTINED,
            format!(
                "segment {seq} of {date} is in quarantine ({}); restore its files with tachograph restore --segment",
                quarantined.info.problem
            ),
        ),
    })
}

fn check_row(row: &SummarisedRow, job: &SealedJob) -> Result<()> {
    if row.row.job == job.job {
        return Ok(());
    }
    Err(Error::data(
        "segment_rows",
        format!(
            "the segment holds another job where {} should be; restore it from a backup",
            job.job
        ),
    ))
}

/// The open segments: least recently used ones are closed.
#[derive(Debug, Default)]
pub(super) struct Segments {
    open: Mutex<Cache>,
    footers: Arc<Footers>,
}

#[derive(Debug, Default)]
struct Cache {
    segments: HashMap<SegmentId, (Arc<OpenSegment>, u64)>,
    uses: u64,
}

impl Segments {
    /// How many are open.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.lock().unwrap().segments.len()
    }

    fn get(&self, id: SegmentId) -> Option<Arc<OpenSegment>> {
        let mut cache = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        cache.uses += 1;
        let uses = cache.uses;
        let (segment, last) = cache.segments.get_mut(&id)?;
        *last = uses;
        let segment = Arc::clone(segment);
        // They grow while they are read.
        if uses.is_multiple_of(USES_BETWEEN_LOOKS) {
            cache.close_what_is_too_much();
        }
        Some(segment)
    }

    /// Whether it is open.
    pub(super) fn is_open(&self, id: SegmentId) -> bool {
        let cache = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        cache.segments.contains_key(&id)
    }

    /// Closes segments that nobody is led to any more, as soon as those who read them are done.
    pub(super) fn forget(&self, ids: &[SegmentId]) {
        let mut cache = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        cache.segments.retain(|id, _| !ids.contains(id));
    }

    /// Closes all.
    #[cfg(test)]
    pub(super) fn forget_all(&self) {
        self.open.lock().unwrap().segments.clear();
    }

    fn put(&self, id: SegmentId, segment: &Arc<OpenSegment>) {
        let mut cache = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let uses = cache.uses;
        cache.segments.insert(id, (Arc::clone(segment), uses));
        cache.close_what_is_too_much();
    }
}

impl Cache {
    fn close_what_is_too_much(&mut self) {
        let all = self.segments.values();
        let mut bytes: usize = all.map(|(segment, _)| segment.memory()).sum();
        while bytes > limits::OPEN_SEGMENTS_BYTES_MAX
            || self.segments.len() > limits::OPEN_SEGMENTS_MAX
        {
            let by_use = self.segments.iter().min_by_key(|(_, (_, last))| *last);
            let Some(oldest) = by_use.map(|(id, _)| *id) else {
                break;
            };
            if let Some((closed, _)) = self.segments.remove(&oldest) {
                bytes = bytes.saturating_sub(closed.memory());
            }
        }
    }
}

impl Archive {
    /// Opens a segment, or takes it from the open ones.
    pub(super) fn open_segment(
        &self,
        snapshot: &Snapshot<'_>,
        date: Date,
        seq: u64,
    ) -> Result<Arc<OpenSegment>> {
        let id = SegmentId { date, seq };
        if let Some(segment) = self.segments.get(id) {
            return Ok(segment);
        }
        let Some(entry) = snapshot.get::<SegmentFamily>(&id)? else {
            return Err(not_served(snapshot, id)?);
        };
        self.open_known(id, &entry)
    }

    /// Opens a segment for someone who has held a pin since it was in the index, whatever became of it.
    pub(super) fn open_pinned(&self, id: SegmentId) -> Result<Arc<OpenSegment>> {
        if let Some(segment) = self.segments.get(id) {
            return Ok(segment);
        }
        let entry = pinned_entry(&self.index, &self.retired, id)?;
        self.open_known(id, &entry)
    }

    /// Opens a segment whose entry is at hand, among those that are kept open.
    fn open_known(&self, id: SegmentId, entry: &SegmentEntry) -> Result<Arc<OpenSegment>> {
        // An answer that is still being read must not keep the index of a closed archive open.
        let (index, retired) = (Arc::downgrade(&self.index), Arc::downgrade(&self.retired));
        let again = Box::new(move || {
            let open = index.upgrade().zip(retired.upgrade());
            let (index, retired) = open.ok_or_else(super::closing)?;
            Digests::decode(&pinned_entry(&index, &retired, id)?.jobs_digests)
        });
        let (name, digests) = named(id, entry)?;
        let (place, footers) = ((id.date, name.as_str()), &self.segments.footers);
        let segment = OpenSegment::open_among(&self.dir, place, digests, again, footers)?;
        let segment = Arc::new(segment);
        self.segments.put(id, &segment);
        Ok(segment)
    }

    /// Opens the files of a segment and checks their footers: for one who looks at all of it once, whether or
    /// not the index names it.
    pub(super) fn open_files(&self, id: SegmentId, entry: &SegmentEntry) -> Result<OpenSegment> {
        let (name, digests) = named(id, entry)?;
        OpenSegment::open(&self.dir, id.date, &name, digests)
    }
}

/// The name of a segment's files, and the digests of its jobs file.
fn named(id: SegmentId, entry: &SegmentEntry) -> Result<(String, Digests)> {
    let archiver = Archiver::new(entry.info.archiver)?;
    let digests = Digests::decode(&entry.jobs_digests)?;
    Ok((file_name(archiver.number(), id.seq), digests))
}

/// The entry of a segment for someone who has held a pin since it was in the index.
fn pinned_entry(index: &Index, retired: &Retired, id: SegmentId) -> Result<SegmentEntry> {
    if let Some(entry) = index.get::<SegmentFamily>(&id)? {
        return Ok(entry);
    }
    match retired.entry(id) {
        Some(entry) => Ok(entry),
        None => Err(not_served(&index.snapshot(), id)?),
    }
}
