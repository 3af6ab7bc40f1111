//! The same jobs through every way of asking, from real servers: Prometheus and VictoriaMetrics.
//!
//! The servers' own limits are set so low that long jobs do not fit into one answer, so windows are
//! halved and joined here by real refusals. What was asked is read from the servers' own counters.
#![expect(clippy::disallowed_methods, reason = "a test's own files")]

use futures::StreamExt as _;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tachograph::components::{Prometheus, PrometheusOptions, VictoriaMetrics, promtool_load};
use tachograph::ingest::assemble::{Assembled, Input, assemble, names};
use tachograph::model::id::RegionName;
use tachograph::model::runner::{Preset, Region};
use tachograph::outbound::Timeouts;
use tachograph::prometheus::PrometheusSource;
use tachograph::source_port::{MetricSource as _, RawSeries, SeriesRequest};
use tachograph::testkit::fleet::{Fleet, FleetJob, FleetSpec};
use tachograph::time::{SystemClock, TimeRange};

const JOBS: usize = 200;
/// Samples per answer of Prometheus, for remote read in one block and for queries.
const LIMIT: &str = "2000";
/// Reads at once; the source lets two through.
const AT_ONCE: usize = 8;
/// How VictoriaMetrics counts requests for what it does not have.
const UNSUPPORTED: &str = "reason=\"unsupported\"";
const COUNTERS_LAG: Duration = Duration::from_millis(1_200);
const PADDING_MS: (i64, i64) = (31_000, 30_000);

/// A way to ask: how the region is registered decides which.
struct Way {
    name: &'static str,
    region: Region,
}

/// An interval of an hour: no window is long. A tenth of a second: every window is.
fn ways(prometheus: &str, victoria: &str) -> Vec<Way> {
    let way = |name, region| Way {
        name,
        region: serde_json::from_value(region).unwrap(),
    };
    vec![
        way(
            "remote read, samples",
            json!({"url": prometheus, "kind": "prometheus", "scrape_interval_seconds": 3_600}),
        ),
        way(
            "remote read, chunks",
            json!({"url": prometheus, "kind": "auto", "scrape_interval_seconds": 0.1}),
        ),
        // Prometheus has no export, VictoriaMetrics no remote read: the next step is taken.
        way(
            "selector, Prometheus",
            json!({"url": prometheus, "kind": "victoriametrics"}),
        ),
        way(
            "export, VictoriaMetrics",
            json!({"url": victoria, "kind": "auto"}),
        ),
        way(
            "selector, VictoriaMetrics",
            json!({"url": victoria, "kind": "prometheus"}),
        ),
    ]
}

fn request(way: &Way, number: usize, job: &FleetJob) -> SeriesRequest {
    SeriesRequest {
        region_name: RegionName::parse(&format!("way-{number}")).unwrap(),
        region: way.region.clone(),
        machine: ("instance".to_owned(), format!("{}:9100", job.machine)),
        names: names(Preset::Node),
        range: padded(job),
    }
}

fn padded(job: &FleetJob) -> TimeRange {
    job.window.padded(PADDING_MS.0, PADDING_MS.1)
}

fn assembled(job: &FleetJob, series: &[RawSeries]) -> Assembled {
    assemble(&Input {
        series,
        window: job.window,
        fetched: padded(job),
        machine_label: "instance",
        configured_interval_ms: None,
    })
}

/// What a server counted: the counter `name` by its labels.
async fn counted(url: &str, name: &str) -> BTreeMap<String, u64> {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = client.get(format!("{url}/metrics")).send().await.unwrap();
    let page = page.text().await.unwrap();
    let lines = page.lines().filter_map(|line| line.strip_prefix(name));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(labels, count)| (format!("{name}{labels}"), count.parse().unwrap_or(0)))
        .collect()
}

