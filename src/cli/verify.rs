//! `tachograph verify`.

use super::out;
use crate::archive::{Archive, Settings, Verification};
use crate::error::{Error, Result};
use crate::time::SystemClock;
use std::path::PathBuf;

/// Error code of an archive in which something does not hold.
const BROKEN: &str = "archive_broken";

/// Check a data directory: every file against its digest, every row against the index, the order of
/// all keys. Needs the directory for itself, so stop the service first. Changes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the archive.
    #[arg(long, value_name = "DIR", default_value = "tachograph-data")]
    data_dir: PathBuf,
    /// Also compute every stored summary anew from its samples.
    #[arg(long)]
    deep: bool,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// A plain verification of that folder.
    pub(super) fn of(data_dir: PathBuf) -> Self {
        Self {
            data_dir,
            deep: false,
            json: false,
        }
    }
}

pub(super) fn run(args: &Args) -> Result<()> {
    super::reindex::check_is_archive(&args.data_dir)?;
    let archive = Archive::open(&args.data_dir, Settings::default(), SystemClock::shared())?;
    let found = archive.verify(args.deep, |done, all| {
        if done == all || done.is_multiple_of(100) {
            out::note(&format!("{done} of {all} segments"));
        }
    })?;
    if args.json {
        out::line(&json(&found).to_string());
    } else {
        out::text(&words(&found));
    }
    if found.broken == 0 {
        return Ok(());
    }
    let message = format!(
        "{} things do not hold; restore the archive from a backup",
        found.broken
    );
    Err(Error::data(BROKEN, message))
}

fn words(found: &Verification) -> String {
    let mut text = String::new();
    for problem in &found.problems {
        text.push_str(&format!(
            "{}  {}\n",
            problem.invariant.name(),
            problem.message
        ));
    }
    let mib = found.bytes.div_ceil(1 << 20);
    text.push_str(&format!(
        "{} segments, {mib} MiB, {} samples rows; jobs: {} sealed, {} staged, {} pending\n",
        found.segments, found.sample_rows, found.sealed_jobs, found.staged_jobs, found.pending_jobs
    ));
    if found.broken == 0 {
        text.push_str("everything holds\n");
    }
    text
}

fn json(found: &Verification) -> serde_json::Value {
    let problem = |problem: &crate::archive::Problem| serde_json::json!({"invariant": problem.invariant.name(), "message": problem.message});
    serde_json::json!({
        "segments": found.segments,
        "bytes": found.bytes,
        "sample_rows": found.sample_rows,
        "sealed_jobs": found.sealed_jobs,
        "staged_jobs": found.staged_jobs,
        "pending_jobs": found.pending_jobs,
        "broken": found.broken,
        "problems": found.problems.iter().map(problem).collect::<Vec<_>>(),
    })
}
