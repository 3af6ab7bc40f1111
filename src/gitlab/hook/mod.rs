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

use super::settings::GitlabSettings;
use crate::error::{Error, ErrorKind, Result};
use crate::model::job::JobEvent;
use crate::time::TimestampMs;
use reqwest::header::HeaderMap;
use std::fmt;

/// What an authenticated hook says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hook {
    /// Something about a job.
    Job(Box<JobEvent>),
    /// Nothing that is kept.
    Unwanted(Unwanted),
}

/// Why an authenticated hook is not kept. It is no failure: the answer is 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unwanted {
    /// Another kind of event (`object_kind`), e.g. `push`.
    Kind(String),
    /// The body is not JSON as GitLab sends it, so the hook has a custom template.
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
        let _settings = self.authenticate(headers, body, now)?;
        Ok(Hook::Unwanted(Unwanted::CustomTemplate("filled in next")))
    }

    /// The instance that provably sent this request.
    ///
    /// # Errors
    /// As [`Hooks::receive`].
    pub fn authenticate(
        &self,
        _headers: &HeaderMap,
        _body: &[u8],
        _now: TimestampMs,
    ) -> Result<&GitlabSettings> {
        let refused = Error::new(ErrorKind::Unauthorized, "hook_refused", "filled in next");
        self.instances.first().ok_or(refused)
    }
}
