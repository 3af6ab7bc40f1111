//! Quantiles of groups: DataFusion's accumulators over [`Values`].
//!
//! One implementation for groups and for a whole table. A partition's state is the blocks of its
//! groups; whoever merges partitions keeps them as they came.

use super::super::grouped::{GroupOf, Grouped, counted, each_run, grow};
use super::float;
use super::pending::Pending;
use super::values::{Tag, Values, WHOLE};
use crate::num;
use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, BinaryViewArray, BooleanArray, ByteView, Date32Array,
    Decimal128Array, Float64Array, Int32Array, Int64Array, MAX_INLINE_VIEW_LEN,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, make_view,
};
use datafusion::arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, TimeUnit,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use std::mem::size_of;
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ask {
    /// Type of the values and of the answer.
    pub(super) kind: DataType,
    /// Billionths.
    pub(super) share: u32,
    /// Whether the second argument is a weight.
    pub(super) weighted: bool,
}

/// Quantiles of groups.
#[derive(Debug)]
pub(in super::super) struct QuantileGroups {
    ask: Ask,
    groups: Vec<Values>,
    /// What the groups have not taken yet.
    pending: Pending,
    /// How the last floats were read: the next ones are most likely the same.
    guess: Tag,
    heap_bytes: usize,
    integers: Vec<i64>,
}

impl QuantileGroups {
    pub(super) fn new(ask: Ask) -> Self {
        Self {
            ask,
            groups: Vec::new(),
            pending: Pending::default(),
            guess: WHOLE,
            heap_bytes: 0,
            integers: Vec::new(),
        }
    }

    fn change(&mut self, group: usize, change: impl FnOnce(&mut Values)) {
        if let Some(values) = self.groups.get_mut(group) {
            let before = values.heap_bytes();
            change(values);
            self.heap_bytes += values.heap_bytes();
            self.heap_bytes -= before;
        }
    }

    /// Gives the groups what is theirs.
    fn settle(&mut self) {
        let mut pending = std::mem::take(&mut self.pending);
        pending.hand_out(self.groups.len(), |group, own| {
            self.change(group, |values| match own.weighted() {
                None => values.push(own.values, own.tag),
                Some(entries) => values.push_weighted(entries, own.tag),
            });
        });
        self.pending = pending;
    }

    fn emit(&mut self, emit_to: EmitTo) -> Vec<Values> {
        self.settle();
        let emitted = emit_to.take_needed(&mut self.groups);
        let bytes: usize = emitted.iter().map(Values::heap_bytes).sum();
        self.heap_bytes -= bytes;
        emitted
    }

    fn answers(&self, groups: Vec<Values>) -> Result<ArrayRef> {
        let share = self.ask.share;
        let found = groups.into_iter().map(|own| own.quantile(share));
        if self.ask.kind == DataType::Float64 {
            let floats = found.map(|own| own.map(|(value, tag)| float::value(value, tag)));
            return Ok(Arc::new(floats.collect::<Float64Array>()));
        }
        from_integers(&self.ask.kind, found.map(|own| own.map(|(value, _)| value)))
    }
}

/// The weights of the rows, if it is asked for weighted quantiles.
fn weights(ask: &Ask, arguments: &[ArrayRef]) -> Result<Option<Int64Array>> {
    if !ask.weighted {
        return Ok(None);
    }
    let weights = arguments
        .get(1)
        .and_then(|own| own.as_primitive_opt::<Int64Type>());
    match weights {
        Some(weights) => Ok(Some(weights.clone())),
        None => internal_err!("a weight is no BIGINT"),
    }
}

