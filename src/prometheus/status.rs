//! Two questions about the server itself, asked when a machine has no samples: does it keep them that
//! long, and did it scrape anything at all then?

use super::api;
use super::client::{Call, Client};
use super::fault::Class;
use super::select::seconds;
use super::site::Site;
use crate::limits;
use crate::model::id::RegionName;
use crate::model::runner::Region;
use crate::source_port::SourceError;
use crate::time::TimeRange;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct RuntimeInfo {
    #[serde(rename = "storageRetention")]
    storage_retention: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Vector {
    result: Vec<Element>,
}

#[derive(Debug, Deserialize)]
struct Element {
    /// Seconds and the value, a number in text.
    value: (f64, String),
}

/// How long the server keeps samples. `None` without a time limit, and for servers that have no such
/// page.
///
/// # Errors
/// As [`SourceErrorKind`](crate::source_port::SourceErrorKind) says.
pub(super) async fn retention_ms(
    client: &Client,
    name: &RegionName,
    region: &Region,
) -> Result<Option<i64>, SourceError> {
    let site = Site::new(name, region)?;
    let call = api::get("/api/v1/status/runtimeinfo");
    let info: RuntimeInfo =
        match api::data(client, &site, call, limits::SMALL_ANSWER_BYTES_MAX).await {
            Ok(info) => info,
            // VictoriaMetrics and others do not have it.
            Err(denial) if denial.class == Class::NextStep => return Ok(None),
            Err(denial) => return Err(denial.error),
        };
    Ok(info.storage_retention.as_deref().and_then(parse_retention))
}

/// Whether any target of the server has a sample of `up` in the range, good or bad.
///
/// # Errors
/// As [`SourceErrorKind`](crate::source_port::SourceErrorKind) says.
pub(super) async fn scraped_anything(
    client: &Client,
    name: &RegionName,
    region: &Region,
    range: TimeRange,
) -> Result<bool, SourceError> {
    if range.is_empty() {
        return Ok(false);
    }
    let site = Site::new(name, region)?;
    let data = api::data(client, &site, up_in(range), limits::SMALL_ANSWER_BYTES_MAX).await;
    let vector: Vector = data.map_err(|denial| denial.error)?;
    let targets = vector.result.iter().map(|element| &element.value.1);
    Ok(targets
        .filter_map(|text| text.parse::<f64>().ok())
        .any(|targets| targets > 0.0))
}

/// The form `query=count(count_over_time(up[<n>ms]))&time=<seconds>`. Evaluated at the last
/// millisecond of the range, a selector of its length is the range itself, since selectors are open
/// on the left (before Prometheus 3 closed: one millisecond more).
fn up_in(range: TimeRange) -> Call {
    let (_, last) = range.to_inclusive();
    let query = format!("count(count_over_time(up[{}ms]))", range.len_ms());
    let parameters = [("query", query.as_str()), ("time", &seconds(last))];
    api::form("/api/v1/query", &parameters)
}

/// The time limit in `storageRetention`: `15d`, `1w2d`, `30d or 50GiB`. `None` if there is none
/// (`50GiB`, `0s`) or it is spelled in a way not known: the caller then assumes the default.
fn parse_retention(text: &str) -> Option<i64> {
    text.split(" or ")
        .find_map(parse_duration)
        .filter(|ms| *ms > 0)
}

/// A Prometheus duration: whole numbers with units, e.g. `1h30m`.
fn parse_duration(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut total = None;
    while !rest.is_empty() {
        let (digits, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let end = tail.find(|c: char| c.is_ascii_digit());
        let (unit, tail) = tail.split_at(end.unwrap_or(tail.len()));
        let part = digits.parse::<i64>().ok()?.checked_mul(unit_ms(unit)?)?;
        total = Some(part.checked_add(total.unwrap_or(0))?);
        rest = tail;
    }
    total
}

fn unit_ms(unit: &str) -> Option<i64> {
    Some(match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        "y" => 365 * 86_400_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimestampMs;
    use proptest::prelude::*;

    const DAY: i64 = 86_400_000;

    #[test]
    fn retention_spellings() {
        for (text, ms) in [
            ("15d", Some(15 * DAY)),
            ("30d or 50GiB", Some(30 * DAY)),
            ("50GiB or 30d", Some(30 * DAY)),
            ("1w2d", Some(9 * DAY)),
            ("100y", Some(36_500 * DAY)),
            ("1h30m", Some(5_400_000)),
            ("1d12h30m15s500ms", Some(DAY + 45_015_500)),
            (" 2h ", Some(7_200_000)),
            ("0s", None),
            ("50GiB", None),
            ("", None),
            ("15", None),
            ("d", None),
            ("15 d", None),
            ("-15d", None),
            ("15d!", None),
            ("1.5d", None),
            ("99999999999999999999y", None),
            ("9223372036854775807y", None),
        ] {
            assert_eq!(parse_retention(text), ms, "{text:?}");
        }
    }

    #[test]
    fn the_selector_is_the_range() {
        let range = TimeRange::new(
            TimestampMs(1_764_000_000_000),
            TimestampMs(1_764_000_030_005),
        );
        assert_eq!(
            String::from_utf8(up_in(range).body).unwrap(),
            "query=count%28count_over_time%28up%5B30005ms%5D%29%29&time=1764000030.004"
        );
    }

    #[test]
    fn an_answer_may_have_fields_we_do_not_know() {
        let body = r#"{"status":"success","warnings":["w"],"data":{"resultType":"vector","result":
            [{"metric":{},"value":[1764000030.004,"3"]}]}}"#;
        let parsed: api::Envelope<Vector> = serde_json::from_str(body).unwrap();
        assert_eq!(parsed.data.result[0].value.1, "3");
        let deep = format!("{{\"status\":\"success\",\"data\":{}", "[".repeat(10_000));
        assert!(serde_json::from_str::<api::Envelope<Vector>>(&deep).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text: String) {
            let _parsed = parse_retention(&text);
        }
    }
}
