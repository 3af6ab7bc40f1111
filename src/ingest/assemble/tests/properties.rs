//! The contract as properties over random series.

use super::*;
use crate::ingest::assemble::names;
use crate::model::archived::{
    Bounds, CPU_USED_CELL, CoTenancy, JobRow, Placement, RowKeys, SummarisedRow,
};
use crate::model::graph::GRAPH_METRICS;
use crate::model::id::{JobId, JobKey, JobRef, ProjectKey, Source};
use crate::model::job::{JobFacts, Section};
use crate::model::runner::Preset;
use crate::model::usage;
use proptest::prelude::*;

const COLUMN: Column = Column::NetworkReceiveBytes;

/// Scrape times in ms, and per series one counter value at each of them.
#[derive(Debug, Clone)]
struct Counters {
    times: Vec<i64>,
    values: Vec<Vec<i64>>,
}

impl Counters {
    fn series(&self) -> Vec<RawSeries> {
        self.values
            .iter()
            .enumerate()
            .map(|(index, values)| {
                let mut series = raw(
                    "node_network_receive_bytes_total",
                    &[("device", &format!("eth{index}"))],
                    &[],
                );
                series.samples = self
                    .times
                    .iter()
                    .zip(values)
                    .map(|(ts, value)| (*ts, crate::num::to_f64(*value)))
                    .collect();
                series
            })
            .chain([self.clock()])
            .collect()
    }

    /// A cpu series without holes: it makes the target a machine and every time a scrape.
    fn clock(&self) -> RawSeries {
        let mut series = cpu("0", "idle", &[]);
        series.samples = self.times.iter().map(|ts| (*ts, 0.0)).collect();
        series
    }

    fn sum_at(&self, ts: i64) -> i64 {
        let at = self.times.binary_search(&ts).unwrap();
        self.values.iter().map(|values| values[at]).sum()
    }

    /// The summed counter at `ms` as numerator and denominator.
    fn interpolated(&self, ms: i64) -> (i128, i128) {
        let behind = self.times.partition_point(|ts| *ts < ms).max(1);
        let (from, to) = (self.times[behind - 1], self.times[behind]);
        let (low, high) = (i128::from(self.sum_at(from)), i128::from(self.sum_at(to)));
        let length = i128::from(to - from);
        (low * length + (high - low) * i128::from(ms - from), length)
    }
}

/// 1 to 4 counters over 3 to 40 scrapes.
fn counters() -> impl Strategy<Value = Counters> {
    let scrape = (1i64..60_000, prop::collection::vec(0i64..1_000_000, 4));
    (
        0i64..1_000_000,
        1usize..=4,
        prop::collection::vec(scrape, 3..40),
    )
        .prop_map(|(start, series, scrapes)| {
            let mut ts = start;
            let mut counters = Counters {
                times: Vec::new(),
                values: vec![Vec::new(); series],
            };
            for (interval, increments) in scrapes {
                ts += interval;
                counters.times.push(ts);
                for (values, increment) in counters.values.iter_mut().zip(increments) {
                    values.push(values.last().unwrap_or(&7) + increment);
                }
            }
            counters
        })
}

/// A job between two shares of the time from the first to the last scrape.
fn window(counters: &Counters, edges: (f64, f64)) -> TimeRange {
    let (first, last) = (counters.times[0], *counters.times.last().unwrap());
    let at = |share: f64| {
        let offset = crate::num::round_to_i64(crate::num::to_f64(last - first) * share);
        TimestampMs(first + offset.unwrap())
    };
    TimeRange::new(at(edges.0.min(edges.1)), at(edges.0.max(edges.1)))
}

fn assembled(series: &[RawSeries], window: TimeRange) -> Assembled {
    assemble(&Input {
        series,
        window,
        fetched: TimeRange::new(TimestampMs(0), TimestampMs(i64::MAX)),
        machine_label: "instance",
        configured_interval_ms: None,
    })
}

