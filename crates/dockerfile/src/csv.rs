//! Comma-separated values ([RFC 4180]): how the fields of a `--mount` are written.
//!
//! [RFC 4180]: https://www.rfc-editor.org/rfc/rfc4180

/// The fields of a record; the error is the reason, as Go's `encoding/csv` words it.
pub(crate) fn record(text: &str) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let field = if let Some(quoted) = rest.strip_prefix('"') {
            let mut field = String::new();
            rest = quoted;
            loop {
                let end = rest.find('"').ok_or("extraneous or missing \" in quoted-field")?;
                field.push_str(&rest[..end]);
                rest = &rest[end + 1..];
                match rest.strip_prefix('"') {
                    Some(after) => rest = after,
                    None => break,
                }
                field.push('"');
            }
            field
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let field = &rest[..end];
            if field.contains('"') {
                return Err("bare \" in non-quoted-field");
            }
            rest = &rest[end..];
            field.to_owned()
        };
        fields.push(field);
        match rest.strip_prefix(',') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Ok(fields),
            None => return Err("extraneous or missing \" in quoted-field"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        for (text, fields) in [
            ("a", &["a"][..]),
            ("a,b=c", &["a", "b=c"]),
            ("", &[""]),
            ("a,", &["a", ""]),
            ("\"a,b\",c", &["a,b", "c"]),
            ("\"a\"\"b\"", &["a\"b"]),
            ("\"\"", &[""]),
        ] {
            assert_eq!(record(text).unwrap(), fields, "{text}");
        }
        for text in ["\"a", "a\"b", "\"a\"b", "\""] {
            assert!(record(text).is_err(), "{text}");
        }
    }
}
