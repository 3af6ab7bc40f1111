//! Questions of the fleet: trends, top lists, the hours of a week.
#![expect(
    unused_qualifications,
    reason = "utoipa's macro qualifies the parameters' type"
)]

use super::fleet_body::{HeatmapBody, TopBody, TrendBody};
use super::jobs::query_time;
use crate::error::{Error, Result};
use crate::http::extract::Params2;
use crate::http::problem::{ApiError, Problem};
use crate::http::router::Services;
use crate::limits;
use crate::model::scope::Scope;
use crate::query::fleet::{
    Aggregate, FleetFilter, GroupBy, HeatmapRequest, TopRequest, TopWhat, TrendRequest,
};
use crate::time::{Clock, TimeRange};
use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use std::ops::RangeInclusive;
use utoipa::IntoParams;

/// The range of a question that names none, in days: what a person means by "lately".
const DAYS: i64 = 30;
/// Lines of a trend and rows of a top list unless `limit` says otherwise.
const LIMIT: usize = 10;
/// Width of a bucket: from a minute to a year.
const BUCKET_SECONDS: RangeInclusive<i64> = 60..=366 * 86_400;
/// Local time is at most 14 hours ahead of UTC, and 12 behind.
const TZ_OFFSET_MINUTES: RangeInclusive<i64> = -12 * 60..=14 * 60;

/// Which jobs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct FleetParams {
    /// Jobs that finished from here on: Unix ms or RFC 3339; 30 days before `to` if absent.
    from: Option<String>,
    /// Jobs that finished before: Unix ms or RFC 3339; now if absent.
    to: Option<String>,
    source: Option<String>,
    /// Path of a project.
    project: Option<String>,
    /// Name of a job.
    name: Option<String>,
    #[serde(rename = "ref")]
    #[param(rename = "ref")]
    git_ref: Option<String>,
    /// Runner id.
    runner: Option<String>,
    machine: Option<String>,
    machine_type: Option<String>,
    region: Option<String>,
    status: Option<String>,
}

impl FleetParams {
    fn filter(self, clock: &dyn Clock) -> Result<FleetFilter> {
        let to = query_time("to", self.to.as_deref())?.unwrap_or_else(|| clock.now());
        let from = query_time("from", self.from.as_deref())?;
        let from = from.unwrap_or_else(|| to.plus_ms(-DAYS * 86_400_000));
        if to <= from {
            let message = "`to` must be behind `from`";
            return Err(Error::invalid("invalid_range", message));
        }
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(FleetFilter {
            finished: TimeRange::new(from, to),
            source: given(self.source),
            project: given(self.project),
            name: given(self.name),
            git_ref: given(self.git_ref),
            runner: given(self.runner),
            machine: given(self.machine),
            machine_type: given(self.machine_type),
            region: given(self.region),
            status: given(self.status),
        })
    }
}

fn limit(asked: Option<usize>) -> Result<usize> {
    let limit = asked.unwrap_or(LIMIT);
    if (1..=limits::FLEET_GROUPS_MAX).contains(&limit) {
        return Ok(limit);
    }
    let message = format!("limit must be 1 to {}", limits::FLEET_GROUPS_MAX);
    Err(Error::invalid("invalid_query", message))
}

/// What a trend shows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct TrendParams {
    /// One number per job: a statistic of a metric (`memory_used_bytes_p95`), a metric alone (its peak,
    /// or its mean for rates), `jobs`, `duration_seconds`, `queued_seconds`, `cpu_used_seconds`,
    /// `coverage`, `core_hours`, `gib_hours` or `cost`.
    metric: String,
    /// How jobs become one number: mean, p50, p95, p99, min, max, sum, count; several by commas, the
    /// first is the main one. p95 if absent.
    stat: Option<String>,
    /// A line for each: none, project, name, ref, runner, machine, machine_type, region, status.
    by: Option<String>,
    /// Width of a bucket: seconds, `1h`, `1d`, `7d`, `30d`, or `auto`.
    bucket: Option<String>,
    /// Lines at most, 1 to 100: the groups with the most jobs. 10 if absent.
    limit: Option<usize>,
}

fn bucket_seconds(text: Option<&str>) -> Result<Option<i64>> {
    let text = text.unwrap_or("auto");
    if text == "auto" || text.is_empty() {
        return Ok(None);
    }
    let digits = text.trim_end_matches(char::is_alphabetic);
    let unit = match text.strip_prefix(digits) {
        Some("" | "s") => Some(1),
        Some("m") => Some(60),
        Some("h") => Some(3_600),
        Some("d") => Some(86_400),
        _ => None,
    };
    let seconds = unit.and_then(|unit| digits.parse::<i64>().ok()?.checked_mul(unit));
    let seconds = seconds.filter(|seconds| BUCKET_SECONDS.contains(seconds));
    seconds.map(Some).ok_or_else(|| {
        Error::invalid(
            "invalid_query",
            "bucket must be auto, or a width from a minute to a year such as 3600, 1h or 7d",
        )
    })
}

