//! A profile as OpenMetrics text, which `promtool tsdb create-blocks-from openmetrics` loads.
//!
//! promtool drops a sample of a series that is older than the one before without a word, and takes
//! milliseconds for a year far away: so every family is one series in order of time, and times are
//! seconds with three decimals. An absent cell is an absent sample.

use crate::query::table::{ProfileTable, Series};

/// In front of every name.
const PREFIX: &str = "tachograph_";

/// The table as OpenMetrics text: running totals are counters, everything else is a gauge.
#[must_use]
pub fn to_open_metrics(table: &ProfileTable) -> Vec<u8> {
    let labels = labels(table);
    let mut text = String::new();
    for series in &table.series {
        family(series, &table.ts_ms, &labels, &mut text);
    }
    text.push_str("# EOF\n");
    text.into_bytes()
}

fn family(series: &Series, ts_ms: &[i64], labels: &str, text: &mut String) {
    let name = format!("{PREFIX}{}", series.name);
    let (kind, suffix) = if series.running_total {
        ("counter", "_total")
    } else {
        ("gauge", "")
    };
    text.push_str(&format!("# TYPE {name} {kind}\n"));
    // A unit must be the end of the name.
    if name.ends_with(&format!("_{}", series.unit)) {
        text.push_str(&format!("# UNIT {name} {}\n", series.unit));
    }
    for (row, ts) in ts_ms.iter().enumerate() {
        if let Some(value) = series.decimal(row) {
            let (seconds, millis) = (ts.div_euclid(1_000), ts.rem_euclid(1_000));
            text.push_str(&format!(
                "{name}{suffix}{labels} {value} {seconds}.{millis:03}\n"
            ));
        }
    }
}

/// The labels of every series; what is not known has none.
fn labels(table: &ProfileTable) -> String {
    let known = [
        ("source", Some(table.job.source.as_str())),
        ("job_id", Some(table.job.job_id.as_str())),
        ("project", table.project.as_deref()),
        ("name", table.name.as_deref()),
        ("machine", table.machine.as_deref()),
    ];
    let pairs: Vec<String> = known
        .into_iter()
        .filter_map(|(label, value)| Some(format!("{label}=\"{}\"", escaped(value?))))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

/// A label's value between quotes. Control characters have no business in a name; the parsers of the
/// text disagree about them.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            control if control.is_control() => text.push(char::REPLACEMENT_CHARACTER),
            other => text.push(other),
        }
    }
    text
}
