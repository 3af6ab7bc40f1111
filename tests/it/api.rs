//! The interface as a client sees it that does everything right: registry, life of a job, lists,
//! profiles, and the promises that hold for every answer.

mod fleet;
mod lists;
mod open_metrics;
mod outputs;
mod profiles;

use crate::support::{World, fleet_job, report, with};
use reqwest::Method;
use serde_json::{Value, json};

const REGION: &str = "/api/v1/regions/eu-2";
const RUNNER: &str = "/api/v1/runners/gitlab/7";

#[tokio::test]
async fn the_registry_round_trips_and_survives_a_restart() {
    let mut world = World::unregistered().await;
    let region = json!({
        "url": "https://mimir.example/prometheus", "kind": "prometheus",
        "headers": {"X-Scope-OrgID": "ci"}, "bearer_token_file": "/run/token",
        "scrape_interval_seconds": 30.0, "retention_seconds": 86400.0,
    });
    let runner = json!({
        "region": "eu-2", "machine_label": "node", "machine_value": "{machine}.ci:9100",
        "preset": "node", "machine_type": "n2-standard-4", "price_per_hour": 0.19,
    });
    world.api().put(REGION, &region).await.empty();
    world.api().put(RUNNER, &runner).await.empty();
    // Header values may be secrets: they go in, but not out.
    let told = json!({"origin": "api", "origin_place": null});
    let hidden = json!({
        "headers": {"X-Scope-OrgID": "***"}, "basic_auth": null, "ca_file": null,
    });
    let shown = with(with(region.clone(), hidden), told.clone());
    let runner = with(runner, told);
    for restarted in [false, true] {
        if restarted {
            world.restart().await;
        }
        let api = world.api();
        assert_eq!(api.get(REGION).await.json(200), shown);
        assert_eq!(api.get(RUNNER).await.json(200), runner);
        let regions = api.get("/api/v1/regions").await.json(200);
        assert_eq!(regions, json!({ "eu-2": shown }));
        let runners = api.get("/api/v1/runners/gitlab").await.json(200);
        assert_eq!(runners, json!({ "7": runner }));
        let others = api.get("/api/v1/runners/github").await.json(200);
        assert_eq!(others, json!({}));
    }

    let least = json!({ "url": "http://127.0.0.1:9090" });
    world.api().put(REGION, &least).await.empty();
    let replaced = world.api().get(REGION).await.json(200);
    assert_eq!(replaced["kind"], "auto");
    assert_eq!(replaced["scrape_interval_seconds"], Value::Null);
    let least = json!({ "region": "eu-2" });
    world.api().put(RUNNER, &least).await.empty();
    let replaced = world.api().get(RUNNER).await.json(200);
    assert_eq!(replaced["machine_label"], "instance");
    assert_eq!(replaced["machine_value"], "{machine}:9100");
    assert_eq!(replaced["machine_type"], Value::Null);

    for (path, code) in [(REGION, "region_not_found"), (RUNNER, "runner_not_found")] {
        world.api().delete(path).await.empty();
        for restarted in [false, true] {
            if restarted {
                world.restart().await;
            }
            let name = path.rsplit('/').next().unwrap();
            let api = world.api();
            api.get(path).await.problem(404, code, &[name]);
            api.delete(path).await.problem(404, code, &[name]);
        }
    }
    world.api().get("/api/v1/regions").await.json(200);
}

#[tokio::test]
async fn a_wrong_registration_names_every_field_and_leaves_the_old_one() {
    let world = World::start().await;
    let api = world.api();
    let before = api.get("/api/v1/regions/eu-1").await.json(200);
    let wrong = json!({
        "url": "ftp://u:p@host", "headers": {"bad header": "x"},
        "scrape_interval_seconds": 0.0, "retention_seconds": 1.0,
    });
    let parts = [
        "url must start with http",
        "bad header",
        "scrape_interval_seconds",
        "retention_seconds",
    ];
    let put = api.put("/api/v1/regions/eu-1", &wrong).await;
    put.problem(400, "invalid_registration", &parts);
    assert_eq!(api.get("/api/v1/regions/eu-1").await.json(200), before);

    let wrong = json!({
        "region": "eu-1", "machine_label": "9", "machine_value": "all", "price_per_hour": -1,
    });
    let parts = ["machine_label", "machine_value", "price_per_hour"];
    let put = api.put(RUNNER, &wrong).await;
    put.problem(400, "invalid_registration", &parts);
    api.get(RUNNER)
        .await
        .problem(404, "runner_not_found", &["7"]);
    let put = api.put(RUNNER, &json!({ "region": "" })).await;
    put.problem(400, "invalid_id", &["region"]);
    let mac = json!({ "region": "eu-1", "preset": "mac" });
    api.put(RUNNER, &mac)
        .await
        .problem(400, "invalid_json", &["mac", "node"]);
}

/// The time a job of the world may be fetched at: 42.5 s after its end.
const FIRST_DELAY_MS: i64 = 42_500;

