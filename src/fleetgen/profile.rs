//! A planned job's samples: rows as the assembler would have made them from the machine's scrapes.

use super::FleetSpec;
use super::day::{Flaw, Planned};
use super::load::{Load, PAGE, Recording, Seen};
use super::machines::Runner;
use super::random::{mixed, whole};
use super::trace::{COUNTERS, GAUGES};
use super::world::World;
use crate::archive::ImportedSamples;
use crate::error::{Error, Result};
use crate::model::archived::{Findings, Host};
use crate::model::metric::Column;
use crate::model::profile::{Base, Gap, Profile};
use crate::model::state::{Reason, Verdict};
use crate::num;
use crate::time::{TimeRange, TimestampMs};

/// Value columns of a row, in the order of [`Rows::cells`].
const COLUMNS: usize = COUNTERS.len() + GAUGES.len() + 4;
/// Behind the counters and gauges of the recording.
const MORE: [Column; 4] = [
    Column::CpuBusiestCoreSeconds,
    Column::SwapUsedBytes,
    Column::OomKills,
    Column::ProcessesBlocked,
];
/// Prometheus' own scheduling noise: scrapes come late by up to so much.
const LATE_MS: i64 = 4;

fn columns() -> impl Iterator<Item = Column> {
    let recorded = COUNTERS.iter().chain(&GAUGES).map(|(column, _)| *column);
    recorded.chain(MORE)
}

/// Counters since boot as they are shown: whole units of the machine.
#[derive(Debug, Clone, Copy)]
struct Counters([f64; 13]);

impl Counters {
    fn booted(rng: &mut fastrand::Rng) -> Self {
        Self(std::array::from_fn(|_| 3e6 * rng.f64()))
    }

    /// What is shown, in cells.
    fn shown(&self) -> [i64; 13] {
        let mut cells = [0; 13];
        for ((cell, counter), (_, unit)) in cells.iter_mut().zip(self.0).zip(COUNTERS) {
            *cell = whole(counter) * unit;
        }
        cells
    }

    fn count(&mut self, seen: &Seen) {
        for (counter, amount) in self.0.iter_mut().zip(seen.counters) {
            *counter += amount;
        }
    }
}

/// Rows in the making.
struct Rows {
    ts_ms: Vec<i64>,
    interval_ms: Vec<Option<i32>>,
    cells: [Vec<Option<i64>>; COLUMNS],
    last_ts: i64,
}

impl Rows {
    fn new(base_ts: i64, room: usize) -> Self {
        Self {
            ts_ms: Vec::with_capacity(room),
            interval_ms: Vec::with_capacity(room),
            cells: std::array::from_fn(|_| Vec::with_capacity(room)),
            last_ts: base_ts,
        }
    }

    fn push(&mut self, ts: i64, increments: [i64; 13], seen: &Seen) {
        self.ts_ms.push(ts);
        self.interval_ms.push(i32::try_from(ts - self.last_ts).ok());
        self.last_ts = ts;
        let gauges = seen.gauges.into_iter().zip(GAUGES);
        let gauges = gauges.map(|(value, (_, unit))| whole(value) * unit);
        let more = [
            whole(seen.busiest),
            whole(seen.swap_bytes / PAGE) * whole(PAGE),
            whole(seen.oom_kills),
            whole(seen.blocked),
        ];
        let all = increments.into_iter().chain(gauges).chain(more);
        for (cells, cell) in self.cells.iter_mut().zip(all) {
            cells.push(Some(cell));
        }
    }

    /// Takes out the rows of `hole`; what was counted in them falls to the row behind it.
    fn tear(&mut self, hole: std::ops::Range<usize>) {
        let ts = &mut self.ts_ms;
        ts.drain(hole.clone());
        let missed: i32 = self.interval_ms.drain(hole.clone()).flatten().sum();
        if let Some(Some(interval)) = self.interval_ms.get_mut(hole.start) {
            *interval += missed;
        }
        for (column, cells) in columns().zip(&mut self.cells) {
            let missed: i64 = cells.drain(hole.clone()).flatten().sum();
            if let Some(Some(cell)) = cells.get_mut(hole.start).filter(|_| column.is_increment()) {
                *cell += missed;
            }
        }
    }

    /// Takes out the rows from `end` on.
    fn cut(&mut self, end: usize) {
        self.ts_ms.truncate(end);
        self.interval_ms.truncate(end);
        for cells in &mut self.cells {
            cells.truncate(end);
        }
    }

    fn profile(self) -> Profile {
        Profile {
            ts_ms: self.ts_ms,
            interval_ms: self.interval_ms,
            columns: columns().zip(self.cells).collect(),
        }
    }
}

/// A planned job's samples and what was found beside them.
pub(super) fn samples(
    world: &World,
    recording: &Recording,
    spec: &FleetSpec,
    planned: &Planned,
) -> Result<ImportedSamples> {
    let missing = || Error::internal("a planned job names what does not exist");
    let project = world.projects.get(planned.project).ok_or_else(missing)?;
    let def = project.defs.get(planned.def).ok_or_else(missing)?;
    let runner = world.runners.all.get(planned.runner).ok_or_else(missing)?;
    let keep = spec.keeps_samples(planned.window.to.date());
    if planned.is_unknown() {
        return Ok(ImportedSamples {
            findings: unknown(runner, planned.window),
            profile: Profile::default(),
            keep,
        });
    }
    let mut rng = fastrand::Rng::with_seed(mixed(&[spec.seed, 8, planned.number]));
    let load = Load::new(recording, def, runner, planned, &mut rng);
    let (mut rows, base) = scrape(load, runner, planned, spec.seed, &mut rng);
    let holes = flaw(&mut rows, planned, &mut rng);
    let profile = rows.profile();
    let findings = findings(runner, planned, &profile, base, holes);
    Ok(ImportedSamples {
        findings,
        profile,
        keep,
    })
}

