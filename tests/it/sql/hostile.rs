//! 300 statements that want to read, write, reach out, or take everything: none touches a file or a
//! network, all end in time.

use super::{archive, ask};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tachograph::query::sql::{Engine, QueryLimits};

/// What a query may take in this test.
const LIMITS: QueryLimits = QueryLimits {
    time: Duration::from_secs(2),
    rows: 10_000,
    bytes: 16 << 20,
};

/// Statements that are no queries, or reach out of the archive.
fn reaching(file: &str, dir: &str, port: u16) -> Vec<String> {
    let url = format!("http://127.0.0.1:{port}/x.csv");
    let mut all = Vec::new();
    for place in [
        file,
        dir,
        url.as_str(),
        "s3://bucket/x",
        "/etc/passwd",
        "../../../etc/passwd",
        "/proc/self/environ",
    ] {
        for sql in [
            "select * from '{}'",
            "select * from \"{}\"",
            "select * from file.'{}'",
            "create external table t stored as csv location '{}'",
            "create external table t stored as parquet location '{}'",
            "copy jobs to '{}'",
            "copy (select * from samples) to '{}' stored as csv",
            "insert into '{}' select * from jobs",
            "select * from read_csv('{}')",
            "select * from read_parquet('{}')",
            "select * from read_json('{}')",
            "select * from csv_scan('{}')",
            "select * from glob('{}')",
            "select * from parquet_metadata('{}')",
            "select pg_read_file('{}')",
            "select load_extension('{}')",
            "select http_get('{}')",
            "attach '{}' as x",
            "explain copy jobs to '{}'",
            "explain select * from '{}'",
            "with a as (select * from '{}') select * from a",
            "select (select count(*) from '{}')",
            "select 1 where exists (select * from '{}')",
            "select * from jobs union all select * from '{}'",
        ] {
            all.push(sql.replace("{}", place));
        }
    }
    all
}

const STATEMENTS: [&str; 62] = [
    "drop table jobs",
    "drop view job_samples",
    "drop schema public",
    "drop database tachograph",
    "create table t as select 1",
    "create view v as select * from jobs",
    "create schema s",
    "create database d",
    "create function f() returns int as 'select 1'",
    "create or replace table jobs as select 1",
    "alter table jobs add column x int",
    "alter table jobs rename to y",
    "truncate jobs",
    "delete from jobs",
    "update jobs set name = 'x'",
    "insert into jobs values (1)",
    "merge into jobs using samples on true when matched then delete",
    "set datafusion.execution.target_partitions = 1",
    "set search_path = x",
    "reset all",
    "show all",
    "show tables",
    "show columns from jobs",
    "describe jobs",
    "desc jobs",
    "use other",
    "begin",
    "commit",
    "rollback",
    "start transaction",
    "savepoint a",
    "prepare p as select 1",
    "execute p",
    "deallocate p",
    "call f()",
    "do 1",
    "grant select on jobs to x",
    "revoke select on jobs from x",
    "analyze jobs",
    "vacuum",
    "kill 1",
    "listen x",
    "notify x",
    "lock table jobs",
    "declare c cursor for select 1",
    "fetch c",
    "load 'x'",
    "install httpfs",
    "export database 'x'",
    "import database 'x'",
    "pragma database_list",
    "checkpoint",
    "comment on table jobs is 'x'",
    "select * from jobs; drop table jobs",
    "select 1; select 2",
    ";;",
    "select * into t from jobs",
    "select * from jobs for update",
    "with a as (delete from jobs returning *) select * from a",
    "explain analyze insert into jobs select * from jobs",
    "select * from information_schema.df_settings",
    "select * from other.public.jobs",
];

/// Statements that would take all memory, all disk or all time.
const BOMBS: [&str; 36] = [
    "select repeat('a', 2000000000)",
    "select lpad('a', 2000000000)",
    "select rpad('a', 2000000000, 'b')",
    "select * from generate_series(1, 1000000000000)",
    "select * from range(1, 1000000000000)",
    "select generate_series(1, 1000000000)",
    "select range(1, 1000000000)",
    "select array_repeat('x', 1000000000)",
    "select space(1000000000)",
    "select array_resize([1], 1000000000)",
    "select make_array(1, 2, 3)",
    "select randomblob(1000000000)",
    "select count(*) from samples a, samples b, samples c, samples d",
    "select a.* from samples a, samples b",
    "select * from samples a cross join samples b order by a.ts, b.ts",
    "select count(*) from samples a join samples b on a.ts <> b.ts join samples c on b.ts <> c.ts",
    "select sum(a.job * b.job % c.job) from samples a, samples b, samples c",
    "select a.job, b.job, count(*) from samples a, samples b, jobs c group by a.job, b.job",
    "select array_agg(a.ts) from samples a, samples b, samples c",
    "select string_agg(cast(a.job as varchar), ',') from samples a, samples b, samples c",
    "select count(distinct (a.job, b.ts, c.ts)) from samples a, samples b, samples c",
    "select quantile(a.job + b.job * c.ts_us, 0.5) from samples a, samples b, (select cast(ts as bigint) as ts_us from samples) c",
    "select p95(a.job * 1000003 + b.job * 7919 + c.job) from samples a, samples b, samples c group by a.ts, b.ts, c.ts",
    "select sum(a.job) over (partition by a.part order by b.ts) from samples a, samples b",
    "select row_number() over () from samples a, samples b, samples c",
    "select median(a.job) over () from samples a, samples b",
    "select lag(a.ts, 1000000000) over () from samples a, samples b",
    "with recursive r as (select 1 as n union all select n + 1 from r) select count(*) from r",
    "select power(10, 308) * 10",
    "select 1 / 0",
    "select cast('x' as int)",
    "select 9223372036854775807 + 1",
    "select regexp_like(repeat('a', 100), '(a+)+$')",
    "select regexp_replace(project, '(.)', '\\1\\1\\1\\1\\1\\1\\1\\1') from jobs",
    "select replace(replace(replace(sha, '', sha), '', sha), '', sha) from jobs a, jobs b",
    "select array_to_string(array_agg(sha), sha) from jobs a",
];

