//! Of the configuration file: what is read, what is refused, and that all of it is documented.
#![expect(
    clippy::disallowed_methods,
    reason = "tests write the files that a configuration names"
)]

use super::*;
use crate::limits;
use crate::model::id::{RegionName, Source};
use crate::model::job::JobFacts;
use crate::model::retention::Keep;
use crate::model::runner::RegionKind;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

/// A folder with a configuration and secrets, readable by their owner only.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(secrets: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in secrets {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        Self(dir)
    }

    fn parse(&self, text: &str) -> Result<Config> {
        Config::parse(text, &self.0.path().join("tachograph.toml"))
    }

    /// The problems of a configuration that must have some.
    fn problems(&self, text: &str) -> Vec<String> {
        let error = self.parse(text).unwrap_err();
        assert_eq!(error.code(), "invalid_config");
        error.message().lines().map(str::to_owned).collect()
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
const SIGNING: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";

/// Every file that the example names.
fn example_folder() -> Folder {
    Folder::new(&[
        ("secrets/eu-1.token", "t0ken\n"),
        ("secrets/eu-1.password", "pass word\n"),
        ("eu-1-ca.pem", CERTIFICATE),
        ("secrets/gitlab-hook.token", "hook\n"),
        ("secrets/gitlab-signing.new", SIGNING),
        ("secrets/gitlab-signing.old", SIGNING),
        ("secrets/gitlab-api.token", "glpat-1\n"),
    ])
}

/// The example with every commented key in force, but one of two that exclude each other.
fn whole_example(without: &str) -> String {
    let line = |line: &'static str| match line.strip_prefix('#') {
        Some(key) if !key.is_empty() && !key.starts_with(' ') => key,
        _ => line,
    };
    let lines = example().lines().map(line);
    let kept: Vec<&str> = lines.filter(|line| !line.starts_with(without)).collect();
    kept.join("\n")
}

#[test]
fn the_example_parses_to_the_defaults() {
    let config = Folder::new(&[]).parse(example()).unwrap();
    let default = Config::default();
    assert_eq!(config.listen, default.listen);
    assert_eq!(config.data_dir, default.data_dir);
    assert_eq!(config.log, default.log);
    assert_eq!(config.archive.seal, default.archive.seal);
    assert_eq!(config.archive.encoding, default.archive.encoding);
    assert_eq!(config.retention, default.retention);
    assert_eq!(config.declared, Declared::default());
    assert!(config.sources.is_empty() && config.warnings.is_empty());
}

#[test]
fn the_whole_example_is_read() {
    let folder = example_folder();
    let config = folder.parse(&whole_example("basic_auth")).unwrap();
    assert_eq!(config.warnings, [""; 0]);
    let name = RegionName::parse("eu-1").unwrap();
    let (region, place) = &config.declared.regions[&name];
    assert_eq!(region.url, "https://prometheus.example.com");
    assert_eq!(region.kind, RegionKind::Auto);
    assert_eq!(region.headers["X-Scope-OrgID"], "ci");
    let token = folder.path("secrets/eu-1.token");
    assert_eq!(region.bearer_token_file.as_deref(), Some(token.as_str()));
    let ca = folder.path("eu-1-ca.pem");
    assert_eq!(region.ca_file.as_deref(), Some(ca.as_str()));
    assert_eq!(region.scrape_interval_seconds, Some(15.0));
    assert_eq!(region.retention_seconds, Some(1_296_000.0));
    assert_eq!(place.key, "regions.eu-1");
    let line = example().lines().position(|l| l == "#[regions.eu-1]");
    assert_eq!(Some(place.line), line.map(|index| index + 1));

    let basic = folder.parse(&whole_example("bearer_token_file")).unwrap();
    let auth = basic.declared.regions[&name].0.basic_auth.clone().unwrap();
    assert_eq!(auth.username, "tachograph");
    assert_eq!(auth.password_file, folder.path("secrets/eu-1.password"));

    let source = Source::parse("gitlab").unwrap();
    let facts = |id: &str, tags: &[&str], description: &str| JobFacts {
        runner_id: Some(id.to_owned()),
        runner_tags: Some(tags.iter().map(|tag| (*tag).to_owned()).collect()),
        runner_description: Some(description.to_owned()),
        ..JobFacts::default()
    };
    let rule = |facts| Some(config.declared.rule(&source, &facts)?.place.key.clone());
    assert_eq!(rule(facts("43", &[], "")).unwrap(), "runner_rules[1]");
    let large = facts("44", &["large", "docker"], "gcp-eu-7");
    assert_eq!(rule(large).unwrap(), "runner_rules[2]");
    assert_eq!(rule(facts("44", &["large", "docker"], "aws")), None);
    assert_eq!(config.declared.rules[0].runner.price_per_hour, Some(0.19));

    let [gitlab] = &config.sources[..] else {
        panic!("{:?}", config.sources);
    };
    assert_eq!(gitlab.source, source);
    assert_eq!(gitlab.hook_tokens[0].expose(), "hook");
    assert_eq!(gitlab.signing_tokens.len(), 2);
    assert_eq!(gitlab.api_token.as_ref().unwrap().expose(), "glpat-1");
}

