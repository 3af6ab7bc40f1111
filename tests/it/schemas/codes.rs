//! Every error code of the sources stands in `docs/problems.md`, and no other does.

use super::{root, sources};
use std::collections::BTreeMap;

/// HTTP status of the error kinds, as RFC 9457 problems carry it.
const STATUS: [(&str, u16); 9] = [
    ("Invalid", 400),
    ("Unauthorized", 401),
    ("NotFound", 404),
    ("Conflict", 409),
    ("Overloaded", 429),
    ("Upstream", 502),
    ("Unavailable", 503),
    ("Data", 500),
    ("Internal", 500),
];

/// What makes an error, and its kind if the name says it.
const MAKERS: [(&str, &str); 4] = [
    ("Error::new(", ""),
    ("Error::invalid(", "Invalid"),
    ("Error::not_found(", "NotFound"),
    ("Error::data(", "Data"),
];

fn is_code(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// The code in an argument: a literal, or the name of a constant.
fn code(argument: &str, constants: &BTreeMap<String, String>) -> Option<String> {
    let argument = argument.trim();
    let code = match argument.strip_prefix('"') {
        Some(literal) => literal.split('"').next()?.to_owned(),
        None => constants.get(argument.rsplit("::").next()?)?.clone(),
    };
    is_code(&code).then_some(code)
}

/// `const NAME: &str = "value";` of all sources.
fn constants(sources: &[String]) -> BTreeMap<String, String> {
    let mut constants = BTreeMap::new();
    for source in sources {
        for rest in source.split("const ").skip(1) {
            let Some((name, rest)) = rest.split_once(": &str = \"") else {
                continue;
            };
            if name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') {
                let value = rest.split('"').next().unwrap();
                constants.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    constants
}

/// Sources without their tests and without what is only for tests.
fn program() -> Vec<String> {
    sources("src")
        .into_iter()
        .filter(|(path, _)| {
            let path = path.to_string_lossy();
            !path.contains("/tests") && !path.contains("/testkit/") && !path.contains("/ui/app/")
        })
        .map(|(_, text)| {
            text.split("#[cfg(test)]\nmod tests {")
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
}

/// Codes with the statuses that their kinds have; 0 where the source does not say.
fn used() -> BTreeMap<String, Vec<u16>> {
    let sources = program();
    let constants = constants(&sources);
    let status = |kind: &str| {
        STATUS
            .iter()
            .find(|known| known.0 == kind)
            .map_or(0, |known| known.1)
    };
    let mut used: BTreeMap<String, Vec<u16>> = BTreeMap::new();
    let mut unread = Vec::new();
    for source in &sources {
        for (maker, kind) in MAKERS {
            for call in source.split(maker).skip(1) {
                let first = call.split(',').next().unwrap().trim();
                let second = call.split(',').nth(1).unwrap_or_default();
                let (kind, argument) = match kind {
                    "" => (first.trim_start_matches("ErrorKind::"), second),
                    kind => (kind, first),
                };
                match code(argument, &constants) {
                    Some(code) => used.entry(code).or_default().push(status(kind)),
                    None => unread.push(call.chars().take(80).collect::<String>()),
                }
            }
        }
    }
    // `Error::new` itself takes its code from whoever calls it.
    unread.retain(|call| !call.contains("code, message"));
    unread.retain(|call| !call.trim_start().starts_with("kind: ErrorKind"));
    unread.retain(|call| !call.trim_start().starts_with("std::io::ErrorKind"));
    assert_eq!(unread, [""; 0], "codes that this test cannot read");
    used.entry("internal".to_owned()).or_default().push(500);
    used.extend(framework());
    used
}

/// What the framework's errors are called: pairs in `http::problem`.
fn framework() -> BTreeMap<String, Vec<u16>> {
    let text = std::fs::read_to_string(root().join("src/http/problem.rs")).unwrap();
    let table = text.split("fn framework_error").nth(1).unwrap();
    let table = table.split("\nfn ").next().unwrap();
    let names = [
        ("NOT_FOUND", 404),
        ("METHOD_NOT_ALLOWED", 405),
        ("NOT_ACCEPTABLE", 406),
        ("PAYLOAD_TOO_LARGE", 413),
        ("REQUEST_TIMEOUT", 408),
        ("UNSUPPORTED_MEDIA_TYPE", 415),
        ("INTERNAL_SERVER_ERROR", 500),
        ("BAD_REQUEST", 400),
    ];
    let arms: Vec<&str> = table.split("StatusCode::").skip(1).collect();
    assert_eq!(arms.len(), names.len(), "an arm of framework_error is new");
    let code = |arm: &str| arm.split('"').nth(1).unwrap().to_owned();
    let status = |arm: &str| {
        let name = arm.split(' ').next().unwrap();
        names.iter().find(|known| known.0 == name).unwrap().1
    };
    arms.iter()
        .map(|arm| (code(arm), vec![status(arm)]))
        .collect()
}

/// Code and status of every line of the table.
fn documented() -> Vec<(String, u16)> {
    let text = std::fs::read_to_string(root().join("docs/problems.md")).unwrap_or_default();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let rows = rows.filter(|line| !line.starts_with("| code |"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 4, "{row}");
        assert!(is_code(cells[0]), "{row}");
        assert!(cells[2].ends_with('.') && cells[3].ends_with('.'), "{row}");
        (cells[0].to_owned(), cells[1].parse().unwrap())
    })
    .collect()
}

#[test]
fn every_code_is_explained() {
    let used = used();
    let documented = documented();
    let names: Vec<&String> = documented.iter().map(|(name, _)| name).collect();
    assert!(names.is_sorted(), "docs/problems.md is not in order");
    let missing: Vec<&String> = used.keys().filter(|code| !names.contains(code)).collect();
    assert!(missing.is_empty(), "not in docs/problems.md: {missing:?}");
    let gone: Vec<&&String> = names
        .iter()
        .filter(|name| !used.contains_key(**name))
        .collect();
    assert!(gone.is_empty(), "no longer used: {gone:?}");
    for (code, status) in &documented {
        let possible = &used[code];
        let told = possible.iter().any(|found| found == status || *found == 0);
        assert!(told, "{code} has status {possible:?}, not {status}");
    }
    assert!(used.len() > 40, "{used:?}");
}
