//! The examples, as they stand: what a user copies has to work.
//!
//! Names of registries in them are replaced by one on loopback; a CI system's own variables are given.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::process::{Finished, finish};
use e2e::{Bako, Image, Registry, bases, host, image, pod, require};

fn example(name: &str) -> PathBuf {
    host::repository().join("examples").join(name)
}

/// Builds a context and pushes it; the reference.
fn build(bako: &Bako, context: &Path, reference: &str, arguments: &[&str]) -> Result<()> {
    let work = tempfile::tempdir()?;
    let mut build = bako.build(context);
    build.args(["--destination", reference, "--work-dir"]).arg(work.path()).args(arguments);
    finish(&mut build)?.success().map(drop)
}

/// The debug image as `Dockerfile` makes it, but for the compiler: around the binary that is there.
fn debug_image(bako: &Bako, registry: &Registry) -> Result<String> {
    let base = bases::busybox(bako, registry)?;
    let context = tempfile::tempdir()?;
    fs::copy(&bako.program, context.path().join("executor"))?;
    let text = fs::read_to_string(host::repository().join("Dockerfile"))?;
    let debug = text.split("AS debug").nth(1).context("the Dockerfile has a stage `debug`")?;
    let config: Vec<&str> = debug
        .split("\n\n")
        .next()
        .unwrap_or_default()
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with("COPY"))
        .collect();
    let text = format!("FROM {base}\nCOPY executor /kaniko/\n{}\n", config.join("\n"));
    fs::write(context.path().join("Dockerfile"), text)?;
    let reference = registry.reference("bako:debug");
    build(bako, context.path(), &reference, &[])?;
    Ok(reference)
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
    if !require(image::JUDGES) || !require(&["runc"]) {
        return Ok(());
    }
    let bako = Bako::built()?;
    let registry = Registry::ours(&bako)?;
    let reference = bases::busybox(&bako, &registry)?;
    let ran = Image::pull(&reference)?.run_with(|spec| {
        spec["process"]["args"] = serde_json::json!(["sh", "-c", "echo from $(readlink /bin/sh)"]);
    })?;
    assert_eq!(ran.success()?.stdout, "from busybox\n");
    Ok(())
}

#[test]
fn quickstart() -> Result<()> {
    if !require(image::JUDGES) || !require(&["runc"]) {
        return Ok(());
    }
    let bako = Bako::built()?;
    let registry = Registry::ours(&bako)?;
    let base = bases::busybox(&bako, &registry)?;
    let reference = registry.reference("quickstart:latest");
    build(&bako, &example("quickstart"), &reference, &["--build-arg", &format!("BASE={base}")])?;
    let ran = Image::pull(&reference)?.run()?.success()?;
    let expected = "quickstart: built without a daemon, run by uid 1000\nHello, world!\nHello, Kaniko!\n";
    assert_eq!(ran.stdout, expected);
    Ok(())
}

/// The command of the Jenkinsfile, in a container of the agent's pod; twice, as the pod is kept.
#[test]
fn jenkins() -> Result<()> {
    if !require(image::JUDGES) || !require(&["runc"]) {
        return Ok(());
    }
    let text = fs::read_to_string(example("jenkins").join("Jenkinsfile"))?;
    let command = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("sh '")?.strip_suffix('\''))
        .context("the Jenkinsfile has a `sh` step")?;
    let bako = Bako::built()?;
    let registry = Registry::ours(&bako)?;
    let image = Image::pull(&debug_image(&bako, &registry)?)?;
    let workspace = tempfile::tempdir()?;
    small_context(workspace.path(), &registry.reference("busybox"))?;

    let command = command.replace("registry.example", &registry.address);
    let script = format!("cd /workspace && BUILD_NUMBER=7 && {command} && BUILD_NUMBER=8 && {command}");
    in_pod(&image, workspace.path(), &["/bin/sh", "-euc", &script], &[])?.success()?;
    for tag in ["7", "8"] {
        let ran = run_image(&registry, &format!("app:{tag}"))?;
        assert_eq!(ran, "built\n");
    }
    Ok(())
}

