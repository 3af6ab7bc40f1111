//! `quarantine/`: what is damaged or not wanted any more, kept for whoever looks at it.
//!
//! A segment's files are moved there under their own names, with the table in front, and a text beside
//! them that says what was wrong and which jobs they hold. Nothing in it is read by the service, except
//! when somebody asks for a segment to be taken back.

use super::{
    DataDir, Date, IoKind, Path, PathBuf, Result, Table, create_durably, io_error, read_dir,
    sync_dir,
};

impl DataDir {
    /// The folder.
    #[must_use]
    pub fn quarantine_path(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    /// Where a segment file lies in quarantine.
    #[must_use]
    pub fn quarantined_path(&self, table: Table, date: Date, name: &str) -> PathBuf {
        let name = format!("{}.date={date}.{name}", table.name());
        self.quarantine_path().join(name)
    }

    /// Moves both files of a segment into quarantine, as far as they are there, and writes `text`
    /// beside them first: a crash leaves an explanation without files rather than the other way.
    ///
    /// # Errors
    /// `Unavailable` for I/O errors.
    pub fn quarantine(&self, date: Date, name: &str, text: &str) -> Result<()> {
        let folder = self.quarantine_path();
        create_durably(&folder)?;
        self.write_in(&folder, &format!("date={date}.{name}.txt"), text.as_bytes())?;
        for table in Table::ALL {
            let from = self.file_path(table, date, name);
            self.rename_between(&from, &self.quarantined_path(table, date, name))?;
        }
        sync_dir(&folder)
    }

    /// Moves both files of a segment back to where they belong, as far as they are there.
    ///
    /// # Errors
    /// `Unavailable` for I/O errors.
    pub fn release(&self, date: Date, name: &str) -> Result<()> {
        for table in Table::ALL {
            let to = self.file_path(table, date, name);
            create_durably(&self.date_dir(table, date))?;
            self.rename_between(&self.quarantined_path(table, date, name), &to)?;
        }
        self.release_text(date, name)
    }

    /// Removes the text beside the files of a segment.
    ///
    /// # Errors
    /// `Unavailable` for I/O errors.
    pub fn release_text(&self, date: Date, name: &str) -> Result<()> {
        let text = self
            .quarantine_path()
            .join(format!("date={date}.{name}.txt"));
        match std::fs::remove_file(&text) {
            Err(error) if error.kind() != IoKind::NotFound => {
                Err(io_error("removing", &text, error))
            }
            _ => sync_dir(&self.quarantine_path()),
        }
    }

    /// Everything in quarantine.
    ///
    /// # Errors
    /// `Unavailable` for I/O errors.
    pub fn quarantined(&self) -> Result<Vec<PathBuf>> {
        let mut files = read_dir(&self.quarantine_path())?;
        files.sort();
        Ok(files)
    }

    /// Renames a file if it is there, and makes both directories durable.
    fn rename_between(&self, from: &Path, to: &Path) -> Result<()> {
        match std::fs::rename(from, to) {
            Ok(()) => {}
            Err(error) if error.kind() == IoKind::NotFound => return Ok(()),
            Err(error) => return Err(io_error("moving", from, error)),
        }
        for folder in [from.parent(), to.parent()].into_iter().flatten() {
            sync_dir(folder)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_goes_into_quarantine_and_comes_back() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open(root.path()).unwrap();
        let (date, name) = (Date(20_000), "00000-0000000001.parquet");
        for table in Table::ALL {
            dir.write_durably(table, date, name, table.name().as_bytes())
                .unwrap();
        }
        dir.quarantine(date, name, "a page does not match its digest")
            .unwrap();
        assert!(dir.list(Table::Samples).unwrap().is_empty());
        assert_eq!(dir.quarantined().unwrap().len(), Table::ALL.len() + 1);
        dir.release(date, name).unwrap();
        assert!(dir.quarantined().unwrap().is_empty());
        let back = dir.open_file(Table::Jobs, date, name).unwrap();
        assert_eq!(&back.read_at(0, 4).unwrap()[..], b"jobs");
    }

    #[test]
    fn a_segment_of_which_one_file_is_missing_goes_too() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open(root.path()).unwrap();
        let (date, name) = (Date(20_000), "00000-0000000001.parquet");
        dir.write_durably(Table::Jobs, date, name, b"jobs").unwrap();
        dir.quarantine(date, name, "no samples").unwrap();
        assert_eq!(dir.quarantined().unwrap().len(), 2);
    }
}
