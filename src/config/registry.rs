//! What the file registers: regions by name, runners by rules.

use super::files::Files;
use super::section::Section;
use crate::limits;
use crate::model::id::{RegionName, RunnerId, Source};
use crate::model::registry::{Declared, Pattern, Place, Rule, Runners};
use crate::model::runner::{BasicAuth, Problem, Region, Runner};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Reads `regions` and `runner_rules`.
pub(super) fn read(root: &mut Section<'_>, file: &Path, files: &Files) -> Declared {
    let mut declared = Declared::default();
    let file: Arc<str> = file.display().to_string().into();
    let place = |section: &Section<'_>| Place {
        file: Arc::clone(&file),
        key: section.own_path().to_owned(),
        line: section.own_line(),
    };
    let regions = root.tables("regions");
    at_most(root, "regions", regions.len());
    for (name, mut section) in regions {
        let place = place(&section);
        let region = region(&mut section, files);
        let name = RegionName::parse(&name);
        if let Err(error) = &name {
            section.own_problem(error.message());
        }
        section.finish();
        if let (Ok(name), Some(region)) = (name, region) {
            declared.regions.insert(name, (region, place));
        }
    }
    let rules = root.array("runner_rules");
    at_most(root, "runner_rules", rules.len());
    for mut section in rules {
        let place = place(&section);
        let (runners, runner) = (runners(&mut section), runner(&mut section));
        section.finish();
        if let (Some(runners), Some(runner)) = (runners, runner) {
            if !declared.regions.contains_key(&runner.region) {
                files.warn(format!(
                    "{}: region {} is not in this file; jobs wait until it is put over the API",
                    place.key, runner.region
                ));
            }
            declared.rules.push(Rule {
                runners,
                runner,
                place,
            });
        }
    }
    declared
}

fn at_most(root: &Section<'_>, key: &str, found: usize) {
    if found > limits::DECLARED_MAX {
        let max = limits::DECLARED_MAX;
        root.problem(key, format!("at most {max} are allowed, there are {found}"));
    }
}

fn report(section: &Section<'_>, problems: Vec<Problem>) {
    for (field, text) in problems {
        section.problem(field, text);
    }
}

fn region(section: &mut Section<'_>, files: &Files) -> Option<Region> {
    section.require("url");
    let url = section.take("url");
    let token_key = section.path("bearer_token_file");
    let mut region = Region {
        url: String::new(),
        kind: section.take("kind").unwrap_or_default(),
        headers: section.take("headers").unwrap_or_default(),
        bearer_token_file: section.checked("bearer_token_file", |name: String| {
            files.token_file(&token_key, &name)
        }),
        basic_auth: section.table("basic_auth").and_then(|mut section| {
            let auth = basic_auth(&mut section, files);
            section.finish();
            auth
        }),
        ca_file: section.checked("ca_file", |name: String| files.ca_file(&name)),
        scrape_interval_seconds: section.take("scrape_interval_seconds"),
        retention_seconds: section.take("retention_seconds"),
    };
    section.forbid_secret("bearer_token", "bearer_token_file");
    let authorization = |name: &String| name.eq_ignore_ascii_case("authorization");
    if region.headers.keys().any(authorization) {
        let text = "Authorization is a secret and does not belong into this file; use";
        section.problem("headers", format!("{text} bearer_token_file or basic_auth"));
    }
    region.url = url?;
    report(section, region.problems());
    Some(region)
}

fn basic_auth(section: &mut Section<'_>, files: &Files) -> Option<BasicAuth> {
    section.require("username");
    section.require("password_file");
    section.forbid_secret("password", "password_file");
    let key = section.path("password_file");
    let username = section.take("username");
    let password_file = section.checked("password_file", |name: String| {
        files.password_file(&key, &name)
    });
    Some(BasicAuth {
        username: username?,
        password_file: password_file?,
    })
}

/// Which runners a rule is for.
fn runners(section: &mut Section<'_>) -> Option<Runners> {
    let source = section.checked("source", |name: String| {
        Source::parse(&name).map_err(|error| error.message().to_owned())
    });
    let ids = section.checked("runner_ids", runner_ids);
    let tags = section.checked("tags", |tags: Vec<String>| match tags.len() {
        1..=limits::TAGS_MAX => Ok(tags),
        _ => Err(format!("must be 1 to {} tags", limits::TAGS_MAX)),
    });
    let description = section.checked("description", |text: String| Pattern::parse(&text));
    let Some(ids) = ids else {
        return Some(Runners::Like {
            source,
            tags: tags.unwrap_or_default(),
            description,
        });
    };
    if tags.is_some() || description.is_some() {
        let text = "name runners exactly; put tags and description into a rule of their own";
        section.problem("runner_ids", text);
    }
    if !section.has("source") {
        section.problem("runner_ids", "need a source: an id is of one source only");
    }
    Some(Runners::Ids(source?, ids))
}

/// Ids as numbers or strings.
fn runner_ids(ids: Vec<toml::Value>) -> Result<BTreeSet<RunnerId>, String> {
    if ids.is_empty() {
        return Err("must not be empty".to_owned());
    }
    let one = |id: &toml::Value| {
        let text = match id {
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::String(text) => text.clone(),
            other => return Err(format!("{} is no id", other.type_str())),
        };
        RunnerId::parse(&text).map_err(|error| error.message().to_owned())
    };
    ids.iter().map(one).collect()
}

/// What a rule registers its runners with.
fn runner(section: &mut Section<'_>) -> Option<Runner> {
    section.require("region");
    let region = section.checked("region", |name: String| {
        RegionName::parse(&name).map_err(|error| error.message().to_owned())
    });
    let label = section.take("machine_label");
    let value = section.take("machine_value");
    let preset = section.take("preset");
    let machine_type = section.take("machine_type");
    let price_per_hour = section.take("price_per_hour");
    let runner = Runner {
        machine_type,
        price_per_hour,
        preset: preset.unwrap_or_default(),
        ..Runner::new(region?, label, value)
    };
    report(section, runner.problems());
    Some(runner)
}
