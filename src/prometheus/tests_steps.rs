//! Every step of the ladder against servers that misbehave, and what leads from one to the next.

use super::tests::{FROM, IMPATIENT, MINUTE, PATIENT, checked, request, series, source};
use super::*;
use crate::limits;
use crate::source_port::SourceErrorKind::{self, Invalid, Refused, Unreachable};
use crate::testkit::fake_prometheus::{read_response, remote_read_reply, snappy};
use crate::testkit::scripted::{Answer, Received, Reply, ScriptedServer};
use crate::testkit::streamed::{self, xor_chunk as encode};
use crate::time::{TimeRange, TimestampMs};
use prost::Message as _;
use std::time::Duration;

const STREAMED: &str = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
const LINES: &str = "application/stream+json; charset=utf-8";
/// Long enough for chunks: 200 samples of each series.
const LONG: i64 = 50 * MINUTE;

/// A way to ask, and how a server that has only this way is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Samples,
    Chunks,
    Export,
    Selector,
}

const WAYS: [Way; 4] = [Way::Samples, Way::Chunks, Way::Export, Way::Selector];

impl Way {
    /// The answer with these samples of `node_load1`.
    fn reply(self, instance: &str, samples: &[(i64, f64)]) -> Reply {
        match self {
            Self::Samples => {
                let sent = [series("node_load1", instance, samples)];
                remote_read_reply(snappy(&read_response(&sent)))
            }
            Self::Chunks => Reply::new(200, STREAMED, frame(1, instance, encode(samples))),
            Self::Export => {
                let list = |texts: Vec<String>| texts.join(",");
                let values = list(samples.iter().map(|(_, value)| value.to_string()).collect());
                let times = list(samples.iter().map(|(ts, _)| ts.to_string()).collect());
                let body = format!(
                    "{{\"metric\":{{\"__name__\":\"node_load1\",\"instance\":\"{instance}\"}},\
                     \"values\":[{values}],\"timestamps\":[{times}]}}\n"
                );
                Reply::new(200, LINES, body)
            }
            Self::Selector => {
                let points: Vec<_> = samples
                    .iter()
                    .map(|(ts, value)| format!("[{},\"{value}\"]", select::seconds(*ts)))
                    .collect();
                let body = format!(
                    "{{\"status\":\"success\",\"data\":{{\"resultType\":\"matrix\",\"result\":[{{\
                     \"metric\":{{\"__name__\":\"node_load1\",\"instance\":\"{instance}\"}},\
                     \"values\":[{}]}}]}}}}",
                    points.join(",")
                );
                Reply::new(200, "application/json", body)
            }
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Samples | Self::Chunks => "/api/v1/read",
            Self::Export => "/api/v1/export",
            Self::Selector => "/api/v1/query",
        }
    }

    /// The request that makes this way the one that is asked, once the others are not there.
    fn request(self, url: &str) -> SeriesRequest {
        let mut request = request(url);
        if self == Self::Chunks {
            request.range = TimeRange::new(TimestampMs(FROM), TimestampMs(FROM + LONG));
        }
        if self == Self::Export {
            request.region.kind = crate::model::runner::RegionKind::Victoriametrics;
        }
        request
    }
}

fn frame(kind: i32, instance: &str, data: Vec<u8>) -> Vec<u8> {
    streamed::frame(&streamed::message(
        &series("node_load1", instance, &[]),
        &[(kind, data)],
    ))
}

/// A server that has only `way`.
async fn only(way: Way, answer: impl Into<Answer>) -> ScriptedServer {
    let answer = answer.into();
    let server = ScriptedServer::start(move |request| {
        if request.path == way.path() {
            answer.clone()
        } else {
            Reply::new(404, "text/plain", "404 page not found").into()
        }
    });
    server.await.unwrap()
}

fn paths(server: &ScriptedServer) -> Vec<String> {
    server
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect()
}

#[tokio::test]
async fn every_way_gives_the_same_series() {
    let samples = [(FROM, 0.5), (FROM + 15_000, 0.75), (FROM + 30_000, 1e-7)];
    let outside = (FROM + 2 * LONG, 9.0);
    for way in WAYS {
        let server = only(
            way,
            way.reply("m:9100", &[&samples[..], &[outside]].concat()),
        )
        .await;
        let got = source(PATIENT).read(&way.request(&server.url())).await;
        assert_eq!(
            got,
            Ok(vec![series("node_load1", "m:9100", &samples)]),
            "{way:?}"
        );
    }
}

