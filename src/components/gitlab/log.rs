//! What a gitlab-runner from 18.7 on prints: time-stamped lines, stage sections, the line that names
//! the machine.

use crate::time::TimestampMs;

const ESC_CLEAR: &str = "\x1b[0K";
const RESET: &str = "\x1b[0;m";
const VERSION: &str = "19.4.0 (d79f3e7b)";

/// The executors that a stand-in's runner may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executor {
    /// Runs on the runner's own machine.
    Shell,
    /// Runs in a container on the runner's machine.
    Docker,
    /// Runs in a container on a machine made for it.
    DockerMachine,
}

impl Executor {
    fn name(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Docker => "docker",
            Self::DockerMachine => "docker+machine",
        }
    }

    fn using(self) -> &'static str {
        match self {
            Self::Shell => "Using Shell (bash) executor...",
            Self::Docker | Self::DockerMachine => "Using Docker executor with image debian:12 ...",
        }
    }
}

/// Which of the runner's streams a line belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Runner,
    Script,
}

/// Writes one job's log. What was written since the last [`RunnerLog::take`] is kept here.
#[derive(Debug)]
pub struct RunnerLog {
    written: Vec<u8>,
    stage: Option<&'static str>,
}

impl RunnerLog {
    /// The log of a job that a runner takes now: versions, the runner's name, the executor.
    #[must_use]
    pub fn begin(at: TimestampMs, runner: &str, executor: Executor) -> Self {
        let mut log = Self {
            written: Vec::new(),
            stage: None,
        };
        log.info(at, &format!("Running with gitlab-runner {VERSION}"));
        let who = format!("  on {runner} zxwgkjAPH, system ID: s_1f0c9a7be2d4");
        log.info(at, &who);
        let title = format!("Preparing the \"{}\" executor", executor.name());
        log.stage(at, "prepare_executor", &title);
        log.info(at, executor.using());
        log
    }

    /// The stage that says where the job runs, in the words of the executor.
    pub fn machine(&mut self, at: TimestampMs, executor: Executor, machine: &str) {
        self.stage(at, "prepare_script", "Preparing environment");
        let container = "runner-zxwgkjaph-project-4711-concurrent-0";
        let line = match executor {
            Executor::Shell => format!("Running on {machine}..."),
            Executor::Docker | Executor::DockerMachine => {
                format!("Running on {container} via {machine}...")
            }
        };
        self.line(at, Stream::Script, false, &line);
    }

    /// The stage that runs the job's script.
    pub fn script(&mut self, at: TimestampMs) {
        let title = "Executing \"step_script\" stage of the job script";
        self.stage(at, "step_script", title);
    }

    /// A line that the job's script printed.
    pub fn output(&mut self, at: TimestampMs, line: &str) {
        self.line(at, Stream::Script, false, line);
    }

    /// A section that the job's script begins.
    pub fn section_start(&mut self, at: TimestampMs, name: &str) {
        let marker = marker("start", at, name);
        self.line(
            at,
            Stream::Script,
            false,
            &format!("{ESC_CLEAR}{marker}{name}"),
        );
    }

    /// A section that the job's script ends.
    pub fn section_end(&mut self, at: TimestampMs, name: &str) {
        let marker = marker("end", at, name);
        self.line(at, Stream::Script, false, &format!("{ESC_CLEAR}{marker}"));
    }

    /// The end of the job.
    pub fn end(&mut self, at: TimestampMs, success: bool) {
        self.end_stage(at);
        let line = if success {
            format!("\x1b[32;1mJob succeeded{RESET}")
        } else {
            format!("\x1b[31;1mERROR: Job failed: exit status 1{RESET}")
        };
        self.line(at, Stream::Runner, true, &line);
    }

    /// What was written since the last call.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.written)
    }

    fn info(&mut self, at: TimestampMs, text: &str) {
        self.line(
            at,
            Stream::Runner,
            false,
            &format!("{ESC_CLEAR}{text}{RESET}"),
        );
    }

    /// Ends the stage before and begins the next one. Their markers and the title are one line for a
    /// reader, written in pieces: a carriage return flushes.
    fn stage(&mut self, at: TimestampMs, name: &'static str, title: &str) {
        let joined = self.end_stage(at);
        self.line(at, Stream::Runner, joined, &marker("start", at, name));
        let title = format!("{ESC_CLEAR}\x1b[36;1m{title}{RESET}{RESET}");
        self.line(at, Stream::Runner, true, &title);
        self.stage = Some(name);
    }

    fn end_stage(&mut self, at: TimestampMs) -> bool {
        let Some(name) = self.stage.take() else {
            return false;
        };
        self.line(at, Stream::Runner, false, &marker("end", at, name));
        true
    }

    fn line(&mut self, at: TimestampMs, stream: Stream, continued: bool, text: &str) {
        let time = at.to_rfc3339();
        let time = time.trim_end_matches('Z');
        let stream = match stream {
            Stream::Runner => "00",
            Stream::Script => "01",
        };
        let join = if continued { '+' } else { ' ' };
        let line = format!("{time}000Z {stream}O{join}{text}\n");
        self.written.extend_from_slice(line.as_bytes());
    }
}

fn marker(kind: &str, at: TimestampMs, name: &str) -> String {
    let seconds = at.0.div_euclid(1_000);
    format!("section_{kind}:{seconds}:{name}\r{ESC_CLEAR}")
}
