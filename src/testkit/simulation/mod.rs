//! Whole lives of the service in simulated time: ingest and archive as they are, a clock that a seed
//! moves, a region that fails and recovers, steps of the disk that fail, and restarts, against a model
//! that knows what must be archived.
//!
//! One seed is one life, and one history: what the archive's interface shows after each step. RocksDB
//! is not deterministic inside, so nothing of it is in the history. Things happen one at a time: the
//! clock jumps from one due time to the next, and waits until nothing is due.
//!
//! Used by `tests/it` (a few seeds) and by the crash lab (thousands, also with steps that fail: fail
//! points are one per process, so only a process that runs nothing else may break steps).

mod world;

use crate::archive::{Archive, Settings};
use crate::error::{Error, Result};
use crate::ingest::{Intake, Lookups, Pipeline, PipelineParts};
use crate::model::id::{RegionName, RunnerId, Source};
use crate::model::runner::{Preset, Region, RegionKind, Runner, RunnerRef};
use crate::model::scope::Scope;
use crate::model::state::State;
use crate::supervise::BlockingPool;
use crate::telemetry::Metrics;
use crate::testkit::clock::ManualClock;
use crate::time::{Clock as _, SharedClock, TimestampMs};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use world::{EPOCH_MS, Mood, SimJob, World};

/// What a life is.
#[derive(Debug, Clone)]
pub struct Life {
    /// Everything random is a function of it.
    pub seed: u64,
    /// An empty or absent directory, best in memory.
    pub root: PathBuf,
    /// Whether steps of the commit protocol fail (see `fault`).
    pub breaks_steps: bool,
}

/// How a life went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// BLAKE3 of everything that was seen.
    pub digest: String,
    /// Steps, restarts among them, and jobs.
    pub steps: u64,
    /// How often the archive was opened.
    pub openings: u64,
    /// Jobs archived in the end.
    pub jobs: u64,
    /// What does not hold; empty is well.
    pub problems: Vec<String>,
}

/// Steps that may fail, in a life that breaks them.
const BREAKABLE: [&str; 8] = [
    "commit.write",
    "commit.written",
    "stage.prepared",
    "file.written",
    "file.synced",
    "file.renamed",
    "seal.paired",
    "seal.flipped",
];
/// More steps than any life takes.
const STEPS_MAX: u64 = 3_000;
/// The region is well again from here on.
const TROUBLE_MS: i64 = 40 * 60_000;
/// Polls of the queue until a step counts as hanging: 20 s.
const POLLS_MAX: u32 = 40_000;
const POLL: Duration = Duration::from_micros(500);

/// Something that comes from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outside {
    Register,
    Event { job: usize, ends: bool },
    Seal,
    Restart,
}

/// The service while it runs.
struct Service {
    archive: Arc<Archive>,
    intake: Intake,
    pipeline: BoxFuture<'static, Result<()>>,
    wake: Arc<Notify>,
}

struct Simulation {
    life: Life,
    rng: fastrand::Rng,
    clock: Arc<ManualClock>,
    world: Arc<World>,
    jobs: Vec<SimJob>,
    /// What comes when; the number keeps two of one moment apart.
    ahead: BTreeMap<(i64, u64), Outside>,
    numbers: u64,
    /// Jobs of which start or end was acknowledged.
    started: BTreeSet<usize>,
    ended: BTreeSet<usize>,
    seen: blake3::Hasher,
    history: History,
}

/// Lives a life.
///
/// # Errors
/// Only if the simulation itself cannot go on; what the archive does wrong stands in the history.
pub async fn run(life: Life) -> Result<History> {
    let clock = ManualClock::at(TimestampMs(EPOCH_MS));
    let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
    let mut simulation = Simulation {
        rng: fastrand::Rng::with_seed(life.seed),
        world: Arc::new(World::new(shared)),
        clock,
        life,
        jobs: Vec::new(),
        ahead: BTreeMap::new(),
        numbers: 0,
        started: BTreeSet::new(),
        ended: BTreeSet::new(),
        seen: blake3::Hasher::new(),
        history: History {
            digest: String::new(),
            steps: 0,
            openings: 0,
            jobs: 0,
            problems: Vec::new(),
        },
    };
    simulation.plan();
    simulation.live().await?;
    let mut history = simulation.history;
    history.digest = simulation.seen.finalize().to_hex().to_string();
    Ok(history)
}

