//! Cells of a samples column in its physical type: the values without a hole in memory, and which
//! rows have one.
//!
//! Called by whoever writes, reads or copies a samples file.

use super::chunk::Cells;
use super::value::Value;
use crate::error::{Error, Result};
use std::ops::Range;

/// The cells of a column without a gap in memory, and which rows have one.
#[derive(Debug, Default)]
pub(super) struct Optional<T> {
    values: Vec<T>,
    present: Vec<bool>,
}

/// A place in a column: so many rows, so many values in front of it. Where the last copy ended, so that
/// the next one need not count from the start.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Mark {
    row: usize,
    value: usize,
}

impl<T: Value> Optional<T> {
    /// Cells as they were read: `present` has a flag per row, `values` what is there.
    pub(super) fn new(values: Vec<T>, present: Vec<bool>) -> Self {
        Self { values, present }
    }

    /// Appends cells. What does not fit was taken out before (`CellType::fits`); null is the safe
    /// answer here.
    pub(super) fn extend(&mut self, cells: impl ExactSizeIterator<Item = Option<i64>> + Clone) {
        let narrow = |cell: Option<i64>| cell.and_then(|cell| T::try_from(cell).ok());
        // Nearly every column of nearly every job is full: they are copied as if they were, without a
        // branch per cell, and copied once more if they are not (docs/benchmarks.md, Speed).
        let (before, rows) = (self.values.len(), cells.len());
        let mut fit = true;
        self.values.extend(cells.clone().map(|cell| {
            let value = narrow(cell);
            fit &= value.is_some();
            value.unwrap_or_default()
        }));
        if fit {
            self.present.resize(self.present.len() + rows, true);
            return;
        }
        self.values.truncate(before);
        for cell in cells.map(narrow) {
            self.present.push(cell.is_some());
            self.values.extend(cell);
        }
    }

    /// Appends rows of another column; `mark` is where the last call for it ended.
    fn append(&mut self, from: &Self, rows: Range<usize>, mark: &mut Mark) -> Result<()> {
        let short = || Error::internal("rows behind the end of a page were to be copied");
        let present = from.present.get(rows.clone()).ok_or_else(short)?;
        let first = if from.is_full() {
            rows.start
        } else {
            if rows.start < mark.row {
                *mark = Mark::default();
            }
            let between = from.present.get(mark.row..rows.start).ok_or_else(short)?;
            mark.value + count(between)
        };
        let end = first
            + if from.is_full() {
                rows.len()
            } else {
                count(present)
            };
        *mark = Mark {
            row: rows.end,
            value: end,
        };
        let values = from.values.get(first..end).ok_or_else(short)?;
        self.present.extend_from_slice(present);
        self.values.extend_from_slice(values);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.values.len() == self.present.len()
    }

    pub(super) fn push_nulls(&mut self, rows: usize) {
        self.present.resize(self.present.len() + rows, false);
    }

    pub(super) fn push_same(&mut self, value: T, rows: usize) {
        self.values.resize(self.values.len() + rows, value);
        self.present.resize(self.present.len() + rows, true);
    }

    /// The values that are there, without the rows that have none.
    pub(super) fn values(&self) -> &[T] {
        &self.values
    }

    pub(super) fn cells(&self) -> Cells<'_, T> {
        Cells {
            values: &self.values,
            present: Some(&self.present),
        }
    }

    pub(super) fn clear(&mut self) {
        self.values.clear();
        self.present.clear();
    }

    /// The cells one by one.
    fn iter(&self) -> impl Iterator<Item = Option<T>> + '_ {
        let mut values = self.values.iter();
        self.present.iter().map(move |present| {
            if *present {
                values.next().copied()
            } else {
                None
            }
        })
    }
}

fn count(present: &[bool]) -> usize {
    present.iter().filter(|present| **present).count()
}

/// A column in its physical type.
#[derive(Debug)]
pub(super) enum Buffer {
    Narrow(Optional<i32>),
    Wide(Optional<i64>),
}

