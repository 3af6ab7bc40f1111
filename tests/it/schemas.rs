//! Everything that others rely on, as text under `schemas/`: a change of it is seen in review.
//!
//! `UPDATE=1 cargo test ... schemas` rewrites the files.

mod codes;
mod routes;

use crate::support::{World, fleet_job, report};
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;
use parquet::schema::printer::print_schema;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use tachograph::model::coarse::Coarse;
use tachograph::segment::coarse::CoarseWriter;
use tachograph::segment::properties::ValueEncoding;
use tachograph::testkit::jobs::archived_job;

pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Rust sources below a folder, by path.
pub(super) fn sources(dir: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![root().join(dir)];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

/// Compares with the file of that name, or writes it.
fn golden(name: &str, text: &str) {
    let path = root().join("schemas").join(name);
    if std::env::var("UPDATE").is_ok_and(|update| update == "1") {
        std::fs::create_dir_all(root().join("schemas")).unwrap();
        std::fs::write(&path, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = kept
        .lines()
        .zip(text.lines())
        .position(|(kept, now)| kept != now);
    let line = differs.unwrap_or(kept.lines().count().min(text.lines().count()));
    assert!(
        kept == text,
        "schemas/{name} is not what the program says, from line {}:\n- {}\n+ {}\n\
         if that is meant, UPDATE=1 cargo test --no-default-features --features testkit --test it schemas",
        line + 1,
        kept.lines().nth(line).unwrap_or("(end)"),
        text.lines().nth(line).unwrap_or("(end)"),
    );
}

/// Schema, order and footer keys of a file.
fn describe(path: &Path) -> String {
    let bytes = bytes::Bytes::from(std::fs::read(path).unwrap());
    let reader = SerializedFileReader::new(bytes).unwrap();
    let file = reader.metadata().file_metadata();
    let mut text = Vec::new();
    print_schema(&mut text, file.schema());
    let mut text = String::from_utf8(text).unwrap();
    let group = reader.metadata().row_group(0);
    let column = |index: i32| {
        let index = usize::try_from(index).unwrap();
        group.column(index).column_path().string()
    };
    let sorted = group.sorting_columns().unwrap().iter();
    let sorted: Vec<String> = sorted.map(|by| column(by.column_idx)).collect();
    writeln!(text, "\nsorted by {}", sorted.join(", ")).unwrap();
    for pair in file.key_value_metadata().unwrap() {
        let value = pair.value.as_deref().unwrap_or_default();
        // Digests are of this file alone.
        let value = if value.len() < 20 { value } else { "..." };
        writeln!(text, "footer {} = {value}", pair.key).unwrap();
    }
    text
}

#[tokio::test]
async fn the_files_of_a_real_seal_have_the_published_schemas() {
    let world = World::start().await;
    world.archive("1", &report(fleet_job(0))).await;
    assert_eq!(world.api().seal().await["segments"], 1);
    let date = fleet_job(0).window.to.date();
    for table in ["samples", "jobs"] {
        let dir = world.data_dir().join(format!("tables/{table}/date={date}"));
        let files: Vec<_> = std::fs::read_dir(dir).unwrap().collect();
        assert_eq!(files.len(), 1);
        let path = files[0].as_ref().unwrap().path();
        golden(&format!("{table}.parquet.txt"), &describe(&path));
    }
}

#[test]
fn what_samples_leave_behind_has_the_published_schema() {
    let job = archived_job(1, 7, 50);
    let mut writer = CoarseWriter::new(ValueEncoding::Native, 3).unwrap();
    writer
        .push(job.row.keys, &Coarse::of(&job.profile))
        .unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), writer.finish().unwrap().0.bytes).unwrap();
    golden("samples_5m.parquet.txt", &describe(file.path()));
}

#[test]
fn every_key_family_has_its_layout_in_writing() {
    let mut text = String::from("Key families of DATA/index (RocksDB), from src/index/keys.\n");
    let mut titles = String::new();
    for (path, source) in sources("src/index/keys") {
        if path.ends_with("mod.rs") {
            continue;
        }
        let docs: Vec<&str> = source
            .lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(str::trim)
            .collect();
        let layout = docs.join("\n");
        for word in ["Key:", "Value:"] {
            let by_family = layout.contains(": key ") && layout.contains("value JSON");
            assert!(
                layout.contains(word) || by_family,
                "{}: no {word}",
                path.display()
            );
        }
        titles.push_str(docs.first().unwrap());
        write!(text, "\n{layout}\n").unwrap();
    }
    for family in tachograph::index::keys::ALL {
        assert!(
            titles.contains(&format!("`{family}`")),
            "{family} is not described"
        );
    }
    golden("keys.txt", &text);
}

#[test]
fn the_interface_and_the_configuration_are_published() {
    let document = tachograph::http::openapi().to_pretty_json().unwrap();
    golden("openapi.json", &(document + "\n"));
    golden("config.toml", tachograph::config::example());
}
