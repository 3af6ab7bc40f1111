//! Prometheus servers that are down, slow, refuse or talk nonsense: the job waits with the reason and
//! is archived once they behave.

use crate::support::{World, fleet_job, load_fleet, report, with};
use serde_json::{Value, json};
use std::time::Duration;
use tachograph::testkit::fake_prometheus::{FakePrometheus, remote_read_reply};
use tachograph::testkit::scripted::{Answer, Reply, refusing_url};

/// The first delay after a failure is 10 s, up to a tenth more by the job's number.
const RETRY_MS: u32 = 11_000;

struct Outage {
    name: &'static str,
    answer: Option<Answer>,
    reason: &'static str,
    /// What the message must say.
    parts: &'static [&'static str],
}

fn outage(
    name: &'static str,
    answer: impl Into<Answer>,
    reason: &'static str,
    parts: &'static [&'static str],
) -> Outage {
    Outage {
        name,
        answer: Some(answer.into()),
        reason,
        parts,
    }
}

const DOWN: &str = "upstream_unreachable";
const REFUSED: &str = "upstream_refused";
const INVALID: &str = "upstream_invalid";

fn outages() -> Vec<Outage> {
    let text = |status, body: &str| Reply::new(status, "text/plain", body);
    let html = Reply::new(
        200,
        "text/html; charset=utf-8",
        "<html><body>Sign in</body></html>",
    );
    let bytes = |len: usize| remote_read_reply(vec![0x55; len]);
    let slow = Answer::Late(Duration::from_secs(60), text(200, ""));
    let trickle = Answer::Trickle(Duration::from_millis(100), bytes(1));
    vec![
        Outage {
            name: "refused",
            answer: None,
            reason: DOWN,
            parts: &["cannot connect", "check that the server runs"],
        },
        outage("slow", slow, DOWN, &["no complete answer in time"]),
        outage(
            "silent",
            Answer::Silence,
            DOWN,
            &["no complete answer in time"],
        ),
        outage("trickle", trickle, DOWN, &["no complete answer in time"]),
        outage("hang-up", Answer::HangUp, DOWN, &["connection broke"]),
        outage(
            "401",
            text(401, "who are you?"),
            REFUSED,
            &["401", "bearer_token_file"],
        ),
        outage("404", text(404, "404 page not found"), REFUSED, &["404"]),
        outage(
            "422",
            text(422, "bad matcher"),
            REFUSED,
            &["422", "bad matcher"],
        ),
        outage(
            "redirect",
            text(302, "").with_header("location", "/login"),
            REFUSED,
            &["302", "redirects (here to another path)"],
        ),
        outage("429", text(429, "slow down"), DOWN, &["429", "slow down"]),
        outage(
            "500",
            text(500, "oops\nsecond line"),
            DOWN,
            &["500", "oops"],
        ),
        outage("503", text(503, "Service Unavailable"), DOWN, &["503"]),
        outage("html", html, INVALID, &["text/html", "login page"]),
        outage(
            "truncated",
            Answer::CutShort(bytes(1_000)),
            DOWN,
            &["connection broke"],
        ),
        outage("garbage", bytes(1_000), INVALID, &[]),
        outage("empty", remote_read_reply(Vec::new()), INVALID, &[]),
        outage(
            "endless",
            Answer::Endless(bytes(1 << 20)),
            INVALID,
            &["larger than 64 MiB"],
        ),
    ]
}

#[tokio::test]
async fn a_job_waits_out_every_kind_of_outage() {
    let world = World::start().await;
    let mut running = Vec::new();
    for (number, outage) in outages().into_iter().enumerate() {
        let prometheus = FakePrometheus::start().await.unwrap();
        load_fleet(&prometheus);
        let url = match &outage.answer {
            Some(_) => prometheus.url(),
            None => refusing_url().await.unwrap(),
        };
        prometheus.answer_instead(outage.answer.clone());
        let runner = json!({"region": outage.name});
        let api = world.api();
        api.put(
            &format!("/api/v1/regions/{}", outage.name),
            &json!({ "url": url }),
        )
        .await
        .empty();
        api.put(&format!("/api/v1/runners/gitlab/{number}"), &runner)
            .await
            .empty();
        let body = with(report(fleet_job(0)), json!({"runner_id": number}));
        api.report(outage.name, &body).await;
        running.push((outage, prometheus));
    }
    for (outage, _) in &running {
        let job = world
            .api()
            .job_when(outage.name, "pending", outage.reason)
            .await;
        let text = job["reason_text"].as_str().unwrap();
        for part in ["Last failure:", outage.name].iter().chain(outage.parts) {
            assert!(
                text.contains(part),
                "{}: {part} is missing in {text}",
                outage.name
            );
        }
        assert!(!text.contains('\n') && text.len() < 600, "{text}");
        assert!(
            !text.contains("second line") && !text.contains("Sign in"),
            "{text}"
        );
        assert_eq!(job["verdict"], Value::Null);
        assert_eq!(world.api().profile(outage.name).await["ts_ms"], json!([]));
    }
    // A service that waits for others is well itself.
    assert_eq!(world.api().get("/readyz").await.status, 200);

    for (outage, prometheus) in &running {
        prometheus.answer_instead(None);
        if outage.answer.is_none() {
            let path = format!("/api/v1/regions/{}", outage.name);
            world
                .api()
                .put(&path, &json!({"url": prometheus.url()}))
                .await
                .empty();
        }
    }
    world.clock.advance_ms(RETRY_MS);
    let usual = world.archive("usual", &report(fleet_job(0))).await;
    for (outage, _) in &running {
        let job = world.api().job_when(outage.name, "archived", "").await;
        for field in ["verdict", "coverage", "summary", "sample_count", "gaps"] {
            assert_eq!(job[field], usual[field], "{}: {field}", outage.name);
        }
        assert_eq!(job["reason_text"], Value::Null, "{}", outage.name);
    }
}

#[tokio::test]
async fn failures_are_retried_with_growing_pauses_and_given_up_with_the_retention() {
    let world = World::start().await;
    let api = world.api();
    world
        .prometheus
        .answer_instead(Some(Reply::new(503, "text/plain", "starting").into()));
    let region = json!({"url": world.prometheus.url(), "retention_seconds": 7_200.0});
    api.put("/api/v1/regions/eu-1", &region).await.empty();
    let job = fleet_job(0);
    world.clock.set(job.window.to.plus_ms(42_500));
    api.report("1", &report(job)).await;
    api.job_when("1", "pending", DOWN).await;
    assert_eq!(world.reads(), 1);
    for (pause, reads) in [
        (9_000, 1),
        (2_000, 2),
        (29_000, 2),
        (4_000, 3),
        (80_000, 3),
        (19_000, 4),
    ] {
        world.clock.advance_ms(pause);
        // Two looks of the pipeline at the clock.
        tokio::time::sleep(Duration::from_millis(2_200)).await;
        assert_eq!(world.reads(), reads, "after {pause} ms more");
        assert_eq!(api.job("1").await["reason"], DOWN);
    }
    world.clock.set(job.window.from.plus_ms(3_600_000));
    let given_up = api.job_when("1", "unavailable", "upstream_failed").await;
    assert_eq!(given_up["verdict"], "past_retention");
    assert_eq!(world.reads(), 5);
}
