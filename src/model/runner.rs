//! The registry: regions (one Prometheus each) and runners (which region, how their machines are
//! labelled there).

use super::id::{RegionName, RunnerId, Source};
use super::machine::Machine;
use crate::error::{Error, Result};
use crate::limits;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What answers at a region's URL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegionKind {
    /// Prometheus with remote read.
    Prometheus,
    /// VictoriaMetrics.
    Victoriametrics,
    /// Found out by asking.
    #[default]
    Auto,
}

/// Credentials of HTTP's basic authentication. The password itself is never registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// User's name.
    pub username: String,
    /// File on the service's machine with the password, read at each use.
    pub password_file: String,
}

/// What is wrong with a registration: the field, and what it must be, to be read as one sentence.
pub type Problem = (&'static str, String);

/// A region: one metrics server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Base URL, http or https, without user info; a path prefix is kept.
    pub url: String,
    /// What answers there.
    #[serde(default)]
    pub kind: RegionKind,
    /// Extra request headers (e.g. a tenant).
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// File on the service's machine with a bearer token, read at each use.
    #[serde(default)]
    pub bearer_token_file: Option<String>,
    /// User and password, instead of a bearer token.
    #[serde(default)]
    pub basic_auth: Option<BasicAuth>,
    /// File on the service's machine with the authorities (PEM) that its certificate may be of,
    /// besides those of the machine; read at each use.
    #[serde(default)]
    pub ca_file: Option<String>,
    /// Scrape interval, if it is known better than the data shows it.
    #[serde(default)]
    pub scrape_interval_seconds: Option<f64>,
    /// How long that server keeps samples, if it is known better than the server says.
    #[serde(default)]
    pub retention_seconds: Option<f64>,
}

/// What the interface shows instead of a header's value.
pub const HIDDEN: &str = "***";

impl Region {
    /// Checks everything that can be checked without the network.
    ///
    /// # Errors
    /// `Invalid`, naming every wrong field at once.
    pub fn validate(&self) -> Result<()> {
        all_or_invalid("region", &self.problems())
    }

    /// Everything that is wrong, without asking the network or a file.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        problems.extend(self.url_problem().map(|text| ("url", text.to_owned())));
        problems.extend(self.header_problems().map(|text| ("headers", text)));
        if self.basic_auth.is_some() && self.bearer_token_file.is_some() {
            let text = "and bearer_token_file exclude each other: one request carries one of them";
            problems.push(("basic_auth", text.to_owned()));
        }
        let user = self.basic_auth.as_ref().map(|auth| auth.username.as_str());
        if user.is_some_and(|user| {
            user.is_empty()
                || user.len() > limits::TEXT_BYTES_MAX
                || user.contains(|c: char| c == ':' || c.is_control())
        }) {
            let text = "must have a username without ':' and control characters";
            problems.push(("basic_auth", text.to_owned()));
        }
        let password_file = self.basic_auth.as_ref().map(|auth| &auth.password_file);
        for (field, path) in [
            ("bearer_token_file", self.bearer_token_file.as_ref()),
            ("basic_auth", password_file),
            ("ca_file", self.ca_file.as_ref()),
        ] {
            if path.is_some_and(|path| path.is_empty() || path.contains(char::is_control)) {
                problems.push((field, "must name a file".to_owned()));
            }
        }
        if self.ca_file.is_some() && self.url.starts_with("http://") {
            let text = "needs a url that starts with https://";
            problems.push(("ca_file", text.to_owned()));
        }
        for (field, value, low, high) in [
            (
                "scrape_interval_seconds",
                self.scrape_interval_seconds,
                0.1,
                3_600.0,
            ),
            ("retention_seconds", self.retention_seconds, 60.0, 3.2e9),
        ] {
            if value.is_some_and(|value| !(low..=high).contains(&value)) {
                problems.push((field, format!("must be between {low} and {high}")));
            }
        }
        problems
    }

    fn url_problem(&self) -> Option<&'static str> {
        let rest = self
            .url
            .strip_prefix("http://")
            .or_else(|| self.url.strip_prefix("https://"));
        match rest.and_then(|rest| rest.split('/').next()) {
            None => Some("must start with http:// or https://"),
            Some("") => Some("names no host"),
            Some(host) if host.contains('@') => Some(
                "must not contain a user or password; use headers, bearer_token_file or basic_auth",
            ),
            Some(_)
                if self.url.contains(['?', '#'])
                    || self.url.chars().any(|c| c.is_control() || c == ' ') =>
            {
                Some("must be a plain base address without '?', '#' or blanks")
            }
            Some(_) => None,
        }
    }

    fn header_problems(&self) -> impl Iterator<Item = String> {
        let many = (self.headers.len() > limits::REGION_HEADERS_MAX)
            .then(|| format!("may be at most {}", limits::REGION_HEADERS_MAX));
        let plain = |text: &str| text.bytes().all(|b| (0x20..0x7f).contains(&b));
        let name_ok = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let each = self.headers.iter().filter_map(move |(name, value)| {
            if value == HIDDEN {
                Some(format!(
                    "have {name} as {HIDDEN:?}, as GET shows it; give its value"
                ))
            } else if !name_ok(name) || !plain(value) {
                Some(format!("have {name:?}, which is not a plain HTTP header"))
            } else {
                None
            }
        });
        many.into_iter().chain(each)
    }

    /// The configured scrape interval in ms.
    #[must_use]
    pub fn scrape_interval_ms(&self) -> Option<i64> {
        self.scrape_interval_seconds
            .and_then(|seconds| crate::num::round_to_i64(seconds * 1_000.0))
    }

    /// The configured retention in ms.
    #[must_use]
    pub fn retention_ms(&self) -> Option<i64> {
        self.retention_seconds
            .and_then(|seconds| crate::num::round_to_i64(seconds * 1_000.0))
    }
}

