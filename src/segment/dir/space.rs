//! Room on the disk of the data directory.

use super::{DataDir, Result, io_error};

/// Bytes of the file system that holds the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// What may still be written without privileges.
    pub free_bytes: u64,
    /// All of it.
    pub total_bytes: u64,
}

impl DataDir {
    /// How much room there is now.
    ///
    /// # Errors
    /// `Unavailable` if the file system does not say.
    pub fn space(&self) -> Result<Space> {
        let stat = rustix::fs::statvfs(&self.root)
            .map_err(|error| io_error("asking for room on", &self.root, error.into()))?;
        Ok(Space {
            free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_system_says_how_much_room_there_is() {
        let root = tempfile::tempdir().unwrap();
        let space = DataDir::open(root.path()).unwrap().space().unwrap();
        assert!(space.free_bytes > 0 && space.free_bytes <= space.total_bytes);
    }
}
