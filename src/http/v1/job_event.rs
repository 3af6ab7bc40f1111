//! The body of `PUT /api/v1/jobs/{source}/{job_id}`, checked field by field.

use crate::error::{Error, Result};
use crate::http::extract::IdText;
use crate::limits;
use crate::model::id::{JobId, JobRef, RunnerId, Source};
use crate::model::job::{JobEvent, JobFacts, JobStatus, Section};
use crate::model::machine::Machine;
use crate::num;
use crate::time::{TimeRange, TimestampMs};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a scheduler knows of a job. Every field may be left out; what is left out stays as it is.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({
    "project": "acme/app", "project_id": 4711, "name": "unit", "ref": "main", "status": "success",
    "runner_id": 42, "machine": "runner-ab-1",
    "started_at": "2026-11-24T16:00:02Z", "finished_at": "2026-11-24T16:03:41Z",
    "sections": [{"name": "step_script", "started_at": "2026-11-24T16:00:22Z", "finished_at": "2026-11-24T16:03:41Z"}]
}))]
pub struct PutJob {
    /// Path of the project.
    project: Option<String>,
    /// Id of the project in its source.
    #[schema(value_type = Option<String>)]
    project_id: Option<IdText>,
    /// Id of the pipeline.
    #[schema(value_type = Option<String>)]
    pipeline_id: Option<IdText>,
    /// Name of the job.
    name: Option<String>,
    /// Stage of the job.
    stage: Option<String>,
    /// Branch or tag.
    r#ref: Option<String>,
    /// Commit.
    sha: Option<String>,
    /// created, pending, running, success, failed, canceled, skipped, ...
    status: Option<String>,
    /// Why it failed, in the source's words.
    failure_reason: Option<String>,
    /// Id of the runner in its source.
    #[schema(value_type = Option<String>)]
    runner_id: Option<IdText>,
    /// The runner's description.
    runner_description: Option<String>,
    /// The runner's tags.
    runner_tags: Option<Vec<String>>,
    /// Host name of the machine that ran the job.
    machine: Option<String>,
    /// The runner's executor.
    executor: Option<String>,
    /// RFC 3339.
    created_at: Option<String>,
    /// RFC 3339.
    started_at: Option<String>,
    /// RFC 3339.
    finished_at: Option<String>,
    /// Seconds in the queue.
    queued_seconds: Option<f64>,
    /// The job's page in the CI system.
    web_url: Option<String>,
    /// Parts of the job's log.
    sections: Option<Vec<PutSection>>,
}

/// A part of the job's log.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutSection {
    /// Name; names may repeat.
    name: String,
    /// RFC 3339.
    started_at: String,
    /// RFC 3339.
    finished_at: String,
}

/// Collects every problem of a body, so that all are named at once.
#[derive(Default)]
struct Check {
    problems: Vec<String>,
}

impl Check {
    fn text(&mut self, field: &str, text: Option<String>) -> Option<String> {
        let text = text.filter(|text| !text.is_empty())?;
        if text.len() > limits::TEXT_BYTES_MAX {
            self.problems.push(format!(
                "{field} has {} bytes, at most {} are allowed",
                text.len(),
                limits::TEXT_BYTES_MAX
            ));
            return None;
        }
        if text.chars().any(char::is_control) {
            self.problems
                .push(format!("{field} contains a control character"));
            return None;
        }
        Some(text)
    }

    fn id(&mut self, field: &str, id: Option<IdText>) -> Option<String> {
        let id = id?.0;
        match RunnerId::parse(&id) {
            Ok(_) => Some(id),
            Err(error) => {
                // The rule is that of every id; the words name one of them.
                let rule = error.message().trim_start_matches("runner_id");
                self.problems.push(format!("{field}{rule}"));
                None
            }
        }
    }

    fn time(&mut self, field: &str, text: Option<&str>) -> Option<TimestampMs> {
        let text = text.filter(|text| !text.is_empty())?;
        let time = TimestampMs::parse_rfc3339(text);
        if time.is_none() {
            let shown: String = text.chars().take(40).collect();
            self.problems.push(format!("{field} {shown:?} is not an RFC 3339 time between 2001 and 2200, like 2026-11-24T16:00:02Z"));
        }
        time
    }

    fn queued(&mut self, seconds: Option<f64>) -> Option<i64> {
        let ms = num::round_to_i64(seconds?.max(0.0) * 1e3);
        let ms = ms.filter(|ms| *ms <= limits::QUEUED_MS_MAX);
        if ms.is_none() {
            self.problems
                .push("queued_seconds is more than a year".to_owned());
        }
        ms
    }

