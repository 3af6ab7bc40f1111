//! What to do with a due job: pure decisions, no I/O.

use super::assemble::EndState;
use crate::model::id::RegionName;
use crate::model::job::JobFacts;
use crate::model::machine::Machine;
use crate::model::record::Waiting;
use crate::model::runner::{Region, Runner};
use crate::model::settle;
use crate::model::state::{Reason, Verdict};
use crate::source_port::{SeriesRequest, SourceErrorKind};
use crate::time::{TimeRange, TimestampMs};

use super::assemble;

/// Everything that is needed to fetch a job.
#[derive(Debug, Clone)]
pub(super) struct Fetch {
    pub(super) request: SeriesRequest,
    pub(super) runner: Runner,
    pub(super) window: TimeRange,
}

/// Who ran the job, as far as it is registered.
#[derive(Debug, Clone, Default)]
pub(super) struct Registered {
    pub(super) runner: Option<Runner>,
    pub(super) region: Option<Region>,
}

/// The fetch for a job, or what it waits for.
pub(super) fn fetch(
    facts: &JobFacts,
    registered: Registered,
    learnt_interval_ms: Option<i64>,
) -> Result<Fetch, Reason> {
    let window = facts.window().ok_or(Reason::WaitingForStart)?;
    let runner = registered.runner.ok_or(Reason::WaitingForRunner)?;
    let region = registered.region.ok_or(Reason::WaitingForRegion)?;
    let machine: &Machine = facts.machine.as_ref().ok_or(Reason::WaitingForMachine)?;
    let request = SeriesRequest {
        region_name: RegionName::clone(&runner.region),
        machine: runner.matcher(machine),
        names: assemble::names(runner.preset),
        range: padded(window, region.scrape_interval_ms().or(learnt_interval_ms)),
        region,
    };
    Ok(Fetch {
        request,
        runner,
        window,
    })
}

/// The window fetched: two scrape intervals and a second before, two intervals after, so that the
/// counters can be interpolated at the job's edges. An unknown interval is taken as the default.
pub(super) fn padded(window: TimeRange, scrape_interval_ms: Option<i64>) -> TimeRange {
    let interval = scrape_interval_ms.unwrap_or(settle::UNKNOWN_SCRAPE_INTERVAL_MS);
    window.padded(2 * interval + 1_000, 2 * interval)
}

/// The window to read again if the first one was padded for a shorter scrape interval than the data
/// shows: the scrapes around the job may be outside of it. A single scrape shows no interval.
pub(super) fn wider(
    request: &SeriesRequest,
    window: TimeRange,
    end: &EndState,
    found_ms: Option<i64>,
) -> Option<TimeRange> {
    if request.region.scrape_interval_ms().is_some() || !end.any_samples() {
        return None;
    }
    let wanted = padded(window, found_ms.map(settle::plausible_interval_ms));
    let asked = request.range;
    (wanted.from < asked.from || wanted.to > asked.to).then_some(wanted)
}

/// What a fetch that worked means for the job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Nothing more can come, or waiting longer is no use: archive it.
    Archive,
    /// Too early: its last samples are still on their way until then.
    Settle(TimestampMs),
    /// The end of the job is missing: ask again.
    AskAgain(Reason),
}

/// Decides by how the series end; `attempts` counts this one.
///
/// A last sample shortly before the job's end is not the end of a machine whose silence nothing
/// explains: the server may only lag. It is believed if it is still so one retry after the job has
/// settled.
pub(super) fn decide(
    end: &EndState,
    window: TimeRange,
    interval_ms: Option<i64>,
    attempts: u32,
    now: TimestampMs,
) -> Decision {
    let interval = interval_ms.unwrap_or(settle::UNKNOWN_SCRAPE_INTERVAL_MS);
    let settled_at = window.to.plus_ms(settle::settled_after_ms(interval));
    let given_up = settle::end_is_given_up(attempts);
    if !end.any_samples() {
        return if end.target_lost && given_up {
            Decision::Archive
        } else {
            Decision::AskAgain(Reason::NoSamplesYet)
        };
    }
    let reaches = end
        .last_sample
        .is_some_and(|last| last >= window.to.plus_ms(-2 * interval))
        && now >= settled_at.plus_ms(settle::retry_delay_ms(1));
    if end.settled || end.target_lost || given_up || reaches {
        Decision::Archive
    } else if now < settled_at {
        Decision::Settle(settled_at)
    } else {
        Decision::AskAgain(Reason::SamplesLate)
    }
}

/// The reason that a failed read leaves behind.
pub(super) fn read_failure(kind: SourceErrorKind) -> Reason {
    match kind {
        SourceErrorKind::Unreachable => Reason::UpstreamUnreachable,
        SourceErrorKind::Refused => Reason::UpstreamRefused,
        SourceErrorKind::Invalid => Reason::UpstreamInvalid,
    }
}

/// What kind of thing a job waits for. Attempts are counted anew for each: waiting for a runner says
/// nothing of how long samples have been late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    Registration,
    Upstream,
    Samples,
}

