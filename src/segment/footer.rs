//! The footer of a segment file, as far as reading needs it, in little memory.
//!
//! A jobs file has 150 leaves, and its footer in the Parquet library's form takes 200 KiB: a question over
//! years of segments, which looks at three leaves of each, would keep hundreds of megabytes open. Here a
//! leaf takes 80 bytes, and what is the same in every file is not read at all. Who hands a file to
//! the library takes `VerifiedFile::parquet`.

use super::job_columns::JOB_COLUMNS;
use super::samples_schema;
use super::thrift::{BINARY, Compact, I32, I64, LIST, STRUCT, odd};
use crate::num;
use parquet::basic::Type as Physical;
use parquet::errors::Result;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

/// Length of the footer and the magic behind it.
const END: usize = 8;

/// A smallest and a largest value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Extremes {
    /// Of integers.
    Int(i64, i64),
    /// Of texts; the largest may be cut and raised.
    Text(Box<str>, Box<str>),
}

/// One leaf of one row group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) kind: Physical,
    /// Cells, nulls among them.
    pub(super) values: u64,
    pub(super) nulls: Option<u64>,
    /// `None` if there is no value, or nothing is known.
    pub(super) extremes: Option<Extremes>,
    /// Where its dictionary begins, if it has one.
    pub(super) dictionary: Option<u64>,
    /// Where its offset index and its column index lie.
    pub(super) offset_index: Option<Range<u64>>,
    pub(super) column_index: Option<Range<u64>>,
}

impl Chunk {
    /// Whether it holds no value at all.
    pub(super) fn is_all_null(&self) -> bool {
        self.nulls == Some(self.values)
    }
}

/// One row group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) rows: usize,
    /// By leaf.
    pub(super) chunks: Box<[Chunk]>,
}

/// The names of flat columns by their leaf. Nearly every file has those of today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Names {
    Samples,
    Jobs,
    /// Empty for a leaf that is nested.
    Own(Box<[Box<str>]>),
}

/// Leaf of each flat column of today's jobs files: rows read alone ask for all.
static JOB_LEAVES: LazyLock<HashMap<&str, usize>> =
    LazyLock::new(|| job_names().zip(0..).collect());

fn job_names() -> impl Iterator<Item = &'static str> {
    JOB_COLUMNS.iter().map(|column| column.name.as_str())
}

impl Names {
    fn of(names: &[&str]) -> Self {
        let flat = || names.iter().copied().filter(|name| !name.is_empty());
        // Nested leaves stand behind the flat ones; else a name's place would not be its leaf.
        let in_front = flat().eq(names.iter().copied().take_while(|name| !name.is_empty()));
        if in_front && flat().eq(job_names()) {
            Self::Jobs
        } else if in_front && flat().eq(samples_schema::names()) {
            Self::Samples
        } else {
            Self::Own(names.iter().map(|name| (*name).into()).collect())
        }
    }

    /// The leaf of a column; `None` if the file has none of that name: younger columns are missing in older
    /// files.
    pub(super) fn position(&self, wanted: &str) -> Option<usize> {
        match self {
            Self::Samples => samples_schema::names().position(|name| name == wanted),
            Self::Jobs => JOB_LEAVES.get(wanted).copied(),
            Self::Own(names) => names.iter().position(|name| **name == *wanted),
        }
    }

    /// Memory that they take, in bytes.
    pub(super) fn memory(&self) -> usize {
        match self {
            Self::Own(names) => names.iter().map(|name| name.len() + 16).sum(),
            _ => 0,
        }
    }
}

/// The footer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) rows: u64,
    pub(super) groups: Vec<Group>,
    pub(super) names: Names,
    values: Vec<(Box<str>, Box<str>)>,
}

impl Footer {
    /// Reads it from the end of a file.
    ///
    /// # Errors
    /// `ParquetError` if it is not there, or is none.
    pub(super) fn parse(tail: &[u8]) -> Result<Self> {
        let missing = || odd("it ends without a footer");
        let (front, end) = tail
            .split_at_checked(tail.len().wrapping_sub(END))
            .ok_or_else(missing)?;
        let (len, magic) = end.split_first_chunk().ok_or_else(missing)?;
        let len = num::to_usize(u64::from(u32::from_le_bytes(*len)));
        let start = front.len().checked_sub(len).filter(|_| magic == b"PAR1");
        let bytes = front.get(start.ok_or_else(missing)?..).unwrap_or_default();
        file_metadata(&mut Compact::new(bytes))
    }

