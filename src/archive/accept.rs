//! Job events: from a checked report to a durable record.

use super::amend;
use super::commit::Txn;
use super::find::staged_key;
use super::listed::Listed;
use super::segments::SEGMENT_QUARANTINED;
use super::{Archive, Reply, erase, find, lookups, registry};
use crate::error::{Error, ErrorKind, Result};
use crate::fault;
use crate::index::key_of;
use crate::index::keys::ids::{Ids, Kind, PublicId};
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::index::keys::pending::{Pending, PendingKey};
use crate::index::keys::registry::{Regions, Runners};
use crate::index::keys::segments::SegmentId;
use crate::index::keys::staged::{Staged, StagedKey};
use crate::model::archived::RowKeys;
use crate::model::id::{Archiver, JobKey, JobRef, ProjectKey, RunnerKey, Source};
use crate::model::job::{JobEvent, JobFacts, JobStatus, MergedFacts};
use crate::model::record::{JobRecord, Waiting};
use crate::model::registry::Declared;
use crate::model::settle;
use crate::model::state::Reason;
use crate::time::TimestampMs;

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The job.
    pub job: JobKey,
    /// Whether the event said anything new.
    pub changed: bool,
    /// When the job is looked at next, if it is to be archived.
    pub due: Option<TimestampMs>,
}

/// Time in which the start of a job that ended without one may still be reported.
const LATE_START_MS: i64 = 10 * 60_000;

/// The answer to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    /// It is durable.
    Accepted(Accepted),
    /// The job is sealed and not amended (any more): give the event again, with its
    /// [`Archive::sealed_facts`]. They are read outside of the commit thread, and may be asked for again
    /// if the job's segment was rewritten in between.
    NeedsSealedFacts,
}

/// The facts of a sealed job, and the segment that holds them so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedFacts {
    segment: SegmentId,
    pub(super) facts: JobFacts,
}

impl SealedFacts {
    /// Whether that is where the job lies now.
    pub(super) fn is_of(&self, sealed: &SealedJob) -> bool {
        (self.segment.date, self.segment.seq) == (sealed.date, sealed.segment)
    }
}

impl Archive {
    /// Merges an event into its job's record. The reply is there after the record is on disk
    /// (AR-11). It fails with `Conflict` if the job's times contradict each other, with `Overloaded`
    /// or `Unavailable` if the event cannot be made durable: then it was not accepted.
    pub fn accept(&self, event: JobEvent, sealed: Option<SealedFacts>) -> Reply<Acceptance> {
        self.accept_and_ask(event, sealed, None)
    }

    /// As [`Archive::accept`]; if the event said anything new, its CI is asked about the job at
    /// `look_up_at`. Both stand in one batch.
    pub fn accept_and_ask(
        &self,
        event: JobEvent,
        sealed: Option<SealedFacts>,
        look_up_at: Option<TimestampMs>,
    ) -> Reply<Acceptance> {
        if let Err(error) = self.need_room() {
            return self.refused(error);
        }
        let now = self.clock.now();
        let (archiver, declared) = (self.archiver, self.declared());
        self.committer.submit(move |txn| {
            let job = event.job.clone();
            let acceptance = accept(txn, archiver, &declared, event, sealed, now)?;
            if let (Acceptance::Accepted(accepted), Some(due)) = (acceptance, look_up_at)
                && accepted.changed
            {
                lookups::enter(txn, accepted.job, &job, due)?;
            }
            Ok(acceptance)
        })
    }

    /// The facts of a sealed job as its segment holds them. Reads a file.
    ///
    /// # Errors
    /// `Internal` if the job is not sealed, `Data` for damaged bytes, `Unavailable` for I/O errors.
    pub fn sealed_facts(&self, job: &JobRef) -> Result<SealedFacts> {
        let snapshot = self.reading();
        let key = find::job_key(&snapshot, job)?;
        match key
            .map(|key| snapshot.get::<Jobs>(&key))
            .transpose()?
            .flatten()
        {
            Some(JobEntry::Sealed(sealed)) => {
                let row = self
                    .open_segment(&snapshot, sealed.date, sealed.segment)
                    .and_then(|segment| segment.row(&sealed));
                let row = row.map_err(|error| self.suspect(&sealed, error));
                Ok(SealedFacts {
                    segment: SegmentId {
                        date: sealed.date,
                        seq: sealed.segment,
                    },
                    facts: row.map_err(unavailable_in_quarantine)?.row.facts,
                })
            }
            _ => Err(Error::internal(format!("job {job} is not sealed"))),
        }
    }
}

