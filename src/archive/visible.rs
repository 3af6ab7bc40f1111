//! What a reader may see of a job now: the one place where retention and erasure hide anything.
//!
//! Every read path asks a [`Visibility`], taken once per request: `find`, `list` and `co_tenants` job by
//! job, the scan for SQL segment by segment (`scan::changes`). What has expired or was erased
//! is hidden from that instant on, whether or not its bytes are still there. Two questions are cheap
//! and come first: [`Visibility::shows_all_of`] for a date, [`Visibility::knows`] for an entry.

use super::erase::names_of;
use super::{Archive, JobView};
use crate::error::Result;
use crate::index::Snapshot;
use crate::index::keys::erasures::{Erasures, Step};
use crate::index::keys::meta::Meta;
use crate::index::keys::tombstones::{Grave, Tombstone, Tombstones};
use crate::model::erasure::Fields;
use crate::model::id::{JobKey, ProjectKey};
use crate::model::record::EXPIRED;
use crate::model::retention::{Kept, Retention, Rule, end_of};
use crate::model::state::State;
use crate::time::{Date, TimestampMs};
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

/// What was erased, in memory: a few entries, since whole projects are one each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Erased {
    graves: HashMap<Grave, Tombstone>,
    /// Erasures that may still have bytes in segments.
    unfinished: BTreeSet<u64>,
}

impl Erased {
    /// What the index says was erased.
    pub(super) fn load(snapshot: &Snapshot<'_>) -> Result<Self> {
        let mut erased = Self::default();
        for kind in Tombstones::KEYED {
            snapshot.scan::<Tombstones>(kind, None, |grave, tombstone| {
                erased.graves.insert(grave, tombstone);
                Ok(true)
            })?;
        }
        snapshot.scan::<Erasures>(&[], None, |number, erasure| {
            if erasure.step < Step::Index {
                erased.unfinished.insert(number);
            }
            Ok(true)
        })?;
        Ok(erased)
    }

    fn of(&self, grave: Grave) -> Option<&Tombstone> {
        self.graves.get(&grave)
    }

    fn knows(&self, project: ProjectKey, job: JobKey) -> bool {
        let whole = |grave| self.of(grave).is_some_and(|stone| stone.whole);
        !whole(Grave::Project(project)) && !whole(Grave::Job(job))
    }
}

/// The retention policy with its projects found: a rule follows its project when that is renamed.
#[derive(Debug)]
struct Policy {
    retention: Arc<Retention>,
    projects: HashMap<ProjectKey, Rule>,
    /// How many projects there were when it was looked.
    known: u64,
}

impl Policy {
    fn find(retention: Arc<Retention>, snapshot: &Snapshot<'_>) -> Result<Self> {
        let mut projects: HashMap<ProjectKey, Rule> = HashMap::new();
        if retention.projects().next().is_some() {
            let named: HashMap<&str, Rule> = retention.projects().collect();
            for (name, key) in names_of(snapshot, |name, _| named.contains_key(name.id.as_str()))? {
                if let Some(rule) = named.get(name.id.as_str()) {
                    let own = projects.entry(ProjectKey(key)).or_insert(*rule);
                    *own = own.longer(*rule);
                }
            }
        }
        Ok(Self {
            known: projects_known(snapshot)?,
            retention,
            projects,
        })
    }

    fn rule(&self, project: ProjectKey) -> &Rule {
        self.projects
            .get(&project)
            .unwrap_or(&self.retention.general)
    }
}

fn projects_known(snapshot: &Snapshot<'_>) -> Result<u64> {
    Ok(snapshot
        .get::<Meta>(&"seq.project".to_owned())?
        .unwrap_or(0))
}

/// The rules that hide things, as they are now.
#[derive(Debug)]
pub(super) struct Rules {
    policy: RwLock<Arc<Policy>>,
    erased: RwLock<Arc<Erased>>,
}

impl Rules {
    /// The rules of an archive whose policy is not told yet: nothing expires.
    pub(super) fn load(snapshot: &Snapshot<'_>) -> Result<Self> {
        let retention = Arc::new(Retention::forever());
        Ok(Self {
            policy: RwLock::new(Arc::new(Policy::find(retention, snapshot)?)),
            erased: RwLock::new(Arc::new(Erased::load(snapshot)?)),
        })
    }

    /// Whether a job is known, see [`Visibility::knows`].
    pub(super) fn knows(&self, project: ProjectKey, job: JobKey) -> bool {
        let erased = self.erased.read().unwrap_or_else(PoisonError::into_inner);
        erased.knows(project, job)
    }

    /// An erasure holds from now on.
    pub(super) fn bury(&self, number: u64, grave: Grave, tombstone: Tombstone) {
        self.change(|erased| {
            erased.graves.insert(grave, tombstone);
            erased.unfinished.insert(number);
        });
    }

    /// No segment holds anything of an erasure any more.
    pub(super) fn rewritten(&self, number: u64) {
        self.change(|erased| {
            erased.unfinished.remove(&number);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Erased)) {
        let mut erased = self.erased.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut erased));
    }
}

