//! Reading configuration and secrets from files.
#![expect(
    clippy::disallowed_methods,
    reason = "the owner of configuration and secret files"
)]

use super::Config;
use crate::error::{Error, Result};
use std::path::Path;

/// Longest secret that makes sense.
const SECRET_BYTES_MAX: usize = 16 << 10;

/// Reads and parses a configuration file.
///
/// # Errors
/// `Invalid` if it cannot be read or holds anything wrong; every problem is named.
pub fn read_config(path: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Error::invalid(
            "config_unreadable",
            format!("{} cannot be read", path.display()),
        )
        .with_source(error)
    })?;
    Config::parse(&text).map_err(|error| {
        Error::invalid(
            "invalid_config",
            format!("{}:\n{}", path.display(), error.message()),
        )
    })
}

/// Reads a secret.
///
/// # Errors
/// Whatever the file system says, `InvalidData` for a file that is too long for a secret.
pub fn read_secret(path: &Path) -> std::io::Result<String> {
    let text = std::fs::read_to_string(path)?;
    if text.len() > SECRET_BYTES_MAX {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            "too long for a secret",
        ));
    }
    Ok(text)
}
