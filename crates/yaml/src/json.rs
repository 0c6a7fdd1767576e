//! JSON: printed as Go's `encoding/json` prints it, and found in a row.

use std::ops::Range;

use crate::print::no_json;
use crate::{Entry, Error, Node, Value};

/// A tree as JSON without spaces: keys in the order of their bytes, `<`, `>` and `&` escaped.
pub fn print_json(node: &Node) -> Result<String, Error> {
    let mut out = String::new();
    write(node, &mut out)?;
    Ok(out)
}

fn write(node: &Node, out: &mut String) -> Result<(), Error> {
    match &node.value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number.json().ok_or_else(|| no_json(number))?),
        Value::Text(text) => string(text, out),
        Value::Sequence(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out)?;
            }
            out.push(']');
        }
        Value::Mapping(entries) => {
            let mut sorted: Vec<&Entry> = entries.iter().collect();
            sorted.sort_by(|a, b| a.key.name.cmp(&b.key.name));
            out.push('{');
            for (index, entry) in sorted.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                string(&entry.key.name, out);
                out.push(':');
                write(&entry.value, out)?;
            }
            out.push('}');
        }
    }
    Ok(())
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Where each of several JSON objects in a row is; `None` if the text is anything but two or more of them.
#[must_use]
pub fn json_documents(text: &str) -> Option<Vec<Range<usize>>> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    let mut found = Vec::new();
    let (mut depth, mut start, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' if depth > 0 => in_string = true,
            b'{' | b'[' => {
                if depth == 0 {
                    start = at;
                }
                depth += 1;
            }
            b'}' | b']' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    found.push(start..at + 1);
                }
            }
            _ if depth == 0 && !byte.is_ascii_whitespace() => return None,
            _ => {}
        }
    }
    (depth == 0 && !in_string && found.len() > 1).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_in_a_row() {
        for (text, count) in [
            ("{}{}", 2),
            ("{\"a\": \"}{\"}\n {\"b\": [1]}\n", 2),
            ("{}", 0),
            ("{} x {}", 0),
            ("a: {}", 0),
            ("{\"a\": \"\\\"}\"} {}", 2),
            ("{ {", 0),
            ("}{", 0),
        ] {
            assert_eq!(json_documents(text).map_or(0, |found| found.len()), count, "{text}");
        }
    }

    #[test]
    fn as_go_prints() {
        let node = crate::parse("{b: 1.0, a: [1e3, '<a&b>', null], c: \"x\\ty\"}").unwrap().unwrap();
        assert_eq!(
            print_json(&node).unwrap(),
            r#"{"a":[1000,"\u003ca\u0026b\u003e",null],"b":1,"c":"x\ty"}"#
        );
    }
}
