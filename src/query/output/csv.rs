//! A profile as CSV (RFC 4180): one row per sample, absent cells empty.

use crate::error::{Error, Result};
use crate::query::table::ProfileTable;
use crate::time::TimestampMs;

/// The table as CSV text: `ts` (RFC 3339, ms), `ts_ms`, `interval_ms`, then one column per metric in
/// the order of the table, with the metric's name as header. Numbers are exact decimals.
///
/// # Errors
/// `Internal` if the writer fails (a bug: it writes to memory).
pub fn to_csv(table: &ProfileTable) -> Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let mut header = vec!["ts", "ts_ms", "interval_ms"];
    header.extend(table.series.iter().map(|series| series.name));
    writer.write_record(&header).map_err(failed)?;
    for (row, (ts, interval)) in table.ts_ms.iter().zip(&table.interval_ms).enumerate() {
        let mut record = vec![
            TimestampMs(*ts).to_rfc3339(),
            ts.to_string(),
            interval.map(|ms| ms.to_string()).unwrap_or_default(),
        ];
        for series in &table.series {
            let cell = series.decimal(row);
            record.push(cell.map(|cell| cell.to_string()).unwrap_or_default());
        }
        writer.write_record(&record).map_err(failed)?;
    }
    writer
        .into_inner()
        .map_err(|error| Error::internal(format!("CSV: {error}")))
}

fn failed(error: csv::Error) -> Error {
    Error::internal("a profile could not be written as CSV").with_source(error)
}
