//! A child process that never outlives its value.

use crate::error::{Error, ErrorKind, Result};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// How long a program may take to end after SIGTERM (Prometheus writes its head out).
const STOP_TRIES: u32 = 500;
const STOP_PAUSE: Duration = Duration::from_millis(20);
/// As much of a log as an error message quotes.
const LOG_TAIL_LINES: usize = 15;

/// A program by its names, the likely one first, and the Debian package that brings it.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Names looked up in PATH, in order.
    pub names: &'static [&'static str],
    /// Debian package.
    pub package: &'static str,
}

impl Program {
    /// The name people know it by.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or(self.package)
    }

    /// Runs `start` with each name until one is found.
    fn first_found<T>(&self, start: impl Fn(&str) -> std::io::Result<T>) -> Result<T> {
        for name in self.names {
            match start(name) {
                Ok(started) => return Ok(started),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        "component_failed",
                        format!("{name} could not be started"),
                    )
                    .with_source(error));
                }
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "program_missing",
            format!(
                "{} is not installed (not found in PATH): install the Debian package with \
                 `apt-get install {}`",
                self.names.join(" or "),
                self.package
            ),
        ))
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// `Unavailable` if it is missing (naming the package), cannot be started, or fails (with the
    /// end of what it said).
    pub async fn run(&self, args: &[&OsStr]) -> Result<()> {
        let child = self.first_found(|name| {
            Command::new(name)
                .args(args)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
        })?;
        let failed = |message: String| {
            let message = format!("{} failed: {message}", self.name());
            Error::new(ErrorKind::Unavailable, "component_failed", message)
        };
        let output = child
            .wait_with_output()
            .await
            .map_err(|error| failed("its output cannot be read".to_owned()).with_source(error))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(failed(format!(
            "{}: {}",
            output.status,
            tail(&String::from_utf8_lossy(&said))
        )))
    }
}

/// A running program. Dropping it sends SIGTERM to its pid, then SIGKILL, and waits for its end.
#[derive(Debug)]
pub struct Component {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Component {
    /// Starts `program` with its output appended to `<name>.log` in `dir` (created if missing).
    /// Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// `Unavailable` if the program is missing (naming the package) or cannot be started.
    pub fn start<A: AsRef<OsStr>>(program: &Program, args: &[A], dir: &Path) -> Result<Self> {
        let log = dir.join(format!("{}.log", program.name()));
        let files = make_dir(dir).and_then(|()| Ok((open_log(&log)?, open_log(&log)?)));
        let (out, err) = files.map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                "component_log",
                format!("the log {} cannot be written", log.display()),
            )
            .with_source(error)
        })?;
        let child = program.first_found(|name| {
            Command::new(name)
                .args(args)
                .stdin(Stdio::null())
                .stdout(out.try_clone()?)
                .stderr(err.try_clone()?)
                .kill_on_drop(true)
                .spawn()
        })?;
        Ok(Self {
            name: program.name(),
            child,
            log,
        })
    }

    /// The program.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its process id, `None` once it has ended.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// The last lines of its output.
    #[must_use]
    pub fn log_tail(&self) -> String {
        read_text(&self.log).map_or_else(|_| "(no log)".to_owned(), |text| tail(&text))
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// `Internal` if the system does not say.
    pub fn is_running(&mut self) -> Result<bool> {
        let status = self.child.try_wait().map_err(|error| {
            Error::internal(format!("the state of {} is unknown", self.name)).with_source(error)
        })?;
        Ok(status.is_none())
    }

    /// Sends SIGTERM and waits; SIGKILL if that does not end it.
    ///
    /// # Errors
    /// `Unavailable` if it does not even end then.
    pub async fn stop(mut self) -> Result<()> {
        self.ask_to_end();
        let patience = STOP_PAUSE * STOP_TRIES;
        if tokio::time::timeout(patience, self.child.wait())
            .await
            .is_ok()
        {
            return Ok(());
        }
        self.kill().await
    }

    /// Sends SIGKILL, as a crash would, and waits.
    ///
    /// # Errors
    /// `Unavailable` if it does not end.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                "component_failed",
                format!("{} cannot be killed", self.name),
            )
            .with_source(error)
        })
    }

    /// SIGTERM to this very process. Neither std nor tokio can send it and `unsafe` is forbidden;
    /// the shell's builtin `kill` is on every machine.
    fn ask_to_end(&self) {
        if let Some(pid) = self.child.id() {
            let sent = std::process::Command::new("sh")
                .args(["-c", "kill -TERM \"$1\"", "sh", &pid.to_string()])
                .stderr(Stdio::null())
                .status();
            tracing::debug!(name = self.name, pid, ?sent, "asked a component to end");
        }
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        if !self.is_running().unwrap_or(false) {
            return;
        }
        self.ask_to_end();
        for attempt in 0..STOP_TRIES * 2 {
            if !self.is_running().unwrap_or(false) {
                return;
            }
            if attempt == STOP_TRIES {
                let killed = self.child.start_kill();
                tracing::warn!(name = self.name, ?killed, "killed a component");
            }
            pause();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "Drop cannot await; it waits for a child that was told to end"
)]
fn pause() {
    std::thread::sleep(STOP_PAUSE);
}

