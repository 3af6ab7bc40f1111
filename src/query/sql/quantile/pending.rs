//! Values as they came, of all groups together, before each group takes its own.
//!
//! Rows come in short runs of a group. A group that kept its own few values would be a look somewhere else
//! in memory for each run; here they are written one behind the other, and are handed out by group when
//! there are so many that each group gets a worthwhile number.

use super::super::grouped::grow;
use super::block::Entry;
use super::values::{Tag, WHOLE};
use crate::num;
use std::ops::Range;

/// Values that are held at least, and at most: 32 KiB and 4 MiB.
const HELD_MIN: usize = 4 << 10;
const HELD_MAX: usize = 512 << 10;
/// Values per group that are worth a block, whose header has 34 bytes.
const PER_GROUP: usize = 64;

/// Values of a group that came behind one another.
#[derive(Debug, Clone, Copy)]
struct Run {
    group: u32,
    len: u32,
}

/// The values, and whose they are.
#[derive(Debug, Default)]
pub(super) struct Pending {
    tag: Tag,
    values: Vec<i64>,
    /// Their weights; empty where each weighs 1.
    weights: Vec<u64>,
    runs: Vec<Run>,
    /// Where the values of each group end.
    ends: Vec<usize>,
    sorted: Vec<i64>,
    sorted_weights: Vec<u64>,
}

/// The values of one group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    pub(super) values: &'a [i64],
    weights: &'a [u64],
    pub(super) tag: Tag,
}

impl Own<'_> {
    /// The values with their weights; `None` if each weighs 1.
    pub(super) fn weighted(&self) -> Option<Vec<Entry>> {
        let pairs = self.values.iter().zip(self.weights);
        let entry = |(value, weight): (&i64, &u64)| Entry {
            value: *value,
            weight: *weight,
        };
        (!self.weights.is_empty()).then(|| pairs.map(entry).collect())
    }
}

impl Pending {
    /// Whether values of this meaning can be added to those that are here.
    pub(super) fn takes(&self, tag: Tag) -> bool {
        self.values.is_empty() || self.tag == tag
    }

    /// Adds values; [`Pending::note`] says whose they are.
    pub(super) fn extend(&mut self, values: &[i64], tag: Tag) {
        self.tag = tag;
        self.values.extend_from_slice(values);
    }

    /// The next `len` values are a group's.
    pub(super) fn note(&mut self, group: usize, len: usize) {
        let group = u32::try_from(group).unwrap_or(u32::MAX);
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        match self.runs.last_mut() {
            Some(last) if last.group == group => last.len += len,
            _ => self.runs.push(Run { group, len }),
        }
    }

    /// Adds a value of a group with its weight.
    pub(super) fn push_weighted(&mut self, group: usize, value: i64, weight: u64, tag: Tag) {
        self.tag = tag;
        self.values.push(value);
        self.weights.push(weight);
        self.note(group, 1);
    }

    /// Whether each of so many groups would get enough, or memory is used enough.
    pub(super) fn is_full(&self, groups: usize) -> bool {
        self.values.len() >= (groups.saturating_mul(PER_GROUP)).clamp(HELD_MIN, HELD_MAX)
    }

    /// Bytes that it takes.
    pub(super) fn heap_bytes(&self) -> usize {
        let words = self.values.capacity()
            + self.weights.capacity()
            + self.sorted.capacity()
            + self.sorted_weights.capacity()
            + self.ends.capacity()
            + self.runs.capacity();
        words * 8
    }

    /// Hands out everything, a group at a time.
    pub(super) fn hand_out(&mut self, groups: usize, mut take: impl FnMut(usize, Own<'_>)) {
        let tag = self.tag;
        if let [run] = self.runs.as_slice() {
            let (values, weights) = (self.values.as_slice(), self.weights.as_slice());
            let own = Own {
                values,
                weights,
                tag,
            };
            take(num::to_usize(u64::from(run.group)), own);
        } else {
            self.sort(groups);
            let mut start = 0;
            for (group, end) in self.ends.iter().enumerate() {
                let range = start..*end;
                start = *end;
                if !range.is_empty() {
                    let values = self.sorted.get(range.clone()).unwrap_or_default();
                    let weights = self.sorted_weights.get(range).unwrap_or_default();
                    take(
                        group,
                        Own {
                            values,
                            weights,
                            tag,
                        },
                    );
                }
            }
        }
        self.values.clear();
        self.weights.clear();
        self.runs.clear();
        self.tag = WHOLE;
    }

    /// Puts the values of each group behind one another, in the order in which they came.
    fn sort(&mut self, groups: usize) {
        self.ends.clear();
        grow(&mut self.ends, groups);
        let number = |run: &Run| num::to_usize(u64::from(run.group));
        for run in &self.runs {
            if let Some(end) = self.ends.get_mut(number(run)) {
                *end += num::to_usize(u64::from(run.len));
            }
        }
        let mut all = 0;
        for end in &mut self.ends {
            // Where the group begins; every run of it that is copied moves it to its end.
            all += std::mem::replace(end, all);
        }
        self.sorted.resize(self.values.len(), 0);
        self.sorted_weights.resize(self.weights.len(), 0);
        let mut start = 0;
        for run in &self.runs {
            let from = start..start + num::to_usize(u64::from(run.len));
            start = from.end;
            let Some(end) = self.ends.get_mut(number(run)) else {
                continue;
            };
            let to = *end..*end + from.len();
            *end = to.end;
            copy(&self.values, from.clone(), &mut self.sorted, to.clone());
            copy(&self.weights, from, &mut self.sorted_weights, to);
        }
    }
}

/// Copies what is there of `from`.
fn copy<T: Copy>(all: &[T], from: Range<usize>, out: &mut [T], to: Range<usize>) {
    if let (Some(from), Some(to)) = (all.get(from), out.get_mut(to)) {
        to.copy_from_slice(from);
    }
}
