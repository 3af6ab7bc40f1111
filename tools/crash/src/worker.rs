//! The process under test: opens the archive as a library and does everything that changes it, in a
//! random order that its seed gives, while others kill it, break its disk or leave its steps out.
//!
//! Whatever it tries and whatever is acknowledged goes to the oracle's file first and then. It prints
//! `open MS`, `ack` (the first time), `reached` (the step that was to break was there), `wrong ...`
//! (something it saw itself) and `done OPERATIONS`.

use crate::lab::{Args, Result, Work};
use crate::oracle::{Oracle, Pen, problems};
use crate::world::{Level, RESTAGED, RUNNING, STAGED, World};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tachograph::archive::{
    Acceptance, Accepted, Archive, CompactionPolicy, Haste, Reply, Settings, Staged,
};
use tachograph::error::{Error, ErrorKind};
use tachograph::model::job::JobEvent;
use tachograph::time::SystemClock;

/// Operations at once: enough for batches of the commit thread.
const BATCH_MAX: u64 = 24;
/// Jobs are amended up to this level.
const LEVEL_MAX: Level = RESTAGED + 4;
/// How often a worker opens its archive again after a failure.
const OPENINGS: u32 = 4;
const DELAY: Duration = Duration::from_millis(30);

static REACHED: AtomicBool = AtomicBool::new(false);

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody may listen any more.
    let _best_effort = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// Makes a step end the process, wait, or fail, the `at`-th time it is reached.
fn arm(step: &str, action: &str, at: u64) -> Result<()> {
    let count = AtomicU64::new(0);
    let due = move || {
        let now = count.fetch_add(1, Ordering::SeqCst) == at;
        if now {
            REACHED.store(true, Ordering::SeqCst);
        }
        now
    };
    let armed = match action {
        "abort" => fail::cfg_callback(step, move || {
            if due() {
                std::process::abort();
            }
        }),
        "delay" => fail::cfg_callback(step, move || {
            if due() {
                std::thread::sleep(DELAY);
            }
        }),
        "error" if at == 0 => fail::cfg(step, "1*return"),
        "error" => fail::cfg(step, &format!("{at}*off->1*return")),
        _ => return Err(format!("no action {action}").into()),
    };
    armed.map_err(Into::into)
}

/// The names in `a,b`.
fn each(names: &str) -> impl Iterator<Item = &str> {
    names.split(',').filter(|name| !name.is_empty())
}

/// Leaves precautions out, as `a,b`.
pub(crate) fn omit(names: &str) -> Result<()> {
    for name in each(names) {
        if !tachograph::fault::OMISSIONS.contains(&name) {
            return Err(format!("no omission {name}").into());
        }
        fail::cfg(name, "return")?;
    }
    Ok(())
}

/// Precautions that are left out in the lab's own process, until it is dropped: the next mutant is another
/// one.
pub(crate) struct Omitted<'a>(&'a str);

impl<'a> Omitted<'a> {
    pub(crate) fn new(names: &'a str) -> Result<Self> {
        omit(names)?;
        Ok(Self(names))
    }
}

impl Drop for Omitted<'_> {
    fn drop(&mut self) {
        each(self.0).for_each(fail::remove);
    }
}

struct Worker {
    root: PathBuf,
    world: World,
    rng: fastrand::Rng,
    oracle: Oracle,
    pen: Pen,
    archive: Option<Archive>,
    acknowledged: u64,
    openings: u32,
}

/// The arguments of a worker.
pub(crate) fn args(work: &Work, world: World, seed: u64, steps: u64, omit: &str) -> Args {
    Args::default()
        .with("root", work.path().display())
        .with("stride", world.stride)
        .with("seed", seed)
        .with("steps", steps)
        .with("omit", omit)
}

