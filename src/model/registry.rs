//! Registrations and where they come from: put over the API, or declared by the configuration.
//!
//! The configuration declares regions by name and runners by rules. This module says which rule is a
//! job's; that what was put over the API wins is said by `archive`, which holds it.

use super::id::{RegionName, RunnerId, Source};
use super::job::JobFacts;
use super::runner::{Region, Runner, RunnerRef};
use crate::limits;
use regex::{Regex, RegexBuilder};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// Where in the configuration something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: Arc<str>,
    /// `regions.NAME`, or `runner_rules[N]` with N from 1.
    pub key: String,
    /// Line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {} ({})", self.file, self.line, self.key)
    }
}

/// Where a registration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It was put over the API.
    Api,
    /// The configuration declares it.
    Config(Place),
}

/// A registration and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry<T> {
    /// What was registered.
    pub value: T,
    /// Where.
    pub origin: Origin,
}

impl<T> Entry<T> {
    /// Something that was put over the API.
    #[must_use]
    pub fn api(value: T) -> Self {
        Self {
            value,
            origin: Origin::Api,
        }
    }

    /// Something that the configuration declares.
    #[must_use]
    pub fn config(value: T, place: &Place) -> Self {
        Self {
            value,
            origin: Origin::Config(place.clone()),
        }
    }
}

/// Who ran a job, as far as it is registered.
#[derive(Debug, Clone, Default)]
pub struct Registered {
    /// The runner's registration.
    pub runner: Option<Runner>,
    /// That of the runner's region.
    pub region: Option<Region>,
}

/// What a runner's description must be as a whole.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    compiled: Regex,
}

impl Pattern {
    /// A glob (`*` any characters, `?` one), or a regular expression between slashes: `/eu-\d+/`.
    /// Either must match all of the description.
    ///
    /// # Errors
    /// What is wrong with the pattern, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > limits::PATTERN_BYTES_MAX {
            let max = limits::PATTERN_BYTES_MAX;
            return Err(format!("must have 1 to {max} bytes"));
        }
        let inner = text.strip_prefix('/').and_then(|t| t.strip_suffix('/'));
        let source = match inner {
            Some(expression) => expression.to_owned(),
            None => text.chars().map(glob_part).collect(),
        };
        let compiled = RegexBuilder::new(&format!(r"\A(?:{source})\z"))
            .dot_matches_new_line(inner.is_none())
            .size_limit(limits::PATTERN_SIZE_MAX)
            .dfa_size_limit(limits::PATTERN_SIZE_MAX)
            .nest_limit(limits::PATTERN_NESTING_MAX)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => {
                    "is too large for a pattern; use fewer or smaller repetitions".to_owned()
                }
                // The last line says what, those before show where in several lines.
                error => {
                    let text = error.to_string();
                    let last = text.lines().last().unwrap_or_default();
                    let last = last.trim().trim_start_matches("error: ");
                    format!("is no regular expression: {last}")
                }
            })?;
        Ok(Self {
            text: text.to_owned(),
            compiled,
        })
    }

    fn matches(&self, description: &str) -> bool {
        self.compiled.is_match(description)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

fn glob_part(c: char) -> String {
    match c {
        '*' => ".*".to_owned(),
        '?' => ".".to_owned(),
        c => regex::escape(c.encode_utf8(&mut [0; 4])),
    }
}

/// Which runners a rule is for.
#[derive(Debug, Clone, PartialEq)]
pub enum Runners {
    /// Those with one of these ids of one source.
    Ids(Source, BTreeSet<RunnerId>),
    /// Those of the source, if one is given, that carry all of the tags and whose description matches.
    /// Without any condition: all.
    Like {
        /// Source of the job.
        source: Option<Source>,
        /// All of these must be among the runner's.
        tags: Vec<String>,
        /// Matches all of the runner's description.
        description: Option<Pattern>,
    },
}

impl Runners {
    /// Order of the classes: what says more about a runner goes first.
    fn class(&self) -> u8 {
        match self {
            Self::Ids(..) => 0,
            Self::Like { tags, .. } if !tags.is_empty() => 1,
            Self::Like {
                description: Some(_),
                ..
            } => 2,
            Self::Like { .. } => 3,
        }
    }

    fn include(&self, job: &Source, facts: &JobFacts) -> bool {
        match self {
            Self::Ids(source, ids) => {
                let id = facts.runner_id.as_deref();
                source == job && id.is_some_and(|id| ids.iter().any(|known| known.as_str() == id))
            }
            Self::Like {
                source,
                tags,
                description,
            } => {
                let carried = facts.runner_tags.as_deref().unwrap_or_default();
                let described = facts.runner_description.as_deref();
                source.as_ref().is_none_or(|source| source == job)
                    && tags.iter().all(|tag| carried.contains(tag))
                    && description
                        .as_ref()
                        .is_none_or(|pattern| described.is_some_and(|text| pattern.matches(text)))
            }
        }
    }
}

/// A rule for runners.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Which runners.
    pub runners: Runners,
    /// Their registration.
    pub runner: Runner,
    /// Where it stands.
    pub place: Place,
}

