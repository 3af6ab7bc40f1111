//! How many events per second the archive acknowledges when every sync takes 4 ms, and how long each
//! caller waits. Closed loop: each client reports, waits for the acknowledgement, and reports again.

use crate::lab::{Args, End, Report, Result, Work, child, percentile, watched};
use crate::worker;
use crate::world::{FINISHED, RUNNING, World};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tachograph::num;

const WORLD: World = World { stride: 1 };
const CLIENTS: u64 = 192;
const SYNC_US: u64 = 4_000;
const EVENTS_PER_SECOND: f64 = 5_000.0;
const P99: Duration = Duration::from_millis(60);

/// The part `load`.
pub(crate) fn run(seconds: u64) -> Result<Report> {
    let mut report = Report::default();
    let work = Work::new("load")?;
    let args = Args::default()
        .with("root", work.path().display())
        .with("seconds", seconds);
    for (name, slow) in [("4 ms per sync", true), ("syncs of memory", false)] {
        work.clear()?;
        let mut command = if slow {
            let mut command = watched("clients", &args, &work.path().join("nothing"))?;
            command.env("LAB_SYNC_US", SYNC_US.to_string());
            command
        } else {
            child("clients", &args)?
        };
        let End { status, text } = End::of(command.spawn()?, Duration::from_secs(seconds + 60))?;
        let mut words = text
            .split_whitespace()
            .filter_map(|word| word.parse::<u64>().ok());
        let (Some(events), Some(us), Some(p50), Some(p99), true) = (
            words.next(),
            words.next(),
            words.next(),
            words.next(),
            status.success(),
        ) else {
            report.violation(format!("{name}: the clients ended with {status}: {text}"));
            continue;
        };
        let float = |value: u64| num::to_f64(i64::try_from(value).unwrap_or(i64::MAX));
        let rate = float(events) / (float(us) / 1e6);
        report.line(
            name,
            format!(
                "{CLIENTS} clients: {rate:.0} events/s, p50 {:.1} ms, p99 {:.1} ms",
                float(p50) / 1e3,
                float(p99) / 1e3
            ),
        );
        if slow && (rate < EVENTS_PER_SECOND || Duration::from_micros(p99) > P99) {
            report.violation(format!(
                "wanted {EVENTS_PER_SECOND:.0} events/s with p99 <= {} ms",
                P99.as_millis()
            ));
        }
    }
    Ok(report)
}

/// The role `clients`. Prints events, microseconds, p50 and p99 in microseconds.
pub(crate) fn clients(args: &Args) -> Result<()> {
    let root = PathBuf::from(args.text("root").ok_or("root=DIR is missing")?);
    let archive = worker::open_archive(&root.join("data"))?;
    let seconds = Duration::from_secs(args.number("seconds").unwrap_or(5));
    let began = Instant::now();
    let waits = std::thread::scope(|scope| {
        let client = |client: u64| {
            let archive = &archive;
            move || -> Result<Vec<Duration>> {
                let mut waits = Vec::new();
                let mut n = client;
                while began.elapsed() < seconds {
                    for level in [RUNNING, FINISHED] {
                        let event = WORLD.event(n, level);
                        let asked = Instant::now();
                        let reply = archive.accept(event.clone(), None);
                        worker::accepted(archive, event, reply)?;
                        waits.push(asked.elapsed());
                    }
                    n += CLIENTS;
                }
                Ok(waits)
            }
        };
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(client(number)))
            .collect();
        let mut waits = Vec::new();
        for client in clients {
            waits.extend(client.join().map_err(|_| "a client panicked")??);
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(waits)
    });
    let (mut waits, took) = (waits?, began.elapsed());
    let events = waits.len();
    let [p50, p99] = [0.5, 0.99].map(|share| percentile(&mut waits, share).as_micros());
    println!("{events} {} {p50} {p99}", took.as_micros());
    Ok(())
}
