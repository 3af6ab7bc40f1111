//! Power cuts: the disk as it may be left at any call of a recorded life, under two models.
//!
//! A life is a few workers one after the other below the shim, each ended by itself or by kill -9. From
//! the log the disk is played up to a random call (see `disk`), written out, opened and checked against
//! what was acknowledged before that call. Before the opening each file of the tables must be whole:
//! others read them in place.

use crate::disk::{Disk, Model, State};
use crate::lab::{End, Report, Result, Work, watched};
use crate::oracle::Oracle;
use crate::record::{self, Call, Record};
use crate::worker;
use crate::world::World;
use std::path::Path;
use std::time::{Duration, Instant};

const WORLD: World = World { stride: 60 };
/// Workers in one life.
const WORKERS: u64 = 3;
const PATIENCE: Duration = Duration::from_secs(120);

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) lives: u64,
    /// States per life and model.
    pub(crate) states: u64,
    /// Steps of one worker.
    pub(crate) steps: u64,
}

impl Size {
    pub(crate) fn of(short: bool) -> Self {
        if short {
            Self {
                lives: 1,
                states: 30,
                steps: 14,
            }
        } else {
            Self {
                lives: 40,
                states: 50,
                steps: 14,
            }
        }
    }
}

/// A recorded life.
struct Life {
    records: Vec<Record>,
    /// The directory of it all.
    root: std::path::PathBuf,
}

/// The part `power`.
pub(crate) fn run(size: Size, seed: u64, omit: &str) -> Result<Report> {
    let mut report = Report::default();
    let mut rng = fastrand::Rng::with_seed(seed);
    let began = Instant::now();
    let (mut calls, mut acknowledged, mut states) = (0, 0, [0u64; 2]);
    let mut broken = [0u64; 2];
    for _ in 0..size.lives {
        let life = live(size.steps, &mut rng, omit, &mut report)?;
        calls += life.records.len();
        acknowledged += oracle_at(&life.records, &life.root).acknowledged();
        let seeds = Model::ALL.map(|_| rng.u64(..));
        let found = std::thread::scope(|scope| {
            let cuts = Model::ALL.into_iter().zip(seeds).map(|(model, seed)| {
                let life = &life;
                scope.spawn(move || cuts(life, model, size.states, seed))
            });
            let running: Vec<_> = cuts.collect();
            let ends = running.into_iter().map(|model| model.join());
            ends.collect::<Vec<_>>()
        });
        for (found, (count, broken)) in found.into_iter().zip(states.iter_mut().zip(&mut broken)) {
            let wrong = found.map_err(|_| "a thread of the lab panicked")??;
            *count += size.states;
            *broken += u64::try_from(wrong.len()).unwrap_or(u64::MAX);
            report.violations(wrong);
        }
    }
    report.line("lives recorded", size.lives);
    report.line("calls recorded", calls);
    report.line("acknowledged operations", acknowledged);
    for ((model, count), broken) in Model::ALL.into_iter().zip(states).zip(broken) {
        report.line(
            format!("states, {}", model.name()),
            format!("{count}, {broken} of them broken"),
        );
    }
    let seconds = began.elapsed().as_secs_f64();
    report.line("time", format!("{seconds:.0} s"));
    Ok(report)
}

/// Records a life.
fn live(steps: u64, rng: &mut fastrand::Rng, omit: &str, report: &mut Report) -> Result<Life> {
    let work = Work::new(&format!("life-{}", rng.u32(..)))?;
    for worker in 0..WORKERS {
        let args = worker::args(&work, WORLD, rng.u64(..), steps, omit);
        let mut process = watched("worker", &args, work.path())?
            .env("LAB_LOG", work.log())
            .spawn()?;
        // The last one ends by itself, the others mostly do not.
        if worker + 1 < WORKERS && rng.u8(..4) > 0 {
            std::thread::sleep(Duration::from_millis(rng.u64(20..600)));
            process.kill()?;
        }
        report.violations(End::of(process, PATIENCE)?.wrong());
    }
    Ok(Life {
        records: record::read(&work.log())?,
        root: work.path().to_owned(),
    })
}

/// The oracle's file as the calls wrote it.
fn oracle_at(records: &[Record], root: &Path) -> Oracle {
    let path = root.join("oracle").display().to_string();
    let mut text = Vec::new();
    let mut open = None;
    for record in records.iter().filter(|record| !record.failed) {
        match &record.call {
            Call::Open {
                fd, path: opened, ..
            } if *opened == path => open = Some(*fd),
            Call::Open { fd, .. } | Call::Close { fd } if open == Some(*fd) => open = None,
            Call::Start => open = None,
            Call::Write { fd, data, .. } if open == Some(*fd) => text.extend_from_slice(data),
            _ => {}
        }
    }
    Oracle::parse(&String::from_utf8_lossy(&text))
}

/// Cuts the power at random calls; says what is wrong, at most one thing per state.
fn cuts(life: &Life, model: Model, states: u64, seed: u64) -> Result<Vec<String>> {
    let rng = &mut fastrand::Rng::with_seed(seed);
    let mut at: Vec<usize> = (0..states)
        .map(|_| rng.usize(0..=life.records.len()))
        .collect();
    at.sort_unstable();
    let mut disk = Disk::new(&life.root, model);
    let (mut played, mut wrong) = (0, Vec::new());
    for at in at {
        for record in life.records.get(played..at).unwrap_or_default() {
            disk.play(record);
        }
        played = at;
        let before = life.records.get(..at).unwrap_or_default();
        let oracle = oracle_at(before, &life.root);
        let state = disk.cut(rng);
        let go_on = rng.u8(..8) == 0;
        if let Some(what) = broken(&state, &oracle, go_on)? {
            wrong.push(format!("{what} ({}, cut behind call {at})", model.name()));
        }
    }
    Ok(wrong)
}

/// The first thing that is wrong with a state.
fn broken(state: &State, oracle: &Oracle, go_on: bool) -> Result<Option<String>> {
    let torn = state
        .files
        .iter()
        .find(|file| file.path.starts_with("/data/tables/") && !file.whole);
    if let Some(file) = torn {
        return Ok(Some(format!(
            "{} is not whole under its final name",
            file.path
        )));
    }
    let work = Work::new("state")?;
    state.write("/data", &work.data())?;
    let examined = std::panic::catch_unwind(|| worker::examine(work.path(), oracle, WORLD, go_on));
    match examined {
        Ok(wrong) => Ok(wrong?.into_iter().next()),
        Err(_) => Ok(Some("it panicked".to_owned())),
    }
}
