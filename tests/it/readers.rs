//! What DuckDB, Polars, DataFusion and pyarrow see in our files is what we meant.
//!
//! The checks themselves are written in the engines' own languages: `tests/readers/check.py`. Nothing
//! is skipped: where the pinned engines cannot be installed, these tests fail and say so.
#![expect(clippy::disallowed_methods, reason = "a test's own files")]

mod archive;
mod outputs;

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};
use tachograph::model::metric::{Column, Kind};
use tachograph::segment::properties::ValueEncoding;

/// Runs a script of `tests/readers` in the pinned Python environment (`tools/pyenv` makes it once).
pub(crate) fn python(script: &str, args: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = Command::new(root.join("tools/pyenv")).output().unwrap();
    assert!(
        made.status.success(),
        "the foreign readers are missing and tools/pyenv could not install them: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    let python = String::from_utf8(made.stdout).unwrap();
    Command::new(python.trim())
        .arg(root.join("tests/readers").join(script))
        .args(args)
        .output()
        .unwrap()
}

/// Lets the foreign engines check files of ours; `spec` is described in `tests/readers/check.py`.
///
/// # Panics
/// At the first difference, with the checker's own words.
pub(crate) fn check(spec: &Value) {
    let checked = python("check.py", &[&spec.to_string()]);
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
    println!("{}", String::from_utf8_lossy(&checked.stdout).trim());
}

#[test]
fn the_checker_accepts_what_is_right_and_refuses_what_is_wrong() {
    let checked = python("selftest.py", &[]);
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
}

/// Counters whose total must be the sum of increment x share of the rows, in every engine.
fn usage() -> Vec<&'static str> {
    let unused = [archive::OVERFLOWN, Column::CpuThrottledSeconds];
    let counters = Column::ALL
        .into_iter()
        .filter(|column| column.spec().kind == Kind::Counter && !unused.contains(column));
    counters.map(Column::name).collect()
}

fn every_engine_reads_an_archive(encoding: ValueEncoding) {
    let root = tempfile::tempdir().unwrap();
    let (tables, jobs, rows) = archive::sealed(root.path(), encoding);
    assert!(jobs >= 300, "only {jobs} jobs");
    println!("{encoding:?}: {jobs} jobs, {rows} rows");
    check(&json!({
        "samples": tables.join("samples"),
        "jobs": tables.join("jobs"),
        "rows": {"samples": rows, "jobs": jobs},
        "usage": usage(),
        "cells": ["samples", "jobs"],
        "filled": {
            "samples": ["interval_ms", "cpu_user_seconds", "memory_used_bytes", "pressure_io_seconds"],
            "jobs": ["runner_tags", "sections", "gaps", "resets", "verdict", "cpu_used_cores_p95"],
        },
        "sorted": {
            "samples": ["project_key", "job", "part", "ts"],
            "jobs": ["project_key", "name", "started_at", "job"],
        },
    }));
}

#[test]
fn every_engine_reads_a_native_archive() {
    every_engine_reads_an_archive(ValueEncoding::Native);
}

#[test]
fn every_engine_reads_a_compatible_archive() {
    every_engine_reads_an_archive(ValueEncoding::Compatible);
}

fn every_engine_sums_large_values(encoding: ValueEncoding) {
    let root = tempfile::tempdir().unwrap();
    let (bytes, sums) = archive::large(encoding);
    let dir = root.path().join("samples/date=2026-03-01");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::write(dir.join("00000-0000000001.parquet"), &bytes).unwrap();
    println!("{encoding:?}: {} rows", archive::LARGE_ROWS);
    let sums = sums.iter().map(|(column, units)| {
        json!({"table": "samples", "column": column.name(), "units": units.to_string()})
    });
    check(&json!({
        "samples": root.path().join("samples"),
        "rows": {"samples": archive::LARGE_ROWS},
        "sums": sums.collect::<Vec<_>>(),
    }));
}

#[test]
fn every_engine_sums_five_million_large_native_values() {
    every_engine_sums_large_values(ValueEncoding::Native);
}

#[test]
fn every_engine_sums_five_million_large_compatible_values() {
    every_engine_sums_large_values(ValueEncoding::Compatible);
}
