//! Emulators of clouds, as processes on free ports: those that `cargo xtask test` installs, else those in `PATH`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running emulator; it ends with this value.
pub struct Emulator {
    pub address: String,
    /// Where it may write.
    _directory: tempfile::TempDir,
    child: Child,
}

/// The file of a program.
fn find(program: &str) -> Option<PathBuf> {
    // Packages are not all as deep in the repository.
    let above =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("target/emulators"));
    let own = above.flat_map(|own| [own.join("python/bin"), own.join("node/node_modules/.bin")]);
    let path = std::env::var_os("PATH").unwrap_or_default();
    own.chain(std::env::split_paths(&path)).map(|folder| folder.join(program)).find(|file| file.is_file())
}

impl Emulator {
    /// Starts a program with these arguments, in which `$PORT` is a free port. None if it is not installed, which is
    /// said; in CI that is a failure.
    pub fn start(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Option<Self> {
        let Some(path) = find(program) else {
            let ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
            assert!(!ci, "in CI nothing may be missing, and {program} is");
            println!("skipped: {program} is not installed; cargo xtask test does it");
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command = Command::new(&path);
            for argument in arguments {
                command.arg(argument.replace("$PORT", &port.to_string()));
            }
            command.envs(variables.iter().copied()).current_dir(directory.path());
            let mut child =
                command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            let address = format!("127.0.0.1:{port}");
            let end = Instant::now() + Duration::from_secs(120);
            while Instant::now() < end && child.try_wait().unwrap().is_none() {
                if TcpStream::connect(&address).is_ok() {
                    return Some(Emulator { address, _directory: directory, child });
                }
                std::thread::sleep(Duration::from_millis(50));
            }
            // Somebody else has taken the port.
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("{program} does not start");
    }

    /// Sends one request and returns status and body.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("Host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, body.to_owned())
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// AWS as moto has it, which checks signatures: with the keys of a user who may do everything.
pub struct Moto {
    pub emulator: Emulator,
    pub key: String,
    pub secret: String,
}

impl Moto {
    /// Starts it. `unsigned` requests more than it takes to make the user are let through before signatures count.
    pub fn start(unsigned: usize) -> Option<Self> {
        let count = (3 + unsigned).to_string();
        let emulator = Emulator::start(
            "moto_server",
            &["-H", "127.0.0.1", "-p", "$PORT"],
            &[("INITIAL_NO_AUTH_ACTION_COUNT", &count)],
        )?;
        let mut moto = Moto { emulator, key: String::new(), secret: String::new() };
        moto.iam("Action=CreateUser&UserName=u");
        let answer = moto.iam("Action=CreateAccessKey&UserName=u");
        let part = |name: &str| {
            let (_, rest) = answer.split_once(&format!("<{name}>")).unwrap();
            rest.split('<').next().unwrap().to_owned()
        };
        (moto.key, moto.secret) = (part("AccessKeyId"), part("SecretAccessKey"));
        let policy = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22*%22%2C%22Resource%22%3A%22*%22%7D%5D%7D";
        moto.iam(&format!("Action=PutUserPolicy&UserName=u&PolicyName=all&PolicyDocument={policy}"));
        Some(moto)
    }

    fn iam(&self, form: &str) -> String {
        let form = format!("{form}&Version=2010-05-08");
        let headers = [
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Host", "iam.amazonaws.com"),
            (
                "Authorization",
                "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0",
            ),
        ];
        let (status, body) = self.emulator.send("POST", "/", &headers, form.as_bytes());
        assert_eq!(status, 200, "{form}: {body}");
        body
    }
}
