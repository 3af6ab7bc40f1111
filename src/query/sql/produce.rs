//! Columns of a table from a unit of the archive: what a scan does with each batch of rows.
//!
//! A [`Producer`] reads one unit. Cells on disk are read once per batch, whatever is made of them, and
//! only those columns that were asked for. Facts of jobs stand beside their samples without a join: the
//! samples of a job lie behind one another, in the segment that has the job's row.

use super::rates;
use super::tables::{Make, SqlTable, job_position, sample_position};
use crate::archive::scan::{
    JobFacts, ScanView, Scratch, StoredKind, Table, Unit, UnitReader, job_columns, logical,
    sample_columns,
};
use crate::error::Error;
use crate::model::graph::{GraphMetric, Origin};
use crate::num;
use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Date32Array, Decimal128Array, Int64Array,
    ListArray, UInt32Array,
};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::{DataFusionError, Result, internal_err};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

pub(super) fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Makes the columns of one unit.
#[derive(Debug)]
pub(super) struct Producer {
    table: &'static SqlTable,
    view: Arc<ScanView>,
    unit: Unit,
    reader: UnitReader,
    facts: Option<Arc<JobFacts>>,
}

/// The rows that are made at once, and what was read of them so far.
#[derive(Debug)]
pub(super) struct Rows {
    range: Range<usize>,
    cells: HashMap<usize, ArrayRef>,
    /// Rows of the facts, by sample.
    fact_rows: Option<UInt32Array>,
    facts: HashMap<usize, ArrayRef>,
    /// The sections of the rows, and the row of each.
    sections: Option<(ListArray, UInt32Array)>,
}

impl Rows {
    pub(super) fn new(range: Range<usize>) -> Self {
        Self {
            range,
            cells: HashMap::new(),
            fact_rows: None,
            facts: HashMap::new(),
            sections: None,
        }
    }
}

impl Producer {
    pub(super) fn new(table: &'static SqlTable, view: &Arc<ScanView>, unit: Unit) -> Result<Self> {
        let reader = unit.reader(view).map_err(external)?;
        Ok(Self {
            table,
            view: Arc::clone(view),
            unit,
            reader,
            facts: None,
        })
    }

    /// Rows of the unit, before anything is unrolled.
    pub(super) fn rows(&self) -> usize {
        self.reader.rows()
    }

    /// Rows that are given out for these; sections are as many as there are.
    pub(super) fn len(&mut self, scratch: &mut Scratch, rows: &mut Rows) -> Result<usize> {
        if self.table.is_unrolled {
            let (_, parents) = self.sections(scratch, rows)?;
            return Ok(parents.len());
        }
        Ok(rows.range.len())
    }

    /// Which rows may be seen; none means all.
    pub(super) fn shown(
        &mut self,
        scratch: &mut Scratch,
        rows: &mut Rows,
    ) -> Result<Option<BooleanArray>> {
        let shown = self.reader.shown(scratch, rows.range.clone());
        let Some(shown) = shown.map_err(external)? else {
            return Ok(None);
        };
        let shown = BooleanArray::new(shown, None);
        if !self.table.is_unrolled {
            return Ok(Some(shown));
        }
        let (_, parents) = self.sections(scratch, rows)?;
        let unrolled = take(&shown, &parents, None)?;
        Ok(Some(unrolled.as_boolean().clone()))
    }

    /// The cells of a column of the table.
    pub(super) fn column(
        &mut self,
        scratch: &mut Scratch,
        rows: &mut Rows,
        column: usize,
    ) -> Result<ArrayRef> {
        let Some(own) = self.table.columns.get(column) else {
            return internal_err!("a table has no such column");
        };
        let made = self.make(scratch, rows, &own.make)?;
        let repeats = self.table.is_unrolled
            && !matches!(
                own.make,
                Make::Section(_) | Make::SectionNumber | Make::SectionSeconds | Make::Date
            );
        if repeats {
            let (_, parents) = self.sections(scratch, rows)?;
            return Ok(take(&made, &parents, None)?);
        }
        Ok(made)
    }

