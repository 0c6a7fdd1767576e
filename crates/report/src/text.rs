//! Text on a page: escaped, and numbers as people read them.

use std::time::Duration;

/// Text for an element or for an attribute in double quotes. Control characters become pictures of themselves, and
/// marks that turn the direction of text around are shown as what they are, so that no text looks like another.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(character),
            '\u{0}'..='\u{1f}' => {
                out.push(char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}'));
            }
            '\u{7f}'..='\u{9f}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                out.push_str(&format!("\\u{{{:x}}}", u32::from(character)));
            }
            character => out.push(character),
        }
    }
    out
}

/// `12.3 MB`, in powers of ten as registries show sizes.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// `45 ms`, `1.23 s`, `4 min 5 s`.
#[must_use]
pub fn time(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        1..=59 => format!("{:.2} s", time.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_markup_is_text() {
        for (text, expected) in [
            ("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"),
            ("\" onload=\"x", "&quot; onload=&quot;x"),
            ("a && b", "a &amp;&amp; b"),
            ("\u{1b}[31m\u{0}", "\u{241b}[31m\u{2400}"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("é 箱", "é 箱"),
        ] {
            assert_eq!(escape(text), expected);
        }
    }

    #[test]
    fn numbers() {
        for (value, expected) in [(0, "0 B"), (1500, "1.5 kB"), (2_000_000_000_000, "2.0 TB")] {
            assert_eq!(bytes(value), expected);
        }
        for (value, expected) in [(45, "45 ms"), (1234, "1.23 s"), (245_000, "4 min 5 s")] {
            assert_eq!(time(Duration::from_millis(value)), expected);
        }
    }
}
