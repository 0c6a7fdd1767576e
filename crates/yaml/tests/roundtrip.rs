//! Random documents, changed in place: every byte outside of the changed values stays, and what is said is what was
//! asked for.

use proptest::prelude::*;
use yaml::{Editor, Node, Value, parse};

/// A tree that is written in a style chosen at random at every place.
#[derive(Debug, Clone)]
enum Tree {
    Scalar(String, u8),
    List(Vec<Tree>, bool),
    Map(Vec<(String, Tree)>, bool, u8),
    Image(u8),
}

fn tree() -> impl Strategy<Value = Tree> {
    let text = prop_oneof![
        "[a-z]{1,6}",
        "[ -~]{0,20}",
        Just("yes".to_owned()),
        Just("1.50".to_owned()),
        Just("~".to_owned()),
        Just("é 中: #x".to_owned()),
        Just("two\nlines\n".to_owned()),
    ];
    let leaf = prop_oneof![
        (text, 0..4_u8).prop_map(|(text, style)| Tree::Scalar(text, style)),
        (0..4_u8).prop_map(Tree::Image)
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let entries = prop::collection::vec(("[a-z]{1,4}", inner.clone()), 0..5);
        prop_oneof![
            (prop::collection::vec(inner, 0..4), any::<bool>())
                .prop_map(|(items, flow)| Tree::List(items, flow)),
            (entries, any::<bool>(), 0..3_u8).prop_map(|(entries, flow, gap)| Tree::Map(entries, flow, gap)),
        ]
    })
}

fn double(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

fn scalar(text: &str, style: u8, flow: bool) -> String {
    let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    match style {
        0 if is_word => text.to_owned(),
        1 if !text.contains('\n') => format!("'{}'", text.replace('\'', "''")),
        2 if !flow && is_word => format!(">-\n                    {text}"),
        _ => double(text),
    }
}

/// Writes a tree; the marks are where images are.
fn write(tree: &Tree, depth: usize, flow: bool, out: &mut String) {
    let indent = "  ".repeat(depth);
    match tree {
        Tree::Scalar(text, style) => out.push_str(&format!(" {}", scalar(text, *style, flow))),
        Tree::Image(style) => out.push_str(&format!(" {}", scalar("nginx", *style, flow))),
        Tree::List(items, own) if *own || flow || items.is_empty() => {
            out.push_str(" [");
            for item in items {
                write(item, depth, true, out);
                out.push_str(" ,");
            }
            out.push_str(" ]");
        }
        Tree::Map(entries, own, _) if *own || flow || entries.is_empty() => {
            out.push_str(" {");
            for (key, value) in entries {
                out.push_str(&format!(" {}: ", double(key)));
                write(value, depth, true, out);
                out.push(',');
            }
            out.push_str(" }");
        }
        Tree::List(items, _) => {
            for item in items {
                out.push_str(&format!("\n{indent}-"));
                write(item, depth + 1, false, out);
            }
        }
        Tree::Map(entries, _, gap) => {
            for (index, (key, value)) in entries.iter().enumerate() {
                let name = if matches!(value, Tree::Image(_)) { "image" } else { key };
                let comment = if *gap == 1 { format!("\n{indent}# about {key}") } else { String::new() };
                out.push_str(&format!("{comment}\n{indent}{name}{index}:"));
                write(value, depth + 1, false, out);
                if *gap == 2 {
                    out.push('\n');
                }
            }
        }
    }
}

fn images<'a>(node: &'a Node, found: &mut Vec<&'a Node>) {
    match &node.value {
        Value::Text(text) if text == "nginx" => found.push(node),
        Value::Sequence(items) => items.iter().for_each(|item| images(item, found)),
        Value::Mapping(entries) => entries.iter().for_each(|entry| images(&entry.value, found)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_what_is_meant_changes(entries in prop::collection::vec(("[a-z]{1,4}", tree()), 1..6), annotate in any::<bool>()) {
        let mut text = String::new();
        write(&Tree::Map(entries, false, 0), 0, false, &mut text);
        let text = format!("{}\n", text.trim_start_matches('\n'));
        let root = parse(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?.unwrap();
        let mut found = Vec::new();
        images(&root, &mut found);
        let mut editor = Editor::new();
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for node in found {
            editor.set(node, "r.example/a@sha256:00");
            let length = node.span.of(&text).trim_end().len();
            spans.push((node.span.start as usize, node.span.start as usize + length));
        }
        let added = annotate && editor.put(&root, &["metadata", "annotations", "k.io/i"], "- a: b\n");
        let new = editor.finish(&text, root).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        // The bytes between the images are all there, in order.
        spans.sort_unstable();
        let (mut at, mut rest) = (0, new.as_str());
        for (start, end) in spans {
            rest = rest.strip_prefix(&text[at..start]).ok_or_else(|| TestCaseError::fail(format!("{text}\n=>\n{new}")))?;
            let old = &text[start..end];
            let value = old.replace("nginx", "r.example/a@sha256:00");
            rest = rest.strip_prefix(&value).or_else(|| rest.strip_prefix("\"r.example/a@sha256:00\""))
                .ok_or_else(|| TestCaseError::fail(format!("{text}\n=>\n{new}")))?;
            at = end;
        }
        let expected = if added { "metadata:\n  annotations:\n    k.io/i: |\n      - a: b\n" } else { "" };
        prop_assert!(rest.contains(expected), "{text}\n=>\n{new}");
        prop_assert_eq!(rest.replacen(expected, "", 1), &text[at..]);
    }

    #[test]
    fn nothing_makes_it_panic(text in "[-a-z:#&*!|>'\"{}\\[\\], \n\t%@`?~0-9.]{0,80}") {
        if let Ok(Some(root)) = parse(&text) {
            let mut editor = Editor::new();
            editor.put(&root, &["metadata", "annotations", "k"], "v\n");
            // It may be refused, but not wrong: that is checked inside.
            let _ = editor.finish(&text, root);
        }
    }
}
