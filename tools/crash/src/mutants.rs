//! The lab's own test: engines with one precaution left out. Each must be caught by the part that is
//! meant for it, or the lab proves nothing.

use crate::lab::{Report, Result};
use crate::{calls, flips, power, races, steps};
use std::time::Instant;
use tachograph::fault;

/// Attempts at a mutant, each with another seed.
const ATTEMPTS: u64 = 12;

/// The part of the lab that must catch a mutant.
fn part(mutant: &str, seed: u64) -> Result<Report> {
    let power = power::Size {
        lives: 1,
        states: 20,
        steps: 14,
    };
    match mutant {
        "omit.data_sync"
        | "omit.dir_sync"
        | "omit.parent_sync"
        | "omit.wal_sync"
        | "omit.wait_for_commit"
        | "omit.sync_before_rename" => power::run(power, seed, mutant),
        "omit.page_digest" | "omit.tail_digest" | "omit.mark" => flips::run(
            flips::Size {
                flips: 100,
                blocks: 30,
                jobs: 1_000,
            },
            seed,
            mutant,
        ),
        "omit.lock" => races::starts(5, seed, mutant),
        "omit.dedupe" => races::doubles(races::Size::of(true), seed, mutant),
        "omit.poison" => calls::run(calls::Size { steps: 8, every: 5 }, seed, mutant),
        _ => steps::run(1, seed, mutant),
    }
}

/// The part `mutants`: all of them, or one.
pub(crate) fn run(seed: u64, only: Option<&str>) -> Result<Report> {
    let mut report = Report::default();
    let wanted = |mutant: &&&str| only.is_none_or(|only| only == **mutant);
    for mutant in fault::OMISSIONS.iter().filter(wanted) {
        let began = Instant::now();
        let caught = caught(mutant, seed)?;
        let seconds = began.elapsed().as_secs_f64();
        let words = caught
            .as_ref()
            .map_or("NOT CAUGHT".to_owned(), |(attempt, first)| {
                let first: String = first.chars().take(140).collect();
                format!("caught at attempt {attempt} in {seconds:.0} s: {first}")
            });
        eprintln!("{mutant}: {words}");
        report.line(*mutant, words);
        if caught.is_none() {
            report.violation(format!("the mutant {mutant} passes the lab"));
        }
    }
    Ok(report)
}

/// At which attempt a mutant was caught, and by what.
fn caught(mutant: &str, seed: u64) -> Result<Option<(u64, String)>> {
    for attempt in 1..=ATTEMPTS {
        let found = part(mutant, seed + attempt)?;
        if let Some(first) = found.first() {
            return Ok(Some((attempt, first.to_owned())));
        }
    }
    Ok(None)
}
