//! The fleet in the formats that real servers load.

use super::Fleet;
use crate::source_port::{RawSeries, is_stale};
use std::collections::BTreeMap;
use std::io::{self, Write};

impl Fleet {
    /// OpenMetrics for `promtool tsdb create-blocks-from openmetrics`: families together, series one
    /// after the other, samples in order of time, seconds with three decimals. promtool drops late
    /// samples and takes milliseconds for the far future, both without a word.
    ///
    /// # Errors
    /// What writing to `out` says.
    pub fn write_open_metrics(&self, out: &mut impl Write) -> io::Result<()> {
        let mut families: BTreeMap<&str, Vec<&RawSeries>> = BTreeMap::new();
        for series in self.machines.iter().flat_map(|machine| &machine.series) {
            families.entry(&series.name).or_default().push(series);
        }
        for (name, family) in families {
            match name.strip_suffix("_total") {
                Some(family) => writeln!(out, "# TYPE {family} counter")?,
                None => writeln!(out, "# TYPE {name} gauge")?,
            }
            for series in family {
                let labels = labels(series);
                for (ts, value) in real_samples(series) {
                    let (seconds, millis) = (ts.div_euclid(1_000), ts.rem_euclid(1_000));
                    writeln!(out, "{name}{{{labels}}} {value} {seconds}.{millis:03}")?;
                }
            }
        }
        writeln!(out, "# EOF")
    }

    /// Lines of VictoriaMetrics' JSON import format.
    ///
    /// # Errors
    /// `Internal` never in practice: the values are finite.
    pub fn json_lines(&self) -> serde_json::Result<String> {
        let mut text = String::new();
        for series in self.machines.iter().flat_map(|machine| &machine.series) {
            let (timestamps, values): (Vec<i64>, Vec<f64>) = real_samples(series).unzip();
            let named = [("__name__", series.name.as_str())];
            let labels = series
                .labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            let metric: BTreeMap<&str, &str> = named.into_iter().chain(labels).collect();
            let line = serde_json::json!({
                "metric": metric,
                "values": values,
                "timestamps": timestamps,
            });
            text.push_str(&serde_json::to_string(&line)?);
            text.push('\n');
        }
        Ok(text)
    }
}

/// Samples without staleness markers: neither format can say them.
fn real_samples(series: &RawSeries) -> impl Iterator<Item = (i64, f64)> + '_ {
    series
        .samples
        .iter()
        .copied()
        .filter(|(_, value)| !is_stale(*value))
}

fn labels(series: &RawSeries) -> String {
    let quoted = series.labels.iter().map(|(name, value)| {
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        format!("{name}=\"{value}\"")
    });
    quoted.collect::<Vec<_>>().join(",")
}
