//! The policy by tables.

use super::*;
use crate::time::Date;

const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Sealed at the end of its date, on day 100.
fn segment(seq: u64, bytes: u64, level: i32) -> Known {
    Known {
        id: SegmentId {
            date: Date(100),
            seq,
        },
        samples_bytes: bytes,
        bytes,
        level,
        sealed_at: TimestampMs(101 * DAY),
        amended_at: None,
    }
}

/// Sequence numbers and levels of what is planned so many hours behind the end of the date.
fn planned(segments: &[Known], hours: i64) -> Vec<(Vec<u64>, i32)> {
    let now = TimestampMs(101 * DAY + hours * HOUR);
    let groups = CompactionPolicy::default().plan(segments, now, Haste::Due);
    let seqs = |group: &Group| group.inputs.iter().map(|id| id.seq).collect();
    groups
        .iter()
        .map(|group| (seqs(group), group.level))
        .collect()
}

#[test]
fn small_segments_become_one_as_soon_as_it_saves_something() {
    assert!(planned(&[], 0).is_empty());
    assert!(planned(&[segment(1, 20 * KIB, 3)], 0).is_empty());
    let two = [segment(1, 90 * KIB, 3), segment(2, 20 * KIB, 3)];
    assert_eq!(planned(&two, 0), [(vec![1, 2], 3)]);
    // 64 KiB are 2 % of 3.2 MiB.
    let grown = [segment(1, 3 * MIB, 3), segment(2, 50 * KIB, 3)];
    assert_eq!(planned(&grown, 0), [(vec![1, 2], 3)]);
    let large = [segment(1, 4 * MIB, 3), segment(2, 50 * KIB, 3)];
    assert!(planned(&large, 0).is_empty());
    // The small ones among themselves, though.
    let more = [
        segment(1, 40 * MIB, 3),
        segment(2, 50 * KIB, 3),
        segment(3, 60 * KIB, 3),
    ];
    assert_eq!(planned(&more, 0), [(vec![2, 3], 3)]);
}

#[test]
fn a_busy_date_is_merged_once_and_when_it_is_quiet() {
    let segments: Vec<Known> = (1..=9).map(|seq| segment(seq, 16 * MIB, 3)).collect();
    assert!(planned(&segments, 5).is_empty());
    assert_eq!(
        planned(&segments, 6),
        [
            (vec![1, 2, 3, 4], LEVEL_COLD),
            (vec![5, 6, 7, 8], LEVEL_COLD),
            (vec![9], LEVEL_COLD)
        ]
    );
    let done = [
        segment(10, 62 * MIB, LEVEL_COLD),
        segment(11, 61 * MIB, LEVEL_COLD),
        segment(12, 15 * MIB, LEVEL_COLD),
    ];
    assert!(
        planned(&done, 100).is_empty(),
        "nothing is rewritten without gain"
    );
}

#[test]
fn what_comes_late_leaves_the_large_segments_alone() {
    let mut late = segment(20, 50 * KIB, 3);
    late.sealed_at = TimestampMs(110 * DAY);
    let segments = [segment(10, 60 * MIB, LEVEL_COLD), late];
    assert!(planned(&segments, 200).is_empty(), "not quiet any more");
    let hours = 9 * 24 + 6;
    assert_eq!(planned(&segments, hours), [(vec![20], LEVEL_COLD)]);
    late.level = LEVEL_COLD;
    let mut second = late;
    second.id.seq = 21;
    let segments = [segment(10, 60 * MIB, LEVEL_COLD), late, second];
    assert_eq!(planned(&segments, hours), [(vec![20, 21], LEVEL_COLD)]);
}

#[test]
fn amendments_that_are_an_hour_old_are_folded_in_even_alone() {
    let mut amended = segment(1, 60 * MIB, LEVEL_COLD);
    amended.amended_at = Some(TimestampMs(101 * DAY));
    let segments = [amended, segment(2, 60 * MIB, LEVEL_COLD)];
    assert!(planned(&segments, 0).is_empty());
    assert_eq!(planned(&segments, 1), [(vec![1], LEVEL_COLD)]);
    let mut hot = segment(1, 20 * MIB, 3);
    hot.amended_at = amended.amended_at;
    let segments = [hot, segment(2, 20 * MIB, 3)];
    assert_eq!(planned(&segments, 1), [(vec![1], 3)], "at the level it has");
    let now = TimestampMs(101 * DAY);
    let all = CompactionPolicy::default().plan(&segments, now, Haste::All);
    assert_eq!(all.len(), 1, "both at once, in haste");
}

#[test]
fn a_rewrite_has_a_bounded_number_of_inputs_of_one_date() {
    let mut segments: Vec<Known> = (1..=40).map(|seq| segment(seq, 30 * KIB, 3)).collect();
    let sizes: Vec<usize> = planned(&segments, 0)
        .iter()
        .map(|(seqs, _)| seqs.len())
        .collect();
    assert_eq!(sizes, [16, 16, 8]);
    for segment in segments.iter_mut().skip(20) {
        segment.id.date = Date(101);
    }
    let sizes: Vec<usize> = planned(&segments, 0)
        .iter()
        .map(|(seqs, _)| seqs.len())
        .collect();
    assert_eq!(sizes, [16, 4, 16, 4]);
}
