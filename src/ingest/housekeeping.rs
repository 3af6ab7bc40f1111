//! What the archive does in the background: one piece of work at a time, on a thread of its own, at a
//! pace that leaves readers alone.
//!
//! Called by the service's maintenance loop, and by an operator who does not want to wait for it.

use crate::archive::{Archive, ErasureRound, Expiry, Haste, Pace, Rewritten};
use crate::error::Result;
use crate::supervise::BlockingPool;
use crate::telemetry::Metrics;
use std::sync::Arc;

/// The archive's background work.
#[derive(Debug, Clone)]
pub struct Housekeeping {
    archive: Arc<Archive>,
    metrics: Arc<Metrics>,
    pace: Arc<Pace>,
    pool: BlockingPool,
}

impl Housekeeping {
    /// Work at that pace.
    #[must_use]
    pub fn new(archive: Arc<Archive>, metrics: Arc<Metrics>, pace: Pace) -> Self {
        Self {
            archive,
            metrics,
            pace: Arc::new(pace),
            pool: BlockingPool::new(1),
        }
    }

    /// Compacts what is due, or everything. Goes on if the caller goes.
    ///
    /// # Errors
    /// As [`Archive::compact`].
    pub async fn compact(&self, haste: Haste) -> Result<Vec<Rewritten>> {
        self.run(move |own| {
            let made = own.archive.compact(haste, &|| own.pace.pause())?;
            made.iter().for_each(|one| own.count(one));
            Ok(made)
        })
        .await
    }

    /// Removes the bytes of what has expired. Goes on if the caller goes.
    ///
    /// # Errors
    /// As [`Archive::expire`].
    pub async fn expire(&self) -> Result<Expiry> {
        self.run(|own| {
            let done = own.archive.expire(&|| own.pace.pause())?;
            let counters = &own.metrics.maintenance;
            counters.jobs_expired.inc_by(done.jobs);
            counters.sample_rows_expired.inc_by(done.rows);
            Ok(done)
        })
        .await
    }

    /// Takes what is to be erased as far as it goes.
    ///
    /// # Errors
    /// As [`Archive::run_erasures`].
    pub async fn erase(&self) -> Result<ErasureRound> {
        self.run(|own| {
            let round = own.archive.run_erasures(&|| own.pace.pause())?;
            let counters = &own.metrics.maintenance;
            counters.erasures_done.inc_by(round.done);
            let open = i64::try_from(round.left).unwrap_or(i64::MAX);
            counters.erasures_open.set(open);
            Ok(round)
        })
        .await
    }

    /// Removes files of replaced segments whose time has come.
    ///
    /// # Errors
    /// As [`Archive::remove_obsolete`].
    pub async fn remove_obsolete(&self) -> Result<u64> {
        self.run(|own| {
            let removed = own.archive.remove_obsolete()?;
            own.metrics.maintenance.segments_removed.inc_by(removed);
            Ok(removed)
        })
        .await
    }

    /// Ends what runs at its next pause, and whatever would come after it.
    pub fn stop(&self) {
        self.pace.stop();
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let own = self.clone();
        self.pool.run(move || work(&own)).await
    }

    fn count(&self, made: &Rewritten) {
        let counters = &self.metrics.maintenance;
        counters.segments_compacted.inc_by(made.inputs);
        counters.bytes_read.inc_by(made.bytes_in);
        counters.bytes_written.inc_by(made.bytes_out);
        counters.samples.inc_by(made.samples);
        counters.amendments_folded.inc_by(made.folded);
        counters.seconds.inc_by(made.took.as_secs_f64());
    }
}