/// Everything that a configuration registers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declared {
    /// Regions and where they stand.
    pub regions: BTreeMap<RegionName, (Region, Place)>,
    /// Rules in the order of the file.
    pub rules: Vec<Rule>,
}

impl Declared {
    /// A region.
    #[must_use]
    pub fn region(&self, name: &RegionName) -> Option<Entry<Region>> {
        let (region, place) = self.regions.get(name)?;
        Some(Entry::config(region.clone(), place))
    }

    /// The rule for a job: one by the runner's id, else one by tags, else one by description, else one
    /// for all runners; of one class the first in the file.
    #[must_use]
    pub fn rule(&self, source: &Source, facts: &JobFacts) -> Option<&Rule> {
        let fits = |rule: &&Rule| rule.runners.include(source, facts);
        // The first of the least: the order of the file decides inside a class.
        self.rules
            .iter()
            .filter(fits)
            .min_by_key(|rule| rule.runners.class())
    }

    /// The registration that names this runner.
    #[must_use]
    pub fn runner(&self, name: &RunnerRef) -> Option<Entry<Runner>> {
        let rule = self.rules.iter().find(|rule| match &rule.runners {
            Runners::Ids(source, ids) => *source == name.source && ids.contains(&name.runner_id),
            Runners::Like { .. } => false,
        })?;
        Some(Entry::config(rule.runner.clone(), &rule.place))
    }

