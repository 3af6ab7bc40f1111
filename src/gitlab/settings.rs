//! The configured GitLab instances. Filled by `config`; the hook route and the REST client read it.

use super::hook::signature::SigningKey;
use crate::error::{Error, Result};
use crate::model::id::Source;
use crate::secret::Secret;
use reqwest::Url;

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
        let mut problems = Vec::new();
        match Url::parse(&self.url) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => {
                problems.push("url must start with http:// or https:// and name a host".to_owned());
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                problems.push("url must not contain a user or password; use api_token".to_owned());
            }
            Ok(url) if url.query().is_some() || url.fragment().is_some() => {
                problems.push("url must be a plain base address without '?' or '#'".to_owned());
            }
            Ok(_) => {}
            Err(error) => problems.push(format!("url is not a web address: {error}")),
        }
        for (position, token) in self.signing_tokens.iter().enumerate() {
            if SigningKey::parse(token).is_none() {
                problems.push(format!(
                    "signing_tokens[{position}] is not a signing token: whsec_ and base64 of 16 to 128 bytes, as GitLab shows it"
                ));
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::invalid(
            "invalid_gitlab",
            format!("source {}: {}", self.source, problems.join("; ")),
        ))
    }

    /// The base address without a slash at its end.
    #[must_use]
    pub fn base(&self) -> &str {
        self.url.trim_end_matches('/')
    }

    /// Whether `instance` (`X-Gitlab-Instance`) names this one. GitLab leaves out the path of an
    /// instance below one, so scheme, host and port decide.
    pub(super) fn is_at(&self, instance: &str) -> bool {
        let place = |text: &str| {
            let url = Url::parse(text.trim()).ok()?;
            let host = url.host_str()?.to_owned();
            Some((url.scheme().to_owned(), host, url.port_or_known_default()))
        };
        let own = place(&self.url);
        own.is_some() && own == place(instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, signing: &[&str]) -> GitlabSettings {
        GitlabSettings {
            source: Source::parse("gl").unwrap(),
            url: url.to_owned(),
            hook_tokens: Vec::new(),
            signing_tokens: signing.iter().map(|t| Secret::parse(t).unwrap()).collect(),
            api_token: None,
        }
    }

    #[test]
    fn every_problem_is_named_and_no_secret() {
        for (url, part) in [
            ("gitlab.example.com", "not a web address"),
            ("ftp://gitlab.example.com", "http:// or https://"),
            ("https://u:p@gitlab.example.com", "user or password"),
            ("https://gitlab.example.com/?x=1", "plain base address"),
        ] {
            let error = settings(url, &["hunter2"]).validate().unwrap_err();
            assert!(error.message().contains(part), "{error}");
            assert!(error.message().contains("signing_tokens[0]"), "{error}");
            assert!(!error.message().contains("hunter2"), "{error}");
        }
        let good = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        for url in ["http://127.0.0.1:8080", "https://example.com/gitlab/"] {
            settings(url, &[good]).validate().unwrap();
        }
    }

    #[test]
    fn an_instance_is_known_by_scheme_host_and_port() {
        let known = settings("https://GitLab.example.com/sub/", &[]);
        for instance in [
            "https://gitlab.example.com",
            "https://gitlab.example.com:443",
            "https://gitlab.example.com/other",
        ] {
            assert!(known.is_at(instance), "{instance}");
        }
        for instance in [
            "http://gitlab.example.com",
            "https://gitlab.example.com:8443",
            "https://gitlab.example.com.evil.test",
            "https://evil.test/gitlab.example.com",
            "gitlab.example.com",
            "",
        ] {
            assert!(!known.is_at(instance), "{instance}");
        }
        assert!(!settings("nonsense", &[]).is_at("nonsense"));
    }
}
