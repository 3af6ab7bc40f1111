//! `tachograph show JOB --format`: the profile in a format for programs, to a file or a pipe.

use super::client::Client;
use super::out;
use crate::error::{Error, ErrorKind, Result};
use crate::http::Format;
use crate::model::id::JobRef;
use std::path::PathBuf;

/// What is wanted and where it goes.
#[derive(Debug, clap::Args)]
pub(super) struct Download {
    /// Give the profile alone, in this format.
    #[arg(long, value_parser = format, value_name = "json|csv|parquet|arrow|openmetrics")]
    pub(super) format: Option<Format>,
    /// Write it to this file, not to standard output; a file of that name is replaced.
    #[arg(long, value_name = "FILE", requires = "format")]
    output: Option<PathBuf>,
    /// What is stored (increments, exact decimals) instead of graph units; in OpenMetrics counters.
    #[arg(long, requires = "format")]
    raw: bool,
}

fn format(name: &str) -> Result<Format, String> {
    let known = Format::ALL.map(Format::name).join(", ");
    Format::by_name(name).ok_or(format!("known are: {known}"))
}

pub(super) async fn run(
    client: &Client,
    job: &JobRef,
    format: Format,
    args: &Download,
) -> Result<()> {
    if args.output.is_none() && !format.is_text() && out::is_terminal() {
        return Err(Error::invalid(
            "binary_to_terminal",
            format!(
                "{} is not for a terminal; add --output {}",
                format.name(),
                format.file_name(job)
            ),
        ));
    }
    let rest = format!("/profile?format={}&raw={}", format.name(), args.raw);
    let (source, job_id) = (job.source.as_str(), job.job_id.as_str());
    let path = Client::job_path("/api/v1", source, job_id, &rest);
    let bytes = client.bytes(&path).await?;
    let Some(file) = &args.output else {
        return out::bytes(&bytes).map_err(|error| failed("standard output", error));
    };
    let shown = file.display().to_string();
    out::file(file, &bytes).map_err(|error| failed(&shown, error))?;
    out::note(&format!("wrote {shown}, {} bytes", bytes.len()));
    Ok(())
}

fn failed(what: &str, error: std::io::Error) -> Error {
    let message = format!("{what} could not be written");
    Error::new(ErrorKind::Unavailable, "output_failed", message).with_source(error)
}
