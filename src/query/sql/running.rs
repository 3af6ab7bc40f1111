//! Queries by id: who waits for an answer may ask how far it is, and stop it.
//!
//! The service's way in ([`Queries::answer`]): an answer in one piece, in one of the formats.

use super::output::AnswerFormat;
use super::{Engine, Progress, QueryLimits};
use crate::error::{Error, Result};
use crate::limits;
use crate::model::scope::Scope;
use crate::time::SharedClock;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An id that a client chose, or that was made for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryId(String);

impl QueryId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    /// A client's.
    ///
    /// # Errors
    /// `Invalid` if it is no id: 1 to 64 letters, digits, `-` and `_`.
    pub fn parse(text: &str) -> Result<Self> {
        let known = |letter: u8| letter.is_ascii_alphanumeric() || b"-_".contains(&letter);
        if (1..=64).contains(&text.len()) && text.bytes().all(known) {
            return Ok(Self(text.to_owned()));
        }
        let message = "a query's id has 1 to 64 letters, digits, - and _";
        Err(Error::invalid("invalid_query_id", message))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[derive(Debug)]
struct Running {
    id: QueryId,
    progress: Arc<Progress>,
    begun: Duration,
    ended: Option<Duration>,
}

/// How far a query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryStatus {
    /// Whether somebody waits for it, or its threads are still at it.
    pub is_running: bool,
    /// Whether somebody stopped it, or its reader went.
    pub is_cancelled: bool,
    /// Rows of tables that were read, and those that are to be read at most, as far as is known.
    pub rows_read: u64,
    /// As `rows_read`.
    pub rows_to_read: u64,
    /// Rows of the answer so far.
    pub rows: u64,
    /// Time since it began, or until it ended.
    pub elapsed: Duration,
}

/// The queries of the service.
#[derive(Debug, Clone)]
pub struct Queries {
    engine: Engine,
    clock: SharedClock,
    known: Arc<Mutex<VecDeque<Running>>>,
}

/// An answer in one piece.
#[derive(Debug)]
pub struct AnswerBytes {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Rows in it.
    pub rows: u64,
}

/// Notes the end of a query, however it ends.
struct Ending<'a> {
    queries: &'a Queries,
    progress: Arc<Progress>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        if !self.progress.is_done() {
            self.progress.cancel();
        }
        let now = self.queries.clock.monotonic();
        let mut known = self.queries.locked();
        let own = known
            .iter_mut()
            .find(|own| Arc::ptr_eq(&own.progress, &self.progress));
        if let Some(own) = own {
            own.ended = Some(now);
        }
    }
}

impl Queries {
    /// The queries that run on `engine`.
    #[must_use]
    pub fn new(engine: Engine, clock: SharedClock) -> Self {
        Self {
            engine,
            clock,
            known: Arc::default(),
        }
    }

    /// The engine.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, VecDeque<Running>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, id: &QueryId) -> Result<Ending<'_>> {
        let progress = Arc::<Progress>::default();
        let mut known = self.locked();
        let is_taken = |own: &Running| own.id == *id && own.ended.is_none();
        if known.iter().any(is_taken) {
            let message = format!(
                "a query with the id {} is running; choose another",
                id.as_str()
            );
            return Err(Error::new(
                crate::error::ErrorKind::Conflict,
                "query_id_taken",
                message,
            ));
        }
        known.retain(|own| own.id != *id);
        while known.len() >= limits::SQL_QUERIES_KNOWN {
            known.pop_front();
        }
        known.push_back(Running {
            id: id.clone(),
            progress: Arc::clone(&progress),
            begun: self.clock.monotonic(),
            ended: None,
        });
        Ok(Ending {
            queries: self,
            progress,
        })
    }

    /// Runs a query to its end.
    ///
    /// # Errors
    /// As [`Engine::run`]; `Conflict` if a query with that id is running.
    pub async fn answer(
        &self,
        scope: Scope,
        id: &QueryId,
        sql: String,
        format: AnswerFormat,
    ) -> Result<AnswerBytes> {
        let ending = self.begin(id)?;
        let progress = Arc::clone(&ending.progress);
        let limits = QueryLimits::default();
        let answer = self.engine.run_with(scope, sql, limits, progress).await?;
        let schema = answer.schema();
        let rows = answer.progress();
        let batches = answer.collect().await?;
        let encode = move || format.encode(&schema, &batches);
        let bytes = self.engine.pool.run(encode).await?;
        Ok(AnswerBytes {
            bytes,
            rows: rows.answered(),
        })
    }

    /// How far a query is.
    ///
    /// # Errors
    /// `NotFound` if it is not known, or no more.
    pub fn status(&self, id: &QueryId) -> Result<QueryStatus> {
        let now = self.clock.monotonic();
        let known = self.locked();
        let own = known.iter().rev().find(|own| own.id == *id);
        let own = own.ok_or_else(|| not_known(id))?;
        Ok(QueryStatus {
            // A reader who went has ended it, its threads a little later.
            is_running: own.ended.is_none() || own.progress.is_running(),
            is_cancelled: own.progress.is_cancelled(),
            rows_read: own.progress.read(),
            rows_to_read: own.progress.planned(),
            rows: own.progress.answered(),
            elapsed: own.ended.unwrap_or(now).saturating_sub(own.begun),
        })
    }

    /// Stops a query. One that ended is none.
    ///
    /// # Errors
    /// `NotFound` if it is not known, or no more.
    pub fn cancel(&self, id: &QueryId) -> Result<()> {
        let known = self.locked();
        let own = known.iter().rev().find(|own| own.id == *id);
        own.ok_or_else(|| not_known(id))?.progress.cancel();
        Ok(())
    }
}

fn not_known(id: &QueryId) -> Error {
    let message = format!(
        "no query with the id {} is known; ids are kept for a while",
        id.as_str()
    );
    Error::not_found("query_not_found", message)
}