#[expect(
    clippy::disallowed_types,
    reason = "logs of foreign programs are not the archive's files"
)]
fn open_log(path: &Path) -> std::io::Result<std::fs::File> {
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
}

#[expect(
    clippy::disallowed_methods,
    reason = "logs of foreign programs are not the archive's files"
)]
fn read_text(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

/// Creates a component's directory.
#[expect(
    clippy::disallowed_methods,
    reason = "directories of foreign programs are not the archive's files"
)]
pub(super) fn make_dir(path: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Writes a component's configuration or input.
#[expect(
    clippy::disallowed_methods,
    reason = "files of foreign programs are not the archive's files"
)]
pub(super) fn write_file(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_TAIL_LINES);
    lines.get(from..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHELL: Program = Program {
        names: &["tachograph-no-such-program", "sh"],
        package: "dash",
    };

    fn runs(pid: u32) -> bool {
        std::process::Command::new("sh")
            .args(["-c", "kill -0 \"$1\" 2>/dev/null", "sh", &pid.to_string()])
            .status()
            .unwrap()
            .success()
    }

    #[tokio::test]
    async fn dropping_ends_the_process_and_the_second_name_is_tried() {
        let dir = tempfile::tempdir().unwrap();
        let script = "echo started; exec sleep 600";
        let mut component = Component::start(&SHELL, &["-c", script], dir.path()).unwrap();
        let pid = component.pid().unwrap();
        assert!(component.is_running().unwrap() && runs(pid));
        drop(component);
        assert!(!runs(pid));
    }

    #[tokio::test]
    async fn stop_and_kill_end_the_process() {
        let dir = tempfile::tempdir().unwrap();
        for hard in [false, true] {
            let component =
                Component::start(&SHELL, &["-c", "exec sleep 600"], dir.path()).unwrap();
            let pid = component.pid().unwrap();
            let ended = if hard {
                component.kill().await
            } else {
                component.stop().await
            };
            ended.unwrap();
            assert!(!runs(pid));
        }
    }

    #[tokio::test]
    async fn a_missing_program_names_its_package() {
        let missing = Program {
            names: &["tachograph-no-such-program"],
            package: "prometheus",
        };
        let dir = tempfile::tempdir().unwrap();
        let error = Component::start::<&str>(&missing, &[], dir.path()).unwrap_err();
        assert_eq!(error.code(), "program_missing");
        assert!(error.message().contains("apt-get install prometheus"));
        assert_eq!(
            missing.run(&[]).await.unwrap_err().code(),
            "program_missing"
        );
    }

    #[tokio::test]
    async fn a_failed_run_says_what_the_program_said() {
        let args = ["-c", "echo no luck >&2; exit 3"].map(OsStr::new);
        let error = SHELL.run(&args).await.unwrap_err();
        assert!(error.message().contains("no luck"), "{error}");
    }
}
