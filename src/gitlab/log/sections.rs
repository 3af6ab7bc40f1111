//! Which sections a log has: markers in, sections out.
//!
//! Sections nest, names repeat, ends are missing (a crash, a cancel, the log's limit) or have no
//! beginning. An end closes the nearest open section of its name and what is open inside of it; what
//! is still open at the end of the log ends with the job.

use super::marker::Edge;
use crate::limits;
use crate::model::job::Section;
use crate::num;
use crate::time::{TimeRange, TimestampMs};

/// Names of script lines under the runner's `FF_SCRIPT_SECTIONS`. Some of its versions print both ends
/// around the line's text and run it then; so such a section lasts until the next one begins or the
/// stage ends, in every version.
const SCRIPT_LINES: [&str; 2] = ["section_script_step_", "section_after_script_step_"];

/// The runner's own stages; script steps (`step_...`) besides.
const STAGES: [&str; 14] = [
    "resolve_secrets",
    "prepare_executor",
    "prepare_script",
    "get_sources",
    "clear_worktree",
    "restore_cache",
    "download_artifacts",
    "after_script",
    "archive_cache",
    "archive_cache_on_failure",
    "upload_artifacts_on_success",
    "upload_artifacts_on_failure",
    "cleanup_file_variables",
    "build_script",
];

#[derive(Debug)]
struct Noted {
    name: String,
    from_us: i64,
    /// `None` while it is open.
    to_us: Option<i64>,
}

/// The sections so far.
#[derive(Debug, Default)]
pub(super) struct Sections {
    noted: Vec<Noted>,
    /// Positions in `noted`, outermost first.
    open: Vec<usize>,
    is_cut: bool,
}

impl Sections {
    /// A marker, in order of the log.
    pub(super) fn mark(&mut self, edge: Edge, name: &str, at_us: i64) {
        match edge {
            Edge::Start => self.start(name, at_us),
            Edge::End if is_script_line(name) => {}
            Edge::End => self.end(name, at_us),
        }
    }

    /// Whether there were more than are kept.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    fn start(&mut self, name: &str, at_us: i64) {
        if is_script_line(name) {
            self.end_script_line(at_us);
        }
        let is_stage = STAGES.contains(&name) || name.starts_with("step_");
        // What a job prints must not push out the stages.
        let kept_free = if is_stage {
            0
        } else {
            limits::SECTIONS_OF_RUNNER
        };
        let depth_max = limits::SECTION_DEPTH_MAX - kept_free;
        if self.noted.len() + kept_free >= limits::SECTIONS_MAX || self.open.len() >= depth_max {
            self.is_cut = true;
            return;
        }
        self.open.push(self.noted.len());
        self.noted.push(Noted {
            name: name.to_owned(),
            from_us: at_us,
            to_us: None,
        });
    }

    fn end(&mut self, name: &str, at_us: i64) {
        let has_name = |position: &usize| {
            let noted = self.noted.get(*position);
            noted.is_some_and(|noted| noted.name == name)
        };
        if let Some(depth) = self.open.iter().rposition(has_name) {
            for position in self.open.split_off(depth) {
                self.close(position, at_us);
            }
        }
    }

    /// Ends the script line before. A section that was opened in one script line and is closed in a
    /// later one stays open.
    fn end_script_line(&mut self, at_us: i64) {
        let is_line = |position: &usize| {
            let noted = self.noted.get(*position);
            noted.is_some_and(|noted| is_script_line(&noted.name))
        };
        if let Some(depth) = self.open.iter().rposition(is_line) {
            let position = self.open.remove(depth);
            self.close(position, at_us);
        }
    }

    fn close(&mut self, position: usize, at_us: i64) {
        if let Some(noted) = self.noted.get_mut(position) {
            noted.to_us = Some(at_us.max(noted.from_us));
        }
    }

    /// The sections inside the job's window, in order of their beginning. The clocks of GitLab, the
    /// runner and the job differ, so what reaches beyond the window is cut to it.
    pub(super) fn finish(self, window: TimeRange) -> Vec<Section> {
        let inside = |noted: Noted| {
            let from = noted.from_us;
            let to = noted.to_us.map_or(window.to, ms);
            let range = TimeRange::new(ms(from).max(window.from), to.min(window.to));
            (range.from <= range.to).then_some(Section {
                name: noted.name,
                range,
            })
        };
        self.noted.into_iter().filter_map(inside).collect()
    }
}

fn is_script_line(name: &str) -> bool {
    SCRIPT_LINES.iter().any(|prefix| name.starts_with(prefix))
}

/// Rounded to ms. Half a microsecond does not matter, but two ends of one time must stay equal.
fn ms(at_us: i64) -> TimestampMs {
    let rounded = num::div_round(i128::from(at_us), 1_000);
    TimestampMs(num::narrow(rounded).unwrap_or(i64::MAX))
}
