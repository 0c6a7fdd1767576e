//! Mode changes: the `--chmod` of `COPY` and `ADD`, octal or symbolic.

/// A change of a file's permission bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModeChange {
    /// These bits and no others.
    Octal(u32),
    /// Changes made one after another.
    Symbolic(Symbolic),
}

/// A symbolic mode, as in `u=rwX,go-w`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symbolic {
    actions: Vec<Action>,
}

/// Why a text is no mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ModeError {
    #[error("invalid chmod parameter: '{0}'. it should be octal string and between 0 and 07777")]
    Octal(String),
    #[error("invalid chmod parameter: '{0}'. it should be octal, as 644, or symbolic, as u=rwX,go-w")]
    Symbolic(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Action {
    /// The classes named, as bits of a mode; 0 if none.
    who: u32,
    operator: char,
    permissions: Permissions,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Permissions {
    /// Bits for every class, and whether there was an `X`.
    Bits { bits: u32, search: bool },
    /// Those the class has; the shift of its bits.
    CopyOf(u32),
}

const USER: u32 = 0o4700;
const GROUP: u32 = 0o2070;
const OTHER: u32 = 0o1007;
const ALL: u32 = 0o7777;
/// Where no class is named, a change spares the bits of the umask; a build's is 022.
const UMASK: u32 = 0o022;

impl ModeChange {
    /// Reads a mode as chmod(1) does.
    pub fn parse(text: &str) -> Result<Self, ModeError> {
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            let error = || ModeError::Octal(text.to_owned());
            let mode = u32::from_str_radix(text, 8).map_err(|_| error())?;
            return if mode <= ALL { Ok(ModeChange::Octal(mode)) } else { Err(error()) };
        }
        let mut actions = Vec::new();
        for clause in text.split(',') {
            clause_actions(clause, &mut actions).ok_or_else(|| ModeError::Symbolic(text.to_owned()))?;
        }
        Ok(ModeChange::Symbolic(Symbolic { actions }))
    }

    /// The mode a file gets that had `mode`; only permission bits are looked at, and returned.
    #[must_use]
    pub fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            ModeChange::Octal(bits) => *bits,
            ModeChange::Symbolic(symbolic) => {
                let original = mode & ALL;
                symbolic
                    .actions
                    .iter()
                    .fold(original, |mode, action| action.apply(mode, original, is_directory))
            }
        }
    }
}

/// `[ugoa]*([-+=]([rwxXst]*|[ugo]))+`
fn clause_actions(clause: &str, actions: &mut Vec<Action>) -> Option<()> {
    let (mut who, mut rest) = (0, clause);
    while let Some(class) = rest.chars().next().and_then(|c| match c {
        'u' => Some(USER),
        'g' => Some(GROUP),
        'o' => Some(OTHER),
        'a' => Some(ALL),
        _ => None,
    }) {
        who |= class;
        rest = &rest[1..];
    }
    if rest.is_empty() {
        return None;
    }
    while let Some(operator) = rest.chars().next() {
        rest = rest.strip_prefix(['+', '-', '='])?;
        let end = rest.find(['+', '-', '=']).unwrap_or(rest.len());
        let (permissions, after) = rest.split_at(end);
        rest = after;
        let permissions = match permissions {
            "u" => Permissions::CopyOf(6),
            "g" => Permissions::CopyOf(3),
            "o" => Permissions::CopyOf(0),
            letters => {
                let (mut bits, mut search) = (0, false);
                for letter in letters.chars() {
                    match letter {
                        'r' => bits |= 0o444,
                        'w' => bits |= 0o222,
                        'x' => bits |= 0o111,
                        's' => bits |= 0o6000,
                        't' => bits |= 0o1000,
                        'X' => search = true,
                        _ => return None,
                    }
                }
                Permissions::Bits { bits, search }
            }
        };
        actions.push(Action { who, operator, permissions });
    }
    Some(())
}

impl Action {
    fn apply(&self, mode: u32, original: u32, is_directory: bool) -> u32 {
        let bits = match self.permissions {
            Permissions::CopyOf(shift) => {
                let class = (mode >> shift) & 0o7;
                class << 6 | class << 3 | class
            }
            // POSIX: `X` looks at the mode before any change.
            Permissions::Bits { bits, search: true } if is_directory || original & 0o111 != 0 => bits | 0o111,
            Permissions::Bits { bits, .. } => bits,
        };
        let reach = if self.who == 0 { ALL & !UMASK } else { self.who };
        match self.operator {
            '+' => mode | (bits & reach),
            '-' => mode & !(bits & reach),
            _ => {
                let cleared = if self.who == 0 { ALL } else { self.who };
                // A directory keeps its set-id bits unless they are named, as chmod(1) of GNU has it.
                let cleared = if is_directory { cleared & !(0o6000 & !bits) } else { cleared };
                // The sticky bit belongs to no class of its own: only `a`, `o` and nobody reach it.
                (mode & !cleared) | (bits & reach)
            }
        }
    }
}
