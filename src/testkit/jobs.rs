//! Made-up archived jobs, quickly: consistent in themselves, without a machine behind them.
//!
//! For archive, index and query tests. What real series look like is the business of `fleet`
//! (raw series) and `corpus` (storage benchmarks).

use crate::model::archived::{ArchivedJob, CoTenancy, Findings, Host, JobRow, Placement, RowKeys};
use crate::model::id::{JobId, JobKey, JobRef, ProjectKey, RegionName, RunnerKey, Source};
use crate::model::job::{JobFacts, JobStatus, Section};
use crate::model::machine::Machine;
use crate::model::metric::{CellType, Column, Kind};
use crate::model::profile::{Base, Profile};
use crate::model::state::Verdict;
use crate::num;
use crate::time::{TimeRange, TimestampMs};

/// Scrape interval of the made-up machines.
pub const INTERVAL_MS: i64 = 15_000;
/// When the job of seed 0 starts: 2026-03-01 00:00:00 UTC. Each further seed starts one minute
/// later, so 1,440 seeds fill a date.
pub const EPOCH_MS: i64 = 1_772_323_200_000;
/// Runners and machines that the jobs share.
const RUNNERS: u64 = 7;

/// A job of project number `project` with `rows` samples, everything else a function of `seed`.
///
/// Different seeds are different jobs (`JobKey(seed + 1)`, id `9000000000 + seed`); the columns are
/// those of the preset `node`. With no rows the job is too short for its scrape interval.
///
/// # Panics
/// Never: the made-up names are valid.
#[must_use]
pub fn archived_job(seed: u64, project: i64, rows: usize) -> ArchivedJob {
    let mut rng = fastrand::Rng::with_seed(seed ^ 0x7461_6368_6f67_7261);
    let started = EPOCH_MS + num::len_i64(num::to_usize(seed)) * 60_000 + rng.i64(0..1_000);
    let profile = profile(&mut rng, started, rows);
    // The last row lies at or after the end, the one before it does not.
    let finished = profile
        .ts_ms
        .last()
        .map_or(started + rng.i64(1..INTERVAL_MS), |last| {
            (last - rng.i64(0..INTERVAL_MS)).max(started + 1)
        });
    let findings = findings(&mut rng, &profile, started, finished);
    let row = JobRow {
        keys: RowKeys {
            project: ProjectKey(project),
            job: JobKey(key(seed)),
            part: 0,
            runner: Some(RunnerKey(key(seed % RUNNERS))),
        },
        job: job_ref(&format!("{}", 9_000_000_000 + seed)),
        facts: facts(&mut rng, seed, project, (started, finished)),
        placement: Placement {
            region: RegionName::parse("eu-1").ok(),
            machine_type: Some("n2-standard-4".to_owned()),
            price_per_hour_micro: Some(190_000),
        },
        findings,
        co_tenancy: CoTenancy::default(),
        amended_at: None,
        first_seen: None,
    };
    ArchivedJob { row, profile }
}

/// The public name of a job of source `gitlab`.
///
/// # Panics
/// If `job_id` is no valid id.
#[must_use]
pub fn job_ref(job_id: &str) -> JobRef {
    JobRef {
        source: valid(Source::parse("gitlab")),
        job_id: valid(JobId::parse(job_id)),
    }
}

#[expect(clippy::panic, reason = "a test names something impossible")]
fn valid<T>(parsed: crate::error::Result<T>) -> T {
    parsed.unwrap_or_else(|error| panic!("{error}"))
}

fn key(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX - 1) + 1
}

fn profile(rng: &mut fastrand::Rng, started: i64, rows: usize) -> Profile {
    let mut profile = Profile::default();
    // The first scrape lies behind the start, by less than an interval, and reaches back before it.
    let mut ts = started + rng.i64(0..INTERVAL_MS).max(1);
    for _ in 0..rows {
        profile.ts_ms.push(ts);
        ts += INTERVAL_MS;
    }
    let interval = i32::try_from(INTERVAL_MS).ok();
    profile.interval_ms = vec![interval; rows];
    for column in Column::ALL {
        if let Some(cells) = cells(rng, column, rows) {
            profile.columns.insert(column, cells);
        }
    }
    profile
}

/// Cells of one column that stay far inside its type.
fn cells(rng: &mut fastrand::Rng, column: Column, rows: usize) -> Option<Vec<Option<i64>>> {
    let absent = [
        Column::CpuThrottledSeconds,
        Column::GpuUtilizationRatio,
        Column::GpuMemoryUsedBytes,
        Column::GpuPowerWatts,
    ];
    if absent.contains(&column) {
        return None;
    }
    let spec = column.spec();
    let top = match (spec.kind, spec.cell) {
        (_, CellType::Int32) => 8,
        // CPU of four cores in 15 s, in hundredths.
        (_, CellType::Decimal9(2)) => 6_000,
        (_, CellType::Decimal9(_)) => 15_000,
        (_, CellType::Decimal18(_)) => 15_000_000,
        (Kind::Gauge, CellType::Int64) => 16 << 30,
        (_, CellType::Int64) => 1 << 30,
    };
    // A level per job and a wobble per row, as jobs have; one cell in 64 is absent.
    let level = rng.i64(0..top);
    let wobble = (top / 16).max(1);
    let cell = |rng: &mut fastrand::Rng| {
        let value = (level + rng.i64(-wobble..=wobble)).clamp(0, top);
        (rng.u8(..64) > 0).then_some(value)
    };
    Some((0..rows).map(|_| cell(rng)).collect())
}