    fn make(&mut self, scratch: &mut Scratch, rows: &mut Rows, make: &Make) -> Result<ArrayRef> {
        Ok(match make {
            Make::Date => {
                let len = self.len(scratch, rows)?;
                Arc::new(Date32Array::from_value(self.unit.date().0, len))
            }
            Make::Stored(position) => {
                let kind = self.kind(*position)?;
                let cells = self.cells(scratch, rows, *position)?;
                logical(&kind, cells).map_err(external)?
            }
            Make::Double(position) => {
                let scale = scale(&self.kind(*position)?);
                let cells = self.cells(scratch, rows, *position)?;
                Arc::new(rates::doubles(&cells, scale)?)
            }
            Make::Fact(position) => self.fact(scratch, rows, *position)?,
            Make::Rate(metric) => self.rate(scratch, rows, metric)?,
            Make::Overlap => Arc::new(self.overlap(scratch, rows)?),
            Make::Share => {
                let overlap = self.overlap(scratch, rows)?;
                let interval = self.sample(scratch, rows, "interval_ms")?;
                Arc::new(rates::share(&overlap, &interval)?)
            }
            Make::MeanRate(metric) => self.mean_rate(scratch, rows, metric)?,
            Make::Sum(first, second) => {
                let scale = scale(&self.kind(*first)?);
                let first = self.cells(scratch, rows, *first)?;
                let second = self.cells(scratch, rows, *second)?;
                let sum: ArrayRef = Arc::new(rates::sum(&[first, second])?);
                Arc::new(rates::doubles(&sum, scale)?)
            }
            Make::Between(from, to) => {
                let from = self.cells(scratch, rows, *from)?;
                let to = self.cells(scratch, rows, *to)?;
                seconds(from.as_primitive(), to.as_primitive())
            }
            Make::Section(field) => self.section(scratch, rows, field)?,
            Make::SectionNumber => self.section_numbers(scratch, rows)?,
            Make::SectionSeconds => {
                let from = self.section(scratch, rows, "started_at")?;
                let to = self.section(scratch, rows, "finished_at")?;
                let micros = |times: &ArrayRef| {
                    times
                        .as_primitive::<TimestampMicrosecondType>()
                        .reinterpret_cast::<Int64Type>()
                };
                seconds(&micros(&from), &micros(&to))
            }
        })
    }

    fn kind(&self, position: usize) -> Result<StoredKind> {
        let columns = match self.table.base {
            Table::Jobs => job_columns(),
            Table::Samples => sample_columns(),
        };
        match columns.get(position) {
            Some(own) => Ok(own.kind.clone()),
            None => internal_err!("a table has no such stored column"),
        }
    }

    /// The cells of a stored column, as on disk.
    fn cells(
        &mut self,
        scratch: &mut Scratch,
        rows: &mut Rows,
        position: usize,
    ) -> Result<ArrayRef> {
        if let Some(known) = rows.cells.get(&position) {
            return Ok(Arc::clone(known));
        }
        let read = self.reader.cells(scratch, position, rows.range.clone());
        let cells = read.map_err(external)?;
        rows.cells.insert(position, Arc::clone(&cells));
        Ok(cells)
    }

    fn sample(&mut self, scratch: &mut Scratch, rows: &mut Rows, name: &str) -> Result<ArrayRef> {
        match sample_position(name) {
            Some(position) => self.cells(scratch, rows, position),
            None => internal_err!("the samples table has no column {name}"),
        }
    }

    /// A fact of the job of each sample, as on disk.
    fn fact_cells(
        &mut self,
        scratch: &mut Scratch,
        rows: &mut Rows,
        position: usize,
    ) -> Result<ArrayRef> {
        if let Some(known) = rows.facts.get(&position) {
            return Ok(Arc::clone(known));
        }
        let facts = match &self.facts {
            Some(facts) => Arc::clone(facts),
            None => {
                let facts = self.view.facts(&self.reader).map_err(external)?;
                Arc::clone(self.facts.insert(facts))
            }
        };
        let fact_rows = match rows.fact_rows.take() {
            Some(known) => known,
            None => {
                let jobs = self.sample(scratch, rows, "job")?;
                facts.rows_of(jobs.as_primitive::<Int64Type>())
            }
        };
        let column = facts.column(position).map_err(external)?;
        let cells = take(&column, &fact_rows, None)?;
        rows.fact_rows = Some(fact_rows);
        rows.facts.insert(position, Arc::clone(&cells));
        Ok(cells)
    }

    fn fact(
        &mut self,
        scratch: &mut Scratch,
        rows: &mut Rows,
        position: usize,
    ) -> Result<ArrayRef> {
        let cells = self.fact_cells(scratch, rows, position)?;
        match job_columns().get(position) {
            Some(own) => logical(&own.kind, cells).map_err(external),
            None => internal_err!("the jobs table has no such column"),
        }
    }

    fn rate(
        &mut self,
        scratch: &mut Scratch,
        rows: &mut Rows,
        metric: &'static GraphMetric,
    ) -> Result<ArrayRef> {
        let mut columns = Vec::new();
        let mut scale = 0;
        for column in metric.columns() {
            scale = column.spec().cell.scale();
            columns.push(self.sample(scratch, rows, column.name())?);
        }
        let interval = self.sample(scratch, rows, "interval_ms")?;
        Ok(Arc::new(rates::per_second(
            metric, &columns, scale, &interval,
        )?))
    }

    fn mean_rate(
        &mut self,
        scratch: &mut Scratch,
        rows: &mut Rows,
        metric: &'static GraphMetric,
    ) -> Result<ArrayRef> {
        let Origin::Rate(origins) = metric.origin else {
            return internal_err!("{} is no rate", metric.name);
        };
        let mut columns = Vec::new();
        let mut scale = 0;
        for column in origins {
            scale = column.spec().cell.scale();
            let total = job_position(&format!("{}_total", column.name()));
            let total = total.ok_or_else(|| external(Error::internal("a total is missing")))?;
            columns.push(self.cells(scratch, rows, total)?);
        }
        let covered = job_position("covered_seconds");
        let covered = covered.ok_or_else(|| external(Error::internal("coverage is missing")))?;
        let covered = self.cells(scratch, rows, covered)?;
        Ok(Arc::new(rates::per_second(
            metric, &columns, scale, &covered,
        )?))
    }

