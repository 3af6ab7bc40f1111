//! Writer properties of both tables (design section 6), in one place.

use super::{FORMAT, FORMAT_KEY};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{
    EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};

/// Rows per row group of both tables.
pub const ROW_GROUP_ROWS: usize = 65_536;
/// Rows per data page of `samples`: one job is one or two pages per column.
pub const SAMPLES_PAGE_ROWS: usize = 8_192;
/// Rows per data page of a fresh `jobs` file: one job page reads one row of 150 columns, so that more of
/// them save bytes and cost time (docs/adr/0004).
const JOBS_PAGE_ROWS: usize = 1_536;
/// Rows per data page of a `jobs` file that is compacted for good: 4 % fewer bytes.
const JOBS_PAGE_ROWS_COLD: usize = 4_096;
/// zstd level of a fresh segment.
pub const LEVEL_HOT: i32 = 3;
/// zstd level of a segment that is compacted for good. 15 would save 1 % more for three times the work
/// (docs/adr/0031).
pub const LEVEL_COLD: i32 = 9;

/// Rows per data page of a `jobs` file that is compressed with zstd of `level`.
pub(super) fn jobs_page_rows(level: i32) -> usize {
    if level < LEVEL_COLD {
        JOBS_PAGE_ROWS
    } else {
        JOBS_PAGE_ROWS_COLD
    }
}
/// Rows of a `jobs` file that are read and moved together. Pages and row groups are multiples of it, so
/// that they end where they should.
pub const JOBS_BATCH_ROWS: usize = 512;
/// Rows of a `jobs` file that become rows of the model at once, where that starts a reader: a page of a
/// fresh file, since each reader decodes its pages anew.
pub const JOBS_READ_ROWS: usize = JOBS_PAGE_ROWS;

/// How value columns are encoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueEncoding {
    /// BYTE_STREAM_SPLIT: smallest.
    #[default]
    Native,
    /// DELTA_BINARY_PACKED: 17 % more bytes, readable by older engines (DuckDB before 2.0).
    Compatible,
}

impl ValueEncoding {
    /// The Parquet encoding of value columns.
    #[must_use]
    pub fn parquet(self) -> Encoding {
        match self {
            Self::Native => Encoding::BYTE_STREAM_SPLIT,
            Self::Compatible => Encoding::DELTA_BINARY_PACKED,
        }
    }
}

/// How a column is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// Dictionary: keys and repeated text.
    Dictionary,
    /// DELTA_BYTE_ARRAY: texts that no other row has, but that begin like their neighbours.
    Prefixed,
    /// DELTA_BINARY_PACKED: times and ascending keys.
    Delta,
    /// The value encoding.
    Value,
}

/// Settings that both tables share.
pub(super) fn base(encoding: ValueEncoding, level: i32) -> WriterPropertiesBuilder {
    let format = KeyValue::new(FORMAT_KEY.to_owned(), FORMAT.to_owned());
    WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_compression(Compression::ZSTD(
            ZstdLevel::try_new(level).unwrap_or_default(),
        ))
        .set_dictionary_enabled(false)
        .set_encoding(encoding.parquet())
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_key_value_metadata(Some(vec![format]))
}

/// Applies a column's storage.
pub(super) fn store(
    builder: WriterPropertiesBuilder,
    path: ColumnPath,
    storage: Storage,
) -> WriterPropertiesBuilder {
    match storage {
        Storage::Dictionary => builder
            .set_column_encoding(path.clone(), Encoding::PLAIN)
            .set_column_dictionary_enabled(path, true),
        Storage::Prefixed => builder.set_column_encoding(path, Encoding::DELTA_BYTE_ARRAY),
        Storage::Delta => builder.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
        Storage::Value => builder,
    }
}

/// Ascending, nulls first, by column positions.
pub(super) fn sorted_by(positions: &[i32]) -> Vec<SortingColumn> {
    positions
        .iter()
        .map(|column_idx| SortingColumn {
            column_idx: *column_idx,
            descending: false,
            nulls_first: true,
        })
        .collect()
}
