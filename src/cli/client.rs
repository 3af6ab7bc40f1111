//! A small client of the service, for the other commands.

use crate::error::{Error, ErrorKind, Result};
use reqwest::{Method, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;

/// Patience with a service on the same machine or network.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client of one service.
#[derive(Debug)]
pub(super) struct Client {
    base: String,
    http: reqwest::Client,
}

impl Client {
    /// A client of the service at `base`.
    pub(super) fn new(base: &str) -> Result<Self> {
        crate::outbound::install_tls();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .build();
        let http = http.map_err(|error| Error::internal("HTTP client").with_source(error))?;
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            http,
        })
    }

    /// Path of a job below `/api/v1`, or of its page; every part percent-encoded.
    pub(super) fn job_path(prefix: &str, source: &str, job_id: &str, rest: &str) -> String {
        format!("{prefix}/jobs/{}/{}{rest}", encode(source), encode(job_id))
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let response = self.send(Method::GET, path, None).await?;
        let answer = response.json().await;
        answer.map_err(|error| self.unusable(path, error))
    }

    /// The body of an answer as it is.
    pub(super) async fn bytes(&self, path: &str) -> Result<Vec<u8>> {
        let response = self.send(Method::GET, path, None).await?;
        let answer = response.bytes().await;
        answer
            .map(Vec::from)
            .map_err(|error| self.unusable(path, error))
    }

    /// The body of the answer to a query, which carries its id.
    pub(super) async fn query(&self, id: &str, body: &Value) -> Result<Vec<u8>> {
        let path = "/api/v1/sql";
        let request = self
            .http
            .post(format!("{}{path}", self.base))
            .header("x-query-id", id)
            .json(body);
        let response = self.answered(request).await?;
        let answer = response.bytes().await;
        answer
            .map(Vec::from)
            .map_err(|error| self.unusable(path, error))
    }

    fn unusable(&self, path: &str, error: reqwest::Error) -> Error {
        let message = format!("{}{path} gave an answer that is not ours", self.base);
        Error::new(ErrorKind::Upstream, "service_answer", message).with_source(error)
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<()> {
        self.send(Method::PUT, path, Some(body)).await.map(drop)
    }

    pub(super) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        let response = self.send(Method::POST, path, Some(body)).await?;
        let answer = response.json().await;
        answer.map_err(|error| self.unusable(path, error))
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Response> {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        self.answered(request).await
    }

    /// The answer to a request, if it is a good one.
    async fn answered(&self, request: reqwest::RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| {
            let message = format!(
                "no answer from {}; is the service running there? (--server URL)",
                self.base
            );
            Error::new(ErrorKind::Upstream, "service_unreachable", message).with_source(error)
        })?;
        if response.status().is_success() {
            return Ok(response);
        }
        let kind = match response.status().as_u16() {
            404 => ErrorKind::NotFound,
            400..=499 => ErrorKind::Invalid,
            _ => ErrorKind::Upstream,
        };
        let status = response.status();
        let problem: Value = response.json().await.unwrap_or_default();
        let detail = problem
            .get("detail")
            .and_then(Value::as_str)
            .unwrap_or("no explanation");
        Err(Error::new(
            kind,
            "service_refused",
            format!("{status}: {detail}"),
        ))
    }
}

/// Percent-encodes everything but unreserved characters.
fn encode(part: &str) -> String {
    part.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
