//! Rule 6: gaps, verdicts and the state of the end.

use super::*;
use crate::ingest::assemble::EndState;

/// `up` = 1 at these seconds.
fn answered(times: &[i64]) -> RawSeries {
    let samples: Vec<(i64, f64)> = times.iter().map(|ts| (*ts, 1.0)).collect();
    up(&samples)
}

/// The cpu series of [`half`] with a staleness marker at its end.
fn half_then_stale(times: &[i64], marker: i64) -> RawSeries {
    let mut series = half(times);
    series.samples.push((marker * 1_000, stale()));
    series
}

#[test]
fn regular_scrapes_are_complete() {
    let times = [0, 15, 30, 45, 60];
    let assembled = job(&[half(&times), answered(&times)], 10, 50);
    assert_eq!(verdict(&assembled), Verdict::Complete);
    assert_eq!(assembled.findings.gaps, []);
    assert_eq!(assembled.findings.reason, None);
}

#[test]
fn a_short_job_on_a_living_machine_is_too_short() {
    for (from, to, samples) in [(16, 29, 0), (10, 20, 1), (16, 16, 0)] {
        let assembled = job(&[half(&[0, 15, 30, 45])], from, to);
        assert_eq!(verdict(&assembled), Verdict::TooShort);
        assert_eq!(assembled.findings.sample_count, samples);
        assert_eq!(assembled.findings.gaps, [], "it is covered all the same");
    }
}

#[test]
fn a_short_job_on_an_ephemeral_machine_is_too_short() {
    let assembled = job(&[half_then_stale(&[15], 30)], 10, 25);
    assert_eq!(verdict(&assembled), Verdict::TooShort);
    assert_eq!(gap_seconds(&assembled, None), [(10, 15), (15, 25)]);
}

#[test]
fn few_samples_of_a_long_job_are_a_loss_with_a_cause() {
    let gone = job(&[half_then_stale(&[0, 15], 30)], 10, 600);
    assert_eq!(verdict(&gone), Verdict::HostGone);
    let late = [half(&[45, 60, 75]), answered(&[0, 15, 30, 45, 60, 75])];
    assert_eq!(
        verdict(&job(&late, 10, 46)),
        Verdict::TooShort,
        "up was 1, nothing explains the hole"
    );
}

#[test]
fn a_machine_that_vanishes_is_gone() {
    let times = [0, 15, 30];
    let dropped = [half_then_stale(&times, 45), answered(&times)];
    let silent = [half(&times), answered(&times)];
    for series in [&dropped[..], &silent[..], &silent[..1]] {
        let assembled = job(series, 5, 600);
        assert_eq!(verdict(&assembled), Verdict::HostGone);
        assert_eq!(gap_seconds(&assembled, None), [(30, 600)]);
    }
}

#[test]
fn the_last_interval_of_an_ephemeral_machine_is_a_gap() {
    let deleted_after = up(&[(0, 1.0), (15, 1.0), (30, 1.0), (45, 0.0)]);
    let assembled = job(&[half_then_stale(&[0, 15, 30], 45), deleted_after], 5, 38);
    assert_eq!(gap_seconds(&assembled, None), [(30, 38)]);
    assert_eq!(
        verdict(&assembled),
        Verdict::HostGone,
        "the failed scrape is behind the job's end"
    );
}

#[test]
fn a_tail_without_samples_of_an_answering_target_is_partial() {
    let series = [half(&[0, 15, 30]), answered(&[0, 15, 30, 45, 60])];
    assert_eq!(verdict(&job(&series, 5, 60)), Verdict::Partial);
}

#[test]
fn failed_scrapes_are_scrape_down() {
    let flapping = up(&[
        (0, 1.0),
        (15, 1.0),
        (30, 0.0),
        (45, 0.0),
        (60, 1.0),
        (75, 1.0),
    ]);
    let inner = job(&[half(&[0, 15, 60, 75]), flapping], 5, 70);
    assert_eq!(verdict(&inner), Verdict::ScrapeDown);
    assert_eq!(gap_seconds(&inner, None), [(15, 60)]);
    let failing = up(&[(0, 1.0), (15, 1.0), (30, 0.0), (45, 0.0)]);
    let tail = job(&[half_then_stale(&[0, 15], 30), failing], 5, 100);
    assert_eq!(verdict(&tail), Verdict::ScrapeDown);
    let booting = up(&[(0, 0.0), (15, 0.0), (30, 1.0), (45, 1.0), (60, 1.0)]);
    let head = job(&[half(&[30, 45, 60]), booting], 5, 60);
    assert_eq!(verdict(&head), Verdict::ScrapeDown);
}

