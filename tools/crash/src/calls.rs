//! The N-th call that changes a file fails, for every N of a life: as a bad disk, as a full disk (that
//! call and some more), and as a disk that fills up in the middle of a write.
//!
//! The process lives on: it opens its archive again as somebody who restarts it would. Afterwards
//! nothing acknowledged is lost, and no descriptor whose sync failed was ever synced again.

use crate::lab::{End, Report, Result, Work, watched};
use crate::oracle::Oracle;
use crate::record::{self, Call};
use crate::worker;
use crate::world::World;
use std::time::{Duration, Instant};

const WORLD: World = World { stride: 60 };
const PATIENCE: Duration = Duration::from_secs(60);

/// A way to fail.
#[derive(Debug, Clone, Copy)]
struct Way {
    name: &'static str,
    /// Number of the error.
    error: i32,
    /// Calls that fail.
    count: u32,
    /// Whether the N-th writes half, and those behind it fail.
    is_short: bool,
}

const fn way(name: &'static str, error: i32, count: u32, is_short: bool) -> Way {
    Way {
        name,
        error,
        count,
        is_short,
    }
}

const WAYS: [Way; 3] = [
    way("bad disk (EIO)", 5, 1, false),
    way("full disk (ENOSPC, 12 calls)", 28, 12, false),
    way("full in mid-write (half, then ENOSPC)", 28, 6, true),
];

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Steps of the worker: about 60 calls each.
    pub(crate) steps: u64,
    /// Every how many-th N is tried.
    pub(crate) every: u64,
}

impl Size {
    pub(crate) fn of(short: bool) -> Self {
        if short {
            Self {
                steps: 14,
                every: 40,
            }
        } else {
            Self {
                steps: 14,
                every: 1,
            }
        }
    }
}

/// The part `calls`.
pub(crate) fn run(size: Size, seed: u64, omit: &str) -> Result<Report> {
    let mut report = Report::default();
    let began = Instant::now();
    let all = one(size, seed, omit, None)?
        .calls
        .ok_or("the worker did not end by itself")?;
    report.line("calls of the life", all);
    for way in WAYS {
        let (mut runs, mut again) = (0, 0);
        let first = 1 + seed % size.every;
        for n in (first..=all).step_by(usize::try_from(size.every)?) {
            if report.has_caught(omit) {
                return Ok(report);
            }
            let life = one(size, seed, omit, Some((n, way)))?;
            runs += 1;
            again += life.synced_again;
            report.violations(
                life.wrong
                    .into_iter()
                    .map(|what| format!("{}, call {n}: {what}", way.name)),
            );
        }
        if again > 0 {
            report.violation(format!(
                "{}: {again} syncs of a descriptor whose sync had failed",
                way.name
            ));
        }
        report.line(
            way.name,
            format!("{runs} lives, {again} second syncs of a failed descriptor"),
        );
    }
    report.line("time", format!("{:.0} s", began.elapsed().as_secs_f64()));
    Ok(report)
}

struct Life {
    calls: Option<u64>,
    synced_again: usize,
    wrong: Vec<String>,
}

fn one(size: Size, seed: u64, omit: &str, fault: Option<(u64, Way)>) -> Result<Life> {
    let work = Work::new("calls")?;
    let args = worker::args(&work, WORLD, seed, size.steps, omit);
    let mut command = watched("worker", &args, work.path())?;
    command
        .env("LAB_LOG", work.log())
        .env("LAB_FAIL_ROOT", work.data());
    if let Some((n, way)) = fault {
        command
            .env("LAB_FAIL_AT", n.to_string())
            .env("LAB_FAIL_ERRNO", way.error.to_string())
            .env("LAB_FAIL_COUNT", way.count.to_string())
            .env("LAB_FAIL_SHORT", u8::from(way.is_short).to_string());
    }
    let end = End::of(command.spawn()?, PATIENCE)?;
    let mut wrong: Vec<String> = end.wrong().collect();
    if !end.status.success() {
        wrong.push(format!("the worker ended with {}", end.status));
    }
    let records = record::read(&work.log())?;
    let calls = records.iter().rev().find_map(|record| match record.call {
        Call::End { calls } => Some(calls),
        _ => None,
    });
    wrong.extend(worker::examine(
        work.path(),
        &Oracle::read(&work.oracle())?,
        WORLD,
        true,
    )?);
    Ok(Life {
        calls,
        synced_again: record::syncs_after_failure(&records),
        wrong,
    })
}
