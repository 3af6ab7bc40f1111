//! Answers for readers: records, lists, profiles. Async, bounded, every call with a [`Scope`].

mod down_sample;
pub mod fleet;
pub mod output;
mod profile;
pub mod sql;
mod table;
#[cfg(test)]
mod test_table;

pub use profile::ProfileRequest;
use profile::Samples;
pub use table::{ProfileTable, Series, Units};

use crate::archive::{
    Archive, CoTenant, Expiry, JobFilter, JobPage, JobView, LiveSegment, NumberedErasure,
};
use crate::error::{Error, Result};
use crate::model::archived::Bounds;
use crate::model::id::{JobRef, RegionName, RunnerId, Source};
use crate::model::registry::Entry;
use crate::model::runner::{Region, Runner, RunnerRef};
use crate::model::scope::Scope;
use crate::model::state::State;
use crate::supervise::BlockingPool;
use crate::time::Date;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A job with its neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobDetail {
    /// The job.
    pub view: JobView,
    /// Other jobs on its machine.
    pub co_tenants: Vec<CoTenant>,
    /// What the scrapes prove at least and at most.
    pub bounds: Bounds,
}

/// Reads the archive.
#[derive(Debug, Clone)]
pub struct Query {
    archive: Arc<Archive>,
    pool: BlockingPool,
}

pub(crate) fn job_not_found(job: &JobRef) -> Error {
    Error::not_found(
        "job_not_found",
        format!(
            "no job {job} was reported; check source and job id, or report it with PUT /api/v1/jobs/{job}"
        ),
    )
}

impl Query {
    /// Reads `archive` on the threads of `pool`.
    #[must_use]
    pub fn new(archive: Arc<Archive>, pool: BlockingPool) -> Self {
        Self { archive, pool }
    }

    /// The live files from a date on, and whether there are more.
    ///
    /// # Errors
    /// As [`Archive::live_segments`].
    pub async fn live_segments(&self, from: Option<Date>) -> Result<(Vec<LiveSegment>, bool)> {
        let archive = Arc::clone(&self.archive);
        self.pool.run(move || archive.live_segments(from)).await
    }

    /// A job's record.
    ///
    /// # Errors
    /// `NotFound` if it is unknown or outside of the scope; `Data`, `Unavailable` from the archive.
    pub async fn job(&self, scope: Scope, job: JobRef) -> Result<JobDetail> {
        let archive = Arc::clone(&self.archive);
        let read = move || {
            let (view, profile) = archive
                .profile(&scope, &job)?
                .ok_or_else(|| job_not_found(&job))?;
            let bounds = view
                .row
                .as_ref()
                .map(|row| Bounds::compute(&row.row, &profile));
            let co_tenants = match (&view.facts.machine, view.facts.window()) {
                (Some(machine), Some(window)) => {
                    archive.co_tenants(&scope, view.keys.job, machine, window)?
                }
                _ => Vec::new(),
            };
            Ok(JobDetail {
                view,
                co_tenants,
                bounds: bounds.unwrap_or_default(),
            })
        };
        self.pool.run(read).await
    }

    /// A page of jobs.
    ///
    /// # Errors
    /// `Invalid` for a cursor that is none; `Data`, `Unavailable` from the archive.
    pub async fn jobs(
        &self,
        scope: Scope,
        filter: JobFilter,
        cursor: Option<String>,
        limit: usize,
    ) -> Result<JobPage> {
        let archive = Arc::clone(&self.archive);
        self.pool
            .run(move || archive.list(&scope, &filter, cursor.as_deref(), limit))
            .await
    }

    /// A job's profile, or the part of it that was asked for, as `answer` makes it: encoding is work
    /// for the same thread that reads.
    ///
    /// # Errors
    /// `NotFound` for the job, `Invalid` for unknown metrics or sections; `Data`, `Unavailable`.
    pub async fn profile<T: Send + 'static>(
        &self,
        scope: Scope,
        job: JobRef,
        request: ProfileRequest,
        answer: impl FnOnce(ProfileTable) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let archive = Arc::clone(&self.archive);
        let read = move || {
            let (view, profile) = archive
                .profile(&scope, &job)?
                .ok_or_else(|| job_not_found(&job))?;
            let samples = match view.state {
                State::Expired => Samples::Slices(
                    archive
                        .profile_5m(&scope, &job)?
                        .ok_or_else(|| job_not_found(&job))?,
                ),
                _ => Samples::All(profile),
            };
            answer(profile::table(&view, samples, &request)?)
        };
        self.pool.run(read).await
    }

    /// What retention would remove now.
    ///
    /// # Errors
    /// As [`Archive::would_expire`].
    pub async fn would_expire(&self) -> Result<Expiry> {
        let archive = Arc::clone(&self.archive);
        self.pool.run(move || archive.would_expire()).await
    }

    /// All erasures, newest first.
    ///
    /// # Errors
    /// `Data`, `Unavailable` from the archive.
    pub async fn erasures(&self) -> Result<Vec<NumberedErasure>> {
        let archive = Arc::clone(&self.archive);
        self.pool.run(move || archive.erasures()).await
    }

    /// Number of jobs that wait to be archived.
    ///
    /// # Errors
    /// `Data`, `Unavailable` from the archive.
    pub async fn pending_count(&self) -> Result<u64> {
        let archive = Arc::clone(&self.archive);
        self.pool.run(move || archive.pending_count()).await
    }

    /// A region's registration.
    ///
    /// # Errors
    /// `NotFound` if there is none; `Data`, `Unavailable` from the archive.
    pub async fn region(&self, name: RegionName) -> Result<Entry<Region>> {
        let archive = Arc::clone(&self.archive);
        let read = move || {
            archive.region(&name)?.ok_or_else(|| {
                Error::not_found("region_not_found", format!("there is no region {name}"))
            })
        };
        self.pool.run(read).await
    }

    /// All regions.
    ///
    /// # Errors
    /// `Data`, `Unavailable` from the archive.
    pub async fn regions(&self) -> Result<BTreeMap<RegionName, Entry<Region>>> {
        let archive = Arc::clone(&self.archive);
        self.pool.run(move || archive.regions()).await
    }

    /// The registration that names a runner.
    ///
    /// # Errors
    /// `NotFound` if there is none; `Data`, `Unavailable` from the archive.
    pub async fn runner(&self, name: RunnerRef) -> Result<Entry<Runner>> {
        let archive = Arc::clone(&self.archive);
        let read = move || {
            archive.runner(&name)?.ok_or_else(|| {
                Error::not_found(
                    "runner_not_found",
                    format!(
                        "there is no runner {} of source {}",
                        name.runner_id, name.source
                    ),
                )
            })
        };
        self.pool.run(read).await
    }

    /// All runners of a source that are named, by id.
    ///
    /// # Errors
    /// `Data`, `Unavailable` from the archive.
    pub async fn runners(&self, source: Source) -> Result<BTreeMap<RunnerId, Entry<Runner>>> {
        let archive = Arc::clone(&self.archive);
        self.pool.run(move || archive.runners(&source)).await
    }
}
