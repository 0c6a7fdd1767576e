//! `ONBUILD`: instructions for the builds that start from this image.

use crate::directive::Directives;
use crate::parse::{Statement, read_statements};
use crate::run::with_heredocs;
use crate::{Instruction, Keyword, Literal, ParseError};

/// An instruction for later. Only its keyword is checked now: the rest is read by [`parse_trigger`] where
/// it is used, so that a base image's triggers and these are the same thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Onbuild {
    /// Its source with continued lines joined, heredocs below it: what an image config's `OnBuild` holds.
    pub trigger: Literal,
}

impl Onbuild {
    pub(crate) fn read(statement: &Statement) -> Result<Self, ParseError> {
        statement.flags.check(&[], &[])?;
        let (word, _) = statement.arguments.split_word();
        if word.as_str().is_empty() {
            return Err(statement.at_least_one());
        }
        match word.as_str().parse() {
            Ok(Keyword::Onbuild) => {
                Err(ParseError::new(word.span(), "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"))
            }
            Ok(keyword @ (Keyword::From | Keyword::Maintainer)) => {
                let message = format!("{keyword} isn't allowed as an ONBUILD trigger");
                Err(ParseError::new(word.span(), message))
            }
            _ => {
                let Literal { value, span } = statement.arguments.literal();
                let value = with_heredocs(&value, &statement.heredocs);
                Ok(Onbuild { trigger: Literal { value, span } })
            }
        }
    }
}

/// Reads a trigger, of a stage or of an image's config. Places in it are places in `trigger`. The escape
/// character is the backslash, whatever it was where the trigger was written.
pub fn parse_trigger(trigger: &str) -> Result<Instruction, ParseError> {
    let mut read = None;
    read_statements(trigger, &Directives::default(), &mut |statement| {
        let refused = matches!(statement.keyword, Keyword::From | Keyword::Maintainer | Keyword::Onbuild);
        if refused {
            let message = format!("{} isn't allowed as an ONBUILD trigger", statement.keyword);
            return Err(ParseError::new(statement.span, message));
        }
        if read.is_some() {
            return Err(ParseError::new(statement.span, "an ONBUILD trigger is a single instruction"));
        }
        read = Some(statement.instruction()?);
        Ok(())
    })?;
    read.ok_or_else(|| ParseError::whole("an ONBUILD trigger is empty"))
}