#[test]
fn the_example_names_every_key_that_there_is() {
    let folder = example_folder();
    // An unknown key in every section: the message lists the known ones.
    let mut text = String::from("zzzzzz = 1\n");
    for line in whole_example("nothing").lines() {
        let line = line.replace("{ username", "{ zzzzzz = 1, username");
        writeln!(text, "{line}").unwrap();
        if line.starts_with('[') {
            text.push_str("zzzzzz = 1\n");
        }
    }
    let mut known = BTreeSet::new();
    let mut sections = 0;
    for problem in folder.problems(&text) {
        if let Some((path, keys)) = problem.split_once("unknown key; there are ") {
            assert!(path.contains("zzzzzz"), "{problem}");
            known.extend(keys.split(", ").map(str::to_owned));
            sections += 1;
        }
    }
    assert_eq!(
        sections, 11,
        "root, archive, scrub, backup, retention, a project's, region, basic_auth, two rules, source"
    );
    let shown = whole_example("nothing");
    for key in known {
        let set = [
            format!("\n{key} = "),
            format!("[{key}"),
            format!(" {key} = "),
            format!(".{key}."),
        ];
        assert!(
            set.iter().any(|set| shown.contains(set)),
            "{key} is not in the example"
        );
    }
}

/// Everything that can be wrong, by line.
const WRONG: &str = r#"lisen = 1
listen = "nowhere"
archiver = 70000
[archive]
seal_job = 5
value_encoding = "zip"
[web]
x = 1
[regions.eu-1]
url = "ftp://u:p@host"
bearer_token = "hunter2"
headers = { authorization = "hunter2" }
retention_seconds = 1
scrape_intervall_seconds = 15
[regions.eu-2]
bearer_token_file = "missing"
basic_auth = { username = "a:b", pasword_file = "x" }
[regions.eu-3]
url = "https://h"
basic_auth = { username = "u", password = "hunter2", password_file = "two" }
ca_file = "two"
[[runner_rules]]
runner_ids = [7]
tags = []
description = '/(/'
[[runner_rules]]
region = "eu-1"
source = "a\u0007b"
runner_ids = [1.5]
machine_value = "fixed"
machine_label = 5
[sources.gl]
kind = "github"
url = "https://gitlab.example.com"
hook_token_file = ["empty", "two", "two"]
signing_token_file = "empty"
api_token_file = "long"
hook_token = "hunter2"
"#;

