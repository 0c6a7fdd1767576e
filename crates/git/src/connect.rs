//! Connections: the way to a repository, for each kind of location.

use std::ffi::OsString;
use std::io::Read;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use gix::bstr::BString;
use gix::protocol::transport::Protocol;
use gix::protocol::transport::client::blocking_io::Transport;
use gix::protocol::transport::client::git::ConnectMode;
use gix::protocol::transport::client::git::blocking_io::Connection as GitConnection;
use gix_transport::client::blocking_io::http::Transport as HttpTransport;
use reqwest::header::HeaderValue;
use tokio::runtime::Handle;
use transport::{Cause, Clients, Failure};

use crate::error::ErrorKind;
use crate::http::{Blame, HttpClient};
use crate::pipe::Patient;
use crate::stop::Stop;
use crate::{Authorization, Location, Options};

/// What is kept of what a program says on standard error.
const COMPLAINT: u64 = 4096;

/// The port of git's daemon.
const DAEMON_PORT: u16 = 9418;

/// What all connections of one request share.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    pub(crate) options: Arc<Options>,
    pub(crate) clients: Clients,
    pub(crate) runtime: Handle,
    pub(crate) stop: Stop,
}

/// A way to a repository, and what became of it.
pub(crate) struct Connection {
    pub(crate) transport: Box<dyn Transport>,
    blame: Blame,
    program: Option<Program>,
}

/// A program at the other end of the line.
struct Program {
    child: Child,
    /// Gives what it said last.
    complaint: Option<JoinHandle<String>>,
}

impl Connector {
    pub(crate) fn connect(
        &self,
        location: &Location,
        authorization: Option<&Authorization>,
    ) -> Result<Connection, ErrorKind> {
        let blame = Blame::default();
        match location {
            Location::Http(url) => {
                let authorization = authorization.map(header).transpose()?;
                let http = HttpClient::new(
                    self.clients.clone(),
                    self.runtime.clone(),
                    self.stop.clone(),
                    url.clone(),
                    authorization,
                    Arc::clone(&blame),
                );
                let url = gix::url::parse(url.as_str()).map_err(|error| ErrorKind::Invalid {
                    reason: format!("it is no address of a repository: {error}"),
                })?;
                let transport = HttpTransport::new_http(http, url, Protocol::V2, false);
                Ok(Connection { transport: Box::new(transport), blame, program: None })
            }
            Location::Daemon { host, port, path } => {
                let stream = self.dial(host, port.unwrap_or(DAEMON_PORT))?;
                let write = stream.try_clone().map_err(|error| unreachable(host, &error.to_string()))?;
                let read = self.patient(stream, host, &blame);
                let virtual_host = Some((host.clone(), *port));
                let transport = GitConnection::new(
                    read,
                    write,
                    Protocol::V2,
                    BString::from(path.as_str()),
                    virtual_host,
                    ConnectMode::Daemon,
                    false,
                );
                Ok(Connection { transport: Box::new(transport), blame, program: None })
            }
            Location::Ssh { user, host, port, path } => {
                let mut command = Command::new(&self.options.ssh.program);
                command.args(&self.options.ssh.arguments);
                // Nobody is there to answer a question.
                command.args(["-o", "BatchMode=yes", "-o", "SendEnv=GIT_PROTOCOL"]);
                if let Some(port) = port {
                    command.args(["-p", &port.to_string()]);
                }
                let target = user.as_ref().map_or_else(|| host.clone(), |user| format!("{user}@{host}"));
                command.args(["--", &target, &format!("git-upload-pack {}", quoted(path))]);
                match &self.options.ssh.agent {
                    Some(agent) => command.env("SSH_AUTH_SOCK", agent),
                    None => command.env_remove("SSH_AUTH_SOCK"),
                };
                self.run(command, host, path, blame)
            }
            Location::Local(path) if self.options.local => {
                let mut command = Command::new("git");
                command.arg("upload-pack").arg(path);
                self.run(command, "the git program", &path.to_string_lossy(), blame)
            }
            Location::Local(_) => Err(ErrorKind::Invalid {
                reason: "a repository on this machine is not read: give it as a context directory".to_owned(),
            }),
        }
    }

