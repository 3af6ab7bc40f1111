//! Rule 4 and the counter columns of rule 5.

use super::*;
use crate::ingest::assemble::select::{is_physical_network, is_whole_disk};
use crate::model::usage;

fn network(device: &str, samples: &[(i64, f64)]) -> RawSeries {
    raw(
        "node_network_receive_bytes_total",
        &[("device", device)],
        samples,
    )
}

#[test]
fn modes_go_to_their_columns_and_cpus_are_summed() {
    let pair =
        |cpu_name, mode, increment| cpu(cpu_name, mode, &[(0, 100.0), (15, 100.0 + increment)]);
    let series = [
        pair("0", "user", 1.0),
        pair("0", "nice", 2.0),
        pair("0", "system", 4.0),
        pair("0", "irq", 0.5),
        pair("0", "softirq", 0.25),
        pair("0", "iowait", 0.01),
        pair("0", "steal", 0.02),
        pair("0", "idle", 7.0),
        pair("0", "guest", 99.0),
        pair("1", "user", 3.0),
        pair("1", "system", 3.0),
        pair("1", "idle", 9.0),
    ];
    let assembled = job(&series, 0, 15);
    let last = |column| cells(&assembled, column).pop().unwrap();
    assert_eq!(last(Column::CpuUserSeconds), Some(600));
    assert_eq!(last(Column::CpuSystemSeconds), Some(775));
    assert_eq!(last(Column::CpuIowaitSeconds), Some(1));
    assert_eq!(last(Column::CpuStealSeconds), Some(2));
    assert_eq!(last(Column::CpuIdleSeconds), Some(1_600));
    assert_eq!(last(Column::CpuBusiestCoreSeconds), Some(775), "cpu 0");
    assert_eq!(assembled.findings.host.cpu_count, Some(2));
}

#[test]
fn the_busiest_core_is_chosen_per_row() {
    let series = [
        cpu("0", "user", &[(0, 0.0), (15, 9.0), (30, 10.0)]),
        cpu("1", "user", &[(0, 0.0), (15, 1.0), (30, 9.0)]),
    ];
    let assembled = job(&series, 1, 29);
    assert_eq!(
        cells(&assembled, Column::CpuBusiestCoreSeconds),
        [Some(900), Some(800)]
    );
    let base = &assembled.findings.base.values;
    assert_eq!(base.get(&Column::CpuUserSeconds), Some(&0));
    assert_eq!(base.get(&Column::CpuBusiestCoreSeconds), None);
}

#[test]
fn rounding_never_accumulates() {
    // 0.004 s a scrape: each increment rounds to 0, the counter does not.
    let samples: Vec<(i64, f64)> = (0..11i32)
        .map(|n| (i64::from(n) * 15, 0.004 * f64::from(n)))
        .collect();
    let assembled = job(&[cpu("0", "user", &samples)], 1, 149);
    let cells = cells(&assembled, Column::CpuUserSeconds);
    assert_eq!(cells.iter().flatten().sum::<i64>(), 4);
}

#[test]
fn a_drop_is_a_reset() {
    let series = [cpu(
        "0",
        "user",
        &[(0, 50.0), (15, 60.0), (30, 2.0), (45, 3.0)],
    )];
    let assembled = job(&series, 1, 44);
    assert_eq!(
        cells(&assembled, Column::CpuUserSeconds),
        [Some(1_000), Some(200), Some(100)]
    );
    assert_eq!(assembled.findings.resets, [TimestampMs(30_000)]);
    assert_eq!(
        verdict(&assembled),
        Verdict::Complete,
        "a reset is no missing data"
    );
}

#[test]
fn values_after_a_staleness_marker_go_on() {
    let samples = [(0, 1.0), (15, 2.0), (30, stale()), (45, 5.0), (60, 6.0)];
    let series = [cpu("0", "user", &samples), half(&[0, 15, 30, 45, 60])];
    let assembled = job(&series[..1], 1, 59);
    assert_eq!(row_seconds(&assembled.profile), [15, 45, 60]);
    assert_eq!(
        cells(&assembled, Column::CpuUserSeconds),
        [Some(100), Some(300), Some(100)]
    );
    assert_eq!(gap_seconds(&assembled, None), [(15, 45)]);
}

