//! A GitLab that does not answer, or not as it should: what users see, and that it heals.

use super::Ci;
use crate::support::fleet_job;
use std::time::Duration;
use tachograph::components::gitlab::{Delivery, HookSpelling, Trouble};

/// Longer than any pause after a first failure.
const LATER_MS: u32 = 100_000;

#[tokio::test]
async fn a_gitlab_in_trouble_delays_a_job_and_says_why() {
    let elsewhere = "https://login.example/?secret=1".to_owned();
    for (trouble, words) in [
        (Trouble::Status(500), "answered 500"),
        (Trouble::Status(401), "refused the token (401)"),
        (Trouble::Status(403), "forbids this (403)"),
        (Trouble::Status(404), "does not show the job (404)"),
        (Trouble::Status(429), "rate limit"),
        (Trouble::Html, "text/html"),
        (Trouble::Garbage, "no job of GitLab's"),
        (Trouble::Truncated, "broke before the answer was complete"),
        (Trouble::Redirect(elsewhere), "login.example"),
        (
            Trouble::Slow(Duration::from_secs(3)),
            "no complete answer in time",
        ),
    ] {
        let ci = Ci::start().await;
        let job = fleet_job(0);
        let life = ci.live(1, job, HookSpelling::Recent);
        ci.write_log(1, job);
        ci.gitlab.misbehave(Some(trouble.clone()));
        let delivered = ci.sender().deliver_job(&life[3]).await;
        assert_eq!(delivered, Delivery::Answered(202), "{trouble:?}");
        let waits = ci.api().job_when("1", "pending", "waiting_for_log").await;
        let detail = waits["reason_text"].as_str().unwrap_or_default();
        assert!(detail.contains(words), "{trouble:?}: {waits}");
        assert!(detail.contains("GitLab of source gitlab"), "{detail}");
        assert!(!detail.contains("secret"), "{detail}");
        assert!(!detail.contains(ci.gitlab.token()), "{detail}");
        ci.gitlab.misbehave(None);
        ci.clock.advance_ms(LATER_MS);
        let found = ci.api().job_when("1", "archived", "").await;
        assert_eq!(found["machine"]["name"], job.machine);
    }
}

#[tokio::test]
async fn a_used_up_rate_limit_is_left_alone_until_it_ends() {
    let ci = Ci::start().await;
    let job = fleet_job(0);
    ci.gitlab.limit_requests(1);
    let life = ci.live(1, job, HookSpelling::Recent);
    ci.write_log(1, job);
    ci.sender().deliver_job(&life[3]).await;
    let waits = ci.api().job_when("1", "pending", "waiting_for_log").await;
    let calls = ci.gitlab.calls();
    assert_eq!(
        calls.len(),
        1,
        "the answer said that nothing remains: {calls:?}"
    );
    // A further job asks nothing while the limit holds.
    let life = ci.live(2, job, HookSpelling::Recent);
    ci.write_log(2, job);
    ci.sender().deliver_job(&life[3]).await;
    ci.api().job_when("2", "pending", "waiting_for_log").await;
    ci.clock.advance_ms(30_000);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(ci.gitlab.calls().len(), 1, "{waits}");
    ci.gitlab.limit_requests(1_000);
    ci.clock.advance_ms(LATER_MS);
    ci.api().job_when("1", "archived", "").await;
    ci.api().job_when("2", "archived", "").await;
    let calls = ci.gitlab.calls().len();
    println!("REST calls of 2 jobs with a rate limit in between: {calls}");
    assert!(calls <= 5, "{calls}");
}
