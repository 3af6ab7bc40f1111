//! Damage: single bits and blocks of 4 KiB, anywhere in a closed data directory.
//!
//! After each damage the archive is opened and every job is read. A job may answer with an error that
//! says why; a wrong value is never served, nothing panics, and no job suffers that has nothing to do
//! with the damaged file. An index that does not open must say so; then no job is served at all.

use crate::kills;
use crate::lab::{End, Report, Result, Work, child, copy_tree, files};
use crate::oracle::Oracle;
use crate::worker;
use crate::world::{STAGED, World};
use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tachograph::error::ErrorKind;
use tachograph::index::Index;
use tachograph::index::keys::jobs::{JobEntry, Jobs};
use tachograph::model::scope::Scope;
use tachograph::num;

const WORLD: World = World { stride: 1 };
const BLOCK: usize = 4_096;
/// Jobs read after each damage.
const READ: usize = 30;
/// Damages from one word on how far it is to the next.
const SAY_EVERY: u64 = 500;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) flips: u64,
    pub(crate) blocks: u64,
    pub(crate) jobs: u64,
}

impl Size {
    pub(crate) fn of(short: bool) -> Self {
        if short {
            Self {
                flips: 60,
                blocks: 15,
                jobs: 1_500,
            }
        } else {
            Self {
                flips: 10_000,
                blocks: 1_000,
                jobs: 1_500,
            }
        }
    }
}

/// Kinds of files, each damaged as often as the others.
const KINDS: [&str; 5] = ["samples", "jobs", "sst", "wal", "manifest"];

fn kind_of(path: &Path) -> Option<&'static str> {
    let text = path.display().to_string();
    let name = path.file_name()?.to_str()?;
    if text.contains("/tables/samples/") {
        Some("samples")
    } else if text.contains("/tables/jobs/") {
        Some("jobs")
    } else if name.ends_with(".sst") {
        Some("sst")
    } else if name.ends_with(".log") {
        Some("wal")
    } else if name.starts_with("MANIFEST") {
        Some("manifest")
    } else {
        None
    }
}

/// What came of the damages of one kind.
#[derive(Debug, Default)]
struct Tally {
    damages: u64,
    unnoticed: u64,
    refused: u64,
    with_errors: u64,
    jobs_failed: u64,
}

impl Tally {
    fn add(&mut self, looked: &Looked) {
        self.damages += 1;
        self.refused += u64::from(looked.refused);
        self.with_errors += u64::from(looked.failed > 0);
        self.jobs_failed += looked.failed;
        self.unnoticed += u64::from(looked.failed == 0 && !looked.refused);
    }

    fn words(&self) -> String {
        format!(
            "{} damages: {} refused on opening, {} with {} jobs that answered with an error, {} without effect on the {READ} jobs read",
            self.damages, self.refused, self.with_errors, self.jobs_failed, self.unnoticed
        )
    }
}

/// A damage: other bytes at a place.
struct Damage {
    path: PathBuf,
    offset: usize,
    is: Vec<u8>,
    /// Whether it is in the footer of a Parquet file: then no job of the file may be served.
    in_footer: bool,
}

impl Damage {
    fn make(&self, data: &Path) -> Result<()> {
        let target = data.join(&self.path);
        let file = std::fs::File::options().write(true).open(target)?;
        Ok(file.write_all_at(&self.is, u64::try_from(self.offset)?)?)
    }
}

/// The part `flips`.
pub(crate) fn run(size: Size, seed: u64, omit: &str) -> Result<Report> {
    let _mutant = worker::Omitted::new(omit)?;
    damages(size, seed, omit)
}

