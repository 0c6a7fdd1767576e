//! The mounts of one RUN: from what was written to what an isolation is asked for.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use dockerfile::instruction::Run;
use dockerfile::mount::{Bind, Cache, Secret as SecretFlag, Ssh, Tmpfs};
use dockerfile::{Escape, MountFlag, Spanned};
use layer::{Tree, TreePath};
use rootfs::{Ownership, RunRoot, Stub, StubKind, remove_tree};
use sandbox::{Mount, Secret, Writes};

use super::agent::Agent;
use super::cache_mount::{CacheLock, CacheRequest};
use super::mask::Masks;
use super::shown::{Shown, show};
use super::{absolute, pipes};
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::stage::Stage;
use crate::step::{Surroundings, located, wrong};

/// What a process sees that the image does not have.
pub(super) struct Mounts {
    /// What must exist in the image's own files for it.
    pub(super) stubs: Vec<Stub>,
    pub(super) mounts: Vec<Mount>,
    /// Variables besides those of the stage; they go over those.
    pub(super) env: Vec<(String, OsString)>,
    /// Held until the process is gone.
    caches: Vec<CacheLock>,
    _agents: Vec<Agent>,
    _scratch: Vec<Scratch>,
}

/// A directory of the work directory that is of no use after the RUN.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left goes with the work directory.
        let _ = remove_tree(&self.0);
    }
}

/// One mount, its target not yet looked up in the image.
struct Wanted {
    target: TreePath,
    kind: StubKind,
    what: What,
}

enum What {
    Mount(Mount),
    /// A cache by its place in the list of requests.
    Cache {
        request: usize,
        read_only: bool,
        source: String,
    },
}

/// Collects the mounts of one RUN.
struct Collector<'a, 'b> {
    around: &'a Surroundings<'b>,
    /// Who keeps the owners of what the RUN sees.
    ownership: Ownership,
    working_dir: TreePath,
    wanted: Vec<Wanted>,
    requests: Vec<CacheRequest>,
    scratch: Vec<Scratch>,
    env: Vec<(String, OsString)>,
    agents: Vec<Agent>,
}

impl Mounts {
    /// Makes everything ready that this RUN wants to see.
    pub(super) fn new(around: &Surroundings<'_>, stage: &Stage, run: &Run, tree: &Tree) -> Result<Self> {
        let engine = around.engine;
        let mut collector = Collector {
            working_dir: stage.working_dir()?,
            ownership: stage.ownership(),
            around,
            wanted: Vec::new(),
            requests: Vec::new(),
            scratch: Vec::new(),
            env: Vec::new(),
            agents: Vec::new(),
        };
        for flag in &run.mounts {
            collector.collect(flag, stage).map_err(|error| located(flag.span, error))?;
        }
        let Collector { around, ownership, mut wanted, requests, scratch, env, agents, .. } = collector;
        // What lies in another mount comes after it.
        wanted.sort_by(|a, b| a.target.cmp(&b.target));
        let (caches, order) = CacheLock::take_all(around, &ownership, requests)?;

        let mut places = Places::new(tree);
        for directory in ["proc", "sys", "dev"] {
            places.add(&TreePath::new(directory)?, StubKind::Directory)?;
        }
        let mut mounts = Vec::new();
        for (path, source) in engine.network_files()? {
            let target = places.add(&TreePath::new(path)?, StubKind::File)?;
            // Read-only, as with BuildKit: what a RUN wrote there would be seen by the next one.
            mounts.push(Mount::Bind { source, target: absolute(&target), writes: Writes::Refused });
        }
        if let Some(source) = pipes(engine, run)? {
            let target = places.add(&TreePath::new("dev/pipes")?, StubKind::Directory)?;
            mounts.push(Mount::Bind { source, target: absolute(&target), writes: Writes::Refused });
        }
        for Wanted { target, kind, what } in wanted {
            let place = places.add(&target, kind)?;
            let at = absolute(&place);
            mounts.push(match what {
                What::Mount(Mount::Bind { source, writes, .. }) => Mount::Bind { source, target: at, writes },
                What::Mount(Mount::Tmpfs { size, mode, read_only, .. }) => {
                    // As runc does it, a directory that is there keeps its mode.
                    let there = tree.get(&place).filter(|_| places.is_of_image(&place));
                    let mode = there.map_or(mode, |inode| inode.node.metadata.mode);
                    Mount::Tmpfs { target: at, size, mode, read_only }
                }
                What::Mount(Mount::Secret { content, mode, uid, gid, .. }) => {
                    Mount::Secret { target: at, content, mode, uid, gid }
                }
                What::Cache { request, read_only, source } => {
                    let cache = &caches[order[request]];
                    let writes = match read_only {
                        true => Writes::Refused,
                        false => Writes::Kept { in_use: cache.in_use() },
                    };
                    Mount::Bind { source: cache.path(&source)?, target: at, writes }
                }
            });
        }
        Ok(Mounts { stubs: places.stubs, mounts, env, caches, _agents: agents, _scratch: scratch })
    }

