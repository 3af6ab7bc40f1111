//! Reading the few rows of an aggregate's answer by position, whatever Arrow type they came in.

use crate::error::{Error, Result};
use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::DataType;
use datafusion::arrow::compute::cast;

/// Columns of a batch, in one type each: texts, whole numbers, numbers.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    batch: &'a RecordBatch,
}

fn odd(position: usize) -> Error {
    Error::internal(format!(
        "column {position} of an aggregate's answer is not there, or of another type"
    ))
}

impl<'a> Rows<'a> {
    pub(super) fn new(batch: &'a RecordBatch) -> Self {
        Self { batch }
    }

    pub(super) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    fn column(&self, position: usize, wanted: &DataType) -> Result<ArrayRef> {
        let column = self.batch.columns().get(position);
        let column = column.ok_or_else(|| odd(position))?;
        cast(column, wanted).map_err(|error| odd(position).with_source(error))
    }

    /// A column of texts.
    pub(super) fn texts(&self, position: usize) -> Result<StringArray> {
        let column = self.column(position, &DataType::Utf8)?;
        let texts = column.as_string_opt::<i32>();
        texts.cloned().ok_or_else(|| odd(position))
    }

    /// A column of whole numbers.
    pub(super) fn whole(&self, position: usize) -> Result<Int64Array> {
        let column = self.column(position, &DataType::Int64)?;
        let numbers = column.as_primitive_opt::<Int64Type>();
        numbers.cloned().ok_or_else(|| odd(position))
    }

    /// A column of numbers.
    pub(super) fn numbers(&self, position: usize) -> Result<Float64Array> {
        let column = self.column(position, &DataType::Float64)?;
        let numbers = column.as_primitive_opt::<Float64Type>();
        numbers.cloned().ok_or_else(|| odd(position))
    }

    /// The groups in the first `columns` columns, one per row.
    pub(super) fn groups(&self, columns: usize) -> Result<Vec<super::grouping::Group>> {
        let mut groups = vec![Vec::with_capacity(columns); self.len()];
        for position in 0..columns {
            let texts = self.texts(position)?;
            for (group, text) in groups.iter_mut().zip(texts.iter()) {
                group.push(text.map(str::to_owned));
            }
        }
        Ok(groups)
    }
}

/// The number in a row; `None` for null, and for what is no number to a reader (NaN, infinite).
pub(super) fn number(column: &Float64Array, row: usize) -> Option<f64> {
    let there = row < column.len() && column.is_valid(row);
    there
        .then(|| column.value(row))
        .filter(|value| value.is_finite())
}

/// The count in a row, 0 for null.
pub(super) fn count(column: &Int64Array, row: usize) -> u64 {
    let there = row < column.len() && column.is_valid(row);
    there
        .then(|| column.value(row))
        .map_or(0, |value| u64::try_from(value).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::{Field, Schema};
    use std::sync::Arc;

    #[test]
    fn nulls_and_what_is_no_number_are_not_known() {
        let column = Float64Array::from(vec![Some(1.5), None, Some(f64::NAN)]);
        let schema = Schema::new(vec![Field::new("x", DataType::Float64, true)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(column)]).unwrap();
        let rows = Rows::new(&batch);
        let numbers = rows.numbers(0).unwrap();
        let all: Vec<_> = (0..4).map(|row| number(&numbers, row)).collect();
        assert_eq!(all, [Some(1.5), None, None, None]);
        assert_eq!(
            rows.groups(0).unwrap(),
            vec![super::super::grouping::Group::new(); 3]
        );
        assert!(rows.whole(1).is_err());
    }
}