/// What is said of a job in quarantine can be merged when its facts are back: later, not never.
fn unavailable_in_quarantine(error: Error) -> Error {
    if error.code() != SEGMENT_QUARANTINED {
        return error;
    }
    Error::new(
        ErrorKind::Unavailable,
        "job_quarantined",
        error.message().to_owned(),
    )
}

fn accept(
    txn: &mut Txn<'_>,
    archiver: Archiver,
    declared: &Declared,
    mut event: JobEvent,
    mut sealed_facts: Option<SealedFacts>,
    now: TimestampMs,
) -> Result<Acceptance> {
    let public = |id: &str, kind| PublicId {
        kind,
        source: event.job.source.as_str().to_owned(),
        id: id.to_owned(),
    };
    let id = public(event.job.job_id.as_str(), Kind::Job);
    let known = txn
        .get::<Ids>(&id)?
        .map(JobKey)
        .filter(|_| !fault::omits("omit.dedupe"));
    let entry = known
        .map(|key| txn.get::<Jobs>(&key))
        .transpose()?
        .flatten();
    let project = entry.as_ref().map(JobEntry::project);
    let erased = erase::admit(txn, known.zip(project), &mut event)?;
    if let Some(sealed) = &mut sealed_facts {
        erased.erase_from(&mut sealed.facts);
    }
    match (known, entry) {
        (Some(key), Some(JobEntry::Record(record))) => {
            merge(txn, archiver, declared, key, *record, event.facts, now).map(Acceptance::Accepted)
        }
        (Some(key), Some(JobEntry::Sealed(sealed))) => {
            match amend::amend(txn, archiver, key, &sealed, event.facts, sealed_facts, now)? {
                Some(changed) => Ok(Acceptance::Accepted(Accepted {
                    job: key,
                    changed,
                    due: None,
                })),
                None => Ok(Acceptance::NeedsSealedFacts),
            }
        }
        (None, _) => {
            let key = JobKey(txn.next_key("job", archiver)?);
            txn.put::<Ids>(&id, &key.0)?;
            let record = JobRecord {
                keys: RowKeys {
                    project: ProjectKey(0),
                    job: key,
                    part: 0,
                    runner: None,
                },
                job: event.job.clone(),
                merged: MergedFacts::default(),
                first_seen: now,
                waiting: None,
                archived: None,
                place: None,
            };
            create(txn, archiver, declared, record, event.facts, now).map(Acceptance::Accepted)
        }
        (Some(_), None) => Err(Error::data(
            "job_entry_missing",
            format!(
                "job {} has an id but no entry in the index; restore it from a backup",
                event.job
            ),
        )),
    }
}

fn create(
    txn: &mut Txn<'_>,
    archiver: Archiver,
    declared: &Declared,
    mut record: JobRecord,
    said: JobFacts,
    now: TimestampMs,
) -> Result<Accepted> {
    record.merged.merge(said)?;
    record.keys = resolve_keys(txn, archiver, &record)?;
    record.waiting = next_waiting(txn, declared, &record, now)?;
    listed(&record).enter(txn)?;
    store(txn, None, &record)
}

fn merge(
    txn: &mut Txn<'_>,
    archiver: Archiver,
    declared: &Declared,
    key: JobKey,
    old: JobRecord,
    said: JobFacts,
    now: TimestampMs,
) -> Result<Accepted> {
    let mut new = old.clone();
    let changed = new.merged.merge(said)?;
    // A fact that is said again later in the job's life is kept too: it counts more from then on.
    if new.merged == old.merged {
        return Ok(Accepted {
            job: key,
            changed: false,
            due: old.waiting.map(|waiting| waiting.due),
        });
    }
    new.keys = match &old.archived {
        None => resolve_keys(txn, archiver, &new)?,
        Some(archived) => {
            let keys = moved_keys(
                txn,
                archiver,
                &old.job.source,
                old.keys,
                [old.merged.facts(), new.merged.facts()],
            )?;
            move_profile(
                txn,
                &staged_key(old.keys, archived),
                &staged_key(keys, archived),
            )?;
            keys
        }
    };
    if needs_archiving(&old, &new) {
        new.waiting = next_waiting(txn, declared, &new, now)?;
    }
    listed(&new).replace(&listed(&old), txn)?;
    let stored = store(txn, old.waiting.as_ref(), &new)?;
    Ok(Accepted { changed, ..stored })
}

