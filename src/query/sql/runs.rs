//! Grouping by keys that come in runs: all samples of a job have one project, one runner and one day.
//!
//! The first stage of an aggregation over such keys. It finds the runs of a batch by comparing
//! neighbours, computes the keys and looks a group up once per run instead of once per row, and hands rows
//! to DataFusion's own accumulators (and ours). Its output is that of the stage it replaces, so that the last stage, which
//! merges partitions, stays as it is. When the pool is full it hands on what it has and begins anew.

use super::exec::ScanExec;
use super::grouped::{GroupOf, Grouped, Run, Word, run_len};
use super::keys::Keys;
use super::mean::FloatMeans;
use super::quantile::{self, QuantileGroups};
use super::sum::WholeSums;
use crate::limits;
use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Decimal128Array, RecordBatch, UInt32Array,
};
use datafusion::arrow::buffer::ScalarBuffer;
use datafusion::arrow::compute::{partition, take_record_batch};
use datafusion::arrow::datatypes::{Date32Type, Decimal128Type, Int64Type, SchemaRef};
use datafusion::arrow::row::SortField;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{
    Transformed, TransformedResult as _, TreeNode as _, TreeNodeRecursion,
};
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_expr_common::physical_expr::is_volatile;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{StreamExt as _, stream};
use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// Puts [`RunsExec`] in the place of a first stage whose keys come in runs.
#[derive(Debug)]
pub(super) struct RunsRule;

impl PhysicalOptimizerRule for RunsRule {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let replaced = node
                .downcast_ref::<AggregateExec>()
                .and_then(RunsExec::instead_of);
            Ok(match replaced {
                Some(own) => Transformed::yes(Arc::new(own)),
                None => Transformed::no(node),
            })
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "grouping_by_runs"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether the column of a plan's output comes in runs.
fn in_runs(plan: &Arc<dyn ExecutionPlan>, column: usize) -> bool {
    if let Some(scan) = plan.downcast_ref::<ScanExec>() {
        return scan.comes_in_runs(column);
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let own = projection.expr().get(column);
        return own.is_some_and(|own| all_in_runs(projection.input(), &own.expr));
    }
    let passes_on = plan.is::<CooperativeExec>() || plan.is::<FilterExec>();
    match plan.children().as_slice() {
        [input] if passes_on && plan.schema() == input.schema() => in_runs(input, column),
        _ => false,
    }
}

/// Whether all that an expression looks at comes in runs.
fn all_in_runs(plan: &Arc<dyn ExecutionPlan>, expression: &Arc<dyn PhysicalExpr>) -> bool {
    let columns = collect_columns(expression);
    columns.iter().all(|column| in_runs(plan, column.index()))
}

/// The first stage.
#[derive(Debug, Clone)]
struct RunsExec {
    input: Arc<dyn ExecutionPlan>,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    aggregates: Vec<Arc<AggregateFunctionExpr>>,
    filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    schema: SchemaRef,
    properties: Arc<PlanProperties>,
}

impl RunsExec {
    fn instead_of(stage: &AggregateExec) -> Option<Self> {
        let group_by = stage.group_expr();
        let keys: Vec<_> = group_by
            .expr()
            .iter()
            .map(|(key, _)| Arc::clone(key))
            .collect();
        // A key is computed once for a run: it must be a function of what it looks at, and look at something.
        let computed =
            |key: &Arc<dyn PhysicalExpr>| !is_volatile(key) && all_in_runs(stage.input(), key);
        let looks = keys.iter().any(|key| !collect_columns(key).is_empty());
        let simple = *stage.mode() == AggregateMode::Partial
            && group_by.is_single()
            && !keys.is_empty()
            && stage.limit_options().is_none();
        let supported = stage
            .aggr_expr()
            .iter()
            .all(|own| own.groups_accumulator_supported() && own.order_bys().is_empty());
        let input = stage.input();
        if !simple || !supported || !looks || !keys.iter().all(computed) {
            return None;
        }
        Some(Self {
            input: Arc::clone(input),
            keys,
            aggregates: stage.aggr_expr().to_vec(),
            filters: stage.filter_expr().to_vec(),
            schema: stage.schema(),
            properties: Arc::clone(stage.properties()),
        })
    }
}

impl DisplayAs for RunsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        let aggregates: Vec<&str> = self.aggregates.iter().map(|own| own.name()).collect();
        write!(
            f,
            "RunsExec: keys=[{}], aggregates=[{}]",
            keys.join(", "),
            aggregates.join(", ")
        )
    }
}

