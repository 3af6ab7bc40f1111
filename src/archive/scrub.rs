//! The scrubber: every byte of the archive is compared with its digest once in a set time.
//!
//! Called by the service every few seconds ([`Archive::scrub_due`]), which returns at once unless
//! something is to be done: a segment in which a read met damage, a segment in quarantine, or the next
//! segment of the pass. Segments are taken in the order of their keys; the position is durable, so a
//! restart goes on. After a segment the scrubber rests for that part of the pass that its bytes are of
//! all; the rest is counted on the clock that never steps.

use super::Archive;
use crate::error::{Error, ErrorKind, Result};
use crate::index::keys::meta::Meta;
use crate::index::keys::segments::{SegmentEntry, SegmentId, Segments};
use crate::time::{Date, TimestampMs};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Names in `meta`: date (days since 1970, plus 2^31) and sequence number of the last segment that was
/// looked at, and when the last pass ended (Unix ms; 0 before the first).
const DATE: &str = "scrub.date";
const SEQUENCE: &str = "scrub.segment";
const PASSED_AT: &str = "scrub.passed_at";

/// The longest rest: a small archive is looked at again and again without hurry.
const REST_MAX: Duration = Duration::from_secs(3_600);

/// How fast the archive is read through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrubPolicy {
    /// Time for the whole archive; `None` turns the scrubber off, except for what reads report.
    pub pass: Option<Duration>,
}

impl Default for ScrubPolicy {
    fn default() -> Self {
        Self {
            pass: Some(Duration::from_secs(7 * 86_400)),
        }
    }
}

impl ScrubPolicy {
    /// How long to rest after `bytes` of `all`.
    fn rest(pass: Duration, bytes: u64, all: u64) -> Duration {
        let ms = pass.as_millis().saturating_mul(u128::from(bytes)) / u128::from(all.max(1));
        Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)).min(REST_MAX)
    }
}

/// What a look did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Scrubbed {
    pub segments: u64,
    pub bytes: u64,
    /// Segments that are damaged or missing.
    pub problems: u64,
    /// Segments that came back from quarantine.
    pub taken_back: u64,
    pub pass_finished: bool,
}

/// Segments in which a read met damage. Shared with every open segment.
#[derive(Debug, Clone, Default)]
pub(super) struct Suspects(Arc<Mutex<BTreeSet<SegmentId>>>);

impl Suspects {
    fn lock(&self) -> MutexGuard<'_, BTreeSet<SegmentId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a segment if that is an error of its bytes.
    pub(super) fn report(&self, id: SegmentId, error: &Error) {
        if error.kind() == ErrorKind::Data {
            self.lock().insert(id);
        }
    }

    fn take(&self) -> BTreeSet<SegmentId> {
        std::mem::take(&mut *self.lock())
    }
}

/// When the scrubber goes on, on the clock that never steps.
#[derive(Debug, Default)]
pub(super) struct NextLook(Mutex<Option<Duration>>);

impl NextLook {
    fn lock(&self) -> MutexGuard<'_, Option<Duration>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Archive {
    /// Does what the scrubber has to do now.
    ///
    /// # Errors
    /// `Data` if the index cannot be read, `Unavailable` for I/O errors.
    pub fn scrub_due(&self) -> Result<Scrubbed> {
        let mut done = Scrubbed::default();
        for id in self.suspects.take() {
            if let Some(entry) = self.index.get::<Segments>(&id)? {
                self.scrub_one(id, &entry, &mut done)?;
            }
        }
        let now = self.clock.monotonic();
        let rests = self.next_scrub.lock().is_some_and(|next| now < next);
        if let Some(pass) = self.settings.scrub.pass.filter(|_| !rests) {
            let rest = self.scrub_next(pass, &mut done)?;
            *self.next_scrub.lock() = Some(self.clock.monotonic() + rest);
        }
        done.taken_back += self.look_after_quarantine()?;
        Ok(done)
    }

