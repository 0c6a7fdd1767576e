//! `--call=outline`: what a build of a target can be given, with BuildKit's field names.
//!
//! The arguments are those that the target and the stages it needs declare, or use in their `FROM`; with the
//! values a build would give them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::instruction::{Arg as ArgInstruction, Declaration};
use crate::location::Location;
use crate::{
    Dockerfile, Escape, GlobalScope, Graph, GraphError, Instruction, InstructionKind, Mount, MountFlag,
    Origin, Span, Stage, Word, expand,
};

/// What a target can be given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outline {
    /// The target's name; empty if it has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What a comment `# name text` above it says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Build arguments, in the order of their declarations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<Arg>,
    /// Secrets, in the order of their first use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Given>,
    /// SSH agents, in the order of their first use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh: Vec<Given>,
    /// Cache mounts, in the order of their first use.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cache: Vec<Cache>,
}

/// A build argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arg {
    /// Its name.
    pub name: String,
    /// What a comment `# name text` above it says of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its value: the one given, else its default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where it is declared.
    pub location: Location,
}

/// A secret or an SSH agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Given {
    /// Its id.
    pub name: String,
    /// The build fails without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// Where it is used first.
    pub location: Location,
}

/// A cache mount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cache {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Where it is used first.
    pub location: Location,
}

/// A declaration met on the way.
struct Declared {
    arg: Arg,
    span: Span,
}

/// Gathers while the needed stages are gone through.
struct Gathering<'a> {
    escape: Escape,
    scope: &'a GlobalScope,
    /// The global declarations and what their defaults use; a later one of a name takes the place of another.
    global: BTreeMap<&'a str, (&'a Declaration, Span, BTreeSet<String>)>,
    used: BTreeSet<String>,
    declared: Vec<Declared>,
    secrets: BTreeMap<String, (bool, Span)>,
    ssh: BTreeMap<String, (bool, Span)>,
    caches: BTreeMap<String, Span>,
}

impl Outline {
    /// The outline of a stage. Values that base images bring are not known: what uses them shows without.
    pub fn of(
        dockerfile: &Dockerfile,
        graph: &Graph,
        scope: &GlobalScope,
        target: usize,
    ) -> Result<Self, GraphError> {
        let mut gathering = Gathering::new(dockerfile, scope);
        let mut variables: BTreeMap<usize, BTreeMap<String, String>> = BTreeMap::new();
        for index in graph.reachable(target)? {
            let base = match graph.nodes[index].base {
                Origin::Stage(base) => variables.get(&base).cloned().unwrap_or_default(),
                _ => BTreeMap::new(),
            };
            let after = gathering.stage(&dockerfile.stages[index], graph.instructions(index), base);
            variables.insert(index, after);
        }
        Ok(gathering.finish(&dockerfile.stages[target]))
    }
}

impl<'a> Gathering<'a> {
    fn new(dockerfile: &'a Dockerfile, scope: &'a GlobalScope) -> Self {
        let escape = dockerfile.directives.escape;
        let mut global = BTreeMap::new();
        for arg in &dockerfile.global_args {
            for declaration in &arg.declarations {
                let uses =
                    declaration.default.as_ref().map(|word| uses(word, escape, scope)).unwrap_or_default();
                global.insert(declaration.name.value.as_str(), (declaration, arg.span, uses));
            }
        }
        Gathering {
            escape,
            scope,
            global,
            used: BTreeSet::new(),
            declared: Vec::new(),
            secrets: BTreeMap::new(),
            ssh: BTreeMap::new(),
            caches: BTreeMap::new(),
        }
    }

    /// A global variable is used, and what its default uses.
    fn use_global(&mut self, name: &str) {
        if let Some((_, _, uses)) = self.global.get(name)
            && self.used.insert(name.to_owned())
        {
            for name in uses.clone() {
                self.use_global(&name);
            }
        }
    }

