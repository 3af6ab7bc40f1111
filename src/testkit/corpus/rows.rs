//! From seconds to rows: counters are shown at every scrape and become increments.

use super::INTERVAL_MS;
use super::load::Chain;
use super::plan::Runner;
use super::trace::{COUNTERS, GAUGES, Second};
use crate::model::archived::Findings;
use crate::model::metric::Column;
use crate::model::profile::{Base, Profile};
use crate::num;
use crate::testkit::random::whole;
use crate::time::{TimeRange, TimestampMs};
use std::collections::BTreeMap;

const SECOND_MS: i64 = 1_000;
/// Prometheus' own scheduling noise.
const JITTER_MS: i64 = 4;

pub(super) struct Made {
    pub(super) profile: Profile,
    pub(super) findings: Findings,
}

/// Runs the machine from the scrape before the job to the first one at or after its end.
pub(super) fn make(
    mut chain: Chain<'_>,
    host: &mut Runner,
    (base_ts, window): (i64, TimeRange),
    jitter: bool,
    rng: &mut fastrand::Rng,
) -> Made {
    let mut profile = Profile::default();
    let mut columns: BTreeMap<Column, Vec<Option<i64>>> = BTreeMap::new();
    let mut base = Base {
        ts_ms: Some(base_ts),
        values: BTreeMap::new(),
    };
    let mut before = host.shown();
    let gauges = chain.idle_second(rng).gauges;
    base.values.extend(shown_gauges(gauges));
    base.values.extend(
        COUNTERS
            .iter()
            .zip(before)
            .filter(|((column, _), _)| column.has_base())
            .map(|((column, _), cell)| (*column, cell)),
    );

    let (mut grid, mut last_ts) = (base_ts, base_ts);
    while grid < window.to.0 {
        let second = scrape_interval(&mut chain, host, grid, window, rng);
        grid += INTERVAL_MS;
        let late = if jitter {
            rng.i64(-JITTER_MS..=JITTER_MS)
        } else {
            0
        };
        let ts = grid + late;
        profile.ts_ms.push(ts);
        profile.interval_ms.push(i32::try_from(ts - last_ts).ok());
        last_ts = ts;
        let now = host.shown();
        for (((column, _), now), before) in COUNTERS.iter().zip(now).zip(before) {
            columns.entry(*column).or_default().push(Some(now - before));
        }
        for (column, cell) in shown_gauges(second.gauges) {
            columns.entry(column).or_default().push(Some(cell));
        }
        before = now;
    }
    profile.columns = columns;
    let inside = profile
        .ts_ms
        .iter()
        .filter(|ts| window.contains(TimestampMs(**ts)))
        .count();
    let findings = Findings {
        scrape_interval_ms: Some(INTERVAL_MS),
        sample_count: num::len_i64(inside),
        base,
        ..Findings::default()
    };
    Made { profile, findings }
}

/// Counts what happens between two scrapes; the last second is what the second scrape sees.
fn scrape_interval(
    chain: &mut Chain<'_>,
    host: &mut Runner,
    from: i64,
    window: TimeRange,
    rng: &mut fastrand::Rng,
) -> Second {
    let mut seen = Second::default();
    for step in 0..INTERVAL_MS / SECOND_MS {
        let start = TimestampMs(from + step * SECOND_MS);
        let second = TimeRange::new(start, start.plus_ms(SECOND_MS));
        let share = num::to_f64(second.overlap_ms(window)) / num::to_f64(SECOND_MS);
        if share < 1.0 {
            let idle = chain.idle_second(rng);
            host.count(&idle, 1.0 - share);
            seen = idle;
        }
        if share > 0.0 {
            let busy = chain.busy_second(rng);
            host.count(&busy, share);
            seen = busy;
        }
    }
    seen
}

fn shown_gauges(gauges: [f64; 5]) -> impl Iterator<Item = (Column, i64)> {
    GAUGES
        .iter()
        .zip(gauges)
        .map(|((column, unit), value)| (*column, whole(value) * unit))
}
