//! The examples, as they stand: what a user copies has to work.
//!
//! Names of registries in them are replaced by one on loopback; a CI system's own variables are given.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::process::{Finished, finish};
use e2e::{Bako, Image, Registry, bases, host, image, own, pod, require};

fn example(name: &str) -> PathBuf {
    host::repository().join("examples").join(name)
}

/// What every example is tried with: bako, and a registry that has a base.
struct Site {
    bako: Bako,
    registry: Registry,
    /// The reference of `busybox`.
    base: String,
}

impl Site {
    /// Nothing where what the test needs, or a judge of images, is not here.
    fn new(needs: &[&str]) -> Result<Option<Self>> {
        if !require(image::JUDGES) || !require(&["runc"]) || !require(needs) {
            return Ok(None);
        }
        Self::made().map(Some)
    }

    fn made() -> Result<Self> {
        let bako = Bako::built()?;
        let registry = Registry::ours(&bako)?;
        let base = bases::busybox(&bako, &registry)?;
        Ok(Self { bako, registry, base })
    }

    /// Builds a context and pushes it.
    fn build(&self, context: &Path, reference: &str, arguments: &[&str]) -> Result<()> {
        let work = tempfile::tempdir()?;
        let mut build = self.bako.build(context);
        build.args(["--destination", reference, "--work-dir"]).arg(work.path()).args(arguments);
        finish(&mut build)?.success().map(drop)
    }

    /// One of bako's own images; its reference.
    fn own(&self, target: &str) -> Result<String> {
        own::image(&self.bako, &self.registry, target)
    }

    /// What an image of the registry prints.
    fn run(&self, name: &str) -> Result<String> {
        Ok(Image::pull(&self.registry.reference(name))?.run()?.success()?.stdout)
    }
}

/// A context that needs no base from elsewhere.
fn small_context(folder: &Path, base: &str) -> Result<()> {
    fs::write(
        folder.join("Dockerfile"),
        format!("FROM {base}\nRUN echo built > /built\nCMD [\"cat\", \"/built\"]\n"),
    )?;
    Ok(())
}

#[test]
fn busybox_base() -> Result<()> {
    let Some(site) = Site::new(&[])? else { return Ok(()) };
    let ran = Image::pull(&site.base)?.run_with(|spec| {
        spec["process"]["args"] = serde_json::json!(["sh", "-c", "echo from $(readlink /bin/sh)"]);
    })?;
    assert_eq!(ran.success()?.stdout, "from busybox\n");
    Ok(())
}

#[test]
fn quickstart() -> Result<()> {
    let Some(site) = Site::new(&[])? else { return Ok(()) };
    let reference = site.registry.reference("quickstart:latest");
    site.build(&example("quickstart"), &reference, &["--build-arg", &format!("BASE={}", site.base)])?;
    let ran = Image::pull(&reference)?.run()?.success()?;
    let expected = "quickstart: built without a daemon, run by uid 1000\nHello, world!\nHello, Kaniko!\n";
    assert_eq!(ran.stdout, expected);
    Ok(())
}

