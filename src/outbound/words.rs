//! What went wrong between us and a server, in words for the person who must mend it.
//!
//! Every text here is one line. What a server sent is quoted only through [`one_line`].

use super::Timeouts;
use reqwest::Url;
use thiserror::Error;

/// Characters of a server's own words in a message.
const QUOTE_CHARS_MAX: usize = 200;

/// Why there is no answer that could be used. The caller says whose server it is, and adds what to do
/// where only the caller knows it.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Fault {
    /// A header, a credential or an authority of the registration cannot be used.
    #[error("{0}")]
    Setup(String),
    /// No answer, or not all of it. Always worth another try: even a wrong host name may be a name
    /// service that is down.
    #[error("{0}")]
    Transport(String),
    /// A media type that was not asked for.
    #[error("answered {0:?}")]
    Media(String),
    /// More bytes than this.
    #[error("the answer is larger than {} MiB", .0 >> 20)]
    TooLarge(usize),
}

impl Fault {
    pub(super) fn transport(error: &reqwest::Error, timeouts: Timeouts) -> Self {
        let Timeouts {
            connect,
            idle,
            total,
        } = timeouts;
        Self::Transport(match (error.is_timeout(), error.is_connect()) {
            (true, true) => format!(
                "no connection within {connect:?}; check that the server runs and a firewall lets \
                 us through"
            ),
            (true, false) => format!(
                "no complete answer in time ({idle:?} of silence or {total:?} in total); the \
                 server is overloaded or stuck, look at its own load"
            ),
            (false, true) => format!(
                "cannot connect: {}; check that the server runs and that its url is right",
                root_cause(error)
            ),
            (false, false) => format!(
                "the connection broke before the answer was complete: {}; check whether the \
                 server or a proxy before it restarted",
                root_cause(error)
            ),
        })
    }
}

/// The innermost cause: the outer ones only repeat the address.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    one_line(cause.to_string().as_bytes())
}

/// The first line of foreign text that says anything, made harmless: at most 200 characters, letters,
/// digits, blanks and ASCII punctuation only. Empty for markup, whose first line says nothing.
#[must_use]
pub fn one_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let line = line.filter(|line| !line.starts_with('<')).unwrap_or("");
    line.chars()
        .map(|c| {
            if c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric() {
                c
            } else {
                '?'
            }
        })
        .take(QUOTE_CHARS_MAX)
        .collect()
}

/// Why a redirect to `location` is an error: credentials go only where the registration points. The
/// rest of the target may be a secret and is not shown.
#[must_use]
pub fn redirect(location: Option<&str>) -> String {
    let host = location
        .and_then(|location| Url::parse(location).ok())
        .and_then(|url| host_of(&url))
        .map_or_else(
            || "another path".to_owned(),
            |host| one_line(host.as_bytes()),
        );
    format!("redirects (here to {host}) are not followed; register the final address as the url")
}

/// `host` or `host:port`, as written in the URL: what may be shown of it.
#[must_use]
pub fn host_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_one_short_printable_line() {
        assert_eq!(
            one_line(b"\r\n  exceeded sample limit (2000)\nmore"),
            "exceeded sample limit (2000)"
        );
        assert_eq!(
            one_line("a\u{202e}b\u{1b}[31mc\0 d\u{e9}".as_bytes()),
            "a?b?[31mc? d\u{e9}"
        );
        assert_eq!(one_line(b"<html><h1>502 Bad Gateway</h1>"), "");
        assert_eq!(one_line(&[0xff; 3]), "???");
        assert_eq!(one_line(&[b'x'; 5_000]).len(), 200);
        assert_eq!(one_line(b""), "");
    }

    #[test]
    fn a_redirect_names_the_host_and_hides_the_rest() {
        let text = redirect(Some("https://login.example:444/?state=secret"));
        assert!(
            text.contains("login.example:444") && !text.contains("secret"),
            "{text}"
        );
        assert!(redirect(Some("/login")).contains("another path"));
    }
}
