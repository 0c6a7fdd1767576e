//! Parsing: from a text to statements, from statements to stages.

use crate::directive::Directives;
use crate::flag::Flags;
use crate::instruction::{
    Add, Arg, Copy, Env, Expose, Healthcheck, InstructionKind, Label, Onbuild, Run, Volume,
};
use crate::lines::Lines;
use crate::lint::Rule;
use crate::logical::{Fragment, Logical};
use crate::{
    Dockerfile, Escape, Heredoc, Instruction, Keyword, ParseError, ShellOrExec, Span, Stage, Warning, Word,
    json,
};

/// One instruction, cut into its parts but not yet understood.
#[derive(Debug)]
pub(crate) struct Statement<'a> {
    pub(crate) keyword: Keyword,
    pub(crate) flags: Flags,
    pub(crate) arguments: Fragment<'a>,
    pub(crate) heredocs: Vec<Heredoc>,
    pub(crate) comments: Vec<String>,
    pub(crate) escape: Escape,
    /// From the keyword to the last line, heredocs included.
    pub(crate) span: Span,
    /// The source of all that.
    pub(crate) text: &'a str,
    empty_continuations: &'a [Span],
}

/// Reads a Dockerfile.
pub fn parse(text: &str) -> Result<Dockerfile, ParseError> {
    if text.is_empty() {
        return Err(ParseError::whole("the Dockerfile cannot be empty"));
    }
    let directives = Directives::parse(text)?;
    let mut global_args = Vec::new();
    let mut stages: Vec<Stage> = Vec::new();
    let mut warnings = Vec::new();
    read_statements(text, &directives, &mut |statement| {
        let empty = statement.empty_continuations.iter();
        let empty =
            empty.map(|span| Warning::new(Rule::NoEmptyContinuation, "Empty continuation line", *span));
        warnings.extend(empty);
        match (statement.keyword, stages.last_mut()) {
            (Keyword::From, _) => stages.push(Stage::read(statement)?),
            (Keyword::Arg, None) => global_args.push(Arg::read(statement)?),
            (_, None) => {
                // What is wrong with it by itself is said first.
                statement.instruction()?;
                return Err(ParseError::new(statement.span, "no build stage in current context"));
            }
            (_, Some(stage)) => stage.instructions.push(statement.instruction()?),
        }
        Ok(())
    })?;
    if stages.is_empty() {
        let message = if global_args.is_empty() {
            "file with no instructions"
        } else {
            "dockerfile contains no stages to build"
        };
        return Err(ParseError::whole(message));
    }
    Ok(Dockerfile { directives, global_args, stages, warnings })
}

/// Cuts a text into statements, in order.
pub(crate) fn read_statements(
    source: &str,
    directives: &Directives,
    each: &mut dyn FnMut(&Statement) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    let escape = directives.escape;
    let mut lines = Lines::new(source);
    let mut comments = Vec::new();
    while let Some(first) = lines.next()? {
        if first.is_comment() {
            match first.text.trim_start()[1..].trim() {
                "" => comments.clear(),
                comment => comments.push(comment.to_owned()),
            }
            continue;
        }
        if first.is_blank() {
            comments.clear();
            continue;
        }
        let logical = Logical::read(first, &mut lines, escape)?;
        let all = logical.all().trim();
        if all.as_str().is_empty() {
            continue;
        }
        let mut span = all.span();
        let (word, rest) = all.split_word();
        let keyword = Keyword::read(word)?;
        let (flags, arguments) = Flags::split(rest, escape);
        let mut heredocs = Vec::new();
        if has_heredocs(keyword, arguments, escape)? {
            heredocs = Heredoc::read_all(all.as_str(), span, &mut lines)?;
        }
        if !heredocs.is_empty() {
            span = span.to(lines.last());
        }
        each(&Statement {
            keyword,
            flags,
            arguments,
            heredocs,
            comments: std::mem::take(&mut comments),
            escape,
            span,
            text: &source[span.range()],
            empty_continuations: &logical.empty_continuations,
        })?;
    }
    Ok(())
}

/// `RUN`, `COPY` and `ADD` have heredocs, and `ONBUILD` of them, unless their arguments are JSON.
fn has_heredocs(keyword: Keyword, arguments: Fragment, escape: Escape) -> Result<bool, ParseError> {
    match keyword {
        Keyword::Run | Keyword::Copy | Keyword::Add => Ok(json::strings(arguments)?.is_none()),
        Keyword::Onbuild => {
            let (word, rest) = arguments.split_word();
            match word.as_str().parse() {
                Ok(Keyword::Onbuild) | Err(()) => Ok(false),
                Ok(keyword) => has_heredocs(keyword, Flags::split(rest, escape).1, escape),
            }
        }
        _ => Ok(false),
    }
}

