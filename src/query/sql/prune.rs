//! Leaving out what no row of can pass a filter: segments by the index, row groups by footers, pages by
//! page indexes.

use super::tables::{Make, SqlTable};
use crate::archive::scan::{Bound, ColumnBounds, SegmentRef, StoredKind, Table, Unit};
use crate::archive::scan::{job_columns, sample_columns};
use crate::limits;
use crate::num;
use crate::time::TimestampMs;
use datafusion::arrow::array::{
    Array as _, ArrayRef, BooleanArray, Date32Array, Int64Array, StringViewArray, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

/// The column of the jobs' ends, that the index bounds for whole segments.
const ENDS: &str = "finished_at";

/// What a filter says of containers of rows.
#[derive(Debug, Clone)]
pub(super) struct Pruner {
    table: &'static SqlTable,
    predicate: Option<Arc<PruningPredicate>>,
    /// Columns that the filter looks at.
    columns: Vec<usize>,
}

impl Pruner {
    pub(super) fn new(table: &'static SqlTable, filter: Option<&Arc<dyn PhysicalExpr>>) -> Self {
        let predicate = filter.and_then(|filter| {
            PruningPredicateBuilder::new()
                .with_file_schema(Arc::clone(&table.schema))
                .try_build(Arc::clone(filter))
                .ok()
        });
        let predicate = predicate.filter(|own| !own.always_true());
        let columns = filter.map(collect_columns).unwrap_or_default();
        Self {
            table,
            predicate: predicate.map(Arc::new),
            columns: columns.iter().map(|column| column.index()).collect(),
        }
    }

    /// Which of these may have rows that pass. If that cannot be said, all may.
    fn keep(&self, statistics: &Known<'_>) -> Vec<bool> {
        let all = || vec![true; statistics.containers.len()];
        match &self.predicate {
            None => all(),
            Some(predicate) => predicate.prune(statistics).unwrap_or_else(|_| all()),
        }
    }

    fn known<'a>(&'a self, containers: &'a [Container<'a>]) -> Known<'a> {
        Known {
            table: self.table,
            containers,
        }
    }

    /// The segments that may have rows that pass.
    pub(super) fn segments(&self, segments: &[SegmentRef]) -> Vec<SegmentRef> {
        let containers: Vec<_> = segments.iter().map(Container::Segment).collect();
        let keep = self.keep(&self.known(&containers));
        let kept = segments.iter().zip(keep).filter(|(_, keep)| *keep);
        kept.map(|(segment, _)| *segment).collect()
    }

    /// The units that may have rows that pass.
    pub(super) fn units(&self, mut units: Vec<Unit>) -> Vec<Unit> {
        let containers: Vec<_> = units.iter().map(Container::Unit).collect();
        let mut keep = self.keep(&self.known(&containers)).into_iter();
        units.retain(|_| keep.next().unwrap_or(true));
        units
    }

    /// The rows of a unit, in ranges of at most a batch, that may pass.
    pub(super) fn ranges(&self, unit: &Unit, rows: usize) -> Vec<Range<usize>> {
        let whole = || {
            let starts = (0..rows).step_by(limits::SQL_BATCH_ROWS);
            starts.map(|start| start..rows.min(start + limits::SQL_BATCH_ROWS))
        };
        let Some(pages) = self.pages(unit) else {
            return whole().collect();
        };
        let containers: Vec<_> = pages.iter().map(Container::Page).collect();
        let keep = self.keep(&self.known(&containers));
        if keep.iter().all(|keep| *keep) {
            return whole().collect();
        }
        let mut ranges: Vec<Range<usize>> = Vec::new();
        let kept = pages.iter().zip(keep).filter(|(_, keep)| *keep);
        for page in kept.map(|(page, _)| &page.rows) {
            match ranges.last_mut() {
                Some(last)
                    if last.end == page.start
                        && page.end - last.start <= limits::SQL_BATCH_ROWS =>
                {
                    last.end = page.end;
                }
                _ => ranges.push(page.clone()),
            }
        }
        ranges
    }

    /// The pages of a unit with what is known of the columns that the filter looks at; `None` if the
    /// pages of those columns do not hold the same rows.
    fn pages(&self, unit: &Unit) -> Option<Vec<Page>> {
        self.predicate.as_ref()?;
        let mut pages: Option<Vec<Page>> = None;
        for column in &self.columns {
            let stored = self.table.stored(*column);
            let Some(bounds) = stored.and_then(|stored| unit.page_bounds(stored)) else {
                continue;
            };
            let column = *column;
            match &mut pages {
                None => {
                    let first = bounds.into_iter().map(|(rows, own)| Page {
                        rows,
                        bounds: vec![(column, own)],
                    });
                    pages = Some(first.collect());
                }
                Some(pages) if pages.len() == bounds.len() => {
                    for (page, (rows, own)) in pages.iter_mut().zip(bounds) {
                        if page.rows == rows {
                            page.bounds.push((column, own));
                        }
                    }
                }
                Some(_) => {}
            }
        }
        pages
    }
}

