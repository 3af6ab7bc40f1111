//! Import: jobs of one date that are known whole become a segment at once, without being staged one
//! by one.
//!
//! Called by `fleetgen`; made for backfills too. What an import leaves behind is what a seal leaves:
//! both files durable first, then ONE synced batch with the segment, the pointers, the identities and
//! the list entries of all its jobs (AR-1, AR-2). So a crash leaves orphans that opening removes, and
//! never half of an import.
//!
//! Numbers are taken beforehand ([`Archive::reserve_import`]), since the keys of the jobs stand in the
//! files: several threads may then import, and the bytes depend on the order of the reservations only
//! (AR-9). A reserved number that is not used is a hole in its sequence.

use super::accept::{resolve_project, resolve_runner};
use super::commit::Txn;
use super::listed::Listed;
use super::segments::file_name;
use super::stage::{check_profile, date_of};
use super::{Archive, Sealed, erase};
use crate::error::{Error, ErrorKind, Result};
use crate::index::keys::ids::{Ids, Kind, PublicId};
use crate::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use crate::index::keys::segments::{SegmentEntry, SegmentId, Segments};
use crate::limits;
use crate::model::archived::{CoTenancy, Findings, JobRow, Placement, RowKeys, SummarisedRow};
use crate::model::id::{JobKey, JobRef, ProjectKey, RunnerKey, Source};
use crate::model::job::JobFacts;
use crate::model::profile::Profile;
use crate::num;
use crate::segment::jobs as jobs_file;
use crate::segment::properties::LEVEL_HOT;
use crate::segment::samples::SamplesWriter;
use crate::time::{Date, TimestampMs};
use std::collections::HashMap;
use std::ops::Range;

/// A job to import: everything but what its samples say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedJob {
    /// Public name.
    pub job: JobRef,
    /// What is known of it; it must have ended.
    pub facts: JobFacts,
    /// Where it ran.
    pub placement: Placement,
    /// Other jobs on its machine.
    pub co_tenancy: CoTenancy,
}

/// The samples of a job to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedSamples {
    /// What was found beside the rows.
    pub findings: Findings,
    /// Its rows; empty if there are none.
    pub profile: Profile,
    /// Whether the rows are stored. If not, the job's row has the statistics of rows that are gone, as
    /// after their expiry.
    pub keep: bool,
}

/// Numbers of jobs and segments that nobody else is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    jobs: Range<u64>,
    segments: Range<u64>,
}

/// A project or a runner of a source, as facts name it.
type Named = (Source, JobFacts);
/// What tells projects apart: source, id, path.
type ProjectName<'a> = (&'a str, Option<&'a str>, Option<&'a str>);
/// What tells runners apart: source, id.
type RunnerName<'a> = (&'a str, &'a str);

/// A job on its way into the segment.
struct Placed {
    row: SummarisedRow,
    first_row: u64,
    rows: u64,
}

fn project_name<'a>(source: &'a Source, facts: &'a JobFacts) -> ProjectName<'a> {
    (
        source.as_str(),
        facts.project_id.as_deref(),
        facts.project.as_deref(),
    )
}

fn runner_name<'a>(source: &'a Source, facts: &'a JobFacts) -> Option<RunnerName<'a>> {
    Some((source.as_str(), facts.runner_id.as_deref()?))
}

fn exhausted() -> Error {
    Error::internal("an import uses more numbers than it reserved")
}

impl Archive {
    /// Takes numbers for `jobs` jobs in at most `segments` segments.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be made durable.
    pub fn reserve_import(&self, jobs: u64, segments: u64) -> Result<Reservation> {
        self.committer.run(move |txn| {
            Ok(Reservation {
                jobs: txn.reserve("job", jobs)?,
                segments: txn.reserve("segment", segments)?,
            })
        })
    }

    /// Gives projects and runners their keys in this order, so that they do not depend on which import
    /// comes first.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be made durable.
    pub fn name_for_import(
        &self,
        projects: Vec<(Source, JobFacts)>,
        runners: Vec<(Source, JobFacts)>,
    ) -> Result<()> {
        self.keys_of_names(projects, runners).map(drop)
    }

