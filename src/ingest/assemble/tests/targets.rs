//! Rule 1: which series are the machine.

use super::*;

/// The series as another target has them.
fn on(mut series: RawSeries, label: &str, value: &str) -> RawSeries {
    series.labels.retain(|(name, _)| name != label);
    series.labels.push((label.to_owned(), value.to_owned()));
    series.labels.sort();
    series
}

#[test]
fn other_exporters_of_the_machine_are_no_candidates() {
    let series = [
        half(&[0, 15, 30, 45]),
        on(raw("node_load1", &[], &[(7, 99.0)]), "job", "textfile"),
        on(up(&[(0, 0.0), (15, 0.0)]), "job", "textfile"),
    ];
    let assembled = job(&series, 1, 44);
    assert_eq!(verdict(&assembled), Verdict::Complete);
    assert_eq!(row_seconds(&assembled.profile), [15, 30, 45]);
}

#[test]
fn of_two_machines_the_better_covered_one_is_taken() {
    let other = on(cpu("0", "user", &[(0, 0.0), (20, 1.0)]), "job", "aaa");
    let series = [other, half(&[0, 5, 15, 25, 30])];
    let assembled = job(&series, 1, 29);
    assert_eq!(verdict(&assembled), Verdict::AmbiguousMachine);
    assert_eq!(row_seconds(&assembled.profile), [5, 15, 25, 30]);
}

#[test]
fn of_equal_machines_the_first_in_label_order_is_taken() {
    let first = on(half(&[0, 15, 30]), "job", "aaa");
    let second = on(
        cpu("0", "user", &[(0, 0.0), (16, 1.0), (30, 2.0)]),
        "job",
        "bbb",
    );
    for series in [[first.clone(), second.clone()], [second, first]] {
        let assembled = job(&series, 1, 29);
        assert_eq!(verdict(&assembled), Verdict::AmbiguousMachine);
        assert_eq!(row_seconds(&assembled.profile), [15, 30]);
    }
}

#[test]
fn a_namesake_that_was_silent_during_the_job_is_not_the_machine() {
    let before = on(half(&[-45, -30, -15]), "job", "aaa");
    let series = [before, half(&[0, 15, 30, 45])];
    let assembled = job(&series, 1, 44);
    assert_eq!(verdict(&assembled), Verdict::Complete);
}

#[test]
fn namesakes_that_were_all_silent_cannot_be_told_apart() {
    let series = [on(half(&[0, 60]), "job", "aaa"), half(&[0, 60])];
    assert_eq!(verdict(&job(&series, 20, 40)), Verdict::AmbiguousMachine);
}

#[test]
fn the_machine_label_is_identity_even_if_a_metric_uses_its_name() {
    let series = [
        on(half(&[0, 15, 30, 45]), "device", "m1"),
        on(half(&[0, 15, 30, 45]), "device", "m2"),
    ];
    let mut input = Input {
        series: &series,
        window: seconds(1, 44),
        fetched: seconds(0, 60),
        machine_label: "device",
        configured_interval_ms: None,
    };
    let ambiguous = assemble(&input);
    assert_eq!(verdict(&ambiguous), Verdict::AmbiguousMachine);
    input.machine_label = "instance";
    assert_eq!(verdict(&assemble(&input)), Verdict::Complete);
}

#[test]
fn up_may_lack_labels_that_relabelling_gave_the_series() {
    let series = [
        on(half(&[0, 15, 60, 75]), "team", "a"),
        up(&[
            (0, 1.0),
            (15, 1.0),
            (30, 0.0),
            (45, 0.0),
            (60, 1.0),
            (75, 1.0),
        ]),
    ];
    assert_eq!(verdict(&job(&series, 1, 74)), Verdict::ScrapeDown);
}

#[test]
fn no_series_is_an_unknown_machine() {
    let assembled = job(&[], 0, 60);
    assert_eq!(verdict(&assembled), Verdict::UnknownMachine);
    assert_eq!(
        assembled.findings.reason,
        Some(crate::model::state::Reason::UnknownMachine)
    );
    assert_eq!(assembled.profile, Profile::default());
    assert_eq!(gap_seconds(&assembled, None), [(0, 60)]);
    assert_eq!(assembled.end, crate::ingest::assemble::EndState::default());
    // A target that answers, but is no node_exporter, or has nothing but markers.
    let answers = [
        up(&[(0, 1.0), (15, 1.0)]),
        cpu("0", "user", &[(15, stale())]),
    ];
    assert_eq!(verdict(&job(&answers, 0, 60)), Verdict::UnknownMachine);
}

#[test]
fn a_target_that_never_answered_is_known_and_down() {
    let assembled = job(&[up(&[(0, 0.0), (15, 0.0), (30, 0.0)])], 0, 30);
    assert_eq!(verdict(&assembled), Verdict::ScrapeDown);
    assert!(assembled.end.target_lost && !assembled.end.any_samples());
}
