//! The HTTP side: one connection pool for all regions, credentials, gates, and answers that are
//! counted while they arrive.

use super::site::Site;
use super::{SecretReader, Timeouts, fault};
use crate::error::{Error, ErrorKind};
use crate::limits;
use crate::model::id::RegionName;
use crate::source_port::{SourceError, SourceErrorKind};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Method, Response, StatusCode, redirect};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Headers that shape the connection itself; a registration that sets one would break the framing.
const CONNECTION_HEADERS: [&str; 7] = [
    "connection",
    "content-length",
    "expect",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// An error answer is read this far: enough for the one line that is quoted.
const ERROR_BYTES_MAX: usize = 4 << 10;

/// Sends calls to regions.
pub(super) struct Client {
    http: reqwest::Client,
    secrets: SecretReader,
    timeouts: Timeouts,
    /// One gate per region ever called. Regions are registered by an operator, a handful of them, so
    /// the map is never pruned.
    gates: Mutex<BTreeMap<RegionName, Arc<Semaphore>>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// One request, apart from what the region adds.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) headers: &'static [(&'static str, &'static str)],
    pub(super) body: Vec<u8>,
}

impl Client {
    /// # Errors
    /// `Unavailable` without certificate authorities on this machine.
    pub(super) fn new(secrets: SecretReader, timeouts: Timeouts) -> Result<Self, Error> {
        let http = reqwest::Client::builder()
            .user_agent(concat!("tachograph/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .connect_timeout(timeouts.connect)
            .read_timeout(timeouts.idle)
            .timeout(timeouts.total)
            .pool_max_idle_per_host(limits::FETCHES_PER_REGION)
            .build()
            .map_err(|error| {
                Error::new(
                    ErrorKind::Unavailable,
                    "no_http_client",
                    "cannot set up TLS; install the certificate authorities (package ca-certificates)",
                )
                .with_source(error)
            })?;
        Ok(Self {
            http,
            secrets,
            timeouts,
            gates: Mutex::default(),
        })
    }

    /// Sends a call when the region's gate is free, and waits for the head of the answer. The gate
    /// stays taken until the reply is dropped, since an unread answer holds a slot of the server.
    ///
    /// # Errors
    /// `Refused` if the registration cannot be used, `Unreachable` without an answer.
    pub(super) async fn send<'a>(
        &self,
        site: &'a Site<'a>,
        call: Call,
    ) -> Result<Reply<'a>, SourceError> {
        let gate = self.gate(site.name);
        let permit = gate.acquire_owned().await.map_err(|_| {
            // Nothing closes a gate.
            site.error(SourceErrorKind::Unreachable, "the service is stopping")
        })?;
        let mut headers = self.region_headers(site)?;
        for (name, value) in call.headers {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let timeouts = self.timeouts;
        let response = self
            .http
            .request(call.method, site.endpoint(call.path))
            .headers(headers)
            .body(call.body)
            .send()
            .await
            .map_err(|error| {
                site.error(
                    SourceErrorKind::Unreachable,
                    fault::transport(&error, timeouts),
                )
            })?;
        Ok(Reply {
            site,
            timeouts,
            response,
            _permit: permit,
        })
    }

    fn gate(&self, region: &RegionName) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates
            .entry(region.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(limits::FETCHES_PER_REGION)));
        Arc::clone(gate)
    }

    /// The registered headers and the bearer token, which wins over a registered `Authorization`. All
    /// are marked sensitive: any of them may be a key, and none is needed in a log.
    fn region_headers(&self, site: &Site<'_>) -> Result<HeaderMap, SourceError> {
        let refused = |what: String| site.error(SourceErrorKind::Refused, what);
        let mut headers = HeaderMap::new();
        for (name, value) in &site.region.headers {
            let parsed = HeaderName::from_bytes(name.as_bytes())
                .ok()
                .filter(|name| !CONNECTION_HEADERS.contains(&name.as_str()))
                .zip(HeaderValue::from_str(value).ok());
            let (name, mut value) = parsed.ok_or_else(|| {
                refused(format!(
                    "header {name:?} cannot be sent; remove it from the region"
                ))
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        if let Some(path) = &site.region.bearer_token_file {
            let token = (self.secrets)(Path::new(path)).map_err(|error| {
                refused(format!("cannot read bearer_token_file {path:?}: {error}"))
            })?;
            let value = Some(token.trim()).filter(|token| !token.is_empty());
            let value =
                value.and_then(|token| HeaderValue::try_from(format!("Bearer {token}")).ok());
            let mut value = value.ok_or_else(|| {
                refused(format!(
                    "bearer_token_file {path:?} does not hold one token"
                ))
            })?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }
}

/// The head of an answer; the body is still to come.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    site: &'a Site<'a>,
    timeouts: Timeouts,
    response: Response,
    _permit: OwnedSemaphorePermit,
}

impl Reply<'_> {
    /// Whether the server has no such path.
    pub(super) fn is_not_found(&self) -> bool {
        self.response.status() == StatusCode::NOT_FOUND
    }

    /// The body of a success of media type `media`, of at most `limit` bytes.
    ///
    /// # Errors
    /// As the status says; `Invalid` for another type or a larger body, `Unreachable` if the body
    /// stops half way.
    pub(super) async fn body(mut self, media: &str, limit: usize) -> Result<Vec<u8>, SourceError> {
        if !self.response.status().is_success() {
            return Err(self.refusal().await);
        }
        let header = self.response.headers().get(CONTENT_TYPE);
        let found = header.map_or(&b""[..], HeaderValue::as_bytes);
        let essence = found.split(|b| *b == b';').next().unwrap_or_default();
        if !essence.trim_ascii().eq_ignore_ascii_case(media.as_bytes()) {
            let what = format!(
                "answered {:?} instead of {media}; the region's url must lead to Prometheus, \
                 not to a login page or another service",
                fault::one_line(essence)
            );
            return Err(self.site.error(SourceErrorKind::Invalid, what));
        }
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if body.len() + chunk.len() > limit {
                let what = format!(
                    "the answer is larger than {} MiB; check whether the machine's label matches \
                     more than one machine",
                    limit >> 20
                );
                return Err(self.site.error(SourceErrorKind::Invalid, what));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, SourceError> {
        self.response.chunk().await.map_err(|error| {
            let what = fault::transport(&error, self.timeouts);
            self.site.error(SourceErrorKind::Unreachable, what)
        })
    }

    async fn refusal(mut self) -> SourceError {
        let mut body = Vec::new();
        // The status is the fact; a body that breaks off only shortens the quote.
        while let Ok(Some(chunk)) = self.chunk().await
            && body.len() < ERROR_BYTES_MAX
        {
            body.extend_from_slice(&chunk);
        }
        body.truncate(ERROR_BYTES_MAX);
        let location = self.response.headers().get(LOCATION);
        let (kind, what) = fault::status(
            self.response.status(),
            location.and_then(|location| location.to_str().ok()),
            &fault::one_line(&body),
        );
        self.site.error(kind, what)
    }
}
