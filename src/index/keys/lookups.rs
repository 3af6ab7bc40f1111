//! `lookups`: jobs about which their CI is to be asked, by the time they are due.
//!
//! Key: due time (i64 order-preserving, 8 bytes), job key (8 bytes). Value: JSON [`Lookup`]. Apart
//! from `pending`, since nothing waits for it: the job is archived and sealed meanwhile. What is still
//! to be asked follows from the job's facts at that time.

use super::pending::{Pending, PendingKey};
use crate::error::Result;
use crate::index::Family;
use crate::index::wire::{from_json, to_json};
use crate::model::record::Lookup;

/// The family.
#[derive(Debug)]
pub struct Lookups;

impl Family for Lookups {
    const NAME: &'static str = "lookups";
    type Key = PendingKey;
    type Value = Lookup;

    fn encode_key(key: &PendingKey, out: &mut Vec<u8>) {
        Pending::encode_key(key, out);
    }

    fn decode_key(bytes: &[u8]) -> Result<PendingKey> {
        Pending::decode_key(bytes)
    }

    fn encode_value(value: &Lookup) -> Result<Vec<u8>> {
        to_json(Self::NAME, value)
    }

    fn decode_value(bytes: &[u8]) -> Result<Lookup> {
        from_json(Self::NAME, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::check;
    use crate::model::id::{JobId, JobKey, JobRef, Source};
    use crate::time::TimestampMs;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip_and_order(t: i64, u: i64, j: i64, k: i64, attempts: u32) {
            let lookup = Lookup {
                job: JobRef {
                    source: Source::parse("gitlab").unwrap(),
                    job_id: JobId::parse("9000000123").unwrap(),
                },
                attempts,
            };
            let a = PendingKey { due: TimestampMs(t), job: JobKey(j) };
            let b = PendingKey { due: TimestampMs(u), job: JobKey(k) };
            check::round_trip::<Lookups>(&a, &lookup);
            check::order::<Lookups, _>((&a, a), (&b, b));
        }
    }
}
