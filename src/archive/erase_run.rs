//! Erasures under way: every byte of what was erased goes, step by step, in an order that a crash may
//! break anywhere and that then begins again with the step that was not finished.
//!
//! 1. `records`: what stands in the index alone is removed or changed, and every job that goes leaves
//!    the digest of its name, so that later reports of it are refused. No seal runs meanwhile.
//! 2. `files`: segments with sealed jobs of it are written anew ([`super::hide`]), the old files go
//!    without a grace, as soon as no reader of this process holds them.
//! 3. `index`: the index's own files are written anew, see `index::forget`.

use super::accept::{listed, store};
use super::commit::Txn;
use super::erase::names_of;
use super::find::{public_id, staged_key};
use super::listed::Listed;
use super::segments::OpenSegment;
use super::{Archive, NumberedErasure, Visibility};
use crate::error::Result;
use crate::index::Snapshot;
use crate::index::keys::amendments::Amendments;
use crate::index::keys::by_time::{ByProjectTime, TimeKey};
use crate::index::keys::erasures::{Erasure, Erasures, Step, Target};
use crate::index::keys::ids::Ids;
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::index::keys::lookups::Lookups;
use crate::index::keys::pending::{Pending, PendingKey};
use crate::index::keys::segments::SegmentId;
use crate::index::keys::staged::Staged;
use crate::index::keys::tombstones::{Grave, Tombstone, Tombstones, name_digest};
use crate::limits;
use crate::model::archived::RowKeys;
use crate::model::erasure::Fields;
use crate::model::id::JobKey;
use crate::model::job::JobFacts;
use crate::model::record::JobRecord;
use crate::num;
use crate::segment::copy::Pause;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError};

/// What a round of the erasures did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ErasureRound {
    /// Erasures of which no byte is left now.
    pub done: u64,
    /// Erasures that need another round.
    pub left: u64,
}

/// Times in one round that segments are looked for which hold some of it: what is sealed meanwhile may
/// be found by the second.
const PASSES_MAX: usize = 3;

/// Sealed jobs by the segment they are in.
type BySegment = BTreeMap<SegmentId, Vec<(JobKey, SealedJob)>>;

impl Archive {
    /// Takes every erasure that is not done as far as it goes. One that fails keeps none of the others
    /// from it, and is tried again in the next round; its record says why.
    ///
    /// # Errors
    /// `Data`, `Unavailable` if the records themselves cannot be read or written; whatever `pause` says.
    pub fn run_erasures(&self, pause: Pause<'_>) -> Result<ErasureRound> {
        let mut round = ErasureRound::default();
        let mut open = self.erasures()?;
        open.retain(|one| one.erasure.step != Step::Done);
        open.reverse();
        for mut one in open {
            match self.run_erasure(&mut one, pause) {
                Ok(true) => round.done += 1,
                Ok(false) => round.left += 1,
                // Whoever stops the work is no failure of an erasure.
                Err(error) if error.code() == "closing" => return Err(error),
                Err(error) => {
                    round.left += 1;
                    tracing::error!(
                        erasure.number = one.number,
                        error = error.chain(),
                        "an erasure failed; it is tried again"
                    );
                    one.erasure.problem = Some(error.code().to_owned());
                    self.note(&one)?;
                }
            }
        }
        Ok(round)
    }

    /// Says whether the erasure is done.
    fn run_erasure(&self, one: &mut NumberedErasure, pause: Pause<'_>) -> Result<bool> {
        one.erasure.problem = None;
        if one.erasure.step == Step::Records {
            one.erasure.jobs += self.erase_records(one.number, &one.erasure)?;
            self.step_to(one, Step::Files)?;
        }
        if one.erasure.step == Step::Files {
            if !self.erase_from_files(one, pause)? {
                return Ok(false);
            }
            self.step_to(one, Step::Index)?;
            self.rules.rewritten(one.number);
        }
        let since = *self
            .forgetting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(one.number)
            .or_insert_with(|| self.index.sequence());
        if !self.index.forget(since)? {
            return Ok(false);
        }
        one.erasure.finished_at = Some(self.clock.now());
        self.step_to(one, Step::Done)?;
        tracing::info!(
            erasure.number = one.number,
            erasure.jobs = one.erasure.jobs,
            erasure.segments = one.erasure.segments,
            "an erasure is done"
        );
        Ok(true)
    }

    fn step_to(&self, one: &mut NumberedErasure, step: Step) -> Result<()> {
        one.erasure.step = step;
        self.note(one)
    }

    /// Writes down how far an erasure is.
    fn note(&self, one: &NumberedErasure) -> Result<()> {
        let (number, erasure) = (one.number, one.erasure.clone());
        self.committer
            .run(move |txn| txn.put::<Erasures>(&number, &erasure))
    }

