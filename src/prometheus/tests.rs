//! The adapter against servers that misbehave, one by one.

use super::*;
use crate::limits;
use crate::source_port::SourceErrorKind::{self, Invalid, Refused, Unreachable};
use crate::testkit::fake_prometheus::{FakePrometheus, read_response, remote_read_reply, snappy};
use crate::testkit::scripted::{Answer, Reply, ScriptedServer, refusing_url};
use crate::time::TimestampMs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const FROM: i64 = 1_764_000_000_000;
const MINUTE: i64 = 60_000;

/// Patient enough for a loaded machine where an answer is expected to arrive.
const PATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    idle: Duration::from_secs(20),
    total: Duration::from_secs(60),
};
/// For servers that never answer.
const IMPATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(20),
    idle: Duration::from_millis(150),
    total: Duration::from_millis(600),
};

fn source(timeouts: Timeouts) -> PrometheusSource {
    let no_secrets: SecretReader = Box::new(|_| Err(io::ErrorKind::NotFound.into()));
    PrometheusSource::new(no_secrets, timeouts).unwrap()
}

fn region(url: &str, more: serde_json::Value) -> Region {
    let mut fields = serde_json::json!({ "url": url });
    fields
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    serde_json::from_value(fields).unwrap()
}

fn name() -> RegionName {
    RegionName::parse("eu-1").unwrap()
}

fn request(url: &str) -> SeriesRequest {
    SeriesRequest {
        region_name: name(),
        region: region(url, serde_json::json!({})),
        machine: ("instance".to_owned(), "m:9100".to_owned()),
        names: &["node_load1", "up"],
        range: TimeRange::new(TimestampMs(FROM), TimestampMs(FROM + MINUTE)),
    }
}

fn series(name: &str, instance: &str, samples: &[(i64, f64)]) -> RawSeries {
    RawSeries {
        name: name.to_owned(),
        labels: vec![("instance".to_owned(), instance.to_owned())],
        samples: samples.to_vec(),
    }
}

fn good() -> Reply {
    let sent = [series(
        "node_load1",
        "m:9100",
        &[(FROM, 0.5), (FROM + 15_000, 0.75)],
    )];
    remote_read_reply(snappy(&read_response(&sent)))
}

fn checked(error: &SourceError, kind: SourceErrorKind, parts: &[&str]) {
    assert_eq!(error.kind, kind, "{error}");
    for part in ["region eu-1 (127.0.0.1:", "; "].iter().chain(parts) {
        assert!(
            error.message.contains(part),
            "{part:?} is not in {:?}",
            error.message
        );
    }
    assert!(
        !error.message.contains('\n') && error.message.len() < 600,
        "{error:?}"
    );
}

/// Reads from a server that always answers like this; must fail.
async fn fails(
    timeouts: Timeouts,
    answer: impl Into<Answer>,
    kind: SourceErrorKind,
    parts: &[&str],
) {
    let server = ScriptedServer::always(answer).await.unwrap();
    let error = source(timeouts)
        .read(&request(&server.url()))
        .await
        .unwrap_err();
    checked(&error, kind, parts);
    assert_eq!(server.requests().len(), 1, "nothing is retried here");
}

#[tokio::test]
async fn statuses() {
    let text = |status, body: &str| Reply::new(status, "text/plain", body);
    for (reply, kind, parts) in [
        (
            text(429, "slow down"),
            Unreachable,
            ["HTTP 429", "slow down"],
        ),
        (
            text(500, "storage\nstack trace"),
            Unreachable,
            ["HTTP 500", "storage; the server"],
        ),
        (
            text(503, "Service Unavailable"),
            Unreachable,
            ["HTTP 503", "starting"],
        ),
        (
            text(400, "exceeded sample limit (2000)"),
            Refused,
            ["HTTP 400", "sample limit (2000)"],
        ),
        (text(401, ""), Refused, ["HTTP 401", "bearer_token_file"]),
        (
            text(403, "<html>forbidden"),
            Refused,
            ["HTTP 403 Forbidden; ", "headers"],
        ),
        (
            text(404, "404 page not found"),
            Refused,
            ["HTTP 404", "path prefix"],
        ),
        (
            text(422, "expanding series: context deadline exceeded"),
            Unreachable,
            ["HTTP 422", "load"],
        ),
        (text(422, "bad"), Refused, ["HTTP 422", ": bad;"]),
        (
            text(500, &"y".repeat(100_000)),
            Unreachable,
            ["HTTP 500", &"y".repeat(200)],
        ),
    ] {
        fails(PATIENT, reply, kind, &parts).await;
    }
}

