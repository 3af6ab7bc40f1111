//! An open segment file: no byte of it reaches a decoder before its digest was checked.
//!
//! It keeps the names of its columns, the rows of its groups, and the leaves that it was asked for; what proves
//! and describes all of it ([`Whole`]) it asks for again when it needs it.

use super::digest::Digests;
use super::dir::ReadFile;
use super::footer::Names;
use super::leaf::Leaf;
use super::page_index::PageBounds;
use super::whole::{Footers, PageStore, Whole, damaged};
use super::{FORMAT, FORMAT_KEY};
use crate::error::{Error, Result};
use crate::num;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

/// Bytes that are read at once when a whole file is checked.
const PIECE: usize = 1 << 20;

/// Gives the digests of a file again.
pub type DigestsAgain = Box<dyn Fn() -> Result<Digests> + Send + Sync>;

/// Digests that are kept at hand.
#[must_use]
pub fn kept(digests: &Digests) -> DigestsAgain {
    let kept = digests.clone();
    Box::new(move || Ok(kept.clone()))
}

/// An open segment file with its checked footer.
#[derive(Debug, Clone)]
pub struct VerifiedFile(Arc<Opened>);

struct Opened {
    file: ReadFile,
    rows: u64,
    /// Rows of each row group.
    groups: Box<[usize]>,
    names: Names,
    /// By row group and leaf.
    leaves: RwLock<HashMap<(usize, usize), Arc<Leaf>>>,
    /// Memory of the leaves.
    memory: AtomicUsize,
    footers: Arc<Footers>,
    /// Its number there.
    number: u64,
    again: DigestsAgain,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.footers.forget(self.number);
    }
}

impl VerifiedFile {
    /// Opens a file whose digests are known, and keeps them.
    ///
    /// # Errors
    /// `Data` if its length, footer or indexes are not what was written.
    pub fn open(file: ReadFile, digests: Digests) -> Result<Self> {
        let again = kept(&digests);
        Self::open_among(file, digests, again, &Arc::default())
    }

    /// Opens one of many files, whose footers share `footers`. Once its own had to go there, its digests are
    /// asked for again.
    ///
    /// # Errors
    /// As [`VerifiedFile::open`].
    pub fn open_among(
        file: ReadFile,
        digests: Digests,
        again: DigestsAgain,
        footers: &Arc<Footers>,
    ) -> Result<Self> {
        let whole = Arc::new(Whole::read(&file, digests)?);
        check_format(&file, whole.footer.value(FORMAT_KEY))?;
        let opened = Self(Arc::new(Opened {
            rows: whole.footer.rows,
            groups: whole.footer.groups.iter().map(|group| group.rows).collect(),
            names: whole.footer.names.clone(),
            leaves: RwLock::default(),
            memory: AtomicUsize::new(0),
            footers: Arc::clone(footers),
            number: footers.number(),
            file,
            again,
        }));
        footers.put(opened.0.number, &whole);
        Ok(opened)
    }

    /// All that proves and describes it.
    ///
    /// # Errors
    /// As [`VerifiedFile::open`], and if its digests are no longer to be had.
    pub(super) fn whole(&self) -> Result<Arc<Whole>> {
        if let Some(kept) = self.0.footers.get(self.0.number) {
            return Ok(kept);
        }
        let whole = Arc::new(Whole::read(&self.0.file, (self.0.again)()?)?);
        self.0.footers.put(self.0.number, &whole);
        Ok(whole)
    }

