//! The tables of one query as DataFusion sees them, and the catalog that holds nothing else.

use super::exec::{ScanExec, ScanPlan};
use super::progress::Progress;
use super::tables::{SqlTable, TABLES};
use crate::archive::scan::ScanView;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider, SchemaProvider, Session, TableProvider,
};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use std::sync::Arc;

/// Names that tables have in full, and that nobody needs to write.
pub(super) const CATALOG: &str = "tachograph";
/// As [`CATALOG`].
pub(super) const SCHEMA: &str = "public";

/// A table over one view of the archive.
#[derive(Debug)]
struct Provider {
    table: &'static SqlTable,
    view: Arc<ScanView>,
    progress: Arc<Progress>,
}

#[async_trait::async_trait]
impl TableProvider for Provider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // A scan decides every filter row by row, so that none has to be decided once more.
        let own = |filter: &&Expr| match filter.is_volatile() || has_subquery(filter) {
            true => TableProviderFilterPushDown::Unsupported,
            false => TableProviderFilterPushDown::Exact,
        };
        Ok(filters.iter().map(own).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let filter = match conjunction(filters.to_vec()) {
            None => None,
            Some(filter) => {
                let schema = DFSchema::try_from(self.schema())?;
                Some(state.create_physical_expr(filter, &schema)?)
            }
        };
        let all = || (0..self.table.columns.len()).collect();
        let plan = ScanPlan {
            table: self.table,
            view: Arc::clone(&self.view),
            projection: projection.cloned().unwrap_or_else(all),
            filter,
            limit,
            partitions: state.config().target_partitions(),
            progress: Arc::clone(&self.progress),
        };
        Ok(Arc::new(ScanExec::new(plan)?))
    }
}

fn has_subquery(filter: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode as _;
    let is_subquery = |own: &Expr| {
        Ok(matches!(
            own,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::OuterReferenceColumn(..)
        ))
    };
    // An expression that cannot be looked at is left to DataFusion.
    filter.exists(is_subquery).unwrap_or(true)
}

/// A catalog with the tables of a view and nothing else.
pub(super) fn catalog(
    view: &Arc<ScanView>,
    progress: &Arc<Progress>,
) -> Result<Arc<dyn CatalogProviderList>> {
    let schema = MemorySchemaProvider::new();
    for table in TABLES.iter() {
        let provider = Provider {
            table,
            view: Arc::clone(view),
            progress: Arc::clone(progress),
        };
        schema.register_table(table.name.to_owned(), Arc::new(provider))?;
    }
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(SCHEMA, Arc::new(schema))?;
    let list = MemoryCatalogProviderList::new();
    list.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    Ok(Arc::new(list))
}
