//! Genuine requests, and everything one could change about them.

use super::*;
use crate::limits;

fn accepted(request: &Request, hooks: &Hooks) -> String {
    request
        .to(hooks)
        .unwrap_or_else(|error| panic!("{request:?}: {error}"))
}

#[test]
fn genuine_requests_are_accepted() {
    let hooks = hooks();
    assert_eq!(
        message(ID, &SECONDS.to_string(), BODY.as_bytes()).len(),
        61 + 48
    );
    for request in [
        Request::signed(),
        Request::with_token(TOKEN),
        Request::signed().without("x-gitlab-instance"),
        Request::with_token(TOKEN).without("x-gitlab-instance"),
        // A signature decides alone.
        Request::signed().and("x-gitlab-token", "nonsense"),
        Request::signed().after_ms(300_000),
        Request::signed().after_ms(-300_000),
        Request::signed().set(
            "webhook-signature",
            &format!("v1a,AAAA v1,AAAA {SIGNATURE} v2,AAAA"),
        ),
        Request::with_token(TOKEN).set("x-gitlab-instance", "https://GITLAB.example.com:443/"),
    ] {
        assert_eq!(accepted(&request, &hooks), "gl");
    }
}

#[test]
fn a_secret_can_be_replaced_without_a_gap() {
    let hooks = Hooks::new(vec![instance(
        "gl",
        URL,
        &["old", TOKEN],
        &[OTHER_SIGNING, SIGNING],
    )]);
    for request in [
        Request::with_token("old"),
        Request::with_token(TOKEN),
        Request::signed(),
        Request::signed().set(
            "webhook-signature",
            &signature_by(
                OTHER_SIGNING,
                &message(ID, &SECONDS.to_string(), BODY.as_bytes()),
            ),
        ),
    ] {
        assert_eq!(accepted(&request, &hooks), "gl");
    }
}

#[test]
fn the_instance_is_told_by_its_header_or_its_secret() {
    let two = Hooks::new(vec![
        instance("one", URL, &["shared", "first"], &[SIGNING]),
        instance(
            "two",
            "https://other.example/gitlab",
            &["shared", "second"],
            &[],
        ),
    ]);
    let other = "https://other.example";
    for (request, source) in [
        (Request::with_token("first"), "one"),
        (Request::with_token("shared"), "one"),
        (
            Request::with_token("shared").set("x-gitlab-instance", other),
            "two",
        ),
        (
            Request::with_token("second").without("x-gitlab-instance"),
            "two",
        ),
        (Request::signed().without("x-gitlab-instance"), "one"),
    ] {
        assert_eq!(accepted(&request, &two), source);
    }
    let ambiguous = Request::with_token("shared").without("x-gitlab-instance");
    let error = ambiguous.to(&two).unwrap_err();
    assert!(error.message().contains("one and two"), "{error}");
}

#[test]
fn a_refusal_says_what_to_configure() {
    let none = Hooks::new(vec![instance("gl", URL, &[], &[])]);
    for (request, hooks, part) in [
        (
            Request::with_token(TOKEN),
            none.clone(),
            "gl has no hook_tokens",
        ),
        (Request::signed(), none, "gl has no signing_tokens"),
        (Request::signed(), Hooks::default(), "no configured GitLab"),
        (
            Request::new(&[]),
            Hooks::default(),
            "no GitLab is configured",
        ),
        (Request::new(&[]), hooks(), "give the hook a secret token"),
        (
            Request::with_token("x"),
            hooks(),
            "does not fit hook_tokens of source gl",
        ),
        (
            Request::signed().after_ms(301_000),
            hooks(),
            "compare the clocks",
        ),
    ] {
        let error = request.to(&hooks).unwrap_err();
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Unauthorized, "hook_refused")
        );
        assert!(error.message().contains(part), "{error}");
        assert!(!error.message().contains(TOKEN), "{error}");
    }
}

/// Bodies of the signed request, altered.
fn altered_bodies() -> Vec<Request> {
    let mut all: Vec<Request> = (0..BODY.len())
        .map(|at| {
            let mut body = BODY.as_bytes().to_vec();
            body[at] ^= 1;
            Request::signed().body(&body)
        })
        .collect();
    for body in [
        "",
        "{}",
        &BODY[1..],
        &BODY[..60],
        &format!("{BODY} "),
        &format!("{BODY}\n"),
    ] {
        all.push(Request::signed().body(body.as_bytes()));
    }
    all
}

/// Headers of the signed request, altered.
fn altered_headers() -> Vec<Request> {
    let mut all = Vec::new();
    for id in [
        "",
        "9f7c6b0e",
        " ",
        &ID.to_uppercase(),
        &format!("{ID}."),
        &ID.replace('-', ""),
    ] {
        all.push(Request::signed().set("webhook-id", id));
    }
    let seconds = SECONDS.to_string();
    for text in [
        "",
        "abc",
        "0",
        "-1764000000",
        "+1764000000",
        "1764000001",
        "1763999999",
        "01764000000",
        "1764000000.0",
        "1764000000000",
        "99999999999999999999",
        "0x69248000",
    ] {
        all.push(Request::signed().set("webhook-timestamp", text));
    }
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        all.push(Request::signed().without(name));
    }
    for (name, value) in [
        ("webhook-id", ID),
        ("webhook-timestamp", seconds.as_str()),
        ("webhook-signature", SIGNATURE),
        ("x-gitlab-instance", URL),
        ("webhook-signature", "v1,AAAA"),
    ] {
        all.push(Request::signed().and(name, value));
    }
    for ms in [
        300_001,
        301_000,
        86_400_000,
        -300_001,
        -86_400_000,
        i64::MAX,
        i64::MIN,
    ] {
        all.push(Request::signed().after_ms(ms));
    }
    all
}

