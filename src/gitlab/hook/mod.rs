//! Job hooks of GitLab: authenticated on raw bytes, then parsed. Called by the route in `http`.
//!
//! GitLab disables a hook that is answered with anything but 2xx, and never delivers again. So the
//! answer to [`Hooks::receive`] is:
//!
//! | result | answer |
//! |---|---|
//! | `Ok(Hook::Job(..))` | accept the event, then 202 |
//! | `Ok(Hook::Unwanted(..))` | 202; nothing else happens |
//! | `Err` of kind `Unauthorized` | 401 |
//!
//! Invariant: no byte of a body is parsed before a secret of the instance vouched for it, and a
//! body never decides which instance it comes from.

mod body;
pub(super) mod signature;
#[cfg(test)]
mod tests;
mod times;

use super::settings::GitlabSettings;
use crate::error::{Error, ErrorKind, Result};
use crate::model::job::JobEvent;
use crate::time::TimestampMs;
use reqwest::header::HeaderMap;
use signature::{Signed, SigningKey};
use std::fmt;

/// What an authenticated hook says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hook {
    /// Something about a job. Its times have whole seconds.
    Job(Box<JobEvent>),
    /// Nothing that is kept.
    Unwanted(Unwanted),
}

/// Why an authenticated hook is not kept. It is no failure: the answer is 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwanted {
    /// Another kind of event (`object_kind`), e.g. `push`.
    Kind(String),
    /// The body is not what GitLab sends by itself, so the hook has a custom template.
    CustomTemplate(&'static str),
    /// A job status that this version does not know.
    Status(String),
}

impl fmt::Display for Unwanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "events of kind {kind:?} are not kept"),
            Self::CustomTemplate(what) => write!(f, "the hook has a custom template: {what}"),
            Self::Status(status) => write!(f, "the job status {status:?} is unknown"),
        }
    }
}

/// The configured instances, as the hook route sees them.
#[derive(Debug, Clone, Default)]
pub struct Hooks {
    instances: Vec<GitlabSettings>,
}

/// How a request proves where it comes from.
enum Proof<'a> {
    Signature(Signed<'a>),
    Token(&'a [u8]),
}

impl Hooks {
    /// Hooks of these instances.
    #[must_use]
    pub fn new(instances: Vec<GitlabSettings>) -> Self {
        Self { instances }
    }

    /// Authenticates and parses a hook. `body` are the bytes as they arrived.
    ///
    /// # Errors
    /// `Unauthorized` (`hook_refused`) if it is not proven that a configured instance sent it; the
    /// message says what to configure.
    pub fn receive(&self, headers: &HeaderMap, body: &[u8], now: TimestampMs) -> Result<Hook> {
        let settings = self.authenticate(headers, body, now)?;
        Ok(body::parse(settings, body))
    }

    /// The instance that provably sent this request.
    ///
    /// # Errors
    /// As [`Hooks::receive`].
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: TimestampMs,
    ) -> Result<&GitlabSettings> {
        let candidates = self.candidates(headers)?;
        let proof = proof(headers, body, now)?;
        let mut proven = candidates.iter().filter(|settings| match proof {
            Proof::Signature(signed) => settings
                .signing_tokens
                .iter()
                .filter_map(SigningKey::parse)
                .any(|key| signed.verifies(&key)),
            Proof::Token(token) => settings.hook_tokens.iter().any(|own| own.matches(token)),
        });
        match (proven.next(), proven.next()) {
            (Some(settings), None) => Ok(settings),
            (Some(one), Some(other)) => Err(refused(format!(
                "the sources {} and {} have the same secret, and X-Gitlab-Instance does not tell them apart; give each its own",
                one.source, other.source
            ))),
            (None, _) => Err(refused(mismatch(&candidates, &proof))),
        }
    }

    /// The instances that may be meant: those at the place that the request names, else all.
    fn candidates(&self, headers: &HeaderMap) -> Result<Vec<&GitlabSettings>> {
        let named = single(headers, "x-gitlab-instance")?
            .map(|value| std::str::from_utf8(value).unwrap_or_default());
        let meant: Vec<&GitlabSettings> = self
            .instances
            .iter()
            .filter(|settings| named.is_none_or(|instance| settings.is_at(instance)))
            .collect();
        if !meant.is_empty() {
            return Ok(meant);
        }
        Err(refused(match named {
            Some(instance) => {
                let shown: String = instance.chars().take(200).collect();
                format!(
                    "X-Gitlab-Instance is {shown:?}, which is no configured GitLab; configure a source with that url"
                )
            }
            None => "no GitLab is configured; configure a source with its url and the secret token of the hook".to_owned(),
        }))
    }
}

/// What the request offers as proof. A signature decides alone: a token beside it counts nothing,
/// or whoever learnt the token could alter a signed body.
fn proof<'a>(headers: &'a HeaderMap, body: &'a [u8], now: TimestampMs) -> Result<Proof<'a>> {
    let id = single(headers, "webhook-id")?;
    let timestamp = single(headers, "webhook-timestamp")?;
    let token = single(headers, "x-gitlab-token")?;
    if let Some(signatures) = single(headers, "webhook-signature")? {
        let signed = Signed {
            id: id.unwrap_or_default(),
            timestamp: timestamp.unwrap_or_default(),
            signatures,
            body,
        };
        return if signed.is_fresh(now) {
            Ok(Proof::Signature(signed))
        } else {
            Err(refused(
                "webhook-timestamp is missing or more than 5 minutes from this machine's time; compare the clocks",
            ))
        };
    }
    token.map(Proof::Token).ok_or_else(|| {
        refused("the request has neither a signature nor a token; give the hook a secret token or a signing token in GitLab")
    })
}

/// The value of a header that may be given once only: of two, a proxy and we might believe different
/// ones.
fn single<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a [u8]>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value.map(|value| value.as_bytes())),
        (_, Some(_)) => Err(refused(format!("the header {name} is given twice"))),
    }
}

fn mismatch(candidates: &[&GitlabSettings], proof: &Proof<'_>) -> String {
    let sources: Vec<&str> = candidates
        .iter()
        .map(|settings| settings.source.as_str())
        .collect();
    let sources = sources.join(", ");
    let (what, key) = match proof {
        Proof::Signature(_) => ("signature", "signing_tokens"),
        Proof::Token(_) => ("token", "hook_tokens"),
    };
    let is_configured = candidates.iter().any(|settings| match proof {
        Proof::Signature(_) => !settings.signing_tokens.is_empty(),
        Proof::Token(_) => !settings.hook_tokens.is_empty(),
    });
    if is_configured {
        format!("the {what} of the request does not fit {key} of source {sources}")
    } else {
        format!(
            "source {sources} has no {key}, so the {what} of the request proves nothing; configure them"
        )
    }
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unauthorized, "hook_refused", message)
}
