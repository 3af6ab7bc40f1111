//! The keys of groups that were seen, and their numbers.
//!
//! Called by grouping in runs. Keys are Arrow's comparable rows: equal bytes are equal keys.

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::Result;
use std::collections::HashMap;

/// What a map takes around a key.
const ENTRY_BYTES: usize = 96;

/// Keys by the number of their group, and back.
pub(super) struct Keys {
    converter: RowConverter,
    /// All keys, one behind the other, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// Hashed as DataFusion does: with a random seed, and fast on short keys.
    known: HashMap<Box<[u8]>, usize, ahash::RandomState>,
    /// The group that came after each one when it came last.
    following: Vec<usize>,
    last: usize,
}

impl Keys {
    pub(super) fn new(fields: Vec<SortField>) -> Result<Self> {
        Ok(Self {
            converter: RowConverter::new(fields)?,
            bytes: Vec::new(),
            ends: Vec::new(),
            known: HashMap::default(),
            following: Vec::new(),
            last: 0,
        })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.known.clear();
        self.following.clear();
        self.last = 0;
    }

    /// Bytes that they take.
    pub(super) fn memory(&self) -> usize {
        2 * self.bytes.len() + self.ends.len() * ENTRY_BYTES
    }

    fn key(&self, group: usize) -> Option<&[u8]> {
        let start = group.checked_sub(1).map(|before| self.ends.get(before));
        let start = start.map_or(Some(0), |end| end.copied())?;
        self.bytes.get(start..*self.ends.get(group)?)
    }

    /// Calls `visit` with the group of each key, in order; new keys get the next numbers.
    pub(super) fn look_up(
        &mut self,
        keys: &[ArrayRef],
        mut visit: impl FnMut(usize),
    ) -> Result<()> {
        let rows = self.converter.convert_columns(keys)?;
        for row in &rows {
            visit(self.group_of(row.data()));
        }
        Ok(())
    }

    fn group_of(&mut self, key: &[u8]) -> usize {
        // Every segment has its jobs in the same order, so that most often the one follows that followed
        // before: no hash, and memory that is read in order.
        let guess = self.following.get(self.last).copied();
        let group = match guess.filter(|guess| self.key(*guess) == Some(key)) {
            Some(guess) => guess,
            None => match self.known.get(key) {
                Some(group) => *group,
                None => self.add(key),
            },
        };
        if let Some(following) = self.following.get_mut(self.last) {
            *following = group;
        }
        self.last = group;
        group
    }

    fn add(&mut self, key: &[u8]) -> usize {
        let group = self.ends.len();
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
        self.known.insert(key.into(), group);
        self.following.push(0);
        group
    }

    /// The columns of all keys, by group.
    pub(super) fn columns(&self) -> Result<Vec<ArrayRef>> {
        let parser = self.converter.parser();
        let keys = (0..self.len()).filter_map(|group| self.key(group));
        let rows = keys.map(|key| parser.parse(key));
        Ok(self.converter.convert_rows(rows)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{Array as _, AsArray as _, Int64Array, StringViewArray};
    use datafusion::arrow::datatypes::{DataType, Int64Type};
    use proptest::prelude::*;
    use std::sync::Arc;

    proptest! {
        /// However often and in whatever order keys come, a number is one key's.
        #[test]
        fn a_number_is_a_key(batches in prop::collection::vec(prop::collection::vec((prop::option::of(0i64..4), 0usize..3), 0..30), 0..5)) {
            const TEXTS: [&str; 3] = ["", "a", "a text that is too long for a view"];
            let fields = [DataType::Int64, DataType::Utf8View].map(SortField::new);
            let mut keys = Keys::new(fields.to_vec()).unwrap();
            let mut seen = Vec::new();
            for batch in &batches {
                let numbers: Int64Array = batch.iter().map(|key| key.0).collect();
                let texts = StringViewArray::from_iter_values(batch.iter().map(|key| TEXTS[key.1]));
                keys.look_up(&[Arc::new(numbers), Arc::new(texts)], |group| seen.push(group)).unwrap();
            }
            let columns = keys.columns().unwrap();
            let (numbers, texts) = (columns[0].as_primitive::<Int64Type>(), columns[1].as_string_view());
            let all: Vec<_> = batches.concat();
            prop_assert_eq!(all.len(), seen.len());
            for ((number, text), group) in all.iter().zip(&seen) {
                let found = (!numbers.is_null(*group)).then(|| numbers.value(*group));
                prop_assert_eq!((found, texts.value(*group)), (*number, TEXTS[*text]));
            }
            let distinct: std::collections::HashSet<_> = all.iter().collect();
            prop_assert_eq!(keys.len(), distinct.len());
            keys.clear();
            prop_assert_eq!((keys.len(), keys.memory()), (0, 0));
        }
    }
}
