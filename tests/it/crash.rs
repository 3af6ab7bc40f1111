//! kill -9 proof on the real binary: whatever was acknowledged is archived exactly once.
//!
//! 50 times a service is started on one data directory and killed: half of the times while it starts,
//! half of the times at a random moment after it acknowledged something, with up to 200 reports in
//! flight and often in the middle of a seal. What was acknowledged is remembered here, outside of the
//! directory. In the end each of these jobs must be archived, listed, and in the sealed files exactly
//! once, sample for sample.
//!
//! A killed process leaves the page cache intact, so this proves the order of writes and the recovery,
//! not that the disk keeps what was synced.
//!
//! `cargo test --features testkit --test it crash -- --nocapture`. `TACHOGRAPH_CRASH_SEED` repeats the
//! random choices of a run; what they hit is up to the machine.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test's own environment and tasks, and the archive's files as a stranger sees them"
)]

mod files;
mod jobs;
pub(crate) mod service;

use crate::proof_support::{Api, percentile};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jobs::World;
use serde_json::{Value, json};
use service::{Seals, Service};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;
use tachograph::testkit::fake_prometheus::FakePrometheus;
use tachograph::time::{Clock, SystemClock};

const KILLS: usize = 50;
const IN_FLIGHT: usize = 200;
/// Reports of one round.
const REPORTS: std::ops::Range<u64> = 30..330;
/// A kill comes at most so long after the first acknowledgement: while reports come in, or later.
const LIFE_MS: [u64; 2] = [60, 600];
/// A seal begins at most so long before its kill: one that is hit, or one that is done by then.
const SEAL_MS: [u64; 2] = [100, 600];
/// Every so many reports repeat one that was sent before, and may be staged or sealed by now.
const REPEAT_EVERY: u64 = 10;
/// All served by one fake: each region is read by two at once.
const REGIONS: u64 = 4;
/// Patience at the end.
const TRIES: u32 = 2_400;
const PAUSE: Duration = Duration::from_millis(100);

/// What is known of the jobs and the kills, whatever happens to the data directory.
#[derive(Debug, Default)]
struct Oracle {
    acknowledged: BTreeSet<u64>,
    sent: u64,
    unanswered: u64,
    registered: bool,
    kills_at_start: usize,
    ready_before_kill: usize,
    kills_at_work: usize,
    kills_in_seal: usize,
    seals: u64,
    orphans: usize,
    ready_ms: Vec<f64>,
}

/// One service after the other on one directory.
struct Proof {
    world: World,
    fake_url: String,
    data: PathBuf,
    binary: PathBuf,
    rng: fastrand::Rng,
    clock: SystemClock,
    oracle: Oracle,
}

/// A report and whether it was acknowledged; `None` if there was no answer.
async fn report(api: Api, id: u64, body: Value) -> (u64, Option<u16>) {
    (id, api.put(&format!("/jobs/ci/{id}"), &body).await.ok())
}

impl Proof {
    /// Kills a service before it is ready. One that was ready sooner does not count.
    async fn kill_at_start(&mut self) {
        loop {
            // Never later than the fastest start so far, so that most of these kills hit.
            let fastest = self.oracle.ready_ms.iter().copied().fold(500.0, f64::min);
            let after = Duration::from_secs_f64(self.rng.f64() * fastest / 1e3);
            let service = Service::spawn(&self.binary, &self.data);
            tokio::time::sleep(after).await;
            let ended = service.kill().await;
            self.oracle.orphans += ended.check();
            if !ended.was_ready {
                self.oracle.kills_at_start += 1;
                return;
            }
            self.oracle.ready_before_kill += 1;
        }
    }

    async fn start(&mut self) -> (Service, Api) {
        let mut service = Service::spawn(&self.binary, &self.data);
        let (address, ready) = service.ready().await;
        self.oracle.ready_ms.push(ready.as_secs_f64() * 1e3);
        (service, Api::new(address))
    }

    async fn register(&mut self, api: &Api) {
        for number in 0..REGIONS {
            let region = json!({"url": self.fake_url, "scrape_interval_seconds": 1});
            let put = api.put(&format!("/regions/r{number}"), &region).await;
            assert_eq!(put.unwrap(), 204);
            let runner = json!({"region": format!("r{number}")});
            let put = api.put(&format!("/runners/ci/{number}"), &runner).await;
            assert_eq!(put.unwrap(), 204);
        }
        self.oracle.registered = true;
    }

