//! Events that contradict themselves, come late, twice, backwards, or name things oddly.

use crate::support::{World, fleet_job, report, wait_for, with};
use futures::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;
use tachograph::testkit::scripted::Reply;
use tachograph::time::TimestampMs;

const JOB: &str = "/api/v1/jobs/gitlab/1";
const LATE_START_MS: i64 = 600_000;

#[tokio::test]
async fn an_end_before_the_start_in_a_second_event_is_a_conflict() {
    let world = World::start().await;
    let api = world.api();
    let start = fleet_job(0).window.from;
    let running = json!({"status": "running", "started_at": start.to_rfc3339(), "name": "unit"});
    api.report("1", &running).await;
    let before = api.job("1").await;
    for (end, part) in [
        (start.plus_ms(-1), "before it starts"),
        (start.plus_ms(31 * 86_400_000 + 1), "more than 31 days"),
    ] {
        let done = json!({"status": "success", "finished_at": end.to_rfc3339(), "name": "other"});
        let parts = [
            part,
            "correct started_at or finished_at",
            &start.to_rfc3339(),
        ];
        api.put(JOB, &done).await.problem(409, "job_times", &parts);
        assert_eq!(api.job("1").await, before);
    }
    let done = json!({"status": "success", "finished_at": start.plus_ms(1_000).to_rfc3339()});
    api.report("1", &done).await;
    let job = api.job("1").await;
    assert_eq!(
        (&job["name"], &job["status"]),
        (&json!("unit"), &json!("success"))
    );
}

#[tokio::test]
async fn a_job_that_ended_without_a_start_waits_for_it_ten_minutes() {
    let world = World::start().await;
    let api = world.api();
    let job = fleet_job(0);
    let mut body = report(job);
    body.as_object_mut().unwrap().remove("started_at");
    for id in ["late", "never", "sealed"] {
        let accepted = api.report(id, &body).await;
        assert_eq!(accepted["due_ms"], world.now().0 + LATE_START_MS);
        api.job_when(id, "pending", "waiting_for_start").await;
    }
    let skipped = json!({"status": "skipped"});
    api.report("skipped", &skipped).await;
    world.clock.set(world.now().plus_ms(LATE_START_MS - 1));
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    for id in ["late", "never", "sealed", "skipped"] {
        api.job_when(id, "pending", "waiting_for_start").await;
    }
    let start = json!({"started_at": job.window.from.to_rfc3339()});
    api.report("late", &start).await;
    api.job_when("late", "archived", "").await;
    world.clock.set(world.now().plus_ms(1));
    for id in ["never", "sealed", "skipped"] {
        let never = api.job_when(id, "unavailable", "never_ran").await;
        assert_eq!(never["verdict"], Value::Null);
        assert_eq!(never["coverage"], Value::Null);
        assert_eq!(never["reason_text"], "The job never ran on a machine.");
    }
    // A start that comes even later is believed all the same.
    api.report("never", &start).await;
    api.job_when("never", "archived", "").await;
    let before = [api.job("sealed").await, api.job("skipped").await];
    api.seal().await;
    assert_eq!([api.job("sealed").await, api.job("skipped").await], before);
    assert_eq!(world.reads(), 2);
}

#[tokio::test]
async fn the_same_event_five_times_is_one_job_and_one_profile() {
    let world = World::start().await;
    let api = world.api();
    let body = report(fleet_job(0));
    let answers = join_all((0..5).map(|_| api.report("1", &body))).await;
    let changed = |answer: &&Value| answer["changed"] == true;
    assert_eq!(answers.iter().filter(changed).count(), 1);
    let job = api.job_when("1", "archived", "").await;
    for _ in 0..5 {
        assert_eq!(api.report("1", &body).await["changed"], false);
    }
    assert_eq!(api.ids("").await, ["1"]);
    assert_eq!(world.reads(), 1);
    assert_eq!(api.seal().await["jobs"], 1);
    assert_eq!(api.report("1", &body).await["changed"], false);
    assert_eq!(api.seal().await["jobs"], 0);
    assert_eq!(api.job("1").await, job);
    let rows = api.profile("1").await["ts_ms"].as_array().unwrap().clone();
    let distinct: std::collections::BTreeSet<i64> =
        rows.iter().map(|ts| ts.as_i64().unwrap()).collect();
    assert_eq!(distinct.len(), rows.len());
    assert_eq!(
        rows.len().abs_diff(tachograph::num::to_usize(
            job["sample_count"].as_u64().unwrap()
        )),
        1
    );
}

