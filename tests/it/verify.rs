//! `tachograph verify` finds each kind of damage, and nothing in a sound archive.

use crate::support::{World, fleet_job, report, with};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tachograph::index::keys::by_time::ByTime;
use tachograph::index::keys::ids::Ids;
use tachograph::index::keys::jobs::{JobEntry, Jobs, SealedJob};
use tachograph::index::keys::obsolete::{Obsolete, ObsoleteSegments};
use tachograph::index::keys::pending::{Pending, PendingKey};
use tachograph::index::keys::segments::{SegmentEntry, SegmentId, Segments};
use tachograph::index::keys::staged::Staged;
use tachograph::index::{Changes, Family, Index};
use tachograph::model::id::JobKey;
use tachograph::segment::VerifiedFile;
use tachograph::segment::digest::Digests;
use tachograph::segment::dir::{DataDir, Table};
use tachograph::segment::jobs::{self, JobsFile};
use tachograph::segment::properties::ValueEncoding;
use tachograph::segment::samples::{self, SamplesWriter};
use tachograph::time::TimestampMs;
use tokio::process::Command;

/// Three sealed jobs, a staged one, one without samples, and one that waits for its runner.
async fn archive() -> (PathBuf, tempfile::TempDir) {
    let world = World::start().await;
    for number in 0..3 {
        let id = number.to_string();
        world.archive(&id, &report(fleet_job(number))).await;
    }
    assert_eq!(world.api().seal().await["jobs"], 3);
    world.archive("staged", &report(fleet_job(3))).await;
    let unknown = with(report(fleet_job(4)), json!({ "runner_id": 7 }));
    world.api().report("pending", &unknown).await;
    let waits = world
        .api()
        .job_when("pending", "pending", "waiting_for_runner");
    waits.await;
    world.into_data().await
}

/// What `verify` says, and its exit code.
async fn verify(data: &Path) -> (Value, i32) {
    let output = Command::new(env!("CARGO_BIN_EXE_tachograph"))
        .args(["verify", "--deep", "--json", "--data-dir"])
        .arg(data)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let found = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    (found, output.status.code().unwrap())
}

#[tokio::test]
async fn a_sound_archive_holds() {
    let (data, _dir) = archive().await;
    let (found, code) = verify(&data).await;
    assert_eq!(code, 0, "{found}");
    assert_eq!(found["broken"], 0);
    let counted =
        ["sealed_jobs", "staged_jobs", "pending_jobs", "segments"].map(|name| &found[name]);
    assert_eq!(counted, [3, 1, 1, 1]);
    assert!(found["sample_rows"].as_u64().unwrap() > 20);
}

#[tokio::test]
async fn a_folder_that_is_no_archive_is_refused_and_stays_empty() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tachograph"))
        .args(["verify", "--data-dir"])
        .arg(dir.path())
        .output()
        .await
        .unwrap();
    assert_eq!(output.status.code(), Some(66));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The one file of a table.
fn file(data: &Path, table: Table) -> PathBuf {
    let files = DataDir::open(data).unwrap().list(table).unwrap();
    assert_eq!(files.len(), 1);
    files[0].clone()
}

