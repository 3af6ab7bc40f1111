//! Lines as VictoriaMetrics writes them, and what it would not write.

use super::*;
use crate::model::id::RegionName;
use crate::source_port::is_stale;
use crate::time::{TimeRange, TimestampMs};
use proptest::prelude::*;

const FROM: i64 = 1_764_000_000_000;

fn request() -> SeriesRequest {
    SeriesRequest {
        region_name: RegionName::parse("eu-1").unwrap(),
        region: serde_json::from_value(serde_json::json!({ "url": "http://h" })).unwrap(),
        machine: ("instance".to_owned(), "m:9100".to_owned()),
        names: &["node_load1", "up"],
        range: TimeRange::new(TimestampMs(FROM), TimestampMs(FROM + 60_000)),
    }
}

fn answered(text: &str, piece: usize) -> Result<Vec<RawSeries>, Unfit> {
    let request = request();
    let mut lines = Lines::new(&request);
    for piece in text.as_bytes().chunks(piece) {
        lines.push(piece)?;
    }
    lines.finish()
}

fn up(values: &str, times: &str) -> String {
    format!(
        "{{\"metric\":{{\"__name__\":\"up\",\"instance\":\"m:9100\"}},\"values\":[{values}],\
         \"timestamps\":[{times}]}}\n"
    )
}

#[test]
fn lines_in_pieces_of_any_size() {
    let text = format!(
        "{}\n{}{}",
        up("1,null,0.5", "1764000000000,1764000015000,1764000030000"),
        "{\"metric\":{\"__name__\":\"node_load1\",\"instance\":\"m:9100\",\"z\":\"\\\"]}\\u00e9\\n\"},\
         \"values\":[+Inf,-Inf,\"Infinity\",\"NaN\",1e-7],\
         \"timestamps\":[1764000000000,1764000001000,1764000002000,1764000003000,1764000060000]}\n",
        // Another part of the first series, which overlaps it.
        up("7,2", "1764000030000,1764000045000"),
    );
    for piece in [1, 10, text.len()] {
        let got = answered(&text, piece).unwrap();
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].label("z"), "\"]}\u{e9}\n");
        let load: Vec<f64> = got[0].samples.iter().map(|(_, value)| *value).collect();
        assert_eq!(load[..3], [f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY]);
        assert!(load.len() == 4 && load[3].is_nan() && !is_stale(load[3]));
        assert!(is_stale(got[1].samples[1].1));
        let rest = [got[1].samples[0], got[1].samples[2], got[1].samples[3]];
        assert_eq!(
            rest,
            [(FROM, 1.0), (FROM + 30_000, 7.0), (FROM + 45_000, 2.0)]
        );
    }
    assert_eq!(answered("", 1), Ok(Vec::new()));
}

#[test]
fn what_is_wrong_is_named() {
    let good = up("1", "1764000000000");
    let labels = |name: &str| format!("\"{name}\":\"x\",").repeat(limits::LABELS_MAX);
    for (text, unfit) in [
        (up("1,2", "1764000000000"), Unfit::NotJson),
        (up("1", "1764000000000,1764000000001"), Unfit::NotJson),
        (up("one", "1764000000000"), Unfit::NotJson),
        (up("1", "1764000000.5"), Unfit::NotJson),
        (up("", ""), Unfit::NotJson),
        ("<html>please log in</html>\n".to_owned(), Unfit::NotJson),
        ("{\"error\":\"x\"}\n".to_owned(), Unfit::NotJson),
        (format!("{}\n", "[".repeat(10_000)), Unfit::NotJson),
        (
            good.replace("m:9100\"", "m:9100\",\"a\":[1]"),
            Unfit::NotJson,
        ),
        (
            good.replace("\"__name__\"", &format!("{}\"__name__\"", labels("a"))),
            Unfit::NotJson,
        ),
        (good.replace("]}", "]} trailing"), Unfit::NotJson),
        (
            good.replace("\"up\"", "\"up\",\"instance\":\"x\""),
            Unfit::RepeatedLabel("instance".to_owned()),
        ),
        (
            good.replace("\"up\"", "\"node_load5\""),
            Unfit::ForeignName("node_load5".to_owned()),
        ),
        (
            good.replace("m:9100", "n:9100"),
            Unfit::ForeignMachine {
                label: "instance".to_owned(),
                found: "n:9100".to_owned(),
            },
        ),
    ] {
        assert_eq!(answered(&format!("{good}{text}"), 64), Err(unfit), "{text}");
    }
    for cut in 1..good.len() {
        assert_eq!(answered(&good[..cut], 64), Err(Unfit::NotJson), "{cut}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes: Vec<u8>, text in "[\\[\\]{}\":,a-z0-9\n]{0,80}") {
        let request = request();
        let mut lines = Lines::new(&request);
        let _any = lines.push(&bytes).and_then(|()| lines.finish());
        let _text = answered(&text, 7);
        let _inside = answered(&up(&text, &text), 7);
    }

    #[test]
    fn values_are_read_back_exactly(values in prop::collection::vec(any::<f64>(), 1..20)) {
        prop_assume!(values.iter().all(|value| value.is_finite()));
        let (mut texts, mut times) = (Vec::new(), Vec::new());
        for (ts, value) in (FROM..).zip(&values) {
            texts.push(format!("{value}"));
            times.push(ts.to_string());
        }
        let got = answered(&up(&texts.join(","), &times.join(",")), 64).unwrap();
        let got: Vec<u64> = got[0].samples.iter().map(|(_, value)| value.to_bits()).collect();
        prop_assert_eq!(got, values.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
    }
}
