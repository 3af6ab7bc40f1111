//! Which series are asked for: typed matchers, never a query text.
//!
//! Machine names come from logs and CI metadata, so an attacker may choose them. Here a value is
//! protobuf data, compared for equality; there is no syntax that it could break out of.

use super::wire::{LabelMatcher, MatchType, Query};
use crate::source_port::SeriesRequest;

/// The label that holds a metric's name.
pub(super) const NAME: &str = "__name__";

/// The one query of a read: the machine's label by equality, the names as one alternation of
/// literals, which Prometheus looks up as a set.
///
/// # Errors
/// What is wrong with the request. An empty value or list is refused, because a matcher with the
/// empty value selects every series that lacks the label: the whole fleet.
pub(super) fn query(request: &SeriesRequest) -> Result<Query, &'static str> {
    let (label, value) = &request.machine;
    if label.is_empty() || label == NAME {
        return Err("no label that names the machine was given; register the runner again");
    }
    if value.is_empty() {
        return Err("the machine has no name; without one every machine's series would match");
    }
    if request.names.is_empty() || !request.names.iter().all(|name| is_metric_name(name)) {
        return Err("the list of metric names is empty or contains something that is no name");
    }
    let (start_timestamp_ms, end_timestamp_ms) = request.range.to_inclusive();
    Ok(Query {
        start_timestamp_ms,
        end_timestamp_ms,
        matchers: vec![
            matcher(MatchType::Eq, label, value.clone()),
            matcher(MatchType::Re, NAME, request.names.join("|")),
        ],
    })
}

fn matcher(kind: MatchType, name: &str, value: String) -> LabelMatcher {
    LabelMatcher {
        r#type: kind.into(),
        name: name.to_owned(),
        value,
    }
}

/// The classic grammar: none of its characters means anything in a regular expression.
fn is_metric_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b':';
    name.bytes().all(plain) && name.bytes().next().is_some_and(|b| !b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::RegionName;
    use crate::prometheus::wire::{ReadRequest, ResponseType};
    use crate::time::{TimeRange, TimestampMs};
    use proptest::prelude::*;
    use prost::Message as _;

    fn request(label: &str, value: &str, names: &'static [&'static str]) -> SeriesRequest {
        SeriesRequest {
            region_name: RegionName::parse("eu-1").unwrap(),
            region: serde_json::from_value(serde_json::json!({ "url": "http://h" })).unwrap(),
            machine: (label.to_owned(), value.to_owned()),
            names,
            range: TimeRange::new(
                TimestampMs(1_764_000_000_000),
                TimestampMs(1_764_003_600_001),
            ),
        }
    }

    #[test]
    fn the_example_request_is_reproduced_byte_for_byte() {
        let query = query(&request("instance", "runner-abc-0", &["node_load1", "x"])).unwrap();
        let message = ReadRequest {
            queries: vec![query],
            accepted_response_types: vec![ResponseType::Samples.into()],
        };
        let hex: String = message
            .encode_to_vec()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "0a440880d0dfb4ab331080adbbb6ab33\
             1a181208696e7374616e63651a0c72756e6e65722d6162632d30\
             1a1a080212085f5f6e616d655f5f1a0c6e6f64655f6c6f6164317c78\
             120100"
        );
    }

    #[test]
    fn what_would_match_too_much_is_refused() {
        for (label, value, names) in [
            ("instance", "", &["up"][..]),
            ("", "m", &["up"]),
            ("__name__", "m", &["up"]),
            ("instance", "m", &[]),
            ("instance", "m", &["up", ""]),
            ("instance", "m", &[".+"]),
            ("instance", "m", &["up|node_load1"]),
            ("instance", "m", &["9up"]),
        ] {
            assert!(
                query(&request(label, value, names)).is_err(),
                "{label} {value} {names:?}"
            );
        }
    }

    proptest! {
        /// Quotes, braces, newlines, regular expressions: whatever the value is, the server sees
        /// exactly two matchers, and one of them is equality with exactly that value.
        #[test]
        fn hostile_values_stay_values(value in "(?s).{1,40}|[\"\\\\{}|.*+\n\u{0}\u{2028}]{1,10}") {
            let query = query(&request("instance", &value, &["up", "node_load1"])).unwrap();
            let seen = Query::decode(query.encode_to_vec().as_slice()).unwrap();
            let names = matcher(MatchType::Re, NAME, "up|node_load1".to_owned());
            prop_assert_eq!(seen.matchers, vec![matcher(MatchType::Eq, "instance", value), names]);
        }
    }
}
