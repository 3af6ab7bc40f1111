//! The crash lab: breaks the archive in every way its promises speak of, and checks them.
//!
//! `crash-lab PART [--short] [--seed N] [--only MUTANT]` runs a part and prints a table; it ends with 1 if a promise was
//! not kept. README.md says what each part proves and how. Other words are roles of its own children.

mod calls;
mod disk;
mod flips;
mod kills;
mod lab;
mod load;
mod mutants;
mod oracle;
mod power;
mod races;
mod record;
mod sim;
mod steps;
mod worker;
mod world;

use lab::{Args, Report, Result};
use std::process::ExitCode;

/// The parts, in the order of `all`.
const PARTS: [&str; 10] = [
    "kills", "power", "steps", "calls", "flips", "starts", "doubles", "load", "sim", "mutants",
];

fn part(name: &str, short: bool, seed: u64, only: Option<&str>) -> Result<Report> {
    match name {
        "kills" => kills::run(kills::Size::of(short), seed),
        "power" => power::run(power::Size::of(short), seed, ""),
        "steps" => steps::run(if short { 1 } else { 5 }, seed, ""),
        "calls" => calls::run(calls::Size::of(short), seed, ""),
        "flips" => flips::run(flips::Size::of(short), seed, ""),
        "starts" => races::starts(if short { 6 } else { 200 }, seed, ""),
        "doubles" => races::doubles(races::Size::of(short), seed, ""),
        "load" => load::run(if short { 2 } else { 20 }),
        "sim" => sim::run(if short { 40 } else { 2_000 }, seed),
        "mutants" => mutants::run(seed, only),
        _ => Err(format!("no part {name}; there are all, {}", PARTS.join(", ")).into()),
    }
}

fn parts(names: &[&str], short: bool, seed: u64, only: Option<&str>) -> Result<bool> {
    let mut clean = true;
    for name in names {
        let report = part(name, short, seed, only)?;
        println!("{}", report.table(&format!("{name}, seed {seed}")));
        clean &= report.is_clean();
    }
    Ok(clean)
}

fn run() -> Result<bool> {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_default();
    let rest: Vec<String> = words.collect();
    let args = || Args::parse(rest.iter().cloned());
    match name.as_str() {
        "worker" => worker::run(&args()).map(|()| true),
        "opener" => worker::open_and_wait(&args()).map(|()| true),
        "racer" => races::race(&args()).map(|()| true),
        "submitter" => races::submit(&args()).map(|()| true),
        "simulator" => sim::simulate(&args()).map(|()| true),
        "clients" => load::clients(&args()).map(|()| true),
        name => {
            let short = rest.iter().any(|word| word == "--short");
            let behind = |option: &str| rest.iter().skip_while(|word| *word != option).nth(1);
            let (seed, only) = (behind("--seed"), behind("--only").map(String::as_str));
            let seed = seed.map_or(Ok(fastrand::u64(..1_000_000)), |text| text.parse())?;
            if name == "all" {
                parts(&PARTS, short, seed, None)
            } else {
                parts(&[name], short, seed, only)
            }
        }
    }
}

fn main() -> ExitCode {
    let ended = run();
    lab::clean_up();
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("crash-lab: {error}");
            ExitCode::from(2)
        }
    }
}
