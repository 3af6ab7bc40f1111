//! `tachograph verify`.

use super::{existing_archive, must_be_archive, out};
use crate::archive::{FoundText, Settings, Verification, search};
use crate::config;
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

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
    /// Look for texts that were erased instead: each line of this file (`-` is standard input) is looked
    /// for in every byte of every file, in the unpacked pages of Parquet files, and in the index.
    #[arg(long, value_name = "FILE", conflicts_with = "deep")]
    erased: Option<PathBuf>,
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
            erased: None,
        }
    }
}

pub(super) fn run(args: &Args) -> Result<()> {
    if let Some(texts) = &args.erased {
        must_be_archive(&args.data_dir)?;
        return erased(args, texts);
    }
    let archive = existing_archive(&args.data_dir, Settings::default())?;
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

/// Looks for texts that must not be there.
fn erased(args: &Args, texts: &Path) -> Result<()> {
    let text = match texts == Path::new("-") {
        true => std::io::read_to_string(std::io::stdin()),
        false => config::read_secret(texts),
    };
    let text = text.map_err(|error| {
        let message = format!("the texts in {} cannot be read", texts.display());
        Error::invalid("texts_unreadable", message).with_source(error)
    })?;
    let lines = text.lines().filter(|line| !line.is_empty());
    let texts: Vec<String> = lines.map(str::to_owned).collect();
    let found = search(&args.data_dir, &texts, |files| {
        if files.is_multiple_of(1_000) {
            out::note(&format!("{files} files"));
        }
    })?;
    if args.json {
        let one = |one: &FoundText| serde_json::json!({"text": one.number, "place": one.place});
        let places: Vec<_> = found.found.iter().map(one).collect();
        out::line(&serde_json::json!({"files": found.files, "bytes": found.bytes, "entries": found.entries, "found": places}).to_string());
    } else {
        for one in &found.found {
            // Not the text itself: this may be kept.
            out::line(&format!(
                "text {} of {}: {}",
                one.number,
                texts.len(),
                one.place
            ));
        }
        let mib = found.bytes.div_ceil(1 << 20);
        out::line(&format!(
            "{} files, {mib} MiB, {} entries of the index",
            found.files, found.entries
        ));
    }
    if found.found.is_empty() {
        out::note("none of the texts is there");
        return Ok(());
    }
    let message = format!(
        "texts that were looked for stand in {} places",
        found.found.len()
    );
    Err(Error::data("text_found", message))
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
