//! The record of a job before it is sealed: everything said and found, and what it waits for.

use super::archived::{CoTenancy, Findings, JobRow, Placement, RowKeys};
use super::id::JobRef;
use super::job::{JobFacts, MergedFacts};
use super::machine::Machine;
use super::state::{Reason, State};
use crate::time::{Date, TimestampMs};
use serde::{Deserialize, Serialize};

/// Why and until when a job waits to be archived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// When it is looked at next.
    pub due: TimestampMs,
    /// Attempts made so far.
    pub attempts: u32,
    /// What it waits for.
    pub reason: Reason,
    /// The last failure in one line, for people.
    #[serde(default)]
    pub detail: Option<String>,
}

/// A question to a job's CI that is still open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// The job.
    pub job: JobRef,
    /// Attempts made so far.
    pub attempts: u32,
}

/// Whose samples a profile holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Origin {
    pub machine: Option<Machine>,
    pub runner_id: Option<String>,
}

impl Origin {
    /// What these facts lead to.
    #[must_use]
    pub fn of(facts: &JobFacts) -> Self {
        Self {
            machine: facts.machine.clone(),
            runner_id: facts.runner_id.clone(),
        }
    }
}

/// Where the row of a sealed job lies: kept in the record of one that is fetched again because that
/// segment is in quarantine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Place {
    pub date: Date,
    pub segment: u64,
    pub jobs_row: u64,
    pub first_row: u64,
    pub rows: u64,
}

/// What archiving added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    /// Where it ran.
    pub placement: Placement,
    /// What assembling found.
    pub findings: Findings,
    /// Other jobs on the machine, as of archiving.
    pub co_tenancy: CoTenancy,
    /// Rows of the profile; 0 is a job without samples.
    pub rows: u32,
    /// The date under which it is staged.
    pub date: Date,
    /// Whose samples these are; `None` in records of older versions.
    #[serde(default)]
    pub origin: Option<Origin>,
}

/// A job that is not sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Public name.
    pub job: JobRef,
    /// Surrogate keys as of the last event.
    pub keys: RowKeys,
    /// What was said.
    pub merged: MergedFacts,
    /// When it was first heard of.
    pub first_seen: TimestampMs,
    /// Set while it waits to be archived (again).
    #[serde(default)]
    pub waiting: Option<Waiting>,
    /// Set once it is archived.
    #[serde(default)]
    pub archived: Option<Archived>,
    /// Set while a job is fetched again whose segment is in quarantine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

impl JobRecord {
    /// The time under which lists sort it: its start, else when it was first heard of.
    #[must_use]
    pub fn listed_at(&self) -> TimestampMs {
        self.merged.facts().started_at.unwrap_or(self.first_seen)
    }

    /// Its state and the reason.
    #[must_use]
    pub fn state(&self) -> (State, Option<Reason>) {
        if let Some(archived) = &self.archived {
            return archived_state(i64::from(archived.rows), archived.findings.reason);
        }
        if let Some(waiting) = &self.waiting {
            return (State::Pending, Some(waiting.reason));
        }
        let facts = self.merged.facts();
        match (facts.started_at, facts.is_over()) {
            (Some(_), false) => (State::Live, None),
            (None, false) => (State::Pending, Some(Reason::NotStarted)),
            (None, true) => (State::Pending, Some(Reason::WaitingForStart)),
            (Some(_), true) => (State::Pending, Some(Reason::WaitingForFinish)),
        }
    }

    /// Its row of the `jobs` table, once archived.
    #[must_use]
    pub fn row(&self) -> Option<JobRow> {
        self.archived.as_ref().map(|archived| JobRow {
            keys: self.keys,
            job: self.job.clone(),
            facts: self.merged.facts().clone(),
            placement: archived.placement.clone(),
            findings: archived.findings.clone(),
            co_tenancy: archived.co_tenancy,
            amended_at: None,
            first_seen: Some(self.first_seen).filter(|_| self.merged.facts().started_at.is_none()),
        })
    }
}

/// State of an archived job with `rows` samples. One without samples says why; if it does not, it had
/// some, and they expired.
#[must_use]
pub fn archived_state(rows: i64, reason: Option<Reason>) -> (State, Option<Reason>) {
    match reason {
        _ if rows > 0 => (State::Archived, None),
        Some(_) => (State::Unavailable, reason),
        None => EXPIRED,
    }
}

/// State of a job whose samples went.
pub const EXPIRED: (State, Option<Reason>) = (State::Expired, Some(Reason::SamplesExpired));
