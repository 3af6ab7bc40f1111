//! Reading one job: its record or row, and its profile.

use super::segments::{OpenSegment, SEGMENT_QUARANTINED};
use super::{Archive, Visibility, amend};
use crate::error::{Error, Result};
use crate::index::Snapshot;
use crate::index::keys::amendments::Amendments;
use crate::index::keys::ids::{Ids, Kind, PublicId};
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::index::keys::segments::SegmentId;
use crate::index::keys::staged::{Staged, StagedKey};
use crate::model::archived::{RowKeys, SummarisedRow};
use crate::model::coarse::Coarse;
use crate::model::id::{JobKey, JobRef, RunnerKey};
use crate::model::job::JobFacts;
use crate::model::profile::Profile;
use crate::model::record::{Archived, JobRecord, archived_state};
use crate::model::scope::Scope;
use crate::model::state::{Reason, State};
use crate::num;
use crate::time::TimestampMs;

/// A job as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    /// Public name.
    pub job: JobRef,
    /// Surrogate keys.
    pub keys: RowKeys,
    /// What is known of it.
    pub facts: JobFacts,
    /// The time under which lists sort it.
    pub listed_at: TimestampMs,
    /// Where it is in its life here.
    pub state: State,
    /// Why it is not archived.
    pub reason: Option<Reason>,
    /// The last failure, for people.
    pub detail: Option<String>,
    /// Its row with statistics, once archived.
    pub row: Option<SummarisedRow>,
}

/// The surrogate key of a job.
pub(super) fn job_key(snapshot: &Snapshot<'_>, job: &JobRef) -> Result<Option<JobKey>> {
    Ok(snapshot.get::<Ids>(&public_id(job))?.map(JobKey))
}

/// A job's identity.
pub(super) fn public_id(job: &JobRef) -> PublicId {
    PublicId {
        kind: Kind::Job,
        source: job.source.as_str().to_owned(),
        id: job.job_id.as_str().to_owned(),
    }
}

/// The keys of a sealed job as its facts are now: it may have moved to another project or runner since.
pub(super) fn amended_keys(
    snapshot: &Snapshot<'_>,
    sealed: &SealedJob,
    keys: RowKeys,
    facts: &JobFacts,
) -> Result<RowKeys> {
    let runner = facts.runner_id.as_ref().map(|id| PublicId {
        kind: Kind::Runner,
        source: sealed.job.source.as_str().to_owned(),
        id: id.clone(),
    });
    let runner = runner.map(|id| snapshot.get::<Ids>(&id)).transpose()?;
    Ok(RowKeys {
        project: sealed.project,
        runner: runner.flatten().map(RunnerKey),
        ..keys
    })
}

/// Where a staged profile lies.
pub(super) fn staged_key(keys: RowKeys, archived: &Archived) -> StagedKey {
    StagedKey {
        date: archived.date,
        project: keys.project,
        job: keys.job,
        part: keys.part,
    }
}

impl Archive {
    /// A job, `None` if it is unknown or outside of the scope.
    ///
    /// # Errors
    /// `Data` if its bytes are damaged, `Unavailable` for I/O errors.
    pub fn find(&self, scope: &Scope, job: &JobRef) -> Result<Option<JobView>> {
        let snapshot = self.reading();
        match job_key(&snapshot, job)? {
            Some(key) => self.view(&snapshot, scope, key),
            None => Ok(None),
        }
    }

    /// A job and its profile. The profile is empty unless the job is archived: of one whose samples
    /// expired there is [`Archive::profile_5m`].
    ///
    /// # Errors
    /// As [`Archive::find`].
    pub fn profile(&self, scope: &Scope, job: &JobRef) -> Result<Option<(JobView, Profile)>> {
        let snapshot = self.reading();
        let Some(key) = job_key(&snapshot, job)? else {
            return Ok(None);
        };
        let Some(view) = self.view(&snapshot, scope, key)? else {
            return Ok(None);
        };
        let profile = if view.state == State::Expired || view.row.is_none() {
            Profile::default()
        } else {
            self.stored_profile(&snapshot, key)?
        };
        Ok(Some((view, profile)))
    }

