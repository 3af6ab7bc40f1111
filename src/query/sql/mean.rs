//! `avg` over floats by groups: DataFusion's, with its work done once per run of rows of a group.
//!
//! DataFusion's own looks a group's state up for every row (10 % of a question over samples). What it hands from
//! stage to stage is the same, so it stays whole tables', windows' and decimals' accumulator.

use super::grouped::{GroupOf, Grouped, counted, each_run, grow};
use crate::num;
use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Float64Array, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, FieldRef, Float64Type, UInt64Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature,
};
use std::sync::Arc;

/// The function that replaces DataFusion's.
pub(super) fn mean(inner: Arc<AggregateUDF>) -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Mean { inner }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mean {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for Mean {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let kind = args.expr_fields.first().map(|field| field.data_type());
        if kind == Some(&DataType::Float64) && !args.is_distinct {
            return Ok(Box::new(FloatMeans::default()));
        }
        self.inner.create_groups_accumulator(args)
    }
}

/// A group's sum, and the number of values in it.
#[derive(Debug, Clone, Copy, Default)]
struct Float {
    sum: f64,
    count: i64,
}

/// Means of groups.
#[derive(Debug, Default)]
pub(super) struct FloatMeans {
    groups: Vec<Float>,
}

impl Grouped for FloatMeans {
    fn add(
        &mut self,
        values: &[ArrayRef],
        group_of: GroupOf<'_>,
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        grow(&mut self.groups, groups);
        let values = values
            .first()
            .and_then(|own| own.as_primitive_opt::<Float64Type>());
        let Some(values) = values else {
            return internal_err!("a mean of another type");
        };
        let counted = counted(values.nulls(), filter);
        each_run(values.len(), group_of, counted.as_ref(), |group, rows| {
            let run = values.values().get(rows).unwrap_or_default();
            if let Some(own) = self.groups.get_mut(group) {
                own.sum += sum(run);
                own.count += num::len_i64(run.len());
            }
        });
        Ok(())
    }
}

/// The sum of floats, in lanes: one after the other each would wait for the one before.
fn sum(floats: &[f64]) -> f64 {
    const LANES: usize = 8;
    let (parts, rest) = floats.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for part in parts {
        for (lane, own) in lanes.iter_mut().zip(part) {
            *lane += own;
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().sum::<f64>()
}

/// The number of values, and their sum: null where there are none.
fn states(groups: &[Float]) -> Vec<ArrayRef> {
    let there = |own: &Float| own.count > 0;
    let counts: UInt64Array = groups
        .iter()
        .map(|own| there(own).then_some(own.count.cast_unsigned()))
        .collect();
    let sums: Float64Array = groups
        .iter()
        .map(|own| there(own).then_some(own.sum))
        .collect();
    vec![Arc::new(counts), Arc::new(sums)]
}

impl GroupsAccumulator for FloatMeans {
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
        let groups = emit_to.take_needed(&mut self.groups);
        let means = groups
            .into_iter()
            .map(|own| (own.count > 0).then(|| own.sum / num::to_f64(own.count)));
        Ok(Arc::new(means.collect::<Float64Array>()))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(states(&emit_to.take_needed(&mut self.groups)))
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        grow(&mut self.groups, total_num_groups);
        let [counts, sums] = values else {
            return internal_err!("the state of a mean is another one's");
        };
        let (counts, sums) = (
            counts.as_primitive_opt::<UInt64Type>(),
            sums.as_primitive_opt::<Float64Type>(),
        );
        let (Some(counts), Some(sums)) = (counts, sums) else {
            return internal_err!("the state of a mean is another one's");
        };
        for ((count, sum), group) in counts.iter().zip(sums).zip(group_indices) {
            if let (Some(count), Some(sum), Some(own)) = (count, sum, self.groups.get_mut(*group)) {
                own.count = own.count.saturating_add_unsigned(count);
                own.sum += sum;
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
        let mut own = Self::default();
        let each: Vec<_> = (0..rows).collect();
        own.add(values, GroupOf::Rows(&each), opt_filter, rows)?;
        Ok(states(&own.groups))
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Float>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_leave_nothing_out() {
        for len in 0..40u32 {
            let floats: Vec<f64> = (0..len).map(f64::from).collect();
            assert_eq!(sum(&floats), f64::from(len * len.saturating_sub(1) / 2));
        }
    }

    #[test]
    fn means_are_of_what_counts_and_merge() {
        let values: ArrayRef = Arc::new(Float64Array::from(vec![
            Some(1.0),
            Some(3.0),
            None,
            Some(8.0),
            Some(100.0),
        ]));
        let filter = BooleanArray::from(vec![Some(true), Some(true), Some(true), Some(true), None]);
        let values = [values];
        let mut means = FloatMeans::default();
        means
            .update_batch(&values, &[0, 0, 1, 2, 2], Some(&filter), 3)
            .unwrap();
        let state = means.state(EmitTo::All).unwrap();
        let more = means.convert_to_state(&values, Some(&filter)).unwrap();
        means.merge_batch(&state, &[0, 1, 2], 3).unwrap();
        means.merge_batch(&more, &[0, 0, 1, 2, 2], 3).unwrap();
        let found = means.evaluate(EmitTo::All).unwrap();
        let found: Vec<Option<f64>> = found.as_primitive::<Float64Type>().iter().collect();
        assert_eq!(found, [Some(2.0), None, Some(8.0)]);
    }
}
