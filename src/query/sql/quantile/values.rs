//! The values of one group, exactly, in little memory: what a quantile needs.
//!
//! Values are integers; a float is one too, an integer over a power of ten where that is exactly it
//! (all of ours are), else its bits in order. They lie in blocks: as many bytes per value as the block's
//! range takes, or each distinct value with its weight. When a group has many values in a small range,
//! they become counters. Blocks are what partitions hand to each other; merging them copies nothing.
//!
//! The quantile is the weighted nearest rank of design section 5: the smallest value whose
//! accumulated weight reaches the share.

use super::block::{self, Block, Entry};
use datafusion::arrow::buffer::Buffer;

/// How integers are to be read as values.
pub(super) type Tag = u8;
/// Integers as they are, and floats that are whole.
pub(super) const WHOLE: Tag = 0;
/// The bits of floats, in order.
pub(super) const BITS: Tag = u8::MAX;

/// Counters of one group: 4 MiB.
const COUNTERS_MAX: u64 = 1 << 20;
/// Packed bytes from which on counters are thought of.
const COUNTERS_FROM: usize = 16 << 10;
/// Values that are sorted at once when a quantile is looked for.
const SORTED_MAX: u64 = 1 << 16;
/// Buckets of one pass over the values: 32 KiB of weights.
const BUCKET_BITS: u32 = 12;

/// Counters of a small range of values.
#[derive(Debug, Clone)]
struct Counters {
    min: i64,
    shift: u32,
    counts: Vec<u32>,
}

impl Counters {
    /// The counter of a value, if it has one and room.
    fn of(&mut self, value: i64) -> Option<&mut u32> {
        let offset = value.wrapping_sub(self.min).cast_unsigned();
        let number = offset >> self.shift;
        if number << self.shift != offset || value < self.min {
            return None;
        }
        let count = self.counts.get_mut(usize::try_from(number).ok()?)?;
        (*count < u32::MAX).then_some(count)
    }

    fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let numbered = (0u64..).zip(&self.counts);
        numbered
            .filter(|(_, count)| **count > 0)
            .map(|(number, count)| Entry {
                value: self.min.wrapping_add((number << self.shift).cast_signed()),
                weight: u64::from(*count),
            })
    }
}

/// The values of a group.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    tag: Tag,
    blocks: Vec<u8>,
    /// Blocks of other partitions, as they came.
    merged: Vec<Buffer>,
    counters: Option<Box<Counters>>,
    /// Size of `blocks` at which counters are thought of next.
    look_at: usize,
}

impl Values {
    /// Adds values that weigh 1 each: the more at once, the better.
    pub(super) fn push(&mut self, values: &[i64], tag: Tag) {
        self.read_as(tag);
        match &mut self.counters {
            None => {
                block::write_plain(tag, values, &mut self.blocks);
                self.think_of_counters();
            }
            Some(counters) => {
                let mut others = Vec::new();
                for value in values {
                    match counters.of(*value) {
                        Some(count) => *count += 1,
                        None => others.push(*value),
                    }
                }
                block::write_plain(tag, &others, &mut self.blocks);
            }
        }
    }

    /// Adds values with weights above 0. A group has either weighted values or others.
    pub(super) fn push_weighted(&mut self, mut entries: Vec<Entry>, tag: Tag) {
        self.read_as(tag);
        entries.sort_unstable_by_key(|entry| entry.value);
        block::write_counted(tag, entries.into_iter(), &mut self.blocks);
    }

    /// Adds what another one's [`Values::into_blocks`] gave; `None` if it is no such thing.
    pub(super) fn merge(&mut self, blocks: Buffer) -> Option<()> {
        for block in block::blocks(&blocks) {
            block?;
        }
        self.merged.push(blocks);
        Some(())
    }

    /// All values as blocks.
    pub(super) fn into_blocks(mut self) -> Vec<u8> {
        self.spill_counters();
        for blocks in &self.merged {
            self.blocks.extend_from_slice(blocks);
        }
        self.blocks
    }