    /// Imports jobs of one date as one segment. `samples` is asked for each job once, by its position
    /// in `jobs`, in an order of the archive's own.
    ///
    /// # Errors
    /// `Invalid` for no job, for more than [`limits::IMPORT_JOBS_MAX`], or one of another date;
    /// `Conflict` if one of the jobs is known already; what `samples` says; `Unavailable` for I/O
    /// errors. Nothing is imported then.
    pub fn import(
        &self,
        reservation: &mut Reservation,
        date: Date,
        jobs: Vec<ImportedJob>,
        samples: impl FnMut(usize, &ImportedJob) -> Result<ImportedSamples>,
    ) -> Result<Sealed> {
        check(date, &jobs)?;
        let seq = reservation.segments.next().ok_or_else(exhausted)?;
        let keys = self.keys_of(&jobs, &mut reservation.jobs)?;
        let encoding = self.settings.encoding;
        let mut writer = SamplesWriter::new(encoding, LEVEL_HOT)?;
        let placed = write_samples(&mut writer, keys, jobs, samples)?;
        let written = writer.finish()?;
        let (rows, places): (Vec<_>, Vec<_>) = placed
            .into_iter()
            .map(|placed| (placed.row, (placed.first_row, placed.rows)))
            .unzip();
        let built = jobs_file::build(&rows, &written.digests, encoding, LEVEL_HOT)?;
        let sealed = Sealed {
            date,
            seq,
            jobs: built.rows,
            rows: written.rows,
            samples_bytes: num::len_u64(written.bytes.len()),
            jobs_bytes: num::len_u64(built.bytes.len()),
        };
        let entry = self.segment_entry(&sealed, &rows, built.digests.encode());
        let name = file_name(self.archiver.number(), seq);
        self.write_pair(date, &name, &written.bytes, &built.bytes)?;
        let flipped = self
            .committer
            .run(move |txn| enter(txn, sealed, &entry, &rows, &places));
        self.keep_if_flipped(date, &name, flipped.map(|()| true))?;
        Ok(sealed)
    }

    /// The keys of the jobs, in their order. Projects and runners that are new get theirs now, durably.
    fn keys_of(&self, jobs: &[ImportedJob], numbers: &mut Range<u64>) -> Result<Vec<RowKeys>> {
        let (mut projects, mut runners) = (HashMap::new(), HashMap::new());
        let (mut new_projects, mut new_runners) = (Vec::<Named>::new(), Vec::<Named>::new());
        for ImportedJob { job, facts, .. } in jobs {
            projects
                .entry(project_name(&job.source, facts))
                .or_insert_with(|| remember(&mut new_projects, &job.source, facts));
            if let Some(name) = runner_name(&job.source, facts) {
                runners
                    .entry(name)
                    .or_insert_with(|| remember(&mut new_runners, &job.source, facts));
            }
        }
        let (project_keys, runner_keys) = self.keys_of_names(new_projects, new_runners)?;
        let project = |job: &ImportedJob| -> Option<ProjectKey> {
            let at = projects.get(&project_name(&job.job.source, &job.facts))?;
            project_keys.get(*at).copied()
        };
        let runner = |job: &ImportedJob| -> Option<RunnerKey> {
            let at = runners.get(&runner_name(&job.job.source, &job.facts)?)?;
            runner_keys.get(*at).copied().flatten()
        };
        jobs.iter()
            .map(|job| {
                Ok(RowKeys {
                    project: project(job)
                        .ok_or_else(|| Error::internal("a project of an import has no key"))?,
                    job: JobKey(self.archiver.key(numbers.next().ok_or_else(exhausted)?)?),
                    part: 0,
                    runner: runner(job),
                })
            })
            .collect()
    }

    /// The keys of projects and runners; new ones get theirs now, durably.
    fn keys_of_names(
        &self,
        projects: Vec<Named>,
        runners: Vec<Named>,
    ) -> Result<(Vec<ProjectKey>, Vec<Option<RunnerKey>>)> {
        let archiver = self.archiver;
        self.committer.run(move |txn| {
            let mut keys = (Vec::new(), Vec::new());
            for (source, facts) in &projects {
                keys.0.push(resolve_project(txn, archiver, source, facts)?);
            }
            for (source, facts) in &runners {
                keys.1.push(resolve_runner(txn, archiver, source, facts)?);
            }
            Ok(keys)
        })
    }
}

/// Keeps what names a project and a runner; returns where.
fn remember(named: &mut Vec<Named>, source: &Source, facts: &JobFacts) -> usize {
    let names = JobFacts {
        project: facts.project.clone(),
        project_id: facts.project_id.clone(),
        runner_id: facts.runner_id.clone(),
        ..JobFacts::default()
    };
    named.push((source.clone(), names));
    named.len() - 1
}

