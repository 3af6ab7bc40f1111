//! The tables and views of SQL in the words of other engines, which read the files in place.
//!
//! Made from the one list of columns (`tables`), so that a view means the same wherever it is asked.
//! Called by `tachograph views`; the tests hold every cell of every view in DuckDB, Polars and
//! DataFusion against the service's own.

mod expr;
mod words;

use super::tables::{Make, SqlTable, TABLES};
use crate::archive::scan::{StoredKind, Table, job_columns, sample_columns};
use expr::{Expr, Owner, column};
use std::fmt::Write as _;

/// An engine whose words are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the engines' own names")]
pub enum Engine {
    DuckDb,
    Polars,
    Spark,
    ClickHouse,
    DataFusion,
}

/// Definitions of all tables and views for a data directory: SQL, for Polars Python.
///
/// `data_dir` stands in them as it is, in quotes.
#[must_use]
pub fn definitions(engine: Engine, data_dir: &str) -> String {
    let mut text = match engine {
        Engine::Polars => "import polars as pl\n\n".to_owned(),
        _ => String::new(),
    };
    for table in TABLES.iter() {
        let definition = match table.name {
            "jobs" | "samples" => engine.files(table.name, data_dir),
            _ => engine.view(table),
        };
        text.push_str(&definition);
        text.push('\n');
    }
    text
}

impl Engine {
    /// The table as its files are.
    fn files(self, name: &str, data_dir: &str) -> String {
        let quoted = data_dir.replace('\'', "''");
        let root = format!("{quoted}/tables/{name}");
        match self {
            Self::DuckDb => format!(
                "create or replace view {name} as\n  select * from read_parquet('{root}/*/*.parquet', hive_partitioning = true, union_by_name = true);\n"
            ),
            Self::Spark => format!(
                "create or replace temporary view {name} using parquet\n  options (path '{root}', mergeSchema 'true');\n"
            ),
            Self::ClickHouse => format!(
                "create or replace view {name} as\n  select * from file('{root}/*/*.parquet', Parquet)\n  settings schema_inference_make_columns_nullable = 'auto';\n"
            ),
            Self::DataFusion => format!(
                "create external table {name}_files stored as parquet partitioned by (date) location '{root}/';\n\
                 create or replace view {name} as\n  select * exclude (date), cast(date as date) as date from {name}_files;\n"
            ),
            Self::Polars => {
                let root = data_dir.replace('\\', "\\\\").replace('"', "\\\"");
                format!(
                    "{name} = pl.scan_parquet(\"{root}/tables/{name}/**/*.parquet\", hive_partitioning=True, missing_columns=\"insert\")\n"
                )
            }
        }
    }

    fn view(self, table: &SqlTable) -> String {
        let columns = table.columns.iter().filter_map(|own| {
            let expr = expression(table, &own.make)?;
            Some((own.name.as_str(), self.write(&expr)))
        });
        let columns: Vec<(&str, String)> = columns.collect();
        if self == Self::Polars {
            return polars_view(table, &columns);
        }
        let create = match self {
            Self::Spark => "create or replace temporary view",
            _ => "create or replace view",
        };
        let mut text = format!("{create} {} as\nselect ", table.name);
        for (number, (name, made)) in columns.iter().enumerate() {
            let comma = if number == 0 { "" } else { ",\n       " };
            let plain = made.rsplit('.').next() == Some(*name) && !made.contains(' ');
            let alias = if plain {
                String::new()
            } else {
                format!(" as {name}")
            };
            let _never_fails = write!(text, "{comma}{made}{alias}");
        }
        text.push_str("\nfrom ");
        text.push_str(&self.source(table));
        text.push_str(";\n");
        text
    }

    /// What a view reads.
    fn source(self, table: &SqlTable) -> String {
        if table.base == Table::Samples {
            return "samples s join jobs j\n  on s.date = j.date and s.project_key = j.project_key and s.job = j.job and s.part = j.part".to_owned();
        }
        if !table.is_unrolled {
            return "jobs s".to_owned();
        }
        match self {
            Self::Spark => "(select *, cast(place + 1 as bigint) as section_number\n      from jobs lateral view posexplode(sections) unrolled as place, own) s".to_owned(),
            Self::ClickHouse => "(select *, own, toInt64(place) as section_number\n      from jobs array join sections as own, arrayEnumerate(sections) as place) s".to_owned(),
            Self::DataFusion => "(select *, unnest(sections) as own, unnest(range(1, cast(array_length(sections) as bigint) + 1)) as section_number\n      from jobs where array_length(sections) > 0) s".to_owned(),
            _ => "(select *, unnest(sections) as own, unnest(range(1, len(sections) + 1)) as section_number\n      from jobs where len(sections) > 0) s".to_owned(),
        }
    }
}