fn to_integers(values: &ArrayRef, guess: Tag, out: &mut Vec<i64>) -> Result<Tag> {
    out.clear();
    macro_rules! integers {
        ($kind:ty) => {
            out.extend(
                values
                    .as_primitive::<$kind>()
                    .values()
                    .iter()
                    .map(|own| i64::from(*own)),
            )
        };
    }
    match values.data_type() {
        DataType::Int32 => integers!(Int32Type),
        DataType::Date32 => integers!(Date32Type),
        DataType::Timestamp(TimeUnit::Second, _) => integers!(TimestampSecondType),
        DataType::Timestamp(TimeUnit::Millisecond, _) => integers!(TimestampMillisecondType),
        DataType::Timestamp(TimeUnit::Microsecond, _) => integers!(TimestampMicrosecondType),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => integers!(TimestampNanosecondType),
        DataType::Decimal128(_, _) => {
            let decimals = values.as_primitive::<Decimal128Type>();
            for (row, value) in decimals.values().iter().enumerate() {
                match i64::try_from(*value) {
                    Ok(value) => out.push(value),
                    Err(_) if decimals.is_null(row) => out.push(0),
                    Err(_) => {
                        return exec_err!(
                            "a quantile takes decimals of at most 18 digits; cast to DOUBLE"
                        );
                    }
                }
            }
        }
        DataType::Float64 => {
            let floats = values.as_primitive::<Float64Type>();
            return Ok(float::to_integers(floats.values(), guess, out));
        }
        other => return internal_err!("a quantile of {other}"),
    }
    Ok(WHOLE)
}

fn from_integers(kind: &DataType, found: impl Iterator<Item = Option<i64>>) -> Result<ArrayRef> {
    let narrow = |own: Option<i64>| own.and_then(|value| i32::try_from(value).ok());
    Ok(match kind {
        DataType::Int32 => Arc::new(found.map(narrow).collect::<Int32Array>()),
        DataType::Date32 => Arc::new(found.map(narrow).collect::<Date32Array>()),
        DataType::Int64 => Arc::new(found.collect::<Int64Array>()),
        DataType::Decimal128(precision, scale) => {
            let decimals: Decimal128Array = found.map(|own| own.map(i128::from)).collect();
            Arc::new(decimals.with_precision_and_scale(*precision, *scale)?)
        }
        DataType::Timestamp(unit, zone) => match unit {
            TimeUnit::Second => {
                let times: TimestampSecondArray = found.collect();
                Arc::new(times.with_timezone_opt(zone.clone()))
            }
            TimeUnit::Millisecond => {
                let times: TimestampMillisecondArray = found.collect();
                Arc::new(times.with_timezone_opt(zone.clone()))
            }
            TimeUnit::Microsecond => {
                let times: TimestampMicrosecondArray = found.collect();
                Arc::new(times.with_timezone_opt(zone.clone()))
            }
            TimeUnit::Nanosecond => {
                let times: TimestampNanosecondArray = found.collect();
                Arc::new(times.with_timezone_opt(zone.clone()))
            }
        },
        other => return internal_err!("a quantile of {other}"),
    })
}

/// A group's blocks of so many bytes are handed on where they lie; smaller ones are put together, since
/// every piece of memory of an array is named in each slice of it.
const ALONE_BYTES: usize = 4 << 10;
/// Pieces of smaller ones: a view's offset has 32 bits.
const TOGETHER_BYTES: usize = 1 << 30;

/// The blocks of each group.
fn states(groups: Vec<Values>) -> Result<ArrayRef> {
    let blocks: Vec<Vec<u8>> = groups.into_iter().map(Values::into_blocks).collect();
    let place = |own: &[u8], buffer: usize, offset: usize| {
        let numbers = (
            u32::try_from(own.len()),
            u32::try_from(buffer),
            u32::try_from(offset),
        );
        match numbers {
            (Ok(_), Ok(buffer), Ok(offset)) => Ok(make_view(own, buffer, offset)),
            _ => exec_err!("a group has too many values for a quantile"),
        }
    };
    let mut views = vec![0; blocks.len()];
    let (mut buffers, mut together) = (Vec::new(), Vec::new());
    for (view, own) in views.iter_mut().zip(&blocks) {
        if own.len() < ALONE_BYTES {
            if together.len() > TOGETHER_BYTES {
                buffers.push(Buffer::from_vec(std::mem::take(&mut together)));
            }
            *view = place(own, buffers.len(), together.len())?;
            together.extend_from_slice(own);
        }
    }
    buffers.push(Buffer::from_vec(together));
    for (view, own) in views.iter_mut().zip(blocks) {
        if own.len() >= ALONE_BYTES {
            *view = place(&own, buffers.len(), 0)?;
            buffers.push(Buffer::from_vec(own));
        }
    }
    let states = BinaryViewArray::try_new(ScalarBuffer::from(views), buffers, None)?;
    Ok(Arc::new(states))
}

