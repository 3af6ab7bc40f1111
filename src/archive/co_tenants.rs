//! Co-tenants: other jobs on the same machine at the same time, from `by_machine_time`.

use super::Archive;
use super::listed::machine_prefix;
use crate::error::{ErrorKind, Result};
use crate::index::Snapshot;
use crate::index::key_of;
use crate::index::keys::by_time::{ByMachineTime, TimeKey};
use crate::index::keys::jobs::{JobEntry, Jobs};
use crate::limits;
use crate::model::archived::CoTenancy;
use crate::model::id::{JobKey, JobRef};
use crate::model::machine::Machine;
use crate::model::scope::Scope;
use crate::model::state::State;
use crate::time::TimeRange;

/// Another job on the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoTenant {
    /// The other job.
    pub job: JobRef,
    /// Milliseconds that both ran.
    pub overlap_ms: i64,
}

struct Neighbour {
    key: JobKey,
    overlap: TimeRange,
}

impl Archive {
    /// The jobs that shared the machine during `window`, those outside of the scope left out.
    ///
    /// # Errors
    /// `Data` for damaged entries, `Unavailable` for I/O errors.
    pub fn co_tenants(
        &self,
        scope: &Scope,
        job: JobKey,
        machine: &Machine,
        window: TimeRange,
    ) -> Result<Vec<CoTenant>> {
        let snapshot = self.reading();
        let visible = self.visibility(&snapshot)?;
        let mut tenants = Vec::new();
        for neighbour in neighbours(&snapshot, job, machine, window)? {
            let key = neighbour.key;
            let (job, project, date) = match snapshot.get::<Jobs>(&key)? {
                Some(JobEntry::Record(record)) => {
                    let date = record.archived.map(|archived| archived.date);
                    (record.job, record.keys.project, date)
                }
                Some(JobEntry::Sealed(sealed)) => (sealed.job, sealed.project, Some(sealed.date)),
                None => continue,
            };
            // That it ran on this machine is what an erased machine name hides.
            let may = scope.allows(project)
                && visible.knows(project, key)
                && !visible.erased(project, key).machine;
            let all_kept = date.is_none_or(|date| visible.shows_all_rows_of(date));
            if may && (all_kept || self.view(&snapshot, scope, key)?.is_some()) {
                tenants.push(CoTenant {
                    job,
                    overlap_ms: neighbour.overlap.len_ms(),
                });
            }
        }
        Ok(tenants)
    }

    /// Number of co-tenants and the time during which there was at least one.
    pub(super) fn co_tenancy(
        &self,
        job: JobKey,
        machine: &Machine,
        window: TimeRange,
    ) -> Result<CoTenancy> {
        let neighbours = neighbours(&self.index.snapshot(), job, machine, window)?;
        let count = i32::try_from(neighbours.len()).unwrap_or(i32::MAX);
        let mut ranges: Vec<TimeRange> =
            neighbours.into_iter().map(|other| other.overlap).collect();
        ranges.sort_by_key(|range| (range.from, range.to));
        let mut overlap_ms = 0;
        let mut reached = window.from;
        for range in ranges {
            overlap_ms += TimeRange::new(range.from.max(reached), range.to).len_ms();
            reached = reached.max(range.to);
        }
        Ok(CoTenancy { count, overlap_ms })
    }
}

/// Entries of the machine that overlap `window`.
fn neighbours(
    snapshot: &Snapshot<'_>,
    job: JobKey,
    machine: &Machine,
    window: TimeRange,
) -> Result<Vec<Neighbour>> {
    let prefix = machine_prefix(machine);
    let mut bytes = Vec::new();
    TimeKey::encode_prefix(&prefix, &mut bytes);
    // Newest first, from the last start before the window's end back to the longest possible job.
    let start = TimeKey {
        prefix,
        time: window.to.plus_ms(-1),
        job: JobKey(i64::MIN),
    };
    let earliest = window.from.plus_ms(-limits::JOB_DURATION_MS_MAX);
    let mut found = Vec::new();
    let mut seen = 0;
    snapshot.scan::<ByMachineTime>(
        &bytes,
        Some(&key_of::<ByMachineTime>(&start)),
        |key, end| {
            seen += 1;
            let until = end.unwrap_or(key.time.plus_ms(limits::OPEN_END_MS_MAX));
            let overlap = TimeRange::new(key.time.max(window.from), until.min(window.to));
            if key.job != job && !overlap.is_empty() && (end.is_some() || runs(snapshot, key.job)?)
            {
                found.push(Neighbour {
                    key: key.job,
                    overlap,
                });
            }
            Ok(key.time >= earliest && seen < limits::CO_TENANT_SCAN_MAX)
        },
    )?;
    Ok(found)
}

/// Whether a job without an end runs, as far as was reported: it started, and is not over without a
/// time. One whose record cannot be read is no reason to leave its neighbours without an answer.
fn runs(snapshot: &Snapshot<'_>, job: JobKey) -> Result<bool> {
    match snapshot.get::<Jobs>(&job) {
        Ok(Some(JobEntry::Record(record))) => Ok(record.state().0 == State::Live),
        Ok(_) => Ok(false),
        Err(error) if error.kind() == ErrorKind::Data => Ok(false),
        Err(error) => Err(error),
    }
}
