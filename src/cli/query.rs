//! `tachograph query SQL`: a question over every job, to a service or straight to a data directory.

mod bar;
mod table;

use super::client::Client;
use super::{out, show};
use crate::archive::{Archive, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::model::scope::Scope;
use crate::query::sql::{AnswerFormat, Engine, Queries, QueryId};
use crate::time::SystemClock;
use bar::Bar;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Ask a question over every job, in SQL: one SELECT over the tables jobs and samples and the views
/// job_samples, job_metrics and sections.
///
/// Reads the data directory itself if no service holds it, else asks the service. Exit code 64: the
/// query is not valid.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The query, e.g. "select project, p95(memory_used_bytes_max) from jobs group by project".
    sql: String,
    /// How the answer is printed.
    #[arg(long, value_parser = format, value_name = "table|csv|json|parquet|arrow", default_value = "table")]
    format: Form,
    /// Write the answer to this file, not to standard output; a file of that name is replaced.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Say how the query would be run, and do not run it.
    #[arg(long)]
    explain: bool,
    /// Ask the service at this address.
    #[arg(long, value_name = "URL", conflicts_with = "data_dir")]
    server: Option<String>,
    /// Folder of the archive.
    #[arg(long, value_name = "DIR", default_value = "tachograph-data")]
    data_dir: PathBuf,
}

/// A format of the API, or a table for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Table,
    Bytes(AnswerFormat),
}

impl Form {
    fn answer(self) -> AnswerFormat {
        match self {
            Self::Table => AnswerFormat::Csv,
            Self::Bytes(format) => format,
        }
    }

    fn is_text(self) -> bool {
        !matches!(
            self,
            Self::Bytes(AnswerFormat::Arrow | AnswerFormat::Parquet)
        )
    }
}

fn format(name: &str) -> Result<Form, String> {
    if name == "table" {
        return Ok(Form::Table);
    }
    let known = AnswerFormat::ALL.map(AnswerFormat::name).join(", ");
    let format = AnswerFormat::by_name(name).ok_or(format!("known are: table, {known}"));
    format.map(Form::Bytes)
}

pub(super) async fn run(args: Args) -> Result<()> {
    if args.output.is_none() && !args.format.is_text() && out::is_terminal() {
        let message = format!(
            "{} is not for a terminal; add --output FILE",
            args.format.answer().name()
        );
        return Err(Error::invalid("binary_to_terminal", message));
    }
    let sql = match args.explain {
        true => format!("explain {}", args.sql),
        false => args.sql.clone(),
    };
    let format = args.format.answer();
    let bytes = match &args.server {
        Some(server) => ask(server, &sql, format).await?,
        None => match read(&args.data_dir, &sql, format).await {
            Err(error) if error.code() == "data_dir_locked" => {
                ask(show::SERVER, &sql, format).await.map_err(|asked| {
                    // Somebody holds the directory, and it is not the service at its usual address.
                    let reached = asked.code() != "service_unreachable";
                    if reached { asked } else { elsewhere(error) }
                })?
            }
            answer => answer?,
        },
    };
    match args.format {
        Form::Bytes(_) => write(args.output.as_deref(), &bytes),
        Form::Table => write(args.output.as_deref(), table::table(&bytes)?.as_bytes()),
    }
}

fn elsewhere(error: Error) -> Error {
    let message = format!("{}; name its address with --server URL", error.message());
    error.reworded(message)
}

fn write(file: Option<&Path>, bytes: &[u8]) -> Result<()> {
    let failed = |what: &str, error| {
        let message = format!("{what} could not be written");
        Error::new(ErrorKind::Unavailable, "output_failed", message).with_source(error)
    };
    let Some(file) = file else {
        return out::bytes(bytes).map_err(|error| failed("standard output", error));
    };
    let shown = file.display().to_string();
    out::file(file, bytes).map_err(|error| failed(&shown, error))?;
    out::note(&format!("wrote {shown}, {} bytes", bytes.len()));
    Ok(())
}

/// The answer of a data directory that nobody else holds.
async fn read(dir: &Path, sql: &str, format: AnswerFormat) -> Result<Vec<u8>> {
    if !dir.join("FORMAT").is_file() {
        let message = format!(
            "{} holds no archive; name it with --data-dir, or a service with --server",
            dir.display()
        );
        return Err(Error::not_found("no_archive", message));
    }
    let clock = SystemClock::shared();
    let archive = Arc::new(Archive::open(dir, Settings::default(), Arc::clone(&clock))?);
    let queries = Queries::new(Engine::new(Arc::clone(&archive))?, clock);
    let id = QueryId::random();
    let answer = queries.answer(Scope::local_operator(), &id, sql.to_owned(), format);
    let look = async || {
        let status = queries.status(&id).ok()?;
        Some((status.rows_read, status.rows_to_read))
    };
    let answer = Bar::watch(answer, look).await;
    drop(queries);
    // The query's threads let go of the archive a moment later; it must be closed before the process
    // ends, not while it does.
    let closed = async {
        while Arc::strong_count(&archive) > 1 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let _in_time = tokio::time::timeout(Duration::from_secs(5), closed).await;
    Ok(answer?.bytes)
}

#[derive(Debug, Deserialize)]
struct Status {
    rows_read: u64,
    rows_to_read: u64,
}

/// The answer of a service.
async fn ask(server: &str, sql: &str, format: AnswerFormat) -> Result<Vec<u8>> {
    let client = Client::new(server)?;
    let id = QueryId::random();
    let body = serde_json::json!({ "query": sql, "format": format.name() });
    let path = format!("/api/v1/queries/{}", id.as_str());
    let look = async || {
        let status: Status = client.get(&path).await.ok()?;
        Some((status.rows_read, status.rows_to_read))
    };
    Bar::watch(client.query(id.as_str(), &body), look).await
}
