//! The gauge columns of rule 5, and the facts of the machine.

use super::*;

const TIMES: [i64; 3] = [0, 15, 30];

fn gauge(name: &str, values: [f64; 3]) -> RawSeries {
    let samples: Vec<(i64, f64)> = TIMES.into_iter().zip(values).collect();
    raw(name, &[], &samples)
}

fn memory(what: &str, values: [f64; 3]) -> RawSeries {
    gauge(&format!("node_memory_{what}_bytes"), values)
}

/// A job of two rows with a base at 0.
fn with(series: impl IntoIterator<Item = RawSeries>) -> Assembled {
    let all: Vec<RawSeries> = [half(&TIMES)].into_iter().chain(series).collect();
    job(&all, 1, 29)
}

fn filesystem(
    place: (&str, &str, &str),
    size: f64,
    avail: [f64; 3],
    readonly: f64,
) -> [RawSeries; 3] {
    let (device, fstype, mountpoint) = place;
    let series = |what: &str, values: [f64; 3]| {
        let samples: Vec<(i64, f64)> = TIMES.into_iter().zip(values).collect();
        raw(
            &format!("node_filesystem_{what}"),
            &[
                ("device", device),
                ("fstype", fstype),
                ("mountpoint", mountpoint),
            ],
            &samples,
        )
    };
    [
        series("size_bytes", [size; 3]),
        series("avail_bytes", avail),
        series("readonly", [readonly; 3]),
    ]
}

#[test]
fn memory_used_is_what_is_not_available() {
    let assembled = with([
        memory("MemTotal", [100.0; 3]),
        memory("MemAvailable", [90.0, 80.0, 60.0]),
        memory("MemFree", [1.0; 3]),
    ]);
    assert_eq!(
        cells(&assembled, Column::MemoryUsedBytes),
        [Some(20), Some(40)]
    );
    assert_eq!(
        assembled.findings.base.values.get(&Column::MemoryUsedBytes),
        Some(&10)
    );
    assert_eq!(assembled.findings.host.memory_total_bytes, Some(100));
    assert_eq!(assembled.profile.column(Column::MemoryCacheBytes), None);
}

#[test]
fn without_available_memory_used_is_what_is_neither_free_nor_cache() {
    let assembled = with([
        memory("MemTotal", [100.0; 3]),
        memory("MemFree", [30.0; 3]),
        memory("Buffers", [5.0; 3]),
        memory("Cached", [10.0; 3]),
        memory("SReclaimable", [2.0, 2.0, 3.0]),
    ]);
    assert_eq!(
        cells(&assembled, Column::MemoryUsedBytes),
        [Some(53), Some(52)]
    );
    assert_eq!(
        cells(&assembled, Column::MemoryCacheBytes),
        [Some(17), Some(18)]
    );
}

#[test]
fn a_missing_slab_series_counts_nothing() {
    let assembled = with([
        memory("Cached", [10.0; 3]),
        memory("Buffers", [5.0; 3]),
        memory("SwapFree", [5.0; 3]),
    ]);
    assert_eq!(
        cells(&assembled, Column::MemoryCacheBytes),
        [Some(15), Some(15)]
    );
    assert_eq!(assembled.profile.column(Column::SwapUsedBytes), None);
}

#[test]
fn no_swap_is_zero_and_unknown_swap_is_null() {
    let assembled = with([memory("SwapTotal", [0.0; 3]), memory("SwapFree", [0.0; 3])]);
    assert_eq!(cells(&assembled, Column::SwapUsedBytes), [Some(0), Some(0)]);
}

