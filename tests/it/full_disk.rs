//! A full disk, again and again: reads stay up, new work is refused, and work goes on by itself when
//! space returns. Needs the right to mount a small file system in memory.
//!
//! `TACHOGRAPH_FULL_DISKS=20 cargo test --features testkit --test it full_disk -- --nocapture`
#![expect(
    clippy::disallowed_methods,
    reason = "fills a disk, and reads how often from the environment"
)]

use crate::crash::service::Service;
use crate::proof_support::Api;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const SIZE: &str = "size=256m";
const SECTIONS: usize = 1_500;
const RESERVE_BYTES: u64 = 16 << 20;
/// What the service may need to notice that space has returned.
const RECOVERY: Duration = Duration::from_secs(10);

/// A small file system; it is unmounted when dropped.
struct Disk {
    place: tempfile::TempDir,
}

impl Disk {
    /// `None` where mounting is not allowed.
    fn mounted() -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", SIZE, "tmpfs"])
            .arg(place.path())
            .output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        mounted.then_some(Self { place })
    }

    fn filler(&self) -> PathBuf {
        self.place.path().join("filler")
    }

    /// Writes until nothing more fits.
    fn fill(&self) {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.filler())
            .unwrap();
        for size in [1 << 20, 4_096, 1] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _best_effort = Command::new("umount")
            .arg("-l")
            .arg(self.place.path())
            .status();
    }
}

/// A job with so many sections that some hundred of them fill what RocksDB reserved for its log.
fn job(number: usize) -> (String, Value) {
    let sections: Vec<Value> = (0..SECTIONS)
        .map(|section| {
            json!({
                "name": format!("section_{number}_{section}_{}", "x".repeat(40)),
                "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:01:00Z",
            })
        })
        .collect();
    let body = json!({
        "project": "acme/app", "status": "canceled", "name": "unit", "sections": sections,
    });
    (format!("/jobs/ci/{number}"), body)
}

/// Reports jobs until one is refused; says how many were taken.
async fn until_refused(api: &Api, next: &mut usize) {
    for _ in 0..2_000 {
        let (path, body) = job(*next);
        match api.put(&path, &body).await.unwrap() {
            202 => *next += 1,
            503 => return,
            status => panic!("{status}"),
        }
    }
    panic!("nothing was refused on a full disk");
}

async fn until_taken(api: &Api, next: &mut usize) -> Duration {
    let began = Instant::now();
    loop {
        let (path, body) = job(*next);
        if api.put(&path, &body).await.unwrap() == 202 {
            *next += 1;
            return began.elapsed();
        }
        assert!(
            began.elapsed() < RECOVERY,
            "no work {RECOVERY:?} after space came back"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Reads everything that was acknowledged; each read must be answered.
async fn read_all(api: &Api, count: usize) {
    for number in (0..count).step_by(1 + count / 20) {
        let read = api.get(&format!("/jobs/ci/{number}")).await;
        assert_eq!(read["name"], "unit");
    }
    assert_eq!(
        api.get("/jobs?limit=5").await["jobs"]
            .as_array()
            .unwrap()
            .len(),
        count.min(5)
    );
}

async fn rounds(disk: &Disk, folder: &str, reserve: u64, rounds: usize) -> Vec<Duration> {
    let data = disk.place.path().join(folder);
    let config = disk.place.path().join(format!("{folder}.toml"));
    std::fs::write(&config, format!("[archive]\nreserve_bytes = {reserve}\n")).unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_tachograph"));
    let more = [OsStr::new("--config"), config.as_os_str()];
    let mut service = Service::spawn_with(binary, &data, &more);
    let (address, _) = service.ready().await;
    let api = Api::new(address);
    let (mut next, mut took) = (0, Vec::new());
    until_taken(&api, &mut next).await;
    for _ in 0..rounds {
        disk.fill();
        until_refused(&api, &mut next).await;
        read_all(&api, next).await;
        assert_eq!(api.status("/readyz").await, 503);
        disk.free();
        took.push(until_taken(&api, &mut next).await);
        read_all(&api, next).await;
    }
    assert_eq!(api.status("/readyz").await, 200);
    let acknowledged = next;
    drop(api);
    let _ended = service.kill().await;
    // What was acknowledged is there after a restart.
    let mut service = Service::spawn_with(binary, &data, &more);
    let (address, _) = service.ready().await;
    read_all(&Api::new(address), acknowledged).await;
    let _ended = service.kill().await;
    std::fs::remove_dir_all(&data).unwrap();
    took
}

#[tokio::test]
async fn a_full_disk_stops_new_work_only_and_never_for_good() {
    let Some(disk) = Disk::mounted() else {
        println!("skipped: no file system can be mounted here (needs root)");
        return;
    };
    let count = std::env::var("TACHOGRAPH_FULL_DISKS").map_or(4, |count| count.parse().unwrap());
    // With a reserve nothing fails; without one RocksDB itself meets the end of the disk.
    for (folder, reserve) in [("reserve", RESERVE_BYTES), ("none", 0)] {
        let took = rounds(&disk, folder, reserve, count / 2).await;
        let longest = took.iter().max().unwrap();
        println!(
            "{} full disks, {reserve} bytes in reserve: every read answered, work again after at most {longest:?}",
            took.len()
        );
    }
}
