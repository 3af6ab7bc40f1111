//! A profile's table as bytes, one writer per format; all take the same [`ProfileTable`].
//!
//! Called by `http`, which chooses the format and writes JSON itself (its bodies are part of the
//! OpenAPI document). Arrow and Parquet of an answer exist in this module alone: what leaves it are
//! bytes. Same table, same bytes, on every run: the answer's strong `ETag` promises that.

mod arrow;
mod csv;
mod open_metrics;
mod parquet;
#[cfg(test)]
mod tests;

pub use arrow::to_arrow;
pub use csv::to_csv;
pub use open_metrics::to_open_metrics;
pub use parquet::to_parquet;

#[cfg(doc)]
use super::table::ProfileTable;