/// The staged profile follows the project, which is part of its place.
fn move_profile(txn: &mut Txn<'_>, from: &StagedKey, to: &StagedKey) -> Result<()> {
    if from != to
        && let Some(profile) = txn.get::<Staged>(from)?
    {
        txn.delete::<Staged>(from);
        txn.put::<Staged>(to, &profile)?;
    }
    Ok(())
}

/// The job as lists know it.
pub(super) fn listed(record: &JobRecord) -> Listed<'_> {
    Listed {
        keys: record.keys,
        listed_at: record.listed_at(),
        facts: record.merged.facts(),
    }
}

/// Writes a record and moves its pending entry with it, in one batch (AR-3).
pub(super) fn store(
    txn: &mut Txn<'_>,
    old_waiting: Option<&Waiting>,
    record: &JobRecord,
) -> Result<Accepted> {
    let job = record.keys.job;
    if let Some(old) = old_waiting {
        txn.delete::<Pending>(&PendingKey { due: old.due, job });
    }
    if let Some(waiting) = &record.waiting {
        txn.put::<Pending>(
            &PendingKey {
                due: waiting.due,
                job,
            },
            &(),
        )?;
    }
    txn.put::<Jobs>(&job, &JobEntry::Record(Box::new(record.clone())))?;
    Ok(Accepted {
        job,
        changed: true,
        due: record.waiting.as_ref().map(|waiting| waiting.due),
    })
}

/// Takes a job out of the queue.
pub(super) fn forget_waiting(txn: &mut Txn<'_>, record: &JobRecord) {
    if let Some(waiting) = &record.waiting {
        txn.delete::<Pending>(&PendingKey {
            due: waiting.due,
            job: record.keys.job,
        });
    }
}

/// Takes the staged profile of a job away.
pub(super) fn forget_staged(txn: &mut Txn<'_>, record: &JobRecord) {
    if let Some(archived) = &record.archived {
        txn.delete::<Staged>(&staged_key(record.keys, archived));
    }
}

/// Whether what changed calls for a (new) fetch.
fn needs_archiving(old: &JobRecord, new: &JobRecord) -> bool {
    let what = |record: &JobRecord| {
        let facts = record.merged.facts();
        let over = facts.status.is_some_and(JobStatus::is_terminal);
        (
            facts.window(),
            facts.machine.clone(),
            facts.runner_id.clone(),
            over,
        )
    };
    if new.archived.is_some() {
        what(old) != what(new) && new.merged.facts().window().is_some()
    } else {
        what(old) != what(new)
    }
}

/// When a job that is over is first looked at.
fn next_waiting(
    txn: &Txn<'_>,
    declared: &Declared,
    record: &JobRecord,
    now: TimestampMs,
) -> Result<Option<Waiting>> {
    let facts = record.merged.facts();
    let waiting = |due, reason| {
        Some(Waiting {
            due,
            attempts: 0,
            reason,
            detail: None,
        })
    };
    if let Some(window) = facts.window() {
        let region = registry::resolve(
            declared,
            &record.job.source,
            facts,
            |name| txn.get::<Runners>(name),
            |name| txn.get::<Regions>(name),
        )?
        .region;
        let interval = region.and_then(|region| region.scrape_interval_ms());
        let due = window.to.plus_ms(settle::first_delay_ms(interval));
        return Ok(waiting(due.max(now), Reason::Settling));
    }
    if facts.is_over() && facts.started_at.is_none() {
        return Ok(waiting(now.plus_ms(LATE_START_MS), Reason::WaitingForStart));
    }
    Ok(None)
}

