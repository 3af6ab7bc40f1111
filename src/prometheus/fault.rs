//! What went wrong between us and a server, in words for the person who must mend it.
//!
//! Every text here is one line. What a server sent is quoted only through [`one_line`].

use super::Timeouts;
use super::site::host_of;
use crate::source_port::SourceErrorKind;
use reqwest::{StatusCode, Url};

/// Characters of a server's own words in a message.
const QUOTE_CHARS_MAX: usize = 200;

/// The first line of foreign text that says anything, made harmless: at most 200 characters, letters,
/// digits, blanks and ASCII punctuation only. Empty for markup, whose first line says nothing.
pub(super) fn one_line(text: &[u8]) -> String {
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

/// A call that got no complete answer. Always worth another try: even a wrong host name may be a
/// name service that is down.
pub(super) fn transport(error: &reqwest::Error, timeouts: Timeouts) -> String {
    let Timeouts {
        connect,
        idle,
        total,
    } = timeouts;
    match (error.is_timeout(), error.is_connect()) {
        (true, true) => format!(
            "no connection within {connect:?}; check that the server runs and a firewall lets us through"
        ),
        (true, false) => format!(
            "no complete answer in time ({idle:?} of silence or {total:?} in total); \
             the server is overloaded or stuck, look at its own load"
        ),
        (false, true) => format!(
            "cannot connect: {}; check that the server runs and that the region's url is right",
            root_cause(error)
        ),
        (false, false) => format!(
            "the connection broke before the answer was complete: {}; \
             check whether the server or a proxy before it restarted",
            root_cause(error)
        ),
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

/// An answer that is no success: what the pipeline does about it, and why. `quote` is what the server
/// said, `location` the target of a redirect.
pub(super) fn status(
    status: StatusCode,
    location: Option<&str>,
    quote: &str,
) -> (SourceErrorKind, String) {
    // Prometheus reports a timeout while it reads its storage as 422.
    let ran_out_of_time = quote.contains("deadline") || quote.contains("timed out");
    let (kind, advice) = match status.as_u16() {
        408 | 429 | 500.. => (
            SourceErrorKind::Unreachable,
            "the server is busy, starting or broken; look at its log if this goes on".to_owned(),
        ),
        422 if ran_out_of_time => (
            SourceErrorKind::Unreachable,
            "the server is overloaded; look at its own load if this goes on".to_owned(),
        ),
        300..=399 => (SourceErrorKind::Refused, redirect(location)),
        401 | 403 => (
            SourceErrorKind::Refused,
            "check the region's headers and bearer_token_file".to_owned(),
        ),
        404 | 405 => (
            SourceErrorKind::Refused,
            "check the region's url and its path prefix; it must be a Prometheus that allows this API"
                .to_owned(),
        ),
        _ => (
            SourceErrorKind::Refused,
            "the server does not want this request; its log may say why".to_owned(),
        ),
    };
    let colon = if quote.is_empty() { "" } else { ": " };
    (kind, format!("HTTP {status}{colon}{quote}; {advice}"))
}

/// Redirects are not followed: credentials and requests go only where the registration points.
fn redirect(location: Option<&str>) -> String {
    let host = location
        .and_then(|location| Url::parse(location).ok())
        .and_then(|url| host_of(&url))
        .map_or_else(
            || "another path".to_owned(),
            |host| one_line(host.as_bytes()),
        );
    format!(
        "redirects (here to {host}) are not followed; register the final address as the region's url"
    )
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
    fn statuses_map_to_what_the_pipeline_does() {
        use SourceErrorKind::{Refused, Unreachable};
        for (code, quote, kind) in [
            (302, "", Refused),
            (400, "exceeded sample limit (2000)", Refused),
            (401, "", Refused),
            (404, "404 page not found", Refused),
            (408, "", Unreachable),
            (422, "query processing would load too many samples", Refused),
            (
                422,
                "expanding series: context deadline exceeded",
                Unreachable,
            ),
            (429, "", Unreachable),
            (500, "", Unreachable),
            (503, "Service Unavailable", Unreachable),
        ] {
            let code = StatusCode::from_u16(code).unwrap();
            assert_eq!(status(code, None, quote).0, kind, "{code} {quote}");
        }
    }

    #[test]
    fn a_redirect_names_the_host_and_hides_the_rest() {
        let (_, text) = status(
            StatusCode::FOUND,
            Some("https://login.example:444/?state=secret"),
            "",
        );
        assert!(
            text.contains("login.example:444") && !text.contains("secret"),
            "{text}"
        );
        let (_, text) = status(StatusCode::FOUND, Some("/login"), "");
        assert!(text.contains("another path"), "{text}");
    }
}
