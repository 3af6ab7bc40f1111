//! Files for foreign engines: an archive of many kinds of jobs, and a table whose sums are large.

use std::path::{Path, PathBuf};
use tachograph::archive::{Archive, SealPolicy, Settings, Staged, Staging};
use tachograph::ingest::assemble::{Input, assemble};
use tachograph::model::archived::{Findings, Placement, RowKeys};
use tachograph::model::id::{JobId, JobKey, JobRef, ProjectKey, Source};
use tachograph::model::job::{JobEvent, JobFacts, JobStatus, Section};
use tachograph::model::machine::Machine;
use tachograph::model::metric::{CellType, Column};
use tachograph::model::profile::{Gap, Profile};
use tachograph::num;
use tachograph::segment::properties::ValueEncoding;
use tachograph::segment::samples::SamplesWriter;
use tachograph::testkit::fleet::{Fleet, FleetJob, FleetSpec};
use tachograph::testkit::jobs::archived_job;
use tachograph::time::{SystemClock, TimeRange, TimestampMs};

/// Made-up jobs, of all lengths from none to several pages of rows.
const MADE_UP: u64 = 220;
/// One segment holds at most this many jobs, so that dates have several.
const JOBS_PER_SEGMENT: usize = 90;
/// A column that the usage check leaves out, since one of its increments stands in the gap list.
pub(super) const OVERFLOWN: Column = Column::CpuIdleSeconds;

/// What assembling made of a job.
struct Ready {
    event: JobEvent,
    placement: Placement,
    findings: Findings,
    profile: Profile,
}

/// An archive with everything sealed; the directory of its tables, and numbers of jobs and rows.
pub(super) fn sealed(root: &Path, encoding: ValueEncoding) -> (PathBuf, u64, u64) {
    let settings = Settings {
        encoding,
        seal: SealPolicy {
            jobs_max: JOBS_PER_SEGMENT,
            ..SealPolicy::default()
        },
        ..Settings::default()
    };
    let archive = Archive::open(root, settings, SystemClock::shared()).unwrap();
    for ready in made_up().chain(from_fleet()) {
        stage(&archive, ready);
    }
    let sealed = archive.seal_all().unwrap();
    assert!(sealed.len() > 4, "only {} segments", sealed.len());
    let jobs = sealed.iter().map(|segment| segment.jobs).sum();
    let rows = sealed.iter().map(|segment| segment.rows).sum();
    (root.join("tables"), jobs, rows)
}

fn stage(archive: &Archive, ready: Ready) {
    let job = ready.event.job.clone();
    futures::executor::block_on(archive.accept(ready.event, None)).unwrap();
    let due = archive.due(TimestampMs(i64::MAX), 10, |_| false).unwrap();
    let record = due.jobs.into_iter().find(|record| record.job == job);
    let staging = Staging {
        record: record.unwrap(),
        placement: ready.placement,
        findings: ready.findings,
        profile: ready.profile,
        look_up_at: None,
    };
    let staged = archive.stage(staging).wait().unwrap();
    assert_eq!(staged, Staged::Archived);
}

/// Jobs with random cells and nulls over several dates; one has an increment that fits no cell.
fn made_up() -> impl Iterator<Item = Ready> {
    (0..MADE_UP).map(|number| {
        let rows = num::to_usize(number * number % 131);
        let mut job = archived_job(number * 41, num::len_i64(num::to_usize(number % 5)), rows);
        if number == 77 {
            overflow(&mut job.profile, &mut job.row.findings);
        }
        Ready {
            event: JobEvent {
                job: job.row.job,
                facts: job.row.facts,
            },
            placement: job.row.placement,
            findings: job.row.findings,
            profile: job.profile,
        }
    })
}

fn overflow(profile: &mut Profile, findings: &mut Findings) {
    let range = profile.intervals().flatten().nth(1).unwrap();
    profile.columns.get_mut(&OVERFLOWN).unwrap()[1] = None;
    findings.gaps.push(Gap {
        range,
        column: Some(OVERFLOWN),
        amount: Some(123_456_789_012),
    });
}

/// Jobs of a fleet as the assembler makes them: first rows without an interval, gaps, resets.
fn from_fleet() -> impl Iterator<Item = Ready> {
    let fleet = Fleet::generate(FleetSpec {
        seed: 3,
        machines: 45,
        reboot_share: 0.3,
        median_seconds: 120.0,
        ..FleetSpec::default()
    });
    let jobs = fleet.jobs.clone();
    jobs.into_iter().map(move |job| assembled(&fleet, &job))
}

