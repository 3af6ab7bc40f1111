//! One read: the way to ask, the window in as many parts as the server needs, and one verified answer.

use super::client::Client;
use super::fault::{Class, Denial};
use super::ladder::{Ladder, Slot, Step};
use super::series::{self, Unfit};
use super::site::Site;
use super::{export, remote_read, select, selector};
use crate::limits;
use crate::source_port::{RawSeries, SeriesRequest, SourceError, SourceErrorKind};
use crate::time::TimeRange;

/// All samples of the requested series in the window.
///
/// # Errors
/// As [`SourceErrorKind`] says.
pub(super) async fn read(
    client: &Client,
    ladder: &Ladder,
    request: &SeriesRequest,
) -> Result<Vec<RawSeries>, SourceError> {
    let site = Site::new(&request.region_name, &request.region)?;
    select::check(request).map_err(|what| site.error(SourceErrorKind::Invalid, what))?;
    if request.range.is_empty() {
        // An inclusive range cannot say "nothing"; the server would call it an error.
        return Ok(Vec::new());
    }
    let slot = ladder.slot(&request.region_name, &request.region);
    let attempt = |step| whole(client, &site, &slot, step, request);
    ladder.climb(&slot, attempt).await
}

/// The whole window, in halves of halves where the server says that it is too much at once.
async fn whole(
    client: &Client,
    site: &Site<'_>,
    slot: &Slot,
    step: Step,
    request: &SeriesRequest,
) -> Result<Vec<RawSeries>, Denial> {
    let invalid = |unfit: Unfit| site.error(SourceErrorKind::Invalid, unfit);
    // The next part to read is the last one.
    let mut open = vec![(request.range, 0)];
    let mut parts = Vec::new();
    while let Some((range, depth)) = open.pop() {
        let part = SeriesRequest {
            range,
            ..request.clone()
        };
        let answer = match step {
            Step::RemoteRead => remote_read::read(client, site, slot, &part).await,
            Step::Export => export::read(client, site, &part).await,
            Step::Selector => selector::read(client, site, &part).await,
        };
        match answer {
            Ok(series) => {
                parts.extend(series);
                series::bounded(&parts).map_err(invalid)?;
            }
            Err(denial) if denial.class == Class::Split && may_split(range, depth) => {
                let middle = range.from.plus_ms(range.len_ms() / 2);
                open.push((TimeRange::new(middle, range.to), depth + 1));
                open.push((TimeRange::new(range.from, middle), depth + 1));
            }
            Err(denial) => return Err(denial),
        }
    }
    Ok(series::join(parts).map_err(invalid)?)
}

fn may_split(range: TimeRange, depth: u32) -> bool {
    depth < limits::FETCH_SPLITS_MAX && range.len_ms() >= 2 * limits::FETCH_PART_MS_MIN
}
