//! Erasure: a project, a job, or some texts of either, are unreadable at once and gone within the hour.
//!
//! A request writes a tombstone and an audit record in one synced batch; from then on [`super::visible`]
//! hides what it names and events of it are refused ([`admit`]). `erase_run` removes the bytes. The
//! tombstone stays for ever, and neither it nor the record holds what was erased.
//!
//! A job that was erased altogether stays so: what is still said of it is refused, since its source
//! may repeat itself for days. A project that was erased may report new jobs; they are a new project's.

use super::commit::Txn;
use super::find::job_key;
use super::{Archive, Visibility};
use crate::error::{Error, ErrorKind, Result};
use crate::index::keys::erasures::{Erasure, Erasures, Step, Target};
use crate::index::keys::ids::{Ids, Kind, PublicId};
use crate::index::keys::jobs::Jobs;
use crate::index::keys::meta::Meta;
use crate::index::keys::tombstones::{Grave, Tombstones, name_digest};
use crate::index::{Snapshot, key_of};
use crate::model::erasure::Fields;
use crate::model::id::{Archiver, JobKey, JobRef, ProjectKey, Source};
use crate::model::job::JobEvent;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is to be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EraseTarget {
    /// A project by path or id, with all its jobs.
    Project {
        /// Its CI instance; may be left out if only one has such a project.
        source: Option<Source>,
        /// Path or id.
        project: String,
    },
    /// A job.
    Job(JobRef),
}

impl EraseTarget {
    /// Digest of the name, for the audit record.
    fn digest(&self) -> String {
        let parts = match self {
            Self::Project { source, project } => {
                let source = source.as_ref().map_or("", Source::as_str);
                ["project", source, project]
            }
            Self::Job(job) => ["job", job.source.as_str(), job.job_id.as_str()],
        };
        blake3::hash(parts.join("\0").as_bytes()).to_string()
    }
}

/// An erasure and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedErasure {
    /// Number, from 1.
    pub number: u64,
    /// The record.
    pub erasure: Erasure,
}

/// The error of an event, or of a request, about a job that was erased.
fn job_erased() -> Error {
    Error::new(
        ErrorKind::Conflict,
        "job_erased",
        "this job was erased; what is said of it is not kept any more",
    )
}

/// Lets an event through as far as nothing of it was erased: texts are taken out of it, and out of the
/// sealed facts that it is merged with.
///
/// # Errors
/// `Conflict` (`job_erased`) for a job that was erased altogether.
pub(super) fn admit(
    txn: &Txn<'_>,
    known: Option<(JobKey, ProjectKey)>,
    event: &mut JobEvent,
) -> Result<Fields> {
    let Some((job, project)) = known else {
        return admit_new(txn, &event.job).map(|()| Fields::default());
    };
    let mut erased = Fields::default();
    for grave in [Grave::Job(job), Grave::Project(project)] {
        if let Some(stone) = txn.get::<Tombstones>(&grave)? {
            if stone.whole {
                return Err(job_erased());
            }
            erased = erased.and(stone.fields_of(job));
        }
    }
    erased.erase_from(&mut event.facts);
    Ok(erased)
}

/// Lets a job in that is not known, unless one of its name was erased.
///
/// # Errors
/// As [`admit`].
pub(super) fn admit_new(txn: &Txn<'_>, job: &JobRef) -> Result<()> {
    let name = Grave::Name(name_digest(job));
    match txn.get::<Tombstones>(&name)? {
        Some(_) => Err(job_erased()),
        None => Ok(()),
    }
}

/// Whether a project was erased: its key is never given to a job again.
pub(super) fn is_erased_project(txn: &Txn<'_>, project: i64) -> Result<bool> {
    let stone = txn.get::<Tombstones>(&Grave::Project(ProjectKey(project)))?;
    Ok(stone.is_some_and(|stone| stone.whole))
}

/// Whether a job was erased altogether, or its project.
pub(super) fn is_erased(txn: &Txn<'_>, job: JobKey, project: ProjectKey) -> Result<bool> {
    let stone = txn.get::<Tombstones>(&Grave::Job(job))?;
    Ok(stone.is_some_and(|stone| stone.whole) || is_erased_project(txn, project.0)?)
}

/// Names under which a project is known.
pub(super) fn names_of(
    snapshot: &Snapshot<'_>,
    wanted: impl Fn(&PublicId, i64) -> bool,
) -> Result<Vec<(PublicId, i64)>> {
    let mut found = Vec::new();
    for kind in [Kind::ProjectId, Kind::ProjectPath] {
        let any = PublicId {
            kind,
            source: String::new(),
            id: String::new(),
        };
        // The kind alone is the prefix: one byte.
        let prefix = key_of::<Ids>(&any);
        snapshot.scan::<Ids>(prefix.get(..1).unwrap_or_default(), None, |id, key| {
            if wanted(&id, key) {
                found.push((id, key));
            }
            Ok(true)
        })?;
    }
    Ok(found)
}