    /// The id of the next report: a new job, or now and then an old one.
    fn next_id(&mut self) -> u64 {
        let old = self.oracle.sent > 0 && self.rng.u64(0..REPEAT_EVERY) == 0;
        if old {
            return self.rng.u64(0..self.oracle.sent);
        }
        self.oracle.sent += 1;
        self.oracle.sent - 1
    }

    fn note(&mut self, (id, status): (u64, Option<u16>)) -> usize {
        match status {
            Some(202) => {
                self.oracle.acknowledged.insert(id);
                1
            }
            Some(status) => panic!("the report of job {id} was answered with {status}"),
            None => {
                self.oracle.unanswered += 1;
                0
            }
        }
    }

    /// Kills a service at a random moment after it acknowledged a report.
    async fn kill_at_work(&mut self) {
        let (service, api) = self.start().await;
        if !self.oracle.registered {
            self.register(&api).await;
        }
        let mut left = self.rng.u64(REPORTS);
        let life_ms = self.rng.choice(LIFE_MS).unwrap_or(1);
        let life = Duration::from_millis(self.rng.u64(0..life_ms));
        // Half of the rounds seal shortly before their end, again and again.
        let seal_ms = self.rng.choice(SEAL_MS).unwrap_or(1);
        let sealing = Duration::from_millis(self.rng.u64(0..seal_ms));
        let seal_after = self.rng.bool().then(|| life.saturating_sub(sealing));
        let seals = seal_after.map(|after| Seals::start(api.clone(), after));
        let mut reports = FuturesUnordered::new();
        let mut alarm = std::pin::pin!(tokio::time::sleep(Duration::from_secs(3_600)));
        let mut acknowledged = 0;
        loop {
            while left > 0 && reports.len() < IN_FLIGHT {
                left -= 1;
                let id = self.next_id();
                reports.push(report(api.clone(), id, self.world.job(id).body()));
            }
            tokio::select! {
                () = &mut alarm => break,
                Some(answer) = reports.next() => {
                    let before = acknowledged;
                    acknowledged += self.note(answer);
                    if before == 0 && acknowledged > 0 {
                        alarm.as_mut().reset(tokio::time::Instant::now() + life);
                    }
                }
            }
        }
        let in_seal = seals.as_ref().is_some_and(Seals::is_asked);
        let ended = service.kill().await;
        self.oracle.kills_at_work += 1;
        self.oracle.kills_in_seal += usize::from(in_seal);
        if let Some(seals) = seals {
            self.oracle.seals += seals.end().await;
        }
        self.oracle.orphans += ended.check();
        // What was answered before the kill may still be on its way.
        while let Some(answer) = reports.next().await {
            self.note(answer);
        }
    }

    /// Lets a last service archive everything and seal it; checks what it says. It is stopped then.
    async fn conclude(&mut self) {
        let (service, api) = self.start().await;
        self.settle(&api).await;
        println!(
            "settled after {:.1} s",
            self.clock.monotonic().as_secs_f64()
        );
        let (status, sealed) = api.post("/admin/seal").await.unwrap();
        assert_eq!(status, 200, "{sealed}");
        let mut listed: BTreeMap<String, usize> = BTreeMap::new();
        for job in api.list("source=ci&").await {
            assert_eq!(job["state"], "archived", "{job}");
            let id = job["job_id"].as_str().unwrap().to_owned();
            *listed.entry(id).or_default() += 1;
        }
        assert!(listed.values().all(|times| *times == 1), "listed twice");
        let missing = |id: &&u64| !listed.contains_key(&id.to_string());
        let missing: Vec<_> = self.oracle.acknowledged.iter().filter(missing).collect();
        assert!(missing.is_empty(), "acknowledged and lost: {missing:?}");
        let gets = self.oracle.acknowledged.iter().map(|id| {
            let (api, wanted) = (api.clone(), self.world.job(*id));
            async move {
                let job = api.get(&format!("/jobs/ci/{id}")).await;
                assert_eq!(job["state"], "archived", "{job}");
                assert_eq!(job["sample_count"], wanted.samples_inside(), "{job}");
                assert_eq!(job["finished_at_ms"], wanted.window.to.0, "{job}");
            }
        });
        let gets: Vec<_> = gets.collect();
        let got = futures::stream::iter(gets).buffer_unordered(32);
        got.collect::<Vec<()>>().await;
        let regions = api.get("/regions").await;
        assert_eq!(regions.as_object().unwrap().len(), 4, "{regions}");
        let violations = api.metric("tachograph_invariant_violations").await;
        assert!(violations < 0.5, "{violations} invariants were violated");
        service.stop().await.check();
    }

