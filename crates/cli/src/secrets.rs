//! `--secret` and `--ssh`: what RUNs may be given to see, read from where the flags say and kept in memory.
//!
//! The forms are those of `docker build`.

use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sandbox::Secret;

/// The largest secret, in bytes; BuildKit's limit.
const LARGEST: usize = 500 * 1024;

/// A `--secret`: its id, and where it is. The secret itself is never on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SecretFlag {
    id: String,
    from: SecretFrom,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum SecretFrom {
    File(PathBuf),
    Variable(String),
    /// The variable that is called like the secret; without one, the file.
    Id,
}

/// `id=ID[,src=FILE|,env=NAME][,type=file|env]`.
pub(crate) fn secret_flag(text: &str) -> Result<SecretFlag, String> {
    let (mut id, mut source, mut variable, mut kind) = (None, None, None, None);
    for field in text.split(',') {
        let Some((key, value)) = field.split_once('=') else {
            return Err(format!("{field:?} is no key=value"));
        };
        match key.trim().to_ascii_lowercase().as_str() {
            "id" => id = Some(value.to_owned()),
            "src" | "source" => source = Some(value.to_owned()),
            "env" => variable = Some(value.to_owned()),
            "type" if matches!(value, "file" | "env") => kind = Some(value.to_owned()),
            "type" => return Err(format!("unsupported secret type {value:?}: file or env")),
            _ => return Err(format!("unexpected key {key:?}: id, src, env or type")),
        }
    }
    let id = id.filter(|id| !id.is_empty()).ok_or("an id is missing: id=ID")?;
    if kind.as_deref() == Some("env") && variable.is_none() {
        variable = source.take();
    }
    let from = match (source, variable) {
        (Some(_), Some(_)) => return Err("src and env cannot both be given".to_owned()),
        (Some(path), None) => SecretFrom::File(path.into()),
        (None, Some(name)) => SecretFrom::Variable(name),
        (None, None) => SecretFrom::Id,
    };
    Ok(SecretFlag { id, from })
}

/// Reads what the flags name. A variable that is not set is an empty secret, as with BuildKit; `unset` gets to know.
pub(crate) fn secrets(
    flags: &[SecretFlag],
    unset: &mut Vec<String>,
) -> anyhow::Result<BTreeMap<String, Secret>> {
    let mut secrets = BTreeMap::new();
    for SecretFlag { id, from } in flags {
        let secret = match from {
            SecretFrom::File(path) => read_file(path),
            SecretFrom::Variable(name) => read_variable(name).unwrap_or_else(|| {
                unset.push(format!("--secret id={id} is empty: the environment variable {name} is not set"));
                Ok(Vec::new())
            }),
            SecretFrom::Id => read_variable(id).unwrap_or_else(|| read_file(Path::new(id))),
        };
        secrets.insert(id.clone(), Secret::new(secret.with_context(|| format!("--secret id={id}"))?));
    }
    Ok(secrets)
}

/// The value of a variable; `None` if it is not set.
fn read_variable(name: &str) -> Option<anyhow::Result<Vec<u8>>> {
    std::env::var_os(name).map(std::os::unix::ffi::OsStringExt::into_vec).map(checked)
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let limit = LARGEST as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).with_context(|| path.display().to_string())?;
    checked(bytes).with_context(|| path.display().to_string())
}

fn checked(bytes: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    if bytes.len() > LARGEST {
        bail!("a secret has at most {LARGEST} bytes");
    }
    Ok(bytes)
}

/// The agents' sockets that `--ssh` names: `ID`, for that of `SSH_AUTH_SOCK`, or `ID=SOCKET`.
pub(crate) fn agents(flags: &[String]) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    flags.iter().map(|flag| agent(flag).with_context(|| format!("--ssh {flag}"))).collect()
}

