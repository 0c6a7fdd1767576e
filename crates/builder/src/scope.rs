//! Variables: what `$NAME` means at a line of a stage, and what a RUN there has in its environment.

use std::collections::BTreeMap;

/// The variables of a stage so far.
///
/// An ARG and an ENV of one name hide each other, the later declaration winning, as in BuildKit. Only ENV
/// reaches the image.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// What every name means now.
    values: BTreeMap<String, String>,
    /// The declared ARGs in the order of their first declaration.
    args: Vec<String>,
    /// Names in the order of their first declaration, for the environment of a RUN.
    order: Vec<String>,
}

/// Proxy settings may be given as build arguments without being declared, in capitals or not. They are in no
/// history.
pub(crate) const PROXY_ARGS: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

impl Scope {
    /// The variables a stage starts with: the environment of its base.
    pub(crate) fn of_environment(env: &[String]) -> Self {
        let mut scope = Scope::default();
        for pair in env {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            scope.set_env(name, value);
        }
        scope
    }

    /// An ENV.
    pub(crate) fn set_env(&mut self, name: &str, value: &str) {
        self.set(name, value);
    }

    /// An ARG. One without a value hides nothing.
    pub(crate) fn declare_arg(&mut self, name: &str, value: Option<&str>) {
        if !self.args.iter().any(|known| known == name) {
            self.args.push(name.to_owned());
        }
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// What a name means.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// `NAME=value` of every declared ARG, in order, as RUN's history lists them: one without a value shows as
    /// an empty one, as with BuildKit.
    pub(crate) fn args(&self) -> Vec<String> {
        self.args.iter().map(|name| format!("{name}={}", self.get(name).unwrap_or_default())).collect()
    }

    /// Every variable with a value, in order of declaration.
    pub(crate) fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.order.iter().filter_map(|name| Some((name.as_str(), self.get(name)?)))
    }

    fn set(&mut self, name: &str, value: &str) {
        if self.values.insert(name.to_owned(), value.to_owned()).is_none() {
            self.order.push(name.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_declaration_wins() {
        let mut scope = Scope::of_environment(&["PATH=/bin".to_owned(), "A=base".to_owned()]);
        scope.declare_arg("A", Some("arg"));
        assert_eq!(scope.get("A"), Some("arg"));
        scope.set_env("A", "env");
        assert_eq!(scope.get("A"), Some("env"));
        scope.declare_arg("B", None);
        assert_eq!(scope.get("B"), None);
        assert_eq!(scope.args(), ["A=env", "B="]);
        scope.declare_arg("C", Some("1"));
        scope.declare_arg("A", Some("again"));
        assert_eq!(scope.args(), ["A=again", "B=", "C=1"], "in the order of the first declaration");
        let environment: Vec<_> = scope.environment().collect();
        assert_eq!(environment, [("PATH", "/bin"), ("A", "again"), ("C", "1")]);
    }
}
