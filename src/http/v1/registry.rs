//! Regions and runners.

use crate::error::Result;
use crate::http::extract::Json as Body;
use crate::http::problem::{ApiError, Problem};
use crate::http::router::Services;
use crate::model::id::{RegionName, RunnerId, Source};
use crate::model::registry::{Entry, Origin};
use crate::model::runner::{BasicAuth, HIDDEN, Preset, Region, RegionKind, Runner, RunnerRef};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A region's registration.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"url": "http://127.0.0.1:9090", "kind": "auto"}))]
pub struct RegionBody {
    /// Base URL of the metrics server, http or https.
    url: String,
    /// prometheus, victoriametrics or auto.
    #[serde(default)]
    #[schema(value_type = String)]
    kind: RegionKind,
    /// Extra request headers. Values are not given back.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// File on the service's machine with a bearer token.
    #[serde(default)]
    bearer_token_file: Option<String>,
    /// User and password, instead of a bearer token.
    #[serde(default)]
    basic_auth: Option<BasicAuthBody>,
    /// PEM file on the service's machine with further authorities for its certificate.
    #[serde(default)]
    ca_file: Option<String>,
    /// Learnt from the data if absent.
    #[serde(default)]
    scrape_interval_seconds: Option<f64>,
    /// Asked from the server if absent.
    #[serde(default)]
    retention_seconds: Option<f64>,
    /// `api` if it was put, `config` if the configuration declares it. Not looked at in a PUT.
    #[serde(default)]
    #[schema(read_only)]
    origin: Option<String>,
    /// Where in the configuration it stands. Not looked at in a PUT.
    #[serde(default)]
    #[schema(read_only)]
    origin_place: Option<String>,
}

/// Credentials of HTTP's basic authentication.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BasicAuthBody {
    /// User's name.
    username: String,
    /// File on the service's machine with the password.
    password_file: String,
}

/// The two fields that tell where a registration comes from.
fn told(origin: &Origin) -> (Option<String>, Option<String>) {
    match origin {
        Origin::Api => (Some("api".to_owned()), None),
        Origin::Config(place) => (Some("config".to_owned()), Some(place.to_string())),
    }
}

impl From<RegionBody> for Region {
    fn from(body: RegionBody) -> Self {
        Self {
            url: body.url,
            kind: body.kind,
            headers: body.headers,
            bearer_token_file: body.bearer_token_file,
            basic_auth: body.basic_auth.map(|auth| BasicAuth {
                username: auth.username,
                password_file: auth.password_file,
            }),
            ca_file: body.ca_file,
            scrape_interval_seconds: body.scrape_interval_seconds,
            retention_seconds: body.retention_seconds,
        }
    }
}

impl From<Entry<Region>> for RegionBody {
    /// Header values may be secrets, so they stay inside.
    fn from(entry: Entry<Region>) -> Self {
        let region = entry.value;
        let hidden = |(name, _): (String, String)| (name, HIDDEN.to_owned());
        let (origin, origin_place) = told(&entry.origin);
        Self {
            url: region.url,
            kind: region.kind,
            headers: region.headers.into_iter().map(hidden).collect(),
            bearer_token_file: region.bearer_token_file,
            basic_auth: region.basic_auth.map(|auth| BasicAuthBody {
                username: auth.username,
                password_file: auth.password_file,
            }),
            ca_file: region.ca_file,
            scrape_interval_seconds: region.scrape_interval_seconds,
            retention_seconds: region.retention_seconds,
            origin,
            origin_place,
        }
    }
}

/// A runner's registration.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"region": "eu-1", "machine_label": "instance", "machine_value": "{machine}:9100"}))]
pub struct RunnerBody {
    /// The region whose Prometheus knows its machines.
    region: String,
    /// Label that names the machine there; `instance` if absent.
    #[serde(default)]
    machine_label: Option<String>,
    /// Value of that label, with `{machine}` for the machine's name; `{machine}:9100` if absent.
    #[serde(default)]
    machine_value: Option<String>,
    /// Which series make a profile.
    #[serde(default)]
    #[schema(value_type = String)]
    preset: Preset,
    /// For reports.
    #[serde(default)]
    machine_type: Option<String>,
    /// Price of one machine per hour.
    #[serde(default)]
    price_per_hour: Option<f64>,
    /// `api` if it was put, `config` if the configuration declares it. Not looked at in a PUT.
    #[serde(default)]
    #[schema(read_only)]
    origin: Option<String>,
    /// Where in the configuration it stands. Not looked at in a PUT.
    #[serde(default)]
    #[schema(read_only)]
    origin_place: Option<String>,
}

impl RunnerBody {
    fn into_runner(self) -> Result<Runner> {
        let region = RegionName::parse(&self.region)?;
        Ok(Runner {
            preset: self.preset,
            machine_type: self.machine_type,
            price_per_hour: self.price_per_hour,
            ..Runner::new(region, self.machine_label, self.machine_value)
        })
    }
}

