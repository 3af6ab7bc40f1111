//! What the service does by itself to keep its archive in order: one loop, one thing after the other.
//!
//! To add something: a method of `Housekeeping` for the work, and a line in [`round`]. What fails is
//! logged there and tried again in the next round; it does not keep the rest from being done.

use crate::archive::Haste;
use crate::error::{ErrorKind, Result};
use crate::ingest::Housekeeping;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Between two rounds. What is due is due for minutes or hours; a round with nothing to do reads the
/// segments' entries and the amendments.
const EVERY: Duration = Duration::from_secs(60);

/// Runs rounds until it is told to stop. Work that is under way then ends at its next pause.
pub(super) async fn run(house: Housekeeping, token: CancellationToken) -> Result<()> {
    let stopping = async {
        token.cancelled().await;
        house.stop();
        std::future::pending::<Result<()>>().await
    };
    tokio::select! {
        ended = rounds(&house, &token) => ended,
        never = stopping => never,
    }
}

async fn rounds(house: &Housekeeping, token: &CancellationToken) -> Result<()> {
    loop {
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
        round(house).await;
    }
}

async fn round(house: &Housekeeping) {
    done("compacting", house.compact(Haste::Due).await);
    done("removing replaced files", house.remove_obsolete().await);
}

fn done<T>(what: &'static str, outcome: Result<T>) {
    match outcome {
        Ok(_) => {}
        // The service is stopping.
        Err(error) if error.code() == "closing" => {}
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            tracing::warn!(what, error = error.chain(), "maintenance has to wait");
        }
        Err(error) => tracing::error!(what, error = error.chain(), "maintenance failed"),
    }
}
