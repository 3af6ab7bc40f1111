//! `tachograph reindex`.

use super::{must_be_archive, out};
use crate::archive::{Archive, Reindexed, Settings, reindex};
use crate::error::Result;
use crate::time::SystemClock;
use std::path::PathBuf;

/// Make the index of a data directory anew, from its segments and from what is still readable of the
/// old index. Needs the directory for itself, so stop the service first.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the archive.
    #[arg(value_name = "DATA_DIR")]
    data_dir: PathBuf,
    /// Print what was done as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    must_be_archive(&args.data_dir)?;
    let clock = SystemClock::shared();
    let found = reindex(&args.data_dir, clock, |done, all| {
        if done == all || done.is_multiple_of(100) {
            out::note(&format!("{done} of {all} segments"));
        }
    })?;
    // The proof that it can be opened; what superseded segments left behind is removed.
    drop(Archive::open(
        &args.data_dir,
        Settings::default(),
        SystemClock::shared(),
    )?);
    if args.json {
        out::line(&json(&found).to_string());
    } else {
        out::text(&words(&found));
    }
    Ok(())
}

fn words(found: &Reindexed) -> String {
    let mut text = format!(
        "{} segments, {} sealed jobs, {} samples rows; {} rows that a later segment holds\n",
        found.segments, found.sealed_jobs, found.sample_rows, found.superseded_rows
    );
    text.push_str(&format!(
        "kept of the old index: {} jobs that are not sealed",
        found.kept_records
    ));
    for (family, entries) in &found.kept {
        text.push_str(&format!(", {entries} {family}"));
    }
    text.push('\n');
    for lost in &found.lost {
        text.push_str(&format!("not kept: {lost}\n"));
    }
    if let Some(old) = &found.old_index {
        text.push_str(&format!(
            "the old index is in {}; remove it when nobody needs it\n",
            old.display()
        ));
    }
    text
}

fn json(found: &Reindexed) -> serde_json::Value {
    serde_json::json!({
        "segments": found.segments,
        "sealed_jobs": found.sealed_jobs,
        "sample_rows": found.sample_rows,
        "superseded_rows": found.superseded_rows,
        "quarantined_segments": found.quarantined,
        "kept_records": found.kept_records,
        "kept": found.kept,
        "lost": found.lost,
        "old_index": found.old_index,
    })
}
