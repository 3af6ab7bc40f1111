//! The list indexes: `by_time`, `by_project_time`, `by_runner_time`, `by_machine_time`, `by_name_ref`.
//!
//! Key: the family's prefix numbers (8 bytes each, order-preserving), then the job's listed time
//! descending (8 bytes), then its key (8 bytes), so that a scan of a prefix yields newest jobs first.
//! Prefixes: none; project; runner; machine; project, name, ref. Machine (its name alone, see
//! docs/adr/0011), name and ref stand as xxh3-64 of their text: a list compares the record, so a
//! collision costs a look-up. Value: empty; in `by_machine_time` the job's end (i64, for co-tenants),
//! empty while it runs.

use super::super::wire::{Reader, only_i64, put_i64, put_i64_desc};
use crate::error::Result;
use crate::index::Family;
use crate::model::id::JobKey;
use crate::time::TimestampMs;
use xxhash_rust::xxh3::xxh3_64;

/// A key of a list index with `N` prefix numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeKey<const N: usize> {
    /// What the list is of.
    pub prefix: [i64; N],
    /// The job's listed time.
    pub time: TimestampMs,
    /// The job.
    pub job: JobKey,
}

/// The number that stands for a text in a prefix.
#[must_use]
pub fn text_number(parts: &[&str]) -> i64 {
    xxh3_64(parts.join("\0").as_bytes()).cast_signed()
}

impl<const N: usize> TimeKey<N> {
    fn encode(&self, out: &mut Vec<u8>) {
        Self::encode_prefix(&self.prefix, out);
        put_i64_desc(self.time.0, out);
        put_i64(self.job.0, out);
    }

    /// Appends the prefix alone.
    pub fn encode_prefix(prefix: &[i64; N], out: &mut Vec<u8>) {
        for number in prefix {
            put_i64(*number, out);
        }
    }

    fn decode(family: &'static str, bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(family, bytes);
        let mut prefix = [0i64; N];
        for number in &mut prefix {
            *number = reader.i64()?;
        }
        let key = Self {
            prefix,
            time: TimestampMs(reader.i64_desc()?),
            job: JobKey(reader.i64()?),
        };
        reader.end()?;
        Ok(key)
    }
}

macro_rules! list_index {
    ($(#[$doc:meta])* $name:ident, $text:literal, $n:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name;

        impl Family for $name {
            const NAME: &'static str = $text;
            type Key = TimeKey<$n>;
            type Value = Option<TimestampMs>;

            fn encode_key(key: &Self::Key, out: &mut Vec<u8>) {
                key.encode(out);
            }

            fn decode_key(bytes: &[u8]) -> Result<Self::Key> {
                TimeKey::decode(Self::NAME, bytes)
            }

            fn encode_value(value: &Self::Value) -> Result<Vec<u8>> {
                let mut out = Vec::new();
                if let Some(end) = value {
                    put_i64(end.0, &mut out);
                }
                Ok(out)
            }

            fn decode_value(bytes: &[u8]) -> Result<Self::Value> {
                if bytes.is_empty() {
                    return Ok(None);
                }
                only_i64(Self::NAME, bytes).map(|end| Some(TimestampMs(end)))
            }
        }
    };
}

list_index!(
    /// Every job, newest first.
    ByTime, "by_time", 0
);
list_index!(
    /// A project's jobs, newest first.
    ByProjectTime, "by_project_time", 1
);
list_index!(
    /// A runner's jobs, newest first.
    ByRunnerTime, "by_runner_time", 1
);
list_index!(
    /// A machine's jobs, newest first; entered as soon as the machine of a running job is known.
    ByMachineTime, "by_machine_time", 1
);
list_index!(
    /// Jobs of one name and ref in a project, newest first.
    ByNameRef, "by_name_ref", 3
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::check;
    use proptest::prelude::*;
    use std::cmp::Reverse;

    proptest! {
        #[test]
        fn round_trip_and_order(p: i64, q: i64, t: i64, u: i64, j: i64, k: i64, end: Option<i64>) {
            let a = TimeKey { prefix: [p], time: TimestampMs(t), job: JobKey(j) };
            let b = TimeKey { prefix: [q], time: TimestampMs(u), job: JobKey(k) };
            check::round_trip::<ByMachineTime>(&a, &end.map(TimestampMs));
            check::round_trip::<ByNameRef>(&TimeKey { prefix: [p, q, t], time: TimestampMs(u), job: JobKey(j) }, &None);
            check::order::<ByProjectTime, _>((&a, (p, Reverse(t), j)), (&b, (q, Reverse(u), k)));
        }
    }

    #[test]
    fn texts_do_not_run_into_each_other() {
        assert_ne!(text_number(&["ab", "c"]), text_number(&["a", "bc"]));
    }
}