/// The agent's container as the pod has it, and the command of the Jenkinsfile in it; twice, as the pod is kept.
#[test]
fn jenkins() -> Result<()> {
    let Some(site) = Site::new(&["podman"])? else { return Ok(()) };
    let text = fs::read_to_string(example("jenkins").join("Jenkinsfile"))?;
    let depth = |open, close| text.matches(open).count() == text.matches(close).count();
    ensure!(
        depth('{', '}') && depth('(', ')') && text.starts_with("pipeline {"),
        "the Jenkinsfile has another shape"
    );
    let command = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("sh '")?.strip_suffix('\''))
        .context("the Jenkinsfile has a `sh` step")?;
    ensure!(
        text.contains("container('kaniko')") && text.contains("yamlFile 'build-pod.yaml'"),
        "which container?"
    );
    site.own("debug")?;
    alpine(&site)?;

    let engine = Engine::new(&site.registry)?;
    let workspace = engine.folder.path().join("workspace");
    fs::create_dir_all(workspace.join("out"))?;
    let dockerfile = fs::read_to_string(example("jenkins").join("Dockerfile3"))?;
    fs::write(workspace.join("Dockerfile3"), dockerfile.replace("registry.example", &site.registry.address))?;
    fs::copy(bases::busybox_binary()?, workspace.join("out/MinimalApi"))?;

    // Jenkins itself adds the volume with the workspace.
    let pod = fs::read_to_string(example("jenkins").join("build-pod.yaml"))?.replace(
        "      volumeMounts:\n",
        "      volumeMounts:\n        - name: workspace-volume\n          mountPath: /home/jenkins/agent\n",
    ) + &format!(
        "    - name: workspace-volume\n      hostPath:\n        path: {}\n",
        workspace.display()
    );
    let container = engine.play(&pod, "kaniko")?;
    for number in ["7", "8"] {
        let script = format!(
            "cd /home/jenkins/agent && {}",
            command.replace("registry.example", &site.registry.address)
        );
        let variable = format!("BUILD_NUMBER={number}");
        let run = engine.podman(&["exec", "--env", &variable, &container, "sh", "-c", &script])?;
        run.success().with_context(|| format!("build {number}"))?;
    }
    let left = engine.podman(&["exec", &container, "sh", "-c", "ls -A /tmp /var/tmp 2>&1"])?;
    ensure!(!left.stdout.contains("bako"), "left in the container: {}", left.stdout);
    for tag in ["7", "8"] {
        let config = site.registry.config("minimalapi", tag)?;
        let config = &config["config"];
        assert_eq!(config["User"], "az");
        assert_eq!(config["Entrypoint"], serde_json::json!(["./MinimalApi"]));
        assert_eq!(config["ExposedPorts"], serde_json::json!({"8080/tcp": {}}));
        let tree = Image::pull(&site.registry.reference(&format!("minimalapi:{tag}")))?.tree()?;
        ensure!(tree.contains_key("/app/MinimalApi"), "{:?}", tree.keys());
    }
    Ok(())
}

/// busybox with Alpine's `addgroup` and `adduser`, which Debian's busybox is built without, as `alpine:3.15`.
fn alpine(site: &Site) -> Result<()> {
    let base = &site.base;
    let context = tempfile::tempdir()?;
    // As the example calls them: `-g GID NAME` and `-D -G GROUP --uid UID NAME`.
    fs::write(
        context.path().join("Dockerfile"),
        format!(
            "FROM {base}\nCOPY --chmod=755 <<\"EOF\" /bin/addgroup\n#!/bin/sh\necho \"$3:x:$2:\" >> /etc/group\nEOF\n\
             COPY --chmod=755 <<\"EOF\" /bin/adduser\n#!/bin/sh\n\
             echo \"$6:x:$5:34000::/home/$6:/bin/sh\" >> /etc/passwd\nEOF\n"
        ),
    )?;
    site.build(context.path(), &site.registry.reference("alpine:3.15"), &[])
}

/// The job, run by gitlab-ci-local in the image that it names, with the variables that GitLab sets.
#[test]
fn gitlab_ci() -> Result<()> {
    let Some(site) = Site::new(&["podman", "git", "rsync"])? else { return Ok(()) };
    let Some(runner) = host::npm_program("gitlab-ci-local") else {
        e2e::skip("needs gitlab-ci-local from npm, which cargo xtask test installs");
        return Ok(());
    };
    site.own("debug")?;
    let engine = Engine::new(&site.registry)?;
    let project = engine.folder.path().join("project");
    fs::create_dir(&project)?;
    small_context(&project, &site.base)?;
    let text = fs::read_to_string(example("gitlab-ci").join(".gitlab-ci.yml"))?;
    fs::write(project.join(".gitlab-ci.yml"), text.replace("registry.example", &site.registry.address))?;
    e2e::web::run_git(&project, &["init", "-q", "-b", "main", "."])?;
    e2e::web::run_git(&project, &["add", "."])?;
    e2e::web::run_git(&project, &["commit", "-q", "-m", "one"])?;
    e2e::web::run_git(&project, &["remote", "add", "origin", "https://gitlab.example/group/project.git"])?;

    let mut command = Command::new(runner);
    command.current_dir(&project).env("HOME", engine.folder.path()).envs(engine.environment.iter().cloned());
    let sets = host::repository().join("tests/src/newer-sets.cjs");
    command.env("NODE_OPTIONS", format!("--require {}", sets.display()));
    command.args(["build-image", "--container-executable", "podman", "--network", "host", "--no-color"]);
    // What copies the project into a volume; the usual one is on Docker Hub.
    command.arg("--helper-image").arg(&site.base);
    for (name, value) in [
        ("CI_REGISTRY", site.registry.address.as_str()),
        ("CI_REGISTRY_USER", "user"),
        ("CI_REGISTRY_PASSWORD", "password"),
        ("CI_REGISTRY_IMAGE", &site.registry.reference("group/project")),
        ("CI_COMMIT_SHORT_SHA", "abcdef01"),
    ] {
        command.arg("--variable").arg(format!("{name}={value}"));
    }
    finish(&mut command)?.success()?;
    assert_eq!(site.run("group/project:abcdef01")?, "built\n");
    Ok(())
}