#[tokio::test]
async fn a_corrected_job_is_fetched_again_before_it_is_sealed() {
    let world = World::start().await;
    let api = world.api();
    let job = fleet_job(0);
    let middle = job
        .window
        .from
        .plus_ms(job.window.len_ms() / 2)
        .to_rfc3339();
    let half = with(report(job), json!({ "finished_at": middle }));
    let rows = async || api.profile("1").await["ts_ms"].as_array().unwrap().len();
    world.archive("1", &half).await;
    let before = rows().await;
    // The correction comes while Prometheus is down, and the seal before it is back.
    let busy = Reply::new(503, "text/plain", "busy");
    world.prometheus.answer_instead(Some(busy.into()));
    assert_eq!(api.report("1", &report(job)).await["changed"], true);
    wait_for("the second attempt", async || {
        let metrics = api.get("/metrics").await.text();
        let failed = "archive_attempts_total{outcome=\"upstream_unreachable\"} 1";
        if metrics.contains(failed) {
            return Ok(());
        }
        Err(metrics)
    })
    .await;
    assert_eq!(api.seal().await["jobs"], 0);
    assert_eq!(rows().await, before);
    world.prometheus.answer_instead(None);
    world.clock.advance_ms(11_000);
    wait_for("the whole job", async || {
        let job = api.job("1").await;
        if job["coverage"] == 1.0 {
            return Ok(());
        }
        Err(job["coverage"].to_string())
    })
    .await;
    assert!(rows().await > before);
    assert_eq!(api.seal().await["jobs"], 1);
    assert_eq!(api.job("1").await["coverage"], 1.0);
}

#[tokio::test]
async fn events_in_any_order_give_the_same_record_and_profile() {
    let job = fleet_job(1);
    let section = json!([{"name": "build", "started_at": job.window.from.to_rfc3339(), "finished_at": job.window.to.to_rfc3339()}]);
    let created = TimestampMs(job.window.from.0 - 9_000).to_rfc3339();
    let life = [
        json!({"status": "created", "created_at": created, "name": "old name", "project_id": 4711}),
        json!({"status": "pending", "queued_seconds": 3.5, "runner_id": 1}),
        json!({"status": "running", "runner_id": 42, "machine": "wrong-machine", "started_at": job.window.from.to_rfc3339()}),
        with(
            report(job),
            json!({"sections": section, "runner_tags": ["docker"]}),
        ),
        json!({"status": "success", "failure_reason": "none", "web_url": "https://ci/1"}),
    ];
    let mut records = Vec::new();
    for backwards in [false, true] {
        let world = World::start().await;
        let mut events: Vec<&Value> = life.iter().collect();
        if backwards {
            events.reverse();
        }
        for event in events {
            world.api().report("1", event).await;
        }
        let record = world.api().job_when("1", "archived", "").await;
        records.push((record, world.api().profile("1").await));
    }
    assert_eq!(records[0], records[1]);
    assert_eq!(records[0].0["machine"]["name"], job.machine);
    assert_eq!(records[0].0["status"], "success");
    assert_eq!(records[0].0["name"], "unit");
    assert_eq!(records[0].0["queued_seconds"], 3.5);
}

