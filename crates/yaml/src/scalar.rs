//! Scalars: what a few characters mean in YAML 1.1, as Go's library reads them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::{Number, Value};

/// What a scalar without quotes means.
pub(crate) fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Value::Number(Number::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Value::Number(Number::Float(f64::INFINITY));
        }
        "-.inf" | "-.Inf" | "-.INF" => return Value::Number(Number::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'.' => go_float(text).map(|value| Value::Number(Number::Float(value))),
        b'0'..=b'9' | b'+' | b'-' if !is_time(text) => number(text).map(Value::Number),
        _ => None,
    }
    .unwrap_or_else(|| Value::Text(text.to_owned()))
}

/// True if a text without quotes would be read as that text.
pub(crate) fn is_plain_text(text: &str) -> bool {
    matches!(plain(text), Value::Text(_)) && !is_time(text) && !is_sexagesimal(text)
}

/// What a scalar with a tag of YAML's own means; the reason if it cannot mean that.
pub(crate) fn tagged(tag: &str, text: &str) -> Result<Value, String> {
    let shown = |value: &Value| match value {
        Value::Null => "!!null",
        Value::Bool(_) => "!!bool",
        Value::Number(Number::Float(_)) => "!!float",
        Value::Number(_) => "!!int",
        _ => "!!str",
    };
    let value = match tag {
        "str" => return Ok(Value::Text(text.to_owned())),
        "binary" => {
            let packed: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            return match STANDARD.decode(packed) {
                Ok(bytes) => Ok(Value::Text(String::from_utf8_lossy(&bytes).into_owned())),
                Err(_) => Err("!!binary value contains invalid base64 data".to_owned()),
            };
        }
        "timestamp" if is_time(text) => return Ok(Value::Text(text.to_owned())),
        _ => plain(text),
    };
    let value = match (tag, value) {
        ("float", Value::Number(Number::Whole(whole))) => Value::Number(Number::Float(whole as f64)),
        (_, value) => value,
    };
    let fits = match tag {
        "null" => matches!(value, Value::Null),
        "bool" => matches!(value, Value::Bool(_)),
        "int" => matches!(value, Value::Number(Number::Whole(_) | Number::Large(_))),
        "float" => matches!(value, Value::Number(_)),
        "timestamp" => false,
        _ => return Ok(Value::Text(text.to_owned())),
    };
    if fits { Ok(value) } else { Err(format!("cannot decode {} `{text}` as a !!{tag}", shown(&value))) }
}

/// Digits with underscores anywhere, in the bases of Go's source code, and else a float.
fn number(text: &str) -> Option<Number> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    if let Some(whole) = go_integer(&digits) {
        return Some(Number::Whole(whole));
    }
    let plain = digits.strip_prefix(['+', '-']).unwrap_or(&digits);
    let is_decimal = plain.bytes().all(|byte| byte.is_ascii_digit()) && !plain.starts_with('0');
    match go_float(&digits)? {
        // Only digits that a float cannot hold are kept as they are.
        value if is_decimal && format!("{value}") != digits.trim_start_matches('+') => {
            Some(Number::Large(digits.trim_start_matches('+').into()))
        }
        value => Some(Number::Float(value)),
    }
}

