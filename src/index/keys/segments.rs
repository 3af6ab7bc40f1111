//! `segments`: the sealed segments.
//!
//! Key: date (i32 order-preserving, 4 bytes), sequence (u64 big-endian, 8 bytes).
//! Value: length of the JSON (u32 little-endian), JSON [`SegmentInfo`], then the digests of the jobs
//! file in the spelling of `segment::digest` (opaque here). The digests of the samples file stand in
//! the jobs file of the same name. An entry exists only after both files are durable (AR-1).

use crate::error::Result;
use crate::index::wire::{Reader, from_json, put_i32, put_u64, to_json};
use crate::index::{Family, corrupt};
use crate::num;
use crate::time::{Date, TimestampMs};
use serde::{Deserialize, Serialize};

/// Names a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId {
    /// Its date: the UTC date on which its jobs finished.
    pub date: Date,
    /// Its sequence number.
    pub seq: u64,
}

/// Facts of a segment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct SegmentInfo {
    pub archiver: u16,
    pub jobs: u64,
    pub rows: u64,
    pub samples_bytes: u64,
    pub jobs_bytes: u64,
    /// Earliest start and latest end of its jobs.
    pub from: TimestampMs,
    pub to: TimestampMs,
    /// When the last of its jobs was sealed.
    pub sealed_at: TimestampMs,
    /// Earliest and latest end of its jobs, of those whose end is known; `None` in entries of before this
    /// was kept.
    #[serde(default)]
    pub ends: Option<(TimestampMs, TimestampMs)>,
    /// Slices of jobs whose samples went, and the bytes of their file; no rows, no file.
    #[serde(default)]
    pub samples_5m_rows: u64,
    #[serde(default)]
    pub samples_5m_bytes: u64,
    /// zstd level of its files.
    #[serde(default = "hot")]
    pub level: i32,
}

impl SegmentInfo {
    /// The earliest and the latest of some times.
    pub fn span(times: impl Iterator<Item = TimestampMs>) -> Option<(TimestampMs, TimestampMs)> {
        times.fold(None, |known, time| match known {
            None => Some((time, time)),
            Some((first, last)) => Some((time.min(first), time.max(last))),
        })
    }
}

/// Level of the segments whose facts do not say it: nothing was compacted then.
fn hot() -> i32 {
    3
}

/// The value of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentEntry {
    /// Facts.
    pub info: SegmentInfo,
    /// Encoded digests of the jobs file.
    pub jobs_digests: Vec<u8>,
}

/// The family.
#[derive(Debug)]
pub struct Segments;

impl Segments {
    /// Prefix of all segments of a date.
    #[must_use]
    pub fn date_prefix(date: Date) -> Vec<u8> {
        let mut prefix = Vec::with_capacity(4);
        put_i32(date.0, &mut prefix);
        prefix
    }
}

impl Family for Segments {
    const NAME: &'static str = "segments";
    /// Every question goes through all of them, and the digests of years of segments would take the place
    /// of everything else.
    const CACHED: bool = false;
    type Key = SegmentId;
    type Value = SegmentEntry;

    fn encode_key(key: &SegmentId, out: &mut Vec<u8>) {
        put_i32(key.date.0, out);
        put_u64(key.seq, out);
    }

    fn decode_key(bytes: &[u8]) -> Result<SegmentId> {
        let mut reader = Reader::new(Self::NAME, bytes);
        let key = SegmentId {
            date: Date(reader.i32()?),
            seq: reader.u64()?,
        };
        reader.end()?;
        Ok(key)
    }

    fn encode_value(value: &SegmentEntry) -> Result<Vec<u8>> {
        let json = to_json(Self::NAME, &value.info)?;
        let len =
            u32::try_from(json.len()).map_err(|_| corrupt(Self::NAME, "facts are too long"))?;
        let mut out = len.to_le_bytes().to_vec();
        out.extend_from_slice(&json);
        out.extend_from_slice(&value.jobs_digests);
        Ok(out)
    }

    fn decode_value(bytes: &[u8]) -> Result<SegmentEntry> {
        let mut reader = Reader::new(Self::NAME, bytes);
        let len = num::to_usize(u64::from(u32::from_le_bytes(reader.array()?)));
        let info = from_json(Self::NAME, reader.bytes(len)?)?;
        Ok(SegmentEntry {
            info,
            jobs_digests: reader.rest().to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::check;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip_and_order(d: i32, e: i32, s: u64, t: u64, n: i64, digests in prop::collection::vec(any::<u8>(), 0..40)) {
            let a = SegmentId { date: Date(d), seq: s };
            let b = SegmentId { date: Date(e), seq: t };
            let info = SegmentInfo { archiver: 1, jobs: s, rows: t, samples_bytes: 3, jobs_bytes: 4, from: TimestampMs(n), to: TimestampMs(n), sealed_at: TimestampMs(n), ends: Some((TimestampMs(n), TimestampMs(n))), samples_5m_rows: s, samples_5m_bytes: t, level: 15 };
            check::round_trip::<Segments>(&a, &SegmentEntry { info, jobs_digests: digests });
            check::order::<Segments, _>((&a, a), (&b, b));
        }
    }
}
