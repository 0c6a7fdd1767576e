//! Stages: the parts of a Dockerfile, each an image of its own.

use crate::instruction::{Arg, InstructionKind};
use crate::parse::Statement;
use crate::{Directives, Instruction, Literal, ParseError, Span, Warning, Word};

/// A Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The directives at its start.
    pub directives: Directives,
    /// The `ARG`s before the first `FROM`.
    pub global_args: Vec<Arg>,
    /// The stages, at least one.
    pub stages: Vec<Stage>,
    /// What is allowed today and should not be written.
    pub warnings: Vec<Warning>,
}

/// A stage: `FROM`, and what follows it up to the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// The image or stage it starts from.
    pub base: Word,
    /// `--platform`
    pub platform: Option<Word>,
    /// `AS name`, in lower case, in which it is referred to.
    pub name: Option<String>,
    /// The end of the line as it is written, if there is a name.
    pub alias: Option<Alias>,
    /// What a comment `# name text` above it says of it.
    pub description: Option<String>,
    /// What follows.
    pub instructions: Vec<Instruction>,
    /// The `FROM` line.
    pub span: Span,
    /// The source of the `FROM` line.
    pub text: String,
    /// The comments directly above it, without their `#`.
    pub comments: Vec<String>,
}

/// `AS name`, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The word `AS`.
    pub keyword: Literal,
    /// The name.
    pub name: Literal,
}

impl Dockerfile {
    /// Every variable declared by an `ARG`, in every stage and before them.
    pub fn declared_args(&self) -> impl Iterator<Item = &str> {
        let in_stages = self.stages.iter().flat_map(|stage| &stage.instructions).filter_map(|instruction| {
            match &instruction.kind {
                InstructionKind::Arg(arg) => Some(arg),
                _ => None,
            }
        });
        let declarations = self.global_args.iter().chain(in_stages).flat_map(|arg| &arg.declarations);
        declarations.map(|declaration| declaration.name.value.as_str())
    }
}

impl Stage {
    pub(crate) fn read(statement: &Statement) -> Result<Self, ParseError> {
        let words = statement.arguments.words();
        let (base, alias) = match words[..] {
            [base] => (base, None),
            [base, keyword, name] if keyword.as_str().eq_ignore_ascii_case("as") => {
                (base, Some(Alias { keyword: keyword.literal(), name: name.literal() }))
            }
            _ => {
                let message = "FROM requires either one or three arguments";
                return Err(ParseError::new(statement.span, message));
            }
        };
        let name = alias.as_ref().map(|alias| stage_name(&alias.name)).transpose()?;
        statement.flags.check(&["platform"], &[])?;
        Ok(Stage {
            base: base.word(),
            platform: statement.flags.word("platform")?,
            description: name.as_ref().and_then(|name| statement.description(name)),
            name,
            alias,
            instructions: Vec::new(),
            span: statement.span,
            text: statement.text.to_owned(),
            comments: statement.comments.clone(),
        })
    }
}

/// `[a-z][a-z0-9-_.]*`, in lower case.
fn stage_name(written: &Literal) -> Result<String, ParseError> {
    let name = written.value.to_lowercase();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(plain) {
        let message = format!(
            "invalid name for build stage: {:?}, name can't start with a number or contain symbols",
            written.value
        );
        return Err(ParseError::new(written.span, message));
    }
    Ok(name)
}
