//! Reading configuration and secrets from files, never more than a bound of either.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the owner of configuration and secret files"
)]

use super::Config;
use crate::error::{Error, Result};
use crate::limits;
use crate::secret::Secret;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// What others than owner and group may do: read.
const WORLD_READABLE: u32 = 0o004;
/// How every certificate in a PEM file begins.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

/// Reads and checks a configuration file, and the files that it names.
///
/// # Errors
/// `Invalid` if it cannot be read or holds anything wrong; every problem is named.
pub fn read_config(path: &Path) -> Result<Config> {
    let file = path.display();
    let unreadable = |error: io::Error| {
        Error::invalid("config_unreadable", format!("{file} cannot be read")).with_source(error)
    };
    let opened = File::open(path).map_err(unreadable)?;
    let text = bounded(opened, limits::CONFIG_BYTES_MAX).map_err(unreadable)?;
    Config::parse(&text, path)
        .map_err(|error| Error::invalid("invalid_config", format!("{file}:\n{}", error.message())))
}

/// Reads a secret or certificates. Only a plain file is read: a pipe would keep the caller waiting.
///
/// # Errors
/// Whatever the file system says, `InvalidData` for what is no plain file, too long for a secret, or
/// no UTF-8.
pub fn read_secret(path: &Path) -> io::Result<String> {
    Ok(secret_file(path)?.0)
}

/// The text of a file, and whether everybody on this machine may read it.
fn secret_file(path: &Path) -> io::Result<(String, bool)> {
    // The kind is asked before opening: to open a pipe is to wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(invalid_data("not a plain file"));
    }
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let text = bounded(file, limits::SECRET_FILE_BYTES_MAX)?;
    Ok((text, mode & WORLD_READABLE != 0))
}

fn bounded(file: File, max: usize) -> io::Result<String> {
    let mut bytes = Vec::new();
    let limit = crate::num::len_u64(max).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes)?;
    if bytes.len() > max {
        return Err(invalid_data(&format!("longer than {} KiB", max >> 10)));
    }
    String::from_utf8(bytes).map_err(|_| invalid_data("not UTF-8 text"))
}

fn invalid_data(what: &str) -> io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, what)
}

/// The files that a configuration names, and what is unwise about them.
#[derive(Debug)]
pub(super) struct Files {
    /// Relative names start where the configuration is.
    base: PathBuf,
    warnings: RefCell<Vec<String>>,
}

impl Files {
    /// Those of the configuration `file`.
    pub(super) fn of(file: &Path) -> Self {
        Self {
            base: file.parent().unwrap_or(Path::new("")).to_owned(),
            warnings: RefCell::default(),
        }
    }

    /// The full name of a file.
    pub(super) fn resolve(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    /// The secret in a file.
    pub(super) fn secret(&self, key: &str, name: &str) -> Result<Secret, String> {
        let text = self.secret_text(key, name)?;
        Secret::parse(&text).map_err(|error| format!("{name}: {}", error.message()))
    }

    /// Checks that a file holds a token; returns its full name.
    pub(super) fn token_file(&self, key: &str, name: &str) -> Result<String, String> {
        self.secret(key, name)?;
        self.full_name(name)
    }

    /// Checks that a file holds one line, a password; returns its full name.
    pub(super) fn password_file(&self, key: &str, name: &str) -> Result<String, String> {
        let text = self.secret_text(key, name)?;
        let line = text.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            return Err(format!("{name} is empty"));
        }
        if line.contains(char::is_control) {
            return Err(format!("{name} does not hold one line"));
        }
        self.full_name(name)
    }

    /// Checks that a file holds certificates; returns its full name.
    pub(super) fn ca_file(&self, name: &str) -> Result<String, String> {
        let (text, _) = self.read(name)?;
        if !text.contains(CERTIFICATE) {
            return Err(format!("{name} holds no certificate (PEM, {CERTIFICATE})"));
        }
        self.full_name(name)
    }

    /// Remembers something that is in order but unwise.
    pub(super) fn warn(&self, warning: String) {
        self.warnings.borrow_mut().push(warning);
    }

    /// Everything that is unwise.
    pub(super) fn into_warnings(self) -> Vec<String> {
        self.warnings.into_inner()
    }

    fn secret_text(&self, key: &str, name: &str) -> Result<String, String> {
        let (text, exposed) = self.read(name)?;
        if exposed {
            self.warn(format!(
                "{key}: everybody on this machine may read {name}; chmod o-r it"
            ));
        }
        Ok(text)
    }

    fn read(&self, name: &str) -> Result<(String, bool), String> {
        if name.is_empty() {
            return Err("must name a file".to_owned());
        }
        let full = self.resolve(name);
        secret_file(&full).map_err(|error| format!("{} cannot be read: {error}", full.display()))
    }

    fn full_name(&self, name: &str) -> Result<String, String> {
        let full = self.resolve(name).into_os_string().into_string();
        full.map_err(|_| format!("{name} is not UTF-8 with the folder of this file"))
    }
}
