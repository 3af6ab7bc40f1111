//! `amendments`: what was said of a sealed job after its seal.
//!
//! Key: job key, i64 order-preserving (8 bytes). Value: JSON [`Amendment`]. Written when an event
//! changes a sealed job; applied on every read path; folded in and removed by compaction.

use crate::error::Result;
use crate::index::Family;
use crate::index::wire::{from_json, only_i64, put_i64, to_json};
use crate::model::id::JobKey;
use crate::model::job::MergedFacts;
use crate::time::TimestampMs;
use serde::{Deserialize, Serialize};

/// The facts that replace the sealed row's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendment {
    /// All facts of the job, merged.
    pub merged: MergedFacts,
    /// When they were last changed.
    pub amended_at: TimestampMs,
}

/// The family.
#[derive(Debug)]
pub struct Amendments;

impl Family for Amendments {
    const NAME: &'static str = "amendments";
    type Key = JobKey;
    type Value = Amendment;

    fn encode_key(key: &JobKey, out: &mut Vec<u8>) {
        put_i64(key.0, out);
    }

    fn decode_key(bytes: &[u8]) -> Result<JobKey> {
        only_i64(Self::NAME, bytes).map(JobKey)
    }

    fn encode_value(value: &Amendment) -> Result<Vec<u8>> {
        to_json(Self::NAME, value)
    }

    fn decode_value(bytes: &[u8]) -> Result<Amendment> {
        from_json(Self::NAME, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::check;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip_and_order(a: i64, b: i64) {
            let value = Amendment { merged: MergedFacts::default(), amended_at: TimestampMs(a) };
            check::round_trip::<Amendments>(&JobKey(a), &value);
            check::order::<Amendments, _>((&JobKey(a), a), (&JobKey(b), b));
        }
    }
}
