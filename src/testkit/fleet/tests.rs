//! The fleet's series and its truth agree, and real servers take them.

use super::*;
use crate::components::{Prometheus, PrometheusOptions, VictoriaMetrics, promtool_load};
use crate::num;
use crate::source_port::is_stale;
use std::collections::BTreeSet;

fn fleet(spec: FleetSpec) -> Fleet {
    Fleet::generate(spec)
}

/// Value at `at` by linear interpolation of a sum of series.
fn counter_at(series: &[&RawSeries], at: TimestampMs) -> Option<f64> {
    series
        .iter()
        .map(|series| {
            let after = series.samples.iter().position(|(ts, _)| *ts >= at.0)?;
            let (t0, v0) = series.samples[after.checked_sub(1)?];
            let (t1, v1) = series.samples[after];
            let share = num::to_f64(at.0 - t0) / num::to_f64(t1 - t0);
            Some(v0 + (v1 - v0) * share)
        })
        .sum()
}

fn used_cpu(machine: &FleetMachine) -> Vec<&RawSeries> {
    let unused = ["idle", "iowait", "steal"];
    machine
        .series
        .iter()
        .filter(|series| series.name == "node_cpu_seconds_total")
        .filter(|series| !unused.contains(&series.label("mode")))
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_fleet_and_machines_do_not_depend_on_their_number() {
    let spec = FleetSpec {
        machines: 6,
        ..FleetSpec::default()
    };
    let one = fleet(spec);
    assert_eq!(one, fleet(spec));
    let more = fleet(FleetSpec {
        machines: 7,
        ..spec
    });
    assert_eq!(one.machines[..], more.machines[..6]);
    assert_ne!(one.machines, fleet(FleetSpec { seed: 2, ..spec }).machines);
}

#[test]
fn interpolated_counters_find_the_truth_of_long_jobs() {
    let fleet = fleet(FleetSpec::default());
    let mut checked = 0;
    for job in fleet.jobs.iter().filter(|job| !job.rebooted) {
        if job.window.len_ms() < 300_000 || job.ephemeral {
            continue;
        }
        let machine = fleet.machines.iter().find(|m| m.name == job.machine);
        let series = used_cpu(machine.unwrap());
        let edges = counter_at(&series, job.window.from).zip(counter_at(&series, job.window.to));
        let Some((from, to)) = edges else {
            continue;
        };
        let error = ((to - from) / job.truth.cpu_used_seconds - 1.0).abs();
        assert!(error < 0.06, "job {} {:?}: {error}", job.id, job.shape);
        checked += 1;
    }
    assert!(checked > 30, "only {checked} jobs were checked");
}

#[test]
fn series_are_sane_and_complete() {
    let fleet = fleet(FleetSpec {
        reboot_share: 0.3,
        stale_markers: true,
        ..FleetSpec::default()
    });
    let shapes: BTreeSet<_> = fleet.jobs.iter().map(|job| job.shape).collect();
    assert_eq!(shapes.len(), Shape::ALL.len());
    assert!(fleet.jobs.iter().any(|job| job.rebooted));
    assert!(fleet.jobs.iter().any(|job| job.truth.oom_kills == 1));
    for machine in &fleet.machines {
        let names: BTreeSet<&str> = machine.series.iter().map(|s| s.name.as_str()).collect();
        for name in ["up", "node_boot_time_seconds", "node_memory_SwapFree_bytes"] {
            assert!(names.contains(name), "{name}");
        }
        let keys: BTreeSet<_> = machine
            .series
            .iter()
            .map(|s| (&s.name, &s.labels))
            .collect();
        assert_eq!(keys.len(), machine.series.len(), "no series twice");
        for series in &machine.series {
            assert!(series.samples.windows(2).all(|pair| pair[0].0 < pair[1].0));
            assert!(series.labels.is_sorted());
            assert!(series.samples.last().is_some_and(|(_, v)| is_stale(*v)));
            let resets = series.name.ends_with("_total") && machine.rebooted_at.is_none();
            let values: Vec<f64> = series.samples.iter().map(|(_, v)| *v).collect();
            let real = &values[..values.len() - 1];
            assert!(!resets || real.is_sorted(), "{} goes back", series.name);
        }
    }
}

#[test]
fn a_read_is_clipped_to_its_range() {
    let fleet = fleet(FleetSpec::default());
    let job = &fleet.jobs[10];
    let series = fleet.series(&job.machine, job.window);
    assert!(!series.is_empty());
    for (ts, _) in series.iter().flat_map(|series| &series.samples) {
        assert!(job.window.contains(TimestampMs(*ts)));
    }
    assert!(fleet.series("nobody", job.window).is_empty());
}

fn small() -> Fleet {
    fleet(FleetSpec {
        machines: 3,
        stale_markers: true,
        ..FleetSpec::default()
    })
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test's own file")]
async fn promtool_and_prometheus_take_every_sample() {
    let fleet = small();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("fleet.om");
    let mut text = Vec::new();
    fleet.write_open_metrics(&mut text).unwrap();
    let lines = text.split(|byte| *byte == b'\n');
    let samples = lines.filter(|line| line.starts_with(b"node_cpu_s")).count();
    std::fs::write(&file, text).unwrap();
    promtool_load(&file, &dir.path().join("data"))
        .await
        .unwrap();
    let prometheus = Prometheus::start(dir.path(), PrometheusOptions::default())
        .await
        .unwrap();
    let end = fleet.machines.iter().map(|m| m.seen.to).max().unwrap();
    let query = "sum(count_over_time(node_cpu_seconds_total[1d]))";
    let answer = prometheus.query(query, end.plus_ms(60_000)).await.unwrap();
    assert!(
        answer.contains(&format!("\"{samples}\"]")),
        "{samples}: {answer}"
    );
}

#[tokio::test]
async fn victoria_metrics_takes_the_fleet() {
    let fleet = small();
    let dir = tempfile::tempdir().unwrap();
    let server = VictoriaMetrics::start(dir.path()).await.unwrap();
    server.import(&fleet.json_lines().unwrap()).await.unwrap();
    let name = format!("{}:9100", fleet.machines[0].name);
    let seen = fleet.machines[0].seen;
    let text = server.export("up", &name, seen).await.unwrap();
    let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    let up = fleet.machines[0].series.iter().find(|s| s.name == "up");
    let sent = up
        .unwrap()
        .samples
        .iter()
        .filter(|(_, v)| !is_stale(*v))
        .count();
    assert_eq!(line["values"].as_array().unwrap().len(), sent);
}
