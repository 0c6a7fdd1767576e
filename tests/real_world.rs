//! Images as people build them: Debian with apt, users and owners, compilers, npm and pip.
//!
//! The base is made here by mmdebstrap from the mirror that this machine uses; package clients get this
//! machine's settings, as a company's builds would.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use anyhow::Result;
use e2e::process::finish;
use e2e::{Bako, Image, Registry, bases, image, require};

/// Builds a Dockerfile on the Debian base, and runs the image; what it printed.
fn check(name: &str, dockerfile: &str, prepare: impl FnOnce(&Path) -> Result<()>) -> Result<Option<String>> {
    if !require(image::JUDGES) || !require(&["runc", "mmdebstrap"]) {
        return Ok(None);
    }
    let bako = Bako::built()?;
    let registry = Registry::ours(&bako)?;
    let base = bases::push_debian(&bako, &registry, bases::SLIM)?;
    let folder = tempfile::tempdir()?;
    let context = folder.path().join("context");
    fs::create_dir(&context)?;
    let machine = context.join("machine");
    fs::create_dir(&machine)?;
    bases::machine_settings(&machine)?;
    prepare(&context)?;
    fs::write(context.join("Dockerfile"), dockerfile)?;
    let reference = registry.reference(&format!("{name}:latest"));
    let mut build = bako.build(&context);
    build.args(["--destination", &reference, "--build-arg", &format!("BASE={base}"), "--work-dir"]);
    build.arg(folder.path().join("work"));
    finish(&mut build)?.success()?;
    Ok(Some(Image::pull(&reference)?.run()?.success()?.stdout))
}

#[test]
fn a_package_with_a_user_of_its_own() -> Result<()> {
    let dockerfile = "ARG BASE\nFROM $BASE\n\
        RUN apt-get update && apt-get install -y --no-install-recommends redis-server && rm -rf /var/lib/apt/lists/*\n\
        USER redis\n\
        CMD [\"sh\", \"-c\", \"redis-server --version | cut -d' ' -f1-2; stat -c '%U %a' /var/lib/redis; id -un\"]\n";
    let said = check("apt", dockerfile, |_| Ok(()))?;
    assert!(said.as_deref().is_none_or(|said| said == "Redis server\nredis 750\nredis\n"), "{said:?}");
    Ok(())
}

#[test]
fn users_and_owners() -> Result<()> {
    let dockerfile = "ARG BASE\nFROM $BASE\n\
        RUN groupadd -g 34000 az && useradd -m -g az -u 34000 az && mkdir -p /srv/app/data\n\
        COPY files /srv/app/\n\
        RUN chown -R az:az /srv/app && chmod -R o-rwx /srv/app && su az -c 'touch /srv/app/data/by-az'\n\
        USER az\n\
        WORKDIR /srv/app\n\
        CMD [\"sh\", \"-c\", \"stat -c '%n %U:%G %a' . one data data/by-az; id\"]\n";
    let said = check("users", dockerfile, |context| {
        fs::create_dir(context.join("files"))?;
        Ok(fs::write(context.join("files/one"), "1")?)
    })?;
    let expected = ". az:az 750\none az:az 640\ndata az:az 750\ndata/by-az az:az 644\n\
        uid=34000(az) gid=34000(az) groups=34000(az)\n";
    assert!(said.as_deref().is_none_or(|said| said == expected), "{said:?}");
    Ok(())
}

#[test]
fn a_compiler_in_one_stage() -> Result<()> {
    let dockerfile = "ARG BASE\nFROM $BASE AS build\n\
        RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev\n\
        COPY hello.c .\n\
        RUN gcc -O2 -static -o /hello hello.c\n\
        FROM scratch\n\
        COPY --from=build /hello /\n\
        ENTRYPOINT [\"/hello\"]\n";
    let said = check("compile", dockerfile, |context| {
        let source = "#include <stdio.h>\nint main(void) { return puts(\"compiled\") < 0; }\n";
        Ok(fs::write(context.join("hello.c"), source)?)
    })?;
    assert!(said.as_deref().is_none_or(|said| said == "compiled\n"), "{said:?}");
    Ok(())
}

#[test]
fn npm_install() -> Result<()> {
    let dockerfile = "ARG BASE\nFROM $BASE\n\
        RUN apt-get update && apt-get install -y --no-install-recommends nodejs npm\n\
        COPY machine/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt\n\
        COPY machine/npmrc /root/.npmrc\n\
        WORKDIR /app\n\
        COPY package.json index.js ./\n\
        RUN NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt npm install --no-audit --no-fund\n\
        CMD [\"node\", \"index.js\"]\n";
    let said = check("npm", dockerfile, |context| {
        fs::write(context.join("package.json"), "{\"dependencies\": {\"is-odd\": \"3.0.1\"}}\n")?;
        Ok(fs::write(context.join("index.js"), "console.log(require('is-odd')(3));\n")?)
    })?;
    assert!(said.as_deref().is_none_or(|said| said == "true\n"), "{said:?}");
    Ok(())
}

#[test]
fn pip_install() -> Result<()> {
    let dockerfile = "ARG BASE\nFROM $BASE AS build\n\
        RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-venv\n\
        COPY machine/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt\n\
        COPY machine/pip.conf /etc/pip.conf\n\
        RUN python3 -m venv /venv && /venv/bin/pip install six==1.16.0\n\
        FROM $BASE\n\
        RUN apt-get update && apt-get install -y --no-install-recommends python3\n\
        COPY --from=build /venv /venv\n\
        CMD [\"/venv/bin/python\", \"-c\", \"import six; print(six.__version__)\"]\n";
    let said = check("pip", dockerfile, |_| Ok(()))?;
    assert!(said.as_deref().is_none_or(|said| said == "1.16.0\n"), "{said:?}");
    Ok(())
}
