//! Questions of the fleet page: trends, top lists, the hours of a week.
//!
//! Each is some SQL statements built from typed parameters and answered by [`Engine`], with the
//! same limits and the same [`Scope`] as everybody's SQL; the statement stands in the answer, so that
//! a reader can take it further. Called by `http`.

mod filter;
mod grouping;
mod heatmap;
mod measure;
mod rows;
mod top;
mod trends;

pub use filter::FleetFilter;
pub use grouping::GroupBy;
pub use heatmap::{HeatCell, Heatmap, HeatmapRequest};
pub use measure::Aggregate;
pub use top::{Top, TopRequest, TopRow, TopWhat};
pub use trends::{Trend, TrendPoint, TrendRequest, TrendSeries};

use super::sql::{Engine, QueryLimits, took_too_long};
use crate::error::Result;
#[cfg(doc)]
use crate::limits;
use crate::model::scope::Scope;
use arrow_array::RecordBatch;
use grouping::Group;
use std::collections::BTreeMap;

/// Parameters that select a group in other questions, by name. A value that jobs do not say cannot be
/// selected and is left out.
pub type Filters = BTreeMap<&'static str, String>;

fn group_filters(by: GroupBy, group: &Group) -> Filters {
    let named = by.columns().iter().zip(group);
    named
        .filter_map(|((name, _), value)| Some((*name, value.clone()?)))
        .collect()
}

/// Answers questions of the fleet.
#[derive(Debug, Clone)]
pub struct Fleet {
    engine: Engine,
}

impl Fleet {
    /// Asks `engine`.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        Self { engine }
    }

    /// A number of jobs over time. Over many jobs it is asked piece by piece ([`limits::TREND_PIECE_JOBS`]),
    /// all of one view of the archive.
    ///
    /// # Errors
    /// `Invalid` for an unknown metric, or if it takes too long; `Overloaded` if too many questions run or
    /// one needs too much; `Data`, `Unavailable` from the archive.
    pub async fn trend(&self, scope: Scope, request: TrendRequest) -> Result<Trend> {
        let plan = trends::Plan::new(request)?;
        // The time of one question, however many pieces it has.
        let time = QueryLimits::default().time;
        let trend = tokio::time::timeout(time, self.trend_of(scope, plan)).await;
        trend.map_err(|_| took_too_long(time))?
    }

    async fn trend_of(&self, scope: Scope, plan: trends::Plan) -> Result<Trend> {
        let view = self.engine.view(scope).await?;
        let ask = async |sql| {
            let answer = self.engine.run_in(&view, sql, QueryLimits::default());
            answer.await?.collect().await
        };
        let whole = plan.finished();
        let (groups, truncated) = match plan.groups_sql() {
            Some(sql) => plan.groups(&ask(sql).await?)?,
            None => (vec![Group::new()], false),
        };
        if groups.is_empty() {
            return plan.trend(&[], false, plan.sql(&[], whole), &[]);
        }
        let mut answer = Vec::new();
        for piece in plan.pieces(&view.jobs_by_date(plan.dates())) {
            answer.append(&mut ask(plan.sql(&groups, piece)).await?);
        }
        let sql = plan.sql(&groups, whole);
        plan.trend(&groups, truncated, sql, &answer)
    }

    /// Groups in falling order of what they hold or waste.
    ///
    /// # Errors
    /// As [`Fleet::trend`].
    pub async fn top(&self, scope: Scope, request: TopRequest) -> Result<Top> {
        let sql = request.sql();
        let answer = self.ask(scope, &sql).await?;
        request.top(sql, &answer)
    }

    /// A number of jobs for each hour of the week.
    ///
    /// # Errors
    /// As [`Fleet::trend`].
    pub async fn heatmap(&self, scope: Scope, request: HeatmapRequest) -> Result<Heatmap> {
        let plan = heatmap::Plan::new(request)?;
        let sql = plan.sql();
        let answer = self.ask(scope, &sql).await?;
        plan.heatmap(sql, &answer)
    }

    async fn ask(&self, scope: Scope, sql: &str) -> Result<Vec<RecordBatch>> {
        let limits = QueryLimits::default();
        let answer = self.engine.run(scope, sql.to_owned(), limits);
        answer.await?.collect().await
    }
}