fn damages(size: Size, seed: u64, omit: &str) -> Result<Report> {
    let work = Work::new("flips")?;
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut report = Report::default();
    kills::fill(&work, size.jobs)?;
    // Segments, staged jobs in files of the index and, by a last worker's kill, in its log.
    let oracle = Oracle::read(&work.oracle())?;
    leave_a_log(&work, &oracle)?;
    let oracle = Oracle::read(&work.oracle())?;
    let clean = Work::new("flips-clean")?;
    copy_tree(&work.data(), &clean.data())?;
    let places = by_kind(&clean.data())?;
    let homes = homes(&work.data(), &oracle)?;
    let began = Instant::now();
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    let kinds = KINDS.into_iter().cycle();
    for (turn, kind) in (0..size.flips + size.blocks).zip(kinds) {
        let is_bit = turn < size.flips;
        let Some(damage) = damage(&clean.data(), places.get(kind), is_bit, &mut rng)? else {
            continue;
        };
        if report.has_caught(omit) {
            break;
        }
        refresh(&clean.data(), &work.data())?;
        damage.make(&work.data())?;
        let seed = rng.u64(..);
        let looked =
            std::panic::catch_unwind(|| look(&work.data(), (&oracle, &homes), &damage, seed));
        let looked = looked.unwrap_or_else(|_| Ok(Looked::wrong("it panicked".to_owned())))?;
        tallies.entry(kind).or_default().add(&looked);
        let place = format!("{} at {}", damage.path.display(), damage.offset);
        let wrong = looked.wrong.into_iter();
        report.violations(wrong.map(|what| format!("{place}: {what}")));
        let done = turn + 1;
        if done.is_multiple_of(SAY_EVERY) {
            let seconds = began.elapsed().as_secs();
            let all = size.flips + size.blocks;
            eprintln!("{done} of {all} damages after {seconds} s");
        }
    }
    report.line("jobs", oracle.len());
    for (kind, tally) in tallies {
        report.line(kind, tally.words());
    }
    report.line("time", format!("{:.0} s", began.elapsed().as_secs_f64()));
    Ok(report)
}

/// A worker that is killed leaves its last writes in the log of the index.
fn leave_a_log(work: &Work, oracle: &Oracle) -> Result<()> {
    let args = worker::args(work, WORLD, num::len_u64(oracle.len()), 60, "");
    let process = child("worker", &args.with("end", "abort"))?.spawn()?;
    End::of(process, Duration::from_secs(60))?;
    Ok(())
}

fn by_kind(root: &Path) -> Result<BTreeMap<&'static str, Vec<PathBuf>>> {
    let mut places: BTreeMap<&str, Vec<PathBuf>> = BTreeMap::new();
    for path in files(root)? {
        if let (Some(kind), Ok(inside)) = (kind_of(&path), path.strip_prefix(root)) {
            places.entry(kind).or_default().push(inside.to_owned());
        }
    }
    Ok(places)
}

/// One bit, or a block that is zeroed or holds another block of the file.
fn damage(
    root: &Path,
    places: Option<&Vec<PathBuf>>,
    bit: bool,
    rng: &mut fastrand::Rng,
) -> Result<Option<Damage>> {
    let Some(path) = places.and_then(|places| rng.choice(places)) else {
        return Ok(None);
    };
    let bytes = std::fs::read(root.join(path))?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let (offset, is) = if bit {
        let offset = rng.usize(..bytes.len());
        let byte = bytes.get(offset).copied().unwrap_or(0) ^ (1 << rng.u8(..8));
        (offset, vec![byte])
    } else {
        let blocks = bytes.len().div_ceil(BLOCK);
        let offset = rng.usize(..blocks) * BLOCK;
        let len = BLOCK.min(bytes.len() - offset);
        let other = rng.usize(..blocks) * BLOCK;
        let misplaced = bytes.get(other..other + len).filter(|_| rng.bool());
        (
            offset,
            misplaced.map_or_else(|| vec![0; len], <[u8]>::to_vec),
        )
    };
    let was = bytes
        .get(offset..offset + is.len())
        .unwrap_or_default()
        .to_vec();
    let in_footer = path.starts_with("tables") && is_in_footer(&bytes, offset, &is);
    Ok((was != is).then(|| Damage {
        path: path.clone(),
        offset,
        is,
        in_footer,
    }))
}

