//! Lists of jobs, newest first, by the narrowest index that fits the filter.

use super::find::{record_view, row_view};
use super::listed::{machine_prefix, name_ref_prefix};
use super::{Archive, JobView, Visibility};
use crate::error::{Error, ErrorKind, Result};
use crate::index::keys::by_time::{
    ByMachineTime, ByNameRef, ByProjectTime, ByRunnerTime, ByTime, TimeKey,
};
use crate::index::keys::ids::{Ids, Kind, PublicId};
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::index::{Family, Snapshot};
use crate::limits;
use crate::model::id::{JobKey, JobRef, ProjectKey, Source};
use crate::model::job::JobStatus;
use crate::model::machine::Machine;
use crate::model::scope::Scope;
use crate::model::state::{State, Verdict};
use crate::time::{Date, TimeRange, TimestampMs};
use std::collections::{BTreeMap, HashMap};

/// Which jobs to list. Everything set must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct JobFilter {
    pub source: Option<Source>,
    /// Path or id.
    pub project: Option<String>,
    pub name: Option<String>,
    pub git_ref: Option<String>,
    /// Runner id.
    pub runner: Option<String>,
    pub machine: Option<Machine>,
    pub status: Option<JobStatus>,
    pub state: Option<State>,
    pub verdict: Option<Verdict>,
    /// Jobs that started (or, without a start, were first heard of) in this range.
    pub listed: Option<TimeRange>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPage {
    /// The jobs, newest first.
    pub jobs: Vec<JobView>,
    /// Where the next page begins; `None` at the end. A page may have fewer jobs than asked for and
    /// still a cursor: then the filter matched little of what was looked at.
    pub next_cursor: Option<String>,
}

/// Position in a list: the last entry that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    time: TimestampMs,
    job: JobKey,
}

impl Cursor {
    fn parse(text: &str) -> Result<Self> {
        let parsed = text
            .split_once('.')
            .and_then(|(time, job)| Some((time.parse().ok()?, job.parse().ok()?)));
        let (time, job) = parsed.ok_or_else(|| {
            Error::invalid(
                "invalid_cursor",
                "cursor is not one of ours; start again without it",
            )
        })?;
        Ok(Self {
            time: TimestampMs(time),
            job: JobKey(job),
        })
    }

    fn spell(self) -> String {
        format!("{}.{}", self.time.0, self.job.0)
    }
}

/// The index a filter is answered from.
enum Plan {
    Nothing,
    All,
    Project([i64; 1]),
    Runner([i64; 1]),
    Machine([i64; 1]),
    NameRef([i64; 3]),
}

impl Archive {
    /// A page of jobs.
    ///
    /// # Errors
    /// `Invalid` for a cursor that is none, `Data` for damaged entries, `Unavailable` for I/O errors.
    pub fn list(
        &self,
        scope: &Scope,
        filter: &JobFilter,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<JobPage> {
        let snapshot = self.reading();
        let cursor = cursor.map(Cursor::parse).transpose()?;
        let mut walk = Walk {
            archive: self,
            snapshot: &snapshot,
            visible: self.visibility(&snapshot)?,
            scope,
            filter,
            limit: limit.clamp(1, limits::LIST_LIMIT_MAX),
            seen: 0,
            last: None,
            jobs: Vec::new(),
            batch: Vec::new(),
        };
        let more = match plan(&snapshot, filter)? {
            Plan::Nothing => false,
            Plan::All => walk.run::<ByTime, 0>([], cursor)?,
            Plan::Project(prefix) => walk.run::<ByProjectTime, 1>(prefix, cursor)?,
            Plan::Runner(prefix) => walk.run::<ByRunnerTime, 1>(prefix, cursor)?,
            Plan::Machine(prefix) => walk.run::<ByMachineTime, 1>(prefix, cursor)?,
            Plan::NameRef(prefix) => walk.run::<ByNameRef, 3>(prefix, cursor)?,
        };
        let next_cursor = walk.last.filter(|_| more).map(Cursor::spell);
        Ok(JobPage {
            jobs: walk.jobs,
            next_cursor,
        })
    }
}

fn plan(snapshot: &Snapshot<'_>, filter: &JobFilter) -> Result<Plan> {
    if let Some(machine) = &filter.machine {
        return Ok(Plan::Machine(machine_prefix(machine)));
    }
    // Project and runner are ids inside a source: without a source only the whole list helps.
    let Some(source) = &filter.source else {
        return Ok(Plan::All);
    };
    let look_up = |kind, id: &str| {
        snapshot.get::<Ids>(&PublicId {
            kind,
            source: source.as_str().to_owned(),
            id: id.to_owned(),
        })
    };
    if let Some(runner) = &filter.runner {
        return Ok(look_up(Kind::Runner, runner)?.map_or(Plan::Nothing, |key| Plan::Runner([key])));
    }
    let Some(project) = &filter.project else {
        return Ok(Plan::All);
    };
    let key = match look_up(Kind::ProjectPath, project)? {
        Some(key) => Some(key),
        None => look_up(Kind::ProjectId, project)?,
    };
    Ok(match (key, &filter.name, &filter.git_ref) {
        (None, _, _) => Plan::Nothing,
        (Some(key), Some(name), Some(git_ref)) => {
            Plan::NameRef(name_ref_prefix(key, name, git_ref))
        }
        (Some(key), _, _) => Plan::Project([key]),
    })
}

struct Walk<'a> {
    archive: &'a Archive,
    snapshot: &'a Snapshot<'a>,
    visible: Visibility,
    scope: &'a Scope,
    filter: &'a JobFilter,
    limit: usize,
    seen: usize,
    last: Option<Cursor>,
    jobs: Vec<JobView>,
    /// Entries that are looked at together.
    batch: Vec<Cursor>,
}

