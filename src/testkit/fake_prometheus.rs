//! A Prometheus with exactly the series it is given: remote read, retention, and the one query that
//! asks for `up`.
//!
//! The wire format is written out a second time here, as the server sees it, so that a mistake in the
//! adapter's reading cannot hide behind the same mistake in its writing.

use super::scripted::{Answer, Received, Reply, ScriptedServer};
use crate::source_port::{RawSeries, is_stale};
use prost::Message as _;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Clone, PartialEq, prost::Message)]
struct ReadRequest {
    #[prost(message, repeated, tag = "1")]
    queries: Vec<Query>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Query {
    #[prost(int64, tag = "1")]
    start_timestamp_ms: i64,
    #[prost(int64, tag = "2")]
    end_timestamp_ms: i64,
    #[prost(message, repeated, tag = "3")]
    matchers: Vec<Matcher>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Matcher {
    /// 0 is equality, 2 a regular expression.
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ReadResponse {
    #[prost(message, repeated, tag = "1")]
    results: Vec<QueryResult>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct QueryResult {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// The uncompressed `ReadResponse` with these series as the result of one query.
#[must_use]
pub fn read_response(series: &[RawSeries]) -> Vec<u8> {
    let timeseries = series.iter().map(|series| {
        let labels = std::iter::once(("__name__", series.name.as_str()))
            .filter(|(_, name)| !name.is_empty())
            .chain(
                series
                    .labels
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str())),
            )
            .map(|(name, value)| Label {
                name: name.to_owned(),
                value: value.to_owned(),
            });
        let samples = series
            .samples
            .iter()
            .map(|&(timestamp, value)| Sample { value, timestamp });
        TimeSeries {
            labels: labels.collect(),
            samples: samples.collect(),
        }
    });
    let result = QueryResult {
        timeseries: timeseries.collect(),
    };
    ReadResponse {
        results: vec![result],
    }
    .encode_to_vec()
}

/// `bytes` as one raw snappy block.
#[must_use]
pub fn snappy(bytes: &[u8]) -> Vec<u8> {
    // Fails only above 4 GiB.
    snap::raw::Encoder::new()
        .compress_vec(bytes)
        .unwrap_or_default()
}

/// A valid remote-read answer with a body that is already compressed, or not even that.
#[must_use]
pub fn remote_read_reply(body: impl Into<Vec<u8>>) -> Reply {
    Reply::new(200, "application/x-protobuf", body).with_header("content-encoding", "snappy")
}

#[derive(Debug)]
struct Store {
    series: BTreeMap<String, Vec<RawSeries>>,
    retention: String,
    instead: Option<Answer>,
}

/// The fake; a clone of the handle is not needed, all methods take `&self`.
#[derive(Debug)]
pub struct FakePrometheus {
    server: ScriptedServer,
    store: Arc<Mutex<Store>>,
}

fn lock(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FakePrometheus {
    /// An empty server with a retention of 15 days.
    ///
    /// # Errors
    /// If no port can be opened.
    pub async fn start() -> io::Result<Self> {
        let store = Arc::new(Mutex::new(Store {
            series: BTreeMap::new(),
            retention: "15d".to_owned(),
            instead: None,
        }));
        let shared = Arc::clone(&store);
        let server = ScriptedServer::start(move |request| lock(&shared).answer(request)).await?;
        Ok(Self { server, store })
    }

    /// Its base URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The server behind it, to see what was asked.
    #[must_use]
    pub fn server(&self) -> &ScriptedServer {
        &self.server
    }

    /// Sets all series of an instance; a series without the label `instance` gets it.
    pub fn put(&self, instance: &str, mut series: Vec<RawSeries>) {
        for one in &mut series {
            if one.label("instance").is_empty() {
                one.labels
                    .push(("instance".to_owned(), instance.to_owned()));
                one.labels.sort();
            }
        }
        lock(&self.store).series.insert(instance.to_owned(), series);
    }

    /// Forgets an instance, as retention does.
    pub fn remove(&self, instance: &str) {
        lock(&self.store).series.remove(instance);
    }

    /// Sets `storageRetention`, in Prometheus' spelling.
    pub fn set_retention(&self, retention: &str) {
        retention.clone_into(&mut lock(&self.store).retention);
    }

    /// Gives this answer to everything until `None` is set: an outage.
    pub fn answer_instead(&self, answer: Option<Answer>) {
        lock(&self.store).instead = answer;
    }
}

impl Store {
    fn answer(&self, request: &Received) -> Answer {
        if let Some(answer) = &self.instead {
            return answer.clone();
        }
        let reply = match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/api/v1/read") => self.read(&request.body),
            ("GET", "/api/v1/status/runtimeinfo") => Some(success(&format!(
                r#"{{"storageRetention":"{}"}}"#,
                self.retention
            ))),
            ("POST", "/api/v1/query") => self.count_up(&String::from_utf8_lossy(&request.body)),
            _ => Some(Reply::new(404, "text/plain", "404 page not found")),
        };
        let bad = || Reply::new(400, "text/plain", "the fake does not understand this");
        reply.unwrap_or_else(bad).into()
    }

    fn read(&self, body: &[u8]) -> Option<Reply> {
        let plain = snap::raw::Decoder::new().decompress_vec(body).ok()?;
        let request = ReadRequest::decode(plain.as_slice()).ok()?;
        let [query] = request.queries.as_slice() else {
            return None;
        };
        let window = query.start_timestamp_ms..=query.end_timestamp_ms;
        let selected = self.series.values().flatten();
        let selected = selected.filter(|series| query.matchers.iter().all(|m| matches(m, series)));
        let selected: Vec<RawSeries> = selected
            .map(|series| {
                let mut series = series.clone();
                series.samples.retain(|(ts, _)| window.contains(ts));
                series
            })
            .filter(|series| !series.samples.is_empty())
            .collect();
        Some(remote_read_reply(snappy(&read_response(&selected))))
    }

    /// `query=count(count_over_time(up[<n>ms]))&time=<seconds>.<3 digits>`, as a form.
    fn count_up(&self, form: &str) -> Option<Reply> {
        let rest = form.strip_prefix("query=count%28count_over_time%28up%5B")?;
        let (length, time) = rest.split_once("ms%5D%29%29&time=")?;
        let at: i64 = time.replacen('.', "", 1).parse().ok()?;
        let window = at - length.parse::<i64>().ok()?..at;
        let up = self
            .series
            .values()
            .flatten()
            .filter(|series| series.name == "up");
        let inside = |&(ts, value): &(i64, f64)| window.contains(&(ts - 1)) && !is_stale(value);
        let targets = up
            .filter(|series| series.samples.iter().any(inside))
            .count();
        let result = match targets {
            0 => String::new(),
            _ => format!(r#"{{"metric":{{}},"value":[{time},"{targets}"]}}"#),
        };
        Some(success(&format!(
            r#"{{"resultType":"vector","result":[{result}]}}"#
        )))
    }
}

fn success(data: &str) -> Reply {
    let body = format!(r#"{{"status":"success","data":{data}}}"#);
    Reply::new(200, "application/json", body)
}

/// Equality, and alternations of literals, as Prometheus sees them: an absent label is empty.
fn matches(matcher: &Matcher, series: &RawSeries) -> bool {
    let value = match matcher.name.as_str() {
        "__name__" => series.name.as_str(),
        label => series.label(label),
    };
    match matcher.kind {
        0 => value == matcher.value,
        2 => matcher.value.split('|').any(|one| one == value),
        _ => false,
    }
}
