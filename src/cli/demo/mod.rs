//! `tachograph demo`: the main job on real input.
//!
//! Starts a Prometheus, a node_exporter and a stand-in GitLab, and runs a real job on this machine.
//! The service hears of it by GitLab's hooks and finds machine and sections in its log. Once the job
//! is archived, the demo stops Prometheus and deletes its data, restarts the service, and shows the
//! job from the archive. With `--check` it then judges what it shows.
//!
//! With `--fleet` it shows years of made-up jobs instead (`fleet`).

mod check;
mod fleet;
mod job;
mod service;

use super::client::Client;
use super::{out, show};
use crate::components::gitlab::{HookSender, StandInGitlab};
use crate::components::{NodeExporter, Prometheus, PrometheusOptions, Target};
use crate::error::{Error, ErrorKind, Result};
use crate::time::{Clock as _, SharedClock, SystemClock};
use serde_json::{Value, json};
use service::Service;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub(super) use check::CHECK_FAILED;

/// Archive a real job of this machine, with a Prometheus of its own, and show it after that
/// Prometheus is gone; or, with --fleet, a made-up company's jobs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Exit after judging what was archived; 1 if anything is wrong.
    #[arg(long)]
    check: bool,
    /// Write the address of the job page into this file once it is up.
    #[arg(long, value_name = "FILE", hide = true)]
    address_file: Option<std::path::PathBuf>,
    #[command(flatten)]
    fleet: fleet::FleetArgs,
}

const SOURCE: &str = "demo";
const JOB_ID: &str = "1";
const JOB: u64 = 1;
const PROJECT: u64 = 1;
const REGION: &str = "local";
const RUNNER: u64 = 1;
const RUNNER_NAME: &str = "demo-runner";
const MACHINE: &str = "demo-machine";
/// Prometheus scrapes every second, so that half a minute has thirty samples.
const SCRAPE: Duration = Duration::from_secs(1);
/// Scrapes in front of the job, so that its first interval is known.
const WARM_UP_SCRAPES: i64 = 4;
/// Prometheus takes up to 5 s to begin with a new target.
const WARM_UP_PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(300);
const ARCHIVE_PATIENCE: Duration = Duration::from_secs(60);

pub(super) async fn run(args: Args) -> Result<()> {
    if args.fleet.is_wanted() {
        return fleet::run(args.fleet, args.address_file.as_deref()).await;
    }
    let folder = temporary_folder()?;
    let shown = archive_a_job(folder.path()).await?;
    let outcome = if args.check {
        check::judge(&shown.record, &shown.before, &shown.after, &shown.calls)
    } else {
        stay(&shown, args.address_file.as_deref()).await
    };
    shown.service.stop().await?;
    outcome
}

fn temporary_folder() -> Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("tachograph-demo-")
        .tempdir();
    folder.map_err(|error| {
        Error::new(
            ErrorKind::Unavailable,
            "demo_folder",
            "no temporary folder can be made",
        )
        .with_source(error)
    })
}

/// What the demo has to show: the job's answers before and after the restart.
struct Shown {
    service: Service,
    record: Value,
    before: Value,
    after: Value,
    /// What GitLab's REST interface was asked.
    calls: Vec<String>,
}

async fn archive_a_job(folder: &Path) -> Result<Shown> {
    out::note("1/6  starting node_exporter and Prometheus (scraping every second) ...");
    let exporter = NodeExporter::start(&service::subfolder(folder, "exporter")?).await?;
    let target = Target {
        address: exporter.address(),
        instance: format!("{MACHINE}:9100"),
    };
    let options = PrometheusOptions {
        targets: vec![target],
        scrape_interval: SCRAPE,
        ..PrometheusOptions::default()
    };
    let prometheus = Prometheus::start(&service::subfolder(folder, "prometheus")?, options).await?;

    out::note("2/6  starting a stand-in GitLab, and the service on an empty data directory ...");
    let clock = SystemClock::shared();
    let gitlab = StandInGitlab::start(Arc::clone(&clock)).await?;
    job::prepare(&gitlab, clock.as_ref());
    let hook_token = configure(folder, &gitlab)?;
    let service = Service::start(folder).await?;
    let client = Client::new(&service.url())?;
    let hooks = HookSender::new(gitlab.url(), service.port(), SharedClock::clone(&clock));
    let hooks = hooks.with_secret_token(&hook_token);
    register(&client, &prometheus.url()).await?;
    wait_for_scrapes(&prometheus).await?;

    out::note(
        "3/6  running the job: 256 MiB of disk writes, 10 s of one busy core, 400 MiB of memory ...",
    );
    let work = service::subfolder(folder, "job")?;
    job::run(&work, clock.as_ref(), &gitlab, &hooks).await?;

    out::note("4/6  waiting until it is archived ...");
    let record = wait_until_archived(&client).await?;
    let before = profile(&client).await?;

    out::note("5/6  stopping Prometheus and deleting its data ...");
    prometheus.stop_and_delete_data().await?;
    exporter.stop().await?;

    out::note("6/6  restarting the service ...");
    let service = service.restart().await?;
    let client = Client::new(&service.url())?;
    let after = profile(&client).await?;
    let record_after: Value = client
        .get(&Client::job_path("/api/v1", SOURCE, JOB_ID, ""))
        .await?;
    out::note("");
    out::text(&show::render(
        record_after.clone(),
        after.clone(),
        out::width(),
    )?);
    if record_after != record {
        out::note("the record after the restart differs from the one before");
    }
    Ok(Shown {
        service,
        record: record_after,
        before,
        after,
        calls: gitlab.calls(),
    })
}

