//! Failures of a query in words that say what to do: where in the text, and which name was meant.
//!
//! No path and no type of a library stands in them.

use super::tables::TABLES;
use crate::error::{Error, ErrorKind};
use crate::limits;
use datafusion::common::{DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;
use std::sync::Arc;

/// The error of a reader whose query failed.
pub(super) fn of(error: DataFusionError) -> Error {
    let place = place(&error);
    match error {
        DataFusionError::External(source) => match source.downcast::<Error>() {
            Ok(own) => *own,
            Err(other) => Error::internal("a query failed").with_source(other),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            with_place(of(*inner), place)
        }
        // One failure that several waited for.
        DataFusionError::Shared(inner) => match Arc::try_unwrap(inner) {
            Ok(own) => of(own),
            Err(shared) if matches!(*shared, DataFusionError::ResourcesExhausted(_)) => memory(),
            Err(shared) => Error::invalid("sql_failed", words(&shared.strip_backtrace())),
        },
        DataFusionError::Collection(mut all) => match all.is_empty() {
            true => Error::internal("a query failed"),
            false => of(all.swap_remove(0)),
        },
        DataFusionError::SQL(error, _) => syntax(&error),
        DataFusionError::SchemaError(error, _) => with_place(schema(&error), place),
        DataFusionError::ResourcesExhausted(_) => memory(),
        DataFusionError::NotImplemented(text) => {
            let message = format!(
                "the query asks for something that is not there: {}",
                words(&text)
            );
            Error::invalid("sql_not_supported", message)
        }
        DataFusionError::Plan(text) => with_place(plan(&text), place),
        DataFusionError::Execution(text) => Error::invalid("sql_failed", words(&text)),
        DataFusionError::ArrowError(error, _) => {
            Error::invalid("sql_failed", words(&error.to_string()))
        }
        DataFusionError::IoError(_) | DataFusionError::ObjectStore(_) => Error::new(
            ErrorKind::Unavailable,
            "sql_spill_failed",
            "the query did not fit in memory and could not be put on disk; ask for less, or try again later",
        ),
        other => {
            let message = words(&other.strip_backtrace());
            Error::invalid("sql_failed", message)
        }
    }
}

fn memory() -> Error {
    let message = format!(
        "the query needs more than {} MiB of memory, or more room on disk than it may have; group by less, filter by date or project, or ask for fewer columns",
        limits::SQL_MEMORY_BYTES >> 20
    );
    Error::invalid("sql_too_large", message)
}

/// One line, without what libraries put around it.
fn words(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut line = line.trim();
    for prefix in [
        "Error during planning: ",
        "Execution error: ",
        "Arrow error: ",
        "Schema error: ",
        "Optimizer rule 'simplify_expressions' failed",
    ] {
        line = line.strip_prefix(prefix).unwrap_or(line);
    }
    let line: String = line.chars().take(limits::SQL_MESSAGE_CHARS_MAX).collect();
    match line.is_empty() {
        true => "the query failed".to_owned(),
        false => line,
    }
}

fn syntax(error: &ParserError) -> Error {
    let message = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => words(text),
        ParserError::RecursionLimitExceeded => format!(
            "the query nests deeper than {} levels",
            limits::SQL_NESTING_MAX
        ),
    };
    Error::invalid("sql_syntax", message)
}

/// Where in the text, if DataFusion knows it.
fn place(error: &DataFusionError) -> Option<String> {
    let span = error.diagnostic()?.span?;
    Some(format!(
        "line {}, column {}",
        span.start.line, span.start.column
    ))
}

fn with_place(error: Error, place: Option<String>) -> Error {
    match place.filter(|_| !error.message().contains(", column ")) {
        None => error,
        Some(place) => {
            let message = format!("{place}: {}", error.message());
            error.reworded(message)
        }
    }
}

fn schema(error: &SchemaError) -> Error {
    match error {
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } => {
            let known: Vec<&str> = valid_fields.iter().map(|own| own.name.as_str()).collect();
            let name = field.name.as_str();
            let mut message = format!("there is no column {name:?} here");
            if let Some(meant) = nearest(name, known.iter().copied()) {
                message.push_str(&format!("; did you mean {meant}?"));
            } else if let Some(table) = table_with(name) {
                message.push_str(&format!("; table {table} has one"));
            }
            Error::invalid("sql_unknown_column", message)
        }
        other => Error::invalid("sql_failed", words(&other.to_string())),
    }
}

fn table_with(column: &str) -> Option<&'static str> {
    let has = |table: &&super::tables::SqlTable| table.columns.iter().any(|own| own.name == column);
    TABLES.iter().find(has).map(|table| table.name)
}

fn plan(text: &str) -> Error {
    let line = words(text);
    if let Some(rest) = line.strip_prefix("table '")
        && let Some(name) = rest.split('\'').next()
    {
        let name = name.rsplit('.').next().unwrap_or(name);
        let known = TABLES.iter().map(|table| table.name);
        let all: Vec<&str> = known.clone().collect();
        let mut message = format!("there is no table {name:?}");
        match nearest(name, known) {
            Some(meant) => message.push_str(&format!("; did you mean {meant}?")),
            None => message.push_str(&format!("; there are {}", all.join(", "))),
        }
        return Error::invalid("sql_unknown_table", message);
    }
    Error::invalid("sql_invalid", line)
}

/// The known name that was most likely meant.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let rated = known.map(|own| (distance(&name, own), own));
    let (distance, meant) = rated.min_by_key(|(distance, _)| *distance)?;
    let most = (name.len() / 3).max(1);
    (distance <= most).then_some(meant)
}

/// Letters to be added, taken away or changed.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (number, letter) in (1..).zip(a.bytes()) {
        let mut diagonal = number - 1;
        let mut left = number;
        let mut next = vec![number];
        for (above, other) in row.iter().skip(1).zip(b.bytes()) {
            let cost = diagonal + usize::from(letter != other);
            left = cost.min(above + 1).min(left + 1);
            next.push(left);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        let known = ["memory_used_bytes", "memory_cache_bytes", "load1"];
        let meant = |name| nearest(name, known.into_iter());
        assert_eq!(meant("memory_use_bytes"), Some("memory_used_bytes"));
        assert_eq!(meant("Load"), Some("load1"));
        assert_eq!(meant("something_else"), None);
    }
}
