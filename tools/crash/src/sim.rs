//! Simulated lives of the whole service (see `tachograph::testkit::simulation`), thousands of them, in
//! memory, with steps of the commit protocol that fail. Some seeds run twice: the same seed must give
//! the same history.

use crate::lab::{Args, End, Report, Result, Work, child};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tachograph::testkit::simulation::{self, Life};

/// Fail points are one per process, so lives in parallel need processes.
const PROCESSES: u64 = 2;
/// Every how many-th seed runs twice.
const TWICE: u64 = 20;
const PATIENCE: Duration = Duration::from_secs(1_800);

/// The part `sim`.
pub(crate) fn run(seeds: u64, seed: u64) -> Result<Report> {
    let mut report = Report::default();
    let began = Instant::now();
    let work = Work::new("sim")?;
    let children: Result<Vec<_>> = (0..PROCESSES)
        .map(|number| {
            let args = Args::default()
                .with("root", work.path().join(number.to_string()).display())
                .with("first", seed + number)
                .with("behind", seed + seeds);
            Ok(child("simulator", &args)?.spawn()?)
        })
        .collect();
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for process in children? {
        let End { status, text } = End::of(process, PATIENCE)?;
        if !status.success() {
            report.violation(format!("a simulator ended with {status}"));
        }
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("wrong", what)) => report.violation(what),
                Some((what, number)) => {
                    *sums.entry(what.to_owned()).or_default() += number.parse().unwrap_or(0);
                }
                None => {}
            }
        }
    }
    for (what, sum) in sums {
        report.line(what, sum);
    }
    let took = began.elapsed().as_secs_f64();
    report.line("time", format!("{took:.0} s"));
    Ok(report)
}

/// The role `simulator`.
pub(crate) fn simulate(args: &Args) -> Result<()> {
    let root = PathBuf::from(args.text("root").ok_or("root=DIR is missing")?);
    let (first, behind) = (
        args.number("first").unwrap_or(0),
        args.number("behind").unwrap_or(0),
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let step = usize::try_from(PROCESSES)?;
    for (turn, seed) in (0u64..).zip((first..behind).step_by(step)) {
        let live = |name: &str| -> Result<_> {
            let life = Life {
                seed,
                root: root.join(name),
                breaks_steps: true,
            };
            std::fs::create_dir_all(&root)?;
            let history = runtime.block_on(simulation::run(life));
            std::fs::remove_dir_all(&root)?;
            Ok(history.map_err(|error| error.chain()))
        };
        let history = match live("life")? {
            Ok(history) => history,
            Err(error) => {
                println!("wrong seed {seed}: {error}");
                continue;
            }
        };
        for what in history.problems.iter().take(3) {
            println!("wrong seed {seed}: {what}");
        }
        println!(
            "seeds 1\nsteps {}\nopenings {}\njobs {}",
            history.steps, history.openings, history.jobs
        );
        if turn.is_multiple_of(TWICE) {
            println!("seeds-run-twice 1");
            if live("again")? != Ok(history) {
                println!("wrong seed {seed}: another history the second time");
            }
        }
    }
    Ok(())
}