    /// Rows in it.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.0.rows
    }

    /// The number of its row groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.0.groups.len()
    }

    /// Rows of a row group; `None` if there is no such group.
    #[must_use]
    pub fn group_rows(&self, group: usize) -> Option<usize> {
        self.0.groups.get(group).copied()
    }

    /// The rows of each row group, counted from the first of the file.
    pub(super) fn group_ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.0.groups.iter().scan(0, |behind, rows| {
            let start = *behind;
            *behind += rows;
            Some(start..*behind)
        })
    }

    /// The leaf of a flat column; `None` if the file has none of that name: older files lack younger
    /// columns.
    #[must_use]
    pub fn leaf(&self, name: &str) -> Option<usize> {
        self.0.names.position(name)
    }

    /// What is known of a leaf of a row group. It stays known.
    ///
    /// # Errors
    /// `Data` if the file has no such leaf, or no sound index of it.
    pub(super) fn known_leaf(&self, group: usize, leaf: usize) -> Result<Arc<Leaf>> {
        let place = (group, leaf);
        let leaves = self.0.leaves.read();
        let known = leaves.unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.get(&place) {
            return Ok(Arc::clone(known));
        }
        drop(known);
        let leaf = Arc::new(Leaf::of(&*self.whole()?, place)?);
        let leaves = self.0.leaves.write();
        let mut leaves = leaves.unwrap_or_else(PoisonError::into_inner);
        let known = leaves.entry(place).or_insert_with(|| {
            self.0.memory.fetch_add(leaf.memory(), Relaxed);
            leaf
        });
        Ok(Arc::clone(known))
    }

    /// Bounds of the pages of an integer leaf in a row group; `None` if nothing is known.
    pub(super) fn page_bounds(&self, leaf: &Leaf) -> Option<PageBounds> {
        let grew = |bytes| {
            self.0.memory.fetch_add(bytes, Relaxed);
        };
        leaf.bounds(|| self.whole(), grew).ok()?.cloned()
    }

    /// Data pages of a leaf, checked: those of these numbers, behind one another.
    ///
    /// # Errors
    /// `Data` if one is damaged, `Unavailable` for I/O errors.
    pub(super) fn read(&self, leaf: &Leaf, pages: Range<usize>) -> Result<Bytes> {
        leaf.read(&self.0.file, pages)
    }

    /// Says that a leaf of a row group will be read soon: the disk reads its pages meanwhile.
    pub fn expect(&self, group: usize, leaf: usize) {
        if let Ok(leaf) = self.known_leaf(group, leaf) {
            leaf.expect(&self.0.file);
        }
    }

    /// The dictionary page of a leaf, checked, if it has one.
    ///
    /// # Errors
    /// As [`VerifiedFile::read`].
    pub(super) fn read_dictionary(&self, leaf: &Leaf) -> Result<Option<Bytes>> {
        leaf.read_dictionary(&self.0.file)
    }

    /// Footer and bytes for what the Parquet library reads itself.
    ///
    /// # Errors
    /// `Data` if the library does not take the footer; as [`VerifiedFile::open`].
    pub fn library(&self) -> Result<(ArrowReaderMetadata, PageStore)> {
        let whole = self.whole()?;
        let before = whole.memory();
        let metadata = whole.library()?.clone();
        if whole.memory() > before {
            self.0.footers.put(self.0.number, &whole);
        }
        Ok((metadata, PageStore::new(self.0.file.clone(), whole)))
    }

    /// Memory that it keeps, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Opened>() + self.0.names.memory() + self.0.memory.load(Relaxed)
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.file.len()
    }

    /// Whether there is nothing in it, which no segment file is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A value of the footer's key-value list.
    ///
    /// # Errors
    /// As [`VerifiedFile::open`].
    pub fn footer_value(&self, key: &str) -> Result<Option<String>> {
        Ok(self.whole()?.footer.value(key).map(str::to_owned))
    }

    /// Reads and checks the whole file against its BLAKE3 digest.
    ///
    /// # Errors
    /// `Data` if it differs.
    pub fn verify_whole(&self) -> Result<()> {
        let whole = self.whole()?;
        let (file, file_len) = (&self.0.file, whole.digests.file_len);
        let mut hasher = blake3::Hasher::new();
        let mut offset = 0;
        while offset < file_len {
            let len = num::to_usize(file_len - offset).min(PIECE);
            hasher.update(&file.read_at(offset, len)?);
            offset += num::len_u64(len);
        }
        if hasher.finalize().as_bytes() == &whole.digests.file {
            Ok(())
        } else {
            Err(damaged(file, "the file does not match its digest"))
        }
    }
}

