//! The stage graph: what each stage starts from and copies from, and which stages a target needs.

use crate::instruction::InstructionKind;
use crate::{
    Dockerfile, ExpandError, GlobalScope, Instruction, NamedContext, ParseError, Span, Spanned, Stage, Word,
    did_you_mean, expand, parse_trigger,
};

/// Where a filesystem comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// `scratch`: it is empty.
    Scratch,
    /// An earlier stage, by its index.
    Stage(usize),
    /// A named context of the build, by the name that [`NamedContext`] has.
    Context(String),
    /// An image, by the reference that was written.
    Image(String),
}

/// A stage in the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What it starts from.
    pub base: Origin,
    /// The platform `FROM` asks for.
    pub platform: Option<String>,
    /// Variables in `FROM` that have no value.
    pub undefined: Vec<Spanned<String>>,
    /// A named context is called like it, and is there in its place: nothing of what is written is done.
    pub replaced: bool,
}

/// The stages of a Dockerfile and what they start from.
#[derive(Debug)]
pub struct Graph<'a> {
    dockerfile: &'a Dockerfile,
    contexts: &'a [NamedContext],
    platform: String,
    /// One for each stage, in the same order.
    pub nodes: Vec<Node>,
}

/// Why the stages do not fit together. The wording is BuildKit's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum GraphError {
    #[error("target stage {target:?} could not be found{}", hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
    Target { target: String, hint: Option<String> },
    #[error("cannot copy from stage {from:?}, it needs to be defined before current stage {stage:?}")]
    Order { from: String, stage: String, span: Span },
    #[error("circular dependency detected on stage: {stage}")]
    Circular { stage: String, span: Span },
    #[error("invalid stage index {index}")]
    Index { index: String, span: Span },
    #[error("base name ({expression}) should not be blank")]
    BlankBase { expression: String, span: Span },
    #[error("empty platform value from expression {expression}")]
    BlankPlatform { expression: String, span: Span },
    #[error("{source}")]
    Expand { source: ExpandError, span: Span },
    #[error("ONBUILD trigger: {}", source.message)]
    Trigger { source: ParseError, span: Span },
}

impl GraphError {
    /// The place to blame, if it is in the Dockerfile.
    #[must_use]
    pub fn span(&self) -> Option<Span> {
        match self {
            GraphError::Target { .. } => None,
            GraphError::Order { span, .. }
            | GraphError::Circular { span, .. }
            | GraphError::Index { span, .. }
            | GraphError::BlankBase { span, .. }
            | GraphError::BlankPlatform { span, .. }
            | GraphError::Expand { span, .. }
            | GraphError::Trigger { span, .. } => Some(*span),
        }
    }
}

impl<'a> Graph<'a> {
    /// Finds what each stage starts from: a named context, an earlier stage, or an image, in that order.
    /// `platform` is that of the build, for contexts that are for one platform alone.
    pub fn new(
        dockerfile: &'a Dockerfile,
        scope: &GlobalScope,
        contexts: &'a [NamedContext],
        platform: &str,
    ) -> Result<Self, GraphError> {
        let mut graph = Graph { dockerfile, contexts, platform: platform.to_owned(), nodes: Vec::new() };
        for (index, stage) in dockerfile.stages.iter().enumerate() {
            let mut undefined = Vec::new();
            let mut value = |word: &Word| {
                let env = |name: &str| scope.get(name).map(str::to_owned);
                let expansion = expand(word, dockerfile.directives.escape, &env)
                    .map_err(|source| GraphError::Expand { source, span: word.span })?;
                undefined.extend(expansion.unset.into_iter().map(|value| Spanned { value, span: word.span }));
                Ok(expansion.text)
            };
            let base = value(&stage.base)?;
            if base.is_empty() {
                let expression = stage.base.text.clone();
                return Err(GraphError::BlankBase { expression, span: stage.base.span });
            }
            let platform = match &stage.platform {
                Some(word) => {
                    let platform = value(word)?;
                    if platform.is_empty() {
                        let expression = word.text.clone();
                        return Err(GraphError::BlankPlatform { expression, span: word.span });
                    }
                    Some(platform)
                }
                None => None,
            };
            let wanted = platform.as_deref().unwrap_or(&graph.platform);
            let instead = stage.name.as_ref().and_then(|name| graph.context(name, wanted));
            let replaced = instead.is_some();
            let base = instead.or_else(|| graph.named(index, &base, wanted)).unwrap_or_else(|| image(&base));
            graph.nodes.push(Node { base, platform, undefined, replaced });
        }
        Ok(graph)
    }

