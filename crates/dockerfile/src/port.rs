//! Ports: what `EXPOSE` declares.

use std::fmt;

/// A port of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Port {
    /// 0 to 65535.
    pub number: u16,
    /// The protocol spoken there.
    pub protocol: Protocol,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Protocol {
    Sctp,
    Tcp,
    Udp,
}

/// Why a text names no ports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum PortError {
    #[error("no port specified: {0}<empty>")]
    Empty(String),
    #[error("invalid containerPort: {0}")]
    Container(String),
    #[error("invalid hostPort: {0}")]
    Host(String),
    #[error("invalid proto: {0}")]
    Protocol(String),
    #[error("invalid IP address: {0}")]
    Address(String),
    #[error("invalid ranges specified for container and host Ports: {container} and {host}")]
    Ranges { container: String, host: String },
}

impl fmt::Display for Port {
    /// As in the key of an image config's `ExposedPorts`: `80/tcp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Sctp => "sctp",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        write!(f, "{}/{protocol}", self.number)
    }
}

/// The ports an expanded word of `EXPOSE` declares: `80`, `53/udp`, `8000-8010`. An address and a host's
/// port before it, as in `127.0.0.1:8080:80`, are checked and otherwise mean nothing, as in `docker build`.
pub fn parse_ports(text: &str) -> Result<Vec<Port>, PortError> {
    let (rest, container) = text.rsplit_once(':').unwrap_or(("", text));
    let (address, host) = rest.rsplit_once(':').unwrap_or(("", rest));
    let (container, protocol) = container.split_once('/').unwrap_or((container, ""));
    if container.is_empty() {
        return Err(PortError::Empty(text.to_owned()));
    }
    let protocol = match protocol.to_lowercase().as_str() {
        "" | "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return Err(PortError::Protocol(protocol.to_owned())),
    };
    let plain = address.strip_prefix('[').and_then(|address| address.strip_suffix(']')).unwrap_or(address);
    if !plain.is_empty() && plain.parse::<std::net::IpAddr>().is_err() {
        return Err(PortError::Address(address.to_owned()));
    }
    let (first, last) = range(container).ok_or_else(|| PortError::Container(container.to_owned()))?;
    if !host.is_empty() {
        let (first_host, last_host) = range(host).ok_or_else(|| PortError::Host(host.to_owned()))?;
        // A range of the host for a single port is a choice.
        if first != last && last - first != last_host - first_host {
            return Err(PortError::Ranges { container: container.to_owned(), host: host.to_owned() });
        }
    }
    Ok((first..=last).map(|number| Port { number, protocol }).collect())
}

fn range(text: &str) -> Option<(u16, u16)> {
    let number = |text: &str| {
        // Rust would take a sign.
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        for (text, ports) in [
            ("80", "80/tcp"),
            ("80/tcp", "80/tcp"),
            ("53/UDP", "53/udp"),
            ("9/sctp", "9/sctp"),
            ("8000-8002", "8000/tcp 8001/tcp 8002/tcp"),
            ("8080:80", "80/tcp"),
            ("127.0.0.1:8080:80", "80/tcp"),
            ("127.0.0.1::80", "80/tcp"),
            ("[::1]:8080:80/udp", "80/udp"),
            ("8000-8010:80", "80/tcp"),
        ] {
            let parsed: Vec<String> = parse_ports(text).unwrap().iter().map(Port::to_string).collect();
            assert_eq!(parsed.join(" "), ports, "{text}");
        }
        for (text, error) in [
            ("99999", "invalid containerPort: 99999"),
            ("x", "invalid containerPort: x"),
            ("+1", "invalid containerPort: +1"),
            ("5-1", "invalid containerPort: 5-1"),
            ("80/foo", "invalid proto: foo"),
            ("", "no port specified: <empty>"),
            ("80:", "no port specified: 80:<empty>"),
            ("x:80", "invalid hostPort: x"),
            ("nohost:1:80", "invalid IP address: nohost"),
            ("1-3:80-81", "invalid ranges specified for container and host Ports: 80-81 and 1-3"),
        ] {
            assert_eq!(parse_ports(text).unwrap_err().to_string(), error);
        }
    }
}
