//! The sealed files as a stranger reads them, and the index's word on which files there are.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tachograph::index::Index;
use tachograph::index::keys::segments::Segments;

/// What all sealed files hold together.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    /// Times of the rows by public id.
    pub(super) jobs: BTreeMap<u64, Vec<i64>>,
    pub(super) rows: usize,
    pub(super) segments: usize,
}

/// Reads every file of a data directory that nobody holds. Fails if a job stands in two rows of the
/// jobs table, if samples belong to no job, or if there is a file that the index does not name.
pub(super) fn read(data: &Path) -> Sealed {
    let [samples, jobs] = ["samples", "jobs"].map(|table| files(&data.join("tables").join(table)));
    assert_eq!(named(data), samples.keys().cloned().collect());
    assert_eq!(named(data), jobs.keys().cloned().collect());
    let mut sealed = Sealed {
        segments: jobs.len(),
        ..Sealed::default()
    };
    for (name, jobs_file) in &jobs {
        let rows = rows_by_job(&samples[name]);
        let mut used = 0;
        for (key, id) in jobs_in(jobs_file) {
            let times = rows.get(&key).cloned().unwrap_or_default();
            used += times.len();
            let before = sealed.jobs.insert(id, times);
            assert!(before.is_none(), "job {id} is sealed twice");
        }
        let all: usize = rows.values().map(Vec::len).sum();
        assert_eq!(used, all, "{name}: samples without a job");
        sealed.rows += all;
    }
    sealed
}

/// `date=.../name` of every file below a table, with its path.
fn files(table: &Path) -> BTreeMap<String, PathBuf> {
    let entries = |dir: &Path| {
        let entries = std::fs::read_dir(dir).unwrap();
        entries
            .map(|entry| entry.unwrap().path())
            .collect::<Vec<_>>()
    };
    let dates = entries(table);
    let all = dates.iter().flat_map(|date| entries(date));
    all.map(|path| {
        let name = path.strip_prefix(table).unwrap().display().to_string();
        (name, path)
    })
    .collect()
}

/// The files that the index names.
fn named(data: &Path) -> BTreeSet<String> {
    let index = Index::open(&data.join("index")).unwrap();
    let mut names = BTreeSet::new();
    let all = index.snapshot().scan::<Segments>(&[], None, |id, entry| {
        let file = format!("{:05}-{:010}.parquet", entry.info.archiver, id.seq);
        names.insert(format!("date={}/{file}", id.date));
        Ok(true)
    });
    all.unwrap();
    names
}

/// Calls `each` with the batches of some columns of a file.
fn read_columns(path: &Path, columns: &[&str], mut each: impl FnMut(&arrow_array::RecordBatch)) {
    let file = std::fs::File::open(path).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    for batch in builder.with_projection(mask).build().unwrap() {
        each(&batch.unwrap());
    }
}

fn rows_by_job(samples: &Path) -> BTreeMap<i64, Vec<i64>> {
    let mut rows: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    read_columns(samples, &["job", "ts"], |batch| {
        let jobs = batch.column_by_name("job").unwrap();
        let times = batch.column_by_name("ts").unwrap();
        let jobs = jobs.as_primitive::<Int64Type>().values();
        let times = times.as_primitive::<TimestampMicrosecondType>().values();
        for (job, micros) in jobs.iter().zip(times) {
            rows.entry(*job).or_default().push(micros / 1_000);
        }
    });
    rows
}

/// Key and public id of every row of a jobs file.
fn jobs_in(jobs: &Path) -> Vec<(i64, u64)> {
    let mut found = Vec::new();
    read_columns(jobs, &["job", "job_id"], |batch| {
        let keys = batch.column_by_name("job").unwrap();
        let ids = batch.column_by_name("job_id").unwrap();
        let keys = keys.as_primitive::<Int64Type>().values();
        let ids = ids.as_string::<i32>().iter();
        found.extend(keys.iter().zip(ids).map(|(key, id)| {
            let id = id.and_then(|id| id.parse().ok());
            (*key, id.expect("a job with an id of ours"))
        }));
    });
    found
}
