//! Segments: one immutable pair of Parquet files, `samples` and `jobs`, of one date; and a third,
//! `samples_5m`, once samples of it expired.
//!
//! Called by `archive` alone; knows no RocksDB. A file is written once, in memory, then made durable
//! by [`dir`]; it never changes (AR-4). Same input gives the same bytes (AR-9). Every page that is
//! read is checked against its digest first (AR-5): arrow-rs writes no page checksums, and 90 to 98 %
//! of single-bit flips in a Parquet file are silently wrong values.

mod cells;
mod chunk;
pub mod coarse;
mod columns;
mod compress;
pub mod copy;
pub mod digest;
pub mod dir;
mod encode;
mod footer;
mod job_cells;
mod job_columns;
mod job_lists;
pub mod jobs;
pub mod jobs_merge;
mod jobs_read;
mod leaf;
pub mod mark;
mod own_digest;
mod packed;
mod page_index;
mod pages;
pub mod properties;
pub mod runs;
pub mod samples;
mod samples_schema;
mod samples_write;
pub mod scan;
pub mod search;
pub mod sum;
mod thrift;
mod value;
mod verified;
mod whole;

pub use own_digest::{Vouched, read_alone};
pub use page_index::PageBounds;
pub use verified::{DigestsAgain, VerifiedFile, kept};
pub use whole::{Footers, PageStore};

use crate::error::Error;

/// Version of the files' layout, in the footer of each under `tachograph.format`.
pub const FORMAT: &str = "1.0";
/// Footer key of [`FORMAT`].
pub const FORMAT_KEY: &str = "tachograph.format";
/// Footer key, in a jobs file, of the digests of the samples file of the same name.
pub const SAMPLES_DIGESTS_KEY: &str = "tachograph.samples_digests";

/// Footer key, in a jobs file, of the digests of the samples_5m file of the same name, if there is one.
pub const SAMPLES_5M_DIGESTS_KEY: &str = "tachograph.samples_5m_digests";

fn parquet_error(what: &'static str) -> impl FnOnce(parquet::errors::ParquetError) -> Error {
    move |error| {
        Error::data(
            "segment_file",
            format!("a segment file failed while {what}"),
        )
        .with_source(error)
    }
}
