//! What went wrong between us and a server, in words for the person who must mend it.
//!
//! Every text here is one line.

use super::site::Site;
use crate::outbound::{Fault, redirect};
use crate::source_port::{SourceError, SourceErrorKind};
use reqwest::StatusCode;

/// A call without an answer that could be used.
pub(super) fn local(site: &Site<'_>, fault: &Fault) -> SourceError {
    let (kind, advice) = match fault {
        Fault::Setup(_) => (SourceErrorKind::Refused, "; mend the region's registration"),
        Fault::Transport(_) => (SourceErrorKind::Unreachable, ""),
        Fault::Media(_) => (
            SourceErrorKind::Invalid,
            "; the region's url must lead to a metrics server, not to a login page or another \
             service",
        ),
        Fault::TooLarge(_) => (
            SourceErrorKind::Invalid,
            "; check whether the machine's label matches more than one machine",
        ),
    };
    site.error(kind, format_args!("{fault}{advice}"))
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