    /// Keeps what was said of the files in caches, for those who use them later.
    pub(super) fn keep_owners(&self, root: &RunRoot) -> Result<()> {
        self.caches.iter().try_for_each(|cache| cache.keep_owners(root))
    }
}

impl Collector<'_, '_> {
    fn collect(&mut self, flag: &MountFlag, stage: &Stage) -> Result<()> {
        let lookup = |name: &str| stage.scope.get(name).map(str::to_owned);
        match flag.resolve(self.around.escape, &lookup).map_err(wrong)? {
            dockerfile::Mount::Bind(bind) => self.bind(flag, bind),
            dockerfile::Mount::Cache(cache) => self.cache(flag, cache, stage),
            dockerfile::Mount::Tmpfs(tmpfs) => self.tmpfs(tmpfs),
            dockerfile::Mount::Secret(secret) => self.secret(secret),
            dockerfile::Mount::Ssh(ssh) => self.ssh(ssh),
        }
    }

    /// A target as it was written: relative to the working directory, and not the root.
    fn target(&self, written: &str) -> Result<TreePath> {
        let target = self.working_dir.join_clean(written)?;
        if target.is_root() {
            return Err(Error::new(format!("invalid mount target {:?}", target.to_string())));
        }
        Ok(target)
    }

    fn want(&mut self, written: &str, kind: StubKind, mount: Mount) -> Result<()> {
        let target = self.target(written)?;
        self.wanted.push(Wanted { target, kind, what: What::Mount(mount) });
        Ok(())
    }

    fn bind(&mut self, flag: &MountFlag, bind: Bind) -> Result<()> {
        let (source, kind) = show(self.around, &self.ownership, from(flag), &bind.source)?;
        let writes = match bind.writable {
            true => {
                let scratch = self.around.engine.scratch_directory("writes")?;
                let scratch = scratch.canonicalize().during("work directory")?;
                self.scratch.push(Scratch(scratch.clone()));
                Writes::Discarded { scratch }
            }
            false => Writes::Refused,
        };
        self.want(&bind.target, kind, Mount::Bind { source, target: PathBuf::new(), writes })
    }

    fn cache(&mut self, flag: &MountFlag, cache: Cache, stage: &Stage) -> Result<()> {
        let target = self.target(&cache.target)?;
        let platform = stage.image.config.platform().to_string();
        let request = CacheRequest::new(self.around, from(flag), &cache, &target, &platform, flag.span)?;
        self.requests.push(request);
        // With a `from`, the source says what a new one is filled with; without, which part of it is shown.
        let source = if from(flag).is_some() { String::new() } else { cache.source };
        let what = What::Cache { request: self.requests.len() - 1, read_only: cache.read_only, source };
        self.wanted.push(Wanted { target, kind: StubKind::Directory, what });
        Ok(())
    }

    fn tmpfs(&mut self, tmpfs: Tmpfs) -> Result<()> {
        let (size, read_only) = (tmpfs.size, tmpfs.read_only);
        let mount = Mount::Tmpfs { target: PathBuf::new(), size, mode: 0o1777, read_only };
        self.want(&tmpfs.target, StubKind::Directory, mount)
    }

