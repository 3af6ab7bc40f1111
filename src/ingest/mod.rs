//! From raw series to an archived job.

pub mod assemble;
