//! `tachograph retain`.

use super::{existing_archive, out};
use crate::archive::Expiry;
use crate::config::{self, Config};
use crate::error::Result;
use std::path::PathBuf;
use std::sync::Arc;

/// Remove the bytes of what has expired, or say what would go. Needs the directory for itself, so stop
/// the service first; while it runs, it does so by itself, and `POST /api/v1/admin/retain` at once.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the archive.
    data_dir: PathBuf,
    /// Only say what would go.
    #[arg(long)]
    dry_run: bool,
    /// Configuration file of the service; without it the default policy holds.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print what was found as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    let mut config = match &args.config {
        Some(path) => config::read_config(path)?,
        None => Config::default(),
    };
    // Nobody reads in place what the service does not serve meanwhile.
    config.archive.compact.grace_ms = 0;
    let archive = existing_archive(&args.data_dir, config.archive)?;
    archive.set_retention(Arc::new(config.retention))?;
    let expiry = if args.dry_run {
        archive.would_expire()?
    } else {
        let done = archive.expire(&|| Ok(()))?;
        archive.remove_obsolete()?;
        done
    };
    if args.json {
        out::line(&json(&expiry, args.dry_run).to_string());
    } else {
        out::line(&words(&expiry, args.dry_run));
    }
    Ok(())
}

fn words(expiry: &Expiry, dry_run: bool) -> String {
    let verb = if dry_run { "would go" } else { "went" };
    let small = expiry.segments - expiry.due_segments;
    let mut text = format!(
        "{} jobs, {} rows of samples, about {} KiB {verb}; {} files of {} segments are removed or written anew",
        expiry.jobs,
        expiry.rows,
        expiry.bytes.div_ceil(1 << 10),
        expiry.files,
        expiry.due_segments
    );
    if small > 0 {
        text.push_str(&format!(
            "\n{small} more segments hold less that has expired than the policy's share; it stays, hidden"
        ));
    }
    text
}

fn json(expiry: &Expiry, dry_run: bool) -> serde_json::Value {
    serde_json::json!({
        "dry_run": dry_run,
        "segments": expiry.segments,
        "segments_due": expiry.due_segments,
        "jobs": expiry.jobs,
        "rows": expiry.rows,
        "bytes": expiry.bytes,
        "files": expiry.files,
    })
}