fn agent(flag: &str) -> anyhow::Result<(String, PathBuf)> {
    let (id, paths) = flag.split_once('=').unwrap_or((flag, ""));
    // Whatever is said on a socket is passed on as it is, so that raw says nothing more.
    let mut paths = paths.split(',').filter(|path| !path.is_empty() && !path.starts_with("raw="));
    let path = match (paths.next(), paths.next()) {
        (None, _) => match std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()) {
            Some(path) => PathBuf::from(path),
            None => bail!("SSH_AUTH_SOCK is not set: no agent is running here; give {id}=SOCKET"),
        },
        (Some(path), None) => PathBuf::from(path),
        (Some(_), Some(_)) => bail!("one socket of an agent can be given, which may hold several keys"),
    };
    let kind = path.metadata().with_context(|| path.display().to_string())?.file_type();
    if !kind.is_socket() {
        bail!(
            "{} is no socket: keys are not read from files; start an agent, as by eval $(ssh-agent), add the key to \
             it with ssh-add, and give the agent's socket",
            path.display()
        );
    }
    let path = std::path::absolute(&path).with_context(|| path.display().to_string())?;
    Ok((if id.is_empty() { "default" } else { id }.to_owned(), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags() {
        let file = |path: &str| SecretFrom::File(path.into());
        let variable = |name: &str| SecretFrom::Variable(name.into());
        for (text, expected) in [
            ("id=a,src=/f", Ok(("a", file("/f")))),
            ("type=file,id=a,source=f", Ok(("a", file("f")))),
            ("id=a,env=B", Ok(("a", variable("B")))),
            ("id=a,type=env,src=B", Ok(("a", variable("B")))),
            ("id=a", Ok(("a", SecretFrom::Id))),
            ("src=/f", Err("an id is missing: id=ID")),
            ("id=,src=/f", Err("an id is missing: id=ID")),
            ("a", Err("\"a\" is no key=value")),
            ("id=a,from=b", Err("unexpected key \"from\": id, src, env or type")),
            ("id=a,type=x", Err("unsupported secret type \"x\": file or env")),
            ("id=a,src=b,env=c", Err("src and env cannot both be given")),
        ] {
            let expected = expected.map(|(id, from)| SecretFlag { id: id.to_owned(), from });
            assert_eq!(secret_flag(text), expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn secrets_are_small() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        for (size, fits) in [(0, true), (LARGEST, true), (LARGEST + 1, false)] {
            std::fs::write(&path, vec![b'x'; size]).unwrap();
            let flag = secret_flag(&format!("id=a,src={}", path.display())).unwrap();
            let read = secrets(&[flag], &mut Vec::new());
            assert_eq!(read.is_ok(), fits, "{size}");
            if let Ok(read) = read {
                assert_eq!(read["a"].expose().len(), size);
                assert!(!format!("{read:?}").contains("xx"));
            }
        }
    }

    #[test]
    fn variables_that_are_not_set_are_empty() {
        let mut unset = Vec::new();
        let flag = secret_flag("id=a,env=NO_SUCH_VARIABLE_OF_OURS").unwrap();
        assert!(secrets(&[flag], &mut unset).unwrap()["a"].expose().is_empty());
        assert!(unset[0].contains("NO_SUCH_VARIABLE_OF_OURS is not set"), "{unset:?}");
        assert!(secrets(&[secret_flag("id=NO_SUCH_VARIABLE_OF_OURS").unwrap()], &mut unset).is_err());
    }

    #[test]
    fn agents_are_sockets() {
        let directory = tempfile::tempdir().unwrap();
        let [socket, key] = ["socket", "id_ed25519"].map(|name| directory.path().join(name));
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::fs::write(&key, "").unwrap();
        let [socket, key] = [socket, key].map(|path| path.display().to_string());
        for (flag, expected) in [
            (format!("default={socket}"), Ok("default")),
            (format!("git={socket},raw=true"), Ok("git")),
            (format!("={socket}"), Ok("default")),
            (format!("default={key}"), Err("is no socket: keys are not read from files")),
            (format!("default={socket},{socket}"), Err("one socket")),
            ("default=/no/such".to_owned(), Err("/no/such: No such file")),
        ] {
            match (agents(std::slice::from_ref(&flag)), expected) {
                (Ok(found), Ok(id)) => assert_eq!(found[id].display().to_string(), socket),
                (Err(error), Err(text)) => assert!(format!("{error:#}").contains(text), "{error:#}"),
                (found, _) => panic!("{flag}: {found:?}"),
            }
        }
    }
}
