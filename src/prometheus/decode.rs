//! From the bytes of an answer to series that may be believed.

use super::select::NAME;
use super::wire::{self, Fields, Label, Sample};
use crate::limits;
use crate::outbound::one_line;
use crate::source_port::{RawSeries, SeriesRequest};
use crate::time::TimestampMs;
use prost::Message as _;
use thiserror::Error;

/// Why an answer is not used. Nothing of it is: half an answer would look like a quiet machine.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum Unfit {
    #[error(
        "the answer unpacks to more than {} MiB; check whether the machine's label matches more \
         than one machine",
        limits::FETCH_BYTES_MAX >> 20
    )]
    TooLarge,
    #[error("the answer is truncated or no snappy block; check the proxy before the server")]
    NotSnappy,
    #[error("the answer is truncated or no protobuf message; check the proxy before the server")]
    NotProtobuf,
    #[error("the answer has {0} results for one query; this is not a Prometheus remote read")]
    Results(usize),
    #[error(
        "more than {} series match; check whether the machine's label matches more than one machine",
        limits::SERIES_MAX
    )]
    TooManySeries,
    #[error("a series has more than {} labels", limits::LABELS_MAX)]
    TooManyLabels,
    #[error("a series carries the label {0:?} twice; check the proxy before the server")]
    RepeatedLabel(String),
    #[error("a series is named {0:?}, which was not asked for; check the proxy before the server")]
    ForeignName(String),
    #[error(
        "a series of another machine came back: {label:?} is {found:?}; check the proxy before the \
         server"
    )]
    ForeignMachine { label: String, found: String },
    #[error(
        "the series {0:?} came back twice with the same labels; check the proxy before the server"
    )]
    RepeatedSeries(String),
}

impl From<wire::Malformed> for Unfit {
    fn from(_: wire::Malformed) -> Self {
        Self::NotProtobuf
    }
}

impl From<prost::DecodeError> for Unfit {
    fn from(_: prost::DecodeError) -> Self {
        Self::NotProtobuf
    }
}

/// The verified series of a compressed `ReadResponse`, sorted by name and labels; series without a
/// sample in the window are left out.
///
/// # Errors
/// The first thing that is wrong with the answer.
pub(super) fn series(compressed: &[u8], request: &SeriesRequest) -> Result<Vec<RawSeries>, Unfit> {
    let plain = unpack(compressed)?;
    let result = only_result(&plain)?;
    let mut all = Vec::new();
    for field in Fields::of(result) {
        let (wire::SERIES, bytes) = field? else {
            continue;
        };
        if all.len() == limits::SERIES_MAX {
            return Err(Unfit::TooManySeries);
        }
        all.push(one_series(bytes, request)?);
    }
    all.sort_unstable_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
    for pair in all.windows(2) {
        if let [a, b] = pair
            && a.name == b.name
            && a.labels == b.labels
        {
            return Err(Unfit::RepeatedSeries(quoted(&a.name)));
        }
    }
    all.retain(|series| !series.samples.is_empty());
    Ok(all)
}

/// The declared size is checked before anything is allocated for it.
fn unpack(compressed: &[u8]) -> Result<Vec<u8>, Unfit> {
    let declared = snap::raw::decompress_len(compressed);
    match declared {
        Ok(length) if length <= limits::FETCH_BYTES_MAX => snap::raw::Decoder::new()
            .decompress_vec(compressed)
            .map_err(|_| Unfit::NotSnappy),
        Ok(_) | Err(snap::Error::TooBig { .. }) => Err(Unfit::TooLarge),
        Err(_) => Err(Unfit::NotSnappy),
    }
}

fn only_result(plain: &[u8]) -> Result<&[u8], Unfit> {
    let mut results = Fields::of(plain).filter_map(|field| match field {
        Ok((wire::RESULT, bytes)) => Some(Ok(bytes)),
        Ok(_) => None,
        Err(malformed) => Some(Err(malformed)),
    });
    let Some(first) = results.next().transpose()? else {
        return Err(Unfit::Results(0));
    };
    match results.next().transpose()? {
        None => Ok(first),
        Some(_) => Err(Unfit::Results(2 + results.count())),
    }
}

fn one_series(bytes: &[u8], request: &SeriesRequest) -> Result<RawSeries, Unfit> {
    let mut labels = Vec::new();
    let mut samples = Vec::new();
    for field in Fields::of(bytes) {
        match field? {
            (wire::LABEL, bytes) => {
                if labels.len() == limits::LABELS_MAX {
                    return Err(Unfit::TooManyLabels);
                }
                let label = Label::decode(bytes)?;
                labels.push((label.name, label.value));
            }
            (wire::SAMPLE, bytes) => {
                let sample = Sample::decode(bytes)?;
                // Servers other than Prometheus may answer whole chunks.
                if request.range.contains(TimestampMs(sample.timestamp)) {
                    samples.push((sample.timestamp, sample.value));
                }
            }
            _ => {}
        }
    }
    let name = verify(&mut labels, request)?;
    put_in_order(&mut samples);
    Ok(RawSeries {
        name,
        labels,
        samples,
    })
}

/// Sorts the labels, takes the name out, and checks that this is what was asked for.
fn verify(labels: &mut Vec<(String, String)>, request: &SeriesRequest) -> Result<String, Unfit> {
    labels.sort_unstable();
    for pair in labels.windows(2) {
        if let [(a, _), (b, _)] = pair
            && a == b
        {
            return Err(Unfit::RepeatedLabel(quoted(a)));
        }
    }
    let at = labels.iter().position(|(label, _)| label == NAME);
    let name = at.map_or_else(String::new, |at| labels.remove(at).1);
    if !request.names.contains(&name.as_str()) {
        return Err(Unfit::ForeignName(quoted(&name)));
    }
    let (asked, value) = &request.machine;
    let found = labels.iter().find(|(label, _)| label == asked);
    let found = found.map_or("", |(_, found)| found.as_str());
    if found != value {
        return Err(Unfit::ForeignMachine {
            label: asked.clone(),
            found: quoted(found),
        });
    }
    Ok(name)
}

/// Strictly increasing in time; of several samples of one instant the last one sent counts.
fn put_in_order(samples: &mut Vec<(i64, f64)>) {
    if samples.is_sorted_by(|a, b| a.0 < b.0) {
        return;
    }
    // A stable sort, so that "last" still means "last sent".
    samples.sort_by_key(|(ts, _)| *ts);
    samples.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            kept.1 = later.1;
        }
        same
    });
}

fn quoted(text: &str) -> String {
    one_line(text.as_bytes())
}

#[cfg(test)]
mod tests;
