//! Percent-encoding, as the query and the fragment of a URL have it.

/// The text behind `%41` and its like; `None` if a `%` stands before anything but two hexadecimal digits,
/// or the bytes are no UTF-8. With `plus_is_space`, as in a query, `+` is a space.
pub(crate) fn decode(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match byte {
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                let digit = |at: usize| char::from(digits[at]).to_digit(16);
                u8::try_from(digit(0)? * 16 + digit(1)?).ok()?
            }
            b'+' if plus_is_space => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn decoded() {
        for (text, expected) in [
            ("a%2Fb", Some("a/b")),
            ("a+b%20c", Some("a b c")),
            ("%c3%a9", Some("é")),
            ("%c3", None),
            ("%4", None),
            ("%+1", None),
            ("%é", None),
        ] {
            assert_eq!(decode(text, true).as_deref(), expected, "{text}");
        }
        assert_eq!(decode("a+b", false).as_deref(), Some("a+b"));
    }
}
