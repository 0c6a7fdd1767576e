//! Places outside the Dockerfile as text: `tests/data/git_urls.txt` and `tests/data/named_contexts.txt`.

mod support;

use dockerfile::{ContextSource, GitUrl, NamedContext};
use support::check_table;

#[test]
fn git_urls() {
    check_table(include_str!("data/git_urls.txt"), |text| match GitUrl::parse(text) {
        Ok(None) => "-".to_owned(),
        Ok(Some(url)) => show(&url),
        Err(error) => format!("error: {error}"),
    });
}

fn show(url: &GitUrl) -> String {
    let mut text = format!("{} name={} host={}", url.remote, url.name(), url.host);
    let switch = |value: Option<bool>| value.map(|value| value.to_string());
    for (key, value) in [
        ("ref", url.reference.clone()),
        ("subdir", url.subdirectory.clone()),
        ("checksum", url.checksum.clone()),
        ("keep-git-dir", switch(url.keep_git_dir)),
        ("submodules", switch(url.submodules)),
        ("mtime", url.mtime.map(|time| format!("{time:?}"))),
        ("fetch-by-commit", switch(url.fetch_by_commit)),
    ] {
        text += &value.map(|value| format!(" {key}={value}")).unwrap_or_default();
    }
    text
}

#[test]
fn named_contexts() {
    check_table(include_str!("data/named_contexts.txt"), |text| match NamedContext::parse(text) {
        Ok(NamedContext { name, platform, source }) => {
            let platform = platform.map(|platform| format!(" for {platform}")).unwrap_or_default();
            let source = match source {
                ContextSource::Directory(path) => format!("directory {path}"),
                ContextSource::Image(image) => format!("image {image}"),
                ContextSource::OciLayout { path, tag, digest } => {
                    let tag = tag.map(|tag| format!(" tag {tag}")).unwrap_or_default();
                    let digest = digest.map(|digest| format!(" digest {digest}")).unwrap_or_default();
                    format!("layout {path}{tag}{digest}")
                }
                ContextSource::Http(url) => format!("archive {url}"),
                ContextSource::Git(url) => format!("git {url}"),
            };
            format!("{name}{platform} {source}")
        }
        Err(error) => format!("error: {error}"),
    });
}

#[test]
fn contexts_are_found_by_name_and_platform() {
    let contexts: Vec<NamedContext> = ["a=1", "a::linux/arm64=2", "golang=3", "a=4", "b::linux/arm64=5"]
        .iter()
        .map(|text| NamedContext::parse(text).unwrap())
        .collect();
    for (name, platform, expected) in [
        ("a", "linux/amd64", Some("4")),
        ("A", "linux/amd64", Some("4")),
        ("a", "linux/arm64", Some("2")),
        ("docker.io/library/golang:latest", "linux/amd64", Some("3")),
        ("golang:1.2", "linux/amd64", None),
        ("b", "linux/amd64", None),
        ("b", "linux/arm64", Some("5")),
    ] {
        let found = NamedContext::find(&contexts, name, platform).map(|context| &context.source);
        let expected = expected.map(|path| ContextSource::Directory(path.to_owned()));
        assert_eq!(found, expected.as_ref(), "{name} for {platform}");
    }
}
