//! A jobs file vouches for itself: its footer names the BLAKE3 digest of the file.
//!
//! The digests by which a jobs file is read stand in the index. When the index is lost, nothing would
//! tell a sound jobs file from a damaged one; so the footer's key `tachograph.file_digest` holds the
//! digest of the whole file, taken with 64 zeros in the place of its own digits (docs/adr/0021). The
//! samples file needs none: its digests stand in the jobs file.
//!
//! Called by `jobs` when a file is built, and by the archive when it has nothing but the file.

use super::digest::Digests;
use super::dir::ReadFile;
use super::parquet_error;
use crate::error::{Error, Result};
use crate::num;
use bytes::Bytes;
use parquet::file::metadata::{KeyValue, PageIndexPolicy, ParquetMetaDataReader};
use std::ops::Range;

/// Footer key of the digest.
const KEY: &str = "tachograph.file_digest";
/// Hexadecimal digits of a BLAKE3-256 digest.
const DIGITS: usize = 64;
/// Thrift's compact spelling between key and value: a text follows, of 64 bytes.
const TEXT_OF_64_BYTES: [u8; 2] = [0x18, 0x40];

/// The footer entry before the digest is known.
pub(super) fn placeholder() -> KeyValue {
    KeyValue::new(KEY.to_owned(), "0".repeat(DIGITS))
}

/// Where the digits stand: behind the last occurrence of the key, since the footer ends the file.
fn place(file: &[u8]) -> Option<Range<usize>> {
    let mark = [KEY.as_bytes(), &TEXT_OF_64_BYTES].concat();
    let at = file
        .windows(mark.len())
        .rposition(|window| window == mark)?;
    let start = at + mark.len();
    (start + DIGITS <= file.len()).then_some(start..start + DIGITS)
}

/// The digest of a file in which the digits are zeros.
fn digest(file: &[u8], digits: &Range<usize>) -> Option<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(file.get(..digits.start)?);
    hasher.update(&[b'0'; DIGITS]);
    hasher.update(file.get(digits.end..)?);
    Some(hasher.finalize().to_hex().to_string())
}

/// Puts the digest of a finished file into its footer.
///
/// # Errors
/// `Internal` if the file has no [`placeholder`] (a bug).
pub(super) fn fill(file: &mut [u8]) -> Result<()> {
    let missing = || Error::internal("a jobs file has no place for its own digest");
    let digits = place(file).ok_or_else(missing)?;
    let text = digest(file, &digits).ok_or_else(missing)?;
    let target = file.get_mut(digits).ok_or_else(missing)?;
    target.copy_from_slice(text.as_bytes());
    Ok(())
}

/// Who says that a jobs file is what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouched {
    /// Its own digest.
    ByItself,
    /// Nobody: it was written before files had one. It decodes; whoever takes it checks its rows
    /// against their samples.
    ByNobody,
}

/// The digests of a jobs file of which nothing is known but its bytes.
///
/// # Errors
/// `Data` if it is damaged or no file of ours, `Unavailable` for I/O errors.
pub fn read_alone(file: &ReadFile) -> Result<(Digests, Vouched)> {
    let damaged = |what: &str| {
        let path = file.path().display();
        Error::data("segment_damaged", format!("{path} is damaged: {what}"))
    };
    let bytes = file.read_at(0, num::to_usize(file.len()))?;
    let vouched = match place(&bytes) {
        None => Vouched::ByNobody,
        Some(digits) => {
            let said = bytes.get(digits.clone());
            if digest(&bytes, &digits).as_deref().map(str::as_bytes) != said {
                return Err(damaged("it does not match its own digest"));
            }
            Vouched::ByItself
        }
    };
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Optional)
        .parse_and_finish(&Bytes::clone(&bytes))
        .map_err(parquet_error("parsing a footer"))?;
    let digests = Digests::compute(&bytes, &metadata)
        .map_err(|error| damaged("its pages cannot be found").with_source(error))?;
    Ok((digests, vouched))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::dir::{DataDir, Table};
    use crate::segment::jobs;
    use crate::segment::properties::ValueEncoding;
    use crate::segment::samples::SamplesWriter;
    use crate::testkit::jobs::archived_job;
    use crate::time::Date;

    fn built() -> crate::segment::samples::BuiltFile {
        let mut samples = SamplesWriter::new(ValueEncoding::Native, 3).unwrap();
        let job = archived_job(1, 7, 20);
        samples.push(job.row.keys, &job.profile).unwrap();
        let samples = samples.finish().unwrap();
        let row = crate::model::archived::SummarisedRow::compute(job.row, &job.profile);
        jobs::build(&[row], &samples.digests, ValueEncoding::Native, 3).unwrap()
    }

    fn read(bytes: &[u8]) -> Result<(Digests, Vouched)> {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open(root.path()).unwrap();
        dir.write_durably(Table::Jobs, Date(1), "a.parquet", bytes)
            .unwrap();
        read_alone(&dir.open_file(Table::Jobs, Date(1), "a.parquet").unwrap())
    }

    #[test]
    fn a_file_without_its_index_has_the_digests_it_was_written_with() {
        let built = built();
        let (digests, vouched) = read(&built.bytes).unwrap();
        assert_eq!((digests, vouched), (built.digests, Vouched::ByItself));
    }

    #[test]
    fn no_flipped_bit_is_believed() {
        let built = built();
        for at in (0..built.bytes.len()).step_by(97) {
            let mut bytes = built.bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            // A flip in the key itself makes it a file without a digest, which nobody vouches for.
            match read(&bytes) {
                Err(_) | Ok((_, Vouched::ByNobody)) => {}
                Ok((_, Vouched::ByItself)) => panic!("byte {at} is believed"),
            }
        }
    }
}
