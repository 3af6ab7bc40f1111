//! Job logs: a corpus of composed ones with the truth of each, cut into any pieces, and damaged in
//! any way.

mod composed;
mod corpus;
mod hostile;

use super::*;
use crate::time::TimestampMs;

/// All of a log at once.
fn read(log: &[u8], window: TimeRange) -> LogFindings {
    let mut reader = LogReader::new();
    reader.push(log);
    reader.finish(window)
}
