//! The machines and jobs of the crash proof: everything is a function of the job's number, so nothing
//! needs to be remembered to know what must be archived.

use serde_json::{Value, json};
use tachograph::num;
use tachograph::source_port::RawSeries;
use tachograph::testkit::fake_prometheus::FakePrometheus;
use tachograph::time::{TimeRange, TimestampMs};

const MACHINES: u64 = 8;
const SCRAPE_MS: i64 = 1_000;
/// Machines were scraped during two stretches of this many scrapes, on two dates.
const SCRAPES: i64 = 600;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

/// When the machines were scraped.
#[derive(Debug)]
pub(super) struct World {
    stretches: [i64; 2],
}

/// A job that was over long before it was reported.
#[derive(Debug)]
pub(super) struct Job {
    id: u64,
    pub(super) window: TimeRange,
}

impl World {
    pub(super) fn new(now: TimestampMs) -> Self {
        let recent = (now.0 - 20 * MINUTE_MS).div_euclid(SCRAPE_MS) * SCRAPE_MS;
        Self {
            stretches: [recent - DAY_MS, recent],
        }
    }

    /// Gives the machines' series to the fake.
    pub(super) fn put(&self, fake: &FakePrometheus) {
        for machine in 0..MACHINES {
            fake.put(&format!("m-{machine}:9100"), self.series(machine));
        }
    }

    fn series(&self, machine: u64) -> Vec<RawSeries> {
        let times = self.stretches.iter().flat_map(|from| {
            let from = *from;
            (0..SCRAPES).map(move |scrape| from + scrape * SCRAPE_MS)
        });
        let times: Vec<i64> = times.collect();
        let series = |name: &str, labels: &[(&str, &str)], value: &dyn Fn(i64) -> i64| RawSeries {
            name: name.to_owned(),
            labels: labels
                .iter()
                .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
                .collect(),
            samples: times
                .iter()
                .map(|ts| (*ts, num::to_f64(value(*ts))))
                .collect(),
        };
        // Seconds since the first scrape; counters grow with it, unevenly.
        let first = self.stretches[0];
        let speed = num::len_i64(num::to_usize(machine)) + 1;
        let grown = |ts: i64, factor: i64| {
            let seconds = (ts - first) / SCRAPE_MS;
            seconds * factor + seconds % 7
        };
        let cpu = |mode: &'static str, factor: i64| {
            let value = move |ts| grown(ts, factor);
            series(
                "node_cpu_seconds_total",
                &[("cpu", "0"), ("mode", mode)],
                &value,
            )
        };
        vec![
            series("up", &[], &|_| 1),
            cpu("user", speed),
            cpu("system", 1),
            cpu("idle", 3),
            series("node_memory_MemTotal_bytes", &[], &|_| 8 << 30),
            series("node_memory_MemAvailable_bytes", &[], &|ts| {
                (4 << 30) + grown(ts, 4_096)
            }),
            series("node_load1", &[], &|ts| grown(ts, 1) % 5),
            series(
                "node_network_receive_bytes_total",
                &[("device", "eth0")],
                &|ts| grown(ts, 1_000 * speed),
            ),
        ]
    }

    pub(super) fn job(&self, id: u64) -> Job {
        let mut rng = fastrand::Rng::with_seed(id);
        let from = rng.choice(self.stretches).unwrap_or(self.stretches[1]);
        let started = from + rng.i64(5 * SCRAPE_MS..(SCRAPES - 60) * SCRAPE_MS);
        let length = rng.i64(1..40 * SCRAPE_MS);
        Job {
            id,
            window: TimeRange::new(TimestampMs(started), TimestampMs(started + length)),
        }
    }
}

impl Job {
    pub(super) fn body(&self) -> Value {
        let at = |ts: TimestampMs| ts.to_rfc3339();
        json!({
            "project": format!("acme/p{}", self.id % 3), "project_id": self.id % 3,
            "name": format!("unit {}", self.id % 4), "ref": "main", "status": "success",
            "runner_id": self.id % super::REGIONS, "machine": format!("m-{}", self.id % MACHINES),
            "started_at": at(self.window.from), "finished_at": at(self.window.to),
            "sections": [{"name": "step_script", "started_at": at(self.window.from), "finished_at": at(self.window.to)}],
        })
    }

    /// The scrapes that must be its rows: those inside, and the first one behind.
    pub(super) fn rows(&self) -> Vec<i64> {
        let up = |ms: i64| ms.div_euclid(SCRAPE_MS) + i64::from(ms.rem_euclid(SCRAPE_MS) > 0);
        let scrapes = up(self.window.from.0)..=up(self.window.to.0);
        scrapes.map(|scrape| scrape * SCRAPE_MS).collect()
    }

    pub(super) fn samples_inside(&self) -> usize {
        self.rows().len() - 1
    }
}
