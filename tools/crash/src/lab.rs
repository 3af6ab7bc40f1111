//! What all parts of the lab share: results, child processes, places for work.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Failures of the lab itself end it; violations of the archive's promises are counted in a [`Report`].
pub(crate) type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

/// Violations that are described one by one.
const DESCRIBED_MAX: usize = 20;

/// What one part of the lab did and found: lines of a table, and violations.
#[derive(Debug, Default)]
pub(crate) struct Report {
    lines: Vec<(String, String)>,
    described: Vec<String>,
    violations: usize,
}

impl Report {
    /// A line of the table.
    pub(crate) fn line(&mut self, what: impl Into<String>, value: impl ToString) {
        self.lines.push((what.into(), value.to_string()));
    }

    /// A promise that was not kept.
    pub(crate) fn violation(&mut self, what: impl Into<String>) {
        self.violations += 1;
        if self.described.len() < DESCRIBED_MAX {
            self.described.push(what.into());
        }
    }

    pub(crate) fn violations(&mut self, found: impl IntoIterator<Item = String>) {
        for what in found {
            self.violation(what);
        }
    }

    /// Whether a mutant was caught: there is no need to go on.
    pub(crate) fn has_caught(&self, mutant: &str) -> bool {
        !mutant.is_empty() && !self.is_clean()
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.violations == 0
    }

    /// The first violation.
    pub(crate) fn first(&self) -> Option<&str> {
        self.described.first().map(String::as_str)
    }

    /// The table, for a terminal and for documents.
    pub(crate) fn table(&self, title: &str) -> String {
        let width = self
            .lines
            .iter()
            .map(|(what, _)| what.len())
            .max()
            .unwrap_or(0);
        let mut text = format!("== {title}\n");
        for (what, value) in &self.lines {
            let _fits = writeln!(text, "{what:width$}  {value}");
        }
        let _fits = writeln!(text, "{:width$}  {}", "VIOLATIONS", self.violations);
        for what in &self.described {
            let _fits = writeln!(text, "  - {what}");
        }
        text
    }
}

/// Milliseconds as text.
pub(crate) fn ms(duration: Duration) -> String {
    format!("{:.0} ms", duration.as_secs_f64() * 1e3)
}

/// The value below which `share` of the values lie.
pub(crate) fn percentile(values: &mut [Duration], share: f64) -> Duration {
    values.sort_unstable();
    let last = tachograph::num::to_f64(tachograph::num::len_i64(values.len().saturating_sub(1)));
    let at = tachograph::num::round_to_i64(last * share).and_then(|at| usize::try_from(at).ok());
    at.and_then(|at| values.get(at))
        .copied()
        .unwrap_or_default()
}

/// A directory for work that goes when it is dropped, in memory if the machine has such a place.
#[derive(Debug)]
pub(crate) struct Work(PathBuf);

impl Work {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() {
            memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        Self::below(&base, name)
    }

    /// On a real disk.
    pub(crate) fn on_disk(name: &str) -> Result<Self> {
        Self::below(&std::env::temp_dir(), name)
    }

    fn below(base: &Path, name: &str) -> Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = base.join(format!("crash-lab-{}-{number}-{name}", std::process::id()));
        if path.exists() {
            std::fs::remove_dir_all(&path)?;
        }
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    pub(crate) fn oracle(&self) -> PathBuf {
        self.0.join("oracle")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.with_extension("log")
    }

    /// Empties it.
    pub(crate) fn clear(&self) -> Result<()> {
        std::fs::remove_dir_all(&self.0)?;
        std::fs::create_dir_all(&self.0)?;
        let _may_be_absent = std::fs::remove_file(self.log());
        Ok(())
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
        let _best_effort = std::fs::remove_file(self.log());
    }
}

/// Copies a directory tree.
pub(crate) fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Every file below a directory, sorted.
pub(crate) fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Arguments `key=value` of a child.
#[derive(Debug, Clone, Default)]
pub(crate) struct Args(BTreeMap<String, String>);

impl Args {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Self {
        let pairs = words.filter_map(|word| {
            word.split_once('=')
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
        });
        Self(pairs.collect())
    }

    pub(crate) fn with(mut self, key: &str, value: impl ToString) -> Self {
        self.0.insert(key.to_owned(), value.to_string());
        self
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }

    fn words(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().map(|(key, value)| format!("{key}={value}"))
    }
}

/// The shim, compiled once per run of the lab.
static SHIM: Mutex<Option<PathBuf>> = Mutex::new(None);

fn shim() -> Result<PathBuf> {
    let mut built = SHIM.lock().map_err(|_| "the shim's lock")?;
    if let Some(path) = built.as_ref() {
        return Ok(path.clone());
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("shim.c");
    let path = std::env::temp_dir().join(format!("crash-lab-shim-{}.so", std::process::id()));
    let made = Command::new("cc")
        .args(["-O2", "-Wall", "-shared", "-fPIC", "-o"])
        .args([&path, &source])
        .args(["-ldl", "-lpthread"])
        .status()?;
    if !made.success() {
        return Err("cc could not compile shim.c".into());
    }
    *built = Some(path.clone());
    Ok(path)
}

/// Removes what all parts shared.
pub(crate) fn clean_up() {
    if let Ok(Some(path)) = SHIM.lock().map(|mut built| built.take()) {
        let _best_effort = std::fs::remove_file(path);
    }
}

/// A child of the lab: the lab's own program in another role.
pub(crate) fn child(role: &str, args: &Args) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(role).args(args.words());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    Ok(command)
}

/// The same below the shim, which looks at `root`.
pub(crate) fn watched(role: &str, args: &Args, root: &Path) -> Result<Command> {
    let mut command = child(role, args)?;
    command.env("LD_PRELOAD", shim()?).env("LAB_ROOT", root);
    Ok(command)
}

/// How a child ended, and what it said.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) status: ExitStatus,
    pub(crate) text: String,
}

impl End {
    /// Waits for a child, but not for ever.
    pub(crate) fn of(mut child: Child, patience: Duration) -> Result<Self> {
        let mut output = child.stdout.take().ok_or("a child without output")?;
        // Read beside the waiting: a child whose pipe is full does not end.
        let reader = std::thread::spawn(move || std::io::read_to_string(&mut output));
        let until = Instant::now() + patience;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if Instant::now() > until {
                child.kill()?;
                child.wait()?;
                return Err("a child of the lab did not end".into());
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let text = reader.join().map_err(|_| "a reader panicked")??;
        Ok(Self { status, text })
    }

    /// What the child itself found wrong.
    pub(crate) fn wrong(&self) -> impl Iterator<Item = String> + '_ {
        let lines = self.text.lines();
        lines.filter_map(|line| line.strip_prefix("wrong ").map(str::to_owned))
    }
}
