//! The key families, one file each (families of one layout share theirs).

pub mod amendments;
pub mod by_time;
pub mod erasures;
pub mod ids;
pub mod jobs;
pub mod lookups;
pub mod meta;
pub mod obsolete;
pub mod pending;
pub mod quarantine;
pub mod registry;
pub mod segments;
pub mod staged;
pub mod tombstones;

/// Name of the staged family, also used by the blob inside it.
pub(super) const STAGED: &str = "staged";
/// Name of the smallest family.
pub(super) const META: &str = meta::Meta::NAME;

use super::Family;

/// Every family's name, for opening and for `schemas/keys.txt`.
pub const ALL: &[&str] = &[
    amendments::Amendments::NAME,
    by_time::ByMachineTime::NAME,
    by_time::ByNameRef::NAME,
    by_time::ByProjectTime::NAME,
    by_time::ByRunnerTime::NAME,
    by_time::ByTime::NAME,
    erasures::Erasures::NAME,
    ids::Ids::NAME,
    jobs::Jobs::NAME,
    lookups::Lookups::NAME,
    meta::Meta::NAME,
    obsolete::ObsoleteSegments::NAME,
    pending::Pending::NAME,
    quarantine::Quarantine::NAME,
    registry::Regions::NAME,
    registry::Runners::NAME,
    segments::Segments::NAME,
    staged::Staged::NAME,
    tombstones::Tombstones::NAME,
];

#[cfg(test)]
pub(crate) mod check {
    //! What every family must hold: round trip, order, and no panic on cut bytes.

    use super::super::{Family, key_of};

    /// Keys round-trip, every strict prefix is refused or differs, values round-trip.
    pub(crate) fn round_trip<F: Family>(key: &F::Key, value: &F::Value)
    where
        F::Key: PartialEq + std::fmt::Debug,
        F::Value: PartialEq + std::fmt::Debug,
    {
        let bytes = key_of::<F>(key);
        assert_eq!(&F::decode_key(&bytes).unwrap(), key);
        for len in 0..bytes.len() {
            assert_ne!(F::decode_key(&bytes[..len]).ok().as_ref(), Some(key));
        }
        let stored = F::encode_value(value).unwrap();
        assert_eq!(&F::decode_value(&stored).unwrap(), value);
    }

    /// Byte order of two keys equals the order of `a` and `b`.
    pub(crate) fn order<F: Family, T: Ord>(a: (&F::Key, T), b: (&F::Key, T)) {
        assert_eq!(key_of::<F>(a.0).cmp(&key_of::<F>(b.0)), a.1.cmp(&b.1));
    }
}
