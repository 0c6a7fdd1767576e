//! Checks: what the directives of a Dockerfile ask for besides a build, as soon as there is something to say.

use std::collections::BTreeMap;
use std::sync::Mutex;

use dockerfile::{
    BaseFacts, Check, Dockerfile, Frontend, GlobalScope, Graph, Ignore, Instruction, LANGUAGE_VERSION,
    Linter, PlatformArgs, Syntax, Warning, detect_syntax,
};

use crate::error::{Error, Result};
use crate::event::{self, Report};
use crate::image::Image;
use crate::once::lock;
use crate::options::Options;

/// Refuses a frontend that is not Docker's own, for nobody knows how it would read the file. The build argument
/// `BUILDKIT_SYNTAX` stands before the directive.
pub(crate) fn obey_syntax(options: &Options) -> Result<()> {
    let given = options.build_args.get("BUILDKIT_SYNTAX").filter(|value| !value.is_empty());
    let (syntax, span) = match (given, detect_syntax(&options.dockerfile)) {
        (Some(value), _) => (Syntax::parse(value), None),
        (None, Some(directive)) => (directive.value, Some(directive.span)),
        (None, None) => return Ok(()),
    };
    let warn = |text: String| {
        options.report.event(event::Warning { span, ..event::Warning::new(text) }.into());
    };
    match Frontend::of(&syntax) {
        Frontend::BuiltIn { newer: Some(version), .. } => {
            let (major, minor) = LANGUAGE_VERSION;
            warn(format!(
                "the language of frontend {version} is asked for, that of {major}.{minor} is built in"
            ));
            Ok(())
        }
        Frontend::BuiltIn { newer: None, .. } => Ok(()),
        Frontend::Other { image } if options.syntax_ignore => {
            warn(format!("the frontend {image} is not run: this is read as a Dockerfile"));
            Ok(())
        }
        Frontend::Other { image } => {
            let error = Error::new(format!("the frontend {image} is not supported: no frontend is ever run"))
                .hint("with --syntax-ignore the file is read as a plain Dockerfile");
            Err(match span {
                Some(span) => error.at(span),
                None => error,
            })
        }
    }
}

/// The lints of one build, each told once.
pub(crate) struct Checks<'a> {
    linter: Mutex<Linter<'a>>,
    ignore: Option<Ignore>,
    /// What is found fails a build where `# check=error=true` says so; a check goes on to find the rest.
    fails: bool,
    report: &'a dyn Report,
}

impl<'a> Checks<'a> {
    /// Checks the file.
    pub(crate) fn begin(
        dockerfile: &'a Dockerfile,
        platform: &PlatformArgs,
        options: &'a Options,
        fails: bool,
    ) -> Result<Self> {
        let check =
            options.build_args.get("BUILDKIT_DOCKERFILE_CHECK").map(|text| Check::parse(text)).transpose();
        let check = check
            .map_err(|problem| Error::new(format!("build argument BUILDKIT_DOCKERFILE_CHECK: {problem}")))?;
        // What is wrong with it is said where the context is opened.
        let ignore = options.ignore.as_ref().and_then(|text| Ignore::parse(text).ok());
        let linter = Mutex::new(Linter::new(dockerfile, check));
        let checks = Checks { linter, ignore, fails, report: &*options.report };
        let warnings = lock(&checks.linter).file(platform);
        checks.tell(&warnings)?;
        Ok(checks)
    }

    /// Checks the stages that are built, as far as nothing needs to be known of their bases.
    pub(crate) fn stages(&self, graph: &Graph, scope: &GlobalScope, needed: &[usize]) -> Result<()> {
        let mut warnings = Vec::new();
        for &stage in needed {
            let base = BaseFacts::default();
            warnings.extend(lock(&self.linter).stage(graph, scope, stage, &base, self.ignore.as_ref()));
        }
        self.tell(&warnings)
    }

    /// Checks a stage once its base is known.
    pub(crate) fn stage(
        &self,
        graph: &Graph,
        scope: &GlobalScope,
        stage: usize,
        image: &Image,
        triggers: &[Instruction],
    ) -> Result<()> {
        let config = &image.config.config;
        let environment = config.env.iter().filter_map(|pair| pair.split_once('='));
        let environment: BTreeMap<String, String> =
            environment.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let base = BaseFacts {
            environment: Some(environment),
            has_shell: Some(config.shell.as_ref().is_some_and(|shell| !shell.is_empty())),
            triggers: triggers.to_vec(),
        };
        let warnings = lock(&self.linter).stage(graph, scope, stage, &base, self.ignore.as_ref());
        self.tell(&warnings)
    }

    /// Says that a base is for another platform than the one asked for.
    pub(crate) fn base_platform(
        &self,
        stage: usize,
        image: &str,
        expected: &str,
        actual: &str,
    ) -> Result<()> {
        let warnings = lock(&self.linter).base_platform(stage, image, expected, actual);
        self.tell(&warnings)
    }

    fn tell(&self, warnings: &[Warning]) -> Result<()> {
        for warning in warnings {
            self.report.event(event::Warning::from(warning).into());
        }
        if !self.fails {
            return Ok(());
        }
        lock(&self.linter).verdict().map_err(|error| Error::new(error.to_string()).at(error.span))
    }
}
