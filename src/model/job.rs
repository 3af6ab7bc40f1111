//! Jobs: what a CI system says of them, and the monotone merge of what it said at different times.

use super::erasure::Fields;
use super::id::JobRef;
use super::machine::Machine;
use crate::error::{Error, ErrorKind, Result};
use crate::time::{TimeRange, TimestampMs};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A job's status, GitLab's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "GitLab's own words")]
pub enum JobStatus {
    Created,
    WaitingForResource,
    Preparing,
    WaitingForCallback,
    Scheduled,
    Manual,
    Pending,
    Running,
    Canceling,
    Success,
    Failed,
    Canceled,
    Skipped,
}

/// Rank of the final statuses.
const TERMINAL_RANK: u8 = 5;
const RUNNING_RANK: u8 = 3;

impl JobStatus {
    /// All statuses, in order of rank.
    pub const ALL: [Self; 13] = [
        Self::Created,
        Self::WaitingForResource,
        Self::Preparing,
        Self::WaitingForCallback,
        Self::Scheduled,
        Self::Manual,
        Self::Pending,
        Self::Running,
        Self::Canceling,
        Self::Success,
        Self::Failed,
        Self::Canceled,
        Self::Skipped,
    ];

    /// Order of life: a status never moves to a lower rank.
    #[must_use]
    pub fn rank(self) -> u8 {
        match self {
            Self::Created => 0,
            Self::WaitingForResource
            | Self::Preparing
            | Self::WaitingForCallback
            | Self::Scheduled
            | Self::Manual => 1,
            Self::Pending => 2,
            Self::Running => RUNNING_RANK,
            Self::Canceling => 4,
            Self::Success | Self::Failed | Self::Canceled | Self::Skipped => TERMINAL_RANK,
        }
    }

    /// Whether the job is over.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self.rank() == TERMINAL_RANK
    }

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::WaitingForResource => "waiting_for_resource",
            Self::Preparing => "preparing",
            Self::WaitingForCallback => "waiting_for_callback",
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Canceling => "canceling",
            Self::Success => "success",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Skipped => "skipped",
        }
    }

    /// The status of that word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// A named part of a job's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Name as in the log; names repeat.
    pub name: String,
    /// Time of the part.
    pub range: TimeRange,
}

/// What is known of a job. Everything may be unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(
    missing_docs,
    reason = "design section 8 names the fields; units are in the names"
)]
pub struct JobFacts {
    pub status: Option<JobStatus>,
    pub project: Option<String>,
    pub project_id: Option<String>,
    pub pipeline_id: Option<String>,
    pub name: Option<String>,
    pub stage: Option<String>,
    pub git_ref: Option<String>,
    pub sha: Option<String>,
    pub failure_reason: Option<String>,
    pub runner_id: Option<String>,
    pub runner_description: Option<String>,
    pub runner_tags: Option<Vec<String>>,
    pub machine: Option<Machine>,
    pub executor: Option<String>,
    pub web_url: Option<String>,
    pub created_at: Option<TimestampMs>,
    pub started_at: Option<TimestampMs>,
    pub finished_at: Option<TimestampMs>,
    pub queued_ms: Option<i64>,
    pub sections: Option<Vec<Section>>,
    /// Set for a report whose times were cut to whole seconds (a GitLab hook): such a time neither
    /// replaces nor hinders one of the same second that has milliseconds. Never set on merged facts.
    #[serde(skip)]
    pub in_whole_seconds: bool,
}

impl JobFacts {
    /// `[started, finished)` once both are known.
    #[must_use]
    pub fn window(&self) -> Option<TimeRange> {
        Some(TimeRange::new(self.started_at?, self.finished_at?))
    }

    /// The sections, none if unknown.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        self.sections.as_deref().unwrap_or_default()
    }

    /// Whether the job has ended, whatever of that is known.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.finished_at.is_some() || self.status.is_some_and(JobStatus::is_terminal)
    }

    /// How far in its life the job is, as these facts alone tell.
    fn rank(&self) -> u8 {
        let by_times = match (self.started_at, self.finished_at) {
            (_, Some(_)) => TERMINAL_RANK,
            (Some(_), None) => RUNNING_RANK,
            (None, None) => 0,
        };
        self.status
            .map_or(by_times, |status| status.rank().max(by_times))
    }
}

