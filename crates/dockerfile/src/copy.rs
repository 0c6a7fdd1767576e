//! `COPY` and `ADD`: files put into the stage.

use crate::parse::Statement;
use crate::{GitUrl, Heredoc, Literal, ParseError, Spanned, Word, json};

/// Files from the context, another stage, an image, or the Dockerfile itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// What is copied, in the order written; never empty.
    pub sources: Vec<Source>,
    /// Where to.
    pub destination: Word,
    /// `--from`: a stage's name or index, an image, or a named context.
    pub from: Option<Literal>,
    /// `--chown`, for [`crate::Owner`].
    pub chown: Option<Word>,
    /// `--chmod`, for [`crate::ModeChange`].
    pub chmod: Option<Word>,
    /// `--link`
    pub link: Option<Spanned<bool>>,
    /// `--parents`
    pub parents: Option<Spanned<bool>>,
    /// `--exclude`, patterns as in `.dockerignore`.
    pub exclude: Vec<Literal>,
}

/// What `COPY` does, and archives, URLs and git repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Add {
    /// What is added, in the order written; never empty.
    pub sources: Vec<Source>,
    /// Where to.
    pub destination: Word,
    /// `--chown`, for [`crate::Owner`].
    pub chown: Option<Word>,
    /// `--chmod`, for [`crate::ModeChange`].
    pub chmod: Option<Word>,
    /// `--link`
    pub link: Option<Spanned<bool>>,
    /// `--exclude`, patterns as in `.dockerignore`.
    pub exclude: Vec<Literal>,
    /// `--checksum`: the digest a URL must have, or the commit a repository must be at.
    pub checksum: Option<Word>,
    /// `--keep-git-dir`
    pub keep_git_dir: Option<Spanned<bool>>,
    /// `--unpack`; if not given, archives of the context are unpacked and downloaded ones are not.
    pub unpack: Option<Spanned<bool>>,
}

/// One thing to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A path with or without wildcards or, for `ADD`, a URL.
    Path(Word),
    /// A document of the Dockerfile: a file of the document's name.
    Heredoc(Heredoc),
}

/// What a source that was expanded refers to, if not to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remote {
    /// A file to download.
    Http,
    /// A repository to check out, whose [`GitUrl`] may still be wrong.
    Git,
}

impl Copy {
    pub(crate) fn read(statement: &Statement) -> Result<Self, ParseError> {
        let flags = &statement.flags;
        let (sources, destination) = sources_and_destination(statement)?;
        flags.check(&["from", "chown", "chmod", "link", "parents"], &["exclude"])?;
        let from = flags.literal("from")?;
        if let Some(from) = from.as_ref().filter(|from| has_variable(&from.value)) {
            let message = "variable expansion is not supported for --from, define a new stage with FROM using \
                           ARG from global scope as a workaround";
            return Err(ParseError::new(from.span, message));
        }
        Ok(Copy {
            sources,
            destination,
            from,
            chown: flags.word("chown")?,
            chmod: flags.word("chmod")?,
            link: flags.boolean("link")?,
            parents: flags.boolean("parents")?,
            exclude: flags.literals("exclude")?,
        })
    }
}

impl Add {
    pub(crate) fn read(statement: &Statement) -> Result<Self, ParseError> {
        let flags = &statement.flags;
        let (sources, destination) = sources_and_destination(statement)?;
        flags.check(&["chown", "chmod", "link", "checksum", "keep-git-dir", "unpack"], &["exclude"])?;
        Ok(Add {
            sources,
            destination,
            chown: flags.word("chown")?,
            chmod: flags.word("chmod")?,
            link: flags.boolean("link")?,
            exclude: flags.literals("exclude")?,
            checksum: flags.word("checksum")?,
            keep_git_dir: flags.boolean("keep-git-dir")?,
            unpack: flags.boolean("unpack")?,
        })
    }
}

impl Remote {
    /// What an expanded source refers to; `None` if it is a path. `a:b` is a repository at the host `a`, as
    /// for BuildKit; the file of that name is `./a:b`.
    #[must_use]
    pub fn of(source: &str) -> Option<Self> {
        if !matches!(GitUrl::parse(source), Ok(None)) {
            return Some(Remote::Git);
        }
        let is_http = ["http://", "https://"].iter().any(|scheme| source.starts_with(scheme));
        is_http.then_some(Remote::Http)
    }
}

/// True if the text would change by expansion, as far as BuildKit looks.
pub(crate) fn has_variable(text: &str) -> bool {
    text.find('$').is_some_and(|at| at + 1 < text.len())
}

fn sources_and_destination(statement: &Statement) -> Result<(Vec<Source>, Word), ParseError> {
    let keyword = statement.keyword;
    let mut words: Vec<Word> = match json::strings(statement.arguments)? {
        Some(strings) => {
            let span = statement.arguments.span();
            strings.into_iter().map(|text| Word { text, span }).collect()
        }
        None => statement.arguments.words().into_iter().map(|word| word.word()).collect(),
    };
    let destination = words.pop().filter(|_| !words.is_empty()).ok_or_else(|| {
        let message = format!(
            "{keyword} requires at least two arguments, but only one was provided. Destination could not be determined"
        );
        ParseError::new(statement.span, message)
    })?;
    // The JSON form has no heredocs, whatever its strings look like.
    let mut heredocs = statement.heredocs.iter();
    if !statement.heredocs.is_empty() && Heredoc::announced_by(&destination.text).is_some() {
        let message = format!("{keyword} cannot accept a heredoc as a destination");
        return Err(ParseError::new(destination.span, message));
    }
    let mut sources = Vec::new();
    for word in words {
        let heredoc = Heredoc::announced_by(&word.text)
            .and_then(|announced| heredocs.clone().next().filter(|next| next.name == announced.name));
        sources.push(match heredoc {
            Some(heredoc) => {
                heredocs.next();
                Source::Heredoc(heredoc.clone())
            }
            None => Source::Path(word),
        });
    }
    if let Some(unused) = heredocs.next() {
        let message = format!(
            "{keyword} cannot use heredoc {:?}: it has to be one word among the sources",
            unused.name
        );
        return Err(ParseError::new(statement.arguments.span(), message));
    }
    Ok((sources, destination))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_are_told_from_paths() {
        for (source, remote) in [
            ("a/b", None),
            ("./a.git", None),
            ("a:/b", None),
            ("./a:b", None),
            ("a:b", Some(Remote::Git)),
            ("http:/x", None),
            ("http://x.example/a.tar", Some(Remote::Http)),
            ("https://x.example/a?b#c", Some(Remote::Http)),
            ("https://x.example/a.git", Some(Remote::Git)),
            ("https://x.example/a.git#main:dir", Some(Remote::Git)),
            ("https://x.example/a.git?tag=v1", Some(Remote::Git)),
            ("git://x.example/a", Some(Remote::Git)),
            ("ssh://git@x.example/a", Some(Remote::Git)),
            ("git@x.example:a/b", Some(Remote::Git)),
            ("me@x.example:a/b.git#v1", Some(Remote::Git)),
        ] {
            assert_eq!(Remote::of(source), remote, "{source}");
        }
    }
}
