//! Retention: how long which part of a job is kept, as a pure function of policy, job and time.
//!
//! A job's age counts from its end. Its row, its samples and their coarser tier expire apart; with the
//! row everything goes. What has expired is not read any more from that instant on, whether or not its
//! bytes are still there (`archive::visible`); the bytes go later (`archive::retain`).

use crate::time::{Date, TimestampMs};
use std::collections::BTreeMap;

/// A day in milliseconds.
pub const DAY_MS: i64 = 86_400_000;
/// How long samples are kept unless told otherwise.
const SAMPLES_DAYS: i64 = 400;
/// Share of expired rows above which a file that is still needed is written anew, in percent.
const REWRITE_ABOVE_PERCENT: u8 = 30;

/// How long something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// So many milliseconds behind the job's end.
    For(i64),
    /// For ever. Longer than every number.
    Forever,
}

impl Keep {
    /// So many days.
    #[must_use]
    pub fn days(days: i64) -> Self {
        Self::For(days.saturating_mul(DAY_MS))
    }

    /// Whether what ended at `end` is still kept at `now`.
    #[must_use]
    pub fn holds(self, end: TimestampMs, now: TimestampMs) -> bool {
        match self {
            Self::For(ms) => now.since(end) < ms,
            Self::Forever => true,
        }
    }
}

/// What holds for a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// How long samples are kept.
    pub samples: Keep,
    /// How long the coarser tier is kept that samples leave behind.
    pub samples_5m: Keep,
    /// How long the row is kept, and at most everything else.
    pub jobs: Keep,
    /// A legal hold: nothing expires, and nothing may be erased.
    pub hold: bool,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            samples: Keep::days(SAMPLES_DAYS),
            samples_5m: Keep::Forever,
            jobs: Keep::Forever,
            hold: false,
        }
    }
}

/// Which parts of a job are still kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its row: without it the job is not known any more.
    pub row: bool,
    /// Its samples.
    pub samples: bool,
    /// What its samples leave behind.
    pub samples_5m: bool,
}

impl Kept {
    /// Everything.
    pub const ALL: Self = Self {
        row: true,
        samples: true,
        samples_5m: true,
    };
}

impl Rule {
    /// What keeps longer of two rules, part by part: of a project that has two names in the policy.
    #[must_use]
    pub fn longer(self, other: Self) -> Self {
        Self {
            samples: self.samples.max(other.samples),
            samples_5m: self.samples_5m.max(other.samples_5m),
            jobs: self.jobs.max(other.jobs),
            hold: self.hold || other.hold,
        }
    }

    /// Which parts of a job that ended at `end` are kept at `now`.
    #[must_use]
    pub fn kept(&self, end: TimestampMs, now: TimestampMs) -> Kept {
        if self.hold {
            return Kept::ALL;
        }
        let row = self.jobs.holds(end, now);
        Kept {
            row,
            samples: row && self.samples.holds(end, now),
            samples_5m: row && self.samples_5m.holds(end, now),
        }
    }

    /// The shortest time that any part is kept.
    fn shortest(&self) -> Keep {
        if self.hold {
            return Keep::Forever;
        }
        self.samples.min(self.samples_5m).min(self.jobs)
    }
}

/// The policy: one rule for all projects, and rules of single ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// The rule of every project that has none of its own.
    pub general: Rule,
    projects: BTreeMap<String, Rule>,
    shortest: Keep,
    shortest_row: Keep,
    /// Share of expired rows above which a file that is still needed is written anew, in percent.
    pub rewrite_above_percent: u8,
}

impl Default for Retention {
    fn default() -> Self {
        Self::new(Rule::default(), BTreeMap::new())
    }
}

impl Retention {
    /// A policy. Projects stand by their path, or by their id in their source.
    #[must_use]
    pub fn new(general: Rule, projects: BTreeMap<String, Rule>) -> Self {
        let rules = projects.values().chain([&general]);
        let shortest = rules.clone().map(Rule::shortest).min();
        let held = |rule: &&Rule| !rule.hold;
        let shortest_row = rules.filter(held).map(|rule| rule.jobs).min();
        Self {
            general,
            shortest: shortest.unwrap_or(Keep::Forever),
            shortest_row: shortest_row.unwrap_or(Keep::Forever),
            projects,
            rewrite_above_percent: REWRITE_ABOVE_PERCENT,
        }
    }

    /// A policy by which nothing expires.
    #[must_use]
    pub fn forever() -> Self {
        let rule = Rule {
            samples: Keep::Forever,
            ..Rule::default()
        };
        Self::new(rule, BTreeMap::new())
    }

    /// Whether nothing but samples ever expires: the rest of every rule is kept for ever.
    #[must_use]
    pub fn only_samples_expire(&self) -> bool {
        let rules = self.projects.values().chain([&self.general]);
        rules
            .filter(|rule| !rule.hold)
            .all(|rule| rule.jobs == Keep::Forever && rule.samples_5m == Keep::Forever)
    }