impl Simulation {
    fn plan(&mut self) {
        let jobs = self.rng.usize(3..9);
        for number in 0..jobs {
            let job = SimJob::new(num_of(number), &mut self.rng);
            for (ends, said) in [(false, job.window.from), (true, job.window.to)] {
                // Late, out of order, and a third of them twice or thrice.
                let times = if self.rng.u8(..3) == 0 { 3 } else { 1 };
                for _ in 0..self.rng.u64(1..=times) {
                    let at = said.0 + self.rng.i64(0..120_000);
                    self.comes(at, Outside::Event { job: number, ends });
                }
            }
            self.jobs.push(job);
        }
        let registered = EPOCH_MS + self.rng.choice([0, 0, 700_000]).unwrap_or(0);
        self.comes(registered, Outside::Register);
        for _ in 0..self.rng.u8(..4) {
            let at = EPOCH_MS + self.rng.i64(0..TROUBLE_MS);
            self.comes(at, Outside::Seal);
        }
        for _ in 0..self.rng.u8(..3) {
            let at = EPOCH_MS + self.rng.i64(0..TROUBLE_MS);
            self.comes(at, Outside::Restart);
        }
    }

    fn comes(&mut self, at: i64, what: Outside) {
        self.numbers += 1;
        self.ahead.insert((at, self.numbers), what);
    }

    async fn live(&mut self) -> Result<()> {
        let mut service = self.open().await?;
        loop {
            self.history.steps += 1;
            let now = self.clock.now();
            let due = service.archive.due(now, 1, |_| false)?.next;
            let next = self.ahead.first_key_value().map(|((at, _), _)| *at);
            let due = due.map(|due| due.0);
            let at = match (next, due) {
                (None, None) => break,
                (Some(next), Some(due)) => next.min(due),
                (Some(at), None) | (None, Some(at)) => at,
            };
            if self.history.steps > STEPS_MAX {
                self.wrong("it does not come to an end".to_owned());
                break;
            }
            let at = TimestampMs(at.max(now.0));
            self.clock.set(at);
            let outside = self
                .ahead
                .first_key_value()
                .filter(|((next, _), _)| *next <= at.0)
                .map(|(key, what)| (*key, *what));
            self.world.is_in(self.mood(at));
            let broken = self.break_a_step();
            if let Some((key, what)) = outside {
                self.ahead.remove(&key);
                service = self.outside(service, what).await?;
            }
            if !self.settle(&mut service).await? {
                service = self.reopen(service).await?;
                mend(broken);
                self.settle(&mut service).await?;
            }
            mend(broken);
            self.look(&service.archive)?;
        }
        self.conclude(service).await
    }

    /// What the region is like at a time: a function of seed and time alone.
    fn mood(&self, at: TimestampMs) -> Mood {
        if at.0 > EPOCH_MS + TROUBLE_MS {
            return Mood::Well;
        }
        let stretch = (at.0 - EPOCH_MS).div_euclid(90_000).unsigned_abs();
        let mut rng = fastrand::Rng::with_seed(self.life.seed ^ (stretch << 32));
        if rng.bool() {
            return Mood::Well;
        }
        rng.choice(Mood::ALL).unwrap_or(Mood::Well)
    }