/// What may be read at one instant.
#[derive(Debug, Clone)]
pub struct Visibility {
    policy: Arc<Policy>,
    erased: Arc<Erased>,
    now: TimestampMs,
}

/// What a reader may see of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Which parts of it are not expired.
    pub kept: Kept,
    /// Which of its texts are erased.
    pub erased: Fields,
}

impl Visibility {
    /// Whether a reader may see all of every job of that date. What it asks of a segment first.
    #[must_use]
    pub fn shows_all_of(&self, date: Date) -> bool {
        self.erased.unfinished.is_empty() && self.keeps_all_of(date)
    }

    /// As [`Visibility::shows_all_of`], of the rows of jobs alone: a date whose samples have expired keeps
    /// its rows, which need no look then.
    #[must_use]
    pub fn shows_all_rows_of(&self, date: Date) -> bool {
        let retention = &self.policy.retention;
        self.erased.unfinished.is_empty() && retention.keeps_all_rows_of(date, self.now)
    }

    /// Whether nothing of that date has expired.
    pub(super) fn keeps_all_of(&self, date: Date) -> bool {
        self.policy.retention.keeps_all_of(date, self.now)
    }

    /// Whether a segment with so many rows of samples has nothing left that could expire.
    pub(super) fn has_given_all(&self, rows: u64) -> bool {
        rows == 0 && self.policy.retention.only_samples_expire()
    }

    /// Share of expired bytes above which a segment is written anew, in percent.
    pub(super) fn rewrite_above_percent(&self) -> u8 {
        self.policy.retention.rewrite_above_percent
    }

    /// Whether a job is known at all, as far as its keys tell: an erased one is not.
    #[must_use]
    pub fn knows(&self, project: ProjectKey, job: JobKey) -> bool {
        self.erased.knows(project, job)
    }

    /// Whether the policy holds the project.
    #[must_use]
    pub fn holds(&self, project: ProjectKey) -> bool {
        self.policy.rule(project).hold
    }

    /// Which texts of a job are erased.
    #[must_use]
    pub fn erased(&self, project: ProjectKey, job: JobKey) -> Fields {
        let fields = |grave| {
            let stone = self.erased.of(grave);
            stone.map_or(Fields::default(), |stone| stone.fields_of(job))
        };
        fields(Grave::Project(project)).and(fields(Grave::Job(job)))
    }

    /// What may be seen of a job that is archived under `date`; `None` if it is not known any more.
    #[must_use]
    pub fn sight(
        &self,
        project: ProjectKey,
        job: JobKey,
        date: Date,
        finished_at: Option<TimestampMs>,
    ) -> Option<Sight> {
        let end = end_of(date, finished_at);
        let kept = self.policy.rule(project).kept(end, self.now);
        (kept.row && self.knows(project, job)).then(|| Sight {
            kept,
            erased: self.erased(project, job),
        })
    }

    /// A job as a reader may see it; `None` if it is not known any more. Without a date it is not
    /// archived, and nothing of it expires.
    pub(super) fn seen(
        &self,
        project: ProjectKey,
        date: Option<Date>,
        mut view: JobView,
    ) -> Option<JobView> {
        let job = view.keys.job;
        let sight = match date {
            Some(date) => self.sight(project, job, date, view.facts.finished_at)?,
            None if self.knows(project, job) => Sight {
                kept: Kept::ALL,
                erased: self.erased(project, job),
            },
            None => return None,
        };
        if view.state == State::Archived && !sight.kept.samples {
            (view.state, view.reason) = EXPIRED;
        }
        sight.erased.erase_from(&mut view.facts);
        if let Some(row) = &mut view.row {
            sight.erased.erase_from_row(&mut row.row);
        }
        Some(view)
    }
}

impl Archive {
    /// Replaces the retention policy: it holds from the next read on, and nothing goes by the old one
    /// any more when this returns.
    ///
    /// # Errors
    /// `Data`, `Unavailable` if its projects cannot be looked up.
    pub fn set_retention(&self, retention: Arc<Retention>) -> Result<()> {
        let policy = Policy::find(retention, &self.index.snapshot())?;
        let _no_rewrite = self
            .rewriting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let rules = &self.rules.policy;
        *rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
        Ok(())
    }

    /// What may be read now. `snapshot` is what is read from.
    ///
    /// # Errors
    /// `Data`, `Unavailable` if the policy's projects cannot be looked up.
    pub(super) fn visibility(&self, snapshot: &Snapshot<'_>) -> Result<Visibility> {
        let (rules, erased) = (&self.rules.policy, &self.rules.erased);
        let mut policy = Arc::clone(&rules.read().unwrap_or_else(PoisonError::into_inner));
        // A project that the policy names may have come since.
        if policy.retention.projects().next().is_some() && policy.known != projects_known(snapshot)?
        {
            policy = Arc::new(Policy::find(Arc::clone(&policy.retention), snapshot)?);
            *rules.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&policy);
        }
        Ok(Visibility {
            policy,
            erased: Arc::clone(&erased.read().unwrap_or_else(PoisonError::into_inner)),
            now: self.clock.now(),
        })
    }
}
