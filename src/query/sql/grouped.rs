//! Rows of a batch by their group, for accumulators: which rows count, and those of one group that lie
//! behind one another together.
//!
//! Samples come job by job, so what is done once per run of rows instead of once per row costs next to
//! nothing.

use datafusion::arrow::array::{Array as _, BooleanArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::prep_null_mask_filter;
use std::ops::Range;

/// Makes room for the states of so many groups.
pub(super) fn grow<T: Clone + Default>(groups: &mut Vec<T>, number: usize) {
    if groups.len() < number {
        groups.resize(number, T::default());
    }
}

/// Which rows count: those with a value that pass the filter, where null does not pass. None if all do.
pub(super) fn counted(
    values: Option<&NullBuffer>,
    filter: Option<&BooleanArray>,
) -> Option<NullBuffer> {
    let passed = filter.map(|filter| {
        let passed = match filter.null_count() {
            0 => filter.clone(),
            _ => prep_null_mask_filter(filter),
        };
        NullBuffer::new(passed.values().clone())
    });
    NullBuffer::union(values, passed.as_ref()).filter(|own| own.null_count() > 0)
}

/// Calls `visit` with a group and rows of it that count and lie behind one another, until all of `rows`
/// were. `group_of` says the group of each row, none that there is one.
pub(super) fn each_run(
    rows: usize,
    group_of: Option<&[usize]>,
    counted: Option<&NullBuffer>,
    mut visit: impl FnMut(usize, Range<usize>),
) {
    let mut stretch = |from: usize, to: usize| {
        let Some(group_of) = group_of else {
            visit(0, from..to);
            return;
        };
        let mut start = from;
        let own = group_of.get(from..to).unwrap_or_default();
        for run in own.chunk_by(|a, b| a == b) {
            if let Some(group) = run.first() {
                visit(*group, start..start + run.len());
            }
            start += run.len();
        }
    };
    match counted {
        None => stretch(0, rows),
        Some(counted) => counted
            .valid_slices()
            .for_each(|(from, to)| stretch(from, to)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_of_one_group_and_of_rows_that_count() {
        let values = NullBuffer::from(vec![true, true, false, true, true, true]);
        let filter = BooleanArray::from(vec![
            Some(true),
            Some(true),
            Some(true),
            None,
            Some(true),
            Some(false),
        ]);
        let which = counted(Some(&values), Some(&filter));
        let mut seen = Vec::new();
        each_run(
            6,
            Some(&[7, 7, 7, 8, 8, 8]),
            which.as_ref(),
            |group, rows| {
                seen.push((group, rows));
            },
        );
        assert_eq!(seen, [(7, 0..2), (8, 4..5)]);
        seen.clear();
        each_run(3, None, None, |group, rows| seen.push((group, rows)));
        assert_eq!(seen, [(0, 0..3)]);
        let all = BooleanArray::from(vec![true; 3]);
        assert!(counted(None, Some(&all)).is_none());
    }
}
