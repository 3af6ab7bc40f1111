//! `sum` over whole numbers that does not wrap.
//!
//! DataFusion's own sum of BIGINT comes around at 2^63 without a word, and the bytes of a fleet get
//! there. This one adds in 128 bits and fails in words if the end does not fit. Decimals and floats are
//! summed by DataFusion, which widens decimals.

use super::grouped::{GroupOf, Grouped, counted, each_run, grow};
use crate::num;
use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Decimal128Array, Int64Array,
};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};
use std::sync::Arc;

/// Digits of a sum in the making.
const DIGITS: u8 = 38;

/// The function that replaces DataFusion's.
pub(super) fn sum(inner: Arc<AggregateUDF>) -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Sum {
        inner,
        signature: Signature::user_defined(Volatility::Immutable),
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sum {
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

fn is_ours(kind: Option<&DataType>) -> bool {
    kind == Some(&DataType::Int64)
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [kind] = arg_types else {
            return datafusion::common::plan_err!("sum takes one value");
        };
        Ok(vec![match kind {
            DataType::Float16 | DataType::Float32 | DataType::Float64 | DataType::Null => {
                DataType::Float64
            }
            DataType::Decimal128(_, _) | DataType::Decimal256(_, _) => kind.clone(),
            whole if whole.is_integer() => DataType::Int64,
            other => {
                return datafusion::common::plan_err!("sum takes numbers, not {other}");
            }
        }])
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [DataType::Int64] => Ok(DataType::Int64),
            other => self.inner.return_type(other),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let kind = args.input_fields.first().map(|field| field.data_type());
        if args.is_distinct || !is_ours(kind) {
            return self.inner.state_fields(args);
        }
        let name = format_state_name(args.name, "sum");
        let state = Field::new(name, DataType::Decimal128(DIGITS, 0), true);
        Ok(vec![Arc::new(state)])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let kind = args.expr_fields.first().map(|field| field.data_type());
        if args.is_distinct || !is_ours(kind) {
            return self.inner.accumulator(args);
        }
        Ok(Box::new(WholeSums::default()))
    }

    fn create_sliding_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn Accumulator>> {
        let kind = args.expr_fields.first().map(|field| field.data_type());
        if args.is_distinct || !is_ours(kind) {
            return self.inner.create_sliding_accumulator(args);
        }
        Ok(Box::new(WholeSums::default()))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        let kind = args.expr_fields.first().map(|field| field.data_type());
        if args.is_distinct || !is_ours(kind) {
            return self.inner.groups_accumulator_supported(args);
        }
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let kind = args.expr_fields.first().map(|field| field.data_type());
        if !is_ours(kind) {
            return self.inner.create_groups_accumulator(args);
        }
        Ok(Box::new(WholeSums::default()))
    }
}

/// A sum and how many values are in it: none is null, not 0.
#[derive(Debug, Clone, Copy, Default)]
struct Whole {
    sum: i128,
    count: u64,
}

impl Whole {
    fn answer(self) -> Result<Option<i64>> {
        if self.count == 0 {
            return Ok(None);
        }
        i64::try_from(self.sum).map(Some).map_err(|_| {
            exec_datafusion_err!(
                "a sum is larger than BIGINT holds; use sum(cast(x as double)) or sum(cast(x as decimal(38, 0)))"
            )
        })
    }
}

/// Sums of groups.
#[derive(Debug, Default)]
pub(super) struct WholeSums {
    groups: Vec<Whole>,
}

impl Grouped for WholeSums {
    fn add(
        &mut self,
        values: &[ArrayRef],
        group_of: GroupOf<'_>,
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        grow(&mut self.groups, groups);
        let Some(values) = first(values)?.as_primitive_opt::<Int64Type>() else {
            return internal_err!("a sum of another type");
        };
        let counted = counted(values.nulls(), filter);
        each_run(values.len(), group_of, counted.as_ref(), |group, rows| {
            let run = values.values().get(rows).unwrap_or_default();
            if let Some(own) = self.groups.get_mut(group) {
                own.sum += run.iter().map(|value| i128::from(*value)).sum::<i128>();
                own.count += num::len_u64(run.len());
            }
        });
        Ok(())
    }
}

impl WholeSums {
    fn merge(&mut self, states: &ArrayRef, group_of: impl Iterator<Item = usize>) -> Result<()> {
        let Some(states) = states.as_primitive_opt::<Decimal128Type>() else {
            return internal_err!("the state of a sum is another one's");
        };
        for (state, group) in states.iter().zip(group_of) {
            if let (Some(state), Some(own)) = (state, self.groups.get_mut(group)) {
                own.sum += state;
                own.count += 1;
            }
        }
        Ok(())
    }
}

fn answers(groups: Vec<Whole>) -> Result<ArrayRef> {
    let sums: Vec<Option<i64>> = groups
        .into_iter()
        .map(Whole::answer)
        .collect::<Result<_>>()?;
    Ok(Arc::new(Int64Array::from(sums)))
}

fn states(groups: Vec<Whole>) -> Result<ArrayRef> {
    let sums = groups
        .into_iter()
        .map(|own| (own.count > 0).then_some(own.sum));
    let sums: Decimal128Array = sums.collect();
    Ok(Arc::new(sums.with_precision_and_scale(DIGITS, 0)?))
}

fn first(values: &[ArrayRef]) -> Result<&ArrayRef> {
    match values.first() {
        Some(values) => Ok(values),
        None => internal_err!("a sum of nothing"),
    }
}

impl GroupsAccumulator for WholeSums {
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
        answers(emit_to.take_needed(&mut self.groups))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![states(emit_to.take_needed(&mut self.groups))?])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        grow(&mut self.groups, total_num_groups);
        self.merge(first(values)?, group_indices.iter().copied())
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let rows = first(values)?.len();
        let mut own = Self::default();
        let each: Vec<usize> = (0..rows).collect();
        own.add(values, GroupOf::Rows(&each), opt_filter, rows)?;
        Ok(vec![states(own.groups)?])
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Whole>()
    }
}

