//! `pending`: jobs to be archived, by the time they are due.
//!
//! Key: due time (i64 order-preserving, 8 bytes), job key (8 bytes). Value: empty; what it waits for
//! stands in the job's record, and both change in one batch. A job has at most one entry. It goes in
//! the batch in which the job becomes archived, abandoned or expired (AR-3).

use crate::error::Result;
use crate::index::Family;
use crate::index::wire::{Reader, put_i64};
use crate::model::id::JobKey;
use crate::time::TimestampMs;

/// A pending job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub struct PendingKey {
    pub due: TimestampMs,
    pub job: JobKey,
}

/// The family.
#[derive(Debug)]
pub struct Pending;

impl Family for Pending {
    const NAME: &'static str = "pending";
    type Key = PendingKey;
    type Value = ();

    fn encode_key(key: &PendingKey, out: &mut Vec<u8>) {
        put_i64(key.due.0, out);
        put_i64(key.job.0, out);
    }

    fn decode_key(bytes: &[u8]) -> Result<PendingKey> {
        let mut reader = Reader::new(Self::NAME, bytes);
        let key = PendingKey {
            due: TimestampMs(reader.i64()?),
            job: JobKey(reader.i64()?),
        };
        reader.end()?;
        Ok(key)
    }

    fn encode_value(_value: &()) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn decode_value(bytes: &[u8]) -> Result<()> {
        Reader::new(Self::NAME, bytes).end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::check;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip_and_order(t: i64, u: i64, j: i64, k: i64) {
            let a = PendingKey { due: TimestampMs(t), job: JobKey(j) };
            let b = PendingKey { due: TimestampMs(u), job: JobKey(k) };
            check::round_trip::<Pending>(&a, &());
            check::order::<Pending, _>((&a, a), (&b, b));
        }
    }
}
