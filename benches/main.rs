//! Figures of the storage path, of the decoders of what servers answer, and of the log reader:
//! `cargo bench --features testkit [-- encode|seal|point_read|fetch_decode|joblog]`.
//!
//! Not timed tests: they print sizes and CPU times (of the thread, so that a busy machine disturbs
//! them little) on the corpus of `testkit::corpus`: 20,000 jobs, log-normal, median 3 min, a 10 s
//! step, the 18 busiest metrics. A sample is one value column of one row. `docs/benchmarks.md` holds
//! the figures with commit and machine.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::indexing_slicing,
    reason = "a program that prints figures and may stop at the first thing that fails"
)]

mod compact;
mod compare;
mod fetch_decode;
mod scan;

use futures::StreamExt as _;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::ops::Range;
use tachograph::archive::{Archive, Settings, Staged, Staging};
use tachograph::gitlab::log::LogReader;
use tachograph::index::blob;
use tachograph::model::archived::{ArchivedJob, RowKeys, SummarisedRow};
use tachograph::model::id::ProjectKey;
use tachograph::model::job::JobEvent;
use tachograph::model::record::JobRecord;
use tachograph::segment::VerifiedFile;
use tachograph::segment::dir::{DataDir, Table};
use tachograph::segment::properties::{LEVEL_COLD, LEVEL_HOT, ValueEncoding};
use tachograph::segment::samples::{self, BuiltFile, SamplesWriter};
use tachograph::segment::{jobs as jobs_file, jobs::JobsFile};
use tachograph::testkit::corpus::{Corpus, CorpusSpec, columns};
use tachograph::time::{Date, SystemClock, TimeRange, TimestampMs};

const FILE: &str = "bench.parquet";

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let is_wanted = |group: &str| wanted.is_empty() || wanted.iter().any(|name| name == group);
    if is_wanted("fetch_decode") {
        fetch_decode::run();
    }
    if is_wanted("joblog") {
        joblog();
    }
    if wanted.iter().any(|group| group == "compare") {
        compare::run();
    }
    if is_wanted("scan") {
        scan::run();
    }
    let without = ["fetch_decode", "joblog", "compare", "scan"];
    let without_corpus = |group: &String| without.contains(&group.as_str());
    if !wanted.is_empty() && wanted.iter().all(without_corpus) {
        // They have no use for the corpus, which takes a while.
        return;
    }
    let mut jobs: Vec<ArchivedJob> = Corpus::new(CorpusSpec::default()).collect();
    jobs.sort_by_key(|job| order(job.row.keys));
    let rows: usize = jobs.iter().map(|job| job.profile.rows()).sum();
    println!(
        "corpus: {} jobs, {rows} rows, {} metrics",
        jobs.len(),
        columns().len()
    );
    if is_wanted("encode") {
        encode(&jobs);
    }
    if is_wanted("seal") {
        seal(&jobs);
    }
    if is_wanted("point_read") {
        point_read(&jobs);
    }
    if is_wanted("compact") {
        compact::run(&jobs);
    }
}

/// Time to read a log of GitLab's limit, by what it holds.
fn joblog() {
    const LOG_BYTES: usize = 4 << 20;
    let window = TimeRange::new(
        TimestampMs(1_764_000_000_000),
        TimestampMs(1_764_000_300_000),
    );
    let head = "2025-11-24T16:00:02.104233Z 00O \x1b[0KRunning with gitlab-runner 19.4.0 (d79f3e7b)\x1b[0;m\n";
    println!("\njoblog: 4 MiB read in pieces of 16 KiB, median of 5");
    for (name, line) in [
        (
            "stamped compiler output",
            "2025-11-24T16:00:30.104512Z 01E    Compiling archive v0.1.0 (/builds/acme/archive/src)\n",
        ),
        (
            "plain compiler output",
            "   Compiling archive v0.1.0 (/builds/acme/archive/src)\n",
        ),
        (
            "short stamped lines",
            "2025-11-24T16:00:30.104512Z 01O ok\n",
        ),
        (
            "a progress bar in pieces",
            "2025-11-24T16:00:30.104512Z 01O+\x1b[2K 50% ##########\r\n",
        ),
        (
            "one line without an end",
            "sssssssssssssssssssssssssssssssssssssss ",
        ),
        (
            "nothing but markers",
            "section_start:1764000030:a\r\x1b[0Ksection_end:1764000031:a\r\x1b[0K\n",
        ),
        (
            "markers that nest without end",
            "section_start:1764000030:a\r\x1b[0K\n",
        ),
    ] {
        let mut log = head.to_owned();
        log.push_str(&line.repeat((LOG_BYTES - head.len()) / line.len()));
        let times = (0..5).map(|_| {
            let start = cpu();
            let mut reader = LogReader::new();
            for piece in log.as_bytes().chunks(16 << 10) {
                reader.push(piece);
            }
            black_box(reader.finish(window));
            (cpu() - start) * 1e3
        });
        println!("  {name:<32} {:>6.1} ms", median(times.collect()));
    }
}

fn order(keys: RowKeys) -> (i64, i64) {
    (keys.project.0, keys.job.0)
}