/// The role `worker`.
pub(crate) fn run(args: &Args) -> Result<()> {
    omit(args.text("omit").unwrap_or_default())?;
    if let Some(step) = args.text("step") {
        arm(
            step,
            args.text("action").unwrap_or("abort"),
            args.number("at").unwrap_or(0),
        )?;
    }
    let root = PathBuf::from(args.text("root").ok_or("root=DIR is missing")?);
    let path = root.join("oracle");
    let mut worker = Worker {
        world: World {
            stride: args.number("stride").unwrap_or(1),
        },
        rng: fastrand::Rng::with_seed(args.number("seed").unwrap_or(0)),
        oracle: Oracle::read(&path)?,
        pen: Pen::open(&path)?,
        root,
        archive: None,
        acknowledged: 0,
        openings: 0,
    };
    let steps = args.number("steps").unwrap_or(u64::MAX);
    let mut done = 0;
    while done < steps {
        let Some(archive) = worker.archive.take() else {
            if !worker.open() {
                break;
            }
            continue;
        };
        let went_well = worker.step(&archive)?;
        worker.archive = went_well.then_some(archive);
        done += 1;
    }
    if args.text("end") == Some("abort") {
        std::process::abort();
    }
    drop(worker.archive.take());
    if REACHED.load(Ordering::SeqCst) {
        say("reached");
    }
    say(&format!("done {}", worker.acknowledged));
    Ok(())
}

/// What the failures of broken steps and disks may be; anything else is a mistake.
fn note(error: &Error) {
    let poisoned = error.code() == "archive_poisoned";
    if poisoned || error.chain().contains("was made to fail") {
        REACHED.store(true, Ordering::SeqCst);
    }
    if error.kind() != ErrorKind::Unavailable {
        say(&format!("wrong {}", error.chain()));
    }
}

/// Notes the failure of a write. Who says that nothing more is written must mean it.
fn refused(archive: &Archive, error: &Error) {
    note(error);
    if error.code() == "archive_poisoned" && archive.is_writable() {
        say("wrong it is written on after a failed write");
    }
}

/// Seals, or compacts and removes what was replaced; a reader that began before keeps its files meanwhile.
fn make_segments(archive: &Archive, root: &Path, compacts: bool) {
    let made = if compacts {
        let pin = archive.pin_files();
        let live = archive
            .live_segments(None)
            .map_or_else(|_| Vec::new(), |found| found.0);
        let paths = live
            .into_iter()
            .flat_map(|own| [own.samples_path, own.jobs_path]);
        let before: Vec<PathBuf> = paths.map(|path| root.join("data").join(path)).collect();
        let compacted = archive.compact(Haste::All, &|| Ok(()));
        let removed = compacted.and_then(|_| archive.remove_obsolete());
        for path in before.iter().filter(|path| !path.exists()) {
            say(&format!("wrong {} went under a reader", path.display()));
        }
        drop(pin);
        removed.and_then(|_| archive.remove_obsolete().map(|_| ()))
    } else {
        archive.seal_all().map(|_| ())
    };
    if let Err(error) = made {
        note(&error);
    }
}

/// Opens a data directory as every part of the lab does. Replaced files stay for programs that read in
/// place; here there are none.
pub(crate) fn open_archive(data: &Path) -> Result<Archive, Error> {
    let compact = CompactionPolicy {
        grace_ms: 0,
        ..CompactionPolicy::default()
    };
    let settings = Settings {
        compact,
        ..Settings::default()
    };
    Archive::open(data, settings, SystemClock::shared())
}

impl Worker {
    /// Opens the archive, also after a failure: what failed once must not stay broken.
    fn open(&mut self) -> bool {
        let began = Instant::now();
        let archive = open_archive(&self.root.join("data"));
        self.openings += 1;
        match archive {
            Ok(archive) => {
                say(&format!("open {}", began.elapsed().as_millis()));
                self.archive = Some(archive);
                true
            }
            Err(error) => {
                say(&format!("refused {}", error.chain()));
                note(&error);
                self.openings < OPENINGS
            }
        }
    }

