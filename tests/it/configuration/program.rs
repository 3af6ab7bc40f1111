//! The program with a configuration file: `config check` of hostile ones, and SIGHUP.

use super::{Site, text};
use crate::cli::{Serving, fails, run, stderr, stdout};
use crate::gitlab;
use crate::support::wait_for;
use rustix::process::Signal;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use tachograph::components::gitlab::{Delivery, HookSender, HookSpelling};
use tachograph::testkit::clock::ManualClock;
use tachograph::time::SharedClock;

#[tokio::test]
async fn hostile_files_are_refused_by_check_and_serve() {
    let site = Site::new().await;
    let file = site.file();
    let check = ["config", "check", text(&file)];
    let data = site.path("data");
    let serve = ["serve", "--config", text(&file), "--data-dir", text(&data)];
    for (bytes, code_text) in [
        (
            "# a comment\n".repeat(90_000).into_bytes(),
            "longer than 512 KiB",
        ),
        (vec![0xff; 10_000], "not UTF-8 text"),
        (vec![0; 10_000], "not TOML"),
        (
            format!("a = {}", "[".repeat(100_000)).into_bytes(),
            "not TOML",
        ),
        (
            format!("{}a = 1", "a.".repeat(100_000)).into_bytes(),
            "not TOML",
        ),
    ] {
        std::fs::write(&file, bytes).unwrap();
        let said = fails(&check, 64, &["tachograph.toml", code_text]).await;
        assert!(said.len() < 30_000, "{}", said.len());
        assert!(!said.contains(|c: char| c.is_control() && c != '\n'));
        assert_eq!(fails(&serve, 64, &[]).await, said);
    }
    assert!(!data.exists(), "a wrong configuration touches nothing");
}

#[tokio::test]
async fn check_tells_what_is_unwise_and_names_every_problem() {
    let site = Site::new().await;
    site.write("token", "t0ken");
    site.configure("[regions.a]\nurl = \"PROM\"\nbearer_token_file = \"token\"\n");
    let file = site.file();
    let check = ["config", "check", text(&file)];
    let output = run(&check).await;
    assert_eq!(stdout(&output), "the configuration is in order\n");
    let said = stderr(&output);
    assert!(
        said.contains("warning: regions.a.bearer_token_file: everybody"),
        "{said}"
    );
    site.configure(
        "[regions.a]\nurl = \"x\"\nbearer_token = \"hunter2\"\n[[runner_rules]]\nregio = \"a\"\n",
    );
    let parts = [
        "line 4: regions.a.url: must start with http",
        "line 5: regions.a.bearer_token: a secret does not belong into this file",
        "line 6: runner_rules[1].region: is missing",
        "line 7: runner_rules[1].regio: unknown key; did you mean runner_rules[1].region?",
    ];
    let said = fails(&check, 64, &parts).await;
    assert!(!said.contains("hunter2"), "{said}");
}

#[tokio::test]
async fn sighup_reads_the_file_again() {
    let site = Site::new().await;
    site.configure("");
    let file = site.file();
    let serving = Serving::with(&site.path("data"), &["--config", text(&file)]).await;
    let region = "/api/v1/regions/eu-1";
    serving
        .api
        .get(region)
        .await
        .problem(404, "region_not_found", &[]);
    site.configure("[regions.eu-1]\nurl = \"PROM\"\n");
    serving.signal(Signal::HUP);
    wait_for("the region", async || {
        let status = serving.api.get(region).await.status;
        (status == 200).then_some(()).ok_or(status.to_string())
    })
    .await;
    site.configure("lisen = 1\nlog = 7\n");
    serving.signal(Signal::HUP);
    let both = "line 3: lisen: unknown key; did you mean listen?\\nline 4: log: ";
    wait_for("both problems in the log", async || {
        let log = std::fs::read_to_string(site.path("data.log")).unwrap();
        log.contains(both).then_some(()).ok_or(log)
    })
    .await;
    serving.api.get(region).await.json(200);
    assert_eq!(serving.terminate().await, Some(0));
}

#[tokio::test]
async fn the_readme_leads_to_a_configuration_in_at_most_ten_commands() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let section = readme
        .split("## Point it at your Prometheus and GitLab")
        .nth(1);
    let section = section.unwrap().split("\n## ").next().unwrap();
    let steps = section.lines().filter(|line| line.starts_with("# "));
    let steps: Vec<&str> = steps.collect();
    assert!((5..=10).contains(&steps.len()), "{steps:?}");
    for (index, step) in steps.iter().enumerate() {
        assert!(step.starts_with(&format!("# {}  ", index + 1)), "{step}");
    }
    let file = section.split("<<'END'\n").nth(1).unwrap();
    let file = file.split("\nEND\n").next().unwrap();

    // The secrets as step 2 makes them.
    let site = Site::new().await;
    for (name, secret) in [("hook.token", "0123abcd\n"), ("api.token", "glpat-x\n")] {
        site.write(name, secret);
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(site.path(name), private).unwrap();
    }
    site.write("tachograph.toml", file);
    let config = tachograph::config::read_config(&site.file()).unwrap();
    assert_eq!(config.warnings, [""; 0]);
    assert_eq!(
        config.sources[0].api_token.as_ref().unwrap().expose(),
        "glpat-x"
    );
    let check = section.lines().find(|line| line.contains("config check"));
    let check = check.unwrap().split_once("tachograph config").unwrap().1;
    assert_eq!(check.trim(), "check tachograph.toml");
    let checked = run(&["config", "check", text(&site.file())]).await;
    assert_eq!(stdout(&checked), "the configuration is in order\n");
    assert_eq!(stderr(&checked), "");

    // The same with this test's servers: a job of GitLab is archived with nothing put at all.
    let job = crate::support::fleet_job(0);
    let clock = || -> SharedClock { Arc::<ManualClock>::clone(&site.clock) };
    let gitlab = gitlab::stand_in(clock()).await;
    let file = file
        .replace("http://127.0.0.1:9090", &site.prometheus.url())
        .replace("https://gitlab.example.com", &gitlab.url());
    site.write("api.token", gitlab.token());
    site.configure(&file);
    let service = site.serve().await;
    let port = service.api.base().rsplit(':').next().unwrap();
    let hooks = HookSender::new(gitlab.url(), port.parse().unwrap(), clock());
    let hooks = hooks.with_secret_token("0123abcd");
    let (log, end) = gitlab::Ci::log_of(job);
    let events = gitlab::live(&gitlab, 1, job, HookSpelling::Recent);
    gitlab.append_log(1, &log);
    gitlab.append_log(1, &end);
    for event in &events {
        assert_eq!(hooks.deliver_job(event).await, Delivery::Answered(202));
    }
    let archived = service.api.job_when("1", "archived", "").await;
    assert_eq!(archived["machine"]["region"], "eu-1");
    assert_eq!(archived["machine"]["name"], job.machine);
    assert!(gitlab::sections(&archived).contains(&"unit_tests"));
    service.stop().await;
}
