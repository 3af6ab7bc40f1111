//! Secrets: text that is compared and sent, and never shown.
//!
//! Filled by `config` from files, used by the adapters. A secret has no `Display`, is not
//! serialisable, and its `Debug` says nothing, so it cannot end up in a log or an answer by accident.

use crate::error::{Error, Result};
use ring::hmac;
use std::fmt;

/// A token, password or key.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Longest secret that makes sense: some times a GitLab token (26 to about 300 characters) or a JWT.
const SECRET_BYTES_MAX: usize = 16 << 10;

impl Secret {
    /// Takes the text of a secret as it stands in a file: white space around it is not part of it.
    ///
    /// # Errors
    /// `Invalid` (`invalid_secret`) if nothing is left, if it is too long, or if it holds a control
    /// character, which no header can carry. The message never quotes the text.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let problem = if text.is_empty() {
            Some("is empty")
        } else if text.len() > SECRET_BYTES_MAX {
            Some("is longer than 16 KiB")
        } else if text.chars().any(char::is_control) {
            Some("holds a line break or a control character")
        } else {
            None
        };
        match problem {
            None => Ok(Self(text.to_owned())),
            Some(problem) => Err(Error::invalid(
                "invalid_secret",
                format!("the secret {problem}; give one line of text"),
            )),
        }
    }

    /// The text, for the one place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether `given` is this secret. The time does not depend on where they differ: what is compared
    /// are their MACs.
    #[must_use]
    pub fn matches(&self, given: &[u8]) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"tachograph compares secrets");
        let own = hmac::sign(&key, self.0.as_bytes());
        hmac::verify(&key, given, own.as_ref()).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_itself_only_and_is_never_shown() {
        let secret = Secret::parse(" s3cret-token\n").unwrap();
        assert_eq!(secret.expose(), "s3cret-token");
        assert!(secret.matches(b"s3cret-token"));
        for given in [
            &b""[..],
            b"s3cret",
            b"s3cret-token\0",
            b"s3cret-token ",
            b"S3cret-token",
            b"s3cret-tokens",
        ] {
            assert!(!secret.matches(given), "{given:?} was accepted");
        }
        assert_eq!(format!("{secret:?}"), "Secret(***)");
    }

    #[test]
    fn what_no_header_can_carry_is_refused_without_being_quoted() {
        let long = "hunter2".repeat(3_000);
        for text in ["", " \n", "hunter2\nb", "hunter2\0b", &long] {
            let error = Secret::parse(text).unwrap_err();
            assert_eq!(error.code(), "invalid_secret");
            assert!(!error.message().contains("hunter2"), "{error}");
        }
    }
}
