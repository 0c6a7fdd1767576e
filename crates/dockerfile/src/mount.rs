//! `RUN --mount`: what a command finds in its filesystem for the time it runs.

use crate::copy::has_variable;
use crate::{Escape, Literal, Lookup, ParseError, Span, Word, csv, expand};

/// A `--mount` as it was written. All of its values but `from` may hold variables, even its type, so only
/// [`MountFlag::resolve`] tells what is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountFlag {
    /// Its `key=value` fields.
    pub fields: Vec<Field>,
    /// `from`: a stage, an image, or a named context.
    pub from: Option<Literal>,
    /// Where it stands.
    pub span: Span,
}

/// One field of a `--mount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// In lower case.
    pub key: String,
    /// `None` if there is no `=`.
    pub value: Option<Word>,
}

/// Something to be mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Mount {
    Bind(Bind),
    Cache(Cache),
    Tmpfs(Tmpfs),
    Secret(Secret),
    Ssh(Ssh),
}

/// Files of the context, a stage or an image. What is written to them is discarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// Where it is mounted; relative to the working directory if not absolute.
    pub target: String,
    /// A path within `from`; empty is its root.
    pub source: String,
    /// `None` is the context.
    pub from: Option<String>,
    /// The command may write.
    pub writable: bool,
}

/// A directory that is kept for the next build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    /// Where it is mounted; relative to the working directory if not absolute.
    pub target: String,
    /// What it is kept as; `None` is the cleaned target.
    pub id: Option<String>,
    /// The command may not write.
    pub read_only: bool,
    /// What happens if two commands use it at once.
    pub sharing: Sharing,
    /// What a new one is filled with; `None` is nothing.
    pub from: Option<String>,
    /// A path within `from`; empty is its root.
    pub source: String,
    /// Permission bits of a new one; 0755 if not given.
    pub mode: Option<u32>,
    /// Owner of a new one; 0 if not given.
    pub uid: Option<u32>,
    /// Group of a new one; 0 if not given.
    pub gid: Option<u32>,
}

/// What happens if two commands use a cache at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Both use it.
    #[default]
    Shared,
    /// The second gets another one.
    Private,
    /// The second waits.
    Locked,
}

/// A filesystem in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tmpfs {
    /// Where it is mounted; relative to the working directory if not absolute.
    pub target: String,
    /// The most it holds, in bytes.
    pub size: Option<u64>,
    /// The command may not write.
    pub read_only: bool,
}

/// A secret as a file, as a variable, or as both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Which one.
    pub id: String,
    /// The file; `None` if it was not given: `/run/secrets/` and the id's last part, unless `env` is.
    pub target: Option<String>,
    /// The variable.
    pub env: Option<String>,
    /// The build fails if there is none.
    pub required: bool,
    /// Permission bits; 0400 if not given.
    pub mode: Option<u32>,
    /// Owner; 0 if not given.
    pub uid: Option<u32>,
    /// Group; 0 if not given.
    pub gid: Option<u32>,
}

/// The socket of an SSH agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ssh {
    /// Which one; `default` if not given.
    pub id: Option<String>,
    /// The socket; `/run/buildkit/ssh_agent.N` if not given.
    pub target: Option<String>,
    /// The build fails if there is none.
    pub required: bool,
    /// Permission bits; 0600 if not given.
    pub mode: Option<u32>,
    /// Owner; 0 if not given.
    pub uid: Option<u32>,
    /// Group; 0 if not given.
    pub gid: Option<u32>,
}

const TYPES: [&str; 5] = ["bind", "cache", "tmpfs", "secret", "ssh"];
const KEYS: [&str; 20] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
    "environment",
];

/// The fields of every type, before it is known which of them the type has.
#[derive(Debug, Default)]
struct Fields {
    kind: String,
    source: String,
    target: String,
    id: String,
    env: Option<String>,
    read_only: Option<bool>,
    required: Option<bool>,
    sharing: Option<Sharing>,
    size: Option<u64>,
    mode: Option<u32>,
    uid: Option<u32>,
    gid: Option<u32>,
}

