//! What was tried to be let in, to be told when nothing helped.

/// Which credentials were tried for a request, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tried {
    /// Those that were not accepted, in their order.
    pub refused: Vec<Refused>,
    /// The sources that were looked through.
    pub sources: Vec<String>,
}

/// One that did not help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The registry, or its token service, does not accept it.
    ByRegistry {
        /// Who gave it.
        source: String,
        /// The user, where there is one.
        username: Option<String>,
    },
    /// Who should have given it did not.
    BySource {
        /// Who.
        source: String,
        /// Why.
        reason: String,
    },
}

impl Tried {
    /// What the reader is told of it.
    #[must_use]
    pub fn hint(&self, registry: &str) -> String {
        match (&*self.refused, &*self.sources) {
            ([], []) => {
                format!("there are no credentials at all; give some for {registry} in docker's config.json")
            }
            ([], sources) => format!("no credentials matched {registry} in {}", sources.join(", ")),
            (refused, _) => refused.iter().map(|one| one.text(registry)).collect::<Vec<_>>().join("; "),
        }
    }
}

impl Refused {
    fn text(&self, registry: &str) -> String {
        match self {
            Refused::ByRegistry { source, username: Some(username) } => {
                format!("{registry} did not accept user {username} of {source}")
            }
            Refused::ByRegistry { source, username: None } => {
                format!("{registry} did not accept the token of {source}")
            }
            Refused::BySource { source, reason } => format!("{source}: {reason}"),
        }
    }
}
