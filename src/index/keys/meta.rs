//! `meta`: counters of the archive.
//!
//! Key: a name (UTF-8). Value: u64 big-endian (8 bytes). `seq.job`, `seq.project`, `seq.runner`,
//! `seq.segment`, `seq.erasure` are the last number given out; each moves in the batch that uses the number.

use crate::error::Result;
use crate::index::wire::{Reader, put_u64};
use crate::index::{Family, corrupt};

/// The family.
#[derive(Debug)]
pub struct Meta;

impl Family for Meta {
    const NAME: &'static str = "meta";
    type Key = String;
    type Value = u64;

    fn encode_key(key: &String, out: &mut Vec<u8>) {
        out.extend_from_slice(key.as_bytes());
    }

    fn decode_key(bytes: &[u8]) -> Result<String> {
        String::from_utf8(bytes.to_vec()).map_err(|_| corrupt(Self::NAME, "a name is no UTF-8"))
    }

    fn encode_value(value: &u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        put_u64(*value, &mut out);
        Ok(out)
    }

    fn decode_value(bytes: &[u8]) -> Result<u64> {
        let mut reader = Reader::new(Self::NAME, bytes);
        let value = reader.u64()?;
        reader.end()?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::check;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(name in "[a-z.]{1,20}", value: u64) {
            check::round_trip::<Meta>(&name, &value);
        }
    }
}
