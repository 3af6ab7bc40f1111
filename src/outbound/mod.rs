//! Calls to servers that other people run: one guarded HTTP client for every adapter.
//!
//! Called by `prometheus` and the CI adapters, each of which adds its own words and decides what a
//! failure means. What it guarantees to them:
//!
//! - A call goes where it was addressed and nowhere else: no redirects, no proxies from the
//!   environment, so that credentials are sent only to hosts that an operator named.
//! - No server makes it wait longer than its [`Timeouts`], and no answer is larger than the limit
//!   that the caller gives for it; it is counted while it arrives.
//! - Credentials and extra authorities are read at each use, so that a rotated one needs no restart,
//!   and never shown. What a server says is quoted as one harmless line at most ([`one_line`]).
//!
//! Nothing is retried here: whoever calls owns time.

mod access;
mod reply;
mod words;

#[cfg(test)]
mod tests;

pub use access::{Access, Authorization};
pub use reply::{Body, Reply};
pub use words::{Fault, host_of, one_line, redirect};

use crate::error::{Error, ErrorKind};
use crate::limits;
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Certificate, Client, ClientBuilder, Method, redirect as policy};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Reads a small local file with a secret or a certificate. Given by the composition root, since file
/// I/O is not this module's business; called at each use.
pub type SecretReader = Box<dyn Fn(&Path) -> io::Result<String> + Send + Sync>;

/// How long a server may take. The default is what production uses; tests are less patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Duration,
    /// Silence before or within an answer.
    pub idle: Duration,
    /// The whole exchange, from connecting to the last byte.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: limits::CONNECT_TIMEOUT,
            idle: limits::READ_IDLE_TIMEOUT,
            total: limits::FETCH_TIMEOUT,
        }
    }
}

/// Chooses the cryptography of TLS for this process: *ring*. Harmless if something was chosen
/// before, so that every user of TLS may call it.
///
/// reqwest is built without a default of its own, which would drag in a second one (aws-lc, a large
/// C library); without this call it panics when a client is built.
pub fn install_tls() {
    // An error means that a provider is installed already, which is all that is wanted.
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
}

/// One request, apart from what its [`Access`] adds.
#[derive(Debug)]
pub struct Call {
    /// `GET`, `POST`.
    pub method: Method,
    /// The whole address.
    pub url: String,
    /// Headers that belong to the request's form; they win over those of the access.
    pub headers: &'static [(&'static str, &'static str)],
    /// Empty for `GET`.
    pub body: Vec<u8>,
}

/// Sends calls.
pub struct Outbound {
    /// Trusts the authorities of this machine.
    plain: Client,
    /// These trust one more: by the text of the certificates.
    with_ca: Mutex<BTreeMap<String, Client>>,
    secrets: SecretReader,
    timeouts: Timeouts,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound")
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

impl Outbound {
    /// A client without any open connection.
    ///
    /// # Errors
    /// `Unavailable` if the machine has no certificate authorities to verify servers with.
    pub fn new(secrets: SecretReader, timeouts: Timeouts) -> Result<Self, Error> {
        install_tls();
        let plain = builder(timeouts).build().map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                "no_http_client",
                "cannot set up TLS; install the certificate authorities (package ca-certificates)",
            )
            .with_source(error)
        })?;
        Ok(Self {
            plain,
            with_ca: Mutex::default(),
            secrets,
            timeouts,
        })
    }

    /// Sends a call and waits for the head of the answer, whatever its status.
    ///
    /// # Errors
    /// [`Fault::Setup`] if the access cannot be used, [`Fault::Transport`] without an answer.
    pub async fn send(&self, access: &Access<'_>, call: Call) -> Result<Reply, Fault> {
        let mut headers = access.headers(&self.secrets)?;
        for (name, value) in call.headers {
            headers.insert(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let response = self
            .client(access)?
            .request(call.method, call.url)
            .headers(headers)
            .body(call.body)
            .send()
            .await
            .map_err(|error| Fault::transport(&error, self.timeouts))?;
        Ok(Reply::new(response, self.timeouts))
    }

    /// One client, and so one pool of connections, per distinct set of authorities.
    fn client(&self, access: &Access<'_>) -> Result<Client, Fault> {
        let Some(path) = access.ca_file else {
            return Ok(self.plain.clone());
        };
        let pem = (self.secrets)(Path::new(path))
            .map_err(|error| Fault::Setup(format!("cannot read ca_file {path:?}: {error}")))?;
        let mut clients = self.with_ca.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&pem) {
            return Ok(client.clone());
        }
        let certificates = Certificate::from_pem_bundle(pem.as_bytes()).ok();
        let client = certificates
            .filter(|found| !found.is_empty())
            .and_then(|found| builder(self.timeouts).tls_certs_merge(found).build().ok())
            .ok_or_else(|| {
                Fault::Setup(format!("ca_file {path:?} does not hold PEM certificates"))
            })?;
        if clients.len() >= limits::OUTBOUND_CLIENTS_MAX {
            // Only rotated files get here; those still in use are built again.
            clients.clear();
        }
        clients.insert(pem, client.clone());
        Ok(client)
    }
}

fn builder(timeouts: Timeouts) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("tachograph/", env!("CARGO_PKG_VERSION")))
        .redirect(policy::Policy::none())
        .no_proxy()
        .connect_timeout(timeouts.connect)
        .read_timeout(timeouts.idle)
        .timeout(timeouts.total)
        .pool_max_idle_per_host(limits::FETCHES_PER_REGION)
}
