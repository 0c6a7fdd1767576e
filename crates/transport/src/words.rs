//! What servers say when they refuse, in the forms of the larger ones.

/// What a refusal says, on one line: the forms of AWS (JSON and XML), of OAuth2, of Google and of Azure.
#[must_use]
pub fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let found = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(json) => {
            let of = |json: &serde_json::Value, names: &[&str]| {
                names.iter().find_map(|name| json[*name].as_str().map(str::to_owned))
            };
            let inner = if json["error"].is_object() { &json["error"] } else { &json };
            let code = of(inner, &["__type", "code", "Code", "error", "status"]);
            let message = of(inner, &["message", "Message", "error_description"]);
            [code, message].into_iter().flatten().collect::<Vec<_>>().join(": ")
        }
        Err(_) => {
            let parts = [element(&text, "Code"), element(&text, "Message")];
            parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
        }
    };
    found.chars().filter(|c| !c.is_control()).take(300).collect::<String>().trim().to_owned()
}

/// The text of the first element of this name in an XML text, entities resolved. The answers of AWS that we read are
/// flat, and what we look for occurs once.
#[must_use]
pub fn element(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    Some(
        entities
            .iter()
            .fold(text.trim().to_owned(), |text, (entity, character)| text.replace(entity, character)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_refusals_say() {
        for (body, expected) in [
            (
                r#"{"__type":"UnrecognizedClientException","message":"bad token"}"#,
                "UnrecognizedClientException: bad token",
            ),
            (r#"{"error":"invalid_grant","error_description":"no"}"#, "invalid_grant: no"),
            (
                r#"{"error":{"code":403,"status":"PERMISSION_DENIED","message":"not you"}}"#,
                "PERMISSION_DENIED: not you",
            ),
            (
                "<ErrorResponse><Error><Code>AccessDenied</Code><Message>a &lt;b&gt; c</Message></Error></ErrorResponse>",
                "AccessDenied: a <b> c",
            ),
            ("<html>", ""),
            ("", ""),
        ] {
            assert_eq!(words(body.as_bytes()), expected, "{body}");
        }
    }
}