/// What holds for every profile, whatever the series were.
fn check_shape(input: &Input<'_>, assembled: &Assembled) -> Result<(), TestCaseError> {
    let (profile, findings) = (&assembled.profile, &assembled.findings);
    prop_assert!(profile.ts_ms.is_sorted_by(|left, right| left < right));
    prop_assert_eq!(profile.interval_ms.len(), profile.rows());
    for ts in &profile.ts_ms {
        prop_assert!(input.fetched.contains(TimestampMs(*ts)));
        let known = |series: &RawSeries| series.samples.iter().any(|(at, _)| at == ts);
        prop_assert!(input.series.iter().any(known), "{ts} was invented");
    }
    let before = profile.ts_ms.iter().filter(|ts| **ts < input.window.from.0);
    prop_assert_eq!(before.count(), 0);
    let behind = profile.ts_ms.iter().filter(|ts| **ts >= input.window.to.0);
    prop_assert!(behind.count() <= 1);
    for (column, cells) in &profile.columns {
        prop_assert_eq!(cells.len(), profile.rows());
        prop_assert!(cells.iter().any(Option::is_some), "an empty column");
        for cell in cells.iter().flatten() {
            prop_assert!(column.spec().cell.fits(*cell) && *cell >= 0);
        }
    }
    for (column, value) in &findings.base.values {
        prop_assert!(column.has_base() && column.base_cell().fits(*value));
    }
    for gap in findings.gaps.iter().filter(|gap| gap.amount.is_none()) {
        prop_assert!(!gap.range.is_empty());
    }
    let holes = findings.gaps.iter().filter(|gap| gap.column.is_none());
    let missing: i64 = holes.map(|gap| gap.range.overlap_ms(input.window)).sum();
    let covered = usage::covered_ms(profile, input.window, findings.scrape_interval_ms);
    prop_assert_eq!(covered + missing, input.window.len_ms());
    Ok(())
}

/// What is computed of a profile fits the columns that hold it.
fn check_statistics(window: TimeRange, assembled: Assembled) -> Result<(), TestCaseError> {
    let section = Section {
        name: "all".to_owned(),
        range: window,
    };
    let row = JobRow {
        keys: RowKeys {
            project: ProjectKey(1),
            job: JobKey(1),
            part: 0,
            runner: None,
        },
        job: JobRef {
            source: Source::parse("ci").unwrap(),
            job_id: JobId::parse("1").unwrap(),
        },
        facts: JobFacts {
            started_at: Some(window.from),
            finished_at: Some(window.to),
            sections: Some(vec![section]),
            ..JobFacts::default()
        },
        placement: Placement::default(),
        findings: assembled.findings,
        co_tenancy: CoTenancy::default(),
        amended_at: None,
        first_seen: None,
    };
    let row = SummarisedRow::compute(row, &assembled.profile);
    for (column, total) in &row.summary.totals {
        prop_assert!(
            column.spec().cell.total().fits(*total),
            "{column:?}: {total}"
        );
    }
    for metric in GRAPH_METRICS {
        for stat in metric.stored {
            let value = row.summary.stats(metric.name).get(*stat);
            let fits = value.is_none_or(|value| metric.stat_cell(*stat).fits(value));
            prop_assert!(fits, "{} {stat:?}: {value:?}", metric.name);
        }
    }
    let used = row.sections[0].cpu_used_seconds;
    prop_assert!(used.is_none_or(|used| CPU_USED_CELL.fits(used)));
    for (column, proven) in Bounds::compute(&row.row, &assembled.profile).0 {
        let cell = column.spec().cell.total();
        prop_assert!(cell.fits(proven.low) && proven.high.is_none_or(|high| cell.fits(high)));
        prop_assert!(proven.high.is_none_or(|high| proven.low <= high));
    }
    Ok(())
}

fn garbage_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => 0.0f64..1e6,
        1 => any::<f64>(),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(stale()),
        1 => Just(1e300),
        1 => Just(9.2e18),
        1 => Just(-1.0),
        1 => Just(0.0),
    ]
}

fn garbage_series() -> impl Strategy<Value = RawSeries> {
    let label = |name: &'static str, values: &'static [&'static str]| {
        prop::sample::select(values).prop_map(move |value| (name.to_owned(), value.to_owned()))
    };
    let time = prop_oneof![20 => -100i64..3_000, 1 => any::<i64>()];
    (
        prop_oneof![
            9 => prop::sample::select(names(Preset::Node)).prop_map(str::to_owned),
            1 => "[a-z_]{0,8}",
        ],
        prop::collection::vec(
            prop_oneof![
                label("cpu", &["0", "1", ""]),
                label("mode", &["user", "system", "idle", "guest", ""]),
                label("device", &["eth0", "sda", "nvme0n1", "lo", ""]),
                label("fstype", &["ext4", "tmpfs", ""]),
                label("mountpoint", &["/", "/boot", ""]),
                label("job", &["a", ""]),
                label("", &["", "x"]),
            ],
            0..5,
        ),
        prop::collection::vec((time, garbage_value()), 0..30),
    )
        .prop_map(|(name, labels, mut samples)| {
            // Mostly in order, or next to nothing would survive.
            if samples.len() % 4 != 0 {
                samples.sort_by_key(|(ts, _)| *ts);
            }
            RawSeries {
                name,
                labels,
                samples,
            }
        })
}

