//! 200 generated queries: DuckDB over our files, and our answers with everything sealed, with half of
//! the jobs staged, and with everything staged, are the same.

use super::{archive, ask};
use crate::readers::python;
use serde_json::{Value, json};
use tachograph::query::sql::{Engine, QueryLimits};

const QUERIES: usize = 200;
const JOBS: u64 = 200;

/// A query in our words and in DuckDB's, and which columns of its answer are floats.
struct Pair {
    ours: String,
    theirs: String,
    floats: Vec<usize>,
}

const MEASURES: [&[&str]; 2] = [
    &[
        "sample_count",
        "memory_used_bytes_max",
        "memory_used_bytes_p95",
        "cpu_used_cores_p95",
        "cpu_user_seconds_total",
        "coverage",
        "covered_seconds",
        "queued_seconds",
        "price_per_hour",
        "network_receive_bytes_total",
        "pressure_io_ratio_max",
        "cpu_count",
        "co_tenant_count",
    ],
    &[
        "cpu_user_seconds",
        "cpu_system_seconds",
        "memory_used_bytes",
        "swap_used_bytes",
        "load1",
        "network_receive_bytes",
        "disk_io_seconds",
        "pressure_cpu_seconds",
        "oom_kills",
        "processes_running",
        "interval_ms",
        "cpu_throttled_seconds",
        "disk_written_bytes",
    ],
];
const KEYS: [&[&str]; 2] = [
    &[
        "date",
        "project_key",
        "project",
        "name",
        "status",
        "runner_description",
        "machine",
        "failure_reason",
        "part",
        "date_trunc('hour', started_at)",
    ],
    &[
        "date",
        "project_key",
        "runner_key",
        "job",
        "part",
        "date_trunc('hour', ts)",
    ],
];
const TABLES: [&str; 2] = ["jobs", "samples"];

fn condition(rng: &mut fastrand::Rng, table: usize) -> String {
    let measure = rng.choice(MEASURES[table]).unwrap();
    let jobs = [
        "name in ('unit', 'lint')".to_owned(),
        "project = 'acme/project-2'".to_owned(),
        "project like '%-3' or status = 'failed'".to_owned(),
        "failure_reason is null".to_owned(),
        format!(
            "started_at >= timestamptz '2026-03-01T{:02}:00:00Z'",
            rng.u32(0..24)
        ),
        format!(
            "finished_at < timestamptz '2026-03-02T{:02}:30:00Z'",
            rng.u32(0..24)
        ),
        "runner_description <> 'runner-3'".to_owned(),
    ];
    let samples = [
        format!(
            "ts >= timestamptz '2026-03-01T{:02}:00:00Z'",
            rng.u32(0..24)
        ),
        format!(
            "ts between timestamptz '2026-03-01T06:00:00Z' and timestamptz '2026-03-03T{:02}:00:00Z'",
            rng.u32(0..24)
        ),
        format!("project_key % 4 = {}", rng.u32(0..4)),
        format!("job % 7 < {}", rng.u32(1..7)),
        "runner_key is not null".to_owned(),
    ];
    let both = [
        format!("{measure} is not null"),
        format!("{measure} > {}", rng.i64(0..5_000)),
        format!("not ({measure} <= {})", rng.i64(0..50)),
        "date = date '2026-03-02'".to_owned(),
        "date > date '2026-03-01' and date <= date '2026-03-04'".to_owned(),
        "part = 0".to_owned(),
    ];
    let own: &[String] = if table == 0 { &jobs } else { &samples };
    let number = rng.usize(0..own.len() + both.len());
    own.get(number)
        .unwrap_or_else(|| &both[number - own.len()])
        .clone()
}