    fn secret(&mut self, flag: SecretFlag) -> Result<()> {
        let engine = self.around.engine;
        let secret = given_secret(engine, &flag)?;
        if let Some(name) = &flag.env {
            let value = secret.map(|secret| secret.expose().to_vec()).unwrap_or_default();
            if value.contains(&0) {
                let text = format!("secret {}: it has a NUL byte, which no variable can hold", flag.id);
                return Err(Error::new(text).hint("mount it as a file, without env="));
            }
            self.env.push((name.clone(), OsString::from_vec(value)));
        }
        // One that is not there, and need not be, leaves no file.
        let (Some(secret), Some(written)) = (secret, secret_file(&flag)) else { return Ok(()) };
        let mount = Mount::Secret {
            target: PathBuf::new(),
            content: secret.clone(),
            mode: flag.mode.unwrap_or(0o400),
            uid: flag.uid.unwrap_or(0),
            gid: flag.gid.unwrap_or(0),
        };
        self.want(&written, StubKind::File, mount)
    }

    fn ssh(&mut self, flag: Ssh) -> Result<()> {
        let engine = self.around.engine;
        let (id, socket) = given_agent(engine, &flag)?;
        let Some(socket) = socket else { return Ok(()) };
        let number = self.agents.len();
        let written = flag.target.clone().unwrap_or_else(|| format!("/run/buildkit/ssh_agent.{number}"));
        let target = self.target(&written)?;
        let owner = (flag.uid.unwrap_or(0), flag.gid.unwrap_or(0));
        let agent = Agent::start(engine, socket, flag.mode.unwrap_or(0o600), owner)
            .during(format!("forward the SSH agent {id}"))?;
        if number == 0 {
            self.env.push(("SSH_AUTH_SOCK".to_owned(), absolute(&target).into()));
        }
        let source = agent.path().to_owned();
        self.agents.push(agent);
        let mount = Mount::Bind { source, target: PathBuf::new(), writes: Writes::Refused };
        self.wanted.push(Wanted { target, kind: StubKind::File, what: What::Mount(mount) });
        Ok(())
    }
}

/// The secret that a mount names; an error if there is none and it is required.
fn given_secret<'a>(engine: &Engine<'a>, flag: &SecretFlag) -> Result<Option<&'a Secret>> {
    let id = &flag.id;
    let secret = engine.options.secrets.get(id);
    if secret.is_none() && flag.required {
        let hint = format!("give it with --secret id={id},src=FILE or id={id},env=NAME");
        return Err(Error::new(format!("secret {id}: not found")).hint(hint));
    }
    Ok(secret)
}

/// Where a secret is a file, if it is one.
fn secret_file(flag: &SecretFlag) -> Option<String> {
    let base = flag.id.rsplit('/').next().unwrap_or_default();
    let usual = || flag.env.is_none().then(|| format!("/run/secrets/{base}"));
    flag.target.clone().or_else(usual)
}

/// The agent that a mount names: its id, and its socket; an error if there is none and it is required.
fn given_agent<'a, 'b>(engine: &Engine<'a>, flag: &'b Ssh) -> Result<(&'b str, Option<&'a PathBuf>)> {
    let id = flag.id.as_deref().unwrap_or("default");
    let socket = engine.options.agents.get(id);
    if socket.is_none() && flag.required {
        let given = flag.id.as_deref().unwrap_or_default();
        return Err(Error::new(format!("no SSH key {given:?} forwarded from the client"))
            .hint(format!("give an agent's socket with --ssh {id}=SOCKET")));
    }
    Ok((id, socket))
}

/// What can be said of the mounts of a RUN before anything is fetched: an error for what was not given. What is
/// given and may be refused by an isolation is returned.
pub(super) fn foresee(engine: &Engine, run: &Run) -> Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    for flag in run.mounts.iter().filter(|flag| flag.is_constant()) {
        let blame = |error| located(flag.span, error);
        match flag.resolve(Escape::default(), &|_| None).map_err(|error| blame(wrong(error)))? {
            dockerfile::Mount::Secret(secret) => {
                let given = given_secret(engine, &secret).map_err(blame)?;
                if let (Some(content), Some(target)) = (given, secret_file(&secret)) {
                    let (target, content) = (target.into(), content.clone());
                    mounts.push(Mount::Secret { target, content, mode: 0o400, uid: 0, gid: 0 });
                }
            }
            dockerfile::Mount::Ssh(ssh) => {
                given_agent(engine, &ssh).map_err(blame)?;
            }
            _ => {}
        }
    }
    Ok(mounts)
}

