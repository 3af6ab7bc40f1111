//! What footers and page indexes say of columns, for leaving out row groups and pages.

use crate::segment::VerifiedFile;
use crate::segment::footer::Extremes;
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
    let known = file.known_leaf(group, leaf).ok()?;
    let chunk = &known.chunk;
    let (min, max) = match &chunk.extremes {
        None => (None, None),
        Some(Extremes::Int(least, most)) => (Some(Bound::Int(*least)), Some(Bound::Int(*most))),
        Some(Extremes::Text(least, most)) => {
            let text = |text: &str| Some(Bound::Text(text.to_owned()));
            (text(least), text(most))
        }
    };
    let nulls = chunk.nulls;
    Some(ColumnBounds { min, max, nulls })
}

/// The pages of a column in a row group: their rows, and their bounds by the page index.
#[must_use]
pub fn page_bounds(
    file: &VerifiedFile,
    group: usize,
    leaf: usize,
) -> Option<Vec<(Range<usize>, ColumnBounds)>> {
    let rows = file.group_rows(group)?;
    let known = file.known_leaf(group, leaf).ok()?;
    if known.chunk.is_all_null() {
        return None;
    }
    let bounds = file.page_bounds(&known)?;
    let pages = (0..known.locations.len()).map(|number| {
        let from = known.first_row(number)?;
        let to = known.first_row(number + 1).unwrap_or(rows);
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
