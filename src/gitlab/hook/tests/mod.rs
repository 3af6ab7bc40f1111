//! Hooks: who is believed, and what is understood.

mod forged;
mod parsed;

use super::*;
use crate::model::id::Source;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderName, HeaderValue};
use ring::hmac;

// The test vector, computed apart from this code.
const SIGNING: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const ID: &str = "9f7c6b0e-3b0c-4c9e-9d50-6f4a5c1f2a11";
const SECONDS: i64 = 1_764_000_000;
const BODY: &str = r#"{"object_kind":"build","build_id":1,"build_status":"running"}"#;
const SIGNATURE: &str = "v1,mLqUkmqewllDUwBQD5+lhHBovUBC0S9KGB4AYU4mRjQ=";

const OTHER_SIGNING: &str = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
const TOKEN: &str = "the-Secret-token_1";
const URL: &str = "https://gitlab.example.com";

/// A request as it would arrive.
#[derive(Debug, Clone)]
struct Request {
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    now: TimestampMs,
}

impl Request {
    fn new(headers: &[(&'static str, &str)]) -> Self {
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        Self {
            headers: headers.collect(),
            body: BODY.as_bytes().to_vec(),
            now: TimestampMs(SECONDS * 1_000),
        }
    }

    fn signed() -> Self {
        Self::new(&[
            ("x-gitlab-instance", URL),
            ("webhook-id", ID),
            ("webhook-timestamp", &SECONDS.to_string()),
            ("webhook-signature", SIGNATURE),
        ])
    }

    fn with_token(token: &str) -> Self {
        Self::new(&[("x-gitlab-instance", URL), ("x-gitlab-token", token)])
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    fn and(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn set(self, name: &'static str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    fn after_ms(mut self, ms: i64) -> Self {
        self.now = self.now.plus_ms(ms);
        self
    }

    fn to(&self, hooks: &Hooks) -> Result<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(HeaderName::from_static(name), value);
        }
        let settings = hooks.authenticate(&headers, &self.body, self.now)?;
        Ok(settings.source.to_string())
    }
}

fn instance(source: &str, url: &str, tokens: &[&str], signing: &[&str]) -> GitlabSettings {
    let secrets = |texts: &[&str]| {
        texts
            .iter()
            .map(|text| Secret::parse(text).unwrap())
            .collect()
    };
    GitlabSettings {
        source: Source::parse(source).unwrap(),
        url: url.to_owned(),
        hook_tokens: secrets(tokens),
        signing_tokens: secrets(signing),
        api_token: None,
    }
}

/// One instance with a token and a signing token.
fn hooks() -> Hooks {
    Hooks::new(vec![instance("gl", URL, &[TOKEN], &[SIGNING])])
}

fn signature_by(token: &str, message: &[u8]) -> String {
    let key = STANDARD
        .decode(token.strip_prefix("whsec_").unwrap())
        .unwrap();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), message);
    format!("v1,{}", STANDARD.encode(tag))
}

fn message(id: &str, seconds: &str, body: &[u8]) -> Vec<u8> {
    [format!("{id}.{seconds}.").as_bytes(), body].concat()
}