#[tokio::test]
async fn answers_that_are_not_what_was_asked_for() {
    let other = remote_read_reply(snappy(&read_response(&[series(
        "node_load1",
        "n:9100",
        &[(FROM, 1.0)],
    )])));
    let many: Vec<_> = (0..=limits::SERIES_MAX)
        .map(|cpu| {
            let mut one = series("node_load1", "m:9100", &[(FROM, 1.0)]);
            one.labels.push(("cpu".to_owned(), cpu.to_string()));
            one
        })
        .collect();
    let many = remote_read_reply(snappy(&read_response(&many)));
    let mut truncated = good();
    truncated.body.truncate(truncated.body.len() / 2);
    let bomb = remote_read_reply(&b"\x80\x80\x80\x80\x28\x00x"[..]);
    let html = Reply::new(
        200,
        "text/html; charset=utf-8",
        "<html>please log in</html>",
    );
    let streamed = Reply::new(200, "application/x-streamed-protobuf; proto=x", "");
    let untyped = Reply {
        status: 200,
        ..Reply::default()
    };
    for (reply, parts) in [
        (html, ["\"text/html\"", "login page"]),
        (streamed, ["x-streamed-protobuf", "metrics server"]),
        (untyped, ["answered \"\"", "metrics server"]),
        (remote_read_reply("this is no snappy"), ["snappy", "proxy"]),
        (
            remote_read_reply(snappy(b"\x0a\xff")),
            ["protobuf", "proxy"],
        ),
        (remote_read_reply(""), ["truncated", "snappy"]),
        (remote_read_reply(snappy(b"")), ["0 results", "Prometheus"]),
        (truncated, ["truncated", "snappy"]),
        (bomb, ["unpacks to more than 64 MiB", "label"]),
        (other, ["another machine", "\"n:9100\""]),
        (many, ["more than 5000 series", "label"]),
    ] {
        fails(PATIENT, reply, Invalid, &parts).await;
    }
}

#[tokio::test]
async fn servers_that_are_not_there_or_go_away() {
    let error = source(PATIENT)
        .read(&request(&refusing_url().await.unwrap()))
        .await
        .unwrap_err();
    checked(&error, Unreachable, &["cannot connect", "refused", "url"]);
    fails(PATIENT, Answer::HangUp, Unreachable, &["connection broke"]).await;
    fails(
        PATIENT,
        Answer::CutShort(good()),
        Unreachable,
        &["connection broke", "proxy"],
    )
    .await;
}

#[tokio::test]
async fn servers_that_do_not_come_to_an_end() {
    fails(
        IMPATIENT,
        Answer::Silence,
        Unreachable,
        &["in time", "150ms"],
    )
    .await;
    let late = Answer::Late(Duration::from_secs(30), good());
    fails(IMPATIENT, late, Unreachable, &["in time"]).await;
    // Never silent, so only the limit of the whole exchange ends it.
    let slow_loris = Answer::Trickle(Duration::from_millis(20), remote_read_reply(""));
    fails(IMPATIENT, slow_loris, Unreachable, &["600ms in total"]).await;
    let flood = Answer::Endless(remote_read_reply(vec![0x55; 1 << 20]));
    fails(PATIENT, flood, Invalid, &["larger than 64 MiB"]).await;
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let target = ScriptedServer::always(good()).await.unwrap();
    for status in [301, 302, 307, 308] {
        let there = format!("{}/api/v1/read?token=secret", target.url());
        let redirect = Reply::new(status, "text/html", "<a>").with_header("location", &there);
        let host = target.url().replace("http://", "here to ");
        fails(PATIENT, redirect, Refused, &["not followed", &host]).await;
    }
    assert_eq!(target.requests(), []);
}