/// Which series and formulas make a profile.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// node_exporter on Linux.
    #[default]
    Node,
}

/// A runner's registration: where its machines are and how they are labelled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runner {
    /// The region whose Prometheus knows its machines.
    pub region: RegionName,
    /// Label that names the machine there.
    #[serde(default = "default_label")]
    pub machine_label: String,
    /// Value of that label; `{machine}` stands for the job's machine name.
    #[serde(default = "default_value")]
    pub machine_value: String,
    /// Series and formulas.
    #[serde(default)]
    pub preset: Preset,
    /// Machine type, for reports.
    #[serde(default)]
    pub machine_type: Option<String>,
    /// Price of one machine per hour, any currency.
    #[serde(default)]
    pub price_per_hour: Option<f64>,
}

fn default_label() -> String {
    "instance".to_owned()
}

fn default_value() -> String {
    "{machine}:9100".to_owned()
}

impl Runner {
    /// A registration with the defaults of what is not given.
    #[must_use]
    pub fn new(
        region: RegionName,
        machine_label: Option<String>,
        machine_value: Option<String>,
    ) -> Self {
        Self {
            region,
            machine_label: machine_label.unwrap_or_else(default_label),
            machine_value: machine_value.unwrap_or_else(default_value),
            preset: Preset::default(),
            machine_type: None,
            price_per_hour: None,
        }
    }

    /// Checks the registration.
    ///
    /// # Errors
    /// `Invalid`, naming every wrong field at once.
    pub fn validate(&self) -> Result<()> {
        all_or_invalid("runner", &self.problems())
    }

    /// Everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = Vec::new();
        if let Err(error) = RegionName::parse(self.region.as_str()) {
            problems.push(("region", format!("is no name: {}", error.message())));
        }
        let label_ok = self.machine_label.len() <= 128
            && self.machine_label != "__name__"
            && self.machine_label.bytes().enumerate().all(|(index, b)| {
                b.is_ascii_alphabetic() || b == b'_' || (index > 0 && b.is_ascii_digit())
            });
        if !label_ok || self.machine_label.is_empty() {
            let text = "must be a Prometheus label name";
            problems.push(("machine_label", text.to_owned()));
        }
        let around = self.machine_value.replacen("{machine}", "", 1);
        if around.len() == self.machine_value.len()
            || around.len() > 253
            || !around
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-_:/".contains(&b))
        {
            let text = "must contain {machine} once, with letters, digits and .-_:/ around it";
            problems.push(("machine_value", text.to_owned()));
        }
        if self
            .machine_type
            .as_ref()
            .is_some_and(|text| text.len() > limits::TEXT_BYTES_MAX)
        {
            problems.push(("machine_type", "is too long".to_owned()));
        }
        if self
            .price_per_hour
            .is_some_and(|price| !(0.0..=1e6).contains(&price))
        {
            let text = "must be between 0 and 1000000";
            problems.push(("price_per_hour", text.to_owned()));
        }
        problems
    }

    /// The label and its value for `machine`.
    #[must_use]
    pub fn matcher(&self, machine: &Machine) -> (String, String) {
        (
            self.machine_label.clone(),
            self.machine_value.replace("{machine}", machine.as_str()),
        )
    }
}

