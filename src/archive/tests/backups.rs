//! Backups, made while jobs come in, and what is restored from them.
//!
//! `TACHOGRAPH_BACKUPS=50 cargo test ... backups -- --nocapture` makes so many.

use super::*;
use crate::archive::{Copying, EraseTarget, manifest, restore, restore_segment};
use crate::model::erasure::Fields;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicI64;
use std::time::{Duration, Instant};

/// Jobs per second beside the backups.
const LOAD: u64 = 200;
const ROWS: i64 = 6;

fn open(root: &Path) -> Bench {
    let root = root.to_owned();
    let archive = Archive::open(&root, Settings::default(), SystemClock::shared()).unwrap();
    Bench {
        root: tempfile::tempdir().unwrap(),
        archive: Some(archive),
        clock: SystemClock::shared(),
    }
}

/// Archives jobs at a steady rate until told to stop, and seals now and then. It rests while what was
/// restored is checked: that is long, and no part of the proof.
fn load(bench: &Bench, archived: &AtomicI64, [stop, rest]: [&AtomicBool; 2]) {
    let mut number = 0;
    while !stop.load(Ordering::Acquire) {
        let began = Instant::now();
        if rest.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        bench.archived(number, ROWS);
        number += 1;
        archived.store(number, Ordering::Release);
        if number % 300 == 0 {
            bench.archive().seal_all().unwrap();
        }
        std::thread::sleep(Duration::from_millis(1_000 / LOAD).saturating_sub(began.elapsed()));
    }
}

fn check_restored(backup: &Path, root: &Path, before: i64) {
    restore(backup, root, None, |_, _| {}).unwrap();
    let restored = open(root);
    let found = restored.archive().verify(true, |_, _| {}).unwrap();
    assert_eq!(found.problems, []);
    assert!(found.sealed_jobs + found.staged_jobs >= u64::try_from(before).unwrap());
    for number in (0..before).step_by(7) {
        assert_eq!(
            restored.read(number).1,
            profile_as_read(number),
            "job {number}"
        );
    }
}

/// A profile as it is read: without columns that hold nothing.
fn profile_as_read(number: i64) -> Profile {
    let mut profile = profile(number, ROWS);
    profile
        .columns
        .retain(|_, cells| cells.iter().any(Option::is_some));
    profile
}

#[test]
fn every_backup_under_load_is_a_whole_archive() {
    let count = std::env::var("TACHOGRAPH_BACKUPS").map_or(2, |count| count.parse().unwrap());
    let (bench, places) = (Bench::new(), tempfile::tempdir().unwrap());
    let archived = AtomicI64::new(0);
    let [stop, rest] = [AtomicBool::new(false), AtomicBool::new(false)];
    std::thread::scope(|scope| {
        let loader = scope.spawn(|| load(&bench, &archived, [&stop, &rest]));
        for round in 0..count {
            let target = archived.load(Ordering::Acquire) + 100;
            while archived.load(Ordering::Acquire) < target {
                assert!(!loader.is_finished(), "the load broke off");
                std::thread::sleep(Duration::from_millis(5));
            }
            let before = archived.load(Ordering::Acquire);
            let to = places.path().join(format!("backup-{round}"));
            let copying = [Copying::Link, Copying::Copy][round % 2];
            let began = Instant::now();
            let made = bench.archive().backup(&to, copying, |_, _| true).unwrap();
            let took = began.elapsed();
            assert_eq!(made.left_out, Vec::<String>::new());
            let root = places.path().join(format!("restored-{round}"));
            rest.store(true, Ordering::Release);
            check_restored(&to, &root, before);
            rest.store(false, Ordering::Release);
            println!(
                "backup {round}: {before} jobs before it, {} segments, {} files, {} KiB in {took:?}",
                made.segments,
                made.files,
                made.bytes >> 10
            );
            std::fs::remove_dir_all(&root).unwrap();
            std::fs::remove_dir_all(&to).unwrap();
        }
        stop.store(true, Ordering::Release);
        loader.join().unwrap();
    });
    println!("{count} backups at {LOAD} jobs/s, each restored and verified");
}

/// An archive with a segment and a staged job, and its backup.
fn backed_up(places: &Path) -> (Bench, PathBuf) {
    let bench = Bench::new();
    bench.archived(0, ROWS);
    bench.archive().seal_all().unwrap();
    bench.archived(1, ROWS);
    let to = places.join("backup");
    let progress = |_, _| true;
    bench
        .archive()
        .backup(&to, Copying::Copy, progress)
        .unwrap();
    (bench, to)
}

