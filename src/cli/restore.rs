//! `tachograph restore`.

use super::must_be_archive;
use super::{out, verify};
use crate::archive::{Archive, Settings, restore, restore_segment};
use crate::error::Result;
use crate::time::SystemClock;
use std::path::PathBuf;

/// Make a data directory from a backup. Every file is compared with the backup's manifest; a backup
/// that is not whole is refused.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the backup.
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
    /// Folder of the archive; it must be empty or not there, except with --segment.
    #[arg(value_name = "DATA_DIR")]
    data_dir: PathBuf,
    /// Check everything in the restored archive, too, as `tachograph verify` does.
    #[arg(long)]
    verify: bool,
    /// A data directory, or a later backup, that knows of erasures since this backup was made.
    #[arg(long, value_name = "DIR")]
    tombstones_from: Option<PathBuf>,
    /// Only bring back the files of this segment, which is in quarantine or damaged.
    #[arg(long, value_name = "NUMBER", conflicts_with = "tombstones_from")]
    segment: Option<u64>,
}

pub(super) fn run(args: &Args) -> Result<()> {
    match args.segment {
        Some(seq) => one_segment(args, seq)?,
        None => whole(args)?,
    }
    if args.verify {
        return verify::run(&verify::Args::of(args.data_dir.clone()));
    }
    Ok(())
}

fn whole(args: &Args) -> Result<()> {
    let newer = args.tombstones_from.as_deref();
    let restored = restore(&args.backup, &args.data_dir, newer, |done, all| {
        if done == all || done.is_multiple_of(1_000) {
            out::note(&format!("{done} of {all} files"));
        }
    })?;
    for left_out in &restored.left_out {
        out::note(&format!("was damaged when the backup was made: {left_out}"));
    }
    let mib = restored.bytes.div_ceil(1 << 20);
    out::line(&format!(
        "{} segments, {} files, {mib} MiB restored; {} entries about erasures taken over",
        restored.segments, restored.files, restored.tombstones
    ));
    Ok(())
}

fn one_segment(args: &Args, seq: u64) -> Result<()> {
    must_be_archive(&args.data_dir)?;
    let id = restore_segment(&args.backup, &args.data_dir, seq)?;
    let archive = Archive::open(&args.data_dir, Settings::default(), SystemClock::shared())?;
    let what = if archive.take_back(id)? {
        "is served again"
    } else {
        "is in place"
    };
    out::line(&format!("segment {seq} of {} {what}", id.date));
    Ok(())
}
