//! A small table for the tests of `query`: two gauges, a null of each, a hole.

use super::table::{ProfileTable, Series, Units};
use crate::model::id::{JobId, JobRef, Source};
use crate::model::metric::CellType;
use crate::model::profile::Gap;
use crate::model::state::State;
use crate::time::{TimeRange, TimestampMs};

/// The table.
pub(super) fn table() -> ProfileTable {
    let range = |from, to| TimeRange::new(TimestampMs(from), TimestampMs(to));
    let series = |name, unit, cell, cells| Series {
        name,
        unit,
        cell,
        running_total: false,
        cells,
        maxima: Vec::new(),
    };
    ProfileTable {
        job: JobRef {
            source: Source::parse("gitlab").unwrap(),
            job_id: JobId::parse("4711").unwrap(),
        },
        project: Some("acme/app".to_owned()),
        name: Some("unit".to_owned()),
        machine: Some("m1".to_owned()),
        state: State::Archived,
        reason: None,
        range: Some(range(1_772_323_200_000, 1_772_323_300_000)),
        units: Units::Graph,
        resolution_ms: None,
        ts_ms: vec![1_772_323_215_000, 1_772_323_230_003, 1_772_323_290_003],
        interval_ms: vec![Some(15_000), Some(15_003), Some(60_000)],
        series: vec![
            series(
                "cpu_used_cores",
                "cores",
                CellType::Decimal9(4),
                vec![Some(12_345), None, Some(20_000)],
            ),
            series(
                "memory_used_bytes",
                "bytes",
                CellType::Int64,
                vec![None, Some(9_007_199_254_740_993), Some(-1)],
            ),
        ],
        gaps: vec![Gap {
            range: range(1_772_323_230_003, 1_772_323_290_003),
            column: None,
            amount: None,
        }],
    }
}