/// The pods as they stand, and the pod of the job, played by podman with the secret; only names and paths differ.
#[test]
fn kubernetes() -> Result<()> {
    let Some(site) = Site::new(&["podman"])? else { return Ok(()) };
    let executor = site.own("executor")?;
    for file in ["restricted.yaml", "baseline.yaml", "privileged.yaml", "job.yaml"] {
        let engine = Engine::new(&site.registry)?;
        let workspace = engine.folder.path().join("workspace");
        fs::create_dir(&workspace)?;
        small_context(&workspace, &site.base)?;
        let text = fs::read_to_string(example("kubernetes").join(file))?;
        let pod = if file == "job.yaml" { pod_of_job(&text)? } else { text };
        let pod = pod
            .replace("registry.example/bako:latest", &executor)
            .replace("/path/to/context", &workspace.to_string_lossy())
            .replace("quickstart:latest", &format!("quickstart:{file}"));
        let container = engine.play(&pod, "bako").context(file)?;
        let waited = engine.podman(&["wait", &container]);
        let logs = engine.podman(&["logs", &container])?;
        ensure!(waited?.success()?.stdout.trim() == "0", "{file}: {}{}", logs.stdout, logs.stderr);
        assert_eq!(site.run(&format!("quickstart:{file}"))?, "built\n", "{file}");
    }
    Ok(())
}

/// The pods of the indexed job, each as a cluster makes it, on nodes of two kinds; then the script that joins them. There
/// is one kind here, so the second pod is told the platform that its node would have; it has nothing to run. kubectl
/// answers what a cluster's would.
#[test]
fn kubernetes_on_nodes_of_several_kinds() -> Result<()> {
    if !require(image::JUDGES) || !require(&["podman", "runc"]) {
        return Ok(());
    }
    let bako = Bako::built()?;
    let registry = Registry::ours(&bako)?;
    // The image of bako is made from it.
    bases::busybox(&bako, &registry)?;
    let executor = own::image(&bako, &registry, "executor")?;
    let folder = example("kubernetes").join("multi-platform");
    let job = fs::read_to_string(folder.join("job.yaml"))?;
    assert!(job.contains("completionMode: Indexed") && job.contains("completions: 2"));
    let mut digests = String::new();
    for (index, node) in [("0", "linux/amd64"), ("1", "linux/arm64")] {
        let engine = Engine::new(&registry)?;
        let workspace = engine.folder.path().join("workspace");
        fs::create_dir(&workspace)?;
        fs::write(workspace.join("Dockerfile"), "FROM scratch\nCOPY f /\n")?;
        fs::write(workspace.join("f"), "x")?;
        let pod = pod_of_job(&job)?
            .replace("$(JOB_COMPLETION_INDEX)", index)
            .replace("registry.example/bako:latest", &executor)
            .replace("/path/to/context", &workspace.to_string_lossy())
            .replace("        - --context", &format!("        - --platform={node}\n        - --context"));
        let container = engine.play(&pod, "bako")?;
        let waited = engine.podman(&["wait", &container]);
        let logs = engine.podman(&["logs", &container])?;
        ensure!(waited?.success()?.stdout.trim() == "0", "{index}: {}{}", logs.stdout, logs.stderr);
        writeln!(digests, "{}", registry.digest("app", &format!("1-{index}"))?)?;
    }
    let tools = tempfile::tempdir()?;
    fs::write(tools.path().join("digests"), &digests)?;
    let kubectl =
        "#!/bin/sh\ncase $1 in wait) ;; get) cat \"$(dirname \"$0\")/digests\" ;; *) exit 1 ;; esac\n";
    fs::write(tools.path().join("kubectl"), kubectl)?;
    fs::set_permissions(tools.path().join("kubectl"), fs::Permissions::from_mode(0o755))?;
    symlink(&bako.program, tools.path().join("bako"))?;
    let script = fs::read_to_string(folder.join("join.sh"))?.replace("registry.example", &registry.address);
    let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap_or_default());
    finish(Command::new("sh").args(["-c", &script]).env("PATH", path))?.success()?;
    let index = registry.manifest("app", "1")?;
    let members = index["manifests"].as_array().context("an index has members")?;
    let joined: String =
        members.iter().map(|member| format!("{}\n", member["digest"].as_str().unwrap_or_default())).collect();
    assert_eq!(joined, digests);
    assert_eq!(members[1]["platform"]["architecture"], "arm64");
    Ok(())
}

