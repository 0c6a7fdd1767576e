//! Quotes: which forms a text may be written in.

/// What matters of a text when a form is chosen for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forms {
    /// It has line breaks.
    pub(crate) multiline: bool,
    /// Without quotes, outside of brackets.
    pub(crate) plain: bool,
    /// Without quotes, between brackets.
    pub(crate) flow: bool,
    /// In single quotes.
    pub(crate) single: bool,
    /// As a literal block.
    pub(crate) block: bool,
}

/// True for the characters at which a line ends in YAML 1.1.
pub(crate) fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// True for what Go's library writes without an escape.
pub(crate) fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

/// The forms that Go's library allows for a text.
pub(crate) fn forms(text: &str) -> Forms {
    if text.is_empty() {
        return Forms { multiline: false, plain: true, flow: false, single: true, block: false };
    }
    let mut forms = Forms { multiline: false, plain: true, flow: true, single: true, block: true };
    if text.starts_with("---") || text.starts_with("...") {
        (forms.plain, forms.flow) = (false, false);
    }
    let mut previous = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        let before_blank = next.is_none_or(|next| matches!(next, ' ' | '\t'));
        let after_blank = previous.is_none_or(|c| matches!(c, ' ' | '\t') || is_break(c));
        let (flow, both) = match (c, previous) {
            (
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                | '`',
                None,
            ) => (true, true),
            ('?' | ':', None) => (true, before_blank),
            ('-', None) => (before_blank, before_blank),
            (',' | '?' | '[' | ']' | '{' | '}', _) => (true, false),
            (':', _) => (true, before_blank),
            ('#', _) => (after_blank, after_blank),
            _ => (false, false),
        };
        forms.flow &= !flow && !both;
        forms.plain &= !both;
        if !is_printable(c) {
            forms =
                Forms { multiline: forms.multiline, plain: false, flow: false, single: false, block: false };
        }
        let at_edge = previous.is_none() || next.is_none();
        if c == ' ' {
            if at_edge {
                (forms.plain, forms.flow) = (false, false);
            }
            forms.block &= next.is_some();
            if previous.is_some_and(is_break) {
                (forms.plain, forms.flow, forms.single) = (false, false, false);
            }
        } else if is_break(c) {
            forms.multiline = true;
            (forms.plain, forms.flow) = (false, false);
            if previous == Some(' ') {
                (forms.single, forms.block) = (false, false);
            }
        }
        previous = Some(c);
    }
    forms
}

/// A text in double quotes, in a form that is JSON too.
pub(crate) fn double(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_printable(c) && !is_break(c) || u32::from(c) > 0xffff => out.push(c),
            c => out.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    out.push('"');
    out
}
