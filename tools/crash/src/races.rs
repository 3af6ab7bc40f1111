//! Many processes and one directory: who wins a start, and what repeated reports make of a job.

use crate::lab::{Args, End, Report, Result, Work, child};
use crate::oracle::{Oracle, Pen, problems};
use crate::worker;
use crate::world::{FINISHED, STAGED, World};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::Child;
use std::time::Duration;

const WORLD: World = World { stride: 10 };
/// Processes that start at once.
const RACERS: usize = 5;
/// Rounds in one directory: the first creates it, the others recover what a kill left.
const ROUNDS_PER_DIR: u64 = 5;
const PATIENCE: Duration = Duration::from_secs(60);
/// How often each job is reported.
const TIMES: u64 = 5;

/// How much is done by `doubles`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) jobs: u64,
    pub(crate) kills: u64,
}

impl Size {
    pub(crate) fn of(short: bool) -> Self {
        if short {
            Self { jobs: 60, kills: 1 }
        } else {
            Self {
                jobs: 1_000,
                kills: 10,
            }
        }
    }
}

/// The part `starts`.
pub(crate) fn starts(rounds: u64, seed: u64, omit: &str) -> Result<Report> {
    let mut report = Report::default();
    let work = Work::new("starts")?;
    for round in 0..rounds {
        if round % ROUNDS_PER_DIR == 0 {
            work.clear()?;
        }
        let args = Args::default()
            .with("root", work.path().display())
            .with("omit", omit)
            .with("seed", seed);
        let racers: Result<Vec<Child>> = (0..RACERS)
            .map(|_| Ok(child("racer", &args)?.spawn()?))
            .collect();
        let (mut winners, mut locked, mut other) = (Vec::new(), 0, Vec::new());
        for mut racer in racers? {
            let output = racer.stdout.take().ok_or("a racer without output")?;
            let word = BufReader::new(output)
                .lines()
                .next()
                .transpose()?
                .unwrap_or_default();
            // A winner holds the directory until the others were asked.
            match word.as_str() {
                "won" => winners.push(racer),
                "data_dir_locked" => {
                    locked += 1;
                    racer.wait()?;
                }
                _ => {
                    other.push(word);
                    racer.wait()?;
                }
            }
        }
        let won = winners.len();
        for mut winner in winners {
            winner.kill()?;
            winner.wait()?;
        }
        if won != 1 || locked != RACERS - 1 {
            report.violation(format!(
                "round {round}: {won} winners, {locked} were told who holds it, others: {other:?}"
            ));
        }
    }
    report.line("rounds", format!("{rounds}, {RACERS} processes each"));
    Ok(report)
}

/// The role `racer`.
pub(crate) fn race(args: &Args) -> Result<()> {
    worker::omit(args.text("omit").unwrap_or_default())?;
    let root = PathBuf::from(args.text("root").ok_or("root=DIR is missing")?);
    let archive = worker::open_archive(&root.join("data"));
    let word = archive
        .as_ref()
        .map_or_else(|error| error.code(), |_| "won");
    let mut out = std::io::stdout();
    writeln!(out, "{word}")?;
    out.flush()?;
    if archive.is_ok() {
        std::thread::sleep(PATIENCE);
    }
    Ok(())
}

/// The part `doubles`: every job is reported several times and through crashes, and is one profile.
pub(crate) fn doubles(size: Size, seed: u64, omit: &str) -> Result<Report> {
    let Size { jobs, kills } = size;
    let mut report = Report::default();
    let mut rng = fastrand::Rng::with_seed(seed);
    let work = Work::new("doubles")?;
    let args = Args::default()
        .with("root", work.path().display())
        .with("jobs", jobs)
        .with("omit", omit);
    for _ in 0..kills {
        let mut process = child("submitter", &args.clone().with("seed", rng.u64(..)))?.spawn()?;
        std::thread::sleep(Duration::from_millis(rng.u64(100..1_500)));
        process.kill()?;
        process.wait()?;
    }
    let process = child("submitter", &args.with("seed", rng.u64(..)))?.spawn()?;
    let end = End::of(process, PATIENCE * 5)?;
    if !end.status.success() {
        report.violation(format!("the last submitter ended with {}", end.status));
    }
    let mut oracle = Oracle::default();
    for n in 0..jobs {
        oracle.note(true, n, STAGED);
    }
    let archive = worker::open_archive(&work.data())?;
    archive.seal_all()?;
    report.violations(oracle.check(&archive, WORLD, 0..jobs));
    report.violations(problems(&archive, true)?);
    let found = archive
        .verify(false, |_, _| {})
        .map_err(|error| error.chain())?;
    let rows: u64 = (0..jobs)
        .map(|n| tachograph::num::len_u64(WORLD.job(n).profile.rows()))
        .sum();
    if (found.sealed_jobs, found.staged_jobs, found.sample_rows) != (jobs, 0, rows) {
        report.violation(format!(
            "{} sealed and {} staged jobs with {} rows instead of {jobs} with {rows}",
            found.sealed_jobs, found.staged_jobs, found.sample_rows
        ));
    }
    report.line(
        "reports",
        format!("{jobs} jobs x {TIMES}, from the start again after each of {kills} kills"),
    );
    report.line(
        "profiles",
        format!("{} with {} rows", found.sealed_jobs, found.sample_rows),
    );
    Ok(report)
}

/// The role `submitter`: reports and stages every job several times, in an order of its own.
pub(crate) fn submit(args: &Args) -> Result<()> {
    const AT_ONCE: usize = 64;
    worker::omit(args.text("omit").unwrap_or_default())?;
    let root = PathBuf::from(args.text("root").ok_or("root=DIR is missing")?);
    let mut rng = fastrand::Rng::with_seed(args.number("seed").unwrap_or(0));
    let jobs = args.number("jobs").unwrap_or(0);
    let archive = worker::open_archive(&root.join("data"))?;
    let mut pen = Pen::open(&root.join("oracle"))?;
    let mut order: Vec<u64> = (0..TIMES).flat_map(|_| 0..jobs).collect();
    rng.shuffle(&mut order);
    for (turn, some) in order.chunks(AT_ONCE).enumerate() {
        let events = some
            .iter()
            .map(|n| (*n, archive.accept(WORLD.event(*n, FINISHED), None)));
        let events: Vec<_> = events.collect();
        let mut staged = Vec::new();
        for (n, reply) in events {
            let accepted = worker::accepted(&archive, WORLD.event(n, FINISHED), reply)?;
            // Twice, as two fetches of one job that do not know of each other.
            if let Some(record) = archive.pending(accepted.job)? {
                staged.push(archive.stage(WORLD.staging(n, record.clone())));
                staged.push(archive.stage(WORLD.staging(n, record)));
            }
            pen.acknowledged(&[(n, FINISHED)])?;
        }
        for reply in staged {
            reply.wait()?;
        }
        if turn % 8 == 7 {
            archive.seal_all()?;
        }
    }
    Ok(())
}
