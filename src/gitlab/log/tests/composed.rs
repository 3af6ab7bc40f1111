//! The notation of `tests/fixtures/joblogs/*.log`: job logs as text that people can read and edit.
//!
//! Lines with `#` say what the log is, lines with `#>` what is true of it:
//!
//! ```text
//! #> machine NAME          machine, executor, version: absent if the log does not say it
//! #> section NAME FROM TO  in order of their beginning; times in seconds since BASE
//! #> window FROM TO        of the job; 0 300 if absent
//! #> cut                   the log's limit was reached
//! ```
//!
//! All others are the log. `@SECONDS SSK+text` is a line with a time stamp, `<start SECONDS NAME>` and
//! `<end SECONDS NAME>` are section markers, `^[` `^M` `^@` control characters, `\xHH` a byte,
//! `{TEXT*N}` a repetition, and a `\` at its end is a line without a line break.

use super::*;
use crate::num;

/// 2025-11-24T16:00:00Z.
const BASE_SECONDS: i64 = 1_764_000_000;

#[derive(Debug)]
pub(super) struct Composed {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    pub(super) window: TimeRange,
    pub(super) truth: LogFindings,
}

/// All logs of the corpus, by name.
#[expect(clippy::disallowed_methods, reason = "reads the fixtures")]
pub(super) fn corpus() -> Vec<Composed> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/joblogs");
    let mut logs: Vec<Composed> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            compose(name, &std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    logs.sort_by(|one, other| one.name.cmp(&other.name));
    logs
}

fn compose(name: &str, notation: &str) -> Composed {
    let mut log = Composed {
        name: name.to_owned(),
        bytes: Vec::new(),
        window: range("0", "300"),
        truth: LogFindings::default(),
    };
    for line in notation.lines() {
        match line.strip_prefix("#>") {
            Some(truth) => log.expect(truth),
            None if line.starts_with('#') => {}
            None => {
                let (line, end) = match line.strip_suffix('\\') {
                    Some(line) => (line, ""),
                    None => (line, "\n"),
                };
                log.bytes.extend(line_bytes(line));
                log.bytes.extend(end.as_bytes());
            }
        }
    }
    log
}

impl Composed {
    fn expect(&mut self, truth: &str) {
        let words: Vec<&str> = truth.split_whitespace().collect();
        match words.as_slice() {
            ["machine", name] => self.truth.machine = Some(Machine::parse(name).unwrap()),
            ["executor", name] => self.truth.executor = Some((*name).to_owned()),
            ["version", ..] => self.truth.runner_version = Some(words[1..].join(" ")),
            ["section", name, from, to] => self.truth.sections.push(Section {
                name: (*name).to_owned(),
                range: range(from, to),
            }),
            ["window", from, to] => self.window = range(from, to),
            ["cut"] => self.truth.is_cut = true,
            _ => panic!("{}: {truth:?} says nothing", self.name),
        }
    }
}

fn range(from: &str, to: &str) -> TimeRange {
    let at = |seconds: &str| {
        let seconds: f64 = seconds.parse().unwrap();
        TimestampMs(BASE_SECONDS * 1_000 + num::round_to_i64(seconds * 1e3).unwrap())
    };
    TimeRange::new(at(from), at(to))
}

fn line_bytes(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line;
    if let Some((seconds, text)) = line.strip_prefix('@').and_then(|line| line.split_once(' ')) {
        bytes.extend(stamp(seconds).as_bytes());
        rest = text;
    }
    while let Some(first) = rest.chars().next() {
        let (some, length) = symbol(rest).unwrap_or_else(|| {
            let plain = first.len_utf8();
            (rest.as_bytes()[..plain].to_vec(), plain)
        });
        bytes.extend(some);
        rest = &rest[length..];
    }
    bytes
}

/// `19.104512` as `2025-11-24T16:00:19.104512Z `.
fn stamp(seconds: &str) -> String {
    let (whole, micros) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let whole: i64 = whole.parse().unwrap();
    let (hours, minutes) = (16 + whole / 3_600, whole / 60 % 60);
    format!(
        "2025-11-24T{hours:02}:{minutes:02}:{:02}.{micros:0<6}Z ",
        whole % 60
    )
}

/// The bytes of the symbol that `text` begins with, and its length.
fn symbol(text: &str) -> Option<(Vec<u8>, usize)> {
    let bracketed = |open: char, close: char| {
        let inner = text.strip_prefix(open)?.split_once(close)?.0;
        Some((inner, inner.len() + 2))
    };
    if let Some((inner, length)) = bracketed('<', '>') {
        let words: Vec<&str> = inner.splitn(3, ' ').collect();
        if let ["start" | "end", seconds, name] = words.as_slice() {
            let at = BASE_SECONDS + seconds.parse::<i64>().unwrap();
            let marker = format!("section_{}:{at}:{name}\r\x1b[0K", words[0]);
            return Some((marker.into_bytes(), length));
        }
    }
    if let Some((inner, length)) = bracketed('{', '}') {
        let (what, count) = inner.rsplit_once('*')?;
        return Some((line_bytes(what).repeat(count.parse().ok()?), length));
    }
    if let Some(hex) = text.strip_prefix("\\x") {
        return Some((vec![u8::from_str_radix(hex.get(..2)?, 16).ok()?], 4));
    }
    let byte = match text.get(..2)? {
        "^[" => 0x1b,
        "^M" => b'\r',
        "^@" => 0,
        _ => return None,
    };
    Some((vec![byte], 2))
}
