//! The configured GitLab instances. Filled by `config`; the hook route and the REST client read it.

use crate::error::{Error, Result};
use crate::model::id::Source;
use crate::secret::Secret;

/// One GitLab instance: a source of jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitlabSettings {
    /// The source under which its jobs stand.
    pub source: Source,
    /// Base address of the instance, e.g. `https://gitlab.example.com` or
    /// `https://example.com/gitlab`: where REST calls go, and the one `X-Gitlab-Instance` (by scheme,
    /// host and port) from which this source's hooks come.
    pub url: String,
    /// Secret tokens of its hooks (`X-Gitlab-Token`); several while one is being replaced.
    pub hook_tokens: Vec<Secret>,
    /// Signing tokens of its hooks (`whsec_...`); several while one is being replaced.
    pub signing_tokens: Vec<Secret>,
    /// Token with scope `read_api` for REST; without it times have whole seconds and nothing is read
    /// from job logs.
    pub api_token: Option<Secret>,
}

impl GitlabSettings {
    /// Checks everything that can be checked without the network.
    ///
    /// # Errors
    /// `Invalid` (`invalid_gitlab`), naming every wrong field at once and never a secret.
    pub fn validate(&self) -> Result<()> {
        Err(Error::invalid("invalid_gitlab", "filled in next"))
    }
}
