//! `ids`: public identity to surrogate key.
//!
//! Key: kind (1 byte: 1 job, 2 project id, 3 project path, 4 runner), source (length byte and text),
//! id (the rest). Value: the key, i64 order-preserving (8 bytes). Written once, never changed, except
//! a project path, which moves when a project is renamed.

use crate::error::Result;
use crate::index::wire::{Reader, only_i64, put_i64, put_text};
use crate::index::{Family, corrupt};

/// What an identity names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Kind {
    Job,
    ProjectId,
    ProjectPath,
    Runner,
}

impl Kind {
    const ALL: [(Self, u8); 4] = [
        (Self::Job, 1),
        (Self::ProjectId, 2),
        (Self::ProjectPath, 3),
        (Self::Runner, 4),
    ];
}

/// A public identity.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct PublicId {
    pub kind: Kind,
    pub source: String,
    pub id: String,
}

/// The family.
#[derive(Debug)]
pub struct Ids;

impl Family for Ids {
    const NAME: &'static str = "ids";
    type Key = PublicId;
    type Value = i64;

    fn encode_key(key: &PublicId, out: &mut Vec<u8>) {
        let byte = Kind::ALL
            .iter()
            .find(|(kind, _)| *kind == key.kind)
            .map_or(0, |(_, byte)| *byte);
        out.push(byte);
        put_text(&key.source, out);
        out.extend_from_slice(key.id.as_bytes());
    }

    fn decode_key(bytes: &[u8]) -> Result<PublicId> {
        let mut reader = Reader::new(Self::NAME, bytes);
        let byte = reader.u8()?;
        let kind = Kind::ALL
            .iter()
            .find(|(_, known)| *known == byte)
            .map(|(kind, _)| *kind)
            .ok_or_else(|| corrupt(Self::NAME, "unknown kind of identity"))?;
        let source = reader.text()?.to_owned();
        let id = std::str::from_utf8(reader.rest())
            .map_err(|_| corrupt(Self::NAME, "an identity is no UTF-8"))?
            .to_owned();
        Ok(PublicId { kind, source, id })
    }

    fn encode_value(value: &i64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        put_i64(*value, &mut out);
        Ok(out)
    }

    fn decode_value(bytes: &[u8]) -> Result<i64> {
        only_i64(Self::NAME, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::keys::check;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trip(source in "[a-z]{1,20}", id in "\\PC{1,60}", value: i64, kind in 0usize..4) {
            let key = PublicId { kind: Kind::ALL[kind].0, source, id };
            check::round_trip::<Ids>(&key, &value);
        }
    }
}