impl Statement<'_> {
    /// Understands any instruction but `FROM`.
    pub(crate) fn instruction(&self) -> Result<Instruction, ParseError> {
        let kind = match self.keyword {
            Keyword::Add => InstructionKind::Add(Add::read(self)?),
            Keyword::Arg => InstructionKind::Arg(Arg::read(self)?),
            Keyword::Cmd => InstructionKind::Cmd(self.command()?),
            Keyword::Copy => InstructionKind::Copy(Copy::read(self)?),
            Keyword::Entrypoint => InstructionKind::Entrypoint(self.command()?),
            Keyword::Env => InstructionKind::Env(Env::read(self)?),
            Keyword::Expose => InstructionKind::Expose(self.expose()?),
            Keyword::From => return Err(ParseError::new(self.span, "FROM is no instruction of a stage")),
            Keyword::Healthcheck => InstructionKind::Healthcheck(Healthcheck::read(self)?),
            Keyword::Label => InstructionKind::Label(Label::read(self)?),
            Keyword::Maintainer => InstructionKind::Maintainer(self.rest()?.literal()),
            Keyword::Onbuild => InstructionKind::Onbuild(Onbuild::read(self)?),
            Keyword::Run => InstructionKind::Run(Run::read(self)?),
            Keyword::Shell => InstructionKind::Shell(self.shell()?),
            Keyword::Stopsignal => InstructionKind::Stopsignal(self.rest()?.word()),
            Keyword::User => InstructionKind::User(self.rest()?.word()),
            Keyword::Volume => InstructionKind::Volume(self.volume()?),
            Keyword::Workdir => InstructionKind::Workdir(self.rest()?.word()),
        };
        Ok(Instruction { kind, span: self.span, text: self.text.to_owned(), comments: self.comments.clone() })
    }

    /// The text of a comment `# name text` above the instruction.
    pub(crate) fn description(&self, name: &str) -> Option<String> {
        let mut texts =
            self.comments.iter().filter_map(|comment| comment.strip_prefix(name)?.strip_prefix(' '));
        texts.next().map(|text| text.trim().to_owned())
    }

    pub(crate) fn at_least_one(&self) -> ParseError {
        ParseError::new(self.span, format!("{} requires at least one argument", self.keyword))
    }

    /// The whole of the arguments as one, blanks included.
    fn rest(&self) -> Result<Fragment<'_>, ParseError> {
        self.flags.check(&[], &[])?;
        if self.arguments.as_str().is_empty() {
            let message = format!("{} requires exactly one argument", self.keyword);
            return Err(ParseError::new(self.span, message));
        }
        Ok(self.arguments)
    }

    fn command(&self) -> Result<ShellOrExec, ParseError> {
        self.flags.check(&[], &[])?;
        ShellOrExec::read(self.arguments)
    }

    fn shell(&self) -> Result<Vec<String>, ParseError> {
        match self.command()? {
            command if command.is_empty() => Err(self.at_least_one()),
            ShellOrExec::Exec(arguments) => Ok(arguments),
            ShellOrExec::Shell(text) => {
                Err(ParseError::new(text.span, "SHELL requires the arguments to be in JSON form"))
            }
        }
    }

    fn expose(&self) -> Result<Expose, ParseError> {
        self.flags.check(&[], &[])?;
        let ports: Vec<Word> = self.arguments.words().into_iter().map(Fragment::word).collect();
        if ports.is_empty() { Err(self.at_least_one()) } else { Ok(Expose { ports }) }
    }

    fn volume(&self) -> Result<Volume, ParseError> {
        self.flags.check(&[], &[])?;
        let strings = json::strings(self.arguments)?;
        let json = strings.is_some();
        let paths: Vec<Word> = match strings {
            Some(strings) => {
                let span = self.arguments.span();
                strings.into_iter().map(|text| Word { text: text.trim().to_owned(), span }).collect()
            }
            None => self.arguments.words().into_iter().map(Fragment::word).collect(),
        };
        if paths.is_empty() {
            return Err(self.at_least_one());
        }
        if let Some(empty) = paths.iter().find(|path| path.text.is_empty()) {
            return Err(ParseError::new(empty.span, "VOLUME specified can not be an empty string"));
        }
        Ok(Volume { paths, json })
    }
}
