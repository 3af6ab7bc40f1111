//! SQL over the archive, read-only by construction.
//!
//! Called by `http` and `cli`, and by every question over many jobs. [`Engine::run`] gives the answer
//! as a stream of batches; a query has a session of its own (`session`), threads apart from those
//! that read single jobs, and ends when its reader goes, its time is over or its answer is too large.

mod exec;
mod export;
mod failure;
pub mod foreign;
mod functions;
mod grouped;
mod guard;
mod held;
mod keys;
mod mean;
mod output;
mod produce;
mod progress;
mod provider;
mod prune;
pub mod quantile;
mod rates;
mod running;
mod runs;
mod session;
mod size;
pub(super) mod spell;
mod sum;
mod tables;
#[cfg(test)]
mod tests;
mod unit;
mod writer;

pub use export::{ExportRequest, ExportTable};
pub use output::AnswerFormat;
pub use progress::Progress;
pub use running::{AnswerBytes, Queries, QueryId, QueryStatus};
pub use writer::TableFormat;

use crate::archive::Archive;
use crate::archive::scan::ScanView;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::model::scope::Scope;
use crate::num;
use crate::supervise::ComputePool;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{Stream, StreamExt as _};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, Sleep};

/// How much later than its time a query may say itself that it took too long.
const GRACE: Duration = Duration::from_millis(300);

/// How much one query may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryLimits {
    /// From the first look at it to the last row.
    pub time: Duration,
    /// Rows of the answer.
    pub rows: u64,
    /// Bytes of the answer in memory.
    pub bytes: u64,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            time: limits::SQL_TIME_MAX,
            rows: limits::SQL_ROWS_MAX,
            bytes: limits::SQL_ANSWER_BYTES_MAX,
        }
    }
}

/// Runs queries.
#[derive(Debug, Clone)]
pub struct Engine {
    archive: Arc<Archive>,
    pool: Arc<ComputePool>,
    permits: Arc<Semaphore>,
}

/// The answer to a query, batch by batch. Dropping it stops the query.
pub struct Answer {
    schema: SchemaRef,
    progress: Arc<Progress>,
    batches: mpsc::Receiver<Result<RecordBatch>>,
    /// Whether its end, or its failure, was given out.
    is_over: bool,
    /// A step that does not look at the clock (a window sorts all of its rows at once) is not waited for.
    patience: Pin<Box<Sleep>>,
    time: Duration,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// Names and types of its columns.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// How far the query is.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// All batches.
    ///
    /// # Errors
    /// The first failure of the query.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>> {
        let mut all = Vec::new();
        while let Some(batch) = self.next().await {
            all.push(batch?);
        }
        Ok(all)
    }
}

impl Stream for Answer {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Poll::Ready(next) = self.batches.poll_recv(context) else {
            if self.is_over || self.patience.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.is_over = true;
            self.batches.close();
            self.progress.cancel();
            return Poll::Ready(Some(Err(took_too_long(self.time))));
        };
        if !matches!(next, Some(Ok(_))) {
            // A query that broke off without a word must not pass for one that ended.
            let broke_off = next.is_none() && !self.is_over && !self.progress.is_complete();
            self.is_over = true;
            if broke_off {
                let error = Error::internal("a query broke off; the log has more");
                return Poll::Ready(Some(Err(error)));
            }
        }
        Poll::Ready(next)
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // Its task ends when it next wants to send, its scans at their next batch.
        self.progress.cancel();
    }
}

impl Engine {
    /// An engine with threads of its own.
    ///
    /// # Errors
    /// `Unavailable` if there are no threads to be had.
    pub fn new(archive: Arc<Archive>) -> Result<Self> {
        Ok(Self {
            archive,
            pool: Arc::new(ComputePool::new("query")?),
            permits: Arc::new(Semaphore::new(limits::SQL_AT_ONCE)),
        })
    }

    /// Runs a query over what the scope may see. SQL that is not a person's but made from parameters
    /// must be made from typed ones.
    ///
    /// # Errors
    /// `Invalid` if it is no query or asks for what is not there, `Overloaded` if too many run. What goes
    /// wrong later stands in the answer: `Invalid` if it becomes too large or takes too long; `Data`,
    /// `Unavailable` from the archive.
    pub async fn run(&self, scope: Scope, sql: String, limits: QueryLimits) -> Result<Answer> {
        self.run_with(scope, sql, limits, Arc::default()).await
    }