/// The facts of a job and the rank of the event that said each of them.
///
/// Merging is monotone: a fact is replaced only by one said at the same or a later point of the
/// job's life, so events in any order give the same record. Among final statuses the first wins.
/// A time with milliseconds counts more than the same second without, whoever says it when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedFacts {
    facts: JobFacts,
    #[serde(default)]
    ranks: BTreeMap<String, u8>,
    /// Times of which only the second is known.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    whole_seconds: BTreeSet<String>,
}

impl MergedFacts {
    /// The facts as they stand.
    #[must_use]
    pub fn facts(&self) -> &JobFacts {
        &self.facts
    }

    /// Takes erased texts out. What is said of them later is kept out before it is merged.
    pub fn erase(&mut self, fields: Fields) {
        fields.erase_from(&mut self.facts);
    }

    /// Facts whose history is gone (of a sealed job): all count as said at the point of its life that
    /// they tell of, its end. So what was said earlier and arrives later replaces none of them.
    #[must_use]
    pub fn from_facts(facts: JobFacts) -> Self {
        let mut merged = Self::default();
        let rank = facts.rank();
        merged.merge_times(&facts, rank);
        merged.merge_fields(facts, rank);
        merged
    }

    /// Merges what one event says. Returns whether a fact changed; beside that the point at which facts
    /// were said may have, which counts for what comes later.
    ///
    /// # Errors
    /// `Conflict` (`job_times`) if the job would end before it starts or last longer than
    /// [`crate::limits::JOB_DURATION_MS_MAX`]; nothing is merged then.
    pub fn merge(&mut self, said: JobFacts) -> Result<bool> {
        let mut next = self.clone();
        let rank = said.rank();
        next.merge_times(&said, rank);
        next.merge_fields(said, rank);
        if let Some(window) = next.facts.window() {
            check_window(window)?;
        }
        let changed = next.facts != self.facts;
        *self = next;
        Ok(changed)
    }

    fn merge_fields(&mut self, said: JobFacts, rank: u8) {
        let Self { facts, ranks, .. } = self;
        let status_is_final = facts.status.is_some_and(JobStatus::is_terminal);
        if !status_is_final
            && said
                .status
                .is_some_and(|new| facts.status.is_none_or(|old| new.rank() >= old.rank()))
        {
            facts.status = said.status;
        }
        macro_rules! merge {
            ($($field:ident),*) => {$(
                if said.$field.is_some() && ranks.get(stringify!($field)).is_none_or(|old| rank >= *old) {
                    facts.$field = said.$field;
                    ranks.insert(stringify!($field).to_owned(), rank);
                }
            )*};
        }
        merge!(
            project,
            project_id,
            pipeline_id,
            name,
            stage,
            git_ref,
            sha,
            failure_reason,
            runner_id,
            runner_description,
            runner_tags,
            machine,
            executor,
            web_url,
            queued_ms,
            sections
        );
    }

    fn merge_times(&mut self, said: &JobFacts, rank: u8) {
        macro_rules! merge {
            ($($field:ident),*) => {$(
                if let Some(time) = said.$field {
                    let name = stringify!($field);
                    let old_rank = self.ranks.get(name).copied();
                    let known = Timed::new(self.facts.$field, self.whole_seconds.contains(name));
                    let new = Timed::new(Some(time), said.in_whole_seconds);
                    let is_newer = old_rank.is_none_or(|old| rank >= old);
                    if new.refines(known) || (is_newer && !known.refines(new)) {
                        self.facts.$field = said.$field;
                        if said.in_whole_seconds {
                            self.whole_seconds.insert(name.to_owned());
                        } else {
                            self.whole_seconds.remove(name);
                        }
                    }
                    self.ranks.insert(name.to_owned(), old_rank.unwrap_or(0).max(rank));
                }
            )*};
        }
        merge!(created_at, started_at, finished_at);
        self.keep_order();
    }

    /// A job shorter than a second may seem to end before it starts if only the second of its end is
    /// known: its end is its start then, until somebody says it better.
    fn keep_order(&mut self) {
        let Some(window) = self.facts.window() else {
            return;
        };
        let within_second = (1..SECOND_MS).contains(&window.from.since(window.to));
        if within_second && self.whole_seconds.contains("finished_at") {
            self.facts.finished_at = Some(window.from);
        }
    }
}

const SECOND_MS: i64 = 1_000;

/// A time, if known, and whether only its second is.
#[derive(Clone, Copy)]
struct Timed {
    time: Option<TimestampMs>,
    in_whole_seconds: bool,
}

