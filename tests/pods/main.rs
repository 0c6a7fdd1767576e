//! Builds with RUN in real containers with the privileges that Kubernetes gives to pods, and as a user of an
//! ordinary machine: everywhere the same image, to the byte, as root makes outside of any container.
#![forbid(unsafe_code)]

mod base;
mod check;
mod container;
mod isolation;
mod process_table;
mod profiles;
mod programs;
mod security;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::process::{Finished, finish, wait_until};
use e2e::{Bako, Image, Registry, bases, host, image, program, tree};
use libtest_mimic::{Arguments, Trial};

use container::{Container, VOLUME};
use process_table::descendants;
use security::{Capabilities, DEFAULT, PRIVILEGED, RESTRICTED, Seccomp, Security};

/// Fixes every time in the images: 2023-11-14.
const EPOCH: (&str, &str) = ("SOURCE_DATE_EPOCH", "1700000000");

/// Everything that an isolation could get wrong: owners, special bits, links, attributes, deletions, other users.
const DOCKERFILE: &str = r#"FROM BASE
COPY helper /helper
COPY --chown=app:staff file /srv/copied
RUN id -u; id -g; cd /srv; mkdir set gone sticky; \
    echo a > set/a; chown 1000:50 set/a; ln set/a set/b; ln -s a set/link; chown -h 1000:1000 set/link; \
    echo x > su; chown 0:50 su; chmod 6755 su; \
    chown 12345:54321 set; chmod 2775 set; chmod 1777 sticky; mkfifo -m 640 fifo; \
    echo x > gone/x; echo x > sealed; chmod 0 sealed; \
    echo x > able; chown 0:50 able; chmod 750 able; /helper set-capability able
RUN cd /tmp; mkdir many; i=0; while [ $i -lt 1000 ]; do echo $i > many/$i; i=$((i + 1)); done; \
    chown -R 1000:1000 many; chmod -R go= many; find many -exec stat -c "%n %a %u:%g" {} + | sort | sha256sum > /srv/sum; rm -r many/?
RUN cd /srv; rm -r gone /helper; mv set moved; mkdir set; touch set/new; mv able enabled; chown 7:8 .; chmod 711 .
USER app:staff
WORKDIR /home/app/work
RUN echo "$(id -u) $(id -g) $HOME" > /tmp/ids; touch -t 202001010000 /tmp/old; \
    cat /srv/sealed 2>/dev/null || echo refused > /tmp/sealed
USER root
RUN tr -d '\0' < /etc/passwd | head -n 1 > seen; rm /etc/shadow
"#;

/// What the image has otherwise than its base; by the rules of Dockerfiles, and read by umoci.
const TREE: &str = r#"- /etc/shadow
/home/app/work dir 0755 1000:50
/home/app/work/seen file 0644 0:0 30 "root:x:0:0:root:/root:/bin/sh\n"
/srv dir 0711 7:8
/srv/copied file 0644 1000:50 5 "text\n"
/srv/enabled file 0750 0:50 2 "x\n" [security.capability=\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00]
/srv/fifo fifo 0640 0:0
/srv/moved dir 2775 12345:54321
/srv/moved/a file 0644 1000:50 2 "a\n"
/srv/moved/b hardlink /srv/moved/a
/srv/moved/link symlink 1000:1000 -> a
/srv/sealed file 0000 0:0 2 "x\n"
/srv/set dir 0755 0:0
/srv/set/new file 0644 0:0 0
/srv/sticky dir 1777 0:0
/srv/su file 6755 0:50 2 "x\n"
/srv/sum file 0644 0:0 68
/tmp/ids file 0644 1000:50 18 "1000 50 /home/app\n"
/tmp/many dir 0700 1000:1000
/tmp/old file 0644 1000:50 0
/tmp/sealed file 0644 1000:50 8 "refused\n"
"#;

