//! The text a user writes, as values: Dockerfiles, their words, their stages, and `.dockerignore`. No I/O.
//!
//! [`parse`] turns a text into a [`Dockerfile`]: stages of typed [`Instruction`]s, each knowing where in
//! the text it stands. What may hold variables stays a [`Word`] until [`expand`] gives it a value;
//! [`GlobalScope`] knows the values `FROM` can see, and [`Graph`] which stages a target needs. The rules
//! are those of the [Dockerfile reference] and, where that is silent, what BuildKit's frontend does.
//!
//! ```
//! use dockerfile::{GlobalScope, Graph, Origin, PlatformArgs};
//!
//! let text = "ARG TAG=3\nFROM alpine:$TAG AS build\nRUN make\nFROM scratch\nCOPY --from=build /out /\n";
//! let dockerfile = dockerfile::parse(text)?;
//! let platforms = PlatformArgs::new("linux/amd64", "linux/amd64", None);
//! let scope = GlobalScope::new(&dockerfile, &platforms, &Default::default())?;
//! let graph = Graph::new(&dockerfile, &scope, &[], "linux/amd64")?;
//! assert_eq!(graph.reachable(graph.target(None)?)?, [0, 1]);
//! assert_eq!(graph.nodes[0].base, Origin::Image("alpine:3".to_owned()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [Dockerfile reference]: https://docs.docker.com/reference/dockerfile/
#![forbid(unsafe_code)]

mod chmod;
mod chown;
mod copy;
mod csv;
mod directive;
mod duration;
mod error;
mod expand;
mod flag;
mod frontend;
mod git_url;
mod glob;
pub mod graph;
mod healthcheck;
mod heredoc;
mod ignore;
mod image_name;
pub mod instruction;
mod json;
mod key_value;
mod lexer;
mod lines;
pub mod lint;
pub mod location;
mod logical;
pub mod mount;
mod named_context;
mod onbuild;
pub mod outline;
mod parse;
mod percent;
mod port;
mod run;
mod scope;
mod signal;
mod span;
mod stage;
mod substitution;
mod suggest;
pub mod targets;
mod wildcard;
mod word;

pub use chmod::{ModeChange, ModeError};
pub use chown::{Account, Owner, OwnerError};
pub use directive::{Check, Directives, Escape, Rules, Syntax, detect_syntax};
pub use duration::{DurationError, parse_duration};
pub use error::ParseError;
pub use expand::{ExpandError, Expansion, Lookup, Problem, Words, expand, expand_words};
pub use frontend::{Frontend, LANGUAGE_VERSION};
pub use git_url::{GitTime, GitTransport, GitUrl, GitUrlError};
pub use glob::{Pattern, PatternError, has_wildcards};
pub use graph::{Graph, GraphError, Origin};
pub use heredoc::Heredoc;
pub use ignore::{Ignore, IgnoreError};
pub use image_name::{familiar_name, is_image_name};
pub use instruction::{Instruction, InstructionKind, Keyword, ShellOrExec};
pub use lint::{BaseFacts, LintError, Linter, Rule, Warning};
pub use location::Location;
pub use mount::{Mount, MountFlag};
pub use named_context::{ContextSource, NamedContext, NamedContextError};
pub use onbuild::parse_trigger;
pub use outline::Outline;
pub use parse::parse;
pub use port::{Port, PortError, Protocol, parse_ports};
pub use scope::{GlobalScope, PlatformArgs, ScopeError};
pub use signal::{Signal, SignalError};
pub use span::{Span, Spanned};
pub use stage::{Alias, Dockerfile, Stage};
pub use suggest::did_you_mean;
pub use targets::{Target, Targets};
pub use word::{Literal, Word};