/// A whole number of 64 bits, with or without a sign, as `strconv.ParseInt(text, 0, 64)`.
fn go_integer(text: &str) -> Option<i128> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let signed = rest.len() < text.len();
    let (base, digits) = match rest.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &rest[2..]),
        [b'0', b'b' | b'B', ..] => (2, &rest[2..]),
        [b'0', b'o' | b'O', ..] => (8, &rest[2..]),
        [b'0', _, ..] => (8, &rest[1..]),
        _ => (10, rest),
    };
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let value = i128::from_str_radix(digits, base).ok()?;
    let value = if negative { -value } else { value };
    let most = if signed { i128::from(i64::MAX) } else { i128::from(u64::MAX) };
    (i128::from(i64::MIN)..=most).contains(&value).then_some(value)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`.
fn go_float(text: &str) -> Option<f64> {
    let bytes = text.as_bytes();
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let digits = |at: &mut usize| {
        let start = *at;
        while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
            *at += 1;
        }
        *at > start
    };
    let whole = digits(&mut at);
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        if !digits(&mut at) && !whole {
            return None;
        }
    } else if !whole {
        return None;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        if !digits(&mut at) {
            return None;
        }
    }
    if at != bytes.len() {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    // Go refuses what is out of range, and then it is a text.
    value.is_finite().then_some(value)
}

/// Times in the forms that Go's library knows: a date, or a date with a time.
pub(crate) fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return false;
    }
    let number = |rest: &mut &str, most: usize| -> Option<u32> {
        let length = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let value = rest.get(..length)?.parse().ok()?;
        *rest = &rest[length..];
        Some(value)
    };
    let expect = |rest: &mut &str, mark: char| -> Option<()> {
        *rest = rest.strip_prefix(mark)?;
        Some(())
    };
    let check = || -> Option<bool> {
        let mut rest = text;
        let year = number(&mut rest, 4)?;
        expect(&mut rest, '-')?;
        let month = number(&mut rest, 2)?;
        expect(&mut rest, '-')?;
        let day = number(&mut rest, 2)?;
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        if day == 0 || day > days {
            return None;
        }
        if rest.is_empty() {
            return Some(true);
        }
        let spaced = rest.starts_with(' ');
        rest = rest.strip_prefix(['T', 't', ' '])?;
        let hour = number(&mut rest, 2)?;
        expect(&mut rest, ':')?;
        let minute = number(&mut rest, 2)?;
        expect(&mut rest, ':')?;
        let second = number(&mut rest, 2)?;
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        if let Some(fraction) = rest.strip_prefix(['.', ',']) {
            let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if length == 0 {
                return None;
            }
            rest = &fraction[length..];
        }
        if spaced {
            return Some(rest.is_empty());
        }
        if rest == "Z" {
            return Some(true);
        }
        rest = rest.strip_prefix(['+', '-'])?;
        let zone = rest.as_bytes();
        Some(
            zone.len() == 5
                && zone[2] == b':'
                && [0, 1, 3, 4].iter().all(|&at| zone[at].is_ascii_digit())
                && rest[..2].parse::<u32>().is_ok_and(|hours| hours <= 24)
                && rest[3..].parse::<u32>().is_ok_and(|minutes| minutes < 60),
        )
    };
    check().unwrap_or(false)
}

/// Numbers to the base sixty, `12:30:45`: texts here, but other readers of YAML 1.1 take them for numbers.
fn is_sexagesimal(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (text, fraction) = text.split_once('.').map_or((text, ""), |(text, fraction)| (text, fraction));
    let of = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let mut parts = text.split(':');
    let first = parts.next().unwrap_or_default();
    let mut more = parts.peekable();
    more.peek().is_some()
        && first.starts_with(|c: char| c.is_ascii_digit())
        && of(first)
        && of(fraction)
        && more.all(|part| match part.as_bytes() {
            [units] => units.is_ascii_digit(),
            [tens, units] => (b'0'..=b'5').contains(tens) && units.is_ascii_digit(),
            _ => false,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_1_1() {
        let shown = |text: &str| match plain(text) {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => format!("number {number}"),
            Value::Text(text) => format!("text {text}"),
            _ => unreachable!("a scalar is no collection"),
        };
        for (text, expected) in [
            ("y", "true"),
            ("Off", "false"),
            ("~", "null"),
            ("nULL", "text nULL"),
            ("0x1F", "number 31"),
            ("0b101", "number 5"),
            ("010", "number 8"),
            ("0o17", "number 15"),
            ("-0x10", "number -16"),
            ("1_000", "number 1000"),
            ("08", "number 8"),
            ("+1", "number 1"),
            ("1.5e3", "number 1500"),
            ("1e400", "text 1e400"),
            (".5", "number 0.5"),
            (".", "text ."),
            ("1.", "number 1"),
            ("18446744073709551615", "number 18446744073709551615"),
            ("18446744073709551617", "number 18446744073709551617"),
            ("100000000000000000000", "number 1e+20"),
            ("2021-01-21", "text 2021-01-21"),
            ("12:30:45", "text 12:30:45"),
            ("1.2.3", "text 1.2.3"),
            ("0755x", "text 0755x"),
            ("-", "text -"),
            (".inf", "number .inf"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
        for (text, expected) in [
            ("2021-01-21", false),
            ("2021-02-30", true),
            ("2021-1-2 15:4:5", false),
            ("2021-01-02T15:04:05+01:00", false),
            ("2021-01-02T15:04:05", true),
            ("12:30:45", false),
            ("1:60", true),
            ("<<", true),
            ("=", true),
        ] {
            assert_eq!(is_plain_text(text), expected, "{text}");
        }
    }
}
