//! Rules of ARCHITECTURE.md and CONTRIBUTING.md that no compiler checks: layers, file size, module
//! docs, and habits that hide bugs. Function length, unwraps and forbidden calls are clippy's.
#![expect(clippy::disallowed_methods, reason = "reads the sources")]

mod ranks;
mod source;

use ranks::Ranks;
use source::Source;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 600;
/// The pieces of one rank that must not know each other: adapters and formats.
const STRANGERS: u32 = 2;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `dir` with that extension, the page's sources left out.
fn files(dir: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(dir)];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("src/ui/app") {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources(dir: &str) -> Vec<Source> {
    let mut sources: Vec<Source> = files(dir, "rs")
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            Source::parse(path.strip_prefix(root()).unwrap(), &text)
        })
        .collect();
    let tests: Vec<PathBuf> = sources.iter().flat_map(Source::test_files).collect();
    for source in sources
        .iter_mut()
        .filter(|source| tests.contains(&source.path))
    {
        source.code.clear();
    }
    sources
}

/// Fails with one line per violation.
fn none(rule: &str, violations: Vec<String>) {
    assert!(violations.is_empty(), "{rule}:\n{}", violations.join("\n"));
}

#[test]
fn modules_import_only_lower_ranks() {
    let map = root().join("ARCHITECTURE.md");
    let map = std::fs::read_to_string(&map).expect("ARCHITECTURE.md with the rank table");
    let ranks = Ranks::parse(&map).unwrap();
    let mut violations = Vec::new();
    for source in sources("src") {
        let Some(own) = source.module() else {
            continue;
        };
        let Some(own_rank) = ranks.of(own) else {
            violations.push(format!("{own} is not in the rank table of ARCHITECTURE.md"));
            continue;
        };
        for (line, imported) in source.imports() {
            let Some(rank) = ranks.of(&imported) else {
                continue; // a macro or an item of lib.rs, or a module reported by its own file
            };
            let stranger = rank == own_rank && rank == STRANGERS && imported != own;
            if rank > own_rank || stranger {
                violations.push(format!(
                    "{}:{line}: {own} (rank {own_rank}) imports {imported} (rank {rank})",
                    source.path.display()
                ));
            }
        }
    }
    violations.dedup();
    none(
        "a module imports only lower ranks, and no sibling of rank 2",
        violations,
    );
}

#[test]
fn every_source_file_is_small_documented_and_ascii() {
    let mut violations = Vec::new();
    for source in sources("src") {
        let path = source.path.display();
        if !source.text.starts_with("//!") {
            violations.push(format!(
                "{path} does not start with a //! line saying what it is"
            ));
        }
        let lines = source.text.lines().count();
        if lines > LINES_MAX {
            violations.push(format!(
                "{path} has {lines} lines, at most {LINES_MAX} are allowed"
            ));
        }
        if let Some((line, _)) = source.code.iter().find(|(_, line)| !line.is_ascii()) {
            violations.push(format!("{path}:{line} is not ASCII"));
        }
    }
    none("size, module docs, ASCII", violations);
}

#[test]
fn results_are_looked_at() {
    let mut violations = Vec::new();
    for source in ["src", "tests", "benches"].into_iter().flat_map(sources) {
        for line in source.bare_matches() {
            violations.push(format!(
                "{}:{line}: `matches!(..);` alone checks nothing: assert!(matches!(..))",
                source.path.display()
            ));
        }
        if source.path.starts_with("src") {
            for (line, text) in &source.code {
                if text.contains(".unwrap()") {
                    violations.push(format!("{}:{line}: unwrap", source.path.display()));
                }
            }
        }
    }
    none("bare matches! and unwrap", violations);
}

#[test]
fn unfinished_work_has_an_issue() {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut violations = Vec::new();
    for source in ["src", "tests", "benches"].into_iter().flat_map(sources) {
        for (number, line) in source.text.lines().enumerate() {
            for mark in marks {
                let Some((_, rest)) = line.split_once(mark) else {
                    continue;
                };
                let issue = rest.strip_prefix("(#").unwrap_or_default();
                if !issue.starts_with(|c: char| c.is_ascii_digit()) {
                    violations.push(format!("{}:{}: {line}", source.path.display(), number + 1));
                }
            }
        }
    }
    none("unfinished work names its issue, e.g. (#12)", violations);
}