    /// What is left of the samples of a job that have expired: five-minute slices, until they expire
    /// too. `None` if the job is not known. They are the same before and after the samples' bytes go.
    ///
    /// # Errors
    /// As [`Archive::find`].
    pub fn profile_5m(&self, scope: &Scope, job: &JobRef) -> Result<Option<Coarse>> {
        let snapshot = self.reading();
        let Some(key) = job_key(&snapshot, job)? else {
            return Ok(None);
        };
        let Some(view) = self.view(&snapshot, scope, key)? else {
            return Ok(None);
        };
        let visible = self.visibility(&snapshot)?;
        let (project, date, sealed) = match snapshot.get::<Jobs>(&key)? {
            Some(JobEntry::Record(record)) => match &record.archived {
                Some(archived) => (record.keys.project, archived.date, None),
                None => return Ok(Some(Coarse::default())),
            },
            Some(JobEntry::Sealed(sealed)) => (sealed.project, sealed.date, Some(sealed)),
            None => return Ok(None),
        };
        let sight = visible.sight(project, key, date, view.facts.finished_at);
        if view.state != State::Expired || sight.is_none_or(|sight| !sight.kept.samples_5m) {
            return Ok(Some(Coarse::default()));
        }
        match sealed.filter(|sealed| sealed.rows == 0) {
            Some(sealed) => {
                let segment = self.open_segment(&snapshot, sealed.date, sealed.segment)?;
                let keys = segment.row(&sealed)?.row.keys;
                segment.slices(keys).map(Some)
            }
            None => Ok(Some(Coarse::of(&self.stored_profile(&snapshot, key)?))),
        }
    }

    /// The samples of a job wherever they are, whether or not a reader may see them.
    pub(super) fn stored_profile(&self, snapshot: &Snapshot<'_>, key: JobKey) -> Result<Profile> {
        match snapshot.get::<Jobs>(&key)? {
            Some(JobEntry::Record(record)) => staged_profile(snapshot, &record),
            Some(JobEntry::Sealed(sealed)) => self.sealed_profile(snapshot, &sealed),
            None => Ok(Profile::default()),
        }
    }

    /// The samples of a sealed job, straight from its segment.
    fn sealed_profile(&self, snapshot: &Snapshot<'_>, sealed: &SealedJob) -> Result<Profile> {
        self.open_segment(snapshot, sealed.date, sealed.segment)
            .and_then(|segment| segment.profile(sealed))
            .map_err(|error| self.suspect(sealed, error))
    }

    /// A job by key, `None` if it is unknown, outside of the scope, expired or erased.
    pub(super) fn view(
        &self,
        snapshot: &Snapshot<'_>,
        scope: &Scope,
        key: JobKey,
    ) -> Result<Option<JobView>> {
        let visible = self.visibility(snapshot)?;
        let may = |project| scope.allows(project) && visible.knows(project, key);
        match snapshot.get::<Jobs>(&key)? {
            None => Ok(None),
            Some(JobEntry::Record(record)) if may(record.keys.project) => {
                record_view(snapshot, &visible, *record)
            }
            Some(JobEntry::Sealed(sealed)) if may(sealed.project) => {
                self.sealed_view(snapshot, &visible, key, &sealed)
            }
            Some(_) => Ok(None),
        }
    }

    fn sealed_view(
        &self,
        snapshot: &Snapshot<'_>,
        visible: &Visibility,
        key: JobKey,
        sealed: &SealedJob,
    ) -> Result<Option<JobView>> {
        let row = self
            .open_segment(snapshot, sealed.date, sealed.segment)
            .and_then(|segment| Ok((segment.row(sealed)?, segment)));
        match row {
            Ok((row, segment)) => row_view(snapshot, visible, &segment, key, sealed, row),
            Err(error) if error.code() == SEGMENT_QUARANTINED => {
                let view = quarantined_view(snapshot, key, sealed)?;
                Ok(visible.seen(sealed.project, Some(sealed.date), view))
            }
            Err(error) => Err(self.suspect(sealed, error)),
        }
    }

