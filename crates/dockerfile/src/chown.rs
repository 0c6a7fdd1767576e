//! Owners: the `user[:group]` of `--chown` and `USER`.

use std::fmt;
use std::str::FromStr;

/// A user and perhaps a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub user: Account,
    /// The group; what is meant if there is none depends on who asks.
    pub group: Option<Account>,
}

/// A user or a group, by name or by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// To be looked up in `/etc/passwd` or `/etc/group`.
    Name(String),
    /// Itself.
    Id(u32),
}

/// Why a text names no owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid owner {0:?}: expected user or user:group, as names or numbers")]
pub struct OwnerError(String);

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Self, OwnerError> {
        let error = || OwnerError(text.to_owned());
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (text, None),
        };
        let account = |text: &str| {
            if text.is_empty() || text.contains(':') {
                return Err(error());
            }
            if text.bytes().all(|byte| byte.is_ascii_digit()) {
                return text.parse().map(Account::Id).map_err(|_| error());
            }
            Ok(Account::Name(text.to_owned()))
        };
        // `user:` is what `user` is, as in chown(1).
        let group = group.filter(|group| !group.is_empty()).map(account).transpose()?;
        Ok(Owner { user: account(user)?, group })
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Account::Name(name) => f.write_str(name),
            Account::Id(id) => id.fmt(f),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.user.fmt(f)?;
        self.group.as_ref().map_or(Ok(()), |group| write!(f, ":{group}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        for (text, normal) in
            [("u", "u"), ("0", "0"), ("u:g", "u:g"), ("007:g", "7:g"), ("u:1", "u:1"), ("u:", "u")]
        {
            assert_eq!(text.parse::<Owner>().unwrap().to_string(), normal);
        }
        assert_eq!("5".parse::<Owner>().unwrap().user, Account::Id(5));
        for text in ["", ":", ":g", "a:b:c", "4294967296"] {
            assert!(text.parse::<Owner>().is_err(), "{text}");
        }
    }
}
