//! Stand-ins and generators for tests and benches; never in a release (feature `testkit`).
//!
//! Everything random is a function of a seed, so a failing test fails again.

use crate::fleetgen::random;

pub mod clock;
pub mod corpus;
pub mod fake_prometheus;
pub mod fleet;
pub mod jobs;
pub mod scripted;
pub mod simulation;
pub mod streamed;
