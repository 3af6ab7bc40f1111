//! The demo's job: a shell script whose output marks its sections, as a CI log does.

use crate::error::{Error, ErrorKind, Result};
use crate::model::job::Section;
use crate::num;
use crate::time::{Clock, TimeRange, TimestampMs};
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

const SCRIPT: &str = include_str!("job.sh");
/// What the memory section allocates.
pub(super) const ALLOCATE_MIB: i64 = 400;
/// What the writing section writes.
pub(super) const WRITE_MIB: i64 = 256;

/// When the job and its sections ran.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) range: TimeRange,
    pub(super) sections: Vec<Section>,
}

/// Runs the job to its end.
pub(super) async fn run(folder: &Path, clock: &dyn Clock) -> Result<Report> {
    let failed = |error: std::io::Error| {
        Error::new(
            ErrorKind::Unavailable,
            "demo_job",
            "the demo's job could not run",
        )
        .with_source(error)
    };
    let from = clock.now();
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT])
        .env("WORK", folder)
        .env("ALLOCATE_MIB", ALLOCATE_MIB.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    let output = child
        .stdout
        .take()
        .ok_or_else(|| Error::internal("the job has no output"))?;
    let mut lines = BufReader::new(output).lines();
    let mut log = Vec::new();
    while let Some(line) = lines.next_line().await.map_err(failed)? {
        log.push(line);
    }
    let status = child.wait().await.map_err(failed)?;
    if !status.success() {
        return Err(Error::new(
            ErrorKind::Unavailable,
            "demo_job",
            format!("the demo's job failed: {status}"),
        ));
    }
    Ok(Report {
        range: TimeRange::new(from, clock.now()),
        sections: sections(&log),
    })
}

/// Sections from marker lines; an end closes the latest open section of its name.
fn sections(log: &[String]) -> Vec<Section> {
    let mut open: Vec<(String, TimestampMs)> = Vec::new();
    let mut closed = Vec::new();
    for line in log {
        let mut parts = line.splitn(3, ':');
        let (Some(kind), Some(time), Some(name)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let seconds = time.parse::<f64>().ok();
        let Some(at) = seconds
            .and_then(|seconds| num::round_to_i64(seconds * 1e3))
            .map(TimestampMs)
        else {
            continue;
        };
        if kind == "section_start" {
            open.push((name.to_owned(), at));
        } else if let Some(position) = open.iter().rposition(|(opened, _)| opened == name) {
            let (name, from) = open.remove(position);
            closed.push(Section {
                name,
                range: TimeRange::new(from, at),
            });
        }
    }
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_become_sections_and_noise_does_not() {
        let log = [
            "section_start:1.5:a",
            "noise",
            "section_start:x:b",
            "section_end:2.25:a",
            "section_end:3:never",
        ];
        let found = sections(&log.map(str::to_owned));
        assert_eq!(found.len(), 1);
        assert_eq!(
            found[0].range,
            TimeRange::new(TimestampMs(1_500), TimestampMs(2_250))
        );
    }
}