    /// Tells the scrubber of the segment in which a read failed.
    pub(super) fn suspect(&self, sealed: &SealedJob, error: Error) -> Error {
        let id = SegmentId {
            date: sealed.date,
            seq: sealed.segment,
        };
        self.suspects.report(id, &error);
        error
    }
}

/// A job whose segment is in quarantine: what the index alone knows of it.
fn quarantined_view(snapshot: &Snapshot<'_>, key: JobKey, sealed: &SealedJob) -> Result<JobView> {
    let amendment = snapshot.get::<Amendments>(&key)?;
    let facts = amendment.map_or_else(JobFacts::default, |amendment| {
        amendment.merged.facts().clone()
    });
    Ok(JobView {
        job: sealed.job.clone(),
        keys: RowKeys {
            project: sealed.project,
            job: key,
            part: 0,
            runner: None,
        },
        facts,
        listed_at: sealed.listed_at,
        state: State::Unavailable,
        reason: Some(Reason::Quarantined),
        detail: None,
        row: None,
    })
}

/// A sealed job by its row; `None` if it is not to be seen any more.
pub(super) fn row_view(
    snapshot: &Snapshot<'_>,
    visible: &Visibility,
    segment: &OpenSegment,
    key: JobKey,
    sealed: &SealedJob,
    row: SummarisedRow,
) -> Result<Option<JobView>> {
    let row = match snapshot.get::<Amendments>(&key)? {
        None => row,
        Some(amendment) => {
            let keys = amended_keys(snapshot, sealed, row.row.keys, amendment.merged.facts())?;
            amend::apply(row, amendment, keys, || segment.profile(sealed))?
        }
    };
    let (state, reason) = archived_state(num_rows(sealed), row.row.findings.reason);
    let view = JobView {
        job: sealed.job.clone(),
        keys: row.row.keys,
        facts: row.row.facts.clone(),
        listed_at: sealed.listed_at,
        state,
        reason,
        detail: None,
        row: Some(row),
    };
    Ok(visible.seen(sealed.project, Some(sealed.date), view))
}

fn num_rows(sealed: &SealedJob) -> i64 {
    num::len_i64(num::to_usize(sealed.rows))
}

/// A job by its record; `None` if it is not to be seen any more.
pub(super) fn record_view(
    snapshot: &Snapshot<'_>,
    visible: &Visibility,
    record: JobRecord,
) -> Result<Option<JobView>> {
    let (state, reason) = record.state();
    let date = record.archived.as_ref().map(|archived| archived.date);
    let row = match record.row() {
        Some(row) => Some(SummarisedRow::compute(
            row,
            &staged_profile(snapshot, &record)?,
        )),
        None => None,
    };
    let view = JobView {
        listed_at: record.listed_at(),
        detail: record.waiting.and_then(|waiting| waiting.detail),
        job: record.job,
        keys: record.keys,
        facts: record.merged.facts().clone(),
        state,
        reason,
        row,
    };
    Ok(visible.seen(view.keys.project, date, view))
}

/// The staged profile of a record; empty if it is not archived.
fn staged_profile(snapshot: &Snapshot<'_>, record: &JobRecord) -> Result<Profile> {
    let Some(archived) = &record.archived else {
        return Ok(Profile::default());
    };
    let staged = snapshot.get::<Staged>(&staged_key(record.keys, archived))?;
    let staged = staged.ok_or_else(|| {
        Error::data(
            "staged_missing",
            format!(
                "the staged profile of {} is missing; restore it from a backup",
                record.job
            ),
        )
    })?;
    staged.profile()
}
