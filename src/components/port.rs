//! Free ports, and starting a server on one although another process may take it first.

use super::http;
use super::process::Component;
use crate::error::{Error, ErrorKind, Result};
use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

/// How long a component may take to answer: Prometheus replays its log on a busy machine.
const READY_TRIES: u32 = 600;
const READY_PAUSE: Duration = Duration::from_millis(100);
/// Ports tried before giving up on a machine where others keep taking them.
const PORT_TRIES: u32 = 5;

/// A port of the loopback interface that was free a moment ago.
///
/// # Errors
/// `Unavailable` if the system has none.
pub fn free_port() -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                "no_free_port",
                "the loopback interface has no free port",
            )
            .with_source(error)
        })
}

/// Starts a server on a free port and waits until `path` answers 200. Another port is tried when
/// somebody else took the first one in between.
pub(super) async fn start_on_free_port(
    path: &str,
    start: impl Fn(u16) -> Result<Component>,
) -> Result<(Component, u16)> {
    let mut tries = PORT_TRIES;
    loop {
        let port = free_port()?;
        let mut component = start(port)?;
        match wait_ready(&mut component, port, path).await {
            Ok(()) => return Ok((component, port)),
            Err(_) if tries > 1 && component.log_tail().contains("address already in use") => {
                tries -= 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Waits until `path` answers 200, or says what the log says when the program ended or never did.
pub(super) async fn wait_ready(component: &mut Component, port: u16, path: &str) -> Result<()> {
    for _ in 0..READY_TRIES {
        if !component.is_running()? {
            break;
        }
        if let Ok((200, _)) = http::get(port, path).await {
            return Ok(());
        }
        tokio::time::sleep(READY_PAUSE).await;
    }
    Err(Error::new(
        ErrorKind::Unavailable,
        "component_not_ready",
        format!(
            "{} did not become ready on port {port}; its log {} ends with:\n{}",
            component.name(),
            component.log().display(),
            component.log_tail()
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_bound() {
        let port = free_port().unwrap();
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    }
}
