//! Origins: which server a URL is of.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::Secret;

/// True if a host, with its port or without, is this machine.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// True if a host, with its port or without, is this machine or on its link, as the metadata services of clouds are:
/// no proxy can reach it for us.
#[must_use]
pub fn is_near(host: &str) -> bool {
    // EC2's metadata service and that of its pods, by IPv6.
    const METADATA: [&str; 2] = ["fd00:ec2::254", "fd00:ec2::23"];
    let address = match host.parse::<std::net::SocketAddr>() {
        Ok(address) => Some(address.ip()),
        Err(_) => host.trim_start_matches('[').trim_end_matches(']').parse().ok(),
    };
    is_loopback(host)
        || match address {
            Some(std::net::IpAddr::V4(address)) => address.is_link_local(),
            Some(std::net::IpAddr::V6(address)) => {
                address.is_unicast_link_local() || METADATA.iter().any(|known| known.parse() == Ok(address))
            }
            None => false,
        }
}

/// True if both are the same server: scheme, host and port.
#[must_use]
pub fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// Takes user and password out of an HTTP URL; they become the value of an `Authorization` header.
pub fn take_credentials(url: &mut Url) -> Option<Secret> {
    let decoded = |text: &str| percent_decode_str(text).collect::<Vec<u8>>();
    let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
    // Only a URL without a host cannot do without them, and that has none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    if user.is_empty() && password.is_empty() {
        return None;
    }
    let both = [&*user, b":", &*password].concat();
    Some(Secret::new(format!("Basic {}", STANDARD.encode(both))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback() {
        for yes in ["localhost", "localhost:5000", "127.0.0.1", "127.8.9.10:80", "[::1]:5000", "[::1]"] {
            assert!(is_loopback(yes), "{yes}");
        }
        for (host, near) in [
            ("169.254.169.254", true),
            ("169.254.169.254:80", true),
            ("[fd00:ec2::254]", true),
            ("[fd00:ec2::254]:80", true),
            ("127.0.0.1:1", true),
            ("169.255.0.1", false),
            ("169.254.169.254.example", false),
            ("[fd00::1]", false),
        ] {
            assert_eq!(is_near(host), near, "{host}");
        }
        for no in
            ["localhost.example", "docker.io", "10.0.0.1:5000", "128.0.0.1", "[::2]:1", "127.0.0.1.example:1"]
        {
            assert!(!is_loopback(no), "{no}");
        }
    }
}
