//! The named invariants of the archive (ARCHITECTURE.md, "Invariants"): one catalogue for code,
//! tests and the counter `tachograph_invariant_violations_total`.

use std::sync::atomic::{AtomicU64, Ordering};

/// An invariant. The number is its public name: `AR-n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvariantId {
    /// An index entry is visible only after its bytes are durable.
    Ar1,
    /// A job has at most one visible profile.
    Ar2,
    /// A pending entry goes in the batch in which its job becomes archived, abandoned or expired.
    Ar3,
    /// Sealed files never change.
    Ar4,
    /// Bytes are verified before they are believed.
    Ar5,
    /// A stored summary equals the recomputation.
    Ar6,
    /// Expiry never removes what a live entry names.
    Ar7,
    /// No sample outside the padded window, none invented.
    Ar8,
    /// Same input, same segment bytes.
    Ar9,
    /// Rows in = rows out and equal digests over a compaction.
    Ar10,
    /// An acknowledged job event is never lost.
    Ar11,
}

impl InvariantId {
    /// All of them, in order.
    pub const ALL: [Self; 11] = [
        Self::Ar1,
        Self::Ar2,
        Self::Ar3,
        Self::Ar4,
        Self::Ar5,
        Self::Ar6,
        Self::Ar7,
        Self::Ar8,
        Self::Ar9,
        Self::Ar10,
        Self::Ar11,
    ];

    /// Its public name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ar1 => "AR-1",
            Self::Ar2 => "AR-2",
            Self::Ar3 => "AR-3",
            Self::Ar4 => "AR-4",
            Self::Ar5 => "AR-5",
            Self::Ar6 => "AR-6",
            Self::Ar7 => "AR-7",
            Self::Ar8 => "AR-8",
            Self::Ar9 => "AR-9",
            Self::Ar10 => "AR-10",
            Self::Ar11 => "AR-11",
        }
    }
}

static VIOLATIONS: AtomicU64 = AtomicU64::new(0);

/// Violations seen by this process.
#[must_use]
pub fn violations() -> u64 {
    VIOLATIONS.load(Ordering::Relaxed)
}

/// Checks an invariant in production: a violation is logged and counted, and `holds` comes back so
/// that the caller can refuse to go on.
pub fn check(id: InvariantId, holds: bool, what: impl FnOnce() -> String) -> bool {
    if !holds {
        VIOLATIONS.fetch_add(1, Ordering::Relaxed);
        tracing::error!(invariant = id.name(), detail = what(), "invariant violated");
    }
    holds
}
