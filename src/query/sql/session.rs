//! The session of one query: a catalog with the tables of one view, the functions of a list, a memory
//! pool and room on disk of its own, and nothing else.

use super::functions::{self, ConcatPlanner};
use super::held::HeldRule;
use super::progress::Progress;
use super::provider::{self, CATALOG, SCHEMA};
use super::runs::RunsRule;
use super::{failure, guard};
use crate::archive::scan::ScanView;
use crate::error::{Error, Result};
use crate::limits;
use datafusion::common::{DataFusionError, Result as DfResult, plan_err};
use datafusion::execution::SessionState;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SessionStateBuilder, SessionStateDefaults};
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::object_store::ObjectStore;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// A registry without a store: nothing outside of the archive can be named.
#[derive(Debug)]
struct NoStores;

impl ObjectStoreRegistry for NoStores {
    fn register_store(
        &self,
        _url: &Url,
        _store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, _url: &Url) -> DfResult<Arc<dyn ObjectStore>> {
        plan_err!("a query reads the tables of the archive and nothing else")
    }
}

fn runtime(spill: PathBuf, memory: usize) -> DfResult<Arc<RuntimeEnv>> {
    let disk = DiskManagerBuilder::default()
        .with_mode(DiskManagerMode::Directories(vec![spill]))
        .with_max_temp_directory_size(limits::SQL_SPILL_BYTES_MAX);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(memory)))
        .with_disk_manager_builder(disk)
        .with_object_store_registry(Arc::new(NoStores))
        .build_arc()
}

/// A session over a view.
pub(super) fn session(
    view: &Arc<ScanView>,
    progress: &Arc<Progress>,
    spill: PathBuf,
    partitions: usize,
) -> Result<SessionState> {
    build(view, progress, spill, partitions).map_err(failure::of)
}

fn build(
    view: &Arc<ScanView>,
    progress: &Arc<Progress>,
    spill: PathBuf,
    partitions: usize,
) -> DfResult<SessionState> {
    let mut config = SessionConfig::new()
        .with_target_partitions(partitions)
        .with_batch_size(limits::SQL_BATCH_ROWS)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false);
    let options = config.options_mut();
    options.execution.time_zone = Some("UTC".to_owned());
    options.execution.enable_recursive_ctes = false;
    options.sql_parser.collect_spans = true;
    options.sql_parser.map_string_types_to_utf8view = true;
    let functions = functions::scalar();
    let concat = functions.iter().find(|own| own.name() == "concat").cloned();
    let mut planners: Vec<Arc<dyn ExprPlanner>> = Vec::new();
    if let Some(concat) = concat {
        planners.push(Arc::new(ConcatPlanner(concat)));
    }
    planners.extend(SessionStateDefaults::default_expr_planners());
    Ok(SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime(spill, limits::SQL_MEMORY_BYTES)?)
        .with_catalog_list(provider::catalog(view, progress)?)
        .with_expr_planners(planners)
        .with_scalar_functions(functions)
        .with_aggregate_functions(functions::aggregates())
        .with_window_functions(functions::windows())
        .with_physical_optimizer_rule(Arc::new(RunsRule))
        .with_physical_optimizer_rule(Arc::new(HeldRule))
        .build())
}

/// The plan of a query.
///
/// # Errors
/// `Invalid` if it is no query, or asks for what is not there.
pub(super) async fn plan(state: &SessionState, sql: &str) -> Result<Arc<dyn ExecutionPlan>> {
    let statement = guard::parse(sql)?;
    let logical = state
        .statement_to_plan(statement)
        .await
        .map_err(failure::of)?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&logical)
        .map_err(|error: DataFusionError| {
            Error::invalid("sql_not_a_query", "a query only reads").with_source(error)
        })?;
    state
        .create_physical_plan(&logical)
        .await
        .map_err(failure::of)
}