#[test]
fn a_gauge_without_all_its_parts_is_null_and_listed() {
    let total = [(0, 9.0), (15, 9.0), (30, 9.0), (45, 9.0)];
    let available = [(0, 4.0), (30, 3.0), (45, 2.0)];
    let load = [(0, 1.0), (15, f64::NAN), (30, 2.0), (45, 3.0)];
    let series = [
        half(&[0, 15, 30, 45]),
        raw("node_memory_MemTotal_bytes", &[], &total),
        raw("node_memory_MemAvailable_bytes", &[], &available),
        raw("node_load1", &[], &load),
    ];
    let assembled = job(&series, 1, 44);
    assert_eq!(
        cells(&assembled, Column::MemoryUsedBytes),
        [None, Some(6), Some(7)]
    );
    assert_eq!(
        cells(&assembled, Column::Load1),
        [None, Some(200), Some(300)]
    );
    for column in [Column::MemoryUsedBytes, Column::Load1] {
        assert_eq!(gap_seconds(&assembled, Some(column)), [(1, 30)]);
    }
    assert_eq!(verdict(&assembled), Verdict::Complete);
}

#[test]
fn a_gauge_that_does_not_fit_is_null_and_listed() {
    for absurd in [1e9, 1e300] {
        let load = [(0, 1.0), (15, 1.0), (30, absurd), (45, 1.0)];
        let series = [half(&[0, 15, 30, 45]), raw("node_load1", &[], &load)];
        let assembled = job(&series, 1, 44);
        assert_eq!(
            cells(&assembled, Column::Load1),
            [Some(100), None, Some(100)]
        );
        assert_eq!(gap_seconds(&assembled, Some(Column::Load1)), [(15, 44)]);
        assert_eq!(verdict(&assembled), Verdict::Partial);
    }
}

#[test]
fn processes_are_counted() {
    let assembled = with([
        gauge("node_procs_running", [1.0, 2.0, 3.0]),
        gauge("node_procs_blocked", [0.0; 3]),
    ]);
    assert_eq!(
        cells(&assembled, Column::ProcessesRunning),
        [Some(2), Some(3)]
    );
    assert_eq!(
        cells(&assembled, Column::ProcessesBlocked),
        [Some(0), Some(0)]
    );
}

#[test]
fn the_fullest_writable_filesystem_is_the_jobs() {
    let assembled = with(
        [
            filesystem(
                ("/dev/sda1", "ext4", "/"),
                1_000.0,
                [500.0, 400.0, 450.0],
                0.0,
            ),
            filesystem(
                ("/dev/sdb", "xfs", "/builds"),
                100.0,
                [90.0, 20.0, 90.0],
                0.0,
            ),
            filesystem(("tmpfs", "tmpfs", "/tmp"), 100.0, [1.0; 3], 0.0),
            filesystem(("overlay", "overlay", "/o"), 100.0, [1.0; 3], 0.0),
            filesystem(("s3", "fuse.s3fs", "/s3"), 100.0, [1.0; 3], 0.0),
            filesystem(("/dev/sda2", "vfat", "/boot/efi"), 100.0, [1.0; 3], 0.0),
            filesystem(("/dev/sr0", "ext4", "/media"), 100.0, [1.0; 3], 1.0),
            filesystem(("/dev/none", "ext4", "/none"), 0.0, [0.0; 3], 0.0),
        ]
        .into_iter()
        .flatten(),
    );
    assert_eq!(
        cells(&assembled, Column::FilesystemUsedBytes),
        [Some(80), Some(10)],
        "the one that was fullest at any row, for the whole job"
    );
    assert_eq!(
        assembled
            .findings
            .base
            .values
            .get(&Column::FilesystemUsedBytes),
        Some(&10)
    );
    assert_eq!(assembled.findings.host.filesystem_size_bytes, Some(100));
}

#[test]
fn filesystems_without_the_readonly_series_are_writable() {
    let [size, avail, _] = filesystem(
        ("/dev/sda1", "ext4", "/"),
        1_000.0,
        [500.0, 400.0, 450.0],
        1.0,
    );
    let assembled = with([size, avail]);
    assert_eq!(
        cells(&assembled, Column::FilesystemUsedBytes),
        [Some(600), Some(550)]
    );
}
