//! The OpenAPI document and the router say the same.

use super::sources;
use crate::support::World;
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeSet;

const METHODS: [Method; 5] = [
    Method::GET,
    Method::PUT,
    Method::POST,
    Method::DELETE,
    Method::PATCH,
];

fn document() -> Value {
    serde_json::to_value(tachograph::http::openapi()).unwrap()
}

fn paths() -> BTreeSet<String> {
    document()["paths"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

#[tokio::test]
async fn every_documented_route_is_there_and_no_method_is_missing_in_the_document() {
    let world = World::unregistered().await;
    let document = world.api().get("/openapi.json").await.json(200);
    assert_eq!(document, self::document());
    for path in paths() {
        // No such thing exists, but the route does.
        let concrete: Vec<&str> = path
            .split('/')
            .map(|part| if part.starts_with('{') { "none" } else { part })
            .collect();
        for method in METHODS {
            let url = concrete.join("/");
            let answer = world.api().send(method.clone(), &url, &[], "{").await;
            let documented = &document["paths"][&path][method.as_str().to_lowercase()];
            if documented.is_null() {
                answer.problem(405, "method_not_allowed", &[]);
                continue;
            }
            let text = answer.text();
            assert!(!text.contains("route_not_found"), "{method} {path}: {text}");
            assert_ne!(answer.status, 405, "{method} {path}");
            let responses = documented["responses"].as_object().unwrap();
            let status = answer.status.to_string();
            assert!(
                responses.contains_key(&status),
                "{method} {path} may answer {status}"
            );
        }
    }
}

/// String literals behind each `before` in a source.
fn literals<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    let behind = text.split(before).skip(1);
    behind
        .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next())
        .collect()
}

#[test]
fn no_route_of_the_sources_is_missing_in_the_document() {
    let documented = paths();
    let mut seen = BTreeSet::new();
    for (_, source) in sources("src/http") {
        for before in ["path = ", ".route(", ".nest(", ".route_service("] {
            seen.extend(literals(&source, before).into_iter().map(str::to_owned));
        }
    }
    assert_eq!(seen, documented);
    assert!(seen.len() >= 12, "{seen:?}");
}