/// The same in many sizes.
fn bombs() -> Vec<String> {
    let mut all: Vec<String> = BOMBS.map(str::to_owned).into();
    let nested = |open: &str, inside: &str, close: &str, depth: usize| {
        format!(
            "select {}{inside}{}",
            open.repeat(depth),
            close.repeat(depth)
        )
    };
    for depth in [40, 100, 1_000, 5_000] {
        all.push(nested("(", "1", ")", depth));
        all.push(nested("abs(", "1", ")", depth));
        all.push(nested("-", "1", "", depth));
        all.push(nested("not ", "true", "", depth));
        all.push(nested("case when true then ", "1", " end", depth));
        all.push(format!(
            "select * from {}jobs{}",
            "(select * from ".repeat(depth),
            ") a".repeat(depth)
        ));
        all.push(format!("select 1{}", " + 1".repeat(depth)));
        all.push(format!("select 1 where true{}", " and 1 = 1".repeat(depth)));
        all.push(format!("select 1 in (1{})", ", 1".repeat(depth)));
        all.push(format!("select 1{}", " union all select 1".repeat(depth)));
    }
    for (grow, from) in [
        ("x || x || x || x", "sha"),
        ("concat(x, x, x, x)", "sha"),
        ("concat_ws(x, x, x, x)", "sha"),
        ("replace(x, 'a', x)", "name"),
        ("regexp_replace(x, '.', x, 'g')", "name"),
        ("translate(x, 'a', x)", "name"),
    ] {
        let mut sql = format!("select {from} as x from jobs");
        for _ in 0..12 {
            sql = format!("select {grow} as x from ({sql})");
        }
        all.push(sql);
    }
    for length in [1_000, 60_000, 70_000, 1_000_000] {
        all.push(format!("select '{}'", "x".repeat(length)));
        all.push(format!("select {}", "1".repeat(length)));
        all.push(format!("select 1 as \"{}\"", "y".repeat(length)));
    }
    all.extend(
        [
            "\0",
            "select '\0'",
            "select '",
            "select \"",
            "/* /* */",
            "--",
            "select $1",
            "select ?",
            "select @@version",
            "\u{202e}select 1",
            "select \u{1f600}",
            "{{}}",
            "select 1 \\g",
            "select * from jobs limit -1",
            "select * from jobs limit 1e30",
            "select * from jobs offset -1",
            "select count(*) from jobs where name like '%%%%%%%%%%%%%%%%%%%%%%%%a%%%%%%%%%%%%'",
        ]
        .map(str::to_owned),
    );
    all
}

fn touch(file: &Path) {
    // Read before it was written: with `relatime` the next read shows.
    let done = Command::new("touch")
        .args(["-a", "-d", "2001-01-01"])
        .arg(file)
        .status();
    assert!(done.unwrap().success());
}

fn listing(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|own| own.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_hostile_statements_touch_nothing_and_end() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let engine = Engine::new(archive(&data, 200, &[150])).unwrap();
    let secret = root.path().join("secret.csv");
    std::fs::write(&secret, "a,b\ncanary-4711,2\n").unwrap();
    touch(&secret);
    let before = std::fs::metadata(&secret).unwrap().accessed().unwrap();
    let files = (listing(root.path()), listing(&data));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut refused = reaching(
        secret.to_str().unwrap(),
        root.path().to_str().unwrap(),
        port,
    );
    refused.extend(STATEMENTS.map(str::to_owned));
    let bombs = bombs();
    assert!(
        refused.len() + bombs.len() >= 300,
        "{} {}",
        refused.len(),
        bombs.len()
    );
    for sql in &refused {
        let answer = ask(&engine, sql, LIMITS).await;
        let error = answer.expect_err(sql);
        assert_eq!(
            error.kind(),
            tachograph::error::ErrorKind::Invalid,
            "{sql}: {}",
            error.chain()
        );
        assert!(!error.message().contains("canary"), "{sql}: {error}");
    }
    let mut slowest = Duration::ZERO;
    for sql in &bombs {
        let start = Instant::now();
        let answer = ask(&engine, sql, LIMITS).await;
        let took = start.elapsed();
        slowest = slowest.max(took);
        let shown: String = sql.chars().take(100).collect();
        assert!(
            took < LIMITS.time + Duration::from_secs(1),
            "{shown} took {took:?}"
        );
        if let Ok(bytes) = answer {
            assert!(bytes.len() < 32 << 20, "{shown}");
        }
    }
    println!(
        "{} statements refused, {} bombs ended, the slowest in {slowest:?}",
        refused.len(),
        bombs.len()
    );
    assert!(listener.accept().is_err(), "somebody connected");
    assert_eq!(
        std::fs::metadata(&secret).unwrap().accessed().unwrap(),
        before,
        "somebody read the file"
    );
    assert_eq!((listing(root.path()), listing(&data)), files);
    // What was spilled is gone again.
    let spilled = std::fs::read_dir(data.join("tmp")).unwrap().count();
    assert_eq!(spilled, 0);
}
