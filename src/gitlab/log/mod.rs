//! A job's log, read once from front to back: the machine, the executor and the sections.
//!
//! The text is never kept: memory is bounded by one line per stream and the open sections, whatever
//! the log holds. Called by the service that fetches logs through GitLab's REST, and by nobody else.

use crate::model::job::{JobFacts, Section};
use crate::model::machine::Machine;
use crate::time::TimeRange;

/// Reads a job's log as it arrives.
///
/// ```
/// use tachograph::gitlab::log::LogReader;
/// let mut reader = LogReader::new();
/// reader.push(b"\x1b[0KRunning with gitlab-runner 19.4.0 (d79f3e7b)\x1b[0;m\n");
/// assert!(!reader.is_machine_settled());
/// ```
#[derive(Debug, Default)]
pub struct LogReader {}

impl LogReader {
    /// A reader at the beginning of a log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next bytes of the log, in pieces of any size.
    pub fn push(&mut self, _bytes: &[u8]) {}

    /// The machine, as soon as the runner's line about it was read.
    #[must_use]
    pub fn machine(&self) -> Option<&Machine> {
        None
    }

    /// The executor in the runner's words, e.g. `docker+machine`, as soon as it was read.
    #[must_use]
    pub fn executor(&self) -> Option<&str> {
        None
    }

    /// Whether the rest of the log cannot say more about the machine: it is known, or the place where
    /// the runner would have named it is over. Who wants only the machine may stop reading.
    #[must_use]
    pub fn is_machine_settled(&self) -> bool {
        false
    }

    /// What the log says, as far as it was pushed. `window` is the job's, from REST: sections that
    /// are still open end with it, and none reaches beyond it.
    #[must_use]
    pub fn finish(self, _window: TimeRange) -> LogFindings {
        LogFindings::default()
    }
}

/// What a log says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFindings {
    /// The machine; `None` rather than a wrong one.
    pub machine: Option<Machine>,
    /// The executor in the runner's words.
    pub executor: Option<String>,
    /// The runner's version.
    pub runner_version: Option<String>,
    /// Parts of the log in the order in which they began; times rounded to ms.
    pub sections: Vec<Section>,
    /// Whether the runner or a bound of ours cut the log or its sections short.
    pub is_cut: bool,
}

impl LogFindings {
    /// The findings as facts of the job. What is said elsewhere (with a status or times) counts more.
    #[must_use]
    pub fn into_facts(self) -> JobFacts {
        JobFacts {
            machine: self.machine,
            executor: self.executor,
            sections: Some(self.sections).filter(|sections| !sections.is_empty()),
            ..JobFacts::default()
        }
    }
}
