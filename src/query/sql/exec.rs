//! The scan of a table: DataFusion's leaf, over units of the archive.
//!
//! Its partitions take work from one queue, segment by segment and row group by row group, so that none
//! waits for another. A filter is decided on its own columns first; others are read only for rows that
//! pass.

use super::produce::{Producer, Rows, as_declared, external};
use super::progress::Progress;
use super::prune::Pruner;
use super::tables::SqlTable;
use crate::archive::scan::{ScanView, Scratch, SegmentRef, Unit};
use crate::num;
use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, RecordBatch, RecordBatchOptions,
};
use datafusion::arrow::compute::{and_kleene, filter_record_batch, prep_null_mask_filter};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, Statistics, exec_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
};
use futures::stream;
use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// What a scan is made of.
#[derive(Debug, Clone)]
pub(super) struct ScanPlan {
    pub(super) table: &'static SqlTable,
    pub(super) view: Arc<ScanView>,
    /// Columns of the table that are given out.
    pub(super) projection: Vec<usize>,
    /// Over all columns of the table.
    pub(super) filter: Option<Arc<dyn PhysicalExpr>>,
    pub(super) limit: Option<usize>,
    pub(super) partitions: usize,
    pub(super) progress: Arc<Progress>,
}

impl ScanPlan {
    /// The stored columns that will be read.
    fn reads(&self) -> impl Iterator<Item = usize> {
        let filtered = self.filter.as_ref().map(collect_columns);
        let filtered = filtered.unwrap_or_default().into_iter();
        let filtered: Vec<usize> = filtered.map(|column| column.index()).collect();
        let columns = filtered.into_iter().chain(self.projection.iter().copied());
        columns.flat_map(|column| self.table.reads(column))
    }
}

/// The leaf.
#[derive(Debug)]
pub(super) struct ScanExec {
    plan: ScanPlan,
    schema: SchemaRef,
    filter: Option<BatchFilter>,
    pruner: Pruner,
    segments: Vec<SegmentRef>,
    properties: Arc<PlanProperties>,
    work: Arc<Mutex<Work>>,
}

/// A filter over the columns that it looks at.
#[derive(Debug, Clone)]
struct BatchFilter {
    columns: Vec<usize>,
    schema: SchemaRef,
    expression: Arc<dyn PhysicalExpr>,
}

/// What is still to be scanned.
#[derive(Debug)]
struct Work {
    segments: Queue<SegmentRef>,
    units: VecDeque<Unit>,
}

impl ScanExec {
    pub(super) fn new(plan: ScanPlan) -> Result<Self> {
        let schema = Arc::new(plan.table.schema.project(&plan.projection)?);
        let filter = plan.filter.as_ref().map(|filter| {
            let mut columns: Vec<usize> = collect_columns(filter)
                .iter()
                .map(|column| column.index())
                .collect();
            columns.sort_unstable();
            let schema = Arc::new(plan.table.schema.project(&columns)?);
            let expression = reassign_expr_columns(Arc::clone(filter), &schema)?;
            Ok::<_, datafusion::common::DataFusionError>(BatchFilter {
                columns,
                schema,
                expression,
            })
        });
        let filter = filter.transpose()?;
        let pruner = Pruner::new(plan.table, plan.filter.as_ref());
        let segments = pruner.segments(plan.view.segments());
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(plan.partitions.max(1)),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let rows = segments.iter().map(|own| own.rows(plan.table.base));
        plan.progress.plan(rows.sum());
        let work = Mutex::new(Work::new(&plan, &pruner, &segments));
        Ok(Self {
            schema,
            filter,
            pruner,
            segments,
            properties: Arc::new(properties),
            work: Arc::new(work),
            plan,
        })
    }

    /// Whether the rows of a job, and mostly those of a project, have one value of an output column.
    pub(super) fn comes_in_runs(&self, column: usize) -> bool {
        let own = self.plan.projection.get(column);
        own.is_some_and(|own| self.plan.table.comes_in_runs(*own))
    }

