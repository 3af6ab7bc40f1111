//! What went wrong between us and a server, in words for the person who must mend it.
//!
//! Every text here is one line.

use super::site::Site;
use crate::outbound::{Fault, one_line, redirect};
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

/// What to do about an answer that is no success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// The same later.
    Retry,
    /// A smaller window.
    Split,
    /// The server does not speak this protocol: another one.
    NextStep,
    /// Nothing, until somebody mends something.
    GiveUp,
}

/// A call that did not give what was asked for.
#[derive(Debug)]
pub(super) struct Denial {
    pub(super) class: Class,
    /// What the pipeline gets to see if nothing else helps.
    pub(super) error: SourceError,
}

impl From<SourceError> for Denial {
    /// An error that is not about the form of the question.
    fn from(error: SourceError) -> Self {
        let class = match error.kind {
            SourceErrorKind::Unreachable => Class::Retry,
            SourceErrorKind::Refused | SourceErrorKind::Invalid => Class::GiveUp,
        };
        Self { class, error }
    }
}

/// What servers say when they ran out of time while they read (Prometheus: with status 422).
const OUT_OF_TIME: [&str; 3] = ["deadline exceeded", "timed out", "timeout"];
/// What they say when the answer would be too large: Prometheus' remote read and queries,
/// VictoriaMetrics' limits.
const TOO_MUCH: [&str; 4] = [
    "exceeded sample limit",
    "too many samples",
    "too many points",
    "-search.max",
];
/// What they, and routers before them, say with status 400 when they do not know the protocol:
/// Prometheus, VictoriaMetrics, vmauth, others.
const NOT_THERE: [&str; 5] = [
    "does not support",
    "unsupported path",
    "missing route",
    "not supported",
    "not implemented",
];

/// An answer that is no success: what to do about it, and why. `body` is the beginning of what the
/// server said, `location` the target of a redirect.
pub(super) fn denial(
    site: &Site<'_>,
    status: StatusCode,
    location: Option<&str>,
    body: &[u8],
) -> Denial {
    let (class, advice) = classify(status, location, &String::from_utf8_lossy(body));
    let kind = match class {
        Class::Retry => SourceErrorKind::Unreachable,
        Class::Split | Class::NextStep | Class::GiveUp => SourceErrorKind::Refused,
    };
    let quote = one_line(body);
    let colon = if quote.is_empty() { "" } else { ": " };
    Denial {
        class,
        error: site.error(kind, format_args!("HTTP {status}{colon}{quote}; {advice}")),
    }
}

/// `said` is only searched for words, never shown.
fn classify(status: StatusCode, location: Option<&str>, said: &str) -> (Class, String) {
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let (class, advice) = match status.as_u16() {
        300..=399 => return (Class::GiveUp, redirect(location)),
        400 | 422 if says(&TOO_MUCH) => (
            Class::Split,
            "even a part of the job's window is too much; raise the server's limit",
        ),
        422 if says(&OUT_OF_TIME) => (
            Class::Retry,
            "the server is overloaded; look at its own load if this goes on",
        ),
        404 | 405 | 415 | 501 => (Class::NextStep, NO_PROTOCOL),
        400 if says(&NOT_THERE) => (Class::NextStep, NO_PROTOCOL),
        408 | 429 | 499 | 500.. => (
            Class::Retry,
            "the server is busy, starting or broken; look at its log if this goes on",
        ),
        401 | 403 => (
            Class::GiveUp,
            "check the region's headers and bearer_token_file or basic_auth",
        ),
        _ => (
            Class::GiveUp,
            "the server does not want this request; its log may say why",
        ),
    };
    (class, advice.to_owned())
}

const NO_PROTOCOL: &str = "check the region's url and its path prefix; it must be a Prometheus, a \
                           VictoriaMetrics or another server with their API";

#[cfg(test)]
mod tests {
    use super::*;
    use Class::{GiveUp, NextStep, Retry, Split};

    #[test]
    fn every_class_of_answer_is_told_apart() {
        let long = format!("{{\"error\":\"{}: timed out\"}}", "x".repeat(1_000));
        for (code, said, class) in [
            (302, "", GiveUp),
            (400, "exceeded sample limit (2000)", Split),
            (
                400,
                "server does not support any of the requested response types",
                NextStep,
            ),
            (
                400,
                "remoteAddr: \"h:1\"; unsupported path requested: \"/api/v1/read\"",
                NextStep,
            ),
            (400, "missing route for \"/api/v1/read\"", NextStep),
            (400, "invalid parameter \"query\": parse error", GiveUp),
            (401, "not supported", GiveUp),
            (403, "", GiveUp),
            (404, "404 page not found", NextStep),
            (405, "", NextStep),
            (406, "", GiveUp),
            (408, "", Retry),
            (415, "", NextStep),
            (
                422,
                "query processing would load too many samples into memory",
                Split,
            ),
            (
                422,
                "cannot select more than -search.maxSamplesPerQuery=4 samples",
                Split,
            ),
            (422, "expanding series: context deadline exceeded", Retry),
            (422, long.as_str(), Retry),
            (422, "bad matcher", GiveUp),
            (429, "", Retry),
            (499, "", Retry),
            (500, "too many samples", Retry),
            (501, "", NextStep),
            (502, "<html>", Retry),
            (503, "query timed out in expression evaluation", Retry),
        ] {
            let code = StatusCode::from_u16(code).unwrap();
            assert_eq!(classify(code, None, said).0, class, "{code} {said}");
        }
    }
}