/// A number of jobs over time, per group.
///
/// Buckets without jobs have no point. Jobs belong to the bucket in which they finished.
#[utoipa::path(
    get, path = "/api/v1/trends", tag = "fleet", params(TrendParams, FleetParams),
    responses(
        (status = 200, body = TrendBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "too many questions at once", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn trends(
    State(services): State<Services>,
    Params2(params, fleet): Params2<TrendParams, FleetParams>,
) -> Result<Json<TrendBody>, ApiError> {
    let filter = fleet.filter(services.clock.as_ref())?;
    let request = TrendRequest {
        stats: Aggregate::list(params.stat.as_deref().unwrap_or("p95"))?,
        by: GroupBy::by_name(params.by.as_deref().unwrap_or("none"))?,
        bucket_seconds: bucket_seconds(params.bucket.as_deref())?,
        limit: limit(params.limit)?,
        metric: params.metric,
        filter,
    };
    let trend = services
        .fleet
        .trend(Scope::local_operator(), request.clone())
        .await?;
    Ok(Json(TrendBody::new(request, trend)))
}

/// What a top list shows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct TopParams {
    /// core_hours, gib_hours, cost: what jobs held. wasted_core_hours, wasted_gib_hours, wasted_cost: what
    /// of it they did not use, in the time that samples cover. duration_hours, jobs.
    what: String,
    /// A row for each: project, name, ref, runner, machine, machine_type, region, status, none.
    /// project if absent.
    by: Option<String>,
    /// Rows at most, 1 to 100. 10 if absent.
    limit: Option<usize>,
}

/// Who uses the machines, and who wastes them.
///
/// Jobs of which the value is not known (no samples, no price) do not count in it; `measured` says how
/// many do. Usage is the machine's: jobs that shared one are counted in `shared`.
#[utoipa::path(
    get, path = "/api/v1/top", tag = "fleet", params(TopParams, FleetParams),
    responses(
        (status = 200, body = TopBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "too many questions at once", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn top(
    State(services): State<Services>,
    Params2(params, fleet): Params2<TopParams, FleetParams>,
) -> Result<Json<TopBody>, ApiError> {
    let request = TopRequest {
        what: TopWhat::by_name(&params.what)?,
        by: GroupBy::by_name(params.by.as_deref().unwrap_or("project"))?,
        filter: fleet.filter(services.clock.as_ref())?,
        limit: limit(params.limit)?,
    };
    let (what, by) = (request.what, request.by);
    let top = services.fleet.top(Scope::local_operator(), request).await?;
    Ok(Json(TopBody::new(what, by, top)))
}

/// What a heat map shows.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct HeatmapParams {
    /// As in a trend.
    metric: String,
    /// How jobs become one number; p95 if absent.
    stat: Option<String>,
    /// Minutes that local time is ahead of UTC; 0 if absent.
    tz_offset_minutes: Option<i64>,
}

/// A number of jobs for each hour of the week in which they started.
#[utoipa::path(
    get, path = "/api/v1/heatmap", tag = "fleet", params(HeatmapParams, FleetParams),
    responses(
        (status = 200, body = HeatmapBody),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "too many questions at once", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn heatmap(
    State(services): State<Services>,
    Params2(params, fleet): Params2<HeatmapParams, FleetParams>,
) -> Result<Json<HeatmapBody>, ApiError> {
    let stats = Aggregate::list(params.stat.as_deref().unwrap_or("p95"))?;
    let [stat] = stats[..] else {
        let message = "a heat map shows one stat";
        return Err(Error::invalid("invalid_query", message).into());
    };
    let tz_offset_minutes = params.tz_offset_minutes.unwrap_or(0);
    if !TZ_OFFSET_MINUTES.contains(&tz_offset_minutes) {
        let message = "tz_offset_minutes must be -720 to 840";
        return Err(Error::invalid("invalid_query", message).into());
    }
    let request = HeatmapRequest {
        metric: params.metric.clone(),
        stat,
        tz_offset_minutes,
        filter: fleet.filter(services.clock.as_ref())?,
    };
    let heatmap = services
        .fleet
        .heatmap(Scope::local_operator(), request)
        .await?;
    Ok(Json(HeatmapBody::new(params.metric, stat, heatmap)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_have_units_and_bounds() {
        let width = |text| bucket_seconds(Some(text)).ok();
        assert_eq!(width("auto"), Some(None));
        assert_eq!(width("3600"), Some(Some(3_600)));
        assert_eq!(width("1h"), Some(Some(3_600)));
        assert_eq!(width("7d"), Some(Some(604_800)));
        for wrong in ["5", "1w", "h", "-1d", "9999999999999999d", "1 d", "400d"] {
            assert_eq!(width(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(limit(None).unwrap(), LIMIT);
        assert!(limit(Some(0)).is_err() && limit(Some(limits::FLEET_GROUPS_MAX + 1)).is_err());
    }
}
