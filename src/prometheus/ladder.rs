//! Which protocol a region's server speaks: found out by asking, and remembered.
//!
//! The steps go from the best to the most common. A server that says that it does not know a protocol
//! is asked in the next one; what worked is taken at once the next time. It is found out anew after
//! the server refused something, after [`LADDER_KNOWN_FOR`](limits::LADDER_KNOWN_FOR), and for a
//! registration that was changed. While it is not known, one read climbs and the others wait for it.

use super::fault::{Class, Denial};
use crate::limits;
use crate::model::id::RegionName;
use crate::model::runner::{Region, RegionKind};
use crate::source_port::{RawSeries, SourceError, SourceErrorKind};
use crate::time::SharedClock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A way to read raw samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    RemoteRead,
    Export,
    Selector,
}

impl Step {
    /// The steps for a kind of server, in the order in which they are tried.
    fn ladder(kind: RegionKind) -> &'static [Self] {
        match kind {
            RegionKind::Prometheus => &[Self::RemoteRead, Self::Selector],
            RegionKind::Victoriametrics => &[Self::Export, Self::Selector],
            RegionKind::Auto => &[Self::RemoteRead, Self::Export, Self::Selector],
        }
    }
}

/// What is known of all regions. In memory only: a restart costs each region one more request.
#[derive(Debug)]
pub(super) struct Ladder {
    clock: SharedClock,
    /// Regions are registered by an operator, a handful of them, so the map is never pruned.
    slots: Mutex<BTreeMap<RegionName, Arc<Slot>>>,
}

/// What is known of one region, as it is registered.
#[derive(Debug)]
pub(super) struct Slot {
    region: Region,
    known: Mutex<Option<Known>>,
    /// Held by the read that climbs.
    turn: tokio::sync::Mutex<()>,
    /// It sent chunks of a type that is not known here.
    refuses_chunks: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    step: Step,
    /// On the monotonic clock.
    since: Duration,
}

impl Slot {
    pub(super) fn takes_chunks(&self) -> bool {
        !self.refuses_chunks.load(Ordering::Relaxed)
    }

    pub(super) fn refuse_chunks(&self) {
        self.refuses_chunks.store(true, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ladder {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self {
            clock,
            slots: Mutex::default(),
        }
    }

    /// What is known of a region; nothing if its registration was changed.
    pub(super) fn slot(&self, name: &RegionName, region: &Region) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(name).filter(|slot| slot.region == *region) {
            return Arc::clone(slot);
        }
        let slot = Arc::new(Slot {
            region: region.clone(),
            known: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            refuses_chunks: AtomicBool::new(false),
        });
        slots.insert(name.clone(), Arc::clone(&slot));
        slot
    }

    /// Reads by the step that is known to work, or by the first that does.
    ///
    /// # Errors
    /// As `attempt` says; if no step is there, what the server said to the first one.
    pub(super) async fn climb<F>(
        &self,
        slot: &Slot,
        attempt: impl Fn(Step) -> F,
    ) -> Result<Vec<RawSeries>, SourceError>
    where
        F: Future<Output = Result<Vec<RawSeries>, Denial>>,
    {
        let mut missing: Vec<(Step, SourceError)> = Vec::new();
        let mut turn = None;
        loop {
            let is_missing = |step: Step| missing.iter().any(|(one, _)| *one == step);
            let known = || self.known(slot).filter(|step| !is_missing(*step));
            if turn.is_none() && known().is_none() {
                turn = Some(slot.turn.lock().await);
            }
            // Somebody else may have found it while this one waited; then nobody has to wait for this.
            let found = known();
            if found.is_some() {
                turn = None;
            }
            let mut steps = Step::ladder(slot.region.kind).iter().copied();
            let Some(step) = found.or_else(|| steps.find(|step| !is_missing(*step))) else {
                break;
            };
            match attempt(step).await {
                Err(Denial {
                    class: Class::NextStep,
                    error,
                }) => {
                    self.learn(slot, step, None);
                    missing.push((step, error));
                }
                outcome => {
                    let outcome = outcome.map_err(|denial| denial.error);
                    self.learn(slot, step, Some(&outcome));
                    return outcome;
                }
            }
        }
        Err(missing.into_iter().next().map_or_else(
            || SourceError {
                kind: SourceErrorKind::Refused,
                message: "no way to read samples is known".to_owned(),
            },
            |(_, error)| error,
        ))
    }

    /// The step that worked, unless that is long ago and a better one may be there by now.
    fn known(&self, slot: &Slot) -> Option<Step> {
        let known = (*slot.lock())?;
        let best = Step::ladder(slot.region.kind).first() == Some(&known.step);
        let age = self.clock.monotonic().saturating_sub(known.since);
        (best || age < limits::LADDER_KNOWN_FOR).then_some(known.step)
    }

    /// A server that answers, or that is down for the moment, keeps its step. One that refuses or talks
    /// nonsense may be another one by now.
    fn learn(
        &self,
        slot: &Slot,
        step: Step,
        outcome: Option<&Result<Vec<RawSeries>, SourceError>>,
    ) {
        let works = match outcome {
            Some(Ok(_)) => true,
            Some(Err(error)) => error.kind == SourceErrorKind::Unreachable,
            None => false,
        };
        let still = self.known(slot) == Some(step);
        let mut known = slot.lock();
        if !works {
            known.take_if(|known| known.step == step);
        } else if !still {
            *known = Some(Known {
                step,
                since: self.clock.monotonic(),
            });
        }
    }
}

#[cfg(test)]
mod tests;
