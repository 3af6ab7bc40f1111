//! The machine of a job, from the lines that the runner itself prints before the job's script.
//!
//! A job can print every line that a runner prints. So a line counts only
//!
//! - from where the runner prints it: with time stamps, its own lines come on stream 00 and what the
//!   preparing script prints on stream 01; whether a log has stamps is decided by its first lines;
//! - when the runner prints it: between its banner and the end of stage `prepare_script`, and the host
//!   line inside of that stage. No script of the job runs before that stage is over. Services and
//!   entrypoints may, and their lines come from elsewhere or are prefixed;
//! - as a whole line that does not overwrite itself.
//!
//! Two host lines that differ are no host line. No machine is better than a wrong one.

use super::executor::{Names, Naming, naming_of_old_line, naming_of_word};
use super::line::{Origin, visible};
use super::marker::Edge;
use crate::model::machine::Machine;

/// Lines before the banner: what GitLab or a wrapper put there.
const LINES_BEFORE_BANNER: usize = 16;
/// A longer line is none of the runner's that matter: two host names and 30 bytes.
const LINE_BYTES_MAX: usize = 640;
/// A version or the name of an executor.
const WORD_BYTES_MAX: usize = 64;

const BANNERS: [&str; 2] = [
    "Running with gitlab-runner ",
    "Running with gitlab-ci-multi-runner ",
];

/// How far the runner is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing of the runner yet, after so many lines.
    Before(usize),
    /// The executor is prepared.
    Executor,
    /// The preparing script runs.
    Script,
    /// Nothing more is believed.
    Over,
}

#[derive(Debug)]
pub(super) struct Finder {
    phase: Phase,
    has_stamps: bool,
    version: Option<String>,
    word: Option<String>,
    naming: Option<Naming>,
    names: Names,
    host: Host,
}

#[derive(Debug, PartialEq, Eq)]
enum Host {
    Unknown,
    /// A host line was read; the machine, if it names one.
    Named(Option<Machine>),
    /// Two host lines that differ.
    Doubtful,
}

impl Finder {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Before(0),
            has_stamps: false,
            version: None,
            word: None,
            naming: None,
            names: Names::default(),
            host: Host::Unknown,
        }
    }

    pub(super) fn machine(&self) -> Option<&Machine> {
        match &self.host {
            Host::Named(machine) => machine.as_ref(),
            Host::Unknown | Host::Doubtful => None,
        }
    }

    pub(super) fn executor(&self) -> Option<&str> {
        self.word.as_deref()
    }

    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// Whether nothing more can come.
    pub(super) fn is_settled(&self) -> bool {
        self.phase == Phase::Over
    }

    /// A section marker that stands at the beginning of its line.
    pub(super) fn mark(&mut self, origin: Origin, edge: Edge, name: &str) {
        if let Phase::Before(_) = self.phase {
            self.phase = match (edge, name) {
                // The runner prints its banner before its first stage: what follows is a log without
                // a beginning, or of another program.
                (Edge::Start, "prepare_executor" | "prepare_script" | "get_sources")
                | (Edge::Start, "step_script" | "build_script") => Phase::Over,
                _ => self.phase,
            };
            return;
        }
        if !self.is_from(RUNNER, origin) {
            return;
        }
        self.phase = match (self.phase, edge, name) {
            (Phase::Executor, Edge::Start, "prepare_script") => Phase::Script,
            (Phase::Executor, Edge::Start, "resolve_secrets" | "prepare_executor") => {
                Phase::Executor
            }
            (Phase::Executor, Edge::Start, _) | (Phase::Script, _, _) => Phase::Over,
            (phase, _, _) => phase,
        };
    }

    /// A line, without the section markers at its beginning. Also called with a line that goes on
    /// later; then it does not look like one of the runner's, or the rest changes nothing.
    pub(super) fn line(&mut self, origin: Origin, line: &[u8]) {
        if self.phase == Phase::Over || line.len() > LINE_BYTES_MAX {
            return;
        }
        let Some(shown) = visible(line) else {
            return;
        };
        let Ok(text) = std::str::from_utf8(&shown) else {
            return;
        };
        // PowerShell begins its output with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match self.phase {
            Phase::Before(lines) => self.before(origin, text, lines),
            Phase::Executor if self.is_from(RUNNER, origin) => self.executor_line(text),
            Phase::Script if self.is_from(SCRIPT, origin) && text.starts_with("Running on ") => {
                self.host_line(text);
            }
            Phase::Executor | Phase::Script if self.is_from(POD_REPORT, origin) => {
                self.names.take_node_line(text);
            }
            _ => {}
        }
    }

    fn before(&mut self, origin: Origin, text: &str, lines: usize) {
        let banner = BANNERS.iter().find_map(|banner| text.strip_prefix(banner));
        let may_be = matches!(origin, Origin::Plain | RUNNER);
        if let Some(rest) = banner.filter(|_| may_be) {
            let version = rest.split_once(" (").map_or(rest, |(version, _)| version);
            self.version = is_word(version).then(|| version.to_owned());
            self.has_stamps = origin != Origin::Plain;
            self.phase = Phase::Executor;
        } else {
            self.phase = match lines {
                LINES_BEFORE_BANNER => Phase::Over,
                lines => Phase::Before(lines + 1),
            };
        }
    }

    fn executor_line(&mut self, text: &str) {
        let word = text
            .strip_prefix("Preparing the \"")
            .and_then(|rest| rest.strip_suffix("\" executor"))
            .filter(|word| is_word(word));
        match word {
            Some(word) if self.word.is_none() => {
                self.naming = naming_of_word(word);
                self.word = Some(word.to_owned());
            }
            Some(_) => {}
            None => {
                if self.word.is_none() && self.naming.is_none() {
                    self.naming = naming_of_old_line(text);
                }
                self.names.take_dial_line(text);
                if !self.has_stamps {
                    self.names.take_node_line(text);
                }
            }
        }
    }

    fn host_line(&mut self, text: &str) {
        let mut names = self.names.clone();
        if !names.take_host_line(text) {
            return;
        }
        if self.host == Host::Unknown {
            let machine = self.naming.and_then(|naming| names.machine(naming));
            self.host = Host::Named(machine.and_then(|name| Machine::parse(name).ok()));
            self.names = names;
        } else if self.names != names {
            self.host = Host::Doubtful;
        }
    }

    /// Whether a line comes from `stream`. In a log without stamps every line does.
    fn is_from(&self, stream: Origin, origin: Origin) -> bool {
        let expected = if self.has_stamps {
            stream
        } else {
            Origin::Plain
        };
        origin == expected
    }
}

fn is_word(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    (1..=WORD_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain)
}

/// The runner's own lines.
const RUNNER: Origin = Origin::Stream {
    number: 0,
    is_stderr: false,
};
/// What the scripts print that the runner runs.
const SCRIPT: Origin = Origin::Stream {
    number: 1,
    is_stderr: false,
};
/// The runner's reports on a pod. An entrypoint's output comes beside it, on standard output.
const POD_REPORT: Origin = Origin::Stream {
    number: 0,
    is_stderr: true,
};
