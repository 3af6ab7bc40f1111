//! What the proofs share: a client of our API, and numbers for their reports.

use serde_json::Value;
use std::net::SocketAddr;

/// Speaks to a running service as any client does.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    service: String,
    base: String,
    client: reqwest::Client,
}

impl Api {
    pub(crate) fn new(address: SocketAddr) -> Self {
        tachograph::outbound::install_tls();
        Self {
            service: format!("http://{address}"),
            base: format!("http://{address}/api/v1"),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
        }
    }

    /// `PUT`; the status, or an error if no answer came.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> reqwest::Result<u16> {
        let request = self.client.put(format!("{}{path}", self.base)).json(body);
        Ok(request.send().await?.status().as_u16())
    }

    /// `POST` of JSON; status and JSON.
    pub(crate) async fn post_json(&self, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.base)).json(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Status of a `GET` outside of the API.
    pub(crate) async fn status(&self, path: &str) -> u16 {
        let answer = self.client.get(format!("{}{path}", self.service)).send();
        answer.await.unwrap().status().as_u16()
    }

    /// `POST` without a body; status and JSON, or an error if no answer came.
    pub(crate) async fn post(&self, path: &str) -> reqwest::Result<(u16, Value)> {
        let answer = self.client.post(format!("{}{path}", self.base)).send();
        let answer = answer.await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }

    /// `GET` of something that must be there.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.base)).send();
        let answer = answer.await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "GET {path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// One of the service's own metrics, summed over its labels.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let page = self.client.get(format!("{}/metrics", self.service)).send();
        let text = page.await.unwrap().text().await.unwrap();
        let ours = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            (series.split('{').next() == Some(name)).then_some(value)
        });
        let values: Vec<f64> = ours.map(|value| value.parse().unwrap()).collect();
        assert!(!values.is_empty(), "no {name} in:\n{text}");
        values.iter().sum()
    }

    /// All jobs of a list, page by page. `query` ends with `&` or is empty.
    pub(crate) async fn list(&self, query: &str) -> Vec<Value> {
        let mut jobs = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self.get(&format!("/jobs?{query}limit=500{cursor}")).await;
            jobs.extend(page["jobs"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return jobs,
            }
        }
    }
}

/// The value at `share` (0.5 is the lower median) by nearest rank; NaN of nothing.
pub(crate) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    // Nearest rank without a cast: the first value with enough values up to it.
    let len = tachograph::num::to_f64(tachograph::num::len_i64(sorted.len()));
    let rank = (1..=sorted.len())
        .find(|rank| tachograph::num::to_f64(tachograph::num::len_i64(*rank)) >= share * len);
    rank.and_then(|rank| sorted.get(rank.saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}
