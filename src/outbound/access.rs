//! What a registration adds to every call: headers, credentials, an authority. Read at each use.

use super::{Fault, SecretReader};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeMap;
use std::path::Path;

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

/// How a server is reached, as somebody registered it.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// Extra headers, e.g. a tenant.
    pub headers: &'a BTreeMap<String, String>,
    /// Credentials; they win over a registered `Authorization`.
    pub authorization: Option<Authorization<'a>>,
    /// PEM file with authorities to trust besides those of this machine.
    pub ca_file: Option<&'a str>,
}

/// Credentials, by the file that holds the secret.
#[derive(Debug, Clone, Copy)]
pub enum Authorization<'a> {
    /// `Authorization: Bearer <token>`.
    Bearer {
        /// The field that names the file, for messages.
        field: &'static str,
        /// The file.
        file: &'a str,
    },
    /// `Authorization: Basic ...`.
    Basic {
        /// The user's name, without `:`.
        username: &'a str,
        /// The file with the password.
        password_file: &'a str,
    },
}

impl Access<'_> {
    /// The headers to send. All are marked sensitive: any of them may be a key, and none is needed in
    /// a log.
    pub(super) fn headers(&self, secrets: &SecretReader) -> Result<HeaderMap, Fault> {
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let parsed = HeaderName::from_bytes(name.as_bytes())
                .ok()
                .filter(|name| !CONNECTION_HEADERS.contains(&name.as_str()))
                .zip(HeaderValue::from_str(value).ok());
            let (name, mut value) = parsed.ok_or_else(|| {
                Fault::Setup(format!(
                    "header {name:?} cannot be sent; remove it from the registration"
                ))
            })?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        if let Some(authorization) = self.authorization {
            let mut value = authorization.value(secrets)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(headers)
    }
}

impl Authorization<'_> {
    fn value(self, secrets: &SecretReader) -> Result<HeaderValue, Fault> {
        let (kind, field, file) = match self {
            Self::Bearer { field, file } => ("token", field, file),
            Self::Basic { password_file, .. } => ("password", "password_file", password_file),
        };
        let text = secrets(Path::new(file))
            .map_err(|error| Fault::Setup(format!("cannot read {field} {file:?}: {error}")))?;
        let secret = Some(text.trim()).filter(|text| !text.is_empty() && !text.contains('\n'));
        let value = secret.map(|secret| match self {
            Self::Bearer { .. } => format!("Bearer {secret}"),
            Self::Basic { username, .. } => {
                format!("Basic {}", STANDARD.encode(format!("{username}:{secret}")))
            }
        });
        value
            .and_then(|value| HeaderValue::try_from(value).ok())
            .ok_or_else(|| Fault::Setup(format!("{field} {file:?} does not hold one {kind}")))
    }
}