/// The script of the GitLab job, with the variables that GitLab sets.
#[test]
fn gitlab_ci() -> Result<()> {
    if !require(image::JUDGES) || !require(&["runc"]) {
        return Ok(());
    }
    let text = fs::read_to_string(example("gitlab-ci").join(".gitlab-ci.yml"))?;
    let script = yaml_script(&text);
    ensure!(script.len() == 3, "three steps in the script, but {script:?}");
    let bako = Bako::built()?;
    let registry = Registry::ours(&bako)?;
    let image = Image::pull(&debug_image(&bako, &registry)?)?;
    let workspace = tempfile::tempdir()?;
    small_context(workspace.path(), &registry.reference("busybox"))?;
    let project = registry.reference("group/project");
    let variables = [
        ("CI_REGISTRY", registry.address.as_str()),
        ("CI_REGISTRY_USER", "user"),
        ("CI_REGISTRY_PASSWORD", "password"),
        ("CI_REGISTRY_IMAGE", project.as_str()),
        ("CI_PROJECT_DIR", "/workspace"),
        ("CI_COMMIT_SHORT_SHA", "abcdef01"),
    ];
    in_pod(&image, workspace.path(), &["/bin/sh", "-euc", &script.join("\n")], &variables)?.success()?;
    assert_eq!(run_image(&registry, "group/project:abcdef01")?, "built\n");
    Ok(())
}

/// The pod, played by podman; only names and paths differ.
#[test]
fn kubernetes() -> Result<()> {
    if !require(image::JUDGES) || !require(&["podman", "runc"]) {
        return Ok(());
    }
    let bako = Bako::built()?;
    let registry = Registry::ours(&bako)?;
    let debug = debug_image(&bako, &registry)?;
    let folder = tempfile::tempdir()?;
    let workspace = folder.path().join("workspace");
    fs::create_dir(&workspace)?;
    small_context(&workspace, &registry.reference("busybox"))?;
    let name = format!("bako-test-{}", std::process::id());
    let text = fs::read_to_string(example("kubernetes").join("pod.yaml"))?;
    let (pod, _) =
        text.split_once("    # kubectl create secret").context("the pod's last volume is the login")?;
    let secret =
        "        - name: registry-login\n          mountPath: /kaniko/.docker\n          readOnly: true\n";
    ensure!(pod.contains(secret), "the login is mounted");
    // podman knows no secret of a cluster, and plays a pod on a network of its own unless told otherwise.
    let pod = pod
        .replace(secret, "")
        .replace("registry.example/bako:latest", &debug)
        .replace("registry.example/", &format!("{}/", registry.address))
        .replace("/path/to/context", &workspace.to_string_lossy())
        .replace("name: build-quickstart", &format!("name: {name}"))
        .replace("spec:\n  restartPolicy", "spec:\n  hostNetwork: true\n  restartPolicy");
    let file = folder.path().join("pod.yaml");
    fs::write(&file, &pod)?;

    let podman = |arguments: &[&str]| -> Result<Finished> {
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", containers_conf(folder.path())?);
        command
            .arg("--root")
            .arg(folder.path().join("storage"))
            .arg("--runroot")
            .arg(folder.path().join("run"));
        finish(command.args(["--storage-driver", "vfs"]).args(arguments))
    };
    let file = file.to_string_lossy();
    podman(&["pull", "--quiet", "--tls-verify=false", &debug])?.success()?;
    let played = podman(&["kube", "play", "--tls-verify=false", &file]).and_then(Finished::success);
    let container = format!("{name}-bako");
    let waited = podman(&["wait", &container]);
    let logs = podman(&["logs", &container]);
    podman(&["kube", "down", &file])?;
    played?;
    let logs = logs?;
    ensure!(waited?.success()?.stdout.trim() == "0", "{}{}", logs.stdout, logs.stderr);
    assert_eq!(run_image(&registry, "quickstart:latest")?, "built\n");
    Ok(())
}

/// podman's configuration: a runtime that sets no resource limits, and no manager of control groups.
fn containers_conf(folder: &Path) -> Result<PathBuf> {
    let file = folder.join("containers.conf");
    let text = format!(
        "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\nruntime = \"nolimits\"\n\
         [engine.runtimes]\nnolimits = [\"{}\"]\n",
        env!("CARGO_BIN_EXE_runc-nolimits")
    );
    fs::write(&file, text)?;
    Ok(file)
}

/// Runs a command in the image with a pod's privileges and the workspace mounted.
fn in_pod(
    image: &Image,
    workspace: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Result<Finished> {
    image.run_with(|spec| {
        pod::unprivileged(spec, arguments);
        pod::volume(spec, workspace, "/workspace");
        variables.iter().for_each(|(name, value)| pod::variable(spec, name, value));
    })
}

fn run_image(registry: &Registry, name: &str) -> Result<String> {
    Ok(Image::pull(&registry.reference(name))?.run()?.success()?.stdout)
}

/// The steps of the only `script:` in a GitLab file; a step's further lines are joined to it.
fn yaml_script(text: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for line in text.lines().skip_while(|line| line.trim() != "script:").skip(1) {
        let line = line.trim();
        match (line.strip_prefix("- "), steps.last_mut()) {
            (Some(step), _) => steps.push(step.to_owned()),
            (None, Some(last)) => *last = format!("{last} {line}"),
            (None, None) => {}
        }
    }
    steps
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