fn all_or_invalid(what: &str, problems: &[Problem]) -> Result<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let sentences = problems
        .iter()
        .map(|(field, text)| format!("{field} {text}"));
    let sentences: Vec<String> = sentences.collect();
    Err(Error::invalid(
        "invalid_registration",
        format!("{what}: {}", sentences.join("; ")),
    ))
}

/// The public name of a runner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct RunnerRef {
    pub source: Source,
    pub runner_id: RunnerId,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(url: &str) -> Region {
        serde_json::from_value(serde_json::json!({ "url": url })).unwrap()
    }

    #[test]
    fn region_urls_are_checked() {
        assert!(region("http://127.0.0.1:9090").validate().is_ok());
        assert!(
            region("https://mimir.example/prometheus")
                .validate()
                .is_ok()
        );
        for url in [
            "",
            "127.0.0.1:9090",
            "ftp://a",
            "http://",
            "http://u:p@host",
            "http://h/?q=1",
            "http://h h",
        ] {
            assert!(region(url).validate().is_err(), "{url}");
        }
    }

    #[test]
    fn credentials_and_authorities_are_checked() {
        let problems = |fields: serde_json::Value| {
            let mut region = serde_json::json!({ "url": "https://h" });
            let all = region.as_object_mut().unwrap();
            all.extend(fields.as_object().unwrap().clone());
            let region: Region = serde_json::from_value(region).unwrap();
            let found = region.problems().into_iter();
            found.map(|(field, _)| field).collect::<Vec<_>>()
        };
        let basic = serde_json::json!({ "username": "u", "password_file": "/run/p" });
        let fine = serde_json::json!({ "basic_auth": basic, "ca_file": "/run/ca.pem" });
        assert_eq!(problems(fine), [""; 0]);
        let two = serde_json::json!({ "basic_auth": basic, "bearer_token_file": "/run/t" });
        assert_eq!(problems(two), ["basic_auth"]);
        for user in ["", "a:b", "a\nb"] {
            let basic = serde_json::json!({ "username": user, "password_file": "" });
            let found = problems(serde_json::json!({ "basic_auth": basic }));
            assert_eq!(found, ["basic_auth", "basic_auth"], "{user:?}");
        }
        let plain = serde_json::json!({ "url": "http://h", "ca_file": "/run/ca.pem" });
        assert_eq!(problems(plain), ["ca_file"]);
        let nothing = serde_json::json!({ "ca_file": "", "bearer_token_file": "" });
        assert_eq!(problems(nothing), ["bearer_token_file", "ca_file"]);
    }

    #[test]
    fn a_hidden_header_value_is_no_value() {
        let mut region = region("http://h");
        region
            .headers
            .insert("x-scope-orgid".to_owned(), HIDDEN.to_owned());
        assert!(
            region
                .validate()
                .unwrap_err()
                .message()
                .contains("x-scope-orgid")
        );
    }

    #[test]
    fn all_problems_are_named_at_once() {
        let runner: Runner = serde_json::from_value(serde_json::json!({
            "region": "eu", "machine_label": "9bad", "machine_value": "no hole", "price_per_hour": -1.0
        }))
        .unwrap();
        let error = runner.validate().unwrap_err();
        for field in ["machine_label", "machine_value", "price_per_hour"] {
            assert!(error.message().contains(field), "{error}");
        }
    }

    #[test]
    fn the_matcher_fills_the_hole() {
        let runner: Runner = serde_json::from_value(serde_json::json!({ "region": "eu" })).unwrap();
        let machine = Machine::parse("runner-1").unwrap();
        assert_eq!(
            runner.matcher(&machine),
            ("instance".to_owned(), "runner-1:9100".to_owned())
        );
    }
}