impl Walk<'_> {
    /// Walks a list; says whether there is more behind the last entry looked at.
    fn run<F, const N: usize>(&mut self, prefix: [i64; N], cursor: Option<Cursor>) -> Result<bool>
    where
        F: Family<Key = TimeKey<N>>,
    {
        let mut bytes = Vec::new();
        TimeKey::encode_prefix(&prefix, &mut bytes);
        let to = self.filter.listed.map(|listed| listed.to.plus_ms(-1));
        let start = cursor
            .map(|cursor| TimeKey {
                prefix,
                time: cursor.time,
                job: cursor.job,
            })
            .or(to.map(|time| TimeKey {
                prefix,
                time,
                job: JobKey(i64::MIN),
            }));
        let start = start.map(|key| crate::index::key_of::<F>(&key));
        let mut more = false;
        let (snapshot, from) = (self.snapshot, self.filter.listed.map(|listed| listed.from));
        snapshot.scan::<F>(&bytes, start.as_deref(), |key, _| {
            let here = Cursor {
                time: key.time,
                job: key.job,
            };
            if cursor == Some(here) {
                return Ok(true);
            }
            if from.is_some_and(|from| key.time < from) {
                return Ok(false);
            }
            if self.batch.len() == self.room() {
                self.look()?;
                more = self.room() == 0;
            }
            if !more {
                self.batch.push(here);
            }
            Ok(!more)
        })?;
        Ok(self.look()? || more)
    }

    /// How many entries are looked at next: as many as the page has room for, since most match; more,
    /// once it showed that they do not.
    fn room(&self) -> usize {
        let wanted = self.limit - self.jobs.len();
        let wanted = if wanted == 0 || self.seen == 0 {
            wanted
        } else {
            wanted.max(limits::LIST_BATCH)
        };
        wanted.min(limits::LIST_SCAN_MAX - self.seen)
    }

    /// Looks at the entries of the batch, and takes what matches until the page is full. Says whether
    /// entries were left over.
    fn look(&mut self) -> Result<bool> {
        let batch = std::mem::take(&mut self.batch);
        let mut found = self.read(&batch)?;
        for here in batch {
            if self.jobs.len() == self.limit {
                return Ok(true);
            }
            self.seen += 1;
            self.last = Some(here);
            let view = found.remove(&here.job);
            self.jobs
                .extend(view.filter(|view| matches(self.filter, view)));
        }
        Ok(false)
    }

    /// The jobs of these entries, as far as the scope allows them and they can be read. Rows of one
    /// segment are read together.
    fn read(&self, batch: &[Cursor]) -> Result<HashMap<JobKey, JobView>> {
        let mut found = HashMap::new();
        let mut sealed: BTreeMap<(Date, u64), Vec<(JobKey, SealedJob)>> = BTreeMap::new();
        for here in batch {
            let entry = readable(here.job, self.snapshot.get::<Jobs>(&here.job))?.flatten();
            match entry {
                Some(JobEntry::Record(record))
                    if self.may_match(record.keys.project, here.job, &record.job) =>
                {
                    let view = record_view(self.snapshot, &self.visible, *record);
                    let view = readable(here.job, view)?.flatten();
                    found.extend(view.map(|view| (here.job, view)));
                }
                Some(JobEntry::Sealed(job)) if self.may_match(job.project, here.job, &job.job) => {
                    let segment = sealed.entry((job.date, job.segment)).or_default();
                    segment.push((here.job, job));
                }
                _ => {}
            }
        }
        for ((date, seq), mut jobs) in sealed {
            jobs.sort_by_key(|(_, job)| job.jobs_row);
            self.read_segment(date, seq, &jobs, &mut found)?;
        }
        Ok(found)
    }

    /// What an entry tells without a look at its row.
    fn may_match(&self, project: ProjectKey, key: JobKey, job: &JobRef) -> bool {
        let source = self.filter.source.as_ref();
        self.scope.allows(project)
            && self.visible.knows(project, key)
            && source.is_none_or(|source| *source == job.source)
    }

    fn read_segment(
        &self,
        date: Date,
        seq: u64,
        jobs: &[(JobKey, SealedJob)],
        found: &mut HashMap<JobKey, JobView>,
    ) -> Result<()> {
        let (archive, snapshot) = (self.archive, self.snapshot);
        let together = archive
            .open_segment(snapshot, date, seq)
            .and_then(|segment| {
                let pointers: Vec<&SealedJob> = jobs.iter().map(|(_, job)| job).collect();
                Ok((segment.rows(&pointers)?, segment))
            });
        match together {
            Ok((rows, segment)) => {
                for ((key, job), row) in jobs.iter().zip(rows) {
                    let view = row_view(snapshot, &self.visible, &segment, *key, job, row);
                    let view = readable(*key, view)?.flatten();
                    found.extend(view.map(|view| (*key, view)));
                }
            }
            // One damaged page must not hide the jobs of the others.
            Err(error) if error.kind() == ErrorKind::Data => {
                for (key, _) in jobs {
                    let view = readable(*key, archive.view(snapshot, self.scope, *key))?;
                    found.extend(view.flatten().map(|view| (*key, view)));
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// One damaged job must not hide the others: it is left out of the list, and logged.
fn readable<T>(job: JobKey, read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind() == ErrorKind::Data => {
            tracing::error!(
                job.key = job.0,
                error = error.chain(),
                "a listed job cannot be read"
            );
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn matches(filter: &JobFilter, view: &JobView) -> bool {
    fn is<T: PartialEq>(wanted: Option<&T>, found: Option<&T>) -> bool {
        wanted.is_none_or(|wanted| Some(wanted) == found)
    }
    let facts = &view.facts;
    let verdict = view.row.as_ref().and_then(|row| row.row.findings.verdict);
    is(filter.source.as_ref(), Some(&view.job.source))
        && filter.project.as_ref().is_none_or(|project| {
            facts.project.as_ref() == Some(project) || facts.project_id.as_ref() == Some(project)
        })
        && is(filter.name.as_ref(), facts.name.as_ref())
        && is(filter.git_ref.as_ref(), facts.git_ref.as_ref())
        && is(filter.runner.as_ref(), facts.runner_id.as_ref())
        && is(filter.machine.as_ref(), facts.machine.as_ref())
        && is(filter.status.as_ref(), facts.status.as_ref())
        && is(filter.state.as_ref(), Some(&view.state))
        && is(filter.verdict.as_ref(), verdict.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip_and_strangers_are_refused() {
        let cursor = Cursor {
            time: TimestampMs(-5),
            job: JobKey(7),
        };
        assert_eq!(Cursor::parse(&cursor.spell()).unwrap(), cursor);
        for text in ["", "1", "a.b", "1.2.3", "1."] {
            assert!(Cursor::parse(text).is_err(), "{text}");
        }
    }
}