fn findings(rng: &mut fastrand::Rng, profile: &Profile, started: i64, finished: i64) -> Findings {
    let window = TimeRange::new(TimestampMs(started), TimestampMs(finished));
    let inside = profile
        .ts_ms
        .iter()
        .filter(|ts| window.contains(TimestampMs(**ts)))
        .count();
    let base = Base {
        ts_ms: profile.ts_ms.first().map(|ts| ts - INTERVAL_MS),
        values: profile
            .columns
            .keys()
            .filter(|column| column.has_base())
            .map(|column| (*column, rng.i64(0..100)))
            .collect(),
    };
    Findings {
        host: Host {
            cpu_count: Some(4),
            memory_total_bytes: Some(16 << 30),
            filesystem_size_bytes: Some(100 << 30),
        },
        scrape_interval_ms: Some(INTERVAL_MS),
        verdict: Some(if inside < 2 {
            Verdict::TooShort
        } else {
            Verdict::Complete
        }),
        sample_count: num::len_i64(inside),
        base,
        ..Findings::default()
    }
}

fn facts(
    rng: &mut fastrand::Rng,
    seed: u64,
    project: i64,
    (started, finished): (i64, i64),
) -> JobFacts {
    let names = ["build", "unit", "integration", "lint", "deploy"];
    let statuses = [JobStatus::Success, JobStatus::Failed, JobStatus::Canceled];
    let status = rng.choice(statuses);
    let middle = started + (finished - started) / 2;
    let section = |name: &str, from, to| Section {
        name: name.to_owned(),
        range: TimeRange::new(TimestampMs(from), TimestampMs(to)),
    };
    JobFacts {
        status,
        project: Some(format!("acme/project-{project}")),
        project_id: Some(project.to_string()),
        pipeline_id: Some((seed / 5).to_string()),
        name: rng.choice(names).map(str::to_owned),
        stage: Some("test".to_owned()),
        git_ref: Some("main".to_owned()),
        sha: Some(format!("{:040x}", rng.u128(..))),
        failure_reason: (status == Some(JobStatus::Failed)).then(|| "script_failure".to_owned()),
        runner_id: Some((seed % RUNNERS).to_string()),
        runner_description: Some(format!("runner-{}", seed % RUNNERS)),
        runner_tags: Some(vec!["docker".to_owned(), "linux".to_owned()]),
        machine: Machine::parse(&format!("runner-{}-machine-{}", seed % RUNNERS, seed % 31)).ok(),
        executor: Some("docker".to_owned()),
        web_url: None,
        created_at: Some(TimestampMs(started - 5_000)),
        started_at: Some(TimestampMs(started)),
        finished_at: Some(TimestampMs(finished)),
        queued_ms: Some(rng.i64(0..5_000)),
        sections: Some(vec![
            section("get_sources", started, middle),
            section("step_script", middle, finished),
        ]),
        in_whole_seconds: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::archived::SummarisedRow;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn jobs_are_consistent(seed in 0u64..100_000, rows in 0usize..60) {
            let ArchivedJob { row, profile } = archived_job(seed, 7, rows);
            prop_assert_eq!(&archived_job(seed, 7, rows).profile, &profile);
            prop_assert_eq!(profile.rows(), rows);
            prop_assert!(profile.ts_ms.windows(2).all(|pair| pair[0] < pair[1]));
            let window = row.window();
            prop_assert!(window.len_ms() > 0);
            let behind = profile.ts_ms.iter().filter(|ts| **ts >= window.to.0).count();
            prop_assert!(rows == 0 || behind == 1, "at most one row at or after the end");
            for interval in profile.intervals() {
                prop_assert!(interval.unwrap().overlap_ms(window) > 0);
            }
            for (column, cells) in &profile.columns {
                prop_assert_eq!(cells.len(), rows);
                prop_assert!(cells.iter().flatten().all(|cell| column.spec().cell.fits(*cell)));
            }
            let summarised = SummarisedRow::compute(row, &profile);
            prop_assert_eq!(summarised.sections.len(), 2);
        }
    }

    #[test]
    fn a_scrape_that_fell_on_the_start_of_its_job_is_moved_behind_it() {
        // The seed draws 0 of 15,000 there: then one row lay before the end and none behind it.
        let ArchivedJob { row, profile } = archived_job(22_873, 7, 1);
        assert_eq!(profile.ts_ms, [row.window().from.0 + 1]);
        assert_eq!(profile.ts_ms, [row.window().to.0]);
    }

    #[test]
    fn different_seeds_are_different_jobs() {
        let one = archived_job(1, 7, 20);
        let two = archived_job(2, 7, 20);
        assert_ne!(one.row.keys, two.row.keys);
        assert_ne!(one.row.job, two.row.job);
        assert_ne!(one.profile, two.profile);
    }
}
