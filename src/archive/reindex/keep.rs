//! What a new index takes over from the old one, and what it sets right in the end.

use super::super::accept::{listed, store};
use super::super::commit::Txn;
use super::super::find::staged_key;
use super::super::listed::Listed;
use super::{UNKNOWN_NUMBERS, Work};
use crate::error::{Error, Result};
use crate::index::keys::amendments::Amendments;
use crate::index::keys::ids::{Ids, Kind, PublicId};
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::index::keys::meta::Meta;
use crate::index::keys::quarantine::{Quarantine, QuarantineInfo, Quarantined};
use crate::index::keys::segments::{SegmentEntry, SegmentId, Segments};
use crate::index::keys::staged::{Staged, StagedProfile};
use crate::index::keys::{self, by_time, pending};
use crate::index::{Changes, Family};
use crate::limits;
use crate::model::archived::RowKeys;
use crate::model::id::JobKey;
use crate::model::job::JobFacts;
use crate::model::record::{JobRecord, Waiting};
use crate::model::state::Reason;
use crate::time::TimestampMs;

/// Families whose entries are made anew; all others are taken over as they are.
const MADE_ANEW: [&str; 9] = [
    by_time::ByMachineTime::NAME,
    by_time::ByNameRef::NAME,
    by_time::ByProjectTime::NAME,
    by_time::ByRunnerTime::NAME,
    by_time::ByTime::NAME,
    Jobs::NAME,
    pending::Pending::NAME,
    Segments::NAME,
    Staged::NAME,
];

/// The low bits of a surrogate key.
const SEQUENCE_BITS: i64 = (1 << 48) - 1;

/// A record to be kept, and its profile if it is staged.
type Kept = (JobRecord, Option<StagedProfile>);

