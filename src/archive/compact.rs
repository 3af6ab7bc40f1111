//! Compaction: which segments of a date are made into one, and when.
//!
//! The decision is a pure function of what is there and of the time ([`CompactionPolicy::plan`]); the
//! work is [`super::rewrite`]'s. Called by the service's maintenance and by `tachograph compact`.
//!
//! | what | when |
//! |---|---|
//! | small segments of a date become one, at the level they have | as soon as it saves 2 % of their bytes |
//! | the last pass: everything of a date at zstd 15, in files of at most the target | when the date is quiet: over, and nothing was sealed into it, for six hours |
//! | a segment with amendments is rewritten, alone if need be | when the oldest of them is an hour old |
//!
//! A rewrite that saves less is not made: a job that arrives late leaves the large segments of its date
//! alone, and several such jobs become one small segment.

use super::Archive;
use super::rewrite::{Candidate, Fate, Rewrite, Rewritten, Transform};
use crate::error::{ErrorKind, Result};
use crate::index::Snapshot;
use crate::index::keys::amendments::Amendments;
use crate::index::keys::jobs::{JobEntry, Jobs};
use crate::index::keys::segments::{SegmentId, Segments};
use crate::limits;
use crate::num;
use crate::segment::copy::Pause;
use crate::segment::properties::LEVEL_COLD;
use crate::time::{Date, TimestampMs};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a segment costs beside its jobs. One of a handful of jobs has 50 KB (measured), nearly all of it
/// footers, page indexes and first pages of 32 and 150 columns; the rest is its digests in the index.
const SEGMENT_OVERHEAD_BYTES: u64 = 64 << 10;
/// What the last pass saves, in thousandths (measured: 1,258 for 1,297 bytes per job in both files).
const LEVEL_GAIN: u64 = 30;
/// What a rewrite must save, in thousandths of what it reads.
const GAIN_MIN: u64 = 20;

/// When and how segments are compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactionPolicy {
    /// Largest samples file that is made of several. 64 MiB are 70,000 jobs: their entries are one
    /// batch of the index.
    pub target_bytes: u64,
    /// How long a date that is over must have been left alone before its last pass.
    pub quiet_ms: i64,
    /// Age at which amendments are folded in.
    pub amended_ms: i64,
    /// How long the files of replaced segments stay for programs that read in place.
    pub grace_ms: i64,
    /// How much of one core background work may take, in hundredths.
    pub share_percent: u32,
}

impl Default for CompactionPolicy {
    fn default() -> Self {
        Self {
            target_bytes: 64 << 20,
            quiet_ms: 6 * 3_600_000,
            amended_ms: 3_600_000,
            grace_ms: 600_000,
            share_percent: 50,
        }
    }
}

/// Whether to wait as the policy says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Haste {
    /// Compacts what is due.
    Due,
    /// Takes every date for quiet and every amendment for old.
    All,
}

/// A segment as the policy sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    id: SegmentId,
    samples_bytes: u64,
    bytes: u64,
    level: i32,
    sealed_at: TimestampMs,
    /// When the oldest of its amendments was made.
    amended_at: Option<TimestampMs>,
}

/// Segments that are to become one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    /// By sequence number.
    inputs: Vec<SegmentId>,
    level: i32,
}

impl CompactionPolicy {
    /// What is to be compacted now, of segments that are sorted by date.
    fn plan(&self, segments: &[Known], now: TimestampMs, haste: Haste) -> Vec<Group> {
        segments
            .chunk_by(|a, b| a.id.date == b.id.date)
            .flat_map(|date| self.plan_date(date, now, haste))
            .collect()
    }

    fn plan_date(&self, segments: &[Known], now: TimestampMs, haste: Haste) -> Vec<Group> {
        let is_quiet = haste == Haste::All || self.is_quiet(segments, now);
        let cold = |level: i32| if is_quiet { LEVEL_COLD } else { level };
        let is_old = |at: TimestampMs| haste == Haste::All || now.since(at) >= self.amended_ms;
        let mut groups = Vec::new();
        let mut alone = Vec::new();
        // Levels are not mixed while a date is written to: nothing is recompressed at a lower one.
        let mut open: Vec<Known> = segments.to_vec();
        open.sort_by_key(|segment| (cold(segment.level), segment.bytes, segment.id));
        for open in open.chunk_by(|a, b| cold(a.level) == cold(b.level)) {
            let level = open.first().map_or(LEVEL_COLD, |first| cold(first.level));
            let mut open = open;
            while let Some((first, rest)) = open.split_first() {
                let fitting = open.get(..self.fitting(open)).unwrap_or_default();
                let gaining = (1..=fitting.len()).rev();
                let gaining = gaining.filter_map(|len| fitting.get(..len));
                match gaining.into_iter().find(|group| saves(group, level)) {
                    Some(group) => {
                        groups.push(group_of(group, level));
                        open = open.get(group.len()..).unwrap_or_default();
                    }
                    None => {
                        alone.push((*first, level));
                        open = rest;
                    }
                }
            }
        }
        let amended = |(segment, _): &(Known, i32)| segment.amended_at.is_some_and(is_old);
        let alone = alone.into_iter().filter(amended);
        groups.extend(alone.map(|(segment, level)| group_of(&[segment], level)));
        groups
    }