    /// The next segment of the pass; says how long to rest.
    fn scrub_next(&self, pass: Duration, done: &mut Scrubbed) -> Result<Duration> {
        let last = self.scrub_position()?;
        let (mut next, mut all) = (None, 0);
        let snapshot = self.index.snapshot();
        snapshot.scan::<Segments>(&[], None, |id, entry| {
            all += size_of(&entry);
            if next.is_none() && last.is_none_or(|last| id > last) {
                next = Some((id, entry));
            }
            Ok(true)
        })?;
        drop(snapshot);
        let Some((id, entry)) = next else {
            return self.end_pass(all, done);
        };
        self.scrub_one(id, &entry, done)?;
        self.keep_scrub_position(Some(id))?;
        Ok(ScrubPolicy::rest(pass, size_of(&entry), all))
    }

    fn end_pass(&self, all: u64, done: &mut Scrubbed) -> Result<Duration> {
        if all == 0 {
            return Ok(REST_MAX.min(Duration::from_secs(60)));
        }
        done.pass_finished = true;
        tracing::info!(
            bytes = all,
            "the whole archive was compared with its digests"
        );
        self.keep_scrub_position(None)?;
        Ok(Duration::ZERO)
    }

    /// Compares both files of a segment with their digests. What is damaged or missing goes into
    /// quarantine; what cannot be read now is counted and looked at in the next pass.
    fn scrub_one(&self, id: SegmentId, entry: &SegmentEntry, done: &mut Scrubbed) -> Result<()> {
        let _no_file_is_removed = self.pin_files();
        if self.index.get::<Segments>(&id)?.is_none() {
            return Ok(());
        }
        done.segments += 1;
        done.bytes += size_of(entry);
        let looked = self
            .open_files(id, entry)
            .and_then(|segment| segment.verify_whole());
        match looked {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Data => {
                done.problems += 1;
                self.quarantine(id, &error)
            }
            Err(error) => {
                done.problems += 1;
                tracing::error!(segment.seq = id.seq, segment.date = %id.date, error = error.chain(), "a segment cannot be read");
                Ok(())
            }
        }
    }

    fn scrub_position(&self) -> Result<Option<SegmentId>> {
        let get = |name: &str| self.index.get::<Meta>(&name.to_owned());
        Ok(get(DATE)?.zip(get(SEQUENCE)?).map(|(days, seq)| SegmentId {
            date: Date(date_of(days)),
            seq,
        }))
    }

    /// `None` ends a pass.
    fn keep_scrub_position(&self, last: Option<SegmentId>) -> Result<()> {
        let now = self.clock.now();
        self.committer.run(move |txn| match last {
            Some(id) => {
                txn.put::<Meta>(&DATE.to_owned(), &days_of(id.date))?;
                txn.put::<Meta>(&SEQUENCE.to_owned(), &id.seq)
            }
            None => {
                txn.delete::<Meta>(&DATE.to_owned());
                txn.delete::<Meta>(&SEQUENCE.to_owned());
                txn.put::<Meta>(&PASSED_AT.to_owned(), &now.0.unsigned_abs())
            }
        })
    }

    /// When the whole archive was last read through; `None` before the first time.
    ///
    /// # Errors
    /// `Data` or `Unavailable` if the index cannot be read.
    pub fn last_scrub(&self) -> Result<Option<TimestampMs>> {
        let at = self.index.get::<Meta>(&PASSED_AT.to_owned())?;
        Ok(at.and_then(|at| i64::try_from(at).ok()).map(TimestampMs))
    }
}

fn size_of(entry: &SegmentEntry) -> u64 {
    entry.info.samples_bytes + entry.info.jobs_bytes
}

/// Days since 1970 as a number that is never negative.
fn days_of(date: Date) -> u64 {
    (i64::from(date.0) - i64::from(i32::MIN)).unsigned_abs()
}

fn date_of(days: u64) -> i32 {
    let days = i64::try_from(days).unwrap_or(i64::MAX);
    i32::try_from(days.saturating_add(i64::from(i32::MIN))).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rests_of_a_pass_add_up_to_its_time() {
        let pass = Duration::from_secs(7 * 86_400);
        let rests: Duration = (0..1_000)
            .map(|_| ScrubPolicy::rest(pass, 1 << 20, 1_000 << 20))
            .sum();
        assert!(pass - rests < Duration::from_secs(2), "{rests:?}");
        assert_eq!(ScrubPolicy::rest(pass, 5, 5), REST_MAX);
    }

    #[test]
    fn dates_before_1970_have_a_position_too() {
        for date in [i32::MIN, -1, 0, 20_000, i32::MAX] {
            assert_eq!(date_of(days_of(Date(date))), date);
        }
    }
}
