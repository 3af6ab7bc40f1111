//! Gauges: the values at the scrapes themselves. A gauge of several series is null wherever one of
//! its parts is missing, and nothing is filled in.

use super::draft::Draft;
use super::filesystem;
use super::scrapes::Scrapes;
use super::target::{CPU_SECONDS, Series};
use crate::model::archived::Host;
use crate::model::metric::Column;
use std::collections::{BTreeMap, BTreeSet};

/// A gauge at the base (the first value, even without a base) and at every row.
pub(super) type Values = Vec<Option<i64>>;

/// Writes every gauge column, and reads the facts of the machine from the same series.
pub(super) fn fill(series: &[Series<'_>], draft: &mut Draft<'_>) -> Host {
    let readings = Readings::read(series, draft.scrapes);
    if readings.overflow {
        draft.overflow();
    }
    let filesystem = filesystem::fullest(series, draft.scrapes);
    let columns = [
        (Column::MemoryUsedBytes, readings.memory_used()),
        (Column::MemoryCacheBytes, readings.memory_cache()),
        (Column::SwapUsedBytes, readings.swap_used()),
        (Column::Load1, readings.values("node_load1")),
        (
            Column::ProcessesRunning,
            readings.values("node_procs_running"),
        ),
        (
            Column::ProcessesBlocked,
            readings.values("node_procs_blocked"),
        ),
    ];
    for (column, values) in columns {
        if let Some(values) = values {
            draft.gauge(column, &values);
        }
    }
    if let Some(filesystem) = &filesystem {
        draft.gauge(Column::FilesystemUsedBytes, &filesystem.used);
    }
    let cpus: BTreeSet<&str> = series
        .iter()
        .filter(|series| series.name() == CPU_SECONDS)
        .filter(|series| series.samples().next().is_some())
        .map(|series| series.label("cpu"))
        .collect();
    Host {
        cpu_count: i32::try_from(cpus.len()).ok(),
        memory_total_bytes: last_value(series, "node_memory_MemTotal_bytes"),
        filesystem_size_bytes: filesystem.map(|filesystem| filesystem.size),
    }
}

/// The gauges of the machine by name of series.
#[derive(Debug, Default)]
struct Readings<'a> {
    by_name: BTreeMap<&'a str, Values>,
    overflow: bool,
}

impl<'a> Readings<'a> {
    fn read(series: &[Series<'a>], scrapes: &Scrapes) -> Self {
        let mut readings = Self::default();
        for series in series {
            let Some(column) = unit_of(series.name()) else {
                continue;
            };
            let (values, overflow) = read(*series, column, scrapes);
            readings.overflow |= overflow;
            if values.iter().any(Option::is_some) {
                readings.by_name.entry(series.name()).or_insert(values);
            }
        }
        readings
    }

    fn values(&self, name: &str) -> Option<Values> {
        self.by_name.get(name).cloned()
    }

    fn memory(&self, what: &str) -> Option<Values> {
        self.values(&format!("node_memory_{what}_bytes"))
    }

    fn memory_used(&self) -> Option<Values> {
        let total = self.memory("MemTotal")?;
        // Kernels before 3.14 do not say what is available. The choice is made once per job: two
        // formulas in one graph would show a step that never was.
        if let Some(available) = self.memory("MemAvailable") {
            return Some(difference(&total, &available));
        }
        let free = self.memory("MemFree")?;
        Some(difference(&total, &sum(&free, &self.memory_cache()?)))
    }

    fn memory_cache(&self) -> Option<Values> {
        let cache = sum(&self.memory("Cached")?, &self.memory("Buffers")?);
        // Without that series the page cache alone is still most of what can be reclaimed.
        match self.memory("SReclaimable") {
            Some(reclaimable) => Some(sum(&cache, &reclaimable)),
            None => Some(cache),
        }
    }

    fn swap_used(&self) -> Option<Values> {
        Some(difference(
            &self.memory("SwapTotal")?,
            &self.memory("SwapFree")?,
        ))
    }
}

/// A column in whose units a gauge series is read; `None` if it is no gauge of a column.
fn unit_of(name: &str) -> Option<Column> {
    match name {
        "node_load1" => Some(Column::Load1),
        "node_procs_running" => Some(Column::ProcessesRunning),
        "node_procs_blocked" => Some(Column::ProcessesBlocked),
        _ => name
            .starts_with("node_memory_")
            .then_some(Column::MemoryUsedBytes),
    }
}

/// A gauge at the base and the rows, and whether a value was too large for any cell. None of these
/// gauges can be negative: such a value is a fault, and absent.
pub(super) fn read(series: Series<'_>, unit: Column, scrapes: &Scrapes) -> (Values, bool) {
    let mut values = vec![None; scrapes.rows().len() + 1];
    let mut overflow = false;
    let mut cursor = scrapes.cursor();
    for (ts, raw) in series.samples() {
        let Some(at) = cursor.seek(ts) else {
            continue;
        };
        let slot = match scrapes.row_of(at) {
            Some(row) => row + 1,
            None if scrapes.base() == Some(at) => 0,
            None => continue,
        };
        let value = unit.quantise(raw).filter(|value| *value >= 0);
        overflow |= value.is_none() && raw.is_finite() && raw > 0.0;
        if let Some(place) = values.get_mut(slot) {
            *place = value;
        }
    }
    (values, overflow)
}

fn last_value(series: &[Series<'_>], name: &str) -> Option<i64> {
    series
        .iter()
        .filter(|series| series.name() == name)
        .flat_map(|series| series.samples())
        .filter_map(|(_, raw)| Column::MemoryUsedBytes.quantise(raw))
        .last()
}

/// `whole - part`; null where it would be negative, for then the two do not belong together.
pub(super) fn difference(whole: &[Option<i64>], part: &[Option<i64>]) -> Values {
    combine(whole, part, |whole, part| {
        whole.checked_sub(part).filter(|rest| *rest >= 0)
    })
}

fn sum(left: &[Option<i64>], right: &[Option<i64>]) -> Values {
    combine(left, right, i64::checked_add)
}

fn combine(
    left: &[Option<i64>],
    right: &[Option<i64>],
    with: impl Fn(i64, i64) -> Option<i64>,
) -> Values {
    left.iter()
        .zip(right)
        .map(|(left, right)| with((*left)?, (*right)?))
        .collect()
}
