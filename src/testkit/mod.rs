//! Stand-ins and generators for tests and benches; never in a release.

pub mod fake_prometheus;
pub mod scripted;
