//! `tachograph backup`.

use super::must_be_archive;
use super::out;
use crate::archive::{Archive, Copying, Settings};
use crate::error::Result;
use crate::time::SystemClock;
use std::path::PathBuf;

/// Make a backup of a data directory that no service holds. Of a running one: POST
/// /api/v1/admin/backup.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the archive.
    #[arg(value_name = "DATA_DIR")]
    data_dir: PathBuf,
    /// Folder of the backup; it must be empty or not there.
    #[arg(value_name = "BACKUP")]
    to: PathBuf,
    /// Copy segment files, and compare each with its digest, instead of giving them second names.
    #[arg(long)]
    copy: bool,
}

pub(super) fn run(args: &Args) -> Result<()> {
    must_be_archive(&args.data_dir)?;
    let archive = Archive::open(&args.data_dir, Settings::default(), SystemClock::shared())?;
    let copying = if args.copy {
        Copying::Copy
    } else {
        Copying::Link
    };
    let made = archive.backup(&args.to, copying, |done, all| {
        if done == all || done.is_multiple_of(100) {
            out::note(&format!("{done} of {all} segments"));
        }
        true
    })?;
    for left_out in &made.left_out {
        out::note(&format!("not in the backup: {left_out}"));
    }
    let mib = made.bytes.div_ceil(1 << 20);
    out::line(&format!(
        "{} segments, {} files, {mib} MiB in {}",
        made.segments,
        made.files,
        args.to.display()
    ));
    Ok(())
}
