//! The client against servers that misbehave is tested where its callers are; here what a
//! registration adds.

use super::*;
use crate::testkit::scripted::{Reply as Scripted, ScriptedServer};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Made for this test: `openssl req -x509 -newkey ed25519`, valid until 2126. Its key was not kept.
const CA: &str = "\
-----BEGIN CERTIFICATE-----
MIIBXzCCARGgAwIBAgIUZLCbq48aAoz4n6h7bXM91v5umlAwBQYDK2VwMCQxIjAg
BgNVBAMMGVRhY2hvZ3JhcGggdGVzdCBhdXRob3JpdHkwIBcNMjYxMTI0MjIxODU4
WhgPMjEyNjEwMzEyMjE4NThaMCQxIjAgBgNVBAMMGVRhY2hvZ3JhcGggdGVzdCBh
dXRob3JpdHkwKjAFBgMrZXADIQDnsuuI7ahUcSXSnyWkB6u605rmdnlMGdtSUglc
dSXiUaNTMFEwHQYDVR0OBBYEFCR6yAXmfqMDxf6GbXt2xnImzY7sMB8GA1UdIwQY
MBaAFCR6yAXmfqMDxf6GbXt2xnImzY7sMA8GA1UdEwEB/wQFMAMBAf8wBQYDK2Vw
A0EA7bRhbqpqezKRcoDTXGVFZRLKaeh4HeTDQn7nT8CsMVjMt4cyggmk6MZOKz7W
pRd5I+MYsI+m+BeML/ul++3fBQ==
-----END CERTIFICATE-----
";

fn outbound(secrets: impl Fn(&Path) -> io::Result<String> + Send + Sync + 'static) -> Outbound {
    Outbound::new(Box::new(secrets), Timeouts::default()).unwrap()
}

async fn call(outbound: &Outbound, access: &Access<'_>, url: String) -> Result<Reply, Fault> {
    let call = Call {
        method: Method::GET,
        url,
        headers: &[("accept", "text/plain")],
        body: Vec::new(),
    };
    outbound.send(access, call).await
}

#[tokio::test]
async fn a_password_is_read_at_each_use() {
    let server = ScriptedServer::always(Scripted::new(200, "text/plain", "ok"));
    let server = server.await.unwrap();
    let uses = AtomicUsize::new(0);
    let outbound = outbound(move |path| {
        assert_eq!(path, Path::new("/run/password"));
        match uses.fetch_add(1, Ordering::SeqCst) {
            0 => Ok("open sesame\n".to_owned()),
            1 => Ok("s:second".to_owned()),
            2 => Ok("\n".to_owned()),
            _ => Err(io::ErrorKind::PermissionDenied.into()),
        }
    });
    let registered = [("Authorization".to_owned(), "Basic bG9zZXI=".to_owned())].into();
    let access = Access {
        headers: &registered,
        authorization: Some(Authorization::Basic {
            username: "Aladdin",
            password_file: "/run/password",
        }),
        ca_file: None,
    };
    for _ in 0..2 {
        assert!(call(&outbound, &access, server.url()).await.is_ok());
    }
    for part in ["does not hold one password", "permission denied"] {
        let fault = call(&outbound, &access, server.url()).await.unwrap_err();
        assert!(
            matches!(&fault, Fault::Setup(text) if text.contains(part)),
            "{fault}"
        );
    }
    let sent: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.header("authorization").to_owned())
        .collect();
    // The first is the example of RFC 7617.
    assert_eq!(
        sent,
        [
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Basic QWxhZGRpbjpzOnNlY29uZA=="
        ]
    );
}

#[tokio::test]
async fn one_client_per_distinct_authority() {
    let server = ScriptedServer::always(Scripted::new(200, "text/plain", "ok"));
    let server = server.await.unwrap();
    let content = Arc::new(Mutex::new(CA.to_owned()));
    let file = Arc::clone(&content);
    let outbound = outbound(move |_| Ok(file.lock().unwrap().clone()));
    let none = BTreeMap::new();
    let access = Access {
        headers: &none,
        authorization: None,
        ca_file: Some("/etc/ca.pem"),
    };
    let count = |outbound: &Outbound| outbound.with_ca.lock().unwrap().len();
    for _ in 0..3 {
        assert!(call(&outbound, &access, server.url()).await.is_ok());
    }
    assert_eq!(count(&outbound), 1);
    for rotated in 1..limits::OUTBOUND_CLIENTS_MAX {
        *content.lock().unwrap() = format!("# {rotated}\n{CA}");
        outbound.client(&access).unwrap();
    }
    assert_eq!(count(&outbound), limits::OUTBOUND_CLIENTS_MAX);
    *content.lock().unwrap() = format!("# last\n{CA}");
    outbound.client(&access).unwrap();
    assert_eq!(count(&outbound), 1);

    for broken in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n"] {
        *content.lock().unwrap() = broken.to_owned();
        let fault = call(&outbound, &access, server.url()).await.unwrap_err();
        assert!(
            matches!(&fault, Fault::Setup(text) if text.contains("PEM certificates")),
            "{broken:?}: {fault}"
        );
    }
}
