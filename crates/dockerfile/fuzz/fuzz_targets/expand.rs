//! Words: both ways to expand agree, and nothing panics or takes for ever.
#![no_main]

use dockerfile::{Escape, Span, Word, expand, expand_words, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let env = |name: &str| match name {
        "a" => Some("aXa/b.c".to_owned()),
        "p" => Some("*/".to_owned()),
        "e" => Some(String::new()),
        _ => None,
    };
    let word = Word { text: text.to_owned(), span: Span::default() };
    for escape in [Escape::Backslash, Escape::Backtick] {
        let (one, several) = (expand(&word, escape, &env), expand_words(&word, escape, &env));
        assert_eq!(one.is_ok(), several.is_ok());
        if let (Ok(one), Ok(several)) = (one, several) {
            assert_eq!(one.unset, several.unset);
            assert!(several.words.iter().all(|word| !word.is_empty()));
            if !several.words.is_empty() {
                assert!(!one.text.is_empty());
            }
        }
    }
    let heredoc = format!("FROM x\nCOPY <<\"ten little\" <<EOF /y\nten little\n{text}\nEOF\n");
    if let Ok(dockerfile) = parse(&heredoc) {
        for instruction in dockerfile.stages.iter().flat_map(|stage| &stage.instructions) {
            if let dockerfile::InstructionKind::Copy(copy) = &instruction.kind {
                for source in &copy.sources {
                    if let dockerfile::instruction::Source::Heredoc(heredoc) = source {
                        let _ = heredoc.expanded(&env);
                    }
                }
            }
        }
    }
});
