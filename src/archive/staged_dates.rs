//! How many staged jobs of which date can be sealed, and since when: what the sealer looks at.
//!
//! `stage` adds what became durable, `seal` asks what is due and counts a date anew after its seal. A
//! count may be too high, which seals a little early; it is never too low, since a job that nobody
//! counts is never sealed.

use super::SealPolicy;
use super::seal::sealable;
use crate::error::Result;
use crate::index::Snapshot;
use crate::index::keys::staged::Staged;
use crate::time::{Date, TimestampMs};
use std::collections::BTreeMap;

/// A number of jobs and when the first of them was staged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Count {
    jobs: usize,
    oldest: TimestampMs,
}

impl Default for Count {
    fn default() -> Self {
        Self {
            jobs: 0,
            oldest: TimestampMs(i64::MAX),
        }
    }
}

impl Count {
    /// Counts one more job.
    pub(super) fn add(&mut self, staged_at: TimestampMs) {
        self.jobs += 1;
        self.oldest = self.oldest.min(staged_at);
    }

    fn and(self, other: Self) -> Self {
        Self {
            jobs: self.jobs + other.jobs,
            oldest: self.oldest.min(other.oldest),
        }
    }
}

#[derive(Debug, Default)]
struct StagedDate {
    all: Count,
    /// What was added since the date's seal began.
    fresh: Count,
}

/// The staged jobs per date.
#[derive(Debug, Default)]
pub(super) struct StagedDates(BTreeMap<Date, StagedDate>);

impl StagedDates {
    /// Counts what is staged in the index.
    pub(super) fn load(snapshot: &Snapshot<'_>) -> Result<Self> {
        let mut dates = Self::default();
        snapshot.scan::<Staged>(&[], None, |key, staged| {
            if sealable(snapshot, &key)?.is_some() {
                dates.add(key.date, staged.staged_at);
            }
            Ok(true)
        })?;
        Ok(dates)
    }

    /// Counts a job that is staged durably.
    pub(super) fn add(&mut self, date: Date, staged_at: TimestampMs) {
        let entry = self.0.entry(date).or_default();
        entry.all.add(staged_at);
        entry.fresh.add(staged_at);
    }

    /// The dates with staged jobs.
    pub(super) fn dates(&self) -> Vec<Date> {
        self.0.keys().copied().collect()
    }

    /// The dates that are to be sealed now.
    pub(super) fn due(&self, policy: &SealPolicy, now: TimestampMs) -> Vec<Date> {
        self.0
            .iter()
            .filter(|(_, entry)| policy.is_due(entry.all.jobs, now.since(entry.all.oldest)))
            .map(|(date, _)| *date)
            .collect()
    }

    /// A seal of the date begins: what is staged from now on may not be in it.
    pub(super) fn begin(&mut self, date: Date) {
        if let Some(entry) = self.0.get_mut(&date) {
            entry.fresh = Count::default();
        }
    }

    /// The seal is over and left `counted`, beside what was added since it began.
    pub(super) fn finish(&mut self, date: Date, counted: Count) {
        let entry = self.0.entry(date).or_default();
        entry.all = counted.and(entry.fresh);
        if entry.all.jobs == 0 {
            self.0.remove(&date);
        }
    }
}