impl ExecutionPlan for RunsExec {
    fn name(&self) -> &str {
        "RunsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for key in &self.keys {
            if f(key)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Self {
                input,
                ..Self::clone(&self)
            })),
            _ => internal_err!("grouping by runs has one input"),
        }
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let consumer = MemoryConsumer::new("grouping by runs");
        let groups = Groups::new(self, consumer.register(context.memory_pool()))?;
        let state = Some(Stage {
            groups,
            input,
            ready: VecDeque::new(),
            batch_rows: context.session_config().batch_size(),
        });
        let stream = stream::unfold(state, async |state| {
            let mut stage = state?;
            match stage.next().await {
                Ok(Some(batch)) => Some((Ok(batch), Some(stage))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        let schema = Arc::clone(&self.schema);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}

/// Slices in which groups are handed on, at least.
const SLICES_MIN: usize = 4;

/// One partition's first stage.
struct Stage {
    groups: Groups,
    input: SendableRecordBatchStream,
    ready: VecDeque<RecordBatch>,
    batch_rows: usize,
}

impl Stage {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some(batch));
            }
            match self.input.next().await {
                Some(batch) => {
                    let batch = batch?;
                    if batch.num_rows() > 0 && !self.groups.add(&batch)? {
                        self.hand_on()?;
                    }
                }
                None if self.groups.is_empty() => return Ok(None),
                None => self.hand_on()?,
            }
        }
    }

    fn hand_on(&mut self) -> Result<()> {
        let all = self.groups.emit()?;
        let rows = all.num_rows();
        // Slices share the memory of views. A slice of little of it is made compact when partitions
        // exchange rows; one of half of it may not be, and would be counted whole by both.
        let most = self.batch_rows.min(rows.div_ceil(SLICES_MIN)).max(1);
        for start in (0..rows).step_by(most) {
            let len = most.min(rows - start);
            self.ready.push_back(all.slice(start, len));
        }
        Ok(())
    }
}

/// What is collected for an aggregate, or for several.
struct Collector {
    aggregate: Arc<AggregateFunctionExpr>,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    filter: Option<Arc<dyn PhysicalExpr>>,
}

impl Collector {
    /// Whether the state of one is that of the other.
    fn collects_like(&self, other: &Self) -> bool {
        let functions = (self.aggregate.fun(), other.aggregate.fun());
        quantile::collect_alike(functions.0, functions.1)
            && self.arguments == other.arguments
            && self.filter == other.filter
            && self.aggregate.is_distinct() == other.aggregate.is_distinct()
    }
}

/// The groups that were seen, and what is known of them.
struct Groups {
    /// Columns of the input that keys are made of.
    key_columns: Vec<usize>,
    /// Over those columns.
    keys: Vec<Arc<dyn PhysicalExpr>>,
    collectors: Vec<Collector>,
    /// The collector of each aggregate: two quantiles of the same values need them once.
    collector_of: Vec<usize>,
    schema: SchemaRef,
    known: Keys,
    accumulators: Vec<Box<dyn GroupsAccumulator>>,
    reservation: MemoryReservation,
    /// Half of the query's memory is for all partitions of this stage; the other one for those behind it, which
    /// share it fairly. As one more sharer it would get a sixth, hand on early, and have the rest spilled.
    bytes_max: usize,
    /// Of the batch that is being added.
    runs: Vec<Run>,
    /// The group of each of its rows, if anybody asked.
    group_of: Vec<usize>,
}