    /// Waits until nothing is pending.
    async fn settle(&self, api: &Api) {
        for _ in 0..TRIES {
            if api.metric("tachograph_pending_jobs").await < 0.5 {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        let pending = api.list("source=ci&state=pending&").await;
        panic!(
            "{} jobs are not archived: {:?}",
            pending.len(),
            pending.first()
        );
    }

    fn summary(&self, seed: u64, sealed: &files::Sealed) {
        let oracle = &self.oracle;
        let ready = |share| percentile(&oracle.ready_ms, share);
        println!(
            "crash proof, seed {seed}: {} kills in {:.1} s ({} during start-up, {} at work, {} of these inside a seal); \
             {} reports unanswered, {} of {} jobs acknowledged, all archived, listed and sealed exactly once \
             ({} rows in {} segments, {} jobs in all); reopening p50 {:.0} ms, max {:.0} ms",
            oracle.kills_at_start + oracle.kills_at_work,
            self.clock.monotonic().as_secs_f64(),
            oracle.kills_at_start,
            oracle.kills_at_work,
            oracle.kills_in_seal,
            oracle.unanswered,
            oracle.acknowledged.len(),
            oracle.sent,
            sealed.rows,
            sealed.segments,
            sealed.jobs.len(),
            ready(0.5),
            ready(1.0),
        );
        println!(
            "{} seals were answered, {} files of broken-off seals were removed; \
             {} services were ready before the kill of their start and do not count",
            oracle.seals, oracle.orphans, oracle.ready_before_kill
        );
    }
}

fn seed() -> u64 {
    let said = std::env::var("TACHOGRAPH_CRASH_SEED").ok();
    let seed = said.map(|text| text.parse().expect("TACHOGRAPH_CRASH_SEED is a number"));
    seed.unwrap_or_else(|| fastrand::u64(..1_000_000_000))
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_50_times_and_lose_nothing() {
    let clock = SystemClock::new();
    let seed = seed();
    println!("seed {seed}");
    let dir = tempfile::tempdir().unwrap();
    // Another build may replace the binary meanwhile.
    let binary = dir.path().join("tachograph");
    std::fs::copy(env!("CARGO_BIN_EXE_tachograph"), &binary).unwrap();
    let fake = FakePrometheus::start().await.unwrap();
    let world = World::new(clock.now());
    world.put(&fake);
    let mut proof = Proof {
        world,
        fake_url: fake.url(),
        data: dir.path().join("data"),
        binary,
        rng: fastrand::Rng::with_seed(seed),
        clock,
        oracle: Oracle::default(),
    };
    let mut at_start: Vec<bool> = (0..KILLS).map(|kill| kill % 2 == 0).collect();
    proof.rng.shuffle(&mut at_start);
    for at_start in at_start {
        if at_start {
            proof.kill_at_start().await;
        } else {
            proof.kill_at_work().await;
        }
    }
    println!(
        "killed after {:.1} s",
        proof.clock.monotonic().as_secs_f64()
    );
    proof.conclude().await;
    let sealed = files::read(&proof.data);
    proof.check_sealed(&sealed);
    proof.summary(seed, &sealed);
}

impl Proof {
    /// The files hold every acknowledged job once, with exactly its samples, and nothing else.
    fn check_sealed(&self, sealed: &files::Sealed) {
        for id in &self.oracle.acknowledged {
            assert!(sealed.jobs.contains_key(id), "job {id} is in no file");
        }
        for (id, rows) in &sealed.jobs {
            assert!(*id < self.oracle.sent, "job {id} was never reported");
            let wanted = self.world.job(*id).rows();
            assert_eq!(*rows, wanted, "rows of job {id}");
        }
        for folder in ["tmp", "quarantine"] {
            let left: Vec<_> = std::fs::read_dir(self.data.join(folder)).unwrap().collect();
            assert!(left.is_empty(), "{folder}: {left:?}");
        }
    }
}