#[test]
fn a_missed_scrape_is_shared_by_time_and_listed() {
    let series = [
        half(&[0, 10, 15, 30, 45]),
        network("eth0", &[(0, 0.0), (10, 10.0), (45, 110.0)]),
        network(
            "eth1",
            &[(0, 0.0), (10, 1.0), (15, 2.0), (30, 3.0), (45, 4.0)],
        ),
    ];
    let assembled = job(&series, 1, 44);
    // eth0: 100 over 5 + 15 + 15 s: floor 14, floor 57, 100.
    assert_eq!(
        cells(&assembled, Column::NetworkReceiveBytes),
        [Some(11), Some(14 + 1), Some(43 + 1), Some(43 + 1)]
    );
    assert_eq!(
        gap_seconds(&assembled, Some(Column::NetworkReceiveBytes)),
        [(10, 44)]
    );
    assert_eq!(verdict(&assembled), Verdict::Complete);
}

#[test]
fn a_hole_over_the_base_leaves_an_interpolated_base() {
    let series = [
        half(&[0, 15, 30, 45]),
        network("eth0", &[(0, 100.0), (30, 400.0), (45, 500.0)]),
    ];
    let assembled = job(&series, 20, 44);
    assert_eq!(assembled.findings.base.ts_ms, Some(15_000));
    assert_eq!(
        assembled
            .findings
            .base
            .values
            .get(&Column::NetworkReceiveBytes),
        Some(&250)
    );
    assert_eq!(
        cells(&assembled, Column::NetworkReceiveBytes),
        [Some(150), Some(100)]
    );
}

#[test]
fn a_reset_inside_a_hole_is_listed_at_the_row_that_shows_it() {
    let series = [
        half(&[0, 15, 30, 45, 60]),
        network("eth0", &[(0, 100.0), (15, 200.0), (45, 30.0), (60, 40.0)]),
        network("eth1", &[(0, 100.0), (60, 20.0)]),
    ];
    let assembled = job(&series, 1, 40);
    assert_eq!(assembled.findings.resets, [TimestampMs(45_000)]);
    assert_eq!(
        cells(&assembled, Column::NetworkReceiveBytes),
        [Some(100 + 5), Some(15 + 5), Some(15 + 5)]
    );
}

#[test]
fn a_series_that_appears_later_counts_from_its_first_pair() {
    let series = [
        half(&[0, 15, 30, 45]),
        network("eth0", &[(0, 0.0), (15, 10.0), (30, 20.0), (45, 30.0)]),
        network("eth1", &[(30, 5_000.0), (45, 5_001.0)]),
    ];
    let assembled = job(&series, 1, 44);
    assert_eq!(
        cells(&assembled, Column::NetworkReceiveBytes),
        [Some(10), Some(10), Some(11)]
    );
    assert_eq!(
        gap_seconds(&assembled, Some(Column::NetworkReceiveBytes)),
        []
    );
}

#[test]
fn rows_that_no_series_covers_are_null_and_listed() {
    let series = [
        half(&[0, 15, 30, 45, 60]),
        network("eth0", &[(15, 1.0), (30, 2.0), (45, stale())]),
    ];
    let assembled = job(&series, 1, 59);
    assert_eq!(
        cells(&assembled, Column::NetworkReceiveBytes),
        [None, Some(1), None, None]
    );
    assert_eq!(
        gap_seconds(&assembled, Some(Column::NetworkReceiveBytes)),
        [(1, 15), (30, 45), (45, 59)]
    );
    assert_eq!(assembled.profile.column(Column::DiskReadBytes), None);
}

#[test]
fn impossible_values_are_absent() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -5.0] {
        let series = [
            half(&[0, 15, 30, 45]),
            network("eth0", &[(0, 0.0), (15, bad), (30, 10.0), (45, 10.0)]),
        ];
        let assembled = job(&series, 1, 44);
        assert_eq!(
            cells(&assembled, Column::NetworkReceiveBytes),
            [Some(5), Some(5), Some(0)],
            "{bad}"
        );
        assert_eq!(verdict(&assembled), Verdict::Complete);
    }
}