impl Groups {
    fn new(exec: &RunsExec, reservation: MemoryReservation) -> Result<Self> {
        let schema = exec.input.schema();
        let partitions = exec.properties.output_partitioning().partition_count();
        let fields = exec
            .keys
            .iter()
            .map(|key| Ok(SortField::new(key.data_type(&schema)?)));
        let mut key_columns: Vec<usize> = exec
            .keys
            .iter()
            .flat_map(collect_columns)
            .map(|column| column.index())
            .collect();
        key_columns.sort_unstable();
        key_columns.dedup();
        let looked_at = Arc::new(schema.project(&key_columns)?);
        let keys = exec
            .keys
            .iter()
            .map(|key| reassign_expr_columns(Arc::clone(key), &looked_at));
        let mut own = Self {
            keys: keys.collect::<Result<_>>()?,
            key_columns,
            collectors: Vec::new(),
            collector_of: Vec::new(),
            schema: Arc::clone(&exec.schema),
            known: Keys::new(fields.collect::<Result<_>>()?)?,
            accumulators: Vec::new(),
            reservation,
            bytes_max: limits::SQL_MEMORY_BYTES / 2 / partitions.max(1),
            runs: Vec::new(),
            group_of: Vec::new(),
        };
        for (number, aggregate) in exec.aggregates.iter().enumerate() {
            let collector = Collector {
                aggregate: Arc::clone(aggregate),
                arguments: aggregate.expressions(),
                filter: exec.filters.get(number).cloned().flatten(),
            };
            let alike = |known: &Collector| known.collects_like(&collector);
            let known = own.collectors.iter().position(alike);
            own.collector_of.push(known.unwrap_or(own.collectors.len()));
            if known.is_none() {
                own.collectors.push(collector);
            }
        }
        own.begin()?;
        Ok(own)
    }

    fn begin(&mut self) -> Result<()> {
        let fresh = self
            .collectors
            .iter()
            .map(|own| own.aggregate.create_groups_accumulator());
        self.accumulators = fresh.collect::<Result<_>>()?;
        self.known.clear();
        Ok(())
    }

    fn is_empty(&self) -> bool {
        self.known.len() == 0
    }

    /// Adds a batch; says whether there is memory for more.
    fn add(&mut self, batch: &RecordBatch) -> Result<bool> {
        let rows = batch.num_rows();
        self.look_up(batch)?;
        let groups = self.known.len();
        for (accumulator, own) in self.accumulators.iter_mut().zip(&self.collectors) {
            let arguments: Vec<ArrayRef> = own
                .arguments
                .iter()
                .map(|own| own.evaluate(batch)?.into_array(rows))
                .collect::<Result<_>>()?;
            let filter: Option<BooleanArray> = match &own.filter {
                None => None,
                Some(filter) => {
                    let passed = filter.evaluate(batch)?.into_array(rows)?;
                    Some(passed.as_boolean().clone())
                }
            };
            let filter = filter.as_ref();
            if let Some(own) = grouped(accumulator.as_mut()) {
                own.add(&arguments, GroupOf::Runs(&self.runs), filter, groups)?;
                continue;
            }
            if self.group_of.len() < rows {
                for run in &self.runs {
                    self.group_of.resize(run.end, run.group);
                }
            }
            accumulator.update_batch(&arguments, &self.group_of, filter, groups)?;
        }
        let accumulators: usize = self.accumulators.iter().map(|own| own.size()).sum();
        let groups = self.runs.capacity() * size_of::<Run>() + self.group_of.capacity() * 8;
        let bytes = accumulators + self.known.memory() + groups;
        Ok(bytes <= self.bytes_max && self.reservation.try_resize(bytes).is_ok())
    }

