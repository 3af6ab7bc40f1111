//! Every step of the commit protocol made to end the process, to fail, or to take long.
//!
//! The steps are `tachograph::fault::STEPS`; one that is never reached is a violation, so the sweep
//! cannot miss what it does not know to reach.

use crate::lab::{Args, End, Report, Result, Work, child};
use crate::oracle::Oracle;
use crate::worker;
use crate::world::World;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;
use tachograph::fault;

const WORLD: World = World { stride: 60 };
const ACTIONS: [&str; 3] = ["abort", "error", "delay"];
/// Things that a worker does: enough for a segment; and for several that are compacted.
const LIFE: u64 = 30;
const LONG_LIFE: u64 = 120;
const PATIENCE: Duration = Duration::from_secs(60);
/// Further lives for a step that was not reached.
const SPARE: u64 = 8;
const SIGABRT: i32 = 6;

/// The part `steps`.
pub(crate) fn run(seeds: u64, seed: u64, omit: &str) -> Result<Report> {
    let mut report = Report::default();
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut runs = 0u64;
    for step in fault::STEPS {
        for action in ACTIONS {
            let mut reached = 0;
            // A life of thirty things may not come to a step: others are lived until one does.
            for turn in 0..seeds + SPARE {
                if turn >= seeds && (reached > 0 || !omit.is_empty()) {
                    break;
                }
                if report.has_caught(omit) {
                    return Ok(report);
                }
                // The first time a step is reached, and a later time.
                let at = if turn == 0 || turn >= seeds {
                    0
                } else {
                    rng.u64(..4)
                };
                let one = one(step, action, at, rng.u64(..), omit)?;
                runs += 1;
                reached += u64::from(one.0);
                report.violations(
                    one.1
                        .into_iter()
                        .map(|what| format!("{step}, {action}: {what}")),
                );
            }
            // A mutant may not get there.
            if reached == 0 && omit.is_empty() {
                report.violation(format!("{step} was never reached ({action})"));
            }
        }
    }
    report.line(
        "steps x actions x seeds",
        format!(
            "{} x {} x {seeds}: {runs} lives",
            fault::STEPS.len(),
            ACTIONS.len()
        ),
    );
    Ok(report)
}

/// One life with one broken step: whether it was reached, and what is wrong afterwards.
fn one(step: &str, action: &str, at: u64, seed: u64, omit: &str) -> Result<(bool, Vec<String>)> {
    let work = Work::new("steps")?;
    let compacts = step.starts_with("rewrite.") || step.starts_with("obsolete.");
    let life = if compacts { LONG_LIFE } else { LIFE };
    let args = worker::args(&work, WORLD, seed, life, omit);
    let mut wrong = Vec::new();
    if step.starts_with("open.") {
        // Something to recover: files of a segment that no entry names.
        let before = args
            .clone()
            .with("step", "seal.paired")
            .with("action", "abort");
        live(&before, &mut wrong)?;
    }
    let broken = args
        .with("step", step)
        .with("action", action)
        .with("at", at)
        .with("seed", seed ^ 1);
    let reached = live(&broken, &mut wrong)?;
    // The process that recovers is of the same engine.
    let _mutant = worker::Omitted::new(omit)?;
    wrong.extend(worker::examine(
        work.path(),
        &Oracle::read(&work.oracle())?,
        WORLD,
        true,
    )?);
    Ok((reached, wrong))
}

/// One worker: whether its step was reached.
fn live(args: &Args, wrong: &mut Vec<String>) -> Result<bool> {
    let end = End::of(child("worker", args)?.spawn()?, PATIENCE)?;
    wrong.extend(end.wrong());
    let status = end.status;
    let aborted = status.signal() == Some(SIGABRT) && args.text("action") == Some("abort");
    if !aborted && !status.success() {
        wrong.push(format!("the worker ended with {status}"));
    }
    Ok(aborted || end.text.lines().any(|line| line == "reached"))
}
