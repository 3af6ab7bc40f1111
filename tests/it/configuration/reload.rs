//! Reading the file again while the service runs.

use super::{Configured, Site};
use crate::support::{fleet_job, report, wait_for, with};
use serde_json::json;

const REGION: &str = "[regions.eu-1]\nurl = \"PROM\"\n";
const RULE: &str = "[[runner_rules]]\ntags = [\"docker\"]\nregion = \"eu-1\"\n";
const SUCCESS: &str = "tachograph_config_last_reload_successful";
const RESTART: &str = "tachograph_config_restart_needed";

async fn until_metric(service: &Configured, name: &str, value: &str) {
    wait_for(&format!("{name} {value}"), async || {
        let found = service.metric(name).await;
        (found == value).then_some(()).ok_or(found)
    })
    .await;
}

#[tokio::test]
async fn a_reload_brings_what_a_job_waits_for_and_a_wrong_file_changes_nothing() {
    let site = Site::new().await;
    site.configure("");
    let service = site.serve().await;
    let api = &service.api;
    let body = with(report(fleet_job(0)), json!({"runner_tags": ["docker"]}));
    api.report("1", &body).await;
    api.job_when("1", "pending", "waiting_for_runner").await;

    // The rule alone: now the region is missing.
    site.configure(RULE);
    service.reload().await;
    api.job_when("1", "pending", "waiting_for_region").await;
    assert_eq!(service.metric(SUCCESS).await, "1");

    // A file with the region and a mistake: nothing of it holds.
    site.configure(&format!(
        "{REGION}{RULE}lisen = 1\n[sources.gl]\nkind = \"x\"\n"
    ));
    service.reload().await;
    until_metric(&service, SUCCESS, "0").await;
    let region = api.get("/api/v1/regions/eu-1").await;
    region.problem(404, "region_not_found", &[]);
    assert_eq!(api.job("1").await["reason"], "waiting_for_region");
    // The clock stands still: only the reload can wake the job.
    site.configure(&format!("{REGION}{RULE}"));
    service.reload().await;
    let archived = api.job_when("1", "archived", "").await;
    assert_eq!(archived["machine"]["region"], "eu-1");
    until_metric(&service, SUCCESS, "1").await;

    // No file, and no TOML: the last good one stays.
    for wrong in [None, Some("= ["), Some("\u{0}")] {
        match wrong {
            None => std::fs::remove_file(site.file()).unwrap(),
            Some(text) => site.write("tachograph.toml", text),
        }
        service.reload().await;
        until_metric(&service, SUCCESS, "0").await;
        api.get("/api/v1/regions/eu-1").await.json(200);
        site.configure(&format!("{REGION}{RULE}"));
        service.reload().await;
        until_metric(&service, SUCCESS, "1").await;
    }

    // What is gone from the file is gone.
    site.configure("");
    service.reload().await;
    wait_for("the region is gone", async || {
        let status = api.get("/api/v1/regions/eu-1").await.status;
        (status == 404).then_some(()).ok_or(status.to_string())
    })
    .await;
    service.stop().await;
}

#[tokio::test]
async fn many_waiting_jobs_are_woken_by_one_reload() {
    let site = Site::new().await;
    site.configure("");
    let service = site.serve().await;
    let api = &service.api;
    for number in 0..20 {
        let body = with(report(fleet_job(number % 3)), json!({"runner_id": number}));
        api.report(&number.to_string(), &body).await;
    }
    for number in 0..20 {
        let id = number.to_string();
        api.job_when(&id, "pending", "waiting_for_runner").await;
    }
    site.configure(&format!("{REGION}[[runner_rules]]\nregion = \"eu-1\"\n"));
    service.reload().await;
    for number in 0..20 {
        api.job_when(&number.to_string(), "archived", "").await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_start_wakes_what_waited_before_it() {
    let site = Site::new().await;
    site.configure("");
    let service = site.serve().await;
    service.api.report("1", &report(fleet_job(0))).await;
    let waits = service.api.job_when("1", "pending", "waiting_for_runner");
    waits.await;
    service.stop().await;
    site.configure(&format!("{REGION}[[runner_rules]]\nregion = \"eu-1\"\n"));
    let service = site.serve().await;
    service.api.job_when("1", "archived", "").await;
    service.stop().await;
}

#[tokio::test]
async fn what_needs_a_restart_is_said_and_the_rest_holds() {
    let site = Site::new().await;
    site.configure(REGION);
    let service = site.serve().await;
    assert_eq!(service.metric(RESTART).await, "0");
    let moved = format!("[archive]\nseal_jobs = 7\n{REGION}[regions.eu-2]\nurl = \"PROM\"\n");
    site.configure(&moved);
    service.reload().await;
    until_metric(&service, RESTART, "1").await;
    service.api.get("/api/v1/regions/eu-2").await.json(200);
    site.configure(REGION);
    service.reload().await;
    until_metric(&service, RESTART, "0").await;
    service.stop().await;
}

#[tokio::test]
async fn sources_are_replaced_with_their_secrets() {
    let site = Site::new().await;
    let source = |files: &str| {
        format!(
            "[sources.gl]\nkind = \"gitlab\"\nurl = \"https://gitlab.example.com\"\nhook_token_file = {files}\n"
        )
    };
    site.write("old", "old-token\n");
    site.write("new", "new-token\n");
    site.configure(&source("\"old\""));
    let service = site.serve().await;
    let mut sources = service.sources.clone();
    let tokens = |sources: &mut tokio::sync::watch::Receiver<_>| {
        let now: std::sync::Arc<[tachograph::gitlab::settings::GitlabSettings]> =
            std::sync::Arc::clone(&sources.borrow_and_update());
        let all = now.iter().flat_map(|source| source.hook_tokens.clone());
        all.map(|token| token.expose().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(tokens(&mut sources), ["old-token"]);
    site.configure(&source("[\"new\", \"old\"]"));
    service.reload().await;
    sources.changed().await.unwrap();
    assert_eq!(tokens(&mut sources), ["new-token", "old-token"]);
    // An empty secret is no secret: the old ones stay.
    site.write("new", "\n");
    service.reload().await;
    until_metric(&service, SUCCESS, "0").await;
    assert_eq!(tokens(&mut sources), ["new-token", "old-token"]);
    service.stop().await;
}
