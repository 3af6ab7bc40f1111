//! An operator's work on the real binary: a backup while it runs, a restored archive, verification,
//! a new index, and what each of them says.

use crate::crash::service::Service;
use crate::proof_support::Api;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

const JOBS: usize = 40;

fn tachograph(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tachograph"))
        .args(args)
        .output()
        .unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn said(output: &Output) -> String {
    let parts = [&output.stdout, &output.stderr];
    parts
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .concat()
}

/// Polls until the last operation of that kind is over.
async fn done(api: &Api, path: &str) -> Value {
    for _ in 0..600 {
        let status = api.get(path).await;
        if status["state"] != "running" {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} never ends");
}

#[tokio::test]
async fn an_archive_is_backed_up_restored_verified_and_indexed_anew() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name);
    let (data, backups, config) = (path("data"), path("backups"), path("config.toml"));
    let toml = format!("[backup]\nfolder = {:?}\n", text(&backups));
    std::fs::write(&config, toml).unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_tachograph"));
    let more = [OsStr::new("--config"), config.as_os_str()];
    let mut service = Service::spawn_with(binary, &data, &more);
    let (address, _) = service.ready().await;
    let api = Api::new(address);
    for number in 0..JOBS {
        let body = json!({"project": "acme/app", "status": "canceled", "name": "unit"});
        let put = api.put(&format!("/jobs/ci/{number}"), &body).await;
        assert_eq!(put.unwrap(), 202);
    }
    let (status, _) = api
        .post_json("/admin/backup", &json!({"name": "../x"}))
        .await;
    assert_eq!(status, 400);
    let (status, _) = api
        .post_json("/admin/backup", &json!({"name": "first"}))
        .await;
    assert_eq!(status, 202);
    let made = done(&api, "/admin/backup").await;
    assert_eq!(made["state"], "done", "{made}");
    let (status, _) = api
        .post_json("/admin/backup", &json!({"name": "first"}))
        .await;
    assert_eq!(status, 202);
    let again = done(&api, "/admin/backup").await;
    assert_eq!(again["state"], "failed", "the folder is taken: {again}");
    let (status, _) = api.post_json("/admin/verify", &json!({"deep": true})).await;
    assert_eq!(status, 202);
    let found = done(&api, "/admin/verify").await;
    assert_eq!(found["verification"]["broken"], 0, "{found}");
    let _ended = service.kill().await;

    let (backup, restored) = (backups.join("first"), path("restored"));
    let output = tachograph(&["restore", "--verify", text(&backup), text(&restored)]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("everything holds"),
        "{}",
        said(&output)
    );
    let output = tachograph(&["restore", text(&backup), text(&restored)]);
    assert_eq!(output.status.code(), Some(73), "{}", said(&output));
    std::fs::remove_file(backup.join("MANIFEST.json")).unwrap();
    let output = tachograph(&["restore", text(&backup), text(&path("other"))]);
    assert_eq!(output.status.code(), Some(65), "{}", said(&output));

    let offline = path("offline");
    let output = tachograph(&["backup", "--copy", text(&restored), text(&offline)]);
    assert!(output.status.success(), "{}", said(&output));
    let output = tachograph(&["reindex", "--json", text(&restored)]);
    assert!(output.status.success(), "{}", said(&output));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made["kept_records"], JOBS);
    assert_eq!(made["lost"], json!([]));
    let output = tachograph(&["verify", "--data-dir", text(&restored)]);
    assert!(output.status.success(), "{}", said(&output));
}

#[tokio::test]
async fn without_a_folder_there_is_no_backup_over_the_api() {
    let root = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_tachograph"));
    let mut service = Service::spawn_with(binary, root.path(), &[]);
    let (address, _) = service.ready().await;
    let api = Api::new(address);
    let (status, problem) = api
        .post_json("/admin/backup", &json!({"name": "first"}))
        .await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("backup_not_configured"))
    );
    let _ended = service.kill().await;
}