    /// As [`Engine::run`], with a progress that somebody else looks at too.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub async fn run_with(
        &self,
        scope: Scope,
        sql: String,
        limits: QueryLimits,
        progress: Arc<Progress>,
    ) -> Result<Answer> {
        self.begin(Over::Now(scope), sql, limits, progress).await
    }

    /// As [`Engine::run`], over a view that was taken before: for questions that belong together.
    ///
    /// # Errors
    /// As [`Engine::run`].
    pub(super) async fn run_in(
        &self,
        view: &Arc<ScanView>,
        sql: String,
        limits: QueryLimits,
    ) -> Result<Answer> {
        let over = Over::View(Arc::clone(view));
        self.begin(over, sql, limits, Arc::default()).await
    }

    async fn begin(
        &self,
        over: Over,
        sql: String,
        limits: QueryLimits,
        progress: Arc<Progress>,
    ) -> Result<Answer> {
        // Waiting for others counts.
        let end = Instant::now() + limits.time;
        let permit = self.permit().await?;
        let (begun, planned) = oneshot::channel();
        let (sender, batches) = mpsc::channel(2);
        let task = Task {
            archive: Arc::clone(&self.archive),
            partitions: self.pool.threads(),
            over,
            sql,
            limits,
            progress: Arc::clone(&progress),
            sender,
            _permit: permit,
        };
        let mut stop = StopOnDrop(Some(Arc::clone(&progress)));
        progress.begin();
        self.pool.spawn(task.run(begun));
        // Planning takes milliseconds, and cannot be interrupted where it does not.
        let planned = tokio::time::timeout_at(end + GRACE, planned).await;
        let planned = planned.map_err(|_| took_too_long(limits.time))?;
        let schema = planned.map_err(|_| {
            Error::new(ErrorKind::Unavailable, "closing", "the service is stopping")
        })??;
        // From here on dropping the answer does it.
        stop.0 = None;
        Ok(Answer {
            schema,
            progress,
            batches,
            is_over: false,
            patience: Box::pin(tokio::time::sleep_until(end + GRACE)),
            time: limits.time,
        })
    }

    /// What the scope may see now.
    ///
    /// # Errors
    /// As [`Archive::scan`].
    pub(super) async fn view(&self, scope: Scope) -> Result<Arc<ScanView>> {
        let archive = Arc::clone(&self.archive);
        let view = self.pool.run(move || archive.scan(&scope));
        Ok(Arc::new(view.await?))
    }

    /// Stops all queries and waits until they let go of the archive. None runs afterwards.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.permits).acquire_owned();
        match tokio::time::timeout(limits::SQL_WAIT_MAX, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(Error::new(
                ErrorKind::Overloaded,
                "too_many_queries",
                format!(
                    "{} queries are running, more do not run at once; try again later",
                    limits::SQL_AT_ONCE
                ),
            )),
        }
    }
}

/// Cancels a query whose caller went while it was planned.
struct StopOnDrop(Option<Arc<Progress>>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        if let Some(progress) = &self.0 {
            progress.cancel();
        }
    }
}

pub(super) fn took_too_long(time: Duration) -> Error {
    let message = format!(
        "the query took longer than {} s; filter by date or project, or ask for less",
        time.as_secs()
    );
    Error::invalid("sql_timeout", message)
}

/// What a query is asked of.
enum Over {
    /// Of what the scope may see when it begins.
    Now(Scope),
    View(Arc<ScanView>),
}

/// A query on the engine's threads.
struct Task {
    archive: Arc<Archive>,
    partitions: usize,
    over: Over,
    sql: String,
    limits: QueryLimits,
    progress: Arc<Progress>,
    sender: mpsc::Sender<Result<RecordBatch>>,
    _permit: OwnedSemaphorePermit,
}

type Begun = oneshot::Sender<Result<SchemaRef>>;

impl Task {
    async fn run(self, begun: Begun) {
        let sender = self.sender.clone();
        let progress = Arc::clone(&self.progress);
        let time = self.limits.time;
        tokio::select! {
            () = sender.closed() => {}
            outcome = tokio::time::timeout(time, self.answer(begun)) => {
                if outcome.is_err() {
                    // Behind the batches that wait; without it they would pass for all.
                    let _gone = sender.send(Err(took_too_long(time))).await;
                }
            }
        }
        progress.cancel();
        progress.finish();
    }

    async fn answer(self, begun: Begun) {
        match self.plan().await {
            Err(error) => {
                let _gone = begun.send(Err(error));
            }
            Ok((plan, context)) => {
                if begun.send(Ok(plan.schema())).is_ok()
                    && let Err(error) = self.send(plan, context).await
                {
                    let _gone = self.sender.send(Err(error)).await;
                }
            }
        }
    }

    async fn plan(&self) -> Result<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)> {
        guard::parse(&self.sql)?;
        let view = match &self.over {
            Over::Now(scope) => Arc::new(self.archive.scan(scope)?),
            Over::View(view) => Arc::clone(view),
        };
        let spill = self.archive.spill_path();
        let state = session::session(&view, &self.progress, spill, self.partitions)?;
        let plan = session::plan(&state, &self.sql).await?;
        Ok((plan, state.task_ctx()))
    }

    async fn send(&self, plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Result<()> {
        let mut stream = execute_stream(plan, context).map_err(failure::of)?;
        let (mut rows, mut bytes) = (0, 0);
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(failure::of)?;
            if batch.num_rows() == 0 {
                continue;
            }
            rows += num::len_u64(batch.num_rows());
            bytes += num::len_u64(size::batch_bytes(&batch));
            self.progress.rows_out(num::len_u64(batch.num_rows()));
            if rows > self.limits.rows || bytes > self.limits.bytes {
                return Err(self.too_large());
            }
            if self.sender.send(Ok(batch)).await.is_err() {
                return Ok(());
            }
        }
        self.progress.complete();
        Ok(())
    }

    fn too_large(&self) -> Error {
        let message = format!(
            "the answer has more than {} rows or {} MiB; add LIMIT, aggregate, or take an export",
            self.limits.rows,
            self.limits.bytes >> 20
        );
        Error::invalid("sql_answer_too_large", message)
    }
}