impl Archive {
    /// Erases: when this returns nobody reads it any more, and the bytes are on their way out.
    ///
    /// # Errors
    /// `NotFound` if there is no such project or job, `Invalid` if several sources have the project,
    /// `Conflict` (`legal_hold`) if the retention policy holds it, `Unavailable` if it could not be
    /// made durable.
    pub fn erase(&self, target: &EraseTarget, fields: Fields) -> Result<NumberedErasure> {
        let resolved = self.resolve(target)?;
        let (grave, name) = match (resolved, target) {
            (Target::Job(job), EraseTarget::Job(named)) => {
                (Grave::Job(job), Some(Grave::Name(name_digest(named))))
            }
            (Target::Job(job), EraseTarget::Project { .. }) => (Grave::Job(job), None),
            (Target::Project(project), _) => (Grave::Project(project), None),
        };
        let erasure = Erasure {
            target: resolved,
            digest: target.digest(),
            fields,
            requested_at: self.clock.now(),
            step: Step::Records,
            jobs: 0,
            segments: 0,
            problem: None,
            finished_at: None,
        };
        let (archiver, rules) = (self.archiver, Arc::clone(&self.rules));
        let bury = move |txn: &mut Txn<'_>| {
            let number = txn.next("erasure")?;
            let until = last_job(txn, archiver)?;
            let stone = txn.get::<Tombstones>(&grave)?.unwrap_or_default();
            let stone = stone.with(number, fields, until);
            txn.put::<Tombstones>(&grave, &stone)?;
            if let Some(name) = name.filter(|_| fields.is_empty()) {
                txn.put::<Tombstones>(&name, &stone)?;
            }
            txn.put::<Erasures>(&number, &erasure)?;
            Ok((number, stone, erasure))
        };
        let reply = self
            .committer
            .submit_then(bury, move |(number, stone, erasure)| {
                rules.bury(number, grave, stone);
                NumberedErasure { number, erasure }
            });
        let done = reply.wait()?;
        tracing::info!(
            erasure.number = done.number,
            erasure.digest = done.erasure.digest,
            "an erasure was asked for"
        );
        Ok(done)
    }

    /// All erasures, newest first, with their progress.
    ///
    /// # Errors
    /// `Data` for damaged entries, `Unavailable` for I/O errors.
    pub fn erasures(&self) -> Result<Vec<NumberedErasure>> {
        let mut all = Vec::new();
        let snapshot = self.index.snapshot();
        snapshot.scan::<Erasures>(&[], None, |number, erasure| {
            all.push(NumberedErasure { number, erasure });
            Ok(true)
        })?;
        all.reverse();
        Ok(all)
    }

    /// The keys of what a target names; refused if it is not there, or held.
    fn resolve(&self, target: &EraseTarget) -> Result<Target> {
        let snapshot = self.index.snapshot();
        let visible = self.visibility(&snapshot)?;
        match target {
            EraseTarget::Job(job) => {
                let not_found = || {
                    let message = format!("no job {job} is known; check source and job id");
                    Error::not_found("job_not_found", message)
                };
                let key = job_key(&snapshot, job)?.ok_or_else(not_found)?;
                // One that has expired may be erased; one that was erased is not there.
                let entry = snapshot.get::<Jobs>(&key)?.ok_or_else(not_found)?;
                let project = entry.project();
                if !visible.knows(project, key) {
                    return Err(not_found());
                }
                refuse_held(&visible, project)?;
                Ok(Target::Job(key))
            }
            EraseTarget::Project { source, project } => {
                let key = project_key(&snapshot, &visible, source.as_ref(), project)?;
                refuse_held(&visible, key)?;
                Ok(Target::Project(key))
            }
        }
    }
}

/// The key of the last job that is known.
fn last_job(txn: &Txn<'_>, archiver: Archiver) -> Result<JobKey> {
    let last = txn.get::<Meta>(&"seq.job".to_owned())?.unwrap_or(0);
    if last == 0 {
        Ok(JobKey(0))
    } else {
        archiver.key(last).map(JobKey)
    }
}

fn project_key(
    snapshot: &Snapshot<'_>,
    visible: &Visibility,
    source: Option<&Source>,
    project: &str,
) -> Result<ProjectKey> {
    let named = names_of(snapshot, |name, _| {
        name.id == project && source.is_none_or(|source| source.as_str() == name.source)
    })?;
    let known = named
        .into_iter()
        .filter(|(_, key)| visible.knows(ProjectKey(*key), JobKey(i64::MAX)));
    // A path goes before an id, as in lists: it is the later one here.
    let by_source: BTreeMap<String, i64> = known.map(|(name, key)| (name.source, key)).collect();
    let mut keys = by_source.values();
    match (keys.next(), keys.next()) {
        (Some(key), None) => Ok(ProjectKey(*key)),
        (None, _) => Err(Error::not_found(
            "project_not_found",
            "no such project is known; give its path or its id, as jobs report it",
        )),
        (Some(_), Some(_)) => {
            let sources: Vec<&str> = by_source.keys().map(String::as_str).collect();
            let message = format!(
                "several sources have a project of that name: {}; say which with `source`",
                sources.join(", ")
            );
            Err(Error::invalid("ambiguous_project", message))
        }
    }
}

fn refuse_held(visible: &Visibility, project: ProjectKey) -> Result<()> {
    if !visible.holds(project) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Conflict,
        "legal_hold",
        "the retention policy holds this project: nothing of it may be erased; end the hold in the configuration first",
    ))
}
