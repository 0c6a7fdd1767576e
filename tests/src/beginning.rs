//! The beginning of a Dockerfile: what a developer had built before the last instructions were added.

/// Instructions that make layers.
const MAKE_LAYERS: [&str; 4] = ["ADD", "COPY", "RUN", "WORKDIR"];

/// The text as far as the last instruction of its last stage that makes a layer; `None` if no instruction before it
/// in that stage makes one. It goes by lines, so that one inside a heredoc is taken for an instruction too: the text
/// may be none that can be built.
pub(crate) fn beginning(dockerfile: &str) -> Option<&str> {
    let (mut offset, mut continues) = (0, false);
    // Where instructions of the last stage begin that make layers.
    let mut places = Vec::new();
    for line in dockerfile.split_inclusive('\n') {
        let word = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let is_comment = word.starts_with('#');
        if !continues && word == "FROM" {
            places.clear();
        } else if !continues && MAKE_LAYERS.contains(&word.as_str()) {
            places.push(offset);
        }
        if !is_comment {
            continues = line.trim_end().ends_with('\\');
        }
        offset += line.len();
    }
    match places[..] {
        [_, .., last] => Some(&dockerfile[..last]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings() {
        for (text, expected) in [
            ("FROM a\nRUN x\n", None),
            ("FROM a\nRUN x\nCOPY y /\nCMD z\n", Some("FROM a\nRUN x\n")),
            ("FROM a\nRUN x\nCOPY y /\nFROM b\nCOPY --from=0 y /\n", None),
            ("FROM a\nworkdir x\nENV a=b\ncopy y /\n", Some("FROM a\nworkdir x\nENV a=b\n")),
            (
                "FROM a\nRUN x \\\n  # no\n  RUN y\nRUN z \\\n COPY\n",
                Some("FROM a\nRUN x \\\n  # no\n  RUN y\n"),
            ),
        ] {
            assert_eq!(beginning(text), expected, "{text:?}");
        }
    }
}
