//! The truth about every composed log, and that the way of reading does not change it.

use super::composed::{Composed, corpus};
use super::*;

#[test]
fn machine_and_sections_are_right_in_every_log() {
    let logs = corpus();
    assert!(logs.len() >= 60, "only {} logs", logs.len());
    let mut wrong = Vec::new();
    for log in &logs {
        let got = read(&log.bytes, log.window);
        if got != log.truth {
            wrong.push(format!(
                "{}:\n  got  {got:?}\n  true {:?}",
                log.name, log.truth
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} logs, all right", logs.len());
}

#[test]
fn every_executor_has_a_log_with_a_machine() {
    let logs = corpus();
    for executor in [
        "shell",
        "docker",
        "docker-windows",
        "docker+machine",
        "docker-autoscaler",
        "instance",
        "kubernetes",
        "ssh",
        "virtualbox",
        "parallels",
        "custom",
    ] {
        let named = |log: &&Composed| {
            log.truth.executor.as_deref() == Some(executor) && log.truth.machine.is_some()
        };
        assert!(logs.iter().any(|log| named(&log)), "{executor}");
    }
}

#[test]
fn pieces_of_any_size_give_the_same() {
    let mut rng = fastrand::Rng::with_seed(3);
    for log in corpus().iter().filter(|log| log.bytes.len() < 64 << 10) {
        let sizes = [1, 2, 3, 7, 31, 32, 33, 512, 8_191, 8_192, 8_193];
        for size in sizes {
            let mut reader = LogReader::new();
            for piece in log.bytes.chunks(size) {
                reader.push(piece);
            }
            assert_eq!(
                reader.finish(log.window),
                log.truth,
                "{} by {size}",
                log.name
            );
        }
        for _ in 0..20 {
            let mut reader = LogReader::new();
            let mut rest = log.bytes.as_slice();
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(rng.usize(0..=rest.len().min(700)));
                reader.push(piece);
                rest = behind;
            }
            assert_eq!(
                reader.finish(log.window),
                log.truth,
                "{} at random",
                log.name
            );
        }
    }
}

/// Whoever stops reading when the machine is settled knows it, and has read little.
#[test]
fn the_machine_is_settled_before_the_script_begins() {
    for log in corpus() {
        let mut reader = LogReader::new();
        let mut read = 0;
        for piece in log.bytes.chunks(64) {
            if reader.is_machine_settled() {
                break;
            }
            reader.push(piece);
            read += piece.len();
        }
        if let Some(machine) = &log.truth.machine {
            assert_eq!(reader.machine(), Some(machine), "{}", log.name);
        }
        assert!(read <= 16 << 10, "{}: {read} bytes read", log.name);
    }
}

/// GitLab's limit: the log ends in the middle of the script.
#[test]
fn a_log_of_4_mib_is_cut_and_keeps_its_machine() {
    let whole = corpus()
        .into_iter()
        .find(|log| log.name == "limit-stamped")
        .expect("the log whose middle is made long here");
    let mark = b"FILLER";
    let at = whole
        .bytes
        .windows(mark.len())
        .position(|text| text == mark)
        .unwrap();
    let mut bytes = whole.bytes[..at].to_vec();
    let line = b"2025-11-24T16:00:30.000000Z 01O    Compiling archive v0.1.0 with many words\n";
    while bytes.len() < 4 << 20 {
        bytes.extend(line);
    }
    bytes.extend(&whole.bytes[at..]);
    let cpu = || rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let start = cpu();
    assert_eq!(read(&bytes, whole.window), whole.truth);
    let end = cpu();
    let ms = (end.tv_sec - start.tv_sec) * 1_000 + (end.tv_nsec - start.tv_nsec) / 1_000_000;
    println!("4 MiB read in {ms} ms of CPU time (built for tests)");
}
