//! Debian's tinyproxy, on loopback.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

use crate::host;
use crate::process::wait_until;

/// The password of its only user, `me`.
pub const PASSWORD: &str = "secret-word";

/// A running proxy that wants a login; it ends with this value.
#[derive(Debug)]
pub struct TinyProxy {
    /// `127.0.0.1:PORT`
    pub address: String,
    child: Child,
    folder: TempDir,
}

impl TinyProxy {
    /// Starts one; needs `tinyproxy`.
    pub fn start() -> Result<Self> {
        let program = host::find("tinyproxy").context("tinyproxy is not installed")?;
        let folder = tempfile::tempdir()?;
        // The port is free only until somebody else takes it.
        for _ in 0..5 {
            let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            let log = folder.path().join("log");
            let config = format!(
                "Port {}\nListen 127.0.0.1\nAllow 127.0.0.1\nLogFile \"{}\"\nLogLevel Connect\nBasicAuth me {PASSWORD}\n",
                address.port(),
                log.display()
            );
            let file = folder.path().join("config");
            fs::write(&file, config)?;
            let mut command = Command::new(&program);
            command.arg("-d").arg("-c").arg(file).stdin(Stdio::null()).stdout(Stdio::null());
            let mut child = command.stderr(Stdio::null()).spawn().context("start tinyproxy")?;
            let mut ended = false;
            let up = wait_until(Duration::from_secs(20), || {
                ended = !matches!(child.try_wait(), Ok(None));
                ended || TcpStream::connect(address).is_ok()
            });
            if up && !ended {
                return Ok(Self { address: address.to_string(), child, folder });
            }
            child.kill().ok();
            child.wait().ok();
        }
        bail!("tinyproxy does not start");
    }

    /// What it was asked for: `GET http://…`, `CONNECT host:port`.
    pub fn requests(&self) -> Result<Vec<String>> {
        let log = fs::read_to_string(self.folder.path().join("log"))?;
        let requests = log.lines().filter_map(|line| line.split_once("): ")?.1.strip_suffix(" HTTP/1.1"));
        Ok(requests.map(str::to_owned).collect())
    }
}

impl Drop for TinyProxy {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
