//! `tachograph erase`.

use super::client::Client;
use super::show::SERVER;
use super::{existing_archive, out};
use crate::archive::{EraseTarget, NumberedErasure};
use crate::config::{self, Config};
use crate::error::{Error, ErrorKind, Result};
use crate::model::erasure::Fields;
use crate::model::id::{JobId, JobRef, Source};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::Arc;

/// Rounds in which a directory that nobody else uses must be clean: one, and one more for luck.
const ROUNDS_MAX: usize = 3;

/// Erase a project, a job, or some texts of either, for ever. Asks the service, which makes it
/// unreadable at once and removes its bytes within minutes; with --data-dir it is done in the
/// directory itself, for which the service must be stopped.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A project by path or id, with all its jobs.
    #[arg(long, value_name = "PROJECT", required_unless_present = "job")]
    project: Option<String>,
    /// CI instance of the project, if several have one of that name.
    #[arg(long, value_name = "SOURCE", requires = "project")]
    source: Option<String>,
    /// A job as SOURCE/JOB_ID.
    #[arg(long, value_name = "JOB", conflicts_with = "project")]
    job: Option<String>,
    /// Only these texts; everything without it.
    #[arg(long, value_name = "TEXTS", value_delimiter = ',', value_parser = ["ref", "machine", "sections"])]
    only: Vec<String>,
    /// The service.
    #[arg(long, value_name = "URL", default_value = SERVER, conflicts_with = "data_dir")]
    server: String,
    /// Folder of the archive.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Configuration file of the service, for its legal holds (with --data-dir).
    #[arg(long, value_name = "FILE", requires = "data_dir")]
    config: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> Result<()> {
    let target = target(&args)?;
    match &args.data_dir {
        None => ask(&args, &target).await,
        Some(dir) => {
            let config = match &args.config {
                Some(path) => config::read_config(path)?,
                None => Config::default(),
            };
            let archive = existing_archive(dir, config.archive)?;
            archive.set_retention(Arc::new(config.retention))?;
            let fields = args.only.iter().filter_map(|word| Fields::of_word(word));
            let asked = archive.erase(&target, fields.fold(Fields::default(), Fields::and))?;
            for _ in 0..ROUNDS_MAX {
                archive.run_erasures(&|| Ok(()))?;
            }
            let all = archive.erasures()?;
            let done = all.into_iter().find(|one| one.number == asked.number);
            told(done.as_ref())
        }
    }
}

fn told(done: Option<&NumberedErasure>) -> Result<()> {
    match done {
        Some(one) if one.erasure.finished_at.is_some() => {
            out::line(&format!(
                "erasure {} is done: {} jobs, {} segments written anew",
                one.number, one.erasure.jobs, one.erasure.segments
            ));
            Ok(())
        }
        _ => Err(Error::new(
            ErrorKind::Unavailable,
            "erasure_unfinished",
            "it is unreadable, but not all of its bytes are gone yet; the service goes on with it, or run this again",
        )),
    }
}

fn target(args: &Args) -> Result<EraseTarget> {
    if let Some(job) = &args.job {
        let (source, job_id) = job
            .split_once('/')
            .ok_or_else(|| Error::invalid("invalid_job", "name the job as SOURCE/JOB_ID"))?;
        return Ok(EraseTarget::Job(JobRef {
            source: Source::parse(source)?,
            job_id: JobId::parse(job_id)?,
        }));
    }
    Ok(EraseTarget::Project {
        source: args.source.as_deref().map(Source::parse).transpose()?,
        project: args.project.clone().unwrap_or_default(),
    })
}

async fn ask(args: &Args, target: &EraseTarget) -> Result<()> {
    let mut body = match target {
        EraseTarget::Job(job) => serde_json::json!({
            "source": job.source.as_str(),
            "job_id": job.job_id.as_str(),
        }),
        EraseTarget::Project { source, project } => serde_json::json!({
            "project": project,
            "source": source.as_ref().map(Source::as_str),
        }),
    };
    if let (false, Value::Object(fields)) = (args.only.is_empty(), &mut body) {
        fields.insert("only".to_owned(), args.only.clone().into());
    }
    let client = Client::new(&args.server)?;
    let answer: Value = client.post("/api/v1/admin/erasures", &body).await?;
    let number = answer.get("id").and_then(Value::as_u64).unwrap_or_default();
    out::line(&format!(
        "erasure {number}: unreadable from now on; GET /api/v1/admin/erasures says how far its bytes are gone"
    ));
    Ok(())
}
