//! An `expect` file: how a case is built, and what is to come of it.

use anyhow::{Context as _, Result, bail};

/// What an `expect` file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expect {
    /// Comments at the top, kept when the file is written again; the first is the rule the case is about.
    pub comments: Vec<String>,
    /// The isolations the case is for, and why it is not for the others.
    pub isolation: Option<(Vec<String>, String)>,
    /// Why the beginning of its Dockerfile cannot be built alone, if that is so.
    pub whole: Option<String>,
    /// Base images wanted beside busybox: folders of `tests/bases`.
    pub bases: Vec<String>,
    /// Variables of the environment of the build, `NAME=VALUE`.
    pub environment: Vec<String>,
    /// Words to add to the command line.
    pub arguments: Vec<String>,
    /// Builds that go before, with the same `--cache-dir`: what each has on its command line beside
    /// `arguments`.
    pub before: Vec<Vec<String>>,
    /// Texts that a successful build's standard error must hold.
    pub warnings: Vec<String>,
    /// Texts that a failing build's standard error must hold; none for a build that is to succeed.
    pub errors: Vec<String>,
    /// Texts that must be neither in what a build prints, nor in its image.
    pub hidden: Vec<String>,
    /// The exit code of a failing build, where it matters which.
    pub exit: Option<i32>,
    /// Entries of the image's config.
    pub config: Vec<String>,
    /// History entries after the base's.
    pub history: Vec<String>,
    /// What the tree has otherwise than its base.
    pub tree: Vec<String>,
}

impl Expect {
    /// Parses an `expect` file: `key: value` lines, and sections whose lines are indented.
    pub fn parse(text: &str) -> Result<Self> {
        let mut expect = Self::default();
        let mut section = String::new();
        for (number, line) in text.lines().enumerate() {
            expect.read_line(line, &mut section).with_context(|| format!("line {}", number + 1))?;
        }
        Ok(expect)
    }

    fn read_line(&mut self, line: &str, section: &mut String) -> Result<()> {
        if let Some(entry) = line.strip_prefix("  ") {
            let list = match section.as_str() {
                "config" => &mut self.config,
                "history" => &mut self.history,
                "tree" => &mut self.tree,
                _ => bail!("indented, but in no section"),
            };
            list.push(entry.to_owned());
            return Ok(());
        }
        if line.starts_with('#') {
            self.comments.push(line.to_owned());
            return Ok(());
        }
        if line.is_empty() {
            return Ok(());
        }
        let (key, value) = line.split_once(':').context("neither `key: value` nor a section")?;
        let value = value.trim();
        let words = value.split_whitespace().map(str::to_owned);
        match key {
            "isolation" => {
                let (names, reason) = value.split_once(": ").context("write `isolation: NAMES: REASON`")?;
                let names = names.split_whitespace().map(str::to_owned).collect();
                self.isolation = Some((names, reason.to_owned()));
            }
            "whole" => self.whole = Some(value.to_owned()),
            "bases" => self.bases.extend(words),
            "env" => self.environment.push(value.to_owned()),
            "args" => self.arguments.extend(words),
            "arg" => self.arguments.push(value.to_owned()),
            "before" => self.before.push(words.collect()),
            "warning" => self.warnings.push(value.to_owned()),
            "error" => self.errors.push(value.to_owned()),
            "hidden" => self.hidden.push(value.to_owned()),
            "exit" => self.exit = Some(value.parse()?),
            "config" | "history" | "tree" if value.is_empty() => *section = key.to_owned(),
            _ => bail!("unknown key `{key}`"),
        }
        Ok(())
    }

    /// The file's text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |line: &str| {
            text.push_str(line);
            text.push('\n');
        };
        self.comments.iter().for_each(|comment| line(comment));
        if let Some((names, reason)) = &self.isolation {
            line(&format!("isolation: {}: {reason}", names.join(" ")));
        }
        if let Some(reason) = &self.whole {
            line(&format!("whole: {reason}"));
        }
        if !self.bases.is_empty() {
            line(&format!("bases: {}", self.bases.join(" ")));
        }
        self.environment.iter().for_each(|variable| line(&format!("env: {variable}")));
        let is_one_word = |text: &String| !text.contains(char::is_whitespace) && !text.is_empty();
        for words in self.arguments.chunk_by(|a, b| is_one_word(a) && is_one_word(b)) {
            let key = if words.iter().all(is_one_word) { "args" } else { "arg" };
            line(&format!("{key}: {}", words.join(" ")));
        }
        self.before.iter().for_each(|words| line(format!("before: {}", words.join(" ")).trim_end()));
        self.warnings.iter().for_each(|warning| line(&format!("warning: {warning}")));
        self.errors.iter().for_each(|error| line(&format!("error: {error}")));
        self.hidden.iter().for_each(|hidden| line(&format!("hidden: {hidden}")));
        if let Some(code) = self.exit {
            line(&format!("exit: {code}"));
        }
        if self.errors.is_empty() {
            let sections = [("config", &self.config), ("history", &self.history), ("tree", &self.tree)];
            for (name, entries) in sections {
                line(&format!("{name}:"));
                entries.iter().for_each(|entry| line(&format!("  {entry}")));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_and_written_the_same() {
        let texts = [
            "# why\nargs: --target a\nwarning: w\nconfig:\n  User: \"x\"\nhistory:\n  layer RUN x\n\
             tree:\n  /a dir 0755 0:0\n  - /b\n",
            "# why\nerror: no such stage\nexit: 1\n",
            "# why\nisolation: ns supervised: it is: so\nbases: a b\nenv: A=b c\nargs: -a -b\narg: c d\nargs: e\n\
             before: --build-arg A=1\nbefore:\nerror: e\nhidden: h\n",
        ];
        for text in texts {
            assert_eq!(Expect::parse(text).unwrap().text(), text);
        }
    }

    #[test]
    fn a_mistake_names_its_line() {
        let cases = [
            ("args: x\nfoo: y", "line 2"),
            ("  x", "line 1"),
            ("word", "line 1"),
            ("isolation: ns", "line 1"),
            ("exit: a", "line 1"),
        ];
        for (text, wrong) in cases {
            assert!(Expect::parse(text).unwrap_err().to_string().contains(wrong), "{text:?}");
        }
    }
}
