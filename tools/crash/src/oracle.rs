//! What was acknowledged, written down outside of the data directory before the archive could forget it.
//!
//! A text of lines `t N LEVEL` (it is tried to bring job N to that level) and `a N LEVEL` (the archive
//! acknowledged it). Operations on one job follow each other, so after a crash a job is at a level from
//! the last acknowledged to the last tried one.

use crate::lab::Result;
use crate::world::{Level, World};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use tachograph::archive::Archive;
use tachograph::model::scope::Scope;

/// Levels of every job ever tried: acknowledged and tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Oracle {
    jobs: BTreeMap<u64, (Level, Level)>,
}

impl Oracle {
    /// Reads what a process wrote. A last line that is cut off was not written: nothing followed it.
    pub(crate) fn parse(text: &str) -> Self {
        let mut oracle = Self::default();
        for line in text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
        {
            let mut words = line.split_whitespace();
            if let (Some(word), Some(n), Some(level)) = (words.next(), words.next(), words.next())
                && let (Ok(n), Ok(level)) = (n.parse(), level.parse())
            {
                oracle.note(word == "a", n, level);
            }
        }
        oracle
    }

    pub(crate) fn read(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes an operation.
    pub(crate) fn note(&mut self, acknowledged: bool, n: u64, level: Level) {
        let levels = self.jobs.entry(n).or_default();
        levels.1 = levels.1.max(level);
        if acknowledged {
            levels.0 = levels.0.max(level);
        }
    }

    pub(crate) fn levels(&self, n: u64) -> (Level, Level) {
        self.jobs.get(&n).copied().unwrap_or_default()
    }

    pub(crate) fn jobs(&self) -> impl Iterator<Item = (u64, (Level, Level))> + '_ {
        self.jobs.iter().map(|(n, levels)| (*n, *levels))
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Sum of all acknowledged operations.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.jobs
            .values()
            .map(|(acknowledged, _)| u64::from(*acknowledged))
            .sum()
    }

    /// A number that no job has yet.
    pub(crate) fn next(&self) -> u64 {
        self.jobs.last_key_value().map_or(0, |(n, _)| n + 1)
    }

    /// Looks for the given jobs and says what is wrong.
    pub(crate) fn check(
        &self,
        archive: &Archive,
        world: World,
        jobs: impl IntoIterator<Item = u64>,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        for n in jobs {
            match archive.profile(&Scope::local_operator(), &world.job_ref(n)) {
                Ok(found) => wrong.extend(world.check(n, self.levels(n), found.as_ref())),
                Err(error) => wrong.push(format!("job {n}: cannot be read: {}", error.chain())),
            }
        }
        wrong
    }

    /// Every job of the oracle, and every invariant of the archive, with statistics computed anew.
    pub(crate) fn check_all(&self, archive: &Archive, world: World) -> Result<Vec<String>> {
        let mut wrong = self.check(archive, world, self.jobs.keys().copied());
        wrong.extend(problems(archive, true)?);
        Ok(wrong)
    }
}

/// Invariants that do not hold.
pub(crate) fn problems(archive: &Archive, deep: bool) -> Result<Vec<String>> {
    let found = archive
        .verify(deep, |_, _| {})
        .map_err(|error| error.chain())?;
    let problems = found.problems.into_iter();
    Ok(problems
        .map(|problem| format!("{}: {}", problem.invariant.name(), problem.message))
        .collect())
}

/// The pen of a process under test.
#[derive(Debug)]
pub(crate) struct Pen(File);

impl Pen {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        Ok(Self(File::options().create(true).append(true).open(path)?))
    }

    /// What is tried now.
    pub(crate) fn tries(&mut self, operations: &[(u64, Level)]) -> Result<()> {
        self.lines("t", operations)
    }

    /// What was acknowledged.
    pub(crate) fn acknowledged(&mut self, operations: &[(u64, Level)]) -> Result<()> {
        self.lines("a", operations)
    }

    fn lines(&mut self, word: &str, operations: &[(u64, Level)]) -> Result<()> {
        let mut text = String::new();
        for (n, level) in operations {
            writeln!(text, "{word} {n} {level}")?;
        }
        Ok(self.0.write_all(text.as_bytes())?)
    }
}