/// The template of a job, as the pod that a cluster makes of it.
fn pod_of_job(text: &str) -> Result<String> {
    let (_, template) = text.split_once("  template:\n").context("a job has a template")?;
    let spec: Vec<&str> = template.lines().map(|line| line.strip_prefix("    ").unwrap_or(line)).collect();
    let spec = spec.join("\n");
    let spec = spec.strip_prefix("metadata:\n").unwrap_or(&spec);
    Ok(format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: build-quickstart\n{spec}\n"))
}

/// podman with a storage of its own, in which pods are on this machine's network.
struct Engine {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
    address: String,
    pod: std::cell::RefCell<Option<PathBuf>>,
}

impl Engine {
    fn new(registry: &Registry) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = |name: &str| folder.path().join(name).display().to_string();
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
            path("storage"),
            path("run")
        );
        fs::write(folder.path().join("storage.conf"), storage)?;
        // The image's registry speaks plain HTTP.
        let registries = format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", registry.address);
        fs::write(folder.path().join("registries.conf"), registries)?;
        containers_conf(folder.path())?;
        let environment = [
            ("CONTAINERS_CONF", "containers.conf"),
            ("CONTAINERS_STORAGE_CONF", "storage.conf"),
            ("CONTAINERS_REGISTRIES_CONF", "registries.conf"),
        ];
        let environment = environment.map(|(name, file)| (name.to_owned(), path(file))).to_vec();
        Ok(Self { folder, environment, address: registry.address.clone(), pod: None.into() })
    }

    fn podman(&self, arguments: &[&str]) -> Result<Finished> {
        let mut command = Command::new("podman");
        finish(command.envs(self.environment.iter().cloned()).args(arguments))
    }

    /// Plays a pod together with the secret of the example; the name of the container.
    fn play(&self, pod: &str, container: &str) -> Result<String> {
        let secret = fs::read_to_string(example("kubernetes").join("regcred.yaml"))?;
        // podman 4.3 mounts `data` as it stands in the file, without decoding it.
        let (head, _) = secret.split_once("\ndata:\n").context("a secret has data")?;
        let login = r#"{"auths": {"registry.example": {"auth": "bWU6cGFzc3dvcmQ="}}}"#;
        let secret = format!("{head}\nstringData:\n  .dockerconfigjson: '{login}'\n");
        let pod = pod
            .replace("registry.example", &self.address)
            .replacen("spec:\n", "spec:\n  hostNetwork: true\n", 1)
            // podman 4.3 fails over a volume of a secret that does not say what is the default in Kubernetes.
            .replace("secretName: regcred\n", "secretName: regcred\n        optional: false\n");
        let file = self.folder.path().join("pod.yaml");
        fs::write(&file, format!("{secret}---\n{pod}"))?;
        *self.pod.borrow_mut() = Some(file.clone());
        let name = pod.lines().find_map(|line| line.strip_prefix("  name: ")).context("a pod has a name")?;
        self.podman(&["kube", "play", "--tls-verify=false", &file.to_string_lossy()])?.success()?;
        Ok(format!("{name}-{container}"))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Nothing can be done about a failure, which would have been that of the test before.
        if let Some(file) = self.pod.take() {
            self.podman(&["kube", "down", &file.to_string_lossy()]).ok();
        }
        self.podman(&["rm", "--all", "--force"]).ok();
    }
}

