//! Users and groups, by the image's own `/etc/passwd` and `/etc/group` (passwd(5), group(5)).

use crate::error::{Error, Result};

/// The two files' contents; `None` where the image has no such file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Accounts {
    pub(crate) passwd: Option<Vec<u8>>,
    pub(crate) group: Option<Vec<u8>>,
}

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Supplementary groups, the primary one included.
    pub(crate) groups: Vec<u32>,
    pub(crate) home: String,
}

struct User<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

impl Accounts {
    /// Whom `USER spec` means. A number needs no entry; a name does. Without a group, the groups of the
    /// user's name are taken; with one, only that.
    pub(crate) fn user(&self, spec: &str) -> Result<Who> {
        let (user_text, group_text) = match spec.split_once(':') {
            // `user:` is what `user` is.
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (spec, None),
        };
        let user_text = if user_text.is_empty() { "0" } else { user_text };
        let number = user_text.parse::<u32>().ok();
        let entry = self.users().find(|user| user.name == user_text || number == Some(user.uid));
        let (uid, mut gid, home, name) = match (entry, number) {
            (Some(user), _) => (user.uid, user.gid, user.home, Some(user.name)),
            (None, Some(uid)) => (uid, 0, "/", None),
            (None, None) => {
                return Err(Error::new(format!(
                    "unable to find user {user_text}: no matching entries in passwd file"
                ))
                .hint("create the user in a RUN before, or give its number"));
            }
        };
        let groups = match group_text {
            Some(group) => {
                gid = self.group(group)?;
                vec![gid]
            }
            None => {
                let mut groups = vec![gid];
                groups.extend(
                    name.into_iter().flat_map(|name| self.groups_of(name)).filter(|&other| other != gid),
                );
                groups
            }
        };
        let home = if home.is_empty() { "/" } else { home };
        Ok(Who { uid, gid, groups, home: home.to_owned() })
    }

    /// Whom `--chown=spec` means. A user by number without a group has the group of that number; a user by
    /// name has the group of its entry.
    pub(crate) fn owner(&self, spec: &str) -> Result<(u32, u32)> {
        let (user, group) = match spec.split_once(':') {
            Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
            None => (spec, None),
        };
        let (uid, default_gid) = match user.parse::<u32>() {
            Ok(uid) => (uid, uid),
            Err(_) if user.is_empty() => (0, 0),
            Err(_) => {
                let entry = self.users().find(|entry| entry.name == user).ok_or_else(|| {
                    Error::new(format!("unable to find user {user}: no matching entries in passwd file"))
                        .hint("create the user in a RUN before, or give its number")
                })?;
                (entry.uid, entry.gid)
            }
        };
        Ok((uid, group.map_or(Ok(default_gid), |group| self.group(group))?))
    }

    fn group(&self, text: &str) -> Result<u32> {
        if let Ok(gid) = text.parse() {
            return Ok(gid);
        }
        let missing = || {
            Error::new(format!("unable to find group {text}: no matching entries in group file"))
                .hint("create the group in a RUN before, or give its number")
        };
        lines(&self.group)
            .find_map(|line| {
                let mut fields = line.split(':');
                (fields.next() == Some(text)).then(|| fields.nth(1)?.parse().ok())?
            })
            .ok_or_else(missing)
    }

    fn users(&self) -> impl Iterator<Item = User<'_>> {
        lines(&self.passwd).filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [name, _, uid, gid, _, home, ..] = fields[..] else { return None };
            Some(User { name, uid: uid.parse().ok()?, gid: gid.parse().ok()?, home })
        })
    }

    fn groups_of<'a>(&'a self, user: &'a str) -> impl Iterator<Item = u32> + 'a {
        lines(&self.group).filter_map(move |line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [_, _, gid, members] = fields[..] else { return None };
            members.split(',').any(|member| member == user).then(|| gid.parse().ok())?
        })
    }
}

fn lines(file: &Option<Vec<u8>>) -> impl Iterator<Item = &str> {
    file.iter()
        .flat_map(|bytes| bytes.split(|&byte| byte == b'\n'))
        .filter_map(|line| std::str::from_utf8(line).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: Some(
                b"root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:App:/home/app:/bin/sh\nbad line\n".to_vec(),
            ),
            group: Some(b"root:x:0:\napp:x:1001:\nwheel:x:10:root,app\nextra:x:20:app\n".to_vec()),
        }
    }

    #[test]
    fn users_of_run() {
        for (spec, expected) in [
            ("app", Ok((1000, 1001, vec![1001, 10, 20], "/home/app"))),
            ("1000", Ok((1000, 1001, vec![1001, 10, 20], "/home/app"))),
            ("app:wheel", Ok((1000, 10, vec![10], "/home/app"))),
            ("app:", Ok((1000, 1001, vec![1001, 10, 20], "/home/app"))),
            (":app", Ok((0, 1001, vec![1001], "/root"))),
            ("app:7", Ok((1000, 7, vec![7], "/home/app"))),
            ("4242", Ok((4242, 0, vec![0], "/"))),
            ("", Ok((0, 0, vec![0, 10], "/root"))),
            ("nobody", Err("unable to find user nobody: no matching entries in passwd file")),
            ("app:none", Err("unable to find group none: no matching entries in group file")),
        ] {
            let found = accounts().user(spec);
            match expected {
                Ok((uid, gid, groups, home)) => {
                    assert_eq!(found.unwrap(), Who { uid, gid, groups, home: home.to_owned() }, "{spec}");
                }
                Err(text) => assert_eq!(found.unwrap_err().message, text),
            }
        }
    }

    #[test]
    fn owners_of_chown() {
        for (spec, expected) in [
            ("app", Some((1000, 1001))),
            ("1000", Some((1000, 1000))),
            ("app:wheel", Some((1000, 10))),
            ("7:8", Some((7, 8))),
            ("app:", Some((1000, 1001))),
            (":wheel", Some((0, 10))),
            ("nobody", None),
        ] {
            assert_eq!(accounts().owner(spec).ok(), expected, "{spec}");
        }
        assert!(Accounts::default().owner("app").is_err());
    }
}