impl Accumulator for WholeSums {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values, GroupOf::One, None, 1)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        grow(&mut self.groups, 1);
        ScalarValue::try_from_array(&answers(self.groups.clone())?, 0)
    }

    fn size(&self) -> usize {
        GroupsAccumulator::size(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        grow(&mut self.groups, 1);
        let states = states(self.groups.clone())?;
        Ok(vec![ScalarValue::try_from_array(&states, 0)?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        grow(&mut self.groups, 1);
        self.merge(first(states)?, std::iter::repeat(0))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut gone = Self::default();
        Accumulator::update_batch(&mut gone, values)?;
        for (own, gone) in self.groups.iter_mut().zip(gone.groups) {
            own.sum -= gone.sum;
            own.count -= gone.count;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_does_not_wrap_and_nothing_is_null() {
        let most: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(2)]));
        let mut sums = WholeSums::default();
        GroupsAccumulator::update_batch(&mut sums, &[Arc::clone(&most)], &[0, 1, 0], None, 3)
            .unwrap();
        let error = GroupsAccumulator::evaluate(&mut sums, EmitTo::All).unwrap_err();
        assert!(error.to_string().contains("larger than BIGINT"), "{error}");
        let filter = BooleanArray::from(vec![Some(true), Some(true), None]);
        let states = sums
            .convert_to_state(&[Arc::clone(&most)], Some(&filter))
            .unwrap();
        GroupsAccumulator::merge_batch(&mut sums, &states, &[0, 1, 0], 2).unwrap();
        let found = GroupsAccumulator::evaluate(&mut sums, EmitTo::All).unwrap();
        let found = found.as_primitive::<Int64Type>();
        assert_eq!((found.value(0), found.is_null(1)), (i64::MAX, true));
        // Twice too much and once less is enough again.
        let mut window = WholeSums::default();
        Accumulator::update_batch(&mut window, &[Arc::clone(&most)]).unwrap();
        Accumulator::retract_batch(&mut window, &[most.slice(0, 1)]).unwrap();
        assert_eq!(
            Accumulator::evaluate(&mut window).unwrap(),
            ScalarValue::Int64(Some(2))
        );
    }
}
