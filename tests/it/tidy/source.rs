//! A Rust file, read as text: good enough for rustfmt's output, and it needs no parser.

use std::path::{Component, Path, PathBuf};

#[derive(Debug)]
pub(super) struct Source {
    /// Relative to the project's root.
    pub(super) path: PathBuf,
    pub(super) text: String,
    /// Numbered lines without comments and test modules; empty for a file of tests.
    pub(super) code: Vec<(usize, String)>,
}

impl Source {
    pub(super) fn parse(path: &Path, text: &str) -> Self {
        let is_test = path.starts_with("tests")
            || path.components().any(|part| match part {
                Component::Normal(name) => name == "tests" || name == "tests.rs",
                _ => false,
            });
        let code = if is_test { Vec::new() } else { code_of(text) };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
        }
    }

    /// Module path below the crate's root: `src/a/b.rs` is `[a, b]`, `src/a/mod.rs` is `[a]`.
    fn modules(&self) -> Vec<&str> {
        let inside = self.path.strip_prefix("src").unwrap_or(&self.path);
        inside
            .iter()
            .filter_map(|part| part.to_str())
            .map(|part| part.trim_end_matches(".rs"))
            .filter(|part| *part != "mod")
            .collect()
    }

    /// Files that are modules of tests because this file declares them so.
    pub(super) fn test_files(&self) -> Vec<PathBuf> {
        let stem = self.path.with_extension("");
        let folder = match stem.file_name().and_then(|name| name.to_str()) {
            Some("mod" | "lib" | "main") => stem.parent().unwrap_or(&stem).to_owned(),
            _ => stem,
        };
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        lines
            .windows(2)
            .filter(|pair| pair[0] == TEST_ONLY)
            .filter_map(|pair| pair[1].strip_suffix(';')?.split_once("mod "))
            .map(|(_, name)| folder.join(format!("{name}.rs")))
            .collect()
    }

    /// The top-level module of the file; `None` for lib.rs and main.rs.
    pub(super) fn module(&self) -> Option<&str> {
        let first = *self.modules().first()?;
        (first != "lib" && first != "main").then_some(first)
    }

    /// Line and name of every top-level module that a path in the code leads to.
    pub(super) fn imports(&self) -> Vec<(usize, String)> {
        let code: String = self
            .code
            .iter()
            .map(|(_, line)| line.as_str())
            .collect::<Vec<_>>()
            .join("\n");
        let chain = "super::".repeat(self.modules().len());
        let mut found = Vec::new();
        for prefix in ["crate::", chain.as_str()] {
            for (at, _) in code.match_indices(prefix) {
                let before = code[..at].chars().next_back();
                // `$crate::`, `other_crate::`, and a longer chain of `super::` are something else.
                if before.is_some_and(|c| c.is_alphanumeric() || "_$:".contains(c)) {
                    continue;
                }
                let rest = &code[at + prefix.len()..];
                if rest.starts_with("super::") {
                    continue;
                }
                let line = code[..at].matches('\n').count();
                let number = self.code.get(line).map_or(0, |(number, _)| *number);
                found.extend(heads(rest).into_iter().map(|name| (number, name)));
            }
        }
        found
    }

    /// Lines with a `matches!` whose result nobody looks at.
    pub(super) fn bare_matches(&self) -> Vec<usize> {
        let mut found = Vec::new();
        let mut before = "";
        let lines: Vec<&str> = self.text.lines().map(str::trim).collect();
        for (index, line) in lines.iter().enumerate() {
            let starts =
                before.is_empty() || before.ends_with([';', '{', '}']) || before.starts_with("//");
            if starts && line.starts_with("matches!(") {
                let statement = lines[index..].join("\n");
                let after = &statement[closing(&statement)..];
                if after.starts_with(';') {
                    found.push(index + 1);
                }
            }
            before = if line.is_empty() { before } else { line };
        }
        found
    }
}

/// First names behind a path's beginning: `a::b` is `[a]`, `{a::b, c}` is `[a, c]`.
fn heads(rest: &str) -> Vec<String> {
    let Some(group) = rest.strip_prefix('{') else {
        return vec![ident(rest)];
    };
    let mut depth = 0usize;
    let mut names = Vec::new();
    let mut start = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(ident(group[start..at].trim_start()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn ident(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Index behind the parenthesis that closes the first one.
fn closing(text: &str) -> usize {
    let mut depth = 0usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// Lines without comments and without the items that exist in tests only.
fn code_of(text: &str) -> Vec<(usize, String)> {
    let mut code = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        if line.trim() == TEST_ONLY {
            skip_item(&mut lines, indent(line));
        } else {
            code.push((index + 1, without_comment(line).to_owned()));
        }
    }
    code
}

const TEST_ONLY: &str = "#[cfg(test)]";

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Skips one item: rustfmt closes it where it was opened.
fn skip_item<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>, depth: usize) {
    for (_, line) in lines {
        let is_attribute = line.trim_start().starts_with("#[");
        let ends = line.ends_with(';') || line.trim_start().starts_with('}');
        if indent(line) == depth && ends && !is_attribute {
            return;
        }
    }
}

/// A line up to its comment. A `//` behind `:` is an address, not a comment.
fn without_comment(line: &str) -> &str {
    let comment = line
        .match_indices("//")
        .find(|(at, _)| !line[..*at].ends_with(':'));
    comment.map_or(line, |(at, _)| &line[..at])
}

#[test]
fn imports_are_found_wherever_they_stand() {
    let text = "//! Docs of [`crate::nobody`].\nuse crate::{error::Error, time::{A, B},\n    num};\n\
        use super::super::model::id;\nuse super::sibling;\nfn f() { crate::limits::x(); $crate::no(); }\n\
        const URL: &str = \"http://crate::yes\"; // crate::comment\n\
        #[cfg(test)]\nmod tests {\n    use crate::testkit;\n}\n";
    let source = Source::parse(Path::new("src/archive/store.rs"), text);
    assert_eq!(source.module(), Some("archive"));
    let mut names: Vec<String> = source.imports().into_iter().map(|(_, name)| name).collect();
    names.sort();
    assert_eq!(names, ["error", "limits", "model", "num", "time", "yes"]);
    assert_eq!(source.imports()[0].0, 2);

    let top = Source::parse(
        Path::new("src/archive/mod.rs"),
        "use super::http;\nuse super::super::x;",
    );
    assert_eq!(top.imports(), [(1, "http".to_owned())]);
    let text = "#[cfg(test)]\npub(crate) mod real;\n#[cfg(test)]\nfn f() {\n    a.unwrap();\n}\nuse crate::num;\n";
    let source = Source::parse(Path::new("src/archive/mod.rs"), text);
    assert_eq!(source.imports(), [(7, "num".to_owned())]);
    assert_eq!(source.code.len(), 1);
    assert_eq!(source.test_files(), [Path::new("src/archive/real.rs")]);
    let test = Source::parse(Path::new("src/archive/tests.rs"), "use crate::http;");
    assert!(test.imports().is_empty());
    assert_eq!(Source::parse(Path::new("src/lib.rs"), "").module(), None);
}

#[test]
fn only_bare_matches_are_found() {
    let text = "fn f() {\n    matches!(a, B);\n    let c =\n        matches!(a, B);\n    assert!(matches!(a, B));\n\
        \n    // Why.\n    matches!(\n        a,\n        B(_)\n    );\n    matches!(a, B)\n}\n";
    let source = Source::parse(Path::new("src/a.rs"), text);
    assert_eq!(source.bare_matches(), [2, 8]);
}
