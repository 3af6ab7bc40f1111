//! Matrices as the query APIs answer them.

use super::*;
use crate::model::id::RegionName;
use crate::time::{TimeRange, TimestampMs};

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

fn up(values: &str) -> String {
    format!(
        "{{\"resultType\":\"matrix\",\"result\":[{{\"metric\":{{\"__name__\":\"up\",\
         \"instance\":\"m:9100\"}},\"values\":[{values}]}}]}}"
    )
}

#[test]
fn times_are_milliseconds_and_the_window_is_clipped() {
    let text = up(
        "[1763999999.999,\"0\"],[1764000000,\"1\"],[1764000030.003,\"0.75\"],\
         [1764000044.1,\"+Inf\"],[1764000059.999,\"NaN\"],[1764000060,\"1\"]",
    );
    let got = series(serde_json::from_str(&text).unwrap(), &request()).unwrap();
    let (last, others) = got[0].samples.split_last().unwrap();
    assert_eq!(
        others,
        [
            (FROM, 1.0),
            (FROM + 30_003, 0.75),
            (FROM + 44_100, f64::INFINITY)
        ]
    );
    assert_eq!(
        (last.0, last.1.to_bits()),
        (FROM + 59_999, 0x7ff8_0000_0000_0001)
    );
    // Every millisecond survives the way through seconds.
    for ms in 0..1_000 {
        let seconds = format!("[{},\"1\"]", select::seconds(FROM + ms));
        let got = series(serde_json::from_str(&up(&seconds)).unwrap(), &request()).unwrap();
        assert_eq!(got[0].samples, [(FROM + ms, 1.0)]);
    }
}

#[test]
fn what_is_no_matrix_is_refused() {
    for text in [
        up("[1764000000,\"one\"]"),
        up("[1764000000,1]"),
        up("[1e300,\"1\"]"),
        up("[1764000000]"),
        up("[1764000000,\"1\",2]"),
        up("").replace("\"up\"", "7"),
        "{\"resultType\":\"scalar\",\"result\":[1764000000,\"1\"]}".to_owned(),
    ] {
        assert!(serde_json::from_str::<Matrix>(&text).is_err(), "{text}");
    }
    let many = format!(
        "{{\"resultType\":\"matrix\",\"result\":[{}{{\"metric\":{{}}}}]}}",
        "{\"metric\":{}},".repeat(limits::SERIES_MAX)
    );
    assert!(serde_json::from_str::<Matrix>(&many).is_err());
    let one_less = many.replacen("{\"metric\":{}},", "", 1);
    assert!(serde_json::from_str::<Matrix>(&one_less).is_ok());
    let vector = up("")
        .replace("matrix", "vector")
        .replace("\"values\":[]", "\"value\":[1764000000,\"1\"]");
    let vector = series(serde_json::from_str(&vector).unwrap(), &request());
    assert_eq!(vector, Err(Unfit::NotJson));
    let foreign = up("[1764000000,\"1\"]").replace("m:9100", "n:9100");
    assert!(matches!(
        series(serde_json::from_str(&foreign).unwrap(), &request()),
        Err(Unfit::ForeignMachine { .. })
    ));
    // Native histograms have no values; they are nothing to us.
    let histogram = up("").replace("\"values\":[]", "\"histograms\":[[1764000000,{}]]");
    let got = series(serde_json::from_str(&histogram).unwrap(), &request());
    assert_eq!(got, Ok(Vec::new()));
}