fn flip_a_bit(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// All entries of a family.
fn entries<F: Family>(index: &Index) -> Vec<(F::Key, F::Value)> {
    let mut entries = Vec::new();
    let all = index.snapshot().scan::<F>(&[], None, |key, value| {
        entries.push((key, value));
        Ok(true)
    });
    all.unwrap();
    entries
}

fn change(data: &Path, change: impl FnOnce(&Index, &mut Changes)) {
    let _held = DataDir::open(data).unwrap();
    let index = Index::open(&data.join("index")).unwrap();
    let mut changes = Changes::default();
    change(&index, &mut changes);
    assert!(!changes.is_empty());
    index.write(&changes).unwrap();
}

fn change_pointer(data: &Path, edit: impl FnOnce(&mut SealedJob)) {
    change(data, |index, changes| {
        let sealed = entries::<Jobs>(index)
            .into_iter()
            .find_map(|(key, entry)| match entry {
                JobEntry::Sealed(sealed) => Some((key, sealed)),
                JobEntry::Record(_) => None,
            });
        let (key, mut sealed) = sealed.unwrap();
        edit(&mut sealed);
        changes
            .put::<Jobs>(&key, &JobEntry::Sealed(sealed))
            .unwrap();
    });
}

fn lose<F: Family>(data: &Path) {
    change(data, |index, changes| {
        let entries = entries::<F>(index);
        changes.delete::<F>(&entries.first().unwrap().0);
    });
}

/// Writes a segment anew, with sound digests, in which every sample is one more than summarised.
fn seal_other_samples(data: &Path) {
    let dir = DataDir::open(data).unwrap();
    let index = Index::open(&data.join("index")).unwrap();
    let (id, entry): (SegmentId, SegmentEntry) = entries::<Segments>(&index).remove(0);
    let name = format!("{:05}-{:010}.parquet", entry.info.archiver, id.seq);
    let digests = Digests::decode(&entry.jobs_digests).unwrap();
    let open = |table| dir.open_file(table, id.date, &name).unwrap();
    let old = JobsFile::new(VerifiedFile::open(open(Table::Jobs), digests).unwrap());
    let old_samples = old.samples_digests().unwrap();
    let old_samples = VerifiedFile::open(open(Table::Samples), old_samples).unwrap();
    let rows = old
        .read_range(0, usize::try_from(entry.info.jobs).unwrap())
        .unwrap();
    let mut by_key = rows.clone();
    by_key.sort_by_key(|row| (row.row.keys.project, row.row.keys.job));
    let mut writer = SamplesWriter::new(ValueEncoding::Native, 3).unwrap();
    for row in &by_key {
        let sealed = entries::<Jobs>(&index)
            .into_iter()
            .find_map(|(key, entry)| match entry {
                JobEntry::Sealed(sealed) if key == row.row.keys.job => Some(sealed),
                _ => None,
            });
        let mut profile = samples::read(&old_samples, sealed.unwrap().sample_rows()).unwrap();
        for cell in profile.columns.values_mut().flatten().flatten() {
            *cell += 1;
        }
        writer.push(row.row.keys, &profile).unwrap();
    }
    let samples = writer.finish().unwrap();
    let jobs = jobs::build(&rows, &samples.digests, ValueEncoding::Native, 3).unwrap();
    for (table, bytes) in [(Table::Samples, &samples.bytes), (Table::Jobs, &jobs.bytes)] {
        std::fs::write(dir.file_path(table, id.date, &name), bytes).unwrap();
    }
    let mut changes = Changes::default();
    let entry = SegmentEntry {
        jobs_digests: jobs.digests.encode(),
        ..entry
    };
    changes.put::<Segments>(&id, &entry).unwrap();
    index.write(&changes).unwrap();
}

/// What is done to an archive.
type Damage = fn(&Path);

const DAMAGES: &[(&str, &str, Damage)] = &[
    ("AR-1", "is missing", |data| {
        std::fs::remove_file(file(data, Table::Samples)).unwrap()
    }),
    ("AR-2", "points to another row", |data| {
        change_pointer(data, |sealed| sealed.jobs_row += 1)
    }),
    ("AR-2", "point into segment", |data| {
        change_pointer(data, |sealed| sealed.segment += 9)
    }),
    (
        "AR-2",
        "staged profile of job gitlab/staged is missing",
        lose::<Staged>,
    ),
    ("AR-3", "waits and is not in the queue", lose::<Pending>),
    ("AR-3", "the queue names", |data| {
        change(data, |_, changes| {
            let key = PendingKey {
                due: TimestampMs(5),
                job: JobKey(99),
            };
            changes.put::<Pending>(&key, &()).unwrap();
        });
    }),
    ("AR-5", "does not match its digest", |data| {
        flip_a_bit(&file(data, Table::Samples))
    }),
    ("AR-5", "does not match its digest", |data| {
        flip_a_bit(&file(data, Table::Jobs))
    }),
    ("AR-6", "is not that of its samples", seal_other_samples),
    ("AR-7", "is to be removed and is still needed", |data| {
        change(data, |index, changes| {
            let (id, entry) = entries::<Segments>(index).remove(0);
            let obsolete = Obsolete {
                archiver: entry.info.archiver,
                since: TimestampMs(0),
                until: TimestampMs(i64::MAX),
            };
            changes.put::<ObsoleteSegments>(&id, &obsolete).unwrap();
        });
    }),
    ("AR-8", "not in the rows that its entry names", |data| {
        change_pointer(data, |sealed| sealed.first_row += 1);
    }),
    ("AR-8", "not in the rows that its entry names", |data| {
        change_pointer(data, |sealed| sealed.rows = 0);
    }),
    ("AR-11", "is not found by its name", lose::<Ids>),
    ("AR-11", "is missing in a list", lose::<ByTime>),
];

#[tokio::test]
async fn every_kind_of_damage_is_named() {
    let (data, dir) = archive().await;
    for (number, (invariant, part, damage)) in DAMAGES.iter().enumerate() {
        let copied = dir.path().join(format!("copy-{number}"));
        copy(&data, &copied);
        damage(&copied);
        let (found, code) = verify(&copied).await;
        assert_eq!(code, 65, "{invariant} {part}: {found}");
        let problems = found["problems"].as_array().unwrap();
        let named = problems.iter().any(|problem| {
            problem["invariant"] == *invariant
                && problem["message"].as_str().unwrap().contains(part)
        });
        assert!(named, "{invariant} {part}: {found}");
        assert_eq!(found["broken"], problems.len());
    }
}
