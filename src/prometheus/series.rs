//! The series of an answer, whatever its form: verified, bounded, clipped, in order.

use super::select::NAME;
use super::wire::{self, Label};
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
    #[error(
        "more than {} samples match; check whether the machine's label matches more than one machine",
        limits::FETCH_SAMPLES_MAX
    )]
    TooManySamples,
    #[error(
        "the answer ends inside a frame, or a frame is damaged; check the proxy before the server"
    )]
    BadFrame,
    #[error("a chunk of samples is damaged; check the proxy before the server")]
    BadChunk,
    #[error("a chunk has the type {0}, which is not known here; update this program")]
    ChunkType(i32),
    #[error("the answer is no JSON as it was asked for; check the proxy before the server")]
    NotJson,
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

/// Whether a form of answer may bring one series in several pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pieces {
    /// Never; a second one is refused.
    One,
    /// Yes, and they belong together.
    Many,
}

/// Collects the series of one answer: the samples of a series (or of a piece of it), then its labels.
#[derive(Debug)]
pub(super) struct Gather<'a> {
    request: &'a SeriesRequest,
    pieces: Pieces,
    series: Vec<RawSeries>,
    /// Samples in `series`.
    count: usize,
    /// Samples of the series whose labels are still to come.
    open: Vec<(i64, f64)>,
}

impl<'a> Gather<'a> {
    pub(super) fn new(request: &'a SeriesRequest, pieces: Pieces) -> Self {
        Self {
            request,
            pieces,
            series: Vec::new(),
            count: 0,
            open: Vec::new(),
        }
    }

    /// Takes a sample, if it is in the window: servers may answer whole chunks.
    ///
    /// # Errors
    /// If there are too many.
    pub(super) fn sample(&mut self, ts: i64, value: f64) -> Result<(), Unfit> {
        if self.request.range.contains(TimestampMs(ts)) {
            if self.count + self.open.len() >= limits::FETCH_SAMPLES_MAX {
                return Err(Unfit::TooManySamples);
            }
            self.open.push((ts, value));
        }
        Ok(())
    }

    /// Ends the series with all its labels, the name among them.
    ///
    /// # Errors
    /// If there are too many, or if this one was not asked for.
    pub(super) fn labels(&mut self, mut labels: Vec<(String, String)>) -> Result<(), Unfit> {
        let name = verify(&mut labels, self.request)?;
        let mut samples = std::mem::take(&mut self.open);
        self.count += samples.len();
        if self.pieces == Pieces::Many
            && let Some(last) = self.series.last_mut()
            && last.name == name
            && last.labels == labels
        {
            last.samples.append(&mut samples);
            return Ok(());
        }
        if self.series.len() == limits::SERIES_MAX {
            return Err(Unfit::TooManySeries);
        }
        self.series.push(RawSeries {
            name,
            labels,
            samples,
        });
        Ok(())
    }

    /// The series, sorted by name and labels; those without a sample are left out.
    ///
    /// # Errors
    /// If one came twice and must not.
    pub(super) fn finish(self) -> Result<Vec<RawSeries>, Unfit> {
        match self.pieces {
            Pieces::One => joined(self.series, |kept, _| {
                Err(Unfit::RepeatedSeries(quoted(&kept.name)))
            }),
            Pieces::Many => joined(self.series, append),
        }
    }
}

/// Whether the answers for parts of a window are not too much together.
///
/// # Errors
/// If they are.
pub(super) fn bounded(parts: &[RawSeries]) -> Result<(), Unfit> {
    let count: usize = parts.iter().map(|series| series.samples.len()).sum();
    if count > limits::FETCH_SAMPLES_MAX {
        return Err(Unfit::TooManySamples);
    }
    Ok(())
}

/// The answers for the parts of a window as the answer for the whole.
///
/// # Errors
/// If there are too many series.
pub(super) fn join(parts: Vec<RawSeries>) -> Result<Vec<RawSeries>, Unfit> {
    let whole = joined(parts, append)?;
    if whole.len() > limits::SERIES_MAX {
        return Err(Unfit::TooManySeries);
    }
    Ok(whole)
}

fn append(kept: &mut RawSeries, mut later: RawSeries) -> Result<(), Unfit> {
    kept.samples.append(&mut later.samples);
    Ok(())
}

/// Sorts by name and labels, lets `same` decide about equal ones, and puts the samples in order.
fn joined(
    mut series: Vec<RawSeries>,
    same: impl Fn(&mut RawSeries, RawSeries) -> Result<(), Unfit>,
) -> Result<Vec<RawSeries>, Unfit> {
    // Stable, so that pieces of one series stay in the order in which they were sent.
    series.sort_by(|a, b| (&a.name, &a.labels).cmp(&(&b.name, &b.labels)));
    let mut all: Vec<RawSeries> = Vec::with_capacity(series.len());
    for next in series {
        match all.last_mut() {
            Some(kept) if kept.name == next.name && kept.labels == next.labels => {
                same(kept, next)?;
            }
            _ => all.push(next),
        }
    }
    for series in &mut all {
        put_in_order(&mut series.samples);
    }
    all.retain(|series| !series.samples.is_empty());
    Ok(all)
}

/// Decodes a label into the labels of its series.
///
/// # Errors
/// If it is none, or one too many.
pub(super) fn push_label(bytes: &[u8], labels: &mut Vec<(String, String)>) -> Result<(), Unfit> {
    if labels.len() == limits::LABELS_MAX {
        return Err(Unfit::TooManyLabels);
    }
    let label = Label::decode(bytes)?;
    labels.push((label.name, label.value));
    Ok(())
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
