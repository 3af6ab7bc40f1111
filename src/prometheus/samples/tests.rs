//! The decoder on what the wire says, and on what it must not say.

use super::*;
use crate::model::id::RegionName;
use crate::source_port::STALE;
use crate::testkit::fake_prometheus::{read_response, snappy};
use crate::time::{TimeRange, TimestampMs};
use proptest::prelude::*;
use std::collections::BTreeMap;

const FROM: i64 = 1_764_000_000_000;
const TO: i64 = 1_764_000_060_000;

fn request() -> SeriesRequest {
    SeriesRequest {
        region_name: RegionName::parse("eu-1").unwrap(),
        region: serde_json::from_value(serde_json::json!({ "url": "http://h" })).unwrap(),
        machine: ("instance".to_owned(), "m:9100".to_owned()),
        names: &["node_cpu_seconds_total", "node_load1"],
        range: TimeRange::new(TimestampMs(FROM), TimestampMs(TO)),
    }
}

fn raw(name: &str, labels: &[(&str, &str)], samples: &[(i64, f64)]) -> RawSeries {
    let labels = labels
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    RawSeries {
        name: name.to_owned(),
        labels: labels.collect(),
        samples: samples.to_vec(),
    }
}

fn answered(sent: &[RawSeries]) -> Result<Vec<RawSeries>, Unfit> {
    series(&snappy(&read_response(sent)), &request())
}

/// Samples with values by their bits, since a NaN equals nothing.
fn bits(samples: &[(i64, f64)]) -> Vec<(i64, u64)> {
    samples
        .iter()
        .map(|(ts, value)| (*ts, value.to_bits()))
        .collect()
}

#[test]
fn labels_and_series_are_sorted_and_the_name_is_taken_out() {
    let labels = [("mode", "user"), ("instance", "m:9100"), ("cpu", "1")];
    let load = raw("node_load1", &[("instance", "m:9100")], &[(FROM, 0.5)]);
    let cpu = raw("node_cpu_seconds_total", &labels, &[(FROM, 1.0)]);
    let got = answered(&[load.clone(), cpu]).unwrap();
    let sorted = [("cpu", "1"), ("instance", "m:9100"), ("mode", "user")];
    assert_eq!(
        got,
        [raw("node_cpu_seconds_total", &sorted, &[(FROM, 1.0)]), load]
    );
}

#[test]
fn special_values_survive_bit_for_bit() {
    let specials = [
        f64::from_bits(STALE),
        f64::from_bits(0x7ff8_0000_0000_0001),
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::MIN_POSITIVE / 2.0,
        // Left out on the wire, as every protobuf default.
        0.0,
    ];
    let samples: Vec<_> = (FROM..).step_by(15).zip(specials).collect();
    let got = answered(&[raw("node_load1", &[("instance", "m:9100")], &samples)]).unwrap();
    assert_eq!(bits(&got[0].samples), bits(&samples));
}

#[test]
fn the_window_is_half_open_and_empty_series_are_left_out() {
    let samples = [(FROM - 1, 1.0), (FROM, 2.0), (TO - 1, 3.0), (TO, 4.0)];
    let inside = raw("node_load1", &[("instance", "m:9100")], &samples);
    let outside = raw(
        "node_cpu_seconds_total",
        &[("instance", "m:9100")],
        &samples[3..],
    );
    let got = answered(&[inside, outside]).unwrap();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].samples, &samples[1..3]);
}

#[test]
fn answers_to_another_question_are_refused() {
    let at = &[(FROM, 1.0)][..];
    let good = raw("node_load1", &[("instance", "m:9100")], at);
    let foreign = |found: &str| Unfit::ForeignMachine {
        label: "instance".to_owned(),
        found: found.to_owned(),
    };
    let twice = [("instance", "m:9100"), ("instance", "n:9100")];
    for (sent, unfit) in [
        (
            raw("node_load1", &[("instance", "n:9100")], at),
            foreign("n:9100"),
        ),
        (raw("node_load1", &[("node", "m:9100")], at), foreign("")),
        // Foreign even if it has no sample in the window.
        (raw("node_load1", &[], &[]), foreign("")),
        (
            raw("node_load1", &twice, at),
            Unfit::RepeatedLabel("instance".to_owned()),
        ),
        (
            raw("up", &[("instance", "m:9100")], at),
            Unfit::ForeignName("up".to_owned()),
        ),
        (
            raw("", &[("instance", "m:9100")], at),
            Unfit::ForeignName(String::new()),
        ),
        (good.clone(), Unfit::RepeatedSeries("node_load1".to_owned())),
    ] {
        assert_eq!(
            answered(&[good.clone(), sent.clone()]),
            Err(unfit),
            "{sent:?}"
        );
    }
}

