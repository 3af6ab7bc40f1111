//! kill -9: at work after an acknowledged write, and while the next process starts and recovers.
//!
//! The archive holds many jobs before the first kill and keeps growing. After each pair of kills it is
//! opened (timed); the jobs that the workers touched and a random few of the others must be there, once,
//! with their content, and no file may lie in the tables that the index does not name. At the end every
//! job and every invariant is checked.

use crate::lab::{Args, End, Report, Result, Work, child, ms, percentile};
use crate::oracle::{Oracle, Pen};
use crate::worker;
use crate::world::{FINISHED, RUNNING, STAGED, World};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::{Duration, Instant};
use tachograph::index::Index;
use tachograph::index::keys::obsolete::ObsoleteSegments;
use tachograph::index::keys::segments::Segments;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) jobs: u64,
    pub(crate) kills: u64,
}

impl Size {
    pub(crate) fn of(short: bool) -> Self {
        if short {
            Self {
                jobs: 1_000,
                kills: 16,
            }
        } else {
            Self {
                jobs: 100_000,
                kills: 1_000,
            }
        }
    }
}

const WORLD: World = World { stride: 1 };
/// Jobs of earlier rounds that are looked at after each kill.
const OTHERS: u64 = 40;

/// The part `kills`.
pub(crate) fn run(size: Size, seed: u64) -> Result<Report> {
    let work = Work::on_disk("kills")?;
    let mut report = Report::default();
    let mut rng = fastrand::Rng::with_seed(seed);
    let base = Instant::now();
    fill(&work, size.jobs)?;
    report.line("jobs before the first kill", size.jobs);
    report.line(
        "  made in",
        format!("{:.0} s", base.elapsed().as_secs_f64()),
    );
    let mut opened = Vec::new();
    let (mut at_work, mut at_start, mut seen) = (0u64, 0u64, Oracle::read(&work.oracle())?);
    while at_work + at_start < size.kills && report.is_clean() {
        let args = worker::args(&work, WORLD, 0, u64::MAX, "");
        report.violations(kill_at_work(&args, &mut rng)?);
        at_work += 1;
        let usual = opened.last().copied().unwrap_or(Duration::from_millis(300));
        if kill_at_start(&args, usual, &mut rng)? {
            at_start += 1;
        }
        let oracle = Oracle::read(&work.oracle())?;
        let began = Instant::now();
        let archive = match worker::open_archive(&work.data()) {
            Ok(archive) => archive,
            Err(error) => {
                report.violation(format!("it does not open: {}", error.chain()));
                break;
            }
        };
        opened.push(began.elapsed());
        let touched = oracle
            .jobs()
            .filter(|(n, levels)| seen.levels(*n) != *levels);
        let mut jobs: BTreeSet<u64> = touched.map(|(n, _)| n).collect();
        jobs.extend((0..OTHERS).map(|_| rng.u64(..=oracle.next())));
        report.violations(oracle.check(&archive, WORLD, jobs));
        drop(archive);
        report.violations(strangers(&work.data())?);
        seen = oracle;
    }
    // With many jobs this takes longer than all the kills.
    eprintln!(
        "{at_work} kills at work and {at_start} in start-up; now every sample of {} jobs is looked at, twice",
        seen.len()
    );
    report.violations(worker::examine(work.path(), &seen, WORLD, true)?);
    report.line("kills at work, after an acknowledged write", at_work);
    report.line("kills during start-up and recovery", at_start);
    report.line("jobs at the end", seen.len());
    report.line("acknowledged operations", seen.acknowledged());
    report.line("reopening p50", ms(percentile(&mut opened, 0.5)));
    report.line("reopening p99", ms(percentile(&mut opened, 0.99)));
    report.line("reopening max", ms(percentile(&mut opened, 1.0)));
    Ok(report)
}

