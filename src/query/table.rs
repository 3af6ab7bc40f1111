//! The one table behind every format of a profile: a time axis, integer cells, and whose they are.

use crate::model::graph::{Decimal, GraphMetric};
use crate::model::id::JobRef;
use crate::model::metric::{CellType, Column};
use crate::model::profile::{Gap, Profile};
use crate::model::state::{Reason, State};
use crate::num;
use crate::time::TimeRange;

/// What the values of a table are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Units {
    /// What a person reads: cores, bytes per second, ratios.
    #[default]
    Graph,
    /// What is stored: increments and gauges, exactly.
    Stored,
    /// Gauges as stored, counters as running totals, for the systems that expect counters.
    Totals,
}

impl Units {
    /// The word for it in metadata.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Graph => "graph",
            Self::Stored => "stored",
            Self::Totals => "totals",
        }
    }
}

/// One metric of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Its name, of the catalogue.
    pub name: &'static str,
    /// Unit for people.
    pub unit: &'static str,
    /// Type of the cells.
    pub cell: CellType,
    /// Whether the cells are the running total of a counter.
    pub running_total: bool,
    /// One per row, in units of the type's last digit; null is absent, never 0.
    pub cells: Vec<Option<i64>>,
    /// The largest sample of each row that stands for several; empty where every row is a sample.
    pub maxima: Vec<Option<i64>>,
}

impl Series {
    /// A stored column, or its running totals; `None` if it was never measured.
    pub(super) fn stored(column: Column, profile: &Profile, units: Units) -> Option<Self> {
        let name = column.name();
        let unit = ["bytes", "seconds", "ratio", "watts"]
            .into_iter()
            .find(|unit| name.ends_with(unit));
        let running_total = units == Units::Totals && column.is_increment();
        let cell = column.spec().cell;
        let cells = profile.column(column)?.to_vec();
        // A sum over a slice of time may need more room than a single increment.
        let fits = cells.iter().flatten().all(|value| cell.fits(*value));
        Some(Self {
            name,
            unit: unit.unwrap_or("count"),
            cell: if running_total || !fits {
                cell.total()
            } else {
                cell
            },
            running_total,
            cells,
            maxima: Vec::new(),
        })
    }

    /// With the largest samples beside it.
    pub(super) fn with_maxima(self, maxima: Vec<Option<i64>>) -> Self {
        Self { maxima, ..self }
    }

    /// A graph-unit metric; `None` if one of its columns was never measured.
    pub(super) fn graph(metric: &'static GraphMetric, profile: &Profile) -> Option<Self> {
        Some(Self {
            name: metric.name,
            unit: metric.unit,
            cell: metric.cell,
            running_total: false,
            cells: metric.values(profile)?,
            maxima: Vec::new(),
        })
    }

    /// The value in that row, exactly.
    #[must_use]
    pub fn decimal(&self, row: usize) -> Option<Decimal> {
        let units = self.cells.get(row).copied().flatten()?;
        Some(Decimal {
            units,
            scale: self.cell.scale(),
        })
    }
}

/// A profile as it was asked for. Without samples it has no rows, and a reason.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct ProfileTable {
    pub job: JobRef,
    pub project: Option<String>,
    pub name: Option<String>,
    pub machine: Option<String>,
    pub state: State,
    pub reason: Option<Reason>,
    pub range: Option<TimeRange>,
    pub units: Units,
    /// What a row stands for, if it is no sample but a slice of time.
    pub resolution_ms: Option<i64>,
    pub ts_ms: Vec<i64>,
    pub interval_ms: Vec<Option<i32>>,
    pub series: Vec<Series>,
    pub gaps: Vec<Gap>,
}

impl ProfileTable {
    /// A digest of everything that any format shows. It is computed from the cells, so that an answer
    /// which the reader already has is never encoded; it stays the same when a job is sealed, and
    /// changes with an amendment only if that changes the answer.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        // All fields by name: a new one cannot be forgotten. Unit and type follow from a metric's name.
        let Self {
            job,
            project,
            name,
            machine,
            state,
            reason,
            range,
            units,
            resolution_ms,
            ts_ms,
            interval_ms,
            series,
            gaps,
        } = self;
        let mut digest = Fingerprint::default();
        for text in [job.source.as_str(), job.job_id.as_str(), state.as_str()] {
            digest.text(Some(text));
        }
        for text in [project, name, machine] {
            digest.text(text.as_deref());
        }
        digest.text(reason.map(Reason::as_str));
        digest.text(Some(units.as_str()));
        digest.range(*range);
        digest.number(*resolution_ms);
        digest.cells(ts_ms.iter().map(|ts| Some(*ts)));
        digest.cells(interval_ms.iter().map(|ms| ms.map(i64::from)));
        for one in series {
            digest.text(Some(one.name));
            digest.cells(one.cells.iter().copied());
            digest.cells(one.maxima.iter().copied());
        }
        for gap in gaps {
            digest.range(Some(gap.range));
        }
        digest.0.finalize().into()
    }
}

/// Feeds values so that no two sequences of values are the same bytes.
#[derive(Default)]
struct Fingerprint(blake3::Hasher);

impl Fingerprint {
    fn number(&mut self, value: Option<i64>) {
        self.0.update(&[u8::from(value.is_some())]);
        self.0.update(&value.unwrap_or_default().to_le_bytes());
    }

    fn text(&mut self, text: Option<&str>) {
        self.number(text.map(|text| num::len_i64(text.len())));
        self.0.update(text.unwrap_or_default().as_bytes());
    }

    fn range(&mut self, range: Option<TimeRange>) {
        self.number(range.map(|range| range.from.0));
        self.number(range.map(|range| range.to.0));
    }

    fn cells(&mut self, cells: impl ExactSizeIterator<Item = Option<i64>>) {
        self.number(Some(num::len_i64(cells.len())));
        cells.for_each(|cell| self.number(cell));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::JobId;
    use crate::query::test_table::table;

    #[test]
    fn a_fingerprint_changes_with_everything_that_is_shown() {
        let same = table();
        let mut others = vec![table(); 11];
        others[0].job.job_id = JobId::parse("other").unwrap();
        others[1].project = None;
        others[2].name = Some(String::new());
        others[3].machine = Some("m2".to_owned());
        others[4].state = State::Pending;
        others[5].reason = Some(Reason::Settling);
        others[6].range = None;
        others[7].units = Units::Stored;
        others[8].ts_ms[1] += 1;
        others[9].interval_ms[0] = None;
        others[10].series[0].cells[1] = Some(0);
        let mut more = vec![table(); 5];
        more[0].gaps.clear();
        more[1].series.pop();
        // Not told from the one before by the bytes of the cells alone.
        more[2].series.swap(0, 1);
        more[3].resolution_ms = Some(300_000);
        more[4].series[0].maxima = vec![Some(1)];
        let mut seen: Vec<_> = others
            .iter()
            .chain(&more)
            .map(|t| t.fingerprint())
            .collect();
        seen.push(same.fingerprint());
        assert_eq!(same.fingerprint(), table().fingerprint());
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 17, "two different tables have one fingerprint");
    }
}