impl Wait {
    fn of(reason: Reason) -> Self {
        match reason {
            Reason::WaitingForRunner | Reason::WaitingForRegion | Reason::WaitingForMachine => {
                Self::Registration
            }
            Reason::UpstreamUnreachable
            | Reason::UpstreamRefused
            | Reason::UpstreamInvalid
            | Reason::ArchiverFailed => Self::Upstream,
            _ => Self::Samples,
        }
    }
}

/// Attempts that ended with this kind of reason, counting this one.
pub(super) fn attempts(before: Option<&Waiting>, reason: Reason) -> u32 {
    let same = before.filter(|before| Wait::of(before.reason) == Wait::of(reason));
    same.map_or(0, |before| before.attempts).saturating_add(1)
}

/// The next attempt, `None` if the deadline has passed: then the job is given up.
pub(super) fn next_attempt(
    before: Option<&Waiting>,
    reason: Reason,
    detail: Option<String>,
    now: TimestampMs,
    deadline: TimestampMs,
    spread: i64,
) -> Option<Waiting> {
    if now >= deadline {
        return None;
    }
    let attempts = attempts(before, reason);
    let delay = match Wait::of(reason) {
        Wait::Upstream => settle::upstream_delay_ms(attempts),
        Wait::Registration | Wait::Samples => settle::retry_delay_ms(attempts),
    };
    // Up to a tenth later: jobs that failed together do not return together.
    let later = spread_ms(delay / 10, spread);
    let due = now.plus_ms(delay + later).min(deadline.max(now));
    Some(Waiting {
        due,
        attempts,
        reason,
        detail,
    })
}

/// A part of `over_ms`, by the job's number.
pub(super) fn spread_ms(over_ms: i64, job: i64) -> i64 {
    over_ms * job.rem_euclid(100) / 100
}