    /// Whether the date of these segments is over and was left alone for long enough.
    fn is_quiet(&self, segments: &[Known], now: TimestampMs) -> bool {
        let touched = segments.iter().flat_map(|segment| {
            let over = TimestampMs((i64::from(segment.id.date.0) + 1) * 86_400_000);
            [over, segment.sealed_at]
        });
        touched
            .max()
            .is_some_and(|touched| now.since(touched) >= self.quiet_ms)
    }

    /// How many of the smallest segments fit into one.
    fn fitting(&self, segments: &[Known]) -> usize {
        let mut bytes = 0;
        let fits = |segment: &&Known| {
            bytes += segment.samples_bytes;
            bytes <= self.target_bytes
        };
        let fitting = segments.iter().take_while(fits).count();
        fitting.clamp(1, limits::REWRITE_INPUTS_MAX)
    }
}

fn group_of(segments: &[Known], level: i32) -> Group {
    let mut inputs: Vec<SegmentId> = segments.iter().map(|segment| segment.id).collect();
    inputs.sort();
    Group { inputs, level }
}

/// Whether making one of these is worth reading them all.
fn saves(segments: &[Known], level: i32) -> bool {
    let bytes: u64 = segments.iter().map(|segment| segment.bytes).sum();
    let colder = segments.iter().filter(|segment| segment.level < level);
    let colder: u64 = colder.map(|segment| segment.bytes).sum();
    let fewer = num::len_u64(segments.len()).saturating_sub(1);
    fewer * SEGMENT_OVERHEAD_BYTES * 1_000 + colder * LEVEL_GAIN >= bytes * GAIN_MIN
        && bytes > 0
        && (fewer > 0 || colder > 0)
}

/// Changes nothing but what amendments say.
pub(super) struct FoldOnly;

impl Transform for FoldOnly {
    fn fate(&self, _job: &Candidate<'_>) -> Result<Fate> {
        Ok(Fate::Keep)
    }
}

/// What compaction remembers between two looks.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    /// Segments that could not be rewritten because they, or what became of them, are damaged. They
    /// are left alone until the next start: trying again would cost as much each time.
    unfit: BTreeSet<SegmentId>,
    /// Dates that are worth a look, few of many years of them; none before the first one.
    open: Option<BTreeSet<Date>>,
    /// Dates that got a new segment since.
    touched: BTreeSet<Date>,
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A date has a new segment.
    pub(super) fn touch(&self, date: Date) {
        self.lock().touched.insert(date);
    }
}

