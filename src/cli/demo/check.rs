//! `tachograph demo --check`: whether what was archived is what the job did.

use super::MACHINE;
use super::job::{ALLOCATE_MIB, WRITE_MIB};
use crate::cli::out;
use crate::error::{Error, ErrorKind, Result};
use crate::num;
use serde_json::Value;

/// Code of a failed check, for its exit code.
pub(crate) const CHECK_FAILED: &str = "demo_check_failed";

const MIB: f64 = 1_048_576.0;

/// One check: what, what was found, whether it holds.
struct Check {
    what: String,
    holds: bool,
}

fn check(what: &str, found: String, holds: bool) -> Check {
    Check {
        what: format!("{what}: {found}"),
        holds,
    }
}

/// Prints every check and fails if one does not hold.
pub(super) fn judge(record: &Value, before: &Value, after: &Value, calls: &[String]) -> Result<()> {
    let mut checks = checks(record, before, after);
    checks.push(from_the_log(record, calls));
    out::note("");
    for check in &checks {
        out::note(&format!(
            "{}  {}",
            if check.holds { "ok  " } else { "FAIL" },
            check.what
        ));
    }
    let wrong = checks.iter().filter(|check| !check.holds).count();
    if wrong == 0 {
        out::note("the demo's check is green");
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Data,
        CHECK_FAILED,
        format!("{wrong} of {} checks failed", checks.len()),
    ))
}

fn checks(record: &Value, before: &Value, after: &Value) -> Vec<Check> {
    let coverage = record
        .get("coverage")
        .and_then(Value::as_f64)
        .unwrap_or(0.0);
    let (compute, idle) = (rate(record, "compute"), rate(record, "idle"));
    let peak = |name: &str| usage(record, name, "memory_used_bytes", "max").unwrap_or(0.0);
    let allocated = peak("allocate");
    let others = ["write_files", "idle", "compute"]
        .map(peak)
        .into_iter()
        .fold(0.0, f64::max);
    let wanted = num::to_f64(ALLOCATE_MIB) * MIB * 0.8;
    let written = usage(record, "write_files", "disk_written_bytes", "total").unwrap_or(0.0);
    vec![
        check(
            "the job is archived",
            text(record, "state"),
            text(record, "state") == "archived",
        ),
        check(
            "coverage is at least 90 %",
            format!("{:.1} %", coverage * 100.0),
            coverage >= 0.9,
        ),
        check(
            "CPU of the compute section is at least 5 times that of the idle part",
            format!("{compute:.3} against {idle:.3} cores"),
            compute > 0.0 && compute >= 5.0 * idle,
        ),
        check(
            "memory peaks in the allocating section, by the allocated amount less 20 %",
            format!(
                "{:.0} MiB above the others, {:.0} MiB wanted",
                (allocated - others) / MIB,
                wanted / MIB
            ),
            allocated - others >= wanted,
        ),
        check(
            "the bytes written are seen",
            format!("{:.0} MiB of {WRITE_MIB} MiB", written / MIB),
            written >= num::to_f64(WRITE_MIB) * MIB * 0.9,
        ),
        check(
            "the profile after the restart equals the one before",
            format!("{} samples", samples(after)),
            before == after && samples(after) > 0,
        ),
    ]
}

/// Hooks name neither the machine nor the sections, and nobody reported them: they can only come from
/// the log, read once.
fn from_the_log(record: &Value, calls: &[String]) -> Check {
    let machine = record.pointer("/machine/name").and_then(Value::as_str);
    let machine = machine.unwrap_or("no machine");
    let sections = record.get("sections").and_then(Value::as_array);
    let sections = sections.map_or(0, Vec::len);
    let logs = calls.iter().filter(|call| call.ends_with("/trace")).count();
    let staged = ["prepare_executor", "prepare_script", "step_script"];
    let stages = staged
        .into_iter()
        .all(|name| section(record, name).is_some());
    check(
        "machine and sections came from the job's log, with two questions to GitLab",
        format!(
            "{machine}, {sections} sections, {} calls, {logs} of them for the log",
            calls.len()
        ),
        machine == MACHINE && stages && calls.len() == 2 && logs == 1,
    )
}