/// Writes the service's configuration: the stand-in as its source. The secret of the hooks comes back.
fn configure(folder: &Path, gitlab: &StandInGitlab) -> Result<String> {
    let hook_token = uuid::Uuid::new_v4().to_string();
    service::write_small(&folder.join("hook.token"), &hook_token)?;
    service::write_small(&folder.join("api.token"), gitlab.token())?;
    let config = format!(
        "[sources.{SOURCE}]\nkind = \"gitlab\"\nurl = \"{}\"\n\
         hook_token_file = \"hook.token\"\napi_token_file = \"api.token\"\n",
        gitlab.url()
    );
    service::write_small(&folder.join(service::CONFIG), &config)?;
    Ok(hook_token)
}

async fn register(client: &Client, prometheus: &str) -> Result<()> {
    let region = json!({ "url": prometheus, "scrape_interval_seconds": SCRAPE.as_secs_f64() });
    client
        .put(&format!("/api/v1/regions/{REGION}"), &region)
        .await?;
    let runner = json!({ "region": REGION, "machine_type": "this machine" });
    client
        .put(&format!("/api/v1/runners/{SOURCE}/{RUNNER}"), &runner)
        .await
}

/// Waits until Prometheus has scraped the machine a few times.
async fn wait_for_scrapes(prometheus: &Prometheus) -> Result<()> {
    let clock = SystemClock::new();
    let scraped =
        format!("count_over_time(up{{instance=\"{MACHINE}:9100\"}}[1m]) >= {WARM_UP_SCRAPES}");
    loop {
        let answer: Value = serde_json::from_str(&prometheus.query(&scraped, clock.now()).await?)
            .map_err(|error| {
            Error::internal("Prometheus did not answer in JSON").with_source(error)
        })?;
        let result = answer.pointer("/data/result").and_then(Value::as_array);
        if result.is_some_and(|result| !result.is_empty()) {
            return Ok(());
        }
        if clock.monotonic() > WARM_UP_PATIENCE {
            let message = "Prometheus did not scrape node_exporter within half a minute";
            return Err(Error::new(ErrorKind::Upstream, "demo_not_scraped", message));
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn wait_until_archived(client: &Client) -> Result<Value> {
    let clock = SystemClock::new();
    loop {
        let record: Value = client
            .get(&Client::job_path("/api/v1", SOURCE, JOB_ID, ""))
            .await?;
        match record.get("state").and_then(Value::as_str) {
            Some("archived" | "unavailable") => return Ok(record),
            _ if clock.monotonic() > ARCHIVE_PATIENCE => {
                let message = format!("the job was not archived within a minute: {record}");
                return Err(Error::new(
                    ErrorKind::Upstream,
                    "demo_not_archived",
                    message,
                ));
            }
            _ => tokio::time::sleep(POLL).await,
        }
    }
}

async fn profile(client: &Client) -> Result<Value> {
    client
        .get(&Client::job_path("/api/v1", SOURCE, JOB_ID, "/profile"))
        .await
}

/// Keeps the page up until Ctrl-C.
async fn stay(shown: &Shown, address_file: Option<&Path>) -> Result<()> {
    let page = Client::job_path(&shown.service.url(), SOURCE, JOB_ID, "");
    out::note(&format!(
        "\nPrometheus is gone; this came from the archive.\nThe job page: {page}\nCtrl-C ends the demo."
    ));
    until_ctrl_c(&page, address_file).await
}

/// Writes the address into the file, if there is one, and waits for Ctrl-C.
async fn until_ctrl_c(page: &str, address_file: Option<&Path>) -> Result<()> {
    if let Some(path) = address_file {
        service::write_small(path, page)?;
    }
    tokio::signal::ctrl_c()
        .await
        .map_err(|error| Error::internal("Ctrl-C cannot be received").with_source(error))
}
