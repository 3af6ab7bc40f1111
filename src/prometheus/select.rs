//! Which series are asked for: typed matchers, and one text made of them.
//!
//! Machine names come from logs and CI metadata, so an attacker may choose them. In remote read a value
//! is protobuf data, compared for equality; there is no syntax that it could break out of. In the text
//! for the other protocols it is quoted, character by character.

use super::wire::{LabelMatcher, MatchType, Query};
use crate::source_port::SeriesRequest;

/// The label that holds a metric's name.
pub(super) const NAME: &str = "__name__";

/// Whether a request may be asked at all.
///
/// # Errors
/// What is wrong with it. An empty value or list is refused, because a matcher with the empty value
/// selects every series that lacks the label: the whole fleet.
pub(super) fn check(request: &SeriesRequest) -> Result<(), &'static str> {
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
    Ok(())
}

/// The one query of a remote read: the machine's label by equality, the names as one alternation of
/// literals, which Prometheus looks up as a set.
pub(super) fn query(request: &SeriesRequest) -> Query {
    let (label, value) = &request.machine;
    let (start_timestamp_ms, end_timestamp_ms) = request.range.to_inclusive();
    Query {
        start_timestamp_ms,
        end_timestamp_ms,
        matchers: vec![
            matcher(MatchType::Eq, label, value.clone()),
            matcher(MatchType::Re, NAME, request.names.join("|")),
        ],
    }
}

/// The same matchers as a selector, for servers without remote read. This one has a syntax: the value
/// is quoted, the names are plain by [`check`].
///
/// # Errors
/// If the label's name cannot be written in a selector.
pub(super) fn text(request: &SeriesRequest) -> Result<String, &'static str> {
    let (label, value) = &request.machine;
    if label.contains(':') || !is_metric_name(label) {
        return Err(
            "the label that names the machine is not written in letters, digits and '_', and this \
             server cannot be asked for others; register the runner with another label",
        );
    }
    let names = request.names.join("|");
    Ok(format!(
        "{{{NAME}=~\"{names}\",{label}=\"{}\"}}",
        quoted(value)
    ))
}

/// Between quotes of PromQL, whose escapes are Go's.
fn quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted
}

/// An instant as the query APIs want it: seconds with three decimals.
pub(super) fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000))
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
        let query = query(&request("instance", "runner-abc-0", &["node_load1", "x"]));
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
                check(&request(label, value, names)).is_err(),
                "{label} {value} {names:?}"
            );
        }
    }

    #[test]
    fn the_text_is_a_selector_with_quoted_values() {
        let text = |label: &str, value: &str| text(&request(label, value, &["up", "node_load1"]));
        assert_eq!(
            text("instance", "m-1:9100").unwrap(),
            r#"{__name__=~"up|node_load1",instance="m-1:9100"}"#
        );
        assert_eq!(
            text("node", "x\"} or {__name__=\"up\\\n\0").unwrap(),
            r#"{__name__=~"up|node_load1",node="x\"} or {__name__=\"up\\\u000a\u0000"}"#
        );
        for label in ["a.b", "a=\"\",b", "9a", "", "a:b", "\u{e4}"] {
            assert!(text(label, "m").is_err(), "{label:?}");
        }
    }

    #[test]
    fn seconds_have_three_decimals() {
        assert_eq!(seconds(1_764_000_030_004), "1764000030.004");
        assert_eq!(seconds(-1), "-1.999");
    }

    proptest! {
        /// Quotes, braces, newlines, regular expressions: whatever the value is, the server sees
        /// exactly two matchers, and one of them is equality with exactly that value.
        #[test]
        fn hostile_values_stay_values(value in "(?s).{1,40}|[\"\\\\{}|.*+\n\u{0}\u{2028}]{1,10}") {
            let query = query(&request("instance", &value, &["up", "node_load1"]));
            let seen = Query::decode(query.encode_to_vec().as_slice()).unwrap();
            let names = matcher(MatchType::Re, NAME, "up|node_load1".to_owned());
            prop_assert_eq!(seen.matchers, vec![matcher(MatchType::Eq, "instance", value), names]);
        }

        /// Read back as Go reads a string: the only bare quotes are the four that belong there, and
        /// between the last two stands exactly the value.
        #[test]
        fn hostile_values_stay_inside_their_quotes(value in "(?s).{1,40}|[\"\\\\{}|.*+\n\u{0}\u{2028}]{1,10}") {
            let text = text(&request("instance", &value, &["up"])).unwrap();
            let rest = text.strip_prefix("{__name__=~\"up\",instance=\"").unwrap();
            let rest = rest.strip_suffix("\"}").unwrap();
            let (mut read, mut chars) = (String::new(), rest.chars());
            while let Some(c) = chars.next() {
                prop_assert!(c != '"' && !c.is_control());
                read.push(match c {
                    '\\' => match chars.next().unwrap() {
                        'u' => {
                            let hex: String = chars.by_ref().take(4).collect();
                            char::from_u32(u32::from_str_radix(&hex, 16).unwrap()).unwrap()
                        }
                        c => c,
                    },
                    c => c,
                });
            }
            prop_assert_eq!(read, value);
        }
    }
}