#[tokio::test]
async fn the_request_is_the_documented_one() {
    let server = ScriptedServer::always(good()).await.unwrap();
    let mut request = request(&format!("{}/tenant/7/", server.url()));
    request.region.headers = [("X-Scope-OrgID".to_owned(), "ci|build".to_owned())].into();
    let got = source(PATIENT).read(&request).await.unwrap();
    assert_eq!(
        got,
        [series(
            "node_load1",
            "m:9100",
            &[(FROM, 0.5), (FROM + 15_000, 0.75)]
        )]
    );

    let seen = server.requests().remove(0);
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str()),
        ("POST", "/tenant/7/api/v1/read")
    );
    for (header, value) in [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("accept-encoding", "snappy"),
        ("x-prometheus-remote-read-version", "0.1.0"),
        ("x-scope-orgid", "ci|build"),
        ("authorization", ""),
    ] {
        assert_eq!(seen.header(header), value, "{header}");
    }
    assert!(seen.header("user-agent").starts_with("tachograph/"));
}

#[tokio::test]
async fn nothing_is_sent_for_what_cannot_be_asked() {
    let server = ScriptedServer::always(good()).await.unwrap();
    let source = source(PATIENT);
    let asked = request(&server.url());
    let empty_machine = SeriesRequest {
        machine: ("instance".to_owned(), String::new()),
        ..asked.clone()
    };
    checked(
        &source.read(&empty_machine).await.unwrap_err(),
        Invalid,
        &["no name"],
    );
    let framing = serde_json::json!({ "headers": { "Content-Length": "3" } });
    let framing = SeriesRequest {
        region: region(&server.url(), framing),
        ..asked.clone()
    };
    checked(
        &source.read(&framing).await.unwrap_err(),
        Refused,
        &["\"Content-Length\"", "remove"],
    );
    let no_url = SeriesRequest {
        region: region("http://", serde_json::json!({})),
        ..asked.clone()
    };
    assert_eq!(source.read(&no_url).await.unwrap_err().kind, Refused);
    let no_time = SeriesRequest {
        range: TimeRange::new(asked.range.to, asked.range.from),
        ..asked
    };
    assert_eq!(source.read(&no_time).await, Ok(Vec::new()));
    assert_eq!(server.requests(), []);
}

#[tokio::test]
async fn a_bearer_token_is_read_at_each_use_and_never_shown() {
    let server = ScriptedServer::always(good()).await.unwrap();
    let uses = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&uses);
    let secrets: SecretReader = Box::new(move |path| {
        assert_eq!(path, Path::new("/run/token"));
        match counter.fetch_add(1, Ordering::SeqCst) {
            0 => Ok("first\n".to_owned()),
            1 => Ok("second".to_owned()),
            2 => Ok(" \n".to_owned()),
            3 => Ok("two\nlines".to_owned()),
            _ => Err(io::ErrorKind::PermissionDenied.into()),
        }
    });
    let source = PrometheusSource::new(secrets, PATIENT).unwrap();
    let with_token = serde_json::json!({ "bearer_token_file": "/run/token" });
    let request = SeriesRequest {
        region: region(&server.url(), with_token),
        ..request("")
    };
    source.read(&request).await.unwrap();
    source.read(&request).await.unwrap();
    for part in ["one token", "one token", "permission denied"] {
        let error = source.read(&request).await.unwrap_err();
        assert_eq!(error.kind, Refused);
        assert!(
            error.message.contains(part) && !error.message.contains("two"),
            "{error}"
        );
    }
    let sent: Vec<_> = server
        .requests()
        .iter()
        .map(|r| r.header("authorization").to_owned())
        .collect();
    assert_eq!(sent, ["Bearer first", "Bearer second"]);
}

#[tokio::test]
async fn a_region_is_never_asked_by_more_than_its_gate_and_never_waits_for_another() {
    let slow = ScriptedServer::always(Answer::Late(Duration::from_millis(60), good()))
        .await
        .unwrap();
    let source = source(PATIENT);
    let asked = request(&slow.url());
    let reads = futures::future::join_all((0..8).map(|_| source.read(&asked))).await;
    assert!(reads.iter().all(Result::is_ok));
    assert_eq!(slow.peak(), limits::FETCHES_PER_REGION);

    // A region that hangs with both its slots taken does not hold up the next one.
    let stuck = ScriptedServer::always(Answer::Silence).await.unwrap();
    let healthy = ScriptedServer::always(good()).await.unwrap();
    let asked = request(&stuck.url());
    let other = SeriesRequest {
        region_name: RegionName::parse("us-1").unwrap(),
        ..request(&healthy.url())
    };
    tokio::select! {
        _ = futures::future::join_all((0..4).map(|_| source.read(&asked))) => panic!("it hangs"),
        got = source.read(&other) => assert!(got.is_ok()),
    }
    // Giving up a read frees its slot at once.
    let again = request(&slow.url());
    assert!(source.read(&again).await.is_ok());
}