/// How each of its problems begins.
const NAMED: [&str; 31] = [
    "line 1: lisen: unknown key; did you mean listen?",
    "line 2: listen: must be an address and port",
    "line 3: archiver: ",
    "line 5: archive.seal_job: unknown key; did you mean archive.seal_jobs?",
    "line 6: archive.value_encoding: unknown variant `zip`",
    "line 7: web: unknown key; there are listen, ",
    "line 10: regions.eu-1.url: must start with http",
    "line 11: regions.eu-1.bearer_token: a secret does not belong into this file",
    "line 12: regions.eu-1.headers: Authorization is a secret",
    "line 13: regions.eu-1.retention_seconds: must be between",
    "line 14: regions.eu-1.scrape_intervall_seconds: unknown key; did you mean regions.eu-1.scrape_interval_seconds?",
    "line 15: regions.eu-2.url: is missing",
    "line 16: regions.eu-2.bearer_token_file: MISSING cannot be read: No such file",
    "line 17: regions.eu-2.basic_auth.password_file: is missing",
    "line 17: regions.eu-2.basic_auth.pasword_file: unknown key; did you mean regions.eu-2.basic_auth.password_file?",
    "line 20: regions.eu-3.basic_auth.password: a secret does not belong",
    "line 20: regions.eu-3.basic_auth.password_file: two does not hold one line",
    "line 21: regions.eu-3.ca_file: two holds no certificate",
    "line 22: runner_rules[1].region: is missing",
    "line 23: runner_rules[1].runner_ids: need a source",
    "line 24: runner_rules[1].tags: must be 1 to 100 tags",
    "line 25: runner_rules[1].description: is no regular expression: unclosed group",
    "line 28: runner_rules[2].source: ",
    "line 29: runner_rules[2].runner_ids: float is no id",
    "line 30: runner_rules[2].machine_value: must contain {machine} once",
    "line 31: runner_rules[2].machine_label: invalid type: integer `5`",
    "line 33: sources.gl.kind: unknown variant `github`",
    "line 35: sources.gl.hook_token_file: must name a file, or a list of at most 2",
    "line 36: sources.gl.signing_token_file: empty: the secret is empty",
    "line 37: sources.gl.api_token_file: ",
    "line 38: sources.gl.hook_token: a secret does not belong into this file",
];

#[test]
fn every_problem_is_named_at_once_with_its_line() {
    let folder = Folder::new(&[
        ("empty", "\n"),
        ("two", "a\nb\n"),
        ("long", &"x".repeat(300_000)),
    ]);
    let problems = folder.problems(WRONG);
    let missing = folder.path("missing");
    for expected in NAMED {
        let expected = expected.replace("MISSING", &missing);
        let named = problems.iter().filter(|found| found.starts_with(&expected));
        assert_eq!(named.count(), 1, "{expected}\n{}", problems.join("\n"));
    }
    assert_eq!(problems.len(), NAMED.len(), "{}", problems.join("\n"));
    let lines = problems.iter().map(|text| text.split(' ').nth(1).unwrap());
    let lines: Vec<usize> = lines
        .map(|n| n.trim_matches(':').parse().unwrap())
        .collect();
    assert!(lines.is_sorted(), "{lines:?}");
    assert!(!problems.iter().any(|text| text.contains("hunter2")));
}

#[test]
fn retention_is_read_per_project_and_every_problem_of_it_is_named() {
    let folder = Folder::new(&[]);
    let text = "[retention]\nsamples_days = 30\njobs_days = 365\n\
        [retention.projects.\"acme/app\"]\nsamples_days = \"forever\"\njobs_days = \"forever\"\n\
        [retention.projects.\"acme/held\"]\nhold = true\n";
    let retention = folder.parse(text).unwrap().retention;
    let rule = |name: &str| {
        let mut own = retention.projects().filter(|(known, _)| *known == name);
        own.next().map_or(retention.general, |(_, rule)| rule)
    };
    assert_eq!(rule("other").samples, Keep::days(30));
    assert_eq!(rule("other").jobs, Keep::days(365));
    assert_eq!(rule("acme/app").samples, Keep::Forever);
    assert_eq!(rule("acme/app").samples_5m, Keep::Forever);
    assert!(rule("acme/held").hold && !rule("acme/app").hold);
    assert_eq!(rule("acme/held").samples, Keep::days(30));
    let wrong = "[retention]\nsamples_days = 0\njobs_days = \"never\"\nrewrite_above_percent = 100\nhold = true\n\
        [retention.projects.a]\njobs_days = 10\nsamples_days = 20\n";
    let problems = folder.problems(wrong);
    for (problem, start) in problems.iter().zip([
        "line 2: retention.samples_days: must be 1 to 73000 days, or \"forever\"",
        "line 3: retention.jobs_days: must be",
        "line 4: retention.rewrite_above_percent: must be 0 to 99",
        "line 5: retention.hold: unknown key",
        "line 8: retention.projects.a.samples_days: is longer than jobs_days",
    ]) {
        assert!(problem.starts_with(start), "{problem}");
    }
    assert_eq!(problems.len(), 5);
}

