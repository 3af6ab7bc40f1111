//! What to ask a CI about a job, and when: pure decisions, no I/O.

use super::lookups::Missing;
use crate::ci_port::{LogWish, ProjectName};
use crate::limits;
use crate::model::job::JobFacts;
use crate::model::record::{JobRecord, Waiting};
use crate::model::settle;
use crate::model::state::Reason;
use crate::time::{TimeRange, TimestampMs};

/// How long a log may grow after the job's end: GitLab has all of it within seconds. A log without a
/// last line after that is one that will never have it.
const LOG_GROWS_MS: i64 = 180_000;
/// How long a job may run before its CI is asked whether it is over: hooks are not delivered twice.
pub(super) const END_UNHEARD_MS: i64 = 15 * 60_000;
/// Delays between questions whether a job is over; the last one repeats.
const END_MS: [i64; 2] = [1_800_000, 3_600_000];

/// What a CI is asked about a job that is due: in what project, and how much of its log. `None` if
/// nothing is missing, or if all that can be asked was.
pub(super) fn question(record: &JobRecord) -> Option<(ProjectName, LogWish)> {
    let facts = record.merged.facts();
    let (project, window) = (project(facts)?, facts.window()?);
    let in_vain = |waiting: &Waiting| waiting.reason == Reason::WaitingForMachine;
    if facts.sections.is_none() {
        Some((project, LogWish::Whole(window)))
    } else if facts.machine.is_none() && !record.waiting.as_ref().is_some_and(in_vain) {
        Some((project, LogWish::Machine))
    } else {
        None
    }
}

fn project(facts: &JobFacts) -> Option<ProjectName> {
    facts.project_id.clone().or_else(|| facts.project.clone())
}

/// Whether a log that was read has more to come.
pub(super) fn log_grows(wish: LogWish, has_ended: bool, now: TimestampMs) -> bool {
    match wish {
        LogWish::Machine => false,
        LogWish::Whole(window) => !has_ended && now < window.to.plus_ms(LOG_GROWS_MS),
    }
}

/// When the CI is asked for the sections of a job that is archived without them.
pub(super) fn look_up_at(
    missing: &Missing,
    window: TimeRange,
    now: TimestampMs,
) -> Option<TimestampMs> {
    match missing {
        Missing::Nothing => None,
        Missing::LogGrows => Some(window.to.plus_ms(LOG_GROWS_MS).max(now)),
        Missing::Unanswered(error) => {
            let soon = now.plus_ms(settle::upstream_delay_ms(1));
            Some(error.retry_at.map_or(soon, |at| at.max(soon)))
        }
    }
}

/// What a CI is to be asked about a job at some later time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OpenQuestion {
    /// Whether it is over.
    End(ProjectName),
    /// For its sections.
    Sections(ProjectName, TimeRange),
}

/// What is still open; a job that waits to be archived is asked about when its turn comes.
pub(super) fn open_question(facts: &JobFacts, archived: bool) -> Option<OpenQuestion> {
    let project = project(facts)?;
    match facts.window() {
        None => {
            (facts.started_at.is_some() && !facts.is_over()).then_some(OpenQuestion::End(project))
        }
        Some(window) => (archived && facts.sections.is_none())
            .then_some(OpenQuestion::Sections(project, window)),
    }
}

/// When it is asked again whether a job is over; `None` if it is, or is not worth asking any more.
pub(super) fn next_end(
    attempts: u32,
    over: bool,
    started: Option<TimestampMs>,
    retry_at: Option<TimestampMs>,
    now: TimestampMs,
) -> Option<TimestampMs> {
    let ran_for = started.map_or(0, |started| now.since(started));
    if over || ran_for > limits::JOB_DURATION_MS_MAX {
        return None;
    }
    let position = usize::try_from(attempts).unwrap_or(usize::MAX);
    let delay = END_MS.get(position).or(END_MS.last());
    let next = now.plus_ms(delay.copied().unwrap_or(END_UNHEARD_MS));
    Some(retry_at.map_or(next, |at| at.max(next)))
}

/// When sections are asked for again, `None` if they came or are given up.
pub(super) fn next_sections(
    attempts: u32,
    missing: &Missing,
    now: TimestampMs,
) -> Option<TimestampMs> {
    if matches!(missing, Missing::Nothing) || attempts >= limits::LOOKUP_ATTEMPTS_MAX {
        return None;
    }
    let next = now.plus_ms(settle::upstream_delay_ms(attempts.saturating_add(2)));
    match missing {
        Missing::Unanswered(error) => Some(error.retry_at.map_or(next, |at| at.max(next))),
        _ => Some(next),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ci_port::{CiError, CiErrorKind};

    const WINDOW: TimeRange = TimeRange {
        from: TimestampMs(0),
        to: TimestampMs(100_000),
    };

    fn unanswered(retry_at: Option<i64>) -> Missing {
        Missing::Unanswered(CiError {
            kind: CiErrorKind::Limited,
            message: String::new(),
            retry_at: retry_at.map(TimestampMs),
        })
    }

    #[test]
    fn a_ci_is_asked_for_what_is_missing_and_not_for_ever() {
        let (now, window) = (TimestampMs(200_000), WINDOW);
        let after = |missing| look_up_at(&missing, window, now).map(|at| at.since(now));
        assert_eq!(after(Missing::Nothing), None);
        assert_eq!(after(Missing::LogGrows), Some(80_000));
        assert_eq!(after(unanswered(None)), Some(10_000));
        assert_eq!(after(unanswered(Some(260_000))), Some(60_000));
        let whole = LogWish::Whole(window);
        assert!(log_grows(whole, false, TimestampMs(279_999)));
        assert!(!log_grows(whole, false, TimestampMs(280_000)));
        assert!(!log_grows(whole, true, now) && !log_grows(LogWish::Machine, false, now));

        let again = |attempts, missing| next_sections(attempts, &missing, now);
        assert_eq!(again(0, Missing::Nothing), None);
        assert_eq!(again(0, unanswered(None)), Some(now.plus_ms(30_000)));
        assert_eq!(
            again(0, unanswered(Some(500_000))),
            Some(TimestampMs(500_000))
        );
        assert_eq!(again(limits::LOOKUP_ATTEMPTS_MAX, unanswered(None)), None);

        let end = |attempts, over, started: i64| {
            next_end(attempts, over, Some(TimestampMs(started)), None, now)
        };
        assert_eq!(end(0, true, 0), None);
        assert_eq!(end(0, false, 0), Some(now.plus_ms(1_800_000)));
        assert_eq!(end(9, false, 0), Some(now.plus_ms(3_600_000)));
        assert_eq!(end(9, false, -limits::JOB_DURATION_MS_MAX), None);
    }

    #[test]
    fn a_job_is_asked_about_only_while_something_is_open() {
        let known = JobFacts {
            project_id: Some("7".to_owned()),
            started_at: Some(WINDOW.from),
            ..JobFacts::default()
        };
        let over = JobFacts {
            finished_at: Some(WINDOW.to),
            ..known.clone()
        };
        let told = JobFacts {
            sections: Some(Vec::new()),
            ..over.clone()
        };
        let end = OpenQuestion::End("7".to_owned());
        let sections = OpenQuestion::Sections("7".to_owned(), WINDOW);
        assert_eq!(open_question(&known, false), Some(end));
        assert_eq!(open_question(&over, true), Some(sections));
        assert_eq!(open_question(&over, false), None);
        assert_eq!(open_question(&told, true), None);
        let nameless = JobFacts {
            project_id: None,
            ..known
        };
        assert_eq!(open_question(&nameless, false), None);
    }
}
