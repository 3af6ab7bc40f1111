//! The registry of regions and runners.

use super::{Archive, Reply};
use crate::error::Result;
use crate::index::keys::registry::{Regions, Runners};
use crate::index::wire::put_text;
use crate::model::id::{RegionName, Source};
use crate::model::runner::{Region, Runner, RunnerRef};

impl Archive {
    /// Registers a region or replaces it. Durable when the reply is there.
    pub fn put_region(&self, name: RegionName, region: Region) -> Reply<()> {
        self.committer
            .submit(move |txn| txn.put::<Regions>(&name, &region))
    }

    /// Removes a region; says whether there was one. Durable when the reply is there.
    pub fn delete_region(&self, name: RegionName) -> Reply<bool> {
        self.committer.submit(move |txn| {
            let known = txn.get::<Regions>(&name)?.is_some();
            txn.delete::<Regions>(&name);
            Ok(known)
        })
    }

    /// A region.
    ///
    /// # Errors
    /// `Data` for a damaged entry, `Unavailable` for I/O errors.
    pub fn region(&self, name: &RegionName) -> Result<Option<Region>> {
        self.index.get::<Regions>(name)
    }

    /// All regions by name.
    ///
    /// # Errors
    /// As [`Archive::region`].
    pub fn regions(&self) -> Result<Vec<(RegionName, Region)>> {
        let mut all = Vec::new();
        self.index
            .snapshot()
            .scan::<Regions>(&[], None, |name, region| {
                all.push((name, region));
                Ok(true)
            })?;
        Ok(all)
    }

    /// Registers a runner or replaces it. Durable when the reply is there.
    pub fn put_runner(&self, name: RunnerRef, runner: Runner) -> Reply<()> {
        self.committer
            .submit(move |txn| txn.put::<Runners>(&name, &runner))
    }

    /// Removes a runner; says whether there was one. Durable when the reply is there.
    pub fn delete_runner(&self, name: RunnerRef) -> Reply<bool> {
        self.committer.submit(move |txn| {
            let known = txn.get::<Runners>(&name)?.is_some();
            txn.delete::<Runners>(&name);
            Ok(known)
        })
    }

    /// A runner.
    ///
    /// # Errors
    /// As [`Archive::region`].
    pub fn runner(&self, name: &RunnerRef) -> Result<Option<Runner>> {
        self.index.get::<Runners>(name)
    }

    /// All runners of a source.
    ///
    /// # Errors
    /// As [`Archive::region`].
    pub fn runners(&self, source: &Source) -> Result<Vec<(RunnerRef, Runner)>> {
        let mut prefix = Vec::new();
        put_text(source.as_str(), &mut prefix);
        let mut all = Vec::new();
        self.index
            .snapshot()
            .scan::<Runners>(&prefix, None, |name, runner| {
                all.push((name, runner));
                Ok(true)
            })?;
        Ok(all)
    }
}
