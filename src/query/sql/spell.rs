//! Values in the SQL that we make ourselves. Every text from outside that is to stand in a statement passes
//! [`literal`].

/// A text as SQL spells it. There is no other escape in standard SQL than the doubled quote.
pub(in crate::query) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// An instant (Unix ms) as SQL spells it.
pub(in crate::query) fn instant(ms: i64) -> String {
    format!("to_timestamp_millis({ms})")
}

/// A column of times (microseconds) in Unix ms, as SQL spells it.
pub(in crate::query) fn unix_ms(column: &str) -> String {
    format!("cast({column} as bigint) / 1000")
}