impl From<Entry<Runner>> for RunnerBody {
    fn from(entry: Entry<Runner>) -> Self {
        let runner = entry.value;
        let (origin, origin_place) = told(&entry.origin);
        Self {
            region: runner.region.to_string(),
            machine_label: Some(runner.machine_label),
            machine_value: Some(runner.machine_value),
            preset: runner.preset,
            machine_type: runner.machine_type,
            price_per_hour: runner.price_per_hour,
            origin,
            origin_place,
        }
    }
}

/// All regions by name.
#[utoipa::path(get, path = "/api/v1/regions", tag = "registry", responses((status = 200, body = BTreeMap<String, RegionBody>)))]
pub(in crate::http) async fn list_regions(
    State(services): State<Services>,
) -> Result<Json<BTreeMap<String, RegionBody>>, ApiError> {
    let regions = services.query.regions().await?;
    Ok(Json(
        regions
            .into_iter()
            .map(|(name, region)| (name.to_string(), region.into()))
            .collect(),
    ))
}

/// A region.
#[utoipa::path(
    get, path = "/api/v1/regions/{name}", tag = "registry", params(("name" = String, Path)),
    responses((status = 200, body = RegionBody), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
pub(in crate::http) async fn get_region(
    State(services): State<Services>,
    Path(name): Path<String>,
) -> Result<Json<RegionBody>, ApiError> {
    let region = services.query.region(RegionName::parse(&name)?).await?;
    Ok(Json(region.into()))
}

/// Register a region or replace it. Jobs that waited for it go on.
#[utoipa::path(
    put, path = "/api/v1/regions/{name}", tag = "registry", params(("name" = String, Path)), request_body = RegionBody,
    responses((status = 204, description = "durable"), (status = 400, body = Problem, content_type = "application/problem+json"))
)]
pub(in crate::http) async fn put_region(
    State(services): State<Services>,
    Path(name): Path<String>,
    Body(body): Body<RegionBody>,
) -> Result<StatusCode, ApiError> {
    services
        .intake
        .put_region(RegionName::parse(&name)?, body.into())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a region that was put. What the configuration declares is removed there.
#[utoipa::path(
    delete, path = "/api/v1/regions/{name}", tag = "registry", params(("name" = String, Path)),
    responses((status = 204, description = "durable"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"))
)]
pub(in crate::http) async fn delete_region(
    State(services): State<Services>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    services
        .intake
        .delete_region(RegionName::parse(&name)?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn runner_ref(source: &str, runner_id: &str) -> Result<RunnerRef> {
    Ok(RunnerRef {
        source: Source::parse(source)?,
        runner_id: RunnerId::parse(runner_id)?,
    })
}

/// All runners of a source by id: those that were put, and those that a rule of the configuration
/// names by id.
#[utoipa::path(
    get, path = "/api/v1/runners/{source}", tag = "registry", params(("source" = String, Path)),
    responses((status = 200, body = BTreeMap<String, RunnerBody>))
)]
pub(in crate::http) async fn list_runners(
    State(services): State<Services>,
    Path(source): Path<String>,
) -> Result<Json<BTreeMap<String, RunnerBody>>, ApiError> {
    let runners = services.query.runners(Source::parse(&source)?).await?;
    let by_id = runners
        .into_iter()
        .map(|(id, runner)| (id.to_string(), runner.into()));
    Ok(Json(by_id.collect()))
}

/// A runner: as it was put, else as a rule of the configuration names it by its id.
#[utoipa::path(
    get, path = "/api/v1/runners/{source}/{runner_id}", tag = "registry",
    params(("source" = String, Path), ("runner_id" = String, Path)),
    responses((status = 200, body = RunnerBody), (status = 404, body = Problem, content_type = "application/problem+json"))
)]
pub(in crate::http) async fn get_runner(
    State(services): State<Services>,
    Path((source, runner_id)): Path<(String, String)>,
) -> Result<Json<RunnerBody>, ApiError> {
    let runner = services
        .query
        .runner(runner_ref(&source, &runner_id)?)
        .await?;
    Ok(Json(runner.into()))
}

/// Register a runner or replace it. Jobs that waited for it go on.
#[utoipa::path(
    put, path = "/api/v1/runners/{source}/{runner_id}", tag = "registry",
    params(("source" = String, Path), ("runner_id" = String, Path)), request_body = RunnerBody,
    responses((status = 204, description = "durable"), (status = 400, body = Problem, content_type = "application/problem+json"))
)]
pub(in crate::http) async fn put_runner(
    State(services): State<Services>,
    Path((source, runner_id)): Path<(String, String)>,
    Body(body): Body<RunnerBody>,
) -> Result<StatusCode, ApiError> {
    services
        .intake
        .put_runner(runner_ref(&source, &runner_id)?, body.into_runner()?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a runner that was put. What the configuration declares is removed there.
#[utoipa::path(
    delete, path = "/api/v1/runners/{source}/{runner_id}", tag = "registry",
    params(("source" = String, Path), ("runner_id" = String, Path)),
    responses((status = 204, description = "durable"), (status = 404, body = Problem, content_type = "application/problem+json"), (status = 409, body = Problem, content_type = "application/problem+json"))
)]
pub(in crate::http) async fn delete_runner(
    State(services): State<Services>,
    Path((source, runner_id)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    services
        .intake
        .delete_runner(runner_ref(&source, &runner_id)?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