    /// The runners of a source that are named, by id.
    #[must_use]
    pub fn runners(&self, of: &Source) -> BTreeMap<RunnerId, Entry<Runner>> {
        let mut all = BTreeMap::new();
        for rule in &self.rules {
            if let Runners::Ids(source, ids) = &rule.runners
                && source == of
            {
                for id in ids {
                    all.entry(id.clone())
                        .or_insert_with(|| Entry::config(rule.runner.clone(), &rule.place));
                }
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like(tags: &[&str], description: Option<&str>) -> Runners {
        Runners::Like {
            source: None,
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            description: description.map(|text| Pattern::parse(text).unwrap()),
        }
    }

    fn source(name: &str) -> Source {
        Source::parse(name).unwrap()
    }

    fn ids(of: &str, ids: &[&str]) -> Runners {
        let ids = ids.iter().map(|id| RunnerId::parse(id).unwrap());
        Runners::Ids(source(of), ids.collect())
    }

    /// Rules whose regions are `r1`, `r2`, ...
    fn declared(rules: Vec<Runners>) -> Declared {
        let rule = |(index, runners)| Rule {
            runners,
            runner: serde_json::from_value(
                serde_json::json!({ "region": format!("r{}", index + 1) }),
            )
            .unwrap(),
            place: Place {
                file: "f.toml".into(),
                key: format!("runner_rules[{}]", index + 1),
                line: index + 1,
            },
        };
        Declared {
            regions: BTreeMap::new(),
            rules: rules.into_iter().enumerate().map(rule).collect(),
        }
    }

    fn facts(id: Option<&str>, tags: &[&str], description: Option<&str>) -> JobFacts {
        JobFacts {
            runner_id: id.map(str::to_owned),
            runner_tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
            runner_description: description.map(str::to_owned),
            ..JobFacts::default()
        }
    }

    #[test]
    fn the_class_decides_and_then_the_order_of_the_file() {
        let all = declared(vec![
            like(&[], None),
            like(&[], Some("gcp-*")),
            like(&[], Some("gcp-eu-*")),
            like(&["docker"], None),
            like(&["docker", "large"], None),
            ids("gitlab", &["7", "8"]),
            ids("gitlab", &["8"]),
        ]);
        let rule = |facts: &JobFacts| {
            let rule = all.rule(&source("gitlab"), facts).unwrap();
            rule.runner.region.to_string()
        };
        assert_eq!(rule(&facts(None, &[], None)), "r1");
        assert_eq!(rule(&facts(Some("9"), &[], Some("aws-1"))), "r1");
        assert_eq!(rule(&facts(Some("9"), &[], Some("gcp-eu-1"))), "r2");
        let both = facts(Some("9"), &["large", "docker"], Some("gcp-eu-1"));
        assert_eq!(rule(&both), "r4");
        assert_eq!(rule(&facts(Some("9"), &["large"], None)), "r1");
        assert_eq!(rule(&facts(Some("8"), &["docker"], Some("gcp-1"))), "r6");
        // An id of another source is another runner.
        let github = all.rule(&source("github"), &facts(Some("8"), &["docker"], None));
        assert_eq!(github.unwrap().runner.region.as_str(), "r4");
        assert_eq!(
            declared(vec![like(&["a"], None)]).rule(&source("s"), &both),
            None
        );
    }

    #[test]
    fn tags_and_description_hold_together_and_in_their_source() {
        let mut rule = like(&["docker"], Some("eu-?"));
        if let Runners::Like { source: of, .. } = &mut rule {
            *of = Some(source("gitlab"));
        }
        let all = declared(vec![rule]);
        for (of, tags, description, fits) in [
            ("gitlab", &["docker"][..], Some("eu-1"), true),
            ("github", &["docker"], Some("eu-1"), false),
            ("gitlab", &["shell"], Some("eu-1"), false),
            ("gitlab", &["docker"], Some("eu-12"), false),
            ("gitlab", &["docker"], None, false),
        ] {
            let found = all.rule(&source(of), &facts(Some("1"), tags, description));
            assert_eq!(found.is_some(), fits, "{of} {tags:?} {description:?}");
        }
    }

    #[test]
    fn only_ids_name_a_runner() {
        let all = declared(vec![
            like(&[], None),
            ids("gitlab", &["7", "8"]),
            ids("gitlab", &["8", "9"]),
        ]);
        let runner = |of: &str, id: &str| {
            let runner_id = RunnerId::parse(id).unwrap();
            let source = source(of);
            let entry = all.runner(&RunnerRef { source, runner_id })?;
            Some(entry.value.region.to_string())
        };
        assert_eq!(runner("gitlab", "8").as_deref(), Some("r2"));
        assert_eq!(runner("gitlab", "9").as_deref(), Some("r3"));
        assert_eq!(runner("gitlab", "1"), None);
        assert_eq!(runner("github", "8"), None);
        let listed = all.runners(&source("gitlab"));
        let listed: Vec<_> = listed
            .iter()
            .map(|(id, entry)| (id.as_str(), entry.value.region.as_str()))
            .collect();
        assert_eq!(listed, [("7", "r2"), ("8", "r2"), ("9", "r3")]);
        let Origin::Config(place) = all
            .runners(&source("gitlab"))
            .remove(&RunnerId::parse("9").unwrap())
            .unwrap()
            .origin
        else {
            panic!("not from the configuration");
        };
        assert_eq!(place.to_string(), "f.toml, line 3 (runner_rules[3])");
    }

    #[test]
    fn patterns_match_the_whole_description() {
        for (pattern, text, fits) in [
            ("gcp-*-eu", "gcp-ab-eu", true),
            ("gcp-*-eu", "gcp--eu", true),
            ("gcp-*-eu", "gcp-ab-eu-1", false),
            ("a.b", "a.b", true),
            ("a.b", "axb", false),
            ("a?b", "a\nb", true),
            ("*", "", true),
            ("[x](y)", "[x](y)", true),
            (r"/eu-\d+/", "eu-12", true),
            (r"/eu-\d+/", "eu-12a", false),
            (r"/a|b/", "ab", false),
            (r"/a|b/", "b", true),
            (r"/(?i)GCP-.*/", "gcp-1", true),
            (r"/[a-z0-9.-]{1,60}/", "machine-1.eu", true),
            ("/", "/", true),
        ] {
            let found = Pattern::parse(pattern).unwrap().matches(text);
            assert_eq!(found, fits, "{pattern} {text:?}");
        }
    }

    #[test]
    fn patterns_that_cost_too_much_are_refused() {
        for (pattern, part) in [
            (String::new(), "1 to 256 bytes"),
            ("x".repeat(300), "1 to 256 bytes"),
            (r"/(\w{500}){500}/".to_owned(), "too large"),
            (
                format!("/{}a{}/", "(".repeat(60), ")".repeat(60)),
                "no regular expression",
            ),
            ("/(/".to_owned(), "unclosed group"),
            (r"/(?=a)/".to_owned(), "look-around"),
            (r"/(a)\1/".to_owned(), "backreferences"),
        ] {
            let problem = Pattern::parse(&pattern).unwrap_err();
            assert!(problem.contains(part), "{pattern}: {problem}");
            assert_eq!(problem.lines().count(), 1, "{problem}");
        }
        // Linear in the text: what would explode in a backtracking matcher.
        let evil = Pattern::parse("/(a*)*b/").unwrap();
        assert!(!evil.matches(&"a".repeat(1_024)));
    }
}
