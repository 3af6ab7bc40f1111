//! `quarantine`: segments whose files cannot be believed, or are not there.
//!
//! Key: as in `segments`: date (i32 order-preserving, 4 bytes), sequence (u64 big-endian, 8 bytes).
//! Value: length of the JSON (u32 little-endian), JSON [`QuarantineInfo`], then the value that the
//! segment had in `segments`; nothing, if that was lost too. A segment stands in one of the two
//! families: what is here is read by nobody, and the pointers of its jobs stay, so that they come back
//! with it.

use super::segments::{SegmentEntry, SegmentId, Segments};
use crate::error::Result;
use crate::index::wire::{Reader, from_json, to_json};
use crate::index::{Family, corrupt};
use crate::num;
use crate::time::TimestampMs;
use serde::{Deserialize, Serialize};

/// Why and since when a segment is in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineInfo {
    /// Since when.
    pub at: TimestampMs,
    /// What was wrong, in one line.
    pub problem: String,
    /// Name of its files.
    pub file: String,
    /// Whether its jobs were looked at: what can be fetched again is due.
    #[serde(default)]
    pub looked_after: bool,
}

/// A segment in quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Why and since when.
    pub info: QuarantineInfo,
    /// What the index knew of the segment.
    pub entry: Option<SegmentEntry>,
}

/// The family.
#[derive(Debug)]
pub struct Quarantine;

impl Family for Quarantine {
    const NAME: &'static str = "quarantine";
    type Key = SegmentId;
    type Value = Quarantined;

    fn encode_key(key: &SegmentId, out: &mut Vec<u8>) {
        Segments::encode_key(key, out);
    }

    fn decode_key(bytes: &[u8]) -> Result<SegmentId> {
        Segments::decode_key(bytes)
    }

    fn encode_value(value: &Quarantined) -> Result<Vec<u8>> {
        let json = to_json(Self::NAME, &value.info)?;
        let len =
            u32::try_from(json.len()).map_err(|_| corrupt(Self::NAME, "facts are too long"))?;
        let mut out = len.to_le_bytes().to_vec();
        out.extend_from_slice(&json);
        if let Some(entry) = &value.entry {
            out.append(&mut Segments::encode_value(entry)?);
        }
        Ok(out)
    }

    fn decode_value(bytes: &[u8]) -> Result<Quarantined> {
        let mut reader = Reader::new(Self::NAME, bytes);
        let len = num::to_usize(u64::from(u32::from_le_bytes(reader.array()?)));
        let info = from_json(Self::NAME, reader.bytes(len)?)?;
        let rest = reader.rest();
        let entry = if rest.is_empty() {
            None
        } else {
            Some(Segments::decode_value(rest)?)
        };
        Ok(Quarantined { info, entry })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::check;
    use crate::index::keys::segments::SegmentInfo;
    use crate::time::Date;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(d: i32, s: u64, n: i64, problem in "\\PC{0,60}", known: bool) {
            let segment = SegmentInfo { archiver: 1, jobs: s, rows: s, samples_bytes: 3, jobs_bytes: 4, from: TimestampMs(n), to: TimestampMs(n), sealed_at: TimestampMs(n), ends: None, samples_5m_rows: s, samples_5m_bytes: 5, level: 3 };
            let info = QuarantineInfo { at: TimestampMs(n), problem, file: "a.parquet".to_owned(), looked_after: known };
            let entry = known.then(|| SegmentEntry { info: segment, jobs_digests: vec![1, 2] });
            check::round_trip::<Quarantine>(&SegmentId { date: Date(d), seq: s }, &Quarantined { info, entry });
        }
    }
}
