//! The registry of regions and runners: what was put over the API, which is kept here, and under it
//! what the configuration declares. The one place that says which of the two holds.

use super::{Archive, Reply};
use crate::error::Result;
use crate::index::keys::registry::{Regions, Runners};
use crate::index::wire::put_text;
use crate::model::id::{RegionName, RunnerId, Source};
use crate::model::job::JobFacts;
use crate::model::registry::{Declared, Entry, Registered};
use crate::model::runner::{Region, Runner, RunnerRef};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

impl Archive {
    /// Registers a region or replaces it. Durable when the reply is there.
    pub fn put_region(&self, name: RegionName, region: Region) -> Reply<()> {
        self.committer
            .submit(move |txn| txn.put::<Regions>(&name, &region))
    }

    /// Removes a region; says whether there was one. Durable when the reply is there.
    pub fn delete_region(&self, name: RegionName) -> Reply<bool> {
        self.committer.submit(move |txn| {
            let known = txn.get::<Regions>(&name)?.is_some();
            txn.delete::<Regions>(&name);
            Ok(known)
        })
    }

    /// A region: as it was put, else as the configuration declares it.
    ///
    /// # Errors
    /// `Data` for a damaged entry, `Unavailable` for I/O errors.
    pub fn region(&self, name: &RegionName) -> Result<Option<Entry<Region>>> {
        let put = self.index.get::<Regions>(name)?.map(Entry::api);
        Ok(put.or_else(|| self.declared().region(name)))
    }

    /// All regions by name.
    ///
    /// # Errors
    /// As [`Archive::region`].
    pub fn regions(&self) -> Result<BTreeMap<RegionName, Entry<Region>>> {
        let declared = self.declared();
        let from_config = |(name, (region, place)): (&RegionName, &(Region, _))| {
            (name.clone(), Entry::config(region.clone(), place))
        };
        let mut all: BTreeMap<_, _> = declared.regions.iter().map(from_config).collect();
        self.index
            .snapshot()
            .scan::<Regions>(&[], None, |name, region| {
                all.insert(name, Entry::api(region));
                Ok(true)
            })?;
        Ok(all)
    }

    /// Registers a runner or replaces it. Durable when the reply is there.
    pub fn put_runner(&self, name: RunnerRef, runner: Runner) -> Reply<()> {
        self.committer
            .submit(move |txn| txn.put::<Runners>(&name, &runner))
    }

    /// Removes a runner; says whether there was one. Durable when the reply is there.
    pub fn delete_runner(&self, name: RunnerRef) -> Reply<bool> {
        self.committer.submit(move |txn| {
            let known = txn.get::<Runners>(&name)?.is_some();
            txn.delete::<Runners>(&name);
            Ok(known)
        })
    }

    /// The registration that names this runner: as it was put, else a rule of the configuration with
    /// its id. What its tags and description lead to is known of a job only ([`Archive::registered`]).
    ///
    /// # Errors
    /// As [`Archive::region`].
    pub fn runner(&self, name: &RunnerRef) -> Result<Option<Entry<Runner>>> {
        let put = self.index.get::<Runners>(name)?.map(Entry::api);
        Ok(put.or_else(|| self.declared().runner(name)))
    }

    /// All runners of a source that are named, by id.
    ///
    /// # Errors
    /// As [`Archive::region`].
    pub fn runners(&self, source: &Source) -> Result<BTreeMap<RunnerId, Entry<Runner>>> {
        let mut prefix = Vec::new();
        put_text(source.as_str(), &mut prefix);
        let mut all = self.declared().runners(source);
        self.index
            .snapshot()
            .scan::<Runners>(&prefix, None, |name, runner| {
                all.insert(name.runner_id, Entry::api(runner));
                Ok(true)
            })?;
        Ok(all)
    }

    /// Who ran a job: the runner as it was put, else by the rules of the configuration, and its region.
    ///
    /// # Errors
    /// As [`Archive::region`].
    pub fn registered(&self, source: &Source, facts: &JobFacts) -> Result<Registered> {
        resolve(
            &self.declared(),
            source,
            facts,
            |name| self.index.get::<Runners>(name),
            |name| self.index.get::<Regions>(name),
        )
    }

    /// Replaces everything that the configuration declares, at once.
    pub fn declare(&self, declared: Arc<Declared>) {
        *self
            .declared
            .write()
            .unwrap_or_else(PoisonError::into_inner) = declared;
    }

    pub(super) fn declared(&self) -> Arc<Declared> {
        Arc::clone(&self.declared.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Who ran a job, with what was put as the two functions find it: what was put wins over what the
/// configuration declares.
pub(super) fn resolve(
    declared: &Declared,
    source: &Source,
    facts: &JobFacts,
    put_runner: impl FnOnce(&RunnerRef) -> Result<Option<Runner>>,
    put_region: impl FnOnce(&RegionName) -> Result<Option<Region>>,
) -> Result<Registered> {
    let put = match &facts.runner_id {
        Some(id) => put_runner(&RunnerRef {
            source: source.clone(),
            runner_id: RunnerId::parse(id)?,
        })?,
        None => None,
    };
    let by_rule = || Some(declared.rule(source, facts)?.runner.clone());
    let runner = put.or_else(by_rule);
    let region = match &runner {
        Some(runner) => {
            let put = put_region(&runner.region)?;
            put.or_else(|| Some(declared.region(&runner.region)?.value))
        }
        None => None,
    };
    Ok(Registered { runner, region })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{Acceptance, Settings};
    use crate::model::id::{JobId, JobRef};
    use crate::model::job::JobEvent;
    use crate::model::registry::{Place, Rule, Runners as For};
    use crate::model::settle::first_delay_ms;
    use crate::time::SystemClock;

    fn region(seconds: f64) -> Region {
        let body = serde_json::json!({"url": "http://h", "scrape_interval_seconds": seconds});
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn a_job_is_due_by_the_interval_of_its_region_wherever_that_is_registered() {
        let (root, clock) = (tempfile::tempdir().unwrap(), SystemClock::shared());
        let start = clock.now();
        let archive = Archive::open(root.path(), Settings::default(), clock).unwrap();
        let end = start.plus_ms(3_600_000);
        let source = Source::parse("gitlab").unwrap();
        let due = |job_id: &str| {
            let event = JobEvent {
                job: JobRef {
                    source: source.clone(),
                    job_id: JobId::parse(job_id).unwrap(),
                },
                facts: JobFacts {
                    runner_id: Some("7".to_owned()),
                    started_at: Some(start),
                    finished_at: Some(end),
                    ..JobFacts::default()
                },
            };
            let Acceptance::Accepted(job) = archive.accept(event, None).wait().unwrap() else {
                panic!("nothing is sealed");
            };
            job.due.unwrap()
        };
        assert_eq!(due("1"), end.plus_ms(first_delay_ms(None)));

        let name = RegionName::parse("eu").unwrap();
        let place = Place {
            file: "f.toml".into(),
            key: String::new(),
            line: 1,
        };
        let rule = Rule {
            runners: For::Ids(source.clone(), [RunnerId::parse("7").unwrap()].into()),
            runner: Runner::new(name.clone(), None, None),
            place: place.clone(),
        };
        archive.declare(Arc::new(Declared {
            regions: [(name.clone(), (region(60.0), place))].into(),
            rules: vec![rule],
        }));
        assert_eq!(due("2"), end.plus_ms(first_delay_ms(Some(60_000))));
        archive.put_region(name, region(30.0)).wait().unwrap();
        assert_eq!(due("3"), end.plus_ms(first_delay_ms(Some(30_000))));
    }
}