/// Makes the directory what it was: opening changes the index, and removes files that it does not name.
fn refresh(clean: &Path, data: &Path) -> Result<()> {
    std::fs::remove_dir_all(data)?;
    copy_tree(clean, data)
}

#[derive(Debug, Default)]
struct Looked {
    refused: bool,
    failed: u64,
    wrong: Vec<String>,
}

impl Looked {
    fn wrong(what: String) -> Self {
        Self {
            wrong: vec![what],
            ..Self::default()
        }
    }
}

/// Opens and reads.
fn look(
    data: &Path,
    (oracle, homes): (&Oracle, &BTreeMap<u64, PathBuf>),
    damage: &Damage,
    seed: u64,
) -> Result<Looked> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut looked = Looked::default();
    let archive = match worker::open_archive(data) {
        Ok(archive) => archive,
        Err(error) => {
            if error.kind() != ErrorKind::Data {
                looked
                    .wrong
                    .push(format!("refused, but not as damage: {}", error.chain()));
            }
            looked.refused = true;
            return Ok(looked);
        }
    };
    let archived = oracle.jobs().filter(|(_, levels)| levels.0 >= STAGED);
    let archived: Vec<u64> = archived.map(|(n, _)| n).collect();
    let lives_there = |n: &u64| homes.get(n).is_some_and(|home| damage.path.ends_with(home));
    let inside = archived.iter().copied().filter(lives_there);
    let mut some = rng.choose_multiple(inside, READ / 2);
    some.extend(rng.choose_multiple(archived.iter().copied(), READ - some.len()));
    for n in some {
        let found = archive.profile(&Scope::local_operator(), &WORLD.job_ref(n));
        let wrong = match found {
            Ok(_) if damage.in_footer && lives_there(&n) => {
                vec![format!(
                    "job {n} is served though the footer of its file is damaged"
                )]
            }
            Ok(found) => {
                let wrong = WORLD.check(n, oracle.levels(n), found.as_ref());
                wrong.into_iter().collect()
            }
            Err(error) => {
                looked.failed += 1;
                let stranger = damage.path.starts_with("tables") && !lives_there(&n);
                let problems = [
                    (stranger, "fails, and lives elsewhere"),
                    (error.kind() != ErrorKind::Data, "fails, but not as damage"),
                ];
                let real = problems.iter().filter(|(is_real, _)| *is_real);
                real.map(|(_, what)| format!("job {n} {what}: {}", error.chain()))
                    .collect()
            }
        };
        looked.wrong.extend(wrong);
    }
    Ok(looked)
}

/// The file of every sealed job, as `date=.../name`.
fn homes(data: &Path, oracle: &Oracle) -> Result<BTreeMap<u64, PathBuf>> {
    let index = Index::open(&data.join("index"))?;
    let mut by_name = BTreeMap::new();
    index.snapshot().scan::<Jobs>(&[], None, |_, entry| {
        if let JobEntry::Sealed(sealed) = entry {
            let file = format!("date={}/00000-{:010}.parquet", sealed.date, sealed.segment);
            by_name.insert(sealed.job.to_string(), PathBuf::from(file));
        }
        Ok(true)
    })?;
    let home = |n: u64| Some((n, by_name.remove(&WORLD.job_ref(n).to_string())?));
    Ok(oracle.jobs().map(|(n, _)| n).filter_map(home).collect())
}

/// Whether a change of a Parquet file from `offset` on reaches into its footer.
fn is_in_footer(bytes: &[u8], offset: usize, is: &[u8]) -> bool {
    let length = bytes
        .split_last_chunk::<8>()
        .and_then(|(_, [a, b, c, d, ..])| {
            usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).ok()
        });
    let Some(start) = length.and_then(|length| bytes.len().checked_sub(8 + length)) else {
        return false;
    };
    let mut changes = bytes.iter().skip(offset).zip(is).enumerate();
    changes.any(|(at, (was, is))| offset + at >= start && was != is)
}