/// An empty `from` is none.
fn from(flag: &MountFlag) -> Option<&Spanned<String>> {
    flag.from.as_ref().filter(|from| !from.value.is_empty())
}

/// Where in the image mounts go, and what must be there for it.
struct Places<'a> {
    tree: &'a Tree,
    taken: Vec<TreePath>,
    stubs: Vec<Stub>,
}

impl<'a> Places<'a> {
    fn new(tree: &'a Tree) -> Self {
        Places { tree, taken: Vec::new(), stubs: Vec::new() }
    }

    /// Follows links of the image to where a target is, up to the first mount on the way: what is in that is not
    /// the image's, and the isolation looks there itself.
    fn add(&mut self, target: &TreePath, kind: StubKind) -> Result<TreePath> {
        let mut at = TreePath::root();
        let mut parts = target.parts();
        let mut inside = false;
        for part in parts.by_ref() {
            at = self.tree.resolve(&at.child(part), true)?.path;
            inside = self.taken.iter().any(|mount| at.is_within(mount));
            if inside {
                break;
            }
        }
        for part in parts {
            at = at.child(part);
        }
        if !inside {
            self.stubs.push(Stub { path: at.clone(), kind });
        }
        self.taken.push(at.clone());
        Ok(at)
    }

    /// True for a place in the image's own files.
    fn is_of_image(&self, path: &TreePath) -> bool {
        self.stubs.iter().any(|stub| stub.path == *path)
    }
}

/// What the mounts of all RUNs of one build share.
pub(crate) struct Mounting {
    /// What was written out for bind mounts.
    pub(super) shown: Mutex<Shown>,
    /// The secrets of the build. A RUN may print one that another has left somewhere.
    pub(super) masks: Masks,
    /// It was said that caches are not kept.
    pub(super) told_of_caches: AtomicBool,
}

impl Mounting {
    pub(crate) fn new(secrets: &BTreeMap<String, Secret>) -> Self {
        let mut masks = Masks::default();
        secrets.values().for_each(|secret| masks.add(secret));
        Mounting { shown: Mutex::default(), masks, told_of_caches: AtomicBool::new(false) }
    }

    /// Where caches are that last for this build only.
    pub(super) fn caches_of_build(engine: &Engine) -> PathBuf {
        engine.options.work_dir.path().join("cache-mounts")
    }
}

#[cfg(test)]
mod tests {
    use layer::{Change, Kind, Metadata, Node};

    use super::*;

    #[test]
    fn targets_are_looked_up_in_the_image_until_a_mount() {
        let mut tree = Tree::new();
        let mut put = |path: &str, kind| {
            let node = Node { metadata: Metadata::default(), kind };
            tree.change(0, &Change::Put { path: TreePath::new(path).unwrap(), node });
        };
        let link = |target: &str| Kind::Symlink { target: target.as_bytes().into() };
        put("dir", Kind::Directory);
        put("dir/away", link("/elsewhere"));
        put("link", link("dir"));
        put("dangling", link("not/there"));
        put("run", link("/dev/shm"));
        for (targets, expected, stubs) in [
            ("link/a", "/dir/a", 1),
            ("link/away/a", "/elsewhere/a", 1),
            ("dangling/a", "/not/there/a", 1),
            ("new/deep", "/new/deep", 1),
            // In a mount, what the image has there does not count.
            ("dir link/away/a", "/dir /dir/away/a", 1),
            ("new new/a/b", "/new /new/a/b", 1),
            ("a a", "/a /a", 1),
            // As where the process has its devices.
            ("dev dev/x run/y", "/dev /dev/x /dev/shm/y", 1),
        ] {
            let mut places = Places::new(&tree);
            let found = targets.split(' ').map(|target| {
                places.add(&TreePath::new(target).unwrap(), StubKind::Directory).unwrap().to_string()
            });
            assert_eq!(found.collect::<Vec<_>>().join(" "), expected);
            assert_eq!(places.stubs.len(), stubs, "{targets}");
        }
    }
}
