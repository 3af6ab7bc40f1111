//! The program with a configuration file: `config check` of hostile ones, and SIGHUP.

use super::{Site, text};
use crate::cli::{Serving, fails, run, stderr, stdout};
use crate::support::wait_for;
use rustix::process::Signal;

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