/// Project and runner keys, allotted at first sight.
fn resolve_keys(txn: &mut Txn<'_>, archiver: Archiver, record: &JobRecord) -> Result<RowKeys> {
    let (source, facts) = (&record.job.source, record.merged.facts());
    Ok(RowKeys {
        project: resolve_project(txn, archiver, source, facts)?,
        runner: resolve_runner(txn, archiver, source, facts)?,
        ..record.keys
    })
}

/// The keys of a job that was archived, as its facts changed. The project is asked for only if it is
/// said anew: its path may lead to another one since.
pub(super) fn moved_keys(
    txn: &mut Txn<'_>,
    archiver: Archiver,
    source: &Source,
    keys: RowKeys,
    [old, new]: [&JobFacts; 2],
) -> Result<RowKeys> {
    let same_project = old.project == new.project && old.project_id == new.project_id;
    let project = if same_project {
        keys.project
    } else {
        resolve_project(txn, archiver, source, new)?
    };
    Ok(RowKeys {
        project,
        runner: resolve_runner(txn, archiver, source, new)?,
        ..keys
    })
}

/// The key of the job's project. A project is known by its id; a path seen before its id is taken over
/// by it, unless it is the path of a project with another id: that one was renamed or deleted, and its
/// path is used again.
pub(super) fn resolve_project(
    txn: &mut Txn<'_>,
    archiver: Archiver,
    source: &Source,
    facts: &JobFacts,
) -> Result<ProjectKey> {
    let public = |kind, id: &str| PublicId {
        kind,
        source: source.as_str().to_owned(),
        id: id.to_owned(),
    };
    let path = public(
        Kind::ProjectPath,
        facts.project.as_deref().unwrap_or_default(),
    );
    let id = facts
        .project_id
        .as_deref()
        .map(|id| public(Kind::ProjectId, id));
    // What was erased is as if it had never been.
    let known = |txn: &Txn<'_>, id: &PublicId| -> Result<Option<i64>> {
        match txn.get::<Ids>(id)? {
            Some(key) if erase::is_erased_project(txn, key)? => Ok(None),
            found => Ok(found),
        }
    };
    let by_id = match &id {
        Some(id) => known(txn, id)?,
        None => None,
    };
    let project = match by_id {
        Some(key) => key,
        None => {
            let named = id.is_none() || facts.project.is_some();
            let by_path = if named { known(txn, &path)? } else { None };
            match by_path {
                Some(key) if id.is_none() || !has_id(txn, source, key)? => key,
                _ => txn.next_key("project", archiver)?,
            }
        }
    };
    if let Some(id) = id.filter(|_| by_id.is_none()) {
        txn.put::<Ids>(&id, &project)?;
    }
    if (facts.project.is_some() || facts.project_id.is_none())
        && txn.get::<Ids>(&path)? != Some(project)
    {
        txn.put::<Ids>(&path, &project)?;
    }
    Ok(ProjectKey(project))
}

/// Whether the project of that key is known by an id. A scan of the source's project ids, but only
/// for a project's first event, and only if its path is known already.
fn has_id(txn: &Txn<'_>, source: &Source, project: i64) -> Result<bool> {
    let all = PublicId {
        kind: Kind::ProjectId,
        source: source.as_str().to_owned(),
        id: String::new(),
    };
    txn.any::<Ids>(&key_of::<Ids>(&all), |id, key| {
        id.kind == all.kind && id.source == all.source && *key == project
    })
}

/// The key of the job's runner, if it is known.
pub(super) fn resolve_runner(
    txn: &mut Txn<'_>,
    archiver: Archiver,
    source: &Source,
    facts: &JobFacts,
) -> Result<Option<RunnerKey>> {
    let Some(id) = &facts.runner_id else {
        return Ok(None);
    };
    let id = PublicId {
        kind: Kind::Runner,
        source: source.as_str().to_owned(),
        id: id.clone(),
    };
    let key = match txn.get::<Ids>(&id)? {
        Some(key) => key,
        None => {
            let key = txn.next_key("runner", archiver)?;
            txn.put::<Ids>(&id, &key)?;
            key
        }
    };
    Ok(Some(RunnerKey(key)))
}