fn assembled(fleet: &Fleet, job: &FleetJob) -> Ready {
    let fetched = job.window.padded(31_000, 30_000);
    let made = assemble(&Input {
        series: &fleet.series(&job.machine, fetched),
        window: job.window,
        fetched,
        machine_label: "instance",
        configured_interval_ms: None,
    });
    let middle = job.window.from.plus_ms(job.window.len_ms() / 3);
    let section = |name: &str, from, to| Section {
        name: name.to_owned(),
        range: TimeRange::new(from, to),
    };
    let sections = [
        section("get_sources", job.window.from, middle),
        section("step \u{fc}ber \"all\", 'x'", middle, job.window.to),
    ];
    // Absent, empty, one and two elements.
    let some = usize::try_from(job.id % 4).unwrap().checked_sub(1);
    let tags = ["linux", "gro\u{df}"].map(str::to_owned);
    let facts = JobFacts {
        status: Some(JobStatus::Success),
        project: Some("acme/fleet".to_owned()),
        project_id: Some((job.id % 3).to_string()),
        // Names repeat and may be absent: nulls come first in the order of the jobs table.
        name: (!job.id.is_multiple_of(5)).then(|| format!("{:?} {}", job.shape, job.id % 2)),
        runner_id: (!job.id.is_multiple_of(7)).then(|| "1".to_owned()),
        machine: Some(Machine::parse(&job.machine).unwrap()),
        started_at: Some(job.window.from),
        finished_at: Some(job.window.to),
        runner_tags: some.map(|count| tags[..count].to_vec()),
        sections: some.map(|count| sections[..count].to_vec()),
        ..JobFacts::default()
    };
    let job = JobRef {
        source: Source::parse("fleet").unwrap(),
        job_id: JobId::parse(&job.id.to_string()).unwrap(),
    };
    Ready {
        event: JobEvent { job, facts },
        placement: Placement::default(),
        findings: made.findings,
        profile: made.profile,
    }
}

/// Rows of the large table.
const ROWS_PER_JOB: usize = 10_000;
const JOBS: i64 = 500;
pub(super) const LARGE_ROWS: i64 = 5_000_000;
/// Values repeat after this many; the generator of random numbers would take longer than the writer.
const PERIOD: usize = 1_000;
/// Columns and their largest cell. The sum of the bytes comes close to what 64 bits hold, the sums of
/// the decimals go far beyond 32 and 64 bits.
const LARGE: [(Column, i64); 3] = [
    (Column::CpuUserSeconds, 999_999_999),
    (Column::PressureIoSeconds, 999_999_999_999_999_999),
    (Column::MemoryUsedBytes, 1_844_000_000_000),
];

/// A samples file with large cells: its bytes, and the exact sum of each column.
pub(super) fn large(encoding: ValueEncoding) -> (Vec<u8>, Vec<(Column, i128)>) {
    assert_eq!(Column::CpuUserSeconds.spec().cell, CellType::Decimal9(2));
    assert_eq!(
        Column::PressureIoSeconds.spec().cell,
        CellType::Decimal18(6)
    );
    assert_eq!(Column::MemoryUsedBytes.spec().cell, CellType::Int64);
    let mut rng = fastrand::Rng::with_seed(5);
    let mut profile = Profile {
        ts_ms: (0..ROWS_PER_JOB)
            .map(|row| 1_772_323_200_000 + num::len_i64(row) * 15_000)
            .collect(),
        interval_ms: vec![Some(15_000); ROWS_PER_JOB],
        ..Profile::default()
    };
    let mut sums = Vec::new();
    for (column, top) in LARGE {
        // Within a hundredth of the top: nothing cancels, nothing is small.
        let period: Vec<i64> = (0..PERIOD)
            .map(|_| rng.i64(top - top / 100..=top))
            .collect();
        let cells = period.iter().map(|cell| Some(*cell)).cycle();
        profile
            .columns
            .insert(column, cells.take(ROWS_PER_JOB).collect());
        let repeats = num::len_i64(ROWS_PER_JOB / PERIOD) * JOBS;
        let once: i128 = period.iter().map(|cell| i128::from(*cell)).sum();
        sums.push((column, once * i128::from(repeats)));
    }
    let mut writer = SamplesWriter::new(encoding, 1).unwrap();
    for job in 1..=JOBS {
        let keys = RowKeys {
            project: ProjectKey(1),
            job: JobKey(job),
            part: 0,
            runner: None,
        };
        writer.push(keys, &profile).unwrap();
    }
    let built = writer.finish().unwrap();
    assert_eq!(i64::try_from(built.rows).unwrap(), LARGE_ROWS);
    (built.bytes, sums)
}
