//! The scrubber's task: looks every few seconds whether the archive has something to be checked.

use crate::archive::{Archive, Scrubbed};
use crate::error::Result;
use crate::supervise::BlockingPool;
use crate::telemetry::Metrics;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How soon a segment in which a read met damage is looked at.
const EVERY: Duration = Duration::from_secs(2);

/// Runs until cancelled.
///
/// # Errors
/// None: what fails is logged, and tried again.
pub(super) async fn run(
    archive: Arc<Archive>,
    metrics: Arc<Metrics>,
    token: CancellationToken,
) -> Result<()> {
    let pool = BlockingPool::new(1);
    loop {
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
        let (archive, metrics) = (Arc::clone(&archive), Arc::clone(&metrics));
        if let Err(error) = pool.run(move || look(&archive, &metrics)).await {
            tracing::error!(error = error.chain(), "the archive could not be scrubbed");
        }
    }
}

fn look(archive: &Archive, metrics: &Metrics) -> Result<()> {
    let storage = &metrics.storage;
    let room = archive.room()?;
    let gauge = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
    storage.free_bytes.set(gauge(room.free_bytes));
    storage.reserve_bytes.set(gauge(room.reserve_bytes));
    let Scrubbed {
        bytes, problems, ..
    } = archive.scrub_due()?;
    storage.scrubbed_bytes.inc_by(bytes);
    storage.scrub_problems.inc_by(problems);
    if let Some(at) = archive.last_scrub()? {
        storage.scrub_last_pass.set(at.0.div_euclid(1_000));
    }
    let quarantined = archive.quarantined_segments()?;
    storage.quarantined_segments.set(gauge(quarantined));
    Ok(())
}
