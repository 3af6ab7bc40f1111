//! Machine, sections and exact times from GitLab's REST interface.

use super::{Ci, sections};
use crate::support::{fleet_job, wait_for, with};
use serde_json::{Value, json};
use tachograph::components::gitlab::{Delivery, HookSpelling, Trouble};

const ACCEPTED: Delivery = Delivery::Answered(202);
const SECTIONS: [&str; 4] = [
    "prepare_executor",
    "prepare_script",
    "step_script",
    "unit_tests",
];

async fn deliver(ci: &Ci, hooks: &[Value]) {
    let sender = ci.sender();
    for hook in hooks {
        assert_eq!(sender.deliver_job(hook).await, ACCEPTED);
    }
}

#[tokio::test]
async fn a_job_is_archived_from_its_hooks_and_its_log_with_two_calls() {
    let ci = Ci::start().await;
    let job = fleet_job(0);
    for (id, spelling) in [(1, HookSpelling::Recent), (2, HookSpelling::OldLocalTime)] {
        let hooks = ci.live(id, job, spelling);
        ci.write_log(id, job);
        deliver(&ci, &hooks).await;
        let found = ci.api().job_when(&id.to_string(), "archived", "").await;
        assert_eq!(found["machine"]["name"], job.machine, "{spelling:?}");
        assert_eq!(found["executor"], "docker+machine");
        assert_eq!(sections(&found), SECTIONS);
        assert_eq!(
            found["started_at_ms"], job.window.from.0,
            "not cut to seconds"
        );
        assert_eq!(found["finished_at_ms"], job.window.to.0);
        assert_eq!(found["project"], "acme/archive");
        assert_eq!(found["verdict"], "complete");
        let unit_tests = &found["sections"][3]["summary"];
        assert!(unit_tests["cpu_used_seconds"]["total"].as_f64().unwrap() > 0.0);
    }
    let calls = ci.gitlab.calls();
    println!("REST calls for 2 jobs on the log route: {calls:#?}");
    assert_eq!(calls.len(), 4);
    let of_the_log = calls.iter().filter(|call| call.ends_with("/trace"));
    assert_eq!(of_the_log.count(), 2);
}

#[tokio::test]
async fn a_job_that_says_its_machine_and_sections_needs_no_call() {
    let ci = Ci::start().await;
    let job = fleet_job(0);
    let hooks = ci.live(1, job, HookSpelling::Recent);
    let own = json!({ "machine": job.machine, "sections": [] });
    ci.api().report("1", &own).await;
    deliver(&ci, &hooks).await;
    let found = ci.api().job_when("1", "archived", "").await;
    assert_eq!(found["machine"]["name"], job.machine);
    let calls = ci.gitlab.calls();
    println!(
        "REST calls for a job with machine and sections: {}",
        calls.len()
    );
    assert!(calls.is_empty(), "{calls:?}");
}

#[tokio::test]
async fn a_reported_machine_wins_over_the_log() {
    let ci = Ci::start().await;
    let (job, other) = (fleet_job(0), fleet_job(1));
    let hooks = ci.live(1, job, HookSpelling::Recent);
    ci.write_log(1, other);
    ci.api()
        .report("1", &json!({ "machine": job.machine }))
        .await;
    deliver(&ci, &hooks).await;
    let found = ci.api().job_when("1", "archived", "").await;
    assert_eq!(found["machine"]["name"], job.machine);
}

#[tokio::test]
async fn a_log_that_still_grows_is_read_again_after_three_minutes() {
    let ci = Ci::start().await;
    let job = fleet_job(0);
    ci.clock.set(job.window.to.plus_ms(45_000));
    let hooks = ci.live(1, job, HookSpelling::Recent);
    let (growing, end) = Ci::log_of(job);
    ci.gitlab.append_log(1, &growing);
    deliver(&ci, &hooks).await;
    let early = ci.api().job_when("1", "archived", "").await;
    assert_eq!(early["machine"]["name"], job.machine);
    assert!(sections(&early).is_empty(), "the log may not be all of it");
    assert_eq!(ci.gitlab.calls().len(), 2);
    ci.gitlab.append_log(1, &end);
    ci.clock.set(job.window.to.plus_ms(181_000));
    let late = sections_come(&ci, "1").await;
    assert_eq!(sections(&late), SECTIONS);
    assert_eq!(ci.gitlab.calls().len(), 4);
}

