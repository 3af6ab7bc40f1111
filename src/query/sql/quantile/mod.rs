//! Exact quantiles: `quantile(x, q)`, `p50`, `p95`, `p99`, and `quantile_weighted(x, w, q)`.
//!
//! Called by SQL and by every endpoint that asks for one. Over integers, decimals, floats and times;
//! the answer is one of the values, of their type: the smallest whose accumulated weight reaches the
//! share (weighted nearest rank), as in the statistics of a job row. Absent values count nothing.

mod block;
mod float;
mod groups;
mod pending;
#[cfg(test)]
mod tests;
mod values;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, Signature, Volatility,
};
use datafusion::physical_expr::expressions::Literal;
use groups::Ask;
pub(super) use groups::QuantileGroups;
use std::sync::Arc;

/// Billionths of one.
const WHOLE: u32 = 1_000_000_000;

/// A quantile function.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Quantile {
    name: &'static str,
    /// Billionths, if the name says it.
    share: Option<u32>,
    weighted: bool,
    signature: Signature,
}

/// The functions.
#[must_use]
pub fn functions() -> Vec<Arc<AggregateUDF>> {
    let own = |name, share, weighted| {
        let function = Quantile {
            name,
            share,
            weighted,
            signature: Signature::user_defined(Volatility::Immutable),
        };
        Arc::new(AggregateUDF::new_from_impl(function))
    };
    vec![
        own("quantile", None, false),
        own("quantile_weighted", None, true),
        own("p50", Some(WHOLE / 2), false),
        own("p95", Some(WHOLE / 100 * 95), false),
        own("p99", Some(WHOLE / 100 * 99), false),
    ]
}

/// Whether both functions hold the same of the same values, so that a partition's state of one is the
/// other's: they differ in what they make of it.
pub(super) fn collect_alike(one: &AggregateUDF, other: &AggregateUDF) -> bool {
    let weighted = |function: &AggregateUDF| {
        let own = function.inner().downcast_ref::<Quantile>();
        own.map(|own| own.weighted)
    };
    weighted(one).is_some() && weighted(one) == weighted(other)
}

impl Quantile {
    fn usage(&self) -> &'static str {
        match (self.share, self.weighted) {
            (Some(_), _) => "(value)",
            (None, false) => "(value, share), the share from 0 to 1",
            (None, true) => "(value, weight, share), the share from 0 to 1",
        }
    }

    fn ask(&self, args: &AccumulatorArgs<'_>) -> Result<Ask> {
        if args.is_distinct {
            return plan_err!("{} takes no DISTINCT", self.name);
        }
        let share = match (self.share, args.exprs.last()) {
            (Some(share), _) => share,
            (None, Some(last)) => {
                let literal = last.downcast_ref::<Literal>().map(Literal::value);
                let Some(share) = literal.and_then(share) else {
                    return plan_err!(
                        "the share of {} must be a number from 0 to 1, as in 0.95",
                        self.name
                    );
                };
                share
            }
            (None, None) => return plan_err!("{} takes {}", self.name, self.usage()),
        };
        Ok(Ask {
            kind: args.return_field.data_type().clone(),
            share,
            weighted: self.weighted,
        })
    }
}

/// A share in billionths.
fn share(literal: &ScalarValue) -> Option<u32> {
    let ScalarValue::Float64(Some(float)) = literal else {
        return None;
    };
    let billionths = crate::num::round_to_i64(float * f64::from(WHOLE))?;
    u32::try_from(billionths).ok().filter(|own| *own <= WHOLE)
}

/// The type in which values are looked at.
fn coerced(kind: &DataType) -> Option<DataType> {
    Some(match kind {
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        DataType::Int32 | DataType::Int64 | DataType::Float64 | DataType::Date32 => kind.clone(),
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 | DataType::Float32 | DataType::Null => DataType::Float64,
        DataType::Decimal128(_, _) | DataType::Timestamp(_, _) => kind.clone(),
        _ => return None,
    })
}

impl AggregateUDFImpl for Quantile {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let expected = 1 + usize::from(self.share.is_none()) + usize::from(self.weighted);
        let Some(value) = arg_types.first().filter(|_| arg_types.len() == expected) else {
            return plan_err!("{} takes {}", self.name, self.usage());
        };
        let Some(value) = coerced(value) else {
            return plan_err!("{} takes numbers and times, not {value}", self.name);
        };
        let mut types = vec![value];
        if self.weighted {
            types.push(DataType::Int64);
        }
        if self.share.is_none() {
            types.push(DataType::Float64);
        }
        Ok(types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types.first() {
            Some(value) => Ok(value.clone()),
            None => plan_err!("{} takes {}", self.name, self.usage()),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "values");
        Ok(vec![Arc::new(Field::new(name, DataType::BinaryView, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(QuantileGroups::new(self.ask(&args)?)))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(QuantileGroups::new(self.ask(&args)?)))
    }
}