#[tokio::test]
async fn a_job_goes_from_created_to_archived_and_stays_over_a_restart() {
    let mut world = World::start().await;
    let job = fleet_job(0);
    let (from, to) = (job.window.from, job.window.to);
    world.clock.set(from.plus_ms(-5_000));
    let api = world.api();
    let accepted = api.report("1", &json!({"status": "created"})).await;
    let expected = json!({"source": "gitlab", "job_id": "1", "changed": true, "due_ms": null});
    assert_eq!(accepted, expected);
    api.job_when("1", "pending", "not_started").await;

    world.clock.set(from.plus_ms(5_000));
    let running =
        json!({"status": "running", "started_at": from.to_rfc3339(), "machine": job.machine});
    assert_eq!(api.report("1", &running).await["changed"], true);
    assert_eq!(api.report("1", &running).await["changed"], false);
    let live = api.job_when("1", "live", "").await;
    assert_eq!(live["machine"]["name"], job.machine);
    assert_eq!(live["finished_at"], Value::Null);
    let profile = api.profile("1").await;
    assert_eq!(profile["ts_ms"], json!([]));
    assert_eq!(profile["state"], "live");

    world.clock.set(to);
    let accepted = api.report("1", &report(job)).await;
    assert_eq!(accepted["due_ms"], to.0 + FIRST_DELAY_MS);
    api.job_when("1", "pending", "settling").await;
    world.clock.set(to.plus_ms(FIRST_DELAY_MS - 1));
    // Two looks of the pipeline at the clock: it must not come too early.
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    assert_eq!(api.job("1").await["reason"], "settling");
    assert_eq!(world.reads(), 0);
    world.clock.set(to.plus_ms(FIRST_DELAY_MS));
    let archived = api.job_when("1", "archived", "").await;
    check_archived(&archived, &world.prometheus.url());
    assert_eq!(archived["started_at_ms"], from.0);
    assert_eq!(archived["finished_at"], to.to_rfc3339());
    // Said again, the job is not fetched again.
    assert_eq!(api.report("1", &report(job)).await["changed"], false);
    let profile = api.profile("1").await;

    world.restart().await;
    assert_eq!(world.api().job("1").await, archived);
    assert_eq!(world.api().profile("1").await, profile);
    assert_eq!(world.reads(), 1);
}

fn check_archived(job: &Value, prometheus: &str) {
    for (field, value) in [
        ("source", json!("gitlab")),
        ("job_id", json!("1")),
        ("verdict", json!("complete")),
        ("coverage", json!(1.0)),
        ("scrape_interval_seconds", json!(15.0)),
        ("project", json!("acme/app")),
        ("project_id", json!("4711")),
        ("runner_id", json!("42")),
        ("status", json!("success")),
        ("reason_text", Value::Null),
        ("amended_at_ms", Value::Null),
        ("gaps", json!([])),
        ("co_tenants", json!([])),
        ("diagnosis", json!([])),
    ] {
        assert_eq!(job[field], value, "{field} of {job}");
    }
    assert_eq!(job["machine"]["region"], "eu-1");
    assert_eq!(job["machine"]["type"], "n2-standard-4");
    assert!(job["machine"]["cpu_count"].as_i64().unwrap() >= 2);
    assert!(job["sample_count"].as_i64().unwrap() >= 8);
    let used = &job["summary"]["cpu_used_seconds"];
    let of = |stat: &str| used[stat].as_f64().unwrap();
    assert!(of("low") <= of("total") && of("total") <= of("high") && of("low") > 0.0);
    assert!(
        !job.to_string().contains(prometheus),
        "the URL is not shown"
    );
}

#[tokio::test]
async fn errors_of_the_framework_are_problems_too() {
    let world = World::unregistered().await;
    let api = world.api();
    for path in [
        "/nowhere",
        "/api/v1",
        "/api/v2/jobs",
        "/api/v1/jobs/gitlab/",
        "/hooks/",
    ] {
        let answer = api.get(path).await;
        answer.problem(404, "route_not_found", &["/openapi.json"]);
    }
    for (method, path, allowed) in [
        (Method::DELETE, "/api/v1/jobs/gitlab/1", ["GET", "PUT"]),
        (Method::PATCH, "/api/v1/regions/eu-1", ["DELETE", "PUT"]),
        (Method::GET, "/api/v1/admin/seal", ["POST", "POST"]),
        (Method::POST, "/healthz", ["GET", "HEAD"]),
    ] {
        let answer = api.send(method, path, &[], "").await;
        answer.problem(405, "method_not_allowed", &["/openapi.json"]);
        for method in allowed {
            let allow = answer.header("allow");
            assert!(allow.contains(method), "{path} allows {allow:?}");
        }
    }
    let answer = api.get("/api/v1/jobs/gitlab/%FF").await;
    answer.problem(400, "bad_request", &["not readable"]);
    let answer = api.get("/api/v1/jobs/gitlab/9").await;
    answer.problem(404, "job_not_found", &["gitlab/9", "PUT"]);
    let answer = api.get("/api/v1/jobs/gitlab/9/profile").await;
    answer.problem(404, "job_not_found", &["gitlab/9"]);
    let long = format!("/api/v1/jobs/gitlab/{}", "9".repeat(201));
    api.get(&long)
        .await
        .problem(400, "invalid_id", &["200 bytes"]);
    // A caller's own request id is kept.
    let headers = [("x-request-id", "mine-1")];
    let answer = api.send(Method::GET, "/nowhere", &headers, "").await;
    assert_eq!(answer.json(404)["request_id"], "mine-1");
}

#[tokio::test]
async fn health_and_metrics_tell_the_truth() {
    let world = World::unregistered().await;
    let api = world.api();
    assert_eq!(api.get("/healthz").await.text(), "ok\n");
    assert_eq!(api.get("/readyz").await.text(), "ready\n");
    api.report("1", &report(fleet_job(0))).await;
    api.job_when("1", "pending", "waiting_for_runner").await;
    let metrics = api.get("/metrics").await;
    let kind = metrics.header("content-type");
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    let text = metrics.text();
    for line in [
        "tachograph_pending_jobs 1\n",
        "tachograph_job_events_total{outcome=\"changed\"} 1\n",
        "tachograph_invariant_violations 0\n",
        "# EOF\n",
    ] {
        assert!(text.contains(line), "{line:?} is missing in\n{text}");
    }
    assert_eq!(
        api.get("/openapi.json").await.json(200)["info"]["title"],
        "Tachograph"
    );
}
