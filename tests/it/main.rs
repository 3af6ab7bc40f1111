//! The integration tests: one binary, because every further one would link RocksDB again.

// `cfg(test)` is always true here; it tells clippy that helpers may unwrap too.
#[cfg(test)]
mod accuracy;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod proof_support;
#[cfg(test)]
mod readers;
#[cfg(test)]
mod tidy;
