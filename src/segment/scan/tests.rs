//! Files written by both writers, read as columns and compared cell by cell with the rows.

use super::*;
use crate::model::archived::SummarisedRow;
use crate::segment::digest::Digests;
use crate::segment::dir::{DataDir, Table};
use crate::segment::jobs;
use crate::segment::properties::ValueEncoding;
use crate::segment::samples::SamplesWriter;
use crate::testkit::jobs::archived_job;
use crate::time::Date;
use arrow_array::Array as _;

struct Files {
    _dir: tempfile::TempDir,
    jobs: VerifiedFile,
    samples: VerifiedFile,
    rows: Vec<Arc<SummarisedRow>>,
    profiles: Vec<(
        crate::model::archived::RowKeys,
        crate::model::profile::Profile,
    )>,
}

fn files(encoding: ValueEncoding, count: u64) -> Files {
    files_with(encoding, count, None)
}

/// With one bit of the samples file flipped, at that byte.
fn files_with(encoding: ValueEncoding, count: u64, flipped: Option<usize>) -> Files {
    let mut all: Vec<_> = (0..count)
        .map(|seed| {
            archived_job(
                seed,
                i64::try_from(seed % 5).unwrap(),
                usize::try_from(seed % 40).unwrap(),
            )
        })
        .collect();
    all.sort_by_key(|job| (job.row.keys.project, job.row.keys.job));
    let mut writer = SamplesWriter::new(encoding, 3).unwrap();
    for job in &all {
        writer.push(job.row.keys, &job.profile).unwrap();
    }
    let mut built = writer.finish().unwrap();
    let mut rows: Vec<SummarisedRow> = all
        .iter()
        .map(|job| SummarisedRow::compute(job.row.clone(), &job.profile))
        .collect();
    rows.sort_by(jobs::order);
    let built_jobs = jobs::build(&rows, &built.digests, encoding, 3).unwrap();
    if let Some(at) = flipped {
        built.bytes[at] ^= 4;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = DataDir::open(dir.path()).unwrap();
    let open = |table, bytes: &[u8], digests: Digests| {
        data.write_durably(table, Date(1), "a.parquet", bytes)
            .unwrap();
        VerifiedFile::open(
            data.open_file(table, Date(1), "a.parquet").unwrap(),
            digests,
        )
        .unwrap()
    };
    Files {
        samples: open(Table::Samples, &built.bytes, built.digests.clone()),
        jobs: open(Table::Jobs, &built_jobs.bytes, built_jobs.digests.clone()),
        _dir: dir,
        rows: rows.into_iter().map(Arc::new).collect(),
        profiles: all
            .into_iter()
            .map(|job| (job.row.keys, job.profile))
            .collect(),
    }
}

#[test]
fn every_column_of_both_files_is_what_the_rows_say() {
    for encoding in [ValueEncoding::Native, ValueEncoding::Compatible] {
        let files = files(encoding, 2_500);
        let mut scratch = Scratch::new().unwrap();
        let mut group = GroupScan::new(&files.samples, 0).unwrap();
        let all = 0..group.rows();
        for leaf in 0..sample_columns().len() {
            let whole = sample_cells(leaf, &files.profiles).unwrap();
            for rows in [
                all.clone(),
                0..1,
                8_190..8_195,
                8_192..16_384,
                all.end - 3..all.end,
            ] {
                let read = group.column(&mut scratch, leaf, rows.clone()).unwrap();
                assert_eq!(
                    &read,
                    &whole.slice(rows.start, rows.len()),
                    "column {leaf} {rows:?}"
                );
            }
        }
        let mut group = GroupScan::new(&files.jobs, 0).unwrap();
        let scalars = job_columns().len() - 4;
        for leaf in 0..job_columns().len() {
            let whole = job_cells(leaf, &files.rows).unwrap();
            for rows in [0..2_500, 1_000..1_100, 2_499..2_500] {
                let read = if leaf < scalars {
                    group.column(&mut scratch, leaf, rows.clone()).unwrap()
                } else {
                    let name = &job_columns()[leaf].name;
                    read_list(&files.jobs, 0, name, rows.clone())
                        .unwrap()
                        .unwrap()
                };
                assert_eq!(
                    &read,
                    &whole.slice(rows.start, rows.len()),
                    "column {leaf} {rows:?}"
                );
            }
        }
    }
}

#[test]
fn bounds_hold_for_every_page() {
    let files = files(ValueEncoding::Native, 2_500);
    let mut scratch = Scratch::new().unwrap();
    let mut group = GroupScan::new(&files.samples, 0).unwrap();
    for leaf in [0, 1, 4, 6, 13] {
        let whole = group_bounds(&files.samples, 0, leaf).unwrap();
        for (rows, bounds) in page_bounds(&files.samples, 0, leaf).unwrap() {
            let cells = group.column(&mut scratch, leaf, rows).unwrap();
            let cells = arrow_select::filter::filter(&cells, &not_null(&cells)).unwrap();
            let mut ints: Vec<i64> = match cells.data_type() {
                DataType::Int32 => arrow_array::cast::AsArray::as_primitive::<
                    arrow_array::types::Int32Type,
                >(&cells)
                .values()
                .iter()
                .map(|v| i64::from(*v))
                .collect(),
                _ => arrow_array::cast::AsArray::as_primitive::<arrow_array::types::Int64Type>(
                    &cells,
                )
                .values()
                .to_vec(),
            };
            ints.sort_unstable();
            assert_eq!(bounds.min, ints.first().map(|v| Bound::Int(*v)));
            assert_eq!(bounds.max, ints.last().map(|v| Bound::Int(*v)));
            let (Some(Bound::Int(low)), Some(Bound::Int(high))) = (&whole.min, &whole.max) else {
                panic!("no bounds of column {leaf}");
            };
            assert!(low <= ints.first().unwrap() && high >= ints.last().unwrap());
        }
    }
    assert_eq!(
        page_bounds(&files.samples, 0, 12),
        None,
        "a column without values"
    );
}

fn not_null(cells: &ArrayRef) -> arrow_array::BooleanArray {
    (0..cells.len())
        .map(|row| Some(cells.is_valid(row)))
        .collect()
}

#[test]
fn a_flipped_bit_is_an_error_and_never_a_value() {
    let files = files_with(ValueEncoding::Native, 300, Some(200));
    let mut scratch = Scratch::new().unwrap();
    let mut group = GroupScan::new(&files.samples, 0).unwrap();
    let rows = 0..group.rows();
    let failed = (0..sample_columns().len())
        .filter(|leaf| group.column(&mut scratch, *leaf, rows.clone()).is_err())
        .count();
    assert_eq!(failed, 1);
}