fn text(record: &Value, field: &str) -> String {
    record
        .get(field)
        .and_then(Value::as_str)
        .unwrap_or("")
        .to_owned()
}

fn samples(profile: &Value) -> usize {
    profile
        .get("ts_ms")
        .and_then(Value::as_array)
        .map_or(0, Vec::len)
}

fn section<'a>(record: &'a Value, name: &str) -> Option<&'a Value> {
    let sections = record.get("sections")?.as_array()?;
    sections
        .iter()
        .find(|section| section.get("name").and_then(Value::as_str) == Some(name))
}

fn usage(record: &Value, name: &str, metric: &str, stat: &str) -> Option<f64> {
    section(record, name)?
        .get("summary")?
        .get(metric)?
        .get(stat)?
        .as_f64()
}

/// Mean cores used in a section.
fn rate(record: &Value, name: &str) -> f64 {
    let cores = || {
        let section = section(record, name)?;
        let edge = |field: &str| section.get(field)?.as_i64();
        let ms = edge("finished_at_ms")? - edge("started_at_ms")?;
        Some(usage(record, name, "cpu_used_seconds", "total")? * 1e3 / num::to_f64(ms.max(1)))
    };
    cores().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn section(name: &str, cpu: f64, memory_mib: f64, written_mib: f64) -> Value {
        json!({"name": name, "started_at_ms": 0, "finished_at_ms": 10_000, "summary": {
            "cpu_used_seconds": {"total": cpu}, "memory_used_bytes": {"max": memory_mib * MIB},
            "disk_written_bytes": {"total": written_mib * MIB}}})
    }

    fn good() -> Value {
        json!({"state": "archived", "coverage": 0.97, "machine": {"name": MACHINE}, "sections": [
            section("write_files", 1.0, 1000.0, 260.0), section("idle", 0.5, 1000.0, 0.0),
            section("compute", 10.0, 1000.0, 0.0), section("allocate", 1.0, 1400.0, 0.0),
            section("prepare_executor", 0.0, 0.0, 0.0), section("prepare_script", 0.0, 0.0, 0.0),
            section("step_script", 12.0, 1400.0, 260.0)]})
    }

    #[test]
    fn a_good_job_passes_and_every_fault_is_seen() {
        let profile = json!({"ts_ms": [1, 2]});
        let calls = [
            "GET /api/v4/projects/1/jobs/1",
            "GET /api/v4/projects/1/jobs/1/trace",
        ];
        let calls = calls.map(str::to_owned);
        let judged =
            |record: &Value, before: &Value, after: &Value| judge(record, before, after, &calls);
        assert!(judged(&good(), &profile, &profile).is_ok());
        assert!(judge(&good(), &profile, &profile, &calls[..1]).is_err());
        let faults: [(&str, Value); 7] = [
            ("/machine/name", json!("another")),
            ("/sections/4/name", json!("reported")),
            ("/state", json!("pending")),
            ("/coverage", json!(0.89)),
            ("/sections/2/summary/cpu_used_seconds/total", json!(2.4)),
            (
                "/sections/3/summary/memory_used_bytes/max",
                json!(1300.0 * MIB),
            ),
            ("/sections/0/summary/disk_written_bytes/total", json!(0.0)),
        ];
        for (path, value) in faults {
            let mut record = good();
            *record.pointer_mut(path).unwrap() = value;
            assert!(
                judged(&record, &profile, &profile).is_err(),
                "{path} was not seen"
            );
        }
        assert!(judged(&good(), &profile, &json!({"ts_ms": [1]})).is_err());
        assert!(judged(&good(), &json!({}), &json!({})).is_err());
    }
}