#[tokio::test]
async fn hostile_answers_are_refused_by_every_way() {
    for way in WAYS {
        let good = way.reply("m:9100", &[(FROM, 0.5), (FROM + 15_000, 0.75)]);
        let with = |body: Vec<u8>| Reply {
            body,
            ..good.clone()
        };
        let html = Reply::new(
            200,
            "text/html; charset=utf-8",
            "<html>please log in</html>",
        );
        let mut truncated = good.clone();
        truncated.body.truncate(good.body.len() / 2);
        let flood = Answer::Endless(with(vec![b' '; 1 << 20]));
        let there =
            Reply::new(302, "text/html", "<a>").with_header("location", "https://x/?secret");
        let cases: Vec<(Answer, SourceErrorKind)> = vec![
            (html.into(), Invalid),
            (truncated.into(), Invalid),
            (with(vec![0xff; 100]).into(), Invalid),
            (with(b"\x00\x01not this\n".to_vec()).into(), Invalid),
            (
                Reply::new(200, "application/octet-stream", good.body.clone()).into(),
                Invalid,
            ),
            (way.reply("n:9100", &[(FROM, 1.0)]).into(), Invalid),
            (way.reply("", &[(FROM, 1.0)]).into(), Invalid),
            (flood, Invalid),
            (there.into(), Refused),
            (Reply::new(401, "text/plain", "who?").into(), Refused),
            (Reply::new(503, "text/html", "<html>").into(), Unreachable),
            (Answer::CutShort(good.clone()), Unreachable),
            (Answer::HangUp, Unreachable),
        ];
        for (answer, kind) in cases {
            let mut case = format!("{way:?} {answer:?}");
            case.truncate(200);
            let server = only(way, answer).await;
            let error = source(PATIENT)
                .read(&way.request(&server.url()))
                .await
                .unwrap_err();
            assert_eq!(error.kind, kind, "{case}: {error}");
            checked(&error, kind, &[]);
            assert!(!error.message.contains("secret"), "{error}");
            let asked = paths(&server);
            assert_eq!(asked.last().map(String::as_str), Some(way.path()), "{case}");
            assert_eq!(
                asked.iter().filter(|path| *path == way.path()).count(),
                1,
                "{case}"
            );
        }
        for answer in [
            Answer::Silence,
            Answer::Trickle(Duration::from_millis(20), with(Vec::new())),
        ] {
            let server = only(way, answer).await;
            let error = source(IMPATIENT)
                .read(&way.request(&server.url()))
                .await
                .unwrap_err();
            checked(&error, Unreachable, &["in time"]);
        }
    }
}

#[tokio::test]
async fn an_empty_answer_is_no_samples_in_every_way() {
    for (way, reply) in [
        (Way::Samples, remote_read_reply(snappy(&read_response(&[])))),
        (Way::Chunks, Reply::new(200, STREAMED, "")),
        (Way::Export, Reply::new(200, LINES, "")),
        (
            Way::Selector,
            Reply::new(
                200,
                "application/json",
                r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
            ),
        ),
    ] {
        let server = only(way, reply).await;
        let got = source(PATIENT).read(&way.request(&server.url())).await;
        assert_eq!(got, Ok(Vec::new()), "{way:?}");
    }
}

#[tokio::test]
async fn what_says_that_a_protocol_is_not_there_leads_to_the_next() {
    let unsupported = "remoteAddr: \"h:1\"; unsupported path requested: \"/api/v1/read\"";
    for (status, said) in [
        (400, unsupported),
        (
            400,
            "server does not support any of the requested response types",
        ),
        (404, "<html>"),
        (405, ""),
        (415, ""),
        (501, "not implemented"),
    ] {
        let good = Way::Export.reply("m:9100", &[(FROM, 0.5)]);
        let server = ScriptedServer::start(move |request| match request.path.as_str() {
            "/api/v1/export" => good.clone().into(),
            _ => Reply::new(status, "text/plain", said).into(),
        });
        let server = server.await.unwrap();
        let source = source(PATIENT);
        for _ in 0..2 {
            assert!(
                source.read(&request(&server.url())).await.is_ok(),
                "{status} {said}"
            );
        }
        assert_eq!(
            paths(&server),
            ["/api/v1/read", "/api/v1/export", "/api/v1/export"]
        );
    }
}