/// podman's configuration: a runtime that sets no resource limits, and no manager of control groups.
fn containers_conf(folder: &Path) -> Result<PathBuf> {
    let file = folder.join("containers.conf");
    let text = format!(
        "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime = \"nolimits\"\n\
         [engine.runtimes]\nnolimits = [\"{}\"]\n[containers]\nseccomp_profile = \"{}\"\n",
        env!("CARGO_BIN_EXE_runc-nolimits"),
        // podman's own lets namespaces through, which Kubernetes does not.
        host::repository().join("tests/pods/seccomp/containerd.json").display()
    );
    fs::write(&file, text)?;
    Ok(file)
}

/// The step of the task, with its parameters and paths in place of `$(...)`, in the image it names; then its script.
#[test]
fn tekton() -> Result<()> {
    let Some(site) = Site::new(&[])? else { return Ok(()) };
    let workspace = tempfile::tempdir()?;
    small_context(workspace.path(), &site.base)?;
    let reference = site.registry.reference("team/app:1");
    let text = fs::read_to_string(example("tekton").join("task.yaml"))?;
    let resolved = |word: &str| {
        word.replace("$(workspaces.source.path)", "/workspace")
            .replace("$(params.CONTEXT)", "./")
            .replace("$(params.DOCKERFILE)", "./Dockerfile")
            .replace("$(params.IMAGE)", &reference)
            .replace("$(results.IMAGE_DIGEST.path)", "/workspace/digest")
            .replace("$(results.IMAGE_URL.path)", "/workspace/url")
    };
    let (_, steps) = text.split_once("      args:\n").context("the first step has arguments")?;
    let words: Vec<String> = steps
        .lines()
        .map_while(|line| line.strip_prefix("        - "))
        // An array parameter stands for any number of words; here for none.
        .filter(|word| *word != "$(params.EXTRA_ARGS)")
        .map(resolved)
        .collect();
    ensure!(words.len() == 4 && !words.join(" ").contains("$("), "{words:?}");
    let executor = Image::pull(&site.own("executor")?)?;
    let arguments: Vec<&str> =
        std::iter::once("/kaniko/executor").chain(words.iter().map(String::as_str)).collect();
    in_pod(&executor, workspace.path(), &arguments)?.success()?;
    assert_eq!(fs::read_to_string(workspace.path().join("digest"))?, site.registry.digest("team/app", "1")?);

    let (_, script) = text.split_once("      script: |\n").context("the second step is a script")?;
    let script: Vec<&str> = script.lines().map(str::trim).collect();
    ensure!(script[0] == "#!/busybox/sh", "{script:?}");
    let debug = Image::pull(&site.own("debug")?)?;
    in_pod(&debug, workspace.path(), &["/busybox/sh", "-c", &resolved(&script[1..].join("\n"))])?
        .success()?;
    assert_eq!(fs::read_to_string(workspace.path().join("url"))?, reference);
    Ok(())
}

/// The workflow's step, with the variables that GitHub sets, in the image that the job names.
#[test]
fn github_actions() -> Result<()> {
    let Some(site) = Site::new(&[])? else { return Ok(()) };
    let workspace = tempfile::tempdir()?;
    small_context(workspace.path(), &site.base)?;
    let text = fs::read_to_string(example("github-actions").join("workflow.yml"))?;
    let (_, script) = text.split_once("        run: |\n").context("the workflow has a step")?;
    fs::write(workspace.path().join("step.sh"), script)?;
    let debug = Image::pull(&site.own("debug")?)?;
    let ran = debug.run_with(|spec| {
        // GitHub's own runner of steps: `sh -e {0}`.
        pod::unprivileged(spec, &["sh", "-e", "/workspace/step.sh"]);
        pod::volume(spec, workspace.path(), "/workspace");
        for (name, value) in [
            ("REGISTRY", site.registry.address.as_str()),
            ("TOKEN", "password"),
            ("GITHUB_ACTOR", "somebody"),
            ("GITHUB_WORKSPACE", "/workspace"),
            ("GITHUB_REPOSITORY", "team/app"),
            ("GITHUB_SHA", "0123abc"),
            ("GITHUB_OUTPUT", "/workspace/output"),
        ] {
            pod::variable(spec, name, value);
        }
    })?;
    ran.success()?;
    let output = fs::read_to_string(workspace.path().join("output"))?;
    assert_eq!(output, format!("digest={}\n", site.registry.digest("team/app", "0123abc")?));
    Ok(())
}