/// The job once it has sections.
async fn sections_come(ci: &Ci, id: &str) -> Value {
    wait_for("the sections", async || {
        let job = ci.api().job(id).await;
        if sections(&job).is_empty() {
            return Err(format!("{} calls", ci.gitlab.calls().len()));
        }
        Ok(job)
    })
    .await
}

#[tokio::test]
async fn sections_that_come_after_the_seal_have_the_usage_of_those_in_time() {
    let ci = Ci::start().await;
    let job = fleet_job(0);
    let hooks = [1, 2].map(|id| {
        let hooks = ci.live(id, job, HookSpelling::Recent);
        ci.write_log(id, job);
        hooks
    });
    deliver(&ci, &hooks[0]).await;
    let in_time = ci.api().job_when("1", "archived", "").await;

    ci.gitlab.misbehave(Some(Trouble::Status(502)));
    ci.clock.advance_ms(1);
    ci.api()
        .report("2", &json!({ "machine": job.machine }))
        .await;
    deliver(&ci, &hooks[1]).await;
    let without = ci.api().job_when("2", "archived", "").await;
    assert!(sections(&without).is_empty());
    assert_eq!(ci.api().seal().await["jobs"], 2);

    ci.gitlab.misbehave(None);
    let calls = ci.gitlab.calls().len();
    ci.clock.advance_ms(11_000);
    let late = sections_come(&ci, "2").await;
    assert_eq!(late["sections"], in_time["sections"]);
    assert_eq!(ci.gitlab.calls().len(), calls + 2, "times and log, once");
    // Nothing is open any more: the queue is empty and stays so.
    ci.clock.advance_ms(86_400_000);
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    assert_eq!(ci.gitlab.calls().len(), calls + 2);
    // GitLab sends the same once more, cut to seconds: the sealed record does not change.
    deliver(&ci, &hooks[1]).await;
    assert_eq!(ci.api().job("2").await, late);
}

#[tokio::test]
async fn a_lost_last_hook_is_made_good_by_asking() {
    let ci = Ci::start().await;
    let job = fleet_job(0);
    ci.clock.set(job.window.from.plus_ms(2_000));
    let hooks = ci.live(1, job, HookSpelling::Recent);
    ci.write_log(1, job);
    deliver(&ci, &hooks[..3]).await;
    ci.api().job_when("1", "live", "").await;
    assert!(ci.gitlab.calls().is_empty());
    ci.clock.set(job.window.to.plus_ms(20 * 60_000));
    let found = ci.api().job_when("1", "archived", "").await;
    assert_eq!(found["status"], "success");
    assert_eq!(found["machine"]["name"], job.machine);
    assert_eq!(found["finished_at_ms"], job.window.to.0);
    println!(
        "REST calls of a job whose last hook was lost: {:#?}",
        ci.gitlab.calls()
    );
    assert_eq!(ci.gitlab.calls().len(), 3);
}

#[tokio::test]
async fn a_job_whose_log_names_no_machine_waits_without_asking_again() {
    let ci = Ci::start().await;
    let job = fleet_job(0);
    let hooks = ci.live(1, job, HookSpelling::Recent);
    ci.gitlab.append_log(1, b"erased\n");
    deliver(&ci, &hooks).await;
    ci.api()
        .job_when("1", "pending", "waiting_for_machine")
        .await;
    assert_eq!(ci.gitlab.calls().len(), 2);
    ci.clock.advance_ms(7_200_000);
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    assert_eq!(ci.gitlab.calls().len(), 2);
    let machine = with(json!({}), json!({ "machine": job.machine }));
    ci.api().report("1", &machine).await;
    ci.api().job_when("1", "archived", "").await;
}