    /// Goes through a stage; `variables` are those of the stage it starts from, and come back as it leaves them.
    fn stage(
        &mut self,
        stage: &Stage,
        instructions: &[Instruction],
        mut variables: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        for word in [Some(&stage.base), stage.platform.as_ref()].into_iter().flatten() {
            for name in uses(word, self.escape, self.scope) {
                self.use_global(&name);
            }
        }
        for instruction in instructions {
            match &instruction.kind {
                InstructionKind::Arg(arg) => self.arg(arg, &mut variables),
                InstructionKind::Env(env) => {
                    let values: Vec<(String, String)> = env
                        .pairs
                        .iter()
                        .filter_map(|pair| {
                            let value =
                                |word| expand(word, self.escape, &|name| variables.get(name).cloned()).ok();
                            Some((value(&pair.key)?.text, value(&pair.value)?.text))
                        })
                        .collect();
                    variables.extend(values);
                }
                InstructionKind::Run(run) => {
                    run.mounts.iter().for_each(|mount| self.mount(mount, &variables));
                }
                _ => {}
            }
        }
        variables
    }

    fn arg(&mut self, arg: &ArgInstruction, variables: &mut BTreeMap<String, String>) {
        for declaration in &arg.declarations {
            let name = &declaration.name.value;
            let lookup = |name: &str| variables.get(name).cloned();
            let value = self.scope.stage_value(declaration, self.escape, &lookup).ok().flatten();
            if declaration.default.is_none() && self.global.contains_key(name.as_str()) {
                // It is the global one, which says more of itself.
                self.use_global(name);
            } else if declaration.default.is_some() || !self.scope.is_platform_variable(name) {
                self.declare(declaration, arg.span, value.clone());
            }
            variables.extend(value.map(|value| (name.clone(), value)));
        }
    }

    fn declare(&mut self, declaration: &Declaration, span: Span, value: Option<String>) {
        let name = declaration.name.value.clone();
        if self.declared.iter().any(|known| known.arg.name == name) {
            return;
        }
        let description = declaration.description.clone();
        self.declared.push(Declared { arg: Arg { name, description, value, location: span.into() }, span });
    }

    fn mount(&mut self, mount: &MountFlag, variables: &BTreeMap<String, String>) {
        // What is wrong with a mount fails in the build.
        let Ok(resolved) = mount.resolve(self.escape, &|name| variables.get(name).cloned()) else { return };
        let span = mount.span;
        let given = |all: &mut BTreeMap<String, (bool, Span)>, id: String, required: bool| {
            all.entry(id).or_insert((false, span)).0 |= required;
        };
        match resolved {
            Mount::Secret(secret) => given(&mut self.secrets, secret.id, secret.required),
            Mount::Ssh(ssh) => {
                given(&mut self.ssh, ssh.id.unwrap_or_else(|| "default".to_owned()), ssh.required)
            }
            Mount::Cache(cache) => {
                self.caches.entry(cache.id.unwrap_or(cache.target)).or_insert(span);
            }
            Mount::Bind(_) | Mount::Tmpfs(_) => {}
        }
    }

    fn finish(mut self, target: &Stage) -> Outline {
        for name in std::mem::take(&mut self.used) {
            if let Some((declaration, span, _)) = self.global.get(name.as_str()) {
                let (declaration, span) = (*declaration, *span);
                let value = self.scope.get(&name).map(str::to_owned);
                // One that a stage declares anew shows as that.
                self.declare(declaration, span, value);
            }
        }
        self.declared.sort_by_key(|declared| declared.span.start);
        let given = |all: BTreeMap<String, (bool, Span)>| {
            let mut all: Vec<(String, (bool, Span))> = all.into_iter().collect();
            all.sort_by_key(|(_, (_, span))| span.start);
            let given = |(name, (required, span)): (String, (bool, Span))| Given {
                name,
                required,
                location: span.into(),
            };
            all.into_iter().map(given).collect()
        };
        let mut caches: Vec<(String, Span)> = self.caches.into_iter().collect();
        caches.sort_by_key(|(_, span)| span.start);
        Outline {
            name: target.name.clone().unwrap_or_default(),
            description: target.description.clone(),
            args: self.declared.into_iter().map(|declared| declared.arg).collect(),
            secrets: given(self.secrets),
            ssh: given(self.ssh),
            cache: caches.into_iter().map(|(id, span)| Cache { id, location: span.into() }).collect(),
        }
    }
}

/// The global variables a word asks for.
fn uses(word: &Word, escape: Escape, scope: &GlobalScope) -> BTreeSet<String> {
    let names = RefCell::new(BTreeSet::new());
    let lookup = |name: &str| {
        names.borrow_mut().insert(name.to_owned());
        scope.get(name).map(str::to_owned)
    };
    // One that has no value fails in the build; what it asked for until then it does use.
    let _ = expand(word, escape, &lookup);
    names.into_inner()
}