impl Archive {
    /// Compacts what is due, or everything, while there is room on the disk. A group that cannot be
    /// compacted does not keep the others from it.
    ///
    /// # Errors
    /// Whatever `pause` says, at once; else the first failure, after everything was tried. What was not
    /// compacted is as it was.
    pub fn compact(&self, haste: Haste, pause: Pause<'_>) -> Result<Vec<Rewritten>> {
        if !self.room()?.is_enough() {
            return Ok(Vec::new());
        }
        let (mut made, mut failure) = (Vec::new(), None);
        for group in self.groups(haste)? {
            let work = Rewrite {
                inputs: &group.inputs,
                level: group.level,
                grace_ms: self.settings.compact.grace_ms,
                transform: &FoldOnly,
                pause,
            };
            match self.rewrite(&work) {
                Ok(rewritten) => made.extend(rewritten),
                Err(error) if error.kind() == ErrorKind::Data => {
                    let ids = self.unfit_of(&group.inputs);
                    tracing::error!(segments = ?ids, error = error.chain(), "segments cannot be compacted; they are left as they are");
                    ids.iter().for_each(|id| self.suspects.report(*id, &error));
                    self.compaction.lock().unfit.extend(ids);
                    failure.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        match failure {
            Some(error) if made.is_empty() => Err(error),
            _ => Ok(made),
        }
    }

    /// Which segments keep a group from being rewritten: those that are damaged, or all of them if that
    /// does not explain it.
    fn unfit_of(&self, ids: &[SegmentId]) -> Vec<SegmentId> {
        let reading = self.reading();
        let is_whole = |id: &SegmentId| {
            let entry = reading.get::<Segments>(id).ok().flatten();
            let open = entry.and_then(|entry| self.open_files(*id, &entry).ok());
            open.is_some_and(|segment| segment.verify_whole().is_ok())
        };
        let (whole, damaged): (Vec<_>, Vec<_>) = ids.iter().copied().partition(is_whole);
        if damaged.is_empty() { whole } else { damaged }
    }

    /// What is to be compacted.
    fn groups(&self, haste: Haste) -> Result<Vec<Group>> {
        let (unfit, open, touched) = {
            let mut memory = self.compaction.lock();
            let touched = std::mem::take(&mut memory.touched);
            (memory.unfit.clone(), memory.open.clone(), touched)
        };
        let seen = open
            .filter(|_| haste == Haste::Due)
            .map(|open| &open | &touched);
        let looked = self.look(haste, &unfit, seen);
        let mut memory = self.compaction.lock();
        match looked {
            Ok((groups, still_open)) if haste == Haste::Due => {
                memory.open = Some(still_open);
                Ok(groups)
            }
            // What was not looked at in the usual way is looked at another time.
            other => {
                memory.touched.extend(touched);
                other.map(|(groups, _)| groups)
            }
        }
    }

    /// What is to be compacted of these dates and those with amendments, or of all; and the dates that
    /// are to be looked at again.
    fn look(
        &self,
        haste: Haste,
        unfit: &BTreeSet<SegmentId>,
        dates: Option<BTreeSet<Date>>,
    ) -> Result<(Vec<Group>, BTreeSet<Date>)> {
        let (now, policy) = (self.clock.now(), &self.settings.compact);
        let snapshot = self.index.snapshot();
        let amended = amended_segments(&snapshot)?;
        let dates = dates.map(|mut dates| {
            dates.extend(amended.keys().map(|id| id.date));
            dates
        });
        let mut known = known_segments(&snapshot, dates.as_ref(), &amended)?;
        known.retain(|segment| !unfit.contains(&segment.id));
        let groups = policy.plan(&known, now, haste);
        let restless = known
            .chunk_by(|a, b| a.id.date == b.id.date)
            .filter(|date| !policy.is_quiet(date, now))
            .filter_map(|date| Some(date.first()?.id.date));
        let planned = groups
            .iter()
            .filter_map(|group| Some(group.inputs.first()?.date));
        let open = restless.chain(planned).collect();
        Ok((groups, open))
    }
}

/// The segments with amendments, and when the oldest of them was made. An amendment that cannot be
/// read is reported whenever its job is; the others are folded in.
fn amended_segments(snapshot: &Snapshot<'_>) -> Result<BTreeMap<SegmentId, TimestampMs>> {
    let mut amended: BTreeMap<SegmentId, TimestampMs> = BTreeMap::new();
    snapshot.scan_keys::<Amendments>(&[], None, |job| {
        let found = snapshot.get::<Amendments>(&job);
        let found = match (found, snapshot.get::<Jobs>(&job)) {
            (Ok(Some(amendment)), Ok(Some(JobEntry::Sealed(sealed)))) => (amendment, sealed),
            (Err(error), _) | (_, Err(error)) if error.kind() != ErrorKind::Data => {
                return Err(error);
            }
            _ => return Ok(true),
        };
        let (amendment, sealed) = found;
        let id = SegmentId {
            date: sealed.date,
            seq: sealed.segment,
        };
        let at = amended.entry(id).or_insert(amendment.amended_at);
        *at = amendment.amended_at.min(*at);
        Ok(true)
    })?;
    Ok(amended)
}

/// The segments of these dates, or of all, by date, with what the policy looks at.
fn known_segments(
    snapshot: &Snapshot<'_>,
    dates: Option<&BTreeSet<Date>>,
    amended: &BTreeMap<SegmentId, TimestampMs>,
) -> Result<Vec<Known>> {
    let prefixes = match dates {
        None => vec![Vec::new()],
        Some(dates) => dates
            .iter()
            .map(|date| Segments::date_prefix(*date))
            .collect(),
    };
    let mut known = Vec::new();
    for prefix in prefixes {
        snapshot.scan::<Segments>(&prefix, None, |id, entry| {
            known.push(Known {
                id,
                samples_bytes: entry.info.samples_bytes,
                bytes: entry.info.samples_bytes
                    + entry.info.samples_5m_bytes
                    + entry.info.jobs_bytes,
                level: entry.info.level,
                sealed_at: entry.info.sealed_at,
                amended_at: amended.get(&id).copied(),
            });
            Ok(true)
        })?;
    }
    Ok(known)
}

#[cfg(test)]
mod tests;