    /// The runs of the batch's rows, in `runs`. Keys are computed for the first row of each run of what they
    /// are made of: a month is not made of the same date a million times.
    fn look_up(&mut self, batch: &RecordBatch) -> Result<()> {
        self.group_of.clear();
        self.runs.clear();
        let looked_at = batch.project(&self.key_columns)?;
        let columns: Vec<ArrayRef> = looked_at.columns().iter().map(comparable).collect();
        let ends = run_ends(batch.num_rows(), &columns)?;
        let starts = std::iter::once(&0).chain(&ends).take(ends.len());
        let starts = starts.map(|start| u32::try_from(*start).unwrap_or(u32::MAX));
        let starts = UInt32Array::from_iter_values(starts);
        let firsts = take_record_batch(&looked_at, &starts)?;
        let keys: Vec<ArrayRef> = self
            .keys
            .iter()
            .map(|key| key.evaluate(&firsts)?.into_array(ends.len()))
            .collect::<Result<_>>()?;
        let mut ends = ends.into_iter();
        let runs = &mut self.runs;
        self.known.look_up(&keys, |group| {
            let end = ends.next().unwrap_or_default();
            match runs.last_mut() {
                Some(last) if last.group == group => last.end = end,
                _ => runs.push(Run { group, end }),
            }
        })
    }

    /// All groups, as the last stage takes them; begins anew.
    fn emit(&mut self) -> Result<RecordBatch> {
        let mut columns = self.known.columns()?;
        let states = self
            .accumulators
            .iter_mut()
            .map(|own| own.state(EmitTo::All));
        let states: Vec<Vec<ArrayRef>> = states.collect::<Result<_>>()?;
        for own in &self.collector_of {
            columns.extend(states.get(*own).into_iter().flatten().cloned());
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        self.begin()?;
        self.reservation.resize(0);
        Ok(batch)
    }
}

/// The accumulator as what it is, if it is one of ours.
fn grouped(own: &mut dyn GroupsAccumulator) -> Option<&mut dyn Grouped> {
    fn to<T: Grouped + 'static>(own: &mut dyn Any) -> Option<&mut dyn Grouped> {
        let own: &mut dyn Grouped = own.downcast_mut::<T>()?;
        Some(own)
    }
    let own: &mut dyn Any = own;
    if own.is::<FloatMeans>() {
        to::<FloatMeans>(own)
    } else if own.is::<WholeSums>() {
        to::<WholeSums>(own)
    } else {
        to::<QuantileGroups>(own)
    }
}

/// Where each stretch of rows ends in which no column changes.
fn run_ends(rows: usize, columns: &[ArrayRef]) -> Result<Vec<usize>> {
    let mut ends = vec![rows];
    let mut others = Vec::new();
    for column in columns {
        let dense = column.null_count() == 0;
        if let Some(own) = column.as_primitive_opt::<Int64Type>().filter(|_| dense) {
            split(own.values(), &mut ends);
        } else if let Some(own) = column.as_primitive_opt::<Date32Type>().filter(|_| dense) {
            split(own.values(), &mut ends);
        } else if let Some(own) = column
            .as_primitive_opt::<Decimal128Type>()
            .filter(|_| dense)
        {
            split(own.values(), &mut ends);
        } else {
            others.push(Arc::clone(column));
        }
    }
    if !others.is_empty() {
        ends.extend(partition(&others)?.ranges().into_iter().map(|run| run.end));
        ends.sort_unstable();
        ends.dedup();
    }
    Ok(ends)
}

/// Splits stretches that end there where neighbours differ.
fn split<T: Word>(values: &[T], ends: &mut Vec<usize>) {
    let mut finer = Vec::with_capacity(ends.len());
    let mut start = 0;
    for end in &*ends {
        while start < *end {
            let own = values.get(start..*end).unwrap_or_default();
            start += run_len(own).max(1);
            finer.push(start);
        }
    }
    *ends = finer;
}

/// A column whose neighbours compare without a look at their texts: equal views are equal texts. The same
/// text behind another view begins a run of its own, which is looked up once more.
fn comparable(column: &ArrayRef) -> ArrayRef {
    match column.as_string_view_opt() {
        None => Arc::clone(column),
        Some(texts) => {
            let views = texts.views();
            let words = ScalarBuffer::<i128>::new(views.inner().clone(), 0, views.len());
            Arc::new(Decimal128Array::new(words, texts.nulls().cloned()))
        }
    }
}
