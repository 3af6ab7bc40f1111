//! Reading a TOML document table by table. Whatever is wrong is reported with the key's path and line
//! and reading goes on, so that every problem is named at once.
//!
//! A [`Section`] is asked for its keys one by one; what nobody asked for is unknown. So the known keys
//! stand in one place, the code that reads them.

use crate::error::{Error, Result};
use crate::limits;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// Everything that is wrong with one document.
#[derive(Debug)]
pub(super) struct Report {
    /// Where each line begins.
    lines: Vec<usize>,
    problems: RefCell<Vec<(usize, String)>>,
}

impl Report {
    pub(super) fn new(text: &str) -> Self {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            lines: [0].into_iter().chain(after.map(|(at, _)| at + 1)).collect(),
            problems: RefCell::default(),
        }
    }

    /// Number of the line that holds that byte, from 1.
    fn line(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at).max(1)
    }

    fn add(&self, line: usize, text: &str) {
        // What the file says may stand in the text: it must not steer the terminal that shows it.
        let plain = text.chars().map(|c| if c.is_control() { '?' } else { c });
        self.problems.borrow_mut().push((line, plain.collect()));
    }

    /// # Errors
    /// `Invalid` (`invalid_config`) with all problems, one per line, in the order of the file.
    pub(super) fn finish(self) -> Result<()> {
        let mut problems = self.problems.into_inner();
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by_key(|(line, _)| *line);
        let more = problems.len().saturating_sub(limits::CONFIG_PROBLEMS_MAX);
        let shown = problems.iter().take(limits::CONFIG_PROBLEMS_MAX);
        let mut lines: Vec<String> = shown
            .map(|(line, text)| format!("line {line}: {text}"))
            .collect();
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        Err(Error::invalid("invalid_config", lines.join("\n")))
    }
}

/// One table of the document.
#[derive(Debug)]
pub(super) struct Section<'a> {
    report: &'a Report,
    path: String,
    line: usize,
    table: DeTable<'a>,
    /// Keys that were asked for, and the lines where they stand.
    asked: Vec<(&'static str, Option<usize>)>,
}

