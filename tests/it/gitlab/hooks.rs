//! Hooks: who may send them, what is kept, and what any number and order of them makes.

use super::{Ci, SIGNING, TOKEN, sections};
use crate::support::fleet_job;
use fastrand::Rng;
use serde_json::{Value, json};
use tachograph::components::gitlab::{Delivery, HookSpelling};
use tachograph::num::len_u64;

const ACCEPTED: Delivery = Delivery::Answered(202);
/// Jobs and deliveries of each: a thousand in all.
const JOBS: u64 = 25;
const DELIVERIES: usize = 40;

/// A job's record without what is its own: its id, and the others on the machine.
fn comparable(mut record: Value) -> Value {
    let all = record.as_object_mut().unwrap();
    for own in ["job_id", "web_url", "co_tenants"] {
        assert!(all.remove(own).is_some(), "{own}");
    }
    record
}

#[tokio::test]
async fn a_thousand_redeliveries_in_any_order_make_one_job_with_the_same_record() {
    let ci = Ci::start().await;
    let job = fleet_job(0);
    let sender = ci.sender();
    let mut random = Rng::with_seed(7);
    let mut deliveries = 0;
    for id in 0..=JOBS {
        let life = ci.live(id + 1, job, HookSpelling::Recent);
        ci.write_log(id + 1, job);
        // The first job's hooks come as they should; all others in any order, each at least once.
        let mut order: Vec<usize> = (0..life.len()).collect();
        if id > 0 {
            order.extend((life.len()..DELIVERIES).map(|_| random.usize(..life.len())));
            random.shuffle(&mut order);
        }
        for event in order {
            assert_eq!(sender.deliver_job(&life[event]).await, ACCEPTED);
            deliveries += 1;
        }
    }
    assert!(deliveries >= 1_000);
    let expected = ci.api().job_when("1", "archived", "").await;
    assert!(!sections(&expected).is_empty());
    let expected = comparable(expected);
    for id in 2..=JOBS + 1 {
        let found = ci.api().job_when(&id.to_string(), "archived", "").await;
        assert_eq!(comparable(found), expected, "job {id}");
    }
    let jobs = ci.api().ids("limit=500").await;
    assert_eq!(len_u64(jobs.len()), JOBS + 1, "one job each");
    // Again, after the seal.
    ci.api().seal().await;
    for id in [2, 9] {
        let before = ci.api().job(&id.to_string()).await;
        for hook in ci.live(id, job, HookSpelling::Recent) {
            assert_eq!(sender.deliver_job(&hook).await, ACCEPTED);
        }
        assert_eq!(ci.api().job(&id.to_string()).await, before);
    }
    let calls = len_u64(ci.gitlab.calls().len());
    println!(
        "{deliveries} deliveries, {} jobs, {calls} REST calls",
        jobs.len()
    );
    assert!(calls <= 2 * (JOBS + 1), "{calls} calls");
}

#[tokio::test]
async fn only_a_configured_instance_with_its_secret_is_believed() {
    let ci = Ci::start().await;
    let life = ci.live(1, fleet_job(0), HookSpelling::Recent);
    let refused = Delivery::Answered(401);
    let wrong_key = "whsec_BBECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let senders = [
        ci.anonymous(),
        ci.anonymous().with_secret_token("hook-secre"),
        ci.anonymous().with_signing_token(wrong_key),
        // A signature that does not verify is not made good by a token.
        ci.sender().with_signing_token(wrong_key),
    ];
    for sender in &senders {
        assert_eq!(sender.deliver_job(&life[3]).await, refused, "{sender:?}");
    }
    assert!(ci.api().ids("").await.is_empty());
    let signed = ci.anonymous().with_signing_token(SIGNING);
    assert_eq!(signed.deliver_job(&life[3]).await, ACCEPTED);
    assert_eq!(ci.api().ids("").await, ["1"]);
}

#[tokio::test]
async fn what_is_not_wanted_is_accepted_so_that_the_hook_stays_enabled() {
    let ci = Ci::start().await;
    let sender = ci.sender();
    let mut no_such_status = ci.live(1, fleet_job(0), HookSpelling::Recent)[0].clone();
    no_such_status["build_status"] = json!("exploded");
    for (event, body) in [
        (
            "Push Hook",
            json!({ "object_kind": "push", "ref": "refs/heads/main" }),
        ),
        ("Pipeline Hook", json!({ "object_kind": "pipeline" })),
        ("Job Hook", json!({ "text": "a custom template" })),
        ("Job Hook", no_such_status),
        ("System Hook", json!({ "event_name": "project_create" })),
    ] {
        assert_eq!(sender.deliver(event, &body).await, ACCEPTED, "{body}");
    }
    assert!(ci.api().ids("").await.is_empty());
}

#[tokio::test]
async fn times_that_contradict_each_other_change_nothing_and_disable_nothing() {
    let ci = Ci::start().await;
    let sender = ci.sender();
    let life = ci.live(1, fleet_job(0), HookSpelling::Recent);
    assert_eq!(sender.deliver_job(&life[2]).await, ACCEPTED);
    let before = ci.api().job("1").await;
    let mut backwards = life[3].clone();
    for field in ["build_finished_at", "build_finished_at_iso"] {
        backwards[field] = json!("2001-09-09T01:46:40Z");
    }
    assert_eq!(sender.deliver_job(&backwards).await, ACCEPTED);
    assert_eq!(ci.api().job("1").await, before);
}

#[tokio::test]
async fn a_body_may_be_as_large_as_gitlab_sends_and_no_larger() {
    let ci = Ci::start().await;
    let sender = ci.sender();
    let mut hook = ci.live(1, fleet_job(0), HookSpelling::Recent)[3].clone();
    hook["commit"]["message"] = json!("x".repeat(3 << 20));
    assert_eq!(sender.deliver_job(&hook).await, ACCEPTED);
    assert_eq!(ci.api().ids("").await, ["1"]);
    hook["commit"]["message"] = json!("x".repeat(26 << 20));
    assert_eq!(sender.deliver_job(&hook).await, Delivery::Answered(413));
    let token = [("x-gitlab-token", TOKEN)];
    let body = vec![b' '; (25 << 20) + 1];
    let answer = ci
        .api()
        .send(reqwest::Method::POST, "/hooks/gitlab", &token, body);
    answer.await.problem(413, "body_too_large", &[]);
}
