//! Machine names. They come from logs and events, so they are hostile until parsed.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A machine's name: 1..=253 bytes of letters, digits, `.`, `-`, `_`, `:`.
///
/// An empty name as a label value would match every series that lacks the label; quotes, regex
/// characters and control characters have no business in a host name (RFC 1123) or in a Prometheus
/// `instance`. So neither is ever sent anywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Machine(String);

/// RFC 1123 bounds a full host name by 253 bytes; a port may follow.
const NAME_BYTES_MAX: usize = 253;

impl Machine {
    /// Checks and takes the name.
    ///
    /// # Errors
    /// `Invalid` (`invalid_machine`) says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self> {
        let problem = if text.is_empty() {
            Some("it is empty".to_owned())
        } else if text.len() > NAME_BYTES_MAX {
            Some(format!(
                "it has {} bytes, at most {NAME_BYTES_MAX} are allowed",
                text.len()
            ))
        } else {
            text.chars()
                .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':')))
                .map(|c| format!("it contains {c:?}"))
        };
        match problem {
            None => Ok(Self(text.to_owned())),
            Some(problem) => Err(Error::invalid(
                "invalid_machine",
                format!(
                    "machine is not a host name: {problem}; letters, digits, '.', '-', '_' and ':' are allowed"
                ),
            )),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_names_are_refused() {
        for name in [
            "",
            " ",
            "a b",
            "a\"b",
            "a'b",
            "a\nb",
            "a\0b",
            ".*",
            "a|b",
            "a{b}",
            "a\\b",
            "ä",
            "a\u{2028}b",
            "(a)",
            "a+b",
            "a$",
            "^a",
            "[a]",
            "a?b",
            "a,b",
            "a/b",
        ] {
            assert!(Machine::parse(name).is_err(), "{name:?} was accepted");
        }
        assert!(Machine::parse(&"a".repeat(254)).is_err());
        assert!(Machine::parse(&"a".repeat(253)).is_ok());
        assert!(Machine::parse("runner-ab-1.example_x:9100").is_ok());
    }

    proptest! {
        #[test]
        fn what_is_accepted_needs_no_escaping(name in "\\PC{0,40}") {
            if let Ok(machine) = Machine::parse(&name) {
                prop_assert!(machine.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:".contains(&b)));
            }
        }
    }
}
