//! `tachograph compact`.

use super::out;
use crate::archive::{Archive, Haste, Rewritten};
use crate::config::{self, Config};
use crate::error::Result;
use crate::time::SystemClock;
use std::path::PathBuf;

/// Compact a data directory: small segments become large ones, amendments go into their rows, and
/// everything is compressed as well as it can be. Needs the directory for itself, so stop the service
/// first; while it runs, `POST /api/v1/admin/compact` does the same.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the archive.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Configuration file of the service.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only what the service would compact by now.
    #[arg(long)]
    due: bool,
    /// Print what was done as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let mut config = match &args.config {
        Some(path) => config::read_config(path)?,
        None => Config::default(),
    };
    // Whoever reads in place while the service is stopped is left the new files alone.
    config.archive.compact.grace_ms = 0;
    let data_dir = args.data_dir.as_ref().unwrap_or(&config.data_dir);
    super::must_be_archive(data_dir)?;
    let archive = Archive::open(data_dir, config.archive, SystemClock::shared())?;
    let haste = if args.due { Haste::Due } else { Haste::All };
    let made = archive.compact(haste, &|| Ok(()))?;
    archive.remove_obsolete()?;
    if args.json {
        out::line(&json(&made).to_string());
    } else {
        out::line(&words(&made));
    }
    Ok(())
}

fn sum(made: &[Rewritten], part: fn(&Rewritten) -> u64) -> u64 {
    made.iter().map(part).sum()
}

fn words(made: &[Rewritten]) -> String {
    if made.is_empty() {
        return "there is nothing to compact".to_owned();
    }
    let kib = |bytes: u64| bytes.div_ceil(1 << 10);
    format!(
        "{} segments became {}: {} jobs, {} amendments in their rows, {} KiB became {} KiB",
        sum(made, |one| one.inputs),
        sum(made, |one| u64::from(one.seq.is_some())),
        sum(made, |one| one.jobs),
        sum(made, |one| one.folded),
        kib(sum(made, |one| one.bytes_in)),
        kib(sum(made, |one| one.bytes_out)),
    )
}

fn json(made: &[Rewritten]) -> serde_json::Value {
    serde_json::json!({
        "segments_replaced": sum(made, |one| one.inputs),
        "segments_made": sum(made, |one| u64::from(one.seq.is_some())),
        "jobs": sum(made, |one| one.jobs),
        "amendments_folded": sum(made, |one| one.folded),
        "bytes_read": sum(made, |one| one.bytes_in),
        "bytes_written": sum(made, |one| one.bytes_out),
    })
}
