//! Values of flags: text to what it means, without a look at the machine.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use oci::{Platform, PlatformError};

/// A path; an empty one, as a pipeline passes for a variable it does not set, is none.
pub(crate) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// What was given, unless it is empty.
pub(crate) fn given<T: AsRef<std::ffi::OsStr> + Clone>(value: &Option<T>) -> Option<T> {
    value.clone().filter(|value| !value.as_ref().is_empty())
}

/// `KEY=VALUE`.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
}

pub(crate) fn pair(text: &str) -> Result<Pair, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(Pair { key: key.to_owned(), value: value.to_owned() }),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

/// A duration as Go writes it: `336h`, `1h30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let nanoseconds = builder::parse_duration(text).map_err(|error| error.to_string())?;
    u64::try_from(nanoseconds)
        .map(Duration::from_nanos)
        .map_err(|_| "expected no negative duration".to_owned())
}

/// `NAME:ADDRESS` or `NAME=ADDRESS`, an IPv6 address also in brackets.
pub(crate) fn host(text: &str) -> Result<(String, IpAddr), String> {
    let (name, address) = text.split_once(['=', ':']).ok_or("expected NAME:ADDRESS")?;
    let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if name.is_empty() || !name.chars().all(usable) {
        return Err(format!("{name:?} is no host name"));
    }
    if address == "host-gateway" {
        return Err("host-gateway is an address only Docker's daemon knows; give the address".to_owned());
    }
    let plain = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
    let parsed = plain.parse().map_err(|_| format!("{address:?} is no IP address"))?;
    Ok((name.to_owned(), parsed))
}

/// A number of bytes, or of the binary multiples `k`, `m`, `g`, as Docker has them.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let lower = text.to_ascii_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let units = [('k', 10), ('m', 20), ('g', 30), ('t', 40)];
    let unit = units.iter().find_map(|(unit, shift)| Some((lower.strip_suffix(*unit)?, *shift)));
    let (digits, shift) = unit.unwrap_or((lower, 0));
    let number = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let bytes = number
        .and_then(|digits| digits.parse::<u64>().ok())
        .and_then(|number| number.checked_mul(1 << shift));
    bytes.filter(|bytes| *bytes > 0).ok_or_else(|| "expected a number of bytes, as in 500m or 2g".to_owned())
}

/// Platforms, at least one and each once, in the order in which they were given.
#[derive(Debug, Clone)]
pub(crate) struct Platforms(pub(crate) Vec<Platform>);

pub(crate) fn platforms(text: &str) -> Result<Platforms, String> {
    let mut found: Vec<Platform> = Vec::new();
    for one in text.split(',') {
        let platform: Platform = one.trim().parse().map_err(|error: PlatformError| error.to_string())?;
        if found.contains(&platform) {
            return Err(format!("{platform} is given twice"));
        }
        found.push(platform);
    }
    Ok(Platforms(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_and_addresses() {
        for (text, expected) in [
            ("db:10.0.0.1", Ok(("db", "10.0.0.1"))),
            ("db=10.0.0.1", Ok(("db", "10.0.0.1"))),
            ("db.example:[::1]", Ok(("db.example", "::1"))),
            ("db:::1", Ok(("db", "::1"))),
            ("db", Err("expected NAME:ADDRESS")),
            (":10.0.0.1", Err("\"\" is no host name")),
            ("a b:10.0.0.1", Err("\"a b\" is no host name")),
            ("db:ten", Err("\"ten\" is no IP address")),
            ("db:1.1.1.1\n", Err("\"1.1.1.1\\n\" is no IP address")),
        ] {
            let found = host(text).map(|(name, address)| (name, address.to_string()));
            let expected = expected.map(|(name, address)| (name.to_owned(), address.to_owned()));
            assert_eq!(found, expected.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("1", Some(1)),
            ("2k", Some(2048)),
            ("3MB", Some(3 << 20)),
            ("4g", Some(4 << 30)),
            ("0", None),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5g", None),
            ("1x", None),
            ("99999999t", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }
}