/// The bytes of a row of states, without a copy. `None` if it refers to nothing.
fn state_of(states: &BinaryViewArray, row: usize) -> Option<Buffer> {
    let view = ByteView::from(*states.views().get(row)?);
    let (from, len) = (
        num::to_usize(u64::from(view.offset)),
        num::to_usize(u64::from(view.length)),
    );
    if view.length <= MAX_INLINE_VIEW_LEN {
        return Some(Buffer::from(states.value(row)));
    }
    let all = states
        .data_buffers()
        .get(num::to_usize(u64::from(view.buffer_index)))?;
    (from + len <= all.len()).then(|| all.slice_with_length(from, len))
}

impl Grouped for QuantileGroups {
    fn add(
        &mut self,
        arguments: &[ArrayRef],
        group_of: GroupOf<'_>,
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        grow(&mut self.groups, groups);
        let Some(values) = arguments.first() else {
            return internal_err!("a quantile without values");
        };
        let mut converted = std::mem::take(&mut self.integers);
        let (tag, integers) = match values.as_primitive_opt::<Int64Type>() {
            Some(own) => (WHOLE, own.values().as_ref()),
            None => {
                self.guess = to_integers(values, self.guess, &mut converted)?;
                (self.guess, converted.as_slice())
            }
        };
        if !self.pending.takes(tag) {
            self.settle();
        }
        let pending = &mut self.pending;
        match weights(&self.ask, arguments)? {
            None => {
                let counted = counted(values.nulls(), filter);
                let all = counted.is_none();
                if all {
                    pending.extend(integers, tag);
                }
                each_run(integers.len(), group_of, counted.as_ref(), |group, rows| {
                    pending.note(group, rows.len());
                    if !all {
                        pending.extend(integers.get(rows).unwrap_or_default(), tag);
                    }
                });
            }
            Some(weights) => {
                let there = NullBuffer::union(values.nulls(), weights.nulls());
                let counted = counted(there.as_ref(), filter);
                each_run(integers.len(), group_of, counted.as_ref(), |group, rows| {
                    let values = integers.get(rows.clone()).unwrap_or_default();
                    let weights = weights.values().get(rows).unwrap_or_default();
                    for (value, weight) in values.iter().zip(weights) {
                        // A row without weight says nothing.
                        if let Some(weight) = u64::try_from(*weight).ok().filter(|own| *own > 0) {
                            pending.push_weighted(group, *value, weight, tag);
                        }
                    }
                });
            }
        }
        self.integers = converted;
        if self.pending.is_full(self.groups.len()) {
            self.settle();
        }
        Ok(())
    }
}

impl GroupsAccumulator for QuantileGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        let group_of = GroupOf::Rows(group_indices);
        self.add(values, group_of, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = self.emit(emit_to);
        self.answers(groups)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![states(self.emit(emit_to))?])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        grow(&mut self.groups, total_num_groups);
        let Some(states) = values.first().and_then(|own| own.as_binary_view_opt()) else {
            return internal_err!("the state of a quantile is another one's");
        };
        for (row, group) in group_indices.iter().enumerate() {
            let mut read = None;
            if let Some(state) = state_of(states, row) {
                self.change(*group, |own| read = own.merge(state));
            }
            if read.is_none() {
                return internal_err!("the state of a quantile is damaged");
            }
        }
        Ok(())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |own| own.len());
        let mut own = Self::new(self.ask.clone());
        let groups: Vec<usize> = (0..rows).collect();
        GroupsAccumulator::update_batch(&mut own, values, &groups, opt_filter, rows)?;
        GroupsAccumulator::state(&mut own, EmitTo::All)
    }

    fn size(&self) -> usize {
        self.heap_bytes
            + self.pending.heap_bytes()
            + self.groups.capacity() * size_of::<Values>()
            + self.integers.capacity() * 8
    }
}

impl Accumulator for QuantileGroups {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values, GroupOf::One, None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        grow(&mut self.groups, 1);
        let groups = self.emit(EmitTo::All);
        ScalarValue::try_from_array(&self.answers(groups)?, 0)
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        grow(&mut self.groups, 1);
        let states = states(self.emit(EmitTo::All))?;
        Ok(vec![ScalarValue::try_from_array(&states, 0)?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |own| own.len());
        GroupsAccumulator::merge_batch(self, states, &vec![0; rows], 1)
    }
}
