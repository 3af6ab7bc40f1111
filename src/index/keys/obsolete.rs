//! `obsolete`: segments that were replaced and whose files are not removed yet.
//!
//! Key: as in `segments`: date (i32 order-preserving, 4 bytes), sequence (u64 big-endian, 8 bytes).
//! Value: JSON [`Obsolete`]. Written in the batch that removes the segment's entry; removed once both
//! files are gone. A file that is named here is no orphan.

use super::segments::{SegmentId, Segments};
use crate::error::Result;
use crate::index::Family;
use crate::index::wire::{from_json, to_json};
use crate::time::TimestampMs;
use serde::{Deserialize, Serialize};

/// Until when the files of a replaced segment stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obsolete {
    /// Number of the archiver in the files' name.
    pub archiver: u16,
    /// When the segment was replaced.
    pub since: TimestampMs,
    /// Before that nothing is removed: programs that read in place may still be about to open them.
    pub until: TimestampMs,
}

/// The family.
#[derive(Debug)]
pub struct ObsoleteSegments;

impl Family for ObsoleteSegments {
    const NAME: &'static str = "obsolete";
    type Key = SegmentId;
    type Value = Obsolete;

    fn encode_key(key: &SegmentId, out: &mut Vec<u8>) {
        Segments::encode_key(key, out);
    }

    fn decode_key(bytes: &[u8]) -> Result<SegmentId> {
        Segments::decode_key(bytes)
    }

    fn encode_value(value: &Obsolete) -> Result<Vec<u8>> {
        to_json(Self::NAME, value)
    }

    fn decode_value(bytes: &[u8]) -> Result<Obsolete> {
        from_json(Self::NAME, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::check;
    use crate::time::Date;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip_and_order(d: i32, e: i32, s: u64, t: u64, n: i64) {
            let a = SegmentId { date: Date(d), seq: s };
            let b = SegmentId { date: Date(e), seq: t };
            let value = Obsolete { archiver: 1, since: TimestampMs(n), until: TimestampMs(n) };
            check::round_trip::<ObsoleteSegments>(&a, &value);
            check::order::<ObsoleteSegments, _>((&a, a), (&b, b));
        }
    }
}