impl Work<'_> {
    /// Takes over what is readable of the old index.
    pub(super) fn keep(&mut self) -> Result<()> {
        for family in keys::ALL {
            if !MADE_ANEW.contains(family) {
                self.copy(family)?;
            }
        }
        self.records()
    }

    fn copy(&mut self, family: &str) -> Result<()> {
        let Some(old) = &self.old.index else {
            return Ok(());
        };
        let mut changes = Changes::default();
        let read = old.salvage(family, |key, value| {
            changes.put_bytes(family, key, value)?;
            if changes.bytes() > limits::COMMIT_BYTES_MAX {
                self.fresh.write(&std::mem::take(&mut changes))?;
            }
            Ok(())
        })?;
        self.fresh.write(&changes)?;
        if read.entries > 0 {
            self.found.kept.insert(family.to_owned(), read.entries);
        }
        if let Some(error) = read.error {
            self.found
                .lost
                .push(format!("a part of `{family}`: {}", error.chain()));
        }
        Ok(())
    }

    /// The jobs that are not sealed.
    fn records(&mut self) -> Result<()> {
        let Some(old) = self.old.index.take() else {
            return Ok(());
        };
        let mut batch: Vec<Kept> = Vec::new();
        let mut unreadable = 0u64;
        let read = old.salvage(Jobs::NAME, |_, value| {
            match Jobs::decode_value(value) {
                Ok(JobEntry::Record(record)) => {
                    let staged = record.archived.as_ref().map(|archived| {
                        let key = staged_key(record.keys, archived);
                        // A profile that does not decode is as good as none.
                        let staged = old.get::<Staged>(&key).ok().flatten();
                        staged.filter(|staged| staged.profile().is_ok())
                    });
                    batch.push((*record, staged.flatten()));
                }
                Ok(JobEntry::Sealed(_)) => {}
                Err(_) => unreadable += 1,
            }
            if batch.len() >= limits::COMMIT_OPS_MAX {
                self.keep_records(std::mem::take(&mut batch))?;
            }
            Ok(())
        })?;
        self.keep_records(batch)?;
        if let Some(error) = read.error {
            let text = format!("a part of the jobs that are not sealed: {}", error.chain());
            self.found.lost.push(text);
        }
        if unreadable > 0 {
            let text = format!("{unreadable} jobs whose entries cannot be read");
            self.found.lost.push(text);
        }
        self.old.index = Some(old);
        Ok(())
    }

    fn keep_records(&mut self, records: Vec<Kept>) -> Result<()> {
        let now = self.clock.now();
        for (record, staged) in &records {
            self.count(record.keys);
            self.found.kept_records += 1;
            if record.archived.is_some() && staged.is_none() {
                let text = format!("the staged profile of {}: it is fetched again", record.job);
                self.found.lost.push(text);
            }
        }
        self.committer.run(move |txn| {
            for (record, staged) in records {
                keep_record(txn, record, staged, now)?;
            }
            Ok(())
        })
    }

    /// Remembers the numbers in a job's keys.
    pub(super) fn count(&mut self, keys: RowKeys) {
        let runner = keys.runner.map_or(0, |runner| runner.0);
        for (last, key) in self
            .last_keys
            .iter_mut()
            .zip([keys.job.0, keys.project.0, runner])
        {
            *last = (*last).max((key & SEQUENCE_BITS).unsigned_abs());
        }
    }

    /// Puts a segment into the quarantine of the new index, its files into that of the directory.
    pub(super) fn quarantine(&mut self, id: SegmentId, file: &str, error: &Error) -> Result<()> {
        let problem = error.chain();
        tracing::error!(segment.seq = id.seq, segment.date = %id.date, error = problem, "a segment cannot be taken");
        let info = QuarantineInfo {
            at: self.clock.now(),
            problem: problem.clone(),
            file: file.to_owned(),
            looked_after: false,
        };
        let entry = self.old.entry(id).cloned();
        self.found.quarantined += 1;
        self.found.lost.push(format!(
            "segment {} of {}, which is in quarantine: {problem}",
            id.seq, id.date
        ));
        self.committer
            .run(move |txn| txn.put::<Quarantine>(&id, &Quarantined { info, entry }))?;
        let text = format!("{problem}\nfound by tachograph reindex\n");
        self.dir.quarantine(id.date, file, &text)
    }

    /// Segments that the old index names and that have no files.
    pub(super) fn missing_segments(&mut self) -> Result<()> {
        let named: Vec<(SegmentId, SegmentEntry)> = self.old.segments.clone().into_iter().collect();
        for (id, entry) in named {
            let known = self.fresh.get::<Segments>(&id)?.is_some()
                || self.fresh.get::<Quarantine>(&id)?.is_some();
            let name = super::super::segments::file_name(entry.info.archiver, id.seq);
            let jobs = crate::segment::dir::Table::Jobs;
            if !known && self.dir.open_file(jobs, id.date, &name).is_err() {
                let error = Error::data("segment_missing", "its files are missing");
                self.quarantine(id, &name, &error)?;
            }
        }
        Ok(())
    }

    /// The pointers of jobs whose segment is in quarantine stay, so that they come back with it.
    pub(super) fn pointers_into_quarantine(&mut self) -> Result<()> {
        let Some(old) = self.old.index.take() else {
            return Ok(());
        };
        let mut batch = Vec::new();
        let mut lost = 0u64;
        old.salvage(Jobs::NAME, |key, value| {
            let (Ok(key), Ok(JobEntry::Sealed(sealed))) =
                (Jobs::decode_key(key), Jobs::decode_value(value))
            else {
                return Ok(());
            };
            if self.fresh.get::<Jobs>(&key)?.is_some() {
                return Ok(());
            }
            let id = SegmentId {
                date: sealed.date,
                seq: sealed.segment,
            };
            if self.fresh.get::<Quarantine>(&id)?.is_none() {
                lost += 1;
                return Ok(());
            }
            batch.push((key, sealed));
            if batch.len() >= limits::COMMIT_OPS_MAX {
                self.keep_pointers(std::mem::take(&mut batch))?;
            }
            Ok(())
        })?;
        self.keep_pointers(batch)?;
        if lost > 0 {
            let text = format!("{lost} sealed jobs whose segment nobody has");
            self.found.lost.push(text);
        }
        self.old.index = Some(old);
        Ok(())
    }

    fn keep_pointers(&mut self, pointers: Vec<(JobKey, SealedJob)>) -> Result<()> {
        self.committer.run(move |txn| {
            for (key, sealed) in pointers {
                keep_pointer(txn, key, sealed)?;
            }
            Ok(())
        })
    }

    /// A name without a job would be taken for damage when the job is reported again.
    pub(super) fn forget_names_of_nothing(&mut self) -> Result<()> {
        let mut changes = Changes::default();
        let prefix = [1u8];
        let snapshot = self.fresh.snapshot();
        snapshot.scan::<Ids>(&prefix, None, |id, key| {
            if id.kind == Kind::Job && snapshot.get::<Jobs>(&JobKey(key))?.is_none() {
                changes.delete::<Ids>(&id);
            }
            Ok(true)
        })?;
        drop(snapshot);
        self.fresh.write(&changes)
    }

    /// Numbers go on behind the last one that was given out, as far as that is known.
    pub(super) fn number_on(&mut self) -> Result<()> {
        let [jobs, projects, runners] = self.last_keys;
        let mut changes = Changes::default();
        for (name, last) in [
            ("seq.job", jobs),
            ("seq.project", projects),
            ("seq.runner", runners),
        ] {
            let name = name.to_owned();
            let next = match self.fresh.get::<Meta>(&name)? {
                Some(given) => given.max(last),
                None => last + UNKNOWN_NUMBERS,
            };
            changes.put::<Meta>(&name, &next)?;
        }
        let name = "seq.segment".to_owned();
        let given = self.fresh.get::<Meta>(&name)?.unwrap_or(0);
        changes.put::<Meta>(&name, &given.max(self.last_segment))?;
        self.fresh.write(&changes)
    }
}