proptest! {
    #[test]
    fn base_and_increments_make_the_counter(
        counters in counters(),
        edges in (0.0f64..1.0, 0.0f64..1.0),
    ) {
        let assembled = assembled(&counters.series(), window(&counters, edges));
        if let (Some(base), Some(last)) = (
            assembled.findings.base.values.get(&COLUMN),
            assembled.profile.ts_ms.last(),
        ) {
            let base_ts = assembled.findings.base.ts_ms.unwrap();
            prop_assert_eq!(*base, counters.sum_at(base_ts));
            let increments: i64 = cells(&assembled, COLUMN).iter().flatten().sum();
            prop_assert_eq!(base + increments, counters.sum_at(*last));
        } else {
            // Only a job that begins with the first scrape has none.
            prop_assert!(assembled.profile.interval_ms.first().is_none_or(Option::is_none));
        }
    }

    #[test]
    fn totals_are_linear_interpolation(
        counters in counters(),
        edges in (0.0f64..1.0, 0.0f64..1.0),
    ) {
        let window = window(&counters, edges);
        prop_assume!(!window.is_empty());
        let assembled = assembled(&counters.series(), window);
        let total = usage::total(&assembled.profile, COLUMN, window, &assembled.findings.gaps);
        let (from, from_length) = counters.interpolated(window.from.0);
        let (to, to_length) = counters.interpolated(window.to.0);
        let exact = to * from_length - from * to_length;
        let unit = from_length * to_length;
        let distance = (i128::from(total.unwrap()) * unit - exact).abs();
        prop_assert!(2 * distance <= unit, "{total:?} is off by {distance} / {unit}");
    }

    #[test]
    fn dropped_samples_leave_totals_between_kept_ones_exact(
        counters in counters(),
        edges in (0.0f64..1.0, 0.0f64..1.0),
        keep in prop::collection::vec(any::<bool>(), 40),
    ) {
        let window = window(&counters, edges);
        let mut series = counters.series();
        let mut kept = keep.iter();
        series[0].samples.retain(|_| *kept.next().unwrap());
        let assembled = assembled(&series, window);
        let rows: Vec<(i64, i64)> = assembled
            .profile
            .ts_ms
            .iter()
            .copied()
            .zip(cells(&assembled, COLUMN).into_iter().map(|cell| cell.unwrap_or(0)))
            .collect();
        let (Some(base), Some(last)) = (assembled.findings.base.ts_ms, rows.last()) else {
            return Ok(());
        };
        let kept: Vec<i64> = series[0].samples.iter().map(|(ts, _)| *ts).collect();
        for pair in kept.windows(2) {
            if base <= pair[0] && pair[1] <= last.0 {
                let between = rows.iter().filter(|row| pair[0] < row.0 && row.0 <= pair[1]);
                let sum: i64 = between.map(|row| row.1).sum();
                prop_assert_eq!(sum, counters.sum_at(pair[1]) - counters.sum_at(pair[0]));
            }
        }
    }

    #[test]
    fn the_order_of_series_does_not_matter(
        counters in counters(),
        edges in (0.0f64..1.0, 0.0f64..1.0),
    ) {
        let mut series = counters.series();
        let window = window(&counters, edges);
        let forward = assembled(&series, window);
        series.reverse();
        prop_assert_eq!(forward, assembled(&series, window));
    }

    #[test]
    fn garbage_gives_a_well_formed_profile(
        garbage in prop::collection::vec(garbage_series(), 0..20),
        machine in any::<bool>(),
        window in (-200i64..3_500, -50i64..3_000),
        padding in 0i64..500,
        configured in prop::option::of(-5i64..100),
    ) {
        let mut series = garbage;
        if machine {
            let mut clock = cpu("0", "user", &[]);
            clock.labels.retain(|(name, _)| name != "instance" && name != "job");
            clock.samples = (0..30).map(|n| (n * 100, 1.0)).collect();
            series.push(clock);
        }
        let window = TimeRange::new(TimestampMs(window.0), TimestampMs(window.0 + window.1));
        let input = Input {
            series: &series,
            window,
            fetched: window.padded(padding, padding),
            machine_label: "instance",
            configured_interval_ms: configured,
        };
        let assembled = assemble(&input);
        check_shape(&input, &assembled)?;
        let wide = Input {
            fetched: TimeRange::new(TimestampMs(i64::MIN), TimestampMs(i64::MAX)),
            ..input
        };
        check_shape(&wide, &assemble(&wide))?;
        check_statistics(window, assembled)?;
        check_statistics(window, assemble(&wide))?;
    }

    #[test]
    fn counters_give_a_well_formed_profile(
        counters in counters(),
        edges in (0.0f64..1.0, 0.0f64..1.0),
    ) {
        let series = counters.series();
        let window = window(&counters, edges);
        let input = Input {
            series: &series,
            window,
            fetched: window.padded(31_000, 30_000),
            machine_label: "instance",
            configured_interval_ms: None,
        };
        check_shape(&input, &assemble(&input))?;
    }
}