fn polars_view(table: &SqlTable, columns: &[(&str, String)]) -> String {
    let source = match (table.base, table.is_unrolled) {
        (Table::Samples, _) => {
            let facts = table.columns.iter().filter_map(|own| match own.make {
                Make::Fact(position) => Some(format!("\"{}\"", job_columns().get(position)?.name)),
                _ => None,
            });
            let facts: Vec<String> = facts.collect();
            let keys = "\"date\", \"project_key\", \"job\", \"part\"";
            format!("samples.join(jobs.select({keys}, {}), on=[{keys}])", facts.join(", "))
        }
        (_, true) => "jobs.filter(pl.col(\"sections\").list.len() > 0)\n    .with_columns(section_number=pl.int_ranges(1, pl.col(\"sections\").list.len().cast(pl.Int64) + 1))\n    .explode(\"sections\", \"section_number\")".to_owned(),
        _ => "jobs".to_owned(),
    };
    let mut text = format!("{} = (\n    {source}\n    .select(\n", table.name);
    for (name, made) in columns {
        let plain = *made == format!("pl.col(\"{name}\")");
        let _never_fails = if plain {
            writeln!(text, "        \"{name}\",")
        } else {
            writeln!(text, "        ({made}).alias(\"{name}\"),")
        };
    }
    text.push_str("    )\n)\n");
    text
}

/// Digits behind the point of a stored number.
fn scale(kind: &StoredKind) -> i8 {
    match kind {
        StoredKind::Cell(cell) => cell.scale(),
        _ => 0,
    }
}

/// How a column's cells are made from the files.
fn expression(table: &SqlTable, make: &Make) -> Option<Expr> {
    let stored = match table.base {
        Table::Jobs => job_columns(),
        Table::Samples => sample_columns(),
    };
    let own = |position: usize| stored.get(position);
    let row = |position: usize| Some(column(Owner::Row, &own(position)?.name));
    Some(match make {
        Make::Date => column(Owner::Row, "date"),
        Make::Stored(position) => row(*position)?,
        Make::Double(position) => expr::double(row(*position)?),
        Make::Fact(position) => column(Owner::Job, &job_columns().get(*position)?.name),
        Make::Rate(metric) => expr::rate(metric)?,
        Make::Overlap => expr::overlap_ms(),
        Make::Share => expr::share(),
        Make::MeanRate(metric) => expr::mean_rate(metric)?,
        Make::Sum(first, second) => {
            expr::sum(row(*first)?, row(*second)?, scale(&own(*first)?.kind))?
        }
        Make::Between(from, to) => expr::between(Owner::Row, &own(*from)?.name, &own(*to)?.name),
        Make::Section("cpu_used_seconds") => {
            expr::double(column(Owner::Section, "cpu_used_seconds"))
        }
        Make::Section(field) => column(Owner::Section, field),
        Make::SectionNumber => column(Owner::Row, "section_number"),
        Make::SectionSeconds => expr::between(Owner::Section, "started_at", "finished_at"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGINES: [Engine; 5] = [
        Engine::DuckDb,
        Engine::Polars,
        Engine::Spark,
        Engine::ClickHouse,
        Engine::DataFusion,
    ];

    #[test]
    fn every_column_of_every_view_has_words_in_every_engine() {
        for engine in ENGINES {
            let text = definitions(engine, "/data");
            for table in TABLES.iter() {
                assert!(text.contains(table.name), "{engine:?} {}", table.name);
            }
            for table in TABLES.iter().skip(2) {
                for own in &table.columns {
                    assert!(expression(table, &own.make).is_some(), "{}", own.name);
                    assert!(text.contains(&own.name), "{engine:?} {}", own.name);
                }
            }
        }
    }

    #[test]
    fn a_path_cannot_leave_its_quotes() {
        let text = definitions(Engine::DuckDb, "/it's");
        assert!(text.contains("'/it''s/tables/jobs/*/*.parquet'"));
        let text = definitions(Engine::Polars, "/a\"b");
        assert!(text.contains("\"/a\\\"b/tables/jobs/**/*.parquet\""));
    }

    #[test]
    fn a_rate_is_rounded_in_whole_numbers() {
        let text = definitions(Engine::DuckDb, "/data");
        let cores = "case when s.cpu_user_seconds is not null and s.cpu_system_seconds is not null and s.interval_ms > 0 \
            then cast(floor((round(cast(s.cpu_user_seconds as double) * 1e2) + round(cast(s.cpu_system_seconds as double) * 1e2)) \
            * 1e5 / cast(s.interval_ms as double) + 5e-1) as double) / 1e4 end as cpu_used_cores";
        assert!(text.contains(cores), "{text}");
    }
}
