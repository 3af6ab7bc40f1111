//! The JSON of Prometheus' query API: its envelope, and forms as request bodies.

use super::client::{Call, Client};
use super::fault::Denial;
use super::site::Site;
use crate::outbound;
use crate::source_port::SourceErrorKind;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Compressing an answer costs the server more than everything else it does for it.
const HEADERS: [(&str, &str); 3] = [
    ("accept", "application/json"),
    ("accept-encoding", "identity"),
    ("content-type", "application/x-www-form-urlencoded"),
];
/// VictoriaMetrics answers a range selector as the second.
const MEDIA: [&str; 2] = ["application/json", "application/stream+json"];

/// Fields that are not known are passed over; depth and size are bounded.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<T> {
    status: String,
    pub(super) data: T,
    /// Said with a success when a part of the servers behind it did not answer (Thanos).
    #[serde(default)]
    warnings: Vec<String>,
    /// The same in VictoriaMetrics' cluster.
    #[serde(default, rename = "isPartial")]
    is_partial: bool,
}

/// A call without parameters.
pub(super) fn get(path: &'static str) -> Call {
    Call {
        method: Method::GET,
        path,
        headers: &HEADERS,
        body: Vec::new(),
    }
}

/// A call with parameters: always a form, since the text may be longer than an address may be.
pub(super) fn form(path: &'static str, parameters: &[(&str, &str)]) -> Call {
    Call {
        method: Method::POST,
        path,
        headers: &HEADERS,
        body: outbound::form(parameters).into_bytes(),
    }
}

/// What is inside the envelope of an answer of at most `limit` bytes.
///
/// # Errors
/// As the status says; `Invalid` for anything that is no such envelope, `Unreachable` for a part of an
/// answer.
pub(super) async fn data<T: DeserializeOwned>(
    client: &Client,
    site: &Site<'_>,
    call: Call,
    limit: usize,
) -> Result<T, Denial> {
    let reply = client.send(site, call).await?;
    let body = reply.body(&MEDIA, limit).await?.whole().await?;
    let envelope = serde_json::from_slice::<Envelope<T>>(&body).ok();
    let Some(envelope) = envelope.filter(|envelope| envelope.status == "success") else {
        let what = "the answer is not what Prometheus' API says; the region's url must lead to a \
                    Prometheus or a server with its API";
        return Err(site.error(SourceErrorKind::Invalid, what).into());
    };
    if let Some(warning) = envelope.partial() {
        let what = format!(
            "the answer is only a part of what there is ({}); look at the servers behind it",
            outbound::one_line(warning.as_bytes())
        );
        return Err(site.error(SourceErrorKind::Unreachable, what).into());
    }
    Ok(envelope.data)
}

impl<T> Envelope<T> {
    fn partial(&self) -> Option<&str> {
        let warning = self.warnings.first().map(String::as_str);
        warning.or(self.is_partial.then_some("isPartial"))
    }
}
