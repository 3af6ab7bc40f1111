//! What the running service knows of each region: how busy it is, whether it answers, how long it
//! keeps samples, and how often it scrapes.
//!
//! Used by the pipeline alone. Nothing here is durable: after a restart it is found out again. The
//! map has one entry per region ever asked; regions are registered by an operator, a handful of them.

use crate::limits;
use crate::model::id::RegionName;
use crate::model::settle;
use crate::source_port::SourceErrorKind;
use crate::time::TimestampMs;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long what a server says of its retention is believed.
const RETENTION_TTL_MS: i64 = 3_600_000;
/// Scrapes that must be seen before a distance between them is taken for the region's interval.
const SCRAPES_TO_LEARN: usize = 4;
/// A region that does not answer is left alone this long at most: the fifth of the upstream delays.
const SILENCE_STEPS_MAX: u32 = 5;

/// All regions.
#[derive(Debug, Default)]
pub(super) struct Regions {
    known: Mutex<HashMap<RegionName, Arc<Knowledge>>>,
}

impl Regions {
    /// What is known of a region.
    pub(super) fn of(&self, name: &RegionName) -> Arc<Knowledge> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(name.clone()).or_default())
    }
}

/// What is known of one region.
#[derive(Debug)]
pub(super) struct Knowledge {
    gate: Arc<Semaphore>,
    facts: Mutex<Facts>,
}

#[derive(Debug, Default)]
struct Facts {
    /// As the server said, and when it was asked.
    retention: Option<(TimestampMs, Option<i64>)>,
    /// The longest that a job with enough scrapes showed: a region may scrape at several paces.
    scrape_interval_ms: Option<i64>,
    silence: Option<Silence>,
}

/// A region that did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Silence {
    /// Until when it is left alone.
    pub(super) until: TimestampMs,
    /// Calls in a row that it did not answer.
    calls: u32,
    /// The last failure.
    pub(super) message: String,
}

impl Default for Knowledge {
    fn default() -> Self {
        Self {
            gate: Arc::new(Semaphore::new(limits::FETCHES_PER_REGION)),
            facts: Mutex::default(),
        }
    }
}

impl Knowledge {
    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for one of the region's places. `None` only while the service is torn down.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.gate).acquire_owned().await.ok()
    }

    /// The silence that is not over at `now`.
    pub(super) fn silent(&self, now: TimestampMs) -> Option<Silence> {
        let silence = self.facts().silence.clone();
        silence.filter(|silence| now < silence.until)
    }

    /// Notes how a call ended.
    pub(super) fn called(&self, now: TimestampMs, failure: Option<(SourceErrorKind, &str)>) {
        let mut facts = self.facts();
        let Some((SourceErrorKind::Unreachable, message)) = failure else {
            facts.silence = None;
            return;
        };
        let before = facts.silence.as_ref().map_or(0, |silence| silence.calls);
        let calls = before.saturating_add(1).min(SILENCE_STEPS_MAX);
        facts.silence = Some(Silence {
            until: now.plus_ms(settle::upstream_delay_ms(calls)),
            calls,
            message: message.to_owned(),
        });
    }

    /// The scrape interval that jobs showed.
    pub(super) fn scrape_interval_ms(&self) -> Option<i64> {
        self.facts().scrape_interval_ms
    }

    /// Notes the interval that a job showed. A few scrapes with a hole between them say nothing.
    pub(super) fn learn(&self, scrape_interval_ms: Option<i64>, scrapes: usize) {
        if let Some(interval) = scrape_interval_ms.filter(|_| scrapes >= SCRAPES_TO_LEARN) {
            let found = Some(settle::plausible_interval_ms(interval));
            let mut facts = self.facts();
            facts.scrape_interval_ms = facts.scrape_interval_ms.max(found);
        }
    }

    /// What the server said of its retention: outer `None` if it was not asked lately.
    pub(super) fn retention(&self, now: TimestampMs) -> Option<Option<i64>> {
        let said = self.facts().retention?;
        (now.since(said.0) < RETENTION_TTL_MS).then_some(said.1)
    }

    /// Notes what the server said of its retention.
    pub(super) fn keeps(&self, now: TimestampMs, retention_ms: Option<i64>) {
        self.facts().retention = Some((now, retention_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOWN: Option<(SourceErrorKind, &str)> = Some((SourceErrorKind::Unreachable, "refused"));

    #[test]
    fn a_silent_region_is_left_alone_longer_each_time_until_it_answers() {
        let region = Knowledge::default();
        let at = TimestampMs;
        assert_eq!(region.silent(at(0)), None);
        region.called(at(0), DOWN);
        assert_eq!(region.silent(at(9_999)).unwrap().message, "refused");
        assert_eq!(region.silent(at(10_000)), None);
        region.called(at(10_000), DOWN);
        assert!(region.silent(at(39_999)).is_some() && region.silent(at(40_000)).is_none());
        for _ in 0..50 {
            region.called(at(40_000), DOWN);
        }
        assert!(region.silent(at(639_999)).is_some() && region.silent(at(640_000)).is_none());
        region.called(at(640_000), Some((SourceErrorKind::Refused, "401")));
        assert_eq!(region.silent(at(640_001)), None);
        region.called(at(640_001), DOWN);
        assert!(region.silent(at(650_001)).is_none());
    }

    #[test]
    fn an_interval_is_learnt_from_enough_scrapes_and_never_beyond_reason() {
        let region = Knowledge::default();
        region.learn(Some(3_600_000), 2);
        assert_eq!(region.scrape_interval_ms(), None);
        region.learn(Some(15_000), 9);
        assert_eq!(region.scrape_interval_ms(), Some(15_000));
        region.learn(Some(60_000), 4);
        region.learn(Some(15_000), 9);
        assert_eq!(region.scrape_interval_ms(), Some(60_000));
        region.learn(Some(3_600_000), 9);
        assert_eq!(region.scrape_interval_ms(), Some(300_000));
    }

    #[test]
    fn retention_is_believed_for_an_hour() {
        let region = Knowledge::default();
        assert_eq!(region.retention(TimestampMs(0)), None);
        region.keeps(TimestampMs(0), Some(5));
        assert_eq!(region.retention(TimestampMs(3_599_999)), Some(Some(5)));
        assert_eq!(region.retention(TimestampMs(3_600_000)), None);
    }
}
