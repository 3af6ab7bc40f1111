//! `[retention]`: how long what is kept, for all projects and for single ones.

use super::section::Section;
use super::set;
use crate::limits;
use crate::model::retention::{Keep, Retention, Rule};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The longest number of days: two centuries, which times here reach to.
const DAYS_MAX: i64 = 73_000;

/// A number of days, or the word `forever`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Days {
    Number(i64),
    Word(String),
}

impl Days {
    fn keep(self) -> Result<Keep, String> {
        match self {
            Self::Number(days @ 1..=DAYS_MAX) => Ok(Keep::days(days)),
            Self::Word(word) if word == "forever" => Ok(Keep::Forever),
            _ => Err(format!("must be 1 to {DAYS_MAX} days, or \"forever\"")),
        }
    }
}

/// The policy of the document; the default where it says nothing.
pub(super) fn read(root: &mut Section<'_>) -> Retention {
    let Some(mut section) = root.table("retention") else {
        return Retention::default();
    };
    let general = rule(&mut section, Rule::default());
    let percent = section.checked("rewrite_above_percent", |percent: u8| match percent {
        0..=99 => Ok(percent),
        _ => Err("must be 0 to 99".to_owned()),
    });
    let mut projects = BTreeMap::new();
    let named = section.tables("projects");
    if named.len() > limits::DECLARED_MAX {
        let text = format!("has more than {} projects", limits::DECLARED_MAX);
        section.problem("projects", text);
    }
    for (name, mut project) in named {
        let own = rule(&mut project, general);
        let hold = project.take("hold").unwrap_or(false);
        projects.insert(name, Rule { hold, ..own });
        project.finish();
    }
    section.finish();
    let mut retention = Retention::new(general, projects);
    set(&mut retention.rewrite_above_percent, percent);
    retention
}

/// The keys that stand in the general table and in that of a project.
fn rule(section: &mut Section<'_>, general: Rule) -> Rule {
    let mut rule = general;
    set(&mut rule.jobs, section.checked("jobs_days", Days::keep));
    set(
        &mut rule.samples,
        section.checked("samples_days", Days::keep),
    );
    set(
        &mut rule.samples_5m,
        section.checked("samples_5m_days", Days::keep),
    );
    // What was written must hold; a default gives way.
    for (key, keep) in [
        ("samples_days", rule.samples),
        ("samples_5m_days", rule.samples_5m),
    ] {
        if section.has(key) && keep > rule.jobs {
            section.problem(
                key,
                "is longer than jobs_days: with its row everything of a job goes",
            );
        }
    }
    rule
}