    /// A leaf of a row group.
    pub(super) fn chunk(&self, group: usize, leaf: usize) -> Option<&Chunk> {
        self.groups.get(group)?.chunks.get(leaf)
    }

    /// A value of the key-value list.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        let found = self.values.iter().find(|(own, _)| **own == *key)?;
        Some(&found.1)
    }

    /// Memory that it takes, in bytes.
    pub(super) fn memory(&self) -> usize {
        let texts = |chunk: &Chunk| match &chunk.extremes {
            Some(Extremes::Text(least, most)) => least.len() + most.len(),
            _ => 0,
        };
        let groups = self.groups.iter().map(|group| {
            size_of_val(&*group.chunks) + group.chunks.iter().map(texts).sum::<usize>()
        });
        let values = self
            .values
            .iter()
            .map(|(key, value)| key.len() + value.len());
        groups.sum::<usize>() + values.sum::<usize>() + self.names.memory()
    }
}

/// `FileMetaData` of parquet.thrift.
fn file_metadata(reader: &mut Compact<'_>) -> Result<Footer> {
    let mut footer = Footer {
        rows: 0,
        groups: Vec::new(),
        names: Names::Own(Box::default()),
        values: Vec::new(),
    };
    let mut names = Vec::new();
    while let Some(field) = reader.field()? {
        match field {
            (3, I64) => footer.rows = unsigned(reader.integer()?)?,
            (4, LIST) => {
                for number in 0..reader.list(STRUCT)? {
                    let names = (number == 0).then_some(&mut names);
                    footer.groups.push(row_group(reader, names)?);
                }
            }
            (5, LIST) => {
                for _ in 0..reader.list(STRUCT)? {
                    footer.values.push(key_value(reader)?);
                }
            }
            (_, kind) => reader.skip(kind)?,
        }
    }
    footer.names = Names::of(&names);
    Ok(footer)
}

/// `RowGroup`.
fn row_group<'a>(reader: &mut Compact<'a>, mut names: Option<&mut Vec<&'a str>>) -> Result<Group> {
    let (mut rows, mut chunks) = (0, Vec::new());
    reader.nested(|reader, id, kind| {
        match (id, kind) {
            (1, LIST) => {
                let len = reader.list(STRUCT)?;
                chunks.reserve_exact(len);
                for _ in 0..len {
                    chunks.push(column_chunk(reader, names.as_deref_mut())?);
                }
            }
            (3, I64) => rows = num::to_usize(unsigned(reader.integer()?)?),
            (_, kind) => reader.skip(kind)?,
        }
        Ok(())
    })?;
    Ok(Group {
        rows,
        chunks: chunks.into(),
    })
}

/// `ColumnChunk`, and in it `ColumnMetaData`.
fn column_chunk<'a>(
    reader: &mut Compact<'a>,
    mut names: Option<&mut Vec<&'a str>>,
) -> Result<Chunk> {
    let mut chunk = Chunk {
        kind: Physical::FIXED_LEN_BYTE_ARRAY,
        values: 0,
        nulls: None,
        extremes: None,
        dictionary: None,
        offset_index: None,
        column_index: None,
    };
    let (mut offsets, mut bounds) = ((None, None), (None, None));
    reader.nested(|reader, id, kind| {
        match (id, kind) {
            (3, STRUCT) => column_metadata(reader, &mut chunk, names.as_deref_mut())?,
            (4, I64) => offsets.0 = Some(unsigned(reader.integer()?)?),
            (5, I32) => offsets.1 = Some(unsigned(reader.integer()?)?),
            (6, I64) => bounds.0 = Some(unsigned(reader.integer()?)?),
            (7, I32) => bounds.1 = Some(unsigned(reader.integer()?)?),
            (_, kind) => reader.skip(kind)?,
        }
        Ok(())
    })?;
    let range = |(start, len): (Option<u64>, Option<u64>)| Some(start?..start?.checked_add(len?)?);
    (chunk.offset_index, chunk.column_index) = (range(offsets), range(bounds));
    Ok(chunk)
}