impl MountFlag {
    pub(crate) fn read(flag: Literal) -> Result<Self, ParseError> {
        let span = flag.span;
        let fields = csv::record(&flag.value)
            .map_err(|reason| ParseError::new(span, format!("failed to parse csv mounts: {reason}")))?;
        let mut mount = MountFlag { fields: Vec::new(), from: None, span };
        for field in fields {
            let (key, value) = match field.split_once('=') {
                Some((key, value)) => (key.to_lowercase(), Some(value.to_owned())),
                None => (field.to_lowercase(), None),
            };
            match value {
                Some(value) if key == "from" => {
                    if has_variable(&value) {
                        let message = "'from' doesn't support variable expansion, define alias stage instead";
                        return Err(ParseError::new(span, message));
                    }
                    mount.from = Some(Literal { value, span });
                }
                value => {
                    let value = value.map(|text| Word { text, span });
                    mount.fields.push(Field { key, value });
                }
            }
        }
        Ok(mount)
    }

    /// True if nothing in it can be changed by variables, quotes or escapes.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        let special = |word: &Word| word.text.contains(['$', '\\', '`', '\'', '"']);
        !self.fields.iter().filter_map(|field| field.value.as_ref()).any(special)
    }

    /// What is mounted, in an environment.
    pub fn resolve(&self, escape: Escape, env: Lookup) -> Result<Mount, ParseError> {
        let mut fields = Fields { kind: "bind".to_owned(), ..Fields::default() };
        for Field { key, value } in &self.fields {
            let value = match value {
                None => None,
                Some(word) => {
                    let error = |error: crate::ExpandError| self.error(error.to_string());
                    Some(expand(word, escape, env).map_err(error)?.text)
                }
            };
            self.set(&mut fields, key, value)?;
        }
        self.mount(fields)
    }

    fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError::new(self.span, message)
    }

    fn set(&self, fields: &mut Fields, key: &str, value: Option<String>) -> Result<(), ParseError> {
        let Some(value) = value else {
            match key {
                "readonly" | "ro" => fields.read_only = Some(true),
                "readwrite" | "rw" => fields.read_only = Some(false),
                "required" => fields.required = Some(true),
                _ => {
                    let error = self.error(format!("invalid field '{key}' must be a key=value pair"));
                    return Err(error.suggest(key, ["readonly", "readwrite", "required"]));
                }
            }
            return Ok(());
        };
        let invalid = || self.error(format!("invalid value for {key}: {value}"));
        let number = |radix: u32| {
            u32::from_str_radix(&value, radix)
                .map_err(|_| self.error(format!("invalid value {value} for {key}")))
        };
        match key {
            "type" => fields.kind = value.to_lowercase(),
            "source" | "src" => fields.source = value,
            "target" | "dst" | "destination" => fields.target = value,
            "id" => fields.id = value,
            "env" | "environment" => fields.env = Some(value),
            "readonly" | "ro" => fields.read_only = Some(boolean(&value).ok_or_else(invalid)?),
            "readwrite" | "rw" => fields.read_only = Some(!boolean(&value).ok_or_else(invalid)?),
            "required" => fields.required = Some(boolean(&value).ok_or_else(invalid)?),
            "size" => fields.size = Some(bytes(&value).ok_or_else(invalid)?),
            "mode" => fields.mode = Some(number(8)?),
            "uid" => fields.uid = Some(number(10)?),
            "gid" => fields.gid = Some(number(10)?),
            "sharing" => {
                fields.sharing = Some(match value.to_lowercase().as_str() {
                    "shared" => Sharing::Shared,
                    "private" => Sharing::Private,
                    "locked" => Sharing::Locked,
                    _ => {
                        let error = self.error(format!("unsupported sharing value {value:?}"));
                        return Err(error.suggest(&value, ["shared", "private", "locked"]));
                    }
                });
            }
            _ => {
                let error = self.error(format!("unexpected key '{key}' in '{key}={value}'"));
                return Err(error.suggest(key, KEYS));
            }
        }
        Ok(())
    }

    /// Refuses the fields a type does not have, and builds it.
    fn mount(&self, fields: Fields) -> Result<Mount, ParseError> {
        let Fields { kind, source, target, id, env, read_only, required, sharing, size, mode, uid, gid } =
            fields;
        let kind = kind.as_str();
        if !TYPES.contains(&kind) {
            let error = self.error(format!("unsupported mount type {kind:?}"));
            return Err(error.suggest(kind, TYPES));
        }
        let refuse = |given: bool, key: &str, types: &[&str]| {
            let message = || match key {
                "mode" | "uid" | "gid" => format!("{key} not allowed for {kind:?} type mounts"),
                "sharing" => format!("invalid cache sharing set for {kind} mount"),
                _ => format!("unexpected key '{key}' for mount type '{kind}'"),
            };
            if given && !types.contains(&kind) { Err(self.error(message())) } else { Ok(()) }
        };
        let owned = ["cache", "secret", "ssh"];
        refuse(required.is_some(), "required", &["secret", "ssh"])?;
        refuse(size.is_some(), "size", &["tmpfs"])?;
        refuse(env.is_some(), "env", &["secret"])?;
        refuse(mode.is_some(), "mode", &owned)?;
        refuse(uid.is_some(), "uid", &owned)?;
        refuse(gid.is_some(), "gid", &owned)?;
        if kind == "secret" && self.from.is_some() {
            return Err(self.error("secret mount should not have a from"));
        }
        if kind == "secret" && sharing.is_some() {
            return Err(self.error("secret mount should not define sharing"));
        }
        refuse(sharing.is_some(), "sharing", &["cache"])?;
        let required = required.unwrap_or(false);
        let from = self.from.as_ref().map(|from| from.value.clone()).filter(|from| !from.is_empty());
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        if matches!(kind, "bind" | "cache" | "tmpfs") && is_root(&target) {
            return Err(self.error(format!("invalid mount target {target:?}")));
        }
        Ok(match kind {
            "bind" => Mount::Bind(Bind { target, source, from, writable: read_only == Some(false) }),
            "cache" => {
                let (id, read_only) = (some(id), read_only == Some(true));
                let sharing = sharing.unwrap_or_default();
                Mount::Cache(Cache { target, id, read_only, sharing, from, source, mode, uid, gid })
            }
            "tmpfs" => Mount::Tmpfs(Tmpfs { target, size, read_only: read_only == Some(true) }),
            "secret" => {
                if !source.is_empty() && !id.is_empty() {
                    return Err(self.error("both source and id can't be set"));
                }
                let base = target.rsplit('/').next().unwrap_or_default();
                let Some(id) = some(id).or(some(source)).or(some(base.to_owned())) else {
                    return Err(self.error("invalid secret mount. one of source, target required"));
                };
                Mount::Secret(Secret { id, target: some(target), env, required, mode, uid, gid })
            }
            _ => Mount::Ssh(Ssh { id: some(id), target: some(target), required, mode, uid, gid }),
        })
    }
}

/// Nothing, or an absolute path that comes to the root. What a relative one comes to, its stage knows.
fn is_root(target: &str) -> bool {
    if !target.is_empty() && !target.starts_with('/') {
        return false;
    }
    let mut depth = 0_usize;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => depth = depth.saturating_sub(1),
            _ => depth += 1,
        }
    }
    depth == 0
}

/// What Go's `strconv.ParseBool` takes for one.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A size as Docker writes it: `64m`, `1.5GiB`, `100`; the units are powers of 1024.
fn bytes(text: &str) -> Option<u64> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let number: f64 = number.parse().ok()?;
    let unit = unit.trim_start().to_ascii_lowercase();
    let unit = unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(&unit);
    let power = ["", "k", "m", "g", "t", "p"].iter().position(|known| *known == unit)?;
    let size = number * 1024_f64.powi(i32::try_from(power).ok()?);
    // Beyond this a float is no exact number of bytes, and no machine has them.
    (size < 9_007_199_254_740_992.0).then_some(size as u64)
}