impl Buffer {
    /// An empty column of 32 bits, or of 64.
    pub(super) fn new(is_narrow: bool) -> Self {
        if is_narrow {
            Self::Narrow(Optional::default())
        } else {
            Self::Wide(Optional::default())
        }
    }

    /// Appends a job's cells; none are `rows` nulls.
    pub(super) fn extend(&mut self, cells: Option<&[Option<i64>]>, rows: usize) {
        match (self, cells) {
            (Self::Narrow(buffer), Some(cells)) => buffer.extend(cells.iter().copied()),
            (Self::Wide(buffer), Some(cells)) => buffer.extend(cells.iter().copied()),
            (buffer, None) => buffer.push_nulls(rows),
        }
    }

    pub(super) fn push_nulls(&mut self, rows: usize) {
        match self {
            Self::Narrow(buffer) => buffer.push_nulls(rows),
            Self::Wide(buffer) => buffer.push_nulls(rows),
        }
    }

    /// Appends rows of another column; `mark` is where the last call for it ended.
    ///
    /// # Errors
    /// `Data` if the other column is of another type, `Internal` if it is shorter (a bug).
    pub(super) fn append(
        &mut self,
        from: &Self,
        rows: Range<usize>,
        mark: &mut Mark,
    ) -> Result<()> {
        match (self, from) {
            (Self::Narrow(to), Self::Narrow(from)) => to.append(from, rows, mark),
            (Self::Wide(to), Self::Wide(from)) => to.append(from, rows, mark),
            _ => Err(unexpected_type()),
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::Narrow(buffer) => buffer.clear(),
            Self::Wide(buffer) => buffer.clear(),
        }
    }

    /// The cells, all as 64 bits.
    pub(super) fn widened(&self) -> Vec<Option<i64>> {
        match self {
            Self::Narrow(buffer) => buffer.iter().map(|cell| cell.map(i64::from)).collect(),
            Self::Wide(buffer) => buffer.iter().collect(),
        }
    }

    /// Calls `visit` with the position of every cell that is there, and its value.
    pub(super) fn for_each(&self, mut visit: impl FnMut(usize, i64)) {
        match self {
            Self::Narrow(buffer) => visit_all(buffer, |row, value| visit(row, i64::from(value))),
            Self::Wide(buffer) => visit_all(buffer, visit),
        }
    }
}

fn visit_all<T: Value>(buffer: &Optional<T>, mut visit: impl FnMut(usize, T)) {
    if buffer.is_full() {
        for (row, value) in buffer.values.iter().enumerate() {
            visit(row, *value);
        }
        return;
    }
    for (row, cell) in buffer.iter().enumerate() {
        if let Some(value) = cell {
            visit(row, value);
        }
    }
}

pub(super) fn unexpected_type() -> Error {
    Error::data("segment_schema", "a samples column has an unexpected type")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Rows copied in any order are the rows.
        #[test]
        fn copies_are_the_rows(
            cells in prop::collection::vec(prop::option::weighted(0.8, any::<i32>().prop_map(i64::from)), 1..200),
            cuts in prop::collection::vec((0usize..200, 0usize..200), 0..20),
        ) {
            let mut from = Buffer::new(true);
            from.extend(Some(&cells), cells.len());
            let (mut to, mut mark, mut expected) = (Buffer::new(true), Mark::default(), Vec::new());
            for (a, b) in cuts {
                let (a, b) = (a.min(cells.len()), b.min(cells.len()));
                let rows = a.min(b)..a.max(b);
                expected.extend_from_slice(&cells[rows.clone()]);
                to.append(&from, rows, &mut mark).unwrap();
            }
            prop_assert_eq!(to.widened(), expected);
        }
    }

    #[test]
    fn columns_of_another_type_are_refused() {
        let (mut to, from) = (Buffer::new(true), Buffer::new(false));
        assert!(to.append(&from, 0..0, &mut Mark::default()).is_err());
    }
}