fn keep_record(
    txn: &mut Txn<'_>,
    mut record: JobRecord,
    staged: Option<StagedProfile>,
    now: TimestampMs,
) -> Result<()> {
    match (&record.archived, staged) {
        (Some(archived), Some(staged)) => {
            txn.put::<Staged>(&staged_key(record.keys, archived), &staged)?;
        }
        (Some(_), None) => {
            record.archived = None;
            record.waiting.get_or_insert(Waiting {
                due: now,
                attempts: 0,
                reason: Reason::Settling,
                detail: None,
            });
        }
        (None, _) => {}
    }
    name(txn, &record.job, record.merged.facts(), record.keys)?;
    listed(&record).enter(txn)?;
    store(txn, None, &record)?;
    Ok(())
}

fn keep_pointer(txn: &mut Txn<'_>, key: JobKey, sealed: SealedJob) -> Result<()> {
    let amendment = txn.get::<Amendments>(&key)?;
    let facts = amendment.map_or_else(JobFacts::default, |amendment| {
        amendment.merged.facts().clone()
    });
    let keys = RowKeys {
        project: sealed.project,
        job: key,
        part: 0,
        runner: None,
    };
    let names = public(sealed.job.source.as_str());
    txn.put::<Ids>(&names(Kind::Job, sealed.job.job_id.as_str()), &key.0)?;
    Listed {
        keys,
        listed_at: sealed.listed_at,
        facts: &facts,
    }
    .enter(txn)?;
    txn.put::<Jobs>(&key, &JobEntry::Sealed(sealed))
}

pub(super) fn public(source: &str) -> impl Fn(Kind, &str) -> PublicId + use<> {
    let source = source.to_owned();
    move |kind, id| PublicId {
        kind,
        source: source.clone(),
        id: id.to_owned(),
    }
}

/// Enters the public names of a job, of its project and of its runner, where nobody has them yet.
pub(super) fn name(
    txn: &mut Txn<'_>,
    job: &crate::model::id::JobRef,
    facts: &JobFacts,
    keys: RowKeys,
) -> Result<()> {
    let names = public(job.source.as_str());
    let mut known = vec![(names(Kind::Job, job.job_id.as_str()), keys.job.0)];
    if let Some(id) = &facts.project_id {
        known.push((names(Kind::ProjectId, id), keys.project.0));
    }
    // A project that is named by nothing has the empty path.
    if facts.project.is_some() || facts.project_id.is_none() {
        let path = facts.project.as_deref().unwrap_or_default();
        known.push((names(Kind::ProjectPath, path), keys.project.0));
    }
    if let (Some(id), Some(key)) = (&facts.runner_id, keys.runner) {
        known.push((names(Kind::Runner, id), key.0));
    }
    for (id, key) in known {
        if txn.get::<Ids>(&id)?.is_none() {
            txn.put::<Ids>(&id, &key)?;
        }
    }
    Ok(())
}
