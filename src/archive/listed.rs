//! Which list entries a job has, as a pure function of what is known of it.

use super::commit::Txn;
use crate::error::Result;
use crate::index::Snapshot;
use crate::index::keys::by_time::{
    ByMachineTime, ByNameRef, ByProjectTime, ByRunnerTime, ByTime, TimeKey, text_number,
};
use crate::model::archived::RowKeys;
use crate::model::job::JobFacts;
use crate::model::machine::Machine;
use crate::time::TimestampMs;

/// A job as the lists know it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed<'a> {
    pub(super) keys: RowKeys,
    pub(super) listed_at: TimestampMs,
    pub(super) facts: &'a JobFacts,
}

/// Prefix of a machine's entries.
pub(super) fn machine_prefix(machine: &Machine) -> [i64; 1] {
    [text_number(&[machine.as_str()])]
}

/// Prefix of the entries of one name and ref.
pub(super) fn name_ref_prefix(project: i64, name: &str, git_ref: &str) -> [i64; 3] {
    [project, text_number(&[name]), text_number(&[git_ref])]
}

impl Listed<'_> {
    fn key<const N: usize>(&self, prefix: [i64; N]) -> TimeKey<N> {
        TimeKey {
            prefix,
            time: self.listed_at,
            job: self.keys.job,
        }
    }

    fn runner_key(&self) -> Option<TimeKey<1>> {
        self.keys.runner.map(|runner| self.key([runner.0]))
    }

    fn machine_key(&self) -> Option<TimeKey<1>> {
        self.facts
            .machine
            .as_ref()
            .map(|machine| self.key(machine_prefix(machine)))
    }

    fn name_ref_key(&self) -> Option<TimeKey<3>> {
        let (name, git_ref) = (self.facts.name.as_deref()?, self.facts.git_ref.as_deref()?);
        Some(self.key(name_ref_prefix(self.keys.project.0, name, git_ref)))
    }

    /// Enters the job into every list.
    pub(super) fn enter(&self, txn: &mut Txn<'_>) -> Result<()> {
        txn.put::<ByTime>(&self.key([]), &None)?;
        txn.put::<ByProjectTime>(&self.key([self.keys.project.0]), &None)?;
        if let Some(key) = self.runner_key() {
            txn.put::<ByRunnerTime>(&key, &None)?;
        }
        if let Some(key) = self.machine_key() {
            txn.put::<ByMachineTime>(&key, &self.facts.finished_at)?;
        }
        if let Some(key) = self.name_ref_key() {
            txn.put::<ByNameRef>(&key, &None)?;
        }
        Ok(())
    }

    /// Whether the job stands in every list.
    pub(super) fn is_entered(&self, snapshot: &Snapshot<'_>) -> Result<bool> {
        let machine = self.machine_key().zip(Some(self.facts.finished_at));
        Ok(snapshot.get::<ByTime>(&self.key([]))?.is_some()
            && snapshot
                .get::<ByProjectTime>(&self.key([self.keys.project.0]))?
                .is_some()
            && self.runner_key().map_or(Ok(true), |key| {
                Ok(snapshot.get::<ByRunnerTime>(&key)?.is_some())
            })?
            && machine.map_or(Ok(true), |(key, finished)| {
                Ok(snapshot.get::<ByMachineTime>(&key)? == Some(finished))
            })?
            && self.name_ref_key().map_or(Ok(true), |key| {
                Ok(snapshot.get::<ByNameRef>(&key)?.is_some())
            })?)
    }

    /// Removes the job from every list.
    pub(super) fn leave(&self, txn: &mut Txn<'_>) {
        txn.delete::<ByTime>(&self.key([]));
        txn.delete::<ByProjectTime>(&self.key([self.keys.project.0]));
        if let Some(key) = self.runner_key() {
            txn.delete::<ByRunnerTime>(&key);
        }
        if let Some(key) = self.machine_key() {
            txn.delete::<ByMachineTime>(&key);
        }
        if let Some(key) = self.name_ref_key() {
            txn.delete::<ByNameRef>(&key);
        }
    }

    /// Whether `other` has the same entries.
    fn same_entries(&self, other: &Self) -> bool {
        self.keys == other.keys
            && self.listed_at == other.listed_at
            && self.facts.machine == other.facts.machine
            && self.facts.finished_at == other.facts.finished_at
            && self.facts.name == other.facts.name
            && self.facts.git_ref == other.facts.git_ref
    }

    /// Moves the job from its old entries to these.
    pub(super) fn replace(&self, old: &Self, txn: &mut Txn<'_>) -> Result<()> {
        if self.same_entries(old) {
            return Ok(());
        }
        old.leave(txn);
        self.enter(txn)
    }
}
