//! One word of Kaniko's command line or environment, and what becomes of it here.

/// A flag or a variable.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// As it is typed: `--cache-dir`, `KANIKO_DIR`.
    pub(crate) name: &'static str,
    /// What becomes of it.
    pub(crate) fate: Fate,
    /// One line: what is different here, why it is moot, or what to do instead. Empty if it is the same.
    pub(crate) note: &'static str,
    /// What it takes, if it is a flag that the command line does not have otherwise.
    pub(crate) takes: Takes,
    /// Its letter, if it is such a flag and has one.
    pub(crate) short: Option<char>,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It does what it says.
    Honoured,
    /// It is accepted, and has nothing to do here; the note says why.
    Moot,
    /// It is an error; the note says what to do instead.
    Refused,
}

/// What follows a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing, or `=true` or `=false`.
    Switch,
    /// Any text.
    Text,
    /// A number.
    Number,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// It is not for this table to say.
    Elsewhere,
}

impl Entry {
    /// Honoured; `note` says what is different, if anything.
    pub(crate) const fn honoured(name: &'static str, note: &'static str) -> Self {
        Entry { name, fate: Fate::Honoured, note, takes: Takes::Elsewhere, short: None }
    }

    /// Accepted without an effect.
    pub(crate) const fn moot(name: &'static str, takes: Takes, note: &'static str) -> Self {
        Entry { name, fate: Fate::Moot, note, takes, short: None }
    }

    /// An error.
    pub(crate) const fn refused(name: &'static str, takes: Takes, note: &'static str) -> Self {
        Entry { name, fate: Fate::Refused, note, takes, short: None }
    }

    /// A variable that is accepted without an effect.
    pub(crate) const fn moot_variable(name: &'static str, note: &'static str) -> Self {
        Entry::moot(name, Takes::Elsewhere, note)
    }

    /// The same with a letter.
    pub(crate) const fn short(self, letter: char) -> Self {
        Entry { short: Some(letter), ..self }
    }

    /// The flag without its dashes.
    pub(crate) fn long(&self) -> &'static str {
        self.name.trim_start_matches('-')
    }
}
