//! What `--call` answers: `tests/data/outline.txt` and `tests/data/targets.txt`.

mod support;

use std::collections::BTreeMap;

use dockerfile::{GlobalScope, Graph, Outline, PlatformArgs, Targets, parse};
use support::check_table;

#[test]
fn targets() {
    check_table(include_str!("data/targets.txt"), |text| {
        serde_json::to_string(&Targets::of(&parse(text).unwrap())).unwrap()
    });
}

#[test]
fn outlines() {
    check_table(include_str!("data/outline.txt"), |input| {
        let (text, options) = input.rsplit_once(" | ").unwrap_or((input, ""));
        let options: Vec<(&str, &str)> =
            options.split(' ').filter_map(|option| option.split_once('=')).collect();
        let target = options.iter().find(|(key, _)| *key == "target").map(|(_, name)| *name);
        let args = options.iter().filter(|(key, _)| *key == "arg").filter_map(|(_, arg)| arg.split_once('='));
        let args: BTreeMap<String, String> =
            args.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let outline = outline(text, target, &args);
        let mut json = serde_json::to_value(outline).unwrap();
        // Places have a test of their own.
        for list in json.as_object_mut().unwrap().values_mut().filter_map(|value| value.as_array_mut()) {
            for item in list {
                item.as_object_mut().unwrap().remove("location").expect("everything has a place");
            }
        }
        in_order(&json)
    });
}

fn outline(text: &str, target: Option<&str>, args: &BTreeMap<String, String>) -> Outline {
    let dockerfile = parse(text).expect("the case is a Dockerfile");
    let platform = PlatformArgs::new("linux/amd64", "linux/arm64", target);
    let scope = GlobalScope::new(&dockerfile, &platform, args).expect("its variables have values");
    let graph = Graph::new(&dockerfile, &scope, &[], "linux/amd64").expect("its stages fit together");
    Outline::of(&dockerfile, &graph, &scope, graph.target(target).expect("the option is a stage"))
        .expect("its sources are stages")
}

/// JSON with the fields in the order BuildKit writes them.
fn in_order(value: &serde_json::Value) -> String {
    const ORDER: [&str; 9] =
        ["ID", "name", "description", "value", "required", "args", "secrets", "ssh", "cache"];
    match value {
        serde_json::Value::Object(fields) => {
            let known = ORDER.iter().filter_map(|key| fields.get(*key).map(|value| (key, value)));
            let fields: Vec<String> =
                known.map(|(key, value)| format!("{key:?}:{}", in_order(value))).collect();
            format!("{{{}}}", fields.join(","))
        }
        serde_json::Value::Array(items) => {
            format!("[{}]", items.iter().map(in_order).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

#[test]
fn places_of_an_outline() {
    let text = "ARG v=1\nFROM a:$v\nARG w\nRUN --mount=type=secret,id=s \\\n  x\n";
    let outline = outline(text, None, &BTreeMap::new());
    let line = |location: &dockerfile::Location| location.ranges[0].start.line;
    let args: Vec<(&str, usize)> =
        outline.args.iter().map(|arg| (arg.name.as_str(), line(&arg.location))).collect();
    assert_eq!(args, [("v", 1), ("w", 3)]);
    assert_eq!(outline.secrets.iter().map(|secret| line(&secret.location)).collect::<Vec<_>>(), [4]);
}