fn column_metadata<'a>(
    reader: &mut Compact<'a>,
    chunk: &mut Chunk,
    mut names: Option<&mut Vec<&'a str>>,
) -> Result<()> {
    let mut extremes = (None, None);
    reader.nested(|reader, id, kind| {
        match (id, kind) {
            (1, I32) => chunk.kind = physical(reader.integer()?),
            (3, LIST) => {
                let len = reader.list(BINARY)?;
                let mut name = "";
                for _ in 0..len {
                    name = text(reader.binary()?).ok_or_else(|| odd("a column without a name"))?;
                }
                if let Some(names) = &mut names {
                    names.push(if len == 1 { name } else { "" });
                }
            }
            (5, I64) => chunk.values = unsigned(reader.integer()?)?,
            (11, I64) => chunk.dictionary = Some(unsigned(reader.integer()?)?),
            (12, STRUCT) => extremes = statistics(reader, chunk)?,
            (_, kind) => reader.skip(kind)?,
        }
        Ok(())
    })?;
    chunk.extremes = match (chunk.kind, extremes) {
        (Physical::BYTE_ARRAY, (Some(least), Some(most))) => {
            let texts = text(least).zip(text(most));
            texts.map(|(least, most)| Extremes::Text(least.into(), most.into()))
        }
        (Physical::INT32 | Physical::INT64, (Some(least), Some(most))) => {
            let integers = integer(least).zip(integer(most));
            integers.map(|(least, most)| Extremes::Int(least, most))
        }
        _ => None,
    };
    Ok(())
}

/// Bytes of the smallest and of the largest value.
type Bytes<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// `Statistics`.
fn statistics<'a>(reader: &mut Compact<'a>, chunk: &mut Chunk) -> Result<Bytes<'a>> {
    let (mut least, mut most) = (None, None);
    reader.nested(|reader, id, kind| {
        match (id, kind) {
            (3, I64) => chunk.nulls = Some(unsigned(reader.integer()?)?),
            (5, BINARY) => most = Some(reader.binary()?),
            (6, BINARY) => least = Some(reader.binary()?),
            (_, kind) => reader.skip(kind)?,
        }
        Ok(())
    })?;
    Ok((least, most))
}

/// `KeyValue`.
fn key_value(reader: &mut Compact<'_>) -> Result<(Box<str>, Box<str>)> {
    let (mut key, mut value) = ("", "");
    reader.nested(|reader, id, kind| {
        let text = |bytes| text(bytes).ok_or_else(|| odd("a value that is no text"));
        match (id, kind) {
            (1, BINARY) => key = text(reader.binary()?)?,
            (2, BINARY) => value = text(reader.binary()?)?,
            (_, kind) => reader.skip(kind)?,
        }
        Ok(())
    })?;
    Ok((key.into(), value.into()))
}

/// Types that segment files do not use are one.
fn physical(number: i64) -> Physical {
    match number {
        1 => Physical::INT32,
        2 => Physical::INT64,
        6 => Physical::BYTE_ARRAY,
        _ => Physical::FIXED_LEN_BYTE_ARRAY,
    }
}