    fn overlap(&mut self, scratch: &mut Scratch, rows: &mut Rows) -> Result<Int64Array> {
        let (Some(started), Some(finished)) =
            (job_position("started_at"), job_position("finished_at"))
        else {
            return internal_err!("the jobs table has no times");
        };
        let started = self.fact_cells(scratch, rows, started)?;
        let finished = self.fact_cells(scratch, rows, finished)?;
        let ts = self.sample(scratch, rows, "ts")?;
        let interval = self.sample(scratch, rows, "interval_ms")?;
        rates::overlap(
            ts.as_primitive(),
            &interval,
            started.as_primitive(),
            finished.as_primitive(),
        )
    }

    /// The lists of sections, and for each section the row of its job.
    fn sections(
        &mut self,
        scratch: &mut Scratch,
        rows: &mut Rows,
    ) -> Result<(ListArray, UInt32Array)> {
        if let Some(known) = &rows.sections {
            return Ok(known.clone());
        }
        let Some(position) = job_position("sections") else {
            return internal_err!("the jobs table has no sections");
        };
        let cells = self.cells(scratch, rows, position)?;
        let Some(lists) = cells.as_list_opt::<i32>() else {
            return internal_err!("sections are no list");
        };
        let lengths = (0..lists.len()).map(|row| match lists.is_valid(row) {
            true => usize::try_from(lists.value_length(row)).unwrap_or(0),
            false => 0,
        });
        let parents: UInt32Array = (0u32..)
            .zip(lengths)
            .flat_map(|(row, len)| std::iter::repeat_n(Some(row), len))
            .collect();
        let found = (lists.clone(), parents);
        rows.sections = Some(found.clone());
        Ok(found)
    }

    /// A field of all sections of the rows.
    fn section(&mut self, scratch: &mut Scratch, rows: &mut Rows, field: &str) -> Result<ArrayRef> {
        let (lists, _) = self.sections(scratch, rows)?;
        let mut parts: Vec<ArrayRef> = Vec::new();
        // A null list may hide values of its own: only those of lists that are there count.
        for row in (0..lists.len()).filter(|row| lists.is_valid(*row)) {
            let own = lists.value(row);
            let own = own.as_struct().column_by_name(field).cloned();
            match own {
                Some(own) => parts.push(own),
                None => return internal_err!("sections have no field {field}"),
            }
        }
        let cells = match parts.as_slice() {
            [] => {
                let all = lists.values().as_struct().column_by_name(field);
                match all {
                    Some(all) => all.slice(0, 0),
                    None => return internal_err!("sections have no field {field}"),
                }
            }
            parts => {
                let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
                datafusion::arrow::compute::concat(&parts)?
            }
        };
        match cells.as_primitive_opt::<Decimal128Type>() {
            None => Ok(cells),
            Some(decimals) => double(decimals),
        }
    }

    fn section_numbers(&mut self, scratch: &mut Scratch, rows: &mut Rows) -> Result<ArrayRef> {
        let (_, parents) = self.sections(scratch, rows)?;
        let mut numbers = Vec::with_capacity(parents.len());
        for run in parents.values().chunk_by(|a, b| a == b) {
            numbers.extend(1..=num::len_i64(run.len()));
        }
        Ok(Arc::new(Int64Array::from(numbers)))
    }
}

fn scale(kind: &StoredKind) -> i8 {
    match kind {
        StoredKind::Cell(cell) => cell.scale(),
        _ => 0,
    }
}

fn double(decimals: &Decimal128Array) -> Result<ArrayRef> {
    let cells = decimals.iter().map(|cell| cell.and_then(num::narrow));
    let cells: ArrayRef = Arc::new(cells.collect::<Int64Array>());
    Ok(Arc::new(rates::doubles(&cells, decimals.scale())?))
}

/// Seconds between times in microseconds, to the millisecond.
fn seconds(from: &Int64Array, to: &Int64Array) -> ArrayRef {
    let pairs = from.iter().zip(to.iter());
    let seconds = pairs.map(|(from, to)| {
        let micros = to?.saturating_sub(from?);
        Some(num::to_f64(micros / 1_000) / 1_000.0)
    });
    Arc::new(seconds.collect::<datafusion::arrow::array::Float64Array>())
}

/// Text of the lists of the jobs file is Utf8; everything else is as the schema says.
pub(super) fn as_declared(cells: ArrayRef, kind: &DataType) -> Result<ArrayRef> {
    if cells.data_type() == kind {
        return Ok(cells);
    }
    Ok(cast(&cells, kind)?)
}