#[tokio::test]
async fn ids_are_the_same_as_numbers_and_as_strings() {
    let world = World::unregistered().await;
    let api = world.api();
    let ids = |project, pipeline, runner| json!({"project_id": project, "pipeline_id": pipeline, "runner_id": runner});
    let numbers = ids(json!(4711), json!(7), json!(42));
    let texts = ids(json!("4711"), json!("7"), json!("42"));
    assert_eq!(api.report("1", &numbers).await["changed"], true);
    assert_eq!(api.report("1", &texts).await["changed"], false);
    let job = api.job("1").await;
    for (field, value) in texts.as_object().unwrap() {
        assert_eq!(job[field], *value);
    }
    for query in ["project=4711", "runner=42"] {
        assert_eq!(api.ids(&format!("source=gitlab&{query}")).await, ["1"]);
    }
    let huge = json!({"project_id": u64::MAX, "pipeline_id": i64::MIN});
    api.report("2", &huge).await;
    assert_eq!(api.job("2").await["project_id"], "18446744073709551615");
    assert_eq!(api.job("2").await["pipeline_id"], "-9223372036854775808");
}

#[tokio::test]
async fn job_ids_may_hold_any_printable_text() {
    let mut world = World::start().await;
    let ids = [
        ("a/b", "a%2Fb"),
        ("a%2Fb", "a%252Fb"),
        ("..1", "..1"),
        ("a b+c", "a%20b+c"),
        ("?#&=", "%3F%23%26%3D"),
        ("\u{fc}n\u{ef}\u{1f680}", "%C3%BCn%C3%AF%F0%9F%9A%80"),
        ("'\"<script>", "'%22%3Cscript%3E"),
    ];
    let body = report(fleet_job(0));
    for (_, encoded) in ids {
        world.api().report(encoded, &body).await;
    }
    for sealed in [false, true] {
        if sealed {
            world.api().seal().await;
            world.restart().await;
        }
        for (plain, encoded) in ids {
            let job = world.api().job_when(encoded, "archived", "").await;
            assert_eq!(job["job_id"], plain);
            let path = format!("/api/v1/jobs/gitlab/{encoded}/profile?format=csv");
            let csv = world.api().get(&path).await;
            let name = csv.header("content-disposition").to_owned();
            assert!(name.is_ascii() && !name.contains('/'), "{name}");
        }
        let mut listed = world.api().ids("source=gitlab").await;
        let mut all = ids.map(|(plain, _)| plain.to_owned()).to_vec();
        listed.sort();
        all.sort();
        assert_eq!(listed, all);
    }
}

#[tokio::test]
async fn a_renamed_project_is_one_project_and_a_reused_path_is_another() {
    let world = World::unregistered().await;
    let api = world.api();
    let said = async |id: &str, project: &str, project_id: Value| {
        api.report(id, &json!({"project": project, "project_id": project_id}))
            .await;
    };
    said("1", "acme/old", json!(1)).await;
    said("2", "acme/new", json!(1)).await;
    let sorted = async |query: &str| {
        let mut ids = api.ids(&format!("source=gitlab&project={query}")).await;
        ids.sort();
        ids.concat()
    };
    assert_eq!(sorted("1").await, "12");
    assert_eq!(sorted("acme/old").await, "1");
    assert_eq!(sorted("acme/new").await, "2");
    // Somebody else's project takes the path that became free.
    said("3", "acme/old", json!(2)).await;
    assert_eq!(sorted("2").await, "3");
    assert_eq!(sorted("1").await, "12");
    assert_eq!(project_key(&world, "1"), project_key(&world, "2"));
    assert_ne!(project_key(&world, "1"), project_key(&world, "3"));
    // A path without an id is the project that had it last; so is its id when it comes at last.
    said("4", "acme/third", Value::Null).await;
    said("5", "acme/third", json!(3)).await;
    assert_eq!(project_key(&world, "4"), project_key(&world, "5"));
}

/// The project's number in the files.
fn project_key(world: &World, job_id: &str) -> i64 {
    use tachograph::model::scope::Scope;
    let job = tachograph::testkit::jobs::job_ref(job_id);
    let archive = world.service().archive();
    let view = archive.find(&Scope::local_operator(), &job).unwrap();
    view.unwrap().keys.project.0
}
