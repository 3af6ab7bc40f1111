//! Streamed answers, whole and in pieces of any size, and what is wrong with them.

use super::*;
use crate::model::id::RegionName;
use crate::testkit::streamed::{self, frame as frame_of, xor_chunk as encode};
use crate::time::{TimeRange, TimestampMs};
use proptest::prelude::*;

const FROM: i64 = 1_764_000_000_000;
const STEP: i64 = 15_000;

fn request() -> SeriesRequest {
    SeriesRequest {
        region_name: RegionName::parse("eu-1").unwrap(),
        region: serde_json::from_value(serde_json::json!({ "url": "http://h" })).unwrap(),
        machine: ("instance".to_owned(), "m:9100".to_owned()),
        names: &["node_load1", "up"],
        range: TimeRange::new(TimestampMs(FROM), TimestampMs(FROM + 100 * STEP)),
    }
}

fn samples(range: std::ops::Range<i64>) -> Vec<(i64, f64)> {
    range
        .map(|at| (FROM + at * STEP, crate::num::to_f64(at) / 8.0))
        .collect()
}

fn message(name: &str, instance: &str, chunks: &[(i32, Vec<u8>)]) -> Vec<u8> {
    let mut series = expected(name, Vec::new());
    instance.clone_into(&mut series.labels[0].1);
    streamed::message(&series, chunks)
}

fn xor_frame(name: &str, range: std::ops::Range<i64>) -> Vec<u8> {
    frame_of(&message(
        name,
        "m:9100",
        &[(wire::XOR, encode(&samples(range)))],
    ))
}

fn answered(bytes: &[u8], piece: usize) -> Result<Vec<RawSeries>, Unfit> {
    let request = request();
    let mut frames = Frames::new(&request);
    for piece in bytes.chunks(piece) {
        frames.push(piece)?;
    }
    frames.finish()
}

fn expected(name: &str, samples: Vec<(i64, f64)>) -> RawSeries {
    RawSeries {
        name: name.to_owned(),
        labels: vec![("instance".to_owned(), "m:9100".to_owned())],
        samples,
    }
}

#[test]
fn the_check_value_of_the_sum() {
    assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
}

#[test]
fn a_long_series_spans_frames_chunks_overlap_and_are_clipped() {
    let two_chunks = [(40..70), (60..130)].map(|range| (wire::XOR, encode(&samples(range))));
    let answer = [
        xor_frame("up", 0..3),
        xor_frame("node_load1", -5..40),
        frame_of(&message("node_load1", "m:9100", &two_chunks)),
    ]
    .concat();
    let series = [
        expected("node_load1", samples(0..100)),
        expected("up", samples(0..3)),
    ];
    for piece in [1, 7, 100, answer.len()] {
        assert_eq!(answered(&answer, piece).unwrap(), series, "{piece}");
    }
    assert_eq!(answered(b"", 1), Ok(Vec::new()));
}

#[test]
fn what_is_wrong_is_named() {
    let good = xor_frame("up", 0..3);
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let foreign = frame_of(&message("up", "n:9100", &[]));
    let huge = [0xff, 0xff, 0xff, 0xff, 0x0f];
    for (answer, unfit) in [
        (damaged, Unfit::BadFrame),
        (vec![0xff; 9], Unfit::BadFrame),
        (huge.to_vec(), Unfit::TooLarge),
        (frame_of(b"\x0a\xff"), Unfit::NotProtobuf),
        (
            frame_of(&message("up", "m:9100", &[(4, Vec::new())])),
            Unfit::ChunkType(4),
        ),
        (
            frame_of(&message("up", "m:9100", &[(1, vec![0, 9])])),
            Unfit::BadChunk,
        ),
        (
            frame_of(&message("node_load5", "m:9100", &[])),
            Unfit::ForeignName("node_load5".to_owned()),
        ),
        (
            foreign,
            Unfit::ForeignMachine {
                label: "instance".to_owned(),
                found: "n:9100".to_owned(),
            },
        ),
    ] {
        assert_eq!(answered(&[good.clone(), answer].concat(), 64), Err(unfit));
    }
    let two = [good.clone(), good.clone()].concat();
    for cut in (1..good.len()).chain(good.len() + 1..two.len()) {
        assert_eq!(answered(&two[..cut], 64), Err(Unfit::BadFrame), "{cut}");
    }
}

#[test]
fn samples_are_bounded() {
    // 16 KiB that say 65,535 samples: 15 s apart, always the same value.
    let level: Vec<_> = samples(0..2).into_iter().map(|(ts, _)| (ts, 1.0)).collect();
    let mut data = encode(&level);
    data.resize(2 + 18 + 65_535 / 4, 0);
    data[..2].fill(0xff);
    let chunks = vec![(wire::XOR, data); limits::FETCH_SAMPLES_MAX / 65_535 + 1];
    let answer = frame_of(&message("up", "m:9100", &chunks));
    let wide = SeriesRequest {
        range: TimeRange::new(TimestampMs(FROM), TimestampMs(i64::MAX)),
        ..request()
    };
    let mut frames = Frames::new(&wide);
    assert_eq!(frames.push(&answer), Err(Unfit::TooManySamples));
    // Outside of the window they cost nothing.
    assert_eq!(
        answered(&answer, answer.len()).unwrap()[0].samples.len(),
        100
    );
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, piece in 1_usize..50) {
        let _any = answered(&bytes, piece);
        let _framed = answered(&frame_of(&bytes), piece);
    }

    #[test]
    fn no_damaged_byte_goes_unnoticed(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let mut answer = xor_frame("up", 0..20);
        let at = at.index(answer.len());
        answer[at] ^= flip;
        prop_assert!(answered(&answer, 64).is_err());
    }
}