#[test]
fn an_increment_that_does_not_fit_counts_from_the_gap_list() {
    let series = [
        cpu("0", "user", &[(0, 0.0), (15, 1e7), (30, 1e7 + 1.0)]),
        raw(
            "node_vmstat_oom_kill",
            &[],
            &[(0, 0.0), (15, 3e9), (30, 3e9)],
        ),
    ];
    let assembled = job(&series, 0, 30);
    assert_eq!(
        cells(&assembled, Column::CpuUserSeconds),
        [None, None, Some(100)]
    );
    let gap = |column, amount| Gap {
        range: seconds(0, 15),
        column: Some(column),
        amount: Some(amount),
    };
    assert_eq!(
        assembled.findings.gaps,
        [
            gap(Column::CpuUserSeconds, 1_000_000_000),
            gap(Column::CpuBusiestCoreSeconds, 1_000_000_000),
            gap(Column::OomKills, 3_000_000_000),
        ]
    );
    assert_eq!(verdict(&assembled), Verdict::Partial);
    assert_eq!(
        usage::total(
            &assembled.profile,
            Column::CpuUserSeconds,
            seconds(0, 30),
            &assembled.findings.gaps
        ),
        Some(1_000_000_100)
    );
}

#[test]
fn sums_beyond_64_bits_are_lost_not_wrapped() {
    let times = [0, 15, 30, 45];
    let received = |device, values: [f64; 4]| {
        let samples: Vec<(i64, f64)> = times.into_iter().zip(values).collect();
        network(device, &samples)
    };
    let huge = |device| received(device, [0.0, 9e18, 9e18, 9e18]);
    let assembled = job(&[half(&times), huge("eth0"), huge("eth1")], 1, 44);
    assert_eq!(
        cells(&assembled, Column::NetworkReceiveBytes),
        [None, Some(0), Some(0)]
    );
    assert_eq!(verdict(&assembled), Verdict::Partial);
    let beyond = received("eth0", [0.0, 1e300, 4.0, 5.0]);
    let assembled = job(&[half(&times), beyond], 1, 44);
    assert_eq!(
        cells(&assembled, Column::NetworkReceiveBytes),
        [Some(2), Some(2), Some(1)]
    );
    assert_eq!(verdict(&assembled), Verdict::Partial);
}

#[test]
fn only_physical_networks_and_whole_disks_count() {
    for device in [
        "eth0",
        "ens5",
        "enp0s31f6",
        "wlan0",
        "eno1",
        "ib0",
        "loop0net",
    ] {
        assert!(is_physical_network(device), "{device}");
    }
    for device in [
        "",
        "lo",
        "docker0",
        "veth1a2b",
        "br-0a1b",
        "cni0",
        "flannel.1",
        "cali12",
        "virbr0",
        "ifb0",
        "tun0",
        "tap3",
        "dummy0",
        "kube-ipvs0",
        "lxcbr0",
        "bond0",
    ] {
        assert!(!is_physical_network(device), "{device}");
    }
    for device in [
        "sda",
        "sdaa",
        "hdb",
        "vda",
        "xvdf",
        "nvme0n1",
        "nvme10n12",
        "mmcblk0",
    ] {
        assert!(is_whole_disk(device), "{device}");
    }
    for device in [
        "",
        "sd",
        "sda1",
        "vda2",
        "nvme0n1p1",
        "nvme0",
        "nvme0c0n1",
        "mmcblk0p1",
        "mmcblk",
        "dm-0",
        "md127",
        "loop3",
        "sr0",
        "zram0",
        "ram1",
        "fd0",
    ] {
        assert!(!is_whole_disk(device), "{device}");
    }
}

#[test]
fn disks_are_summed_and_their_io_time_is_the_busiest() {
    let disk = |name: &str, device: &str, to: f64| {
        raw(
            &format!("node_disk_{name}_total"),
            &[("device", device)],
            &[(0, 0.0), (15, to)],
        )
    };
    let series = [
        half(&[0, 15]),
        disk("read_bytes", "sda", 5.0),
        disk("read_bytes", "nvme0n1", 6.0),
        disk("read_bytes", "dm-0", 11.0),
        disk("io_time_seconds", "sda", 1.5),
        disk("io_time_seconds", "nvme0n1", 9.25),
        disk("io_time_seconds", "dm-0", 14.0),
    ];
    let assembled = job(&series, 1, 14);
    assert_eq!(cells(&assembled, Column::DiskReadBytes), [Some(11)]);
    assert_eq!(cells(&assembled, Column::DiskIoSeconds), [Some(9_250)]);
}