#[test]
fn every_wrong_line_of_what_is_no_toml_is_named() {
    let problems = Folder::new(&[]).problems("a = \nlisten = \"127.0.0.1:1\"\nb = ]\n[regions\n");
    for line in ["line 1: not TOML", "line 3: not TOML", "line 4: not TOML"] {
        let found = problems.iter().any(|problem| problem.starts_with(line));
        assert!(found, "{line}: {problems:?}");
    }
    let twice = Folder::new(&[]).problems("log = \"a\"\nlog = \"b\"\n");
    assert_eq!(twice, ["line 2: not TOML: duplicate key"]);
}

#[test]
fn hostile_documents_are_refused_and_quickly() {
    let folder = Folder::new(&[]);
    let deep =
        |open: &str, close: &str| format!("a = {}1{}", open.repeat(50_000), close.repeat(50_000));
    let texts = [
        deep("[", "]"),
        deep("{a = ", "}"),
        format!("{}a = 1", "a.".repeat(100_000)),
        format!("[{}a]", "a.".repeat(100_000)),
        "\u{0}\u{1}\u{1b}[31m\u{7f}".repeat(5_000),
        "x = 1\n".repeat(50_000),
        (0..50_000).fold(String::new(), |mut text, number| {
            writeln!(text, "k{number} = 1").unwrap();
            text
        }),
        "[[runner_rules]]\n".repeat(25_000),
        "\"\\u001b[31mred\" = 1".to_owned(),
    ];
    for text in texts {
        let problems = folder.problems(&text);
        assert!(problems.len() <= limits::CONFIG_PROBLEMS_MAX + 1);
        let all = problems.join("\n");
        assert!(all.len() < 100_000, "{}", all.len());
        assert!(!all.contains(|c: char| c.is_control() && c != '\n'));
    }
}

#[test]
fn what_is_unwise_is_told() {
    let folder = Folder::new(&[("open", "t0ken"), ("closed", "t0ken")]);
    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.path("open"), open).unwrap();
    let text = "[regions.a]\nurl = \"http://h\"\nbearer_token_file = \"open\"\n\
        [regions.b]\nurl = \"http://h\"\nbearer_token_file = \"closed\"\n\
        [[runner_rules]]\nregion = \"c\"\n[sources.s]\nkind = \"gitlab\"\nurl = \"http://h\"\n";
    let config = folder.parse(text).unwrap();
    let [first, second, third] = &config.warnings[..] else {
        panic!("{:?}", config.warnings);
    };
    assert!(
        first.starts_with("regions.a.bearer_token_file: everybody"),
        "{first}"
    );
    assert!(
        second.starts_with("runner_rules[1]: region c is not"),
        "{second}"
    );
    assert!(
        third.starts_with("sources.s: neither hook_token_file"),
        "{third}"
    );
}

#[test]
fn secrets_are_read_from_plain_files_up_to_a_bound() {
    let folder = Folder::new(&[
        ("fine", "t0ken\n"),
        ("long", &"x".repeat(limits::SECRET_FILE_BYTES_MAX + 1)),
    ]);
    let read = |name: &str| read_secret(Path::new(&folder.path(name)));
    assert_eq!(read("fine").unwrap(), "t0ken\n");
    assert!(read("long").unwrap_err().to_string().contains("256 KiB"));
    assert!(read("").unwrap_err().to_string().contains("plain file"));
    let device = read_secret(Path::new("/dev/zero")).unwrap_err();
    assert!(device.to_string().contains("plain file"), "{device}");
    std::fs::write(folder.path("binary"), [0xff, 0xfe]).unwrap();
    assert!(read("binary").unwrap_err().to_string().contains("UTF-8"));
}

#[test]
fn what_needs_another_start_is_told() {
    let folder = Folder::new(&[]);
    let running = folder.parse("").unwrap();
    let next = folder.parse("listen = \"127.0.0.1:1\"\nlog = \"debug\"\n[archive]\nseal_jobs = 7\n[regions.a]\nurl = \"http://h\"\n");
    let next = next.unwrap();
    assert_eq!(
        running.restart_needed(&next),
        ["listen", "log", "archive.seal_*"]
    );
    assert_eq!(next.restart_needed(&next), [""; 0]);
    let next = folder
        .parse("data_dir = \"x\"\narchiver = 3\n[archive]\nvalue_encoding = \"compatible\"\n");
    assert_eq!(
        running.restart_needed(&next.unwrap()),
        ["data_dir", "archiver", "archive.value_encoding"]
    );
}