    /// Removes or changes what stands in the index; gives the number of jobs that were not sealed.
    fn erase_records(&self, number: u64, erasure: &Erasure) -> Result<u64> {
        // A seal under way has read records that are about to change.
        let _no_seal = self.sealing.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.reading();
        let visible = self.visibility(&snapshot)?;
        let jobs = jobs_of(&snapshot, erasure.target)?;
        let mut changed = 0;
        let whole = erasure.fields.is_empty();
        for some in jobs.chunks(limits::ERASE_CHUNK) {
            let sealed = match whole {
                true => HashMap::new(),
                false => self.facts_in_segments(&snapshot, some)?,
            };
            let (some, visible) = (some.to_vec(), visible.clone());
            changed += self.committer.run(move |txn| {
                let mut changed = 0;
                for job in some {
                    changed += u64::from(match whole {
                        true => remove_job(txn, job, number)?,
                        false => erase_texts(txn, job, &visible, sealed.get(&job))?,
                    });
                }
                Ok(changed)
            })?;
        }
        if whole {
            self.remove_lookups(&snapshot, &jobs.iter().copied().collect())?;
            if let Target::Project(project) = erasure.target {
                let names = names_of(&snapshot, |_, of| of == project.0)?;
                self.committer.run(move |txn| {
                    for (name, key) in names {
                        // The name may be another project's since.
                        if txn.get::<Ids>(&name)? == Some(key) {
                            txn.delete::<Ids>(&name);
                        }
                    }
                    Ok(())
                })?;
            }
        }
        Ok(changed)
    }

    /// The facts of those of the jobs that are sealed, as their segments have them.
    fn facts_in_segments(
        &self,
        snapshot: &Snapshot<'_>,
        jobs: &[JobKey],
    ) -> Result<HashMap<JobKey, JobFacts>> {
        let mut facts = HashMap::new();
        for (id, jobs) in by_segment(snapshot, jobs)? {
            let segment = self.open_segment(snapshot, id.date, id.seq)?;
            let pointers: Vec<&SealedJob> = jobs.iter().map(|(_, sealed)| sealed).collect();
            for (row, (job, _)) in segment.rows(&pointers)?.into_iter().zip(&jobs) {
                facts.insert(*job, row.row.facts);
            }
        }
        Ok(facts)
    }

    /// Removes the questions about jobs; they name them.
    fn remove_lookups(&self, snapshot: &Snapshot<'_>, jobs: &HashSet<JobKey>) -> Result<()> {
        let mut asked: Vec<PendingKey> = Vec::new();
        snapshot.scan_keys::<Lookups>(&[], None, |key| {
            if jobs.contains(&key.job) {
                asked.push(key);
            }
            Ok(true)
        })?;
        self.committer.run(move |txn| {
            asked.iter().for_each(|key| txn.delete::<Lookups>(key));
            Ok(())
        })
    }

    /// Writes segments anew until none holds anything of it; says whether the old files are gone too.
    fn erase_from_files(&self, one: &mut NumberedErasure, pause: Pause<'_>) -> Result<bool> {
        let target = one.erasure.target;
        for pass in 0..=PASSES_MAX {
            let left = self.still_in_files(target)?;
            if left.is_empty() {
                break;
            }
            if pass == PASSES_MAX {
                return Ok(false);
            }
            for (id, jobs) in left {
                if self.rewrite_hidden(id, 0, pause)?.is_some() {
                    one.erasure.segments += 1;
                    one.erasure.jobs += num::len_u64(jobs.len());
                    self.note(one)?;
                }
            }
        }
        // Also what compaction replaced before may hold some of it.
        self.end_graces()?;
        self.remove_obsolete()?;
        self.has_removed_all_due()
    }

    /// The sealed jobs of a target that still have something to be erased, by segment.
    fn still_in_files(&self, target: Target) -> Result<BySegment> {
        let reading = self.reading();
        let visible = self.visibility(&reading)?;
        let mut left = by_segment(&reading, &jobs_of(&reading, target)?)?;
        for (id, jobs) in &mut left {
            let segment = self.open_segment(&reading, id.date, id.seq)?;
            *jobs = with_texts(&segment, &visible, std::mem::take(jobs))?;
        }
        left.retain(|_, jobs| !jobs.is_empty());
        Ok(left)
    }
}

/// Those of the jobs that are sealed, by segment and row.
fn by_segment(snapshot: &Snapshot<'_>, jobs: &[JobKey]) -> Result<BySegment> {
    let mut found = BySegment::new();
    for job in jobs {
        if let Some(JobEntry::Sealed(sealed)) = snapshot.get::<Jobs>(job)? {
            let id = SegmentId {
                date: sealed.date,
                seq: sealed.segment,
            };
            found.entry(id).or_default().push((*job, sealed));
        }
    }
    for jobs in found.values_mut() {
        jobs.sort_by_key(|(_, sealed)| sealed.jobs_row);
    }
    Ok(found)
}

