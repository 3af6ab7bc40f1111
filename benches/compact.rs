//! Compaction: how fast, how small, and what a reader notices of it.

use crate::{cpu, due, median, order, percentile, process_cpu, report, samples_of, seconds, stage};
use rustix::time::ClockId;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tachograph::archive::{Archive, Haste, Pace, SealPolicy, Settings};
use tachograph::error::Result;
use tachograph::model::archived::{ArchivedJob, SummarisedRow};
use tachograph::model::id::{JobId, JobRef, Source};
use tachograph::model::job::{JobEvent, JobFacts};
use tachograph::model::scope::Scope;
use tachograph::segment::VerifiedFile;
use tachograph::segment::copy::{self, Copied};
use tachograph::segment::dir::{DataDir, Table};
use tachograph::segment::jobs as jobs_file;
use tachograph::segment::properties::{LEVEL_COLD, LEVEL_HOT, ValueEncoding};
use tachograph::segment::samples::SamplesWriter;
use tachograph::segment::sum;
use tachograph::testkit::corpus::{Corpus, CorpusSpec};
use tachograph::time::{Date, SystemClock};

/// Segments that become one.
const INPUTS: usize = 8;
/// zstd levels beside each other.
const LEVELS: [i32; 6] = [1, LEVEL_HOT, 6, LEVEL_COLD, 12, 15];

pub(crate) fn run(grid: &[ArchivedJob]) {
    println!(
        "\ncompact: {INPUTS} samples files become one (CPU of the thread, median of 3 or once)"
    );
    let mut jittered: Vec<ArchivedJob> = Corpus::new(CorpusSpec {
        jitter: true,
        ..CorpusSpec::default()
    })
    .collect();
    jittered.sort_by_key(|job| order(job.row.keys));
    for (name, jobs) in [("grid", grid), ("+-4 ms jitter", &jittered)] {
        samples_files(name, jobs);
    }
    rows(grid);
    for (name, jobs) in [("grid", grid), ("+-4 ms jitter", &jittered)] {
        whole(name, jobs);
    }
    readers(grid);
}

/// Seconds of the clock on the wall.
fn wall() -> f64 {
    seconds(ClockId::Monotonic)
}

fn no_pause() -> Result<()> {
    Ok(())
}

/// The files alone: decode, copy, check.
fn samples_files(name: &str, jobs: &[ArchivedJob]) {
    let root = tempfile::tempdir().unwrap();
    let dir = DataDir::open(root.path()).unwrap();
    let (mut files, mut copied) = (Vec::new(), Vec::new());
    for input in 0..INPUTS {
        let mut writer = SamplesWriter::new(ValueEncoding::Native, LEVEL_HOT).unwrap();
        for job in jobs.iter().skip(input).step_by(INPUTS) {
            let first = writer.push(job.row.keys, &job.profile).unwrap() as usize;
            copied.push(Copied {
                input,
                rows: first..first + job.profile.rows(),
                keys: job.row.keys,
            });
        }
        let built = writer.finish().unwrap();
        let file = format!("{input}.parquet");
        dir.write_durably(Table::Samples, Date(0), &file, &built.bytes)
            .unwrap();
        let file = dir.open_file(Table::Samples, Date(0), &file).unwrap();
        files.push(VerifiedFile::open(file, built.digests).unwrap());
    }
    copied.sort_by_key(|job| order(job.keys));
    let files: Vec<&VerifiedFile> = files.iter().collect();
    let samples = samples_of(jobs);
    let rate = |seconds: f64| samples / seconds / 1e6;
    let decode = (0..3).map(|_| {
        let start = cpu();
        for file in &files {
            black_box(sum::samples(file, &|_| true, &no_pause).unwrap());
        }
        cpu() - start
    });
    let decode = median(decode.collect());
    println!(
        "  {name:14} decode and sum up {:6.1} M samples/s/core",
        rate(decode)
    );
    for level in LEVELS {
        let runs = if level <= LEVEL_HOT { 3 } else { 1 };
        let mut bytes = 0;
        let times = (0..runs).map(|_| {
            let start = cpu();
            let built = copy::copy(&files, &copied, ValueEncoding::Native, level, &no_pause);
            bytes = built.unwrap().bytes.len();
            cpu() - start
        });
        let time = median(times.collect());
        println!(
            "  {name:14} copy, zstd {level:2} {:6.1} M samples/s/core, {:.3} B/sample; with both sums {:.1} M",
            rate(time),
            bytes as f64 / samples,
            rate(time + 2.0 * decode)
        );
    }
}

/// Rows of a jobs file, by level.
fn rows(jobs: &[ArchivedJob]) {
    let compute = |job: &ArchivedJob| SummarisedRow::compute(job.row.clone(), &job.profile);
    let mut rows: Vec<SummarisedRow> = jobs.iter().map(compute).collect();
    rows.sort_by(jobs_file::order);
    let samples = SamplesWriter::new(ValueEncoding::Native, LEVEL_HOT).unwrap();
    let samples = samples.finish().unwrap().digests;
    let count = rows.len() as f64;
    for level in LEVELS {
        let start = cpu();
        let built = jobs_file::build(&rows, &samples, ValueEncoding::Native, level).unwrap();
        let time = cpu() - start;
        println!(
            "  rows of a jobs file, zstd {level:2}: {:.1} us and {:.0} B per row",
            time / count * 1e6,
            built.bytes.len() as f64 / count
        );
    }
}

