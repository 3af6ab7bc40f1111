//! A job's log, read once from front to back: the machine, the executor and the sections.
//!
//! The text is never kept: memory is bounded by one line per stream and the open sections, whatever
//! the log holds, and the time is linear in its length. Called by the service that fetches logs
//! through GitLab's REST, and by nobody else.
//!
//! Invariant: how the log is cut into pieces for [`LogReader::push`] changes nothing.

mod executor;
mod line;
mod machine;
mod marker;
mod sections;
#[cfg(test)]
mod tests;

use crate::limits;
use crate::model::job::{JobFacts, Section};
use crate::model::machine::Machine;
use crate::time::TimeRange;
use line::{Header, Origin, visible};
use machine::Finder;
use marker::Search;
use sections::Sections;

/// Reads a job's log as it arrives.
///
/// ```
/// use tachograph::gitlab::log::LogReader;
/// let mut reader = LogReader::new();
/// reader.push(b"\x1b[0KRunning with gitlab-runner 19.4.0 (d79f3e7b)\x1b[0;m\n");
/// assert!(!reader.is_machine_settled());
/// ```
#[derive(Debug)]
pub struct LogReader {
    /// The current line, as far as it was not handed on.
    piece: Vec<u8>,
    /// Where the current line comes from, once a piece of it was handed on.
    current: Option<(Origin, Option<i64>)>,
    joined: Vec<Option<Joined>>,
    finder: Finder,
    sections: Sections,
    /// Lines since the runner said that the log's limit is reached.
    lines_since_cut: Option<usize>,
}

/// What is held of the last line of a stream: the next one may continue it.
#[derive(Debug, Default)]
struct Joined {
    text: Vec<u8>,
    /// Up to here it was searched for markers.
    searched: usize,
    /// Whether only markers stood before `text`.
    is_whole: bool,
    /// When the piece came in which `searched` is; none for a line without a stamp.
    at_us: Option<i64>,
}

/// The runner says it in two lines, and then nothing more.
const LIMIT_WORDS: &[u8] = b"Job's log exceeded limit of ";
const LINES_AFTER_CUT: usize = 2;

impl Default for LogReader {
    fn default() -> Self {
        Self::new()
    }
}

impl LogReader {
    /// A reader at the beginning of a log.
    #[must_use]
    pub fn new() -> Self {
        Self {
            piece: Vec::with_capacity(limits::LOG_PIECE_BYTES_MAX),
            current: None,
            joined: (0..Origin::COUNT).map(|_| None).collect(),
            finder: Finder::new(),
            sections: Sections::default(),
            lines_since_cut: None,
        }
    }