/// Jobs that were staged before, nine tenths of them sealed.
pub(crate) fn fill(work: &Work, jobs: u64) -> Result<()> {
    const AT_ONCE: u64 = 1_024;
    let archive = worker::open_archive(&work.data())?;
    let mut pen = Pen::open(&work.oracle())?;
    let mut from = 0;
    while from < jobs {
        let to = (from + AT_ONCE).min(jobs);
        for level in [RUNNING, FINISHED] {
            let replies: Vec<_> = (from..to)
                .map(|n| archive.accept(WORLD.event(n, level), None))
                .collect();
            let mut staged = Vec::new();
            for (n, reply) in (from..to).zip(replies) {
                let accepted = worker::accepted(&archive, WORLD.event(n, level), reply)?;
                if level == FINISHED
                    && let Some(record) = archive.pending(accepted.job)?
                {
                    staged.push(archive.stage(WORLD.staging(n, record)));
                }
            }
            for reply in staged {
                reply.wait()?;
            }
        }
        let all: Vec<_> = (from..to).map(|n| (n, STAGED)).collect();
        pen.tries(&all)?;
        pen.acknowledged(&all)?;
        let is_turn = jobs < 8 * AT_ONCE || (to / AT_ONCE).is_multiple_of(8);
        if from < jobs / 10 * 9 && is_turn {
            archive.seal_all()?;
        }
        from = to;
    }
    Ok(())
}

/// Lets a worker work until some time after its first acknowledgement.
fn kill_at_work(args: &Args, rng: &mut fastrand::Rng) -> Result<Vec<String>> {
    let mut process = child("worker", &args.clone().with("seed", rng.u64(..)))?.spawn()?;
    let output = process.stdout.take().ok_or("a worker without output")?;
    let mut lines = BufReader::new(output).lines();
    let mut wrong = Vec::new();
    for line in lines.by_ref() {
        let line = line?;
        if let Some(what) = line
            .strip_prefix("wrong ")
            .or(line.strip_prefix("refused "))
        {
            wrong.push(what.to_owned());
        }
        if line == "ack" || line.starts_with("done") {
            break;
        }
    }
    // Log-uniform from 0.1 to 100 ms: as often inside the first batch as inside the tenth seal.
    let life_us = 10f64.powf(2.0 + 3.0 * rng.f64());
    std::thread::sleep(Duration::from_secs_f64(life_us / 1e6));
    process.kill()?;
    process.wait()?;
    let rest = lines.map_while(std::io::Result::ok);
    wrong.extend(rest.filter_map(|line| line.strip_prefix("wrong ").map(str::to_owned)));
    Ok(wrong)
}

/// Kills a worker while it starts; `false` if it was ready before.
fn kill_at_start(args: &Args, usual: Duration, rng: &mut fastrand::Rng) -> Result<bool> {
    let mut process = child("opener", args)?.spawn()?;
    std::thread::sleep(usual.mul_f64(rng.f64() * 1.1));
    process.kill()?;
    Ok(!End::of(process, Duration::from_secs(10))?
        .text
        .contains("open"))
}

/// Files of the tables that the index does not name, and the other way round.
pub(crate) fn strangers(data: &Path) -> Result<Vec<String>> {
    let index = Index::open(&data.join("index"))?;
    let mut wrong = Vec::new();
    let mut named = BTreeSet::new();
    index.snapshot().scan::<Segments>(&[], None, |id, entry| {
        let file = format!("{:05}-{:010}.parquet", entry.info.archiver, id.seq);
        named.insert(format!("date={}/{file}", id.date));
        Ok(true)
    })?;
    let mut replaced = BTreeSet::new();
    index
        .snapshot()
        .scan::<ObsoleteSegments>(&[], None, |id, entry| {
            let file = format!("{:05}-{:010}.parquet", entry.archiver, id.seq);
            replaced.insert(format!("date={}/{file}", id.date));
            Ok(true)
        })?;
    for table in ["samples", "jobs"] {
        let root = data.join("tables").join(table);
        let there: BTreeSet<String> = crate::lab::files(&root)?
            .iter()
            .filter_map(|path| Some(path.strip_prefix(&root).ok()?.display().to_string()))
            .collect();
        wrong.extend(
            there
                .difference(&named)
                .filter(|file| !replaced.contains(*file))
                .map(|file| format!("{table}/{file} is an orphan")),
        );
        wrong.extend(
            named
                .difference(&there)
                .map(|file| format!("{table}/{file} is missing")),
        );
    }
    let tmp = crate::lab::files(&data.join("tmp"))?;
    wrong.extend(
        tmp.iter()
            .map(|path| format!("{} was left", path.display())),
    );
    Ok(wrong)
}