#[test]
fn a_hole_of_up_itself_is_prometheus_own() {
    let times = [0, 15, 60, 75];
    let assembled = job(&[half(&times), answered(&times)], 5, 70);
    assert_eq!(verdict(&assembled), Verdict::PrometheusGap);
    let without_up = job(&[half(&times)], 5, 70);
    assert_eq!(verdict(&without_up), Verdict::Partial, "nobody knows");
    let answering = answered(&[0, 15, 30, 45, 60, 75]);
    let series_lost = job(&[half(&times), answering], 5, 70);
    assert_eq!(verdict(&series_lost), Verdict::Partial);
}

#[test]
fn the_longest_explained_hole_gives_the_verdict() {
    // Prometheus was down for 60 s, then the machine died 10 s before the end.
    let times = [0, 15, 75, 90];
    let series = [half_then_stale(&times, 105), answered(&times)];
    assert_eq!(verdict(&job(&series, 5, 100)), Verdict::PrometheusGap);
    assert_eq!(verdict(&job(&series, 5, 300)), Verdict::HostGone);
}

#[test]
fn gaps_are_clipped_to_the_job_and_in_order() {
    let series = [
        half(&[0, 60, 75, 90, 150]),
        raw(
            "node_load1",
            &[],
            &[(0, 1.0), (60, 1.0), (90, 1.0), (150, 1.0)],
        ),
    ];
    let assembled = job(&series, 30, 120);
    let gaps: Vec<_> = assembled
        .findings
        .gaps
        .iter()
        .map(|gap| (gap.range.from.0 / 1_000, gap.range.to.0 / 1_000, gap.column))
        .collect();
    assert_eq!(
        gaps,
        [
            (30, 60, None),
            (60, 90, Some(Column::Load1)),
            (90, 120, None)
        ]
    );
}

#[test]
fn the_end_is_settled_when_every_cpu_series_has_ended() {
    let other = |samples: &[(i64, f64)]| cpu("1", "user", samples);
    let end = |series: &[RawSeries]| job(series, 5, 40).end;
    let settled = |end: EndState| end.settled;
    assert!(!settled(end(&[half(&[0, 15, 30])])));
    assert!(settled(end(&[half(&[0, 15, 30, 45])])));
    assert!(settled(end(&[half_then_stale(&[0, 15, 30], 45)])));
    assert!(
        !settled(end(&[half(&[0, 15, 30, 45]), other(&[(30, 1.0)])])),
        "the other cpu may still come"
    );
    assert!(settled(end(&[
        half(&[0, 15, 30, 45]),
        other(&[(15, 1.0), (30, stale())])
    ])));
    let revived = other(&[(0, 1.0), (15, stale()), (30, 2.0)]);
    assert!(!settled(end(&[revived])), "values followed the marker");
}

#[test]
fn the_end_tells_whether_the_target_was_lost() {
    let end = |series: &[RawSeries]| job(series, 5, 100).end;
    let cpu = || half(&[0, 15, 30]);
    let waiting = end(&[cpu(), answered(&[0, 15, 30])]);
    assert_eq!(
        waiting,
        EndState {
            settled: false,
            scrapes: 3,
            last_sample: Some(TimestampMs(30_000)),
            target_lost: false,
        }
    );
    assert!(end(&[cpu(), up(&[(30, 1.0), (45, 0.0)])]).target_lost);
    assert!(end(&[cpu(), up(&[(30, 1.0), (45, stale())])]).target_lost);
    assert!(end(&[half_then_stale(&[0, 15, 30], 45)]).target_lost);
    assert!(!end(&[cpu(), up(&[(15, 0.0), (30, 1.0)])]).target_lost);
}