#[tokio::test]
async fn the_forms_are_the_documented_ones() {
    let server = only(Way::Selector, Way::Selector.reply("m:9100", &[])).await;
    let asked = SeriesRequest {
        machine: ("instance".to_owned(), "a\"}&b".to_owned()),
        ..request(&server.url())
    };
    assert_eq!(
        source(PATIENT).read(&asked).await.unwrap_err().kind,
        Invalid
    );
    let requests = server.requests();
    let body = |request: &Received| String::from_utf8(request.body.clone()).unwrap();
    let selector = "%7B__name__%3D~%22node_load1%7Cup%22%2Cinstance%3D%22a%5C%22%7D%26b%22%7D";
    assert_eq!(
        body(&requests[1]),
        format!("match%5B%5D={selector}&start=1764000000.000&end=1764000059.999")
    );
    assert_eq!(
        body(&requests[2]),
        format!(
            "query={selector}%5B61000ms%5D&time=1764000059.999&dedup=true&partial_response=false"
        )
    );
    for request in &requests[1..] {
        assert_eq!(request.method, "POST");
        assert_eq!(
            request.header("content-type"),
            "application/x-www-form-urlencoded"
        );
        assert_eq!(request.header("accept-encoding"), "identity");
    }
}

#[tokio::test]
async fn a_part_of_an_answer_is_no_answer() {
    for extra in [
        "\"warnings\":[\"store x: unavailable\"]",
        "\"isPartial\":true",
    ] {
        let mut reply = Way::Selector.reply("m:9100", &[(FROM, 1.0)]);
        let body = String::from_utf8(reply.body).unwrap();
        reply.body = body.replacen('{', &format!("{{{extra},"), 1).into_bytes();
        let server = only(Way::Selector, reply).await;
        let error = source(PATIENT)
            .read(&request(&server.url()))
            .await
            .unwrap_err();
        checked(&error, Unreachable, &["only a part"]);
    }
}

/// What a remote-read request accepts: the last two bytes of the message.
fn accepted(request: &Received) -> Vec<u8> {
    let plain = snap::raw::Decoder::new()
        .decompress_vec(&request.body)
        .unwrap();
    let at = plain.iter().rposition(|byte| *byte == 0x12).unwrap();
    plain[at + 2..].to_vec()
}

#[tokio::test]
async fn chunks_are_asked_for_long_windows_and_only_while_they_are_understood() {
    let samples = [(FROM, 0.5), (FROM + 15_000, 0.75)];
    let server = ScriptedServer::start(move |request| {
        if accepted(request) == [1, 0] {
            Reply::new(200, STREAMED, frame(4, "m:9100", vec![0; 9])).into()
        } else {
            Way::Samples.reply("m:9100", &samples).into()
        }
    });
    let server = server.await.unwrap();
    let source = source(PATIENT);
    let long = Way::Chunks.request(&server.url());
    for _ in 0..2 {
        let got = source.read(&long).await;
        assert_eq!(got, Ok(vec![series("node_load1", "m:9100", &samples)]));
    }
    assert!(source.read(&request(&server.url())).await.is_ok());
    // Once in vain, then never again.
    let asked: Vec<_> = server.requests().iter().map(accepted).collect();
    assert_eq!(asked, [vec![1, 0], vec![0], vec![0], vec![0]]);

    // The registered interval decides what is long; a server may answer the other form.
    let mut fast = SeriesRequest {
        range: request("").range,
        ..long.clone()
    };
    fast.region.scrape_interval_seconds = Some(0.5);
    let server = only(Way::Samples, Way::Samples.reply("m:9100", &samples)).await;
    fast.region.url = server.url();
    assert!(source.read(&fast).await.is_ok());
    assert_eq!(accepted(&server.requests()[0]), [1, 0]);
    // Chunks that were not asked for are refused.
    let server = only(Way::Chunks, Way::Chunks.reply("m:9100", &samples)).await;
    let error = source.read(&request(&server.url())).await.unwrap_err();
    checked(&error, Invalid, &["x-streamed-protobuf"]);
}

