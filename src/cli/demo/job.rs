//! The demo's job: a shell script, run as a gitlab-runner would run it. Its output goes line by line,
//! stamped, into the log of the stand-in GitLab, which tells the service of it by hooks. Nobody tells
//! the service the machine or the sections: they are in the log.

use super::{JOB, MACHINE, PROJECT, RUNNER, RUNNER_NAME};
use crate::components::gitlab::{
    CiJob, CiProject, CiRunner, Delivery, Executor, HookSender, HookSpelling, JobOutcome,
    RunnerLog, StandInGitlab,
};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Clock;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

const SCRIPT: &str = include_str!("job.sh");
/// What the memory section allocates.
pub(super) const ALLOCATE_MIB: i64 = 400;
/// What the writing section writes.
pub(super) const WRITE_MIB: i64 = 256;
const EXECUTOR: Executor = Executor::Shell;

fn failed(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, "demo_job", what)
}

/// The stand-in's project and runner, and the job waiting for it.
pub(super) fn prepare(gitlab: &StandInGitlab, clock: &dyn Clock) {
    gitlab.add_project(CiProject {
        id: PROJECT,
        path: "demo/tachograph".to_owned(),
    });
    gitlab.add_runner(CiRunner {
        id: RUNNER,
        description: RUNNER_NAME.to_owned(),
        tags: vec!["demo".to_owned()],
        executor: EXECUTOR,
    });
    gitlab.create_job(CiJob {
        id: JOB,
        project: PROJECT,
        pipeline: 1,
        name: "demo job".to_owned(),
        stage: "test".to_owned(),
        git_ref: "main".to_owned(),
        sha: "7d2c0f1e5f0a4b7e9a3f1f5c7f2b8e4d6a9c0b1d".to_owned(),
        created_at: clock.now(),
    });
}

/// Runs the job to its end, as runner and as GitLab.
pub(super) async fn run(
    folder: &Path,
    clock: &dyn Clock,
    gitlab: &StandInGitlab,
    hooks: &HookSender,
) -> Result<()> {
    gitlab.enqueue(JOB);
    tell(gitlab, hooks).await?;
    gitlab.take(JOB, RUNNER, clock.now());
    tell(gitlab, hooks).await?;
    let mut log = RunnerLog::begin(clock.now(), RUNNER_NAME, EXECUTOR);
    log.machine(clock.now(), EXECUTOR, MACHINE);
    log.script(clock.now());
    let success = script(folder, |line| {
        log.output(clock.now(), line);
        gitlab.append_log(JOB, &log.take());
    })
    .await?;
    log.end(clock.now(), success);
    gitlab.append_log(JOB, &log.take());
    let outcome = if success {
        JobOutcome::Success
    } else {
        JobOutcome::Failed
    };
    gitlab.finish(JOB, outcome, clock.now());
    tell(gitlab, hooks).await?;
    if success {
        Ok(())
    } else {
        Err(failed("the demo's job failed"))
    }
}

/// Sends the hook about the job as it is now.
async fn tell(gitlab: &StandInGitlab, hooks: &HookSender) -> Result<()> {
    let body = gitlab.hook_body(JOB, HookSpelling::Recent);
    match hooks.deliver_job(&body).await {
        Delivery::Answered(202) => Ok(()),
        other => Err(failed(format!(
            "the service did not take a hook: {other:?}"
        ))),
    }
}

/// Runs the script; each line of its output is given away as it comes. Says whether it succeeded.
async fn script(folder: &Path, mut printed: impl FnMut(&str) + Send) -> Result<bool> {
    let broken = |error: std::io::Error| failed("the demo's job could not run").with_source(error);
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT])
        .env("WORK", folder)
        .env("ALLOCATE_MIB", ALLOCATE_MIB.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(broken)?;
    let output = child
        .stdout
        .take()
        .ok_or_else(|| Error::internal("the job has no output"))?;
    let mut lines = BufReader::new(output).lines();
    while let Some(line) = lines.next_line().await.map_err(broken)? {
        printed(&line);
    }
    Ok(child.wait().await.map_err(broken)?.success())
}