/// Seconds of CPU that this thread has used.
fn cpu() -> f64 {
    seconds(ClockId::ThreadCPUTime)
}

/// Seconds of CPU that all threads of the process have used.
fn process_cpu() -> f64 {
    seconds(ClockId::ProcessCPUTime)
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn samples_of(jobs: &[ArchivedJob]) -> f64 {
    let cells: usize = jobs.iter().map(|job| job.profile.rows()).sum::<usize>() * columns().len();
    cells as f64
}

fn write(jobs: &[ArchivedJob], encoding: ValueEncoding, level: i32) -> (BuiltFile, f64) {
    let start = cpu();
    let mut writer = SamplesWriter::new(encoding, level).unwrap();
    for job in jobs {
        writer.push(job.row.keys, &job.profile).unwrap();
    }
    let built = writer.finish().unwrap();
    (built, cpu() - start)
}

/// The middle of several runs.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn percentile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

fn encode(jobs: &[ArchivedJob]) {
    println!("\nencode: a samples file of all jobs");
    let mut jittered: Vec<ArchivedJob> = Corpus::new(CorpusSpec {
        jitter: true,
        ..CorpusSpec::default()
    })
    .collect();
    jittered.sort_by_key(|job| order(job.row.keys));
    let cases = [
        (
            "grid, native, zstd 3",
            jobs,
            ValueEncoding::Native,
            LEVEL_HOT,
            5,
        ),
        (
            "+-4 ms jitter, native, zstd 3",
            &jittered,
            ValueEncoding::Native,
            LEVEL_HOT,
            5,
        ),
        (
            "grid, compatible, zstd 3",
            jobs,
            ValueEncoding::Compatible,
            LEVEL_HOT,
            3,
        ),
        (
            "grid, native, zstd 15",
            jobs,
            ValueEncoding::Native,
            LEVEL_COLD,
            1,
        ),
        (
            "+-4 ms jitter, native, zstd 15",
            &jittered,
            ValueEncoding::Native,
            LEVEL_COLD,
            1,
        ),
    ];
    for (name, jobs, encoding, level, runs) in cases {
        let samples = samples_of(jobs);
        let mut bytes = 0;
        let times = (0..runs).map(|_| {
            let (built, time) = write(jobs, encoding, level);
            bytes = built.bytes.len();
            time
        });
        let time = median(times.collect());
        println!(
            "  {name:32} {:.3} B/sample, {:5.1} M samples/s/core (CPU, median of {runs}), {:.0} B/job",
            bytes as f64 / samples,
            samples / time / 1e6,
            bytes as f64 / jobs.len() as f64
        );
    }
    staged_blobs(jobs);
}

fn staged_blobs(jobs: &[ArchivedJob]) {
    let start = cpu();
    let blobs: usize = jobs
        .iter()
        .map(|job| blob::encode(&job.profile).unwrap().len())
        .sum();
    println!(
        "  {:32} {:.3} B/sample, {:5.1} M samples/s/core",
        "staged blobs",
        blobs as f64 / samples_of(jobs),
        samples_of(jobs) / (cpu() - start) / 1e6
    );
}

/// Reports all jobs, many at once.
fn report(archive: &Archive, jobs: &[ArchivedJob]) {
    let work = futures::stream::iter(jobs).for_each_concurrent(512, async |job| {
        let event = JobEvent {
            job: job.row.job.clone(),
            facts: job.row.facts.clone(),
        };
        archive.accept(event, None).await.unwrap();
    });
    futures::executor::block_on(work);
}

/// The records of reported jobs, by job.
fn due(archive: &Archive, jobs: usize) -> Vec<JobRecord> {
    let far = TimestampMs(i64::MAX / 4);
    let mut records = archive.due(far, jobs, |_| false).unwrap().jobs;
    records.sort_by(|a, b| a.job.cmp(&b.job));
    records
}

/// Stages all jobs, many at once.
fn stage(archive: &Archive, jobs: &[ArchivedJob], records: &[JobRecord]) {
    let work = futures::stream::iter(jobs).for_each_concurrent(512, async |job| {
        let position = records
            .binary_search_by(|record| record.job.cmp(&job.row.job))
            .unwrap();
        let staging = Staging {
            record: records[position].clone(),
            placement: job.row.placement.clone(),
            findings: job.row.findings.clone(),
            profile: job.profile.clone(),
            look_up_at: None,
        };
        assert_eq!(archive.stage(staging).await.unwrap(), Staged::Archived);
    });
    futures::executor::block_on(work);
}

/// Everything between an event and a sealed segment, through the archive.
fn seal(jobs: &[ArchivedJob]) {
    println!("\nseal: accept, stage and seal all jobs through the archive");
    let root = tempfile::tempdir().unwrap();
    let archive = Archive::open(root.path(), Settings::default(), SystemClock::shared()).unwrap();
    let start = process_cpu();
    report(&archive, jobs);
    let accepted = process_cpu();
    let records = due(&archive, jobs.len());
    let looked_up = process_cpu();
    stage(&archive, jobs, &records);
    let staged = process_cpu();
    let sealed = archive.seal_all().unwrap();
    let end = process_cpu();
    let count = jobs.len() as f64;
    let per_job = |bytes: u64| bytes as f64 / count;
    let (samples_bytes, jobs_bytes) = (
        sealed
            .iter()
            .map(|segment| segment.samples_bytes)
            .sum::<u64>(),
        sealed.iter().map(|segment| segment.jobs_bytes).sum::<u64>(),
    );
    let index = archive.index_bytes().unwrap();
    println!(
        "  accept  {:6.1} us CPU per event",
        (accepted - start) / count * 1e6
    );
    println!(
        "  stage   {:6.1} us CPU per job",
        (staged - looked_up) / count * 1e6
    );
    println!(
        "  seal    {:6.1} us CPU per job, {} segments",
        (end - staged) / count * 1e6,
        sealed.len()
    );
    println!(
        "  size    samples {:.0} B, job row {:.0} B, index {:.0} B, whole {:.0} B per job",
        per_job(samples_bytes),
        per_job(jobs_bytes),
        per_job(index),
        per_job(samples_bytes + jobs_bytes + index)
    );
}

/// A big samples file and where its jobs lie.
struct BigFile {
    built: BuiltFile,
    places: Vec<Range<usize>>,
}

/// The corpus again and again behind itself, with keys that go on, until there are 70 row groups.
fn big_file(jobs: &[ArchivedJob]) -> BigFile {
    let mut writer = SamplesWriter::new(ValueEncoding::Native, LEVEL_HOT).unwrap();
    let mut places = Vec::new();
    let (mut first, mut shift) = (0, 0);
    let projects = jobs.iter().map(|job| job.row.keys.project.0).max().unwrap() + 1;
    while first < 71 * 65_536 {
        for job in jobs {
            let project = ProjectKey(job.row.keys.project.0 + shift);
            writer
                .push(
                    RowKeys {
                        project,
                        ..job.row.keys
                    },
                    &job.profile,
                )
                .unwrap();
            places.push(first..first + job.profile.rows());
            first += job.profile.rows();
        }
        shift += projects;
    }
    BigFile {
        built: writer.finish().unwrap(),
        places,
    }
}

/// Runs `work` on random positions below `count` and prints the spread of its CPU time.
fn time(name: &str, runs: usize, count: usize, mut work: impl FnMut(usize)) {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let pick = rng.usize(..count);
            let start = cpu();
            work(pick);
            (cpu() - start) * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let (p50, p99) = (percentile(&times, 0.5), percentile(&times, 0.99));
    println!("  {name:44} p50 {p50:.3} ms, p99 {p99:.3} ms");
}

/// One whole job from a sealed file of at least 70 row groups, and from staging.
fn point_read(jobs: &[ArchivedJob]) {
    println!("\npoint_read: one whole job, all columns, CPU time of the reading thread");
    let root = tempfile::tempdir().unwrap();
    let dir = DataDir::open(root.path()).unwrap();
    let BigFile { built, places } = big_file(jobs);
    dir.write_durably(Table::Samples, Date(0), FILE, &built.bytes)
        .unwrap();
    let open = || {
        let file = dir.open_file(Table::Samples, Date(0), FILE).unwrap();
        VerifiedFile::open(file, built.digests.clone()).unwrap()
    };
    let file = open();
    println!(
        "  file: {:.1} MB, {} row groups, {} jobs",
        built.bytes.len() as f64 / 1e6,
        file.groups(),
        places.len()
    );
    time("sealed, metadata cached", 4_000, places.len(), |pick| {
        black_box(samples::read(&file, places[pick].clone()).unwrap());
    });
    time(
        "sealed, with open, footer and indexes",
        200,
        places.len(),
        |pick| {
            black_box(samples::read(&open(), places[pick].clone()).unwrap());
        },
    );
    let blobs: Vec<Vec<u8>> = jobs
        .iter()
        .map(|job| blob::encode(&job.profile).unwrap())
        .collect();
    time("staged, decoded", 4_000, blobs.len(), |pick| {
        black_box(blob::decode(&blobs[pick]).unwrap());
    });
    job_rows(jobs, &dir, &built);
}

fn job_rows(jobs: &[ArchivedJob], dir: &DataDir, samples: &BuiltFile) {
    let compute = |job: &ArchivedJob| SummarisedRow::compute(job.row.clone(), &job.profile);
    let mut rows: Vec<SummarisedRow> = jobs.iter().take(4_096).map(compute).collect();
    rows.sort_by(jobs_file::order);
    let built =
        jobs_file::build(&rows, &samples.digests, ValueEncoding::Native, LEVEL_HOT).unwrap();
    dir.write_durably(Table::Jobs, Date(0), FILE, &built.bytes)
        .unwrap();
    let file = dir.open_file(Table::Jobs, Date(0), FILE).unwrap();
    let file = JobsFile::new(VerifiedFile::open(file, built.digests.clone()).unwrap());
    time("job row, metadata cached", 1_000, rows.len(), |pick| {
        black_box(file.read(pick).unwrap());
    });
}
