//! The HTTP side: the shared client with a gate per region, and errors that name the region.

use super::fault;
use super::site::Site;
use crate::error::Error;
use crate::limits;
use crate::model::id::RegionName;
use crate::outbound::{self, Access, Authorization, Outbound, SecretReader, Timeouts};
use crate::source_port::{SourceError, SourceErrorKind};
use reqwest::{Method, StatusCode};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Sends calls to regions.
#[derive(Debug)]
pub(super) struct Client {
    outbound: Outbound,
    /// One gate per region ever called. Regions are registered by an operator, a handful of them, so
    /// the map is never pruned.
    gates: Mutex<BTreeMap<RegionName, Arc<Semaphore>>>,
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
        Ok(Self {
            outbound: Outbound::new(secrets, timeouts)?,
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
        let call = outbound::Call {
            method: call.method,
            url: site.endpoint(call.path),
            headers: call.headers,
            body: call.body,
        };
        let reply = self.outbound.send(&access(site), call).await;
        Ok(Reply {
            site,
            reply: reply.map_err(|fault| fault::local(site, &fault))?,
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
}

/// What the registration adds to every call.
fn access<'a>(site: &Site<'a>) -> Access<'a> {
    let region = site.region;
    let bearer = region.bearer_token_file.as_deref();
    let bearer = bearer.map(|file| Authorization::Bearer {
        field: "bearer_token_file",
        file,
    });
    let basic = region.basic_auth.as_ref().map(|auth| Authorization::Basic {
        username: &auth.username,
        password_file: &auth.password_file,
    });
    Access {
        headers: &region.headers,
        authorization: bearer.or(basic),
        ca_file: region.ca_file.as_deref(),
    }
}

/// The head of an answer; the body is still to come.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    site: &'a Site<'a>,
    reply: outbound::Reply,
    _permit: OwnedSemaphorePermit,
}

impl Reply<'_> {
    /// Whether the server has no such path.
    pub(super) fn is_not_found(&self) -> bool {
        self.reply.status() == StatusCode::NOT_FOUND
    }

    /// The body of a success of media type `media`, of at most `limit` bytes.
    ///
    /// # Errors
    /// As the status says; `Invalid` for another type or a larger body, `Unreachable` if the body
    /// stops half way.
    pub(super) async fn body(self, media: &str, limit: usize) -> Result<Vec<u8>, SourceError> {
        let status = self.reply.status();
        if !status.is_success() {
            let location = self.reply.header("location").map(str::to_owned);
            let words = self.reply.words().await;
            let (kind, what) = fault::status(status, location.as_deref(), &words);
            return Err(self.site.error(kind, what));
        }
        let local = |fault: outbound::Fault| fault::local(self.site, &fault);
        let body = self.reply.body(&[media], limit).map_err(local)?;
        body.whole().await.map_err(local)
    }
}
