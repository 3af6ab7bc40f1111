//! Clients that go away while their query runs: it stops.

use super::archive;
use crate::support::{Service, wait_for};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tachograph::time::SystemClock;

const CLIENTS: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn fifty_of_fifty_disconnects_stop_the_work_at_once() {
    let root = tempfile::tempdir().unwrap();
    drop(archive(root.path(), 120, &[100]));
    let service = Service::start(root.path(), SystemClock::shared()).await;
    let api = service.api.clone();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let sql = "select sum(a.job * b.job % 7 + c.job) from samples a, samples b, samples c";
    let mut slowest = Duration::ZERO;
    for number in 0..CLIENTS {
        let id = format!("leaving-{number}");
        let request = client
            .post(format!("{}/api/v1/sql", api.base()))
            .header("x-query-id", &id)
            .json(&json!({ "query": sql }))
            .send();
        let request = tokio::spawn(request);
        let path = format!("/api/v1/queries/{id}");
        wait_for("the query runs", async || {
            let answer = api.get(&path).await;
            let read = serde_json::from_slice::<Value>(&answer.body).unwrap();
            match read["rows_read"].as_u64() {
                Some(1..) => Ok(()),
                _ => Err(read.to_string()),
            }
        })
        .await;
        assert!(!request.is_finished(), "the query ended by itself");
        request.abort();
        let start = Instant::now();
        // Not before its threads have let go of it.
        let status: Value = wait_for("the query ends", async || {
            let answer = api.get(&path).await;
            let status = answer.json(200);
            match status["state"].as_str() {
                Some("ended") => Ok(status),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        slowest = slowest.max(start.elapsed());
        assert!(start.elapsed() <= Duration::from_secs(1), "{status}");
    }
    println!("{CLIENTS} queries stopped, the slowest in {slowest:?}");
    service.stop().await;
}
