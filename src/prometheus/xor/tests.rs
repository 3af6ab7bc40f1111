//! The decoder on chunks of a real Prometheus, on those of an encoder written as the server's is, and on
//! what no server writes.

use super::*;
use crate::source_port::STALE;
use crate::testkit::streamed::{BitWriter, xor_chunk as encode};
use proptest::prelude::*;

fn decoded(chunk: &[u8]) -> Result<Vec<(i64, u64)>, BadChunk> {
    let mut all = Vec::new();
    decode(chunk, |ts, value| {
        all.push((ts, value.to_bits()));
        Ok::<_, BadChunk>(())
    })?;
    Ok(all)
}

fn bits(samples: &[(i64, f64)]) -> Vec<(i64, u64)> {
    samples
        .iter()
        .map(|(ts, value)| (*ts, value.to_bits()))
        .collect()
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| c.is_ascii_hexdigit()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

/// Taken from a real Prometheus.
const IRREGULAR: &str = "000c80a0bfe9d6663fe000000000000098754001ec077ff1ac3f000ebffec267fec000afffb0\
    fbfd3189374bc6a7fc2329bfbc1126e978d4ffb7361402840000000000308ca17fb1400c000000000000";
const COUNTER: &str = "000a80fd9aebd666409d21147ae147ae9875e766051eb851ebbad78cccccccccdc6fb41c8721c8\
    7286e459164591a0beb851eb8528a428f5c28f6385ff570dc370dcdceda4f53d4f53da6b78de378de0";

fn irregular() -> Vec<(i64, f64)> {
    let at = |ms: i64, value: f64| (1_764_000_000_000 + ms, value);
    vec![
        at(0, 0.5),
        at(15_000, 0.5),
        at(30_003, 0.75),
        at(44_998, 1.25),
        at(60_000, 1.25),
        at(75_000, 7.0),
        at(90_001, 7.0),
        at(105_000, 0.001),
        at(129_000, 12.125),
        at(135_000, 0.0),
        at(150_000, 0.0),
        at(164_960, 3.5),
    ]
}

#[test]
fn chunks_of_a_real_prometheus() {
    assert_eq!(decoded(&hex(IRREGULAR)), Ok(bits(&irregular())));
    let values = [
        1864.27, 1870.25, 1871.8, 1881.31, 1882.24, 1883.25, 1886.38, 1888.81, 1893.91, 1894.7,
    ];
    let counter: Vec<_> = (1_764_001_800_000..).step_by(15_000).zip(values).collect();
    assert_eq!(decoded(&hex(COUNTER)), Ok(bits(&counter)));
}

#[test]
fn the_encoder_of_these_tests_writes_what_the_server_writes() {
    // Without the zeros behind the last bit, to which a server's buffer may be rounded up.
    let written = encode(&irregular());
    assert_eq!(written, hex(IRREGULAR)[..written.len()]);
}

#[test]
fn every_truncation_is_noticed_and_an_empty_chunk_is_empty() {
    let chunk = encode(&irregular());
    for cut in 0..chunk.len() {
        assert_eq!(decoded(&chunk[..cut]), Err(BadChunk), "{cut}");
    }
    assert_eq!(decoded(&[0, 0]), Ok(Vec::new()));
    // 65,535 samples are announced, and there are the bits of one.
    let mut chunk = encode(&irregular()[..1]);
    chunk[..2].fill(0xff);
    assert_eq!(decoded(&chunk), Err(BadChunk));
}

#[test]
fn what_no_writer_says_is_refused() {
    // Sample 0, then in sample 1 a window that is wider than a value: 31 zeros and 40 bits.
    let mut out = BitWriter::default();
    out.varint(0);
    out.bits(0, 64);
    out.varint(15);
    out.bits(0b11, 2);
    out.bits(31, 5);
    out.bits(40, 6);
    out.bits(0, 64);
    assert_eq!(decoded(&[&[0, 2][..], &out.bytes].concat()), Err(BadChunk));
    // A time of more than 64 bits.
    let long = [&[0, 1][..], &[0xff; 9], &[0x02], &[0; 8]].concat();
    assert_eq!(decoded(&long), Err(BadChunk));
}

#[test]
fn what_the_sink_says_ends_it() {
    let mut seen = 0;
    let ended = decode(&encode(&irregular()), |_, _| {
        seen += 1;
        if seen == 3 { Err(BadChunk) } else { Ok(()) }
    });
    assert_eq!((ended, seen), (Err(BadChunk), 3));
}

/// Values as they come: near each other, equal, special, anything.
fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => (0_i32..1_000).prop_map(|ticks| 1_000.0 + f64::from(ticks) / 100.0),
        2 => Just(1.0),
        1 => Just(f64::from_bits(STALE)),
        1 => any::<u64>().prop_map(f64::from_bits),
    ]
}

fn step() -> impl Strategy<Value = i64> {
    prop_oneof![
        4 => Just(15_000),
        3 => 14_990_i64..15_010,
        // At the edges of the sizes of a change.
        2 => prop::sample::select(vec![8_191, 8_192, 8_193, 65_535, 65_536, 65_537, 524_288, 524_289]),
        1 => any::<i32>().prop_map(i64::from),
        1 => any::<i64>(),
    ]
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        start in prop_oneof![Just(1_764_000_000_000), any::<i64>()],
        rest in prop::collection::vec((step(), value()), 0..200),
    ) {
        let mut time = start;
        let samples: Vec<_> = rest
            .into_iter()
            .map(|(step, value)| {
                time = time.wrapping_add(step);
                (time, value)
            })
            .collect();
        prop_assert_eq!(decoded(&encode(&samples)), Ok(bits(&samples)));
    }

    #[test]
    fn any_bytes_are_survived_and_the_count_is_a_bound(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(samples) = decoded(&bytes) {
            prop_assert_eq!(samples.len(), usize::from(u16::from_be_bytes([bytes[0], bytes[1]])));
            prop_assert!(samples.len() <= 4 * bytes.len());
        }
    }

    #[test]
    fn damaged_chunks_are_survived(at in any::<prop::sample::Index>(), byte: u8) {
        let mut chunk = encode(&irregular());
        let at = at.index(chunk.len());
        chunk[at] = byte;
        let _decoded = decoded(&chunk);
    }
}