#[tokio::test]
async fn the_fake_filters_like_a_server() {
    let fake = FakePrometheus::start().await.unwrap();
    let mine = series(
        "node_load1",
        "m:9100",
        &[(FROM, 1.0), (FROM + 2 * MINUTE, 2.0)],
    );
    let unasked = series("node_load5", "m:9100", &[(FROM, 1.0)]);
    let foreign = RawSeries {
        labels: Vec::new(),
        ..series("up", "", &[(FROM + 1, 1.0)])
    };
    fake.put("m:9100", vec![mine, unasked]);
    fake.put("n:9100", vec![foreign]);
    let source = source(PATIENT);
    let asked = request(&fake.url());
    let got = source.read(&asked).await.unwrap();
    assert_eq!(got, [series("node_load1", "m:9100", &[(FROM, 1.0)])]);

    let scraped = |from, to| source_range(&source, &asked.region, from, to);
    assert_eq!(scraped(FROM, FROM + MINUTE).await, Ok(true));
    assert_eq!(scraped(FROM + 1, FROM + 2).await, Ok(true));
    assert_eq!(scraped(FROM + 2, FROM + MINUTE).await, Ok(false));
    assert_eq!(scraped(FROM, FROM + 1).await, Ok(false));
    assert_eq!(scraped(FROM, FROM).await, Ok(false));

    fake.remove("m:9100");
    assert_eq!(source.read(&asked).await, Ok(Vec::new()));
    fake.answer_instead(Some(Reply::new(503, "text/plain", "down").into()));
    assert_eq!(source.read(&asked).await.unwrap_err().kind, Unreachable);
}

async fn source_range(
    source: &PrometheusSource,
    region: &Region,
    from: i64,
    to: i64,
) -> Result<bool, SourceError> {
    let range = TimeRange::new(TimestampMs(from), TimestampMs(to));
    source.scraped_anything(&name(), region, range).await
}

#[tokio::test]
async fn retention_is_read_where_a_server_tells_it() {
    let fake = FakePrometheus::start().await.unwrap();
    let region_of = |url: &str| region(url, serde_json::json!({}));
    let source = source(PATIENT);
    let at_fake = region_of(&fake.url());
    assert_eq!(
        source.retention_ms(&name(), &at_fake).await,
        Ok(Some(15 * 86_400_000))
    );
    fake.set_retention("30d or 50GiB");
    assert_eq!(
        source.retention_ms(&name(), &at_fake).await,
        Ok(Some(30 * 86_400_000))
    );

    let json = |body: &str| Reply::new(200, "application/json", body);
    for (reply, expected) in [
        (
            Reply::new(404, "text/plain", "404 page not found"),
            Ok(None),
        ),
        (json(r#"{"status":"success","data":{}}"#), Ok(None)),
        (
            json(r#"{"status":"error","data":{"storageRetention":"1d"}}"#),
            Err(Invalid),
        ),
        (
            json(r#"{"status":"success","data":{"storageRetention":15}}"#),
            Err(Invalid),
        ),
        (json(&"[".repeat(100_000)), Err(Invalid)),
        (
            json(&" ".repeat(limits::SMALL_ANSWER_BYTES_MAX + 1)),
            Err(Invalid),
        ),
        (Reply::new(200, "text/html", "<html>"), Err(Invalid)),
        (Reply::new(401, "text/plain", ""), Err(Refused)),
        (Reply::new(502, "text/html", "<html>"), Err(Unreachable)),
    ] {
        let server = ScriptedServer::always(reply.clone()).await.unwrap();
        let got = source
            .retention_ms(&name(), &region_of(&server.url()))
            .await;
        assert_eq!(got.map_err(|error| error.kind), expected, "{reply:?}");
    }
}
