//! Registrations of the file: order of the rules, what wins, where each comes from.

use super::Site;
use crate::support::{fleet_job, report, with};
use serde_json::{Value, json};
use tachograph::testkit::fake_prometheus::{read_response, remote_read_reply, snappy};
use tachograph::testkit::scripted::{Reply, ScriptedServer};

const RULES: &str = r#"
[regions]
all = { url = "PROM" }
gcp = { url = "PROM" }
docker = { url = "PROM" }
both = { url = "PROM" }
seven = { url = "PROM" }
later = { url = "PROM" }

[[runner_rules]]
region = "all"
[[runner_rules]]
description = "gcp-*"
region = "gcp"
[[runner_rules]]
tags = ["docker"]
region = "docker"
[[runner_rules]]
tags = ["docker", "large"]
region = "both"
[[runner_rules]]
source = "gitlab"
runner_ids = [7]
region = "seven"
machine_type = "n2-standard-8"
price_per_hour = 0.38
[[runner_rules]]
source = "gitlab"
runner_ids = ["7", 8]
region = "later"
"#;

#[tokio::test]
async fn jobs_go_where_the_rules_say_and_the_api_wins() {
    let site = Site::new().await;
    site.configure(RULES);
    let service = site.serve().await;
    let api = &service.api;
    let runner = json!({"region": "both"});
    api.put("/api/v1/runners/gitlab/9", &runner).await.empty();
    let everything = json!({"runner_tags": ["docker", "large"], "runner_description": "gcp-eu-1"});
    for (job, region, fields) in [
        ("none", "all", json!({"runner_id": null})),
        ("id", "all", json!({"runner_id": 3})),
        (
            "description",
            "gcp",
            json!({"runner_id": 3, "runner_description": "gcp-eu-1"}),
        ),
        (
            "tags",
            "docker",
            with(everything.clone(), json!({"runner_id": 3})),
        ),
        (
            "by-id",
            "seven",
            with(everything.clone(), json!({"runner_id": 7})),
        ),
        ("second-id", "later", json!({"runner_id": 8})),
        ("api", "both", with(everything, json!({"runner_id": 9}))),
    ] {
        api.report(job, &with(report(fleet_job(0)), fields)).await;
        let archived = api.job_when(job, "archived", "").await;
        assert_eq!(archived["machine"]["region"], region, "{job}");
        assert_eq!(archived["verdict"], "complete", "{job}");
    }
    assert_eq!(api.job("by-id").await["machine"]["type"], "n2-standard-8");

    // The same runner of another source is another one.
    let body = with(report(fleet_job(0)), json!({"runner_id": 7}));
    let put = api.put("/api/v1/jobs/github/1", &body).await;
    assert_eq!(put.status, 202, "{}", put.text());
    let what = "the job of the other source";
    let other = crate::support::wait_for(what, async || {
        let job = api.get("/api/v1/jobs/github/1").await.json(200);
        (job["state"] == "archived")
            .then(|| job.clone())
            .ok_or(job.to_string())
    });
    assert_eq!(other.await["machine"]["region"], "all");
    service.stop().await;
}

/// The origin of an entry and what its place ends with.
fn origin(entry: &Value) -> (String, String) {
    let place = entry["origin_place"].as_str().unwrap_or_default();
    let place = place.rsplit('/').next().unwrap();
    (
        entry["origin"].as_str().unwrap().to_owned(),
        place.to_owned(),
    )
}

#[tokio::test]
async fn every_entry_says_where_it_comes_from_and_is_removed_there() {
    let site = Site::new().await;
    site.configure(RULES);
    let service = site.serve().await;
    let api = &service.api;
    let config = |place: &str| ("config".to_owned(), format!("tachograph.toml, {place}"));
    let put = ("api".to_owned(), String::new());

    let (region, runner) = ("/api/v1/regions/gcp", "/api/v1/runners/gitlab/7");
    let region_place = config("line 6 (regions.gcp)");
    let runner_place = config("line 23 (runner_rules[5])");
    assert_eq!(origin(&api.get(region).await.json(200)), region_place);
    let shown = api.get(runner).await.json(200);
    assert_eq!(origin(&shown), runner_place);
    assert_eq!(shown["region"], "seven");
    assert_eq!(shown["price_per_hour"], 0.38);
    for (path, code) in [
        ("/api/v1/runners/gitlab/3", "runner_not_found"),
        ("/api/v1/runners/github/7", "runner_not_found"),
    ] {
        // A rule without its id does not name a runner.
        api.get(path).await.problem(404, code, &[]);
        api.delete(path).await.problem(404, code, &[]);
    }
    for (path, place) in [
        (region, "tachograph.toml, line 6 (regions.gcp)"),
        (runner, "tachograph.toml, line 23 (runner_rules[5])"),
    ] {
        let parts = [place, "remove it there"];
        api.delete(path)
            .await
            .problem(409, "registered_in_config", &parts);
    }

    // What was read may be put as it was read, and wins from then on.
    api.put(runner, &shown).await.empty();
    assert_eq!(origin(&api.get(runner).await.json(200)), put);
    let other = json!({"url": "http://127.0.0.1:1"});
    api.put(region, &other).await.empty();
    let shown = api.get(region).await.json(200);
    assert_eq!(
        (origin(&shown), &shown["url"]),
        (put.clone(), &other["url"])
    );
    api.put("/api/v1/regions/eu-9", &other).await.empty();

    let regions = api.get("/api/v1/regions").await.json(200);
    let regions = regions.as_object().unwrap();
    let names: Vec<&String> = regions.keys().collect();
    assert_eq!(
        names,
        ["all", "both", "docker", "eu-9", "gcp", "later", "seven"]
    );
    assert_eq!(origin(&regions["gcp"]), put);
    assert_eq!(origin(&regions["all"]), config("line 5 (regions.all)"));
    let runners = api.get("/api/v1/runners/gitlab").await.json(200);
    assert_eq!(runners.as_object().unwrap().len(), 2);
    assert_eq!(origin(&runners["7"]), put);
    assert_eq!(origin(&runners["8"]), config("line 29 (runner_rules[6])"));

    for path in [region, runner] {
        api.delete(path).await.empty();
    }
    assert_eq!(origin(&api.get(region).await.json(200)), region_place);
    assert_eq!(origin(&api.get(runner).await.json(200)), runner_place);
    service.stop().await;
}

