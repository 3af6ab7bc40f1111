//! The index: RocksDB, its key families, and nothing of Parquet.
//!
//! Called by `archive` alone. A key family is one column family with one key and one value layout,
//! described in its own file under `keys/`; `docs/format.md` is the same text for people without the
//! source. Layouts are for ever: a change is a new family or a new value tag, and a migration.

pub mod blob;
mod db;
mod forget;
pub mod keys;
mod logs;
mod whole;
pub mod wire;

pub use db::{Changes, Index, Snapshot};
pub use whole::Salvaged;

use crate::error::{Error, Result};

/// One key family: where it lives and how its keys and values are spelled.
pub trait Family {
    /// Column family name, for ever.
    const NAME: &'static str;
    /// Whether what is read of it stays in the block cache: of use where entries are small and looked at
    /// one by one.
    const CACHED: bool = true;
    /// A key. The order of encoded keys is the order that scans rely on.
    type Key;
    /// A value.
    type Value;

    /// Appends the encoded key.
    fn encode_key(key: &Self::Key, out: &mut Vec<u8>);
    /// Reads a key back.
    ///
    /// # Errors
    /// `Data` if the bytes are no key of this family.
    fn decode_key(bytes: &[u8]) -> Result<Self::Key>;
    /// The encoded value.
    ///
    /// # Errors
    /// `Internal` if the value cannot be represented (a bug).
    fn encode_value(value: &Self::Value) -> Result<Vec<u8>>;
    /// Reads a value back.
    ///
    /// # Errors
    /// `Data` if the bytes are no value of this family.
    fn decode_value(bytes: &[u8]) -> Result<Self::Value>;
}

/// The encoded key of a family.
pub fn key_of<F: Family>(key: &F::Key) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    F::encode_key(key, &mut out);
    out
}

fn corrupt(family: &str, what: &str) -> Error {
    Error::data(
        "index_value",
        format!("index family {family}: {what}; restore it from a backup"),
    )
}

/// A stored name that is none: damage, not a mistake of whoever asks.
fn stored<T>(family: &str, parsed: Result<T>) -> Result<T> {
    parsed.map_err(|error| corrupt(family, "impossible name").with_source(error))
}