    /// The same scan, not begun.
    fn anew(&self) -> Self {
        let work = Work::new(&self.plan, &self.pruner, &self.segments);
        Self {
            plan: self.plan.clone(),
            schema: Arc::clone(&self.schema),
            filter: self.filter.clone(),
            pruner: self.pruner.clone(),
            segments: self.segments.clone(),
            properties: Arc::clone(&self.properties),
            work: Arc::new(Mutex::new(work)),
        }
    }
}

impl Work {
    fn new(plan: &ScanPlan, pruner: &Pruner, segments: &[SegmentRef]) -> Self {
        let units = plan.view.staged_units(plan.table.base);
        Self {
            segments: Queue::new(segments),
            units: pruner.units(units).into(),
        }
    }
}

/// Segments whose ends the disk may read while others are scanned.
const EXPECTED: usize = 8;

/// What comes one after the other, the next few of it expected.
#[derive(Debug)]
struct Queue<T> {
    left: VecDeque<T>,
    /// So many of the next ones are expected already.
    expected: usize,
}

impl<T: Copy> Queue<T> {
    fn new(all: &[T]) -> Self {
        Self {
            left: all.iter().copied().collect(),
            expected: 0,
        }
    }

    /// The next one, and those behind it that are expected from now on.
    fn next(&mut self) -> Option<(T, Vec<T>)> {
        let next = self.left.pop_front()?;
        self.expected = self.expected.saturating_sub(1);
        let expected = self.left.iter().take(EXPECTED).skip(self.expected);
        let expected: Vec<T> = expected.copied().collect();
        self.expected += expected.len();
        Some((next, expected))
    }
}

/// The next unit. A segment is opened by whoever comes to it, while others go on.
fn next_unit(work: &Mutex<Work>, plan: &ScanPlan, pruner: &Pruner) -> Result<Option<Unit>> {
    let locked = || work.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let segment = {
            let mut work = locked();
            if let Some(unit) = work.units.pop_front() {
                return Ok(Some(unit));
            }
            work.segments.next()
        };
        let Some((segment, expected)) = segment else {
            return Ok(None);
        };
        for segment in &expected {
            plan.view.expect(segment, plan.table.base);
        }
        let is_new = !plan.view.is_open(&segment);
        let units = plan.view.units(&segment, plan.table.base);
        let units = pruner.units(units.map_err(external)?);
        if is_new {
            units.iter().for_each(|unit| unit.expect(plan.reads()));
        }
        locked().units.extend(units);
    }
}

impl DisplayAs for ScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<&str> = self
            .schema
            .fields()
            .iter()
            .map(|own| own.name().as_str())
            .collect();
        write!(
            f,
            "ScanExec: table={}, segments={} of {}, columns=[{}]",
            self.plan.table.name,
            self.segments.len(),
            self.plan.view.segments().len(),
            columns.join(", ")
        )?;
        if let Some(filter) = &self.plan.filter {
            write!(f, ", filter={filter}")?;
        }
        match self.plan.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for ScanExec {
    fn name(&self) -> &str {
        "ScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        match &self.plan.filter {
            Some(filter) => f(filter),
            None => Ok(TreeNodeRecursion::Continue),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.anew()))
    }

    fn execute(
        &self,
        _partition: usize,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let scan = Scan {
            plan: self.plan.clone(),
            schema: Arc::clone(&self.schema),
            filter: self.filter.clone(),
            pruner: self.pruner.clone(),
            work: Arc::clone(&self.work),
            scratch: Scratch::new().map_err(external)?,
            current: None,
            left: self.plan.limit,
        };
        let stream = stream::iter(scan);
        let schema = Arc::clone(&self.schema);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }

    fn statistics_from_inputs(
        &self,
        _inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema);
        let plain = self.plan.filter.is_none() && !self.plan.table.is_unrolled;
        if let (true, None, None) = (plain, args.partition(), self.plan.limit)
            && let Some(rows) = self.plan.view.exact_rows(self.plan.table.base)
        {
            statistics.num_rows = Precision::Exact(num::to_usize(rows));
        }
        Ok(Arc::new(statistics))
    }
}

