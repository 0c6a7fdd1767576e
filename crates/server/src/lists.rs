//! Lists, a page at a time: the tags of a repository, the repositories of the registry.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use layout::{LayoutError, REFERENCE_NAME};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::refusal::{Refusal, blocking};
use crate::registry::{Parameters, json};
use crate::{Registry, Repository};

impl Registry {
    /// `GET /v2/NAME/tags/list`
    pub(crate) async fn tags(
        self: Arc<Self>,
        repository: Repository,
        parameters: Parameters,
    ) -> Result<Response, Refusal> {
        blocking(move || {
            let index = self.layout(&repository)?.index()?;
            let tags: BTreeSet<String> = index
                .manifests
                .into_iter()
                .filter_map(|mut descriptor| descriptor.annotations.remove(REFERENCE_NAME))
                // Other tools may have named images in the layout in ways that are no tags.
                .filter(|name| Repository::is_tag(name))
                .collect();
            let (page, next) = page(tags, &parameters)?;
            let body = json!({ "name": repository.to_string(), "tags": page });
            linked(json(body.to_string()), &format!("/v2/{repository}/tags/list"), next)
        })
        .await
    }

    /// `GET /v2/_catalog`, of the repositories in which there is something.
    pub(crate) async fn catalog(self: Arc<Self>, parameters: Parameters) -> Result<Response, Refusal> {
        blocking(move || {
            let failed = |source| {
                let action = "list";
                Refusal::from(LayoutError::Io { action, path: self.dir().to_owned(), source })
            };
            let mut names = BTreeSet::new();
            for repository in self.repositories().map_err(failed)? {
                let index = self.layout(&repository).and_then(|layout| layout.index());
                if index.is_ok_and(|index| !index.manifests.is_empty()) {
                    names.insert(repository.to_string());
                }
            }
            let (page, next) = page(names, &parameters)?;
            linked(json(json!({ "repositories": page }).to_string()), "/v2/_catalog", next)
        })
        .await
    }
}

/// What follows `last`, at most `n` of it, and the query of the next page if there is one.
fn page(names: BTreeSet<String>, parameters: &Parameters) -> Result<(Vec<String>, Option<String>), Refusal> {
    let limit = match parameters.get("n") {
        None => usize::MAX,
        Some(text) => text.parse().map_err(|_| {
            Refusal::new(
                StatusCode::BAD_REQUEST,
                "PAGINATION_NUMBER_INVALID",
                format!("n is no number: {text}"),
            )
        })?,
    };
    let mut rest = names
        .into_iter()
        .skip_while(|name| parameters.get("last").is_some_and(|last| name <= last))
        .peekable();
    let page: Vec<String> = rest.by_ref().take(limit).collect();
    let next = page
        .last()
        .filter(|_| rest.peek().is_some())
        .map(|last| format!("n={limit}&last={}", utf8_percent_encode(last, NON_ALPHANUMERIC)));
    Ok((page, next))
}

/// Says where the next page is, as [RFC 8288](https://www.rfc-editor.org/rfc/rfc8288) has it.
fn linked(mut response: Response, path: &str, next: Option<String>) -> Result<Response, Refusal> {
    if let Some(query) = next
        && let Ok(value) = HeaderValue::try_from(format!(r#"<{path}?{query}>; rel="next""#))
    {
        response.headers_mut().insert(header::LINK, value);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        let check = |query: &[(&str, &str)], expected: &str, next: Option<&str>| {
            let names = ["a", "b", "c/d"].map(str::to_owned).into();
            let query = query.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
            let (page, link) = page(names, &query).unwrap();
            assert_eq!((page.join(" ").as_str(), link.as_deref()), (expected, next));
        };
        check(&[], "a b c/d", None);
        check(&[("n", "2")], "a b", Some("n=2&last=b"));
        check(&[("n", "2"), ("last", "b")], "c/d", None);
        check(&[("n", "3")], "a b c/d", None);
        check(&[("n", "0")], "", None);
        check(&[("last", "aa")], "b c/d", None);
        check(&[("last", "z")], "", None);
        let query = [("n".to_owned(), "x".to_owned())].into();
        assert_eq!(page(BTreeSet::new(), &query).unwrap_err().code, "PAGINATION_NUMBER_INVALID");
    }
}
