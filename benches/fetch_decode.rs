//! The decoders of the fetch path on the jobs of a made-up fleet: samples per second of CPU time, and
//! bytes per sample on the wire.

use super::{cpu, median};
use std::hint::black_box;
use tachograph::error::Result;
use tachograph::ingest::assemble::names;
use tachograph::model::id::RegionName;
use tachograph::model::runner::Preset;
use tachograph::prometheus::decoders;
use tachograph::source_port::{RawSeries, SeriesRequest};
use tachograph::testkit::fake_prometheus::{read_response, snappy};
use tachograph::testkit::fleet::{Fleet, FleetSpec};
use tachograph::testkit::streamed::streamed_response;

const RUNS: usize = 7;

type Decoder = fn(&[u8], &SeriesRequest) -> Result<Vec<RawSeries>>;

/// One job: what is asked, and what there is.
struct Case {
    request: SeriesRequest,
    series: Vec<RawSeries>,
}

pub(crate) fn run() {
    println!(
        "\nfetch_decode: from the bytes of an answer to verified series, CPU, median of {RUNS}"
    );
    for (name, median_seconds) in [("jobs of 4 min", 220.0), ("jobs of 50 min", 3_000.0)] {
        let fleet = Fleet::generate(FleetSpec {
            median_seconds,
            ..FleetSpec::default()
        });
        let cases = cases(&fleet);
        let samples: usize = cases.iter().map(|case| count(&case.series)).sum();
        println!(
            "  {name} (median): {} jobs, {} samples per job",
            cases.len(),
            samples / cases.len()
        );
        let packed = |series: &[RawSeries]| snappy(&read_response(series));
        measure("remote read, samples", &cases, packed, decoders::samples);
        measure(
            "remote read, XOR chunks",
            &cases,
            streamed_response,
            decoders::chunks,
        );
        measure("export, JSON lines", &cases, lines, decoders::export);
    }
}

fn cases(fleet: &Fleet) -> Vec<Case> {
    let region = serde_json::json!({ "url": "http://h" });
    let cases = fleet.jobs.iter().map(|job| {
        let range = job.window.padded(31_000, 30_000);
        let mut series = fleet.series(&job.machine, range);
        series.retain(|series| names(Preset::Node).contains(&series.name.as_str()));
        series.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
        let request = SeriesRequest {
            region_name: RegionName::parse("bench").unwrap(),
            region: serde_json::from_value(region.clone()).unwrap(),
            machine: ("instance".to_owned(), format!("{}:9100", job.machine)),
            names: names(Preset::Node),
            range,
        };
        Case { request, series }
    });
    cases.collect()
}

fn count(series: &[RawSeries]) -> usize {
    series.iter().map(|series| series.samples.len()).sum()
}

/// The lines of the export route, which are those of the import route.
fn lines(series: &[RawSeries]) -> Vec<u8> {
    let mut text = String::new();
    for series in series {
        let list = |texts: Vec<String>| texts.join(",");
        let metric: std::collections::BTreeMap<_, _> = series
            .labels
            .iter()
            .cloned()
            .chain([("__name__".to_owned(), series.name.clone())])
            .collect();
        text.push_str(&format!(
            "{{\"metric\":{},\"values\":[{}],\"timestamps\":[{}]}}\n",
            serde_json::to_string(&metric).unwrap(),
            list(
                series
                    .samples
                    .iter()
                    .map(|(_, value)| value.to_string())
                    .collect()
            ),
            list(
                series
                    .samples
                    .iter()
                    .map(|(ts, _)| ts.to_string())
                    .collect()
            ),
        ));
    }
    text.into_bytes()
}

fn measure(name: &str, cases: &[Case], encode: impl Fn(&[RawSeries]) -> Vec<u8>, decode: Decoder) {
    let bodies: Vec<Vec<u8>> = cases.iter().map(|case| encode(&case.series)).collect();
    for (case, body) in cases.iter().zip(&bodies) {
        assert_eq!(decode(body, &case.request).unwrap(), case.series);
    }
    let times = (0..RUNS).map(|_| {
        let start = cpu();
        for (case, body) in cases.iter().zip(&bodies) {
            black_box(decode(black_box(body), &case.request).unwrap());
        }
        cpu() - start
    });
    let time = median(times.collect());
    let samples = cases.iter().map(|case| count(&case.series)).sum::<usize>() as f64;
    let bytes = bodies.iter().map(Vec::len).sum::<usize>() as f64;
    println!(
        "    {name:26} {:6.1} M samples/s/core, {:7.0} jobs/s/core, {:5.2} B/sample",
        samples / time / 1e6,
        cases.len() as f64 / time,
        bytes / samples
    );
}