    /// What is done in a stage after its `FROM`.
    #[must_use]
    pub fn instructions(&self, stage: usize) -> &'a [Instruction] {
        if self.nodes[stage].replaced { &[] } else { &self.dockerfile.stages[stage].instructions }
    }

    /// The stage to build: the one named, by name or by index, or the last.
    pub fn target(&self, name: Option<&str>) -> Result<usize, GraphError> {
        let stages = &self.dockerfile.stages;
        let Some(target) = name else { return Ok(stages.len() - 1) };
        let named = stages.iter().rposition(|stage| has_name(stage, target));
        named.or_else(|| index(target).filter(|index| *index < stages.len())).ok_or_else(|| {
            let names = stages.iter().filter_map(|stage| stage.name.as_deref());
            let hint = did_you_mean(target, names).map(|near| format!("did you mean {near}?"));
            GraphError::Target { target: target.to_owned(), hint }
        })
    }

    /// What the `from` of a `COPY` or of a mount in a stage means. A number is the index of a stage.
    pub fn origin(&self, stage: usize, from: &Spanned<String>) -> Result<Origin, GraphError> {
        let Spanned { value: name, span } = from;
        let span = *span;
        let stages = &self.dockerfile.stages;
        let found = match index(name) {
            Some(index) if index >= stages.len() => {
                return Err(GraphError::Index { index: name.clone(), span });
            }
            Some(index) => Some(index),
            None => {
                if let Some(origin) = self.named(stage, name, &self.platform) {
                    return Ok(origin);
                }
                stages.iter().position(|later| has_name(later, name))
            }
        };
        match found {
            None => Ok(image(name)),
            // A context stands for the stage of its name, however that is referred to.
            Some(index) if index < stage => {
                let context = stages[index].name.as_ref().and_then(|name| self.context(name, &self.platform));
                Ok(context.unwrap_or(Origin::Stage(index)))
            }
            Some(index) if index == stage => Err(GraphError::Circular { stage: self.label(stage), span }),
            Some(_) => Err(GraphError::Order { from: name.clone(), stage: self.label(stage), span }),
        }
    }

    /// Everything a stage copies from or mounts, in the order of its instructions; what the `ONBUILD`s of a
    /// stage it starts from bring comes first. Triggers of images are not known here: see [`Graph::origin`].
    pub fn sources(&self, stage: usize) -> Result<Vec<Spanned<Origin>>, GraphError> {
        let mut sources = Vec::new();
        if let Origin::Stage(base) = self.nodes[stage].base {
            for instruction in &self.dockerfile.stages[base].instructions {
                let InstructionKind::Onbuild(onbuild) = &instruction.kind else { continue };
                let span = instruction.span;
                let trigger = parse_trigger(&onbuild.trigger.value)
                    .map_err(|source| GraphError::Trigger { source, span })?;
                for from in trigger.froms() {
                    let from = Spanned { value: from.value.clone(), span };
                    sources.push(Spanned { value: self.origin(stage, &from)?, span });
                }
            }
        }
        for from in self.instructions(stage).iter().flat_map(Instruction::froms) {
            sources.push(Spanned { value: self.origin(stage, from)?, span: from.span });
        }
        Ok(sources)
    }

    /// The stages a target needs, itself included, each after those it needs.
    pub fn reachable(&self, target: usize) -> Result<Vec<usize>, GraphError> {
        let mut needed: Vec<bool> = (0..self.nodes.len()).map(|stage| stage == target).collect();
        // A stage needs only earlier ones, so one pass backwards meets each after all that need it.
        for stage in (0..needed.len()).rev() {
            if !needed[stage] {
                continue;
            }
            if let Origin::Stage(base) = self.nodes[stage].base {
                needed[base] = true;
            }
            for source in self.sources(stage)? {
                if let Origin::Stage(source) = source.value {
                    needed[source] = true;
                }
            }
        }
        Ok((0..needed.len()).filter(|stage| needed[*stage]).collect())
    }

    /// A named context, or the last stage of that name before `stage`.
    fn named(&self, stage: usize, name: &str, platform: &str) -> Option<Origin> {
        self.context(name, platform).or_else(|| {
            let earlier = &self.dockerfile.stages[..stage];
            earlier.iter().rposition(|earlier| has_name(earlier, name)).map(Origin::Stage)
        })
    }

    /// The named context that stands for a stage or an image. `scratch` is always empty.
    fn context(&self, name: &str, platform: &str) -> Option<Origin> {
        let named = NamedContext::find(self.contexts, name, platform);
        named.filter(|_| name != "scratch").map(|context| Origin::Context(context.name.clone()))
    }

    /// The stage's name, or its index.
    fn label(&self, stage: usize) -> String {
        self.dockerfile.stages[stage].name.clone().unwrap_or_else(|| stage.to_string())
    }
}

fn has_name(stage: &Stage, name: &str) -> bool {
    stage.name.as_ref().is_some_and(|known| known.eq_ignore_ascii_case(name))
}

fn image(name: &str) -> Origin {
    if name == "scratch" { Origin::Scratch } else { Origin::Image(name.to_owned()) }
}

fn index(text: &str) -> Option<usize> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}
