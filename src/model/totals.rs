//! Increments as running totals: what a system expects that knows counters.

use super::metric::{Column, Kind};
use super::profile::{Base, Gap, Profile};

/// The profile with every counter as its running total. Gauges stay.
///
/// A total begins with the base, the counter's value at the scrape before the first row, which becomes
/// the first row here; a counter without a base begins with 0 in the row before its first increment.
/// It goes on over a reset, and takes in what stands in the gap list because it fits no cell. Where
/// the increment is null, so is the total.
#[must_use]
pub fn running(profile: &Profile, base: &Base, gaps: &[Gap]) -> Profile {
    let first = profile.ts_ms.first().copied();
    let lead = base
        .ts_ms
        .filter(|ts| first.is_some_and(|first| *ts < first));
    let mut ts_ms: Vec<i64> = lead.into_iter().collect();
    ts_ms.extend(&profile.ts_ms);
    let mut interval_ms: Vec<Option<i32>> = lead.iter().map(|_| None).collect();
    interval_ms.extend(&profile.interval_ms);
    let columns = profile.columns.iter().map(|(column, cells)| {
        let start = lead.and_then(|_| base.values.get(column)).copied();
        let mut all: Vec<Option<i64>> = lead.iter().map(|_| None).collect();
        all.extend(cells);
        let all = match column.spec().kind {
            Kind::Gauge => {
                if let Some(cell) = all.first_mut().filter(|_| lead.is_some()) {
                    *cell = start;
                }
                all
            }
            Kind::Counter | Kind::BusiestCounter => {
                let lost = lost(*column, gaps);
                totals(&ts_ms, &all, start, &lost)
            }
        };
        (*column, all)
    });
    let columns = columns.collect();
    Profile {
        ts_ms,
        interval_ms,
        columns,
    }
}

/// Increments of a column that fit no cell: the time by which each was counted, and the amount.
fn lost(column: Column, gaps: &[Gap]) -> Vec<(i64, i64)> {
    let own = gaps.iter().filter(|gap| gap.column == Some(column));
    let mut lost: Vec<_> = own
        .filter_map(|gap| Some((gap.range.to.0, gap.amount?)))
        .collect();
    lost.sort_unstable();
    lost
}

fn totals(
    ts_ms: &[i64],
    increments: &[Option<i64>],
    start: Option<i64>,
    lost: &[(i64, i64)],
) -> Vec<Option<i64>> {
    let origin = match start {
        Some(_) => Some(0),
        None => {
            let first = increments.iter().position(Option::is_some);
            first.and_then(|row| row.checked_sub(1))
        }
    };
    let mut lost = lost.iter().peekable();
    // `None` once a sum is larger than 64 bits hold.
    let mut sum = Some(start.unwrap_or(0));
    let rows = ts_ms.iter().zip(increments).enumerate();
    rows.map(|(row, (ts, increment))| {
        while let Some((_, amount)) = lost.next_if(|(by, _)| by <= ts) {
            sum = sum.and_then(|sum| sum.checked_add(*amount));
        }
        sum = sum.and_then(|sum| sum.checked_add(increment.unwrap_or(0)));
        sum.filter(|_| increment.is_some() || origin == Some(row))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{TimeRange, TimestampMs};

    const CPU: Column = Column::CpuUserSeconds;
    const BUSIEST: Column = Column::CpuBusiestCoreSeconds;
    const LOAD: Column = Column::Load1;

    fn profile() -> Profile {
        Profile {
            ts_ms: vec![20, 30, 40, 50],
            interval_ms: vec![Some(10); 4],
            columns: [
                (CPU, vec![Some(1), None, Some(3), Some(4)]),
                (BUSIEST, vec![Some(1), Some(1), Some(1), None]),
                (LOAD, vec![Some(7), None, Some(9), Some(9)]),
            ]
            .into(),
        }
    }

    #[test]
    fn totals_begin_at_the_base_and_gauges_stay() {
        let base = Base {
            ts_ms: Some(10),
            values: [(CPU, 1_000), (LOAD, 5)].into(),
        };
        let running = running(&profile(), &base, &[]);
        assert_eq!(running.ts_ms, [10, 20, 30, 40, 50]);
        assert_eq!(running.interval_ms[..2], [None, Some(10)]);
        let of = |column| running.column(column).unwrap().to_vec();
        let some = |cells: [i64; 2]| cells.map(Some);
        assert_eq!(of(CPU)[..2], some([1_000, 1_001]));
        assert_eq!(of(CPU)[2..], [None, Some(1_004), Some(1_008)]);
        assert_eq!(of(BUSIEST), [Some(0), Some(1), Some(2), Some(3), None]);
        assert_eq!(of(LOAD), [Some(5), Some(7), None, Some(9), Some(9)]);
    }

    #[test]
    fn without_a_base_the_row_before_the_first_increment_is_0() {
        let mut profile = profile();
        profile.interval_ms[0] = None;
        profile
            .columns
            .insert(CPU, vec![None, None, Some(3), Some(4)]);
        let running = running(&profile, &Base::default(), &[]);
        assert_eq!(running.ts_ms, profile.ts_ms);
        let cpu = running.column(CPU).unwrap();
        assert_eq!(cpu, [None, Some(0), Some(3), Some(7)]);
    }

    #[test]
    fn what_fits_no_cell_is_part_of_the_total() {
        let lost = |column| Gap {
            range: TimeRange::new(TimestampMs(20), TimestampMs(30)),
            column: Some(column),
            amount: Some(5_000_000_000),
        };
        let base = Base {
            ts_ms: Some(10),
            values: [(CPU, 0)].into(),
        };
        let gaps = [lost(CPU), lost(LOAD)];
        let running = running(&profile(), &base, &gaps);
        let cpu = running.column(CPU).unwrap();
        let after = 5_000_000_004;
        assert_eq!(cpu, [Some(0), Some(1), None, Some(after), Some(after + 4)]);
        // A sum that 64 bits do not hold is absent, and never wrapped.
        let base = Base {
            values: [(CPU, i64::MAX)].into(),
            ..base
        };
        let running = super::running(&profile(), &base, &[]);
        let cpu = running.column(CPU).unwrap();
        assert_eq!(cpu, [Some(i64::MAX), None, None, None, None]);
    }
}