    /// Now and then the next time that a step is reached it fails.
    fn break_a_step(&mut self) -> Option<&'static str> {
        if !self.life.breaks_steps || self.rng.u8(..12) > 0 {
            return None;
        }
        let step = self.rng.choice(BREAKABLE)?;
        break_step(step);
        Some(step)
    }

    async fn outside(&mut self, mut service: Service, what: Outside) -> Result<Service> {
        self.note(&format!("{what:?}"));
        match what {
            Outside::Restart => return self.reopen(service).await,
            Outside::Register => {
                if register(&mut service).await.is_err() {
                    self.again(what);
                }
            }
            Outside::Seal => {
                let sealed = service.archive.seal_all();
                self.note(&format!("{:?}", sealed.map(|all| all.len()).ok()));
            }
            Outside::Event { job, ends } => {
                let event = self.jobs.get(job).and_then(|job| job.event(ends));
                let event = event.ok_or_else(|| Error::internal("a job without a machine"))?;
                match service.intake.accept(event).await {
                    Ok(_) => {
                        self.started.insert(job);
                        if ends {
                            self.ended.insert(job);
                        }
                    }
                    // Who is not answered says it again.
                    Err(_) => self.again(what),
                }
            }
        }
        Ok(service)
    }

    fn again(&mut self, what: Outside) {
        let at = self.clock.now().0 + 10_000;
        self.comes(at, what);
    }

    /// Lets the pipeline work until nothing is due; `false` if the archive takes nothing any more.
    async fn settle(&mut self, service: &mut Service) -> Result<bool> {
        let now = self.clock.now();
        service.wake.notify_one();
        for _ in 0..POLLS_MAX {
            if !service.archive.is_writable() {
                return Ok(false);
            }
            if service.archive.due(now, 1, |_| false)?.jobs.is_empty() {
                return Ok(true);
            }
            tokio::select! {
                ended = &mut service.pipeline => {
                    ended?;
                    return Ok(false);
                }
                () = tokio::time::sleep(POLL) => {}
            }
        }
        self.wrong("a step hangs".to_owned());
        Ok(true)
    }

    /// Ends the service as a crash does, but for what the disk has, and starts it again.
    async fn reopen(&mut self, service: Service) -> Result<Service> {
        let Service {
            archive,
            intake,
            pipeline,
            ..
        } = service;
        drop((pipeline, intake));
        let mut archive = Some(archive);
        // Calls under way on other threads end first: the lock must be free.
        for _ in 0..POLLS_MAX {
            archive = match archive.take().map(Arc::try_unwrap) {
                Some(Err(shared)) => Some(shared),
                Some(Ok(_)) | None => break,
            };
            tokio::time::sleep(POLL).await;
        }
        self.note("reopened");
        self.open().await
    }

    async fn open(&mut self) -> Result<Service> {
        self.history.openings += 1;
        let clock: SharedClock = Arc::<ManualClock>::clone(&self.clock);
        let archive = Archive::open(&self.life.root, Settings::default(), Arc::clone(&clock))?;
        Ok(service(Arc::new(archive), &self.world, clock))
    }

    /// What anybody can see now goes into the history, and must agree with what was acknowledged.
    fn look(&mut self, archive: &Archive) -> Result<()> {
        let now = self.clock.now();
        let next = archive.due(now, 1, |_| false)?.next;
        self.note(&format!("{} {:?}", now.0, next.map(|next| next.0)));
        for (number, job) in self.jobs.clone().iter().enumerate() {
            let found = archive.profile(&Scope::local_operator(), &job.job)?;
            let Some((view, profile)) = found else {
                if self.started.contains(&number) {
                    self.wrong(format!("job {number} was acknowledged and is gone"));
                }
                continue;
            };
            let rows = profile.rows();
            self.note(&format!(
                "{number} {:?} {:?} {rows}",
                view.state, view.reason
            ));
            if self.ended.contains(&number) && view.facts.finished_at != Some(job.window.to) {
                self.wrong(format!(
                    "the end of job {number} was acknowledged and is gone"
                ));
            }
            if view.state == State::Archived
                && let Some(problem) = job.problem(&profile)
            {
                self.wrong(format!("job {number}: {problem}"));
            }
        }
        Ok(())
    }

    async fn conclude(&mut self, service: Service) -> Result<()> {
        let service = self.reopen(service).await?;
        let archive = &service.archive;
        archive.seal_all()?;
        self.look(archive)?;
        for (number, job) in self.jobs.clone().iter().enumerate() {
            let view = archive.find(&Scope::local_operator(), &job.job)?;
            match view.map(|view| view.state) {
                Some(State::Archived) => self.history.jobs += 1,
                state => self.wrong(format!("job {number} is {state:?} in the end")),
            }
        }
        let found = archive.verify(true, |_, _| {})?;
        for problem in found.problems {
            self.wrong(format!("{}: {}", problem.invariant.name(), problem.message));
        }
        Ok(())
    }

    fn note(&mut self, line: &str) {
        self.seen.update(line.as_bytes());
        self.seen.update(b"\n");
    }

    fn wrong(&mut self, what: String) {
        self.note(&what);
        self.history.problems.push(what);
    }
}

