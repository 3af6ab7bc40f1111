//! An answer as a table for people, from its CSV, in which numbers have all their digits.

use crate::cli::out;
use crate::error::{Error, ErrorKind, Result};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use csv::StringRecord;
use std::fmt::Write as _;

/// The table, and how many rows it has.
pub(super) fn table(bytes: &[u8]) -> Result<String> {
    let mut reader = csv::Reader::from_reader(bytes);
    let header = reader.headers().map_err(odd)?.clone();
    let rows: Vec<StringRecord> = reader.records().collect::<Result<_, _>>().map_err(odd)?;
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(out::width()).unwrap_or(u16::MAX));
    table.set_header(header.iter());
    let numeric: Vec<bool> = (0..header.len())
        .map(|column| rows.iter().all(|row| is_number(row.get(column))))
        .collect();
    for row in &rows {
        let cells = row.iter().zip(&numeric).map(|(cell, numeric)| {
            let alignment = match numeric {
                true => CellAlignment::Right,
                false => CellAlignment::Left,
            };
            Cell::new(harmless(cell)).set_alignment(alignment)
        });
        table.add_row(cells.collect::<Vec<_>>());
    }
    let mut text = String::new();
    let noun = if rows.len() == 1 { "row" } else { "rows" };
    let _infallible = writeln!(text, "{table}\n{} {noun}", rows.len());
    Ok(text)
}

fn odd(error: csv::Error) -> Error {
    let message = "the service gave an answer that is not ours";
    Error::new(ErrorKind::Upstream, "service_answer", message).with_source(error)
}

/// Whether a cell is a number, or empty.
fn is_number(cell: Option<&str>) -> bool {
    cell.is_none_or(|cell| cell.is_empty() || cell.parse::<f64>().is_ok())
}

/// Text from outside, without what a terminal would obey.
fn harmless(cell: &str) -> String {
    let letter = |letter: char| match letter {
        '\n' => '\n',
        control if control.is_control() => char::REPLACEMENT_CHARACTER,
        other => other,
    };
    cell.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_all_digits_and_text_is_harmless() {
        let text = table(b"a,b\r\n123456789012.123456,x\x1b[31m\r\n,\r\n").unwrap();
        assert!(text.contains("123456789012.123456"), "{text}");
        assert!(text.ends_with("2 rows\n"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
        assert!(table(b"a,b\r\n1\r\n").is_err());
    }
}