impl Timed {
    fn new(time: Option<TimestampMs>, in_whole_seconds: bool) -> Self {
        Self {
            time,
            in_whole_seconds,
        }
    }

    /// Whether this says the second of `other`, more exactly.
    fn refines(self, other: Self) -> bool {
        let same_second = self
            .time
            .zip(other.time)
            .is_some_and(|(own, whole)| (0..SECOND_MS).contains(&own.since(whole)));
        same_second && other.in_whole_seconds && !self.in_whole_seconds
    }
}

fn check_window(window: TimeRange) -> Result<()> {
    let conflict = |message| Err(Error::new(ErrorKind::Conflict, "job_times", message));
    if window.to < window.from {
        return conflict(format!(
            "the job would finish at {} before it starts at {}; correct started_at or finished_at",
            window.to.to_rfc3339(),
            window.from.to_rfc3339()
        ));
    }
    if window.len_ms() > crate::limits::JOB_DURATION_MS_MAX {
        return conflict(format!(
            "the job would last from {} to {}, more than 31 days; correct started_at or finished_at",
            window.from.to_rfc3339(),
            window.to.to_rfc3339()
        ));
    }
    Ok(())
}

/// One report about a job, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEvent {
    /// The job.
    pub job: JobRef,
    /// What the report says; what it does not say is `None`.
    pub facts: JobFacts,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(
        status: JobStatus,
        machine: &str,
        started: Option<i64>,
        finished: Option<i64>,
    ) -> JobFacts {
        JobFacts {
            status: Some(status),
            machine: Some(Machine::parse(machine).unwrap()),
            name: Some(format!("named at {}", status.as_str())),
            started_at: started.map(TimestampMs),
            finished_at: finished.map(TimestampMs),
            ..JobFacts::default()
        }
    }

    fn life() -> Vec<JobFacts> {
        vec![
            at(JobStatus::Created, "m-0", None, None),
            at(JobStatus::Pending, "m-1", None, None),
            at(JobStatus::Running, "m-2", Some(1_000), None),
            at(JobStatus::Failed, "m-3", Some(1_001), Some(2_000)),
        ]
    }

    proptest! {
        #[test]
        fn any_order_and_repetition_gives_the_same_record(order in prop::collection::vec(0usize..4, 4..40)) {
            let mut expected = MergedFacts::default();
            for facts in life() {
                expected.merge(facts).unwrap();
            }
            let mut record = MergedFacts::default();
            for index in order.into_iter().chain(0..4) {
                record.merge(life()[index].clone()).unwrap();
            }
            prop_assert_eq!(record, expected);
        }
    }

    proptest! {
        /// The history of a job is forgotten when it is sealed, at any time after its end was said.
        #[test]
        fn any_order_across_a_seal_gives_the_same_facts(
            before in prop::collection::vec(0usize..4, 0..6),
            after in prop::collection::vec(0usize..4, 0..12),
        ) {
            let mut expected = MergedFacts::default();
            for facts in life() {
                expected.merge(facts).unwrap();
            }
            let mut record = MergedFacts::default();
            for index in before.into_iter().chain([3]) {
                record.merge(life()[index].clone()).unwrap();
            }
            let mut sealed = MergedFacts::from_facts(record.facts().clone());
            for index in after.into_iter().chain(0..4) {
                let changed = sealed.merge(life()[index].clone()).unwrap();
                prop_assert!(!changed, "event {index} is a repetition");
            }
            prop_assert_eq!(sealed.facts(), expected.facts());
        }
    }

    #[test]
    fn a_sealed_job_takes_what_it_did_not_know_and_final_corrections() {
        let mut sealed = MergedFacts::from_facts(at(JobStatus::Failed, "m-3", Some(1), Some(2)));
        let stage = |stage: &str, status| JobFacts {
            status,
            stage: Some(stage.to_owned()),
            ..JobFacts::default()
        };
        assert!(sealed.merge(stage("build", None)).unwrap());
        assert!(
            sealed
                .merge(stage("test", Some(JobStatus::Running)))
                .unwrap()
        );
        assert!(!sealed.merge(stage("build", None)).unwrap());
        assert_eq!(sealed.facts().stage.as_deref(), Some("test"));
        let corrected = at(JobStatus::Failed, "m-4", Some(1), Some(3));
        assert!(sealed.merge(corrected.clone()).unwrap());
        assert_eq!(sealed.facts().window(), corrected.window());
        assert_eq!(sealed.facts().machine, corrected.machine);
    }

    #[test]
    fn the_first_final_status_wins() {
        let mut record = MergedFacts::default();
        record
            .merge(at(JobStatus::Canceled, "m", Some(1), Some(2)))
            .unwrap();
        record
            .merge(at(JobStatus::Success, "m", Some(1), Some(2)))
            .unwrap();
        assert_eq!(record.facts().status, Some(JobStatus::Canceled));
    }

    /// What hooks say of a job (whole seconds), and what is read elsewhere (milliseconds).
    fn said_by_hooks_and_rest(started: i64, finished: i64) -> Vec<JobFacts> {
        let cut = |ms: i64| ms - ms % 1_000;
        let hook = |facts| JobFacts {
            in_whole_seconds: true,
            ..facts
        };
        vec![
            hook(at(JobStatus::Pending, "m-1", None, None)),
            hook(at(JobStatus::Running, "m-2", Some(cut(started)), None)),
            at(JobStatus::Running, "m-2", Some(started), None),
            hook(at(
                JobStatus::Success,
                "m-3",
                Some(cut(started)),
                Some(cut(finished)),
            )),
            at(JobStatus::Success, "m-3", Some(started), Some(finished)),
        ]
    }

    proptest! {
        #[test]
        fn milliseconds_win_over_whole_seconds_in_any_order(
            order in prop::collection::vec(0usize..5, 0..30),
            started in 1_764_000_000_000i64..1_764_000_002_000,
            length in 0i64..3_000,
        ) {
            let said = said_by_hooks_and_rest(started, started + length);
            let mut record = MergedFacts::default();
            for index in order.into_iter().chain(0..5) {
                record.merge(said[index].clone()).unwrap();
                let window = record.facts().window();
                prop_assert!(window.is_none_or(|window| window.from <= window.to));
            }
            let facts = record.facts();
            prop_assert_eq!(facts.started_at, Some(TimestampMs(started)));
            prop_assert_eq!(facts.finished_at, Some(TimestampMs(started + length)));
            prop_assert!(!facts.in_whole_seconds);
            // Nor does a hook that comes again after the seal, when the history is gone.
            let mut sealed = MergedFacts::from_facts(facts.clone());
            for hook in said.into_iter().filter(|facts| facts.in_whole_seconds) {
                sealed.merge(JobFacts { name: None, machine: None, ..hook }).unwrap();
            }
            prop_assert_eq!(sealed.facts(), facts);
        }
    }

    #[test]
    fn a_job_of_less_than_a_second_does_not_end_before_it_starts() {
        let said = said_by_hooks_and_rest(1_764_000_000_700, 1_764_000_000_900);
        let mut record = MergedFacts::default();
        record.merge(said[2].clone()).unwrap();
        record.merge(said[3].clone()).unwrap();
        let start = TimestampMs(1_764_000_000_700);
        assert_eq!(record.facts().window(), Some(TimeRange::new(start, start)));
        record.merge(said[4].clone()).unwrap();
        assert_eq!(record.facts().window().map(TimeRange::len_ms), Some(200));
    }

    #[test]
    fn a_later_whole_second_still_corrects_another_second() {
        let mut record = MergedFacts::default();
        record
            .merge(at(JobStatus::Running, "m", Some(5_500), None))
            .unwrap();
        let corrected = JobFacts {
            in_whole_seconds: true,
            ..at(JobStatus::Running, "m", Some(7_000), None)
        };
        record.merge(corrected).unwrap();
        assert_eq!(record.facts().started_at, Some(TimestampMs(7_000)));
    }

    #[test]
    fn an_end_before_the_start_is_refused_and_changes_nothing() {
        let mut record = MergedFacts::default();
        record
            .merge(at(JobStatus::Running, "m", Some(5_000), None))
            .unwrap();
        let before = record.clone();
        let end_only = JobFacts {
            finished_at: Some(TimestampMs(4_000)),
            ..JobFacts::default()
        };
        assert_eq!(
            record.merge(end_only).unwrap_err().kind(),
            ErrorKind::Conflict
        );
        assert_eq!(record, before);
    }

    #[test]
    fn status_words_round_trip() {
        for status in JobStatus::ALL {
            assert_eq!(JobStatus::parse(status.as_str()), Some(status));
        }
        assert_eq!(JobStatus::parse("exploded"), None);
    }
}
