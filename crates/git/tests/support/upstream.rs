//! Repositories as others make them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// When all commits are made.
pub const TIME: i64 = 1_700_000_000;

/// A directory of repositories.
pub struct Upstream {
    pub root: tempfile::TempDir,
}

impl Upstream {
    /// None if there is no git; the reason for skipping is printed then.
    pub fn new() -> Option<Upstream> {
        testkit::available("git").then(|| Upstream { root: tempfile::tempdir().unwrap() })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Begins a repository with the branch `main`.
    pub fn init(&self, name: &str) {
        fs::create_dir_all(self.path(name)).unwrap();
        self.git(name, &["init", "--quiet", "--initial-branch=main"]);
        self.git(name, &["config", "uploadpack.allowAnySHA1InWant", "true"]);
    }

    /// Runs git in a repository, and gives what it prints, less the last line end.
    pub fn git(&self, name: &str, arguments: &[&str]) -> String {
        run(&self.path(name), arguments, &[])
    }

    /// The same with something on standard input.
    pub fn git_with_input(&self, name: &str, arguments: &[&str], input: &[u8]) -> String {
        run(&self.path(name), arguments, input)
    }

    /// Writes files (a name that ends with `*` is executable, a content that begins with `-> ` is a link) and commits
    /// all there is. Gives the commit's id.
    pub fn commit(&self, name: &str, files: &[(&str, &str)]) -> String {
        for (file, content) in files {
            let executable = file.ends_with('*');
            let path = self.path(name).join(file.trim_end_matches('*'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if let Some(target) = content.strip_prefix("-> ") {
                symlink(target, &path).unwrap();
                continue;
            }
            fs::write(&path, content).unwrap();
            let mode = if executable { 0o700 } else { 0o600 };
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        self.git(name, &["add", "--all", "--force"]);
        self.git(name, &["commit", "--quiet", "--message", "a commit"]);
        self.git(name, &["rev-parse", "HEAD"])
    }

    /// Commits a tree of objects that no working tree could hold, as the branch `main`: lines of `git mktree`.
    pub fn commit_tree(&self, name: &str, tree: &str) -> String {
        let commit = self.git(name, &["commit-tree", "-m", "odd", tree]);
        self.git(name, &["update-ref", "refs/heads/main", &commit]);
        commit
    }

    /// Stores an object of any bytes.
    pub fn object(&self, name: &str, kind: &str, bytes: &[u8]) -> String {
        self.git_with_input(name, &["hash-object", "-w", "--stdin", "-t", kind, "--literally"], bytes)
    }
}

/// The bytes of a tree object.
pub fn tree_object(entries: &[(&str, &[u8], &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (mode, name, id) in entries {
        bytes.extend_from_slice(mode.as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        let digits = id.as_bytes().chunks(2);
        bytes.extend(digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()));
    }
    bytes
}

/// Real git, without the configuration of whoever runs the test.
pub fn run(directory: &Path, arguments: &[&str], input: &[u8]) -> String {
    let date = format!("{TIME} +0000");
    let mut child = Command::new("git")
        .args(["-c", "protocol.file.allow=always", "-c", "core.fsync=none"])
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs([("GIT_AUTHOR_NAME", "A"), ("GIT_AUTHOR_EMAIL", "a@a.example")])
        .envs([("GIT_COMMITTER_NAME", "C"), ("GIT_COMMITTER_EMAIL", "c@c.example")])
        .env("GIT_AUTHOR_DATE", &date)
        .env("GIT_COMMITTER_DATE", &date)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}