fn pair(rng: &mut fastrand::Rng) -> Pair {
    let table = rng.usize(0..2);
    let mut keys: Vec<&str> = KEYS[table]
        .iter()
        .copied()
        .filter(|_| rng.u8(..) < 45)
        .collect();
    keys.truncate(3);
    // In our words and in DuckDB's, and whether it is a float.
    let mut columns: Vec<(String, String, bool)> = Vec::new();
    let same = |text: String| (text.clone(), text, false);
    columns.extend(keys.iter().map(|key| match key.starts_with("date_trunc") {
        // Python would need a package more to take a time with its zone.
        true => {
            let text = format!("strftime({key}, '%Y-%m-%dT%H:%M:%S.000Z')");
            ((*key).to_owned(), text, false)
        }
        false => same((*key).to_owned()),
    }));
    columns.push(same("count(*)".to_owned()));
    for _ in 0..rng.usize(1..5) {
        let measure = *rng.choice(MEASURES[table]).unwrap();
        let share = *rng
            .choice(&["0.5", "0.95", "0.99", "0.25", "0.0", "1.0", "0.333"])
            .unwrap();
        columns.push(match rng.u32(0..7) {
            0 => same(format!("count({measure})")),
            1 => same(format!("min({measure})")),
            2 => same(format!("max({measure})")),
            3 => same(format!("sum({measure})")),
            4 => (format!("avg({measure})"), format!("avg({measure})"), true),
            _ => {
                let own = match share {
                    "0.5" => format!("p50({measure})"),
                    "0.95" => format!("p95({measure})"),
                    "0.99" => format!("p99({measure})"),
                    _ => format!("quantile({measure}, {share})"),
                };
                (own, format!("quantile_disc({measure}, {share})"), false)
            }
        });
    }
    let conditions: Vec<String> = (0..rng.usize(0..3))
        .map(|_| format!("({})", condition(rng, table)))
        .collect();
    let filter = match conditions.as_slice() {
        [] => String::new(),
        some => format!(" where {}", some.join(" and ")),
    };
    let grouped = match keys.as_slice() {
        [] => String::new(),
        some => format!(" group by {}", some.join(", ")),
    };
    let sql = |pick: fn(&(String, String, bool)) -> &String| {
        let columns = columns.iter().enumerate();
        let columns: Vec<String> = columns
            .map(|(at, own)| format!("{} as c{at}", pick(own)))
            .collect();
        format!(
            "select {} from {}{filter}{grouped}",
            columns.join(", "),
            TABLES[table]
        )
    };
    let floats = (0..columns.len()).filter(|at| columns[*at].2);
    Pair {
        ours: sql(|own| &own.0),
        theirs: sql(|own| &own.1),
        floats: floats.collect(),
    }
}

#[tokio::test]
async fn answers_are_those_of_duckdb_in_every_state_of_the_archive() {
    let root = tempfile::tempdir().unwrap();
    let states = [&[JOBS][..], &[JOBS / 2], &[]];
    let mut engines = Vec::new();
    for (number, sealed) in states.into_iter().enumerate() {
        let archive = archive(&root.path().join(number.to_string()), JOBS, sealed);
        engines.push(Engine::new(archive).unwrap());
    }
    let mut rng = fastrand::Rng::with_seed(20_260_301);
    let mut queries = Vec::new();
    for _ in 0..QUERIES {
        let pair = pair(&mut rng);
        let mut answers = Vec::new();
        for engine in &engines {
            let bytes = ask(engine, &pair.ours, QueryLimits::default()).await;
            let bytes = bytes.unwrap_or_else(|error| panic!("{}: {}", pair.ours, error.chain()));
            // The text of numbers is kept: a float would lose digits of a decimal.
            answers.push(rows(&bytes));
        }
        queries.push(format!(
            "{{\"sql\":{},\"floats\":{},\"answers\":[{}]}}",
            Value::from(pair.theirs),
            json!(pair.floats),
            answers.join(",")
        ));
    }
    let tables = root.path().join("0/tables");
    let spec = format!(
        "{{\"jobs\":{},\"samples\":{},\"queries\":[{}]}}",
        json!(tables.join("jobs")),
        json!(tables.join("samples")),
        queries.join(",\n")
    );
    let file = root.path().join("spec.json");
    std::fs::write(&file, spec).unwrap();
    let compared = python("sql.py", &[file.to_str().unwrap()]);
    assert!(
        compared.status.success(),
        "{}",
        String::from_utf8_lossy(&compared.stderr)
    );
    println!("{}", String::from_utf8_lossy(&compared.stdout).trim());
}

/// The rows of an answer, as text.
fn rows(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).unwrap();
    let (_, rows) = text.split_once("\"rows\":").unwrap();
    rows.strip_suffix('}').unwrap().to_owned()
}
