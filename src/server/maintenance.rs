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

/// Rounds between two looks at what has expired, an hour: it is hidden since the moment it did, and
/// the look reads the keys of every segment that is old enough to have lost something.
const EXPIRE_EVERY: u64 = 60;

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
    for number in 0u64.. {
        tokio::select! {
            () = token.cancelled() => return Ok(()),
            () = tokio::time::sleep(EVERY) => {}
        }
        round(house, number).await;
    }
    Ok(())
}

async fn round(house: &Housekeeping, number: u64) {
    // First: somebody waits for it, and the rest may take long.
    done("erasing", house.erase().await);
    done("compacting", house.compact(Haste::Due).await);
    if number.is_multiple_of(EXPIRE_EVERY) {
        done("removing what has expired", house.expire().await);
    }
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
