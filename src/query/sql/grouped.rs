//! Rows of a batch by their group, for accumulators: which rows count, and those of one group that lie
//! behind one another together.
//!
//! Samples come job by job, so what is done once per run of rows instead of once per row costs next to
//! nothing.

use datafusion::arrow::array::{Array as _, ArrayRef, BooleanArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::prep_null_mask_filter;
use datafusion::common::Result;
use std::ops::{BitOr, BitXor, Range};

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

/// Rows of one group that lie behind one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) group: usize,
    /// The row behind its last one. It begins where the run before it ends.
    pub(super) end: usize,
}

/// Whose the rows of a batch are.
#[derive(Debug, Clone, Copy)]
pub(super) enum GroupOf<'a> {
    /// There is one group.
    One,
    /// The group of each row.
    Rows(&'a [usize]),
    /// The runs that all rows make up.
    Runs(&'a [Run]),
}

/// An accumulator of ours: it takes runs as they are.
pub(super) trait Grouped {
    /// Adds a batch whose rows are of so many groups; `filter` says which of them count.
    fn add(
        &mut self,
        values: &[ArrayRef],
        group_of: GroupOf<'_>,
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()>;
}

/// Calls `visit` with a group and rows of it that count and lie behind one another, until all of `rows`
/// were.
pub(super) fn each_run(
    rows: usize,
    group_of: GroupOf<'_>,
    counted: Option<&NullBuffer>,
    mut visit: impl FnMut(usize, Range<usize>),
) {
    let mut runs = match group_of {
        GroupOf::Runs(runs) => runs,
        _ => &[],
    };
    let mut stretch = |mut from: usize, to: usize| match group_of {
        GroupOf::One => visit(0, from..to),
        GroupOf::Rows(groups) => {
            let mut own = groups.get(from..to).unwrap_or_default();
            while let Some(group) = own.first() {
                let len = run_len(own);
                visit(*group, from..from + len);
                from += len;
                own = own.get(len..).unwrap_or_default();
            }
        }
        GroupOf::Runs(_) => {
            while let Some((run, rest)) = runs.split_first() {
                if from < run.end.min(to) {
                    visit(run.group, from..run.end.min(to));
                }
                if to < run.end {
                    break;
                }
                from = from.max(run.end);
                runs = rest;
            }
        }
    };
    match counted {
        None => stretch(0, rows),
        Some(counted) => counted
            .valid_slices()
            .for_each(|(from, to)| stretch(from, to)),
    }
}

/// What is compared bit by bit.
pub(super) trait Word:
    Copy + Default + PartialEq + BitXor<Output = Self> + BitOr<Output = Self>
{
}

impl<T: Copy + Default + PartialEq + BitXor<Output = Self> + BitOr<Output = Self>> Word for T {}

/// How many values from the first on are equal.
pub(super) fn run_len<T: Word>(values: &[T]) -> usize {
    // Compared as one: the compiler makes vector instructions of it, not of a comparison that may end early.
    const TOGETHER: usize = 16;
    let Some(first) = values.first().copied() else {
        return 0;
    };
    let (parts, _) = values.as_chunks::<TOGETHER>();
    let is_same = |part: &&[T; TOGETHER]| {
        let differing = part
            .iter()
            .fold(T::default(), |all, own| all | (*own ^ first));
        differing == T::default()
    };
    let same = parts.iter().take_while(is_same).count() * TOGETHER;
    let rest = values.get(same..).unwrap_or_default();
    same + rest.iter().take_while(|own| **own == first).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_are_those_of_neighbours_that_are_equal(lens in prop::collection::vec((0usize..3, 1usize..40), 0..12), there: u64) {
            let of: Vec<usize> = lens.iter().flat_map(|(group, len)| std::iter::repeat_n(*group, *len)).collect();
            let mut seen = Vec::new();
            each_run(of.len(), GroupOf::Rows(&of), None, |group, rows| seen.push((group, rows.len())));
            let expected: Vec<_> = of.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
            prop_assert_eq!(seen, expected);
            // Told as runs, and of rows of which some do not count, they are the same rows.
            let mut end = 0;
            let runs: Vec<Run> = lens.iter().map(|(group, len)| { end += len; Run { group: *group, end } }).collect();
            let rows = |group_of: GroupOf<'_>, counted: Option<&NullBuffer>| {
                let mut rows = Vec::new();
                each_run(of.len(), group_of, counted, |group, own| rows.extend(own.map(|row| (row, group))));
                rows
            };
            let counted = NullBuffer::from_iter((0..of.len()).map(|row| there >> (row % 61) & 1 == 1));
            for counted in [None, Some(&counted)] {
                let expected: Vec<_> = of.iter().copied().enumerate().filter(|(row, _)| counted.is_none_or(|own| own.is_valid(*row))).collect();
                prop_assert_eq!(&rows(GroupOf::Rows(&of), counted), &expected);
                prop_assert_eq!(&rows(GroupOf::Runs(&runs), counted), &expected);
            }
        }
    }

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
            GroupOf::Rows(&[7, 7, 7, 8, 8, 8]),
            which.as_ref(),
            |group, rows| {
                seen.push((group, rows));
            },
        );
        assert_eq!(seen, [(7, 0..2), (8, 4..5)]);
        seen.clear();
        each_run(3, GroupOf::One, None, |group, rows| {
            seen.push((group, rows))
        });
        assert_eq!(seen, [(0, 0..3)]);
        let all = BooleanArray::from(vec![true; 3]);
        assert!(counted(None, Some(&all)).is_none());
    }
}
