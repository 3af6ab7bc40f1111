//! Signatures of hooks after the Standard Webhooks scheme, version `v1`: HMAC-SHA256 over
//! `id.timestamp.body`, keyed by the bytes behind `whsec_`.

use crate::limits;
use crate::secret::Secret;
use crate::time::TimestampMs;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// The key of a signing token.
pub(crate) struct SigningKey(hmac::Key);

impl SigningKey {
    /// The key behind `whsec_`, if the token is one.
    pub(crate) fn parse(token: &Secret) -> Option<Self> {
        let encoded = token.expose().strip_prefix("whsec_")?;
        let bytes = STANDARD.decode(encoded).ok()?;
        (16..=128)
            .contains(&bytes.len())
            .then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

/// The signed parts of a request, as its headers say them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed<'a> {
    pub(super) id: &'a [u8],
    pub(super) timestamp: &'a [u8],
    pub(super) signatures: &'a [u8],
    pub(super) body: &'a [u8],
}

impl Signed<'_> {
    /// Whether the time of the request is near ours.
    pub(super) fn is_fresh(&self, now: TimestampMs) -> bool {
        let is_number = !self.timestamp.is_empty() && self.timestamp.iter().all(u8::is_ascii_digit);
        let seconds: Option<i64> = std::str::from_utf8(self.timestamp)
            .ok()
            .filter(|_| is_number)
            .and_then(|text| text.parse().ok());
        let Some(ms) = seconds.and_then(|seconds| seconds.checked_mul(1_000)) else {
            return false;
        };
        now.since(TimestampMs(ms)).saturating_abs() <= limits::HOOK_AGE_MS_MAX
    }

    /// Whether one of the signatures is that of `key`. The comparison takes the same time wherever
    /// they differ.
    pub(super) fn verifies(&self, key: &SigningKey) -> bool {
        if self.id.is_empty() {
            return false;
        }
        let message = [self.id, b".", self.timestamp, b".", self.body].concat();
        self.signatures
            .split(|byte| *byte == b' ')
            .filter_map(|signature| signature.strip_prefix(b"v1,"))
            .take(limits::HOOK_SIGNATURES_MAX)
            .filter_map(|encoded| STANDARD.decode(encoded).ok())
            .any(|tag| hmac::verify(&key.0, &message, &tag).is_ok())
    }
}