#[test]
fn a_backup_that_is_not_whole_is_refused_and_leaves_nothing() {
    let places = tempfile::tempdir().unwrap();
    let (_bench, backup) = backed_up(places.path());
    let root = places.path().join("data");
    let refused = |code: &str| {
        let error = restore(&backup, &root, None, |_, _| {}).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        let left = std::fs::read_dir(&root).unwrap().count();
        assert_eq!(left, 0, "something was restored");
    };
    let files = manifest(&backup).unwrap().files;
    for file in &files {
        let path = backup.join(&file.path);
        let sound = std::fs::read(&path).unwrap();
        let mut bytes = sound.clone();
        match bytes.last_mut() {
            Some(last) => *last ^= 1,
            None => bytes.push(1),
        }
        std::fs::write(&path, &bytes).unwrap();
        refused("backup_damaged");
        std::fs::write(&path, &sound).unwrap();
    }
    let path = backup.join("MANIFEST.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let outside = text.replacen("\"FORMAT\"", "\"../FORMAT\"", 1);
    std::fs::write(&path, outside).unwrap();
    refused("backup_damaged");
    std::fs::write(&path, &text[..text.len() / 2]).unwrap();
    refused("backup_incomplete");
    std::fs::remove_file(&path).unwrap();
    refused("backup_incomplete");
    std::fs::write(&path, text).unwrap();
    check_restored(&backup, &root, 2);
}

#[test]
fn a_backup_goes_into_an_empty_folder_only_and_leaves_out_what_is_damaged() {
    let places = tempfile::tempdir().unwrap();
    let (bench, backup) = backed_up(places.path());
    let again = bench.archive().backup(&backup, Copying::Link, |_, _| true);
    assert_eq!(again.unwrap_err().code(), "folder_not_empty");
    bench.archive().seal_all().unwrap();
    let first = &bench.files()[0];
    std::fs::remove_file(first).unwrap();
    let to = places.path().join("second");
    let made = bench.archive().backup(&to, Copying::Copy, |_, _| true);
    let made = made.unwrap();
    assert_eq!((made.segments, made.left_out.len()), (1, 1));
    let ended = places.path().join("third");
    let error = bench.archive().backup(&ended, Copying::Copy, |_, _| false);
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(manifest(&ended).is_err());
}

#[test]
fn the_files_of_one_segment_come_back_from_a_backup() {
    let places = tempfile::tempdir().unwrap();
    let (mut bench, backup) = backed_up(places.path());
    let damaged = bench.files().remove(0);
    bench.closed(|_| std::fs::write(&damaged, b"no parquet").unwrap());
    assert_eq!(bench.archive().scrub_due().unwrap().problems, 1);
    assert_eq!(bench.read(0).0.reason, Some(Reason::Quarantined));
    let id = bench.closed(|root| {
        let missing = restore_segment(&backup, root, 99).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        restore_segment(&backup, root, 1).unwrap()
    });
    assert!(bench.archive().take_back(id).unwrap());
    assert_eq!(bench.read(0).1, profile_as_read(0));
    let found = bench.archive().verify(true, |_, _| {}).unwrap();
    assert_eq!(found.problems, []);
    // A damaged file is replaced, a sound one stays.
    std::fs::write(&damaged, b"no parquet").unwrap();
    for _ in 0..2 {
        bench.closed(|root| restore_segment(&backup, root, 1).unwrap());
        assert_eq!(bench.read(0).1, profile_as_read(0));
    }
}

#[test]
fn names_of_backups_stay_below_their_folder() {
    let place = |name: &str| Archive::backup_place(Path::new("/b"), name);
    assert_eq!(place("2026-11-28").unwrap(), Path::new("/b/2026-11-28"));
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "a\\b",
        ".hidden",
        "a b",
        &"x".repeat(101),
    ] {
        assert!(place(name).is_err(), "{name}");
    }
}

#[test]
fn what_was_erased_since_the_backup_stays_erased() {
    let places = tempfile::tempdir().unwrap();
    let (mut bench, backup) = backed_up(places.path());
    let target = EraseTarget::Job(job(0));
    bench.archive().erase(&target, Fields::default()).unwrap();
    let newer = bench.closed(|root| root.to_owned());
    let root = places.path().join("data");
    let restored = restore(&backup, &root, Some(&newer), |_, _| {}).unwrap();
    assert!(restored.tombstones > 0);
    let restored = open(&root);
    let find = |number| {
        let found = restored
            .archive()
            .find(&Scope::local_operator(), &job(number));
        found.unwrap().is_some()
    };
    assert!(!find(0) && find(1));
}