    /// The rules of single projects, each by the path or the id of the project.
    pub fn projects(&self) -> impl Iterator<Item = (&str, Rule)> {
        self.projects
            .iter()
            .map(|(name, rule)| (name.as_str(), *rule))
    }

    /// Whether nothing of any job of that date can have expired at `now`: what a reader asks first,
    /// since it needs no look at a job.
    #[must_use]
    pub fn keeps_all_of(&self, date: Date, now: TimestampMs) -> bool {
        self.shortest.holds(start_of(date), now)
    }

    /// As [`Retention::keeps_all_of`], of the rows of jobs alone: samples go long before them.
    #[must_use]
    pub fn keeps_all_rows_of(&self, date: Date, now: TimestampMs) -> bool {
        self.shortest_row.holds(start_of(date), now)
    }
}

fn start_of(date: Date) -> TimestampMs {
    TimestampMs(i64::from(date.0).saturating_mul(DAY_MS))
}

/// The end of a job as retention counts it: inside the date under which it is archived, so that the
/// date alone bounds it. A job whose end is not known ended with its date.
#[must_use]
pub fn end_of(date: Date, finished_at: Option<TimestampMs>) -> TimestampMs {
    let (first, last) = (start_of(date), start_of(date).plus_ms(DAY_MS));
    finished_at.unwrap_or(last).clamp(first, last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(samples: Keep, jobs: Keep) -> Rule {
        Rule {
            samples,
            jobs,
            ..Rule::default()
        }
    }

    #[test]
    fn parts_expire_apart_and_everything_goes_with_the_row() {
        let rule = rule(Keep::days(2), Keep::days(5));
        let end = 10 * DAY_MS + 500;
        let at = |ms: i64| rule.kept(TimestampMs(end), TimestampMs(end + ms));
        assert_eq!(at(2 * DAY_MS - 1), Kept::ALL);
        let summary_and_coarse = Kept {
            samples: false,
            ..Kept::ALL
        };
        assert_eq!(at(2 * DAY_MS), summary_and_coarse);
        assert_eq!(at(5 * DAY_MS - 1), summary_and_coarse);
        let gone = at(5 * DAY_MS);
        assert!(!gone.row && !gone.samples && !gone.samples_5m);
        let held = Rule { hold: true, ..rule };
        let late = TimestampMs(end + 99 * DAY_MS);
        assert_eq!(held.kept(TimestampMs(end), late), Kept::ALL);
        let default = Rule::default().kept(TimestampMs(0), TimestampMs(400 * DAY_MS));
        assert_eq!(default, summary_and_coarse);
    }

    #[test]
    fn the_longer_of_two_rules_keeps_each_part_longer() {
        let one = rule(Keep::days(2), Keep::Forever);
        let two = Rule {
            hold: true,
            ..rule(Keep::days(3), Keep::days(9))
        };
        let longer = one.longer(two);
        assert_eq!(
            (longer.samples, longer.jobs),
            (Keep::days(3), Keep::Forever)
        );
        assert!(longer.hold && longer == two.longer(one));
    }

    #[test]
    fn an_end_lies_in_its_date() {
        let date = Date(3);
        let end = |ms: Option<i64>| end_of(date, ms.map(TimestampMs)).0;
        assert_eq!(end(Some(3 * DAY_MS + 7)), 3 * DAY_MS + 7);
        assert_eq!(end(Some(0)), 3 * DAY_MS);
        assert_eq!(end(Some(99 * DAY_MS)), 4 * DAY_MS);
        assert_eq!(end(None), 4 * DAY_MS);
    }

    fn keep() -> impl Strategy<Value = Keep> {
        prop_oneof![Just(Keep::Forever), (1i64..30 * DAY_MS).prop_map(Keep::For)]
    }

    proptest! {
        #[test]
        fn a_date_that_keeps_all_has_no_job_that_lost_anything(
            rules in prop::collection::vec((keep(), keep(), keep(), any::<bool>()), 1..4),
            finished in -2 * DAY_MS..12 * DAY_MS,
            date in 0i32..10,
            now in 0i64..40 * DAY_MS,
        ) {
            let rule = |(samples, samples_5m, jobs, hold)| Rule { samples, samples_5m, jobs, hold };
            let mut rules = rules.into_iter().map(rule);
            let general = rules.next().unwrap();
            let named: BTreeMap<String, Rule> = rules.enumerate().map(|(n, rule)| (format!("p{n}"), rule)).collect();
            let policy = Retention::new(general, named);
            let (date, now) = (Date(date), TimestampMs(now));
            let end = end_of(date, Some(TimestampMs(finished)));
            for rule in policy.projects().map(|(_, rule)| rule).chain([general]) {
                let kept = rule.kept(end, now);
                if policy.keeps_all_of(date, now) {
                    prop_assert_eq!(kept, Kept::ALL);
                }
                prop_assert!(kept.row || !policy.keeps_all_rows_of(date, now));
                prop_assert!(kept.row || !(kept.samples || kept.samples_5m));
                // What has expired stays expired.
                prop_assert!(kept.samples || !rule.kept(end, now.plus_ms(1)).samples);
            }
        }
    }
}
