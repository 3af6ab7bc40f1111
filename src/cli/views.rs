//! `tachograph views`: the tables and views of SQL in another engine's words.

use super::out;
use crate::query::sql::foreign::{self, Engine};
use std::path::PathBuf;

/// Print definitions of all tables and views, for an engine that reads the files in place.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whose words: SQL, for polars Python.
    #[arg(long, value_enum)]
    engine: Name,
    /// Folder of the archive, as the engine is to find it.
    #[arg(long, value_name = "DIR", default_value = "tachograph-data")]
    data_dir: PathBuf,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Name {
    Duckdb,
    Polars,
    Spark,
    Clickhouse,
    Datafusion,
}

pub(super) fn run(args: &Args) {
    let engine = match args.engine {
        Name::Duckdb => Engine::DuckDb,
        Name::Polars => Engine::Polars,
        Name::Spark => Engine::Spark,
        Name::Clickhouse => Engine::ClickHouse,
        Name::Datafusion => Engine::DataFusion,
    };
    out::text(&foreign::definitions(
        engine,
        &args.data_dir.to_string_lossy(),
    ));
}