/// One partition's scan.
struct Scan {
    plan: ScanPlan,
    schema: SchemaRef,
    filter: Option<BatchFilter>,
    pruner: Pruner,
    work: Arc<Mutex<Work>>,
    scratch: Scratch,
    current: Option<(Producer, VecDeque<Range<usize>>)>,
    /// Rows that may still be given out.
    left: Option<usize>,
}

impl Iterator for Scan {
    type Item = Result<RecordBatch>;

    /// The next batch. It may be empty: whoever polls is to get a chance to stop.
    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

impl Scan {
    fn step(&mut self) -> Result<Option<RecordBatch>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        if self.plan.progress.is_cancelled() {
            return exec_err!("the query was cancelled");
        }
        if self
            .current
            .as_ref()
            .is_none_or(|(_, ranges)| ranges.is_empty())
        {
            self.current = None;
            let Some(unit) = next_unit(&self.work, &self.plan, &self.pruner)? else {
                return Ok(None);
            };
            let producer = Producer::new(self.plan.table, &self.plan.view, unit.clone())?;
            let ranges = self.pruner.ranges(&unit, producer.rows());
            self.current = Some((producer, ranges.into()));
        }
        let Some((mut producer, mut ranges)) = self.current.take() else {
            return Ok(None);
        };
        let batch = match ranges.pop_front() {
            Some(range) => {
                self.plan.progress.rows_read(num::len_u64(range.len()));
                self.batch(&mut producer, range)?
            }
            None => RecordBatch::new_empty(Arc::clone(&self.schema)),
        };
        self.current = Some((producer, ranges));
        let Some(left) = &mut self.left else {
            return Ok(Some(batch));
        };
        let batch = batch.slice(0, batch.num_rows().min(*left));
        *left -= batch.num_rows();
        Ok(Some(batch))
    }

    fn batch(&mut self, producer: &mut Producer, range: Range<usize>) -> Result<RecordBatch> {
        let mut rows = Rows::new(range);
        let scratch = &mut self.scratch;
        let len = producer.len(scratch, &mut rows)?;
        let mut mask = producer.shown(scratch, &mut rows)?;
        if let Some(filter) = &self.filter {
            let mut columns = Vec::with_capacity(filter.columns.len());
            for (column, field) in filter.columns.iter().zip(filter.schema.fields()) {
                let cells = producer.column(scratch, &mut rows, *column)?;
                columns.push(as_declared(cells, field.data_type())?);
            }
            let looked_at = record_batch(&filter.schema, columns, len)?;
            let passed = filter.expression.evaluate(&looked_at)?.into_array(len)?;
            let passed = passed.as_boolean();
            mask = Some(match mask {
                None => passed.clone(),
                Some(shown) => and_kleene(&shown, passed)?,
            });
        }
        let mask = mask.map(|mask| match mask.null_count() {
            0 => mask,
            _ => prep_null_mask_filter(&mask),
        });
        if mask.as_ref().is_some_and(|mask| !mask.has_true()) {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.plan.projection.len());
        for (column, field) in self.plan.projection.iter().zip(self.schema.fields()) {
            let cells = producer.column(scratch, &mut rows, *column)?;
            columns.push(as_declared(cells, field.data_type())?);
        }
        let batch = record_batch(&self.schema, columns, len)?;
        match mask.filter(BooleanArray::has_false) {
            None => Ok(batch),
            Some(mask) => Ok(filter_record_batch(&batch, &mask)?),
        }
    }
}

fn record_batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(
        Arc::clone(schema),
        columns,
        &options,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_but_the_first_is_expected_once_before_it_comes() {
        for len in [0, 1, 5, 8, 9, 40] {
            let all: Vec<usize> = (0..len).collect();
            let mut queue = Queue::new(&all);
            let (mut came, mut expected) = (Vec::new(), Vec::new());
            while let Some((next, behind)) = queue.next() {
                came.push(next);
                expected.extend(behind);
                // So many that the disk has something to do, and no more.
                assert_eq!(expected.len(), (next + EXPECTED).min(len - 1));
            }
            assert_eq!(came, all);
            assert_eq!(expected, all.get(1..).unwrap_or_default());
        }
    }
}
