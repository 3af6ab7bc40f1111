//! The program as people start it: exit codes, messages, `show`, and its end.

mod serve;
mod show;

pub(crate) use serve::Serving;

use std::path::Path;
use std::process::{Output, Stdio};
use tokio::process::Command;

/// The program with these arguments and no environment that could change what it says.
fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tachograph"));
    command
        .args(args)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs it to its end.
pub(crate) async fn run(args: &[&str]) -> Output {
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), program(args).output());
    ended.await.expect("it ends").unwrap()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs it and asserts the exit code and what it complains about.
pub(crate) async fn fails(args: &[&str], code: i32, parts: &[&str]) -> String {
    let output = run(args).await;
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(said.contains("error: "), "{args:?}: {said}");
    for part in parts {
        assert!(
            said.contains(part),
            "{args:?}: {part:?} is missing in {said}"
        );
    }
    said
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const WRONG_CONFIG: &str = "lisen = \"127.0.0.1:1\"\nlog = 7\n[archive]\nseal_job = 1\nvalue_encoding = \"zip\"\n[gitlab]\nurl = \"x\"\n";

#[tokio::test]
async fn all_problems_of_a_configuration_are_named_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tachograph.toml");
    std::fs::write(&file, WRONG_CONFIG).unwrap();
    let data = dir.path().join("data");
    let parts = [
        "tachograph.toml",
        "lisen: unknown key; did you mean listen?",
        "log: ",
        "archive.seal_job: unknown key; did you mean archive.seal_jobs?",
        "archive.value_encoding: ",
        "gitlab: unknown key",
    ];
    let check = ["config", "check", text(&file)];
    let serve = ["serve", "--config", text(&file), "--data-dir", text(&data)];
    let said = fails(&check, 64, &parts).await;
    assert_eq!(fails(&serve, 64, &parts).await, said);
    assert!(!data.exists(), "a wrong configuration touches nothing");

    std::fs::write(&file, "listen = [\n").unwrap();
    fails(&check, 64, &["not TOML"]).await;
    std::fs::remove_file(&file).unwrap();
    fails(
        &check,
        64,
        &["tachograph.toml cannot be read", "No such file"],
    )
    .await;
}

#[tokio::test]
async fn the_example_is_in_order_and_the_documents_are_printed() {
    let example = run(&["config", "example"]).await;
    assert!(example.status.success());
    assert_eq!(stdout(&example), tachograph::config::example());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("example.toml");
    std::fs::write(&file, &example.stdout).unwrap();
    let checked = run(&["config", "check", text(&file)]).await;
    assert!(checked.status.success(), "{}", stderr(&checked));
    assert_eq!(stdout(&checked), "the configuration is in order\n");

    let printed = run(&["openapi"]).await;
    let printed: serde_json::Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(
        printed,
        serde_json::to_value(tachograph::http::openapi()).unwrap()
    );
    let version = run(&["--version"]).await;
    assert_eq!(
        stdout(&version),
        concat!("tachograph ", env!("CARGO_PKG_VERSION"), "\n")
    );
    for wrong in [&["serv"][..], &["serve", "--port", "1"], &["config"], &[]] {
        assert_eq!(run(wrong).await.status.code(), Some(2), "{wrong:?}");
    }
}