    /// Bytes that it takes beside itself.
    pub(super) fn heap_bytes(&self) -> usize {
        let counters = self
            .counters
            .as_ref()
            .map_or(0, |own| own.counts.capacity() * 4);
        let merged = self.merged.capacity() * size_of::<Buffer>();
        let merged = merged + self.merged.iter().map(Buffer::len).sum::<usize>();
        self.blocks.capacity() + merged + counters
    }

    fn read_as(&mut self, tag: Tag) {
        if tag != self.tag {
            self.spill_counters();
            self.tag = tag;
        }
    }

    fn think_of_counters(&mut self) {
        if self.blocks.len() >= self.look_at.max(COUNTERS_FROM) {
            self.look_at = 2 * self.blocks.len();
            self.count();
        }
    }

    /// Turns plain blocks into counters if that is smaller.
    fn count(&mut self) {
        let mut all = block::blocks(&self.blocks).flatten();
        let Some(first) = all.next() else { return };
        let (mut min, mut max) = (first.min, first.max);
        let mut differing = first.grain();
        for own in all {
            if own.tag != first.tag || own.is_counted() {
                return;
            }
            min = min.min(own.min);
            max = max.max(own.max);
            differing |= own.grain() | own.min.wrapping_sub(first.min).cast_unsigned();
        }
        let shift = differing.trailing_zeros().min(63);
        let counters = (max.wrapping_sub(min).cast_unsigned() >> shift).saturating_add(1);
        let bytes = counters.saturating_mul(4);
        let smaller = usize::try_from(bytes).is_ok_and(|bytes| bytes <= self.blocks.len());
        if first.is_counted() || counters > COUNTERS_MAX || !smaller {
            return;
        }
        let mut own = Counters {
            min,
            shift,
            counts: vec![0; usize::try_from(counters).unwrap_or(0)],
        };
        let mut left = Vec::new();
        let (mut values, mut weights) = (Vec::new(), Vec::new());
        for block in block::blocks(&self.blocks).flatten() {
            block.read(&mut values, &mut weights);
            for value in &values {
                match own.of(*value) {
                    Some(count) => *count += 1,
                    None => left.push(*value),
                }
            }
        }
        self.counters = Some(Box::new(own));
        self.blocks = Vec::new();
        block::write_plain(self.tag, &left, &mut self.blocks);
    }

    fn spill_counters(&mut self) {
        if let Some(counters) = self.counters.take() {
            block::write_counted(self.tag, counters.entries(), &mut self.blocks);
        }
    }

    /// The quantile: `share` in billionths. `None` without values.
    pub(super) fn quantile(mut self, share: u32) -> Option<(i64, Tag)> {
        let alone = self.blocks.is_empty() && self.merged.is_empty();
        if let (Some(counters), true) = (&self.counters, alone) {
            let entries = || counters.entries();
            let all: u128 = entries().map(|entry| u128::from(entry.weight)).sum();
            return Some((reach(entries(), rank(all, share))?, self.tag));
        }
        self.spill_counters();
        let all =
            std::iter::once(self.blocks.as_slice()).chain(self.merged.iter().map(Buffer::as_slice));
        let blocks: Vec<Block<'_>> = all.flat_map(block::blocks).flatten().collect();
        let first = blocks.first()?;
        let (tag, mixed) = match blocks.iter().all(|own| own.tag == first.tag) {
            true => (first.tag, false),
            false => (BITS, true),
        };
        let search = Search {
            blocks: &blocks,
            mixed,
        };
        let all = blocks.iter().map(|own| u128::from(own.weight)).sum();
        Some((search.at(rank(all, share))?, tag))
    }
}

/// The accumulated weight that a share of `all` reaches.
fn rank(all: u128, share: u32) -> u128 {
    (all * u128::from(share)).div_ceil(1_000_000_000).max(1)
}

/// The first of sorted entries at which the accumulated weight reaches `rank`.
fn reach(entries: impl Iterator<Item = Entry>, rank: u128) -> Option<i64> {
    let mut reached = 0u128;
    let mut last = None;
    for entry in entries {
        reached += u128::from(entry.weight);
        last = Some(entry.value);
        if reached >= rank {
            break;
        }
    }
    last
}