#[test]
fn counts_are_bounded() {
    let many = |count: usize| -> Vec<RawSeries> {
        let at = &[(FROM, 1.0)][..];
        (0..count)
            .map(|cpu| {
                let cpu = cpu.to_string();
                raw("node_load1", &[("instance", "m:9100"), ("cpu", &cpu)], at)
            })
            .collect()
    };
    assert_eq!(
        answered(&many(limits::SERIES_MAX)).unwrap().len(),
        limits::SERIES_MAX
    );
    assert_eq!(
        answered(&many(limits::SERIES_MAX + 1)),
        Err(Unfit::TooManySeries)
    );

    let mut wide = raw("node_load1", &[("instance", "m:9100")], &[]);
    let empty = (String::new(), String::new());
    wide.labels
        .extend(std::iter::repeat_n(empty, limits::LABELS_MAX));
    assert_eq!(answered(&[wide]), Err(Unfit::TooManyLabels));
}

#[test]
fn there_is_exactly_one_result() {
    let two = [read_response(&[]), read_response(&[])].concat();
    assert_eq!(series(&snappy(&two), &request()), Err(Unfit::Results(2)));
    assert_eq!(series(&snappy(b""), &request()), Err(Unfit::Results(0)));
    assert_eq!(series(b"", &request()), Err(Unfit::NotSnappy));
    assert_eq!(answered(&[]), Ok(Vec::new()));
}

#[test]
fn the_declared_size_is_checked_before_anything_is_allocated() {
    // Varints of 64 MiB + 1, 3 GiB and 10 GiB, as snappy declares the size of its content.
    for declared in [
        &[0x81, 0x80, 0x80, 0x20][..],
        &[0x80, 0x80, 0x80, 0x80, 0x0c],
        &[0x80, 0x80, 0x80, 0x80, 0x28],
    ] {
        let bomb = [declared, b"\x00x"].concat();
        assert_eq!(
            series(&bomb, &request()),
            Err(Unfit::TooLarge),
            "{declared:x?}"
        );
    }
}

#[test]
fn every_truncation_is_noticed() {
    let sent = raw(
        "node_load1",
        &[("instance", "m:9100")],
        &[(FROM, 0.1), (FROM + 1, 0.2)],
    );
    let plain = read_response(&[sent]);
    let packed = snappy(&plain);
    for cut in 1..packed.len() {
        assert_eq!(
            series(&packed[..cut], &request()),
            Err(Unfit::NotSnappy),
            "{cut}"
        );
    }
    for cut in 1..plain.len() {
        let got = series(&snappy(&plain[..cut]), &request());
        assert_eq!(got, Err(Unfit::NotProtobuf), "{cut}");
    }
}

proptest! {
    /// Whatever order, duplicates and outliers a server sends: what comes out is the window, in
    /// order, with the last sample sent for every instant.
    #[test]
    fn samples_come_out_clipped_ordered_and_last_wins(
        sent in prop::collection::vec((FROM - 5..TO + 5, any::<u64>()), 0..40),
        near in prop::collection::vec((FROM - 3..FROM + 12, any::<u64>()), 0..40),
    ) {
        let sent: Vec<_> = sent.into_iter().chain(near).collect();
        let samples: Vec<_> = sent.iter().map(|(ts, bits)| (*ts, f64::from_bits(*bits))).collect();
        let model: BTreeMap<i64, u64> =
            sent.into_iter().filter(|(ts, _)| (FROM..TO).contains(ts)).collect();
        let got = answered(&[raw("node_load1", &[("instance", "m:9100")], &samples)]).unwrap();
        let got = got.first().map(|series| bits(&series.samples)).unwrap_or_default();
        prop_assert_eq!(got, model.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn arbitrary_bytes_are_survived(bytes: Vec<u8>) {
        let _packed = series(&bytes, &request());
        let _plain = series(&snappy(&bytes), &request());
    }

    /// A flipped byte may change a value, which no one can see; it must never panic, nor bring in
    /// another machine.
    #[test]
    fn mutated_answers_are_survived(at in any::<prop::sample::Index>(), byte: u8) {
        let labels = [("cpu", "0"), ("instance", "m:9100")];
        let mut plain = read_response(&[raw("node_load1", &labels, &[(FROM, 0.1), (TO - 1, 0.2)])]);
        let at = at.index(plain.len());
        plain[at] = byte;
        for series in series(&snappy(&plain), &request()).unwrap_or_default() {
            prop_assert_eq!(series.label("instance"), "m:9100");
            prop_assert!(request().names.contains(&series.name.as_str()));
            prop_assert!(series.samples.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
}