    /// One thing; `false` if the archive takes nothing more and must be opened again.
    fn step(&mut self, archive: &Archive) -> Result<bool> {
        match self.rng.u8(..20) {
            0..=11 => self.batch(archive)?,
            12..=14 => self.repeat(archive)?,
            15..=18 => {
                let compacts = self.rng.bool();
                let root = self.root.clone();
                std::thread::scope(|scope| {
                    // Events and reads go on while segments are made.
                    scope.spawn(move || make_segments(archive, &root, compacts));
                    for _ in 0..self.rng.u8(..4) {
                        self.batch(archive)?;
                        self.look(archive);
                    }
                    Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
                })?;
            }
            _ => self.look(archive),
        }
        if archive.is_writable() {
            return Ok(true);
        }
        // Reads go on after the last write.
        self.look(archive);
        Ok(self.openings >= OPENINGS)
    }

    fn look(&mut self, archive: &Archive) {
        let behind = self.oracle.next();
        let some = (0..8).map(|_| self.rng.u64(0..=behind));
        let some: BTreeSet<u64> = some.collect();
        for wrong in self.oracle.check(archive, self.world, some) {
            say(&format!("wrong {wrong}"));
        }
    }

    /// Brings some jobs a level further, all at once.
    fn batch(&mut self, archive: &Archive) -> Result<()> {
        let size = self.rng.u64(1..=BATCH_MAX);
        let mut jobs = BTreeSet::new();
        for _ in 0..size {
            let behind = self.oracle.next();
            // A third are new; of the others the latest are the likeliest to be incomplete.
            let n = match self.rng.u8(..3) {
                0 => behind + self.rng.u64(..3),
                1 => behind.saturating_sub(self.rng.u64(..40)),
                _ => self.rng.u64(..=behind),
            };
            jobs.insert(n);
        }
        let operations = jobs.into_iter().filter_map(|n| {
            let (acknowledged, tried) = self.oracle.levels(n);
            let next = tried.max(acknowledged + 1);
            (next <= LEVEL_MAX).then_some((n, next))
        });
        let operations: Vec<(u64, Level)> = operations.collect();
        self.pen.tries(&operations)?;
        for (n, level) in &operations {
            self.oracle.note(false, *n, *level);
        }
        let (stage, say): (Vec<_>, Vec<_>) = operations
            .into_iter()
            .partition(|(_, level)| [STAGED, RESTAGED].contains(level));
        let mut done = self.accept(archive, &say)?;
        done.extend(self.stage(archive, &stage)?);
        self.pen.acknowledged(&done)?;
        self.note_acknowledged(&done);
        Ok(())
    }

    fn note_acknowledged(&mut self, done: &[(u64, Level)]) {
        for (n, level) in done {
            self.oracle.note(true, *n, *level);
        }
        let now = u64::try_from(done.len()).unwrap_or(0);
        if self.acknowledged == 0 && now > 0 {
            say("ack");
        }
        self.acknowledged += now;
    }

    /// Reports again what was acknowledged: nothing may change.
    fn repeat(&mut self, archive: &Archive) -> Result<()> {
        let behind = self.oracle.next();
        let known = (0..BATCH_MAX).filter_map(|_| {
            let n = self.rng.u64(..=behind);
            // The last event or the first: one in between would say an older thing at the same rank.
            let (acknowledged, tried) = self.oracle.levels(n);
            let last = if acknowledged == tried {
                acknowledged
            } else {
                RUNNING
            };
            let level = if self.rng.bool() { last } else { RUNNING };
            (acknowledged > 0).then_some((n, level))
        });
        let known: Vec<_> = known.collect();
        self.accept(archive, &known)?;
        Ok(())
    }

