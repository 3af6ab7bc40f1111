//! What footers and page indexes say of columns, for leaving out row groups and pages.

use super::is_all_null;
use crate::num;
use crate::segment::VerifiedFile;
use parquet::basic::Type;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use std::ops::Range;

/// A smallest or largest value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// Of an integer column, as on disk.
    Int(i64),
    /// Of a text column; the largest may be cut and raised.
    Text(String),
}

/// What is known of the values of a column in some rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnBounds {
    /// Nothing in it is smaller; `None` if that is not known, or if there is no value.
    pub min: Option<Bound>,
    /// Nothing in it is larger.
    pub max: Option<Bound>,
    /// Rows without a value.
    pub nulls: Option<u64>,
}

/// The bounds of a column in a row group, by its footer.
#[must_use]
pub fn group_bounds(file: &VerifiedFile, group: usize, leaf: usize) -> Option<ColumnBounds> {
    let chunk = file.metadata.row_groups().get(group)?.columns().get(leaf)?;
    Some(chunk_bounds(chunk))
}

fn chunk_bounds(chunk: &ColumnChunkMetaData) -> ColumnBounds {
    let Some(statistics) = chunk.statistics() else {
        return ColumnBounds::default();
    };
    let text = |bytes: Option<&[u8]>| {
        let text = std::str::from_utf8(bytes?).ok()?;
        Some(Bound::Text(text.to_owned()))
    };
    let (min, max) = match statistics {
        Statistics::Int32(own) => (
            own.min_opt().map(|value| Bound::Int(i64::from(*value))),
            own.max_opt().map(|value| Bound::Int(i64::from(*value))),
        ),
        Statistics::Int64(own) => (
            own.min_opt().map(|value| Bound::Int(*value)),
            own.max_opt().map(|value| Bound::Int(*value)),
        ),
        Statistics::ByteArray(own) => (text(own.min_bytes_opt()), text(own.max_bytes_opt())),
        _ => (None, None),
    };
    ColumnBounds {
        min,
        max,
        nulls: statistics.null_count_opt(),
    }
}

/// The pages of a column in a row group: their rows, and their bounds by the page index.
#[must_use]
pub fn page_bounds(
    file: &VerifiedFile,
    group: usize,
    leaf: usize,
) -> Option<Vec<(Range<usize>, ColumnBounds)>> {
    let metadata = &file.metadata;
    let own = metadata.row_groups().get(group)?;
    let rows = num::to_usize(own.num_rows().unsigned_abs());
    if is_all_null(own.columns().get(leaf)?) {
        return None;
    }
    let is_integer = matches!(
        own.columns().get(leaf)?.column_type(),
        Type::INT32 | Type::INT64
    );
    if !is_integer {
        return None;
    }
    let locations = file.page_locations(group, leaf).ok()?;
    let bounds = file.page_bounds(group, leaf)?;
    let first_row = |number: usize| {
        let page = locations.get(number)?;
        Some(num::to_usize(page.first_row_index.unsigned_abs()))
    };
    let pages = (0..locations.len()).map(|number| {
        let from = first_row(number)?;
        let to = first_row(number + 1).unwrap_or(rows);
        let extremes = bounds.extremes.get(number)?;
        let nulls = bounds.nulls.as_ref().and_then(|nulls| nulls.get(number));
        let bounds = ColumnBounds {
            min: extremes.map(|(least, _)| Bound::Int(least)),
            max: extremes.map(|(_, most)| Bound::Int(most)),
            nulls: nulls.map(|nulls| nulls.unsigned_abs()),
        };
        Some((from..to, bounds))
    });
    pages.collect()
}
