//! Proof of an erasure: every byte of a data directory is looked at for texts that must not be there.
//!
//! Called by `tachograph verify --erased`. Every file as it is (segments, quarantine, table files, the
//! write-ahead log and the MANIFEST of the index, whatever else lies there); the pages of Parquet
//! files unpacked; and every key and value of the index through RocksDB, which unpacks its blocks.
//! The files are read before the index is opened, since opening it rewrites some of them.

use crate::error::Result;
use crate::index::Index;
use crate::segment::dir::DataDir;
use crate::segment::search::Texts;
use std::collections::BTreeSet;
use std::path::Path;

/// A text that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundText {
    /// Its number among those that were given, from 1.
    pub number: usize,
    /// The file, or the family of the index.
    pub place: String,
}

/// What a search looked at, and what it found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// Files read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Entries of the index read.
    pub entries: u64,
    /// Every text in every place once.
    pub found: BTreeSet<FoundText>,
}

/// Looks for texts in the archive at `root`, which no process may use meanwhile. `progress` is called
/// behind each file with the number of files done.
///
/// # Errors
/// `Invalid` for texts that cannot be looked for, `Conflict` if a process holds the archive, `Data` or
/// `Unavailable` if it cannot be read.
pub fn search(root: &Path, texts: &[String], mut progress: impl FnMut(u64)) -> Result<Search> {
    let texts = Texts::new(texts)?;
    let dir = DataDir::open(root)?;
    let mut search = Search::default();
    for path in dir.all_files()? {
        let bytes = dir.read_whole(&path)?;
        let place = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        search.files += 1;
        search.bytes += crate::num::len_u64(bytes.len());
        search.add(texts.in_bytes(&bytes), &place);
        for (column, number) in texts.in_pages(bytes) {
            search.add(vec![number], &format!("{place}, a page of {column}"));
        }
        progress(search.files);
    }
    let index = Index::open(&dir.index_path())?;
    let mut entries = 0;
    index.each_entry(|family, key, value| {
        entries += 1;
        let place = format!("index, family {family}");
        search.add(texts.in_bytes(key), &place);
        search.add(texts.in_bytes(value), &place);
    })?;
    search.entries = entries;
    Ok(search)
}

impl Search {
    fn add(&mut self, numbers: Vec<usize>, place: &str) {
        self.found
            .extend(numbers.into_iter().map(|number| FoundText {
                number,
                place: place.to_owned(),
            }));
    }
}
