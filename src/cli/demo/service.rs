//! The demo's service: this program's own `serve`, as a process that can really be restarted.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the demo owns its temporary folder"
)]

use crate::components::free_port;
use crate::error::{Error, ErrorKind, Result};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::{Child, Command};

/// The running program, even if its file was replaced meanwhile (by the next build).
const THIS_PROGRAM: &str = "/proc/self/exe";
/// The service's configuration, in the demo's folder.
pub(super) const CONFIG: &str = "tachograph.toml";
const READY_TRIES: usize = 200;
const READY_PAUSE: Duration = Duration::from_millis(100);

/// A running `tachograph serve`.
#[derive(Debug)]
pub(super) struct Service {
    child: Child,
    folder: PathBuf,
    data_dir: PathBuf,
    port: u16,
}

fn failed(what: &str) -> impl FnOnce(std::io::Error) -> Error {
    move |error| {
        Error::new(
            ErrorKind::Unavailable,
            "demo_service",
            format!("{what} failed"),
        )
        .with_source(error)
    }
}

/// A folder of one part of the demo.
pub(super) fn subfolder(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    std::fs::create_dir_all(&path).map_err(failed("making a folder of the demo"))?;
    Ok(path)
}

/// Writes a small file of the demo.
pub(super) fn write_small(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).map_err(failed("writing a file of the demo"))
}

impl Service {
    /// Starts the service on the folder's data directory and waits until it is ready.
    pub(super) async fn start(folder: &Path) -> Result<Self> {
        Self::start_on(folder, &folder.join("archive")).await
    }

    /// Starts the service on a data directory elsewhere.
    pub(super) async fn start_on(folder: &Path, data_dir: &Path) -> Result<Self> {
        Self::start_at(folder, data_dir, free_port()?).await
    }

    async fn start_at(folder: &Path, data_dir: &Path, port: u16) -> Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.join("service.log"));
        let log = log.map_err(failed("opening the service's log"))?;
        let child = Command::new(THIS_PROGRAM)
            .arg("serve")
            .arg("--data-dir")
            .arg(data_dir)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .arg("--config")
            .arg(folder.join(CONFIG))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed("starting the service"))?;
        let mut service = Self {
            child,
            folder: folder.to_owned(),
            data_dir: data_dir.to_owned(),
            port,
        };
        service.wait_until_ready().await?;
        Ok(service)
    }

    /// Its port of the loopback interface.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Its address.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        for _ in 0..READY_TRIES {
            if tokio::net::TcpStream::connect(("127.0.0.1", self.port))
                .await
                .is_ok()
            {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                let log =
                    std::fs::read_to_string(self.folder.join("service.log")).unwrap_or_default();
                let message = format!("the service ended ({status}); its log says:\n{log}");
                return Err(Error::new(ErrorKind::Unavailable, "demo_service", message));
            }
            tokio::time::sleep(READY_PAUSE).await;
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "demo_service",
            "the service did not become ready in 20 s",
        ))
    }

    /// Ends the process as an operator would (SIGTERM) and waits for it.
    pub(super) async fn stop(mut self) -> Result<()> {
        if let Some(pid) = self.child.id() {
            let kill = Command::new("kill").arg(pid.to_string()).status().await;
            kill.map_err(failed("stopping the service"))?;
        }
        self.child
            .wait()
            .await
            .map_err(failed("stopping the service"))
            .map(drop)
    }

    /// Stops it and starts it again on the same data and address.
    pub(super) async fn restart(self) -> Result<Self> {
        let (folder, data_dir, port) = (self.folder.clone(), self.data_dir.clone(), self.port);
        self.stop().await?;
        Self::start_at(&folder, &data_dir, port).await
    }
}