fn unsigned(number: i64) -> Result<u64> {
    u64::try_from(number).map_err(|_| odd("a footer holds an impossible number"))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A plain integer of 4 or 8 bytes, little-endian.
pub(super) fn integer(bytes: &[u8]) -> Option<i64> {
    match bytes.len() {
        4 => Some(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        8 => Some(i64::from_le_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::VerifiedFile;
    use crate::segment::page_index::tests::both_files;
    use parquet::file::metadata::ColumnChunkMetaData;
    use parquet::file::statistics::Statistics;
    use proptest::prelude::*;

    /// What the library reads of a leaf, in our form.
    fn of_library(chunk: &ColumnChunkMetaData) -> Chunk {
        let unsigned = |number: i64| u64::try_from(number).unwrap();
        let range = |start: Option<i64>, len: Option<i32>| {
            let start = unsigned(start?);
            Some(start..start + unsigned(i64::from(len?)))
        };
        let statistics = chunk.statistics();
        let text = |bytes: &[u8]| -> Box<str> { std::str::from_utf8(bytes).unwrap().into() };
        let extremes = statistics.and_then(|statistics| match statistics {
            Statistics::Int32(own) => {
                let extremes = own.min_opt().zip(own.max_opt());
                extremes.map(|(least, most)| Extremes::Int((*least).into(), (*most).into()))
            }
            Statistics::Int64(own) => {
                let extremes = own.min_opt().zip(own.max_opt());
                extremes.map(|(least, most)| Extremes::Int(*least, *most))
            }
            Statistics::ByteArray(own) => {
                let extremes = own.min_bytes_opt().zip(own.max_bytes_opt());
                extremes.map(|(least, most)| Extremes::Text(text(least), text(most)))
            }
            _ => None,
        });
        Chunk {
            kind: chunk.column_type(),
            values: unsigned(chunk.num_values()),
            nulls: statistics.and_then(Statistics::null_count_opt),
            extremes,
            dictionary: chunk.dictionary_page_offset().map(unsigned),
            offset_index: range(chunk.offset_index_offset(), chunk.offset_index_length()),
            column_index: range(chunk.column_index_offset(), chunk.column_index_length()),
        }
    }

    fn compare(file: &VerifiedFile) {
        let (library, _) = file.library().unwrap();
        let library = library.metadata();
        let facts = library.file_metadata();
        assert_eq!(file.rows(), facts.num_rows().unsigned_abs());
        assert_eq!(file.groups(), library.num_row_groups());
        for (number, group) in library.row_groups().iter().enumerate() {
            let rows = num::to_usize(group.num_rows().unsigned_abs());
            assert_eq!(file.group_rows(number), Some(rows));
            let expected: Vec<Chunk> = group.columns().iter().map(of_library).collect();
            assert_eq!(
                *file.whole().unwrap().footer.groups[number].chunks,
                *expected
            );
        }
        for (leaf, column) in facts.schema_descr().columns().iter().enumerate() {
            if let [name] = column.path().parts() {
                assert_eq!(file.leaf(name), Some(leaf), "{name}");
            }
        }
        for entry in facts.key_value_metadata().unwrap() {
            assert_eq!(file.footer_value(&entry.key).unwrap(), entry.value);
        }
        assert_eq!(file.leaf("nothing"), None);
        assert_eq!(file.footer_value("nothing").unwrap(), None);
    }

    #[test]
    fn footers_are_what_the_library_reads() {
        let root = tempfile::tempdir().unwrap();
        let [samples, jobs] = both_files(root.path());
        assert_eq!(
            (
                &samples.whole().unwrap().footer.names,
                &jobs.whole().unwrap().footer.names
            ),
            (&Names::Samples, &Names::Jobs)
        );
        for file in [samples, jobs] {
            compare(&file);
            let memory = file.whole().unwrap().footer.memory();
            let library = file.library().unwrap().0.metadata().memory_size();
            assert!(memory < library / 5, "{memory} of {library} bytes");
        }
    }

    #[test]
    fn other_names_are_kept() {
        let names = Names::of(&["a", "", "job"]);
        assert_eq!(
            (names.position("job"), names.position("part")),
            (Some(2), None)
        );
    }

    proptest! {
        #[test]
        fn hostile_footers_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), honest: bool) {
            if honest {
                // Else nearly all end before their first field is read.
                let len = u32::try_from(bytes.len()).unwrap();
                bytes.extend(len.to_le_bytes());
                bytes.extend(b"PAR1");
            }
            let _outcome = Footer::parse(&bytes);
        }
    }

    #[test]
    fn structures_in_structures_end() {
        // Field 9, a struct, in which field 9 is a struct, and so on.
        let mut bytes = vec![0x9c; 100_000];
        bytes.extend(100_000u32.to_le_bytes());
        bytes.extend(b"PAR1");
        assert!(Footer::parse(&bytes).is_err());
    }
}
