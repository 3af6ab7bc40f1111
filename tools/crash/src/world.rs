//! The jobs of the lab: what is said of a job, and so what must be found, is a function of its number.

use tachograph::archive::{JobView, Staging};
use tachograph::model::archived::ArchivedJob;
use tachograph::model::id::JobRef;
use tachograph::model::job::{JobEvent, JobFacts, JobStatus};
use tachograph::model::profile::Profile;
use tachograph::model::record::JobRecord;
use tachograph::model::state::Reason;
use tachograph::testkit::jobs;

/// How far a job is: each level is one acknowledged operation more.
pub(crate) type Level = u32;
/// It was said that the job runs.
pub(crate) const RUNNING: Level = 1;
/// It was said that the job ended.
pub(crate) const FINISHED: Level = 2;
/// The job is staged.
pub(crate) const STAGED: Level = 3;
/// Another end was said: a job that is not sealed is fetched again.
pub(crate) const CORRECTED: Level = 4;
/// It is staged again, or was sealed before.
pub(crate) const RESTAGED: Level = 5;
/// How much later the corrected end is.
const LATER_MS: i64 = 7_000;

const PROJECTS: u64 = 5;
const ROWS: u64 = 40;

/// All jobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    /// Minutes between two jobs: 1,440 / stride jobs fill a date.
    pub(crate) stride: u64,
}

impl World {
    /// Job number `n` as it is archived.
    pub(crate) fn job(self, n: u64) -> ArchivedJob {
        let project = i64::try_from(n % PROJECTS).unwrap_or(0);
        let rows = usize::try_from((n * 7) % ROWS).unwrap_or(0);
        let mut job = jobs::archived_job(n * self.stride, project, rows);
        if rows == 0 {
            job.row.findings.reason = Some(Reason::UnknownMachine);
        }
        job
    }

    pub(crate) fn job_ref(self, n: u64) -> JobRef {
        jobs::job_ref(&(9_000_000_000 + n * self.stride).to_string())
    }

    /// The facts once a job is at `level`.
    pub(crate) fn facts(self, n: u64, level: Level) -> JobFacts {
        at_level(n, self.job(n).row.facts, level)
    }

    /// The event that brings a job to `level`, or to the one before it is staged.
    pub(crate) fn event(self, n: u64, level: Level) -> JobEvent {
        let facts = match level {
            RUNNING | FINISHED => self.facts(n, level),
            STAGED => self.facts(n, FINISHED),
            CORRECTED | RESTAGED => JobFacts {
                finished_at: self.facts(n, CORRECTED).finished_at,
                ..JobFacts::default()
            },
            later => JobFacts {
                status: self.facts(n, FINISHED).status,
                web_url: Some(url(n, later)),
                ..JobFacts::default()
            },
        };
        JobEvent {
            job: self.job_ref(n),
            facts,
        }
    }

    /// What brings a job to [`STAGED`] or [`RESTAGED`].
    pub(crate) fn staging(self, n: u64, record: JobRecord) -> Staging {
        let ArchivedJob { row, profile } = self.job(n);
        Staging {
            record,
            placement: row.placement,
            findings: row.findings,
            profile,
            look_up_at: None,
        }
    }

    /// What is wrong with a job that was found, given the levels it may have.
    pub(crate) fn check(
        self,
        n: u64,
        levels: (Level, Level),
        found: Option<&(JobView, Profile)>,
    ) -> Option<String> {
        let (acknowledged, tried) = levels;
        let Some((view, profile)) = found else {
            return (acknowledged > 0)
                .then(|| format!("job {n}: acknowledged to level {acknowledged} and lost"));
        };
        if tried == 0 {
            return Some(format!("job {n}: there, and never said"));
        }
        let wanted = self.job(n);
        let all = &wanted.row.facts;
        let possible = |level| at_level(n, all.clone(), level) == view.facts;
        if !(acknowledged.max(1)..=tried).any(possible) {
            return Some(format!(
                "job {n}: facts of no level from {acknowledged} to {tried}: {:?}",
                view.facts
            ));
        }
        let Some(row) = &view.row else {
            return (acknowledged >= STAGED)
                .then(|| format!("job {n}: staged and no longer archived"));
        };
        if tried < STAGED {
            return Some(format!("job {n}: archived, and nobody did it"));
        }
        if row.row.findings != wanted.row.findings {
            return Some(format!("job {n}: other findings"));
        }
        let mut samples = wanted.profile;
        samples
            .columns
            .retain(|_, cells| cells.iter().any(Option::is_some));
        (samples != *profile).then(|| format!("job {n}: other samples"))
    }
}

fn url(n: u64, level: Level) -> String {
    format!("https://ci.example/{n}/{level}")
}

/// What is known at `level` of a job of which `all` is said in the end.
fn at_level(n: u64, all: JobFacts, level: Level) -> JobFacts {
    match level {
        RUNNING => JobFacts {
            status: Some(JobStatus::Running),
            project: all.project,
            project_id: all.project_id,
            name: all.name,
            runner_id: all.runner_id,
            machine: all.machine,
            started_at: all.started_at,
            ..JobFacts::default()
        },
        FINISHED | STAGED => all,
        later => JobFacts {
            web_url: (later > RESTAGED).then(|| url(n, later)),
            finished_at: all.finished_at.map(|at| at.plus_ms(LATER_MS)),
            ..all
        },
    }
}
