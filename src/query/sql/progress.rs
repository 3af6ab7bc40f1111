//! How far a query is, and whether it is to stop: shared by its scans and whoever asks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// A query's progress.
#[derive(Debug, Default)]
pub struct Progress {
    rows_read: AtomicU64,
    rows_planned: AtomicU64,
    rows_out: AtomicU64,
    cancelled: AtomicBool,
    complete: AtomicBool,
    begun: AtomicBool,
    done: AtomicBool,
}

impl Progress {
    /// A scan may read so many more rows.
    pub(super) fn plan(&self, rows: u64) {
        self.rows_planned.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn rows_read(&self, rows: u64) {
        self.rows_read.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn rows_out(&self, rows: u64) {
        self.rows_out.fetch_add(rows, Ordering::Relaxed);
    }

    /// All batches were given out.
    pub(super) fn complete(&self) {
        self.complete.store(true, Ordering::Release);
    }

    pub(super) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire)
    }

    /// Its threads begin.
    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// Whether its threads are at it.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.begun.load(Ordering::Relaxed) && !self.is_done()
    }

    pub(super) fn finish(&self) {
        self.done.store(true, Ordering::Relaxed);
    }

    /// Lets its scans stop at their next batch.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it is to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Whether nothing more comes.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }

    /// Rows of the tables that were read.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.rows_read.load(Ordering::Relaxed)
    }

    /// Rows of the tables that are to be read at most; filters by page leave out more.
    #[must_use]
    pub fn planned(&self) -> u64 {
        self.rows_planned.load(Ordering::Relaxed)
    }

    /// Rows of the answer.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.rows_out.load(Ordering::Relaxed)
    }
}