/// An archive with all jobs sealed in that many segments.
fn sealed(jobs: &[ArchivedJob], segments: usize) -> (tempfile::TempDir, Archive) {
    let root = tempfile::tempdir().unwrap();
    let settings = Settings {
        seal: SealPolicy {
            jobs_max: jobs.len().div_ceil(segments),
            ..SealPolicy::default()
        },
        ..Settings::default()
    };
    let archive = Archive::open(root.path(), settings, SystemClock::shared()).unwrap();
    report(&archive, jobs);
    stage(&archive, jobs, &due(&archive, jobs.len()));
    archive.seal_all().unwrap();
    (root, archive)
}

/// Everything: plan, both files, check, batch.
fn whole(name: &str, jobs: &[ArchivedJob]) {
    let (_root, archive) = sealed(jobs, INPUTS);
    let (start, begun) = (process_cpu(), wall());
    let done = AtomicBool::new(false);
    let (made, waits) = std::thread::scope(|scope| {
        let events = scope.spawn(|| events(&archive, &done));
        let made = archive.compact(Haste::All, &no_pause).unwrap();
        done.store(true, Ordering::SeqCst);
        (made, events.join().unwrap())
    });
    let (cpu, wall) = (process_cpu() - start, wall() - begun);
    println!("  {name:14} longest wait of an event for its sync meanwhile: {waits:.0} ms");
    let (read, written) = (
        made.iter().map(|one| one.bytes_in).sum::<u64>(),
        made.iter().map(|one| one.bytes_out).sum::<u64>(),
    );
    let samples = samples_of(jobs);
    let per_job = |bytes: u64| bytes as f64 / jobs.len() as f64;
    println!(
        "  {name:14} whole compaction, zstd {LEVEL_COLD}: {:.1} M samples/s/core ({:.1} us CPU per job, {:.1} s), {} -> {} segments, {:.0} -> {:.0} B/job in files, index {:.0} B/job",
        samples / cpu / 1e6,
        cpu / jobs.len() as f64 * 1e6,
        wall,
        made.iter().map(|one| one.inputs).sum::<u64>(),
        made.len(),
        per_job(read),
        per_job(written),
        per_job(archive.index_bytes().unwrap()),
    );
}

/// Reports a job every 10 ms; the longest time until it was durable, in ms.
fn events(archive: &Archive, done: &AtomicBool) -> f64 {
    let mut longest = 0.0f64;
    for number in 0.. {
        if done.load(Ordering::SeqCst) {
            break;
        }
        let job = JobRef {
            source: Source::parse("other").unwrap(),
            job_id: JobId::parse(&format!("{number}")).unwrap(),
        };
        let event = JobEvent {
            job,
            facts: JobFacts::default(),
        };
        let begun = wall();
        archive.accept(event, None).wait().unwrap();
        longest = longest.max((wall() - begun) * 1e3);
        let rest = std::sync::Condvar::new();
        let nobody = std::sync::Mutex::new(());
        let _rested = rest.wait_timeout(nobody.lock().unwrap(), Duration::from_millis(10));
    }
    longest
}

/// Wall time of one job's profile, alone and while everything is compacted beside it.
fn readers(jobs: &[ArchivedJob]) {
    let (_root, idle) = sealed(jobs, 40);
    let read = |archive: &Archive, rng: &mut fastrand::Rng| {
        let job = &jobs[rng.usize(..jobs.len())].row.job;
        let begun = wall();
        black_box(archive.profile(&Scope::local_operator(), job).unwrap());
        (wall() - begun) * 1e3
    };
    let spread = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        (
            percentile(&times, 0.5),
            percentile(&times, 0.99),
            times.len(),
        )
    };
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..2_000 {
        black_box(read(&idle, &mut rng));
    }
    let (p50, p99, count) = spread((0..4_000).map(|_| read(&idle, &mut rng)).collect());
    println!("  job reads, idle           p50 {p50:.2} ms, p99 {p99:.2} ms ({count} reads)");
    for share in [50, 100] {
        let (_root, archive) = sealed(jobs, 40);
        for _ in 0..2_000 {
            black_box(read(&archive, &mut rng));
        }
        let pace = Pace::new(SystemClock::shared(), share);
        let done = AtomicBool::new(false);
        let times = std::thread::scope(|scope| {
            scope.spawn(|| {
                let compacted = archive.compact(Haste::All, &|| pace.pause());
                done.store(true, Ordering::SeqCst);
                println!("  ... {} rewrites beside them", compacted.unwrap().len());
            });
            let mut times = Vec::new();
            while !done.load(Ordering::SeqCst) {
                times.push(read(&archive, &mut rng));
            }
            times
        });
        let (p50, p99, count) = spread(times);
        println!(
            "  job reads, compaction at {share:3} % of a core p50 {p50:.2} ms, p99 {p99:.2} ms ({count} reads)"
        );
    }
}
