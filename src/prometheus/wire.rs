//! The wire format of Prometheus' remote read: protobuf messages in one raw (unframed) snappy block.
//!
//! Requests are ordinary prost messages. Answers come from outside and are walked field by field
//! instead of being decoded into a tree: a two-byte empty label costs 48 bytes in memory, so a tree
//! of a 64 MiB answer could take 1.5 GiB. Only the leaves ([`Label`], [`Sample`]) are prost messages,
//! and the caller counts them before it asks for the next.

/// What is asked. Field numbers and types are the wire contract (prompb/remote.proto).
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) queries: Vec<Query>,
    /// In order of preference. Without it a server may choose.
    #[prost(enumeration = "ResponseType", repeated, tag = "2")]
    pub(super) accepted_response_types: Vec<i32>,
}

/// Forms of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(super) enum ResponseType {
    /// One message with all samples.
    Samples = 0,
    /// Frames with compressed chunks, as the server stores them.
    StreamedXorChunks = 1,
}

/// One selection of series. `hints` (4) are left out: they only help other storages than Prometheus.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Query {
    /// First millisecond, inclusive.
    #[prost(int64, tag = "1")]
    pub(super) start_timestamp_ms: i64,
    /// Last millisecond, inclusive.
    #[prost(int64, tag = "2")]
    pub(super) end_timestamp_ms: i64,
    #[prost(message, repeated, tag = "3")]
    pub(super) matchers: Vec<LabelMatcher>,
}

/// A condition on one label.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LabelMatcher {
    #[prost(enumeration = "MatchType", tag = "1")]
    pub(super) r#type: i32,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(string, tag = "3")]
    pub(super) value: String,
}

/// Kinds of conditions that we send. Negative ones are absent for a reason: they make the server walk
/// every device name it has ever seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(super) enum MatchType {
    /// Equal.
    Eq = 0,
    /// A regular expression (RE2), anchored at both ends.
    Re = 2,
}

/// A label of a series.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Label {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

/// A sample of a series.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    #[prost(int64, tag = "2")]
    pub(super) timestamp: i64,
}

/// A chunk of a series in a streamed answer. Its times (1 and 2) are not believed but read from it.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Chunk {
    /// 0 is unknown, 1 XOR, 2 and 3 native histograms, 4 XOR2.
    #[prost(int32, tag = "3")]
    pub(super) r#type: i32,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) data: Vec<u8>,
}

/// The chunk type that is decoded here.
pub(super) const XOR: i32 = 1;
/// `ChunkedReadResponse.chunked_series`.
pub(super) const CHUNKED_SERIES: u64 = 1;
/// `ChunkedSeries.chunks`. (Its labels are [`LABEL`].)
pub(super) const CHUNK: u64 = 2;
/// `ReadResponse.results`: one per query, in the order of the queries.
pub(super) const RESULT: u64 = 1;
/// `QueryResult.timeseries`.
pub(super) const SERIES: u64 = 1;
/// `TimeSeries.labels`.
pub(super) const LABEL: u64 = 1;
/// `TimeSeries.samples`. (3 and 4 are exemplars and native histograms.)
pub(super) const SAMPLE: u64 = 2;

/// The bytes end inside a field, or are no protobuf at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Walks the length-delimited fields of a message (strings, bytes, messages) as `(number, content)`,
/// without a copy. Numbers are passed over. Ends after the first error.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of the message in `bytes`.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field: `Some(None)` if it was a number, `None` if the bytes are malformed.
    fn advance(&mut self) -> Option<Option<(u64, &'a [u8])>> {
        let key = self.varint()?;
        match key & 7 {
            0 => self.varint().map(|_| None),
            1 => self.take(8).map(|_| None),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Some(Some((key >> 3, self.take(length)?)))
            }
            5 => self.take(4).map(|_| None),
            // Groups (3, 4) do not exist in proto3; 6 and 7 were never given out.
            _ => None,
        }
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(length)?;
        self.rest = tail;
        Some(head)
    }

    /// Seven bits a byte, lowest first, at most 64 bits.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, tail) = self.rest.split_first()?;
            self.rest = tail;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            match self.advance() {
                Some(Some(field)) => return Some(Ok(field)),
                Some(None) => {}
                None => {
                    self.rest = &[];
                    return Some(Err(Malformed));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message as _;

    #[test]
    fn only_whole_fields_are_handed_out() {
        // Field 1 = "ab", field 2 = varint 300, field 3 = fixed32, field 4 = fixed64, field 5 = "".
        let bytes = b"\x0a\x02ab\x10\xac\x02\x1d1234\x2112345678\x2a\x00";
        let fields: Result<Vec<_>, _> = Fields::of(bytes).collect();
        assert_eq!(fields, Ok(vec![(1, &b"ab"[..]), (5, &b""[..])]));
        for cut in [1, 2, 3, 5, 6, 8, 13, 20, 22] {
            assert!(
                Fields::of(&bytes[..cut]).any(|field| field.is_err()),
                "{cut}"
            );
        }
        // A group, and a length of more than 64 bits.
        assert_eq!(Fields::of(b"\x0b").next(), Some(Err(Malformed)));
        let eleven = [b"\x0a".as_slice(), &[0xff; 9], b"\x02"].concat();
        assert_eq!(Fields::of(&eleven).next(), Some(Err(Malformed)));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic_and_always_end(bytes: Vec<u8>) {
            prop_assert!(Fields::of(&bytes).count() <= bytes.len());
        }

        #[test]
        fn what_prost_writes_is_walked(labels: Vec<(String, String)>) {
            let labels: Vec<_> =
                labels.into_iter().map(|(name, value)| LabelMatcher { r#type: 2, name, value }).collect();
            let query = Query { start_timestamp_ms: -1, end_timestamp_ms: 1, matchers: labels.clone() };
            let bytes = query.encode_to_vec();
            let walked: Vec<_> = Fields::of(&bytes)
                .map(|field| {
                    let (number, bytes) = field.unwrap();
                    assert_eq!(number, 3);
                    LabelMatcher::decode(bytes).unwrap()
                })
                .collect();
            prop_assert_eq!(walked, labels);
        }
    }
}
