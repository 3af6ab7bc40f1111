//! The place of the index: where a new one is built, and how it takes the old one's.

use super::{DataDir, IoKind, PathBuf, Result, create_durably, io_error, read_dir, sync_dir};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

impl DataDir {
    /// An empty folder in which a new index is built. A crash leaves it to the next opening, which
    /// empties `tmp/`.
    ///
    /// # Errors
    /// `Unavailable` for I/O errors.
    pub fn fresh_index_path(&self) -> Result<PathBuf> {
        self.empty_tmp()?;
        Ok(self.root.join("tmp").join("index"))
    }

    /// Whether there is anything in the index's folder.
    ///
    /// # Errors
    /// `Unavailable` for I/O errors.
    pub fn has_index(&self) -> Result<bool> {
        Ok(!read_dir(&self.index_path())?.is_empty())
    }

    /// Puts the index that was built in [`DataDir::fresh_index_path`] in the place of the old one, in
    /// one step: after a crash there is one of them, whole. The old one goes into quarantine; says where.
    ///
    /// # Errors
    /// `Unavailable` for I/O errors.
    pub fn replace_index(&self) -> Result<PathBuf> {
        let (fresh, place) = (self.root.join("tmp").join("index"), self.index_path());
        let folder = self.quarantine_path();
        create_durably(&folder)?;
        let taken = |number: &u32| folder.join(format!("index-{number}")).is_dir();
        let number = (1..u32::MAX).find(|number| !taken(number)).unwrap_or(0);
        let old = folder.join(format!("index-{number}"));
        for part in [&fresh, &self.root.join("tmp")] {
            sync_dir(part)?;
        }
        std::fs::rename(&fresh, &old).map_err(|error| io_error("moving", &fresh, error))?;
        sync_dir(&folder)?;
        match renameat_with(CWD, &old, CWD, &place, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            // A file system that cannot exchange two names: a crash between the two steps leaves no
            // index, which is noticed at the next opening, and the command is given again.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                let aside = folder.join(format!("index-{number}.old"));
                let steps = [(&place, &aside), (&old, &place), (&aside, &old)];
                for (from, to) in steps {
                    std::fs::rename(from, to).map_err(|error| io_error("moving", from, error))?;
                }
            }
            Err(error) => return Err(io_error("replacing", &place, error.into())),
        }
        sync_dir(&folder)?;
        sync_dir(&self.root)?;
        Ok(old)
    }

    /// Removes an index that was replaced and has nothing that the new one lacks.
    ///
    /// # Errors
    /// `Unavailable` for I/O errors.
    pub fn remove_old_index(&self, old: &std::path::Path) -> Result<()> {
        match std::fs::remove_dir_all(old) {
            Err(error) if error.kind() != IoKind::NotFound => Err(io_error("removing", old, error)),
            _ => sync_dir(&self.quarantine_path()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_index_takes_the_place_and_the_old_one_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let dir = DataDir::open(root.path()).unwrap();
        std::fs::write(dir.index_path().join("CURRENT"), "old").unwrap();
        for round in ["new", "newer"] {
            let fresh = dir.fresh_index_path().unwrap();
            std::fs::create_dir(&fresh).unwrap();
            std::fs::write(fresh.join("CURRENT"), round).unwrap();
            let old = dir.replace_index().unwrap();
            let read = |path: PathBuf| std::fs::read_to_string(path.join("CURRENT")).unwrap();
            assert_eq!(read(dir.index_path()), round);
            assert_ne!(read(old), round);
        }
        assert_eq!(dir.quarantined().unwrap().len(), 2);
    }
}
