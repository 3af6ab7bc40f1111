//! Functions that put texts together, refused before they make too much: fifty nested `concat(x, x)`
//! are two kilobytes of SQL and a petabyte of text.

use crate::limits;
use crate::query::sql::size::array_bytes;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{DFSchema, Result, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use std::sync::Arc;

/// A function whose result is estimated first.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    /// Whether arguments multiply each other (a replacement for each letter) or add up.
    multiplies: bool,
}

pub(super) fn bounded(inner: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    let multiplies = !matches!(inner.name(), "concat" | "concat_ws");
    Arc::new(ScalarUDF::new_from_impl(Bounded { inner, multiplies }))
}

/// Bytes of text in all rows of an argument.
fn bytes(argument: &ColumnarValue, rows: usize) -> usize {
    match argument {
        ColumnarValue::Scalar(scalar) => scalar
            .try_as_str()
            .flatten()
            .map_or(8, str::len)
            .saturating_mul(rows),
        ColumnarValue::Array(array) => array_bytes(array),
    }
}

impl Bounded {
    fn expected(&self, args: &ScalarFunctionArgs) -> usize {
        let rows = args.number_rows.max(1);
        let sizes = args.args.iter().map(|own| bytes(own, rows));
        if !self.multiplies {
            return sizes.fold(0, usize::saturating_add);
        }
        // Each letter of the text may become the longest of the other arguments.
        let mut sizes = sizes;
        let text = sizes.next().unwrap_or(0);
        let longest = sizes.max().unwrap_or(0);
        text.saturating_add(rows)
            .saturating_mul(longest.div_ceil(rows).saturating_add(1))
    }
}

impl ScalarUDFImpl for Bounded {
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

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.expected(&args) > limits::SQL_TEXT_BYTES_MAX {
            return exec_err!(
                "{} could make more than {} MiB of text at once; put together less",
                self.inner.name(),
                limits::SQL_TEXT_BYTES_MAX >> 20
            );
        }
        self.inner.invoke_with_args(args)
    }
}

/// Reads `a || b` as `concat(a, b)` of the bounded kind; null stays null.
#[derive(Debug)]
pub(in crate::query::sql) struct ConcatPlanner(pub(in crate::query::sql) Arc<ScalarUDF>);

impl ExprPlanner for ConcatPlanner {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        _schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(expr));
        }
        let either_null = expr.left.clone().is_null().or(expr.right.clone().is_null());
        let arguments = vec![expr.left, expr.right];
        let function = ScalarFunction::new_udf(Arc::clone(&self.0), arguments);
        let joined = Expr::ScalarFunction(function);
        let null = datafusion::logical_expr::lit(datafusion::common::ScalarValue::Utf8(None));
        let planned = datafusion::logical_expr::when(either_null, null).otherwise(joined)?;
        Ok(PlannerResult::Planned(planned))
    }
}
