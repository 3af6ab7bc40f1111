//! The CI instances of the file.

use super::files::Files;
use super::section::Section;
use crate::gitlab::settings::GitlabSettings;
use crate::model::id::Source;
use crate::secret::Secret;
use serde::Deserialize;

/// Secrets of one kind: the present one, and the next or the last while it is being replaced.
const ROTATION: usize = 2;

/// What a source is.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Gitlab,
}

/// Reads `sources`.
pub(super) fn read(root: &mut Section<'_>, files: &Files) -> Vec<GitlabSettings> {
    let mut sources = Vec::new();
    for (name, mut section) in root.tables("sources") {
        let source = Source::parse(&name);
        if let Err(error) = &source {
            section.own_problem(error.message());
        }
        section.require("kind");
        section.require("url");
        let _only_one_kind: Option<Kind> = section.take("kind");
        let url = section.take("url");
        let hook_tokens = secrets(&mut section, "hook_token_file", files);
        let signing_tokens = secrets(&mut section, "signing_token_file", files);
        let key = section.path("api_token_file");
        let api_token = section.checked("api_token_file", |file: String| files.secret(&key, &file));
        for (secret, instead) in [
            ("hook_token", "hook_token_file"),
            ("signing_token", "signing_token_file"),
            ("api_token", "api_token_file"),
        ] {
            section.forbid_secret(secret, instead);
        }
        if let (Ok(source), Some(url)) = (source, url) {
            let settings = GitlabSettings {
                source,
                url,
                hook_tokens,
                signing_tokens,
                api_token,
            };
            if let Err(error) = settings.validate() {
                section.own_problem(error.message());
            }
            if settings.hook_tokens.is_empty() && settings.signing_tokens.is_empty() {
                files.warn(format!(
                    "{}: neither hook_token_file nor signing_token_file: no hook of it is accepted",
                    section.own_path()
                ));
            }
            sources.push(settings);
        }
        section.finish();
    }
    sources
}

/// The secrets of a key that names one file, or a list of them.
fn secrets(section: &mut Section<'_>, key: &'static str, files: &Files) -> Vec<Secret> {
    let path = section.path(key);
    let read = section.checked(key, |value: toml::Value| {
        let names: Vec<String> = match value {
            toml::Value::String(name) => vec![name],
            list => list.try_into().map_err(|_| no_files())?,
        };
        if names.is_empty() || names.len() > ROTATION {
            return Err(no_files());
        }
        let secrets = names.iter().map(|name| files.secret(&path, name));
        secrets.collect()
    });
    read.unwrap_or_default()
}

fn no_files() -> String {
    format!("must name a file, or a list of at most {ROTATION} while a secret is replaced")
}
