//! The domain: jobs, runners, regions, the metric catalogue, profiles and their statistics.
//!
//! Pure values and pure functions: no I/O, no clock, no wire format. Everything above speaks these
//! words (ARCHITECTURE.md, "Words").

pub mod archived;
pub mod coarse;
pub mod erasure;
pub mod graph;
pub mod id;
pub mod job;
pub mod machine;
pub mod metric;
pub mod profile;
pub mod record;
pub mod registry;
pub mod retention;
pub mod runner;
pub mod scope;
pub mod settle;
pub mod state;
pub mod summary;
pub mod totals;
pub mod usage;
