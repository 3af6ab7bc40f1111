//! `tachograph demo --fleet`: a populated service to look at, and the generator of archives for benches.

use super::service::{self, Service};
use super::{temporary_folder, until_ctrl_c};
use crate::archive::{Archive, Settings};
use crate::cli::out;
use crate::error::{Error, Result};
use crate::fleetgen::{self, COLUMNS_FILLED, FleetSpec, Generated};
use crate::supervise::BlockingPool;
use crate::time::{Clock as _, Date, SystemClock};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Make up the jobs of a company and show them.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Fleet")]
pub(super) struct FleetArgs {
    /// Show a made-up company's jobs of the last half year instead of a real job.
    #[arg(long, conflicts_with = "check")]
    fleet: bool,
    /// Number of jobs.
    #[arg(long, default_value_t = 60_000, requires = "fleet")]
    jobs: u64,
    /// Number of days.
    #[arg(long, default_value_t = 180, requires = "fleet")]
    days: u32,
    /// The last day; yesterday by default.
    #[arg(long, value_name = "DATE", value_parser = date, requires = "fleet")]
    until: Option<Date>,
    /// Same seed, same fleet.
    #[arg(long, default_value_t = 1, requires = "fleet")]
    seed: u64,
    /// Mean number of samples of a job.
    #[arg(long, value_name = "ROWS", default_value_t = 30, requires = "fleet")]
    rows_per_job: u32,
    /// Only jobs of so many last days keep their samples; the others keep their statistics.
    #[arg(long, value_name = "DAYS", requires = "fleet")]
    sample_days: Option<u32>,
    /// Jobs in one segment at most.
    #[arg(
        long,
        value_name = "JOBS",
        default_value_t = 16_384,
        requires = "fleet"
    )]
    jobs_per_segment: usize,
    /// Threads that make the fleet.
    #[arg(long, default_value_t = 2, requires = "fleet")]
    threads: usize,
    /// Make it in this folder, which stays; a temporary one by default.
    #[arg(long, value_name = "DIR", requires = "fleet")]
    data_dir: Option<PathBuf>,
    /// Only make the archive: serve nothing, print what was made as JSON.
    #[arg(long, requires = "data_dir")]
    no_serve: bool,
}

fn date(text: &str) -> std::result::Result<Date, String> {
    Date::parse(text).ok_or_else(|| "give a date like 2026-07-28".to_owned())
}

impl FleetArgs {
    pub(super) fn is_wanted(&self) -> bool {
        self.fleet
    }

    fn spec(&self) -> FleetSpec {
        let yesterday = Date(SystemClock::new().now().date().0 - 1);
        FleetSpec {
            jobs: self.jobs,
            days: self.days,
            until: self.until.unwrap_or(yesterday),
            seed: self.seed,
            rows_per_job: self.rows_per_job,
            sample_days: self.sample_days,
            jobs_per_segment: self.jobs_per_segment,
        }
    }
}

pub(super) async fn run(args: FleetArgs, address_file: Option<&Path>) -> Result<()> {
    let folder = temporary_folder()?;
    let temporary = folder.path().join("archive");
    let data_dir = args.data_dir.clone().unwrap_or(temporary);
    let spec = args.spec();
    out::note(&format!(
        "making up {} jobs of {} days ...",
        spec.jobs, spec.days
    ));
    let made = make(&data_dir, spec, args.threads).await?;
    out::note(&format!(
        "{} jobs, {} samples rows, {} segments, {} MiB",
        made.jobs,
        made.rows,
        made.segments,
        (made.samples_bytes + made.jobs_bytes) >> 20
    ));
    if args.no_serve {
        out::line(&summary(&made).to_string());
        return Ok(());
    }
    service::write_small(&folder.path().join(service::CONFIG), "")?;
    let service = Service::start_on(folder.path(), &data_dir).await?;
    let page = service.url();
    out::note(&format!(
        "\nAll jobs: {page}/\nThe fleet: {page}/fleet\nCtrl-C ends the demo."
    ));
    let outcome = until_ctrl_c(&page, address_file).await;
    service.stop().await?;
    outcome
}

async fn make(data_dir: &Path, spec: FleetSpec, threads: usize) -> Result<Generated> {
    let root = data_dir.to_owned();
    let open = move || Archive::open(&root, Settings::default(), SystemClock::shared());
    let archive = Arc::new(BlockingPool::new(1).run(open).await?);
    let told = AtomicU64::new(0);
    let progress = move |made: &Generated| {
        let percent = made.jobs * 100 / spec.jobs.max(1);
        if percent >= told.load(Ordering::Relaxed) + 10 {
            told.store(percent, Ordering::Relaxed);
            out::note(&format!("  {percent} %, {} jobs", made.jobs));
        }
    };
    let made = fleetgen::generate(&archive, spec, threads, progress).await?;
    // The last one closes the index, which may wait for the disk.
    let close = move || {
        Arc::into_inner(archive)
            .map(drop)
            .ok_or_else(|| Error::internal("the archive is still in use"))
    };
    BlockingPool::new(1).run(close).await?;
    Ok(made)
}

fn summary(made: &Generated) -> serde_json::Value {
    json!({
        "jobs": made.jobs,
        "rows": made.rows,
        "samples": made.rows * COLUMNS_FILLED,
        "segments": made.segments,
        "samples_bytes": made.samples_bytes,
        "jobs_bytes": made.jobs_bytes,
    })
}
