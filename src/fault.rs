//! The places where the crash lab (`tools/crash`) breaks the archive on purpose.
//!
//! Two kinds: a *step* of the commit protocol, at which the process can be made to end, wait or fail;
//! and an *omission*, which leaves one precaution out and so makes a broken engine (a mutant) that the
//! lab must catch. Both do nothing, and cost nothing, without the feature `testkit`, which no release
//! has. Called by `segment::dir`, `index` and `archive`, one line each.

use crate::error::Result;

/// Every step, in the order of a job's life. The lab sweeps this list and fails on a step that it
/// never reaches.
pub const STEPS: &[&str] = &[
    "open.locked",
    "open.folders",
    "open.index",
    "open.orphan",
    "commit.write",
    "commit.written",
    "stage.prepared",
    "seal.numbered",
    "seal.built",
    "seal.paired",
    "seal.flipped",
    "rewrite.written",
    "rewrite.checked",
    "rewrite.replaced",
    "obsolete.due",
    "obsolete.removed",
    "dir.created",
    "file.written",
    "file.synced",
    "file.renamed",
    "file.durable",
];

/// Every precaution that a mutant of the lab leaves out.
pub const OMISSIONS: &[&str] = &[
    "omit.data_sync",
    "omit.dir_sync",
    "omit.parent_sync",
    "omit.wal_sync",
    "omit.wait_for_commit",
    "omit.poison",
    "omit.sync_before_rename",
    "omit.files_before_batch",
    "omit.page_digest",
    "omit.tail_digest",
    "omit.orphan_removal",
    "omit.dedupe",
    "omit.pending_removal",
    "omit.staged_removal",
    "omit.recheck_at_flip",
    "omit.late_amendment",
    "omit.obsolete_entry",
    "omit.reader_epoch",
    "omit.mark",
    "omit.lock",
];

/// A step of the commit protocol.
///
/// # Errors
/// `Unavailable` if the lab said that this step fails.
#[cfg(feature = "testkit")]
pub fn step(name: &'static str) -> Result<()> {
    fail::fail_point!(name, |_| Err(crate::error::Error::new(
        crate::error::ErrorKind::Unavailable,
        "fault_injected",
        format!("step {name} was made to fail"),
    )));
    Ok(())
}

/// A step of the commit protocol.
///
/// # Errors
/// Never in this build.
#[cfg(not(feature = "testkit"))]
#[inline]
pub fn step(_name: &'static str) -> Result<()> {
    Ok(())
}

/// Whether the lab leaves a precaution out.
#[cfg(feature = "testkit")]
#[must_use]
pub fn omits(name: &'static str) -> bool {
    fail::fail_point!(name, |_| true);
    false
}

/// Whether the lab leaves a precaution out: never in this build.
#[cfg(not(feature = "testkit"))]
#[inline]
#[must_use]
pub fn omits(_name: &'static str) -> bool {
    false
}