/// Newer files of the same major number only have more in them.
fn check_format(file: &ReadFile, said: Option<&str>) -> Result<()> {
    let major = |version: &'_ str| version.split('.').next().map(str::to_owned);
    if said.is_some_and(|said| major(said) == major(FORMAT)) {
        return Ok(());
    }
    Err(Error::data(
        "segment_format",
        format!(
            "{} has format {}, this program reads {FORMAT}: use the program that wrote it",
            file.path().display(),
            said.unwrap_or("unknown"),
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use crate::segment::page_index::tests::both_files;
    use crate::segment::samples;
    use std::sync::atomic::AtomicU64;

    /// The file again, among others; says how often its digests were asked for.
    fn among(file: &VerifiedFile, footers: &Arc<Footers>) -> (VerifiedFile, Arc<AtomicU64>) {
        let digests = file.whole().unwrap().digests.clone();
        let asked = Arc::new(AtomicU64::new(0));
        let (counter, known) = (Arc::clone(&asked), digests.clone());
        let again = Box::new(move || {
            counter.fetch_add(1, Relaxed);
            Ok(known.clone())
        });
        let opened = VerifiedFile::open_among(file.0.file.clone(), digests, again, footers);
        (opened.unwrap(), asked)
    }

    #[test]
    fn what_was_asked_for_stays_known_and_the_rest_is_read_again() {
        let root = tempfile::tempdir().unwrap();
        let [file, _] = both_files(root.path());
        let footers = Arc::default();
        let (opened, asked) = among(&file, &footers);
        let rows = usize::try_from(opened.rows()).unwrap();
        let profile = samples::read(&opened, 0..rows).unwrap();
        let leaf = opened.known_leaf(0, 4).unwrap();
        let bounds = opened.page_bounds(&leaf).unwrap();
        let memory = opened.memory();
        assert_eq!(asked.load(Relaxed), 0, "all of it was at hand");

        footers.forget(opened.0.number);
        assert_eq!(samples::read(&opened, 0..rows).unwrap(), profile);
        assert_eq!(opened.page_bounds(&leaf).unwrap(), bounds);
        assert_eq!((asked.load(Relaxed), opened.memory()), (0, memory));
        opened.library().unwrap();
        opened.footer_value(FORMAT_KEY).unwrap().unwrap();
        assert_eq!(asked.load(Relaxed), 1);
    }

    #[test]
    fn footers_of_many_files_take_no_more_than_their_share() {
        let root = tempfile::tempdir().unwrap();
        let [_, file] = both_files(root.path());
        let footers: Arc<Footers> = Arc::default();
        let open = |_| {
            let (opened, asked) = among(&file, &footers);
            opened.library().unwrap();
            (opened, asked)
        };
        let each = open(0).0.whole().unwrap().memory();
        let fit = limits::FOOTERS_BYTES_MAX / each;
        let many: Vec<_> = (0..fit + 20).map(open).collect();
        assert!(footers.memory() <= limits::FOOTERS_BYTES_MAX);
        assert!(footers.memory() > limits::FOOTERS_BYTES_MAX - 2 * each);
        // The first went, the last is there.
        for ((opened, asked), expected) in [(&many[0], 1), (&many[fit + 19], 0)] {
            opened.whole().unwrap();
            assert_eq!(asked.load(Relaxed), expected);
        }
        drop(many);
        assert_eq!(footers.memory(), 0);
    }

    #[test]
    fn a_file_that_changed_is_refused_when_its_footer_is_read_again() {
        let root = tempfile::tempdir().unwrap();
        let [file, other] = both_files(root.path());
        let footers = Arc::default();
        let foreign = other.whole().unwrap().digests.clone();
        let again = Box::new(move || Ok(foreign.clone()));
        let digests = file.whole().unwrap().digests.clone();
        let opened =
            VerifiedFile::open_among(file.0.file.clone(), digests, again, &footers).unwrap();
        footers.forget(opened.0.number);
        let refused = opened.known_leaf(0, 0).unwrap_err();
        assert_eq!(refused.code(), "segment_damaged");
    }
}
