//! Agent: an SSH agent's socket, forwarded to a RUN.
//!
//! The process gets a socket of ours, with the owner and mode it asks for, and what is said there is passed on. The
//! agent's own socket would refuse any user but its own (ssh-agent(1)), and may be out of reach for a process in
//! a user namespace.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Gid, Uid};
use rustix::io::Errno;

use crate::engine::Engine;
use crate::error::{Context, Result};

/// Forwards until it is dropped.
pub(super) struct Agent {
    path: PathBuf,
    /// Closed to end the thread.
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<()>>,
}

impl Agent {
    /// Makes a socket in the work directory that leads to the one at `to`.
    pub(super) fn start(engine: &Engine, to: &Path, mode: u32, (uid, gid): (u32, u32)) -> Result<Self> {
        let directory = engine.scratch_directory("agent")?.canonicalize().during("work directory")?;
        let path = directory.join("socket");
        Self::listen(&directory, &path, to, mode, (uid, gid)).during(path.display())
    }

    fn listen(
        directory: &Path,
        path: &Path,
        to: &Path,
        mode: u32,
        (uid, gid): (u32, u32),
    ) -> io::Result<Self> {
        // A socket's address has at most 108 bytes (unix(7)), which a path may exceed.
        let opened = std::fs::File::open(directory)?;
        let listener = UnixListener::bind(format!("/proc/self/fd/{}/socket", opened.as_raw_fd()))?;
        rustix::fs::chown(path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode & 0o7777))?;
        // So that a client which has gone again keeps nobody waiting.
        listener.set_nonblocking(true)?;
        let (stop, stopped) = UnixStream::pair()?;
        let to = to.to_owned();
        let thread = std::thread::Builder::new()
            .name("ssh agent".to_owned())
            .spawn(move || forward(&listener, &stopped, &to))?;
        Ok(Agent { path: path.to_owned(), stop: Some(stop), thread: Some(thread) })
    }

    /// The socket.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell: a process whose connection failed has seen that itself.
            let _ = thread.join();
        }
    }
}

/// Accepts connections until the other end of `stopped` is closed.
fn forward(listener: &UnixListener, stopped: &UnixStream, to: &Path) {
    loop {
        let mut fds = [PollFd::new(listener, PollFlags::IN), PollFd::new(stopped, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) if !fds[1].revents().is_empty() => return,
            Ok(_) => {}
        }
        let Ok((client, _)) = listener.accept() else { continue };
        // Where there is no agent any more, the client finds its connection closed.
        if let Ok(agent) = UnixStream::connect(to) {
            connect(client, agent);
        }
    }
}

/// Passes on what either says, in threads that end with the connection.
fn connect(client: UnixStream, agent: UnixStream) {
    let (Ok(from_agent), Ok(to_client)) = (agent.try_clone(), client.try_clone()) else { return };
    for (from, to) in [(client, agent), (from_agent, to_client)] {
        let pass = move || {
            let _ = io::copy(&mut &from, &mut &to);
            let _ = to.shutdown(Shutdown::Write);
        };
        // Without a thread the connection is closed, as its descriptors are.
        let _ = std::thread::Builder::new().name("ssh agent".to_owned()).spawn(pass);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn what_is_said_arrives_and_is_answered() {
        let directory = tempfile::tempdir().unwrap();
        // Longer than the address of a socket may be.
        let deep = directory.path().join("d".repeat(200));
        std::fs::create_dir(&deep).unwrap();
        let to = directory.path().join("agent");
        let agent = UnixListener::bind(&to).unwrap();
        let (path, us) = (deep.join("socket"), (rustix::process::getuid(), rustix::process::getgid()));
        let owner = (us.0.as_raw(), us.1.as_raw());
        let forwarded = Agent::listen(&deep, &path, &to, 0o640, owner).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
        let opened = std::fs::File::open(&deep).unwrap();
        for number in 0..3u8 {
            let mut client =
                UnixStream::connect(format!("/proc/self/fd/{}/socket", opened.as_raw_fd())).unwrap();
            client.write_all(&[number]).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut end = agent.accept().unwrap().0;
            let mut said = Vec::new();
            end.read_to_end(&mut said).unwrap();
            assert_eq!(said, [number]);
            end.write_all(b"answer").unwrap();
            drop(end);
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "answer");
        }
        drop(forwarded);
        let again = UnixStream::connect(format!("/proc/self/fd/{}/socket", opened.as_raw_fd()));
        assert!(again.is_err(), "nobody listens any more");
    }
}