    /// Gives events to the archive, all before the first answer; returns those acknowledged.
    fn accept(
        &mut self,
        archive: &Archive,
        operations: &[(u64, Level)],
    ) -> Result<Vec<(u64, Level)>> {
        let replies: Vec<_> = operations
            .iter()
            .map(|(n, level)| {
                let event = self.world.event(*n, *level);
                (*n, *level, event.clone(), archive.accept(event, None))
            })
            .collect();
        let mut done = Vec::new();
        for (n, level, event, reply) in replies {
            match accepted(archive, event, reply) {
                Ok(_) => done.push((n, level)),
                Err(error) => refused(archive, &error),
            }
        }
        Ok(done)
    }

    fn stage(
        &mut self,
        archive: &Archive,
        operations: &[(u64, Level)],
    ) -> Result<Vec<(u64, Level)>> {
        let (mut done, mut replies) = (Vec::new(), Vec::new());
        for (n, level) in operations {
            match self.stage_one(archive, *n, *level) {
                Ok(Some(reply)) => replies.push((*n, *level, reply)),
                // It was staged before: by a process that died before it could say so.
                Ok(None) => done.push((*n, *level)),
                Err(error) => note(&error),
            }
        }
        for (n, level, reply) in replies {
            match reply.wait() {
                Ok(Staged::Archived | Staged::Sealed) => done.push((n, level)),
                Ok(Staged::Stale) => {}
                Err(error) => refused(archive, &error),
            }
        }
        Ok(done)
    }

    fn stage_one(
        &self,
        archive: &Archive,
        n: u64,
        level: Level,
    ) -> Result<Option<Reply<Staged>>, Error> {
        let event = self.world.event(n, level);
        let reply = archive.accept(event.clone(), None);
        let accepted = accepted(archive, event, reply)?;
        let record = archive.pending(accepted.job)?;
        Ok(record.map(|record| archive.stage(self.world.staging(n, record))))
    }
}

/// The role `opener`: starts, recovers, and waits for its end.
pub(crate) fn open_and_wait(args: &Args) -> Result<()> {
    omit(args.text("omit").unwrap_or_default())?;
    let root = PathBuf::from(args.text("root").ok_or("root=DIR is missing")?);
    let archive = open_archive(&root.join("data"));
    say(&archive.map_or_else(
        |error| format!("refused {}", error.chain()),
        |_| "open".to_owned(),
    ));
    std::thread::sleep(Duration::from_secs(600));
    Ok(())
}

/// Waits for an event's answer and gives the sealed facts as often as they are asked for.
pub(crate) fn accepted(
    archive: &Archive,
    event: JobEvent,
    reply: Reply<Acceptance>,
) -> Result<Accepted, Error> {
    let mut reply = reply;
    loop {
        match reply.wait()? {
            Acceptance::Accepted(accepted) => return Ok(accepted),
            Acceptance::NeedsSealedFacts => {
                let sealed = archive.sealed_facts(&event.job)?;
                reply = archive.accept(event.clone(), Some(sealed));
            }
        }
    }
}

/// Opens a directory that a worker left and says what is wrong: with every job, every invariant, and
/// with what can be done next.
pub(crate) fn examine(
    root: &Path,
    oracle: &Oracle,
    world: World,
    go_on: bool,
) -> Result<Vec<String>> {
    let archive = match open_archive(&root.join("data")) {
        Ok(archive) => archive,
        Err(error) => return Ok(vec![format!("it does not open: {}", error.chain())]),
    };
    let mut wrong = oracle.check_all(&archive, world)?;
    if go_on {
        if let Err(error) = archive.seal_all() {
            wrong.push(format!("it cannot seal: {}", error.chain()));
        }
        let compacted = archive.compact(Haste::All, &|| Ok(()));
        if let Err(error) = compacted.and_then(|_| archive.remove_obsolete()) {
            wrong.push(format!("it cannot compact: {}", error.chain()));
        }
        wrong.extend(oracle.check(&archive, world, oracle.jobs().map(|(n, _)| n)));
        wrong.extend(problems(&archive, false)?);
    }
    Ok(wrong)
}
