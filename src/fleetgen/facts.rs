//! What a CI system says of a planned job: names, times, sections.

use super::FleetSpec;
use super::day::{Flaw, GitRef, Outcome, Planned};
use super::machines::{Pool, Runner};
use super::random::mixed;
use super::words::TOPICS;
use super::world::{Project, World};
use crate::archive::ImportedJob;
use crate::error::{Error, Result};
use crate::model::archived::Placement;
use crate::model::id::{JobId, JobRef, RegionName, Source};
use crate::model::job::{JobFacts, JobStatus, Section};
use crate::model::machine::Machine;
use crate::num;
use crate::time::{TimeRange, TimestampMs};

/// The first job's id.
const JOB_IDS: u64 = 9_000_000_000;
/// The CI instance that all jobs are of.
const SOURCE: &str = "gitlab";

/// What names a project.
fn project_facts(project: &Project) -> JobFacts {
    JobFacts {
        project: Some(project.path.clone()),
        project_id: Some((1_000 + project.id).to_string()),
        ..JobFacts::default()
    }
}

/// What names a runner.
fn runner_facts(runner: &Runner) -> JobFacts {
    JobFacts {
        runner_id: Some(runner.id.to_string()),
        ..JobFacts::default()
    }
}

/// All projects and runners, with their source.
pub(super) fn names(world: &World) -> Result<[Vec<(Source, JobFacts)>; 2]> {
    let source = Source::parse(SOURCE)?;
    let named = |facts| (source.clone(), facts);
    let projects = world.projects.iter().map(project_facts);
    let runners = world.runners.all.iter().map(runner_facts);
    Ok([projects.map(named).collect(), runners.map(named).collect()])
}

/// The job as it is imported.
pub(super) fn imported(world: &World, spec: &FleetSpec, planned: &Planned) -> Result<ImportedJob> {
    let missing = || Error::internal("a planned job names what does not exist");
    let project = world.projects.get(planned.project).ok_or_else(missing)?;
    let def = project.defs.get(planned.def).ok_or_else(missing)?;
    let runner = world.runners.all.get(planned.runner).ok_or_else(missing)?;
    let mut rng = fastrand::Rng::with_seed(mixed(&[spec.seed, 3, planned.number]));
    let (status, failure_reason) = ending(planned.outcome);
    let sha = mixed(&[spec.seed, 4, planned.pipeline]);
    let more = mixed(&[sha, 5]);
    let facts = JobFacts {
        status: Some(status),
        pipeline_id: Some(planned.pipeline.to_string()),
        name: Some(def.kind.name.to_owned()),
        stage: Some(def.kind.stage.to_owned()),
        git_ref: Some(ref_name(planned.git_ref)),
        sha: Some(format!(
            "{sha:016x}{more:016x}{:08x}",
            more >> 32 ^ sha & 0xffff_ffff
        )),
        failure_reason: failure_reason.map(str::to_owned),
        runner_id: runner_facts(runner).runner_id,
        runner_description: Some(runner.description.clone()),
        runner_tags: Some(runner.tags.iter().map(|tag| (*tag).to_owned()).collect()),
        machine: Some(Machine::parse(&machine_name(runner, planned, spec.seed))?),
        executor: Some(runner.executor().to_owned()),
        created_at: Some(TimestampMs(planned.created)),
        started_at: Some(planned.window.from),
        finished_at: Some(planned.window.to),
        queued_ms: Some(planned.queued_ms),
        sections: Some(sections(planned, &mut rng)),
        ..project_facts(project)
    };
    Ok(ImportedJob {
        job: JobRef {
            source: Source::parse(SOURCE)?,
            job_id: JobId::parse(&(JOB_IDS + planned.number).to_string())?,
        },
        facts,
        placement: Placement {
            region: Some(RegionName::parse(runner.region.name)?),
            machine_type: Some(runner.machine.name.to_owned()),
            price_per_hour_micro: runner.machine.price_micro,
        },
        co_tenancy: planned.co_tenancy,
    })
}

fn ending(outcome: Outcome) -> (JobStatus, Option<&'static str>) {
    match outcome {
        Outcome::Success => (JobStatus::Success, None),
        Outcome::Failed | Outcome::OutOfMemory => (JobStatus::Failed, Some("script_failure")),
        Outcome::TimedOut => (JobStatus::Failed, Some("job_execution_timeout")),
        Outcome::RunnerFailed => (JobStatus::Failed, Some("runner_system_failure")),
        Outcome::Canceled => (JobStatus::Canceled, None),
    }
}

fn ref_name(git_ref: GitRef) -> String {
    match git_ref {
        GitRef::Main => "main".to_owned(),
        GitRef::Renovate(number) => format!("renovate/dependency-{number}"),
        GitRef::Tag(number) => format!("v1.{}.{}", number / 10, number % 10),
        GitRef::Feature(number) => {
            let topic = TOPICS.get(usize::from(number) % TOPICS.len());
            format!("feature/{number}-{}", topic.copied().unwrap_or("more"))
        }
    }
}

fn machine_name(runner: &Runner, planned: &Planned, seed: u64) -> String {
    match runner.pool {
        Pool::Hosts(_) => format!("{}-{:02}", runner.description, planned.machine + 1),
        Pool::Autoscaled => {
            let unique = mixed(&[seed, 6, planned.machine]) & 0xffff_ffff;
            format!("{}-{unique:08x}", runner.description)
        }
    }
}

/// The log sections of a GitLab job: short ones around the script. One that was ended from outside
/// ends in its script.
fn sections(planned: &Planned, rng: &mut fastrand::Rng) -> Vec<Section> {
    let window = planned.window;
    let length = window.len_ms();
    let mut from = window.from;
    let mut sections = Vec::new();
    let mut section = |name: &str, to: TimestampMs| {
        let range = TimeRange::new(from, to.clamp(from, window.to));
        from = range.to;
        sections.push(Section {
            name: name.to_owned(),
            range,
        });
    };
    let mut at = window.from;
    for (name, part) in [
        ("prepare_executor", 60),
        ("prepare_script", 100),
        ("get_sources", 25),
        ("restore_cache", 18),
        ("download_artifacts", 80),
    ] {
        at = at.plus_ms(rng.i64(0..=(length / part).min(60_000)));
        section(name, at);
    }
    if matches!(planned.outcome, Outcome::Success | Outcome::Failed) {
        let tail = rng.i64(0..=(length / 12).min(90_000));
        section("step_script", window.to.plus_ms(-tail));
        if planned.outcome == Outcome::Success {
            section("archive_cache", window.to.plus_ms(-tail / 3));
            section("upload_artifacts_on_success", window.to);
        } else {
            section("cleanup_file_variables", window.to);
        }
    } else {
        section("step_script", window.to);
    }
    sections
}

impl Planned {
    /// Whether nothing was ever scraped of its machine.
    pub(super) fn is_unknown(&self) -> bool {
        self.flaw == Flaw::Unknown
    }

    /// The number that stands for its machine.
    pub(super) fn machine_seed(&self, seed: u64) -> u64 {
        mixed(&[seed, 7, num::len_u64(self.runner), self.machine])
    }
}