/// A server with samples every 15 s that answers at most `limit_ms` at once.
async fn limited(
    limit_ms: i64,
    status: u16,
    said: &'static str,
) -> (ScriptedServer, Vec<(i64, f64)>) {
    let samples: Vec<_> = (0..240)
        .map(|at| (FROM + 15_000 * at, crate::num::to_f64(at)))
        .collect();
    let all = samples.clone();
    let server = ScriptedServer::start(move |request| {
        let plain = snap::raw::Decoder::new()
            .decompress_vec(&request.body)
            .unwrap();
        let query = wire::ReadRequest::decode(plain.as_slice())
            .unwrap()
            .queries
            .remove(0);
        let window = query.start_timestamp_ms..=query.end_timestamp_ms;
        if window.end() - window.start() >= limit_ms {
            return Reply::new(status, "text/plain", said).into();
        }
        let inside: Vec<_> = all
            .iter()
            .copied()
            .filter(|(ts, _)| window.contains(ts))
            .collect();
        Way::Samples.reply("m:9100", &inside).into()
    });
    (server.await.unwrap(), samples)
}

#[tokio::test]
async fn what_is_too_much_is_halved_and_joined_exactly() {
    let long = |url: &str| SeriesRequest {
        range: TimeRange::new(TimestampMs(FROM), TimestampMs(FROM + 60 * MINUTE)),
        ..request(url)
    };
    for (status, said) in [
        (400, "exceeded sample limit (2000)"),
        (
            422,
            "query processing would load too many samples into memory in query execution",
        ),
    ] {
        let (server, samples) = limited(10 * MINUTE, status, said).await;
        let got = source(PATIENT).read(&long(&server.url())).await;
        assert_eq!(got, Ok(vec![series("node_load1", "m:9100", &samples)]));
        // 60, 30 and 15 minutes are refused: 1 + 2 + 4 times; 8 parts of 7.5 minutes are not.
        assert_eq!(server.requests().len(), 15);
    }
    // It ends: at parts of a minute, or after five halvings.
    let (server, _) = limited(1, 400, "exceeded sample limit (2000)").await;
    let error = source(PATIENT)
        .read(&long(&server.url()))
        .await
        .unwrap_err();
    checked(
        &error,
        Refused,
        &["sample limit (2000)", "even a part", "raise"],
    );
    assert_eq!(server.requests().len(), 6);
    let short = SeriesRequest {
        range: TimeRange::new(TimestampMs(FROM), TimestampMs(FROM + 2 * MINUTE)),
        ..long(&server.url())
    };
    assert!(source(PATIENT).read(&short).await.is_err());
    assert_eq!(server.requests().len(), 6 + 2);
}

#[tokio::test]
async fn parts_are_bounded_together() {
    // Every part is as many series as there may be, each time others.
    let server = ScriptedServer::start(|request| {
        let plain = snap::raw::Decoder::new()
            .decompress_vec(&request.body)
            .unwrap();
        let query = wire::ReadRequest::decode(plain.as_slice())
            .unwrap()
            .queries
            .remove(0);
        let from = query.start_timestamp_ms;
        if query.end_timestamp_ms - from >= 2 * MINUTE {
            return Reply::new(400, "text/plain", "exceeded sample limit (1)").into();
        }
        let sent: Vec<_> = (0..limits::SERIES_MAX)
            .map(|cpu| {
                let mut one = series("node_load1", "m:9100", &[(from, 1.0)]);
                one.labels.push(("cpu".to_owned(), format!("{from}-{cpu}")));
                one
            })
            .collect();
        remote_read_reply(snappy(&read_response(&sent))).into()
    });
    let server = server.await.unwrap();
    let asked = SeriesRequest {
        range: TimeRange::new(TimestampMs(FROM), TimestampMs(FROM + 4 * MINUTE)),
        ..request(&server.url())
    };
    let error = source(PATIENT).read(&asked).await.unwrap_err();
    checked(&error, Invalid, &["more than 5000 series"]);
}
