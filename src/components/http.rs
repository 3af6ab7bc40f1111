//! The smallest HTTP client that can ask "are you ready?".
//!
//! HTTP/1.0 on purpose: the answer is neither chunked nor kept open, so it ends where the stream
//! ends. Everything that matters goes through the real client of `prometheus`.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A component on the loopback interface answers at once or not at all.
const TIMEOUT: Duration = Duration::from_secs(10);
/// An exporter's page has about 100 KiB.
const ANSWER_BYTES_MAX: u64 = 8 << 20;

/// A request header.
pub(super) type Header = (&'static str, String);

/// `GET path`: status and body.
pub(super) async fn get(port: u16, path: &str) -> io::Result<(u16, String)> {
    send(port, "GET", path, &[], "").await
}

/// `GET path` with headers: status and body.
#[cfg(test)]
pub(super) async fn get_with(
    port: u16,
    path: &str,
    headers: &[Header],
) -> io::Result<(u16, String)> {
    send(port, "GET", path, headers, "").await
}

/// `POST path` with a body: status and body.
pub(super) async fn post(port: u16, path: &str, body: &str) -> io::Result<(u16, String)> {
    send(port, "POST", path, &[], body).await
}

/// `POST path` with headers and a body: status and body.
pub(super) async fn post_with(
    port: u16,
    path: &str,
    headers: &[Header],
    body: &str,
) -> io::Result<(u16, String)> {
    send(port, "POST", path, headers, body).await
}

async fn send(
    port: u16,
    method: &str,
    path: &str,
    headers: &[Header],
    body: &str,
) -> io::Result<(u16, String)> {
    tokio::time::timeout(TIMEOUT, exchange(port, method, path, headers, body))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn exchange(
    port: u16,
    method: &str,
    path: &str,
    headers: &[Header],
    body: &str,
) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let mut head = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_BYTES_MAX)
        .read_to_end(&mut answer)
        .await?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::InvalidData)?;
    let status = head
        .split_ascii_whitespace()
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[tokio::test]
    async fn reads_status_and_body_and_fails_on_a_closed_port() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::net::TcpListener::from_std({
            listener.set_nonblocking(true).unwrap();
            listener
        })
        .unwrap();
        let answer = async {
            let (mut stream, _) = server.accept().await.unwrap();
            // All of it: closing with unread bytes resets the connection.
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(stream.read_u8().await.unwrap());
            }
            stream
                .write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\nstarting")
                .await
                .unwrap();
        };
        let (got, ()) = tokio::join!(get(port, "/-/ready"), answer);
        assert_eq!(got.unwrap(), (503, "starting".to_owned()));
        drop(server);
        assert!(get(port, "/").await.is_err());
    }
}
