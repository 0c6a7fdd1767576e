//! Debian's `docker-registry`, the reference implementation, on a free loopback port.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A running registry; it ends with this value.
pub struct Real {
    pub address: String,
    pub directory: TempDir,
    child: Child,
}

/// How to start it.
#[derive(Default)]
pub struct Setup<'a> {
    /// Ask for user `user`, password `hunter2`.
    pub login: bool,
    /// Speak TLS with this certificate and key.
    pub tls: Option<(&'a Path, &'a Path)>,
    /// Want a certificate signed by this one.
    pub client_authority: Option<&'a Path>,
    /// Ask for tokens of a service.
    pub token: Option<Token<'a>>,
}

/// A service `registry`, whose issuer is `test`.
pub struct Token<'a> {
    pub realm: &'a str,
    /// The certificates of who may sign tokens.
    pub bundle: &'a Path,
}

/// `user:hunter2` by bcrypt.
const LOGIN: &str = "user:$2y$05$abcdefghijklmnopqrstuuoXuKqgZXLiJqzfmMXDDhSFPIvxV7t8.\n";

impl Real {
    /// Starts one; prints why and returns nothing where it is not installed.
    pub fn start(setup: &Setup<'_>) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().display();
        // The port may be taken between our asking and its use; then it is another one's turn.
        for _ in 0..5 {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut config = format!(
                "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nstorage: {{filesystem: {{rootdirectory: {root}/data}}, delete: {{enabled: true}}}}\nhttp:\n  addr: {address}\n"
            );
            if let Some((certificate, key)) = setup.tls {
                let (certificate, key) = (certificate.display(), key.display());
                let clients = setup
                    .client_authority
                    .map_or(String::new(), |path| format!(", clientcas: [{}]", path.display()));
                writeln!(config, "  tls: {{certificate: {certificate}, key: {key}{clients}}}").unwrap();
            }
            if setup.login {
                std::fs::write(directory.path().join("htpasswd"), LOGIN).unwrap();
                writeln!(config, "auth: {{htpasswd: {{realm: test, path: {root}/htpasswd}}}}").unwrap();
            }
            if let Some(Token { realm, bundle }) = &setup.token {
                let bundle = bundle.display();
                writeln!(config, "auth: {{token: {{realm: '{realm}', service: registry, issuer: test, rootcertbundle: {bundle}}}}}").unwrap();
            }
            let file = directory.path().join("config.yml");
            std::fs::write(&file, config).unwrap();
            let started = Command::new("docker-registry")
                .arg("serve")
                .arg(&file)
                .env("OTEL_TRACES_EXPORTER", "none")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            let child = match started {
                Ok(child) => child,
                Err(error) => {
                    println!("skipped: docker-registry cannot be run: {error}");
                    return None;
                }
            };
            let mut real =
                Real { address: address.to_string(), directory: tempfile::tempdir().unwrap(), child };
            if real.is_up() {
                real.directory = directory;
                return Some(real);
            }
        }
        panic!("docker-registry did not come up");
    }

    /// Waits until a connection is answered; false if the process has ended.
    fn is_up(&mut self) -> bool {
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(20) {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if let Ok(mut stream) = TcpStream::connect(&self.address) {
                // Over TLS this is answered too, by a refusal.
                stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
                let _ = stream.write_all(b"GET /v2/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
                if matches!(stream.read(&mut [0; 16]), Ok(1..)) {
                    return true;
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
