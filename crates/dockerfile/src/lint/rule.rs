//! The rules: their names, what they say in general, and where they are explained.

use std::fmt;

/// A rule, by the name BuildKit gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Rule {
    StageNameCasing,
    FromAsCasing,
    NoEmptyContinuation,
    ConsistentInstructionCasing,
    DuplicateStageName,
    ReservedStageName,
    JSONArgsRecommended,
    MaintainerDeprecated,
    UndefinedArgInFrom,
    WorkdirRelativePath,
    UndefinedVar,
    MultipleInstructionsDisallowed,
    LegacyKeyValueFormat,
    InvalidBaseImagePlatform,
    RedundantTargetPlatform,
    SecretsUsedInArgOrEnv,
    InvalidDefaultArgInFrom,
    FromPlatformFlagConstDisallowed,
    CopyIgnoredFile,
    InvalidDefinitionDescription,
    ExposeProtoCasing,
    ExposeInvalidFormat,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Rule; 22] = [
        Rule::StageNameCasing,
        Rule::FromAsCasing,
        Rule::NoEmptyContinuation,
        Rule::ConsistentInstructionCasing,
        Rule::DuplicateStageName,
        Rule::ReservedStageName,
        Rule::JSONArgsRecommended,
        Rule::MaintainerDeprecated,
        Rule::UndefinedArgInFrom,
        Rule::WorkdirRelativePath,
        Rule::UndefinedVar,
        Rule::MultipleInstructionsDisallowed,
        Rule::LegacyKeyValueFormat,
        Rule::InvalidBaseImagePlatform,
        Rule::RedundantTargetPlatform,
        Rule::SecretsUsedInArgOrEnv,
        Rule::InvalidDefaultArgInFrom,
        Rule::FromPlatformFlagConstDisallowed,
        Rule::CopyIgnoredFile,
        Rule::InvalidDefinitionDescription,
        Rule::ExposeProtoCasing,
        Rule::ExposeInvalidFormat,
    ];

    /// The name, as `# check=skip=` has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.texts().0
    }

    /// What the rule is about, whatever it was that broke it.
    #[must_use]
    pub fn description(self) -> &'static str {
        self.texts().1
    }

    /// Where it is explained.
    #[must_use]
    pub fn url(self) -> String {
        let mut name = String::new();
        let letters: Vec<char> = self.name().chars().collect();
        for (at, letter) in letters.iter().enumerate() {
            // A word begins where capitals begin, or at the last of several.
            let begins = letter.is_uppercase()
                && at > 0
                && (letters[at - 1].is_lowercase()
                    || letters.get(at + 1).is_some_and(|next| next.is_lowercase()));
            if begins {
                name.push('-');
            }
            name.extend(letter.to_lowercase());
        }
        format!("https://docs.docker.com/go/dockerfile/rule/{name}/")
    }

    /// True if it is checked only where `# check=experimental=` asks for it.
    #[must_use]
    pub fn is_experimental(self) -> bool {
        self == Rule::InvalidDefinitionDescription
    }

    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Rule::StageNameCasing => ("StageNameCasing", "Stage names should be lowercase"),
            Rule::FromAsCasing => {
                ("FromAsCasing", "The 'as' keyword should match the case of the 'from' keyword")
            }
            Rule::NoEmptyContinuation => {
                ("NoEmptyContinuation", "Empty continuation lines will become errors in a future release")
            }
            Rule::ConsistentInstructionCasing => (
                "ConsistentInstructionCasing",
                "All commands within the Dockerfile should use the same casing (either upper or lower)",
            ),
            Rule::DuplicateStageName => ("DuplicateStageName", "Stage names should be unique"),
            Rule::ReservedStageName => {
                ("ReservedStageName", "Reserved words should not be used as stage names")
            }
            Rule::JSONArgsRecommended => (
                "JSONArgsRecommended",
                "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
            ),
            Rule::MaintainerDeprecated => (
                "MaintainerDeprecated",
                "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
            ),
            Rule::UndefinedArgInFrom => ("UndefinedArgInFrom", "FROM command must use declared ARGs"),
            Rule::WorkdirRelativePath => (
                "WorkdirRelativePath",
                "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
            ),
            Rule::UndefinedVar => ("UndefinedVar", "Variables should be defined before their use"),
            Rule::MultipleInstructionsDisallowed => (
                "MultipleInstructionsDisallowed",
                "Multiple instructions of the same type should not be used in the same stage",
            ),
            Rule::LegacyKeyValueFormat => (
                "LegacyKeyValueFormat",
                "Legacy key/value format with whitespace separator should not be used",
            ),
            Rule::InvalidBaseImagePlatform => {
                ("InvalidBaseImagePlatform", "Base image platform does not match expected target platform")
            }
            Rule::RedundantTargetPlatform => (
                "RedundantTargetPlatform",
                "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
            ),
            Rule::SecretsUsedInArgOrEnv => {
                ("SecretsUsedInArgOrEnv", "Sensitive data should not be used in the ARG or ENV commands")
            }
            Rule::InvalidDefaultArgInFrom => (
                "InvalidDefaultArgInFrom",
                "Default value for global ARG results in an empty or invalid base image name",
            ),
            Rule::FromPlatformFlagConstDisallowed => {
                ("FromPlatformFlagConstDisallowed", "FROM --platform flag should not use a constant value")
            }
            Rule::CopyIgnoredFile => {
                ("CopyIgnoredFile", "Attempting to Copy file that is excluded by .dockerignore")
            }
            Rule::InvalidDefinitionDescription => (
                "InvalidDefinitionDescription",
                "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment.",
            ),
            Rule::ExposeProtoCasing => {
                ("ExposeProtoCasing", "Protocol in EXPOSE instruction should be lowercase")
            }
            Rule::ExposeInvalidFormat => (
                "ExposeInvalidFormat",
                "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
            ),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Rule;

    #[test]
    fn every_rule_has_its_address() {
        for (rule, name) in [
            (Rule::StageNameCasing, "stage-name-casing"),
            (Rule::JSONArgsRecommended, "json-args-recommended"),
            (Rule::UndefinedArgInFrom, "undefined-arg-in-from"),
            (Rule::SecretsUsedInArgOrEnv, "secrets-used-in-arg-or-env"),
        ] {
            assert_eq!(rule.url(), format!("https://docs.docker.com/go/dockerfile/rule/{name}/"));
        }
        let names: std::collections::BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(names.len(), Rule::ALL.len(), "each has a name of its own");
        assert!(
            Rule::ALL.iter().all(|rule| format!("{rule:?}") == rule.name() && !rule.description().is_empty())
        );
    }
}
