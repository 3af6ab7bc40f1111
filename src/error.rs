//! The one error type of the library's boundary.
//!
//! Every adapter may keep a rich private error; what crosses a module border is [`Error`]: a coarse
//! kind (a kind exists only if some caller acts differently on it), a message that says what
//! happened, where, and what to do, and the source. `Display` prints the message alone; the chain is
//! printed once, at the edge, by [`Error::chain`].

use std::fmt;

/// Result of everything that can fail at the library's boundary.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller does about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request or the configuration is wrong; the message names the field. Do not retry.
    Invalid,
    /// The caller is not who it must be. Do not retry with the same credentials.
    Unauthorized,
    /// There is no such thing, or the caller may not see it.
    NotFound,
    /// The same thing was said differently before.
    Conflict,
    /// A limit of [`crate::limits`] was reached. Retry later.
    Overloaded,
    /// Prometheus or the CI failed or timed out. Retry later.
    Upstream,
    /// Disk full, store poisoned, starting or stopping. Retry later.
    Unavailable,
    /// Stored bytes are not what was written. The rest is still served.
    Data,
    /// A bug.
    Internal,
}

impl ErrorKind {
    /// Whether the same call may succeed later without being changed.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Overloaded | Self::Upstream | Self::Unavailable)
    }
}

/// A failure: kind, stable code, message, source.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    code: &'static str,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` with a stable snake_case `code` and a message for people.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
            source: None,
        }
    }

    /// Shorthand for [`ErrorKind::Invalid`].
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, code, message)
    }

    /// Shorthand for [`ErrorKind::NotFound`].
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, code, message)
    }

    /// Shorthand for [`ErrorKind::Data`]: stored bytes cannot be believed.
    pub fn data(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, code, message)
    }

    /// Shorthand for [`ErrorKind::Internal`]: a bug.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, "internal", message)
    }

    /// Attaches the cause. Its text is not repeated in the message.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same failure in other words.
    #[must_use]
    pub fn reworded(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// The coarse kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The stable, documented code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The message alone, as `Display` prints it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The message and every cause, each once, joined by `: `.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let part = error.to_string();
            if !text.ends_with(&part) {
                text.push_str(": ");
                text.push_str(&part);
            }
            cause = error.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_prints_every_cause_once() {
        let inner = Error::new(ErrorKind::Upstream, "refused", "connection refused");
        let outer = Error::new(ErrorKind::Upstream, "fetch", "region eu-1 did not answer")
            .with_source(inner);
        assert_eq!(outer.to_string(), "region eu-1 did not answer");
        assert_eq!(
            outer.chain(),
            "region eu-1 did not answer: connection refused"
        );
    }
}
