//! The order of keys when a mapping is printed anew: that of Go's YAML library, in which `a2` comes before `a10`.

use std::cmp::Ordering;

/// Compares two keys, character by character; the first difference decides.
pub(crate) fn natural(left: &str, right: &str) -> Ordering {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    for at in 0..left.len().min(right.len()) {
        let (a, b) = (left[at], right[at]);
        if a == b {
            continue;
        }
        match (a.is_alphabetic(), b.is_alphabetic()) {
            (true, true) => return a.cmp(&b),
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {}
        }
        // A zero after other digits is one more digit of the number, not the beginning of one.
        let mut start = 0;
        if a == '0' || b == '0' {
            let before = left[..at].iter().rev().take_while(|c| is_digit(**c));
            start = i64::from(before.clone().any(|c| *c != '0'));
        }
        let number = |chars: &[char]| {
            let digits = chars[at..].iter().take_while(|c| is_digit(**c));
            digits.fold((start, at), |(value, end), c| {
                let digit = i64::from(u32::from(*c)) - i64::from(b'0');
                (value.wrapping_mul(10).wrapping_add(digit), end + 1)
            })
        };
        let ((left_value, left_end), (right_value, right_end)) = (number(&left), number(&right));
        return left_value.cmp(&right_value).then(left_end.cmp(&right_end)).then(a.cmp(&b));
    }
    left.len().cmp(&right.len())
}

/// Digits of any script, as Go's `unicode.IsDigit` has them, are rare enough in keys for these to do.
fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_count_as_numbers() {
        for (left, right) in
            [("a2", "a10"), ("1", "a"), ("Z", "a"), ("a", "ab"), ("a-b", "ab"), ("a1", "a01")]
        {
            assert_eq!(natural(left, right), Ordering::Less, "{left} {right}");
        }
    }
}