async fn servers(fleet: &Fleet, dir: &Path) -> (Prometheus, VictoriaMetrics) {
    let file = dir.join("fleet.om");
    let mut text = Vec::new();
    fleet.write_open_metrics(&mut text).unwrap();
    std::fs::write(&file, text).unwrap();
    promtool_load(&file, &dir.join("data")).await.unwrap();
    let options = PrometheusOptions {
        extra_args: vec![
            format!("--storage.remote.read-sample-limit={LIMIT}"),
            format!("--query.max-samples={LIMIT}"),
        ],
        ..PrometheusOptions::default()
    };
    let prometheus = Prometheus::start(dir, options).await.unwrap();
    let victoria = VictoriaMetrics::start(&dir.join("victoria")).await.unwrap();
    victoria.import(&fleet.json_lines().unwrap()).await.unwrap();
    (prometheus, victoria)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_gives_equal_profiles() {
    let fleet = Fleet::generate(FleetSpec {
        seed: 20_261_125,
        ..FleetSpec::default()
    });
    let step = fleet.jobs.len() / JOBS;
    let jobs: Vec<&FleetJob> = fleet.jobs.iter().step_by(step).take(JOBS).collect();
    assert_eq!(jobs.len(), JOBS);
    let dir = tempfile::tempdir().unwrap();
    let (prometheus, victoria) = servers(&fleet, dir.path()).await;
    let no_secrets = |_: &Path| Err(std::io::ErrorKind::NotFound.into());
    let timeouts = Timeouts::default();
    let source = PrometheusSource::new(Box::new(no_secrets), timeouts, SystemClock::shared());
    let source = source.unwrap();

    let mut first: Vec<Vec<RawSeries>> = Vec::new();
    let mut asked = Vec::new();
    let mut before = requests_so_far(&prometheus, &victoria).await;
    for (number, way) in ways(&prometheus.url(), &victoria.url()).iter().enumerate() {
        let requests: Vec<_> = jobs.iter().map(|job| request(way, number, job)).collect();
        let answers: Vec<_> = futures::stream::iter(&requests)
            .map(|request| source.read(request))
            .buffered(AT_ONCE)
            .collect()
            .await;
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        let after = requests_so_far(&prometheus, &victoria).await;
        asked.push(grown(&before, &after));
        before = after;
        report(way, &jobs, &answers, asked.last().unwrap());
        if first.is_empty() {
            check_against_the_fleet(&fleet, &jobs, &answers);
            first = answers;
            continue;
        }
        for ((job, answer), expected) in jobs.iter().zip(&answers).zip(&first) {
            assert_eq!(
                assembled(job, answer),
                assembled(job, expected),
                "{} {job:?}",
                way.name
            );
            assert_eq!(answer, expected, "{} {job:?}", way.name);
        }
    }
    check_what_was_asked(&asked);
}

/// The first way against what was loaded, so that all ways cannot be wrong in the same way.
fn check_against_the_fleet(fleet: &Fleet, jobs: &[&FleetJob], answers: &[Vec<RawSeries>]) {
    for (job, answer) in jobs.iter().zip(answers) {
        let mut known = fleet.series(&job.machine, padded(job));
        known.retain(|series| names(Preset::Node).contains(&series.name.as_str()));
        known.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
        assert_eq!(*answer, known, "{job:?}");
    }
}

type Counts = BTreeMap<String, u64>;

async fn requests_so_far(prometheus: &Prometheus, victoria: &VictoriaMetrics) -> Counts {
    // VictoriaMetrics shows the same page for a second.
    tokio::time::sleep(COUNTERS_LAG).await;
    let mut all = counted(&prometheus.url(), "prometheus_http_requests_total").await;
    all.extend(counted(&victoria.url(), "vm_http_requests_total").await);
    all.extend(counted(&victoria.url(), "vm_http_request_errors_total").await);
    all.retain(|labels, _| labels.contains("/api/v1/") || labels.contains(UNSUPPORTED));
    all
}

fn grown(before: &Counts, after: &Counts) -> Counts {
    after
        .iter()
        .map(|(labels, count)| (labels.clone(), count - before.get(labels).unwrap_or(&0)))
        .filter(|(_, more)| *more > 0)
        .collect()
}

fn report(way: &Way, jobs: &[&FleetJob], answers: &[Vec<RawSeries>], asked: &Counts) {
    let series: usize = answers.iter().map(Vec::len).sum();
    let samples: usize = answers
        .iter()
        .flatten()
        .map(|series| series.samples.len())
        .sum();
    let rows: usize = jobs
        .iter()
        .zip(answers)
        .map(|(job, answer)| assembled(job, answer).profile.rows())
        .sum();
    println!(
        "{:26} {} jobs, {series} series, {samples} samples, {rows} rows; asked {asked:?}",
        way.name,
        jobs.len()
    );
}

fn check_what_was_asked(asked: &[Counts]) {
    let count = |way: usize, parts: &[&str]| -> u64 {
        let matching = asked[way]
            .iter()
            .filter(|(labels, _)| parts.iter().all(|part| labels.contains(part)));
        matching.map(|(_, count)| count).sum()
    };
    let jobs = u64::try_from(JOBS).unwrap();
    let read = "handler=\"/api/v1/read\"";
    // Samples: every refusal makes one request for a half more.
    let refused = count(0, &[read, "code=\"400\""]);
    assert!(refused > 0);
    assert_eq!(count(0, &[read, "code=\"200\""]), jobs + refused);
    // Chunks are not subject to the limit: one request per job.
    assert_eq!(count(1, &[read, "code=\"200\""]), jobs);
    assert_eq!(count(1, &[read, "code=\"400\""]), 0);
    let query = "handler=\"/api/v1/query\"";
    let refused = count(2, &[query, "code=\"422\""]);
    assert!(refused > 0);
    assert_eq!(count(2, &[query, "code=\"200\""]), jobs + refused);
    assert_eq!(count(2, &[read]), 0);
    // One request in vain, whatever the number of reads that began at once.
    for (way, path) in [
        (3, "path=\"/api/v1/export\""),
        (4, "path=\"/api/v1/query\""),
    ] {
        assert_eq!(count(way, &["vm_http_requests_total", path]), jobs);
        assert_eq!(count(way, &[UNSUPPORTED]), 1);
    }
}
