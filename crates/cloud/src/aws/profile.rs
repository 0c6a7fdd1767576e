//! Profiles: `~/.aws/config` and `~/.aws/credentials` ([format]).
//!
//! [format]: https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::{Environment, Error};

/// Settings by profile.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Profiles {
    profiles: BTreeMap<String, BTreeMap<String, String>>,
}

impl Profiles {
    /// Those of both files; what the credentials file says of a profile goes before what the other does.
    pub(crate) fn read(environment: &Environment) -> Result<Self, Error> {
        let home = environment.path("HOME").map(|home| home.join(".aws"));
        let file = |variable: &str, name: &str| {
            environment.path(variable).or_else(|| Some(home.as_ref()?.join(name)))
        };
        let mut profiles = Profiles::default();
        profiles.add(&text(file("AWS_CONFIG_FILE", "config"))?, true);
        profiles.add(&text(file("AWS_SHARED_CREDENTIALS_FILE", "credentials"))?, false);
        Ok(profiles)
    }

    /// The settings of a profile.
    pub(crate) fn get(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.profiles.get(name)
    }

    /// Reads a file. In `config` all profiles but the default are called `profile NAME`, other sections are something
    /// else.
    fn add(&mut self, text: &str, is_config: bool) {
        let mut profile = None;
        for line in text.lines() {
            // An indented line is a part of a nested setting.
            let line = match line.trim_end() {
                line if line.starts_with(['#', ';']) || line.starts_with(char::is_whitespace) => continue,
                line => line,
            };
            if let Some(name) = line.strip_prefix('[') {
                let name = name.split(']').next().unwrap_or_default().trim();
                let name =
                    match name.strip_prefix("profile").filter(|rest| rest.starts_with(char::is_whitespace)) {
                        Some(rest) if is_config => Some(rest.trim().trim_matches('"')),
                        _ if is_config && name != "default" => None,
                        _ => Some(name),
                    };
                profile = name.map(|name| self.profiles.entry(name.to_owned()).or_default());
                continue;
            }
            if let (Some(profile), Some((key, value))) = (&mut profile, line.split_once('=')) {
                let value = value.split(" #").next().unwrap_or_default();
                profile.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
            }
        }
    }
}

/// The text of a file; none if it is not there or not for us, as another user's home.
fn text(path: Option<PathBuf>) -> Result<String, Error> {
    let Some(path) = path else { return Ok(String::new()) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::NotADirectory
            ) =>
        {
            Ok(String::new())
        }
        Err(error) => Err(Error::failed(path.display(), error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        let mut profiles = Profiles::default();
        profiles.add(
            "[default]\nregion = eu-central-1 # here\ns3 =\n  addressing_style = path\n[profile ci]\nrole_arn=arn:1\nSOURCE_PROFILE = default\n[sso-session x]\nsso_region = a\n[ci2]\nregion = no\n",
            true,
        );
        profiles.add("; comment\n[default]\naws_access_key_id = A#B\n[ci2]\naws_access_key_id=C=\n", false);
        let value = |profile: &str, key: &str| profiles.get(profile)?.get(key).cloned();
        for (profile, key, expected) in [
            ("default", "region", Some("eu-central-1")),
            ("default", "addressing_style", None),
            ("default", "aws_access_key_id", Some("A#B")),
            ("ci", "role_arn", Some("arn:1")),
            ("ci", "source_profile", Some("default")),
            ("x", "sso_region", None),
            ("ci2", "region", None),
            ("ci2", "aws_access_key_id", Some("C=")),
        ] {
            assert_eq!(value(profile, key).as_deref(), expected, "{profile} {key}");
        }
    }
}