    /// The next bytes of the log, in pieces of any size.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = limits::LOG_PIECE_BYTES_MAX - self.piece.len();
            let (window, behind) = bytes.split_at(room.min(bytes.len()));
            let end = window.iter().position(|byte| *byte == b'\n');
            match end.and_then(|end| window.split_at_checked(end)) {
                Some((line, _)) => {
                    self.piece.extend_from_slice(line);
                    self.hand_on(true);
                    bytes = bytes.get(line.len() + 1..).unwrap_or_default();
                }
                None => {
                    self.piece.extend_from_slice(window);
                    bytes = behind;
                    if self.piece.len() == limits::LOG_PIECE_BYTES_MAX {
                        self.hand_on(false);
                    }
                }
            }
        }
    }

    /// The machine, as soon as the runner's line about it was read. A second line that contradicts it
    /// takes it back, until [`LogReader::is_machine_settled`].
    #[must_use]
    pub fn machine(&self) -> Option<&Machine> {
        self.finder.machine()
    }

    /// The executor in the runner's words, e.g. `docker+machine`, as soon as it was read.
    #[must_use]
    pub fn executor(&self) -> Option<&str> {
        self.finder.executor()
    }

    /// Whether the rest of the log cannot say more about the machine: the stage in which the runner
    /// names it is over. Who wants only the machine may stop reading.
    #[must_use]
    pub fn is_machine_settled(&self) -> bool {
        self.finder.is_settled()
    }

    /// What the log says, as far as it was pushed. `window` is the job's, from REST: sections that
    /// are still open end with it, and none reaches beyond it.
    #[must_use]
    pub fn finish(mut self, window: TimeRange) -> LogFindings {
        if !self.piece.is_empty() {
            self.hand_on(true);
        }
        let is_cut = self
            .lines_since_cut
            .is_some_and(|lines| lines <= LINES_AFTER_CUT);
        LogFindings {
            machine: self.finder.machine().cloned(),
            executor: self.finder.executor().map(str::to_owned),
            runner_version: self.finder.version().map(str::to_owned),
            is_cut: is_cut || self.sections.is_cut(),
            sections: self.sections.finish(window),
        }
    }

    /// Hands on what is held of the current line; `ends` if it is its last piece.
    fn hand_on(&mut self, ends: bool) {
        let piece = std::mem::take(&mut self.piece);
        let (origin, at_us, is_continuation, text) = match (self.current, Header::split(&piece)) {
            (Some((origin, at_us)), _) => (origin, at_us, true, piece.as_slice()),
            (None, Some((header, text))) => (
                header.origin,
                Some(header.at_us),
                header.is_continuation,
                text,
            ),
            (None, None) => (Origin::Plain, None, false, piece.as_slice()),
        };
        self.current = (!ends).then_some((origin, at_us));
        self.read(origin, at_us, is_continuation, text, ends);
        self.piece = piece;
        self.piece.clear();
    }

    fn read(&mut self, origin: Origin, at_us: Option<i64>, joins: bool, text: &[u8], ends: bool) {
        let Some(slot) = self.joined.get_mut(origin.slot()) else {
            return;
        };
        let joined = slot.get_or_insert_default();
        if !joins {
            joined.begin(at_us);
        }
        let before = joined.text.len();
        joined.text.extend_from_slice(text);
        let mut line_from = 0;
        loop {
            match marker::find(&joined.text, joined.searched) {
                Search::Found(marker) => {
                    let line = joined.text.get(line_from..marker.place.start);
                    joined.is_whole = joined.is_whole && line.is_some_and(is_blank);
                    // A marker that began in an earlier piece was printed then; only its end came late.
                    let is_late = marker.place.start < before;
                    let stamp = if is_late { joined.at_us } else { at_us };
                    let at = stamp.unwrap_or_else(|| marker.seconds.saturating_mul(1_000_000));
                    self.sections.mark(marker.edge, marker.name, at);
                    if joined.is_whole {
                        self.finder.mark(origin, marker.edge, marker.name);
                    }
                    line_from = marker.place.end;
                    joined.searched = line_from;
                }
                Search::Nothing { up_to } => {
                    if up_to >= before {
                        joined.at_us = at_us;
                    }
                    joined.searched = up_to;
                    break;
                }
            }
        }
        joined.forget(line_from);
        if ends {
            if joined.is_whole {
                self.finder.line(origin, &joined.text);
            }
            if origin == Origin::Plain {
                self.lines_since_cut = if is_limit_line(&joined.text) {
                    Some(0)
                } else {
                    self.lines_since_cut.map(|lines| lines.saturating_add(1))
                };
            }
        }
        if joined.text.len() > limits::LOG_LINE_BYTES_MAX {
            joined.is_whole = false;
            joined.forget(joined.searched);
        }
    }
}

impl Joined {
    fn begin(&mut self, at_us: Option<i64>) {
        self.text.clear();
        self.searched = 0;
        self.is_whole = true;
        self.at_us = at_us;
    }

    /// Drops what was searched up to `end`.
    fn forget(&mut self, end: usize) {
        self.text.drain(..end.min(self.text.len()));
        self.searched = self.searched.saturating_sub(end);
    }
}

/// Whether a text shows nothing.
fn is_blank(text: &[u8]) -> bool {
    visible(text).is_some_and(|shown| shown.is_empty())
}

fn is_limit_line(text: &[u8]) -> bool {
    let colour = line::escape_len(text);
    text.get(colour..)
        .is_some_and(|text| text.starts_with(LIMIT_WORDS))
}

/// What a log says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFindings {
    /// The machine; `None` rather than a wrong one.
    pub machine: Option<Machine>,
    /// The executor in the runner's words.
    pub executor: Option<String>,
    /// The runner's version.
    pub runner_version: Option<String>,
    /// Parts of the log in the order in which they began; times rounded to ms.
    pub sections: Vec<Section>,
    /// Whether the runner's limit or ours cut the log or its sections short.
    pub is_cut: bool,
}

impl LogFindings {
    /// The findings as facts of the job. What is said elsewhere (with a status or times) counts more.
    #[must_use]
    pub fn into_facts(self) -> JobFacts {
        JobFacts {
            machine: self.machine,
            executor: self.executor,
            sections: Some(self.sections).filter(|sections| !sections.is_empty()),
            ..JobFacts::default()
        }
    }
}