impl<'a> Section<'a> {
    /// The whole document, `None` if it is no TOML, which is then reported.
    pub(super) fn document(text: &'a str, report: &'a Report) -> Option<Self> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            report.add(report.line(at), &format!("not TOML: {}", error.message()));
        }
        errors.is_empty().then(|| Self {
            report,
            path: String::new(),
            line: 1,
            table: table.into_inner(),
            asked: Vec::new(),
        })
    }

    /// The full name of a key.
    pub(super) fn path(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => shown(key),
            path => format!("{path}.{}", shown(key)),
        }
    }

    /// The section's own full name.
    pub(super) fn own_path(&self) -> &str {
        &self.path
    }

    /// The line where the section begins.
    pub(super) fn own_line(&self) -> usize {
        self.line
    }

    /// Reports what is wrong with a key, or with its absence.
    pub(super) fn problem(&self, key: &str, text: impl AsRef<str>) {
        let asked = self.asked.iter().rfind(|(known, _)| *known == key);
        let line = asked.and_then(|(_, line)| *line).unwrap_or(self.line);
        let path = self.path(key);
        self.report.add(line, &format!("{path}: {}", text.as_ref()));
    }

    /// Reports what is wrong with the section as a whole.
    pub(super) fn own_problem(&self, text: &str) {
        self.report
            .add(self.line, &format!("{}: {text}", self.path));
    }

    /// Whether a key that was asked for is there.
    pub(super) fn has(&self, key: &str) -> bool {
        let mut asked = self.asked.iter();
        asked.any(|(known, line)| *known == key && line.is_some())
    }

    fn value(&mut self, key: &'static str) -> Option<Spanned<DeValue<'a>>> {
        let value = self.table.remove(key);
        let line = value
            .as_ref()
            .map(|value| self.report.line(value.span().start));
        self.asked.push((key, line));
        value
    }

    /// The value of a key.
    pub(super) fn take<T: DeserializeOwned>(&mut self, key: &'static str) -> Option<T> {
        self.checked(key, Ok)
    }

    /// The value of a key, checked and perhaps made into something else.
    pub(super) fn checked<T: DeserializeOwned, U>(
        &mut self,
        key: &'static str,
        check: impl FnOnce(T) -> Result<U, String>,
    ) -> Option<U> {
        let value = self.value(key)?;
        let read = T::deserialize(ValueDeserializer::from(value));
        let read = read.map_err(|error| error.message().to_owned());
        match read.and_then(check) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problem(key, problem);
                None
            }
        }
    }

    /// Reports the absence of a key.
    pub(super) fn require(&self, key: &str) {
        if !self.table.contains_key(key) {
            self.problem(key, "is missing");
        }
    }

    /// Refuses a key that would hold a secret itself.
    pub(super) fn forbid_secret(&mut self, key: &'static str, instead: &str) {
        let Some(value) = self.table.remove(key) else {
            return;
        };
        let text = "a secret does not belong into this file: write it into one of its own and name";
        let (path, instead) = (self.path(key), self.path(instead));
        let line = self.report.line(value.span().start);
        self.report
            .add(line, &format!("{path}: {text} that with {instead}"));
    }

    /// The table of a key.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Self> {
        let value = self.value(key)?;
        self.below(self.path(key), value)
    }

    /// The tables in the table of a key, by name.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<(String, Self)> {
        let Some(all) = self.table(key) else {
            return Vec::new();
        };
        let path = all.path.clone();
        let named = all.table.into_iter().filter_map(|(name, value)| {
            let name = name.into_inner().into_owned();
            let below = self.below(format!("{path}.{}", shown(&name)), value)?;
            Some((name, below))
        });
        named.collect()
    }

    /// The tables in the array of a key; they are counted from 1.
    pub(super) fn array(&mut self, key: &'static str) -> Vec<Self> {
        let Some(value) = self.value(key) else {
            return Vec::new();
        };
        let DeValue::Array(items) = value.into_inner() else {
            self.problem(
                key,
                format!("must be a list of tables, [[{}]]", self.path(key)),
            );
            return Vec::new();
        };
        let path = self.path(key);
        let numbered = items.into_iter().enumerate();
        numbered
            .filter_map(|(index, item)| self.below(format!("{path}[{}]", index + 1), item))
            .collect()
    }

    fn below(&self, path: String, value: Spanned<DeValue<'a>>) -> Option<Self> {
        let line = self.report.line(value.span().start);
        let DeValue::Table(table) = value.into_inner() else {
            self.report
                .add(line, &format!("{path}: must be a table, [{path}]"));
            return None;
        };
        Some(Self {
            report: self.report,
            path,
            line,
            table,
            asked: Vec::new(),
        })
    }

    /// Whatever is left was never asked for.
    pub(super) fn finish(self) {
        for (key, value) in &self.table {
            let line = self.report.line(value.span().start);
            let text = match self.nearest(key.get_ref()) {
                Some(near) => format!("unknown key; did you mean {}?", self.path(near)),
                None => {
                    let known: Vec<&str> = self.asked.iter().map(|(key, _)| *key).collect();
                    format!("unknown key; there are {}", known.join(", "))
                }
            };
            let path = self.path(key.get_ref());
            self.report.add(line, &format!("{path}: {text}"));
        }
    }

    /// The known key that shares the longest beginning and end with an unknown one.
    fn nearest(&self, key: &str) -> Option<&'static str> {
        let common = |known: &str| {
            let front = known.bytes().zip(key.bytes());
            let back = known.bytes().rev().zip(key.bytes().rev());
            let same = |(a, b): &(u8, u8)| a == b;
            front.take_while(same).count() + back.take_while(same).count()
        };
        let known = self.asked.iter().map(|(known, _)| *known);
        let best = known.max_by_key(|known| common(known))?;
        (common(best) * 2 > best.len().max(key.len())).then_some(best)
    }
}

/// A key as it would be written, short enough for a message.
fn shown(key: &str) -> String {
    const LONGEST: usize = 60;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.len() <= LONGEST && key.chars().all(plain) {
        return key.to_owned();
    }
    let start: String = key.chars().take(LONGEST).collect();
    format!("{start:?}")
}
