//! Looking for texts in a segment file: in its bytes as they are, and in its pages unpacked.
//!
//! Called by the archive to prove that what was erased is gone. A page is unpacked by the library's
//! reader, whatever file it is in; a file that is no Parquet (any more) is looked at as it is.

use crate::error::{Error, Result};
use bytes::Bytes;
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;
use regex::bytes::{RegexSet, RegexSetBuilder};

/// Statistics in a footer are cut to this many bytes: of a longer text its beginning is looked for too.
const STATISTICS_BYTES: usize = 60;
/// Texts that are looked for at once: as many as fit into the memory of a pattern, below.
const TEXTS_MAX: usize = 1_000;
/// Memory of the compiled pattern.
const PATTERN_BYTES_MAX: usize = 256 << 20;

/// Texts that are looked for together.
#[derive(Debug)]
pub struct Texts {
    set: RegexSet,
    /// Of each pattern the text that it belongs to, from 1.
    numbers: Vec<usize>,
}

impl Texts {
    /// Looks for these texts: as they are, as JSON spells them, and by their beginning if they are long.
    ///
    /// # Errors
    /// `Invalid` if there is none, an empty one, or more than a thousand.
    pub fn new(texts: &[String]) -> Result<Self> {
        let invalid = |message: &str| Error::invalid("invalid_texts", message);
        if texts.is_empty() || texts.iter().any(String::is_empty) {
            return Err(invalid(
                "give at least one text, one on each line, none of them empty",
            ));
        }
        if texts.len() > TEXTS_MAX {
            return Err(invalid("at most 1,000 texts are looked for at once"));
        }
        let (mut patterns, mut numbers) = (Vec::new(), Vec::new());
        for (number, text) in (1..).zip(texts) {
            let json = serde_json::Value::from(text.as_str()).to_string();
            let inner = json.trim_matches('"').as_bytes();
            let start = text.as_bytes().get(..STATISTICS_BYTES);
            let mut spellings = vec![text.as_bytes(), inner];
            spellings.extend(start);
            spellings.sort_unstable();
            spellings.dedup();
            for spelling in spellings {
                patterns.push(escaped(spelling));
                numbers.push(number);
            }
        }
        let set = RegexSetBuilder::new(patterns)
            .unicode(false)
            .size_limit(PATTERN_BYTES_MAX)
            .build();
        let set =
            set.map_err(|error| invalid("the texts are too long together").with_source(error))?;
        Ok(Self { set, numbers })
    }

    /// The numbers of the texts that stand in these bytes, ascending.
    #[must_use]
    pub fn in_bytes(&self, bytes: &[u8]) -> Vec<usize> {
        let found = self.set.matches(bytes);
        let numbers = found.iter().filter_map(|at| self.numbers.get(at).copied());
        let mut numbers: Vec<usize> = numbers.collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// The same for the unpacked pages of a Parquet file, each with the name of its column; nothing for
    /// what is none, or for a page that cannot be unpacked.
    #[must_use]
    pub fn in_pages(&self, file: Bytes) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        let Ok(reader) = SerializedFileReader::new(file) else {
            return found;
        };
        for group in 0..reader.num_row_groups() {
            let Ok(group) = reader.get_row_group(group) else {
                continue;
            };
            for column in 0..group.num_columns() {
                let Ok(pages) = group.get_column_page_reader(column) else {
                    continue;
                };
                let name = group.metadata().column(column).column_path().string();
                for page in pages.map_while(std::result::Result::ok) {
                    let numbers = self.in_bytes(page.buffer());
                    found.extend(numbers.into_iter().map(|number| (name.clone(), number)));
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// A pattern that matches these bytes and nothing else.
fn escaped(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut pattern = String::with_capacity(bytes.len() * 4);
    for byte in bytes {
        // Writing to a text cannot fail.
        let _always = write!(pattern, "\\x{byte:02x}");
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::archived::SummarisedRow;
    use crate::segment::jobs;
    use crate::segment::properties::ValueEncoding;
    use crate::segment::samples::SamplesWriter;
    use crate::testkit::jobs::archived_job;

    #[test]
    fn texts_are_found_as_they_are_in_json_and_by_their_beginning() {
        let long = "x".repeat(70);
        let texts = ["a.c".to_owned(), "say \"hi\"".to_owned(), long.clone()];
        let texts = Texts::new(&texts).unwrap();
        assert_eq!(texts.in_bytes(b"abc"), Vec::<usize>::new());
        assert_eq!(texts.in_bytes(b"\xffa.c\xff"), [1]);
        assert_eq!(texts.in_bytes(br#"{"x":"say \"hi\"","y":"a.c"}"#), [1, 2]);
        assert_eq!(texts.in_bytes(&long.as_bytes()[..60]), [3]);
        assert!(texts.in_bytes(&long.as_bytes()[..59]).is_empty());
        assert!(Texts::new(&[]).is_err() && Texts::new(&[String::new()]).is_err());
    }

    #[test]
    fn a_text_in_a_compressed_page_is_found_with_its_column() {
        let samples = SamplesWriter::new(ValueEncoding::Native, 3).unwrap();
        let samples = samples.finish().unwrap();
        let job = |seed, git_ref: &str| {
            let mut job = archived_job(seed, 7, 0);
            job.row.facts.git_ref = Some(git_ref.to_owned());
            SummarisedRow::compute(job.row, &job.profile)
        };
        // Between others, so that no statistic names it; and often, so that it is packed.
        let mut rows: Vec<_> = (0..300)
            .map(|seed| job(seed, &format!("ref-{}", seed % 3)))
            .collect();
        rows[7] = job(7, "ref-1-of-somebody-whom-nobody-may-know");
        rows.sort_by(jobs::order);
        let file = jobs::build(&rows, &samples.digests, ValueEncoding::Native, 3).unwrap();
        let texts = Texts::new(&["whom-nobody-may".to_owned(), "no such text".to_owned()]).unwrap();
        let pages = texts.in_pages(Bytes::from(file.bytes));
        assert_eq!(pages, [("ref".to_owned(), 1)]);
        assert!(texts.in_pages(Bytes::from_static(b"no Parquet")).is_empty());
    }
}
