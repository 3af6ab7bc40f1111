//! OpenMetrics of profiles through a real promtool into a real Prometheus: no sample is lost, moved or
//! changed.

use crate::support::{FLEET, World, report, with};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use tachograph::components::{Prometheus, PrometheusOptions, promtool_load};
use tachograph::time::TimestampMs;

/// Everything that is awkward in a label.
const HOSTILE: &str = "a \"quoted\" \\ back\\nslash, {x=\"y\"} # EOF \u{fc}\u{1f600}";

/// Samples by series (name and labels as text) and time.
type Samples = BTreeMap<(String, i64), f64>;

/// Reads the samples of our own text. Label values hold no line break, and end with the last `}`.
fn samples(text: &str) -> Samples {
    let mut found = Samples::new();
    assert!(text.ends_with("\n# EOF\n"));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, rest) = line.rsplit_once("} ").unwrap();
        let (value, time) = rest.split_once(' ').unwrap();
        let (seconds, millis) = time.split_once('.').unwrap();
        assert_eq!((seconds.len(), millis.len()), (10, 3), "{line}");
        let ms = format!("{seconds}{millis}").parse().unwrap();
        let (name, _) = series.split_once('{').unwrap();
        let id = series.split("job_id=\"").nth(1).unwrap();
        let id = id
            .split("\",project=")
            .next()
            .unwrap()
            .replace("\\\\", "\\");
        let key = (format!("{name} {id}"), ms);
        let before = found.insert(key, value.parse().unwrap());
        assert!(before.is_none(), "twice: {line}");
    }
    found
}

/// The same out of a Prometheus.
fn queried(answer: &str, name: &str) -> Samples {
    let answer: Value = serde_json::from_str(answer).unwrap();
    let mut found = Samples::new();
    for series in answer["data"]["result"].as_array().unwrap() {
        let labels = &series["metric"];
        assert_eq!(labels["name"], name);
        assert_eq!(labels["source"], "gitlab");
        assert_eq!(labels["project"], "acme/app");
        assert!(labels["machine"].is_string());
        let text = |label: &str| labels[label].as_str().unwrap().to_owned();
        let key = format!("{} {}", text("__name__"), text("job_id"));
        for point in series["values"].as_array().unwrap() {
            let ms = (point[0].as_f64().unwrap() * 1_000.0).round();
            let ms = tachograph::num::round_to_i64(ms).unwrap();
            let value = point[1].as_str().unwrap().parse().unwrap();
            assert!(found.insert((key.clone(), ms), value).is_none());
        }
    }
    found
}

/// What promtool says that it stored.
fn stored(data: &Path) -> u64 {
    let blocks = std::fs::read_dir(data).unwrap();
    let metas = blocks.filter_map(|block| {
        let meta = std::fs::read(block.unwrap().path().join("meta.json")).ok()?;
        Some(serde_json::from_slice::<Value>(&meta).unwrap())
    });
    metas
        .map(|meta| meta["stats"]["numSamples"].as_u64().unwrap())
        .sum()
}

/// Gauges are those of the JSON answer; totals grow by its increments.
fn check(samples: &Samples, id: &str, profile: &Value) -> usize {
    let times = profile["ts_ms"].as_array().unwrap().iter();
    let times: Vec<i64> = times.map(|ts| ts.as_i64().unwrap()).collect();
    let mut checked = 0;
    for (name, metric) in profile["metrics"].as_object().unwrap() {
        let gauge = format!("tachograph_{name} {id}");
        let counter = format!("tachograph_{name}_total {id}");
        let is_gauge = samples.keys().any(|(series, _)| *series == gauge);
        let at = |series: &str, ts: i64| samples.get(&(series.to_owned(), ts)).copied();
        let before = |ts: i64| {
            let range = (counter.clone(), i64::MIN)..(counter.clone(), ts);
            samples.range(range).next_back().map(|(_, total)| *total)
        };
        for (ts, value) in times.iter().zip(metric["values"].as_array().unwrap()) {
            let value = value.as_f64();
            if is_gauge {
                assert_eq!(at(&gauge, *ts), value, "{gauge} at {ts}");
            } else if let Some(increment) = value {
                let total = at(&counter, *ts).unwrap();
                let grown = total - before(*ts).expect("a total before the first increment");
                assert!(
                    (grown - increment).abs() <= 1e-9 * total.max(1.0),
                    "{counter} at {ts}: {grown}, not {increment}"
                );
            }
            checked += usize::from(value.is_some());
        }
    }
    checked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promtool_and_prometheus_keep_every_sample() {
    let world = World::start().await;
    let dir = tempfile::tempdir().unwrap();
    let ids = [
        ("1", "1"),
        ("b%5C%22%2F2", "b\\\"/2"),
        ("3", "3"),
        ("4", "4"),
    ];
    let jobs: Vec<_> = FLEET.jobs.iter().take(ids.len()).collect();
    assert_eq!(jobs.len(), ids.len());
    for ((path, _), job) in ids.iter().zip(&jobs) {
        let body = with(report(job), json!({"name": HOSTILE}));
        world.archive(path, &body).await;
    }
    for raw in [false, true] {
        let home = dir.path().join(raw.to_string());
        let mut all = Samples::new();
        let mut checked = 0;
        for (path, id) in ids {
            let url = format!("/api/v1/jobs/gitlab/{path}/profile?raw={raw}");
            let text = world.api().get(&format!("{url}&format=openmetrics")).await;
            assert_eq!(text.status, 200);
            let escaped = id.replace('"', "\\\"");
            let ours = samples(&text.text());
            let profile = world.api().get(&url).await.json(200);
            checked += check(&ours, &escaped, &profile);
            all.extend(ours);
            std::fs::create_dir_all(&home).unwrap();
            let file = home.join("profile.om");
            std::fs::write(&file, &text.body).unwrap();
            promtool_load(&file, &home.join("data")).await.unwrap();
        }
        assert!(checked > 400, "only {checked} cells");
        let totals = all.keys().any(|(name, _)| name.contains("_total "));
        assert_eq!(totals, raw);
        // Bases come on top of the cells, and nothing else.
        let extra = all.len() - checked;
        assert_eq!(extra > 0, raw);
        let count = u64::try_from(all.len()).unwrap();
        assert_eq!(
            stored(&home.join("data")),
            count,
            "promtool dropped samples"
        );

        let prometheus = Prometheus::start(&home, PrometheusOptions::default());
        let prometheus = prometheus.await.unwrap();
        let last = all.keys().map(|(_, ts)| *ts).max().unwrap();
        let everything = "{__name__=~\"tachograph_.+\"}[365d]";
        let answer = prometheus
            .query(everything, TimestampMs(last + 1_000))
            .await;
        let found = queried(&answer.unwrap(), HOSTILE);
        let unescaped = |(name, ts): (String, i64)| (name.replace("\\\"", "\""), ts);
        let all: Samples = all.into_iter().map(|(k, v)| (unescaped(k), v)).collect();
        assert_eq!(found.len(), all.len());
        assert_eq!(found, all);
        println!("raw={raw}: {checked} cells, {count} samples in Prometheus");
        prometheus.stop(false).await.unwrap();
    }
}