fn num_of(number: usize) -> u64 {
    crate::num::len_u64(number) + 1
}

#[cfg(feature = "testkit")]
fn break_step(step: &str) {
    // The names are known, so it cannot be refused.
    let _known = fail::cfg(step, "1*return");
}

#[cfg(not(feature = "testkit"))]
fn break_step(_step: &str) {}

fn mend(_step: Option<&'static str>) {
    #[cfg(feature = "testkit")]
    if let Some(step) = _step {
        fail::remove(step);
    }
}

fn service(archive: Arc<Archive>, world: &Arc<World>, clock: SharedClock) -> Service {
    let (pool, metrics) = (BlockingPool::new(2), Metrics::new());
    let wake = Arc::new(Notify::new());
    let intake = Intake::new(
        Arc::clone(&archive),
        pool.clone(),
        Arc::clone(&clock),
        Arc::clone(&metrics),
        Arc::clone(&wake),
        Arc::<World>::clone(world),
    );
    let lookups = Lookups {
        ci: Arc::<World>::clone(world),
        intake: intake.clone(),
        archive: Arc::clone(&archive),
        pool: pool.clone(),
        clock: Arc::clone(&clock),
    };
    let parts = PipelineParts {
        archive: Arc::clone(&archive),
        source: Arc::<World>::clone(world),
        pool,
        clock,
        metrics,
        wake: Arc::clone(&wake),
        lookups,
        // Of two jobs that are due at one moment either could find out that nobody answers.
        jobs_at_once: 1,
    };
    Service {
        archive,
        intake,
        pipeline: Pipeline::new(parts).run(CancellationToken::new()).boxed(),
        wake,
    }
}

async fn register(service: &mut Service) -> Result<()> {
    let region = RegionName::parse("eu-1")?;
    let registration = Region {
        url: "http://127.0.0.1:9".to_owned(),
        kind: RegionKind::Prometheus,
        headers: BTreeMap::new(),
        bearer_token_file: None,
        basic_auth: None,
        ca_file: None,
        scrape_interval_seconds: Some(15.0),
        retention_seconds: None,
    };
    service
        .intake
        .put_region(region.clone(), registration)
        .await?;
    let name = RunnerRef {
        source: Source::parse("gitlab")?,
        runner_id: RunnerId::parse("7")?,
    };
    let runner = Runner {
        region,
        machine_label: "instance".to_owned(),
        machine_value: "{machine}:9100".to_owned(),
        preset: Preset::Node,
        machine_type: None,
        price_per_hour: None,
    };
    service.intake.put_runner(name, runner).await
}

/// The same life twice, in directories of its own: whether it is the same history.
///
/// # Errors
/// As [`run`].
pub async fn twice(seed: u64, root: &Path, breaks_steps: bool) -> Result<(History, History)> {
    let life = |name: &str| Life {
        seed,
        root: root.join(name),
        breaks_steps,
    };
    Ok((run(life("first")).await?, run(life("second")).await?))
}