/// A page and what is known of some of its columns.
#[derive(Debug)]
struct Page {
    rows: Range<usize>,
    bounds: Vec<(usize, ColumnBounds)>,
}

/// Something that holds rows.
enum Container<'a> {
    Segment(&'a SegmentRef),
    Unit(&'a Unit),
    Page(&'a Page),
}

impl Container<'_> {
    fn bounds(&self, table: &SqlTable, column: usize) -> Option<ColumnBounds> {
        let own = table.columns.get(column)?;
        let exactly = |value: i64| ColumnBounds {
            min: Some(Bound::Int(value)),
            max: Some(Bound::Int(value)),
            nulls: Some(0),
        };
        match self {
            Self::Segment(segment) => match own.make {
                Make::Date => Some(exactly(i64::from(segment.date().0))),
                Make::Stored(_) | Make::Fact(_) if own.name == ENDS => {
                    let (first, last) = segment.ends()?;
                    let micros = |time: TimestampMs| Bound::Int(time.0.saturating_mul(1_000));
                    Some(ColumnBounds {
                        min: Some(micros(first)),
                        max: Some(micros(last)),
                        nulls: None,
                    })
                }
                _ => None,
            },
            Self::Unit(unit) => match own.make {
                Make::Date => Some(exactly(i64::from(unit.date().0))),
                Make::Stored(stored) => unit.bounds(stored),
                _ => None,
            },
            Self::Page(page) => {
                let known = page.bounds.iter().find(|(known, _)| *known == column)?;
                Some(known.1.clone())
            }
        }
    }

    fn rows(&self, base: Table) -> Option<u64> {
        match self {
            Self::Segment(segment) => Some(segment.rows(base)),
            Self::Unit(unit) => unit.file_rows(),
            Self::Page(page) => Some(num::len_u64(page.rows.len())),
        }
    }
}

struct Known<'a> {
    table: &'static SqlTable,
    containers: &'a [Container<'a>],
}

impl Known<'_> {
    fn column(&self, column: &Column) -> Option<usize> {
        self.table
            .columns
            .iter()
            .position(|own| own.name == column.name)
    }

    fn values(
        &self,
        column: &Column,
        pick: impl Fn(ColumnBounds) -> Option<Bound>,
    ) -> Option<ArrayRef> {
        let column = self.column(column)?;
        let own = self.table.columns.get(column)?;
        let bounds: Vec<Option<Bound>> = self
            .containers
            .iter()
            .map(|container| container.bounds(self.table, column).and_then(&pick))
            .collect();
        if bounds.iter().all(Option::is_none) {
            return None;
        }
        if own.kind == DataType::Utf8View {
            let texts = bounds.into_iter().map(|bound| match bound {
                Some(Bound::Text(text)) => Some(text),
                _ => None,
            });
            return Some(Arc::new(texts.collect::<StringViewArray>()));
        }
        let integers: Int64Array = bounds
            .into_iter()
            .map(|bound| match bound {
                Some(Bound::Int(value)) => Some(value),
                _ => None,
            })
            .collect();
        if own.kind == DataType::Date32 {
            let days = integers.iter().map(|day| i32::try_from(day?).ok());
            return Some(Arc::new(days.collect::<Date32Array>()));
        }
        let stored = match (&own.make, self.table.base) {
            (Make::Fact(fact), _) => job_columns().get(*fact),
            (_, Table::Jobs) => job_columns().get(self.table.stored(column)?),
            (_, Table::Samples) => sample_columns().get(self.table.stored(column)?),
        };
        as_column(&stored?.kind, integers)
    }
}

/// Bounds in the column's type.
fn as_column(kind: &StoredKind, integers: Int64Array) -> Option<ArrayRef> {
    let integers: ArrayRef = Arc::new(integers);
    let narrow = kind.physical() == DataType::Int32;
    let cells = if narrow {
        cast(&integers, &DataType::Int32).ok()?
    } else {
        integers
    };
    crate::archive::scan::logical(kind, cells).ok()
}

impl PruningStatistics for Known<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |bounds| bounds.min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.values(column, |bounds| bounds.max)
    }

    fn num_containers(&self) -> usize {
        self.containers.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let column = self.column(column)?;
        let counts: UInt64Array = self
            .containers
            .iter()
            .map(|container| container.bounds(self.table, column)?.nulls)
            .collect();
        if counts.null_count() == counts.len() {
            return None;
        }
        Some(Arc::new(counts))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let rows = self.containers.iter().map(|own| own.rows(self.table.base));
        Some(Arc::new(rows.collect::<UInt64Array>()))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