#[tokio::test]
async fn credentials_are_sent_as_the_region_says_by_file_and_by_api() {
    let site = Site::new().await;
    let empty = remote_read_reply(snappy(&read_response(&[])));
    let server = ScriptedServer::always(empty).await.unwrap();
    site.write("password", "open sesame\n");
    site.configure(&format!(
        "[regions.filed]\nurl = \"{}\"\nbasic_auth = {{ username = \"Aladdin\", password_file = \"password\" }}\n\
         [[runner_rules]]\nregion = \"filed\"\n",
        server.url()
    ));
    let service = site.serve().await;
    let api = &service.api;
    let sent = async |what: &str| {
        let path = "/api/v1/read";
        let seen = || server.requests().into_iter().filter(|r| r.path == path);
        let first = crate::support::wait_for(what, async || {
            seen().next_back().ok_or("no request".to_owned())
        });
        first.await.header("authorization").to_owned()
    };
    // The example of RFC 7617.
    let expected = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    api.report("1", &report(fleet_job(0))).await;
    assert_eq!(sent("the first read").await, expected);

    // Over the API: the password's file is read at each use, and shown by its name only.
    let password = site.path("password");
    let basic = json!({"username": "Aladdin", "password_file": password});
    let region = json!({"url": server.url(), "basic_auth": basic});
    api.put("/api/v1/regions/put", &region).await.empty();
    let shown = api.get("/api/v1/regions/put").await.json(200);
    assert_eq!(shown["basic_auth"], basic);
    let runner = json!({"region": "put"});
    api.put("/api/v1/runners/gitlab/42", &runner).await.empty();
    site.write("password", "second");
    api.report("2", &report(fleet_job(0))).await;
    // The new registration wakes the first job, too, which may have read the password before.
    crate::support::wait_for("a read with the second password", async || {
        let sent = sent("a read").await;
        // base64 of Aladdin:second
        let is_second = sent == "Basic QWxhZGRpbjpzZWNvbmQ=";
        is_second.then_some(()).ok_or(sent)
    })
    .await;

    let wrong = with(region, json!({"bearer_token_file": "/x", "ca_file": "/y"}));
    let put = api.put("/api/v1/regions/put", &wrong).await;
    let parts = [
        "basic_auth and bearer_token_file exclude",
        "ca_file needs a url",
    ];
    put.problem(400, "invalid_registration", &parts);
    service.stop().await;
}

#[tokio::test]
async fn a_ca_file_that_holds_none_is_named_in_the_job() {
    let site = Site::new().await;
    let server = ScriptedServer::always(Reply::new(200, "text/plain", "")).await;
    let server = server.unwrap();
    let pem = site.path("ca.pem");
    site.write(
        "ca.pem",
        "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n",
    );
    let url = server.url().replace("http://", "https://");
    site.configure(&format!(
        "[regions.a]\nurl = \"{url}\"\nca_file = \"ca.pem\"\n[[runner_rules]]\nregion = \"a\"\n"
    ));
    let service = site.serve().await;
    let api = &service.api;
    api.report("1", &report(fleet_job(0))).await;
    let waits = api.job_when("1", "pending", "upstream_refused").await;
    let detail = waits["reason_detail"].as_str().unwrap_or_default();
    let all = waits.to_string();
    for part in ["ca_file", "PEM certificates", super::text(&pem)] {
        assert!(all.contains(part), "{part}: {detail} {all}");
    }
    assert_eq!(server.requests(), []);
    service.stop().await;
}