fn altered_signatures() -> Vec<Request> {
    let mut all: Vec<Request> = (0..SIGNATURE.len())
        .map(|at| {
            let mut text = SIGNATURE.as_bytes().to_vec();
            text[at] = if text[at] == b'A' { b'B' } else { b'A' };
            Request::signed().set("webhook-signature", std::str::from_utf8(&text).unwrap())
        })
        .collect();
    let seconds = SECONDS.to_string();
    let good = message(ID, &seconds, BODY.as_bytes());
    let others = [
        signature_by(OTHER_SIGNING, &good),
        signature_by(SIGNING, BODY.as_bytes()),
        signature_by(SIGNING, &message("", &seconds, BODY.as_bytes())),
        signature_by(SIGNING, &message(ID, "", BODY.as_bytes())),
        signature_by(SIGNING, b""),
        SIGNATURE.replace("v1,", ""),
        SIGNATURE.replace("v1,", "v2,"),
        SIGNATURE.replace("v1,", "V1,"),
        SIGNATURE.replace("v1,", "v1a,"),
        SIGNATURE.replace("v1,", "v1="),
        SIGNATURE.replace('+', "-"),
        SIGNATURE.replace('=', ""),
        SIGNATURE.replace(',', ", "),
        SIGNATURE[..20].to_owned(),
        format!("{SIGNATURE}{SIGNATURE}"),
        format!("{SIGNATURE},x"),
        format!("sha256={}", "0".repeat(64)),
        "v1,".to_owned(),
        "v1".to_owned(),
        String::new(),
        " ".to_owned(),
        "v1,AAAA ".repeat(limits::HOOK_SIGNATURES_MAX) + SIGNATURE,
    ];
    for signature in &others {
        let request = Request::signed().set("webhook-signature", signature);
        // A wrong signature is not healed by a right token.
        all.push(request.clone().and("x-gitlab-token", TOKEN));
        all.push(request);
    }
    all
}

fn wrong_tokens() -> Vec<Request> {
    let mut all: Vec<Request> = (0..TOKEN.len())
        .map(|length| Request::with_token(&TOKEN[..length]))
        .collect();
    all.extend((0..TOKEN.len()).map(|at| {
        let mut token = TOKEN.as_bytes().to_vec();
        token[at] ^= 1;
        Request::with_token(std::str::from_utf8(&token).unwrap())
    }));
    for token in [
        &format!("{TOKEN} "),
        &format!("{TOKEN}x"),
        &format!("{TOKEN}{TOKEN}"),
        &TOKEN.to_lowercase(),
        &TOKEN.to_uppercase(),
        &format!("\"{TOKEN}\""),
        SIGNING,
        "***",
        "null",
    ] {
        all.push(Request::with_token(token));
    }
    let genuine = Request::with_token(TOKEN);
    for url in [
        "http://gitlab.example.com",
        "https://gitlab.example.com.evil.test",
        "https://evil.test",
        "https://gitlab.example.com:8443",
        "gitlab.example.com",
        "",
        "\u{e9}",
    ] {
        all.push(genuine.clone().set("x-gitlab-instance", url));
    }
    all.push(genuine.clone().and("x-gitlab-token", TOKEN));
    all.push(genuine.clone().and("x-gitlab-token", "other"));
    all.push(genuine.clone().and("webhook-signature", ""));
    all.push(genuine.and("webhook-signature", SIGNATURE));
    all.push(Request::new(&[("authorization", TOKEN)]));
    all.push(Request::new(&[("private-token", TOKEN)]));
    all.push(Request::new(&[]).body(format!(r#"{{"token":"{TOKEN}"}}"#).as_bytes()));
    all
}

#[test]
fn none_of_the_forged_or_altered_requests_is_accepted() {
    let hooks = hooks();
    assert_eq!(accepted(&Request::signed(), &hooks), "gl");
    assert_eq!(accepted(&Request::with_token(TOKEN), &hooks), "gl");
    let mut forged = altered_bodies();
    forged.extend(altered_headers());
    forged.extend(altered_signatures());
    forged.extend(wrong_tokens());
    assert!(forged.len() >= 200, "{}", forged.len());
    for request in &forged {
        match request.to(&hooks) {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}"),
            Ok(source) => panic!("accepted for {source}: {request:?}"),
        }
    }
    println!("{} forged or altered hooks, 0 accepted", forged.len());
}

/// Without any secret nothing proves anything, not even an empty one.
#[test]
fn without_a_secret_nothing_is_accepted() {
    let open = Hooks::new(vec![instance("gl", URL, &[], &[])]);
    let mut requests = wrong_tokens();
    requests.extend(altered_signatures());
    requests.extend([
        Request::signed(),
        Request::with_token(TOKEN),
        Request::with_token(""),
    ]);
    for request in requests {
        assert!(request.to(&open).is_err(), "{request:?}");
        assert!(request.to(&Hooks::default()).is_err(), "{request:?}");
    }
}
