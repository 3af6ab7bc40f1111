//! Rule 2 and 3: which scrapes are rows, and what their intervals are.

use super::*;

#[test]
fn rows_reach_over_the_edges_by_one_scrape_each() {
    let assembled = job(&[half(&[0, 15, 30, 45, 60, 75])], 20, 50);
    assert_eq!(row_seconds(&assembled.profile), [30, 45, 60]);
    assert_eq!(assembled.profile.interval_ms, [Some(15_000); 3]);
    assert_eq!(assembled.findings.base.ts_ms, Some(15_000));
    assert_eq!(assembled.findings.sample_count, 2, "60 is behind the end");
    assert_eq!(
        cells(&assembled, Column::CpuUserSeconds),
        [Some(750), Some(750), Some(750)]
    );
}

#[test]
fn edges_on_a_scrape_are_half_open() {
    let assembled = job(&[half(&[0, 15, 30, 45, 60])], 15, 45);
    assert_eq!(row_seconds(&assembled.profile), [15, 30, 45]);
    assert_eq!(assembled.findings.sample_count, 2, "15 is in, 45 is not");
    assert_eq!(assembled.findings.base.ts_ms, Some(0));
}

#[test]
fn a_first_scrape_has_no_interval_and_no_increment() {
    let load = raw("node_load1", &[], &[(15, 1.5), (30, 2.5)]);
    let assembled = job(&[half(&[15, 30]), load], 10, 30);
    assert_eq!(row_seconds(&assembled.profile), [15, 30]);
    assert_eq!(assembled.profile.interval_ms, [None, Some(15_000)]);
    assert_eq!(
        cells(&assembled, Column::CpuUserSeconds),
        [None, Some(750)],
        "never since boot"
    );
    assert_eq!(cells(&assembled, Column::Load1), [Some(150), Some(250)]);
    assert_eq!(assembled.findings.base.ts_ms, None);
    assert!(assembled.findings.base.values.is_empty());
    assert_eq!(gap_seconds(&assembled, None), [(10, 15)]);
    assert_eq!(
        gap_seconds(&assembled, Some(Column::CpuUserSeconds)),
        [],
        "the machine's gap says it"
    );
}

#[test]
fn a_first_scrape_behind_the_end_is_no_row() {
    let assembled = job(&[half(&[30, 45])], 10, 30);
    assert_eq!(assembled.profile.rows(), 0);
    assert_eq!(gap_seconds(&assembled, None), [(10, 30)]);
    assert!(assembled.end.any_samples() && assembled.end.settled);
}

#[test]
fn a_last_scrape_before_the_start_is_no_row() {
    let assembled = job(&[half(&[0, 15])], 20, 80);
    assert_eq!(assembled.profile.rows(), 0);
    assert_eq!(assembled.findings.base.ts_ms, None, "a base of nothing");
    assert_eq!(gap_seconds(&assembled, None), [(20, 80)]);
}

#[test]
fn scrapes_are_the_union_of_all_series_without_markers_and_up() {
    let series = [
        half(&[0, 15, 45]),
        raw("node_load1", &[], &[(30, 1.0), (37, stale())]),
        up(&[(0, 1.0), (15, 1.0), (20, 1.0), (30, 1.0), (45, 1.0)]),
    ];
    let assembled = job(&series, 0, 45);
    assert_eq!(row_seconds(&assembled.profile), [0, 15, 30, 45]);
}

#[test]
fn the_scrape_interval_is_the_lower_median_unless_it_is_registered() {
    let series = [half(&[0, 10, 20, 60, 100])];
    let mut input = Input {
        series: &series,
        window: seconds(0, 100),
        fetched: seconds(0, 200),
        machine_label: "instance",
        configured_interval_ms: None,
    };
    let learnt = assemble(&input);
    assert_eq!(learnt.findings.scrape_interval_ms, Some(10_000));
    assert_eq!(gap_seconds(&learnt, None), [(20, 60), (60, 100)]);
    input.configured_interval_ms = Some(40_000);
    let registered = assemble(&input);
    assert_eq!(registered.findings.scrape_interval_ms, Some(40_000));
    assert_eq!(gap_seconds(&registered, None), []);
    input.configured_interval_ms = Some(0);
    assert_eq!(assemble(&input).findings.scrape_interval_ms, Some(10_000));
}

#[test]
fn nothing_outside_the_fetched_window_is_looked_at() {
    let series = [half(&[0, 15, 30, 45, 60, 75])];
    let assembled = assemble(&Input {
        series: &series,
        window: seconds(35, 55),
        fetched: seconds(30, 60),
        machine_label: "instance",
        configured_interval_ms: None,
    });
    assert_eq!(row_seconds(&assembled.profile), [45]);
    assert_eq!(assembled.end.last_sample, Some(TimestampMs(45_000)));
}

#[test]
fn a_break_too_long_for_its_cell_keeps_its_increment_in_the_gap_list() {
    let series = [half(&[0, 15, 3_000_000, 3_000_015])];
    let assembled = assemble(&Input {
        series: &series,
        window: seconds(10, 3_000_010),
        fetched: seconds(-100, 3_000_100),
        machine_label: "instance",
        configured_interval_ms: None,
    });
    assert_eq!(
        assembled.profile.interval_ms,
        [Some(15_000), None, Some(15_000)]
    );
    let lost: Vec<_> = assembled
        .findings
        .gaps
        .iter()
        .filter(|gap| gap.column == Some(Column::CpuUserSeconds))
        .map(|gap| (gap.range, gap.amount))
        .collect();
    assert_eq!(lost, [(seconds(15, 3_000_000), Some(149_999_250))]);
    assert_eq!(gap_seconds(&assembled, None), [(15, 3_000_000)]);
}