/// Looks for a rank in blocks, in passes that each look at a smaller range.
struct Search<'a> {
    blocks: &'a [Block<'a>],
    /// Whether integers mean different things in them, so that only their floats compare.
    mixed: bool,
}

impl Search<'_> {
    fn key(&self, tag: Tag, value: i64) -> i64 {
        if self.mixed {
            super::float::to_ordered(super::float::value(value, tag))
        } else {
            value
        }
    }

    /// Visits the entries whose key lies in the range.
    fn within(&self, low: i64, high: i64, mut visit: impl FnMut(i64, u64)) {
        let (mut values, mut weights) = (Vec::new(), Vec::new());
        for block in self.blocks {
            if self.key(block.tag, block.max) < low || self.key(block.tag, block.min) > high {
                continue;
            }
            block.read(&mut values, &mut weights);
            if self.mixed {
                values
                    .iter_mut()
                    .for_each(|own| *own = self.key(block.tag, *own));
            }
            // A plain block has no weights: each value weighs 1.
            let weights = weights.iter().copied().chain(std::iter::repeat(1));
            for (value, weight) in values.iter().zip(weights) {
                if (low..=high).contains(value) {
                    visit(*value, weight);
                }
            }
        }
    }

    fn at(&self, rank: u128) -> Option<i64> {
        let keys = |pick: fn(&Block<'_>) -> i64| {
            self.blocks
                .iter()
                .map(move |own| self.key(own.tag, pick(own)))
        };
        let (mut low, mut high) = (keys(|own| own.min).min()?, keys(|own| own.max).max()?);
        let mut count: u64 = self.blocks.iter().map(|own| u64::from(own.count)).sum();
        let mut below = 0u128;
        while count > SORTED_MAX && low < high {
            let span = high.wrapping_sub(low).cast_unsigned();
            let shift = (u64::BITS - span.leading_zeros()).saturating_sub(BUCKET_BITS);
            let mut buckets = vec![0u64; 1 << BUCKET_BITS];
            self.within(low, high, |value, weight| {
                let number = value.wrapping_sub(low).cast_unsigned() >> shift;
                let bucket = usize::try_from(number).ok();
                if let Some(bucket) = bucket.and_then(|number| buckets.get_mut(number)) {
                    *bucket = bucket.saturating_add(weight);
                }
            });
            let (number, weight) = (0u64..).zip(buckets).find(|(_, weight)| {
                let reached = below + u128::from(*weight) >= rank;
                if !reached {
                    below += u128::from(*weight);
                }
                reached
            })?;
            low = low.wrapping_add((number << shift).cast_signed());
            high = high.min(low.saturating_add(((1u64 << shift) - 1).cast_signed()));
            // Each entry weighs 1 at least.
            count = weight;
        }
        if low == high {
            return Some(low);
        }
        let is_plain = self.blocks.iter().all(|own| !own.is_counted());
        if is_plain {
            // Each value weighs 1: the rank is a position, and nothing need be sorted for it.
            let mut found = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
            let is_whole = |own: &Block<'_>| low <= own.min && own.max <= high;
            if !self.mixed && self.blocks.iter().all(is_whole) {
                let mut none = Vec::new();
                self.blocks
                    .iter()
                    .for_each(|own| own.append(&mut found, &mut none));
            } else {
                self.within(low, high, |value, _| found.push(value));
            }
            let last = found.len().checked_sub(1)?;
            let position = usize::try_from(rank - below).unwrap_or(usize::MAX);
            let (_, value, _) = found.select_nth_unstable(position.saturating_sub(1).min(last));
            return Some(*value);
        }
        let mut found = Vec::new();
        self.within(low, high, |value, weight| {
            found.push(Entry { value, weight })
        });
        found.sort_unstable_by_key(|entry| entry.value);
        reach(found.into_iter(), rank - below)
    }
}
