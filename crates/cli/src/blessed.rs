//! Files of the repository that are written from the program itself. A test compares them; `BLESS=1` writes them.

use std::path::Path;

/// Compares a file with what `written` makes of it, or, if told so, makes it that.
pub(crate) fn check_file(name: &str, written: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let expected = written(&text);
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
        return;
    }
    let differs = text.lines().zip(expected.lines()).position(|(one, other)| one != other);
    assert!(
        text == expected,
        "{name} is out of date at line {:?}; BLESS=1 cargo test -p cli writes it",
        differs.map(|line| line + 1)
    );
}