fn main() -> Result<ExitCode> {
    if std::env::args().nth(1).as_deref() == Some("set-capability") {
        let file = std::env::args().nth(2).context("which file?")?;
        set_capability(Path::new(&file))?;
        return Ok(ExitCode::SUCCESS);
    }
    let arguments = Arguments::from_args();
    let needs = [image::JUDGES, &["runc"]].concat();
    if let Some(reason) = host::missing(&needs) {
        host::skip_named("pods", &reason);
        return Ok(ExitCode::SUCCESS);
    }
    // It takes a while to make, and not every test needs it.
    let fixture: Arc<OnceLock<Result<Fixture>>> = Arc::default();
    type Test = Box<dyn FnOnce(&Fixture) -> Result<()> + Send>;
    let with_fixture = |name: &str, test: Test| {
        let fixture = fixture.clone();
        Trial::test(name, move || {
            let fixture = fixture.get_or_init(Fixture::new).as_ref().map_err(|error| format!("{error:#}"))?;
            Ok(test(fixture).map_err(|error| format!("{error:#}"))?)
        })
    };
    let trial = |name: &str, test: fn(&Fixture) -> Result<()>| with_fixture(name, Box::new(test));
    let mut trials = vec![
        trial("the image is as it should be", image_is_right),
        trial("a user of an ordinary machine", laptop),
        trial("restricted, without RUN", restricted_without_run),
        trial("where no RUN works", refusals),
        trial("the calls of a command", traced),
        trial("several builds in one container", several),
        trial("owners in a cache mount", owners_in_a_cache),
        trial("stages side by side", side_by_side),
    ];
    for pod in PODS {
        if !pod.is_possible()? {
            host::skip_named(pod.name, "this machine allows no user namespaces");
            continue;
        }
        let name = format!("{}: the same image", pod.name);
        trials.push(with_fixture(&name, Box::new(|fixture| same_image(fixture, pod))));
        let name = format!("{}: as process 1", pod.name);
        trials.push(with_fixture(&name, Box::new(|fixture| process_one(fixture, pod))));
    }
    if let Some(reason) = host::missing(&["mmdebstrap"]) {
        host::skip_named("isolation", &reason);
    } else {
        for profile in &profiles::PROFILES {
            let test = |name: &str, test: fn(&profiles::Profile) -> Result<()>| {
                Trial::test(format!("isolation {}: {name}", profile.name), move || {
                    Ok(test(profile).map_err(|error| format!("{error:#}"))?)
                })
            };
            trials.push(test("checks", isolation::checks));
            trials.push(test("a real build", isolation::real_build));
        }
        for (name, file) in programs::all()? {
            trials.push(Trial::test(format!("programs: {name}"), move || {
                Ok(programs::check(&file).map_err(|error| format!("{error:#}"))?)
            }));
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    Ok(conclusion.exit_code())
}

/// Grants the file CAP_NET_BIND_SERVICE, as setcap(8) does: `struct vfs_cap_data` of linux/capability.h.
fn set_capability(file: &Path) -> Result<()> {
    const VERSION_2_EFFECTIVE: u32 = 0x0200_0001;
    const NET_BIND_SERVICE: u32 = 1 << 10;
    let value: Vec<u8> =
        [VERSION_2_EFFECTIVE, NET_BIND_SERVICE, 0, 0, 0].into_iter().flat_map(u32::to_le_bytes).collect();
    Ok(rustix::fs::setxattr(file, "security.capability", &value, rustix::fs::XattrFlags::empty())?)
}

/// A pod in which builds with RUN work.
#[derive(Debug)]
struct Pod {
    name: &'static str,
    security: Security,
    /// The isolation that its builds have.
    isolation: &'static str,
}

impl Pod {
    /// Whether this machine can be the node.
    fn is_possible(&self) -> Result<bool> {
        let needs_user_namespace = self.isolation == "ns" && self.security.capabilities != Capabilities::All;
        Ok(!needs_user_namespace || users_have_namespaces()?)
    }
}

const PODS: &[Pod] = &[
    Pod { name: "default", security: DEFAULT, isolation: "ns" },
    Pod {
        name: "RuntimeDefault",
        security: Security { seccomp: Seccomp::RuntimeDefault, ..DEFAULT },
        isolation: "supervised",
    },
    Pod {
        name: "RuntimeDefault, no escalation",
        security: Security { seccomp: Seccomp::RuntimeDefault, no_new_privileges: true, ..DEFAULT },
        isolation: "supervised",
    },
    Pod {
        name: "RuntimeDefault, read-only root",
        security: Security { seccomp: Seccomp::RuntimeDefault, read_only: true, ..DEFAULT },
        isolation: "supervised",
    },
    Pod {
        name: "podman's default",
        security: Security { seccomp: Seccomp::Podman, ..DEFAULT },
        isolation: "ns",
    },
    Pod { name: "restricted", security: RESTRICTED, isolation: "supervised" },
    Pod {
        name: "restricted, a list of its own",
        security: Security {
            seccomp: Seccomp::Without(&["process_vm_readv", "process_vm_writev"]),
            ..RESTRICTED
        },
        isolation: "supervised",
    },
    Pod {
        name: "restricted, read-only root",
        security: Security { read_only: true, ..RESTRICTED },
        isolation: "supervised",
    },
    Pod {
        name: "not root, Unconfined",
        security: Security { seccomp: Seccomp::Unconfined, ..RESTRICTED },
        isolation: "supervised",
    },
    Pod {
        name: "RuntimeDefault of CRI-O",
        security: Security {
            seccomp: Seccomp::CriO,
            capabilities: Capabilities::CriO,
            bounding: Capabilities::CriO,
            ..DEFAULT
        },
        isolation: "supervised",
    },
    Pod {
        name: "RuntimeDefault, volume without devices",
        security: Security { seccomp: Seccomp::RuntimeDefault, volume: &["nodev", "nosuid"], ..DEFAULT },
        isolation: "supervised",
    },
    Pod {
        name: "volume for data alone",
        security: Security { volume: &["nodev", "nosuid", "noexec"], ..DEFAULT },
        isolation: "ns",
    },
    Pod { name: "privileged", security: PRIVILEGED, isolation: "ns" },
];

/// What every test needs: the program, a registry with a base, and what root builds outside of any container.
struct Fixture {
    bako: Bako,
    registry: Registry,
    base: String,
    context: tempfile::TempDir,
    digest: String,
}

impl Fixture {
    fn new() -> Result<Self> {
        let bako = Bako::built()?;
        let registry = Registry::ours(&bako)?;
        let base = bases::busybox(&bako, &registry)?;
        let context = tempfile::tempdir()?;
        let helper = context.path().join("helper");
        fs::copy(std::env::current_exe()?, &helper)?;
        fs::set_permissions(&helper, fs::Permissions::from_mode(0o755))?;
        fs::write(context.path().join("file"), "text\n")?;
        fs::write(context.path().join("Dockerfile"), DOCKERFILE.replace("BASE", &base))?;
        let mut fixture = Self { bako, registry, base, context, digest: String::new() };
        fixture.digest = fixture.outside("Dockerfile", "ns", "outside")?;
        let other = fixture.outside("Dockerfile", "chroot", "outside")?;
        ensure!(fixture.digest == other, "ns gives {}, chroot {other}", fixture.digest);
        Ok(fixture)
    }

    /// Builds as root, outside of any container: the digest.
    fn outside(&self, dockerfile: &str, isolation: &str, tag: &str) -> Result<String> {
        let work = tempfile::tempdir()?;
        let mut build = self.bako.build(self.context.path());
        build.arg("--dockerfile").arg(self.context.path().join(dockerfile));
        build.args(["--destination", &self.reference(tag), "--isolation", isolation, "--work-dir"]);
        build.arg(work.path()).env(EPOCH.0, EPOCH.1);
        program::digest(&finish(&mut build)?.success()?)
    }

    fn reference(&self, tag: &str) -> String {
        self.registry.reference(&format!("app:{tag}"))
    }

    /// A container with the context in its volume.
    fn container(&self, security: Security) -> Result<Container> {
        let container = Container::new(&self.bako, security)?;
        copy_files(self.context.path(), &container.volume().join("context"))?;
        Ok(container)
    }

    /// The command line of a build in a container.
    fn build(&self, tag: &str) -> String {
        format!(
            "bako --context {VOLUME}/context --work-dir {VOLUME}/work --destination {}",
            self.reference(tag)
        )
    }
}

fn copy_files(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Runs a build in a container, as its process 1.
fn run(container: &Container, command: &str) -> Result<Finished> {
    container.run(&command.split(' ').collect::<Vec<_>>(), &[EPOCH])
}

/// Nothing is left where a build has worked.
fn is_clean(work: &Path) -> Result<()> {
    let left: Vec<PathBuf> = fs::read_dir(work)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    ensure!(left.is_empty(), "left in the work directory: {left:?}");
    Ok(())
}

fn same_image(fixture: &Fixture, pod: &Pod) -> Result<()> {
    let container = fixture.container(pod.security)?;
    let probe = run(&container, &format!("bako probe --work-dir {VOLUME}/work"))?.success()?;
    let works: Vec<&str> =
        probe.stdout.lines().filter_map(|line| line.split_once(": works")).map(|(name, _)| name).collect();
    ensure!(works.first() == Some(&pod.isolation), "{} was expected of:\n{}", pod.isolation, probe.stdout);

    let tag = pod.name.replace(|character: char| !character.is_ascii_alphanumeric(), "-");
    let built = run(&container, &fixture.build(&tag))?.success()?;
    let digest = program::digest(&built)?;
    ensure!(digest == fixture.digest, "{digest} in the pod, {} outside", fixture.digest);
    is_clean(&container.volume().join("work"))
}

/// Whether the kernel lets users have user namespaces, and mounts in them: Ubuntu's AppArmor for example may not.
fn users_have_namespaces() -> Result<bool> {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.args(["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/tmp"]);
    Ok(finish(&mut command)?.code == 0)
}

fn image_is_right(fixture: &Fixture) -> Result<()> {
    let base = Image::pull(&fixture.base)?.tree()?;
    let built = Image::pull(&fixture.reference("outside"))?.tree()?;
    let (many, others): (Vec<String>, Vec<String>) =
        tree::changes(&base, &built).into_iter().partition(|line| line.starts_with("/tmp/many/"));
    let lines = others.join("\n");
    ensure!(lines.trim() == TREE.trim(), "the tree is otherwise than expected:\n{lines}");
    let owned = many.iter().filter(|line| line.contains(" file 0600 1000:1000 ")).count();
    ensure!(
        owned == 990 && many.len() == 990,
        "of 990 files {} are there, {owned} as they should be",
        many.len()
    );
    Ok(())
}

/// A user with subordinate ids, on this machine as it is. What the administrator would have set up is laid over
/// `/etc` in a mount namespace, so that nothing of the machine is changed.
fn laptop(fixture: &Fixture) -> Result<()> {
    if let Some(reason) = host::missing(&["newuidmap", "unshare", "setpriv"]) {
        host::skip_named("a user of an ordinary machine", &reason);
        return Ok(());
    }
    if !users_have_namespaces()? {
        host::skip_named("a user of an ordinary machine", "this machine allows no user namespaces");
        return Ok(());
    }
    let home = tempfile::tempdir()?;
    let folder = home.path();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    copy_files(fixture.context.path(), &folder.join("context"))?;
    fs::copy(&fixture.bako.program, folder.join("bako"))?;
    fs::create_dir(folder.join("work"))?;
    std::os::unix::fs::chown(folder.join("work"), Some(1000), Some(1000))?;
    fs::write(folder.join("passwd"), "root:x:0:0::/root:/bin/sh\nsomebody:x:1000:1000::/:/bin/sh\n")?;
    for file in ["subuid", "subgid"] {
        fs::write(folder.join(file), "somebody:200000:65536\n")?;
        if !Path::new("/etc").join(file).exists() {
            host::skip_named("a user of an ordinary machine", "there is no /etc/subuid");
            return Ok(());
        }
    }
    let script =
        "cd $1; shift; for file in passwd subuid subgid; do mount --bind $file /etc/$file || exit 99; done
        exec setpriv --reuid=1000 --regid=1000 --clear-groups --inh-caps=-all ./bako \"$@\"";
    let bako = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation=private", "sh", "-c", script, "sh"]).arg(folder);
        finish(command.args(arguments).env(EPOCH.0, EPOCH.1).env("HOME", "/nonexistent"))
    };
    let probe = bako(&["probe", "--work-dir", "work"])?.success()?;
    ensure!(
        probe.stdout.starts_with("ns: works, in a user namespace, overlay, a new /proc"),
        "{}",
        probe.stdout
    );
    let reference = fixture.reference("laptop");
    let built =
        bako(&["--context", "context", "--work-dir", "work", "--destination", &reference])?.success()?;
    let digest = program::digest(&built)?;
    ensure!(digest == fixture.digest, "{digest} of the user, {} of root", fixture.digest);
    is_clean(&folder.join("work"))
}

fn restricted_without_run(fixture: &Fixture) -> Result<()> {
    let text = format!(
        "FROM {}\nCOPY --chown=app:staff --chmod=4755 helper /bin/helper\nWORKDIR /srv/app\nADD file ./\nUSER app\n",
        fixture.base
    );
    let container = fixture.container(Security { read_only: true, ..RESTRICTED })?;
    for context in [fixture.context.path(), &container.volume().join("context")] {
        fs::write(context.join("no-run"), &text)?;
    }
    let outside = fixture.outside("no-run", "auto", "norun-outside")?;
    let built = run(&container, &format!("{} --dockerfile no-run", fixture.build("norun")))?.success()?;
    let digest = program::digest(&built)?;
    ensure!(digest == outside, "{digest} in the pod, {outside} outside");
    is_clean(&container.volume().join("work"))
}

/// Pods in which no RUN works, and what the message has to say of each refusal, and of its remedy.
const REFUSALS: &[(Security, &[&str])] = &[
    (
        Security { volume: &["noexec"], ..RESTRICTED },
        &[
            "ns: unshare the mount, pid, ipc and uts namespaces: Operation not permitted",
            "run as user 0 with the capability SYS_ADMIN",
            "ns in a user namespace: unshare the user namespace: Operation not permitted",
            "set seccompProfile to Unconfined",
            "chroot: chown a file",
            "run as user 0 with the capabilities CHOWN, SETUID and SETGID",
            "supervised: run a program from the work directory: it is mounted noexec",
        ],
    ),
    (
        Security { seccomp: Seccomp::RuntimeDefault, volume: &["noexec"], ..DEFAULT },
        &["chroot: run a program from the work directory: it is mounted noexec", "volume without noexec"],
    ),
    (
        Security { seccomp: Seccomp::Without(&["ptrace"]), ..RESTRICTED },
        &["supervised: ptrace a child: Operation not permitted", "allow ptrace of one's own children"],
    ),
    (
        Security { seccomp: Seccomp::Without(&["seccomp"]), ..RESTRICTED },
        &["supervised: install a seccomp filter with a listener: Operation not permitted"],
    ),
    (
        Security { seccomp: Seccomp::Without(&["openat2"]), ..RESTRICTED },
        &["supervised: openat2: Operation", "allow the system call openat2"],
    ),
];

/// The base is in a registry that is not there: whoever asks it has looked at the isolations too late.
fn traced(fixture: &Fixture) -> Result<()> {
    let container = fixture.container(RESTRICTED)?;
    let work = format!("{VOLUME}/work");
    let trace = |script: &str| {
        let image = &fixture.base;
        let words = ["bako", "probe", "--trace", "--image", image, "--work-dir", &work, "--format", "json"];
        container.run(&[&words[..], &["--", "sh", "-c", script]].concat(), &[])
    };
    let ran = trace("cat /nothing; echo it is $(id -u)")?.success()?;
    ensure!(ran.stderr.contains("it is 0"), "{}", ran.stderr);
    let said: serde_json::Value = serde_json::from_str(&ran.stdout)?;
    let of = |name: &str| said["calls"].as_array()?.iter().find(|call| call["call"] == name).cloned();
    let opened = of("openat").context("no openat")?;
    ensure!(opened["errors"]["ENOENT"].as_u64() >= Some(1), "{opened}");
    ensure!(opened["count"].as_u64() > Some(1) && opened["nanoseconds"].as_u64() > Some(0), "{opened}");
    ensure!(of("execve").is_some_and(|call| call["count"].as_u64() >= Some(2)), "{said}");

    let failed = trace("exit 7")?;
    ensure!(failed.code == 7 && failed.stdout.contains("execve"), "{failed:?}");
    is_clean(&container.volume().join("work"))
}

fn refusals(fixture: &Fixture) -> Result<()> {
    for (security, says) in REFUSALS {
        let container = fixture.container(*security)?;
        let text = "FROM 127.0.0.1:1/nothing:here\nRUN true\n";
        fs::write(container.volume().join("context/Dockerfile"), text)?;
        let failed = run(&container, &fixture.build("refused"))?;
        ensure!(failed.code == 1, "{security:?}: exit code {}", failed.code);
        for part in ["error: no isolation for RUN works here", "Dockerfile:2"].iter().chain(*says) {
            ensure!(failed.stderr.contains(part), "{security:?}: {part:?} is not in:\n{}", failed.stderr);
        }
        ensure!(!failed.stderr.contains("127.0.0.1:1"), "the base was asked for:\n{}", failed.stderr);
        is_clean(&container.volume().join("work"))?;
    }
    Ok(())
}

/// One after the other, then two at the same time in one work directory.
fn several(fixture: &Fixture) -> Result<()> {
    for pod in PODS {
        if !pod.is_possible()? || pod.security.no_new_privileges {
            continue;
        }
        let container = fixture.container(pod.security)?;
        let [one, two, three, four] = ["one", "two", "three", "four"].map(|tag| fixture.build(tag));
        let script = format!("{one} && {two} && {{ {three} & first=$!; {four} && wait $first; }}");
        let built = container.run(&["sh", "-c", &script], &[EPOCH])?.success().context(pod.name)?;
        let expected = format!("{}\n", fixture.digest).repeat(4);
        ensure!(built.stdout == expected, "{}: {} and not {expected}", pod.name, built.stdout);
        is_clean(&container.volume().join("work"))?;
    }
    Ok(())
}

/// Whose the files of a cache mount are is known to the next build too, if the kernel does not hold it; also of one that has
/// failed.
fn owners_in_a_cache(fixture: &Fixture) -> Result<()> {
    const MOUNT: &str = "RUN --mount=type=cache,target=/c,uid=1000,gid=50,mode=2770 cd /c &&";
    let container = fixture.container(RESTRICTED)?;
    let build = |steps: &[&str]| {
        let steps: String = steps.iter().map(|step| step.replace("IN-CACHE", MOUNT) + "\n").collect();
        fs::write(container.volume().join("context/Dockerfile"), format!("FROM {}\n{steps}", fixture.base))?;
        run(&container, &(fixture.build("owners") + &format!(" --cache-dir {VOLUME}/cache")))
    };
    build(&[
        "IN-CACHE stat -c '%n %a %u:%g' . && touch roots && chown 33:34 roots && chmod 4711 roots",
        "IN-CACHE mkdir -m 700 users && chown 1000:50 users",
    ])?
    .success()?;
    let failed = build(&[
        "USER 1000:50",
        "IN-CACHE echo x > users/of-mine && touch secret && chmod 0 secret && false",
    ])?;
    ensure!(failed.code == 1, "{failed:?}");
    let built = build(&[
        "USER 1000:50",
        "IN-CACHE stat -c '%n is %a %u:%g' . roots users users/of-mine secret && echo y >> users/of-mine",
    ])?
    .success()?;
    let expected =
        [". is 2770 1000:50", "roots is 4711 33:34", "users is 700 1000:50", "users/of-mine is 644 1000:50"];
    for line in expected.iter().chain(&["secret is 0 1000:50"]) {
        ensure!(built.stderr.contains(line), "{line} is not in\n{}", built.stderr);
    }
    is_clean(&container.volume().join("work"))
}

/// Two stages that wait for each other by a cache mount that both see. Each has owners of its own, and knows those of the
/// files of a third that it sees.
fn side_by_side(fixture: &Fixture) -> Result<()> {
    let container = fixture.container(RESTRICTED)?;
    let half = |name: &str, other: &str, user: u32| {
        format!(
            "FROM {} AS {name}\nRUN --mount=type=cache,target=/c --mount=from=seed,target=/seed touch /c/{name} /{name}; \\\n  \
             chown {user}:{user} /{name}; for i in $(seq 300); do [ -e /c/{other} ] && break; sleep 0.1; done; \\\n  \
             stat -c '%n is of %u:%g' /{name} /c/{other}; stat -c '{name} sees %u:%g %a' /seed/of-7\n",
            fixture.base
        )
    };
    let base = &fixture.base;
    let seed = format!("FROM {base} AS seed\nRUN touch /of-7 && chown 7:8 /of-7 && chmod 4511 /of-7\n");
    let end = format!("FROM {base}\nCOPY --from=one /one /\nCOPY --from=two /two /\n");
    let text = [seed, half("one", "two", 11), half("two", "one", 22), end].concat();
    fs::write(container.volume().join("context/Dockerfile"), text)?;
    let built = run(&container, &(fixture.build("side") + " --jobs 2"))?.success()?;
    for line in ["/one is of 11:11", "/two is of 22:22", "one sees 7:8 4511", "two sees 7:8 4511"] {
        ensure!(built.stderr.contains(line), "{line} is not in\n{}", built.stderr);
    }
    ensure!(
        built.stderr.contains("/c/two is of") && built.stderr.contains("/c/one is of"),
        "{}",
        built.stderr
    );
    is_clean(&container.volume().join("work"))
}

/// What a RUN leaves behind is gone before the next, no dead process is left unburied, and SIGTERM, whose default
/// action process 1 does not have, ends the build.
fn process_one(fixture: &Fixture, pod: &Pod) -> Result<()> {
    let container = fixture.container(pod.security)?;
    let text = format!(
        "FROM {}\nRUN sleep 1000 & (setsid sleep 1000 &); true\nRUN echo ready-$((1 + 1)); exec sleep 1000\n",
        fixture.base
    );
    fs::write(container.volume().join("context/Dockerfile"), text)?;
    let command = fixture.build("never");
    let mut runc = container.start(&command.split(' ').collect::<Vec<_>>(), &[EPOCH])?;
    let mut stderr = BufReader::new(runc.stderr.take().context("it is a pipe")?);
    let mut said = String::new();
    while !said.contains("ready-2") {
        if stderr.read_line(&mut said)? == 0 {
            bail!("it ended with {}:\n{said}", runc.wait()?);
        }
    }
    let mut found = Vec::new();
    let one = container.process()?;
    let alone = wait_until(Duration::from_secs(10), || {
        found = descendants(one);
        let sleeping = found.iter().filter(|process| process.name == "sleep").count();
        sleeping == 1 && found.iter().all(|process| process.state != "Z")
    });
    container.kill("TERM")?;
    stderr.read_to_string(&mut said)?;
    let status = runc.wait()?;
    ensure!(alone, "one sleep was to be there, and nobody dead: {found:?}");
    ensure!(status.code() == Some(143), "{status}, after it said:\n{said}");
    ensure!(!fixture.registry.has_tag("app", "never")?, "a tag was pushed");
    is_clean(&container.volume().join("work"))
}
