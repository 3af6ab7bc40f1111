//! What a reader's headers ask for: a media type (`Accept`), and whether it has the answer already
//! (`If-None-Match`). Both are text from outside; what cannot be read is as if it were not there.

use axum::http::HeaderMap;
use axum::http::header::{self, HeaderName};
use std::cmp::Reverse;

/// Parts of all headers of that name, which may each be a list.
fn parts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

/// A media range of `Accept` with its weight in thousandths.
#[derive(Debug, Clone, Copy)]
struct Range<'a> {
    main: &'a str,
    sub: &'a str,
    weight: u16,
}

impl<'a> Range<'a> {
    /// Parameters but `q` do not matter: every type here exists in one version.
    fn parse(part: &'a str) -> Option<Self> {
        let mut pieces = part.split(';').map(str::trim);
        let (main, sub) = pieces.next()?.split_once('/')?;
        let mut q = pieces.filter_map(|piece| {
            let (name, value) = piece.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case("q")
                .then_some(value.trim())
        });
        let weight = match q.next() {
            Some(text) => thousandths(text)?,
            None => 1_000,
        };
        Some(Self { main, sub, weight })
    }

    /// How exactly it names the type; `None` if it does not.
    fn precision(&self, media_type: &str) -> Option<u8> {
        let (main, sub) = media_type.split_once('/')?;
        let same = self.main.eq_ignore_ascii_case(main);
        match (self.main, self.sub) {
            ("*", "*") => Some(0),
            (_, "*") if same => Some(1),
            _ if same && self.sub.eq_ignore_ascii_case(sub) => Some(2),
            _ => None,
        }
    }
}

/// A weight: 0 to 1 with at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    if rest.len() > 3 || !rest.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{rest:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1_000),
        _ => None,
    }
}

/// Which of `offered` the reader likes best; the first if it does not say, `None` if it takes none.
///
/// The most exact range that names a type gives its weight (RFC 9110). Of equal weights the one named
/// more exactly is taken, then the one named first, then the one offered first.
pub(super) fn choose<T: Copy>(headers: &HeaderMap, offered: &[(&str, T)]) -> Option<T> {
    let ranges: Vec<Range<'_>> = parts(headers, header::ACCEPT)
        .filter_map(Range::parse)
        .collect();
    if ranges.is_empty() {
        return offered.first().map(|(_, one)| *one);
    }
    let rated = offered.iter().filter_map(|(media_type, one)| {
        let naming = ranges.iter().enumerate();
        let (precision, Reverse(place), weight) = naming
            .filter_map(|(place, range)| {
                Some((range.precision(media_type)?, Reverse(place), range.weight))
            })
            .max()?;
        (weight > 0).then_some(((Reverse(weight), Reverse(precision), place), *one))
    });
    rated.min_by_key(|(rate, _)| *rate).map(|(_, one)| one)
}

/// Whether `If-None-Match` names this strong `ETag`.
pub(super) fn has(headers: &HeaderMap, etag: &str) -> bool {
    parts(headers, header::IF_NONE_MATCH)
        .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == etag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    const OFFERED: [(&str, u8); 3] = [("application/json", 0), ("text/csv", 1), ("text/x", 2)];

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        let values = values.iter().map(|v| HeaderValue::from_str(v).unwrap());
        values.map(|value| (name.clone(), value)).collect()
    }

    fn chosen(accept: &[&str]) -> Option<u8> {
        choose(&headers(header::ACCEPT, accept), &OFFERED)
    }

    #[test]
    fn the_best_liked_type_is_chosen() {
        for (accept, best) in [
            ("", Some(0)),
            ("*/*", Some(0)),
            ("text/csv", Some(1)),
            ("TEXT/CSV; header=present", Some(1)),
            ("text/*", Some(1)),
            ("text/csv;q=0.9, */*", Some(0)),
            ("text/csv, */*;q=0.1", Some(1)),
            ("*/*, text/csv", Some(1)),
            ("text/csv, application/json", Some(1)),
            ("application/json, text/csv", Some(0)),
            ("text/csv;q=0.5, text/x;q=0.501", Some(2)),
            ("text/csv;q=0, text/*", Some(2)),
            (
                "text/*;q=0.2, text/csv;q=0.1, application/json;q=0",
                Some(2),
            ),
            ("text/html, application/xml;q=0.9, */*;q=0.8", Some(0)),
            ("application/json;q=0, */*;q=0", None),
            ("image/png", None),
            ("application/*;q=0.0", None),
            // What is no range does not count; if nothing is, nothing was said.
            ("json", Some(0)),
            ("text/csv;q=2, text/x;q=0.2", Some(2)),
            ("text/csv;q=0.1234, image/png", None),
        ] {
            assert_eq!(chosen(&[accept]), best, "{accept}");
        }
        assert_eq!(chosen(&[]), Some(0));
        assert_eq!(chosen(&["image/png", "text/csv"]), Some(1));
    }

    #[test]
    fn a_known_answer_is_recognised() {
        let known = |values: &[&str]| has(&headers(header::IF_NONE_MATCH, values), "\"a\"");
        assert!(known(&["\"a\""]) && known(&["\"b\", W/\"a\""]) && known(&["*"]));
        assert!(known(&["\"b\"", "\"a\""]));
        assert!(!known(&[]) && !known(&["\"b\""]) && !known(&["a"]) && !known(&[""]));
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(text in "[ -~]{0,60}") {
            let chosen = chosen(&[&text]);
            prop_assert!(chosen.is_none_or(|one| one < 3));
            has(&headers(header::IF_NONE_MATCH, &[&text]), "\"a\"");
        }
    }
}
