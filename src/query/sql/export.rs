//! Exports: a slice of a table of any size, as a stream of bytes.
//!
//! Date by date, each one query and one consistent view; nothing is held but the batch that is being
//! written. A reader that was cut off goes on from the last date that it has. Called by `http`.

use super::spell::literal;
use super::writer::{TableFormat, TableWriter};
use super::{Engine, QueryLimits};
use crate::error::{Error, Result};
use crate::limits;
use crate::model::scope::Scope;
use crate::time::Date;
use datafusion::arrow::datatypes::SchemaRef;
use futures::StreamExt as _;
use std::ops::Range;
use tokio::sync::mpsc;

/// What can be exported: the tables and views of SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ExportTable {
    Jobs,
    Samples,
    JobSamples,
    JobMetrics,
    Sections,
}

impl ExportTable {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Jobs,
        Self::Samples,
        Self::JobSamples,
        Self::JobMetrics,
        Self::Sections,
    ];

    /// Its name in SQL.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Samples => "samples",
            Self::JobSamples => "job_samples",
            Self::JobMetrics => "job_metrics",
            Self::Sections => "sections",
        }
    }

    /// The one of that name.
    ///
    /// # Errors
    /// `Invalid` for a name that is none.
    pub fn by_name(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|known| known.name() == name);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            let message = format!("table {name:?} is unknown; known are: {known}");
            Error::invalid("unknown_table", message)
        })
    }
}

/// A slice of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    /// Which table.
    pub table: ExportTable,
    /// Dates on which jobs finished (UTC), half-open.
    pub dates: Range<Date>,
    /// Path of a project; all that may be seen if absent.
    pub project: Option<String>,
}

impl ExportRequest {
    fn dates_sql(&self) -> String {
        format!(
            "select distinct date from jobs where {} order by date",
            self.condition()
        )
    }

    fn sql(&self, date: Date) -> String {
        format!(
            "select * from {} where date = date '{date}' and {}",
            self.table.name(),
            self.own()
        )
    }

    fn condition(&self) -> String {
        format!(
            "date >= date '{}' and date < date '{}' and {}",
            self.dates.start,
            self.dates.end,
            self.of_project()
        )
    }

    /// The rows of the project. Samples know its key alone.
    fn own(&self) -> String {
        match (self.table, &self.project) {
            (ExportTable::Samples, Some(_)) => format!(
                "project_key in (select project_key from jobs where {})",
                self.condition()
            ),
            _ => self.of_project(),
        }
    }

    fn of_project(&self) -> String {
        match &self.project {
            Some(path) => format!("project = {}", literal(path)),
            None => "true".to_owned(),
        }
    }
}

/// Bytes of an export, piece by piece.
type Pieces = mpsc::Receiver<Result<Vec<u8>>>;

impl Engine {
    /// Writes a slice of a table. The pieces come as they are ready; dropping their receiver stops it.
    ///
    /// # Errors
    /// As [`Engine::run`]; what goes wrong later stands in place of a piece.
    pub async fn export(
        &self,
        scope: Scope,
        request: ExportRequest,
        format: TableFormat,
    ) -> Result<Pieces> {
        let limits = QueryLimits {
            time: limits::EXPORT_DATE_TIME_MAX,
            rows: u64::MAX,
            bytes: u64::MAX,
        };
        let list = self.run(scope.clone(), request.dates_sql(), limits).await?;
        let dates = dates(&list.collect().await?)?;
        let none = format!("select * from {} where false", request.table.name());
        let schema = self.run(scope.clone(), none, limits).await?.schema();
        let (sender, pieces) = mpsc::channel(2);
        let task = Task {
            engine: self.clone(),
            scope,
            request,
            limits,
            sender,
        };
        self.pool.spawn(async move {
            let sender = task.sender.clone();
            if let Err(error) = task.run(&dates, &schema, format).await {
                let _gone = sender.send(Err(error)).await;
            }
        });
        Ok(pieces)
    }
}

/// The dates in the only column of an answer.
fn dates(answer: &[datafusion::arrow::array::RecordBatch]) -> Result<Vec<Date>> {
    use datafusion::arrow::array::AsArray as _;
    use datafusion::arrow::datatypes::Date32Type;
    let mut all = Vec::new();
    for batch in answer {
        let column = batch.columns().first();
        let column = column.and_then(|column| column.as_primitive_opt::<Date32Type>());
        let column = column.ok_or_else(|| Error::internal("an answer of dates has no dates"))?;
        all.extend(column.iter().flatten().map(Date));
    }
    Ok(all)
}

/// An export under way.
struct Task {
    engine: Engine,
    scope: Scope,
    request: ExportRequest,
    limits: QueryLimits,
    sender: mpsc::Sender<Result<Vec<u8>>>,
}

impl Task {
    async fn run(&self, dates: &[Date], schema: &SchemaRef, format: TableFormat) -> Result<()> {
        let mut writer = TableWriter::new(format, schema)?;
        for date in dates {
            let sql = self.request.sql(*date);
            let mut answer = self
                .engine
                .run(self.scope.clone(), sql, self.limits)
                .await?;
            while let Some(batch) = answer.next().await {
                if !self.send(writer.write(&batch?)?).await {
                    return Ok(());
                }
            }
        }
        self.send(writer.finish()?).await;
        Ok(())
    }

    /// Says whether the reader is still there.
    async fn send(&self, bytes: Vec<u8>) -> bool {
        bytes.is_empty() || self.sender.send(Ok(bytes)).await.is_ok()
    }
}