fn unknown(runner: &Runner, window: TimeRange) -> Findings {
    Findings {
        scrape_interval_ms: Some(runner.region.scrape_ms),
        verdict: Some(Verdict::UnknownMachine),
        reason: Some(Reason::UnknownMachine),
        gaps: vec![machine_gap(window)],
        ..Findings::default()
    }
}

fn machine_gap(range: TimeRange) -> Gap {
    Gap {
        range,
        column: None,
        amount: None,
    }
}

/// Scrapes the machine from the last time before the job to the first at or after its end.
fn scrape(
    mut load: Load<'_>,
    runner: &Runner,
    planned: &Planned,
    seed: u64,
    rng: &mut fastrand::Rng,
) -> (Rows, Base) {
    let interval = runner.region.scrape_ms;
    let (started, ended) = (planned.window.from.0, planned.window.to.0);
    let phase = planned
        .machine_seed(seed)
        .cast_signed()
        .rem_euclid(interval);
    let base_ts = started - (started - phase).rem_euclid(interval);
    let length = num::to_f64(planned.window.len_ms().max(1));
    let mut counters = Counters::booted(rng);
    let mut before = counters.shown();
    let resting = load.interval(1.0, 0.0, 0.0, rng);
    let base = base(base_ts, before, &resting);
    let room = num::to_usize((planned.window.len_ms() / interval + 2).unsigned_abs());
    let mut rows = Rows::new(base_ts, room);
    let (mut grid, mut last) = (base_ts, base_ts);
    while last < ended {
        grid += interval;
        let ts = grid + rng.i64(0..LATE_MS);
        let span = TimeRange::new(TimestampMs(last), TimestampMs(ts));
        let millis = num::to_f64(span.len_ms().max(1));
        let busy = num::to_f64(span.overlap_ms(planned.window)) / millis;
        let progress = num::to_f64(ts.min(ended) - started) / length;
        let seen = load.interval(millis / 1_000.0, busy, progress, rng);
        counters.count(&seen);
        let now = counters.shown();
        let mut increments = now;
        for (cell, before) in increments.iter_mut().zip(before) {
            *cell -= before;
        }
        rows.push(ts, increments, &seen);
        before = now;
        last = ts;
    }
    (rows, base)
}

fn base(ts: i64, counters: [i64; 13], resting: &Seen) -> Base {
    let counters = COUNTERS.iter().zip(counters);
    let counters = counters.map(|((column, _), cell)| (*column, cell));
    let gauges = resting.gauges.into_iter().zip(GAUGES);
    let gauges = gauges.map(|(value, (column, unit))| (column, whole(value) * unit));
    let more = MORE.into_iter().map(|column| (column, 0));
    let all = counters.chain(gauges).chain(more);
    Base {
        ts_ms: Some(ts),
        values: all.filter(|(column, _)| column.has_base()).collect(),
    }
}

/// Takes out what was not scraped. Returns the holes.
fn flaw(rows: &mut Rows, planned: &Planned, rng: &mut fastrand::Rng) -> Vec<Gap> {
    let count = rows.ts_ms.len();
    let at = |rows: &Rows, row: usize| rows.ts_ms.get(row).copied();
    match planned.flaw {
        Flaw::Gap if count >= 8 => {
            let first = rng.usize(2..count / 2);
            let missed = rng.usize(1..=count / 3);
            let from = first.checked_sub(1).and_then(|row| at(rows, row));
            let to = at(rows, first + missed);
            rows.tear(first..first + missed);
            hole(from, to, planned.window)
        }
        Flaw::HostGone if count >= 4 => {
            let end = count - rng.usize(1..=count / 3) - 1;
            let from = end.checked_sub(1).and_then(|row| at(rows, row));
            rows.cut(end);
            hole(from, Some(planned.window.to.0), planned.window)
        }
        _ => Vec::new(),
    }
}

fn hole(from: Option<i64>, to: Option<i64>, window: TimeRange) -> Vec<Gap> {
    let range = from.zip(to).map(|(from, to)| {
        TimeRange::new(
            TimestampMs(from).max(window.from),
            TimestampMs(to).min(window.to),
        )
    });
    let range = range.filter(|range| !range.is_empty());
    range.into_iter().map(machine_gap).collect()
}

fn findings(
    runner: &Runner,
    planned: &Planned,
    profile: &Profile,
    base: Base,
    gaps: Vec<Gap>,
) -> Findings {
    let window = planned.window;
    let inside = |ts: &&i64| window.contains(TimestampMs(**ts));
    let sample_count = num::len_i64(profile.ts_ms.iter().filter(inside).count());
    let interval = runner.region.scrape_ms;
    let verdict = match planned.flaw {
        _ if sample_count < 2 && window.len_ms() < 2 * interval => Verdict::TooShort,
        Flaw::Gap if !gaps.is_empty() => Verdict::ScrapeDown,
        Flaw::HostGone if !gaps.is_empty() => Verdict::HostGone,
        _ if sample_count < 2 => Verdict::TooShort,
        _ if !gaps.is_empty() => Verdict::Partial,
        _ => Verdict::Complete,
    };
    Findings {
        host: Host {
            cpu_count: Some(runner.machine.cores),
            memory_total_bytes: Some(runner.machine.memory_bytes),
            filesystem_size_bytes: Some(runner.machine.disk_bytes),
        },
        scrape_interval_ms: Some(interval),
        verdict: Some(verdict),
        reason: None,
        sample_count,
        gaps,
        resets: Vec::new(),
        base,
    }
}
