//! Section markers: `section_start:1764000023:unit_tests[collapsed=true]` CR `ESC[0K`.
//!
//! The grammar is GitLab's own, so what its log page takes for a section is one here, and nothing else.

use std::ops::Range;

const WORD: &[u8] = b"section_";
const TAIL: &[u8] = b"\r\x1b[0K";
/// Longest name and longest options.
const NAME_BYTES_MAX: usize = 255;
const DIGITS_MAX: usize = 20;

/// Which end of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    Start,
    End,
}

/// A marker inside a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marker<'a> {
    pub(super) edge: Edge,
    /// Unix seconds, by the clock of whoever printed it.
    pub(super) seconds: i64,
    pub(super) name: &'a str,
    /// Where it stands.
    pub(super) place: Range<usize>,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Search<'a> {
    Found(Marker<'a>),
    /// Nothing up to here; a marker may begin here and go on behind the end of the text.
    Nothing {
        up_to: usize,
    },
}

/// Looks for the first marker at `from` or behind.
pub(super) fn find(text: &[u8], mut from: usize) -> Search<'_> {
    loop {
        let rest = text.get(from..).unwrap_or_default();
        let Some(offset) = position_of_word(rest) else {
            let overlap = (1..WORD.len())
                .rev()
                .find(|length| rest.ends_with(WORD.get(..*length).unwrap_or_default()));
            return Search::Nothing {
                up_to: text.len() - overlap.unwrap_or(0),
            };
        };
        let start = from + offset;
        match parse(text.get(start..).unwrap_or_default()) {
            Parsed::Whole {
                edge,
                seconds,
                name,
                length,
            } => {
                return Search::Found(Marker {
                    edge,
                    seconds,
                    name,
                    place: start..start + length,
                });
            }
            Parsed::CutOff => return Search::Nothing { up_to: start },
            Parsed::Other => from = start + WORD.len(),
        }
    }
}

/// Where the word begins that every marker begins with.
fn position_of_word(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let offset = text.get(from..)?.iter().position(|byte| *byte == b's')?;
        from += offset;
        if text.get(from..)?.starts_with(WORD) {
            return Some(from);
        }
        from += 1;
    }
}

enum Parsed<'a> {
    Whole {
        edge: Edge,
        seconds: i64,
        name: &'a str,
        length: usize,
    },
    /// The text ends before the marker does.
    CutOff,
    Other,
}

fn parse(text: &[u8]) -> Parsed<'_> {
    let mut cursor = Cursor { rest: text };
    let parsed = cursor.marker();
    match parsed {
        Some((edge, seconds, name)) => Parsed::Whole {
            edge,
            seconds,
            name,
            length: text.len() - cursor.rest.len(),
        },
        None if cursor.rest.is_empty() => Parsed::CutOff,
        None => Parsed::Other,
    }
}

/// Reads a marker from front to back. Where it fails with nothing left, the text was too short.
struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn marker(&mut self) -> Option<(Edge, i64, &'a str)> {
        self.literal(WORD)?;
        let edge = match self.rest.first()? {
            b's' => self.literal(b"start:").map(|()| Edge::Start),
            _ => self.literal(b"end:").map(|()| Edge::End),
        }?;
        let digits = self.run(DIGITS_MAX, u8::is_ascii_digit)?;
        self.literal(b":")?;
        let name = self.run(NAME_BYTES_MAX, is_name_byte)?;
        if self.rest.first()? == &b'[' {
            self.literal(b"[")?;
            self.run(NAME_BYTES_MAX, |byte| {
                !matches!(byte, b']' | b'\r' | b'\x1b')
            })?;
            self.literal(b"]")?;
        }
        self.literal(TAIL)?;
        // More seconds than an i64 holds are no time at all; they are cut to the job's window later.
        let seconds = std::str::from_utf8(digits)
            .ok()?
            .parse()
            .unwrap_or(i64::MAX);
        Some((edge, seconds, std::str::from_utf8(name).ok()?))
    }

    /// Goes over `literal`. On failure the rest is empty only if it was the beginning of it.
    fn literal(&mut self, literal: &[u8]) -> Option<()> {
        if let Some(rest) = self.rest.strip_prefix(literal) {
            self.rest = rest;
            return Some(());
        }
        if literal.starts_with(self.rest) {
            self.rest = &[];
        }
        None
    }

    /// Goes over 1 to `max` bytes that fit.
    fn run(&mut self, max: usize, fits: impl Fn(&u8) -> bool) -> Option<&'a [u8]> {
        let length = self
            .rest
            .iter()
            .take(max)
            .take_while(|byte| fits(byte))
            .count();
        let (run, rest) = self.rest.split_at_checked(length)?;
        if run.is_empty() && !rest.is_empty() {
            return None;
        }
        self.rest = rest;
        (!rest.is_empty()).then_some(run)
    }
}

fn is_name_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_.-".contains(byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &[u8]) -> Option<(Edge, i64, String, Range<usize>)> {
        match find(text, 0) {
            Search::Found(marker) => Some((
                marker.edge,
                marker.seconds,
                marker.name.to_owned(),
                marker.place,
            )),
            Search::Nothing { .. } => None,
        }
    }

    #[test]
    fn markers_are_found_as_gitlab_finds_them() {
        for (text, edge, seconds, name) in [
            (&b"section_start:12:a\r\x1b[0K"[..], Edge::Start, 12, "a"),
            (
                b"section_end:0:A.b-c_9\r\x1b[0Kmore",
                Edge::End,
                0,
                "A.b-c_9",
            ),
            (
                b"x section_start:1:a[collapsed=true]\r\x1b[0K",
                Edge::Start,
                1,
                "a",
            ),
            (
                b"section_section_start:1:a[k=v, l=w]\r\x1b[0K",
                Edge::Start,
                1,
                "a",
            ),
            (
                b"section_start:99999999999999999999:a\r\x1b[0K",
                Edge::Start,
                i64::MAX,
                "a",
            ),
        ] {
            let got = found(text).unwrap_or_else(|| panic!("{text:?}"));
            assert_eq!((got.0, got.1, got.2.as_str()), (edge, seconds, name));
            assert!(text[got.3.clone()].starts_with(b"section_") && text[got.3].ends_with(TAIL));
        }
        for text in [
            &b"section_start:12:a"[..],
            b"section_start:12:a\n\x1b[0K",
            b"section_start:12:a\r\x1b[1K",
            b"section_start:12:a b\r\x1b[0K",
            b"section_start:12:\r\x1b[0K",
            b"section_start::a\r\x1b[0K",
            b"section_start:-1:a\r\x1b[0K",
            b"section_stop:12:a\r\x1b[0K",
            b"section_start:12:a[]\r\x1b[0K",
            b"section_start:12:a[k=v\r\x1b[0K",
            b"section_start:999999999999999999999:a\r\x1b[0K",
        ] {
            assert_eq!(found(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_beginning_of_a_marker_is_kept_for_later() {
        let marker = b"section_start:12:a[k=v]\r\x1b[0K";
        for length in 1..marker.len() {
            let text = [b"before ", &marker[..length]].concat();
            assert_eq!(find(&text, 0), Search::Nothing { up_to: 7 }, "{length}");
        }
        assert_eq!(find(b"a section of text", 0), Search::Nothing { up_to: 17 });
        assert_eq!(
            find(b"section_start:1:a!", 0),
            Search::Nothing { up_to: 18 }
        );
    }
}
