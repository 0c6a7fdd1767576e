//! The global scope: the variables `FROM` can use, and what stages inherit when they declare them again.

use std::collections::BTreeMap;

use crate::expand::expand;
use crate::instruction::Declaration;
use crate::{Dockerfile, Escape, ExpandError, Lookup, Span, did_you_mean};

/// The variables that describe the platforms of a build: `BUILDPLATFORM`, `TARGETARCH` and the like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlatformArgs {
    /// By their names.
    pub values: BTreeMap<String, String>,
}

/// The variables declared before the first `FROM`, with their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalScope {
    declared: BTreeMap<String, String>,
    platform: BTreeMap<String, String>,
    build_args: BTreeMap<String, String>,
}

/// Why a global variable has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dockerfile parse error on line {}: ARG {name}: {source}", span.first_line)]
pub struct ScopeError {
    /// The variable.
    pub name: String,
    /// Its default.
    pub span: Span,
    /// What is wrong with that.
    pub source: ExpandError,
}

impl PlatformArgs {
    /// The variables for platforms given as `os/architecture/variant`; `target_stage` is what
    /// `TARGETSTAGE` says, `default` if no stage was asked for.
    #[must_use]
    pub fn new(build: &str, target: &str, target_stage: Option<&str>) -> Self {
        let mut values = BTreeMap::new();
        for (prefix, platform) in [("BUILD", build), ("TARGET", target)] {
            let mut parts = platform.splitn(3, '/');
            values.insert(format!("{prefix}PLATFORM"), platform.to_owned());
            for name in ["OS", "ARCH", "VARIANT"] {
                values.insert(format!("{prefix}{name}"), parts.next().unwrap_or_default().to_owned());
            }
            values.insert(format!("{prefix}OSVERSION"), String::new());
        }
        values.insert("TARGETSTAGE".to_owned(), target_stage.unwrap_or("default").to_owned());
        PlatformArgs { values }
    }
}

impl GlobalScope {
    /// Evaluates the global `ARG`s from first to last. A build argument counts where an `ARG` declares it,
    /// and for the platform variables, which need no declaration in `FROM`.
    pub fn new(
        dockerfile: &Dockerfile,
        platform: &PlatformArgs,
        build_args: &BTreeMap<String, String>,
    ) -> Result<Self, ScopeError> {
        let mut platform = platform.values.clone();
        for (name, value) in &mut platform {
            if let Some(given) = build_args.get(name) {
                value.clone_from(given);
            }
        }
        let mut scope = GlobalScope { declared: BTreeMap::new(), platform, build_args: build_args.clone() };
        for declaration in dockerfile.global_args.iter().flat_map(|arg| &arg.declarations) {
            let Declaration { name, default, .. } = declaration;
            let value = match (build_args.get(&name.value), default) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(word)) => {
                    let escape = dockerfile.directives.escape;
                    let value = expand(word, escape, &|name| scope.get(name).map(str::to_owned));
                    let error = |source| ScopeError { name: name.value.clone(), span: word.span, source };
                    Some(value.map_err(error)?.text)
                }
                (None, None) => None,
            };
            scope.declared.extend(value.map(|value| (name.value.clone(), value)));
        }
        Ok(scope)
    }

    /// The value a variable has in `FROM`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.declared.get(name).or_else(|| self.platform.get(name)).map(String::as_str)
    }

    /// True for `TARGETARCH` and its kin, which an `ARG` needs no value for.
    #[must_use]
    pub fn is_platform_variable(&self, name: &str) -> bool {
        self.platform.contains_key(name)
    }

    /// The value an `ARG` of a stage gives its variable: the build argument, else its default in the
    /// stage's environment, else the value it has here. `None` if it has none, which is not an empty one.
    pub fn stage_value(
        &self,
        declaration: &Declaration,
        escape: Escape,
        env: Lookup,
    ) -> Result<Option<String>, ExpandError> {
        let name = &declaration.name.value;
        match (self.build_args.get(name), &declaration.default) {
            (Some(given), _) => Ok(Some(given.clone())),
            (None, Some(word)) => expand(word, escape, env).map(|value| Some(value.text)),
            (None, None) => Ok(self.get(name).map(str::to_owned)),
        }
    }

    /// The build arguments that no `ARG` declares and nothing else uses, each with the name that may have
    /// been meant.
    #[must_use]
    pub fn unused_build_args(&self, dockerfile: &Dockerfile) -> Vec<(String, Option<String>)> {
        let declared: Vec<&str> = dockerfile.declared_args().collect();
        let is_known = |name: &str| {
            declared.contains(&name)
                || self.platform.contains_key(name)
                || name.starts_with("BUILDKIT_")
                || name == "SOURCE_DATE_EPOCH"
                || PROXIES.contains(&name.to_uppercase().as_str())
        };
        let unused = self.build_args.keys().filter(|name| !is_known(name));
        unused.map(|name| (name.clone(), did_you_mean(name, declared.iter().copied()))).collect()
    }
}

/// Build arguments every `RUN` sees without an `ARG`, in upper and in lower case.
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];
