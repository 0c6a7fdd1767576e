//! Numbers, exact where they are whole.

use std::fmt;

/// A number. Whole ones keep all their digits, which Go's tools round to 53 bits.
#[derive(Debug, Clone, PartialEq)]
pub enum Number {
    /// A whole number of 64 bits.
    Whole(i128),
    /// One that was written in decimal digits and is larger than that.
    Large(Box<str>),
    /// Any other, which may be an infinity.
    Float(f64),
}

/// From here on Go prints floats with an exponent in JSON.
const LARGE: f64 = 1e21;

/// From this power of ten on `%g` has an exponent.
const EXPONENT: i32 = 6;

impl Number {
    /// The number as Go's `encoding/json` writes it; `None` for what JSON has no word for.
    #[must_use]
    pub fn json(&self) -> Option<String> {
        match self {
            Number::Whole(value) => Some(value.to_string()),
            Number::Large(digits) => Some(digits.to_string()),
            Number::Float(value) => float_json(*value),
        }
    }

    /// The number as Go's YAML library writes it once it has read what [`Number::json`] says.
    #[must_use]
    pub fn yaml(&self) -> Option<String> {
        let Number::Float(value) = self else { return self.json() };
        let json = float_json(*value)?;
        // Digits alone are read as a whole number where 64 bits hold it.
        let is_whole = json.parse::<i64>().is_ok() || json.parse::<u64>().is_ok();
        Some(if is_whole { json } else { general(*value) })
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Float(value) => f.write_str(&general(*value)),
            _ => f.write_str(&self.json().unwrap_or_default()),
        }
    }
}

fn float_json(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    let size = value.abs();
    if size != 0.0 && !(1e-6..LARGE).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return Some(match exponent.strip_prefix('-') {
            Some(exponent) => format!("{digits}e-{exponent}"),
            None => format!("{digits}e+{exponent:0>2}"),
        });
    }
    // Not `-0`, which YAML reads as a whole number without a sign.
    Some(if size == 0.0 { "0".to_owned() } else { format!("{value}") })
}

/// `%g` with the fewest digits that tell the number from its neighbours.
fn general(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..EXPONENT).contains(&exponent) {
        format!("{value}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_prints() {
        for (value, json, yaml) in [
            (Number::Whole(1 << 53), "9007199254740992", "9007199254740992"),
            (Number::Whole(9_007_199_254_740_993), "9007199254740993", "9007199254740993"),
            (Number::Float(1.0), "1", "1"),
            (Number::Float(-0.0), "0", "0"),
            (Number::Float(1000.0), "1000", "1000"),
            (Number::Float(1e20), "100000000000000000000", "1e+20"),
            (Number::Float(1e21), "1e+21", "1e+21"),
            (Number::Float(1.5), "1.5", "1.5"),
            (Number::Float(999_999.5), "999999.5", "999999.5"),
            (Number::Float(1_234_567.5), "1234567.5", "1.2345675e+06"),
            (Number::Float(0.0001), "0.0001", "0.0001"),
            (Number::Float(0.00001), "0.00001", "1e-05"),
            (Number::Float(1e-7), "1e-7", "1e-07"),
            (Number::Large("36893488147419103233".into()), "36893488147419103233", "36893488147419103233"),
        ] {
            assert_eq!(value.json().as_deref(), Some(json));
            assert_eq!(value.yaml().as_deref(), Some(yaml));
        }
        assert_eq!(Number::Float(f64::INFINITY).json(), None);
    }
}