    fn parsed<T>(&mut self, parsed: Option<Result<T>>) -> Option<T> {
        match parsed? {
            Ok(value) => Some(value),
            Err(error) => {
                self.problems.push(error.message().to_owned());
                None
            }
        }
    }

    fn sections(&mut self, sections: Option<Vec<PutSection>>) -> Option<Vec<Section>> {
        let sections = sections?;
        if sections.len() > limits::SECTIONS_MAX {
            self.problems.push(format!(
                "sections: {} are too many, at most {} are allowed",
                sections.len(),
                limits::SECTIONS_MAX
            ));
            return None;
        }
        let mut checked = Vec::with_capacity(sections.len());
        for (position, section) in sections.into_iter().enumerate() {
            let at = |field: &str| format!("sections[{position}].{field}");
            let problems = self.problems.len();
            let name = self.text(&at("name"), Some(section.name));
            let from = self.time(&at("started_at"), Some(&section.started_at));
            let to = self.time(&at("finished_at"), Some(&section.finished_at));
            let (Some(name), Some(from), Some(to)) = (name, from, to) else {
                if self.problems.len() == problems {
                    self.problems.push(format!(
                        "sections[{position}] needs name, started_at and finished_at"
                    ));
                }
                continue;
            };
            if to < from {
                self.problems
                    .push(format!("{} is before started_at", at("finished_at")));
            }
            checked.push(Section {
                name,
                range: TimeRange::new(from, to),
            });
        }
        Some(checked)
    }

    fn tags(&mut self, tags: Option<Vec<String>>) -> Option<Vec<String>> {
        let tags = tags?;
        if tags.len() > limits::TAGS_MAX {
            self.problems.push(format!(
                "runner_tags: at most {} are allowed",
                limits::TAGS_MAX
            ));
        }
        Some(
            tags.into_iter()
                .filter_map(|tag| self.text("runner_tags", Some(tag)))
                .collect(),
        )
    }
}

impl PutJob {
    /// The event, if every field is in order.
    ///
    /// # Errors
    /// `Invalid` (`invalid_job`, or `invalid_machine` for that field alone), naming every problem.
    pub(super) fn into_event(self, source: &str, job_id: &str) -> Result<JobEvent> {
        let job = JobRef {
            source: Source::parse(source)?,
            job_id: JobId::parse(job_id)?,
        };
        let machine = self.machine.as_deref().map(Machine::parse).transpose()?;
        let mut check = Check::default();
        let status = self.status.as_deref().map(|word| {
            JobStatus::parse(word).ok_or_else(|| {
                let words: Vec<&str> = JobStatus::ALL.into_iter().map(JobStatus::as_str).collect();
                Error::invalid(
                    "invalid_job",
                    format!(
                        "status {word:?} is unknown; known are: {}",
                        words.join(", ")
                    ),
                )
            })
        });
        let facts = JobFacts {
            status: check.parsed(status),
            project: check.text("project", self.project),
            project_id: check.id("project_id", self.project_id),
            pipeline_id: check.id("pipeline_id", self.pipeline_id),
            name: check.text("name", self.name),
            stage: check.text("stage", self.stage),
            git_ref: check.text("ref", self.r#ref),
            sha: check.text("sha", self.sha),
            failure_reason: check.text("failure_reason", self.failure_reason),
            runner_id: check.id("runner_id", self.runner_id),
            runner_description: check.text("runner_description", self.runner_description),
            runner_tags: check.tags(self.runner_tags),
            machine,
            executor: check.text("executor", self.executor),
            web_url: check.text("web_url", self.web_url),
            created_at: check.time("created_at", self.created_at.as_deref()),
            started_at: check.time("started_at", self.started_at.as_deref()),
            finished_at: check.time("finished_at", self.finished_at.as_deref()),
            queued_ms: check.queued(self.queued_seconds),
            sections: check.sections(self.sections),
            in_whole_seconds: false,
        };
        let window = facts.window();
        if window.is_some_and(|window| window.to < window.from) {
            check
                .problems
                .push("finished_at is before started_at".to_owned());
        }
        if window.is_some_and(|window| window.len_ms() > limits::JOB_DURATION_MS_MAX) {
            check
                .problems
                .push("the job lasts longer than 31 days".to_owned());
        }
        if check.problems.is_empty() {
            Ok(JobEvent { job, facts })
        } else {
            Err(Error::invalid("invalid_job", check.problems.join("; ")))
        }
    }
}