    fn patient<R>(&self, inner: R, host: &str, blame: &Blame) -> Patient<R> {
        Patient {
            inner,
            stop: self.stop.clone(),
            idle: self.options.network.idle,
            host: host.to_owned(),
            blame: Arc::clone(blame),
        }
    }

    fn dial(&self, host: &str, port: u16) -> Result<TcpStream, ErrorKind> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = (bare, port).to_socket_addrs();
        let addresses =
            addresses.map_err(|error| unreachable(host, &format!("its name cannot be resolved: {error}")))?;
        let mut last = unreachable(host, "its name has no address");
        for address in addresses {
            match TcpStream::connect_timeout(&address, self.options.network.connect) {
                Ok(stream) => {
                    let silence = Some(self.options.network.idle);
                    let set = stream.set_write_timeout(silence);
                    set.map_err(|error| unreachable(host, &error.to_string()))?;
                    return Ok(stream);
                }
                Err(error) => last = unreachable(host, &error.to_string()),
            }
        }
        Err(last)
    }

    /// A connection through a program's standard input and output.
    fn run(
        &self,
        mut command: Command,
        host: &str,
        path: &str,
        blame: Blame,
    ) -> Result<Connection, ErrorKind> {
        command
            .env("GIT_PROTOCOL", "version=2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let program = OsString::from(command.get_program());
        let mut child = command.spawn().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NoSsh { program: program.clone().into() },
            _ => ErrorKind::write(Path::new(&program), error),
        })?;
        let (Some(write), Some(read)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ErrorKind::protocol("the program has no standard input or output"));
        };
        let complaint = child.stderr.take().map(|stderr| std::thread::spawn(move || last_words(stderr)));
        let transport = GitConnection::new(
            self.patient(read, host, &blame),
            write,
            Protocol::V2,
            BString::from(path),
            None::<(String, Option<u16>)>,
            ConnectMode::Process,
            false,
        );
        let program = Some(Program { child, complaint });
        Ok(Connection { transport: Box::new(transport), blame, program })
    }
}

impl Connection {
    /// The error as we know it, else as gix tells it, with what the program at the other end said.
    pub(crate) fn explain(self, told: String) -> ErrorKind {
        let Connection { transport, blame, program } = self;
        // A program ends when its input does.
        drop(transport);
        if let Some(kind) = blame.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return kind;
        }
        let said = program.map(Program::end).unwrap_or_default();
        if said.is_empty() { ErrorKind::protocol(told) } else { ErrorKind::protocol(said) }
    }
}

impl Program {
    /// Ends the program, and gives what it had to say.
    fn end(mut self) -> String {
        let _ = self.child.kill();
        self.complaint.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It has ended already, or is of no more use.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last line that says something. It is read to its end, or the program would wait for a reader.
fn last_words(mut stderr: ChildStderr) -> String {
    let mut text = Vec::new();
    let _ = stderr.by_ref().take(COMPLAINT).read_to_end(&mut text);
    let _ = std::io::copy(&mut stderr, &mut std::io::sink());
    let text = String::from_utf8_lossy(&text).into_owned();
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(300).collect()
}

fn unreachable(host: &str, reason: &str) -> ErrorKind {
    let Failure { reason, cause } = Failure { reason: reason.to_owned(), cause: Cause::Network };
    ErrorKind::Unreachable { host: host.to_owned(), reason, cause }
}

fn header(authorization: &Authorization) -> Result<HeaderValue, ErrorKind> {
    let mut value = HeaderValue::from_str(authorization.value().expose()).map_err(|_| {
        ErrorKind::Options { reason: "the authorization holds characters that no header can".to_owned() }
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// A path as one word of the shell at the other end.
fn quoted(path: &str) -> String {
    format!("'{}'", path.replace('\'', r"'\''"))
}