/// Those of a segment's jobs that are to go, or whose row holds a text that is to go.
fn with_texts(
    segment: &Arc<OpenSegment>,
    visible: &Visibility,
    jobs: Vec<(JobKey, SealedJob)>,
) -> Result<Vec<(JobKey, SealedJob)>> {
    let (known, mut left): (Vec<_>, Vec<_>) = jobs
        .into_iter()
        .partition(|(job, sealed)| visible.knows(sealed.project, *job));
    let asked: Vec<(JobKey, SealedJob, Fields)> = known
        .into_iter()
        .map(|(job, sealed)| {
            let fields = visible.erased(sealed.project, job);
            (job, sealed, fields)
        })
        .filter(|(.., fields)| !fields.is_empty())
        .collect();
    for page in asked.chunks(limits::ERASE_CHUNK) {
        let pointers: Vec<&SealedJob> = page.iter().map(|(_, sealed, _)| sealed).collect();
        for (mut row, (job, sealed, fields)) in segment.rows(&pointers)?.into_iter().zip(page) {
            if fields.erase_from_row(&mut row.row) {
                left.push((*job, sealed.clone()));
            }
        }
    }
    Ok(left)
}

/// The jobs of a target that the index still knows.
fn jobs_of(snapshot: &Snapshot<'_>, target: Target) -> Result<Vec<JobKey>> {
    let project = match target {
        Target::Job(job) => return Ok(vec![job]),
        Target::Project(project) => project,
    };
    let mut prefix = Vec::new();
    TimeKey::encode_prefix(&[project.0], &mut prefix);
    let mut jobs = Vec::new();
    snapshot.scan_keys::<ByProjectTime>(&prefix, None, |key| {
        jobs.push(key.job);
        Ok(true)
    })?;
    Ok(jobs)
}

/// Removes a job that is not sealed; a sealed one goes with its row. Both leave the digest of their
/// name. Says whether it was removed.
fn remove_job(txn: &mut Txn<'_>, job: JobKey, number: u64) -> Result<bool> {
    let Some(entry) = txn.get::<Jobs>(&job)? else {
        return Ok(false);
    };
    let name = match &entry {
        JobEntry::Record(record) => &record.job,
        JobEntry::Sealed(sealed) => &sealed.job,
    };
    let stone = Tombstone {
        erasure: number,
        whole: true,
        ..Tombstone::default()
    };
    txn.put::<Tombstones>(&Grave::Name(name_digest(name)), &stone)?;
    let JobEntry::Record(record) = entry else {
        return Ok(false);
    };
    listed(&record).leave(txn);
    if let Some(waiting) = &record.waiting {
        txn.delete::<Pending>(&PendingKey {
            due: waiting.due,
            job,
        });
    }
    if let Some(archived) = &record.archived {
        txn.delete::<Staged>(&staged_key(record.keys, archived));
    }
    txn.delete::<Ids>(&public_id(&record.job));
    txn.delete::<Jobs>(&job);
    Ok(true)
}

/// Takes erased texts out of a record, or out of an amendment and the lists, which hold hashes of them.
/// `sealed_facts` are those of a job's row. Says whether there was a record that held any.
fn erase_texts(
    txn: &mut Txn<'_>,
    job: JobKey,
    visible: &Visibility,
    sealed_facts: Option<&JobFacts>,
) -> Result<bool> {
    match txn.get::<Jobs>(&job)? {
        Some(JobEntry::Record(old)) => {
            let fields = visible.erased(old.keys.project, job);
            let new = without(fields, &old);
            if new == *old {
                return Ok(false);
            }
            listed(&new).replace(&listed(&old), txn)?;
            store(txn, old.waiting.as_ref(), &new)?;
            Ok(true)
        }
        Some(JobEntry::Sealed(sealed)) => {
            let fields = visible.erased(sealed.project, job);
            let amendment = txn.get::<Amendments>(&job)?;
            let known = amendment.as_ref().map(|amendment| amendment.merged.facts());
            if let Some(old) = known.or(sealed_facts) {
                let mut new = old.clone();
                fields.erase_from(&mut new);
                in_lists(job, &sealed, &new).replace(&in_lists(job, &sealed, old), txn)?;
            }
            if let Some(mut amendment) = amendment {
                amendment.merged.erase(fields);
                txn.put::<Amendments>(&job, &amendment)?;
            }
            Ok(false)
        }
        None => Ok(false),
    }
}

/// A sealed job as those lists know it that are made of texts.
fn in_lists<'a>(job: JobKey, sealed: &SealedJob, facts: &'a JobFacts) -> Listed<'a> {
    Listed {
        keys: RowKeys {
            project: sealed.project,
            job,
            part: 0,
            runner: None,
        },
        listed_at: sealed.listed_at,
        facts,
    }
}

/// A record without erased texts.
fn without(fields: Fields, record: &JobRecord) -> JobRecord {
    let mut record = record.clone();
    record.merged.erase(fields);
    if fields.machine {
        if let Some(origin) = record.archived.as_mut().and_then(|a| a.origin.as_mut()) {
            origin.machine = None;
        }
        // A failure may quote the machine's name.
        if let Some(waiting) = &mut record.waiting {
            waiting.detail = None;
        }
    }
    record
}
