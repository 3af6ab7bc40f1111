//! Logs that nobody meant well with: nothing panics, nothing grows.

use super::composed::corpus;
use super::*;

const CASES: usize = 100_000;

/// Pieces that mean something to the reader.
const WORDS: [&[u8]; 16] = [
    b"section_start:1764000002:step_script\r\x1b[0K",
    b"section_end:1764000002:step_script\r\x1b[0K",
    b"section_start:99999999999999999999:a[",
    b"section_",
    b"\r\x1b[0K",
    b"\x1b[",
    b"2025-11-24T16:00:02.104512Z 00O ",
    b"2025-11-24T16:00:02.104512Z 01O+",
    b"9999-12-31T23:59:59.999999Z ffE+",
    b"Running with gitlab-runner 19.4.0 (d79f3e7b)\n",
    b"Running on a via b...\n",
    b"Preparing the \"docker\" executor\n",
    b"Dialing instance i-1...\n",
    b"Waiting for pod a/b to be running on the node c, status is Pending\n",
    b"Job's log exceeded limit of 1 bytes.\n",
    b"\xff\xfe\0\n",
];

fn damage(log: &mut Vec<u8>, rng: &mut fastrand::Rng) {
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(0..=log.len());
        let end = rng.usize(at..=log.len().min(at + 200));
        match rng.u8(0..5) {
            0 => log.truncate(at),
            1 => drop(log.drain(at..end)),
            2 => {
                let word = WORDS[rng.usize(0..WORDS.len())];
                drop(log.splice(at..at, word.iter().copied()));
            }
            3 => {
                let copy = log[at..end].to_vec();
                let to = rng.usize(0..=log.len());
                drop(log.splice(to..to, copy));
            }
            _ => {
                if let Some(byte) = log.get_mut(at) {
                    *byte = rng.u8(..);
                }
            }
        }
    }
}

fn noise(rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut log = Vec::new();
    for _ in 0..rng.usize(0..40) {
        if rng.bool() {
            log.extend(WORDS[rng.usize(0..WORDS.len())]);
        } else {
            log.extend((0..rng.usize(0..30)).map(|_| rng.u8(..)));
        }
    }
    log
}

fn check(findings: &LogFindings, window: TimeRange) {
    assert!(findings.sections.len() <= limits::SECTIONS_MAX);
    for section in &findings.sections {
        let range = section.range;
        assert!(window.from <= range.from && range.from <= range.to && range.to <= window.to);
    }
}

#[test]
fn damaged_logs_and_noise_never_panic() {
    let logs: Vec<_> = corpus()
        .into_iter()
        .filter(|log| log.bytes.len() < 16 << 10)
        .collect();
    let mut rng = fastrand::Rng::with_seed(7);
    let mut machines = 0;
    for _ in 0..CASES {
        let chosen = &logs[rng.usize(0..logs.len())];
        let mut log = if rng.u8(0..4) == 0 {
            noise(&mut rng)
        } else {
            chosen.bytes.clone()
        };
        damage(&mut log, &mut rng);
        let cut = rng.usize(0..=log.len());
        let mut reader = LogReader::new();
        reader.push(&log[..cut]);
        reader.push(&log[cut..]);
        let findings = reader.finish(chosen.window);
        check(&findings, chosen.window);
        machines += usize::from(findings.machine.is_some());
    }
    // Most of the damage is elsewhere, so the reader did get to work.
    assert!(machines > CASES / 10, "{machines}");
    println!("{CASES} hostile logs, {machines} still named a machine");
}

/// A million section markers, open, unmatched or nested without end: bounded, and fast.
#[test]
fn markers_without_end_are_bounded() {
    let window = TimeRange::new(
        TimestampMs(1_764_000_000_000),
        TimestampMs(1_764_000_300_000),
    );
    for (marker, kept) in [
        (
            "section_start:1764000002:a\r\x1b[0K",
            limits::SECTION_DEPTH_MAX - limits::SECTIONS_OF_RUNNER,
        ),
        ("section_end:1764000002:a\r\x1b[0K\n", 0),
        (
            "section_start:1764000002:a\r\x1b[0Ksection_end:1764000002:a\r\x1b[0K\n",
            limits::SECTIONS_MAX - limits::SECTIONS_OF_RUNNER,
        ),
        ("section_start:1764000002:a", 0),
        ("section_", 0),
    ] {
        let mut log = marker.repeat(200_000);
        log.push_str("\nsection_start:1764000009:step_script\r\x1b[0K\n");
        let findings = read(log.as_bytes(), window);
        assert_eq!(findings.is_cut, kept > 0);
        assert_eq!(findings.sections.len(), kept + 1, "{marker:?}");
    }
}

/// What is held of a log does not depend on its length.
#[test]
fn memory_is_bounded_by_streams_not_by_lines() {
    let mut reader = LogReader::new();
    for stream in 0..=255u8 {
        for kind in ["O", "E"] {
            for flag in [" ", "+", "+", "+"] {
                let header = format!("2025-11-24T16:00:02.104512Z {stream:02x}{kind}{flag}");
                reader.push(header.as_bytes());
                reader.push(&[b'x'; 20_000]);
                reader.push(b"\n");
            }
        }
    }
    let held: usize = reader
        .joined
        .iter()
        .flatten()
        .map(|joined| joined.text.len())
        .sum();
    assert!(held <= Origin::COUNT * limits::LOG_LINE_BYTES_MAX, "{held}");
}
