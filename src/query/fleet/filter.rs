//! Which jobs a question of the fleet is about.
//!
//! Called by the other modules of `fleet`. Every text from outside passes [`literal`], every name of a
//! column is one of ours: no question can be anything but the one that is meant.

use crate::query::sql::spell::{instant, literal};
use crate::time::TimeRange;
use std::fmt::Write as _;

/// Jobs that ended inside of a range, and fit everything that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct FleetFilter {
    /// When they finished, half-open.
    pub finished: TimeRange,
    pub source: Option<String>,
    /// Path.
    pub project: Option<String>,
    pub name: Option<String>,
    pub git_ref: Option<String>,
    /// The source's own id.
    pub runner: Option<String>,
    pub machine: Option<String>,
    pub machine_type: Option<String>,
    pub region: Option<String>,
    pub status: Option<String>,
}

impl FleetFilter {
    /// The condition, ready to stand behind `where`.
    pub(super) fn condition(&self) -> String {
        self.condition_in(self.finished)
    }

    /// As [`FleetFilter::condition`], of the jobs that finished in another range.
    pub(super) fn condition_in(&self, finished: TimeRange) -> String {
        let mut sql = format!(
            "finished_at >= {} and finished_at < {}",
            instant(finished.from.0),
            instant(finished.to.0)
        );
        for (column, wanted) in [
            ("source", &self.source),
            ("project", &self.project),
            ("name", &self.name),
            ("\"ref\"", &self.git_ref),
            ("runner_id", &self.runner),
            ("machine", &self.machine),
            ("machine_type", &self.machine_type),
            ("region", &self.region),
            ("status", &self.status),
        ] {
            if let Some(text) = wanted {
                // Writing to a string cannot fail.
                let _infallible = write!(sql, " and {column} = {}", literal(text));
            }
        }
        sql
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::time::TimestampMs;

    /// Everything that finished in the first day of 2026.
    pub(in crate::query::fleet) fn a_day() -> FleetFilter {
        let from = TimestampMs::parse_rfc3339("2026-01-01T00:00:00Z").unwrap();
        FleetFilter {
            finished: TimeRange::new(from, from.plus_ms(86_400_000)),
            source: None,
            project: None,
            name: None,
            git_ref: None,
            runner: None,
            machine: None,
            machine_type: None,
            region: None,
            status: None,
        }
    }

    #[test]
    fn texts_stay_texts_whatever_they_hold() {
        let filter = FleetFilter {
            project: Some("a' or 1=1 --".to_owned()),
            git_ref: Some("\\'; drop".to_owned()),
            ..a_day()
        };
        assert_eq!(
            filter.condition(),
            "finished_at >= to_timestamp_millis(1767225600000) and finished_at < to_timestamp_millis(1767312000000) \
             and project = 'a'' or 1=1 --' and \"ref\" = '\\''; drop'"
        );
    }
}
