//! Pieces of JSON answers, bounded while they are read.

use crate::limits;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// A list of at most `MAX` elements; a longer one is an error as soon as it is too long.
#[derive(Debug)]
pub(super) struct Bounded<T, const MAX: usize>(pub(super) Vec<T>);

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
    type Value = Bounded<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX}")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = list.next_element()? {
            if all.len() == MAX {
                return Err(A::Error::custom("too long"));
            }
            all.push(element);
        }
        Ok(Bounded(all))
    }
}

/// The labels of a series, an object of texts. A label that comes twice is kept twice, for the check
/// behind this to see.
#[derive(Debug)]
pub(super) struct Labels(pub(super) Vec<(String, String)>);

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(LabelsVisitor)
    }
}

struct LabelsVisitor;

impl<'de> Visitor<'de> for LabelsVisitor {
    type Value = Labels;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("labels")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
        let mut labels = Vec::new();
        while let Some(label) = map.next_entry()? {
            if labels.len() == limits::LABELS_MAX {
                return Err(A::Error::custom("too many labels"));
            }
            labels.push(label);
        }
        Ok(Labels(labels))
    }
}

/// A value as Prometheus and VictoriaMetrics write it.
pub(super) fn number(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::from_bits(NAN)),
        "+Inf" | "Inf" | "Infinity" => Some(f64::INFINITY),
        "-Inf" | "-Infinity" => Some(f64::NEG_INFINITY),
        // Rust's own words for the three are not theirs.
        _ if text.ends_with(|c: char| c.is_ascii_digit() || c == '.') => text.parse().ok(),
        _ => None,
    }
}

/// Prometheus' spelling of a NaN that was scraped.
const NAN: u64 = 0x7ff8_0000_0000_0001;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_servers_write_them() {
        for (text, value) in [
            ("0", 0.0),
            ("1864.27", 1_864.27),
            ("-1e-300", -1e-300),
            ("1.5e+09", 1.5e9),
            ("+Inf", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            assert_eq!(number(text), Some(value), "{text}");
        }
        assert_eq!(number("NaN").map(f64::to_bits), Some(NAN));
        for text in [
            "", "nan", "inf", "infinity", "1 ", " 1", "0x1", "1_0", "null", "1,2", "1e",
        ] {
            assert_eq!(number(text), None, "{text:?}");
        }
    }

    #[test]
    fn lists_and_labels_are_bounded() {
        let list = |text: &str| serde_json::from_str::<Bounded<u8, 2>>(text).map(|list| list.0);
        assert_eq!(list("[1,2]").unwrap(), [1, 2]);
        assert!(list("[1,2,3]").is_err() && list("{}").is_err());
        let labels = |count: usize| {
            let labels: Vec<_> = (0..count).map(|_| "\"a\":\"b\"").collect();
            serde_json::from_str::<Labels>(&format!("{{{}}}", labels.join(",")))
                .map(|all| all.0.len())
        };
        assert_eq!(labels(limits::LABELS_MAX).unwrap(), limits::LABELS_MAX);
        assert!(labels(limits::LABELS_MAX + 1).is_err());
        assert!(serde_json::from_str::<Labels>(r#"{"a":1}"#).is_err());
    }
}