fn check(date: Date, jobs: &[ImportedJob]) -> Result<()> {
    let max = limits::IMPORT_JOBS_MAX;
    if jobs.is_empty() || jobs.len() > max {
        let message = format!("an import has 1 to {max} jobs, this one {}", jobs.len());
        return Err(Error::invalid("import_size", message));
    }
    let stray = jobs
        .iter()
        .find(|job| job.facts.finished_at.is_none() || date_of(&job.facts, TimestampMs(0)) != date);
    match stray {
        None => Ok(()),
        Some(job) => {
            let message = format!(
                "job {} did not end on {date}; import each date by itself",
                job.job
            );
            Err(Error::invalid("import_date", message))
        }
    }
}

/// Asks for the samples in the order of the samples file; the rows come back in that of the jobs file.
fn write_samples(
    writer: &mut SamplesWriter,
    keys: Vec<RowKeys>,
    jobs: Vec<ImportedJob>,
    mut samples: impl FnMut(usize, &ImportedJob) -> Result<ImportedSamples>,
) -> Result<Vec<Placed>> {
    let mut ordered: Vec<_> = keys.into_iter().zip(jobs).enumerate().collect();
    ordered.sort_unstable_by_key(|(_, (keys, _))| (keys.project, keys.job));
    let mut placed = Vec::with_capacity(ordered.len());
    for (position, (keys, job)) in ordered {
        let ImportedSamples {
            findings,
            mut profile,
            keep,
        } = samples(position, &job)?;
        profile
            .columns
            .retain(|_, cells| cells.iter().any(Option::is_some));
        check_profile(&profile)?;
        let row = JobRow {
            keys,
            job: job.job,
            facts: job.facts,
            placement: job.placement,
            findings,
            co_tenancy: job.co_tenancy,
            amended_at: None,
            first_seen: None,
        };
        let row = SummarisedRow::compute(row, &profile);
        if !keep {
            profile = Profile::default();
        }
        placed.push(Placed {
            row,
            first_row: writer.push(keys, &profile)?,
            rows: num::len_u64(profile.rows()),
        });
    }
    placed.sort_by(|a, b| jobs_file::order(&a.row, &b.row));
    Ok(placed)
}

/// The batch that makes the segment visible (AR-1).
fn enter(
    txn: &mut Txn<'_>,
    sealed: Sealed,
    entry: &SegmentEntry,
    rows: &[SummarisedRow],
    places: &[(u64, u64)],
) -> Result<()> {
    let Sealed { date, seq, .. } = sealed;
    for ((jobs_row, row), (first_row, rows)) in (0u64..).zip(rows).zip(places) {
        let JobRow {
            keys, job, facts, ..
        } = &row.row;
        let id = PublicId {
            kind: Kind::Job,
            source: job.source.as_str().to_owned(),
            id: job.job_id.as_str().to_owned(),
        };
        if txn.get::<Ids>(&id)?.is_some() {
            let message = format!("job {job} is known already; leave it out of the import");
            return Err(Error::new(ErrorKind::Conflict, "import_known_job", message));
        }
        erase::admit_new(txn, job)?;
        if erase::is_erased_project(txn, keys.project.0)? {
            // It was erased since the import began; another one gets another key.
            return Err(Error::new(
                ErrorKind::Conflict,
                "import_erased_project",
                format!("the project of job {job} was erased meanwhile; import it again"),
            ));
        }
        txn.put::<Ids>(&id, &keys.job.0)?;
        // A job that ended has a time of its start, or was first heard of at its end.
        let listed_at = facts.started_at.or(facts.finished_at);
        let listed = Listed {
            keys: *keys,
            listed_at: listed_at.unwrap_or(TimestampMs(0)),
            facts,
        };
        listed.enter(txn)?;
        let pointer = SealedJob {
            job: job.clone(),
            project: keys.project,
            listed_at: listed.listed_at,
            date,
            segment: seq,
            jobs_row,
            first_row: *first_row,
            rows: *rows,
        };
        txn.put::<Jobs>(&keys.job, &JobEntry::Sealed(pointer))?;
    }
    txn.put::<Segments>(&SegmentId { date, seq }, entry)
}