/// The script, as Skaffold calls it: with a push, and without one for a platform.
#[test]
fn skaffold() -> Result<()> {
    let site = Site::made()?;
    let folder = tempfile::tempdir()?;
    small_context(folder.path(), &site.base)?;
    let image = site.registry.reference("app:v1");
    let skaffold = fs::read_to_string(example("skaffold").join("skaffold.yaml"))?;
    ensure!(skaffold.contains("buildCommand: ./build.sh"), "skaffold.yaml names the script");
    let platform = format!("linux/{}", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" });
    for (push, platforms) in [("true", ""), ("false", platform.as_str())] {
        let mut command = Command::new(example("skaffold").join("build.sh"));
        let path =
            format!("{}:{}", site.bako.program.parent().context("a folder")?.display(), "/usr/bin:/bin");
        command.env("PATH", path).env("IMAGE", &image).env("PUSH_IMAGE", push).env("PLATFORMS", platforms);
        command.env("BUILD_CONTEXT", folder.path()).env("BUILDER_OUTPUT", folder.path().join("output"));
        command.env("TMPDIR", folder.path());
        let digest = finish(&mut command)?.success()?.stdout;
        let named: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.path().join("output/images"))?)?;
        assert_eq!(named, serde_json::json!({"name": image, "digest": digest.trim()}), "{push}");
        assert_eq!(folder.path().join("image.tar").exists(), push == "false");
    }
    ensure!(site.registry.has_tag("app", "v1")?, "the image was to be pushed");
    Ok(())
}

/// The line, with podman; on this machine's network, as the registry is on loopback.
#[test]
fn one_liner() -> Result<()> {
    let Some(site) = Site::new(&["podman"])? else { return Ok(()) };
    site.own("executor")?;
    let engine = Engine::new(&site.registry)?;
    let home = engine.folder.path();
    let context = home.join("context");
    fs::create_dir_all(home.join(".docker"))?;
    fs::create_dir(&context)?;
    fs::write(home.join(".docker/config.json"), "{\"auths\": {}}")?;
    small_context(&context, &site.base)?;
    let text = fs::read_to_string(example("one-liner").join("run.sh"))?
        .replace("registry.example/bako:latest", &site.registry.reference("bako:executor"))
        .replace("run --rm", "run --rm --network host");
    let script = home.join("run.sh");
    fs::write(&script, text)?;
    let mut command = Command::new("sh");
    command.arg(script).arg(site.registry.reference("app:1.0")).current_dir(&context);
    command.env("ENGINE", "podman").env("HOME", home).envs(engine.environment.iter().cloned());
    finish(&mut command)?.success()?;
    assert_eq!(site.run("app:1.0")?, "built\n");
    Ok(())
}

/// Runs a command in the image with a pod's privileges and the workspace mounted.
fn in_pod(image: &Image, workspace: &Path, arguments: &[&str]) -> Result<Finished> {
    image.run_with(|spec| {
        pod::unprivileged(spec, arguments);
        pod::volume(spec, workspace, "/workspace");
    })
}

#[test]
fn every_example_is_in_the_table() -> Result<()> {
    let table = fs::read_to_string(example("README.md"))?;
    for folder in fs::read_dir(host::repository().join("examples"))? {
        let folder = folder?;
        if folder.file_type()?.is_dir() {
            let name = folder.file_name().to_string_lossy().into_owned();
            ensure!(table.contains(&format!("[{name}]({name}/)")), "{name} is not in examples/README.md");
            ensure!(folder.path().join("README.md").is_file(), "{name} has no README.md");
        }
    }
    Ok(())
}