/// What a job is given up with.
pub(super) fn given_up(reason: Reason) -> (Option<Verdict>, Reason) {
    match reason {
        Reason::WaitingForStart => (None, Reason::NeverRan),
        Reason::WaitingForRunner | Reason::WaitingForRegion | Reason::WaitingForMachine => {
            (Some(Verdict::PastRetention), Reason::NeverRegistered)
        }
        Reason::UpstreamUnreachable
        | Reason::UpstreamRefused
        | Reason::UpstreamInvalid
        | Reason::ArchiverFailed => (Some(Verdict::PastRetention), Reason::UpstreamFailed),
        _ => (Some(Verdict::UnknownMachine), Reason::UnknownMachine),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: TimeRange = TimeRange {
        from: TimestampMs(0),
        to: TimestampMs(100_000),
    };

    fn end(last: Option<i64>) -> EndState {
        EndState {
            scrapes: usize::from(last.is_some()),
            last_sample: last.map(TimestampMs),
            ..EndState::default()
        }
    }

    #[test]
    fn a_missing_end_is_asked_for_four_times_and_a_near_one_until_it_is_believed() {
        let late = end(Some(50_000));
        let at = |end: &EndState, attempts, now| {
            decide(end, WINDOW, Some(10_000), attempts, TimestampMs(now))
        };
        let decide = |end: &EndState, attempts| at(end, attempts, 1_000_000);
        assert_eq!(decide(&late, 1), Decision::AskAgain(Reason::SamplesLate));
        assert_eq!(decide(&late, 3), Decision::AskAgain(Reason::SamplesLate));
        assert_eq!(decide(&late, 4), Decision::Archive);
        // Settled at 100 + 21 + 10 + 1 s, believed 90 s later.
        let near = end(Some(80_000));
        assert_eq!(
            at(&near, 1, 221_999),
            Decision::AskAgain(Reason::SamplesLate)
        );
        assert_eq!(at(&near, 1, 222_000), Decision::Archive);
        for known in [
            EndState {
                target_lost: true,
                ..late
            },
            EndState {
                settled: true,
                ..late
            },
        ] {
            assert_eq!(decide(&known, 1), Decision::Archive);
        }
        assert_eq!(
            decide(&end(None), 9),
            Decision::AskAgain(Reason::NoSamplesYet)
        );
        let down = EndState {
            target_lost: true,
            ..end(None)
        };
        assert_eq!(decide(&down, 3), Decision::AskAgain(Reason::NoSamplesYet));
        assert_eq!(decide(&down, 4), Decision::Archive);
    }

    #[test]
    fn the_interval_that_the_data_shows_says_when_a_job_has_settled() {
        let decide = |interval, now: i64| {
            let now = TimestampMs(now);
            decide(&end(Some(90_000)), WINDOW, interval, 1, now)
        };
        // 2.1 intervals, 10 s of scrape timeout and a second behind the end.
        let minute = Decision::Settle(TimestampMs(100_000 + 137_000));
        assert_eq!(decide(Some(60_000), 142_500), minute);
        assert_eq!(decide(None, 142_500), minute);
        assert_eq!(
            decide(Some(60_000), 237_000),
            Decision::AskAgain(Reason::SamplesLate)
        );
        assert_eq!(
            decide(Some(15_000), 142_500),
            Decision::AskAgain(Reason::SamplesLate)
        );
    }

    #[test]
    fn attempts_count_for_one_kind_of_wait() {
        let waiting = |reason| Waiting {
            due: TimestampMs(0),
            attempts: 7,
            reason,
            detail: None,
        };
        let after = |before, reason| attempts(Some(&waiting(before)), reason);
        assert_eq!(attempts(None, Reason::SamplesLate), 1);
        assert_eq!(after(Reason::WaitingForRunner, Reason::SamplesLate), 1);
        assert_eq!(after(Reason::SamplesLate, Reason::UpstreamInvalid), 1);
        assert_eq!(after(Reason::NoSamplesYet, Reason::SamplesLate), 8);
        assert_eq!(after(Reason::WaitingForRunner, Reason::WaitingForRegion), 8);
    }

    #[test]
    fn attempts_stop_at_the_deadline_and_the_last_one_is_at_it() {
        let ask = |now, deadline| {
            next_attempt(
                None,
                Reason::SamplesLate,
                None,
                TimestampMs(now),
                TimestampMs(deadline),
                0,
            )
        };
        assert_eq!(ask(0, 1_000_000).unwrap().due, TimestampMs(90_000));
        assert_eq!(ask(0, 50_000).unwrap().due, TimestampMs(50_000));
        assert!(ask(50_000, 50_000).is_none());
        let spread = next_attempt(
            None,
            Reason::SamplesLate,
            None,
            TimestampMs(0),
            TimestampMs(1_000_000),
            99,
        );
        assert!((90_000..99_000).contains(&spread.unwrap().due.0));
    }

    #[test]
    fn what_is_missing_is_named_in_order() {
        let facts = JobFacts {
            started_at: Some(TimestampMs(1)),
            finished_at: Some(TimestampMs(2)),
            ..JobFacts::default()
        };
        let missing = |facts: &JobFacts, registered| fetch(facts, registered, None).err();
        assert_eq!(
            missing(&JobFacts::default(), Registered::default()),
            Some(Reason::WaitingForStart)
        );
        assert_eq!(
            missing(&facts, Registered::default()),
            Some(Reason::WaitingForRunner)
        );
        let runner: Runner = serde_json::from_value(serde_json::json!({ "region": "eu" })).unwrap();
        let only_runner = Registered {
            runner: Some(runner.clone()),
            region: None,
        };
        assert_eq!(missing(&facts, only_runner), Some(Reason::WaitingForRegion));
        let region: Region =
            serde_json::from_value(serde_json::json!({ "url": "http://h" })).unwrap();
        let both = Registered {
            runner: Some(runner),
            region: Some(region),
        };
        assert_eq!(
            missing(&facts, both.clone()),
            Some(Reason::WaitingForMachine)
        );
        let known = JobFacts {
            machine: Some(Machine::parse("m-1").unwrap()),
            ..facts
        };
        let fetch = fetch(&known, both, None).unwrap();
        assert_eq!(
            fetch.request.machine,
            ("instance".to_owned(), "m-1:9100".to_owned())
        );
        // Prometheus' own default is reckoned with while the interval is unknown.
        let range = |from, to| TimeRange::new(TimestampMs(from), TimestampMs(to));
        assert_eq!(fetch.request.range, range(-120_999, 120_002));
    }

    #[test]
    fn a_window_too_narrow_for_what_the_data_shows_is_widened_once() {
        let region: Region =
            serde_json::from_value(serde_json::json!({ "url": "http://h" })).unwrap();
        let request = |region: &Region, interval| SeriesRequest {
            region_name: RegionName::parse("eu").unwrap(),
            region: region.clone(),
            machine: ("instance".to_owned(), "m-1:9100".to_owned()),
            names: &[],
            range: padded(WINDOW, interval),
        };
        let seen = end(Some(50_000));
        let wider = |request: &SeriesRequest, found| wider(request, WINDOW, &seen, found);
        let narrow = request(&region, Some(15_000));
        assert_eq!(wider(&narrow, Some(15_000)), None);
        let found = wider(&narrow, Some(60_000)).unwrap();
        assert_eq!(found, padded(WINDOW, Some(60_000)));
        // One scrape shows no interval: Prometheus' default is reckoned with.
        assert_eq!(wider(&narrow, None), Some(found));
        assert_eq!(wider(&request(&region, None), None), None);
        // Two scrapes with a hole between them do not fetch hours.
        let hours = wider(&narrow, Some(7_200_000)).unwrap();
        assert_eq!(hours, padded(WINDOW, Some(300_000)));
        let registered = Region {
            scrape_interval_seconds: Some(15.0),
            ..region
        };
        assert_eq!(
            wider(&request(&registered, Some(15_000)), Some(60_000)),
            None
        );
    }
}
