//! The integration tests: one binary, because every further one would link RocksDB again.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests start services and look into files that are not theirs"
)]

// `cfg(test)` is always true here; it tells clippy that helpers may unwrap too.
#[cfg(test)]
mod accuracy;
#[cfg(test)]
mod analytics;
#[cfg(test)]
mod api;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod full_disk;
#[cfg(test)]
mod gitlab;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod pipeline;
#[cfg(test)]
mod proof_support;
#[cfg(test)]
mod readers;
#[cfg(test)]
mod retention;
#[cfg(test)]
mod schemas;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod sql;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod verify;
#[cfg(test)]
mod ways;
